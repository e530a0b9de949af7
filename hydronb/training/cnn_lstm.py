"""Training of the CNN-LSTM on grids and of the LSTM on their basin means (Li et al., 2023)."""

import torch
import xarray as xr

from hydronb.data import open_grid
from hydronb.data.grid_windows import (
    FrameBatch,
    fit_frame_scaling,
    frame_days,
    frame_samples,
    open_frames,
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
        The data lack what `p` asks for; see `fit_frame_scaling` and `frame_samples`.
    """
    means = p.model == "mean_lstm"
    scaling = fit_frame_scaling(ds, p.targets, p.static, p.train_period, means=means)
    # raises here if a period cannot be predicted
    for period in filter(None, (p.validation_period, p.test_period)):
        frame_days(ds, period, p.sequence_length, p.predict_last)
    frames = open_frames(ds, scaling, means=means, device=device)
    samples = frame_samples(
        ds, frames, p.targets, p.train_period, p.sequence_length, p.predict_last
    )
    settings = ("hidden", "layers", "sequence_length", "predict_last")
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]

    def simulate(model: CNNLSTM, batch: FrameBatch) -> torch.Tensor:
        return model(batch.frames, batch.days)

    std = torch.tensor([list(scaling.targets.values())], dtype=torch.float32, device=device)
    return Task(
        model_builder(p, scaling, settings, device, shape=shape),
        samples,
        target_loss(p, std[:, :, 1], simulate),
        validator(ds, p),
        (*frames.channels, frames.static, samples.target, samples.last),
    )
