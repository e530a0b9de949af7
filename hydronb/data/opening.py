"""One door to every source: the `data:` of a plan to a catchment dataset."""

import xarray as xr

from hydronb.data.dataset import choose_basins, open_dataset, read_basin_list
from hydronb.data.gridded import open_gridded
from hydronb.data.pet import choose_pet
from hydronb.parameters import DataParameters, GridParameters, resolve


def open_catchments(data: DataParameters) -> xr.Dataset:
    """Open what `data` describes; see the source's own function for what it raises."""
    basins = read_basin_list(resolve(data.basins)) if isinstance(data.basins, str) else data.basins
    if data.kind == "caravan":
        from hydronb.data.sources.caravan import open_caravan

        return open_caravan(
            resolve(data.path),
            source=data.source,
            basins=basins,
            pet=data.pet,
            attributes=resolve(data.attributes) if data.attributes else None,
        )
    if data.kind == "camels_us":
        from hydronb.data.sources.camels_us import open_camels_us

        return open_camels_us(resolve(data.path), forcing=data.forcing, basins=basins, pet=data.pet)
    if data.kind == "file":
        ds = open_dataset(resolve(data.path))
        # its own is taken as it is
        if data.pet != "auto" or ("pet" not in ds and "lat" in ds.coords):
            ds = choose_pet(ds, data.pet, where=str(data.path))
    else:
        from hydronb.data.synthetic.catchments import synthetic_catchments

        ds = synthetic_catchments(data.n_basins, data.years, data.seed, data.truth)
    if basins is None:
        return ds
    return ds.sel(
        basin=choose_basins(
            list(ds["basin"].values), basins, where=data.path or "the synthetic dataset"
        )
    )


def open_grid(data: GridParameters) -> xr.Dataset:
    """The gridded catchment that `data` describes, a file or a synthetic one."""
    if data.kind == "file":
        return open_gridded(resolve(data.path))
    from hydronb.data.synthetic.grids import synthetic_grid

    return synthetic_grid(data.preset or data.shape, data.years, data.seed, cells=data.cells)
