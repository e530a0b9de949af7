"""Synthetic daily weather: seasons, spells of wet days, and temperature and radiation that go with
them.

Wet and dry days are a two-state Markov chain whose probabilities follow the season, amounts are
gamma distributed, years differ; temperature is a season plus a first-order autoregression, lower on
wet summer days; the daily range, and with it radiation and vapour pressure, follow the wetness
(Richardson 1981, doi 10.1029/WR017i001p00182, in outline). Every catchment and every process draws
from a random stream of its own, so that a catchment's weather depends neither on the number of
catchments nor, in the years they share, on the number of years."""

from collections import namedtuple

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.climate import water_year
from hydronb.data.pet import (
    day_length,
    extraterrestrial_radiation,
    saturation_vapour_pressure,
)

WARMEST = 205
"""Day of the year of the temperature's peak, 24 July."""


Climate = namedtuple(
    "Climate",
    "p_mean p_seasonality wet_share persistence amount_shape year_spread t_mean t_amplitude t_range"
    " dew_deficit",
)
"""Parameters of the weather of each catchment, arrays of shape (basin):

p_mean
    Mean precipitation, mm/d.
p_seasonality
    Amplitude of the season of precipitation over its mean; positive if the peak is in summer.
wet_share
    Share of wet days.
persistence
    Correlation of wet days with the day before.
amount_shape
    Shape of the gamma distribution of amounts; with a smaller one, more of the rain falls in few
    storms.
year_spread
    Standard deviation of the logarithm of a year's wetness.
t_mean, t_amplitude
    Mean temperature and the amplitude of its season, degC.
t_range
    Mean difference between a day's highest and lowest temperature, degC.
dew_deficit
    Mean of tmin minus dew point, degC.
"""


def stream(seed: int, basin: int, process: int) -> np.random.Generator:
    """The random numbers of one process in one catchment."""
    return np.random.default_rng([seed, basin, process])


def normals(seed: int, n_basins: int, process: int, n: int) -> np.ndarray:
    """Standard normal numbers of shape (basin, n), each catchment from its own stream."""
    return np.stack([stream(seed, b, process).standard_normal(n) for b in range(n_basins)])


def season(time: pd.DatetimeIndex, peak: int = WARMEST) -> np.ndarray:
    """Cosine of the time of year, 1 on the day of the year `peak`; shape (time)."""
    return np.cos(2 * np.pi * (time.day_of_year.to_numpy() - peak) / 365.25)


def autoregressive(shocks: np.ndarray, memory: float) -> np.ndarray:
    """First-order autoregression of unit variance from standard normal `shocks` (basin, time)."""
    levels = [shocks[:, 0]]
    for shock in shocks.T[1:]:
        levels.append(memory * levels[-1] + np.sqrt(1 - memory**2) * shock)
    return np.stack(levels).T


def weather(
    climate: Climate, lat: np.ndarray, time: pd.DatetimeIndex, seed: int
) -> dict[str, np.ndarray]:
    """Daily weather of shape (basin, time), float64: prcp mm/d, tmin, tmax, tmean degC, srad W/m2
    (mean of the daylight hours, as in CAMELS), vp Pa, dayl s; rounded as gauges and CAMELS are.

    Parameters
    ----------
    climate
        Arrays of shape (basin).
    lat
        Latitude, degrees north, shape (basin).
    time
        Days from a 1 October on.
    seed
        Any integer from 0.
    """
    wet = _wet_days(climate, time, seed)
    prcp = np.round(_past_midnight(_amounts(climate, wet, time, seed), seed), 2)
    wet = prcp > 0.2
    tmin, tmax = _temperatures(climate, wet, time, seed)
    srad, dayl = _light(tmin, tmax, wet, lat, time)
    tmin, tmax = np.round(tmin, 2), np.round(tmax, 2)
    dew_point = tmin - climate.dew_deficit[:, None] + normals(seed, len(wet), 6, len(time))
    return {
        "prcp": prcp,
        "tmin": tmin,
        "tmax": tmax,
        "tmean": (tmin + tmax) / 2,
        "srad": np.round(srad, 2),
        "vp": np.round(saturation_vapour_pressure(dew_point), 1),
        "dayl": np.round(dayl),
    }


def _wet_chance(climate: Climate, time: pd.DatetimeIndex) -> np.ndarray:
    """Probability of a wet day, (basin, time): half of the season of precipitation is in how often
    it rains."""
    share = climate.wet_share[:, None] * (1 + 0.5 * climate.p_seasonality[:, None] * season(time))
    return np.clip(share, 0.02, 0.9)


def _wet_days(climate: Climate, time: pd.DatetimeIndex, seed: int) -> np.ndarray:
    chance = _wet_chance(climate, time).T
    draws = np.stack([stream(seed, b, 1).random(len(time)) for b in range(len(climate.p_mean))]).T
    wet = [draws[0] < chance[0]]
    for drawn, usual in zip(draws, chance, strict=True):
        wet.append(drawn < usual + climate.persistence * (wet[-1] - usual))
    return np.stack(wet[1:]).T


def _amounts(climate: Climate, wet: np.ndarray, time: pd.DatetimeIndex, seed: int) -> np.ndarray:
    mean = climate.p_mean[:, None] * np.maximum(
        1 + climate.p_seasonality[:, None] * season(time), 0.03
    )
    years, year = np.unique(water_year(xr.DataArray(time, dims="time")), return_inverse=True)
    spread = climate.year_spread[:, None]
    year_factor = np.exp(spread * normals(seed, len(wet), 2, len(years)) - spread**2 / 2)
    shape = climate.amount_shape
    drawn = np.stack(
        [stream(seed, b, 3).gamma(shape[b], 1 / shape[b], len(time)) for b in range(len(wet))]
    )
    return wet * drawn * year_factor[:, year] * mean / _wet_chance(climate, time)


def _past_midnight(amounts: np.ndarray, seed: int) -> np.ndarray:
    """A part of each storm, up to 0.6 of it, falls on the next day."""
    later = amounts * np.stack(
        [stream(seed, b, 7).uniform(0, 0.6, amounts.shape[1]) for b in range(len(amounts))]
    )
    prcp = amounts - later
    prcp[:, 1:] += later[:, :-1]
    return prcp


def _temperatures(
    climate: Climate, wet: np.ndarray, time: pd.DatetimeIndex, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """tmin and tmax, (basin, time); the mean varies more in winter, and rain lowers it in
    summer."""
    cosine = season(time)
    swing = (0.25 * climate.t_amplitude[:, None] + 1) * (1 - 0.35 * cosine)
    rain = (wet - climate.wet_share[:, None]) * (-1.2 * cosine - 0.3)
    tmean = (
        climate.t_mean[:, None]
        + climate.t_amplitude[:, None] * cosine
        + rain
        + swing * autoregressive(normals(seed, len(wet), 4, len(time)), 0.75)
    )
    dryness = np.where(wet, 0.68, 1.0) / (1 - 0.32 * climate.wet_share[:, None])
    spread = np.exp(0.2 * normals(seed, len(wet), 5, len(time)) - 0.02)
    span = climate.t_range[:, None] * (1 + 0.12 * cosine) * dryness * spread
    return tmean - span / 2, tmean + span / 2


def _light(
    tmin: np.ndarray, tmax: np.ndarray, wet: np.ndarray, lat: np.ndarray, time: pd.DatetimeIndex
) -> tuple[np.ndarray, np.ndarray]:
    """Radiation from the day's range of temperature (FAO-56, Eq. 50), lower on wet days, and the
    length of day."""
    where = xr.DataArray(lat, dims="basin")
    dayl = day_length(where, time).to_numpy()
    through = np.minimum(0.16 * np.sqrt(tmax - tmin) * np.where(wet, 0.8, 1.05), 0.75)
    return through * extraterrestrial_radiation(where, time).to_numpy() * 1e6 / dayl, dayl
