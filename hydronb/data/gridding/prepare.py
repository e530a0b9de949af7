"""A gridded catchment made from one basin's products: `hydronb data grid RECIPE.yaml BASIN.zarr`.

Precipitation defines the grid; temperature is regridded to it, evaporation is averaged over the
basin, runoff comes from a table. Days are made in blocks, each block read, aggregated, checked and
written before the next, so that a grid of decades in steps of hours is never in memory as a whole.
A run that was stopped continues from its last block, and the result is complete or absent."""

import contextlib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from pydantic import Field
from tqdm.auto import tqdm

from hydronb.data.dataset import variable_attrs
from hydronb.data.gridded import LONG_ENOUGH, cell_area, check_grid, limit_problems
from hydronb.data.gridding.outline import MaskOutline, PolygonOutline, read_outline
from hydronb.data.gridding.products import DAY, Product, ProductReader, find_files, open_field
from hydronb.data.gridding.regrid import Axes, regrid
from hydronb.data.problems import raise_first
from hydronb.errors import DataError, ParameterError
from hydronb.files import read_json, reading, write, writing
from hydronb.parameters.base import Parameters, Period, Positive, read_parameters, resolve

BLOCK_BYTES = 32_000_000
"""What the steps of a block take in memory; a few times as much is in use while they are
aggregated."""
LEAST_ET_SHARE = 0.5
"""Share of the basin that must have evaporation for a day to have a mean."""
AREAS_DIFFER = 0.1
"""Share by which the outline's area may differ from the given one."""
PROGRESS = "progress.json"


class GridWarning(UserWarning):
    """Something about a basin's data that should be looked at."""


class Runoff(Parameters):
    """Runoff at the outlet, a table with a column of dates."""

    file: str
    column: str | None = None
    """Needed if there is more than one besides the dates, which come first."""
    units: Literal["m3/s", "mm/d"] = "m3/s"
    area: Positive | None = None
    """Of the basin, km2; by default the outline's."""


class Recipe(Parameters):
    """What a gridded catchment is made of; a YAML file for `hydronb data grid`."""

    basin: str = Field(min_length=1)
    """Its name."""
    outline: str
    """GeoJSON with the basin's polygon, or NetCDF or Zarr with a mask over latitude and
    longitude."""
    prcp: Product
    tmean: Product
    et: Product | None = None
    streamflow: Runoff | None = None
    elevation: Product | None = None
    period: Period | None = None
    """First and last day; by default all days that precipitation and temperature share."""
    margin: Annotated[int, Field(ge=0)] = 0
    """Cells around the basin's box."""
    utc_offset: Annotated[int, Field(ge=-12, le=14)] = 0
    """Hours by which local time is ahead of UTC; days of products in steps below a day begin at
    local midnight."""


def read_recipe(path: str | Path) -> Recipe:
    """A recipe from YAML.

    Raises
    ------
    ParameterError
        No such file, not YAML, an unknown name.
    """
    values = read_parameters(resolve(path), hint="docs/data.md shows a recipe")
    return Recipe.validate_parameters(values, where=str(path))


def prepare_grid(
    recipe: Recipe | Mapping[str, Any], destination: str | Path, *, progress: bool = True
) -> Path:
    """Make the gridded catchment that `recipe` describes, a Zarr folder for `open_gridded`.

    Parameters
    ----------
    recipe
        A `Recipe`, or its names and values.
    destination
        Folder to write, which must not exist yet. Until it is complete it is called
        `NAME.partial`; the same call continues from the last block in it.
    progress
        Show progress bars.

    Raises
    ------
    ParameterError, DataError
        In one line: which file, what is wrong, what to do.
    """
    recipe = Recipe.validate_parameters(dict(recipe))
    folder = resolve(destination)
    if folder.exists():
        raise ParameterError(f"{folder} is there already; remove it or choose another name")
    outline = read_outline(resolve(recipe.outline))
    west, south, east, north = outline.box
    readers = {
        name: ProductReader(name, product, (west + east) / 2, recipe.utc_offset, progress=progress)
        for name, product in (("prcp", recipe.prcp), ("tmean", recipe.tmean), ("et", recipe.et))
        if product
    }
    high, wide = (recipe.margin * width for width in readers["prcp"].axes.cell)
    axes = readers["prcp"].cut((west - wide, south - high, east + wide, north + high)).axes
    for name in readers.keys() - {"prcp"}:
        readers[name].cut(axes.box, beyond=1)
    static = _static(recipe, outline, axes, _days(recipe, readers))
    with writing(folder):
        partial = folder.with_name(f"{folder.name}.partial")
        _fill(partial, recipe, readers, outline, static, progress=progress)
        os.replace(partial, folder)
    return folder


def _days(recipe: Recipe, readers: dict[str, ProductReader]) -> pd.DatetimeIndex:
    covered = {name: reader.days for name, reader in readers.items()}
    spans = ", ".join(
        f"{name} {days[0].date()} to {days[-1].date()}" for name, days in covered.items()
    )
    days = covered["prcp"].intersection(covered["tmean"])
    if not len(days):
        raise DataError(f"prcp and tmean share no day ({spans})")
    if recipe.period:
        shared, days = days, pd.date_range(recipe.period.start, recipe.period.end)
        if not days.isin(shared).all():
            raise DataError(
                f"period {recipe.period} is not covered ({spans}); shorten it or add files"
            )
    if "et" in covered and not len(days.intersection(covered["et"])):
        raise DataError(
            f"et does not overlap the forcing in time ({spans}); leave it out or add files"
        )
    return days


# Static fields and runoff
# ---


def _static(
    recipe: Recipe, outline: PolygonOutline | MaskOutline, axes: Axes, days: pd.DatetimeIndex
) -> xr.Dataset:
    """Everything except the series that are made in blocks."""
    mask = outline.share(axes)
    area = float((mask * cell_area(axes.lat, axes.lon)).sum())
    ds = xr.Dataset(
        {"mask": (("y", "x"), mask.astype(np.float32))},
        coords={
            "time": days,
            "lat": ("y", axes.lat, {"units": "degrees_north"}),
            "lon": ("x", axes.lon, {"units": "degrees_east"}),
            "area": ((), area, {"units": "km2"}),
        },
        attrs={
            "basin": recipe.basin,
            "source": "hydronb.data.gridding.prepare",
            "recipe": json.dumps(recipe.plain()),
        },
    )
    if recipe.elevation:
        ds["elevation"] = (("y", "x"), _elevation(recipe.elevation, axes))
    if recipe.streamflow:
        ds["streamflow"] = ("time", _runoff(recipe.streamflow, days, area), {"units": "mm/d"})
    return ds


def _elevation(product: Product, axes: Axes) -> np.ndarray:
    path = find_files(product.files, "elevation")[0]
    centre = float(axes.lon.mean())
    west, south, east, north = axes.box
    with open_field(path, "elevation", product.variable) as da:
        da = da.isel(time=0) if "time" in da.dims else da
        da = (
            da.assign_coords(lon=(da["lon"] - centre + 180) % 360 - 180 + centre)
            .sortby("lat", ascending=False)
            .sortby("lon")
        )
        high, wide = Axes(da["lat"].to_numpy(), da["lon"].to_numpy()).cell
        da = (
            da.sel(lat=slice(north + high, south - high), lon=slice(west - wide, east + wide))
            .astype(np.float64)
            .load()
        )
    if min(da.shape) < 2:
        raise DataError(f"{path}: elevation does not reach over the basin's box")
    source = Axes(*(da[dim].to_numpy().astype(np.float64) for dim in ("lat", "lon")))
    return (product.factor * regrid(da.to_numpy(), source, axes)).astype(np.float32)


def _runoff(runoff: Runoff, days: pd.DatetimeIndex, area: float) -> np.ndarray:
    """mm/d on `days`, NaN on days without a value in the table."""
    path = resolve(runoff.file)
    if not path.is_file():
        raise DataError(f"streamflow: no file {path}")
    with reading(path, "a table with dates in its first column, empty where a value is missing"):
        table = pd.read_csv(path, sep=None, engine="python", comment="#", index_col=0)
        table.index = pd.to_datetime(table.index).normalize()
        column = runoff.column or (table.columns[0] if len(table.columns) == 1 else None)
        if column not in table.columns:
            raise DataError(
                f"{path}: which column is the runoff? it has {', '.join(map(str, table.columns))};"
                " set column"
            )
        series = pd.to_numeric(table[column])
    if series.index.has_duplicates:
        raise DataError(
            f"{path}: {series.index[series.index.duplicated()][0].date()} occurs twice; give daily"
            " means"
        )
    if (series < 0).any():
        raise DataError(
            f"{path}: runoff of {series.min():g} on {series.idxmin().date()}; missing is empty,"
            " never a flag"
        )
    if runoff.area and not abs(area / runoff.area - 1) <= AREAS_DIFFER:
        warnings.warn(
            f"{path}: the basin's area is given as {runoff.area:g} km2, its outline has"
            f" {area:.0f} km2",
            GridWarning,
            stacklevel=4,
        )
    runoff_mm = series.reindex(days)
    if not runoff_mm.notna().any():
        raise DataError(
            f"{path}: no runoff from {days[0].date()} to {days[-1].date()}, the time of the"
            f" forcing; the table has {series.index.min().date()} to {series.index.max().date()}"
        )
    if runoff.units == "m3/s":
        runoff_mm = runoff_mm * 86.4 / (runoff.area or area)
    raise_first(limit_problems("streamflow", runoff_mm.min(), runoff_mm.max(), str(path)))
    return runoff_mm.to_numpy(dtype=np.float32)


# Blocks
# ---


def _fill(
    partial: Path,
    recipe: Recipe,
    readers: dict[str, ProductReader],
    outline: PolygonOutline | MaskOutline,
    static: xr.Dataset,
    *,
    progress: bool,
) -> None:
    """Write the series into the store `partial`, from the last complete block in it on."""
    days = static.indexes["time"]
    most = max(
        int(DAY / reader.step) * reader.axes.lat.size * reader.axes.lon.size * 4
        for reader in readers.values()
    )
    length = int(np.clip(BLOCK_BYTES // most, 1, 366))
    identity = _identity(recipe, readers, static, length)
    done = 0
    with contextlib.suppress(DataError):
        record = read_json(partial / PROGRESS)
        done = int(record["days_done"]) if record.get("identity") == identity else 0
    if not done:
        shutil.rmtree(partial, ignore_errors=True)
        _write_empty(partial, readers, static, length)
    share = outline.share(readers["et"].axes) if "et" in readers else None
    store = zarr.open_group(partial, mode="r+")
    with tqdm(
        total=len(days),
        initial=done,
        unit="day",
        desc=recipe.basin,
        leave=False,
        disable=not progress,
    ) as bar:
        for start in range(done, len(days), length):
            block = slice(start, min(start + length, len(days)))
            for name, values in _block(recipe, readers, share, static, days[block]).items():
                store[name][block] = values
            write(partial / PROGRESS, json.dumps({"identity": identity, "days_done": block.stop}))
            bar.update(block.stop - start)
    if "et" in readers and not np.isfinite(store["et"][:]).any():
        raise DataError(
            "et has no value in the basin at the time of the forcing; leave it out or see its files"
        )
    (partial / PROGRESS).unlink()


def _block(
    recipe: Recipe,
    readers: dict[str, ProductReader],
    share: np.ndarray | None,
    static: xr.Dataset,
    days: pd.DatetimeIndex,
) -> dict[str, np.ndarray]:
    """A block's series, checked as `open_gridded` checks a whole grid."""
    prcp, tmean = readers["prcp"], readers["tmean"]
    out = {
        "prcp": prcp.daily(days),
        "tmean": regrid(tmean.daily(days), tmean.axes, prcp.axes).astype(np.float32),
    }
    check_grid(
        static[["mask"]]
        .assign_coords(time=days)
        .assign({name: (("time", "y", "x"), values) for name, values in out.items()}),
        where=f"{recipe.basin}, {days[0].date()} on",
    )
    if share is not None and len(days.intersection(readers["et"].days)):
        out["et"] = _basin_et(readers["et"], share, days)
    return out


def _basin_et(reader: ProductReader, share: np.ndarray, days: pd.DatetimeIndex) -> np.ndarray:
    """Mean over the basin, mm/d; NaN on days that the product does not cover, or not in half of the
    basin."""
    covered = days.intersection(reader.days)
    values = reader.daily(covered)
    weights = (share * np.cos(np.deg2rad(reader.axes.lat))[:, None]).astype(np.float64)
    weights = np.isfinite(values) * (weights / weights.sum())
    part = weights.sum(axis=(1, 2))
    enough = part >= LEAST_ET_SHARE
    mean = (weights * np.nan_to_num(values)).sum(axis=(1, 2))[enough] / part[enough]
    if len(mean):
        raise_first(limit_problems("et", mean.min(), mean.max(), str(reader.paths[0])))
        if mean.mean() < 0 and len(days) >= LONG_ENOUGH:
            raise DataError(
                f"{reader.paths[0]}: et is {mean.mean():.2g} mm/d on average from {days[0].date()}"
                " on; if evaporation counts as negative, set factor to -1"
            )
    return pd.Series(mean, covered[enough]).reindex(days).to_numpy(np.float32)


def _write_empty(
    partial: Path, readers: dict[str, ProductReader], static: xr.Dataset, length: int
) -> None:
    """The store with everything but the series, for which there is room."""
    static.to_zarr(partial, mode="w", zarr_format=3, consolidated=False)
    store = zarr.open_group(partial, mode="r+")
    for name in readers:
        dims = ["time"] if name == "et" else ["time", "y", "x"]
        shape = tuple(static.sizes[dim] for dim in dims)
        store.create_array(
            name,
            shape=shape,
            chunks=(length, *shape[1:]),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=dims,
            attributes=variable_attrs(name),
        )


def _identity(
    recipe: Recipe, readers: dict[str, ProductReader], static: xr.Dataset, length: int
) -> str:
    """What a partial result must have been made from if it is to be continued."""
    files = [
        [str(path), path.stat().st_size, path.stat().st_mtime_ns]
        for reader in readers.values()
        for path in reader.paths
    ]
    fixed = [static[name].values.tobytes().hex() for name in sorted(map(str, static.variables))]
    return hashlib.sha256(json.dumps([recipe.plain(), files, fixed, length]).encode()).hexdigest()
