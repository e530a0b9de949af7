"""The distributed truth behind the synthetic grids: the hidden HBV in each cell, routed to the
outlet by distance."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.stats import gamma

from hydronb.data.synthetic import truth_hbv

SPREAD = 4.0
"""Shape of the gamma distribution of travel times; the larger, the less a flood wave flattens."""
ROUTING_DAYS = 24
CELL_SERIES = ("et", "snow", "soil_moisture", "groundwater")
"""What is kept of each cell: mm/d, and mm at the day's end; snow includes its melt water."""


def travel_time(
    inside: np.ndarray, outlet: tuple[int, int], cell_km: tuple[float, float], longest: float
) -> np.ndarray:
    """Mean days from each cell to the outlet along the shortest way within the basin; NaN outside.

    Parameters
    ----------
    inside
        Cells of the basin, `(row, col)`, connected side by side or across corners.
    outlet
        Row and column of the outlet's cell.
    cell_km
        Height and width of a cell.
    longest
        Days from the most distant cell; it sets the speed, which is the same everywhere.
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
    graph = csr_array(
        (np.concatenate(km), (np.concatenate(start), np.concatenate(end))), shape=(len(cells),) * 2
    )
    distance = dijkstra(graph, directed=False, indices=number[outlet]) + min(cell_km) / 2
    days = np.full(inside.shape, np.nan)
    days[inside] = longest * distance / distance.max()
    return days


def unit_hydrographs(days: np.ndarray) -> np.ndarray:
    """Share of a cell's release that passes the outlet 0, 1, ... days later, `(cell, lag)`, summing
    to 1; gamma distributed with the mean `days` `(cell)`."""
    passed = gamma.cdf(np.arange(ROUTING_DAYS + 1), SPREAD, scale=days[:, None] / SPREAD)
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
