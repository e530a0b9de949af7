"""Synthetic gridded catchments: moving storms over a mountain basin, with a hidden HBV in every
cell.

The grids have the shapes, areas and heights of the three basins of Li et al. (2023), doi
10.1016/j.jhydrol.2023.129401, or any other. A basin lies around a valley that crosses its box from
corner to corner, and fills a given share of it. Where rain falls matters: water follows the terrain
and arrives in hours from near cells and in days from far ones, high cells keep it as snow, and
soils differ. Everything that nature hides is included as `true_*`; what the same truth makes of
the basin's mean forcing, as `lumped_*`, says how much a grid can add at most."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import binary_erosion, binary_fill_holes, gaussian_filter, label
from scipy.spatial import KDTree

from hydronb.data.gridded import cell_area, cell_weights, check_grid
from hydronb.data.pet import oudin
from hydronb.data.synthetic import truth_grid, truth_hbv
from hydronb.data.synthetic.catchments import WARMUP_YEARS, estimated, measured, true_attrs
from hydronb.data.synthetic.storms import precipitation, temperature
from hydronb.data.synthetic.weather import stream
from hydronb.parameters import GridParameters

START = "1983-01-01"
"""First day of every synthetic grid: 32 years cover all periods of Li et al. (2023)."""
DEGREE = 111.2
"""Length of a degree of latitude, km."""
PATCH = 60.0
"""Correlation length of mountains, soils and rock, km."""
PARTS = 5
"""Parts along each side of a cell, from which its share of the basin is counted."""


class Preset(NamedTuple):
    shape: tuple[int, int]
    """Rows and columns of 0.1 degrees (Li et al. 2023, Table A3)."""
    share: float
    """Of the box that the basin fills; with it, the basin has the area of Table 1 (ibid.)."""
    north: float
    """Northern edge, degrees; near the real basin."""
    west: float
    elevation: tuple[float, float]
    """Lowest and highest cell of the basin, m (ibid., Table 1)."""
    prcp: float
    """Mean precipitation, mm/a (ibid., Table 1)."""
    tmean: float
    """Mean temperature, degC."""
    seasonality: float
    """Amplitude of the storms' season over their mean."""


PRESETS = {
    "yellow": Preset((41, 77), 0.38, 36.2, 95.8, (2656.0, 6253.0), 510.0, 1.0, 0.85),
    "yangtze": Preset((34, 71), 0.56, 35.8, 90.4, (3516.0, 6575.0), 460.0, -0.5, 0.85),
    "lancang": Preset((84, 59), 0.17, 33.8, 93.8, (1243.0, 6334.0), 830.0, 6.0, 0.8),
}
ANYWHERE = Preset((16, 16), 0.5, 36.0, 100.0, (800.0, 4300.0), 750.0, 5.5, 0.5)


def synthetic_grid(
    preset_or_shape: str | list[int] | tuple[int, ...] = (16, 16),
    years: int = 12,
    seed: int = 0,
    *,
    cells: bool = True,
    cell: float = 0.1,
    share: float | None = None,
) -> xr.Dataset:
    """A gridded catchment whose streamflow and evapotranspiration come from a hidden distributed
    model, deterministic for given arguments; 16 x 16 cells and 12 years take about two seconds.

    Parameters
    ----------
    preset_or_shape
        `yellow` (41 x 77 cells of 0.1 degrees), `yangtze` (34 x 71), `lancang` (84 x 59), or rows
        and columns, at least 4 x 4.
    years
        Calendar years from 1983 on. The first years do not depend on how many follow, except for
        the gauge's errors.
    seed
        Any integer from 0; terrain, basin, soils and weather follow from it.
    cells
        Whether to keep the truth of each cell, which takes twice the memory of the forcing.
    cell
        Width of a cell, degrees; a preset keeps its box, and has fewer cells where they are wider.
    share
        Of the box that the basin fills; a preset's own, else a half, if None.

    Returns
    -------
    xr.Dataset
        The convention of `hydronb.data.gridded`, with `elevation`, and with `true_streamflow`,
        `true_et` mm/d, `true_snow`, `true_soil_moisture`, `true_groundwater`, `true_storage` mm
        `(time)`, float64, basin means, where `P - true_et - true_streamflow` is the change of
        `true_storage`; `true_et_cells` and so on `(time, y, x)`, NaN outside the basin;
        `true_travel_time` d `(y, x)`; `lumped_streamflow` and `lumped_et` `(time)`, the truth under
        the basin's mean forcing of each day, spread over the cells as in the mean of all days.

    Raises
    ------
    ParameterError
        Unknown preset, a grid below 4 x 4 cells, less than one year, a negative seed, a share that
        is none.
    """
    named = isinstance(preset_or_shape, str)
    given = {"years": years, "seed": seed, "cell": cell, "share": share}
    GridParameters.validate_parameters({"preset" if named else "shape": preset_or_shape, **given})
    place = PRESETS[preset_or_shape] if named else ANYWHERE._replace(shape=tuple(preset_or_shape))
    if named:
        place = place._replace(shape=tuple(max(4, round(n * 0.1 / cell)) for n in place.shape))
    name = preset_or_shape if named else "x".join(map(str, place.shape))
    start = pd.Timestamp(START)
    time = pd.date_range(
        start - pd.DateOffset(years=WARMUP_YEARS),
        start + pd.DateOffset(years=years),
        freq="D",
        inclusive="left",
    )
    warmup = int((time < start).sum())
    land = _land(place, cell, place.share if share is None else share, seed)
    elevation, lat = land["elevation"].to_numpy(), land["lat"].to_numpy()
    cell_km = _cell_km(lat, cell)
    prcp = precipitation(
        elevation, cell_km, time, place.prcp / 365.25, place.seasonality, warmup, seed
    )
    tmean = temperature(elevation, cell_km, lat, prcp, time, place.tmean, seed)
    ds = land.assign_coords(time=time).assign(
        prcp=(("time", "y", "x"), prcp, {"units": "mm/d"}),
        tmean=(("time", "y", "x"), tmean, {"units": "degC"}),
    )
    ds = ds.assign(_truth(ds, seed, cells=cells)).isel(time=slice(warmup, None))
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


def _cell_km(lat: np.ndarray, cell: float) -> tuple[float, float]:
    """Height and width of a cell in the middle of the grid."""
    return DEGREE * cell, DEGREE * cell * float(np.cos(np.deg2rad(lat.mean())))


def _noise(shape: tuple[int, int], wave: float, seed: int, process: int) -> np.ndarray:
    """Smooth noise of zero mean and unit variance; `wave` is its correlation length in cells."""
    field = gaussian_filter(stream(seed, 0, process).standard_normal(shape), max(wave, 0.7))
    return (field - field.mean()) / field.std()


def _land(place: Preset, cell: float, share: float, seed: int) -> xr.Dataset:
    """Elevation, mask and coordinates: a valley that rises from the outlet to the far corner, its
    sides up to the divide, and mountains."""
    rows, cols = place.shape
    lat = np.round(place.north - cell * (np.arange(rows) + 0.5), 4)
    lon = np.round(place.west + cell * (np.arange(cols) + 0.5), 4)
    cell_km = _cell_km(lat, cell)
    along, across = _valley(place.shape, cell_km, share, seed)
    mask = _mask(across < 1)
    mountains = _noise(place.shape, PATCH / cell_km[0], seed, 61) + 0.5 * _noise(
        place.shape, PATCH / 3 / cell_km[0], seed, 62
    )
    sides = 1 - abs(1 - across.clip(max=2))
    height = _cell_means(along + 0.6 * sides) + 0.12 * mountains
    low, high = place.elevation
    elevation = (low + (high - low) * _relative(height, mask)).clip(0, 8800)
    return xr.Dataset(
        {"mask": (("y", "x"), mask), "elevation": (("y", "x"), np.round(elevation, 1))},
        coords={
            "lat": ("y", lat, {"units": "degrees_north"}),
            "lon": ("x", lon, {"units": "degrees_east"}),
            "area": ((), float((mask * cell_area(lat, lon)).sum()), {"units": "km2"}),
        },
    )


def _valley(
    shape: tuple[int, int], cell_km: tuple[float, float], share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """How far up the valley, from 0 to 1, and how far from its axis, 1 being the divide, each part
    of a cell lies, `(row, col)` of parts.

    The axis winds from one corner of the box to the opposite one; the basin is narrow at both ends
    and has a ragged edge."""
    rng = stream(seed, 0, 60)
    t = np.linspace(0, 1, 400)
    bends = sum(rng.normal() * np.sin(k * np.pi * t) / k**1.5 for k in (2, 3, 4, 5))
    box = np.array(shape) * cell_km
    axis = np.stack([t + 0.06 * bends, t - 0.06 * bends], 1).clip(0, 1) * 0.94 + 0.03
    axis = np.where(rng.random(2) < 0.5, axis, 1 - axis) * box
    fine = (shape[0] * PARTS, shape[1] * PARTS)
    points = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in fine), indexing="ij"), -1)
    km, nearest = KDTree(axis).query(points / PARTS * cell_km)
    waves = PARTS / cell_km[0] * np.array([PATCH, PATCH / 3])
    ragged = 0.25 * _noise(fine, waves[0], seed, 63) + 0.1 * _noise(fine, waves[1], seed, 64)
    across = km / (0.3 + np.sin(np.pi * t[nearest])) * np.exp(ragged)
    return t[nearest], across / np.quantile(across, share)


def _relative(height: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """0 at the lowest cell of the basin, 1 at the highest; below and above them outside."""
    lowest, highest = height[mask > 0].min(), height[mask > 0].max()
    return (height - lowest) / max(highest - lowest, 1e-9)


def _cell_means(parts: np.ndarray) -> np.ndarray:
    rows, cols = (n // PARTS for n in parts.shape)
    return parts.reshape(rows, PARTS, cols, PARTS).mean(axis=(1, 3))


def _mask(inside: np.ndarray) -> np.ndarray:
    """Share of each cell that lies in the basin: of the parts that are inside, the largest piece,
    without holes."""
    pieces, _ = label(inside)
    largest = np.argmax(np.bincount(pieces[pieces > 0]))
    return _cell_means(binary_fill_holes(pieces == largest)).astype(np.float32)


# Truth
# ---


def _truth(ds: xr.Dataset, seed: int, *, cells: bool, lumped: bool = True) -> dict[str, tuple]:
    inside = ds["mask"].to_numpy() > 0
    # the outlet is the lowest cell of the basin's edge
    edge = np.where(inside & ~binary_erosion(inside), ds["elevation"].to_numpy(), np.inf)
    row, col = (int(i) for i in np.unravel_index(edge.argmin(), edge.shape))
    cell_km = _cell_km(ds["lat"].to_numpy(), float(abs(ds["lat"][1] - ds["lat"][0])))
    days = truth_grid.travel_time(inside, (row, col), cell_km, ds["elevation"].to_numpy())
    weights = cell_weights(ds).to_numpy()[inside]
    lat = ds["lat"].broadcast_like(ds["mask"]).to_numpy()[inside]
    prcp, tmean = (ds[name].to_numpy()[:, inside] for name in ("prcp", "tmean"))
    truth = partial(
        _simulate,
        ds.indexes["time"],
        lat,
        {name: values[inside] for name, values in _parameters(ds, cell_km, seed).items()},
        weights,
        days[inside],
    )
    basin, by_cell = truth(prcp, tmean, cells=cells)
    out: dict[str, tuple] = {
        f"true_{name}": ("time", values, true_attrs(name)) for name, values in basin.items()
    }
    if lumped:
        p_mean, t_mean = prcp.mean(axis=0, dtype=float), tmean.mean(axis=0, dtype=float)
        basin, _ = truth(
            np.outer(prcp @ weights, p_mean / (p_mean @ weights)),
            np.add.outer(tmean @ weights, t_mean - t_mean @ weights),
            cells=False,
        )
        text = "true {} under the basin's mean forcing".format
        out |= {
            f"lumped_{name}": ("time", basin[name], {"units": "mm/d", "long_name": text(name)})
            for name in ("streamflow", "et")
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


def _simulate(
    time: pd.DatetimeIndex,
    lat: np.ndarray,
    parameters: dict[str, np.ndarray],
    weights: np.ndarray,
    days: np.ndarray,
    prcp: np.ndarray,
    tmean: np.ndarray,
    *,
    cells: bool,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`truth_grid.simulate` with PET after Oudin."""
    series = xr.DataArray(tmean, {"time": time}, ("time", "cell"))
    pet = oudin(series, xr.DataArray(lat, dims="cell")).transpose("time", "cell").to_numpy()
    return truth_grid.simulate(prcp, tmean, pet, parameters, weights, days, cells=cells)


def _parameters(ds: xr.Dataset, cell_km: tuple[float, float], seed: int) -> dict[str, np.ndarray]:
    """HBV's parameters, `(y, x)`: shallow soils that drain fast on high ground, and patches of
    different soil and rock."""
    shape = ds["mask"].shape
    high = _relative(ds["elevation"].to_numpy(), ds["mask"].to_numpy()).clip(0, 1)
    soil, rock = (_noise(shape, PATCH / 3 / cell_km[0], seed, process) for process in (65, 66))
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
    return xr.DataArray(
        _truth(ds, seed, cells=False, lumped=False)["true_streamflow"][1], {"time": ds["time"]}
    )
