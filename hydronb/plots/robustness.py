"""What noise on the attributes does to the scores."""

import holoviews as hv
import pandas as pd

from hydronb.plots.style import COLOURS, FREE, INK, WIDTH, _bokeh


def noise_boxes(
    boxes: pd.DataFrame,
    *,
    paper: pd.DataFrame | None = None,
    title: str = "",
    width: int = WIDTH // 2,
    height: int = 380,
    low: float | None = None,
) -> hv.Overlay:
    """NSE over the standard deviation of the noise (Fig. 6): box from 25 to 75 %, whiskers from 5
    to 95 %, the line is the median and the triangle the mean.

    Parameters
    ----------
    boxes
        Index sigma; columns mean, median, q05, q25, q75, q95.
    paper
        Index sigma, column median: the published medians, drawn as crosses.
    low
        Where the axis begins; chosen where None. What lies below is cut off.
    """
    _bokeh()
    at = list(range(len(boxes)))
    half = 0.32
    box = hv.Rectangles(
        [(i - half, b.q25, i + half, b.q75) for i, b in zip(at, boxes.itertuples(), strict=True)]
    ).opts(color="#C6DCEC", line_color=INK, line_width=0.8)
    whiskers = hv.Segments(
        [
            (i, lower, i, upper)
            for i, b in zip(at, boxes.itertuples(), strict=True)
            for lower, upper in ((b.q05, b.q25), (b.q75, b.q95))
        ]
    ).opts(color=INK, line_width=1)
    medians = hv.Segments(
        [
            (i - half, b.median, i + half, b.median)
            for i, b in zip(at, boxes.itertuples(), strict=True)
        ],
        label="median",
    ).opts(color=COLOURS["LSTM"], line_width=2.5)
    means = hv.Scatter((at, boxes["mean"].to_numpy()), "sigma", "nse", label="mean").opts(
        color=COLOURS["delta-HBV"], marker="triangle", size=8
    )
    layers = [box, whiskers, medians, means]
    if paper is not None:
        known = paper["median"].reindex(boxes.index)
        layers.append(
            hv.Scatter((at, known.to_numpy()), "sigma", "nse", label="median, paper").opts(
                color="black", marker="x", size=9, line_width=1.6
            )
        )
    if low is None:
        low = max(-1.5, float(boxes["q05"].min()) - 0.05)
    ticks = [(i, f"{sigma:g}") for i, sigma in zip(at, boxes.index, strict=True)]
    return hv.Overlay(layers).opts(
        width=width,
        height=height,
        title=title,
        xticks=ticks,
        ylim=(low, 1.0),
        xlim=(-0.6, len(at) - 0.4),
        legend_position="bottom_left",
        ylabel="NSE (-)",
        xlabel="standard deviation of the noise (standard deviations of the attributes)",
        **FREE,
    )
