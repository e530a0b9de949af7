"""What linear probes find in a network, beside their controls."""

import holoviews as hv
import pandas as pd

from hydronb.errors import DataError
from hydronb.plots.scenarios import marker_key
from hydronb.plots.style import FREE, INK, METRICS, on_bokeh

CONTROLS = {
    "network": ("trained network", "#0072B2", "circle"),
    "untrained": ("untrained network", "#E69F00", "triangle"),
    "forcing": ("forcing alone", "#009E73", "square"),
    "shuffled": ("shuffled target", "#7F7F7F", "x"),
    "reference": ("grid mean", "#CC79A7", "diamond"),
}
"""Label, colour and marker of each control."""
ACROSS = 3
"""Panels beside each other, with the key to the marks at the end of the first row."""
LEAST = {"nse": -0.5, "r": -0.2}
"""Lower scores are drawn here: how much worse than useless a probe is does not matter."""


@on_bokeh
def probe_scores(
    scores: pd.DataFrame,
    *,
    layer: str = "cells",
    value: str = "nse",
    split: str = "test",
    width: int = 400,
    height: int = 280,
) -> hv.Layout:
    """One panel per run: the score of each target's probe and those of its controls, by marker and
    colour.

    Parameters
    ----------
    scores
        Columns label, layer, target, control, split, nse, r: `probes.csv`.
    layer
        `cells`, `cell_1`, ... or `features`, with which the mean of the grid is shown.
    value
        `nse` or `r`.
    split
        `test`, `train` or `left_out`.

    Raises
    ------
    DataError
        There are no such scores.
    """
    label, low = METRICS[value][0], LEAST[value]
    layers = [layer, "grid mean"] if layer == "features" else [layer]
    part = scores[scores["layer"].isin(layers) & (scores["split"] == split)].dropna(subset=[value])
    if part.empty:
        raise DataError(f"no {label} of {layer} on {split} days among these probes; choose another")
    targets = list(dict.fromkeys(part["target"]))
    controls = {c: mark for c, mark in CONTROLS.items() if c in set(part["control"])}
    shift = {c: (k - (len(controls) - 1) / 2) * 0.13 for k, c in enumerate(controls)}
    place = part["target"].map(targets.index) + part["control"].map(shift)
    part = part.assign(place=place, shown=part[value].clip(lower=low))
    vdims = [hv.Dimension("shown", label=label), "target", value]
    panels = []
    for run, of_run in part.groupby("label", sort=False):
        marks = [hv.HLine(1.0).opts(color=INK, line_dash="dashed", line_width=1)]
        for control, (_, colour, marker) in controls.items():
            points = hv.Scatter(of_run[of_run["control"] == control], "place", vdims)
            marks.append(
                points.opts(color=colour, marker=marker, size=9, tools=["hover"], line_color=colour)
            )
        panels.append(
            hv.Overlay(marks).opts(
                width=width,
                height=height,
                title=run,
                xticks=[
                    (k, t.removeprefix("true_").replace("_", " ")) for k, t in enumerate(targets)
                ],
                xlabel="",
                ylabel=f"{label}, {split} days",
                xrotation=20,
                xlim=(-0.5, len(targets) - 0.5),
                ylim=(low - 0.05, 1.05),
                show_legend=False,
                **FREE,
            )
        )
    rows = [panels[k : k + ACROSS] for k in range(0, len(panels), ACROSS)]
    key = marker_key(list(controls.values()), 190, height)
    cells = [cell for k, row in enumerate(rows) for cell in (*row, hv.Empty() if k else key)]
    return hv.Layout(cells).cols(len(rows[0]) + 1).opts(shared_axes=False)
