"""The calendar: the same day of different years, and the mean year as a forecast."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.errors import DataError


def calendar_day(time: xr.DataArray) -> np.ndarray:
    """Day of the year, 1 to 365, the same for a date in every year; 29 February counts as 28
    February.

    >>> dates = ["2000-02-28", "2000-02-29", "2000-03-01", "2001-03-01", "2000-12-31"]
    >>> days = pd.DatetimeIndex(dates)
    >>> calendar_day(xr.DataArray(days, dims="time")).tolist()
    [59, 59, 60, 60, 365]
    """
    days = pd.DatetimeIndex(time.values)
    return np.asarray(days.day_of_year - (days.is_leap_year & (days.day_of_year >= 60)))


def mean_year(series: xr.DataArray, *, window: int = 1) -> xr.DataArray:
    """Mean over all years of each calendar day, dimension `day` (1 to 365) in place of `time`.

    Parameters
    ----------
    series
        Daily values over `time` and any other dimension; NaN is left out.
    window
        Days of the centred running mean, which continues across the end of the year; odd.
    """
    mean = series.groupby(
        xr.DataArray(calendar_day(series["time"]), dims="time", name="day")
    ).mean()
    mean = mean.reindex(day=np.arange(1, 366)).assign_attrs(series.attrs)
    if window == 1:
        return mean
    smooth = (
        mean.pad(day=window // 2, mode="wrap")
        .rolling(day=window, center=True, min_periods=1)
        .mean()
    )
    return smooth.isel(day=slice(window // 2, -(window // 2))).assign_coords(day=mean["day"])


def mean_years(
    obs: xr.DataArray | None, simulations: Mapping[str, xr.DataArray], *, window: int = 7
) -> tuple[xr.DataArray | None, dict[str, xr.DataArray]]:
    """The `mean_year` of an observation and of its simulations, on the days that are observed where
    there is an observation; for `hydronb.plots.regime`."""
    if obs is None:
        return None, {name: mean_year(da, window=window) for name, da in simulations.items()}
    observed = {name: da.where(obs.notnull()) for name, da in simulations.items()}
    return mean_year(obs, window=window), mean_years(None, observed, window=window)[1]


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
    day = xr.DataArray(calendar_day(time), dims="time", coords={"time": time.values})
    return (
        mean_year(observed, window=window)
        .sel(day=day)
        .drop_vars("day")
        .assign_attrs(observed.attrs)
    )
