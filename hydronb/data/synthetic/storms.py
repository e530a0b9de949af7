"""Synthetic weather on a grid: storms that move, and temperature that falls with height.

Storms are ellipses that arrive at random, more in the wet season, move, grow and die within days;
noise of neighbouring cells roughens them, and high ground receives more. Temperature is a season,
spells of warm and cold days and a front across the basin, minus the lapse with height. Every
process draws from a random stream of its own in the order of time, so that the years that two grids
share are the same whatever the number of years that follow."""

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from hydronb.data.synthetic.weather import autoregressive, season, stream

ARRIVALS = 0.9
"""Storms that arrive per day, mean of the year."""
LAPSE = 5.5
"""degC per km of height."""
BY_LATITUDE = 0.6
"""degC per degree of latitude."""
SEASON = 10.0
"""Amplitude of the temperature's season, degC."""
ROUGHNESS = 0.5
"""Standard deviation of the logarithm of a cell's precipitation within a storm."""
DRIZZLE = 0.4
"""Precipitation that evaporates as it falls, mm/d."""
HEAVIEST = 150.0
"""About the most that falls on a cell, mm/d; heavier showers are damped to it."""
UPHILL = 0.25
"""Gain of the logarithm of precipitation for each standard deviation of height."""


def precipitation(
    elevation: np.ndarray,
    time: pd.DatetimeIndex,
    mean: float | int,
    seasonality: float | int,
    calibration: int,
    seed: int,
) -> np.ndarray:
    """Daily precipitation, mm/d, float32 `(time, row, col)`, rounded as products are.

    Parameters
    ----------
    elevation
        m, `(row, col)`.
    mean
        mm/d, of the grid over the first `calibration` days.
    seasonality
        Amplitude of the storms' season over their mean, 0 to 1, its peak in summer.
    seed
        Any integer from 0.
    """
    prcp = _storm_field(elevation.shape, time, seasonality, seed)
    rng = stream(seed, 0, 30)
    for day in prcp:  # one draw per day: the same days whatever follows
        rough = gaussian_filter(rng.standard_normal(day.shape), 1.0, mode="wrap") * np.sqrt(
            4 * np.pi
        )
        day *= np.exp(ROUGHNESS * rough - ROUGHNESS**2 / 2)
    prcp *= np.exp(UPHILL * ((elevation - elevation.mean()) / elevation.std())).astype(np.float32)
    prcp *= mean / prcp[:calibration].mean(dtype=np.float64)
    np.maximum(prcp - DRIZZLE, 0, out=prcp)
    prcp = -HEAVIEST * np.expm1(-prcp / HEAVIEST)
    prcp *= mean / prcp[:calibration].mean(dtype=np.float64)
    return np.round(prcp, 2)


def _storm_field(
    shape: tuple[int, int], time: pd.DatetimeIndex, seasonality: float | int, seed: int
) -> np.ndarray:
    """Sum of all storms' ellipses, smeared along a day's movement; float32 `(time, row, col)`.

    Lengths are in cells, directions in rows and columns, movements in cells per day."""
    field = np.zeros((len(time), *shape), dtype=np.float32)
    rows, cols = (np.arange(n) + 0.5 for n in shape)
    per_day = stream(seed, 0, 31).poisson(ARRIVALS * (1 + seasonality * season(time)))
    n, reach = int(per_day.sum()), max(shape)
    rng = iter(stream(seed, 0, process) for process in range(32, 50))
    heading = next(rng).normal(0, 0.6, n)  # 0 is eastwards
    speed = reach * next(rng).uniform(0.1, 0.6, n)
    longer = np.maximum(reach * next(rng).uniform(0.06, 0.25, n), 0.8)
    storms = zip(
        np.repeat(np.arange(len(time)), per_day),
        next(rng).integers(1, 4, n),
        next(rng).uniform(-0.15, 1.15, n) * shape[0],
        next(rng).uniform(-0.40, 1.0, n) * shape[1],
        -speed * np.sin(heading),
        speed * np.cos(heading),
        longer,
        np.maximum(longer * next(rng).uniform(0.3, 1.0, n), 0.6),
        next(rng).uniform(0, np.pi, n),
        next(rng).gamma(1.2, 1.0, n),
        strict=True,
    )
    # long and short: standard deviations along the axes
    for first, days, row, col, drift_row, drift_col, long, short, angle, peak in storms:
        cosine, sine = np.cos(angle), np.sin(angle)
        a = (long * sine) ** 2 + (short * cosine) ** 2 + drift_row**2 / 12
        b = (long**2 - short**2) * sine * cosine + drift_row * drift_col / 12
        c = (long * cosine) ** 2 + (short * sine) ** 2 + drift_col**2 / 12
        area = a * c - b * b
        for age in range(min(days, len(time) - first)):
            r = (rows - row - drift_row * (age + 0.5))[:, None]
            k = (cols - col - drift_col * (age + 0.5))[None, :]
            strength = peak * long * short / np.sqrt(area) * np.sin(np.pi * (age + 0.5) / days)
            distance = (c * r * r - 2 * b * r * k + a * k * k) / area
            field[first + age] += strength * np.exp(-0.5 * distance)
    return field


def temperature(
    elevation: np.ndarray,
    lat: np.ndarray,
    prcp: np.ndarray,
    time: pd.DatetimeIndex,
    mean: float | int,
    seed: int,
) -> np.ndarray:
    """Daily mean temperature, degC, float32 `(time, row, col)`; `mean` is the grid's, `lat` over
    rows, and `prcp` cools summer days."""
    cosine = season(time)
    spells, east, north = (
        autoregressive(stream(seed, 0, process).standard_normal((1, len(time))), memory)[0]
        for process, memory in ((50, 0.75), (51, 0.6), (52, 0.6))
    )
    daily = SEASON * cosine + 2.5 * (1 - 0.35 * cosine) * spells
    across = np.linspace(-1, 1, elevation.shape[1])[None, :]
    along = np.linspace(1, -1, elevation.shape[0])[:, None]
    place = (
        mean
        - LAPSE * (elevation - elevation.mean()) / 1000
        - BY_LATITUDE * (lat - lat.mean())[:, None]
    )
    tmean = np.empty(prcp.shape, dtype=np.float32)
    for day, rain in enumerate(prcp):
        cooling = (0.3 + 1.2 * max(cosine[day], 0)) * (1 - np.exp(-rain / 5))
        tmean[day] = place + daily[day] + 1.5 * (east[day] * across + north[day] * along) - cooling
    return np.round(tmean, 2)
