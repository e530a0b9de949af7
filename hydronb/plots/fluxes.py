"""What happens inside a catchment: stores and fluxes on one time axis, parameters of all
components, the balance."""

from collections.abc import Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.analysis.seasons import mean_year
from hydronb.plots.basins import basin_map
from hydronb.plots.rivers import MONTHS, _curve, _rain
from hydronb.plots.scores import one_to_one
from hydronb.plots.style import ALONG_TIME, FREE, INK, WIDTH, Series, _bokeh, axis_label, colours

THIN, BOLD = "#B8B8B8", "#0072B2"
WATER = {
    "ET": "#009E73",
    "q2": "#332288",
    "q1": "#0072B2",
    "q0": "#56B4E9",
    "storage": "#E69F00",
    "residual": "#D55E00",
}
"""Of the terms of the water balance, in the order in which they are stacked."""
WORDS = {
    "ET": "evapotranspiration",
    "q2": "baseflow",
    "q1": "interflow",
    "q0": "quick flow",
    "storage": "change of storage",
    "residual": "residual",
}
CYCLIC = (
    "#3B4CC0",
    "#6688EE",
    "#88BBFF",
    "#A8D8B9",
    "#66BB66",
    "#2E8B57",
    "#B8B82E",
    "#E6A817",
    "#E66101",
    "#B2182B",
    "#8E4585",
    "#5E3C99",
)
"""A colour a month; winter blue, summer green to orange."""


def median_component(parameter: xr.DataArray) -> int:
    """Position of the component whose temporal average is the median one (the lower of two), as in
    Fig. 4 of Feng et al. (2022)."""
    means = parameter.mean([d for d in parameter.dims if d != "component"]).to_numpy()
    return int(np.argsort(means, kind="stable")[(len(means) - 1) // 2])


def stacked(panels: Sequence[hv.Element | hv.Overlay], *, title: str = "") -> hv.Layout:
    """Panels over the same days, one above the other, zooming together; dates stand under the
    last."""
    _bokeh()
    drawn = [
        panel.opts(xaxis="bottom" if panel is panels[-1] else None, xlabel="", clone=True)
        for panel in panels
    ]
    if title:
        drawn[0] = drawn[0].opts(title=title, clone=True)
    return hv.Layout(drawn).cols(1).opts(shared_axes=True, merge_tools=True)


def grid(panels: Sequence[hv.Element | hv.Overlay], *, columns: int = 2) -> hv.Layout:
    """Panels side by side, each with axes of its own."""
    _bokeh()
    return hv.Layout(list(panels)).cols(columns).opts(shared_axes=False)


def series(
    values: Series,
    *,
    label: str,
    title: str = "",
    colour: Mapping[str, str] | None = None,
    width: int = WIDTH,
    height: int = 150,
) -> hv.Overlay:
    """Curves over time in one panel: stores, fluxes.

    Parameters
    ----------
    values
        By name, each over `time`, in the same units.
    label
        Of the y axis.
    """
    _bokeh()
    colour = colour or colours(list(values))
    # panels share a scale by the label of their dimension
    dim = hv.Dimension(" ".join([title, *values]))
    curves = [
        _curve(da, name, dim).opts(color=colour[name], line_width=1.2, tools=["hover"])
        for name, da in values.items()
    ]
    return hv.Overlay(curves).opts(
        width=width,
        height=height,
        title=title,
        yticks=4,
        legend_position="top_left",
        legend_cols=len(curves),
        show_legend=len(curves) > 1,
        xlabel="",
        ylabel=label,
        legend_opts={"spacing": 16},
        padding=(0, (0, 0.2)),
        **ALONG_TIME,
    )


def rain(prcp: xr.DataArray, *, title: str = "", width: int = WIDTH) -> hv.Histogram:
    """Precipitation hanging from above, for `stacked`."""
    _bokeh()
    return _rain(prcp, width, title)


def components(
    parameter: xr.DataArray,
    *,
    title: str = "",
    colour: str = BOLD,
    width: int = WIDTH,
    height: int = 170,
) -> hv.Overlay:
    """A dynamic parameter of all components, thin, and of the `median_component`, bold (Feng et al.
    2022, Fig. 4).

    Parameters
    ----------
    parameter
        (time, component) of one catchment.
    """
    _bokeh()
    dim = hv.Dimension(str(parameter.name), label=axis_label(parameter))
    chosen = median_component(parameter)
    others = parameter.transpose("component", "time").drop_isel(component=chosen).astype(float)
    # one line with gaps: a line each would be slow to draw
    gap = np.full((others.sizes["component"], 1), np.nan)
    days = np.append(parameter["time"].to_numpy(), np.datetime64("NaT"))
    thin = hv.Curve(
        (np.tile(days, len(gap)), np.hstack([others.to_numpy(), gap]).ravel()),
        hv.Dimension("time", label="date"),
        dim,
    ).opts(color=THIN, line_width=0.7, alpha=0.8)
    bold = _curve(parameter.isel(component=chosen), "", dim).opts(
        color=colour, line_width=2, tools=["hover"]
    )
    return hv.Overlay([thin, bold]).opts(
        width=width,
        height=height,
        title=title,
        yticks=4,
        show_legend=False,
        xlabel="",
        padding=(0, 0.1),
        **ALONG_TIME,
    )


def seasonal_components(
    parameter: xr.DataArray,
    *,
    title: str = "",
    colour: str = BOLD,
    window: int = 7,
    width: int = 450,
    height: int = 280,
) -> hv.Overlay:
    """The mean year of a dynamic parameter, components thin and the median one bold, smoothed over
    `window` days."""
    _bokeh()
    x, y = (
        hv.Dimension("day", label="month"),
        hv.Dimension(str(parameter.name), label=axis_label(parameter)),
    )
    chosen, mean = median_component(parameter), mean_year(parameter, window=window)
    curves = [
        hv.Curve((mean["day"].to_numpy(), mean.isel(component=k).to_numpy()), x, y).opts(
            color=colour if k == chosen else THIN, line_width=2.4 if k == chosen else 0.8
        )
        for k in sorted(range(parameter.sizes["component"]), key=lambda k: k == chosen)
    ]
    return hv.Overlay(curves).opts(
        width=width,
        height=height,
        title=title,
        xticks=MONTHS,
        xlim=(1, 365),
        show_legend=False,
        padding=(0, 0.1),
        **FREE,
    )


def against(
    across: xr.DataArray,
    parameter: xr.DataArray,
    *,
    title: str = "",
    width: int = 450,
    height: int = 330,
) -> hv.Overlay:
    """Two daily series of a catchment against each other, a colour a month: a loop is a memory, a
    line a function."""
    _bokeh()
    x, y = (
        hv.Dimension("across", label=axis_label(across)),
        hv.Dimension("up", label=axis_label(parameter)),
    )
    month = across["time"].dt.month.to_numpy()
    names = pd.date_range("2001-01-01", periods=12, freq="MS").strftime("%b").tolist()
    points = [
        hv.Scatter(
            (across.to_numpy()[month == m], parameter.to_numpy()[month == m]),
            x,
            y,
            label=names[m - 1],
        ).opts(color=CYCLIC[m - 1], size=3, alpha=0.7)
        for m in range(1, 13)
        if (month == m).any()
    ]
    return hv.Overlay(points).opts(
        width=width,
        height=height,
        title=title,
        legend_position="right",
        padding=0.05,
        legend_opts={"label_text_font_size": "11px", "spacing": 0},
        **FREE,
    )


def baseflow_maps(
    maps: Mapping[str, xr.DataArray],
    across: pd.Series,
    up: pd.Series,
    *,
    x: str,
    y: str,
    width: int = 450,
) -> hv.Layout:
    """Maps of baseflow indices on one scale and their scatter, as a column of Fig. 5 of Feng et al.
    (2022).

    Parameters
    ----------
    maps
        Index of each basin by the map's title, (basin) with `lat` and `lon`.
    across, up
        Of the scatter: the index to compare with and the model's.
    """
    _bokeh()
    panels = [
        basin_map(da, title=f"({letter}) {title}", clim=(0.0, 1.0), width=width)
        for letter, (title, da) in zip("abcdefgh", maps.items(), strict=False)
    ]
    letter = "abcdefgh"[len(panels)]
    scatter = correlated(across, up, x=x, y=y, title=f"({letter})", width=width)
    return hv.Layout([*panels, scatter]).cols(2).opts(shared_axes=False)


def correlated(
    across: pd.Series, up: pd.Series, *, x: str, y: str, title: str = "", width: int = 450
) -> hv.Overlay:
    """`one_to_one` with the correlation over basins in its title."""
    r = across.corr(up)
    return one_to_one(across, up, x=x, y=y, width=width).opts(
        title=f"{title} R = {r:.3f}, {(across * up).count()} basins".strip()
    )


def boxes(
    scores: Mapping[str, pd.Series],
    *,
    label: str,
    title: str = "",
    width: int = 450,
    height: int = 330,
) -> hv.BoxWhisker:
    """A box a model over its basins: quartiles, whiskers to 1.5 times their distance (Feng et al.
    2022, Fig. 6a)."""
    _bokeh()
    frame = pd.concat(
        [
            pd.DataFrame({"model": name, "value": s.dropna().to_numpy()})
            for name, s in scores.items()
        ]
    )
    box = hv.BoxWhisker(frame, "model", hv.Dimension("value", label=label))
    return box.opts(
        width=width,
        height=height,
        title=title,
        xlabel="",
        box_color="model",
        cmap=colours(list(scores)),
        show_legend=False,
        box_alpha=0.75,
        outlier_alpha=0.4,
        xrotation=20 if len(scores) > 3 else 0,
        **FREE,
    )


def balance(table: pd.DataFrame, *, width: int = WIDTH, height: int = 320) -> hv.Layout:
    """The closed water balance of each basin, the wettest at the right.

    Above, what becomes of precipitation, stacked, with precipitation as a line; below, what is
    left: the change of storage, which the line and the bars differ by, and the residual, which must
    not be seen.

    Parameters
    ----------
    table
        From `hydronb.analysis.water_balance.simulated_balance`, mm/yr.
    """
    _bokeh()
    ordered = table.sort_values("P")
    left = np.arange(len(ordered)) + 0.08
    x, y = (
        hv.Dimension("place", label="catchments, from dry to wet"),
        hv.Dimension("water", label="mm/yr"),
    )
    bottom, bars = np.zeros(len(ordered)), []
    for name in ("ET", "q2", "q1", "q0"):
        top = bottom + ordered[name].to_numpy()
        bars.append(_bars(left, bottom, top, ordered, name, x, y))
        bottom = top
    edges = np.repeat(np.arange(len(ordered) + 1), 2)[1:-1]
    line = hv.Curve((edges, np.repeat(ordered["P"].to_numpy(), 2)), x, y, label="precipitation")
    shared = {"width": width, "xlim": (0, len(ordered)), "xticks": 0} | FREE
    upper = hv.Overlay([*bars, line.opts(color=INK, line_width=1.6)]).opts(
        height=height,
        legend_position="top_left",
        ylim=(0, None),
        padding=(0, (0, 0.1)),
        xlabel="",
        legend_cols=1,
        title="What becomes of precipitation",
        **shared,
    )
    zero = np.zeros(len(ordered))
    parts = [
        _bars(left, zero, ordered[name].to_numpy(), ordered, name, x, y)
        for name in ("storage", "residual")
    ]
    worst = table["residual"].abs().max()
    lower = hv.Overlay(parts).opts(
        height=190,
        legend_position="top_left",
        legend_cols=2,
        padding=(0, 0.6),
        title=f"What is left (largest residual {worst:.1g} mm/yr)",
        **shared,
    )
    return hv.Layout([upper, lower]).cols(1).opts(shared_axes=False)


def _bars(
    left: np.ndarray,
    bottom: np.ndarray,
    top: np.ndarray,
    table: pd.DataFrame,
    name: str,
    x: hv.Dimension,
    y: hv.Dimension,
) -> hv.Rectangles:
    frame = pd.DataFrame(
        {
            "x0": left,
            "y0": bottom,
            "x1": left + 0.84,
            "y1": top,
            "basin": table.index.astype(str),
            WORDS[name]: table[name].to_numpy(),
        }
    )
    corners = [hv.Dimension("x0", label=x.label), hv.Dimension("y0", label=y.label), "x1", "y1"]
    rectangles = hv.Rectangles(frame, corners, ["basin", WORDS[name]], label=WORDS[name])
    return rectangles.opts(color=WATER[name], line_width=0, tools=["hover"])
