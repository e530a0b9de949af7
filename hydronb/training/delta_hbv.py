"""Training of the models of Feng et al. (2022): delta-HBV, the LSTM that it is compared with, and
local calibration: one HBV per basin, all basins and all starts at once, by gradient."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from hydronb.data.attributes import attribute_list
from hydronb.data.folds import training_basins
from hydronb.data.scaling import Scaling, fit_scaling, require, select_period
from hydronb.data.windows import Batch, training_samples
from hydronb.errors import DataError
from hydronb.losses import observed_errors, rmse_observed
from hydronb.models import LocalHBV, RunoffLSTM
from hydronb.models.continuous import ContinuousModel, log_sqrt
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training.task import Task, basin_std, model_builder, target_loss, validator

SETTINGS = (
    "components",
    "dynamic",
    "recharge",
    "network",
    "hidden",
    "dropout",
    "forget_bias",
    "initialisation",
    "dynamic_dropout",
    "warmup_days",
    "target_days",
    "reading_days",
)
"""Parameters that a delta-HBV takes."""
STEPS = 10
"""Steps per epoch of a local calibration, where the parameters leave it open."""


def prepare_delta_hbv(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the delta-HBV that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    ParameterError
        See `DeltaHBV`.
    """
    ds = training_basins(ds, p)
    scaling = input_scaling(ds, p, attribute_list(ds, p.attributes))
    loss_of = target_loss(
        p,
        basin_std(ds, p).to(device),
        lambda model, batch: model(batch.dynamic, batch.static)[:, :, None],
    )
    return sequence_task(ds, p, model_builder(p, scaling, SETTINGS, device), loss_of, device)


def prepare_runoff_lstm(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the LSTM that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    ParameterError
        See `RunoffLSTM`.
    """
    ds = training_basins(ds, p)
    attributes = attribute_list(ds, p.attributes)
    target = {"streamflow": ds["streamflow"] / ds["p_mean"]} if "p_mean" in attributes else {}
    scaling = input_scaling(ds, p, attributes, target)
    settings = ("hidden", "dropout", "forget_bias", "warmup_days", "target_days")
    return sequence_task(
        ds, p, model_builder(p, scaling, settings, device), standardised_rmse, device
    )


def standardised_rmse(model: RunoffLSTM, batch: Batch) -> Tensor:
    """RMSE of the standardised target, missing observations masked."""
    target = model.encode(batch.target[:, :, 0], batch.static)
    return rmse_observed(model(batch.dynamic, batch.static), target)


def sequence_task(
    ds: xr.Dataset,
    p: DeltaHBVTrainParameters,
    build: Callable[[], ContinuousModel],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    device: str,
) -> Task:
    """The task of a model that learns from random sequences of `target_days` after `warmup_days`.

    Raises
    ------
    DataError
        The data do not cover a period and the days before it, or the period is too short.
    """
    model = build()
    require_periods(model, ds, p)
    days = select_period(ds, p.train_period).sizes["time"]
    if days < p.target_days:
        raise DataError(
            f"train_period {p.train_period} has {days} days, fewer than the target_days "
            f"{p.target_days} of a sample; choose fewer, or a longer period"
        )
    samples = training_samples(
        ds,
        model.scaling,
        p.train_period,
        p.warmup_days + p.target_days,
        p.target_days,
        device=device,
    )
    drawn = p.batch_size * iterations(ds.sizes["basin"], days, p.batch_size, p.target_days)
    return Task(build, samples, loss_of, validator(ds, p), samples.tensors, drawn)


def iterations(n_basins: int, n_days: int, batch_size: int, length: int) -> int:
    """Iterations of an epoch, so that a day of a basin is among the targets of its samples with a
    probability of 99 %.

    `n_days` counts the days that can be targets: the paper's 5,478 minus the 365 that warm up, or
    all of them for its LSTM.

    >>> iterations(671, 5478 - 365, 100, 365), iterations(671, 5478, 100, 365)
    (431, 462)
    """
    share = batch_size * length / (n_basins * n_days)
    return math.ceil(math.log(0.01) / math.log(1 - share)) if share < 1 else 1


def input_scaling(
    ds: xr.Dataset,
    p: DeltaHBVTrainParameters,
    attributes: Sequence[str],
    changed: Mapping[str, xr.DataArray] | None = None,
) -> Scaling:
    """Statistics of the networks' inputs; of `prcp` and of the variables in `changed`, those of
    log10(sqrt(...) + 0.1).

    Raises
    ------
    DataError
        A forcing that is missing, or PET that can neither be found nor computed.
    """
    if "pet" in p.forcings and "pet" not in ds and "lat" not in ds.coords:
        raise DataError(
            "the data have no pet, and without the coordinate lat none can be computed; add one of "
            "the two"
        )
    require(ds, p.forcings, "forcing")
    values = {name: ds[name] for name in p.forcings if name == "prcp"} | dict(changed or {})
    logarithms = {
        n: v.copy(data=log_sqrt(torch.from_numpy(v.values)).numpy()) for n, v in values.items()
    }
    return fit_scaling(
        ds.assign(logarithms),
        p.forcings,
        list(attributes),
        p.targets,
        p.train_period,
        missing_attributes=p.missing_attributes,
    )


def require_periods(model: ContinuousModel, ds: xr.Dataset, p: DeltaHBVTrainParameters) -> None:
    """Raise before the training if it, or a simulation after it, is not possible."""
    for period in filter(None, (p.train_period, p.validation_period, p.test_period)):
        model.inputs(ds, period)


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


def prepare_local_hbv(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
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
    seen = dynamic[:, first - p.warmup_days :].to(device), torch.from_numpy(streamflow).to(device)
    record = WholeRecord(*seen, torch.arange(len(ids)), ids)
    return Task(build, record, sum_of_losses, validator(ds, p), seen, STEPS * p.batch_size)


def nse_losses(
    sim: Float[Tensor, "basin day start"], obs: Float[Tensor, "basin day"]
) -> Float[Tensor, "basin start"]:
    """1 - NSE of each calibration, missing observations masked."""
    error, _ = observed_errors(sim, obs[:, :, None])
    anomaly, _ = observed_errors(torch.nanmean(obs, 1, keepdim=True), obs)
    return error.square().sum(1) / anomaly.square().sum(1).clamp(min=1e-6)[:, None]


def sum_of_losses(model: LocalHBV, batch: WholeRecord) -> Float[Tensor, ""]:
    """The sum over basins and starts, so that calibrations do not affect each other; `model` keeps
    the loss of each."""
    losses = nse_losses(model(batch.dynamic)[:, -batch.target.shape[1] :], batch.target)
    model.loss.copy_(losses.detach())
    return losses.sum()
