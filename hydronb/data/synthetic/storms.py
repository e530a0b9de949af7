"""Synthetic weather on a grid: storms that move, and temperature that falls with height.

Storms are ellipses that arrive at random, more in the wet season: showers of some ten kilometres,
and systems of some hundred that move, grow and die within days. Their size and speed are those of
the weather, not of the grid. Noise of neighbouring cells roughens them, and high ground receives
more. Temperature is a season, spells of warm and cold days and a front across the basin, minus the
lapse with height. Every process draws from a random stream of its own in the order of time, so that
the years that two grids share are the same whatever the number of years that follow."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from hydronb.data.synthetic.weather import autoregressive, season, stream


class Storms(NamedTuple):
    """One kind of storms, in km and days, whatever the grid: of each range, both ends."""

    density: float
    """Arrivals per day and 10^6 km2, mean of the year."""
    length: tuple[float, float]
    """Standard deviation of the rain along the longer axis, km."""
    speed: tuple[float, float]
    """km/d."""
    days: tuple[int, int]
    rain: float
    """Mean of a storm's largest rain, over that of the other kinds."""
    process: int
    """First of the random streams."""


KINDS = (
    Storms(8.0, (12.0, 45.0), (50.0, 300.0), (1, 1), 1.0, 200),
    Storms(2.0, (25.0, 65.0), (150.0, 600.0), (1, 3), 3.0, 220),
)
"""Showers, and systems of some hundred kilometres. With them the mean precipitation of a box and of
a basin that fills a sixth of it correlate by 0.8, as in Table 5 of Li et al. (2023)."""
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
REACH = 3.5
"""Standard deviations beyond which a storm brings no rain."""
FRONT = 150.0
"""km over which the temperature of a day departs by 1 degC from its pattern, in the mean."""
UPHILL = 0.25
"""Gain of the logarithm of precipitation for each standard deviation of height."""


def precipitation(
    elevation: np.ndarray,
    cell_km: tuple[float, float],
    time: pd.DatetimeIndex,
    mean: float,
    seasonality: float,
    calibration: int,
    seed: int,
) -> np.ndarray:
    """Daily precipitation, mm/d, float32 `(time, row, col)`, rounded as products are.

    Parameters
    ----------
    elevation
        m, `(row, col)`.
    cell_km
        Height and width of a cell.
    mean
        mm/d, of the grid over the first `calibration` days.
    seasonality
        Amplitude of the storms' season over their mean, 0 to 1, its peak in summer.
    seed
        Any integer from 0.
    """
    prcp = np.zeros((len(time), *elevation.shape), dtype=np.float32)
    for kind in KINDS:
        prcp += _storm_field(elevation.shape, cell_km, time, seasonality, kind, seed)
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
    shape: tuple[int, int],
    cell_km: tuple[float, float],
    time: pd.DatetimeIndex,
    seasonality: float,
    kind: Storms,
    seed: int,
) -> np.ndarray:
    """Sum of the ellipses of all storms of a kind, smeared along a day's movement; float32 `(time,
    row, col)`.

    Lengths are in km, directions in rows and columns, movements in km per day."""
    field = np.zeros((len(time), *shape), dtype=np.float32)
    high, wide = (n * km for n, km in zip(shape, cell_km, strict=True))
    rows, cols = ((np.arange(n) + 0.5) * km for n, km in zip(shape, cell_km, strict=True))
    beyond = 2 * kind.length[1]
    upwind = beyond + kind.speed[1] * (kind.days[1] - 0.5)
    area = (high + 2 * beyond) * (wide + upwind + beyond)
    rate = kind.density * area / 1e6 * (1 + seasonality * season(time))
    rng = iter(stream(seed, 0, kind.process + k) for k in range(20))
    per_day = next(rng).poisson(rate)
    n = int(per_day.sum())
    heading = next(rng).normal(0, 0.6, n)  # 0 is eastwards
    speed = next(rng).uniform(*kind.speed, n)
    longer = next(rng).uniform(*kind.length, n)
    storms = zip(
        np.repeat(np.arange(len(time)), per_day),
        next(rng).integers(kind.days[0], kind.days[1] + 1, n),
        next(rng).uniform(-beyond, high + beyond, n),
        next(rng).uniform(-upwind, wide + beyond, n),
        -speed * np.sin(heading),
        speed * np.cos(heading),
        longer,
        longer * next(rng).uniform(0.3, 1.0, n),
        next(rng).uniform(0, np.pi, n),
        kind.rain * next(rng).gamma(1.2, 1.0, n),
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
            y, x = row + drift_row * (age + 0.5), col + drift_col * (age + 0.5)
            near_rows = slice(*np.searchsorted(rows, (y - REACH * a**0.5, y + REACH * a**0.5)))
            near_cols = slice(*np.searchsorted(cols, (x - REACH * c**0.5, x + REACH * c**0.5)))
            r, k = (rows[near_rows] - y)[:, None], (cols[near_cols] - x)[None, :]
            strength = peak * long * short / np.sqrt(area) * np.sin(np.pi * (age + 0.5) / days)
            distance = (c * r * r - 2 * b * r * k + a * k * k) / area
            field[first + age, near_rows, near_cols] += strength * np.exp(-0.5 * distance)
    return field


def temperature(
    elevation: np.ndarray,
    cell_km: tuple[float, float],
    lat: np.ndarray,
    prcp: np.ndarray,
    time: pd.DatetimeIndex,
    mean: float,
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
    north_km, east_km = (
        (np.arange(n) - (n - 1) / 2) * km / FRONT
        for n, km in zip(elevation.shape, cell_km, strict=True)
    )
    across, along = east_km[None, :], -north_km[:, None]
    place = (
        mean
        - LAPSE * (elevation - elevation.mean()) / 1000
        - BY_LATITUDE * (lat - lat.mean())[:, None]
    )
    tmean = np.empty(prcp.shape, dtype=np.float32)
    for day, rain in enumerate(prcp):
        cooling = (0.3 + 1.2 * max(cosine[day], 0)) * (1 - np.exp(-rain / 5))
        tmean[day] = place + daily[day] + east[day] * across + north[day] * along - cooling
    return np.round(tmean, 2)
