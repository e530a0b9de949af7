"""Simulations of trained models, and the files of a run directory that hold them."""

from pathlib import Path

import pandas as pd
import xarray as xr

from hydronb.data.dataset import TARGETS
from hydronb.files import replacing, write
from hydronb.metrics import metric_table
from hydronb.models import hbv
from hydronb.models.standardised import Standardised
from hydronb.parameters import Period


def predict(
    model: Standardised, ds: xr.Dataset, period: Period, *, progress: bool = True
) -> xr.Dataset:
    """Simulate all basins of `ds` on each day of `period`, as the model was trained.

    Targets are in their units; streamflow below zero is set to zero, as in the code of Kratzert et
    al. (2019), and so is evaporation. Where `ds` has a target, `<target>_obs` is added; a
    prediction needs none.

    Returns
    -------
    xarray.Dataset
        `<target>` and `<target>_obs` over `(basin, time)`, with the catchments' coordinates.

    Raises
    ------
    DataError
        Forcings or attributes that the model was trained with are not in `ds`, or not for the
        period.
    """
    return model.simulate(ds, period, progress=progress)


def save_simulation(simulation: xr.Dataset, path: Path) -> None:
    """Write a simulation as NetCDF chunked by basin, so that one hydrograph is one read; whole or
    not at all."""
    chunks = {
        n: {"chunksizes": (1, *v.shape[1:]), "zlib": True, "complevel": 1}
        for n, v in simulation.data_vars.items()
        if v.dims[:2] == ("basin", "time")
    }
    with replacing(path) as partial:
        simulation.to_netcdf(partial, encoding=chunks)


def save_results(
    simulation: xr.Dataset, targets: list[str], run_dir: Path
) -> dict[str, pd.DataFrame]:
    """Write `simulation.nc`, `metrics.csv` of the first target and `metrics_TARGET.csv` of each
    other one; of an HBV also `fluxes.nc` and `parameters.nc`, where it gave them, and
    `components.nc`, where it gave fluxes and stores of each component. Returns the metrics of each
    target, one row per basin."""
    files = {
        "simulation.nc": [*targets, *(f"{name}_obs" for name in TARGETS)],
        "fluxes.nc": [*hbv.FLUXES, *hbv.STORES],
        "parameters.nc": [*hbv.PARAMETERS, *hbv.ROUTING],
    }
    with_fluxes = set(hbv.STORES) <= set(simulation)
    if with_fluxes and "time" in simulation["q0"].dims and "component" in simulation["q0"].dims:
        components = simulation[files["fluxes.nc"]]
        save_simulation(components, run_dir / "components.nc")
        simulation = simulation.assign(components.mean("component", keep_attrs=True))
    for file, names in files.items():
        if with_fluxes or file == "simulation.nc":
            save_simulation(simulation[[n for n in names if n in simulation]], run_dir / file)
    tables = {n: metric_table(simulation[n], simulation[f"{n}_obs"]) for n in targets}
    for name, scores in tables.items():
        suffix = "" if name == targets[0] else f"_{name}"
        write(run_dir / f"metrics{suffix}.csv", scores.to_csv())
    return tables
