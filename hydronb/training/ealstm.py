"""Training of LSTM and EA-LSTM on lumped catchments (Kratzert et al., 2019)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from hydronb import metrics
from hydronb.data import open_catchments
from hydronb.data.attributes import attribute_list
from hydronb.data.folds import simulated_basins, training_basins
from hydronb.data.scaling import fit_scaling, select_period
from hydronb.data.windows import Batch, prediction_samples, training_samples
from hydronb.errors import DataError, ParameterError
from hydronb.losses import LOSSES, Terms
from hydronb.models.standardised import ScaledModel
from hydronb.models.weights import write_atomically
from hydronb.parameters import FitParameters, Period, TrainParameters
from hydronb.training.predict import predict, save_simulation
from hydronb.training.task import Task


def open_data(p: TrainParameters) -> xr.Dataset:
    """The catchments of `p.data`."""
    return open_catchments(p.data)


def prepare(ds: xr.Dataset, p: TrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the model that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    """
    ds = training_basins(ds, p)
    attributes = [] if p.model == "lstm_no_static" else attribute_list(ds, p.attributes)
    if p.model == "ealstm" and not attributes:
        raise ParameterError(
            "attributes is empty: an EA-LSTM needs static attributes, or choose model:"
            " lstm_no_static"
        )
    scaling = fit_scaling(
        ds,
        p.forcings,
        attributes,
        p.targets,
        p.train_period,
        missing_attributes=p.missing_attributes,
    )
    samples = training_samples(
        ds, scaling, p.train_period, p.sequence_length, p.predict_last, device=device
    )
    # a period that cannot be predicted stops here
    for period in filter(None, (p.validation_period, p.test_period)):
        prediction_samples(ds.isel(basin=[0]), scaling, period, p.sequence_length, p.predict_last)
    if (
        p.validation_period
        and not select_period(ds, p.validation_period)[p.targets[0]].notnull().any()
    ):
        raise DataError(
            f"no basin has {p.targets[0]} in the validation_period {p.validation_period}; choose"
            " another"
        )

    def build() -> ScaledModel:
        return ScaledModel(
            p.model,
            scaling,
            hidden=p.hidden,
            dropout=p.dropout,
            forget_bias=p.forget_bias,
            sequence_length=p.sequence_length,
            predict_last=p.predict_last,
        ).to(device)

    std = basin_std(ds, p).to(device)
    loss = LOSSES[p.loss]

    def loss_of(model: ScaledModel, batch: Batch) -> torch.Tensor:
        sim = model(batch.dynamic, batch.static, attribute_noise=p.attribute_noise)
        return loss(Terms(sim, batch.target, std[batch.basin], model.targets_std, batch.basin))

    validate = validator(ds, p.validation_period) if p.validation_period else None
    seen = (samples.dynamic, samples.static, samples.target, samples.basin, samples.last)
    return Task(build, samples, loss_of, validate, seen)


def finish(model: torch.nn.Module, ds: xr.Dataset, p: FitParameters, run_dir: Path) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc` and `metrics.csv`, and give back the metrics
    of the first target, a row a basin."""
    return write_results(
        predict(model, simulated_basins(ds, p), p.test_period), p.targets, run_dir
    )[p.targets[0]]


def write_results(
    simulation: xr.Dataset, targets: list[str], run_dir: Path
) -> dict[str, pd.DataFrame]:
    """Write `simulation.nc`, `metrics.csv` of the first target and `metrics_TARGET.csv` of each
    other one; gives back each target's metrics, a row a basin."""
    save_simulation(simulation, run_dir / "simulation.nc")
    tables = {name: metrics.table(simulation[name], simulation[f"{name}_obs"]) for name in targets}
    for name, scores in tables.items():
        file = "metrics.csv" if name == targets[0] else f"metrics_{name}.csv"
        write_atomically(run_dir / file, scores.to_csv().encode())
    return tables


def basin_std(ds: xr.Dataset, p: FitParameters) -> torch.Tensor:
    """Standard deviation (ddof 0) of each basin's targets over the training period, shape (basin,
    target)."""
    days = select_period(ds, p.train_period)
    std = np.stack(
        [np.nanstd(days[n].values.astype(np.float64), axis=1) for n in p.targets], axis=1
    )
    return torch.from_numpy(std.astype(np.float32))


def validator(ds: xr.Dataset, period: Period) -> Callable[[torch.nn.Module], float]:
    """Median NSE over basins in `period`, mean over targets."""

    def score(model: torch.nn.Module) -> float:
        simulation = predict(model, ds, period, progress=False)
        nse = {
            n: metrics.nse(sim=simulation[n], obs=simulation[f"{n}_obs"])
            for n in model.scaling.targets
        }
        return float(xr.Dataset(nse).median().to_dataarray().mean())

    return score
