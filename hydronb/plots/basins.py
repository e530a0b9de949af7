"""Many catchments at a glance: maps, distributions of attributes, the Budyko plot."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.errors import DataError
from hydronb.plots.style import COLOURS, FREE, INK, SEQUENTIAL, _bokeh, axis_label


@cache
def _outline() -> np.ndarray:
    """Longitude and latitude of the states' borders, a row of NaN after each line."""
    text = files("hydronb.plots").joinpath("us_outline.json").read_text(encoding="utf-8")
    return np.concatenate([[*line, (np.nan, np.nan)] for line in json.loads(text)["lines"]])


def _in_conus(lat: np.ndarray, lon: np.ndarray) -> bool:
    return bool(((lat > 24.5) & (lat < 49.5) & (lon > -124.8) & (lon < -66.9)).any())


def basin_map(
    values: xr.DataArray,
    *,
    lat: xr.DataArray | None = None,
    lon: xr.DataArray | None = None,
    title: str = "",
    label: str = "",
    cmap: str = SEQUENTIAL,
    clim: tuple[float, float] | None = None,
    width: int = 620,
    size: float | None = None,
) -> hv.Overlay:
    """Basins at their gauges, coloured by a value, over the borders of the US states where some lie
    in them.

    Parameters
    ----------
    values
        A number for each `basin`; those without one are drawn hollow.
    lat, lon
        Degrees, over `basin`; by default the coordinates of `values`.
    clim
        Range of the colours; by default the 2nd and 98th percentile.

    Raises
    ------
    DataError
        The basins have no coordinates.
    """
    _bokeh()
    for name, given in (("lat", lat), ("lon", lon)):
        if given is None and name not in values.coords:
            raise DataError(f"basins without the coordinate {name!r} cannot be drawn on a map")
    lat, lon = (
        values[n] if given is None else given.sel(basin=values["basin"])
        for n, given in (("lat", lat), ("lon", lon))
    )
    frame = pd.DataFrame(
        {
            "lon": lon.to_numpy(),
            "lat": lat.to_numpy(),
            "basin": values["basin"].to_numpy().astype(str),
            "value": values.to_numpy().astype(float),
        }
    )
    if clim is None:
        clim = _spread(frame["value"].to_numpy())
    size = size or float(np.clip(90 / np.sqrt(len(frame)), 5, 12))
    x, y = hv.Dimension("lon", label="longitude (°)"), hv.Dimension("lat", label="latitude (°)")
    value = hv.Dimension("value", label=label or axis_label(values))
    points = hv.Points(frame, [x, y], [value, "basin"]).opts(
        color="value",
        cmap=cmap,
        clim=clim,
        size=size,
        line_color="#444444",
        line_width=0.4,
        colorbar=True,
        clabel="",
        colorbar_opts={"width": 12, "padding": 4},
        clipping_colors={"NaN": "white"},
        tools=["hover"],
    )
    layers = [points]
    if _in_conus(frame["lat"].to_numpy(), frame["lon"].to_numpy()):
        borders = hv.Curve(_outline(), x, y).opts(color="#B0B0B0", line_width=0.8)
        layers = [borders, points]
    xlim, ylim = _frame_of(frame, len(layers) > 1)
    aspect = (ylim[1] - ylim[0]) / ((xlim[1] - xlim[0]) * np.cos(np.radians(sum(ylim) / 2)))
    height = int(np.clip((width - 110) * aspect, 200, 640)) + 60
    return hv.Overlay(layers).opts(
        width=width,
        height=height,
        xlim=xlim,
        ylim=ylim,
        show_legend=False,
        xaxis=None,
        yaxis=None,
        active_tools=["pan"],
        title=title or label or axis_label(values),
    )


def _spread(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, [2, 98])
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)


def _frame_of(
    frame: pd.DataFrame, with_outline: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Longitudes and latitudes to show: all of the outline where basins lie all over it."""
    lon, lat = frame["lon"].to_numpy(), frame["lat"].to_numpy()
    x, y = [np.nanmin(lon), np.nanmax(lon)], [np.nanmin(lat), np.nanmax(lat)]
    if with_outline and x[1] - x[0] > 20:
        x, y = [min(x[0], -125), max(x[1], -66.7)], [min(y[0], 24.4), max(y[1], 49.5)]
    margin = 0.5 * max(0.0, 4 - (x[1] - x[0])), 0.5 * max(0.0, 3 - (y[1] - y[0]))
    dx, dy = margin[0] + 0.03 * (x[1] - x[0]) + 0.1, margin[1] + 0.03 * (y[1] - y[0]) + 0.1
    return (x[0] - dx, x[1] + dx), (y[0] - dy, y[1] + dy)


FIG2 = {"elev_mean": "cividis", "aridity": "YlOrBr", "frac_forest": "Greens", "p_mean": "Blues"}
"""The attributes of Fig. 2 of Kratzert et al. (2019) and a colour map for each."""


def attribute_maps(
    ds: xr.Dataset, names: Mapping[str, str] | None = None, *, width: int = 450
) -> hv.Layout:
    """Maps of attributes, two a row; by default as Fig. 2 of Kratzert et al. (2019) has them.

    Parameters
    ----------
    names
        Colour map by attribute; attributes that `ds` does not have are left out.

    Raises
    ------
    DataError
        It has none of them.
    """
    chosen = {n: c for n, c in (names or FIG2).items() if n in ds}
    if not chosen:
        raise DataError(f"the data have none of the attributes {', '.join(names or FIG2)}")
    maps = [
        basin_map(ds[n], title=f"({letter}) {axis_label(ds[n])}", cmap=c, width=width)
        for letter, (n, c) in zip("abcdefgh", chosen.items(), strict=False)
    ]
    return hv.Layout(maps).cols(2).opts(shared_axes=False)


def attribute_distributions(
    ds: xr.Dataset, names: Sequence[str], basin: str, *, columns: int = 4, width: int = 225
) -> hv.Layout:
    """Histogram of each attribute over the basins, with one basin marked."""
    _bokeh()
    panels = []
    for name in names:
        values = ds[name].to_numpy().astype(float)
        counts, edges = np.histogram(
            values[np.isfinite(values)], bins=min(20, max(5, len(values) // 3))
        )
        bars = hv.Histogram((edges, counts), kdims=[name], vdims=["basins"])
        bars = bars.opts(color="#C6D4E1", line_color="white")
        units = ds[name].attrs.get("units", "")
        here = float(ds[name].sel(basin=basin))
        mark = hv.VLine(here).opts(color=COLOURS["LSTM"], line_width=2)
        panels.append(
            (bars * mark).opts(
                width=width,
                height=170,
                title=name,
                yaxis=None,
                show_legend=False,
                xlabel=units if units not in ("1", "-", "") else " ",
                xticks=3,
                fontsize={"title": "12px"},
                toolbar=None,
            )
        )
    return hv.Layout(panels).cols(columns).opts(shared_axes=False, toolbar=None)


def budyko(
    aridity: xr.DataArray,
    evaporation: xr.DataArray,
    *,
    colour_by: xr.DataArray | None = None,
    width: int = 560,
    height: int = 400,
) -> hv.Overlay:
    """Share of precipitation that evaporates over aridity, with energy and water limits and
    Budyko's curve.

    Parameters
    ----------
    aridity
        PET/P of each `basin`.
    evaporation
        1 - Q/P of each `basin`, negative where more runs off than rains.
    colour_by
        Another attribute over `basin`.
    """
    _bokeh()
    evaporation = evaporation.sel(basin=aridity["basin"])
    frame = pd.DataFrame(
        {
            "basin": aridity["basin"].to_numpy().astype(str),
            "aridity": aridity.to_numpy().astype(float),
            "evaporation": evaporation.to_numpy().astype(float),
        }
    )
    x = hv.Dimension("aridity", label="aridity, PET / P (-)")
    y = hv.Dimension("evaporation", label="evaporated share, 1 - Q / P (-)")
    vdims: list[Any] = [y, "basin"]
    style: dict[str, Any] = {"color": COLOURS["EA-LSTM"]}
    if colour_by is not None:
        frame["value"] = colour_by.sel(basin=aridity["basin"]).to_numpy().astype(float)
        vdims.append(hv.Dimension("value", label=axis_label(colour_by)))
        style = {
            "color": "value",
            "cmap": "viridis",
            "colorbar": True,
            "clim": _spread(frame["value"].to_numpy()),
            "colorbar_opts": {"width": 12},
        }
    points = hv.Scatter(frame, x, vdims).opts(
        size=7, line_color="#444444", line_width=0.4, tools=["hover"], **style
    )
    right = max(2.0, float(np.nanmax(frame["aridity"])) * 1.05)
    phi = np.linspace(1e-3, right, 200)
    curve = np.sqrt(phi * np.tanh(1 / phi) * (1 - np.exp(-phi)))
    limits = hv.Curve([(0, 0), (1, 1), (right, 1)], x, y, label="limits of energy and water").opts(
        color=INK, line_dash="dashed", line_width=1.2
    )
    line = hv.Curve((phi, curve), x, y, label="Budyko (1974)").opts(color=INK, line_width=1.6)
    bottom = min(0.0, float(np.nanmin(frame["evaporation"])) * 1.1)
    return (limits * line * points).opts(
        width=width,
        height=height,
        legend_position="bottom_right",
        xlim=(0, right),
        ylim=(bottom, 1.1),
        **FREE,
    )
