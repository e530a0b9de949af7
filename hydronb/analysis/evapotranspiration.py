"""Simulated evapotranspiration against an observed series, in the 8-day composites of MOD16A2."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import bare_id, require_daily
from hydronb.errors import DataError
from hydronb.files import read_dataset

COMPOSITE_DAYS = 8
DAILY = ("mm/d", "mm/day", "mm d-1", "mm day-1")
EIGHT_DAILY = ("mm/8 d", "mm/8d", "mm/8day", "mm/8 days", "kg/m2/8d", "kg/m^2/8day", "kg/m2/8day")
"""Units of an observed series, which tell its time step; 1 kg/m2, the unit of MOD16A2, is 1 mm."""
FILL = (3276.1, 3276.7)
"""First and last of MOD16A2's codes for water, towns, snow and the like, which are no values;
stored as 32761 to 32767, to be multiplied by 0.1."""
MOST = 15.0
"""mm/d. A mean above it cannot be evaporated by the sun."""


def composite_start(time: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """First day of the 8-day composite that each day belongs to; composites restart each 1 January,
    as MOD16A2's do.

    >>> days = pd.DatetimeIndex(["2001-01-08", "2001-01-09", "2001-12-31"])
    >>> composite_start(days).strftime("%m-%d").tolist()
    ['01-01', '01-09', '12-27']
    """
    return time.normalize() - pd.to_timedelta((time.day_of_year - 1) % COMPOSITE_DAYS, unit="D")


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
        mm/8 d, `time` the first day of each. Composites that are cut off at the ends are left out,
        those with a missing value are NaN.

    Raises
    ------
    DataError
        Days are missing or out of order, or none of the composites is whole.
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
    return (
        sums.isel(start=np.flatnonzero(whole))
        .rename(start="time")
        .transpose(*daily.dims)
        .rename(daily.name)
        .assign_attrs(daily.attrs | {"units": "mm/8 d"})
    )


def composite_length(start: pd.DatetimeIndex) -> np.ndarray:
    """Number of days of the composites that start on these days: 8, or 5 or 6 at the end of the
    year."""
    days_left = np.where(start.is_leap_year, 366, 365) - start.day_of_year + 1
    return np.minimum(np.asarray(days_left), COMPOSITE_DAYS)


def read_et(path: str | Path) -> xr.DataArray:
    """A user's own evapotranspiration, as 8-day composites.

    Parameters
    ----------
    path
        NetCDF with the variable `et` over (basin, time): daily in mm/d, or 8-day sums in mm/8 d
        (kg/m^2/8day) at the first day of each composite, as in MOD16A2. The attribute `units` says
        which of the two.

    Returns
    -------
    xarray.DataArray
        `et`, (basin, time), mm/8 d, in the order of time, without MOD16A2's codes for water and the
        like.

    Raises
    ------
    DataError
        No such file, no such variable, unknown units, ids that are numbers, dates that are given
        twice or are not composites' first days; values that are not scaled, negative or impossible.
    """
    ds = read_dataset(path, hint="et_path names a NetCDF file with et over (basin, time)")
    dims = {"basin", "time"}
    if "et" not in ds or set(ds["et"].dims) != dims or not dims <= set(ds.coords):
        raise DataError(f"{path} has no variable 'et' over the coordinates basin and time")
    et = ds["et"].transpose("basin", "time").sortby("time")
    if et["basin"].dtype.kind in "iuf":
        raise DataError(
            f"{path}: basin holds numbers, such as {et['basin'].values[0]}; give the ids as text,"
            " with their leading zeros"
        )
    et = _land_values(et.assign_coords(basin=[str(b) for b in et["basin"].values]), Path(path))
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


def _land_values(et: xr.DataArray, path: Path) -> xr.DataArray:
    """Without MOD16A2's codes; DataError for what cannot be evapotranspiration."""
    if (days := et.indexes["time"]).has_duplicates:
        raise DataError(f"{path} has {days[days.duplicated()][0].date()} twice; give each day once")
    low, high = FILL
    if float(et.max()) > high + 0.05:
        raise DataError(
            f"{path}: et reaches {float(et.max()):g}; are these MOD16A2's stored integers? Multiply"
            " them by their scale factor, 0.1"
        )
    et = et.where(~((et > low - 0.05) & (et < high + 0.05)))
    if n := int((et < 0).sum()):
        raise DataError(
            f"{path}: et is negative in {n} places, {float(et.min()):g} at the lowest; if that"
            " stands for missing, make it NaN"
        )
    daily = et / (COMPOSITE_DAYS if et.attrs.get("units") in EIGHT_DAILY else 1)
    means = daily.mean("time")
    if (means > MOST).any():
        basin = str(means["basin"].values[int(means.argmax())])
        raise DataError(
            f"{path}: the mean et of basin {basin} is {float(means.max()):.1f} mm/d, above the"
            f" {MOST:g} that the sun can evaporate; are the units {et.attrs.get('units')!r} right?"
        )
    return et


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
    sim, obs = sim.where(obs.notnull()), obs.where(sim.notnull())
    columns = {
        "r": xr.corr(sim, obs, "time"),
        "rmse": np.sqrt(((sim - obs) ** 2).mean("time")),
        "simulated": sim.mean("time"),
        "observed": obs.mean("time"),
        "composites": sim.count("time"),
    }
    return pd.DataFrame({n: da.to_series() for n, da in columns.items()}).rename_axis("basin")


def _span(da: xr.DataArray, dim: str) -> str:
    first, last = (str(label)[:10] if dim == "time" else label for label in da[dim].values[[0, -1]])
    return f"{first} to {last}" if dim == "time" else str(first)
