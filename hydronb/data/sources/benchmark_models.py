"""The hydrological models that Kratzert et al. (2019) compare with: their released simulations.

Source: Kratzert (2019), CAMELS benchmark models, HydroShare 474ecc37e7db45baa425cdb4fc1b61e1: one
NetCDF file a basin, `GAUGE_benchmark_models.nc`, with a variable a model and the observation
`QObs`, mm/d, daily, 1989-10-01 to 1999-09-30. Who made which simulation stands in the paper, Sect.
2.5 and Table 3.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from hydronb.data.dataset import bare_id, choose_basins
from hydronb.errors import DataError, ParameterError, nearest

MODELS = {
    "SAC_SMA": "SAC-SMA",
    "VIC_basin": "VIC (basin-wise calibrated)",
    "VIC_conus": "VIC (CONUS-wide calibrated)",
    "mHm_basin": "mHM (basin-wise calibrated)",
    "mHm_conus": "mHM (CONUS-wide calibrated)",
    "HBV_lb": "HBV (lower, uncalibrated)",
    "HBV_ub": "HBV (upper, calibrated)",
    "q_sim_fuse_900": "FUSE (seed 900)",
    "q_sim_fuse_902": "FUSE (seed 902)",
    "q_sim_fuse_904": "FUSE (seed 904)",
}
"""Labels, as in the published Table 3, by the files' names."""
OBSERVED = "QObs"
ENDING = "_benchmark_models.nc"


def open_benchmark_models(
    folder: str | Path, *, basins: Iterable[str] | None = None, models: Sequence[str] | None = None
) -> xr.Dataset:
    """Simulations of the benchmark models.

    Parameters
    ----------
    folder
        Holds `GAUGE_benchmark_models.nc`.
    basins
        Gauge ids, with or without a source's prefix; all there are where None.
    models
        Names in `MODELS`; all that any file has where None.

    Returns
    -------
    xarray.Dataset
        `streamflow` (model, basin, time), models by their labels, NaN where a basin's file lacks a
        model, and `streamflow_obs` (basin, time), mm/d; negative values, which stand for missing,
        are NaN.

    Raises
    ------
    ParameterError
        A model that is not one of `MODELS`.
    DataError
        No such folder or basin, or a file that cannot be read, lacks the observation, or has no
        dates.
    """
    folder = Path(folder).expanduser()
    files = {path.name.removesuffix(ENDING): path for path in sorted(folder.glob(f"*{ENDING}"))}
    if not files:
        raise DataError(
            f"{folder} holds no file GAUGE{ENDING}; give the folder of the unpacked benchmark"
            " models"
        )
    for name in models or ():
        if name not in MODELS:
            raise ParameterError(f"unknown benchmark model {name!r}{nearest(name, MODELS)}")
    wanted = None if basins is None else [bare_id(basin) for basin in basins]
    ids = choose_basins(list(files), wanted, where=str(folder))
    read = [_read(files[basin], list(models or MODELS)) for basin in ids]
    joined = xr.concat(read, "basin", data_vars="all", join="outer").assign_coords(basin=ids)
    there = [name for name in models or MODELS if name in joined]
    if not there:
        raise DataError(f"{folder}: no file has any of {', '.join(models or MODELS)}")
    sims = joined[there].to_dataarray("model").assign_coords(model=[MODELS[name] for name in there])
    made = xr.Dataset({"streamflow": sims, "streamflow_obs": joined[OBSERVED]})
    for variable in made.data_vars.values():
        variable.attrs = {"units": "mm/d", "long_name": "streamflow"}
    return made.where(made >= 0).transpose("model", "basin", "time")


def _read(path: Path, wanted: list[str]) -> xr.Dataset:
    try:
        with xr.open_dataset(path) as file:
            ds = file.load()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is no NetCDF file that xarray can read ({str(error).splitlines()[0]})"
        ) from None
    if OBSERVED not in ds:
        raise DataError(
            f"{path} has no variable {OBSERVED}{nearest(OBSERVED, map(str, ds.data_vars))}"
        )
    dims = ds[OBSERVED].dims
    if len(dims) != 1 or not isinstance(ds.indexes.get(dims[0]), pd.DatetimeIndex):
        raise DataError(f"{path}: {OBSERVED} has the dimensions {dims}, not one of dates")
    kept = ds[[OBSERVED, *(name for name in wanted if name in ds)]]
    kept = kept.rename({dims[0]: "time"}) if dims[0] != "time" else kept
    if kept.indexes["time"].has_duplicates:
        raise DataError(f"{path}: a date is there twice")
    return kept.reset_coords(drop=True).astype("float32")
