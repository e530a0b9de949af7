"""Uncertainty: differences of scores with their intervals, and the results of a search."""

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.style import COLOURS, FREE, INK, WIDTH, on_bokeh

GREY = "#a0a0a0"


@on_bokeh
def difference_intervals(
    difference: pd.Series,
    bounds: xr.DataArray,
    *,
    label: str,
    title: str = "",
    width: int = WIDTH,
    height: int = 320,
) -> hv.Overlay:
    """The difference of two models in every basin, ordered, with its interval, in colour where zero
    lies outside the interval.

    Parameters
    ----------
    difference
        By basin; basins without one are left out.
    bounds
        (bound, basin) with `low` and `high`, from `hydronb.analysis.significance.interval`.
    label
        Of the y axis.
    """
    limits = {bound: bounds.sel(bound=bound).to_series() for bound in ("low", "high")}
    frame = pd.DataFrame({"difference": difference, **limits}).dropna().sort_values("difference")
    frame = frame.rename_axis("basin").reset_index()
    frame["share"] = frame["share2"] = (np.arange(len(frame)) + 0.5) / max(len(frame), 1)
    sure = (frame["low"] > 0) | (frame["high"] < 0)
    x = hv.Dimension("share", label="share of basins", range=(0, 1))
    y = hv.Dimension("difference", label=label)
    drawn = [hv.Curve([(0, 0), (1, 0)], x, y).opts(color=INK, line_width=1)]
    for part, colour, name in (
        (frame[~sure], GREY, "interval holds zero"),
        (frame[sure], COLOURS["EA-LSTM"], "interval on one side of zero"),
    ):
        bars = hv.Segments(part, [x, "low", "share2", "high"])
        dots = hv.Scatter(part, x, [y, "basin", "low", "high"], label=f"{name}: {len(part)}")
        drawn += [
            bars.opts(color=colour, line_width=1.2),
            dots.opts(color=colour, size=5, tools=["hover"]),
        ]
    ylim = None
    if len(frame):
        low, high = np.percentile(frame["low"], 2), np.percentile(frame["high"], 98)
        margin = 0.05 * (high - low) if high > low else 1.0
        ylim = (min(low, 0) - margin, max(high, 0) + margin)
    return hv.Overlay(drawn).opts(
        width=width, height=height, legend_position="top_left", title=title, ylim=ylim, **FREE
    )


@on_bokeh
def search_scores(
    ranked: pd.DataFrame,
    settings: list[str],
    *,
    label: str = "median NSE, left-out basins (-)",
    width: int = 300,
    height: int = 280,
) -> hv.Layout:
    """The score of every combination against each setting, one panel per setting, with the best
    score of each value joined.

    Parameters
    ----------
    ranked
        From `hydronb.analysis.search.rank`.
    settings
        Its columns to draw; values are shown in order, evenly spaced.
    """
    y = hv.Dimension("score", label=label)
    panels = []
    for name in settings:
        best = ranked.groupby(name)["score"].max().rename(index=str)
        x = hv.Dimension("at", label=name, values=list(best.index))
        frame = ranked.reset_index().assign(at=[str(v) for v in ranked[name]])
        points = hv.Scatter(frame, x, [y, "settings"])
        line = hv.Curve(list(best.items()), x, y).opts(color=COLOURS["EA-LSTM"], line_width=2)
        panels.append(
            (line * points.opts(color=GREY, size=6, tools=["hover"])).opts(
                width=width, height=height, title=name, **FREE
            )
        )
    return hv.Layout(panels).cols(3).opts(shared_axes=False)
