"""Basins x models x targets beside each other: scores of all scenarios, and simulated against
observed days."""

from collections.abc import Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.style import FREE, INK, _bokeh, colours

BEST = {"nse": 1.0, "r": 1.0, "alpha": 1.0}
"""Of a perfect simulation; 0 for all others."""
SHORT = {"streamflow": "Q", "et": "E"}


def scenario_scores(
    scores: pd.DataFrame, names: Mapping[str, str], *, width: int = 300, height: int = 260
) -> hv.Layout:
    """A panel a metric, as Fig. 4 of Li et al. (2023): for each basin and target a dot a seed, and
    a bar at their mean, in the colour of the model. The dashed line is a perfect simulation.

    Parameters
    ----------
    scores
        Columns basin, model, target, seed and the metrics, from `score_scenarios`.
    names
        Metric to what its axis says.
    """
    _bokeh()
    models = list(dict.fromkeys(scores["model"]))
    colour = colours(models)
    groups = list(dict.fromkeys(zip(scores["basin"], scores["target"], strict=True)))
    offset = {m: (k - (len(models) - 1) / 2) * 0.8 / len(models) for k, m in enumerate(models)}
    place = {group: k for k, group in enumerate(groups)}
    x = np.array(
        [
            place[b, t] + offset[m]
            for b, t, m in zip(scores["basin"], scores["target"], scores["model"], strict=True)
        ]
    )
    ticks = [
        (k, f"{_initial(basin)} {SHORT.get(target, target)}")
        for (basin, target), k in place.items()
    ]
    panels = []
    for n, (name, text) in enumerate(names.items()):
        kdim, vdim = (
            hv.Dimension("scenario", label="basin and target"),
            hv.Dimension(name, label=text),
        )
        parts = [hv.HLine(BEST.get(name, 0.0)).opts(color=INK, line_dash="dashed", line_width=1)]
        for model in models:
            of_model = (scores["model"] == model).to_numpy()
            label = model if n == 0 else ""
            frame = scores[of_model].assign(scenario=x[of_model])
            parts.append(
                hv.Scatter(frame, kdim, [vdim, "basin", "target", "seed"], label=label).opts(
                    color=colour[model], size=6, alpha=0.8, line_color=None, tools=["hover"]
                )
            )
            means = frame.groupby("scenario")[name].mean()
            half = 0.35 / len(models)
            parts.append(
                hv.Segments((means.index - half, means, means.index + half, means)).opts(
                    color=colour[model], line_width=2
                )
            )
        panels.append(
            hv.Overlay(parts).opts(
                width=width,
                height=height,
                xticks=ticks,
                xrotation=45 if len(ticks) > 3 else 0,
                show_legend=False,
                title=text,
                xlabel="",
                ylabel="",
                **FREE,
            )
        )
    return (
        hv.Layout([*panels, key([(m, colour[m], "circle") for m in models], width, height)])
        .cols(4)
        .opts(shared_axes=False)
    )


def key(entries: Sequence[tuple[str, str, str]], width: int, height: int) -> hv.Overlay:
    """A panel that says what marks mean, for a layout in which a legend would cover the data: text,
    colour, marker."""
    lines = [
        hv.Scatter([(0.0, -k)]).opts(color=colour, marker=marker, size=9)
        * hv.Text(0.12, -k, text, halign="left").opts(text_color=INK, text_font_size="13px")
        for k, (text, colour, marker) in enumerate(entries)
    ]
    return hv.Overlay(lines).opts(
        width=width,
        height=height,
        xaxis=None,
        yaxis=None,
        xlim=(-0.1, 1.2),
        ylim=(-8, 1),
        show_legend=False,
        show_frame=False,
        toolbar=None,
    )


def _initial(basin: str) -> str:
    """The paper's two letters for its basins, other names in full."""
    return basin[:2] if basin in ("Yellow", "Yangtze", "Lancang") else basin


def day_by_day(
    obs: xr.DataArray,
    simulations: Mapping[str, xr.DataArray],
    *,
    title: str = "",
    width: int = 270,
    height: int = 270,
) -> hv.Layout:
    """Simulated against observed days of one basin, a panel a model on the same axes, as Fig. 5 of
    Li et al. (2023)."""
    _bokeh()
    colour = colours(list(simulations))
    low, high = (
        float(edge([float(edge(v)) for v in (obs, *simulations.values())]))
        for edge in (np.nanmin, np.nanmax)
    )
    ends = (low - 0.03 * (high - low), high + 0.03 * (high - low))
    units = obs.attrs.get("units", "")
    kdim, vdim = (
        hv.Dimension(name, label=f"{name} ({units})") for name in ("observed", "simulated")
    )
    panels = []
    for label, sim in simulations.items():
        there = (~np.isnan(obs) & ~np.isnan(sim)).to_numpy()
        points = hv.Scatter((obs.to_numpy()[there], sim.to_numpy()[there]), kdim, vdim)
        line = hv.Curve([(e, e) for e in ends], kdim, vdim).opts(
            color=INK, line_dash="dashed", line_width=1.2
        )
        panels.append(
            (points.opts(color=colour[label], size=4, alpha=0.35, line_color=None) * line).opts(
                width=width,
                height=height,
                xlim=ends,
                ylim=ends,
                title=f"{title}: {label}" if title else label,
                **FREE,
            )
        )
    return hv.Layout(panels).cols(4)
