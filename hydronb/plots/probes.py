"""What linear probes find in a network, beside what they find without it."""

import holoviews as hv
import numpy as np
import pandas as pd

from hydronb.errors import DataError
from hydronb.plots.scenarios import key
from hydronb.plots.style import FREE, INK, _bokeh

CONTROLS = {
    "network": ("trained network", "#0072B2", "circle"),
    "untrained": ("untrained network", "#E69F00", "triangle"),
    "forcing": ("forcing alone", "#009E73", "square"),
    "shuffled": ("shuffled target", "#7F7F7F", "x"),
    "reference": ("grid mean", "#CC79A7", "diamond"),
}
"""What each control is called, its colour and its marker."""
ACROSS = 3
"""Panels beside each other, and what the marks mean beside the first of them."""
NAMES = {"nse": "NSE", "r": "r"}
LEAST = {"nse": -0.5, "r": -0.2}
"""Scores below are drawn here: how much worse than useless a probe is does not matter."""


def probe_scores(
    scores: pd.DataFrame,
    *,
    layer: str = "cells",
    value: str = "nse",
    split: str = "test",
    width: int = 400,
    height: int = 280,
) -> hv.Layout:
    """A panel a run: the score of each target's probe, and those of its controls, by marker and
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
    _bokeh()
    layers = [layer, "grid mean"] if layer == "features" else [layer]
    part = scores[scores["layer"].isin(layers) & (scores["split"] == split)].dropna(subset=[value])
    if part.empty:
        raise DataError(
            f"no {NAMES[value]} of {layer} on {split} days among these probes; choose another"
        )
    targets = list(dict.fromkeys(part["target"]))
    controls = [c for c in CONTROLS if c in set(part["control"])]
    shift = {c: (k - (len(controls) - 1) / 2) * 0.13 for k, c in enumerate(controls)}
    ticks = [(k, t.removeprefix("true_").replace("_", " ")) for k, t in enumerate(targets)]
    labels = list(dict.fromkeys(part["label"]))
    panels = []
    for label in labels:
        of_run = part[part["label"] == label]
        marks = [hv.HLine(1.0).opts(color=INK, line_dash="dashed", line_width=1)]
        for control in controls:
            _, colour, marker = CONTROLS[control]
            of_control = of_run[of_run["control"] == control]
            frame = of_control.assign(
                place=[targets.index(t) + shift[control] for t in of_control["target"]],
                shown=np.maximum(of_control[value], LEAST[value]),
            )
            vdims = [hv.Dimension("shown", label=NAMES[value]), "target", value]
            points = hv.Scatter(frame, "place", vdims)
            marks.append(
                points.opts(color=colour, marker=marker, size=9, tools=["hover"], line_color=colour)
            )
        panels.append(
            hv.Overlay(marks).opts(
                width=width,
                height=height,
                title=label,
                xticks=ticks,
                xlabel="",
                ylabel=f"{NAMES[value]}, {split} days",
                xrotation=20,
                xlim=(-0.5, len(targets) - 0.5),
                ylim=(LEAST[value] - 0.05, 1.05),
                show_legend=False,
                **FREE,
            )
        )
    rows = [panels[k : k + ACROSS] for k in range(0, len(panels), ACROSS)]
    beside = [key([CONTROLS[c] for c in controls], 190, height), *[hv.Empty()] * (len(rows) - 1)]
    cells = [cell for row, last in zip(rows, beside, strict=True) for cell in (*row, last)]
    return hv.Layout(cells).cols(min(len(panels), ACROSS) + 1).opts(shared_axes=False)
