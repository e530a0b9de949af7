"""Training of the CNN-LSTM on grids and of the LSTM on their basin means (Li et al., 2023)."""

import torch
import xarray as xr

from hydronb.data.windows import fit_grid_scaling, grid_forcing, grid_samples, prediction_days
from hydronb.parameters import CNNLSTMTrainParameters
from hydronb.training.task import Task, model_builder, target_loss, validator


def prepare_cnn_lstm(ds: xr.Dataset, p: CNNLSTMTrainParameters, device: str) -> Task:
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
    settings = ("hidden", "layers", "channels", "dropout", "sequence_length", "predict_last")
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]
    std = torch.tensor([list(scaling.targets.values())], dtype=torch.float32, device=device)
    return Task(
        model_builder(p, scaling, settings, device, shape=shape),
        samples,
        target_loss(p, std[:, :, 1], lambda model, batch: model(batch.forcing, batch.days)),
        validator(ds, p),
        (*forcing.channels, forcing.static, samples.target, samples.last),
    )
