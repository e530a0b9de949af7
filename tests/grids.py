"""Gridded catchments made of random numbers, small enough to check by hand."""

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.gridded import check_grid


def random_grid(shape: tuple[int, int] = (5, 7), days: int = 400, seed: int = 0) -> xr.Dataset:
    """`prcp`, `tmean`, `streamflow` with gaps, `et`, `elevation`, and `true_snow` that is a sum of
    the basin's rain; the basin is what lies off the grid's edge. Streamflow is yesterday's rain of
    one cell."""
    rng = np.random.default_rng(seed)
    time = pd.date_range("2000-01-01", periods=days)
    prcp = rng.gamma(0.6, 5, (days, *shape)).astype(np.float32)
    season = 10 * np.sin(2 * np.pi * np.arange(days) / 365.25)
    tmean = (season[:, None, None] + rng.normal(5, 3, (days, *shape))).astype(np.float32)
    flow = 0.4 * np.roll(prcp[:, 1, 1], 1)
    flow[rng.random(days) < 0.05] = np.nan
    mask = np.zeros(shape)
    mask[1:-1, 1:-1] = 1
    ds = xr.Dataset(
        {
            "prcp": (("time", "y", "x"), prcp, {"units": "mm/d"}),
            "tmean": (("time", "y", "x"), tmean, {"units": "degC"}),
            "mask": (("y", "x"), mask),
            "elevation": (("y", "x"), rng.uniform(500, 3000, shape), {"units": "m"}),
            "streamflow": ("time", flow.astype(np.float32), {"units": "mm/d"}),
            "et": (
                "time",
                np.maximum(0, 2 + 0.2 * season + rng.normal(0, 0.2, days)).astype(np.float32),
                {"units": "mm/d"},
            ),
            "true_snow": ("time", 3 * prcp[:, 1:-1, 1:-1].mean((1, 2)), {"units": "mm"}),
        },
        {
            "time": time,
            "lat": ("y", np.zeros(shape[0])),
            "lon": ("x", 100 + 0.1 * np.arange(shape[1])),
        },
        {"basin": "brook"},
    )
    return check_grid(ds)
