"""What a catchment dataset holds: its records, its gaps and its water balance."""

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import VARIABLES, attribute_names

DAYS_PER_YEAR = 365.25


def contents(ds: xr.Dataset) -> pd.DataFrame:
    """A row a daily variable of the convention: its long name, units, mean, and share of days
    missing."""
    rows = {
        str(name): {
            "long name": ds[name].attrs["long_name"],
            "units": ds[name].attrs["units"],
            "mean": float(ds[name].mean()),
            "missing": float(np.isnan(ds[name]).mean()),
        }
        for name in ds.data_vars
        if name in VARIABLES
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable")


def attribute_table(ds: xr.Dataset, basin: str) -> pd.DataFrame:
    """The numeric attributes of one basin beside their 5th, 50th and 95th percentile over all
    basins."""
    names = [n for n in attribute_names(ds) if ds[n].dtype.kind in "fiu"]
    rows = {
        n: {
            "units": ds[n].attrs.get("units", ""),
            basin: float(ds[n].sel(basin=basin)),
            **{f"{q:.0%}": float(ds[n].quantile(q)) for q in (0.05, 0.5, 0.95)},
        }
        for n in names
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("attribute")


def water_balance(ds: xr.Dataset) -> pd.DataFrame:
    """Mean fluxes of each basin, mm a year, and the ratios between them.

    P, Q and PET are means over the days with observed streamflow, so that gaps in Q do not count as
    dry.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; columns `P`, `Q` and, where the data have it, `PET` (mm/yr); `runoff_ratio`
        Q/P; `evaporated_share` 1 - Q/P, negative where more water leaves than falls; `aridity`
        PET/P; `missing`, the share of days without streamflow.
    """
    observed = ds["streamflow"].notnull()
    fluxes = {"P": "prcp", "Q": "streamflow", "PET": "pet"}
    table = pd.DataFrame(
        {
            column: ds[name].where(observed).mean("time").to_series() * DAYS_PER_YEAR
            for column, name in fluxes.items()
            if name in ds
        }
    )
    table["runoff_ratio"] = table["Q"] / table["P"]
    table["evaporated_share"] = 1 - table["runoff_ratio"]
    if "PET" in table:
        table["aridity"] = table["PET"] / table["P"]
    table["missing"] = 1 - observed.mean("time").to_series()
    return table.rename_axis("basin")


def true_balance(ds: xr.Dataset) -> pd.DataFrame:
    """The hidden water balance of synthetic catchments, mm a year, from the end of the first day to
    that of the last.

    `P` = `Q` + `ET` + change of `storage` (+ what leaves underground, in `residual`).
    """
    # storage is that of the day's end: the first day's fluxes made the first one
    days = ds.isel(time=slice(1, None))
    years = days.sizes["time"] / DAYS_PER_YEAR
    sums = {"P": "prcp", "Q": "true_streamflow", "ET": "true_et"}
    table = pd.DataFrame(
        {column: days[name].sum("time").to_series() / years for column, name in sums.items()}
    )
    storage = ds["true_storage"]
    table["storage"] = (storage.isel(time=-1) - storage.isel(time=0)).to_series() / years
    table["residual"] = table["P"] - table["Q"] - table["ET"] - table["storage"]
    return table.rename_axis("basin")
