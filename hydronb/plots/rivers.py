"""Series of one catchment: hydrograph, forcing, flow duration curve, seasonal regime."""

from collections.abc import Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.analysis.seasons import mean_year
from hydronb.plots.style import (
    ALONG_TIME,
    COLOURS,
    FREE,
    OBSERVED,
    RAIN,
    SPARE,
    WIDTH,
    Series,
    _bokeh,
    axis_label,
    colours,
)

MONTHS = [
    (d.day_of_year, d.strftime("%b")[0]) for d in pd.date_range("2001-01-01", periods=12, freq="MS")
]
"""Ticks of an axis over the days of the year."""


def hydrograph(
    obs: xr.DataArray | None,
    simulations: Series,
    *,
    prcp: xr.DataArray | None = None,
    title: str = "",
    width: int = WIDTH,
    height: int = 320,
) -> hv.Layout | hv.Overlay:
    """Simulated and observed streamflow of one catchment over time, precipitation hanging from
    above.

    Parameters
    ----------
    obs
        Observation over `time`, or None.
    simulations
        Simulation over `time` by label.
    prcp
        Precipitation over `time`, cut to the days of the simulation; the two panels zoom together.
    """
    _bokeh()
    series = dict(simulations) | ({OBSERVED: obs} if obs is not None else {})
    colour = colours(list(series))
    first = next(iter(series.values()))
    flow = hv.Dimension("flow", label=axis_label(obs if obs is not None else first))
    curves = [
        _curve(da, label, flow).opts(
            color=colour[label],
            line_width=1.8 if label == OBSERVED else 1.2,
            tools=["hover"],
            alpha=0.9,
        )
        for label, da in ([(OBSERVED, obs)] if obs is not None else []) + list(simulations.items())
    ]
    lower = hv.Overlay(curves).opts(
        width=width,
        height=height,
        legend_position="top_left",
        legend_cols=len(curves),
        legend_opts={"spacing": 16},
        title="" if prcp is not None else title,
        xlabel="",
        ylim=(0, None),
        padding=(0, (0, 0.15)),
        **ALONG_TIME,
    )
    if prcp is None:
        return lower
    days = first["time"]
    upper = _rain(prcp.sel(time=slice(days[0], days[-1])), width, title)
    return hv.Layout([upper, lower.relabel("")]).cols(1).opts(shared_axes=True, merge_tools=True)


def _curve(da: xr.DataArray, label: str, vdim: hv.Dimension) -> hv.Curve:
    date = hv.Dimension("time", label="date")
    return hv.Curve((da["time"].to_numpy(), da.to_numpy().astype(float)), date, vdim, label=label)


def _rain(prcp: xr.DataArray, width: int, title: str) -> hv.Histogram:
    day = prcp["time"].to_numpy()
    edges = np.append(day, day[-1] + np.timedelta64(1, "D"))
    dim = hv.Dimension("rain", label=axis_label(prcp).replace("precipitation", "P"))
    date = hv.Dimension("time", label="date")
    bars = hv.Histogram((edges, prcp.to_numpy().astype(float)), kdims=[date], vdims=[dim])
    return bars.opts(
        width=width,
        height=130,
        invert_yaxis=True,
        xaxis=None,
        color=RAIN,
        line_color=RAIN,
        line_width=0.5,
        title=title,
        tools=["hover"],
        yticks=3,
        **ALONG_TIME,
    )


def forcing(
    ds: xr.Dataset, names: Sequence[str], *, title: str = "", width: int = WIDTH, height: int = 130
) -> hv.Layout:
    """Daily series of one catchment, a panel a variable, zooming together; `ds` is over `time`
    alone."""
    _bokeh()
    colour = dict(zip(names, SPARE * 3, strict=False)) | {
        "prcp": RAIN,
        "streamflow": COLOURS[OBSERVED],
    }
    panels = []
    for name in names:
        last, first = name == names[-1], name == names[0]
        panels.append(
            _curve(ds[name], "", hv.Dimension(name)).opts(
                width=width,
                height=height + 25 * last,
                color=colour[name],
                line_width=1,
                yticks=4,
                tools=["hover"],
                xaxis="bottom" if last else None,
                xlabel="",
                ylabel=ds[name].attrs.get("units", name),
                title=(title + ": " if first and title else "")
                + ds[name].attrs.get("long_name", name),
                **ALONG_TIME,
            )
        )
    return hv.Layout(panels).cols(1).opts(shared_axes=True, merge_tools=True)


def flow_duration_curve(
    obs: xr.DataArray | None,
    simulations: Series,
    *,
    title: str = "",
    width: int = 450,
    height: int = 330,
) -> hv.Overlay:
    """Flow that is exceeded on a share of the days, each series sorted by itself, on a logarithmic
    axis.

    Only days with an observation count where there is one. Days without flow are not drawn: a curve
    that ends before 100 % is that of a river that falls dry.
    """
    _bokeh()
    series, colour = _named(obs, simulations)
    x = hv.Dimension("exceeded", label="share of days with more flow (%)", range=(0, 100))
    y = hv.Dimension("flow", label=axis_label(next(iter(series.values()))))
    curves = []
    for name, da in series.items():
        flow = np.sort(da.to_numpy()[~np.isnan(da.to_numpy())].astype(float))[::-1]
        exceeded = 100 * (np.arange(len(flow)) + 0.5) / max(len(flow), 1)
        wet = flow > 0
        curves.append(
            hv.Curve((exceeded[wet], flow[wet]), x, y, label=name).opts(
                color=colour[name], line_width=2, tools=["hover"]
            )
        )
    return hv.Overlay(curves).opts(
        width=width,
        height=height,
        logy=True,
        title=title,
        yformatter="%g",
        legend_position="bottom_left",
        xlim=(0, 100),
        **FREE,
    )


def regime(
    obs: xr.DataArray | None,
    simulations: Series,
    *,
    title: str = "",
    width: int = 450,
    height: int = 330,
    window: int = 7,
) -> hv.Overlay:
    """Mean flow of each day of the year over all years, smoothed over `window` days.

    Only days with an observation count where there is one.
    """
    _bokeh()
    series, colour = _named(obs, simulations)
    x = hv.Dimension("day", label="month")
    y = hv.Dimension("flow", label="mean " + axis_label(next(iter(series.values()))))
    means = {name: mean_year(da, window=window) for name, da in series.items()}
    curves = [
        hv.Curve((mean["day"].to_numpy(), mean.to_numpy()), x, y, label=name).opts(
            color=colour[name], line_width=2, tools=["hover"]
        )
        for name, mean in means.items()
    ]
    return hv.Overlay(curves).opts(
        width=width,
        height=height,
        title=title,
        xticks=MONTHS,
        xlim=(1, 365),
        legend_position="top",
        legend_cols=min(len(curves), 4),
        ylim=(0, None),
        legend_opts={"spacing": 8},
        **FREE,
    )


def _named(
    obs: xr.DataArray | None, simulations: Series
) -> tuple[dict[str, xr.DataArray], dict[str, str]]:
    """The observation first, all on its days, and their colours."""
    if obs is None:
        return dict(simulations), colours(list(simulations))
    series = {OBSERVED: obs} | {n: da.where(~np.isnan(obs)) for n, da in simulations.items()}
    return series, colours(list(series))
