"""A gridded catchment from 3-hourly precipitation and temperature on the Yangtze's grid: time, and
memory by length.

Files of a month each, as large as the box (34 x 71 cells), deflated. Thirty years are extrapolated
from the years that are measured: time in proportion, memory as it is, since blocks do not grow with
the years.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from measure import alone, arguments, growth, show

ROWS, COLS = 34, 71
LAT, LON = 35.75 - 0.1 * np.arange(ROWS), 90.45 + 0.1 * np.arange(COLS)
WHOLE = 30


def write_products(folder: Path, years: int) -> dict:
    """Random weather of `years` from 1983 on, and the recipe that names it."""
    rng = np.random.default_rng(0)
    for start in pd.date_range("1983-01-01", periods=12 * years, freq="MS"):
        stamps = pd.date_range(start, start + pd.DateOffset(months=1), freq="3h", inclusive="left")
        shape = (len(stamps), ROWS, COLS)
        coords = {"time": stamps, "lat": LAT, "lon": LON}
        prcp = np.round(rng.gamma(0.5, 1, shape) * (rng.random(shape) < 0.3), 2).astype(np.float32)
        tmean = np.round(rng.normal(275, 5, shape), 2).astype(np.float32)
        for name, values, units in (("precipitation", prcp, "mm/3h"), ("t2m", tmean, "K")):
            da = xr.DataArray(
                values, coords, dims=("time", "lat", "lon"), name=name, attrs={"units": units}
            )
            da.to_netcdf(
                folder / f"{name}_{start:%Y%m}.nc", encoding={name: {"zlib": True, "complevel": 1}}
            )
    corners = [[90.7, 32.7], [97.2, 32.7], [97.2, 35.5], [90.7, 35.5], [90.7, 32.7]]
    (folder / "basin.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    return {
        "basin": "benchmark",
        "outline": str(folder / "basin.geojson"),
        "margin": 2,
        "prcp": {"files": str(folder / "precipitation_*.nc")},
        "tmean": {"files": str(folder / "t2m_*.nc")},
    }


def prepared(years: int) -> tuple[float, float]:
    """CPU seconds, and MB by which the process grows."""
    from hydronb.data.gridding.prepare import prepare_grid

    with tempfile.TemporaryDirectory() as name:
        recipe = write_products(Path(name), years)
        start = time.process_time()
        grown = growth(lambda: prepare_grid(recipe, Path(name) / "basin.zarr", progress=False))
        return time.process_time() - start, grown


def held_whole(years: int) -> float:
    """MB of all steps of both products."""
    return 2 * years * 365.25 * 8 * ROWS * COLS * 4 / 1e6


def main() -> None:
    chosen = arguments(__doc__, years=3)
    if chosen.alone:
        print(prepared(int(chosen.alone))[1])
        return
    years = 1 if chosen.quick else chosen.years
    seconds, memory = prepared(years)[0], {n: alone(str(n)) for n in {1, years}}
    rows = [
        ["1", "", memory[1], held_whole(1)],
        [f"{years}", seconds, memory[years], held_whole(years)],
        [f"{WHOLE}, extrapolated", seconds * WHOLE / years, memory[years], held_whole(WHOLE)],
    ]
    show(["years", "CPU s", "memory, MB", "steps held whole, MB"], rows)


if __name__ == "__main__":
    main()
