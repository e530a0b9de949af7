"""Fluxes that no model was trained on: evapotranspiration against an observed series, and the
closed water balance."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import bare_id, require_daily
from hydronb.errors import DataError

COMPOSITE_DAYS = 8
DAYS_PER_YEAR = 365.25
DAILY = ("mm/d", "mm/day", "mm d-1", "mm day-1")
EIGHT_DAILY = ("mm/8 d", "mm/8d", "mm/8day", "mm/8 days", "kg/m2/8d", "kg/m^2/8day", "kg/m2/8day")
"""Units of an observed series, by which its step is known; 1 kg/m2 is 1 mm, MOD16A2 has the
latter."""
STORES = ("snowpack", "meltwater", "soil_moisture", "upper_zone", "lower_zone")
RUNOFF = ("q0", "q1", "q2")


def composite_start(time: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """First day of the 8-day composite that each day belongs to; composites restart each 1 January,
    as MOD16A2's do.

    >>> days = pd.DatetimeIndex(["2001-01-08", "2001-01-09", "2001-12-31"])
    >>> composite_start(days).strftime("%m-%d").tolist()
    ['01-01', '01-09', '12-27']
    """
    into = (time.day_of_year - 1) % COMPOSITE_DAYS
    return time.normalize() - pd.to_timedelta(into, unit="D")


def composites(daily: xr.DataArray) -> xr.DataArray:
    """Sums over the 8-day composites of MOD16A2, the last of each year over 5 days, or 6 in leap
    years.

    Parameters
    ----------
    daily
        mm/d over `time` and any other dimensions.

    Returns
    -------
    xarray.DataArray
        mm/8 d, `time` the first day of each; composites that are cut off or have a missing day are
        left out or NaN.

    Raises
    ------
    DataError
        The days are not all there or out of order, or none of the composites is whole.
    """
    days = daily.indexes["time"]
    require_daily(days, f"{daily.name or 'the series'} to be composited")
    start = composite_start(days)
    sums = (
        daily.astype(float)
        .groupby(xr.DataArray(start.to_numpy(), dims="time", name="start"))
        .sum(skipna=False)
    )
    counted = pd.Series(1, start).groupby(level=0).sum()
    whole = counted.to_numpy() == composite_length(pd.DatetimeIndex(counted.index))
    if not whole.any():
        raise DataError(
            f"{days[0].date()} to {days[-1].date()} holds no whole 8-day composite; give more days"
        )
    attrs = daily.attrs | {"units": "mm/8 d"}
    made = sums.isel(start=np.flatnonzero(whole)).rename(start="time")
    return made.transpose(*daily.dims).rename(daily.name).assign_attrs(attrs)


def composite_length(start: pd.DatetimeIndex) -> np.ndarray:
    """Days of the composites that start on these: 8, or 5 or 6 at the end of the year."""
    left = np.where(start.is_leap_year, 366, 365) - start.day_of_year + 1
    return np.minimum(np.asarray(left), COMPOSITE_DAYS)


def read_et(path: str | Path) -> xr.DataArray:
    """A user's own evapotranspiration, as 8-day composites.

    Parameters
    ----------
    path
        NetCDF with the variable `et` over (basin, time): daily in mm/d, or 8-day sums in mm/8 d
        (kg/m^2/8day) at the first day of each composite, as MOD16A2 has them. Which of the two its
        attribute `units` says.

    Returns
    -------
    xarray.DataArray
        `et`, (basin, time), mm/8 d.

    Raises
    ------
    DataError
        No such file, no such variable, unknown units, dates that are not composites' first days.
    """
    path = Path(path)
    try:
        with xr.open_dataset(path) as ds:
            ds = ds.load()
    except FileNotFoundError:
        raise DataError(
            f"no such file: {path}; et_path names a NetCDF file with et over (basin, time)"
        ) from None
    except (OSError, ValueError):
        raise DataError(
            f"{path} is not NetCDF; et_path names a NetCDF file with et over (basin, time)"
        ) from None
    if (
        "et" not in ds
        or set(ds["et"].dims) != {"basin", "time"}
        or not {"basin", "time"} <= set(ds.coords)
    ):
        raise DataError(f"{path} has no variable 'et' over the coordinates basin and time")
    et = (
        ds["et"]
        .transpose("basin", "time")
        .assign_coords(basin=[str(b) for b in ds["basin"].values])
    )
    units = et.attrs.get("units", "none")
    if units in DAILY:
        return composites(et)
    if units not in EIGHT_DAILY:
        raise DataError(
            f"{path}: et has units {units!r}; give 'mm/d' (daily) or 'mm/8 d' (8-day sums)"
        )
    time = et.indexes["time"]
    if len(odd := time[time != composite_start(time)]):
        raise DataError(
            f"{path}: {odd[0].date()} is not the first day of an 8-day composite; they start each "
            "1 January and every 8 days from there"
        )
    return et.astype(float).assign_attrs(et.attrs | {"units": "mm/8 d"})


def compare_et(simulated: xr.DataArray, observed: xr.DataArray) -> pd.DataFrame:
    """Simulated against observed evapotranspiration in 8-day composites, basin by basin (Feng et
    al. 2022, Fig. 6).

    Parameters
    ----------
    simulated
        mm/d, (basin, time).
    observed
        mm/8 d, (basin, time), from `read_et` or `composites`; basins are joined by the id without
        its source's prefix.

    Returns
    -------
    pandas.DataFrame
        Index `basin`, as simulated; columns `r` (temporal correlation), `rmse` (mm/8 d),
        `simulated` and `observed` (mean, mm/8 d) and `composites` (how many both have). The spatial
        correlation of the long-term means is `table["simulated"].corr(table["observed"])`.

    Raises
    ------
    DataError
        No basin or no composite in common.
    """
    sim = composites(simulated)
    ids = {bare_id(str(b)): str(b) for b in sim["basin"].values}
    obs = observed.assign_coords(
        basin=[ids.get(bare_id(str(b)), str(b)) for b in observed["basin"].values]
    )
    for dim, what in (("basin", "basins"), ("time", "composites")):
        if not len(sim.indexes[dim].intersection(obs.indexes[dim])):
            raise DataError(
                f"the simulated and the observed et have no {what} in common ({_span(sim, dim)} "
                f"against {_span(obs, dim)})"
            )
    sim, obs = xr.align(sim, obs, join="inner")
    both = sim.notnull() & obs.notnull()
    sim, obs = sim.where(both), obs.where(both)
    return pd.DataFrame(
        {
            "r": xr.corr(sim, obs, "time").to_series(),
            "rmse": np.sqrt(((sim - obs) ** 2).mean("time")).to_series(),
            "simulated": sim.mean("time").to_series(),
            "observed": obs.mean("time").to_series(),
            "composites": both.sum("time").to_series(),
        }
    ).rename_axis("basin")


def _span(da: xr.DataArray, dim: str) -> str:
    first, last = da[dim].values[[0, -1]]
    return (
        f"{np.datetime_as_string(first, 'D')} to {np.datetime_as_string(last, 'D')}"
        if dim == "time"
        else str(first)
    )


def balance_residual(prcp: xr.DataArray, fluxes: xr.Dataset) -> xr.DataArray:
    """Water that a simulation makes, each basin and day: prcp - et - (q0 + q1 + q2) - change of all
    stores, mm/d.

    Runoff is what leaves the stores: routing only delays it. The first day is left out, whose start
    is not known.

    Parameters
    ----------
    prcp
        mm/d, (basin, time), all days of `fluxes`.
    fluxes
        `et`, `q0`, `q1`, `q2` (mm/d) and the five stores (mm, at the day's end), (basin, time).

    Raises
    ------
    DataError
        A flux, a store, or precipitation of a basin or day of `fluxes` is missing.
    """
    prcp, storage = _at(fluxes, prcp), _storage(fluxes)
    gone = fluxes["et"].astype(float) + sum(fluxes[name].astype(float) for name in RUNOFF)
    residual = (prcp - gone).isel(time=slice(1, None)) - storage.diff("time")
    return residual.rename("residual").assign_attrs(
        units="mm/d", long_name="water balance, residual"
    )


def simulated_balance(prcp: xr.DataArray, fluxes: xr.Dataset) -> pd.DataFrame:
    """Mean water balance of each basin, mm a year, from the end of the first day to that of the
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
    days = fluxes.isel(time=slice(1, None))
    years = days.sizes["time"] / DAYS_PER_YEAR
    storage = _storage(fluxes)
    sums = {"P": _at(days, prcp), "ET": days["et"], **{name: days[name] for name in RUNOFF}}
    table = pd.DataFrame(
        {name: da.sum("time", dtype=float).to_series() / years for name, da in sums.items()}
    )
    table["storage"] = (storage.isel(time=-1) - storage.isel(time=0)).to_series() / years
    table["residual"] = residual.sum("time").to_series() / years
    return table.rename_axis("basin")


def _storage(fluxes: xr.Dataset) -> xr.DataArray:
    if missing := [n for n in (*STORES, *RUNOFF, "et") if n not in fluxes]:
        raise DataError(
            f"the fluxes have no {missing[0]!r}; a water balance needs et,"
            f" {', '.join((*RUNOFF, *STORES))}"
        )
    return sum(fluxes[name].astype(float) for name in STORES)


def _at(fluxes: xr.Dataset, prcp: xr.DataArray) -> xr.DataArray:
    for dim in ("basin", "time"):
        if len(without := fluxes.indexes[dim].difference(prcp.indexes[dim])):
            first = without[0] if dim == "basin" else without[0].date()
            raise DataError(
                f"there is no precipitation for {dim} {first} of the fluxes, so their balance is"
                " unknown"
            )
    return prcp.sel(basin=fluxes["basin"], time=fluxes["time"]).astype(float)
