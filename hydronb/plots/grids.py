"""Gridded catchments: the basin on its grid."""

import holoviews as hv
import numpy as np
import xarray as xr

from hydronb.plots.basins import AXES
from hydronb.plots.style import COLOUR_BAR, INK, SEQUENTIAL, on_bokeh

TERRAIN = ["#3F6F4F", "#7E9B62", "#B9B278", "#C9A878", "#A98467", "#8C7B74", "#C4BFBC", "#F4F2F0"]
RAINFALL = "Blues"
PANEL = 300
"""Width of a panel's longer side, pixels."""
BAR = 90
"""Room for axes and colour bar."""


@on_bokeh
def grid_maps(ds: xr.Dataset) -> hv.Layout:
    """The grid side by side: elevation where it is known, mean annual precipitation, mean
    temperature and, in the synthetic grids, the travel time to the outlet; the basin's border on
    each.

    `ds` in the convention of `hydronb.data.gridded`.
    """
    fields = {
        "elevation (m)": (ds.get("elevation"), TERRAIN),
        "precipitation (mm/a)": (ds["prcp"].mean("time") * 365.25, RAINFALL),
        "mean temperature (°C)": (ds["tmean"].mean("time"), "RdYlBu_r"),
        "true travel time (d)": (ds.get("true_travel_time"), SEQUENTIAL),
    }
    panels = [
        _panel(ds, field, title, cmap)
        for title, (field, cmap) in fields.items()
        if field is not None
    ]
    return hv.Layout(panels).opts(shared_axes=False).cols(2)


def _panel(
    ds: xr.Dataset,
    field: xr.DataArray,
    title: str,
    colours: list[str] | str,
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
        kdims=[hv.Dimension(name, label=AXES[name]) for name in ("lon", "lat")],
        vdims=[hv.Dimension("value", label=title)],
    ).opts(
        cmap=colours,
        clim=(float(np.nanmin(values)), float(np.nanmax(values))),
        tools=["hover"],
        clipping_colors={"NaN": "#FFFFFF"},
        **COLOUR_BAR,
    )
    border = hv.Path(_border(ds["mask"].to_numpy() >= 0.5, x, y))
    return (cells * border.opts(color=INK, line_width=1.2)).opts(
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
    north = np.sign(y[0] - y[-1])  # rows count from the north, or from the south
    padded = np.pad(inside, 1)
    lines = []
    for d_row, d_col in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beyond = np.roll(padded, (-d_row, -d_col), (0, 1))[1:-1, 1:-1]
        half = np.array([wide, 0.0]) if d_row else np.array([0.0, high])
        for row, col in np.argwhere(inside & ~beyond):
            middle = x[col] + d_col * wide, y[row] - d_row * high * north
            lines.append(np.stack([middle - half, middle + half]))
    return lines
