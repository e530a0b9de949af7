"""Gridded catchments: one basin per dataset, its forcing on a grid, its targets at the outlet;
checked when it is opened.

An `xarray.Dataset` with dims `time` (daily, no gaps), `y`, `x`: forcing `prcp` mm/d and `tmean`
degC `(time, y, x)`, the share `mask` of each cell that lies in the basin `(y, x)`, targets
`streamflow` and `et` mm/d `(time)`, static fields such as `elevation` m `(y, x)`, coordinates `lat`
and `lon`, the basin's name in `attrs["basin"]`. The forcing is complete in every cell, also outside
the basin; targets may have gaps, or be absent where a model is only to predict."""

from collections.abc import Hashable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import xarray as xr

from hydronb.data.dataset import (
    COORDINATES,
    TARGETS,
    VARIABLES,
    Variable,
    check,
    day_problems,
    in_convention,
    shape_text,
)
from hydronb.data.problems import Reading, raise_first
from hydronb.errors import DataError, nearest
from hydronb.files import reading

FORCING = ("prcp", "tmean")
FIELDS = {
    "mask": Variable("1", "share of the cell in the basin", 0.0, 1.0),
    "elevation": Variable("m", "elevation", -500.0, 9000.0),
}
"""Static fields that have to be complete; others may come along."""
SMALLEST = 4
"""Fewest rows, and columns, of a grid."""
LAZY_BYTES = 1_000_000_000
"""Forcing larger than this is opened lazily, with dask."""
DIMS = {"latitude": "y", "lat": "y", "longitude": "x", "lon": "x"}
"""Other names of the two dimensions."""
EARTH_KM = 6371.0
LEAST_PRCP = 0.03
"""Mean precipitation in mm/d below which no basin has a river; that of 11 m/a, written as if it
were mm."""
LEAST_STORM = 1.0
"""Precipitation of a grid's wettest day and cell, mm/d: below it, and below `LEAST_PRCP`, it was
given in metres."""
LONG_ENOUGH = 30
"""Days from which on precipitation is judged so."""


def open_gridded(path: str | Path) -> xr.Dataset:
    """Open one basin's NetCDF or Zarr in the convention; in memory, but with dask where the forcing
    is larger than `LAZY_BYTES` (one pass over the file checks it all the same).

    Raises
    ------
    DataError
        No such path, a file that is neither, or data that break the convention (see `check_grid`).
    """
    return raise_first(reading_grid(Path(path).expanduser()))


def reading_grid(path: Path) -> Reading[xr.Dataset]:
    """`open_gridded` as a reading."""
    with reading(path, "NetCDF or Zarr"):
        ds = (
            xr.open_zarr(path, chunks=None, consolidated=False)
            if path.is_dir()
            else xr.open_dataset(path, engine="netcdf4")
        )
        large = sum(ds[name].nbytes for name in FORCING if name in ds) > LAZY_BYTES
        if large and not find_spec("dask"):
            raise DataError(
                f"{path} is larger than {LAZY_BYTES / 1e9:g} GB and is opened with dask, which is"
                " not installed; pip install 'hydronb[grid]'"
            )
        ds = ds.chunk({"time": "auto"}) if large else ds.load()
    if not large:
        ds.close()
    return (yield from checking_grid(ds, str(path)))


# Checks
# ---


def check_grid(ds: xr.Dataset, *, where: str = "grid") -> xr.Dataset:
    """`ds` with the convention's names, order, dtypes and attributes.

    Parameters
    ----------
    ds
        Dataset to check. Dimensions named `lat` and `lon` (or in full) become `y` and `x`.
        Variables that the convention does not know are kept, such as `true_*` and static fields
        `(y, x)`.
    where
        Named in messages: the file the data came from.

    Raises
    ------
    DataError
        Missing dimension or variable, days that repeat or are missing, a grid below 4 x 4 cells, a
        mask of another shape or without a cell, forcing with NaN, values or units that cannot be
        what they claim, targets without a value in the forcing's time.
    """
    return raise_first(checking_grid(ds, where))


def checking_grid(ds: xr.Dataset, where: str) -> Reading[xr.Dataset]:
    """`check_grid` as a reading."""
    ds = _named_dims(ds, where)
    if "time" not in ds.indexes:
        raise DataError(f"{where} has no coordinate 'time'; dates are what everything is joined by")
    if not ds.sizes["time"]:
        raise DataError(f"{where} holds no day")
    yield from day_problems(ds.indexes["time"], where)
    for name in [name for name in (*FORCING, "mask") if name not in ds]:
        yield (
            f"{where} has no variable {name!r}{nearest(name, map(str, ds.data_vars))}; "
            "a gridded catchment has prcp, tmean and mask"
        )
    if min(ds.sizes["y"], ds.sizes["x"]) < SMALLEST:
        yield (
            f"{where}: a grid of {ds.sizes['y']} x {ds.sizes['x']} cells; the smallest is"
            f" {SMALLEST} x {SMALLEST}, take a wider box around the basin"
        )
    out: dict[str, xr.DataArray | None] = {}
    for name in [name for name in (*FIELDS, *FORCING, *TARGETS) if name in ds]:
        dims = ("time", "y", "x") if name in FORCING else ("time",)
        out[name] = yield from (
            _checking_field(ds[name], name, where)
            if name in FIELDS
            else in_convention(ds[name], name, dims, where)
        )
    out = {name: da for name, da in out.items() if da is not None}
    yield from _forcing_problems({n: out[n] for n in FORCING if n in out}, out.get("mask"), where)
    for name in out.keys() & TARGETS.keys():
        out[name] = out[name].load()
        yield from _target_problems(out[name], name, where)
    yield from _place_problems(ds, where)
    return ds.assign(out).assign_attrs(basin=str(ds.attrs.get("basin", Path(where).stem)))


def _named_dims(ds: xr.Dataset, where: str) -> xr.Dataset:
    dims = {str(dim) for dim in ds.dims}
    for old in (name for name in DIMS if name in dims and DIMS[name] not in dims):
        ds = ds.rename_dims({old: DIMS[old]}).drop_indexes(old, errors="ignore")
    ds = ds.rename_vars(
        {
            old: new
            for old, new in (("latitude", "lat"), ("longitude", "lon"))
            if old in ds.coords and new not in ds
        }
    )
    if lacking := [dim for dim in ("time", "y", "x") if dim not in ds.dims]:
        raise DataError(
            f"{where} has no dimension {lacking[0]!r} (it has"
            f" {', '.join(map(str, ds.dims)) or 'none'}); a gridded catchment has dims time, y, x"
        )
    return ds


def _checking_field(da: xr.DataArray, name: str, where: str) -> Reading[xr.DataArray]:
    spec = FIELDS[name]
    if set(da.dims) != {"y", "x"} or da.dtype.kind not in "fiub":
        yield (
            f"{where}: {name} is {shape_text(da)} of {da.dtype}; it has to be numbers over the"
            " grid, (y, x)"
        )
        return None
    da = da.transpose("y", "x").astype(np.float32)
    if not ((da >= spec.low) & (da <= spec.high)).all():
        yield (
            f"{where}: {name} is missing or outside {spec.low:g} to {spec.high:g}; it is the"
            f" {spec.long_name} ({spec.units}), needed in every cell"
        )
    elif name == "mask" and not (da > 0).any():
        yield f"{where}: mask is empty, no cell lies in the basin; do box and basin overlap?"
    return da.assign_attrs({"long_name": spec.long_name} | da.attrs | {"units": spec.units})


def _forcing_problems(
    forcing: Mapping[str, xr.DataArray], mask: xr.DataArray | None, where: str
) -> Iterator[str]:
    """Gaps and values out of range; one pass over the values, also where dask holds them."""
    with reading(Path(where), "a gridded catchment"):
        facts = xr.Dataset(
            {
                f"{name} {what}": value
                for name, da in forcing.items()
                for what, value in (
                    ("low", da.min()),
                    ("high", da.max()),
                    ("mean", (da if mask is None else da.where(mask > 0)).mean()),
                    ("missing", np.isnan(da).sum()),
                )
            }
        ).compute()
    for name, da in forcing.items():
        low, high, mean, missing = (
            float(facts[f"{name} {what}"]) for what in ("low", "high", "mean", "missing")
        )
        if missing:
            day = int(np.isnan(da).any(["y", "x"]).argmax("time"))
            y, x = np.argwhere(np.isnan(da[day]).to_numpy())[0]
            yield (
                f"{where}: {name} is missing in cell ({y}, {x}) on"
                f" {str(da['time'].values[day])[:10]} ({int(missing)} values in all); forcing must"
                " be complete in every cell of the grid"
            )
        yield from limit_problems(name, low, high, where)
        if (
            name == "prcp"
            and mean < LEAST_PRCP
            and high < LEAST_STORM
            and da.sizes["time"] >= LONG_ENOUGH
        ):
            yield (
                f"{where}: prcp is {mean:.2g} mm/d on average and never above {high:.2g}: metres "
                "rather than millimetres? multiply by 1000"
            )


def limit_problems(name: str, low: float, high: float, where: str) -> Iterator[str]:
    """What is wrong with the lowest and the highest value of a variable; NaN is no problem."""
    spec = VARIABLES[name]
    if low < spec.low or high > spec.high:
        wrong = low if low < spec.low else high
        hint = (
            "kelvin rather than degC? subtract 273.15"
            if name == "tmean" and low > 150
            else "missing is NaN, never a flag"
        )
        yield (
            f"{where}: {name} of {wrong:g} {spec.units} is outside {spec.low:g} to {spec.high:g};"
            f" {hint}"
        )


def _target_problems(da: xr.DataArray, name: str, where: str) -> Iterator[str]:
    values = da.to_numpy()[~np.isnan(da.to_numpy())]
    if len(values):
        yield from limit_problems(name, float(values.min()), float(values.max()), where)
    else:
        yield (
            f"{where}: {name} has no value between {str(da.time.values[0])[:10]} and"
            f" {str(da.time.values[-1])[:10]}, the time of the forcing; the two must overlap, or"
            f" leave {name} out"
        )


def _place_problems(ds: xr.Dataset, where: str) -> Iterator[str]:
    for name, dim, limit in (("lat", "y", 90), ("lon", "x", 360)):
        if name not in ds.coords:
            yield (
                f"{where} has no coordinate {name!r}; cells are weighed by it, give {name} over"
                f" {dim}"
            )
        elif set(ds[name].dims) not in ({dim}, {"y", "x"}) or ds[name].dtype.kind not in "fiu":
            yield f"{where}: {name} is {shape_text(ds[name])} of {ds[name].dtype}, not over {dim}"
        elif not (abs(ds[name]) <= limit).all():
            yield f"{where}: {name} is missing or outside -{limit} to {limit} degrees"
    area, spec = ds.coords.get("area", xr.DataArray(0.0)), COORDINATES["area"]
    if area.ndim or area.dtype.kind not in "fiu" or area < spec.low or area > spec.high:
        yield f"{where}: area is {area.values}, not one number of 0 to {spec.high:g} km2"


# Means over the basin
# ---


def cell_weights(ds: xr.Dataset) -> xr.DataArray:
    """Each cell's share of the basin's area, `(y, x)`, float64, summing to 1: the part of the cell
    in the basin times the cosine of its latitude."""
    weights = ds["mask"].astype(np.float64) * np.cos(np.deg2rad(ds["lat"].astype(np.float64)))
    return (
        (weights / weights.sum())
        .transpose("y", "x")
        .drop_vars(["lat", "lon"], errors="ignore")
        .rename("weight")
    )


def basin_mean(ds: xr.Dataset, name: Hashable) -> xr.DataArray:
    """Mean of `ds[name]` over the basin, cells weighted by `cell_weights`; cells outside do not
    count, whether they are NaN or not."""
    weights = cell_weights(ds)
    da = ds[name].where(weights > 0, 0.0).drop_vars(["lat", "lon"], errors="ignore")
    return xr.dot(da, weights, dim=["y", "x"]).rename(str(name)).assign_attrs(ds[name].attrs)


def cell_area(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Area of the cells of a regular grid, km2, `(y, x)`, from their centres in degrees."""
    high, wide = (abs(float(axis[-1] - axis[0])) / (len(axis) - 1) / 2 for axis in (lat, lon))
    south, north = (np.sin(np.deg2rad(edge)) for edge in (lat - high, lat + high))
    west, east = (np.deg2rad(edge) for edge in (lon - wide, lon + wide))
    return EARTH_KM**2 * np.abs(north - south)[:, None] * np.abs(east - west)[None, :]


def as_catchment(ds: xr.Dataset) -> xr.Dataset:
    """The basin's means and targets as a catchment dataset of one basin: what a lumped model sees.

    `prcp` and `tmean` are `basin_mean`s; targets and `true_*` series over `time` come along.
    """
    lat, lon = (float((ds[name] * cell_weights(ds)).sum()) for name in ("lat", "lon"))
    place = {"lat": lat, "lon": lon - 360 if lon > 180 else lon}
    if "area" in ds.coords:
        place["area"] = float(ds["area"])
    out = (
        xr.Dataset(
            {name: basin_mean(ds, name).astype(np.float32) for name in FORCING}
            | {str(name): da for name, da in ds.data_vars.items() if da.dims == ("time",)}
        )
        .drop_vars(["lat", "lon"], errors="ignore")
        .expand_dims(basin=[ds.attrs["basin"]])
        .assign_coords({name: ("basin", [value]) for name, value in place.items()})
        .assign_coords(gauge_name=("basin", np.array([ds.attrs["basin"]], dtype=object)))
    )
    return check(out, where=ds.attrs["basin"])
