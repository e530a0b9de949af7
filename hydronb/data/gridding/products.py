"""Gridded products as they come (MSWEP, ERA5, GLEAM and their like) read to daily values in the
convention's units.

A product is any number of NetCDF files or Zarr folders with the dimensions time, latitude and
longitude under any of their usual names, in steps of an hour to a day. Only the box and the days
that are asked for are read.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import distance_transform_edt
from tqdm.auto import tqdm

from hydronb.data.gridded import open_lazily
from hydronb.data.gridding.regrid import SAME, Axes
from hydronb.errors import DataError, nearest
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
"""What products call the variables."""
AXES = {
    "time": ("time", "valid_time"),
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "longitude", "x"),
}
"""And their dimensions."""
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
"""Millimetres in a depth of water."""
SPANS = {"s": 86400.0, "h": 24.0, "hr": 24.0, "hour": 24.0, "d": 1.0, "day": 1.0}
"""Times a span fits into a day."""


class Product(Parameters):
    """One variable of a product."""

    files: str | list[str]
    """A path, a pattern such as `~/mswep/*.nc`, or a list of them."""
    variable: str | None = None
    """Its name in the files, where that is not a usual one."""
    units: str | None = None
    """Where the files do not say them, or say them wrongly: `mm`, `m`, `mm/3h` a step; `mm/d`,
    `mm/h`, `kg m-2 s-1` rates; `K`, `degC`."""
    stamp: Literal["start", "middle", "end"] = "start"
    """Which moment of a step its time is (ERA5's precipitation: `end`)."""
    accumulated: bool = False
    """Each value is the sum since 00:00 UTC, as in ERA5-Land; its time is the end of its step."""
    factor: Number = 1.0
    """Multiplies every value, -1 for fluxes that count upwards as negative."""


@dataclass
class Piece:
    """A file, and the steps in it: when they start, in the order of the file."""

    path: Path
    starts: pd.DatetimeIndex


class Source:
    """A product's files, opened as far as to know their grid, their time and their units.

    Parameters
    ----------
    name
        `prcp`, `tmean` or `et`.
    product
        Where and what.
    centre
        Longitude around which the world is cut open, so that no seam runs through the basin.
    progress
        Show a bar while many files are looked at.

    Raises
    ------
    DataError
        No such file, no such variable or dimension, grids that differ from file to file, steps that
        do not make up a day, units that are not known.
    """

    def __init__(
        self, name: str, product: Product, centre: float | int = 0.0, *, progress: bool = True
    ) -> None:
        self.name, self.product, self.centre = name, product, centre
        self.paths = find_files(product.files, name)
        first = read_structure(self.paths[0], name, product.variable)
        self.variable = str(first.name)
        self._shape = first.shape[1:]
        self._axes = _wrapped(first, centre, self.paths[0])
        bar = tqdm(
            self.paths,
            desc=f"looking at {name}",
            unit="file",
            delay=2,
            leave=False,
            disable=not progress,
        )
        stamps = [(path, self._stamps(path)) for path in bar]
        self.step = _step(stamps, name, product)
        stamp = "end" if product.accumulated else product.stamp
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[stamp] * self.step
        self.pieces = sorted(
            (Piece(path, times - shift) for path, times in stamps), key=lambda p: p.starts[0]
        )
        if not (
            on_step := (self.pieces[0].starts[0] - pd.Timestamp(0)) % self.step
        ) == pd.Timedelta(0):
            raise DataError(
                f"{self.paths[0]}: {name} is stamped {stamps[0][1][0]:%H:%M}, {on_step} after a"
                f" step of {self.step} begins; set stamp to middle or end"
            )
        self.units = product.units or str(first.attrs.get("units", ""))
        self.scale, self.offset = conversion(name, self.units, self.step, str(self.paths[0]))
        self._nearest: tuple[np.ndarray, np.ndarray] | None = None

    def _stamps(self, path: Path) -> pd.DatetimeIndex:
        found = read_structure(path, self.name, self.variable)
        if found.shape[1:] != self._shape:
            raise DataError(
                f"{path}: {self.name} is on a grid of {found.shape[1]} x {found.shape[2]} cells, "
                f"{self.paths[0]} on {self._shape[0]} x {self._shape[1]}"
            )
        time = found.indexes["time"]
        if not isinstance(time, pd.DatetimeIndex) or not len(time):
            raise DataError(f"{path}: {self.name} has no time in the standard calendar")
        return time

    @cached_property
    def axes(self) -> Axes:
        """The whole grid."""
        lat, lon = self._axes
        return Axes(np.sort(lat)[::-1], np.sort(lon))

    def days(self, utc_offset: int = 0) -> pd.DatetimeIndex:
        """The days that are covered from their first to their last step, gaps not looked for."""
        shift = pd.Timedelta(hours=utc_offset) if self.step < DAY else pd.Timedelta(0)
        first = min(p.starts[0] for p in self.pieces) + shift
        last = max(p.starts[-1] for p in self.pieces) + self.step + shift
        return pd.date_range(first.ceil("D"), last.floor("D"), freq="D", inclusive="left")

    def cut(self, box: tuple[float, float, float, float], beyond: int = 0) -> "Source":
        """Read only cells that overlap `box` (west, south, east, north), and `beyond` more all
        around, from now on.

        Raises
        ------
        DataError
            The product does not reach over the box.
        """
        west, south, east, north = self.axes.box
        high, wide = self.axes.cell
        if (
            box[0] < west - wide
            or box[1] < south - high
            or box[2] > east + wide
            or box[3] > north + high
        ):
            raise DataError(
                f"{self.paths[0]}: {self.name} covers {_shown((west, south, east, north))}, the"
                f" basin's box is {_shown(box)}; the product must reach over the basin"
            )
        lat, lon = self._axes
        reach = 0.5 - SAME + beyond
        self._rows = _ordered(lat, box[1] - reach * high, box[3] + reach * high, down=True)
        self._cols = _ordered(lon, box[0] - reach * wide, box[2] + reach * wide, down=False)
        self.axes = Axes(lat[self._rows], lon[self._cols])
        return self

    def bytes_a_day(self) -> int:
        """What a day's steps of the box take in memory while they are aggregated."""
        return int(DAY / self.step) * len(self.axes.lat) * len(self.axes.lon) * 4

    def daily(self, days: pd.DatetimeIndex, utc_offset: int = 0) -> np.ndarray:
        """Daily means in the convention's units, float32 `(day, row, col)`, of days that follow
        each other.

        Cells without any value (sea, lakes) hold those of the nearest cell, except in `et`, where
        they stay NaN.

        Parameters
        ----------
        days
            Any of `days()`.
        utc_offset
            Hours that local midnight is before that of UTC; daily products keep their own days.

        Raises
        ------
        DataError
            A step is missing or there twice.
        """
        shift = pd.Timedelta(hours=utc_offset) if self.step < DAY else pd.Timedelta(0)
        if shift % self.step:
            raise DataError(
                f"utc_offset {utc_offset} h does not fall between two steps of {self.name}, which"
                f" are {self.step / pd.Timedelta('1h'):g} h long; take a multiple of that"
            )
        wanted = pd.date_range(
            days[0] - shift, days[-1] + DAY - shift, freq=self.step, inclusive="left"
        )
        since = wanted[0].floor("D") if self.product.accumulated else wanted[0]
        starts, values = self._read(since, wanted[-1])
        values = values if self.product.factor == 1 else values * np.float32(self.product.factor)
        if len(missing := wanted.difference(starts)):
            raise DataError(
                f"{self.name} has no value for {missing[0]:%Y-%m-%d %H:%M} ({len(missing)} steps of"
                f" {len(wanted)} are missing from {days[0].date()} to {days[-1].date()}); are all"
                " files there?"
            )
        if starts.has_duplicates:
            raise DataError(
                f"{self.name} has {starts[starts.duplicated()][0]:%Y-%m-%d %H:%M} twice; "
                "do two files overlap?"
            )
        if self.product.accumulated:
            values = _since_midnight(values, starts, self.name)[len(starts) - len(wanted) :]
        a_day = len(wanted) // len(days)
        values = values.reshape(len(days), a_day, *values.shape[1:]).mean(axis=1, dtype=np.float64)
        values = (self.scale * values + self.offset).astype(np.float32)
        return values if self.name == "et" else self._without_sea(values)

    def _read(self, first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DatetimeIndex, np.ndarray]:
        """Steps that start from `first` to `last`, in order, as they are in the files, float32
        `(step, row, col)`."""
        starts, parts = [], []
        for piece in self.pieces:
            inside = np.flatnonzero((piece.starts >= first) & (piece.starts <= last))
            if len(inside):
                with opened(piece.path) as ds:
                    da = plain(ds, self.variable, piece.path)
                    da = da.isel(
                        time=_as_slice(inside), lat=_as_slice(self._rows), lon=_as_slice(self._cols)
                    )
                    parts.append(
                        da.transpose("time", "lat", "lon").to_numpy().astype(np.float32, copy=False)
                    )
                starts.append(piece.starts[inside])
        if not parts:
            return pd.DatetimeIndex([]), np.empty(
                (0, len(self.axes.lat), len(self.axes.lon)), np.float32
            )
        found = starts[0].append(starts[1:]) if len(starts) > 1 else starts[0]
        values = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if not found.is_monotonic_increasing:
            order = found.argsort()
            found, values = found[order], values[order]
        return found, values

    def _without_sea(self, values: np.ndarray) -> np.ndarray:
        if self._nearest is None:
            empty = np.isnan(values).all(axis=0)
            if empty.all():
                raise DataError(f"{self.paths[0]}: {self.name} has no value in the basin's box")
            self.filled = int(empty.sum())
            self._nearest = tuple(
                distance_transform_edt(empty, return_distances=False, return_indices=True)
            )
        return values[:, *self._nearest] if self.filled else values


def find_files(patterns: str | Sequence[str], name: str) -> list[Path]:
    """The files that paths and patterns name, sorted.

    Raises
    ------
    DataError
        One of them names no file.
    """
    found: set[Path] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        path = resolve(pattern)
        hits = [path] if path.exists() else [Path(hit) for hit in glob(str(path))]
        if not hits:
            raise DataError(f"{name}: no file {path}")
        found.update(hits)
    return sorted(found)


def read_structure(path: Path, name: str, variable: str | None) -> xr.DataArray:
    """The variable of a file over `time, lat, lon`, its values not read; `variable`, or a usual
    name of `name`."""
    with opened(path) as ds:
        return plain(ds, choose_variable(ds, name, variable, path), path)


def choose_variable(ds: xr.Dataset, name: str, variable: str | None, path: Path) -> str:
    """`variable`, or where it is None what the file calls `name`."""
    fields = [str(n) for n, da in ds.data_vars.items() if da.ndim >= 2]
    if variable is None:
        usual = [n for n in fields if n.lower() in {known.lower() for known in NAMES[name]}]
        if not usual and len(fields) != 1:
            raise DataError(
                f"{path}: which variable is {name}? it holds {', '.join(fields) or 'none'}; set"
                " variable"
            )
        return (usual or fields)[0]
    if variable not in ds:
        raise DataError(f"{path} has no variable {variable!r}{nearest(variable, fields)}")
    return variable


def opened(path: Path) -> xr.Dataset:
    """The file, nothing read but its coordinates; close it after use."""
    try:
        return open_lazily(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is neither NetCDF nor Zarr that xarray can read ({str(error).splitlines()[0]})"
        ) from None


def plain(ds: xr.Dataset, variable: str, path: Path) -> xr.DataArray:
    """The variable with its dimensions named time, lat, lon; others, of one entry, are dropped."""
    da = ds[variable]
    names = {
        dim: ours for ours, known in AXES.items() for dim in da.dims if str(dim).lower() in known
    }
    da = da.rename({dim: ours for dim, ours in names.items() if dim != ours})
    extra = [dim for dim in da.dims if dim not in AXES]
    if long := [dim for dim in extra if da.sizes[dim] > 1]:
        raise DataError(
            f"{path}: {variable} has a dimension {long[0]!r} of {da.sizes[long[0]]}; select one"
            " entry first"
        )
    da = da.isel({dim: 0 for dim in extra}, drop=True)
    if lacking := [dim for dim in ("lat", "lon") if dim not in da.dims or dim not in da.coords]:
        raise DataError(
            f"{path}: {variable} has no {'latitude' if lacking[0] == 'lat' else 'longitude'} "
            f"(its dimensions: {', '.join(map(str, da.dims))})"
        )
    return da.transpose(..., "lat", "lon")


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


def _ordered(values: np.ndarray, low: float, high: float, *, down: bool) -> np.ndarray:
    """Indices of values between two bounds, in the order of the values."""
    inside = np.flatnonzero((values > low) & (values < high))
    order = np.argsort(values[inside])
    return inside[order[::-1] if down else order]


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    """A slice where the indices follow each other, forwards or backwards: read much faster."""
    steps = np.unique(np.diff(index))
    if len(index) == 1 or (len(steps) == 1 and abs(steps[0]) == 1):
        step = 1 if len(index) == 1 else int(steps[0])
        stop = int(index[-1]) + step
        return slice(int(index[0]), None if stop < 0 else stop, step)
    return index


def _step(
    stamps: Iterable[tuple[Path, pd.DatetimeIndex]], name: str, product: Product
) -> pd.Timedelta:
    """The most frequent distance of two steps."""
    times = np.unique(np.concatenate([times.to_numpy() for _, times in stamps]))
    if len(times) < 2:
        raise DataError(f"{name}: one step alone in {product.files}; how long it is cannot be told")
    gaps, counts = np.unique(np.diff(times), return_counts=True)
    step = pd.Timedelta(gaps[counts.argmax()])
    if step > DAY or DAY % step:
        raise DataError(
            f"{name} is in steps of {step}; steps of an hour to a day, a whole number of them a"
            " day, can be made daily"
        )
    return step


def conversion(name: str, units: str, step: pd.Timedelta, where: str) -> tuple[float, float]:
    """Factor and offset from `units` to the convention's; depths of water a step become mm/d.

    Raises
    ------
    DataError
        Units that are not known.

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
    depth, span = _depth_and_span(text)
    if depth not in LENGTHS:
        raise DataError(
            f"{where}: {name} is in {units!r}; set units to mm, m, mm/3h, mm/h, mm/d or kg m-2 s-1"
        )
    return LENGTHS[depth] * (DAY / step if span is None else span), 0.0


def _depth_and_span(text: str) -> tuple[str, float | None]:
    """`mm/3h` -> `mm`, 8 spans a day; None where it is an amount a step."""
    found = re.fullmatch(r"(.+?)\s*(?:/|\bper\b)\s*(\d*)\s*([a-z]+?)", text) or re.fullmatch(
        r"(.+?)[ .]()([a-z]+?)(?:\*\*|\^)?-1", text
    )
    if found and found[3] in SPANS and found[1].strip() in LENGTHS:
        return found[1].strip(), SPANS[found[3]] / int(found[2] or 1)
    return text, None


def _since_midnight(values: np.ndarray, starts: pd.DatetimeIndex, name: str) -> np.ndarray:
    """Amounts of the steps from sums since 00:00 UTC; precipitation that packing makes a little
    negative becomes 0."""
    amounts = np.diff(values, axis=0, prepend=values[:1])
    begins = np.asarray(starts == starts.normalize())
    amounts[begins] = values[begins]
    return np.maximum(amounts, 0) if name == "prcp" else amounts


def _shown(box: Iterable[float]) -> str:
    west, south, east, north = box
    return f"{west:.2f} to {east:.2f} E, {south:.2f} to {north:.2f} N"
