"""Training of delta-HBV (Feng et al., 2022), and what its benchmark models share with it."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import xarray as xr
from torch import Tensor, nn

from hydronb.data.attributes import attribute_list
from hydronb.data.scaling import Scaling, fit_scaling, require, select_period
from hydronb.data.windows import Batch, training_samples
from hydronb.errors import DataError
from hydronb.models.continuous import ContinuousModel, log_sqrt
from hydronb.models.delta_hbv import DeltaHBV
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training import ealstm, task
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

open_data = ealstm.open_data
finish = task.finish


def prepare(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the delta-HBV that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    ParameterError
        See `DeltaHBV`.
    """
    scaling = input_scaling(ds, p, attribute_list(ds, p.attributes))

    def simulate(model: DeltaHBV, batch: Batch) -> Tensor:
        return model(batch.dynamic, batch.static)[:, :, None]

    loss_of = target_loss(p, basin_std(ds, p).to(device), simulate)
    return sequence_task(ds, p, model_builder(p, scaling, SETTINGS, device), loss_of, device)


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
    length = p.warmup_days + p.target_days
    samples = training_samples(
        ds, model.scaling, p.train_period, length, p.target_days, device=device
    )
    drawn = p.batch_size * iterations(ds.sizes["basin"], days, p.batch_size, p.target_days)
    return Task(build, samples, loss_of, validator(ds, p), samples.tensors, drawn)


def iterations(n_basins: int, n_days: int, batch_size: int, length: int) -> int:
    """Iterations of an epoch, so that a day of a basin is among the targets of its samples with a
    probability of 99 %.

    `n_days` counts the days that can be targets: the paper's 5,478 minus the 365 that warm up.

    >>> iterations(671, 5478 - 365, 100, 365)
    431
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
