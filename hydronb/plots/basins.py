"""Many catchments at once: maps, distributions of attributes, the Budyko plot."""

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
from hydronb.plots.style import (
    BLUE,
    CATEGORIES,
    COLOUR_BAR,
    DASHED,
    FREE,
    INK,
    ORANGE,
    OTHER,
    POINT,
    SEQUENTIAL,
    axis_label,
    legend_outside,
    on_bokeh,
    wrapped,
)

AXES = {
    "lon": "longitude (°)",
    "lat": "latitude (°)",
    "aridity": "aridity, PET / P (-)",
    "evaporation": "evaporated share, 1 - Q / P (-)",
}
"""Labels of the coordinates at which basins are drawn."""
TO_SELECT: dict[str, Any] = {
    "default_tools": ["save", "pan", "wheel_zoom", "reset"],
    "active_tools": ["box_select"],
    "show_grid": False,
}
"""Tools of a figure in which basins are selected by box and lasso."""


@on_bokeh
def basin_points(
    values: xr.DataArray,
    x: str,
    y: str,
    *,
    label: str = "",
    cmap: str | list[str] = SEQUENTIAL,
    clim: tuple[float, float] | None = None,
    colours: Mapping[str, str] | None = None,
    most: int = len(CATEGORIES),
    select: bool = False,
    key: bool = True,
) -> hv.Overlay:
    """Basins as points at two of their coordinates, coloured by a number or by a category.

    Parameters
    ----------
    values
        A number or text for each `basin`; a number that is missing is drawn hollow.
    x, y
        Names of coordinates of `values`.
    label
        What the values are called; `long_name (units)` by default.
    clim
        Range of the colours of numbers; by default the 2nd and 98th percentile.
    colours
        By category; chosen where None.
    most
        Categories with a colour and a line in the legend, the most frequent first (numbered ones in
        the order of their numbers); all rarer ones are grey.
    select
        Whether basins can be selected by box and lasso.
    key
        Whether colour bar or legend are drawn.
    """
    label = (label or axis_label(values)).replace("{", "(").replace("}", ")")  # {} mean fields
    kdims = [hv.Dimension(name, label=AXES.get(name, name)) for name in (x, y)]
    vdims = [hv.Dimension("value", label=label), "basin"]
    numeric = values.dtype.kind in "biuf"
    frame = pd.DataFrame({n: values[n].to_numpy() for n in (x, y, "basin")}).assign(
        basin=values["basin"].to_numpy().astype(str),
        value=values.to_numpy().astype(float if numeric else str),
    )
    legend: dict[str, str] = {}
    if numeric:
        style = COLOUR_BAR | {
            "color": "value",
            "cmap": cmap,
            "clim": clim or _inner_range(frame["value"]),
            "clipping_colors": {"NaN": "white"},
            "colorbar": key,
        }
    else:
        counts = frame["value"].value_counts(sort=False)
        kinds = sorted(
            counts.index,
            key=int if all(map(str.isdigit, counts.index)) else lambda kind: -counts[kind],
        )[:most]
        colours = dict(zip(kinds, CATEGORIES, strict=False)) if colours is None else colours
        frame["colour"] = [colours.get(v, OTHER) if v in kinds else OTHER for v in frame["value"]]
        style, vdims = {"color": "colour"}, [*vdims, "colour"]
        legend = {f"{k} ({counts[k]})": colours.get(k, OTHER) for k in kinds}
        if rarer := len(frame) - counts[kinds].sum():
            legend[f"others ({rarer})"] = OTHER
    layers = [
        hv.Points([(np.nan, np.nan)], kdims, label=text).opts(color=colour, size=8, line_color=None)
        for text, colour in legend.items()
        if key
    ]
    tooltips = [("catchment", "@{basin}"), (label, "@{value}")]
    root = np.sqrt(len(frame) or 1)
    if select:
        from bokeh.models import LassoSelectTool

        style |= {
            "tools": ["box_select", LassoSelectTool(continuous=False)],
            "nonselection_alpha": 0.12,
            "selection_alpha": 1,
        }
    else:
        tooltips += [(d.label, f"@{{{d.name}}}") for d in kdims]
    style["size"] = float(np.clip(130 / root, 6, 11) if select else np.clip(90 / root, 5, 12))
    points = hv.Points(frame, kdims, vdims).opts(**POINT | {"hover_tooltips": tooltips} | style)
    return hv.Overlay([*layers, points])


def _inner_range(values: pd.Series) -> tuple[float, float]:
    """2nd and 98th percentile."""
    finite = values[np.isfinite(values)]
    low, high = map(float, np.percentile(finite, [2, 98]) if len(finite) else (0, 1))
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def basin_map(
    values: xr.DataArray,
    *,
    title: str = "",
    label: str = "",
    width: int = 620,
    height: int | None = None,
    select: bool = False,
    **colouring: Any,
) -> hv.Overlay:
    """Basins at their gauges, coloured by a number or by a category, over the borders of the US
    states where some lie in them.

    Parameters
    ----------
    values
        A number or text for each `basin`, with the coordinates `lat` and `lon`, degrees.
    height
        Pixels; by default degrees have their true proportion.
    colouring
        `cmap`, `clim`, `colours`, `most`: see `basin_points`.

    Raises
    ------
    DataError
        The basins have no coordinates.
    """
    if lacking := [c for c in ("lat", "lon") if c not in values.coords]:
        raise DataError(f"basins without the coordinate {lacking[0]!r} cannot be drawn on a map")
    points = basin_points(values, "lon", "lat", label=label, select=select, **colouring)
    lat, lon = values["lat"].to_numpy(), values["lon"].to_numpy()
    in_us = bool(((lat > 24.5) & (lat < 49.5) & (lon > -124.8) & (lon < -66.9)).any())
    if in_us:
        points = (
            hv.Curve(_us_borders(), *points.get(0).kdims).opts(color="#B0B0B0", line_width=0.8)
            * points
        )
    xlim, ylim = _extent(lon, lat, in_us)
    aspect = (ylim[1] - ylim[0]) / ((xlim[1] - xlim[0]) * np.cos(np.radians(sum(ylim) / 2)))
    beside, has_legend = (110, False) if values.dtype.kind in "biuf" else (160, True)
    return points.opts(
        width=width,
        height=height or int(np.clip((width - beside) * aspect, 200, 640)) + 60,
        xlim=xlim,
        ylim=ylim,
        show_legend=has_legend,
        legend_position="right",
        xaxis=None,
        yaxis=None,
        title=wrapped(title or label or axis_label(values), width),
        **TO_SELECT if select else {"active_tools": ["pan"]},
    )


@cache
def _us_borders() -> np.ndarray:
    """Longitude and latitude of the states' borders, a row of NaN after each line."""
    text = files("hydronb.plots").joinpath("us_outline.json").read_text(encoding="utf-8")
    return np.concatenate([[*line, (np.nan, np.nan)] for line in json.loads(text)["lines"]])


def _extent(
    lon: np.ndarray, lat: np.ndarray, in_us: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Longitudes and latitudes to show: all of the US where basins lie all over it, and at least 4
    by 3 degrees."""
    x, y = [np.nanmin(lon), np.nanmax(lon)], [np.nanmin(lat), np.nanmax(lat)]
    if in_us and x[1] - x[0] > 20:
        x, y = [min(x[0], -125), max(x[1], -66.7)], [min(y[0], 24.4), max(y[1], 49.5)]
    dx, dy = (
        0.5 * max(0.0, least - (end - start)) + 0.03 * (end - start) + 0.1
        for (start, end), least in ((x, 4), (y, 3))
    )
    return (x[0] - dx, x[1] + dx), (y[0] - dy, y[1] + dy)


FIG2 = {"elev_mean": "cividis", "aridity": "YlOrBr", "frac_forest": "Greens", "p_mean": "Blues"}
"""The attributes of Fig. 2 of Kratzert et al. (2019) and a colour map for each."""


def attribute_maps(
    ds: xr.Dataset, names: Mapping[str, str] | None = None, *, width: int = 450
) -> hv.Layout:
    """Maps of attributes, two in a row; by default those of Fig. 2 of Kratzert et al. (2019).

    Parameters
    ----------
    names
        Colour map by attribute; attributes that `ds` does not have are left out.

    Raises
    ------
    DataError
        `ds` has none of them.
    """
    chosen = {n: c for n, c in (names or FIG2).items() if n in ds}
    if not chosen:
        raise DataError(f"the data have none of the attributes {', '.join(names or FIG2)}")
    maps = [
        basin_map(ds[n], title=f"({letter}) {axis_label(ds[n])}", cmap=c, width=width)
        for letter, (n, c) in zip("abcdefgh", chosen.items(), strict=False)
    ]
    return hv.Layout(maps).cols(2).opts(shared_axes=False)


@on_bokeh
def attribute_distributions(
    ds: xr.Dataset, names: Sequence[str], basin: str, *, columns: int = 4, width: int = 225
) -> hv.Layout:
    """Histogram of each attribute over the basins, with one basin marked; the title is what the
    attribute is in words."""
    panels = []
    for name in names:
        values = ds[name].to_numpy().astype(float)
        counts = np.histogram(values[np.isfinite(values)], bins=min(20, max(5, len(values) // 3)))
        panels.append(
            hv.Overlay(
                [
                    hv.Histogram(counts, kdims=[name], vdims=["basins"]).opts(
                        color="#C6D4E1", line_color="white"
                    ),
                    hv.VLine(float(ds[name].sel(basin=basin))).opts(color=ORANGE, line_width=2),
                ]
            ).opts(
                width=width,
                height=190,
                title=wrapped(axis_label(ds[name]), width + 40, 12),
                yaxis=None,
                show_legend=False,
                xlabel=" ",
                xticks=3,
                fontsize={"title": "12px"},
                toolbar=None,
            )
        )
    return hv.Layout(panels).cols(columns).opts(shared_axes=False, toolbar=None)


@on_bokeh
def attribute_percentiles(
    table: pd.DataFrame, basin: str, words: xr.Dataset | None = None, *, width: int = 620
) -> hv.Overlay:
    """One catchment among all, one row per attribute: the line spans the 5th to the 95th
    percentile, the box the quartiles, and the dot is the catchment, with its value beside the name.

    Parameters
    ----------
    table
        Numbers, one row per basin, one column per attribute.
    words
        The attributes, for their `long_name` and `units`.
    """
    columns = [c for c in table if table[c].notna().any()][::-1]
    of_basin = table.loc[basin, columns]
    quantiles = table[columns].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
    low, span = quantiles.loc[0.05], quantiles.loc[0.95] - quantiles.loc[0.05]
    span = span.where(span > 0, 1.0)
    start, lower, middle, upper, end = ((quantiles - low) / span).to_numpy(float)
    rows = np.arange(len(columns))
    dots = {
        "where": ((of_basin - low) / span).to_numpy(float).clip(-0.08, 1.08),
        "row": rows,
        "attribute": columns,
        "value": of_basin.to_numpy(float),
        "lower": [100 * (table[c] < of_basin[c]).mean() for c in columns],
    }
    layers = [
        hv.Segments((start, rows, end, rows)).opts(color="#AAAAAA", line_width=2),
        hv.Rectangles((lower, rows - 0.3, upper, rows + 0.3)).opts(
            color="#C6D4E1", line_color=None
        ),
        hv.Segments((middle, rows - 0.3, middle, rows + 0.3)).opts(color=INK, line_width=1.5),
        hv.Points(dots, ["where", "row"], ["attribute", "value", "lower"]).opts(
            color=ORANGE,
            size=9,
            line_color="white",
            hover_tooltips=[
                ("attribute", "@attribute"),
                ("value", "@value"),
                ("basins with less", "@lower{0} %"),
            ],
        ),
    ]
    described = {c: c if words is None else axis_label(words[c]) for c in columns}

    return hv.Overlay(layers).opts(
        width=width,
        height=80 + 20 * len(columns),
        yticks=[(i, f"{text}: {of_basin[c]:.3g}") for i, (c, text) in enumerate(described.items())],
        xlim=(-0.12, 1.12),
        ylim=(-0.7, len(columns) - 0.3),
        xticks=[(0, "5 %"), (1, "95 % of basins")],
        xlabel="",
        ylabel="",
        show_legend=False,
        show_grid=False,
        title=f"{basin} among {len(table)} catchments",
        active_tools=[],
        default_tools=["save", "reset"],
        fontsize={"yticks": "11px"},
    )


@on_bokeh
def budyko(
    aridity: xr.DataArray,
    evaporation: xr.DataArray,
    *,
    colour_by: xr.DataArray | None = None,
    width: int = 560,
    height: int = 400,
) -> hv.Overlay:
    """Share of precipitation that evaporates over aridity, with the limits of energy and water and
    the curve of Budyko (1974).

    Parameters
    ----------
    aridity
        PET/P of each `basin`.
    evaporation
        1 - Q/P of each `basin`, negative where more water runs off than falls as precipitation.
    colour_by
        Another attribute over `basin`.
    """
    values = (
        (evaporation if colour_by is None else colour_by)
        .sel(basin=aridity["basin"])
        .assign_coords(aridity=aridity, evaporation=evaporation)
    )
    points = basin_points(
        values,
        "aridity",
        "evaporation",
        cmap=[BLUE] if colour_by is None else SEQUENTIAL,
        key=colour_by is not None,
    ).opts(hv.opts.Points(size=7, clabel=axis_label(values)))
    x, y = points.get(0).kdims
    right = max(2.0, float(aridity.max()) * 1.05)
    phi = np.linspace(1e-3, right, 200)
    share = np.sqrt(phi * np.tanh(1 / phi) * (1 - np.exp(-phi)))
    figure = (
        hv.Curve([(0, 0), (1, 1), (right, 1)], x, y, label="limits of energy and water").opts(
            **DASHED
        )
        * hv.Curve((phi, share), x, y, label="Budyko (1974)").opts(color=INK, line_width=1.6)
        * points
    )
    return legend_outside(figure, width, height).opts(
        xlim=(0, right),
        ylim=(min(0.0, float(values["evaporation"].min()) * 1.1), 1.1),
        **FREE,
    )
