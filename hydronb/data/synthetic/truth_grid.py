"""The distributed truth behind the synthetic grids: the hidden HBV in each cell, routed to the
outlet along the terrain by a diffusive wave."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.stats import gamma

from hydronb.data.synthetic import truth_hbv

CELERITY = 86.4
"""Of a flood wave, km/d: 1 m/s."""
DIFFUSION = 432.0
"""Of a flood wave, km2/d: 5,000 m2/s."""
ROUTING_DAYS = 40
DEEPEST = 800.0
"""Snow that a cell can hold, mm; more flows down as ice, and melts into the lower zone."""
CELL_SERIES = ("et", "snow", "soil_moisture", "groundwater")
"""What is kept of each cell: mm/d, and mm at the day's end; snow includes its melt water."""


def travel_time(
    inside: np.ndarray,
    outlet: tuple[int, int],
    cell_km: tuple[float, float],
    elevation: np.ndarray,
) -> np.ndarray:
    """Mean days from each cell to the outlet along the terrain, at `CELERITY`; NaN outside.

    Of all ways to the outlet within the basin, water takes the one whose highest cell is lowest:
    the way that filling the terrain's pits up to their rims leaves open. These ways make up the
    minimum spanning tree of the cells, joined by the heights that lie between them.

    Parameters
    ----------
    inside
        Cells of the basin, `(row, col)`, connected side by side or across corners.
    outlet
        Row and column of the outlet's cell.
    cell_km
        Height and width of a cell.
    elevation
        m, `(row, col)`.
    """
    cells = np.argwhere(inside)
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(len(cells))
    start, end, km = [], [], []
    for d_row, d_col in ((0, 1), (1, 0), (1, 1), (1, -1)):
        others = cells + (d_row, d_col)
        ok = ((others >= 0) & (others < inside.shape)).all(axis=1)
        ok[ok] = inside[tuple(others[ok].T)]
        start.append(number[tuple(cells[ok].T)])
        end.append(number[tuple(others[ok].T)])
        km.append(np.full(ok.sum(), np.hypot(d_row * cell_km[0], d_col * cell_km[1])))
    start, end, km = (np.concatenate(parts) for parts in (start, end, km))
    # 1 is the lowest cell, since a sparse graph takes 0 for no edge; of edges with the same higher
    # cell, the one that falls deepest comes first
    rank = np.unique(elevation[inside], return_inverse=True)[1] + 1.0
    pass_rank = np.maximum(rank[start], rank[end]) + np.minimum(rank[start], rank[end]) / (
        rank.max() + 1
    )
    size = (len(cells),) * 2
    tree = minimum_spanning_tree(csr_array((pass_rank, (start, end)), shape=size)) > 0
    distance = dijkstra(
        tree * csr_array((km, (start, end)), shape=size), directed=False, indices=number[outlet]
    )
    days = np.full(inside.shape, np.nan)
    days[inside] = (distance + min(cell_km) / 2) / CELERITY
    return days


def unit_hydrographs(days: np.ndarray) -> np.ndarray:
    """Share of a cell's release that passes the outlet 0, 1, ... days later, `(cell, lag)`, summing
    to 1: gamma distributed with the mean `days` `(cell)` and the variance of a diffusive wave,
    2 `DIFFUSION` `days` / `CELERITY`^2 (Hayami's equation)."""
    spread = 2 * DIFFUSION / CELERITY**2
    passed = gamma.cdf(np.arange(ROUTING_DAYS + 1), days[:, None] / spread, scale=spread)
    return np.diff(passed, axis=1) / passed[:, -1:]


def simulate(
    prcp: np.ndarray,
    tmean: np.ndarray,
    pet: np.ndarray,
    parameters: dict[str, np.ndarray],
    weights: np.ndarray,
    days: np.ndarray,
    *,
    cells: bool = True,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Run HBV in each cell over all days from empty stores, and route what the cells release.

    Parameters
    ----------
    prcp, tmean, pet
        mm/d, degC, mm/d; `(time, cell)`.
    parameters
        The names of `truth_hbv.BOUNDS` except `ROUTE_A` and `ROUTE_B`, `(cell)`.
    weights
        Share of each cell in the basin's area, `(cell)`, summing to 1.
    days
        Mean travel time to the outlet, `(cell)`.
    cells
        Whether to keep the cells' own series.

    Returns
    -------
    basin, cells
        Series by name. `basin`, `(time)`, float64: `streamflow`, `et`, `CELL_SERIES`' storages, and
        `storage` (all of them and the water on its way), whose change is `P - ET - Q` to rounding.
        `cells`, float32 `(time, cell)`: `CELL_SERIES`.
    """
    lags = unit_hydrographs(days)
    n_days = len(prcp)
    outflow, released = np.zeros(n_days + ROUTING_DAYS), np.zeros(n_days)
    basin = {name: np.empty(n_days) for name in CELL_SERIES}
    by_cell = {name: np.empty(prcp.shape, dtype=np.float32) for name in CELL_SERIES if cells}
    stores = tuple(np.zeros((5, prcp.shape[1])))
    for day in range(n_days):
        stores, (quick, slow, et) = truth_hbv.step(
            stores, *(series[day].astype(np.float64) for series in (prcp, tmean, pet)), parameters
        )
        snowpack, meltwater, soil, upper, lower = stores
        ice = np.maximum(snowpack - DEEPEST, 0)
        snowpack, lower = snowpack - ice, lower + ice
        stores = (snowpack, meltwater, soil, upper, lower)
        release = weights * (quick + slow)
        outflow[day : day + ROUTING_DAYS] += release @ lags
        released[day] = release.sum()
        for name, value in zip(
            CELL_SERIES, (et, snowpack + meltwater, soil, upper + lower), strict=True
        ):
            basin[name][day] = weights @ value
            if cells:
                by_cell[name][day] = value
    on_its_way = np.cumsum(released - outflow[:n_days])
    return basin | {
        "streamflow": outflow[:n_days],
        "storage": basin["snow"] + basin["soil_moisture"] + basin["groundwater"] + on_its_way,
    }, by_cell
