"""How good, and how the training went: distribution functions of a metric, loss curves, one against
another."""

from collections.abc import Mapping

import holoviews as hv
import numpy as np
import pandas as pd
from bokeh.models import FixedTicker

from hydronb.plots.style import COLOURS, FREE, INK, WIDTH, _bokeh, colours


def cdf(
    scores: Mapping[str, pd.Series],
    *,
    label: str = "",
    xlim: tuple[float, float] | None = None,
    title: str = "",
    width: int = 560,
    height: int = 400,
) -> hv.Overlay:
    """Share of basins whose score is at most the value on the x axis, a curve a model.

    Parameters
    ----------
    scores
        Score of each basin by label of the model; undefined ones are left out.
    label
        Of the x axis; the series' own name where empty.
    xlim
        Range shown; by default a skill score (upper limit 1) from -0.5 on, others without their
        outer 2 %.
    """
    _bokeh()
    colour = colours(list(scores))
    x = hv.Dimension("score", label=label or str(next(iter(scores.values())).name))
    y = hv.Dimension("share", label="share of basins", range=(0, 1))
    curves, every = [], []
    for name, series in scores.items():
        values = np.sort(series.dropna().to_numpy(float))
        every.append(values)
        steps = (
            np.concatenate([values[:1], values]),
            np.arange(len(values) + 1) / max(len(values), 1),
        )
        median = f"{np.median(values):.2f}" if len(values) else "none"
        curves.append(
            hv.Curve(steps, x, y, label=f"{name} (median {median})").opts(
                color=colour[name], interpolation="steps-post", line_width=2, tools=["hover"]
            )
        )
    pooled = np.concatenate(every)
    if xlim is None and len(pooled):
        skill = pooled.max() <= 1 + 1e-9 and pooled.min() < 1
        low, high = np.percentile(pooled, [2, 98])
        xlim = (
            (max(-0.5, min(pooled.min(), 0)), 1.0)
            if skill
            else (low, high if high > low else low + 1)
        )
    return hv.Overlay(curves).opts(
        width=width,
        height=height + 24 * len(curves),
        legend_position="bottom",
        legend_cols=1,
        show_legend=True,
        title=title,
        xlim=xlim or (None, None),
        ylim=(0, 1),
        **FREE,
    )


def loss_curve(
    progress: pd.DataFrame, *, width: int = WIDTH, height: int = 280
) -> hv.Layout | hv.Overlay:
    """Training loss, and validation score where there is one, over epochs.

    Parameters
    ----------
    progress
        Columns epoch, loss, valid, learning_rate: `progress.csv` of a run. Rows within an epoch
        draw the thin line, those at its end the dots.
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
    shared = {
        "width": width,
        "height": height,
        "xticks": whole,
        "xlim": (0, progress["epoch"].max() + 0.2),
    } | FREE
    left = (line * dots).opts(title="training", **shared)
    if not len(valid):
        return left
    score = hv.Dimension("valid", label="median NSE, validation")
    best = valid.loc[valid["valid"].idxmax()]
    right = hv.Curve(valid, epoch, score).opts(color=COLOURS["LSTM"], line_width=1.5) * hv.Scatter(
        valid, epoch, score
    ).opts(color=COLOURS["LSTM"], size=6, tools=["hover"])
    right = right.opts(
        title=f"validation, best {best['valid']:.2f} after epoch {best['epoch']:.0f}", **shared
    )
    return hv.Layout([left, right]).cols(2).opts(shared_axes=False)


def _whole_ticks(last: float) -> list[int]:
    step = max(1, int(np.ceil(last / 12)))
    return list(range(0, int(np.ceil(last)) + 1, step))


def one_to_one(
    across: pd.Series, up: pd.Series, *, x: str, y: str, width: int = 450, height: int = 400
) -> hv.Overlay:
    """Two values of each basin against each other, joined by id, with the line where they are the
    same."""
    _bokeh()
    frame = pd.concat([across.rename("across"), up.rename("up")], axis=1, join="inner").reset_index(
        names="basin"
    )
    values = frame[["across", "up"]].to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.05 * (high - low or 1.0)
    ends = (low - margin, high + margin)
    kdim, vdim = hv.Dimension("across", label=x), hv.Dimension("up", label=y)
    line = hv.Curve([(e, e) for e in ends], kdim, vdim).opts(
        color=INK, line_dash="dashed", line_width=1.2
    )
    points = hv.Scatter(frame, kdim, [vdim, "basin"]).opts(
        color=COLOURS["EA-LSTM"], size=7, line_color="#444444", line_width=0.4, tools=["hover"]
    )
    return (line * points).opts(width=width, height=height, xlim=ends, ylim=ends, **FREE)
