"""Catchment data: every source gives the same `xarray.Dataset` (see `hydronb.data.dataset`)."""

from hydronb.data.dataset import open_dataset, read_basin_list
from hydronb.data.gridded import open_gridded
from hydronb.data.opening import open_catchments, open_data, open_grid
from hydronb.data.sources.camels_us import open_camels_attributes, open_camels_us
from hydronb.data.sources.caravan import open_caravan

__all__ = [
    "open_camels_attributes",
    "open_camels_us",
    "open_caravan",
    "open_catchments",
    "open_data",
    "open_dataset",
    "open_grid",
    "open_gridded",
    "read_basin_list",
]
