"""Local calibration: one HBV per basin, all basins and all starts at once, by gradient."""

from dataclasses import dataclass

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from hydronb.data.scaling import select_period
from hydronb.losses import observed_errors
from hydronb.models.local_hbv import LocalHBV
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training import ealstm, task
from hydronb.training.delta_hbv import input_scaling, require_periods
from hydronb.training.task import Task, model_builder, validator

STEPS = 10
"""Steps per epoch, where the parameters leave it open."""

open_data = ealstm.open_data
finish = task.finish


@dataclass(frozen=True)
class WholeRecord:
    """The training period of all basins, and the days before it that warm the stores up. It is each
    of its own samples: a calibration is judged on all of it."""

    dynamic: Float[Tensor, "basin time forcing"]
    target: Float[Tensor, "basin day"]
    """mm/d, NaN where missing; the last days of `dynamic`."""
    basin: Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return 2**31

    def gather(self, index: Tensor) -> "WholeRecord":
        return self


def prepare(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """The record, loss and validation of the local HBVs that `p` describes.

    Raises
    ------
    DataError
        The data do not cover the periods and the warm-up, or a basin has no streamflow in the
        training period.
    """
    scaling = input_scaling(ds, p, [])
    ids = tuple(str(b) for b in ds["basin"].values)
    build = model_builder(p, scaling, ("starts", "warmup_days"), device, basins=ids)
    model = build()
    dynamic, _, first, _ = model.inputs(ds, p.train_period)
    require_periods(model, ds, p)
    streamflow = select_period(ds, p.train_period)["streamflow"].values.astype("float32")
    dynamic = dynamic[:, first - p.warmup_days :].to(device)
    target = torch.from_numpy(streamflow).to(device)
    record, drawn = WholeRecord(dynamic, target, torch.arange(len(ids)), ids), STEPS * p.batch_size
    return Task(build, record, loss_of, validator(ds, p), (dynamic, target), drawn)


def nse_losses(
    sim: Float[Tensor, "basin day start"], obs: Float[Tensor, "basin day"]
) -> Float[Tensor, "basin start"]:
    """1 - NSE of each calibration, missing observations masked."""
    error, _ = observed_errors(sim, obs[:, :, None])
    anomaly, _ = observed_errors(torch.nanmean(obs, 1, keepdim=True), obs)
    return error.square().sum(1) / anomaly.square().sum(1).clamp(min=1e-6)[:, None]


def loss_of(model: LocalHBV, batch: WholeRecord) -> Float[Tensor, ""]:
    """The sum over basins and starts, so that calibrations do not affect each other; `model` keeps
    the loss of each."""
    sim = model(batch.dynamic)[:, -batch.target.shape[1] :]
    losses = nse_losses(sim, batch.target)
    model.loss.copy_(losses.detach())
    return losses.sum()
