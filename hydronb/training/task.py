"""What a training needs to know of its model and data: one function per model prepares it.

The function that `hydronb.vocabulary.MODELS` names as a model's `training` takes the data, the
parameters and a device, and returns a `Task`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from hydronb import metrics
from hydronb.data.scaling import Scaling, select_period
from hydronb.errors import DataError
from hydronb.losses import Terms
from hydronb.models.standardised import Standardised
from hydronb.parameters import FitParameters
from hydronb.training.predict import predict
from hydronb.vocabulary import LOSSES, MODELS


class Task(NamedTuple):
    """What `hydronb.training.train.train` trains."""

    build: Callable[[], Standardised]
    """Makes the model, on its device; random numbers are seeded before."""
    samples: Any
    """As `hydronb.training.loop.fit` takes them."""
    loss_of: Callable[[nn.Module, Any], Tensor]
    """The loss of a batch, a scalar."""
    validate: Callable[[nn.Module], float] | None
    """The score after an epoch, higher is better."""
    seen: tuple[Tensor, ...]
    """The numbers that the training sees, for its fingerprint."""
    samples_per_epoch: int | None = None
    """The model's own number where the parameters leave it open; all samples where both do."""


def model_builder(
    p: FitParameters, scaling: Scaling, names: Sequence[str], device: str, **settings: Any
) -> Callable[[], Standardised]:
    """A function that makes the model `p.model` on `device`, from the parameters `names` of `p` and
    further `settings`."""
    settings |= {name: getattr(p, name) for name in ("model", *names)}
    return lambda: MODELS[p.model].make(scaling=scaling, **settings).to(device)


def target_loss(
    p: FitParameters, std_basin: Tensor, simulate: Callable[[nn.Module, Any], Tensor]
) -> Callable[[nn.Module, Any], Tensor]:
    """The loss `p.loss` of a batch, `(batch, day, target)` simulated by `simulate(model, batch)`.

    Parameters
    ----------
    std_basin
        Standard deviation of each basin's targets, (basin, target); see `basin_std`.
    """
    loss = LOSSES[p.loss].make(p)

    def loss_of(model: nn.Module, batch: Any) -> Tensor:
        sim, basin = simulate(model, batch), batch.basin
        return loss(Terms(sim, batch.target, std_basin[basin], model.targets_std, basin))

    return loss_of


def basin_std(ds: xr.Dataset, p: FitParameters) -> Tensor:
    """Standard deviation (ddof 0) of each basin's targets over the training period, shape (basin,
    target)."""
    days = select_period(ds, p.train_period)
    std = [np.nanstd(days[n].values.astype(np.float64), axis=1) for n in p.targets]
    return torch.from_numpy(np.stack(std, 1).astype(np.float32))


def validator(ds: xr.Dataset, p: FitParameters) -> Callable[[nn.Module], float] | None:
    """Median NSE over basins in the validation period, mean over targets; None without a period.

    Raises
    ------
    DataError
        No basin has the first target in that period.
    """
    period = p.validation_period
    if period is None:
        return None
    if not select_period(ds, period)[p.targets[0]].notnull().any():
        raise DataError(
            f"no basin has {p.targets[0]} in the validation_period {period}; choose another"
        )

    def score(model: nn.Module) -> float:
        simulation = predict(model, ds, period, progress=False)
        nse = {
            name: metrics.nse(sim=simulation[name], obs=simulation[f"{name}_obs"])
            for name in model.scaling.targets
        }
        return float(xr.Dataset(nse).median().to_dataarray().mean())

    return score


@contextmanager
def torch_settings(threads: int, device: str = "cpu") -> Iterator[None]:
    """Threads and random numbers of one training; torch's own are restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng([device] if device.startswith("cuda") else []):
            yield
    finally:
        torch.set_num_threads(before)
