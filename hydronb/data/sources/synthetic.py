"""Synthetic catchments and grids with a hidden truth; see `hydronb.data.synthetic`."""

import xarray as xr

from hydronb.data.synthetic import synthetic_catchments, synthetic_grid
from hydronb.parameters import DataParameters, GridParameters


def open_source(data: DataParameters) -> xr.Dataset:
    """The catchments that `n_basins`, `years`, `seed` and `truth` describe."""
    return synthetic_catchments(data.n_basins, data.years, data.seed, data.truth)


def open_grid_source(data: GridParameters) -> xr.Dataset:
    """The grid that `preset` or `shape`, and all other parameters of synthetic grids, describe."""
    return synthetic_grid(
        data.preset or data.shape,
        data.years,
        data.seed,
        cells=data.cells,
        cell=data.cell,
        share=data.share,
    )
