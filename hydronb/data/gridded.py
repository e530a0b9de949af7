"""Gridded catchments: one basin a dataset, its forcing on a grid, its targets at the outlet;
checked on opening.

An `xarray.Dataset` with dims `time` (daily, no gaps), `y`, `x`: forcing `prcp` mm/d and `tmean`
degC `(time, y, x)`, the share `mask` of each cell that lies in the basin `(y, x)`, targets
`streamflow` and `et` mm/d `(time)`, static fields such as `elevation` m `(y, x)`, coordinates `lat`
and `lon`, the basin's name in `attrs["basin"]`. The forcing is complete in every cell, also outside
the basin; targets may have gaps, or be absent where a model is only to predict."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import TARGETS, VARIABLES, check, require_daily
from hydronb.errors import DataError, nearest

FORCING = ("prcp", "tmean")
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
"""A grid's wettest day and cell, mm/d: below it, and `LEAST_PRCP`, precipitation was given in
metres."""
LONG_ENOUGH = 30
"""Days from which on precipitation is judged so."""


def open_gridded(path: str | Path) -> xr.Dataset:
    """Open one basin's NetCDF or Zarr in the convention; in memory, but with dask where the forcing
    is larger than `LAZY_BYTES` (one pass over the file checks it all the same).

    Raises
    ------
    DataError
        No such path, a file that is neither, or data that breaks the convention (see `check_grid`).
    """
    return check_grid(read_grid(Path(path).expanduser()), where=str(path))


def read_grid(path: Path) -> xr.Dataset:
    """The dataset as it is in the file, not checked; in memory, or with dask where it is large."""
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    try:
        ds = open_lazily(path)
        if sum(ds[name].nbytes for name in FORCING if name in ds) > LAZY_BYTES:
            return _with_dask(ds, path)
        with ds:
            return ds.load()
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is neither NetCDF nor Zarr that xarray can read ({str(error).splitlines()[0]})"
        ) from None


def open_lazily(path: Path) -> xr.Dataset:
    """What xarray makes of a NetCDF file or a Zarr folder, nothing read but its coordinates."""
    return (
        xr.open_zarr(path, chunks=None, consolidated=False)
        if path.is_dir()
        else xr.open_dataset(path)
    )


def _with_dask(ds: xr.Dataset, path: Path) -> xr.Dataset:
    try:
        import dask  # noqa: F401
    except ImportError:
        raise DataError(
            f"{path} is larger than {LAZY_BYTES / 1e9:g} GB and is opened with dask, which is not "
            "installed; pip install 'hydronb[grid]'"
        ) from None
    return ds.chunk({"time": "auto"})


def is_gridded(ds: xr.Dataset) -> bool:
    """Whether the dataset means to be a gridded catchment."""
    return "basin" not in ds.dims and {"y", "x"} <= {
        DIMS.get(str(dim), str(dim)) for dim in ds.dims
    }


# Checks
# ---


def check_grid(ds: xr.Dataset, *, where: str = "grid") -> xr.Dataset:
    """Return `ds` with the convention's names, order, dtypes and attributes, or raise what is wrong
    with it.

    Parameters
    ----------
    ds
        Dataset to check. Dimensions named `lat` and `lon` (or in full) become `y` and `x`.
        Variables the convention does not know are kept, such as `true_*` and static fields `(y,
        x)`.
    where
        Named in messages: the file the data came from.

    Raises
    ------
    DataError
        Missing dimension or variable, days that repeat or are missing, a grid below 4 x 4 cells, a
        mask of another shape or without a cell, forcing with NaN, values or units that cannot be
        what they claim, targets without a value in the forcing's time.
    """
    ds = _named_dims(ds, where)
    _check_time(ds, where)
    for name in (*FORCING, "mask"):
        if name not in ds:
            raise DataError(
                f"{where} has no variable {name!r}{nearest(name, map(str, ds.data_vars))}; "
                "a gridded catchment has prcp, tmean and mask"
            )
    rows, cols = ds.sizes["y"], ds.sizes["x"]
    if min(rows, cols) < SMALLEST:
        raise DataError(
            f"{where}: a grid of {rows} x {cols} cells; the smallest is {SMALLEST} x {SMALLEST}, "
            "take a wider box around the basin"
        )
    mask = _check_mask(ds, where)
    out = {name: _check_variable(ds[name], name, ("time", "y", "x"), where) for name in FORCING}
    _check_forcing(out, mask, where)
    out |= {name: _check_target(ds[name], name, where) for name in TARGETS if name in ds}
    if "elevation" in ds:
        out["elevation"] = _check_elevation(ds["elevation"], where)
    ds = ds.assign(out | {"mask": mask})
    if "basin" not in ds.attrs:
        ds.attrs["basin"] = Path(where).stem
    return _check_places(ds, where)


def grid_problems(ds: xr.Dataset, *, where: str = "grid") -> list[str]:
    """What `check_grid` raises of the forcing and, independently, of each target."""
    targets = [name for name in TARGETS if name in ds]
    checks = [lambda: check_grid(ds.drop_vars(targets), where=where)]
    checks += [
        lambda name=name: _check_target(ds[name], name, where)
        for name in targets
        if "time" in ds.coords
    ]
    problems = []
    for attempt in checks:
        try:
            attempt()
        except DataError as error:
            problems.append(str(error))
    return problems


def _named_dims(ds: xr.Dataset, where: str) -> xr.Dataset:
    dims = {str(dim) for dim in ds.dims}
    for old in (name for name in DIMS if name in dims and DIMS[name] not in dims):
        ds = ds.rename_dims({old: DIMS[old]}).drop_indexes(old, errors="ignore")
    names = {
        old: new
        for old, new in (("latitude", "lat"), ("longitude", "lon"))
        if old in ds.coords and new not in ds
    }
    ds = ds.rename_vars(names)
    for dim in ("time", "y", "x"):
        if dim not in ds.dims:
            raise DataError(
                f"{where} has no dimension {dim!r} (it has"
                f" {', '.join(map(str, ds.dims)) or 'none'}); a gridded catchment has dims time,"
                " y, x"
            )
    return ds


def _check_time(ds: xr.Dataset, where: str) -> None:
    if "time" not in ds.coords:
        raise DataError(f"{where} has no coordinate 'time'; dates are what everything is joined by")
    if not ds.sizes["time"]:
        raise DataError(f"{where} holds no day")
    time = ds.indexes["time"]
    if not isinstance(time, pd.DatetimeIndex):
        raise DataError(
            f"{where}: time is not in the standard calendar ({type(time).__name__}); "
            "convert it, for example with xarray's convert_calendar('standard')"
        )
    require_daily(time, where)


def _check_mask(ds: xr.Dataset, where: str) -> xr.DataArray:
    mask, shape = ds["mask"], (ds.sizes["y"], ds.sizes["x"])
    if set(mask.dims) != {"y", "x"}:
        raise DataError(
            f"{where}: mask is {_shape(mask)}, the grid is {shape[0]} x {shape[1]} (y, x); "
            "mask and grid must be of the same shape"
        )
    mask = mask.transpose("y", "x").astype(np.float32)
    values = mask.to_numpy()
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            f"{where}: mask has values outside 0 to 1; it is the share of each cell that lies in"
            " the basin"
        )
    if not (values > 0).any():
        raise DataError(
            f"{where}: mask is empty, no cell lies in the basin; do box and basin overlap?"
        )
    return mask.assign_attrs(units="1", long_name="share of the cell in the basin")


def _shape(da: xr.DataArray) -> str:
    return f"{' x '.join(map(str, da.shape))} ({', '.join(map(str, da.dims))})"


def _check_variable(da: xr.DataArray, name: str, dims: tuple[str, ...], where: str) -> xr.DataArray:
    """Dims, units and dtype, as the convention has them."""
    spec = VARIABLES[name]
    if set(da.dims) != set(dims):
        raise DataError(f"{where}: {name} is {_shape(da)}, not over {dims}")
    units = da.attrs.get("units", spec.units)
    if units != spec.units:
        raise DataError(
            f"{where}: {name} is in {units!r}, the convention is {spec.units!r}; convert it first"
        )
    if da.dtype.kind not in "fiu":
        raise DataError(f"{where}: {name} holds {da.dtype} values, not numbers")
    attrs = {"long_name": spec.long_name} | da.attrs | {"units": spec.units}
    return da.transpose(*dims).astype(np.float32, copy=False).assign_attrs(attrs)


def _check_forcing(forcing: Mapping[str, xr.DataArray], mask: xr.DataArray, where: str) -> None:
    """Complete, and in range; one pass over the values, also where dask holds them."""
    found = xr.Dataset(
        {
            f"{name} {what}": value
            for name, da in forcing.items()
            for what, value in (
                ("low", da.min()),
                ("high", da.max()),
                ("mean", da.where(mask > 0).mean()),
                ("missing", np.isnan(da).sum()),
            )
        }
    ).compute()
    for name, da in forcing.items():
        low, high, mean, missing = (
            float(found[f"{name} {what}"]) for what in ("low", "high", "mean", "missing")
        )
        if missing:
            raise DataError(
                f"{where}: {name} is missing in {_first(da, np.isnan(da))} ({int(missing)} values"
                " in all); forcing must be complete in every cell of the grid"
            )
        judge(name, low, high, where)
        if (
            name == "prcp"
            and mean < LEAST_PRCP
            and high < LEAST_STORM
            and da.sizes["time"] >= LONG_ENOUGH
        ):
            raise DataError(
                f"{where}: prcp is {mean:.2g} mm/d on average and never above {high:.2g}: metres "
                "rather than millimetres? multiply by 1000"
            )


def judge(name: str, low: float | int, high: float | int, where: str) -> None:
    """Raise if the lowest or the highest value of a variable is none that it can have."""
    spec = VARIABLES[name]
    if low >= spec.low and high <= spec.high:
        return
    wrong = low if low < spec.low else high
    guess = "; kelvin rather than degC? subtract 273.15" if name == "tmean" and low > 150 else ""
    raise DataError(
        f"{where}: {name} of {wrong:g} {spec.units} is outside {spec.low:g} to {spec.high:g}"
        f"{guess or '; missing is NaN, never a flag'}"
    )


def _first(da: xr.DataArray, wrong: xr.DataArray) -> str:
    day = int(wrong.any(["y", "x"]).argmax("time"))
    y, x = np.argwhere(wrong.isel(time=day).to_numpy())[0]
    return f"cell ({y}, {x}) on {str(da['time'].values[day])[:10]}"


def _check_target(da: xr.DataArray, name: str, where: str) -> xr.DataArray:
    da = _check_variable(da, name, ("time",), where).load()
    there = da.to_numpy()[np.isfinite(da.to_numpy())]
    if not len(there):
        raise DataError(
            f"{where}: {name} has no value between {str(da.time.values[0])[:10]} and"
            f" {str(da.time.values[-1])[:10]}, the time of the forcing; the two must overlap, or"
            f" leave {name} out"
        )
    judge(name, float(there.min()), float(there.max()), where)
    return da


def _check_elevation(da: xr.DataArray, where: str) -> xr.DataArray:
    if set(da.dims) != {"y", "x"}:
        raise DataError(f"{where}: elevation is {_shape(da)}, not over (y, x)")
    da = da.transpose("y", "x").astype(np.float32)
    if not ((da > -500) & (da < 9000)).all():
        raise DataError(
            f"{where}: elevation is missing or outside -500 to 9000 m; it is needed in every cell"
        )
    return da.assign_attrs({"long_name": "elevation"} | da.attrs | {"units": "m"})


def _check_places(ds: xr.Dataset, where: str) -> xr.Dataset:
    for name, dim, limit in (("lat", "y", 90), ("lon", "x", 360)):
        if name not in ds.coords:
            raise DataError(
                f"{where} has no coordinate {name!r}; cells are weighed by it, give {name} over"
                f" {dim}"
            )
        if set(ds[name].dims) not in ({dim}, {"y", "x"}):
            raise DataError(f"{where}: {name} is {_shape(ds[name])}, not over {dim}")
        if not (abs(ds[name]) <= limit).all():
            raise DataError(f"{where}: {name} is missing or outside -{limit} to {limit} degrees")
    return ds


# Means over the basin
# ---


def cell_weights(ds: xr.Dataset) -> xr.DataArray:
    """Each cell's share of the basin's area, `(y, x)`, float64, summing to 1: its part in the basin
    times the cosine of its latitude."""
    weights = ds["mask"].astype(np.float64) * np.cos(np.deg2rad(ds["lat"].astype(np.float64)))
    return (
        (weights / weights.sum())
        .transpose("y", "x")
        .drop_vars(["lat", "lon"], errors="ignore")
        .rename("weight")
    )


def basin_mean(ds: xr.Dataset, name: Hashable) -> xr.DataArray:
    """Mean of `ds[name]` over the basin, each cell by `cell_weights`; cells outside count for
    nothing, NaN or not."""
    weights = cell_weights(ds)
    da = ds[name].where(weights > 0, 0.0).drop_vars(["lat", "lon"], errors="ignore")
    return xr.dot(da, weights, dim=["y", "x"]).rename(str(name)).assign_attrs(ds[name].attrs)


def cell_area(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Area of the cells of a regular grid, km2, `(y, x)`, from their centres in degrees."""
    north, south = (np.sin(np.deg2rad(edge)) for edge in edges(lat))
    west, east = (np.deg2rad(edge) for edge in edges(lon))
    return EARTH_KM**2 * np.abs(north - south)[:, None] * np.abs(east - west)[None, :]


def edges(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper edge of each cell of a regular axis."""
    half = abs(float(centres[-1] - centres[0])) / (len(centres) - 1) / 2
    return centres - half, centres + half


def as_catchment(ds: xr.Dataset) -> xr.Dataset:
    """The basin's means and targets as a catchment dataset of one basin: what a lumped model gets
    to see.

    `prcp` and `tmean` are `basin_mean`s; targets and `true_*` series over `time` come along.
    """
    series: dict[str, Any] = {name: basin_mean(ds, name).astype(np.float32) for name in FORCING}
    series |= {str(name): da for name, da in ds.data_vars.items() if da.dims == ("time",)}
    out = (
        xr.Dataset(series)
        .drop_vars(["lat", "lon"], errors="ignore")
        .expand_dims(basin=[ds.attrs["basin"]])
    )
    mean = {
        name: ("basin", [float((ds[name] * cell_weights(ds)).sum())]) for name in ("lat", "lon")
    }
    if "area" in ds.coords:
        mean["area"] = ("basin", [float(ds["area"])])
    out = out.assign_coords(
        mean | {"gauge_name": ("basin", np.array([ds.attrs["basin"]], dtype=object))}
    )
    return check(out, where=ds.attrs["basin"])
