"""Local calibration: one HBV a basin, all basins and all starts at once, by gradient."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from hydronb.data.scaling import select_period
from hydronb.models.delta_hbv import simulation_tensors
from hydronb.models.local_hbv import LocalHBV
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training.delta_hbv import check_periods, scaling_of
from hydronb.training.ealstm import validator
from hydronb.training.task import Task


class Record(NamedTuple):
    """The whole training period of all basins, and the days before it that warm the stores up."""

    dynamic: Float[Tensor, "basin time forcing"]
    target: Float[Tensor, "basin day"]
    """mm/d, NaN where missing; the last days of `dynamic`."""
    basin: Tensor


@dataclass(frozen=True)
class WholeRecord:
    """Every sample is the same, the whole record: what is judged on it whole is also fitted on it
    whole."""

    record: Record
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return 2**31

    def gather(self, index: Tensor) -> Record:
        return self.record


STEPS = 10
"""Steps an epoch, where the parameters leave it open."""


def prepare(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """As `hydronb.training.delta_hbv.prepare`, for `model: local_hbv`.

    Raises
    ------
    DataError
        The data do not cover the periods and the warm-up, or a basin has no streamflow in the
        training period.
    """
    scaling = scaling_of(ds, p)
    ids = tuple(str(b) for b in ds["basin"].values)

    def build() -> LocalHBV:
        return LocalHBV(scaling, basins=ids, starts=p.starts, warmup_days=p.warmup_days).to(device)

    model = build()
    dynamic, _, first, _ = simulation_tensors(model, ds, p.train_period, p.warmup_days)
    check_periods(model, ds, p)
    target = torch.from_numpy(
        select_period(ds, p.train_period)["streamflow"].values.astype("float32")
    )
    record = Record(
        dynamic[:, first - p.warmup_days :].to(device), target.to(device), torch.arange(len(ids))
    )
    validate = validator(ds, p.validation_period) if p.validation_period else None
    return Task(
        build, WholeRecord(record, ids), loss_of, validate, record[:2], STEPS * p.batch_size
    )


def nse_losses(
    sim: Float[Tensor, "basin day start"], obs: Float[Tensor, "basin day"]
) -> Float[Tensor, "basin start"]:
    """1 - NSE of each calibration, missing observations masked."""
    there = ~obs.isnan()
    mean = torch.nanmean(obs, 1, keepdim=True)
    variance = torch.where(there, obs - mean, 0.0).square().sum(1)
    error = torch.where(there[:, :, None], sim - obs.nan_to_num()[:, :, None], 0.0)
    return error.square().sum(1) / variance.clamp(min=1e-6)[:, None]


def loss_of(model: LocalHBV, batch: Record) -> Float[Tensor, ""]:
    """The sum over basins and starts, so that no calibration feels the others; `model` keeps each
    one's own."""
    sim = model(batch.dynamic)[:, -batch.target.shape[1] :]
    losses = nse_losses(sim, batch.target)
    model.loss.copy_(losses.detach())
    return losses.sum()
