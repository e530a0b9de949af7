"""What all models share: raw units in, simulated datasets out."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from hydronb.data.dataset import COORDINATES, TARGETS
from hydronb.data.scaling import Scaling, select_period
from hydronb.data.windows import Batch, prediction_samples
from hydronb.errors import TrainingError
from hydronb.models import hbv
from hydronb.models.ealstm import EALSTM
from hydronb.parameters import Period

WINDOW_DAYS = 2**18
"""Days of windows that an LSTM simulates at once."""


class Standardised(nn.Module):
    """A model with its scaling: means and standard deviations of its inputs and targets, on its
    device.

    A subclass has `settings`, its arguments other than `scaling`, and a method `simulate(ds,
    period, *, progress, details)`, see `hydronb.training.predict.predict`; with `details` it also
    returns the fluxes, stores and parameters of an HBV.
    """

    settings: dict[str, Any]

    def __init__(self, scaling: Scaling):
        super().__init__()
        self.scaling = scaling
        for role in ("forcings", "attributes", "targets"):
            pairs = list(getattr(scaling, role).values())
            mean, std = torch.tensor(pairs, dtype=torch.float32).reshape(-1, 2).T.contiguous()
            self.register_buffer(f"{role}_mean", mean, persistent=False)
            # a constant attribute scales to zero
            self.register_buffer(f"{role}_std", torch.where(std > 0, std, 1.0), persistent=False)

    def standardise(self, dynamic: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """Raw forcings and attributes to zero mean and unit standard deviation."""
        return (
            (dynamic - self.forcings_mean) / self.forcings_std,
            (static - self.attributes_mean) / self.attributes_std,
        )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients; the mode is restored afterwards."""
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.train(was_training)

    def simulation_dataset(
        self, values: Mapping[str, np.ndarray], days: xr.Dataset, observed: Iterable[str]
    ) -> xr.Dataset:
        """Simulated arrays as a dataset with units and the catchments' coordinates.

        Streamflow below zero is set to zero, as in the code of Kratzert et al. (2019), and so is
        evaporation.

        Parameters
        ----------
        values
            By name, (basin, time), or of HBV's parameters (basin), (basin, component) or (basin,
            time, component).
        days
            The catchments on the simulated days.
        observed
            Names of targets that are added as `<name>_obs` where `days` has them.
        """
        coordinates = ("basin", "time", *COORDINATES, "gauge_name")
        out = xr.Dataset(coords={c: days[c] for c in coordinates if c in days.coords})
        for name, array in values.items():
            units, long_name = hbv.UNITS.get(name), name.replace("_", " ")
            if name in self.scaling.targets:
                units, long_name = TARGETS[name].units, f"simulated {TARGETS[name].long_name}"
            dims = {
                1: ("basin",),
                2: ("basin", "component" if name in hbv.PARAMETERS else "time"),
                3: ("basin", "time", "component"),
            }
            array = np.maximum(array, 0) if name in TARGETS else array
            out[name] = (dims[array.ndim], array, {"units": units, "long_name": long_name})
        return out.assign({f"{name}_obs": days[name] for name in observed if name in days})

    def windows_dataset(
        self,
        windows: Iterable[tuple[np.ndarray | int, np.ndarray, Tensor]],
        ds: xr.Dataset,
        period: Period,
    ) -> xr.Dataset:
        """The targets on each day of `period`, with what `ds` has of their observations.

        Parameters
        ----------
        windows
            Positions of basins and of days in `ds`, and the targets simulated there, (..., target);
            computed in evaluation mode.
        """
        names = list(self.scaling.targets)
        out = np.full((ds.sizes["basin"], ds.sizes["time"], len(names)), np.nan, np.float32)
        with self.evaluating():
            for basin, day, simulated in windows:
                out[basin, day] = simulated.cpu().numpy()
        days = select_period(ds, period)
        inside = out[:, ds.indexes["time"].get_indexer(days.indexes["time"])]
        # one basin's days side by side, so that sums over them round as they always did
        values = {n: np.ascontiguousarray(inside[:, :, k]) for k, n in enumerate(names)}
        return self.simulation_dataset(values, days, names)


class StandardisedLSTM(Standardised):
    """`network` between standardised inputs and outputs that are put back into the targets' units.

    Parameters
    ----------
    network
        Class of the network: `EALSTM`, `LSTM` or another with their arguments.
    model
        Its name in `hydronb.vocabulary.MODELS`.
    scaling
        From the training basins and period; its names are the variables that enter and leave.
    hidden, dropout, forget_bias
        Of the network.
    sequence_length, predict_last
        Days in a sample, and how many of them are targets; kept so that a trained model is used as
        it was trained.
    """

    def __init__(
        self,
        network: type[nn.Module],
        scaling: Scaling,
        *,
        model: str,
        hidden: int,
        dropout: float,
        forget_bias: float,
        sequence_length: int,
        predict_last: int,
    ):
        super().__init__(scaling)
        self.settings = {
            "model": model,
            "hidden": hidden,
            "dropout": dropout,
            "forget_bias": forget_bias,
            "sequence_length": sequence_length,
            "predict_last": predict_last,
        }
        self.sequence_length, self.predict_last = sequence_length, predict_last
        self.network = network(
            len(scaling.forcings),
            len(scaling.attributes),
            hidden,
            len(scaling.targets),
            dropout,
            forget_bias,
        )

    def forward(
        self,
        dynamic: Float[Tensor, "batch time dynamic"],
        static: Float[Tensor, "batch static"],
        *,
        attribute_noise: float = 0.0,
    ) -> Float[Tensor, "batch last target"]:
        """Targets of the last `predict_last` days, in their units and not clipped.

        `attribute_noise` is the standard deviation of Gaussian noise on the standardised
        attributes.
        """
        dynamic, static = self.standardise(dynamic, static)
        if attribute_noise:
            static = static + attribute_noise * torch.randn_like(static)
        out = self.network(dynamic, static, self.predict_last)
        return out * self.targets_std + self.targets_mean

    def input_gate(self, static: Float[Tensor, "batch static"]) -> Float[Tensor, "batch hidden"]:
        """The EA-LSTM's embedding of raw attributes.

        Raises
        ------
        TrainingError
            The network is not an EA-LSTM.
        """
        if not isinstance(self.network, EALSTM):
            raise TrainingError(
                f"a {self.settings['model']} has no static input gate; train model: ealstm"
            )
        return self.network.input_gate((static - self.attributes_mean) / self.attributes_std)

    def simulate(
        self, ds: xr.Dataset, period: Period, *, progress: bool = True, details: bool = False
    ) -> xr.Dataset:
        """See `hydronb.training.predict.predict`; there are no `details`."""
        windows = (
            (basin, day, self(batch.dynamic, batch.static))
            for batch, basin, day in self.windows(ds, period, progress=progress)
        )
        return self.windows_dataset(windows, ds, period)

    def windows(
        self, ds: xr.Dataset, period: Period, *, progress: bool = False
    ) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
        """Samples that cover `period`, with the positions in `ds` of their basins, (batch, 1), and
        of their target days, (batch, last).

        Raises
        ------
        DataError
            The data do not hold the period and the days before it.
        """
        samples = prediction_samples(
            ds,
            self.scaling,
            period,
            self.sequence_length,
            self.predict_last,
            device=self.forcings_mean.device,
        )
        days = torch.arange(1 - self.predict_last, 1)
        with tqdm(total=len(samples), desc="predict", unit="window", disable=not progress) as bar:
            size = max(1, WINDOW_DAYS // self.sequence_length)
            for batch, last in zip(samples.batches(size), samples.last.split(size), strict=True):
                day = last.cpu()[:, None] + days
                yield batch, batch.basin.cpu().numpy()[:, None], day.numpy()
                bar.update(len(last))
