"""Training of the LSTM that Feng et al. (2022) compare their models with."""

import xarray as xr
from torch import Tensor

from hydronb.data.attributes import attribute_list
from hydronb.data.windows import Batch
from hydronb.losses import rmse_observed
from hydronb.models.runoff_lstm import RunoffLSTM
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.training import ealstm, task
from hydronb.training.delta_hbv import input_scaling, sequence_task
from hydronb.training.task import Task, model_builder

open_data = ealstm.open_data
finish = task.finish


def prepare(ds: xr.Dataset, p: DeltaHBVTrainParameters, device: str) -> Task:
    """Scaling, samples, loss and validation of the LSTM that `p` describes.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    ParameterError
        See `RunoffLSTM`.
    """
    attributes = attribute_list(ds, p.attributes)
    target = {"streamflow": ds["streamflow"] / ds["p_mean"]} if "p_mean" in attributes else {}
    scaling = input_scaling(ds, p, attributes, target)
    settings = ("hidden", "dropout", "forget_bias", "warmup_days", "target_days")
    build = model_builder(p, scaling, settings, device)
    return sequence_task(ds, p, build, standardised_rmse, device)


def standardised_rmse(model: RunoffLSTM, batch: Batch) -> Tensor:
    """RMSE of the standardised target, missing observations masked."""
    target = model.encode(batch.target[:, :, 0], batch.static)
    return rmse_observed(model(batch.dynamic, batch.static), target)
