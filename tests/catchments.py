"""Catchment datasets made of random numbers, small enough to check by hand."""

import datetime as dt

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.parameters import Period


def random_catchments(
    n_basins: int = 3, days: int = 400, seed: int = 0, start: str = "2000-01-01"
) -> xr.Dataset:
    """`prcp`, `tmean`, `streamflow` with gaps, three attributes: streamflow depends on yesterday's
    precipitation."""
    rng = np.random.default_rng(seed)
    time = pd.date_range(start, periods=days)
    ids = np.array([f"x_{k:08d}" for k in range(1, n_basins + 1)], object)
    prcp = rng.gamma(0.6, 5, (n_basins, days)).astype(np.float32)
    flow = 0.5 * np.roll(prcp, 1, axis=1) + rng.gamma(1, 0.2, (n_basins, days)).astype(np.float32)
    flow[rng.random(flow.shape) < 0.05] = np.nan
    return xr.Dataset(
        {
            "prcp": (("basin", "time"), prcp, {"units": "mm/d"}),
            "tmean": (
                ("basin", "time"),
                rng.normal(8, 6, (n_basins, days)).astype(np.float32),
                {"units": "degC"},
            ),
            "streamflow": (("basin", "time"), flow, {"units": "mm/d"}),
            "slope": ("basin", rng.uniform(1, 60, n_basins)),
            "forest": ("basin", rng.uniform(0, 1, n_basins)),
            "rock": (
                "basin",
                np.array([("basalt", "granite", "shale")[k % 3] for k in range(n_basins)], object),
            ),
        },
        coords={"basin": ids, "time": time, "lat": ("basin", np.linspace(30, 45, n_basins))},
    )


def period(start: str, end: str) -> Period:
    return Period(start=dt.date.fromisoformat(start), end=dt.date.fromisoformat(end))
