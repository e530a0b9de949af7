"""How sure: scores and differences with their intervals, and the results of a search."""

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.style import COLOURS, FREE, INK, WIDTH, _bokeh


def difference_intervals(
    difference: pd.Series,
    bounds: xr.DataArray,
    *,
    label: str,
    title: str = "",
    width: int = WIDTH,
    height: int = 320,
) -> hv.Overlay:
    """The difference of two models in every basin, ordered, with its interval; sure ones (zero
    outside) in colour.

    Parameters
    ----------
    difference
        By basin; basins without one are left out.
    bounds
        (bound, basin) with `low` and `high`, from `hydronb.analysis.significance.interval`.
    label
        Of the y axis.
    """
    _bokeh()
    frame = pd.DataFrame(
        {
            "difference": difference,
            "low": bounds.sel(bound="low").to_series(),
            "high": bounds.sel(bound="high").to_series(),
        }
    ).dropna()
    frame = frame.sort_values("difference").rename_axis("basin").reset_index()
    frame["share"] = (np.arange(len(frame)) + 0.5) / max(len(frame), 1)
    sure = (frame["low"] > 0) | (frame["high"] < 0)
    x = hv.Dimension("share", label="share of basins", range=(0, 1))
    y = hv.Dimension("difference", label=label)
    drawn = []
    for part, colour, name in (
        (frame[~sure], "#a0a0a0", "interval holds zero"),
        (frame[sure], COLOURS["EA-LSTM"], "interval on one side of zero"),
    ):
        bars = hv.Segments(part.assign(share2=part["share"]), [x, "low", "share2", "high"])
        dots = hv.Scatter(part, x, [y, "basin", "low", "high"], label=f"{name}: {len(part)}")
        drawn += [
            bars.opts(color=colour, line_width=1.2),
            dots.opts(color=colour, size=5, tools=["hover"]),
        ]
    zero = hv.Curve([(0, 0), (1, 0)], x, y).opts(color=INK, line_width=1)
    low, high = (
        np.nanpercentile(frame[n], q) if len(frame) else np.nan
        for n, q in (("low", 2), ("high", 98))
    )
    margin = 0.05 * (high - low) if high > low else 1.0
    return hv.Overlay([zero, *drawn]).opts(
        width=width,
        height=height,
        legend_position="top_left",
        title=title,
        ylim=(min(low, 0) - margin, max(high, 0) + margin) if len(frame) else None,
        **FREE,
    )


def search_scores(
    ranked: pd.DataFrame,
    settings: list[str],
    *,
    label: str = "median NSE, left-out basins (-)",
    width: int = 300,
    height: int = 280,
) -> hv.Layout:
    """The score of every combination against each setting, a panel a setting, with the best of each
    value joined.

    Parameters
    ----------
    ranked
        From `hydronb.analysis.search.rank_settings`.
    settings
        Its columns to draw; values are shown in order, evenly spaced.
    """
    _bokeh()
    y = hv.Dimension("score", label=label)
    panels = []
    for name in settings:
        frame = ranked.reset_index()
        values = sorted(frame[name].unique())
        frame["at"] = [str(v) for v in frame[name]]
        x = hv.Dimension("at", label=name, values=[str(v) for v in values])
        points = hv.Scatter(frame, x, [y, "settings"]).opts(
            color="#a0a0a0", size=6, tools=["hover"]
        )
        best = [(str(v), frame.loc[frame[name] == v, "score"].max()) for v in values]
        line = hv.Curve(best, x, y).opts(color=COLOURS["EA-LSTM"], line_width=2)
        panels.append(
            (line * points).opts(
                width=width, height=height, title=name, show_grid=True, active_tools=["pan"]
            )
        )
    return hv.Layout(panels).cols(3).opts(shared_axes=False)
