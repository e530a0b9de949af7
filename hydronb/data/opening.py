"""From the `data:` of a plan to a dataset, whatever its source."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import xarray as xr

from hydronb.data.dataset import choose_basins, read_basin_list
from hydronb.errors import ParameterError, nearest
from hydronb.parameters import DataParameters, GridParameters, resolve


class Source(NamedTuple):
    """A kind of data, the `kind` of a plan's `data`."""

    name: str
    label: str
    module: Callable[[], ModuleType]
    """Imports the module that opens, recognises and describes it; see `hydronb.data.sources`."""


def _sources() -> Any:
    from hydronb.data import sources

    return sources


SOURCES = {
    source.name: source
    for source in (
        Source("synthetic", "synthetic catchments", lambda: _sources().synthetic),
        Source("caravan", "Caravan", lambda: _sources().caravan),
        Source("camels_us", "CAMELS-US", lambda: _sources().camels_us),
        Source("file", "NetCDF or Zarr", lambda: _sources().file),
    )
}


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
    ds = _offered(data.kind, "open_source")(data)
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
    return _offered(data.kind, "open_grid")(data)


def _offered(kind: str, task: str) -> Callable[[Any], xr.Dataset]:
    """The function of that name which the source of that kind has."""
    tasks = {name: getattr(source.module(), task, None) for name, source in SOURCES.items()}
    if not tasks.get(kind):
        raise ParameterError(
            f"unknown kind of data {kind!r}{nearest(kind, [n for n in tasks if tasks[n]])}"
        )
    return tasks[kind]
