"""Catchment data: every source gives the same `xarray.Dataset` (see `hydronb.data.dataset`)."""

from importlib import import_module

_WHERE = {
    "open_dataset": "dataset",
    "read_basin_list": "dataset",
    "open_catchments": "catchments",
    "open_camels_us": "camels_us",
    "open_camels_attributes": "camels_us",
    "open_caravan": "caravan",
    "synthetic_catchments": "synthetic",
    "open_grid": "gridded",
    "open_gridded": "gridded",
    "synthetic_grid": "synthetic_grids",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
