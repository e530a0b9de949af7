"""One basin's products made a gridded catchment: `hydronb data grid RECIPE.yaml BASIN.zarr`.

Precipitation defines the grid; temperature is brought to it, evaporation is averaged over the
basin, runoff comes from a table. Days are made block by block, each block read, aggregated, checked
and written before the next, so that a grid of decades in steps of hours never lies in memory. What
was stopped goes on where it stopped, and the result is there whole or not at all."""

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

from hydronb.data.dataset import VARIABLES
from hydronb.data.gridded import LONG_ENOUGH, cell_area, check_grid, judge
from hydronb.data.gridding.outline import MaskOutline, PolygonOutline, read_outline
from hydronb.data.gridding.products import (
    Product,
    Source,
    choose_variable,
    find_files,
    opened,
    plain,
)
from hydronb.data.gridding.regrid import Axes, regrid
from hydronb.errors import DataError, ParameterError
from hydronb.parameters.base import Parameters, Period, Positive, read_parameters, resolve

BLOCK_BYTES = 32_000_000
"""What the steps of a block take in memory; a few times as much is in use while they are
aggregated."""
LONGEST_BLOCK = 366
LEAST_ET_SHARE = 0.5
"""Part of the basin that must have evaporation for a day to have a mean."""
AREAS_DIFFER = 0.1
"""Part by which the outline's area may differ from the one given."""


class GridWarning(UserWarning):
    """Something about a basin's data that is worth a look."""


class Runoff(Parameters):
    """Runoff at the outlet, a table with a column of dates."""

    file: str
    column: str | None = None
    """Where there is more than one beside the dates, which come first."""
    units: Literal["m3/s", "mm/d"] = "m3/s"
    area: Positive | None = None
    """Of the basin, km2, where it is not to be the outline's."""


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
    """First and last day; all days that precipitation and temperature share where None."""
    margin: Annotated[int, Field(ge=0)] = 0
    """Cells around the basin's box."""
    utc_offset: Annotated[int, Field(ge=-12, le=14)] = 0
    """Hours that local time is ahead of UTC; days are cut at local midnight from products in steps
    below a day."""


def read_recipe(path: str | Path) -> Recipe:
    """A recipe from YAML.

    Raises
    ------
    ParameterError
        No such file, not YAML, an unknown name.
    """
    if not (file := resolve(path)).is_file():
        raise ParameterError(f"no such recipe: {file}; docs/data.md shows one")
    return Recipe.validate_parameters(read_parameters(file), where=str(path))


def prepare_grid(
    recipe: Recipe | Mapping[str, Any], destination: str | Path, *, progress: bool = True
) -> Path:
    """Make the gridded catchment that `recipe` describes, as a Zarr folder for `open_gridded`.

    Parameters
    ----------
    recipe
        A `Recipe`, or its names and values.
    destination
        Folder to write, which must not be there yet. Until it is whole it is called `NAME.partial`;
        the same call goes on from the last block in there.
    progress
        Show bars.

    Raises
    ------
    ParameterError, DataError
        One line: which file, what is wrong, what to do.
    """
    if not isinstance(recipe, Recipe):
        recipe = Recipe.validate_parameters(recipe)
    folder = resolve(destination)
    if folder.exists():
        raise ParameterError(f"{folder} is there already; remove it or choose another name")
    outline = read_outline(resolve(recipe.outline))
    centre = (outline.box[0] + outline.box[2]) / 2
    sources = {
        name: Source(name, product, centre, progress=progress)
        for name, product in (("prcp", recipe.prcp), ("tmean", recipe.tmean), ("et", recipe.et))
        if product
    }
    prcp = sources["prcp"].cut(_widened(outline.box, sources["prcp"].axes.cell, recipe.margin))
    for name, source in sources.items():
        if name != "prcp":
            source.cut(prcp.axes.box, beyond=1)
    days = _days(recipe, sources)
    static = _static(recipe, outline, prcp.axes, days)
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        _fill(partial, recipe, sources, outline, static, days, progress=progress)
        os.replace(partial, folder)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error.strerror or error}); choose another folder"
        ) from None
    return folder


def _widened(
    box: tuple[float, float, float, float], cell: tuple[float, float], margin: int
) -> tuple[float, float, float, float]:
    (high, wide), (west, south, east, north) = cell, box
    return west - margin * wide, south - margin * high, east + margin * wide, north + margin * high


def _days(recipe: Recipe, sources: dict[str, Source]) -> pd.DatetimeIndex:
    covered = {name: source.days(recipe.utc_offset) for name, source in sources.items()}
    for name, days in covered.items():
        if not len(days):
            raise DataError(f"{name} does not cover a single day from its first to its last step")
    first, last = (
        pick(covered[name][end] for name in ("prcp", "tmean"))
        for pick, end in ((max, 0), (min, -1))
    )
    spans = ", ".join(
        f"{name} {days[0].date()} to {days[-1].date()}" for name, days in covered.items()
    )
    if recipe.period:
        asked_first, asked_last = pd.Timestamp(recipe.period.start), pd.Timestamp(recipe.period.end)
        if asked_first < first or asked_last > last:
            raise DataError(
                f"period {recipe.period} is not covered ({spans}); shorten it or add files"
            )
        first, last = asked_first, asked_last
    if first > last:
        raise DataError(f"prcp and tmean share no day ({spans})")
    days = pd.date_range(first, last, freq="D")
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
    """Everything but the series that are made in blocks."""
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
    with opened(path) as ds:
        da = plain(ds, choose_variable(ds, "elevation", product.variable, path), path)
        da = da.isel(time=0) if "time" in da.dims else da
        da = da.assign_coords(lon=(da["lon"] - centre + 180) % 360 - 180 + centre)
        da = da.sortby("lat", ascending=False).sortby("lon")
        (high, wide), (west, south, east, north) = (
            Axes(da["lat"].to_numpy(), da["lon"].to_numpy()).cell,
            axes.box,
        )
        da = da.sel(
            lat=slice(north + high, south - high), lon=slice(west - wide, east + wide)
        ).load()
    if min(da.shape) < 2:
        raise DataError(f"{path}: elevation does not reach over the basin's box")
    source = Axes(da["lat"].to_numpy().astype(np.float64), da["lon"].to_numpy().astype(np.float64))
    return (product.factor * regrid(da.to_numpy().astype(np.float64), source, axes)).astype(
        np.float32
    )


def _runoff(runoff: Runoff, days: pd.DatetimeIndex, area: float) -> np.ndarray:
    """mm/d on `days`, NaN where the table has none."""
    path = resolve(runoff.file)
    if not path.is_file():
        raise DataError(f"streamflow: no file {path}")
    try:
        table = pd.read_csv(path, sep=None, engine="python", comment="#", index_col=0)
        table.index = pd.to_datetime(table.index).normalize()
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no table with dates in its first column ({str(error).splitlines()[0]})"
        ) from None
    column = runoff.column or (table.columns[0] if len(table.columns) == 1 else None)
    if column not in table.columns:
        raise DataError(
            f"{path}: which column is the runoff? it has {', '.join(map(str, table.columns))}; set"
            " column"
        )
    series = pd.to_numeric(table[column], errors="coerce")
    if (words := series.isna() & table[column].notna()).any():
        raise DataError(
            f"{path}: {table[column][words].iloc[0]!r} in column {column} is no number; missing is"
            " empty"
        )
    if series.index.has_duplicates:
        raise DataError(
            f"{path}: {series.index[series.index.duplicated()][0].date()} is there twice; give"
            " daily means"
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
    found = series.reindex(days)
    if not found.notna().any():
        raise DataError(
            f"{path}: no runoff from {days[0].date()} to {days[-1].date()}, the time of the"
            f" forcing; the table has {series.index.min().date()} to {series.index.max().date()}"
        )
    if runoff.units == "m3/s":
        found = found * 86.4 / (runoff.area or area)
    judge("streamflow", float(found.min()), float(found.max()), str(path))
    return found.to_numpy(dtype=np.float32)


# Blocks
# ---


def _fill(
    partial: Path,
    recipe: Recipe,
    sources: dict[str, Source],
    outline: PolygonOutline | MaskOutline,
    static: xr.Dataset,
    days: pd.DatetimeIndex,
    *,
    progress: bool,
) -> None:
    length = int(
        np.clip(BLOCK_BYTES // max(s.bytes_a_day() for s in sources.values()), 1, LONGEST_BLOCK)
    )
    identity = _identity(recipe, sources, static, length)
    done = _done(partial, identity)
    if done is None:
        shutil.rmtree(partial, ignore_errors=True)
        _write_empty(partial, sources, static, length)
        done = 0
    share = outline.share(sources["et"].axes) if "et" in sources else None
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
            for name, values in _block(recipe, sources, share, static, days[block]).items():
                store[name][block] = values
            _mark(partial, identity, block.stop)
            bar.update(block.stop - start)
    if "et" in sources and not np.isfinite(store["et"][:]).any():
        raise DataError(
            "et has no value in the basin at the time of the forcing; leave it out or see its files"
        )
    (partial / "progress.json").unlink()


def _block(
    recipe: Recipe,
    sources: dict[str, Source],
    share: np.ndarray | None,
    static: xr.Dataset,
    days: pd.DatetimeIndex,
) -> dict[str, np.ndarray]:
    """A block's series, checked as opening checks a whole grid."""
    prcp = sources["prcp"]
    out = {"prcp": prcp.daily(days, recipe.utc_offset)}
    tmean = sources["tmean"]
    out["tmean"] = regrid(tmean.daily(days, recipe.utc_offset), tmean.axes, prcp.axes).astype(
        np.float32
    )
    made = {name: (("time", "y", "x"), values) for name, values in out.items()}
    check_grid(
        static[["mask"]].assign_coords(time=days).assign(made),
        where=f"{recipe.basin}, {days[0].date()} on",
    )
    if share is not None:
        out["et"] = _basin_et(sources["et"], share, days, recipe.utc_offset)
    return out


def _basin_et(
    source: Source, share: np.ndarray, days: pd.DatetimeIndex, utc_offset: int
) -> np.ndarray:
    """Mean over the basin, mm/d; NaN on days that the product does not cover, or not in half of the
    basin."""
    et = np.full(len(days), np.nan, dtype=np.float32)
    covered = days.intersection(source.days(utc_offset))
    if not len(covered):
        return et
    values = source.daily(covered, utc_offset)
    weights = (share * np.cos(np.deg2rad(source.axes.lat))[:, None]).astype(np.float64)
    there = np.isfinite(values) * (weights / weights.sum())
    part = there.sum(axis=(1, 2))
    enough = part >= LEAST_ET_SHARE
    mean = (there * np.nan_to_num(values)).sum(axis=(1, 2))[enough] / part[enough]
    if len(mean):
        judge("et", float(mean.min()), float(mean.max()), str(source.paths[0]))
        if mean.mean() < 0 and len(days) >= LONG_ENOUGH:
            raise DataError(
                f"{source.paths[0]}: et is {mean.mean():.2g} mm/d on average from {days[0].date()}"
                " on; where evaporation counts as negative, set factor to -1"
            )
    et[days.get_indexer(covered[enough])] = mean
    return et


def _write_empty(
    partial: Path, sources: dict[str, Source], static: xr.Dataset, length: int
) -> None:
    """The store with all that is known before, and room for the series."""
    static.to_zarr(partial, mode="w", zarr_format=3, consolidated=False)
    store = zarr.open_group(partial, mode="r+")
    n_days, rows, cols = (static.sizes[dim] for dim in ("time", "y", "x"))
    for name in sources:
        dims, shape = (
            (["time"], (n_days,)) if name == "et" else (["time", "y", "x"], (n_days, rows, cols))
        )
        store.create_array(
            name,
            shape=shape,
            chunks=(length, *shape[1:]),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=dims,
            attributes={"units": VARIABLES[name].units, "long_name": VARIABLES[name].long_name},
        )


def _identity(recipe: Recipe, sources: dict[str, Source], static: xr.Dataset, length: int) -> str:
    """What a partial result must have been made from to go on with it."""
    stats = [(str(path), path.stat()) for source in sources.values() for path in source.paths]
    files = [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats]
    fixed = [
        np.asarray(static[name]).tobytes().hex() for name in sorted(map(str, static.variables))
    ]
    return hashlib.sha256(json.dumps([recipe.plain(), files, fixed, length]).encode()).hexdigest()


def _done(partial: Path, identity: str) -> int | None:
    """Days in a partial result; None where there is none, or one of something else."""
    try:
        found = json.loads((partial / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return int(found["days_done"]) if found.get("identity") == identity else None


def _mark(partial: Path, identity: str, days_done: int) -> None:
    mark = partial / "progress.json"
    mark.with_suffix(".tmp").write_text(
        json.dumps({"identity": identity, "days_done": days_done}), encoding="utf-8"
    )
    os.replace(mark.with_suffix(".tmp"), mark)
