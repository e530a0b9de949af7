"""The calendar: the same day of different years, the mean year as a forecast, and what the dynamic
parameters of a delta-HBV vary with: the season, the storage, the truth."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.hbv_parameters import PARAMETERS
from hydronb.errors import DataError
from hydronb.metrics import r

NEAR_BOUND, CONSTANT = 0.01, 0.01
"""Shares of the range of a parameter's bounds: so near to a bound it leans on it; a deviation over
the days that is smaller makes it practically constant."""


def calendar_day(time: xr.DataArray) -> xr.DataArray:
    """Day of the year, 1 to 365, the same for a date in every year; 29 February counts as 28
    February.

    >>> dates = ["2000-02-28", "2000-02-29", "2000-03-01", "2001-03-01", "2000-12-31"]
    >>> days = pd.DatetimeIndex(dates)
    >>> calendar_day(xr.DataArray(days, dims="time")).values.tolist()
    [59, 59, 60, 60, 365]
    """
    days = pd.DatetimeIndex(time.values)
    day = days.day_of_year - (days.is_leap_year & (days.day_of_year >= 60))
    return xr.DataArray(np.asarray(day), {"time": time.values}, "time", name="day")


def mean_year(series: xr.DataArray, *, window: int = 1) -> xr.DataArray:
    """Mean over all years of each calendar day, dimension `day` (1 to 365) in place of `time`.

    Parameters
    ----------
    series
        Daily values over `time` and any other dimension; NaN is left out.
    window
        Days of the centred running mean, which continues across the end of the year; odd.
    """
    mean = (
        series.groupby(calendar_day(series["time"]))
        .mean()
        .reindex(day=np.arange(1, 366))
        .assign_attrs(series.attrs)
    )
    if window == 1:
        return mean
    smooth = (
        mean.pad(day=window // 2, mode="wrap")
        .rolling(day=window, center=True, min_periods=1)
        .mean()
    )
    return smooth.isel(day=slice(window // 2, -(window // 2))).assign_coords(day=mean["day"])


def mean_year_on(time: xr.DataArray, series: xr.DataArray, window: int) -> xr.DataArray:
    """The `mean_year` of `series` on the days of `time`."""
    return mean_year(series, window=window).sel(day=calendar_day(time)).drop_vars("day")


def mean_years(
    obs: xr.DataArray | None, simulations: Mapping[str, xr.DataArray], *, window: int = 7
) -> tuple[xr.DataArray | None, dict[str, xr.DataArray]]:
    """The `mean_year` of an observation and of its simulations, on the days that are observed where
    there is an observation; for `hydronb.plots.regime`."""
    if obs is None:
        return None, {name: mean_year(da, window=window) for name, da in simulations.items()}
    return mean_year(obs, window=window), {
        name: mean_year(da.where(obs.notnull()), window=window) for name, da in simulations.items()
    }


def climatology(observed: xr.DataArray, time: xr.DataArray, *, window: int = 31) -> xr.DataArray:
    """The mean year of `observed` on the days of `time`: a forecast from the date alone.

    The calendar-day benchmark of Schaefli and Gupta (2007, doi:10.1002/hyp.6825), smoothed over
    `window` days, since the mean of few years is noisy. A model that is not better has learnt no
    more than the seasons.

    Raises
    ------
    DataError
        The two have days in common: the benchmark would include what it is to forecast.
    """
    if common := observed.indexes["time"].intersection(pd.DatetimeIndex(time.values)).size:
        raise DataError(
            f"the climatology is made from {common} days of the test period; give it others"
        )
    return mean_year_on(time, observed, window).assign_attrs(observed.attrs)


def components_table(parameter: xr.DataArray) -> pd.DataFrame:
    """How each component of a dynamic parameter varies, over all catchments and days.

    Parameters
    ----------
    parameter
        (basin, time, component).

    Returns
    -------
    pandas.DataFrame
        Index `component`, by its mean; medians over basins of its `mean` and of its `deviation`
        over the days; `constant`, the share of basins where that is less than `CONSTANT` of the
        bounds' range; `at_bounds`, the share of basins and days within `NEAR_BOUND` of a bound.
    """
    low, high, *_ = PARAMETERS[str(parameter.name)]
    near = NEAR_BOUND * (high - low)
    deviation = parameter.std("time")
    columns = {
        "mean": parameter.mean("time").median("basin"),
        "deviation": deviation.median("basin"),
        "constant": (deviation < CONSTANT * (high - low)).mean("basin"),
        "at_bounds": ((parameter < low + near) | (parameter > high - near)).mean(["basin", "time"]),
    }
    table = pd.DataFrame({name: da.to_numpy() for name, da in columns.items()})
    return table.rename_axis("component").sort_values("mean", kind="stable")


def dynamics(
    parameter: xr.DataArray, storage: xr.DataArray, truth: xr.DataArray | None = None
) -> pd.DataFrame:
    """How the median component of a dynamic parameter varies, basin by basin.

    Parameters
    ----------
    parameter
        (basin, time, component).
    storage
        mm, (basin, time), the same days.
    truth
        The true parameter, (basin, time), over all of these days, if it is known.

    Returns
    -------
    pandas.DataFrame
        Index `basin`; `mean`; `deviation` over the days; `amplitude` of the mean year smoothed over
        a month; `season_share`, the share of the variance that the mean year explains; `storage_r`;
        `storage_r_deseasoned`, with the mean years subtracted from both; `at_bounds`, the share of
        components and days within `NEAR_BOUND` of a bound; `constant`, whether the deviation is
        less than `CONSTANT` of the bounds' range; and, if the truth is known, of the components'
        mean `true_r` and `deviation_ratio`, its deviation over that of the truth.
    """
    means = parameter.mean("time")
    middle = means.argsort(axis=means.get_axis_num("component")).isel(
        component=(parameter.sizes["component"] - 1) // 2
    )
    median = parameter.isel(component=middle.drop_vars("component", errors="ignore"))
    smooth = mean_year(median, window=31)
    rest, rest_of_storage = (da - mean_year_on(median["time"], da, 31) for da in (median, storage))
    columns = {
        "mean": median.mean("time"),
        "deviation": median.std("time"),
        "amplitude": smooth.max("day") - smooth.min("day"),
        "season_share": 1 - rest.var("time") / median.var("time"),
        "storage_r": r(sim=median, obs=storage),
        "storage_r_deseasoned": r(sim=rest, obs=rest_of_storage),
    }
    low, high, *_ = PARAMETERS[str(parameter.name)]
    near = NEAR_BOUND * (high - low)
    at_bounds = (parameter < low + near) | (parameter > high - near)
    columns["at_bounds"] = at_bounds.mean(["time", "component"])
    columns["constant"] = columns["deviation"] < CONSTANT * (high - low)
    if truth is not None:
        mean = parameter.mean("component")
        truth = truth.sel(basin=parameter["basin"], time=parameter["time"])
        columns["true_r"] = r(sim=mean, obs=truth)
        columns["deviation_ratio"] = mean.std("time") / truth.std("time")
    table = pd.DataFrame({name: da.to_series() for name, da in columns.items()})
    return table.rename_axis("basin")
