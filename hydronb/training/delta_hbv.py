"""Training of delta-HBV, of its benchmark LSTM and of local HBVs (Feng et al., 2022)."""

import math
from collections.abc import Callable
from pathlib import Path

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
from hydronb.losses import LOSSES, Terms, feng2022
from hydronb.models import hbv
from hydronb.models.delta_hbv import DeltaHBV, log_sqrt, simulation_tensors
from hydronb.models.runoff_lstm import RunoffLSTM
from hydronb.models.standardised import Standardised
from hydronb.models.weights import write_atomically
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training import ealstm
from hydronb.training.ealstm import basin_std, validator
from hydronb.training.predict import save_simulation
from hydronb.training.task import Task

open_data = ealstm.open_data


def prepare(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the model that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    ParameterError
        See `DeltaHBV` and `RunoffLSTM`.
    """
    if p.model == "local_hbv":
        from hydronb.training.local_hbv import prepare as prepare_local

        return prepare_local(ds, p, device)
    scaling = scaling_of(ds, p)
    build, loss_of = (_delta_hbv if p.model == "delta_hbv" else _runoff_lstm)(
        ds, p, scaling, device
    )
    check_periods(build(), ds, p)
    samples = training_samples(
        ds, scaling, p.train_period, p.warmup_days + p.target_days, p.target_days, device=device
    )
    drawn = p.batch_size * iterations(
        ds.sizes["basin"],
        select_period(ds, p.train_period).sizes["time"],
        p.batch_size,
        p.target_days,
    )
    validate = validator(ds, p.validation_period) if p.validation_period else None
    seen = (samples.dynamic, samples.static, samples.target, samples.basin, samples.last)
    return Task(build, samples, loss_of, validate, seen, drawn)


def finish(
    model: nn.Module, ds: xr.Dataset, p: DeltaHBVTrainParameters, run_dir: Path
) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc` and `metrics.csv`, of an HBV also `fluxes.nc`
    and `parameters.nc`, and give back the metrics, a row a basin."""
    if p.model == "runoff_lstm":
        return ealstm.finish(model, ds, p, run_dir)
    simulation = model.simulate(ds, p.test_period, details=True)
    parameters = [n for n in (*hbv.PARAMETERS, *hbv.ROUTING) if n in simulation]
    observed = [f"{n}_obs" for n in TARGETS if f"{n}_obs" in simulation]
    save_simulation(simulation[["streamflow", *observed]], run_dir / "simulation.nc")
    save_simulation(simulation[[*hbv.FLUXES, *hbv.STORES]], run_dir / "fluxes.nc")
    save_simulation(simulation[parameters], run_dir / "parameters.nc")
    scores = metrics.table(simulation["streamflow"], simulation["streamflow_obs"])
    write_atomically(run_dir / "metrics.csv", scores.to_csv().encode())
    return scores


def iterations(n_basins: int, n_days: int, batch_size: int, length: int) -> int:
    """Iterations of an epoch, so that a day of a basin is among its samples' targets with a
    probability of 99 %.

    `n_days` counts the days that can be targets: the paper's 5,478 without the 365 that warm up.

    >>> iterations(671, 5478 - 365, 100, 365)
    431
    """
    share = batch_size * length / (n_basins * n_days)
    return math.ceil(math.log(0.01) / math.log(1 - share)) if share < 1 else 1


def scaling_of(ds: xr.Dataset, p: DeltaHBVTrainParameters) -> Scaling:
    """Statistics of the networks' inputs, `prcp` of log10(sqrt(prcp) + 0.1); of `RunoffLSTM`'s
    target likewise."""
    attributes = [] if p.model == "local_hbv" else attribute_list(ds, p.attributes)
    if "pet" in p.forcings and "pet" not in ds and "lat" not in ds.coords:
        raise DataError(
            "the data have no pet, and without the coordinate lat none can be computed; add one of"
            " the two"
        )
    require(ds, p.forcings, "forcing")
    changed = {"prcp": ds["prcp"]} if "prcp" in p.forcings else {}
    if p.model == "runoff_lstm" and "p_mean" in attributes:
        changed["streamflow"] = ds["streamflow"] / ds["p_mean"]
    compressed = {
        n: v.copy(data=log_sqrt(torch.from_numpy(v.values)).numpy()) for n, v in changed.items()
    }
    return fit_scaling(
        ds.assign(compressed),
        p.forcings,
        attributes,
        p.targets,
        p.train_period,
        missing_attributes=p.missing_attributes,
    )


def check_periods(model: Standardised, ds: xr.Dataset, p: DeltaHBVTrainParameters) -> None:
    """Raise before the training what would stop it, or a simulation after it."""
    for period in filter(None, (p.train_period, p.validation_period, p.test_period)):
        simulation_tensors(model, ds, period, p.warmup_days)
    if (
        p.model != "local_hbv"
        and (days := select_period(ds, p.train_period).sizes["time"]) < p.target_days
    ):
        raise DataError(
            f"train_period {p.train_period} has {days} days, fewer than the target_days"
            f" {p.target_days} of a sample; choose fewer, or a longer period"
        )
    if (
        p.validation_period
        and not select_period(ds, p.validation_period)["streamflow"].notnull().any()
    ):
        raise DataError(
            f"no basin has streamflow in the validation_period {p.validation_period}; choose"
            " another"
        )


Family = tuple[Callable[[], nn.Module], Callable[[nn.Module, Batch], Tensor]]


def _delta_hbv(ds: xr.Dataset, p: DeltaHBVTrainParameters, scaling: Scaling, device: str) -> Family:
    names = (
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
    settings = {n: getattr(p, n) for n in names}
    std = basin_std(ds, p).to(device)

    def loss_of(model: DeltaHBV, batch: Batch) -> Tensor:
        sim = model(batch.dynamic, batch.static)[:, :, None]
        terms = Terms(sim, batch.target, std[batch.basin], model.targets_std, batch.basin)
        return feng2022(terms, p.low_flow_weight) if p.loss == "feng2022" else LOSSES[p.loss](terms)

    return lambda: DeltaHBV(scaling, **settings).to(device), loss_of


def _runoff_lstm(
    ds: xr.Dataset, p: DeltaHBVTrainParameters, scaling: Scaling, device: str
) -> Family:
    settings = {
        n: getattr(p, n) for n in ("hidden", "dropout", "forget_bias", "warmup_days", "target_days")
    }

    def loss_of(model: RunoffLSTM, batch: Batch) -> Tensor:
        """RMSE of the standardised target."""
        target = model.encode(batch.target[:, :, 0], batch.static)
        there = ~target.isnan()
        error = torch.where(there, model(batch.dynamic, batch.static) - target.nan_to_num(), 0.0)
        return torch.sqrt((error**2).sum() / there.sum())

    return lambda: RunoffLSTM(scaling, **settings).to(device), loss_of
