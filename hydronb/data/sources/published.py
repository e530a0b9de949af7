"""The hydrological models that Kratzert et al. (2019) compare with: their released simulations.

Source: Kratzert (2019), CAMELS benchmark models, HydroShare 474ecc37e7db45baa425cdb4fc1b61e1: one
NetCDF file per basin, `GAUGE_benchmark_models.nc`, with one variable per model and the observation
`QObs`, mm/d, daily, 1989-10-01 to 1999-09-30. The paper says who made which simulation (Sect. 2.5
and Table 3).
"""

from pathlib import Path

import pandas as pd
import xarray as xr

from hydronb.errors import DataError, nearest
from hydronb.files import read_dataset

MODELS = {
    "SAC_SMA": "SAC-SMA",
    "VIC_basin": "VIC (basin-wise calibrated)",
    "VIC_conus": "VIC (CONUS-wide calibrated)",
    "mHm_basin": "mHM (basin-wise calibrated)",
    "mHm_conus": "mHM (CONUS-wide calibrated)",
    "HBV_lb": "HBV (lower, uncalibrated)",
    "HBV_ub": "HBV (upper, calibrated)",
    "q_sim_fuse_900": "FUSE (900)",
    "q_sim_fuse_902": "FUSE (902)",
    "q_sim_fuse_904": "FUSE (904)",
}
"""Labels as in the published Table 3, by the names in the files; 900, 902 and 904 are structures of
FUSE."""
OBSERVED = "QObs"
ENDING = "_benchmark_models.nc"


def open_benchmark_models(folder: str | Path) -> xr.Dataset:
    """Simulations of the benchmark models in a folder that holds `GAUGE_benchmark_models.nc`.

    Returns
    -------
    xarray.Dataset
        `streamflow` (model, basin, time) of the models that any file has, by their labels, NaN
        where a basin's file lacks a model, and `streamflow_obs` (basin, time), mm/d; negative
        values, which stand for missing, are NaN.

    Raises
    ------
    DataError
        No such folder, or a file that cannot be read, lacks the observation, or has no dates.
    """
    folder = Path(folder).expanduser()
    files = {path.name.removesuffix(ENDING): path for path in sorted(folder.glob(f"*{ENDING}"))}
    if not files:
        raise DataError(
            f"{folder} holds no file GAUGE{ENDING}; give the folder of the unpacked benchmark"
            " models"
        )
    ids = sorted(files)
    joined = xr.concat([_read(files[id_]) for id_ in ids], "basin", data_vars="all", join="outer")
    joined = joined.where(joined >= 0).assign_coords(basin=ids)
    if not (names := [name for name in MODELS if name in joined]):
        raise DataError(f"{folder}: no file has any of {', '.join(MODELS)}")
    sims = joined[names].to_dataarray("model").assign_coords(model=[MODELS[n] for n in names])
    attrs = {"units": "mm/d", "long_name": "streamflow"}
    return xr.Dataset(
        {
            "streamflow": sims.assign_attrs(attrs),
            "streamflow_obs": joined[OBSERVED].assign_attrs(attrs),
        }
    ).transpose("model", "basin", "time")


def _read(path: Path) -> xr.Dataset:
    ds = read_dataset(path)
    if OBSERVED not in ds:
        raise DataError(
            f"{path} has no variable {OBSERVED}{nearest(OBSERVED, map(str, ds.data_vars))}"
        )
    dims = ds[OBSERVED].dims
    days = ds.indexes.get(dims[0]) if len(dims) == 1 else None
    if not isinstance(days, pd.DatetimeIndex) or days.has_duplicates:
        raise DataError(
            f"{path}: {OBSERVED} has the dimensions {dims}, not one of dates, each of them once"
        )
    ds = ds[[OBSERVED, *(name for name in MODELS if name in ds)]].rename({dims[0]: "time"})
    return ds.reset_coords(drop=True).astype("float32")
