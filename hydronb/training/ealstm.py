"""Training of EA-LSTM and LSTM on lumped catchments (Kratzert et al., 2019)."""

from pathlib import Path

import pandas as pd
import torch
import xarray as xr
from torch import nn

from hydronb.data import open_catchments
from hydronb.data.attributes import attribute_list
from hydronb.data.folds import simulated_basins, training_basins
from hydronb.data.scaling import fit_scaling
from hydronb.data.windows import Batch, prediction_samples, training_samples
from hydronb.models.standardised import StandardisedLSTM
from hydronb.parameters import FitParameters, TrainParameters
from hydronb.training.predict import predict, save_results
from hydronb.training.task import Task, basin_std, target_loss, torch_settings, validator
from hydronb.vocabulary import MODELS


def open_data(p: FitParameters) -> xr.Dataset:
    """The catchments of `p.data`."""
    return open_catchments(p.data)


def prepare(ds: xr.Dataset, p: TrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the model that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    ParameterError
        An EA-LSTM without attributes.
    """
    ds = training_basins(ds, p)
    attributes = attribute_list(ds, p.attributes) if MODELS[p.model].attributes else []
    settings = {
        name: getattr(p, name)
        for name in ("model", "hidden", "dropout", "forget_bias", "sequence_length", "predict_last")
    }
    scaling = fit_scaling(
        ds,
        p.forcings,
        attributes,
        p.targets,
        p.train_period,
        missing_attributes=p.missing_attributes,
    )

    def build() -> nn.Module:
        return MODELS[p.model].make(scaling=scaling, **settings).to(device)

    def simulate(model: StandardisedLSTM, batch: Batch) -> torch.Tensor:
        return model(batch.dynamic, batch.static, attribute_noise=p.attribute_noise)

    build()  # settings that fit no model stop here
    samples = training_samples(
        ds, scaling, p.train_period, p.sequence_length, p.predict_last, device=device
    )
    for period in filter(None, (p.validation_period, p.test_period)):
        # a period that cannot be predicted stops here
        prediction_samples(ds.isel(basin=[0]), scaling, period, p.sequence_length, p.predict_last)
    loss_of = target_loss(p, basin_std(ds, p).to(device), simulate)
    return Task(build, samples, loss_of, validator(ds, p), samples.tensors)


def finish(model: nn.Module, ds: xr.Dataset, p: FitParameters, run_dir: Path) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc` and `metrics.csv`, and return the metrics of
    the first target, one row per basin."""
    with torch_settings(p.threads):
        simulation = predict(model, simulated_basins(ds, p), p.test_period)
    return save_results(simulation, p.targets, run_dir)[p.targets[0]]
