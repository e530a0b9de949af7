"""Gridded catchments: the basin on its grid, and a storm as it passes."""

from collections.abc import Hashable

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.gridded import basin_mean
from hydronb.errors import DataError
from hydronb.plots.style import INK, SEQUENTIAL, _bokeh, axis_label

TERRAIN = ["#3F6F4F", "#7E9B62", "#B9B278", "#C9A878", "#A98467", "#8C7B74", "#C4BFBC", "#F4F2F0"]
RAINFALL = "Blues"
PANEL = 300
"""Width of a panel's longer side, pixels."""
BAR = 90
"""Room for axes and colour bar."""


def grid_maps(ds: xr.Dataset) -> hv.Layout:
    """The grid side by side: elevation where it is known, mean annual precipitation, mean
    temperature and, in the synthetic grids, the travel time to the outlet; the basin's border on
    each.

    `ds` in the convention of `hydronb.data.gridded`.
    """
    _bokeh()
    panels = []
    if "elevation" in ds:
        panels.append(_panel(ds, ds["elevation"], "elevation (m)", TERRAIN))
    annual = ds["prcp"].mean("time") * 365.25
    panels.append(_panel(ds, annual, "precipitation (mm/a)", RAINFALL))
    panels.append(_panel(ds, ds["tmean"].mean("time"), "mean temperature (°C)", "RdYlBu_r"))
    if "true_travel_time" in ds:
        panels.append(_panel(ds, ds["true_travel_time"], "true travel time (d)", SEQUENTIAL))
    return hv.Layout(panels).opts(shared_axes=False).cols(2)


def storm(
    ds: xr.Dataset, day: str | None = None, *, days: int = 3, name: Hashable = "prcp"
) -> hv.Layout:
    """A variable on the grid, one panel a day, all on one scale of colours, with the basin's mean.

    Parameters
    ----------
    ds
        A gridded catchment.
    day
        The day in the middle; the basin's wettest where None.
    days
        How many panels.
    name
        A variable `(time, y, x)`.

    Raises
    ------
    DataError
        A day that is not in the data.
    """
    _bokeh()
    time = ds.indexes["time"]
    wettest = time[int(basin_mean(ds, "prcp").argmax("time"))] if day is None else pd.Timestamp(day)
    middle = int(time.get_indexer([wettest])[0])
    if middle < 0:
        raise DataError(
            f"{day} is not in the data, which run from {time[0].date()} to {time[-1].date()}"
        )
    first = int(np.clip(middle - days // 2, 0, max(len(time) - days, 0)))
    shown = ds[name].isel(time=slice(first, first + days)).compute()
    means = basin_mean(ds.isel(time=slice(first, first + days)), name)
    colours = RAINFALL if name == "prcp" else SEQUENTIAL
    limits = (0.0 if name == "prcp" else float(shown.min()), float(shown.max()))
    units = ds[name].attrs.get("units", "")
    panels = [
        _panel(
            ds,
            field,
            f"{date:%d %b %Y}, mean {mean:.1f} {units}",
            colours,
            limits,
            axis_label(ds[name]),
        )
        for field, date, mean in zip(shown, time[first : first + days], means.values, strict=True)
    ]
    return hv.Layout(panels).opts(shared_axes=True).cols(days)


def _panel(
    ds: xr.Dataset,
    field: xr.DataArray,
    title: str,
    colours: list[str] | str,
    limits: tuple[float, float] | None = None,
    label: str = "",
) -> hv.Overlay:
    """A field of cells with the basin's border, north up, degrees at their true proportion."""
    lat, lon = ds["lat"].to_numpy(), ds["lon"].to_numpy()
    flat = lat.ndim == 1 and lon.ndim == 1
    x, y = (lon, lat) if flat else (np.arange(field.shape[1]), np.arange(field.shape[0])[::-1])
    values = np.asarray(field.transpose("y", "x").to_numpy(), dtype=float)
    proportion = 1 / max(float(np.cos(np.deg2rad(y.mean()))), 0.1) if flat else 1.0
    tall = values.shape[0] * proportion / values.shape[1]
    wide, high = (PANEL, PANEL * tall) if tall < 1 else (PANEL / tall, PANEL)
    half_x, half_y = (abs(float(axis[1] - axis[0])) / 2 for axis in (x, y))
    cells = hv.Image(
        values if y[0] > y[-1] else values[::-1],
        bounds=(x.min() - half_x, y.min() - half_y, x.max() + half_x, y.max() + half_y),
        kdims=[
            hv.Dimension("lon", label="longitude (°)"),
            hv.Dimension("lat", label="latitude (°)"),
        ],
        vdims=[hv.Dimension("value", label=label or title)],
    ).opts(
        cmap=colours,
        colorbar=True,
        clabel="",
        clim=limits or (float(np.nanmin(values)), float(np.nanmax(values))),
        tools=["hover"],
        colorbar_opts={"width": 10, "padding": 4},
        clipping_colors={"NaN": "#FFFFFF"},
    )
    border = hv.Path(_border(ds["mask"].to_numpy() >= 0.5, x, y)).opts(color=INK, line_width=1.2)
    return (cells * border).opts(
        width=int(wide) + BAR + 60,
        height=int(high) + BAR,
        title=title,
        xticks=4,
        yticks=4,
        show_grid=False,
        active_tools=["pan"],
    )


def _border(inside: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Sides of cells where the basin ends, as lines of two points."""
    wide, high = (abs(float(axis[1] - axis[0])) / 2 for axis in (x, y))
    padded = np.pad(inside, 1)
    lines = []
    for d_row, d_col in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beyond = padded[
            1 + d_row : padded.shape[0] - 1 + d_row, 1 + d_col : padded.shape[1] - 1 + d_col
        ]
        for row, col in np.argwhere(inside & ~beyond):
            north = np.sign(y[0] - y[-1])  # rows count from the north, or from the south
            across = x[col] + d_col * wide, y[row] - d_row * high * north
            half = np.array([wide, 0.0]) if d_row else np.array([0.0, high])
            lines.append(np.stack([across - half, across + half]))
    return lines
