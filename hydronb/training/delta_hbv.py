"""Training of delta-HBV (Feng et al., 2022), and what its benchmark models share with it."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from hydronb import metrics
from hydronb.data.attributes import attribute_list
from hydronb.data.dataset import TARGETS
from hydronb.data.scaling import Scaling, fit_scaling, require, select_period
from hydronb.data.windows import Batch, training_samples
from hydronb.errors import DataError
from hydronb.files import write
from hydronb.models import hbv
from hydronb.models.delta_hbv import DeltaHBV, log_sqrt, simulation_tensors
from hydronb.models.standardised import Standardised
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training import ealstm
from hydronb.training.predict import save_simulation
from hydronb.training.task import Task, basin_std, target_loss, torch_settings, validator

open_data = ealstm.open_data

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
    settings = {name: getattr(p, name) for name in SETTINGS}

    def build() -> DeltaHBV:
        return DeltaHBV(scaling, **settings).to(device)

    def simulate(model: DeltaHBV, batch: Batch) -> Tensor:
        return model(batch.dynamic, batch.static)[:, :, None]

    loss_of = target_loss(p, basin_std(ds, p).to(device), simulate)
    return sequence_task(ds, p, scaling, build, loss_of, device)


def sequence_task(
    ds: xr.Dataset,
    p: DeltaHBVTrainParameters,
    scaling: Scaling,
    build: Callable[[], Standardised],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    device: str,
) -> Task:
    """The task of a model that learns from random sequences of `target_days` after `warmup_days`.

    Raises
    ------
    DataError
        The data do not cover a period and the days before it, or the period is too short.
    """
    require_periods(build(), ds, p)
    days = select_period(ds, p.train_period).sizes["time"]
    if days < p.target_days:
        raise DataError(
            f"train_period {p.train_period} has {days} days, fewer than the target_days "
            f"{p.target_days} of a sample; choose fewer, or a longer period"
        )
    samples = training_samples(
        ds,
        scaling,
        p.train_period,
        p.warmup_days + p.target_days,
        p.target_days,
        device=device,
    )
    drawn = p.batch_size * iterations(ds.sizes["basin"], days, p.batch_size, p.target_days)
    return Task(build, samples, loss_of, validator(ds, p), samples.tensors, drawn)


def finish(
    model: nn.Module, ds: xr.Dataset, p: DeltaHBVTrainParameters, run_dir: Path
) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc`, `fluxes.nc`, `parameters.nc` and
    `metrics.csv`, and return the metrics, one row per basin."""
    with torch_settings(p.threads):
        simulation = model.simulate(ds, p.test_period, details=True)
    parameters = [n for n in (*hbv.PARAMETERS, *hbv.ROUTING) if n in simulation]
    observed = [f"{n}_obs" for n in TARGETS if f"{n}_obs" in simulation]
    save_simulation(simulation[["streamflow", *observed]], run_dir / "simulation.nc")
    save_simulation(simulation[[*hbv.FLUXES, *hbv.STORES]], run_dir / "fluxes.nc")
    save_simulation(simulation[parameters], run_dir / "parameters.nc")
    scores = metrics.metric_table(simulation["streamflow"], simulation["streamflow_obs"])
    write(run_dir / "metrics.csv", scores.to_csv())
    return scores


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
    """Statistics of the networks' inputs, `prcp` and the variables `changed` of
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
    values: dict[str, Any] = {"prcp": ds["prcp"]} if "prcp" in p.forcings else {}
    values |= changed or {}
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


def require_periods(model: Standardised, ds: xr.Dataset, p: DeltaHBVTrainParameters) -> None:
    """Raise before the training what would stop it, or a simulation after it."""
    for period in filter(None, (p.train_period, p.validation_period, p.test_period)):
        simulation_tensors(model, ds, period, p.warmup_days)
