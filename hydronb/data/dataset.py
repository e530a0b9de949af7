"""The catchment dataset: one `xarray.Dataset` convention for every source, checked once when it is
opened.

Dimensions `basin` (string ids, leading zeros kept) and `time` (daily, no gaps). Forcing and targets
are `(basin, time)`, static attributes `(basin)`. Missing is NaN; only targets and attributes may be
missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.problems import Reading, abridged, raise_first
from hydronb.errors import DataError, nearest
from hydronb.files import read_dataset, reading


class Variable(NamedTuple):
    units: str
    long_name: str
    low: float
    """Values below are an error: they cannot be what they claim."""
    high: float
    """Values above are an error: usually another unit."""


FORCINGS = {
    "prcp": Variable("mm/d", "precipitation", 0.0, 2000.0),
    "tmean": Variable("degC", "mean air temperature", -90.0, 60.0),
    "tmin": Variable("degC", "minimum air temperature", -90.0, 60.0),
    "tmax": Variable("degC", "maximum air temperature", -90.0, 70.0),
    "srad": Variable("W/m2", "shortwave radiation", 0.0, 1500.0),
    "vp": Variable("Pa", "vapour pressure", 0.0, 10000.0),
    "dayl": Variable("s", "day length", 0.0, 86400.0),
    "swe": Variable("mm", "snow water equivalent", 0.0, 20000.0),
    "pet": Variable("mm/d", "potential evapotranspiration", 0.0, 50.0),
}
TARGETS = {
    "streamflow": Variable("mm/d", "streamflow", 0.0, 5000.0),
    "et": Variable("mm/d", "actual evapotranspiration", -5.0, 50.0),
}
VARIABLES = FORCINGS | TARGETS
COORDINATES = {
    "lat": Variable("degrees_north", "latitude of the gauge", -90.0, 90.0),
    "lon": Variable("degrees_east", "longitude of the gauge", -180.0, 180.0),
    "area": Variable("km2", "catchment area", 0.0, 1e7),
}
SPELLINGS = {
    "mm/d": ("mm/day", "mm d-1", "mm day-1", "mm d^-1", "mm.day-1"),
    "degC": ("C", "deg C", "celsius", "Celsius", "degree_Celsius", "degrees_Celsius", "°C"),
    "W/m2": ("W m-2", "W/m^2", "w/m2"),
    "s": ("seconds",),
}
"""Other ways to write the same unit."""
DAY = np.timedelta64(1, "D")


def check(ds: xr.Dataset, *, where: str = "dataset") -> xr.Dataset:
    """`ds` in the convention's order, dtypes and attributes.

    Parameters
    ----------
    ds
        Dataset to check. Variables that the convention does not know, such as `true_*`, are kept.
    where
        Named in messages: the folder or file the data came from.

    Raises
    ------
    DataError
        Missing dimension, ids that are not unique strings, days that repeat or are missing, a
        forcing with NaN, values out of physical range, units other than the convention's.
    """
    return raise_first(checking(ds, where))


def checking(ds: xr.Dataset, where: str) -> Reading[xr.Dataset]:
    """`check` as a reading; the dataset it returns lacks the variables that cannot be used."""
    for dim in ("basin", "time"):
        if dim not in ds.dims:
            raise DataError(
                f"{where} has no dimension {dim!r}; a catchment dataset has dims basin and time"
            )
        if dim not in ds.indexes:
            raise DataError(
                f"{where} has no coordinate {dim!r}; ids and dates are what everything is joined by"
            )
        if not ds.sizes[dim]:
            raise DataError(f"{where} holds no {'basin' if dim == 'basin' else 'day'}")
    ds = ds.assign_coords(basin=_ids(ds["basin"].values, where))
    if not isinstance(ds.indexes["time"], pd.DatetimeIndex):
        require_daily(ds.indexes["time"], where)
    yield from day_problems(ds.indexes["time"], where)
    for name in [name for name in VARIABLES if name in ds]:
        da = yield from in_convention(ds[name], name, ("basin", "time"), where)
        if da is None:
            ds = ds.drop_vars(name)
        else:
            ds = ds.assign({name: da})
            yield from value_problems(name, da.values, ds["basin"].values, ds["time"].values, where)
    others = {
        name: (da.astype(np.float32) if da.ndim == 2 and da.dtype == np.float64 else da).transpose(
            "basin", "time", missing_dims="ignore"
        )
        for name, da in ds.data_vars.items()
        if name not in VARIABLES and {"basin", "time"} >= set(da.dims)
    }
    ds = ds.assign(others)
    yield from coordinate_problems(ds, where)
    return ds.assign_coords(
        {n: ds[n].assign_attrs(variable_attrs(n)) for n in COORDINATES if n in ds.coords}
    )


def _ids(ids: np.ndarray, where: str) -> np.ndarray:
    if ids.dtype.kind not in "UOTS":
        raise DataError(
            f"{where}: basin ids are numbers, so leading zeros are lost; store them as strings"
        )
    # one by one: numpy's StringDType has no astype(str), and other programs write text as bytes
    texts = [i.decode("utf-8", "replace") if isinstance(i, bytes) else str(i) for i in ids]
    values, counts = np.unique(texts, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{where}: basin {values[counts > 1][0]} appears {counts.max()} times")
    return np.array(texts, dtype=object)


def require_daily(time: pd.Index, where: str) -> None:
    """Raise `DataError` if `time` has a problem; see `day_problems`."""
    raise_first(day_problems(time, where))


def day_problems(time: pd.Index, where: str) -> Iterator[str]:
    """Dates that are none, repeat, are missing, are out of order or have a time of day; `where`
    opens the message."""
    if isinstance(time, xr.CFTimeIndex):
        yield (
            f"{where}: time is not in the standard calendar ({time.calendar}); convert it, for "
            "example with xarray's convert_calendar('standard')"
        )
    elif not isinstance(time, pd.DatetimeIndex):
        yield (
            f"{where}: time holds {time.dtype} values such as {time[0]}, not dates; turn them "
            "into dates, for example with pandas.to_datetime"
        )
    elif time.tz is not None:
        yield (
            f"{where}: dates are in the time zone {time.tz}; write them without one, daily values "
            "belong to a calendar day"
        )
    elif len(odd := time[time != time.normalize()]):
        yield f"{where}: {odd[0]} is not a day; daily values are stamped at 00:00"
    else:
        if time.has_duplicates:
            yield f"{where}: the date {time[time.duplicated()][0].date()} appears twice"
        if not time.is_monotonic_increasing:
            yield (
                f"{where}: dates are not in order at {time[1:][np.diff(time) < 0 * DAY][0].date()}"
            )
            time = time.sort_values()
        missing = np.maximum(np.diff(time) // DAY - 1, 0)
        if len(before := time[:-1][missing > 0]):
            yield (
                f"{where}: {missing.sum()} dates are missing, the first is"
                f" {(before[0] + DAY).date()}; forcing must be complete"
            )


def in_convention(
    da: xr.DataArray, name: str, dims: tuple[str, ...], where: str
) -> Reading[xr.DataArray]:
    """A variable with the convention's dims, in its order, its attributes and float32; None after
    a problem of units, dims or kind of values."""
    spec = VARIABLES[name]
    units = str(da.attrs.get("units", da.attrs.get("unit", spec.units)))
    if units not in (spec.units, *SPELLINGS.get(spec.units, ())):
        yield (
            f"{where}: {name} is in {units!r}, the convention is {spec.units!r}; convert it first"
        )
    elif set(da.dims) != set(dims):
        yield f"{where}: {name} is {shape_text(da)}, not over {dims}"
    elif da.dtype.kind not in "fiu":
        yield f"{where}: {name} holds {da.dtype} values, not numbers"
    else:
        attrs = {"long_name": spec.long_name} | da.attrs | {"units": spec.units}
        attrs.pop("unit", None)
        with np.errstate(over="ignore"):  # infinity is a problem that the range tells
            return da.transpose(*dims).astype(np.float32, copy=False).assign_attrs(attrs)


def variable_attrs(name: str) -> dict[str, str]:
    """Units and long name of a variable; mm/d of one that the convention does not know."""
    spec = (VARIABLES | COORDINATES).get(name, Variable("mm/d", name, -np.inf, np.inf))
    return {"units": spec.units, "long_name": spec.long_name}


def shape_text(da: xr.DataArray) -> str:
    """Sizes and names of dimensions, for messages: `3 x 6 (row, col)`."""
    return f"{' x '.join(map(str, da.shape)) or 'one value'} ({', '.join(map(str, da.dims))})"


def value_problems(
    name: str, values: np.ndarray, basins: Any, days: Any, where: str | Path
) -> Iterator[str]:
    """Values `(basin, time)` that are missing from a forcing or out of the physical range: a line
    for each basin."""
    spec = VARIABLES[name]
    missing = np.isnan(values) if name in FORCINGS else np.zeros((1, 1), bool)
    with np.errstate(invalid="ignore"):
        outside = (values < spec.low) | (values > spec.high)

    def lines(wrong: np.ndarray, text: str) -> Iterator[str]:
        for b in np.flatnonzero(wrong.any(axis=1)):
            t = int(wrong[b].argmax())
            yield f"{where}: {name} of basin {basins[b]} is " + text.format(
                value=f"{values[b, t]:g} {spec.units}", day=str(days[t])[:10], n=wrong[b].sum()
            )

    gap = "missing on {day} ({n} days in all); forcing must be complete"
    flag = (
        f"{{value}} on {{day}}, outside {spec.low:g} to {spec.high:g} ({{n}} such days); missing is"
        " NaN, never a flag"
    )
    yield from abridged(lines(missing, gap), f"{where}: {name}")
    yield from abridged(lines(outside, flag), f"{where}: {name}")


def is_place(da: xr.DataArray) -> bool:
    """Whether a coordinate such as `lat` is a number for each basin, or one for all."""
    return da.dims in ((), ("basin",)) and da.dtype.kind in "fiu"


def coordinate_problems(ds: xr.Dataset, where: str) -> Iterator[str]:
    """What is wrong with latitude, longitude and area of the basins; they may be missing."""
    for name in [name for name in COORDINATES if name in ds.coords]:
        spec, da = COORDINATES[name], ds[name]
        if not is_place(da):
            yield f"{where}: {name} is {shape_text(da)} of {da.dtype}, not a number per basin"
        else:
            values = np.broadcast_to(da.values, ds.sizes["basin"])
            wrong = (values < spec.low) | (values > spec.high)
            for basin, value in zip(ds["basin"].values[wrong], values[wrong], strict=True):
                yield (
                    f"{where}: {name} of basin {basin} is {value:g}, "
                    f"outside {spec.low:g} to {spec.high:g} {spec.units}"
                )


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open a user's own catchment dataset, NetCDF or Zarr, already in the convention.

    Raises
    ------
    DataError
        No such path, a file that is neither, or data that break the convention (see `check`).
    """
    return check(read_dataset(path), where=str(path))


def choose_basins(
    available: Sequence[str], asked: Iterable[str] | None, *, where: str
) -> list[str]:
    """The basins that are asked for among the available ones, in the order of the question; all of
    them, sorted, for None.

    An id may be given with or without its source's prefix (`01022500` finds `camels_01022500`).

    Raises
    ------
    DataError
        An id that is not available (the message proposes the one with leading zeros), that two
        sources have, or that is asked for twice.
    """
    if asked is None:
        return sorted(available)
    if isinstance(asked, str):
        raise DataError(f"basins is a list of ids, not the string {asked!r}")
    whole = set(available)
    by_bare_id: dict[str, list[str]] = {}
    for basin in available:
        by_bare_id.setdefault(bare_id(basin), []).append(basin)
    chosen = []
    for basin in asked:
        if not isinstance(basin, str):
            raise DataError(
                f"basin {basin!r} is a {type(basin).__name__}; quote gauge ids, "
                "as a number they lose their leading zeros"
            )
        matches = [basin] if basin in whole else by_bare_id.get(basin, [])
        if len(matches) > 1:
            raise DataError(f"{where} has several basins {basin!r}: {', '.join(matches)}; name one")
        if not matches:
            zero = {b.lstrip("0"): b for b in by_bare_id}.get(bare_id(basin).lstrip("0"))
            hint = (
                f"; did you mean {zero!r}, with its leading zero?"
                if zero
                else nearest(basin, available)
            )
            raise DataError(f"{where} has no basin {basin!r}{hint}")
        chosen += matches
    if len(set(chosen)) < len(chosen):
        raise DataError(
            f"basin {next(b for b in chosen if chosen.count(b) > 1)!r} is asked for twice"
        )
    if not chosen:
        raise DataError("the list of basins is empty")
    return chosen


def bare_id(basin: str) -> str:
    """The id without its source's prefix, the part that other tables are joined on.

    >>> bare_id("camels_01022500"), bare_id("01022500")
    ('01022500', '01022500')
    """
    return basin.rsplit("_", 1)[-1]


def attribute_names(ds: xr.Dataset) -> list[str]:
    """Names of the static attributes: variables over `basin` alone, numeric or text, without
    `true_*`."""
    return [
        str(n)
        for n, v in ds.data_vars.items()
        if v.dims == ("basin",) and not str(n).startswith("true_")
    ]


def read_basin_list(path: str | Path) -> list[str]:
    """Basin ids from a text file, one per line; blank lines and `#` comments are passed over.

    Raises
    ------
    DataError
        No such file, or no id in it.
    """
    path = Path(path).expanduser()
    with reading(path, "a list of basins", hint="give a text file with one id per line"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    if not (ids := [id_ for line in lines if (id_ := line.split("#")[0].strip())]):
        raise DataError(f"{path} lists no basin")
    return ids
