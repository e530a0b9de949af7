"""Training of the CNN-LSTM on grids and of the LSTM on their basin means (Li et al., 2023)."""

import torch
import xarray as xr

from hydronb.data import open_grid
from hydronb.data.windows import (
    GridBatch,
    fit_grid_scaling,
    grid_forcing,
    grid_samples,
    prediction_days,
)
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.parameters import CNNLSTMTrainParameters
from hydronb.training import task
from hydronb.training.task import Task, model_builder, target_loss, validator

finish = task.finish


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
    # raises here if a period cannot be predicted
    for period in filter(None, (p.validation_period, p.test_period)):
        prediction_days(ds, period, p.sequence_length, p.predict_last)
    forcing = grid_forcing(ds, scaling, means=means, device=device)
    samples = grid_samples(
        ds, forcing, p.targets, p.train_period, p.sequence_length, p.predict_last
    )
    settings = ("hidden", "layers", "sequence_length", "predict_last")
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]

    def simulate(model: CNNLSTM, batch: GridBatch) -> torch.Tensor:
        return model(batch.forcing, batch.days)

    std = torch.tensor([list(scaling.targets.values())], dtype=torch.float32, device=device)
    return Task(
        model_builder(p, scaling, settings, device, shape=shape),
        samples,
        target_loss(p, std[:, :, 1], simulate),
        validator(ds, p),
        (*forcing.channels, forcing.static, samples.target, samples.last),
    )
