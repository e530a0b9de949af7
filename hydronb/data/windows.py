"""Samples as index pairs (basin, last day) into a single copy of the data; a batch is one gather.

No window is stored: a sample costs 8 bytes, and its days are cut out of the series when a batch is
made.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from hydronb.data.scaling import Scaling, require, select_period
from hydronb.errors import DataError
from hydronb.parameters import Period


@dataclass(frozen=True)
class Batch:
    """Raw units; `target` holds the last days of `dynamic`."""

    dynamic: Float[Tensor, "batch time dynamic"]
    static: Float[Tensor, "batch static"]
    target: Float[Tensor, "batch last target"]
    basin: Int[Tensor, " batch"]


@dataclass(frozen=True)
class WindowSamples:
    """All series of a dataset on one device, and the samples drawn from them.

    `sequence_length` days enter a sample, and its last `predict_last` are targets.
    """

    dynamic: Float[Tensor, "basin time dynamic"]
    static: Float[Tensor, "basin static"]
    target: Float[Tensor, "basin time target"]
    basin: Int[Tensor, " sample"]
    last: Int[Tensor, " sample"]
    sequence_length: int
    predict_last: int
    ids: tuple[str, ...]
    """The basins' names, for messages."""

    def __len__(self) -> int:
        return len(self.last)

    def gather(self, index: Int[Tensor, " batch"]) -> Batch:
        """The samples numbered `index`."""
        basin = self.basin[index].long()
        end = basin * self.dynamic.shape[1] + self.last[index] + 1
        return Batch(
            _cut(self.dynamic, end, self.sequence_length),
            self.static[basin],
            _cut(self.target, end, self.predict_last),
            basin,
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order."""
        for index in torch.arange(len(self), device=self.last.device).split(size):
            yield self.gather(index)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that the samples are made of."""
        return self.dynamic, self.static, self.target, self.basin, self.last


def _cut(series: Tensor, end: Tensor, length: int) -> Tensor:
    """The `length` days of the flattened series before each of `end`, from a view that holds every
    `length` consecutive days as a row; rows that cross from one basin to the next are not used."""
    n_basins, n_days, n = series.shape
    rows = series.as_strided((max(n_basins * n_days - length + 1, 0), length * n), (n, 1))
    return rows[end - length].unflatten(1, (length, n))


def training_samples(
    ds: xr.Dataset,
    scaling: Scaling,
    period: Period,
    sequence_length: int,
    predict_last: int,
    *,
    device: str | torch.device = "cpu",
) -> WindowSamples:
    """Every sample whose targets lie in `period` and hold an observation.

    Raises
    ------
    DataError
        The period is shorter than `predict_last`, or the data do not start early enough for the
        first sample.
    """
    require(ds, list(scaling.targets), "target")
    target = _stack(ds, list(scaling.targets))
    basin, last = training_days(
        ds, np.isfinite(target).any(axis=2), period, sequence_length, predict_last
    )
    return _samples(ds, scaling, target, basin, last, sequence_length, predict_last, device)


def training_days(
    ds: xr.Dataset, observed: np.ndarray, period: Period, sequence_length: int, predict_last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Series and last day of each sample whose targets lie in `period` and are observed on at least
    one day; `observed` is (series, time)."""
    first, end = _positions(ds, period, sequence_length, predict_last)
    if end - first + 1 < predict_last:
        raise DataError(f"the period {period} is shorter than predict_last ({predict_last} days)")
    count = np.concatenate([np.zeros((len(observed), 1), int), observed.cumsum(axis=1)], axis=1)
    last = np.arange(first + predict_last - 1, end + 1)
    series, day = np.nonzero(count[:, last + 1] > count[:, last + 1 - predict_last])
    return series, last[day]


def prediction_samples(
    ds: xr.Dataset,
    scaling: Scaling,
    period: Period,
    sequence_length: int,
    predict_last: int,
    *,
    device: str | torch.device = "cpu",
) -> WindowSamples:
    """The samples whose targets cover each day of `period`, basin by basin in order of time; the
    last one of a basin overlaps the one before where `predict_last` does not divide the period.
    The dataset need not hold a target.

    Raises
    ------
    DataError
        The data do not hold the period, or not enough days before it.
    """
    last = prediction_days(ds, period, sequence_length, predict_last)
    basin = np.repeat(np.arange(ds.sizes["basin"]), len(last))
    target = np.full((ds.sizes["basin"], ds.sizes["time"], 0), np.nan, np.float32)
    return _samples(
        ds,
        scaling,
        target,
        basin,
        np.tile(last, ds.sizes["basin"]),
        sequence_length,
        predict_last,
        device,
    )


def prediction_days(
    ds: xr.Dataset, period: Period, sequence_length: int, predict_last: int
) -> np.ndarray:
    """Last day of each sample of one series whose targets cover `period`, in order."""
    first, end = _positions(ds, period, sequence_length, predict_last)
    # a period shorter than predict_last may end before the first whole window
    latest = max(end, sequence_length - 1)
    return np.minimum(np.arange(first + predict_last - 1, end + predict_last, predict_last), latest)


def _positions(
    ds: xr.Dataset, period: Period, sequence_length: int, predict_last: int
) -> tuple[int, int]:
    """Positions of the first and last target day, after checking that the data hold the days before
    them."""
    days = select_period(ds, period)
    if sequence_length > ds.sizes["time"]:
        raise DataError(
            f"sequence_length {sequence_length} is longer than the data, which have"
            f" {ds.sizes['time']} days; shorten it"
        )
    first = ds.indexes["time"].get_loc(days.indexes["time"][0])
    before = sequence_length - predict_last
    if first < before:
        raise DataError(
            f"sequence_length {sequence_length} needs {before} days of forcing before"
            f" {period.start}, the data have {first}; start the period on"
            f" {ds.indexes['time'][before].date()} or later, or shorten the sequence"
        )
    return first, first + days.sizes["time"] - 1


def _samples(
    ds: xr.Dataset,
    scaling: Scaling,
    target: np.ndarray,
    basin: np.ndarray,
    last: np.ndarray,
    sequence_length: int,
    predict_last: int,
    device: str | torch.device,
) -> WindowSamples:
    require(ds, list(scaling.forcings), "forcing")
    return WindowSamples(
        torch.from_numpy(_stack(ds, list(scaling.forcings))).to(device),
        torch.from_numpy(scaling.static(ds).astype(np.float32)).to(device),
        torch.from_numpy(target).to(device),
        torch.from_numpy(basin.astype(np.int32)).to(device),
        torch.from_numpy(last.astype(np.int32)).to(device),
        sequence_length,
        predict_last,
        tuple(str(b) for b in ds["basin"].values),
    )


def _stack(ds: xr.Dataset, names: list[str]) -> np.ndarray:
    series = np.stack([ds[name].values for name in names], axis=2, dtype=np.float32)
    return np.ascontiguousarray(series)
