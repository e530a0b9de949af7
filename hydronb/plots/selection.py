"""Catchments as points to click and select, on a plane and on a map; and one of them among all."""

from collections.abc import Mapping
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from bokeh.models import LassoSelectTool

from hydronb.plots.basins import _frame_of, _in_conus, _outline, _spread
from hydronb.plots.similarity import OTHER, kind_colours
from hydronb.plots.style import COLOURS, INK, SEQUENTIAL, _bokeh

MOST_KINDS = 14
"""Kinds that have a colour and a line in the legend; rarer ones are grey."""
TO_SELECT: dict[str, Any] = {
    "default_tools": ["save", "pan", "wheel_zoom", "reset"],
    "active_tools": ["box_select"],
    "show_grid": False,
}
PLACES = {"x": "x", "y": "y", "lon": "longitude (°)", "lat": "latitude (°)"}


def plane(
    frame: pd.DataFrame,
    values: pd.Series,
    *,
    label: str = "",
    title: str = "",
    width: int = 520,
    height: int = 400,
) -> hv.Overlay:
    """A projection of catchments onto a plane, to select in by box and lasso.

    Parameters
    ----------
    frame
        Columns basin, x, y.
    values
        Number or kind (text) of each basin, by id, for the colours.
    """
    return _points(frame, ("x", "y"), values, label, kinds=False).opts(
        width=width, height=height, title=title, xaxis=None, yaxis=None, padding=0.05, **TO_SELECT
    )


def gauges(
    frame: pd.DataFrame,
    values: pd.Series,
    *,
    label: str = "",
    title: str = "",
    width: int = 620,
    height: int = 400,
) -> hv.Overlay:
    """The same catchments on a map, with the colours' legend.

    Parameters
    ----------
    frame
        Columns basin, lon, lat.
    values
        As for `plane`.
    """
    points = _points(frame, ("lon", "lat"), values, label, kinds=True)
    mapped = _in_conus(frame["lat"].to_numpy(), frame["lon"].to_numpy())
    if mapped:
        x, y = (hv.Dimension(n, label=PLACES[n]) for n in ("lon", "lat"))
        points = hv.Curve(_outline(), x, y).opts(color="#B0B0B0", line_width=0.8) * points
    xlim, ylim = _frame_of(frame, mapped)
    return points.opts(
        width=width,
        height=height,
        title=title,
        xaxis=None,
        yaxis=None,
        xlim=xlim,
        ylim=ylim,
        legend_position="right",
        show_legend=True,
        **TO_SELECT,
    )


def _points(
    frame: pd.DataFrame, names: tuple[str, str], values: pd.Series, label: str, *, kinds: bool
) -> hv.Overlay:
    _bokeh()
    x, y = (hv.Dimension(n, label=PLACES[n]) for n in names)
    value = hv.Dimension(
        "value", label=(label or str(values.name)).replace("{", "(").replace("}", ")")
    )
    of_each = values.reindex(frame["basin"]).to_numpy()
    drawn = pd.DataFrame(
        {n: frame[n].to_numpy(float) for n in names}
        | {"value": of_each, "basin": frame["basin"].to_numpy().astype(str)}
    )
    layers: list[hv.Element] = []
    style: dict[str, Any]
    vdims: list[Any] = [value, "basin"]
    if pd.api.types.is_numeric_dtype(values):
        drawn["value"] = of_each.astype(float)
        style = {
            "color": "value",
            "cmap": SEQUENTIAL,
            "clim": _spread(drawn["value"].to_numpy()),
            "colorbar": kinds,
            "clabel": "",
            "clipping_colors": {"NaN": "white"},
            "colorbar_opts": {"width": 12, "padding": 4},
        }
    else:
        drawn["value"] = [str(v) for v in of_each]
        counts = drawn["value"].value_counts(sort=False)
        names_ = _in_order(counts)
        colour = kind_colours(names_[:MOST_KINDS])
        drawn["colour"] = [colour.get(v, OTHER) for v in drawn["value"]]
        style, vdims = {"color": "colour"}, [*vdims, "colour"]
        if kinds:
            layers = [
                hv.Points([(np.nan, np.nan)], [x, y], label=f"{k} ({counts[k]})").opts(
                    color=colour.get(k, OTHER), size=8, line_color=None
                )
                for k in names_[:MOST_KINDS]
            ]
    size = float(np.clip(130 / np.sqrt(len(frame) or 1), 6, 11))
    points = hv.Points(drawn, [x, y], vdims).opts(
        size=size,
        line_color="#444444",
        line_width=0.4,
        nonselection_alpha=0.12,
        selection_alpha=1,
        tools=["box_select", LassoSelectTool(continuous=False)],
        hover_tooltips=[("catchment", "@basin"), (value.label, "@value")],
        **style,
    )
    return hv.Overlay([*layers, points])


def _in_order(counts: pd.Series) -> list[str]:
    """Numbers by size, other kinds by how many there are."""
    kinds = [str(k) for k in counts.index]
    if all(k.isdigit() for k in kinds):
        return sorted(kinds, key=int)
    return [str(k) for k in counts.sort_values(ascending=False, kind="stable").index]


def standing(
    table: pd.DataFrame, basin: str, units: Mapping[str, str] | None = None, *, width: int = 520
) -> hv.Overlay:
    """Where a catchment stands among all, a row an attribute: line from the 5th to the 95th
    percentile, box between the quartiles, dot the catchment, its value beside the name.

    Parameters
    ----------
    table
        Numbers, a row a basin, a column an attribute.
    units
        Of attributes, where they have some.
    """
    _bokeh()
    columns = [c for c in table if table[c].notna().any()][::-1]
    low, lower, middle, upper, high = (
        table[columns].quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    span = (high - low).where(high > low, 1.0)

    def scaled(values: pd.Series) -> np.ndarray:
        return ((values - low) / span).to_numpy(float)

    rows = np.arange(len(columns))
    here = table.loc[basin, columns]
    lines = hv.Segments((scaled(low), rows, scaled(high), rows)).opts(color="#AAAAAA", line_width=2)
    boxes = hv.Rectangles((scaled(lower), rows - 0.3, scaled(upper), rows + 0.3)).opts(
        color="#C6D4E1", line_color=None
    )
    medians = hv.Segments((scaled(middle), rows - 0.3, scaled(middle), rows + 0.3)).opts(
        color=INK, line_width=1.5
    )
    dots = pd.DataFrame(
        {
            "where": np.clip(scaled(here), -0.08, 1.08),
            "row": rows,
            "attribute": columns,
            "value": here.to_numpy(float),
            "lower": [100 * (table[c] < here[c]).mean() for c in columns],
        }
    )
    dot = hv.Points(dots, ["where", "row"], ["attribute", "value", "lower"]).opts(
        color=COLOURS["LSTM"],
        size=9,
        line_color="white",
        hover_tooltips=[
            ("attribute", "@attribute"),
            ("value", "@value"),
            ("basins with less", "@lower{0} %"),
        ],
    )
    ticks = [(i, f"{c} {here[c]:.3g} {_unit(c, units)}".strip()) for i, c in enumerate(columns)]
    return (lines * boxes * medians * dot).opts(
        width=width,
        height=80 + 20 * len(columns),
        yticks=ticks,
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


def _unit(name: str, units: Mapping[str, str] | None) -> str:
    unit = (units or {}).get(name, "")
    return "" if unit in ("1", "-") else unit


def gate_strip(gates: xr.DataArray, *, title: str = "", width: int = 520) -> hv.Image:
    """One catchment's input gate as a strip, a row a seed: (seed, cell), from 0 to 1."""
    _bokeh()
    seeds, cells = gates.transpose("seed", "cell").shape
    dims = [hv.Dimension("cell"), hv.Dimension("row", label="seed")]
    image = hv.Image(
        (np.arange(cells), np.arange(seeds), gates.transpose("seed", "cell").values),
        dims,
        hv.Dimension("gate", label="input gate"),
        bounds=(-0.5, -0.5, cells - 0.5, seeds - 0.5),
    )
    return image.opts(
        cmap=SEQUENTIAL,
        clim=(0, 1),
        width=width,
        height=100 + 14 * seeds,
        title=title,
        tools=["hover"],
        yticks=[(i, str(s)) for i, s in enumerate(gates["seed"].values)],
        active_tools=[],
        default_tools=["save", "reset"],
        colorbar=True,
        clabel="",
        colorbar_opts={"width": 10, "padding": 4},
    )
