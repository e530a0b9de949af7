"""Regridding from one regular grid of latitudes and longitudes to another, by two small matrices,
one per axis."""

from dataclasses import dataclass

import numpy as np

SAME = 1e-3
"""Part of a cell by which two grids may be apart and still count as the same."""
Box = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


@dataclass
class Axes:
    """Centres of a regular grid's cells, degrees, rows from the north and columns from the west."""

    lat: np.ndarray
    lon: np.ndarray

    @property
    def cell(self) -> tuple[float, float]:
        """Height and width of a cell."""
        return spacing(self.lat), spacing(self.lon)

    @property
    def box(self) -> Box:
        """The outer edges of the cells."""
        high, wide = self.cell
        return (
            float(self.lon[0] - wide / 2),
            float(self.lat[-1] - high / 2),
            float(self.lon[-1] + wide / 2),
            float(self.lat[0] + high / 2),
        )

    def same_as(self, other: "Axes") -> bool:
        """Whether both are the same grid, up to `SAME` of a cell."""
        return all(
            len(a) == len(b) and np.allclose(a, b, rtol=0, atol=SAME * spacing(a))
            for a, b in ((self.lat, other.lat), (self.lon, other.lon))
        )


def spacing(centres: np.ndarray) -> float:
    """Distance between neighbouring centres; their median, because a file may have a gap far from
    the basin."""
    return float(np.median(np.abs(np.diff(centres))))


def regrid(values: np.ndarray, source: Axes, target: Axes) -> np.ndarray:
    """Values `(..., row, col)` on another grid: means by area of finer cells, linear interpolation
    between coarser ones."""
    if source.same_as(target):
        return values
    rows = _weights(target.lat, source.lat, by_area=True)
    return rows @ values @ _weights(target.lon, source.lon, by_area=False).T


def _weights(target: np.ndarray, source: np.ndarray, *, by_area: bool) -> np.ndarray:
    if spacing(source) <= spacing(target) * (1 + SAME):
        shared = overlap(target, source, by_area=by_area)
        return shared / shared.sum(axis=1, keepdims=True)
    order = np.argsort(source)
    return np.stack(
        [np.interp(target, source[order], unit[order]) for unit in np.eye(len(source))], axis=1
    )


def share_of_cells(values: np.ndarray, source: Axes, target: Axes) -> np.ndarray:
    """Share of each target cell's area that lies in a mask; `values` are the shares of the source
    cells."""
    rows, cols = (
        overlap(t, s, by_area=by_area) / np.diag(overlap(t, t, by_area=by_area))[:, None]
        for t, s, by_area in ((target.lat, source.lat, True), (target.lon, source.lon, False))
    )
    return np.clip(rows @ values @ cols.T, 0, 1)


def overlap(target: np.ndarray, source: np.ndarray, *, by_area: bool) -> np.ndarray:
    """Extent that each pair of cells shares, `(target, source)`: degrees, or sines of latitude with
    `by_area`."""
    low, high = _bounds(target, by_area)
    source_low, source_high = _bounds(source, by_area)
    return np.clip(
        np.minimum(high[:, None], source_high) - np.maximum(low[:, None], source_low), 0, None
    )


def _bounds(centres: np.ndarray, by_area: bool) -> tuple[np.ndarray, np.ndarray]:
    half = spacing(centres) / 2
    low, high = centres - half, centres + half
    return (np.sin(np.deg2rad(low)), np.sin(np.deg2rad(high))) if by_area else (low, high)
