"""From the `data:` of a plan to a dataset, whatever its source."""

import xarray as xr

from hydronb.data.dataset import choose_basins, read_basin_list
from hydronb.parameters import DataParameters, GridParameters, resolve
from hydronb.vocabulary import SOURCES


def open_data(data: DataParameters | GridParameters) -> xr.Dataset:
    """The catchments, or the gridded catchment, that `data` describes."""
    return open_grid(data) if isinstance(data, GridParameters) else open_catchments(data)


def open_catchments(data: DataParameters) -> xr.Dataset:
    """The catchments that `data` describes, those in `data.basins` in that order.

    Raises
    ------
    ParameterError
        An unknown kind of data.
    DataError
        See the source's own function.
    """
    if isinstance(data.basins, str):
        data = data.model_copy(update={"basins": read_basin_list(resolve(data.basins))})
    ds = SOURCES[data.kind].module().open_source(data)
    available = ds["basin"].values.tolist()
    where = data.path or SOURCES[data.kind].label
    ids = available if data.basins is None else choose_basins(available, data.basins, where=where)
    return ds if ids == available else ds.sel(basin=ids)


def open_grid(data: GridParameters) -> xr.Dataset:
    """The gridded catchment that `data` describes.

    Raises
    ------
    ParameterError
        An unknown kind of data.
    DataError
        The file cannot be opened.
    """
    return SOURCES[data.kind].module().open_grid_source(data)
