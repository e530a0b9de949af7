"""Training of the CNN-LSTM on grids and of the LSTM on their basin means (Li et al., 2023)."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from hydronb.data import open_grid
from hydronb.data.grid_windows import GridBatch, fit_grid_scaling, grid_forcing, grid_samples
from hydronb.data.scaling import select_period
from hydronb.data.windows import prediction_days
from hydronb.errors import DataError
from hydronb.losses import Terms, mse
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.parameters import CNNLSTMTrainParameters
from hydronb.training.ealstm import validator, write_results
from hydronb.training.predict import predict
from hydronb.training.task import Task


def open_data(p: CNNLSTMTrainParameters) -> xr.Dataset:
    """The gridded catchment of `p.data`."""
    return open_grid(p.data)


def prepare(ds: xr.Dataset, p: CNNLSTMTrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the model that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_grid_scaling` and `grid_samples`.
    """
    means = p.model == "mean_lstm"
    scaling = fit_grid_scaling(ds, p.targets, p.static, p.train_period, means=means)
    # a period that cannot be predicted stops here
    for period in filter(None, (p.validation_period, p.test_period)):
        prediction_days(ds, period, p.sequence_length, p.predict_last)
    if (
        p.validation_period
        and not select_period(ds, p.validation_period)[p.targets[0]].notnull().any()
    ):
        raise DataError(
            f"{ds.attrs['basin']} has no {p.targets[0]} in the validation_period"
            f" {p.validation_period}; choose another"
        )
    forcing = grid_forcing(ds, scaling, means=means, device=device)
    samples = grid_samples(
        ds, forcing, p.targets, p.train_period, p.sequence_length, p.predict_last
    )
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]

    def build() -> CNNLSTM:
        return CNNLSTM(
            p.model,
            scaling,
            shape=shape,
            hidden=p.hidden,
            layers=p.layers,
            sequence_length=p.sequence_length,
            predict_last=p.predict_last,
        ).to(device)

    std = torch.tensor(
        np.array(list(scaling.targets.values())), dtype=torch.float32, device=device
    )[None, :, 1]

    def loss_of(model: CNNLSTM, batch: GridBatch) -> torch.Tensor:
        sim = model(batch.forcing, batch.days)
        return mse(Terms(sim, batch.target, std[batch.basin], model.targets_std, batch.basin))

    validate = validator(ds, p.validation_period) if p.validation_period else None
    seen = (*forcing.channels, forcing.static, samples.target, samples.last)
    return Task(build, samples, loss_of, validate, seen)


def finish(
    model: CNNLSTM, ds: xr.Dataset, p: CNNLSTMTrainParameters, run_dir: Path
) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc` and `metrics.csv`, and give back the metrics;
    see `ealstm`."""
    return write_results(predict(model, ds, p.test_period), p.targets, run_dir)[p.targets[0]]
