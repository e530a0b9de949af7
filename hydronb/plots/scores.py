"""Scores and training: distribution functions of a metric, one value against another, loss
curves."""

from collections.abc import Mapping

import holoviews as hv
import numpy as np
import pandas as pd

from hydronb.plots.style import COLOURS, DASHED, FREE, POINT, WIDTH, colours, on_bokeh


@on_bokeh
def cdf(
    scores: Mapping[str, pd.Series],
    *,
    label: str = "",
    xlim: tuple[float, float] | None = None,
    title: str = "",
    width: int = 560,
    height: int = 400,
) -> hv.Overlay:
    """Share of basins whose score is at most the value on the x axis, one curve per model.

    Parameters
    ----------
    scores
        Score of each basin by label of the model; undefined ones are left out.
    label
        Of the x axis; the name of the series where empty.
    xlim
        Range shown; by default a skill score (upper limit 1) from -0.5 on, others without their
        outer 2 %.
    """
    colour = colours(list(scores))
    x = hv.Dimension("score", label=label or str(next(iter(scores.values())).name))
    y = hv.Dimension("share", label="share of basins", range=(0, 1))
    curves, pooled = [], np.concatenate([s.dropna().to_numpy(float) for s in scores.values()])
    for name, series in scores.items():
        values = np.sort(series.dropna().to_numpy(float))
        share = np.arange(len(values) + 1) / max(len(values), 1)
        median = f"{np.median(values):.2f}" if len(values) else "none"
        curves.append(
            hv.Curve(([*values[:1], *values], share), x, y, label=f"{name} (median {median})").opts(
                color=colour[name], interpolation="steps-post", line_width=2, tools=["hover"]
            )
        )
    if xlim is None and len(pooled):
        xlim = _score_range(pooled)
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


def _score_range(values: np.ndarray) -> tuple[float, float]:
    if values.max() <= 1 + 1e-9 and values.min() < 1:  # a skill score
        return max(-0.5, min(float(values.min()), 0.0)), 1.0
    low, high = np.percentile(values, [2, 98])
    return low, high if high > low else low + 1


@on_bokeh
def loss_curve(
    progress: pd.DataFrame, *, width: int = WIDTH, height: int = 280
) -> hv.Layout | hv.Overlay:
    """Training loss over epochs, beside it the validation score if there is one.

    Parameters
    ----------
    progress
        Columns epoch, loss, valid, learning_rate: `progress.csv` of a run. Rows within an epoch
        draw the thin line, those at its end the dots.
    """
    from bokeh.models import FixedTicker

    last = progress["epoch"].max()
    epochs = FixedTicker(
        ticks=list(range(0, int(np.ceil(last)) + 1, max(1, int(np.ceil(last / 12)))))
    )
    ends = progress[progress["epoch"] % 1 == 0]
    valid = ends.dropna(subset=["valid"])

    def panel(
        line: pd.DataFrame, dots: pd.DataFrame, name: str, label: str, model: str, title: str
    ) -> hv.Overlay:
        x, y = hv.Dimension("epoch"), hv.Dimension(name, label=label)
        curve = hv.Curve(line, x, y).opts(color=COLOURS[model], line_width=1.5)
        points = hv.Scatter(dots, x, [y, "learning_rate"])
        return (curve * points.opts(color=COLOURS[model], size=6, tools=["hover"])).opts(
            width=width // 2 if len(valid) else width,
            height=height,
            title=title,
            xticks=epochs,
            xlim=(0, last + 0.2),
            **FREE,
        )

    loss = panel(progress, ends, "loss", "training loss", "EA-LSTM", "training")
    if valid.empty:
        return loss
    best = valid.loc[valid["valid"].idxmax()]
    title = f"validation, best {best['valid']:.2f} after epoch {best['epoch']:.0f}"
    score = panel(valid, valid, "valid", "median NSE, validation", "LSTM", title)
    return hv.Layout([loss, score]).cols(2).opts(shared_axes=False)


@on_bokeh
def one_to_one(
    across: pd.Series, up: pd.Series, *, x: str, y: str, width: int = 450, height: int = 400
) -> hv.Overlay:
    """Two values of each basin against each other, joined by id, with the line on which they are
    equal."""
    frame = pd.concat([across.rename("across"), up.rename("up")], axis=1, join="inner")
    low, high = float(np.nanmin(frame)), float(np.nanmax(frame))
    margin = 0.05 * (high - low or 1.0)
    ends = (low - margin, high + margin)
    kdim, vdim = hv.Dimension("across", label=x), hv.Dimension("up", label=y)
    line = hv.Curve([(e, e) for e in ends], kdim, vdim).opts(**DASHED)
    points = hv.Scatter(frame.reset_index(names="basin"), kdim, [vdim, "basin"])
    return (line * points.opts(color=COLOURS["EA-LSTM"], size=7, **POINT)).opts(
        width=width, height=height, xlim=ends, ylim=ends, **FREE
    )
