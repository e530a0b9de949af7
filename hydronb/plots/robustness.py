"""What noise on the attributes does to the scores."""

import holoviews as hv
import numpy as np
import pandas as pd

from hydronb.plots.style import COLOURS, FREE, INK, WIDTH, on_bokeh


@on_bokeh
def noise_boxes(
    boxes: pd.DataFrame,
    *,
    paper: pd.DataFrame | None = None,
    title: str = "",
    width: int = WIDTH // 2,
    height: int = 380,
    low: float | None = None,
) -> hv.Overlay:
    """NSE over the standard deviation of the noise (Fig. 6): the box spans 25 to 75 %, the whiskers
    5 to 95 %, the line is the median and the triangle the mean.

    Parameters
    ----------
    boxes
        Index sigma; columns mean, median, q05, q25, q75, q95.
    paper
        Index sigma, column median: the published medians, drawn as crosses.
    low
        Where the axis begins; chosen where None. What lies below is cut off.
    """
    at = np.arange(len(boxes))
    left, right = at - 0.32, at + 0.32
    q05, q25, q75, q95, median = (boxes[c] for c in ("q05", "q25", "q75", "q95", "median"))
    whiskers = (np.tile(at, 2), pd.concat([q05, q75]), np.tile(at, 2), pd.concat([q25, q95]))
    medians = hv.Segments((left, median, right, median), label="median")
    means = hv.Scatter((at, boxes["mean"]), "sigma", "nse", label="mean")
    layers = [
        hv.Rectangles((left, q25, right, q75)).opts(
            color="#C6DCEC", line_color=INK, line_width=0.8
        ),
        hv.Segments(whiskers).opts(color=INK, line_width=1),
        medians.opts(color=COLOURS["LSTM"], line_width=2.5),
        means.opts(color=COLOURS["delta-HBV"], marker="triangle", size=8),
    ]
    if paper is not None:
        published = paper["median"].reindex(boxes.index)
        crosses = hv.Scatter((at, published), "sigma", "nse", label="median, paper")
        layers.append(crosses.opts(color="black", marker="x", size=9, line_width=1.6))
    if low is None:
        low = max(-1.5, float(q05.min()) - 0.05)
    return hv.Overlay(layers).opts(
        width=width,
        height=height,
        title=title,
        xticks=[(i, f"{sigma:g}") for i, sigma in enumerate(boxes.index)],
        ylim=(low, 1.0),
        xlim=(-0.6, len(at) - 0.4),
        legend_position="bottom_left",
        ylabel="NSE (-)",
        xlabel="standard deviation of the noise (standard deviations of the attributes)",
        **FREE,
    )
