"""What a catchment dataset holds, and water balances: as measured, of the hidden truth, and of a
simulation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import VARIABLES, attribute_names
from hydronb.data.hbv_parameters import OUTFLOW, STORES
from hydronb.errors import DataError

DAYS_PER_YEAR = 365.25


def variables_table(ds: xr.Dataset) -> pd.DataFrame:
    """The daily variables of the convention, one row per variable: long name, units, mean, and
    share of days missing."""
    return pd.DataFrame.from_dict(
        {
            str(name): {
                "long name": ds[name].attrs["long_name"],
                "units": ds[name].attrs["units"],
                "mean": float(ds[name].mean()),
                "missing": float(np.isnan(ds[name]).mean()),
            }
            for name in ds.data_vars
            if name in VARIABLES
        },
        orient="index",
    ).rename_axis("variable")


def attribute_quantiles(ds: xr.Dataset, basin: str) -> pd.DataFrame:
    """The numeric attributes of one basin, in words, beside their 5th, 50th and 95th percentile
    over all basins."""
    return pd.DataFrame.from_dict(
        {
            name: {
                "long name": ds[name].attrs.get("long_name", name),
                "units": ds[name].attrs.get("units", ""),
                basin: float(ds[name].sel(basin=basin)),
                **{f"{q:.0%}": float(ds[name].quantile(q)) for q in (0.05, 0.5, 0.95)},
            }
            for name in attribute_names(ds)
            if ds[name].dtype.kind in "fiu"
        },
        orient="index",
    ).rename_axis("attribute")


def measured_balance(ds: xr.Dataset) -> pd.DataFrame:
    """Mean fluxes of each basin, mm per year, and the ratios between them.

    P, Q and PET are means over the days with observed streamflow, so that gaps in Q do not count as
    dry.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; columns `P`, `Q` and, if the data have it, `PET` (mm/yr); `runoff_ratio` Q/P;
        `evaporated_share` 1 - Q/P, negative where more water leaves than falls; `aridity` PET/P;
        `missing`, the share of days without streamflow.
    """
    observed = ds["streamflow"].notnull()
    table = pd.DataFrame(
        {
            column: ds[name].where(observed).mean("time").to_series() * DAYS_PER_YEAR
            for column, name in (("P", "prcp"), ("Q", "streamflow"), ("PET", "pet"))
            if name in ds
        }
    )
    runoff_ratio = table["Q"] / table["P"]
    return table.assign(
        runoff_ratio=runoff_ratio,
        evaporated_share=1 - runoff_ratio,
        **({"aridity": table["PET"] / table["P"]} if "PET" in table else {}),
        missing=1 - observed.mean("time").to_series(),
    ).rename_axis("basin")


def true_balance(ds: xr.Dataset) -> pd.DataFrame:
    """The hidden water balance of synthetic catchments, mm per year, from the end of the first day
    to that of the last.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; columns `P` = `Q` + `ET` + `storage` (its change) + `residual` (what leaves
        underground).
    """
    table = _per_year(
        {"P": ds["prcp"], "Q": ds["true_streamflow"], "ET": ds["true_et"]}, ds["true_storage"]
    )
    return table.assign(residual=table["P"] - table["Q"] - table["ET"] - table["storage"])


def simulated_balance(prcp: xr.DataArray, fluxes: xr.Dataset) -> pd.DataFrame:
    """The water balance of a simulation, mm per year, from the end of the first day to that of the
    last.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; columns `P` = `ET` + `q0` + `q1` + `q2` + `storage` (its change) +
        `residual`.

    Raises
    ------
    DataError
        See `balance_residual`.
    """
    residual = balance_residual(prcp, fluxes)
    sums = {"P": _at(fluxes, prcp), "ET": fluxes["et"], **{name: fluxes[name] for name in OUTFLOW}}
    table = _per_year(sums, total_storage(fluxes[[*STORES]].astype(float)))
    table["residual"] = residual.sum("time").to_series() / (residual.sizes["time"] / DAYS_PER_YEAR)
    return table


def _per_year(fluxes: Mapping[str, xr.DataArray], storage: xr.DataArray) -> pd.DataFrame:
    """Sums of fluxes and change of storage, mm per year, without the first day, whose fluxes made
    the first storage."""
    years = (storage.sizes["time"] - 1) / DAYS_PER_YEAR
    sums = {
        name: da.isel(time=slice(1, None)).sum("time", dtype=float) for name, da in fluxes.items()
    } | {"storage": storage.isel(time=-1) - storage.isel(time=0)}
    return pd.DataFrame({name: da.to_series() / years for name, da in sums.items()}).rename_axis(
        "basin"
    )


def balance_residual(prcp: xr.DataArray, fluxes: xr.Dataset) -> xr.DataArray:
    """Water that a simulation loses on each day: prcp - et - (q0 + q1 + q2) - change of all stores,
    mm/d, (basin, time); negative where it makes water.

    Runoff is what leaves the stores: routing only delays it. The first day is left out, since the
    stores at its start are not known.

    Parameters
    ----------
    prcp
        mm/d, (basin, time), all days of `fluxes`.
    fluxes
        `et`, `q0`, `q1`, `q2` (mm/d) and the five stores (mm, at the day's end), (basin, time).

    Raises
    ------
    DataError
        A flux or a store is missing, or precipitation of a basin or day of `fluxes`.
    """
    if missing := [n for n in (*STORES, *OUTFLOW, "et") if n not in fluxes]:
        raise DataError(
            f"the fluxes have no {missing[0]!r}; a water balance needs et,"
            f" {', '.join((*OUTFLOW, *STORES))}"
        )
    prcp, storage = _at(fluxes, prcp), total_storage(fluxes[[*STORES]].astype(float))
    leaving = fluxes["et"].astype(float) + sum(fluxes[name].astype(float) for name in OUTFLOW)
    return (
        ((prcp - leaving).isel(time=slice(1, None)) - storage.diff("time"))
        .rename("residual")
        .assign_attrs(units="mm/d", long_name="water balance, residual")
    )


def total_storage(fluxes: xr.Dataset) -> xr.DataArray:
    """All five stores together, mm."""
    return (
        sum(fluxes[name] for name in STORES)
        .rename("storage")
        .assign_attrs(units="mm", long_name="storage")
    )


def _at(fluxes: xr.Dataset, prcp: xr.DataArray) -> xr.DataArray:
    for dim in ("basin", "time"):
        if len(missing := fluxes.indexes[dim].difference(prcp.indexes[dim])):
            first = missing[0] if dim == "basin" else missing[0].date()
            raise DataError(
                f"there is no precipitation for {dim} {first} of the fluxes, so their balance is"
                " unknown"
            )
    return prcp.sel(basin=fluxes["basin"], time=fluxes["time"]).astype(float)
