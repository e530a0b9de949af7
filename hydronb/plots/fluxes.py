"""Inside a catchment: parameters of all components, baseflow, the water balance."""

from collections.abc import Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.basins import basin_map
from hydronb.plots.rivers import MONTHS, curve, stacked
from hydronb.plots.scores import one_to_one
from hydronb.plots.style import (
    ALONG_TIME,
    FREE,
    INK,
    WIDTH,
    axis_label,
    colours,
    legend_outside,
    on_bokeh,
    wrapped,
)

THIN, BOLD = "#B8B8B8", "#0072B2"
WATER = {
    "ET": ("evapotranspiration", "#009E73"),
    "q2": ("baseflow", "#332288"),
    "q1": ("interflow", "#0072B2"),
    "q0": ("quick flow", "#56B4E9"),
    "storage": ("change of storage", "#E69F00"),
    "residual": ("residual", "#D55E00"),
}
"""Label and colour of the terms of the water balance, in the order in which they are stacked."""
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
"""One colour per month; winter blue, summer green to orange."""
LEAST_SHARE = 0.1
"""Of the bounds of a parameter: the least that an axis spans."""


def median_component(parameter: xr.DataArray) -> int:
    """Position of the component whose temporal average is the median one (the lower of two), as in
    Fig. 4 of Feng et al. (2022)."""
    means = parameter.mean([d for d in parameter.dims if d != "component"]).to_numpy()
    return int(np.argsort(means, kind="stable")[(len(means) - 1) // 2])


@on_bokeh
def grid(panels: Sequence[hv.Element | hv.Overlay], *, columns: int = 2) -> hv.Layout:
    """Panels side by side, each with axes of its own."""
    return hv.Layout(list(panels)).cols(columns).opts(shared_axes=False)


@on_bokeh
def components(
    parameter: xr.DataArray,
    *,
    title: str = "",
    colour: str = BOLD,
    bounds: tuple[float, float] | None = None,
    width: int = WIDTH,
    height: int = 170,
) -> hv.Overlay:
    """A dynamic parameter of all components, thin, and of the `median_component`, bold (Feng et al.
    2022, Fig. 4).

    Parameters
    ----------
    parameter
        (time, component) of one catchment.
    bounds
        Of the parameter: the axis then spans `LEAST_SHARE` of them or more, and the title says how
        much, so that a parameter that hardly moves looks it.
    """
    dim = hv.Dimension(str(parameter.name), label=axis_label(parameter))
    chosen = median_component(parameter)
    others = parameter.transpose("component", "time").drop_isel(component=chosen).astype(float)
    # one line with gaps, since one line per component would be slow to draw
    values = np.pad(others.to_numpy(), ((0, 0), (0, 1)), constant_values=np.nan)
    bold = curve(parameter.isel(component=chosen), dim).opts(color=colour, line_width=2)
    days = np.tile([*parameter["time"].to_numpy(), np.datetime64("NaT")], len(values))
    ylim = (None, None)
    if bounds is not None:
        low, high = bounds
        least, most = float(parameter.min()), float(parameter.max())
        half = max(1.1 * (most - least), LEAST_SHARE * (high - low)) / 2
        middle = (least + most) / 2
        ylim = max(low, middle - half), min(high, middle + half)
        title += f"; the axis spans {(ylim[1] - ylim[0]) / (high - low):.0%} of the bounds"
    return hv.Overlay(
        [
            hv.Curve((days, values.ravel()), *bold.dimensions()).opts(
                color=THIN, line_width=0.7, alpha=0.8
            ),
            bold,
        ]
    ).opts(
        width=width,
        height=height,
        title=wrapped(title, width),
        yticks=4,
        show_legend=False,
        xlabel="",
        ylim=ylim,
        padding=(0, 0.1),
        **ALONG_TIME,
    )


@on_bokeh
def every_component(
    parameters: Mapping[str, xr.DataArray], *, width: int = WIDTH, height: int = 190
) -> hv.Layout:
    """A dynamic parameter of one catchment in several runs: one panel per run, all on the same
    axes, and a line per component, dark where its mean is low and light where it is high.

    Parameters
    ----------
    parameters
        (time, component) by the panel's title.
    """
    from bokeh.palettes import viridis

    low = min(float(of.min()) for of in parameters.values())
    high = max(float(of.max()) for of in parameters.values())
    margin = 0.03 * (high - low) or 0.1
    panels = []
    for title, of in parameters.items():
        dim = hv.Dimension(str(of.name), label=axis_label(of))
        ordered = of.isel(component=np.argsort(of.mean("time").to_numpy(), kind="stable"))
        shades = viridis(max(2, ordered.sizes["component"]))
        lines = [
            curve(ordered.isel(component=k), dim).opts(color=shades[k], line_width=0.9, tools=[])
            for k in range(ordered.sizes["component"])
        ]
        panels.append(
            hv.Overlay(lines).opts(
                width=width,
                height=height,
                title=wrapped(title, width),
                ylim=(low - margin, high + margin),
                yticks=4,
                show_legend=False,
                **ALONG_TIME,
            )
        )
    return stacked(panels)


@on_bokeh
def seasonal_components(
    mean: xr.DataArray,
    *,
    bold: int,
    title: str = "",
    colour: str = BOLD,
    width: int = 450,
    height: int = 280,
) -> hv.Overlay:
    """The mean year of a dynamic parameter, components thin and one of them bold.

    Parameters
    ----------
    mean
        (day, component), from `hydronb.analysis.seasons.mean_year`.
    bold
        Position of the component that stands out: the parameter's `median_component`.
    """
    dims = ("day", "month"), (str(mean.name), axis_label(mean))
    curves = [
        hv.Curve((mean["day"].to_numpy(), mean.isel(component=k).to_numpy()), *dims).opts(
            color=colour if k == bold else THIN, line_width=2.4 if k == bold else 0.8
        )
        for k in [*(k for k in range(mean.sizes["component"]) if k != bold), bold]
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


@on_bokeh
def against(
    across: xr.DataArray,
    parameter: xr.DataArray,
    *,
    title: str = "",
    width: int = 450,
    height: int = 330,
) -> hv.Overlay:
    """Two daily series of one catchment against each other, one colour per month: a loop
    means memory, a line a function of the other."""
    dims = ("across", axis_label(across)), ("up", axis_label(parameter))
    month = across["time"].dt.month.to_numpy()
    names = pd.date_range("2001-01-01", periods=12, freq="MS").strftime("%b")
    points = [
        hv.Scatter(
            (across.to_numpy()[month == m], parameter.to_numpy()[month == m]), *dims, label=name
        ).opts(color=colour, size=3, alpha=0.7)
        for m, (name, colour) in enumerate(zip(names, CYCLIC, strict=True), start=1)
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
    *letters, last = "abcdefgh"[: len(maps) + 1]
    panels = [
        basin_map(da, title=f"({letter}) {title}", clim=(0.0, 1.0), width=width)
        for letter, (title, da) in zip(letters, maps.items(), strict=True)
    ]
    return grid([*panels, correlated(across, up, x=x, y=y, title=f"({last})", width=width)])


def correlated(
    across: pd.Series, up: pd.Series, *, x: str, y: str, title: str = "", width: int = 450
) -> hv.Overlay:
    """`one_to_one` with the correlation over basins in its title."""
    return one_to_one(across, up, x=x, y=y, width=width).opts(
        title=f"{title} R = {across.corr(up):.3f}, {(across * up).count()} basins".strip()
    )


@on_bokeh
def boxes(
    scores: Mapping[str, pd.Series],
    *,
    label: str,
    title: str = "",
    width: int = 450,
    height: int = 330,
) -> hv.BoxWhisker:
    """One box per model over its basins: quartiles, whiskers to 1.5 times their distance (Feng et
    al. 2022, Fig. 6a)."""
    return hv.BoxWhisker(
        pd.concat(dict(scores), names=["model"]).rename("value").dropna().reset_index("model"),
        "model",
        ("value", label),
    ).opts(
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


@on_bokeh
def balance(table: pd.DataFrame, *, width: int = WIDTH, height: int = 320) -> hv.Layout:
    """The closed water balance of each basin, from dry to wet.

    Above, what becomes of precipitation, stacked, with precipitation as a line; below, what is
    left: the change of storage, by which the line and the bars differ, and the residual, which must
    not be visible.

    Parameters
    ----------
    table
        From `hydronb.analysis.water_balance.simulated_balance`, mm/yr.
    """
    ordered = table.sort_values("P")
    n, bottom, bars = len(ordered), 0.0, []
    for name in ("ET", "q2", "q1", "q0"):
        bars.append(_bars(ordered, name, bottom))
        bottom = bottom + ordered[name]
    bars.append(
        hv.Curve(
            (np.repeat(np.arange(n + 1), 2)[1:-1], np.repeat(ordered["P"].to_numpy(), 2)),
            label="precipitation",
        ).opts(color=INK, line_width=1.6)
    )
    shared = {"xlim": (0, n), "xticks": 0} | FREE
    upper = legend_outside(hv.Overlay(bars), width, height).opts(
        ylim=(0, None),
        padding=(0, (0, 0.1)),
        xlabel="",
        title="Fate of precipitation",
        **shared,
    )
    lower = hv.Overlay([_bars(ordered, name, 0.0) for name in ("storage", "residual")])
    lower = legend_outside(lower, width, 190).opts(
        padding=(0, 0.6),
        title=f"Residual (largest residual {table['residual'].abs().max():.1g} mm/yr)",
        **shared,
    )
    return hv.Layout([upper, lower]).cols(1).opts(shared_axes=False)


def _bars(table: pd.DataFrame, name: str, bottom: pd.Series | float) -> hv.Rectangles:
    label, colour = WATER[name]
    left = np.arange(len(table)) + 0.08
    frame = pd.DataFrame(
        {
            "basin": table.index.astype(str),
            label: table[name].to_numpy(),
            "x0": left,
            "y0": np.broadcast_to(bottom, left.shape),
            "x1": left + 0.84,
            "y1": (bottom + table[name]).to_numpy(),
        }
    )
    return hv.Rectangles(
        frame,
        [("x0", "catchments, from dry to wet"), ("y0", "mm/yr"), "x1", "y1"],
        ["basin", label],
        label=label,
    ).opts(color=colour, line_width=0, tools=["hover"])
