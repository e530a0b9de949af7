"""Samples as ranges of days into a single copy of the data, of catchments and of one grid; a batch
is one gather.

No window is stored: a sample is its last day (and its basin), 8 bytes, and its days are cut out of
the series when a batch is made. The grid of each distinct day of a batch is cut out once, when it
is encoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor

from hydronb.data.dataset import TARGETS
from hydronb.data.gridded import FORCING, basin_mean
from hydronb.data.scaling import Scaling, require, select_period
from hydronb.errors import DataError, nearest
from hydronb.parameters import Period


@dataclass(frozen=True)
class _Samples:
    """`sequence_length` days enter a sample, and its last `predict_last` are targets."""

    last: Int[Tensor, " sample"]
    sequence_length: int
    predict_last: int
    ids: tuple[str, ...]
    """The basins' names, for messages."""

    def __len__(self) -> int:
        return len(self.last)


@dataclass(frozen=True)
class Batch:
    """Raw units; `target` holds the last days of `dynamic`."""

    dynamic: Float[Tensor, "batch time dynamic"]
    static: Float[Tensor, "batch static"]
    target: Float[Tensor, "batch last target"]
    basin: Int[Tensor, " batch"]


@dataclass(frozen=True)
class WindowSamples(_Samples):
    """All series of a dataset on one device, and the samples drawn from them."""

    dynamic: Float[Tensor, "basin time dynamic"]
    static: Float[Tensor, "basin static"]
    target: Float[Tensor, "basin time target"]
    basin: Int[Tensor, " sample"]

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
    return _samples(
        ds,
        scaling,
        np.empty((ds.sizes["basin"], ds.sizes["time"], 0), np.float32),
        np.repeat(np.arange(ds.sizes["basin"]), len(last)),
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
        torch.from_numpy(last.astype(np.int32)).to(device),
        sequence_length,
        predict_last,
        tuple(str(b) for b in ds["basin"].values),
        torch.from_numpy(_stack(ds, list(scaling.forcings))).to(device),
        torch.from_numpy(scaling.static(ds).astype(np.float32)).to(device),
        torch.from_numpy(target).to(device),
        torch.from_numpy(basin.astype(np.int32)).to(device),
    )


def _stack(ds: xr.Dataset, names: list[str]) -> np.ndarray:
    return np.ascontiguousarray(
        np.stack([ds[name].values for name in names], axis=2, dtype=np.float32)
    )


# Grids
# ---


@dataclass(frozen=True)
class GridForcing:
    """Raw forcing of every day, and the static fields.

    A channel is `(time, y, x)` for a network that sees the grid and `(time)` for one that sees the
    basin's means; on the CPU it shares the dataset's memory.
    """

    channels: tuple[Tensor, ...]
    static: Tensor
    """`(channel, y, x)`, standardised; without a channel for a network that sees means."""

    def days(self, days: Int[Tensor, " day"]) -> Float[Tensor, "day channel *cells"]:
        """A copy of the forcing of `days`, without the static channels."""
        return torch.stack([channel[days] for channel in self.channels], 1)


@dataclass(frozen=True)
class GridBatch:
    """The days that enter each sample, and the targets of its last days in raw units."""

    forcing: GridForcing
    days: Int[Tensor, "batch time"]
    target: Float[Tensor, "batch last target"]
    basin: Int[Tensor, " batch"]


@dataclass(frozen=True)
class GridSamples(_Samples):
    """The forcing and targets of one basin on one device, and the samples drawn from them."""

    forcing: GridForcing
    target: Float[Tensor, "time target"]

    def gather(self, index: Int[Tensor, " batch"]) -> GridBatch:
        """The samples numbered `index`."""
        days = self.last[index][:, None] + torch.arange(
            1 - self.sequence_length, 1, device=self.last.device
        )
        return GridBatch(
            self.forcing,
            days,
            self.target[days[:, -self.predict_last :]],
            torch.zeros_like(days[:, 0]),
        )


def grid_forcing(
    ds: xr.Dataset, scaling: Scaling, *, means: bool, device: str | torch.device = "cpu"
) -> GridForcing:
    """The forcing of the gridded catchment `ds` as a network takes it: the grid, or the basin's
    means.

    Raises
    ------
    DataError
        A static field that `scaling` names does not exist, or is missing in a cell.
    """
    channels = tuple(_tensor(ds, name, means).to(device) for name in scaling.forcings)
    static = [
        (torch.from_numpy(static_field(ds, name)) - mean) / (std or 1.0)
        for name, (mean, std) in scaling.attributes.items()
    ]
    none = torch.empty(0, *channels[0].shape[1:])
    return GridForcing(channels, (torch.stack(static) if static else none).to(device))


def _tensor(ds: xr.Dataset, name: str, means: bool) -> Tensor:
    da = basin_mean(ds, name) if means else ds[name]
    values = np.ascontiguousarray(da.to_numpy(), np.float32)
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def static_field(ds: xr.Dataset, name: str) -> np.ndarray:
    """A static field such as `elevation`, float32 `(y, x)`.

    Raises
    ------
    DataError
        The grid has no such field, or it is missing in a cell.
    """
    fields = [str(n) for n, da in ds.data_vars.items() if set(da.dims) == {"y", "x"}]
    if name not in fields:
        raise DataError(f"the grid has no static field {name!r}{nearest(name, fields)}")
    field = ds[name].transpose("y", "x").to_numpy().astype(np.float32)
    if np.isnan(field).any():
        raise DataError(
            f"static field {name} is missing in {int(np.isnan(field).sum())} cells; fill it, or "
            "leave it out"
        )
    return field


def fit_grid_scaling(
    ds: xr.Dataset, targets: list[str], static: list[str], period: Period, *, means: bool
) -> Scaling:
    """Mean and standard deviation (ddof 0) of each forcing over all cells of the grid (or of its
    basin mean) and all days of `period`, of each static field over its cells, and of each target
    over the period's observed days.

    Raises
    ------
    DataError
        A target or field that does not exist, a period outside the data or without an observation,
        a forcing that never changes.
    """
    inside = select_period(ds, period)
    forcings = {name: _mean_std(_tensor(inside, name, means).numpy()) for name in FORCING}
    if still := [n for n, (_, std) in forcings.items() if std == 0]:
        raise DataError(
            f"forcing {still[0]} is {forcings[still[0]][0]:g} everywhere and on every day in"
            f" {period}; a network learns nothing from it"
        )
    fields = {} if means else {name: _mean_std(static_field(ds, name)) for name in static}
    observed = {}
    for name in targets:
        values = _observed(inside, name).dropna("time").to_numpy()
        if not len(values):
            raise DataError(
                f"{ds.attrs['basin']} has no {name} in {period}; choose another period or target"
            )
        observed[name] = _mean_std(values)
    return Scaling(forcings, fields, observed, {})


def _observed(ds: xr.Dataset, name: str) -> xr.DataArray:
    have = [n for n in TARGETS if n in ds]
    if name not in have:
        raise DataError(
            f"the gridded catchment {ds.attrs['basin']} has no target {name!r}"
            f"{nearest(name, have) or ', nor any other, so nothing can be trained on it'}"
        )
    return ds[name]


def _mean_std(values: np.ndarray) -> tuple[float, float]:
    """In float64, one year at a time: the grid is never copied whole."""
    n, total, squares = values.size, 0.0, 0.0
    shift = float(values.flat[0])
    for start in range(0, len(values), 366):
        part = values[start : start + 366].astype(np.float64) - shift
        total, squares = total + part.sum(), squares + (part**2).sum()
    mean = total / n
    std = float(np.sqrt(max(squares / n - mean**2, 0.0)))
    return shift + float(mean), std if std > 1e-12 * abs(shift + mean) else 0.0


def grid_samples(
    ds: xr.Dataset,
    forcing: GridForcing,
    targets: list[str],
    period: Period,
    sequence_length: int,
    predict_last: int,
) -> GridSamples:
    """Every sample whose targets lie in `period` and hold an observation.

    Raises
    ------
    DataError
        The period is shorter than `predict_last`, or the data do not start early enough for the
        first sample.
    """
    target = np.stack([_observed(ds, name).to_numpy() for name in targets], 1).astype(np.float32)
    last = training_days(
        ds, np.isfinite(target).any(1)[None], period, sequence_length, predict_last
    )[1]
    device = forcing.static.device
    return GridSamples(
        torch.from_numpy(last).to(device),
        sequence_length,
        predict_last,
        (str(ds.attrs["basin"]),),
        forcing,
        torch.from_numpy(target).to(device),
    )
