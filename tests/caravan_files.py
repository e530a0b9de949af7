"""Writes tiny Caravan folders, NetCDF and CSV, in the layout of the real one."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

DAYS = pd.date_range("2001-01-01", "2002-12-31", name="date")
BASINS = {
    "camels": ["camels_01013500", "camels_02108000"],
    "camelsgb": ["camelsgb_1001", "camelsgb_27009"],
}
PLAUSIBLE, IMPOSSIBLE = (
    "potential_evaporation_sum_FAO_PENMAN_MONTEITH",
    "potential_evaporation_sum_ERA5_LAND",
)


def series(basin: str) -> pd.DataFrame:
    """All of a basin's columns: streamflow has a gap, and one variable is unknown to the
    convention."""
    rng = np.random.default_rng(sum(map(ord, basin)))
    n = len(DAYS)
    season = -np.cos(2 * np.pi * DAYS.day_of_year / 365)
    tmean = 10 + 10 * season + rng.normal(0, 2, n)
    frame = pd.DataFrame(
        {
            "total_precipitation_sum": rng.gamma(0.5, 6, n),
            "temperature_2m_mean": tmean,
            "temperature_2m_min": tmean - 4,
            "temperature_2m_max": tmean + 5,
            "dewpoint_temperature_2m_mean": tmean - 3,
            "surface_net_solar_radiation_mean": 120 + 100 * season,
            "snow_depth_water_equivalent_mean": rng.gamma(1, 5, n),
            PLAUSIBLE: 2.5 + 2 * season,
            IMPOSSIBLE: 12 + 8 * season,
            "volumetric_soil_water_layer_1_mean": rng.random(n),
            "streamflow": rng.gamma(1, 2, n),
        },
        index=DAYS,
    )
    frame.loc["2001-05-01":"2001-05-20", "streamflow"] = np.nan
    return frame


def file_of(root: Path, basin: str, kind: str) -> Path:
    source = basin.split("_")[0]
    return root / "timeseries" / kind / source / f"{basin}.{'nc' if kind == 'netcdf' else 'csv'}"


def write_series(root: Path, basin: str, frame: pd.DataFrame, kind: str) -> Path:
    path = file_of(root, basin, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "netcdf":
        xr.Dataset.from_dataframe(frame).to_netcdf(path)
    else:
        frame.to_csv(path)
    return path


def write_tables(root: Path, source: str) -> Path:
    """Three tables whose rows are in different orders and which know more basins than there are
    files."""
    folder = root / "attributes" / source
    folder.mkdir(parents=True, exist_ok=True)
    ids = [*BASINS[source], f"{source}_99999999"]
    n = np.arange(len(ids))
    caravan = pd.DataFrame(
        {
            "gauge_id": ids,
            "p_mean": 3.0 + n,
            "pet_mean": 14.0,
            "aridity": 4.5,
            "moisture_index": -0.7,
            "seasonality": 0.4,
            "frac_snow": 0.1 * n,
        }
    )
    atlas = pd.DataFrame({"gauge_id": ids, "ele_mt_sav": 100.0 * (n + 1), "lit_cl_smj": n + 5})
    other = pd.DataFrame(
        {
            "gauge_id": ids,
            "gauge_name": [f"River {k}, at the bridge" for k in n],
            "country": "X",
            "gauge_lat": 40.0 + n,
            "gauge_lon": -70.0 + n,
            "area": 2252.7 * (n + 1),
        }
    )
    for table, frame in (("caravan", caravan[::-1]), ("hydroatlas", atlas), ("other", other[::-1])):
        frame.to_csv(folder / f"attributes_{table}_{source}.csv", index=False)
    return folder


def write_caravan(root: Path, kind: str = "netcdf") -> Path:
    for source, basins in BASINS.items():
        for basin in basins:
            write_series(root, basin, series(basin), kind)
        write_tables(root, source)
    return root
