"""Training of the CNN-LSTM on grids and of the LSTM on their basin means (Li et al., 2023)."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import nn

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
from hydronb.training.predict import predict, save_results
from hydronb.training.task import Task, target_loss, torch_settings, validator
from hydronb.vocabulary import MODELS


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
    # a period that cannot be predicted stops here
    for period in filter(None, (p.validation_period, p.test_period)):
        frame_days(ds, period, p.sequence_length, p.predict_last)
    frames = open_frames(ds, scaling, means=means, device=device)
    samples = frame_samples(
        ds, frames, p.targets, p.train_period, p.sequence_length, p.predict_last
    )
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]

    names = ("model", "hidden", "layers", "sequence_length", "predict_last")
    settings = {name: getattr(p, name) for name in names}

    def build() -> nn.Module:
        return MODELS[p.model].make(scaling=scaling, shape=shape, **settings).to(device)

    def simulate(model: CNNLSTM, batch: FrameBatch) -> torch.Tensor:
        return model(batch.frames, batch.days)

    std = torch.tensor(
        np.array(list(scaling.targets.values())), dtype=torch.float32, device=device
    )[None, :, 1]
    seen = (*frames.channels, frames.static, samples.target, samples.last)
    return Task(build, samples, target_loss(p, std, simulate), validator(ds, p), seen)


def finish(
    model: CNNLSTM, ds: xr.Dataset, p: CNNLSTMTrainParameters, run_dir: Path
) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc` and `metrics.csv`, and return the metrics of
    the first target; one row, the basin."""
    with torch_settings(p.threads):
        simulation = predict(model, ds, p.test_period)
    return save_results(simulation, p.targets, run_dir)[p.targets[0]]
