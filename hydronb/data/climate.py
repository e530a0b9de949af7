"""CAMELS' climatic attributes, from series of precipitation, temperature and potential
evapotranspiration (Addor et al., 2017, doi:10.5194/hess-21-5293-2017, Table 2); spells of days, and
the water year."""

import numpy as np
import pandas as pd
import xarray as xr


def climatic_attributes(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """CAMELS' nine climatic attributes of the forcing, arrays of shape (basin).

    `ds` has `prcp` mm/d, `tmean` degC and `pet` mm/d over (basin, time) and whole years. A day is
    snowy below 0 degC, high in precipitation from five times the mean on, low below 1 mm.
    """
    prcp, tmean, pet = (ds[name].to_numpy().astype(np.float64) for name in ("prcp", "tmean", "pet"))
    p_mean, pet_mean = prcp.mean(axis=1), pet.mean(axis=1)
    high, low = prcp >= 5 * p_mean[:, None], prcp < 1
    return {
        "p_mean": p_mean,
        "pet_mean": pet_mean,
        "aridity": pet_mean / p_mean,
        "p_seasonality": _seasonality(prcp, tmean, ds.indexes["time"]),
        "frac_snow": np.where(tmean < 0, prcp, 0).sum(axis=1) / prcp.sum(axis=1),
        "high_prec_freq": 365.25 * high.mean(axis=1),
        "high_prec_dur": mean_spell(high),
        "low_prec_freq": 365.25 * low.mean(axis=1),
        "low_prec_dur": mean_spell(low),
    }


def water_year(time: xr.DataArray, first_month: int = 10) -> xr.DataArray:
    """The year in which each day's water year ends (`first_month` 1: the calendar year).

    >>> days = xr.DataArray(np.array(["1999-09-30", "1999-10-01"], "datetime64[ns]"), dims="time")
    >>> water_year(days).values.tolist()
    [1999, 2000]
    """
    return time.dt.year + ((time.dt.month >= first_month) & (first_month > 1))


def mean_spell(days: np.ndarray) -> np.ndarray | np.float64:
    """Mean length of the spells of days that are true, over the last axis; 0 where there is none,
    as in CAMELS.

    >>> float(mean_spell(np.array([True, True, False, True])))
    1.5
    """
    starts = np.count_nonzero(np.diff(days.astype(np.int8), prepend=0) == 1, axis=-1)
    return days.sum(axis=-1) / np.maximum(starts, 1)


def _seasonality(prcp: np.ndarray, tmean: np.ndarray, time: pd.DatetimeIndex) -> np.ndarray:
    """Relative amplitude of precipitation's sine, positive in phase with temperature's (Woods 2009,
    Eq. 14)."""
    angle = 2 * np.pi * time.day_of_year.to_numpy() / 365.25
    design = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    (p0, pc, ps), (_, tc, ts) = (
        np.linalg.lstsq(design, series.T, rcond=None)[0] for series in (prcp, tmean)
    )
    return (pc * tc + ps * ts) / np.hypot(tc, ts) / p0
