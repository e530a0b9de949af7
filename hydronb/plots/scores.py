"""Scores of models: their distribution over basins, differences with intervals, the effects of
noise and of settings, the course of a training."""

from collections.abc import Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.style import (
    BLUE,
    DASHED,
    FREE,
    GREEN,
    INK,
    ORANGE,
    POINT,
    WIDTH,
    colours,
    legend_outside,
    on_bokeh,
    wrapped,
)

GREY = "#a0a0a0"


@on_bokeh
def cdf(
    scores: Mapping[str, pd.Series],
    *,
    seeds: Mapping[str, Sequence[pd.Series]] | None = None,
    dashes: Mapping[str, str] | None = None,
    label: str = "",
    xlim: tuple[float, float] | None = None,
    title: str = "",
    width: int = 560,
    height: int = 400,
) -> hv.Overlay:
    """Share of basins whose score is at most the value on the x axis, one curve per model, with the
    median in the legend, and the number of basins where models differ in it.

    Parameters
    ----------
    scores
        Score of each basin by label of the model; undefined ones are left out.
    seeds
        Scores of the single members of an ensemble, by its label: thin curves of its colour.
    dashes
        `dashed` or `dotted`, by label, for curves that are not solid.
    label
        Of the x axis; the name of the series where empty.
    xlim
        Range shown; by default a skill score (upper limit 1) from -0.5 on, others without their
        outer 2 %.
    """
    colour = colours(list(scores))
    dims = (
        hv.Dimension("score", label=label or str(next(iter(scores.values())).name)),
        hv.Dimension("share", label="share of basins", range=(0, 1)),
    )
    ordered = {name: np.sort(of.dropna().to_numpy(float)) for name, of in scores.items()}

    def curve(values: np.ndarray, name: str, text: str = "") -> hv.Curve:
        share = np.arange(len(values) + 1) / max(len(values), 1)
        return hv.Curve(([*values[:1], *values], share), *dims, label=text).opts(
            color=colour[name],
            interpolation="steps-post",
            line_dash=(dashes or {}).get(name, "solid"),
        )

    thin = [
        curve(np.sort(one.dropna().to_numpy(float)), name).opts(line_width=0.7, alpha=0.6)
        for name, of_seeds in (seeds or {}).items()
        for one in of_seeds
    ]
    same = len(set(map(len, ordered.values()))) == 1
    medians = {n: f"median {np.median(v):.2f}" if len(v) else "none" for n, v in ordered.items()}
    texts = {
        n: f"{n} ({medians[n]}{'' if same else f', {len(v)} basins'})" for n, v in ordered.items()
    }
    curves = [
        curve(values, name, texts[name]).opts(line_width=2, tools=["hover"])
        for name, values in ordered.items()
    ]
    return legend_outside(hv.Overlay([*thin, *curves]), width, height).opts(
        title=wrapped(title, width),
        xlim=xlim or _score_range(np.concatenate(list(ordered.values()))),
        ylim=(0, 1),
        **FREE,
    )


def _score_range(values: np.ndarray) -> tuple[float | None, float | None]:
    if not len(values):
        return None, None
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
        line: pd.DataFrame, dots: pd.DataFrame, name: str, label: str, colour: str, title: str
    ) -> hv.Overlay:
        x, y = hv.Dimension("epoch"), hv.Dimension(name, label=label)
        return hv.Overlay(
            [
                hv.Curve(line, x, y).opts(color=colour, line_width=1.5),
                hv.Scatter(dots, x, [y, "learning_rate"]).opts(
                    color=colour, size=6, tools=["hover"]
                ),
            ]
        ).opts(
            width=width // 2 if len(valid) else width,
            height=height,
            title=title,
            xticks=epochs,
            xlim=(0, last + 0.2),
            **FREE,
        )

    loss = panel(progress, ends, "loss", "training loss", BLUE, "training")
    if valid.empty:
        return loss
    best = valid.loc[valid["valid"].idxmax()]
    score = panel(
        valid,
        valid,
        "valid",
        "median NSE, validation",
        ORANGE,
        f"validation, best {best['valid']:.2f} after epoch {best['epoch']:.0f}",
    )
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
    return hv.Overlay(
        [
            hv.Curve([(e, e) for e in ends], kdim, vdim).opts(**DASHED),
            hv.Scatter(frame.reset_index(names="basin"), kdim, [vdim, "basin"]).opts(
                color=BLUE, size=7, **POINT
            ),
        ]
    ).opts(width=width, height=height, xlim=ends, ylim=ends, **FREE)


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
    lies outside the interval. Ends of intervals that lie further out than three times the range of
    the middle half are cut off, and the title says how many intervals that are.

    Parameters
    ----------
    difference
        By basin; basins without one are left out.
    bounds
        (bound, basin) with `low` and `high`, from `hydronb.analysis.significance.interval`.
    label
        Of the y axis.
    """
    frame = (
        pd.DataFrame(
            {"difference": difference}
            | {bound: bounds.sel(bound=bound).to_series() for bound in ("low", "high")}
        )
        .rename_axis("basin")
        .dropna()
        .sort_values("difference")
        .reset_index()
    )
    frame["share"] = frame["share2"] = (np.arange(len(frame)) + 0.5) / max(len(frame), 1)
    sure = (frame["low"] > 0) | (frame["high"] < 0)
    x = hv.Dimension("share", label="share of basins", range=(0, 1))
    y = ("difference", label)
    drawn = [hv.Curve([(0, 0), (1, 0)], x, y).opts(color=INK, line_width=1)]
    for part, colour, name in (
        (frame[~sure], GREY, "interval holds zero"),
        (frame[sure], BLUE, "interval on one side of zero"),
    ):
        drawn += [
            hv.Segments(part, [x, "low", "share2", "high"]).opts(color=colour, line_width=1.2),
            hv.Scatter(part, x, [y, "basin", "low", "high"], label=f"{name}: {len(part)}").opts(
                color=colour, size=5, tools=["hover"]
            ),
        ]
    ylim: tuple[float | None, float | None] = (None, None)
    if len(frame):
        ends = frame[["low", "high"]].to_numpy().ravel()
        lower, upper = np.percentile(ends, [25, 75])
        reach = 3 * (upper - lower)
        inside = ends[(ends >= lower - reach) & (ends <= upper + reach)]
        low, high = min(inside.min(), 0), max(inside.max(), 0)
        margin = 0.05 * (high - low) if high > low else 1.0
        ylim = low - margin, high + margin
        if beyond := int(((frame["low"] < ylim[0]) | (frame["high"] > ylim[1])).sum()):
            title += f"; {beyond} interval{'s reach' if beyond > 1 else ' reaches'} beyond the axis"
    return legend_outside(hv.Overlay(drawn), width, height).opts(
        title=wrapped(title, width),
        ylim=ylim,
        **FREE,
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
        From `hydronb.analysis.search.rank_settings`.
    settings
        Its columns to draw; values are shown in order, evenly spaced.
    """
    y = hv.Dimension("score", label=label)
    panels = []
    for name in settings:
        best = ranked.groupby(name)["score"].max().rename(index=str)
        x = hv.Dimension("at", label=name, values=list(best.index))
        panels.append(
            hv.Overlay(
                [
                    hv.Curve(list(best.items()), x, y).opts(color=BLUE, line_width=2),
                    hv.Scatter(
                        ranked.reset_index().assign(at=ranked[name].map(str).to_numpy()),
                        x,
                        [y, "settings"],
                    ).opts(color=GREY, size=6, tools=["hover"]),
                ]
            ).opts(width=width, height=height, title=name, **FREE)
        )
    return hv.Layout(panels).cols(3).opts(shared_axes=False)


@on_bokeh
def noise_boxes(
    boxes: pd.DataFrame,
    *,
    values: xr.DataArray | None = None,
    paper: pd.DataFrame | None = None,
    title: str = "",
    width: int = WIDTH // 2,
    height: int = 380,
    low: float | None = None,
) -> hv.Overlay:
    """NSE over the standard deviation of the noise (Fig. 6): the box spans 25 to 75 %, the whiskers
    5 to 95 %, the line is the median, the triangle the mean, and circles lie beyond the whiskers.
    The title says how many of these lie below the axis.

    Parameters
    ----------
    boxes
        Index sigma; columns mean, median, q05, q25, q75, q95.
    values
        What the boxes are of, over sigma and others, for the circles; those that are equal to two
        digits are drawn once.
    paper
        Index sigma, column median: the published medians, drawn as crosses.
    low
        Where the axis begins; chosen where None. What lies below is cut off.
    """
    at = np.arange(len(boxes))
    left, right = at - 0.32, at + 0.32
    low = max(-1.5, float(boxes["q05"].min()) - 0.05) if low is None else low
    q05, q25, q75, q95, median = (boxes[c] for c in ("q05", "q25", "q75", "q95", "median"))
    outside = pd.DataFrame({"sigma": [], "nse": []})
    if values is not None:
        long = values.rename("nse").to_series().dropna().reset_index()
        place = boxes.index.get_indexer(long["sigma"])
        beyond = (long["nse"] < q05.iloc[place].to_numpy()) | (
            long["nse"] > q95.iloc[place].to_numpy()
        )
        outside = long.assign(sigma=place)[beyond].round({"nse": 2})[["sigma", "nse"]]
        if below := int((outside["nse"] < low).sum()):
            title += f"; {below} circles below the axis"
        outside = outside[outside["nse"] >= low].drop_duplicates()
    layers = [
        hv.Scatter(outside, "sigma", "nse", label="beyond the whiskers").opts(
            color="white", line_color=GREY, size=4
        ),
        hv.Rectangles((left, q25, right, q75)).opts(
            color="#C6DCEC", line_color=INK, line_width=0.8
        ),
        hv.Segments(
            (np.tile(at, 2), pd.concat([q05, q75]), np.tile(at, 2), pd.concat([q25, q95]))
        ).opts(color=INK, line_width=1),
        hv.Segments((left, median, right, median), label="median").opts(
            color=ORANGE, line_width=2.5
        ),
        hv.Scatter((at, boxes["mean"]), "sigma", "nse", label="mean").opts(
            color=GREEN, marker="triangle", size=8
        ),
    ]
    if paper is not None:
        layers.append(
            hv.Scatter(
                (at, paper["median"].reindex(boxes.index)), "sigma", "nse", label="median, paper"
            ).opts(color="black", marker="x", size=9, line_width=1.6)
        )
    return legend_outside(hv.Overlay(layers), width, height).opts(
        title=wrapped(title, width),
        xticks=[(i, f"{sigma:g}") for i, sigma in enumerate(boxes.index)],
        ylim=(low, 1.0),
        xlim=(-0.6, len(at) - 0.4),
        ylabel="NSE (-)",
        xlabel="standard deviation of the noise (attributes have 1)",
        **FREE,
    )
