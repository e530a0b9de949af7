"""HoloViews figures of catchments, simulations and scores, shared by the notebooks and the app.

Every function takes xarray or pandas and returns a HoloViews object. Axis labels come from `long_name` and
`units`; a model has the same colour in every figure, safe for colour-blind readers; the observation is black.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from bokeh.embed import file_html
from bokeh.models import FixedTicker
from bokeh.resources import INLINE
from bokeh.themes import Theme

from hydronb.analysis.seasons import mean_year
from hydronb.errors import DataError

OBSERVED = "observed"
COLOURS = {
    OBSERVED: "#000000",
    "EA-LSTM": "#0072B2",
    "LSTM": "#D55E00",
    "LSTM (no statics)": "#E69F00",
    "delta-HBV": "#009E73",
    "CNN-LSTM": "#CC79A7",
    "climatology": "#7F7F7F",
}
"""Fixed colours by the label's beginning: `EA-LSTM, NSE*` is an EA-LSTM. Okabe and Ito's palette."""
SPARE = ("#56B4E9", "#882255", "#117733", "#AA4499", "#44AA99", "#999933", "#332288", "#661100")
"""For labels that have no colour of their own, and for the second of a family; Tol's muted colours."""
RAIN, INK, GRID = "#5B8DB8", "#333333", "#E6E6E6"
WIDTH = 900
SEQUENTIAL = "viridis"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
THEME = Theme(json={"attrs": {
    "Title": {"text_font": FONT, "text_font_size": "15px", "text_font_style": "normal", "text_color": INK},
    "Axis": {"axis_label_text_font": FONT, "axis_label_text_font_size": "13px", "axis_label_text_color": INK,
             "axis_label_text_font_style": "normal", "major_label_text_font": FONT,
             "major_label_text_font_size": "12px", "major_label_text_color": INK,
             "axis_line_color": "#999999", "major_tick_line_color": "#999999", "minor_tick_line_color": None},
    "Grid": {"grid_line_color": GRID},
    "Legend": {"label_text_font": FONT, "label_text_font_size": "13px", "label_text_color": INK,
               "border_line_color": None, "background_fill_alpha": 0.75, "spacing": 2, "padding": 4},
    "ColorBar": {"title_text_font": FONT, "title_text_font_size": "12px", "title_text_font_style": "normal",
                 "major_label_text_font": FONT, "major_label_text_font_size": "11px", "bar_line_color": None,
                 "major_tick_line_color": None},
    "figure": {"outline_line_color": None, "toolbar_location": "above"},
    "Toolbar": {"autohide": True, "logo": None},
}})

FREE: dict[str, Any] = {"active_tools": ["pan"], "show_grid": True}
ALONG_TIME: dict[str, Any] = {"default_tools": ["save", "xpan", "xwheel_zoom", "xbox_zoom", "reset"],
                              "active_tools": ["xpan"], "show_grid": True}
"""Tools of a figure; the wheel zooms once it is switched on, so that a notebook scrolls past."""

Series = Mapping[str, xr.DataArray]
"""Simulations by label, each over `time`."""


def start() -> None:
    """Make HoloViews draw with bokeh in this theme; a notebook calls it once, figures see to it otherwise."""
    hv.extension("bokeh", logo=False, inline=True)  # a notebook shows its figures without a network, too
    hv.renderer("bokeh").theme = THEME


def save(figure: Any, folder: str | Path, name: str) -> Path:
    """Write `figure` as `folder/name.html`, one file that needs neither a network nor this package.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    path = Path(folder) / f"{name}.html"
    partial = path.with_name(path.name + ".partial")
    page = file_html(_render(figure), INLINE, title=name.replace("_", " "), theme=THEME)
    page = re.sub(r'<script src="static/[^>]*></script>\n?', "", page)  # panel's, which no figure here uses
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None
    return path


def _render(figure: Any) -> Any:
    _bokeh()
    return hv.render(figure, backend="bokeh")


@cache
def _bokeh() -> None:
    if "bokeh" not in hv.Store.loaded_backends():
        start()
    hv.renderer("bokeh").theme = THEME


def colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label: its family's where it has one and nobody took it, else a spare one.

    >>> colours(["LSTM", "LSTM (no statics)", "EA-LSTM, MSE"])
    {'LSTM': '#D55E00', 'LSTM (no statics)': '#E69F00', 'EA-LSTM, MSE': '#0072B2'}
    """
    chosen: dict[str, str] = {}
    spare = iter(SPARE * (1 + len(labels) // len(SPARE)))
    for label in labels:
        family = max((f for f in COLOURS if label.startswith(f)), key=len, default=None)
        own = COLOURS.get(family) if family else None
        chosen[label] = own if own and own not in chosen.values() else next(spare)
    return chosen


def axis_label(da: xr.DataArray) -> str:
    """`long_name (units)` of a variable, its name where it has none; `1` is no unit.

    >>> axis_label(xr.DataArray(0.0, attrs={"long_name": "precipitation", "units": "mm/d"}))
    'precipitation (mm/d)'
    """
    name = str(da.attrs.get("long_name") or da.name or "value").replace("_", " ")
    units = da.attrs.get("units", "")
    return name if units in ("", "1", "-") else f"{name} ({units})"


def hydrograph(obs: xr.DataArray | None, simulations: Series, *, prcp: xr.DataArray | None = None,
               title: str = "", width: int = WIDTH, height: int = 320) -> hv.Layout | hv.Overlay:
    """Simulated and observed streamflow of one catchment over time, precipitation hanging from above.

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
    curves = [_curve(da, label, flow).opts(color=colour[label], line_width=1.8 if label == OBSERVED else 1.2,
                                           tools=["hover"], alpha=0.9)
              for label, da in ([(OBSERVED, obs)] if obs is not None else []) + list(simulations.items())]
    lower = hv.Overlay(curves).opts(width=width, height=height, legend_position="top_left",
                                    legend_cols=len(curves), legend_opts={"spacing": 16},
                                    title="" if prcp is not None else title, xlabel="",
                                    ylim=(0, None), padding=(0, (0, 0.15)), **ALONG_TIME)
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
    return bars.opts(width=width, height=130, invert_yaxis=True, xaxis=None, color=RAIN, line_color=RAIN,
                     line_width=0.5, title=title, tools=["hover"], yticks=3, **ALONG_TIME)


def cdf(scores: Mapping[str, pd.Series], *, label: str = "", xlim: tuple[float, float] | None = None,
        title: str = "", width: int = 560, height: int = 400) -> hv.Overlay:
    """Share of basins whose score is at most the value on the x axis, a curve a model.

    Parameters
    ----------
    scores
        Score of each basin by label of the model; undefined ones are left out.
    label
        Of the x axis; the series' own name where empty.
    xlim
        Range shown; by default a skill score (upper limit 1) from -0.5 on, others without their outer 2 %.
    """
    _bokeh()
    colour = colours(list(scores))
    x = hv.Dimension("score", label=label or str(next(iter(scores.values())).name))
    y = hv.Dimension("share", label="share of basins", range=(0, 1))
    curves, every = [], []
    for name, series in scores.items():
        values = np.sort(series.dropna().to_numpy(float))
        every.append(values)
        steps = np.concatenate([values[:1], values]), np.arange(len(values) + 1) / max(len(values), 1)
        median = f"{np.median(values):.2f}" if len(values) else "none"
        curves.append(hv.Curve(steps, x, y, label=f"{name} (median {median})").opts(
            color=colour[name], interpolation="steps-post", line_width=2, tools=["hover"]))
    pooled = np.concatenate(every)
    if xlim is None and len(pooled):
        skill = pooled.max() <= 1 + 1e-9 and pooled.min() < 1
        low, high = np.percentile(pooled, [2, 98])
        xlim = (max(-0.5, min(pooled.min(), 0)), 1.0) if skill else (low, high if high > low else low + 1)
    return hv.Overlay(curves).opts(width=width, height=height, legend_position="top_left", show_legend=True,
                                   title=title, xlim=xlim or (None, None), ylim=(0, 1), **FREE)


@cache
def _outline() -> np.ndarray:
    """Longitude and latitude of the states' borders, a row of NaN after each line."""
    text = files("hydronb").joinpath("us_outline.json").read_text(encoding="utf-8")
    return np.concatenate([[*line, (np.nan, np.nan)] for line in json.loads(text)["lines"]])


def _in_conus(lat: np.ndarray, lon: np.ndarray) -> bool:
    return bool(((lat > 24.5) & (lat < 49.5) & (lon > -124.8) & (lon < -66.9)).any())


def basin_map(values: xr.DataArray, *, lat: xr.DataArray | None = None, lon: xr.DataArray | None = None,
              title: str = "", label: str = "", cmap: str = SEQUENTIAL,
              clim: tuple[float, float] | None = None, width: int = 620, size: float | None = None) -> hv.Overlay:
    """Basins at their gauges, coloured by a value, over the borders of the US states where some lie in them.

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
    lat, lon = (values[n] if given is None else given.sel(basin=values["basin"])
                for n, given in (("lat", lat), ("lon", lon)))
    frame = pd.DataFrame({"lon": lon.to_numpy(), "lat": lat.to_numpy(),
                          "basin": values["basin"].to_numpy().astype(str),
                          "value": values.to_numpy().astype(float)})
    if clim is None:
        clim = _spread(frame["value"].to_numpy())
    size = size or float(np.clip(90 / np.sqrt(len(frame)), 5, 12))
    x, y = hv.Dimension("lon", label="longitude (°)"), hv.Dimension("lat", label="latitude (°)")
    value = hv.Dimension("value", label=label or axis_label(values))
    points = hv.Points(frame, [x, y], [value, "basin"]).opts(
        color="value", cmap=cmap, clim=clim, size=size, line_color="#444444", line_width=0.4, colorbar=True,
        clabel="", colorbar_opts={"width": 12, "padding": 4}, clipping_colors={"NaN": "white"},
        tools=["hover"])
    layers = [points]
    if _in_conus(frame["lat"].to_numpy(), frame["lon"].to_numpy()):
        borders = hv.Curve(_outline(), x, y).opts(color="#B0B0B0", line_width=0.8)
        layers = [borders, points]
    xlim, ylim = _frame_of(frame, len(layers) > 1)
    aspect = (ylim[1] - ylim[0]) / ((xlim[1] - xlim[0]) * np.cos(np.radians(sum(ylim) / 2)))
    height = int(np.clip((width - 110) * aspect, 200, 640)) + 60
    return hv.Overlay(layers).opts(width=width, height=height, xlim=xlim, ylim=ylim, show_legend=False,
                                   xaxis=None, yaxis=None, active_tools=["pan"],
                                   title=title or label or axis_label(values))


def _spread(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, [2, 98])
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)


def _frame_of(frame: pd.DataFrame, with_outline: bool) -> tuple[tuple[float, float], tuple[float, float]]:
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


def attribute_maps(ds: xr.Dataset, names: Mapping[str, str] | None = None, *, width: int = 450) -> hv.Layout:
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
    maps = [basin_map(ds[n], title=f"({letter}) {axis_label(ds[n])}", cmap=c, width=width)
            for letter, (n, c) in zip("abcdefgh", chosen.items(), strict=False)]
    return hv.Layout(maps).cols(2).opts(shared_axes=False)


def flow_duration_curve(obs: xr.DataArray | None, simulations: Series, *, title: str = "", width: int = 450,
                        height: int = 330) -> hv.Overlay:
    """Flow that is exceeded on a share of the days, each series sorted by itself, on a logarithmic axis.

    Only days with an observation count where there is one. Days without flow are not drawn: a curve that ends
    before 100 % is that of a river that falls dry.
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
        curves.append(hv.Curve((exceeded[wet], flow[wet]), x, y, label=name).opts(
            color=colour[name], line_width=2, tools=["hover"]))
    return hv.Overlay(curves).opts(width=width, height=height, logy=True, title=title, yformatter="%g",
                                   legend_position="bottom_left", xlim=(0, 100), **FREE)


def regime(obs: xr.DataArray | None, simulations: Series, *, title: str = "", width: int = 450,
           height: int = 330, window: int = 7) -> hv.Overlay:
    """Mean flow of each day of the year over all years, smoothed over `window` days.

    Only days with an observation count where there is one.
    """
    _bokeh()
    series, colour = _named(obs, simulations)
    x = hv.Dimension("day", label="month")
    y = hv.Dimension("flow", label="mean " + axis_label(next(iter(series.values()))))
    means = {name: mean_year(da, window=window) for name, da in series.items()}
    curves = [hv.Curve((mean["day"].to_numpy(), mean.to_numpy()), x, y, label=name).opts(
        color=colour[name], line_width=2, tools=["hover"]) for name, mean in means.items()]
    months = pd.date_range("2001-01-01", periods=12, freq="MS")
    ticks = [(d.day_of_year, d.strftime("%b")[0]) for d in months]
    return hv.Overlay(curves).opts(width=width, height=height, title=title, xticks=ticks, xlim=(1, 365),
                                   legend_position="top", legend_cols=min(len(curves), 4), ylim=(0, None),
                                   legend_opts={"spacing": 8}, **FREE)


def _named(obs: xr.DataArray | None, simulations: Series) -> tuple[dict[str, xr.DataArray], dict[str, str]]:
    """The observation first, all on its days, and their colours."""
    if obs is None:
        return dict(simulations), colours(list(simulations))
    series = {OBSERVED: obs} | {n: da.where(~np.isnan(obs)) for n, da in simulations.items()}
    return series, colours(list(series))


def loss_curve(progress: pd.DataFrame, *, width: int = WIDTH, height: int = 280) -> hv.Layout | hv.Overlay:
    """Training loss, and validation score where there is one, over epochs.

    Parameters
    ----------
    progress
        Columns epoch, loss, valid, learning_rate: `progress.csv` of a run. Rows within an epoch draw the thin
        line, those at its end the dots.
    """
    _bokeh()
    ends = progress[progress["epoch"] % 1 == 0]
    valid = ends.dropna(subset=["valid"])
    if len(valid):
        width //= 2
    epoch = hv.Dimension("epoch", label="epoch")
    loss = hv.Dimension("loss", label="training loss")
    line = hv.Curve(progress, epoch, loss).opts(color=COLOURS["EA-LSTM"], line_width=1.5)
    dots = hv.Scatter(ends, epoch, [loss, "learning_rate"])
    dots = dots.opts(color=COLOURS["EA-LSTM"], size=6, tools=["hover"])
    whole = FixedTicker(ticks=_whole_ticks(progress["epoch"].max()))
    shared = {"width": width, "height": height, "xticks": whole,
              "xlim": (0, progress["epoch"].max() + 0.2)} | FREE
    left = (line * dots).opts(title="training", **shared)
    if not len(valid):
        return left
    score = hv.Dimension("valid", label="median NSE, validation")
    best = valid.loc[valid["valid"].idxmax()]
    right = hv.Curve(valid, epoch, score).opts(color=COLOURS["LSTM"], line_width=1.5) * hv.Scatter(
        valid, epoch, score).opts(color=COLOURS["LSTM"], size=6, tools=["hover"])
    right = right.opts(title=f"validation, best {best['valid']:.2f} after epoch {best['epoch']:.0f}", **shared)
    return hv.Layout([left, right]).cols(2).opts(shared_axes=False)


def _whole_ticks(last: float) -> list[int]:
    step = max(1, int(np.ceil(last / 12)))
    return list(range(0, int(np.ceil(last)) + 1, step))


def forcing(ds: xr.Dataset, names: Sequence[str], *, title: str = "", width: int = WIDTH,
            height: int = 130) -> hv.Layout:
    """Daily series of one catchment, a panel a variable, zooming together; `ds` is over `time` alone."""
    _bokeh()
    colour = dict(zip(names, SPARE * 3, strict=False)) | {"prcp": RAIN, "streamflow": COLOURS[OBSERVED]}
    panels = []
    for name in names:
        last, first = name == names[-1], name == names[0]
        panels.append(_curve(ds[name], "", hv.Dimension(name)).opts(
            width=width, height=height + 25 * last, color=colour[name], line_width=1, yticks=4,
            tools=["hover"], xaxis="bottom" if last else None, xlabel="", ylabel=ds[name].attrs.get("units", name),
            title=f"{title + ': ' if first and title else ''}{ds[name].attrs.get('long_name', name)}",
            **ALONG_TIME))
    return hv.Layout(panels).cols(1).opts(shared_axes=True, merge_tools=True)


def attribute_distributions(ds: xr.Dataset, names: Sequence[str], basin: str, *, columns: int = 4,
                            width: int = 225) -> hv.Layout:
    """Histogram of each attribute over the basins, with one basin marked."""
    _bokeh()
    panels = []
    for name in names:
        values = ds[name].to_numpy().astype(float)
        counts, edges = np.histogram(values[np.isfinite(values)], bins=min(20, max(5, len(values) // 3)))
        bars = hv.Histogram((edges, counts), kdims=[name], vdims=["basins"])
        bars = bars.opts(color="#C6D4E1", line_color="white")
        units = ds[name].attrs.get("units", "")
        here = float(ds[name].sel(basin=basin))
        mark = hv.VLine(here).opts(color=COLOURS["LSTM"], line_width=2)
        panels.append((bars * mark).opts(width=width, height=170, title=name, yaxis=None, show_legend=False,
                                         xlabel=units if units not in ("1", "-", "") else " ", xticks=3,
                                         fontsize={"title": "12px"}, toolbar=None))
    return hv.Layout(panels).cols(columns).opts(shared_axes=False, toolbar=None)


def budyko(aridity: xr.DataArray, evaporation: xr.DataArray, *, colour_by: xr.DataArray | None = None,
           width: int = 560, height: int = 400) -> hv.Overlay:
    """Share of precipitation that evaporates over aridity, with energy and water limits and Budyko's curve.

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
    frame = pd.DataFrame({"basin": aridity["basin"].to_numpy().astype(str),
                          "aridity": aridity.to_numpy().astype(float),
                          "evaporation": evaporation.to_numpy().astype(float)})
    x = hv.Dimension("aridity", label="aridity, PET / P (-)")
    y = hv.Dimension("evaporation", label="evaporated share, 1 - Q / P (-)")
    vdims: list[Any] = [y, "basin"]
    style: dict[str, Any] = {"color": COLOURS["EA-LSTM"]}
    if colour_by is not None:
        frame["value"] = colour_by.sel(basin=aridity["basin"]).to_numpy().astype(float)
        vdims.append(hv.Dimension("value", label=axis_label(colour_by)))
        style = {"color": "value", "cmap": "viridis", "colorbar": True,
                 "clim": _spread(frame["value"].to_numpy()), "colorbar_opts": {"width": 12}}
    points = hv.Scatter(frame, x, vdims).opts(size=7, line_color="#444444", line_width=0.4, tools=["hover"],
                                              **style)
    right = max(2.0, float(np.nanmax(frame["aridity"])) * 1.05)
    phi = np.linspace(1e-3, right, 200)
    curve = np.sqrt(phi * np.tanh(1 / phi) * (1 - np.exp(-phi)))
    limits = hv.Curve([(0, 0), (1, 1), (right, 1)], x, y, label="limits of energy and water").opts(
        color=INK, line_dash="dashed", line_width=1.2)
    line = hv.Curve((phi, curve), x, y, label="Budyko (1974)").opts(color=INK, line_width=1.6)
    bottom = min(0.0, float(np.nanmin(frame["evaporation"])) * 1.1)
    return (limits * line * points).opts(width=width, height=height, legend_position="bottom_right",
                                         xlim=(0, right), ylim=(bottom, 1.1), **FREE)


def one_to_one(across: pd.Series, up: pd.Series, *, x: str, y: str, width: int = 450, height: int = 400) -> hv.Overlay:
    """Two values of each basin against each other, joined by id, with the line where they are the same."""
    _bokeh()
    frame = pd.concat([across.rename("across"), up.rename("up")], axis=1, join="inner").reset_index(names="basin")
    values = frame[["across", "up"]].to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.05 * (high - low or 1.0)
    ends = (low - margin, high + margin)
    kdim, vdim = hv.Dimension("across", label=x), hv.Dimension("up", label=y)
    line = hv.Curve([(e, e) for e in ends], kdim, vdim).opts(color=INK, line_dash="dashed", line_width=1.2)
    points = hv.Scatter(frame, kdim, [vdim, "basin"]).opts(color=COLOURS["EA-LSTM"], size=7, line_color="#444444",
                                                           line_width=0.4, tools=["hover"])
    return (line * points).opts(width=width, height=height, xlim=ends, ylim=ends, **FREE)
