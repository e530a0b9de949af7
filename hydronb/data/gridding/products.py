"""Gridded products (MSWEP, ERA5, GLEAM and others) read as daily values in the convention's units.

A product is any number of NetCDF files or Zarr folders with the dimensions time, latitude and
longitude under any of their usual names, in steps of an hour to a day. Only the box and the days
that are asked for are read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import distance_transform_edt
from tqdm.auto import tqdm

from hydronb.data.gridding.regrid import SAME, Axes, Box
from hydronb.errors import DataError, nearest
from hydronb.files import opening
from hydronb.parameters.base import Number, Parameters, resolve

NAMES = {
    "prcp": ("precipitation", "prcp", "tp", "pr", "P", "total_precipitation", "precip"),
    "tmean": ("t2m", "tmean", "tas", "air_temperature", "T", "2m_temperature", "temperature", "T2"),
    "et": (
        "E",
        "Ea",
        "et",
        "evap",
        "evaporation",
        "actual_evaporation",
        "evapotranspiration",
        "AET",
    ),
    "elevation": ("elevation", "dem", "z", "height", "orography", "topo", "Band1"),
    "mask": ("mask", "basin", "Band1"),
}
"""Names of the variables in products."""
AXES = {
    "time": ("time", "valid_time"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "x"),
}
"""Names of the dimensions in products."""
DAY = pd.Timedelta("1D")
LENGTHS = {
    "mm": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "kg m-2": 1.0,
    "kg/m2": 1.0,
    "kg m**-2": 1.0,
    "m of water equivalent": 1000.0,
}
"""Millimetres in one unit of each depth of water."""
SPANS = {"s": 86400.0, "h": 24.0, "hr": 24.0, "hour": 24.0, "d": 1.0, "day": 1.0}
"""How many of each unit of time make a day."""


class Product(Parameters):
    """One variable of a product."""

    files: str | list[str]
    """A path, a pattern such as `~/mswep/*.nc`, or a list of them."""
    variable: str | None = None
    """Its name in the files, unless it is a usual one."""
    units: str | None = None
    """Needed if the files do not give them or give wrong ones: `mm`, `m`, `mm/3h` are amounts per
    step; `mm/d`, `mm/h`, `kg m-2 s-1` rates; `K`, `degC`."""
    stamp: Literal["start", "middle", "end"] = "start"
    """Which moment of a step its time is (ERA5's precipitation: `end`)."""
    accumulated: bool = False
    """Whether each value is the sum since 00:00 UTC, as in ERA5-Land; its time is then the end of
    its step."""
    factor: Number = 1.0
    """Multiplies every value; -1 for fluxes that count upwards as negative."""


class ProductReader:
    """A product's files, of which the grid, the times and the units are read at first, and daily
    values on demand.

    Parameters
    ----------
    name
        `prcp`, `tmean` or `et`.
    product
        Where the files are, and what is in them.
    centre
        Longitude around which the world is cut open, so that no seam runs through the basin.
    utc_offset
        Hours by which local midnight is before that of UTC; daily products keep their own days.
    progress
        Show a bar while many files are inspected.

    Raises
    ------
    DataError
        No such file, no such variable or dimension, grids that differ from file to file, steps that
        do not add up to a day, unknown units, not a single whole day.

    Attributes
    ----------
    axes
        The cells that are read: all, until `cut` is called.
    days
        All days from the first to the last step; gaps are found when they are read.
    step
        Interval between two times.
    """

    def __init__(
        self,
        name: str,
        product: Product,
        centre: float | int = 0.0,
        utc_offset: int = 0,
        *,
        progress: bool = True,
    ) -> None:
        self.name, self.product = name, product
        self.paths = find_files(product.files, name)
        with open_field(self.paths[0], name, product.variable) as first:
            self.variable, self._shape = str(first.name), first.shape[-2:]
            self._lat, self._lon = _wrapped(first, centre, self.paths[0])
            units = product.units or str(first.attrs.get("units", ""))
        self.axes = Axes(np.sort(self._lat)[::-1], np.sort(self._lon))
        stamps = [
            self._stamps(path)
            for path in tqdm(
                self.paths,
                desc=f"inspecting {name}",
                unit="file",
                delay=2,
                leave=False,
                disable=not progress,
            )
        ]
        self.step = _step(stamps, name, product)
        part = (
            1.0 if product.accumulated else {"start": 0.0, "middle": 0.5, "end": 1.0}[product.stamp]
        )
        starts = [times - part * self.step for times in stamps]
        self._files = sorted(zip(starts, self.paths, strict=True), key=lambda file: file[0][0])
        if late := (starts[0][0] - pd.Timestamp(0)) % self.step:
            raise DataError(
                f"{self.paths[0]}: {name} is stamped {stamps[0][0]:%H:%M}, {late} after a step of"
                f" {self.step} begins; set stamp to middle or end"
            )
        self._shift = pd.Timedelta(hours=utc_offset if self.step < DAY else 0)
        if self._shift % self.step:
            raise DataError(
                f"utc_offset {utc_offset} h does not fall between two steps of {name}, which are"
                f" {self.step / pd.Timedelta('1h'):g} h long; take a multiple of that"
            )
        self.days = pd.date_range(
            (min(of_file[0] for of_file in starts) + self._shift).ceil("D"),
            (max(of_file[-1] for of_file in starts) + self.step + self._shift).floor("D"),
            freq="D",
            inclusive="left",
        )
        if not len(self.days):
            raise DataError(f"{name} does not cover a single day from its first to its last step")
        self._scale, self._offset = conversion(name, units, self.step, str(self.paths[0]))
        self._nearest: tuple[np.ndarray, ...] | None = None

    def _stamps(self, path: Path) -> pd.DatetimeIndex:
        with open_field(path, self.name, self.variable) as field:
            if field.shape[-2:] != self._shape:
                raise DataError(
                    f"{path}: {self.name} is on a grid of {field.shape[-2]} x {field.shape[-1]}"
                    f" cells, {self.paths[0]} on {self._shape[0]} x {self._shape[1]}"
                )
            time = field.indexes.get("time")
        if not isinstance(time, pd.DatetimeIndex) or not len(time):
            raise DataError(f"{path}: {self.name} has no time in the standard calendar")
        return time

    def cut(self, box: Box, beyond: int = 0) -> "ProductReader":
        """From now on, read only cells that overlap `box` (west, south, east, north), and `beyond`
        more on each side.

        Raises
        ------
        DataError
            The product does not cover the box.
        """
        west, south, east, north = self.axes.box
        high, wide = self.axes.cell
        if (
            box[0] < west - wide
            or box[1] < south - high
            or box[2] > east + wide
            or box[3] > north + high
        ):
            whole, asked = (
                f"{w:.2f} to {e:.2f} E, {s:.2f} to {n:.2f} N" for w, s, e, n in (self.axes.box, box)
            )
            raise DataError(
                f"{self.paths[0]}: {self.name} covers {whole}, the basin's box is {asked}; the"
                " product must reach over the basin"
            )
        reach = 0.5 - SAME + beyond
        self._rows = _ordered(self._lat, box[1] - reach * high, box[3] + reach * high)[::-1]
        self._cols = _ordered(self._lon, box[0] - reach * wide, box[2] + reach * wide)
        self.axes = Axes(self._lat[self._rows], self._lon[self._cols])
        return self

    def daily(self, days: pd.DatetimeIndex) -> np.ndarray:
        """Daily means in the convention's units, float32 `(day, row, col)`, of consecutive days.

        Cells without any value (sea, lakes) get those of the nearest cell, except in `et`, where
        they stay NaN.

        Parameters
        ----------
        days
            Any of `self.days`.

        Raises
        ------
        DataError
            A step is missing or occurs twice.
        """
        steps = pd.date_range(
            days[0] - self._shift, days[-1] + DAY - self._shift, freq=self.step, inclusive="left"
        )
        starts, values = self._read(
            steps[0].floor("D") if self.product.accumulated else steps[0], steps[-1]
        )
        if self.product.factor != 1:
            values = values * np.float32(self.product.factor)
        if len(missing := steps.difference(starts)):
            raise DataError(
                f"{self.name} has no value for {missing[0]:%Y-%m-%d %H:%M} ({len(missing)} steps of"
                f" {len(steps)} are missing from {days[0].date()} to {days[-1].date()}); are all"
                " files there?"
            )
        if starts.has_duplicates:
            raise DataError(
                f"{self.name} has {starts[starts.duplicated()][0]:%Y-%m-%d %H:%M} twice; "
                "do two files overlap?"
            )
        if self.product.accumulated:
            values = _since_midnight(values, starts, self.name)[len(starts) - len(steps) :]
        values = values.reshape(len(days), -1, *values.shape[1:]).mean(axis=1, dtype=np.float64)
        values = (self._scale * values + self._offset).astype(np.float32)
        return values if self.name == "et" else self._without_sea(values)

    def _read(self, first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DatetimeIndex, np.ndarray]:
        """Steps that start from `first` to `last`, in order, as they are in the files, float32
        `(step, row, col)`."""
        starts = pd.DatetimeIndex([])
        parts = [np.empty((0, len(self._rows), len(self._cols)), np.float32)]
        for of_file, path in self._files:
            inside = np.flatnonzero((of_file >= first) & (of_file <= last))
            if len(inside):
                starts = starts.append(of_file[inside])
                with open_field(path, self.name, self.variable) as field:
                    part = field.isel(
                        time=_as_slice(inside), lat=_as_slice(self._rows), lon=_as_slice(self._cols)
                    ).transpose("time", "lat", "lon")
                    parts.append(part.to_numpy().astype(np.float32, copy=False))
        values = np.concatenate(parts) if len(parts) > 2 else parts[-1]
        order = slice(None) if starts.is_monotonic_increasing else starts.argsort()
        return starts[order], values[order]

    def _without_sea(self, values: np.ndarray) -> np.ndarray:
        if self._nearest is None:
            empty = np.isnan(values).all(axis=0)
            if empty.all():
                raise DataError(f"{self.paths[0]}: {self.name} has no value in the basin's box")
            self._nearest = (
                tuple(distance_transform_edt(empty, return_distances=False, return_indices=True))
                if empty.any()
                else ()
            )
        return values[:, *self._nearest]


def find_files(patterns: str | Sequence[str], name: str) -> list[Path]:
    """The files that paths and patterns name, sorted.

    Raises
    ------
    DataError
        One of them names no file.
    """
    files: set[Path] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        path = resolve(pattern)
        matches = {path} if path.exists() else {Path(match) for match in glob(str(path))}
        if not matches:
            raise DataError(f"{name}: no file {path}")
        files |= matches
    return sorted(files)


@contextmanager
def open_field(path: Path, name: str, variable: str | None = None) -> Iterator[xr.DataArray]:
    """One variable of a file over `lat` and `lon`, and `time` where it has one, its values not yet
    read; dimensions of one entry are dropped.

    Parameters
    ----------
    name
        `prcp`, `tmean`, `et`, `elevation` or `mask`.
    variable
        What the file calls it, unless it is a usual name.

    Raises
    ------
    DataError
        Neither NetCDF nor Zarr, no such variable, no latitude or longitude, another dimension.
    """
    with opening(path) as ds:
        fields = [str(n) for n, da in ds.data_vars.items() if da.ndim >= 2]
        if variable is None:
            usual = [n for n in fields if n.lower() in {usual.lower() for usual in NAMES[name]}]
            if not usual and len(fields) != 1:
                raise DataError(
                    f"{path}: which variable is {name}? it holds {', '.join(fields) or 'none'}; set"
                    " variable"
                )
            variable = (usual or fields)[0]
        elif variable not in ds:
            raise DataError(f"{path} has no variable {variable!r}{nearest(variable, fields)}")
        da = ds[variable].rename(
            {
                dim: axis
                for axis, names in AXES.items()
                for dim in ds[variable].dims
                if dim.lower() in names and dim != axis
            }
        )
        others = [dim for dim in da.dims if dim not in AXES]
        if long := [dim for dim in others if da.sizes[dim] > 1]:
            raise DataError(
                f"{path}: {variable} has a dimension {long[0]!r} of {da.sizes[long[0]]}; select one"
                " entry first"
            )
        degrees = {"lat": "latitude", "lon": "longitude"}
        if lacking := [n for n in degrees if n not in da.dims or n not in da.coords]:
            raise DataError(
                f"{path}: {variable} has no {degrees[lacking[0]]} (its dimensions:"
                f" {', '.join(map(str, da.dims))})"
            )
        yield da.squeeze(others, drop=True).transpose(..., "lat", "lon")


def _wrapped(da: xr.DataArray, centre: float | int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes in the file's order, longitudes within 180 degrees of `centre`."""
    lat, lon = (np.asarray(da[dim].to_numpy(), dtype=np.float64) for dim in ("lat", "lon"))
    if (
        min(len(lat), len(lon)) < 2
        or not (np.abs(lat) <= 90).all()
        or not (np.abs(lon) <= 360).all()
    ):
        raise DataError(
            f"{path}: latitude and longitude must be degrees, two of each at least; reproject to"
            " WGS84"
        )
    lon = (lon - centre + 180) % 360 - 180 + centre
    for axis, values in (("latitudes", lat), ("longitudes", lon)):
        gaps = np.diff(np.sort(values))
        if (gaps.max() > gaps.min() * 1.1 + 1e-4 and axis == "latitudes") or gaps.min() <= 0:
            raise DataError(
                f"{path}: {axis} are not regularly spaced ({gaps.min():g} to {gaps.max():g}"
                " degrees); regrid to a regular grid first"
            )
    return lat, lon


def _ordered(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Indices of the values between two bounds, the lowest value first."""
    inside = np.flatnonzero((values > low) & (values < high))
    return inside[np.argsort(values[inside])]


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    """A slice if the indices are consecutive, forwards or backwards: read much faster."""
    step = 1 if index[-1] > index[0] else -1
    if not np.array_equal(index, np.arange(index[0], index[-1] + step, step)):
        return index
    stop = int(index[-1]) + step
    return slice(int(index[0]), None if stop < 0 else stop, step)


def _step(stamps: Iterable[pd.DatetimeIndex], name: str, product: Product) -> pd.Timedelta:
    """The most frequent interval between two times."""
    times = np.unique(np.concatenate([of_file.to_numpy() for of_file in stamps]))
    if len(times) < 2:
        raise DataError(f"{name}: {product.files} hold a single step, so its length is unknown")
    step = pd.Timedelta(pd.Series(np.diff(times)).mode()[0])
    if step > DAY or DAY % step:
        raise DataError(
            f"{name} is in steps of {step}; only steps of an hour to a day, a whole number of them"
            " per day, can be made daily"
        )
    return step


def conversion(name: str, units: str, step: pd.Timedelta, where: str) -> tuple[float, float]:
    """Factor and offset from `units` to the convention's; depths of water per step become mm/d.

    Raises
    ------
    DataError
        Unknown units.

    >>> conversion("prcp", "mm/3h", pd.Timedelta("3h"), "a file")
    (8.0, 0.0)
    >>> conversion("tmean", "K", pd.Timedelta("1h"), "a file")
    (1.0, -273.15)
    """
    text = units.strip()
    if name == "tmean":
        if re.fullmatch(r"(deg(rees?)?)?[ _]?k(elvin)?", text, re.IGNORECASE):
            return 1.0, -273.15
        if re.fullmatch(r"(deg(rees?)?|°)?[ _]?c(elsius)?", text, re.IGNORECASE):
            return 1.0, 0.0
        raise DataError(f"{where}: tmean is in {units!r}; set units to K or degC")
    depth, per_day = text, DAY / step
    rate = re.fullmatch(r"(.+?)\s*(?:/|\bper\b)\s*(\d*)\s*([a-z]+?)", text) or re.fullmatch(
        r"(.+?)[ .]()([a-z]+?)(?:\*\*|\^)?-1", text
    )
    if rate and rate[3] in SPANS and rate[1].strip() in LENGTHS:
        depth, per_day = rate[1].strip(), SPANS[rate[3]] / int(rate[2] or 1)
    if depth not in LENGTHS:
        raise DataError(
            f"{where}: {name} is in {units!r}; set units to mm, m, mm/3h, mm/h, mm/d or kg m-2 s-1"
        )
    return LENGTHS[depth] * per_day, 0.0


def _since_midnight(values: np.ndarray, starts: pd.DatetimeIndex, name: str) -> np.ndarray:
    """Amounts of the steps from sums since 00:00 UTC; precipitation that packing makes a little
    negative becomes 0."""
    amounts = np.diff(values, axis=0, prepend=values[:1])
    begins = np.asarray(starts == starts.normalize())
    amounts[begins] = values[begins]
    return np.maximum(amounts, 0) if name == "prcp" else amounts
