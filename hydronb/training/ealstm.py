"""Training of EA-LSTM and LSTM on lumped catchments (Kratzert et al., 2019)."""

import xarray as xr

from hydronb.data.attributes import attribute_list
from hydronb.data.folds import training_basins
from hydronb.data.scaling import fit_scaling
from hydronb.data.windows import prediction_samples, training_samples
from hydronb.parameters import TrainParameters
from hydronb.training.task import Task, basin_std, model_builder, target_loss, validator
from hydronb.vocabulary import MODELS


def prepare_ealstm(ds: xr.Dataset, p: TrainParameters, device: str) -> Task:
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
    scaling = fit_scaling(
        ds,
        p.forcings,
        attributes,
        p.targets,
        p.train_period,
        missing_attributes=p.missing_attributes,
    )
    settings = ("hidden", "dropout", "forget_bias", "sequence_length", "predict_last")
    build = model_builder(p, scaling, settings, device)
    build()  # raises here if the settings fit no model
    samples = training_samples(
        ds, scaling, p.train_period, p.sequence_length, p.predict_last, device=device
    )
    for period in filter(None, (p.validation_period, p.test_period)):
        # raises here if a period cannot be predicted
        prediction_samples(ds.isel(basin=[0]), scaling, period, p.sequence_length, p.predict_last)
    loss_of = target_loss(
        p,
        basin_std(ds, p).to(device),
        lambda model, batch: model(batch.dynamic, batch.static, attribute_noise=p.attribute_noise),
    )
    return Task(build, samples, loss_of, validator(ds, p), samples.tensors)
