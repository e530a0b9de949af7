"""Synthetic gridded catchments: moving storms over a mountain basin, with a hidden HBV in every
cell.

The grids have the shapes of the three basins of Li et al. (2023), doi
10.1016/j.jhydrol.2023.129401, or any other. Where rain falls matters: water from near cells arrives
in hours and from far ones in days, high cells keep it as snow, and soils differ. Everything that
nature hides is included as `true_*`."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import binary_erosion, binary_fill_holes, gaussian_filter, label

from hydronb.data.gridded import cell_area, cell_weights, check_grid
from hydronb.data.pet import oudin
from hydronb.data.synthetic import truth_grid, truth_hbv
from hydronb.data.synthetic.catchments import WARMUP_YEARS, estimated, measured, true_attrs
from hydronb.data.synthetic.storms import precipitation, temperature
from hydronb.data.synthetic.weather import stream
from hydronb.parameters import GridParameters

START = "1983-01-01"
"""First day of every synthetic grid: 32 years cover all periods of Li et al. (2023)."""
CELL = 0.1
"""Width of a cell, degrees."""
LONGEST = 6.0
"""Days that water takes from the most distant cell, whatever the grid's size."""
PARTS = 5
"""Parts along each side of a cell, from which its share of the basin is counted."""


class Preset(NamedTuple):
    shape: tuple[int, int]
    """Rows and columns (Li et al. 2023, Table A3)."""
    north: float
    """Northern edge, degrees; near the real basin."""
    west: float
    elevation: tuple[float, float]
    """Lowest and highest cell, m (ibid., Table 1)."""
    prcp: float
    """Mean precipitation, mm/a (ibid., Table 1)."""
    tmean: float
    """Mean temperature, degC."""
    seasonality: float
    """Amplitude of the storms' season over their mean."""


PRESETS = {
    "yellow": Preset((41, 77), 36.2, 95.8, (2656.0, 6253.0), 510.0, -1.0, 0.85),
    "yangtze": Preset((34, 71), 35.8, 90.4, (3516.0, 6575.0), 460.0, -2.5, 0.85),
    "lancang": Preset((84, 59), 33.8, 93.8, (1243.0, 6334.0), 830.0, 4.0, 0.8),
}
ANYWHERE = Preset((16, 16), 36.0, 100.0, (800.0, 4300.0), 750.0, 5.5, 0.5)


def synthetic_grid(
    preset_or_shape: str | list[int] | tuple[int, ...] = (16, 16),
    years: int = 12,
    seed: int = 0,
    *,
    cells: bool = True,
) -> xr.Dataset:
    """A gridded catchment whose streamflow and evapotranspiration come from a hidden distributed
    model, deterministic for given arguments; 16 x 16 cells and 12 years take about two seconds.

    Parameters
    ----------
    preset_or_shape
        `yellow` (41 x 77), `yangtze` (34 x 71), `lancang` (84 x 59), or rows and columns, at least
        4 x 4.
    years
        Calendar years from 1983 on. The first years do not depend on how many follow, except for
        the gauge's errors.
    seed
        Any integer from 0; terrain, basin, soils and weather follow from it.
    cells
        Whether to keep the truth of each cell, which takes twice the memory of the forcing.

    Returns
    -------
    xr.Dataset
        The convention of `hydronb.data.gridded`, with `elevation`, and with `true_streamflow`,
        `true_et` mm/d, `true_snow`, `true_soil_moisture`, `true_groundwater`, `true_storage` mm
        `(time)`, float64, basin means, where `P - true_et - true_streamflow` is the change of
        `true_storage`; `true_et_cells` and so on `(time, y, x)`, NaN outside the basin;
        `true_travel_time` d `(y, x)`.

    Raises
    ------
    ParameterError
        Unknown preset, a grid below 4 x 4 cells, less than one year, a negative seed.
    """
    named = isinstance(preset_or_shape, str)
    GridParameters.validate_parameters(
        {"preset" if named else "shape": preset_or_shape, "years": years, "seed": seed}
    )
    place = PRESETS[preset_or_shape] if named else ANYWHERE._replace(shape=tuple(preset_or_shape))
    name = preset_or_shape if named else "x".join(map(str, place.shape))
    start = pd.Timestamp(START)
    time = pd.date_range(
        start - pd.DateOffset(years=WARMUP_YEARS),
        start + pd.DateOffset(years=years),
        freq="D",
        inclusive="left",
    )
    warmup = int((time < start).sum())
    land = _land(place, seed)
    elevation, lat = land["elevation"].to_numpy(), land["lat"].to_numpy()
    prcp = precipitation(elevation, time, place.prcp / 365.25, place.seasonality, warmup, seed)
    tmean = temperature(elevation, lat, prcp, time, place.tmean, seed)
    ds = land.assign_coords(time=time).assign(
        prcp=(("time", "y", "x"), prcp, {"units": "mm/d"}),
        tmean=(("time", "y", "x"), tmean, {"units": "degC"}),
    )
    ds = ds.assign(_truth(ds, seed, cells)).isel(time=slice(warmup, None))
    # what a gauge and a satellite product make of the truth: streamflow with gaps, et without
    flow, et = (ds[f"true_{name}"].to_numpy()[None] for name in ("streamflow", "et"))
    ds = ds.assign(
        streamflow=("time", measured(flow, seed)[0], {"units": "mm/d"}),
        et=("time", estimated(et, seed)[0], {"units": "mm/d"}),
    ).assign_attrs(
        basin=f"synthetic_{name}",
        title=f"synthetic grid {name}, {years} years from {START}, seed {seed}",
        source="hydronb.data.synthetic.grids",
    )
    return check_grid(ds, where="the synthetic grid")


# Terrain
# ---


def _noise(shape: tuple[int, int], wave: float | int, seed: int, process: int) -> np.ndarray:
    """Smooth noise of zero mean and unit variance; `wave` is its correlation length in cells."""
    field = gaussian_filter(stream(seed, 0, process).standard_normal(shape), max(wave, 0.7))
    return (field - field.mean()) / field.std()


def _land(place: Preset, seed: int) -> xr.Dataset:
    """Elevation, mask and coordinates: a slope with mountains, lowest at one edge of the basin."""
    rows, cols = place.shape
    reach = max(place.shape)
    fall = stream(seed, 0, 60).uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, cols)[None, :]
    rough = _noise(place.shape, reach / 8, seed, 61) + 0.5 * _noise(
        place.shape, reach / 20, seed, 62
    )
    height = np.cos(fall) * x - np.sin(fall) * y + 0.5 * rough
    low, high = place.elevation
    elevation = low + (high - low) * (height - height.min()) / (height.max() - height.min())
    lat = np.round(place.north - CELL * (np.arange(rows) + 0.5), 4)
    lon = np.round(place.west + CELL * (np.arange(cols) + 0.5), 4)
    mask = _mask(place.shape, seed)
    return xr.Dataset(
        {"mask": (("y", "x"), mask), "elevation": (("y", "x"), np.round(elevation, 1))},
        coords={
            "lat": ("y", lat, {"units": "degrees_north"}),
            "lon": ("x", lon, {"units": "degrees_east"}),
            "area": ((), float((mask * cell_area(lat, lon)).sum()), {"units": "km2"}),
        },
    )


def _mask(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Share of each cell that lies in the basin: an ellipse with a ragged edge, in one piece,
    without holes."""
    fine = (shape[0] * PARTS, shape[1] * PARTS)
    y, x = (np.linspace(-1, 1, n) for n in fine)
    ragged = 0.16 * _noise(fine, max(fine) / 12, seed, 63) + 0.05 * _noise(
        fine, max(fine) / 40, seed, 64
    )
    inside = np.hypot(y[:, None], x[None, :]) + ragged < 0.92
    pieces, _ = label(inside)
    largest = np.argmax(np.bincount(pieces[pieces > 0])) if inside.any() else 0
    return (
        binary_fill_holes(pieces == largest)
        .reshape(shape[0], PARTS, shape[1], PARTS)
        .mean(axis=(1, 3))
        .astype(np.float32)
    )


# Truth
# ---


def _truth(ds: xr.Dataset, seed: int, cells: bool) -> dict[str, tuple]:
    inside = ds["mask"].to_numpy() > 0
    # the outlet is the lowest cell of the basin's edge
    edge = np.where(inside & ~binary_erosion(inside), ds["elevation"].to_numpy(), np.inf)
    row, col = (int(i) for i in np.unravel_index(edge.argmin(), edge.shape))
    high, wide = 111.2 * CELL, 111.2 * CELL * float(np.cos(np.deg2rad(ds["lat"].mean())))
    days = truth_grid.travel_time(inside, (row, col), (high, wide), LONGEST)
    prcp, tmean = (ds[name].to_numpy()[:, inside] for name in ("prcp", "tmean"))
    years = ds.indexes["time"].year
    # year by year, for less memory
    pet = np.concatenate(
        [
            oudin(ds["tmean"][years == year], ds["lat"])
            .transpose("time", "y", "x")
            .to_numpy()[:, inside]
            for year in np.unique(years)
        ]
    )
    basin, by_cell = truth_grid.simulate(
        prcp,
        tmean,
        pet,
        {name: values[inside] for name, values in _parameters(ds, seed).items()},
        cell_weights(ds).to_numpy()[inside],
        days[inside],
        cells=cells,
    )
    out: dict[str, tuple] = {
        f"true_{name}": ("time", values, true_attrs(name)) for name, values in basin.items()
    }
    for name in list(by_cell):
        full = np.full((len(prcp), *inside.shape), np.nan, dtype=np.float32)
        full[:, inside] = by_cell.pop(name)
        out[f"true_{name}_cells"] = (("time", "y", "x"), full, true_attrs(name))
    return out | {
        "true_travel_time": (
            ("y", "x"),
            days.astype(np.float32),
            {"units": "d", "long_name": "true travel time to the outlet"},
        )
    }


def _parameters(ds: xr.Dataset, seed: int) -> dict[str, np.ndarray]:
    """HBV's parameters, `(y, x)`: shallow soils that drain fast on high ground, and patches of
    different soil and rock."""
    shape = ds["mask"].shape
    elevation = ds["elevation"].to_numpy().astype(np.float64)
    high = (elevation - elevation.min()) / (elevation.max() - elevation.min())
    soil, rock = (_noise(shape, max(shape) / 10, seed, process) for process in (65, 66))
    values = {
        "FC": 260 * np.exp(0.45 * soil - 0.9 * high),
        "BETA": 1.4 + 1.2 * (1 - high) * np.exp(0.25 * soil),
        "LP": 0.75 - 0.15 * high,
        "BETAET": 1.0 + 0.3 * np.exp(0.3 * soil),
        "K0": 0.3 + 0.35 * high,
        "K1": 0.10 * np.exp(0.5 * rock),
        "K2": 0.015 * np.exp(0.5 * rock),
        "PERC": 1.3 * np.exp(0.5 * rock - 0.5 * high),
        "UZL": 14 * np.exp(-0.8 * high),
        "TT": np.zeros(shape),
        "CFMAX": 2.5 + 1.5 * high,
        "CFR": np.full(shape, 0.05),
        "CWH": np.full(shape, 0.1),
    }
    return {name: np.clip(field, *truth_hbv.BOUNDS[name][:2]) for name, field in values.items()}


def true_streamflow(ds: xr.Dataset, seed: int) -> xr.DataArray:
    """What the hidden model makes of the forcing of `ds`, whatever it is, from empty stores: mm/d,
    `(time)`. The rest of `ds` is of `synthetic_grid` with this `seed`."""
    return xr.DataArray(_truth(ds, seed, cells=False)["true_streamflow"][1], {"time": ds["time"]})
