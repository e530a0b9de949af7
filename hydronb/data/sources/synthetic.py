"""Synthetic catchments and grids with a hidden truth; see `hydronb.data.synthetic`."""

from pathlib import Path

import xarray as xr

from hydronb.data.problems import Report
from hydronb.errors import DataError
from hydronb.parameters import DataParameters, GridParameters

LAYOUT = ""


def open_source(data: DataParameters) -> xr.Dataset:
    """The catchments that `n_basins`, `years`, `seed` and `truth` describe."""
    from hydronb.data.synthetic import synthetic_catchments

    return synthetic_catchments(data.n_basins, data.years, data.seed, data.truth)


def open_grid(data: GridParameters) -> xr.Dataset:
    """The grid that `preset` or `shape`, `years`, `seed` and `cells` describe."""
    from hydronb.data.synthetic import synthetic_grid

    return synthetic_grid(data.preset or data.shape, data.years, data.seed, cells=data.cells)


def recognises(path: Path) -> bool:
    """Never: no file holds synthetic catchments."""
    return False


def describe(path: Path, report: Report) -> None:
    """Raise `DataError`: no file holds synthetic catchments."""
    raise DataError(f"{path} cannot hold synthetic catchments; they are computed when opened")
