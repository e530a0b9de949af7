"""Series of one catchment: hydrograph, forcing, stores and fluxes, flow duration curve, mean
year."""

from collections.abc import Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.style import (
    ALONG_TIME,
    FREE,
    OBSERVED,
    RAIN,
    SPARE,
    WIDTH,
    Series,
    axis_label,
    colours,
    legend_outside,
    on_bokeh,
    wrapped,
)
from hydronb.vocabulary import COLOURS

MONTHS = [
    (d.day_of_year, d.strftime("%b")[0]) for d in pd.date_range("2001-01-01", periods=12, freq="MS")
]
"""Ticks of an axis over the days of the year."""


@on_bokeh
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
    shown = observed_first(obs, simulations)
    colour = colours(list(shown))
    flow = hv.Dimension("flow", label=axis_label(next(iter(shown.values()))))
    curves = [
        curve(da, flow, label).opts(
            color=colour[label], line_width=1.8 if label == OBSERVED else 1.2, alpha=0.9
        )
        for label, da in shown.items()
    ]
    title = wrapped(title, width)
    lower = legend_outside(hv.Overlay(curves), width, height).opts(
        title="" if prcp is not None else title,
        xlabel="",
        ylim=(0, None),
        padding=(0, (0, 0.05)),
        **ALONG_TIME,
    )
    if prcp is None:
        return lower
    days = next(iter((simulations or shown).values()))["time"]
    return stacked(
        [
            rain(prcp.sel(time=slice(days[0], days[-1])), title=title, width=width),
            lower.relabel(""),
        ]
    )


def river(ds: xr.Dataset | xr.DataArray, basin: str) -> str:
    """Id of a basin and, where the data tell it, the name of its gauge."""
    name = str(ds["gauge_name"].sel(basin=basin).values) if "gauge_name" in ds.coords else ""
    return f"{basin}, {name}" if name.strip() else basin


def observed_first(obs: xr.DataArray | None, simulations: Series) -> dict[str, xr.DataArray]:
    """Simulations by label, after the observation where there is one."""
    return ({} if obs is None else {OBSERVED: obs}) | dict(simulations)


def curve(da: xr.DataArray, vdim: hv.Dimension, label: str = "") -> hv.Curve:
    """A series over time."""
    return hv.Curve(
        (da["time"].to_numpy(), da.to_numpy().astype(float)), ("time", "date"), vdim, label=label
    ).opts(tools=["hover"])


@on_bokeh
def rain(prcp: xr.DataArray, *, title: str = "", width: int = WIDTH) -> hv.Histogram:
    """Precipitation drawn downwards from the top, for `stacked`."""
    day = prcp["time"].to_numpy()
    return hv.Histogram(
        (np.append(day, day[-1] + np.timedelta64(1, "D")), prcp.to_numpy().astype(float)),
        kdims=[("time", "date")],
        vdims=[("rain", axis_label(prcp).replace("precipitation", "P"))],
    ).opts(
        width=width,
        height=130,
        invert_yaxis=True,
        xaxis=None,
        color=RAIN,
        line_color=RAIN,
        line_width=0.5,
        title=wrapped(title, width),
        tools=["hover"],
        yticks=3,
        **ALONG_TIME,
    )


@on_bokeh
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
    colour = colour or colours(list(values))
    # panels whose dimensions have the same name share a scale
    dim = hv.Dimension(" ".join([title, *values]))
    curves = [
        curve(da, dim, name).opts(color=colour[name], line_width=1.2) for name, da in values.items()
    ]
    one = len(curves) == 1
    figure = hv.Overlay([curves[0].relabel("")] if one else curves)
    return legend_outside(figure, width, height, where="top").opts(
        title=title,
        yticks=4,
        xlabel="",
        ylabel=label,
        padding=(0, (0, 0.05)),
        **ALONG_TIME,
    )


@on_bokeh
def stacked(panels: Sequence[hv.Element | hv.Overlay], *, title: str = "") -> hv.Layout:
    """Panels over the same days, one above the other, zooming together; dates stand under the
    last."""
    drawn = [
        panel.opts(
            xaxis="bottom" if panel is panels[-1] else None,
            xlabel="",
            clone=True,
            **{"title": wrapped(title, WIDTH)} if title and panel is panels[0] else {},
        )
        for panel in panels
    ]
    return hv.Layout(drawn).cols(1).opts(shared_axes=True, merge_tools=True)


@on_bokeh
def forcing(
    ds: xr.Dataset, names: Sequence[str], *, title: str = "", width: int = WIDTH, height: int = 130
) -> hv.Layout:
    """Daily series of one catchment, one panel per variable, zooming together; `ds` is over `time`
    alone."""
    colour = dict(zip(names, SPARE * 3, strict=False)) | {
        "prcp": RAIN,
        "streamflow": COLOURS[OBSERVED],
    }
    panels = [
        curve(ds[name], hv.Dimension(name)).opts(
            width=width,
            height=height + 25 * (name == names[-1]),
            color=colour[name],
            line_width=1,
            yticks=4,
            ylabel=ds[name].attrs.get("units", name),
            title=ds[name].attrs.get("long_name", name),
            **ALONG_TIME,
        )
        for name in names
    ]
    return stacked(
        panels, title=f"{title}: {ds[names[0]].attrs.get('long_name', names[0])}" if title else ""
    )


@on_bokeh
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

    Where there is an observation, only its days count. Days without flow are not drawn: a curve
    that ends before 100 % is that of a river that falls dry.
    """
    if obs is not None:
        simulations = {name: da.where(obs.notnull()) for name, da in simulations.items()}
    shown = observed_first(obs, simulations)
    colour = colours(list(shown))
    dims = (
        hv.Dimension("exceeded", label="share of days with more flow (%)", range=(0, 100)),
        hv.Dimension("flow", label=axis_label(next(iter(shown.values())))),
    )
    curves = []
    for name, da in shown.items():
        flow = np.sort(da.dropna("time").to_numpy().astype(float))[::-1]
        exceeded = 100 * (np.arange(len(flow)) + 0.5) / max(len(flow), 1)
        curves.append(
            hv.Curve((exceeded[flow > 0], flow[flow > 0]), *dims, label=name).opts(
                color=colour[name], line_width=2, tools=["hover"]
            )
        )
    return legend_outside(hv.Overlay(curves), width, height).opts(
        logy=True,
        title=wrapped(title, width),
        yformatter="%g",
        xlim=(0, 100),
        **FREE,
    )


@on_bokeh
def regime(
    obs: xr.DataArray | None,
    simulations: Series,
    *,
    title: str = "",
    width: int = 450,
    height: int = 330,
) -> hv.Overlay:
    """Mean flow of each day of the year.

    Parameters
    ----------
    obs, simulations
        Mean years over `day`, from `hydronb.analysis.seasons.mean_years`.
    """
    shown = observed_first(obs, simulations)
    colour = colours(list(shown))
    dims = ("day", "month"), ("flow", "mean " + axis_label(next(iter(shown.values()))))
    curves = [
        hv.Curve((mean["day"].to_numpy(), mean.to_numpy()), *dims, label=name).opts(
            color=colour[name], line_width=2, tools=["hover"]
        )
        for name, mean in shown.items()
    ]
    return legend_outside(hv.Overlay(curves), width, height).opts(
        title=wrapped(title, width),
        xticks=MONTHS,
        xlim=(1, 365),
        ylim=(0, None),
        **FREE,
    )
