"""The catchment dataset: one `xarray.Dataset` convention for every source, checked once on the way
in.

Dimensions `basin` (string ids, leading zeros kept) and `time` (daily, no gaps). Forcing and targets
are `(basin, time)`, static attributes `(basin)`. Missing is NaN; only targets and attributes may be
missing.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.errors import DataError, nearest


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


def check(ds: xr.Dataset, *, where: str = "dataset") -> xr.Dataset:
    """Return `ds` in the convention's order, dtypes and attributes, or raise what is wrong with it.

    Parameters
    ----------
    ds
        Dataset to check. Variables the convention does not know are kept if their dimensions are
        `(basin)` (attributes) or `(basin, time)`, such as `true_*`.
    where
        Named in messages: the folder or file the data came from.

    Raises
    ------
    DataError
        Missing dimension, ids that are not unique strings, days that repeat or are missing, a
        forcing with NaN, values out of physical range, units other than the convention's.
    """
    for dim in ("basin", "time"):
        if dim not in ds.dims:
            raise DataError(
                f"{where} has no dimension {dim!r}; a catchment dataset has dims basin and time"
            )
        if dim not in ds.coords:
            raise DataError(
                f"{where} has no coordinate {dim!r}; ids and dates are what everything is joined by"
            )
    if ds.sizes["basin"] == 0 or ds.sizes["time"] == 0:
        raise DataError(f"{where} holds no {'basin' if ds.sizes['basin'] == 0 else 'day'}")
    ds = ds.assign_coords(basin=_ids(ds["basin"].values, where))
    _check_days(ds, where)
    out = {}
    for name, da in ds.data_vars.items():
        if set(da.dims) - {"basin", "time"}:
            out[name] = da
            continue
        da = da.transpose(*[d for d in ("basin", "time") if d in da.dims])
        if name in VARIABLES:
            da = _check_variable(da, name, where)
        elif da.dims == ("basin", "time") and da.dtype == np.float64:
            da = da.astype(np.float32)
        out[name] = da
    ds = ds.assign(out)
    for name, spec in COORDINATES.items():
        if name not in ds.coords:
            continue
        if (bad := ~((ds[name] >= spec.low) & (ds[name] <= spec.high)) & ds[name].notnull()).any():
            first = ds["basin"].values[bad.values][0]
            raise DataError(
                f"{where}: {name} of basin {first} is {float(ds[name].sel(basin=first)):g}, "
                f"outside {spec.low:g} to {spec.high:g} {spec.units}"
            )
        ds[name].attrs.update(units=spec.units, long_name=spec.long_name)
    return ds


def _ids(ids: np.ndarray, where: str) -> np.ndarray:
    if ids.dtype.kind not in "UOT":
        raise DataError(
            f"{where}: basin ids are numbers, so leading zeros are lost; store them as strings"
        )
    # also from numpy's StringDType, which has no astype(str)
    ids = np.array([str(i) for i in ids], dtype=object)
    values, counts = np.unique(ids.astype(str), return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{where}: basin {values[counts > 1][0]} appears {counts.max()} times")
    return ids


def _check_days(ds: xr.Dataset, where: str) -> None:
    time = ds.indexes["time"]
    if not isinstance(time, pd.DatetimeIndex):
        raise DataError(
            f"{where}: time is not in the standard calendar ({type(time).__name__}); "
            "convert it, for example with xarray's convert_calendar('standard')"
        )
    require_daily(time, where)


def require_daily(time: pd.DatetimeIndex, where: str) -> None:
    """Raise if a date repeats, is missing, is out of order or has a time of day; `where` opens the
    message."""
    if len(odd := time[time != time.normalize()]):
        raise DataError(f"{where}: {odd[0]} is not a day; daily values are stamped at 00:00")
    if time.has_duplicates:
        raise DataError(f"{where}: the date {time[time.duplicated()][0].date()} appears twice")
    if not time.is_monotonic_increasing:
        raise DataError(
            f"{where}: dates are not in order at"
            f" {time[1:][np.diff(time) < pd.Timedelta(0)][0].date()}"
        )
    full = pd.date_range(time[0], time[-1], freq="D")
    if len(missing := full.difference(time)):
        raise DataError(
            f"{where}: {len(missing)} dates are missing, the first is {missing[0].date()}; "
            "forcing must be complete"
        )


def _check_variable(da: xr.DataArray, name: str, where: str) -> xr.DataArray:
    spec = VARIABLES[name]
    units = da.attrs.get("units", da.attrs.get("unit", spec.units))
    if units != spec.units:
        raise DataError(
            f"{where}: {name} is in {units!r}, the convention is {spec.units!r}; convert it first"
        )
    if da.dims != ("basin", "time"):
        raise DataError(f"{where}: {name} has dims {da.dims}, not ('basin', 'time')")
    if da.dtype.kind not in "fiu":
        raise DataError(f"{where}: {name} holds {da.dtype} values, not numbers")
    values = da.values
    if name in FORCINGS and np.isnan(values).any():
        b, t = np.argwhere(np.isnan(values))[0]
        raise DataError(
            f"{where}: {name} of basin {da.basin.values[b]} is missing on {_day(da, t)} "
            f"({int(np.isnan(values).sum())} values in all); forcing must be complete"
        )
    with np.errstate(invalid="ignore"):
        wrong = (values < spec.low) | (values > spec.high)
    if wrong.any():
        b, t = np.argwhere(wrong)[0]
        raise DataError(
            f"{where}: {name} of basin {da.basin.values[b]} is {values[b, t]:g} {spec.units} on "
            f"{_day(da, t)}, outside {spec.low:g} to {spec.high:g}; missing is NaN, never a flag"
        )
    attrs = {"long_name": spec.long_name} | da.attrs | {"units": spec.units}
    attrs.pop("unit", None)
    return da.astype(np.float32).assign_attrs(attrs)


def _day(da: xr.DataArray, t: int | np.integer) -> str:
    return str(da["time"].values[t])[:10]


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open a user's own catchment dataset, NetCDF or Zarr, already in the convention.

    Raises
    ------
    DataError
        No such path, a file that is neither, or data that breaks the convention (see `check`).
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    try:
        ds = xr.open_zarr(path) if path.is_dir() else xr.open_dataset(path)
        ds = ds.load()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is neither NetCDF nor Zarr that xarray can read ({str(error).splitlines()[0]})"
        ) from None
    return check(ds, where=str(path))


def choose_basins(
    available: Sequence[str], wanted: Iterable[str] | None, *, where: str
) -> list[str]:
    """The ids of `wanted` among `available`, in the order wanted; all of them, sorted, for None.

    An id may be given with or without its source's prefix (`01022500` finds `camels_01022500`).

    Raises
    ------
    DataError
        An id that is not there; the message proposes the id with its leading zeros.
    """
    if wanted is None:
        return sorted(available)
    if isinstance(wanted, str):
        raise DataError(f"basins is a list of ids, not the string {wanted!r}")
    by_suffix = {bare_id(b): b for b in available}
    known = set(available)
    chosen = []
    for basin in wanted:
        if not isinstance(basin, str):
            raise DataError(
                f"basin {basin!r} is a {type(basin).__name__}; quote gauge ids, "
                "as a number they lose their leading zeros"
            )
        found = basin if basin in known else by_suffix.get(basin)
        if found is None:
            stripped = {b.lstrip("0"): b for b in by_suffix}
            zero = stripped.get(bare_id(basin).lstrip("0"))
            hint = (
                f"; did you mean {zero!r}, with its leading zero?"
                if zero
                else nearest(basin, available)
            )
            raise DataError(f"{where} has no basin {basin!r}{hint}")
        chosen.append(found)
    if len(set(chosen)) < len(chosen):
        twice = next(b for b in chosen if chosen.count(b) > 1)
        raise DataError(f"basin {twice!r} is asked for twice")
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
    """Names of the static attributes: variables over `basin` alone, numeric or text, `true_*` left
    out."""
    return [
        str(n)
        for n, v in ds.data_vars.items()
        if v.dims == ("basin",) and not str(n).startswith("true_")
    ]


def read_basin_list(path: str | Path) -> list[str]:
    """Basin ids from a text file, one a line, blank lines and `#` comments passed over.

    Raises
    ------
    DataError
        No such file, or no id in it.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"no such basin list: {path}")
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    ids = [line for line in lines if line]
    if not ids:
        raise DataError(f"{path} lists no basin")
    return ids
