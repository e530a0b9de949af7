"""Catchments of one's own, in one NetCDF file or Zarr folder in the convention: many basins
(`hydronb.data.dataset`), or one on a grid (`hydronb.data.gridded`)."""

from pathlib import Path

import numpy as np
import xarray as xr

from hydronb.data.dataset import TARGETS, VARIABLES, attribute_names, checking
from hydronb.data.gridded import (
    DIMS,
    as_catchment,
    open_gridded,
    reading_grid,
)
from hydronb.data.pet import choose_pet
from hydronb.data.problems import Reading, Report, name_list, raise_first
from hydronb.data.sources.basin_files import describe_series, summarise
from hydronb.files import opening, read_dataset
from hydronb.parameters import DataParameters, GridParameters, resolve

LAYOUT = "*.nc and *.zarr"
SUFFIXES = (".nc", ".nc4", ".zarr")


def open_source(data: DataParameters) -> xr.Dataset:
    """Open the file that a plan's `data` names."""
    return raise_first(reading_catchments(resolve(data.path), data.pet))


def open_grid_source(data: GridParameters) -> xr.Dataset:
    """Open the gridded catchment that a plan's `data` names."""
    return open_gridded(resolve(data.path))


def recognises(path: Path) -> bool:
    """Whether `path` is a NetCDF file or a Zarr folder, by its ending or its first bytes."""
    if path.is_dir():
        return any((path / mark).is_file() for mark in ("zarr.json", ".zgroup", ".zmetadata"))
    if path.suffix in SUFFIXES or not path.is_file():
        return path.suffix in SUFFIXES
    with path.open("rb") as file:
        return file.read(4).startswith((b"CDF", b"\x89HDF"))  # a NetCDF file's


def reading_catchments(path: Path, pet: str = "auto") -> Reading[xr.Dataset]:
    """The catchments in a file, with the PET asked for; the file's own is taken as it is."""
    ds = yield from checking(read_dataset(path), str(path))
    as_it_is = pet == "auto" and ("pet" in ds or "lat" not in ds.coords)
    return ds if as_it_is else choose_pet(ds, pet, where=str(path))


def describe(path: Path, report: Report) -> None:
    """Report a file, with everything that opening it would refuse."""
    before = len(report.problems)
    gridded = report.take(_is_gridded, path)
    ds = report.take(reading_grid if gridded else reading_catchments, path)
    spoilt = len(report.problems) > before
    if ds is None or (spoilt and (gridded or not any(name in ds for name in VARIABLES))):
        report.append(
            f"{path}: a {'gridded catchment' if gridded else 'dataset'} that cannot be opened"
        )
    elif gridded:
        _describe_grid(ds, path, report)
    else:
        report.append(
            f"{path}: a dataset of {ds.sizes['basin']} basins and {ds.sizes['time']} days"
        )
        _describe_catchments(ds, report)


def _is_gridded(path: Path) -> bool:
    """Whether a file means to hold a gridded catchment."""
    with opening(path) as ds:
        dims = {DIMS.get(str(dim), str(dim)) for dim in ds.dims}
        return "basin" not in dims and ("mask" in ds or bool({"y", "x"} & dims))


def _describe_catchments(ds: xr.Dataset, report: Report) -> None:
    names = [n for n in VARIABLES if n in ds]
    summaries = {
        basin: summarise(ds[names].sel(basin=basin).to_dataframe()[names])
        for basin in ds["basin"].values
    }
    describe_series(summaries, report)
    if not any(n in ds for n in TARGETS):
        report.notes.append("no target (streamflow, et): enough to simulate, not to train")
    if attributes := attribute_names(ds):
        gaps = [n for n in attributes if ds[n].dtype.kind == "f" and np.isnan(ds[n]).any()]
        report.append(
            f"  {len(attributes)} attributes"
            f"{f', missing values in {name_list(gaps)}' if gaps else ''}"
        )


def _describe_grid(ds: xr.Dataset, path: Path, report: Report) -> None:
    lumped = as_catchment(ds)
    report += [
        f"{path}: a gridded catchment, {ds.attrs['basin']}, of {ds.sizes['y']} x {ds.sizes['x']}"
        f" cells and {ds.sizes['time']} days",
        f"  {float((ds['mask'] > 0).mean()):.0%} of the cells lie in the basin, wholly or in part",
    ]
    _describe_catchments(lumped, report)
    if "streamflow" in lumped:
        both = lumped.where(lumped["streamflow"].notnull())
        ratio = float(both["streamflow"].mean() / both["prcp"].mean())
        report.append(f"  runoff over precipitation: {ratio:.2f}")
        if ratio > 1:
            report.notes.append(
                f"{path}: more runoff than precipitation ({ratio:.2f}); are area, units and days"
                " right?"
            )
