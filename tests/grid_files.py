"""Small files like those of MSWEP, ERA5, ERA5-Land and GLEAM, of which the daily means over cells
are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

LAT = np.arange(35.95, 34.0, -0.1)  # 20 rows from the north
LON = np.arange(100.05, 103.0, 0.1)  # 30 columns
START, DAYS = "2001-01-01", 80


def truth(days: int = DAYS, seed: int = 0) -> xr.Dataset:
    """Daily `prcp` mm/d and `tmean` degC on a 0.1 degree grid, float64, and their 3-hourly
    shape."""
    rng = np.random.default_rng(seed)
    shape = (days * 8, len(LAT), len(LON))
    # mm in 3 hours
    prcp = np.round(rng.gamma(0.4, 2.0, shape) * (rng.random((days * 8, 1, 1)) < 0.4), 3)
    tmean = 5 + 8 * np.sin(np.arange(days * 8)[:, None, None] / 4 * np.pi) + rng.normal(0, 1, shape)
    time = pd.date_range(START, periods=days * 8, freq="3h")
    return xr.Dataset(
        {"amount": (("time", "lat", "lon"), prcp), "celsius": (("time", "lat", "lon"), tmean)},
        coords={"time": time, "lat": LAT, "lon": LON},
    )


def daily(ds: xr.Dataset) -> xr.Dataset:
    """What preparing has to come to, by xarray's own resampling."""
    prcp, tmean = ds["amount"].resample(time="1D").sum(), ds["celsius"].resample(time="1D").mean()
    return xr.Dataset({"prcp": prcp, "tmean": tmean})


def write_mswep(ds: xr.Dataset, folder: Path, files: int = 4) -> str:
    """3-hourly amounts in mm/3h, one file for some days each."""
    folder.mkdir(parents=True, exist_ok=True)
    da = ds["amount"].astype(np.float32).rename("precipitation").assign_attrs(units="mm/3h")
    for number, index in enumerate(np.array_split(np.arange(ds.sizes["time"]), files)):
        da.isel(time=index).to_netcdf(folder / f"mswep_{number}.nc")
    return str(folder / "mswep_*.nc")


def write_era5(ds: xr.Dataset, folder: Path) -> str:
    """Kelvin, new names, 0 to 360 degrees, latitudes from the south."""
    folder.mkdir(parents=True, exist_ok=True)
    da = (ds["celsius"] + 273.15).astype(np.float32).rename("t2m").assign_attrs(units="K")
    da = da.isel(lat=slice(None, None, -1)).rename(
        time="valid_time", lat="latitude", lon="longitude"
    )
    da.to_netcdf(folder / "era5.nc")
    return str(folder / "era5.nc")


def write_gleam(path: Path, days: int = DAYS) -> xr.DataArray:
    """Daily evaporation on a 0.25 degree grid, dims in GLEAM's old order; a plane, so that any mean
    is known."""
    lat, lon = np.arange(36.375, 33.5, -0.25), np.arange(99.625, 103.5, 0.25)
    time = pd.date_range(START, periods=days)
    plane = 1 + 0.1 * (lon[:, None] - 101) + 0.2 * (lat[None, :] - 35)
    values = plane[None] + 0.01 * np.arange(days)[:, None, None]
    da = xr.DataArray(
        values,
        dims=("time", "lon", "lat"),
        coords={"time": time, "lon": lon, "lat": lat},
        name="E",
        attrs={"units": "mm.day-1"},
    )
    da.to_netcdf(path)
    return da


def write_polygon(path: Path, west: float, south: float, east: float, north: float) -> Path:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def write_runoff(path: Path, days: int = DAYS) -> np.ndarray:
    """m3/s by day, one day missing."""
    flow = 100 + np.arange(days, dtype=float)
    lines = [
        f"{day:%Y-%m-%d},{'' if number == 3 else q}"
        for number, (day, q) in enumerate(
            zip(pd.date_range(START, periods=days), flow, strict=True)
        )
    ]
    path.write_text("date,discharge\n" + "\n".join(lines) + "\n")
    flow[3] = np.nan
    return flow


def write_all(folder: Path, days: int = DAYS) -> dict:
    """All products, and the recipe that names them."""
    ds = truth(days)
    write_gleam(folder / "gleam.nc", days)
    write_runoff(folder / "runoff.csv", days)
    write_polygon(folder / "basin.geojson", 100.5, 34.5, 102.25, 35.55)
    return {
        "basin": "Upper Test",
        "outline": str(folder / "basin.geojson"),
        "prcp": {"files": write_mswep(ds, folder / "mswep")},
        "tmean": {"files": write_era5(ds, folder / "era5")},
        "et": {"files": str(folder / "gleam.nc")},
        "streamflow": {"file": str(folder / "runoff.csv")},
    }
