"""Gridded catchments and their models, after Li et al. (2023): the basin on its grid, scores of all
scenarios, simulated against observed days, and what linear probes find in a network."""

from collections.abc import Iterable, Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.errors import DataError
from hydronb.metrics import METRICS
from hydronb.plots.basins import AXES
from hydronb.plots.style import (
    COLOUR_BAR,
    DASHED,
    FREE,
    INK,
    SEQUENTIAL,
    colours,
    on_bokeh,
    wrapped,
)

TERRAIN = ["#3F6F4F", "#7E9B62", "#B9B278", "#C9A878", "#A98467", "#8C7B74", "#C4BFBC", "#F4F2F0"]
PANEL = 300
"""Width of a panel's longer side, pixels."""
BAR = 90
"""Room for axes and colour bar."""


@on_bokeh
def grid_maps(ds: xr.Dataset) -> hv.Layout:
    """The grid side by side: elevation where it is known, mean annual precipitation, mean
    temperature and, in the synthetic grids, the travel time to the outlet; on each the border of
    the cells of which any part lies in the basin.

    `ds` in the convention of `hydronb.data.gridded`.
    """
    fields = {
        "elevation (m)": (ds.get("elevation"), TERRAIN),
        "precipitation (mm/a)": (ds["prcp"].mean("time") * 365.25, "Blues"),
        "mean temperature (°C)": (ds["tmean"].mean("time"), "RdYlBu_r"),
        "true travel time (d)": (ds.get("true_travel_time"), SEQUENTIAL),
    }
    return (
        hv.Layout(
            [
                _panel(ds, field, title, cmap)
                for title, (field, cmap) in fields.items()
                if field is not None
            ]
        )
        .opts(shared_axes=False)
        .cols(2)
    )


@on_bokeh
def occlusion_maps(maps: Mapping[str, xr.Dataset], grids: Mapping[str, xr.Dataset]) -> hv.Layout:
    """How much the weather of each block of cells moves the simulated streamflow: one row per
    label, the network and, where it is known, the truth, with the basin's border.

    Parameters
    ----------
    maps
        By label, `network` and perhaps `truth` `(y, x)`, from `hydronb.analysis.occlusion.occlude`.
    grids
        By label, the grid, in the convention of `hydronb.data.gridded`.
    """
    panels = [
        _panel(
            grids[label],
            of_label[name],
            f"{label}\n{name}: change over deviation (-)",
            SEQUENTIAL,
            low=0.0,
        )
        for label, of_label in maps.items()
        for name in ("network", "truth")
        if name in of_label
    ]
    return hv.Layout(panels).opts(shared_axes=False).cols(2)


def _panel(
    ds: xr.Dataset,
    field: xr.DataArray,
    title: str,
    cmap: list[str] | str,
    low: float | None = None,
) -> hv.Overlay:
    """A field of cells with the basin's border, north up, degrees at their true proportion; colours
    start at `low`, or at the lowest value."""
    lat, lon = ds["lat"].to_numpy(), ds["lon"].to_numpy()
    flat = lat.ndim == 1 and lon.ndim == 1
    x, y = (lon, lat) if flat else (np.arange(field.shape[1]), np.arange(field.shape[0])[::-1])
    values = np.asarray(field.transpose("y", "x").to_numpy(), dtype=float)
    proportion = 1 / max(float(np.cos(np.deg2rad(y.mean()))), 0.1) if flat else 1.0
    tall = values.shape[0] * proportion / values.shape[1]
    wide, high = (PANEL, PANEL * tall) if tall < 1 else (PANEL / tall, PANEL)
    half_x, half_y = (abs(float(axis[1] - axis[0])) / 2 for axis in (x, y))
    cells = hv.Image(
        values if y[0] > y[-1] else values[::-1],
        bounds=(x.min() - half_x, y.min() - half_y, x.max() + half_x, y.max() + half_y),
        kdims=[hv.Dimension(name, label=AXES[name]) for name in ("lon", "lat")],
        vdims=[hv.Dimension("value", label=title)],
    ).opts(
        cmap=cmap,
        clim=(float(np.nanmin(values)) if low is None else low, float(np.nanmax(values))),
        tools=["hover"],
        clipping_colors={"NaN": "#FFFFFF"},
        **COLOUR_BAR,
    )
    sides = hv.Path(_border(ds["mask"].to_numpy() > 0, x, y))
    # a dark line on a light one, which is seen on dark cells too
    border = sides.opts(color="white", line_width=3) * sides.clone().opts(color=INK, line_width=1.2)
    return (cells * border).opts(
        width=int(wide) + BAR + 60,
        height=int(high) + BAR + 16,
        title=wrapped(title, int(wide) + BAR + 60),
        xticks=4,
        yticks=4,
        show_grid=False,
        active_tools=["pan"],
    )


def _border(inside: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Sides of cells where the basin ends, as lines of two points."""
    wide, high = (abs(float(axis[1] - axis[0])) / 2 for axis in (x, y))
    north = np.sign(y[0] - y[-1])  # rows count from the north, or from the south
    padded = np.pad(inside, 1)
    lines = []
    for d_row, d_col in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beyond = np.roll(padded, (-d_row, -d_col), (0, 1))[1:-1, 1:-1]
        half = np.array([wide, 0.0]) if d_row else np.array([0.0, high])
        for row, col in np.argwhere(inside & ~beyond):
            middle = x[col] + d_col * wide, y[row] - d_row * high * north
            lines.append(np.stack([middle - half, middle + half]))
    return lines


# Models
# ---


OF_THE_PAPER = {"alpha": "alpha_nse", "beta": "beta_nse"}
"""Metrics by the names that they have in the tables of Li et al. (2023)."""
SHORT = {"streamflow": "Q", "et": "E", "Yellow": "Ye", "Yangtze": "Ya", "Lancang": "La"}
"""The letters of Li et al. (2023) for targets and basins; other names are in full."""


LEAST = {"nse": -0.5, "r": -0.2}
"""Scores below are drawn at this value, with a number: how much worse than useless a simulation or
a probe is does not matter."""
LEAST_OF_FEATURES = {"nse": 0.5, "r": 0.75}
"""The same for the features of a CNN, which differ by hundredths (Li et al., 2023, Table 5)."""


def _short_names(basins: Iterable[str]) -> dict[str, str]:
    """Letters of the paper's rivers, synthetic or not, and the first part of other names, where
    that tells all apart.

    >>> _short_names(["synthetic Yellow, seed 0", "brook, years 9"])
    {'synthetic Yellow, seed 0': 'Ye', 'brook, years 9': 'brook'}
    """
    parts = {name: name.removeprefix("synthetic ").split(",")[0] for name in basins}
    apart = len(set(parts.values())) == len(parts)
    return {name: SHORT.get(part, part) if apart else name for name, part in parts.items()}


@on_bokeh
def scenario_scores(
    scores: pd.DataFrame, names: Mapping[str, str], *, width: int = 300, height: int = 260
) -> hv.Layout:
    """One panel per metric, as Fig. 4 of Li et al. (2023): for each basin and target one dot per
    seed, and a bar at their mean, in the colour of the model. The dashed line is a perfect
    simulation. Scores below `LEAST` stand at the lower end of the axis, with their value.

    Parameters
    ----------
    scores
        Columns basin, model, target, seed and the metrics, from
        `hydronb.analysis.grid_scenarios.score_scenarios`.
    names
        Label of the axis by metric.
    """
    colour = colours(list(dict.fromkeys(scores["model"])))
    groups = list(dict.fromkeys(zip(scores["basin"], scores["target"], strict=True)))
    group = [groups.index(pair) for pair in zip(scores["basin"], scores["target"], strict=True)]
    short = _short_names(basin for basin, _ in groups)
    offset = {m: (k - (len(colour) - 1) / 2) * 0.8 / len(colour) for k, m in enumerate(colour)}
    scores = scores.assign(scenario=group + scores["model"].map(offset))
    half = 0.35 / len(colour)
    panels = []
    for metric, text in names.items():
        perfect = METRICS[OF_THE_PAPER.get(metric, metric)].perfect
        low = LEAST.get(metric, -np.inf)
        scores = scores.assign(shown=scores[metric].clip(lower=low))
        ends = min(scores["shown"].min(), perfect), max(scores["shown"].max(), perfect)
        room = 0.06 * (ends[1] - ends[0]) or 0.1
        parts = [
            hv.HLine(perfect).opts(color=INK, line_dash="dashed", line_width=1),
            values_below(scores.assign(place=scores["scenario"]), metric, low),
        ]
        dims = (
            ("scenario", "basin and target"),
            [("shown", text), "basin", "target", "seed", metric],
        )
        for model, of_model in scores.groupby("model", sort=False):
            means = of_model.groupby("scenario")["shown"].mean()
            at = means.index.to_numpy()
            parts += [
                hv.Scatter(of_model, *dims).opts(
                    color=colour[model], size=6, alpha=0.8, line_color=None, tools=["hover"]
                ),
                hv.Segments((at - half, means, at + half, means)).opts(
                    color=colour[model], line_width=2
                ),
            ]
        panels.append(
            hv.Overlay(parts).opts(
                width=width,
                height=height,
                xticks=[
                    (k, f"{short[basin]} {SHORT[target]}")
                    for k, (basin, target) in enumerate(groups)
                ],
                xrotation=45 if len(groups) > 3 else 0,
                ylim=(ends[0] - room, ends[1] + room),
                show_legend=False,
                title=text,
                xlabel="",
                ylabel="",
                **FREE,
            )
        )
    panels.append(marker_key([(m, c, "circle") for m, c in colour.items()], width, height))
    return hv.Layout(panels).cols(4).opts(shared_axes=False)


def values_below(scores: pd.DataFrame, value: str, low: float) -> hv.Labels:
    """What scores below the axis are, upright above the mark at `low`: the mean of those at the
    same `place`."""
    below = scores[scores[value] < low].groupby("place", as_index=False)[value].mean()
    below = below.assign(shown=low + 0.05 * (1 - low), text=below[value].map("{:.2f}".format))
    return hv.Labels(below, ["place", "shown"], "text").opts(
        text_color=INK, text_font_size="9px", angle=90, text_align="left"
    )


def marker_key(entries: Sequence[tuple[str, str, str]], width: int, height: int) -> hv.Overlay:
    """A panel that explains marks by text, colour and marker, for a layout in which a legend would
    cover the data."""
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


@on_bokeh
def day_by_day(
    obs: xr.DataArray,
    simulations: Mapping[str, xr.DataArray],
    *,
    title: str = "",
    width: int = 270,
    height: int = 270,
) -> hv.Layout:
    """Simulated against observed days of one basin, one panel per model on the same axes, as Fig. 5
    of Li et al. (2023)."""
    colour = colours(list(simulations))
    values = np.concatenate([da.to_numpy().ravel() for da in (obs, *simulations.values())])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    ends = (low - 0.03 * (high - low), high + 0.03 * (high - low))
    units = obs.attrs.get("units", "")
    dims = ("observed", f"observed ({units})"), ("simulated", f"simulated ({units})")
    panels = []
    for label, sim in simulations.items():
        both = (obs.notnull() & sim.notnull()).to_numpy()
        panels.append(
            (
                hv.Scatter((obs.to_numpy()[both], sim.to_numpy()[both]), *dims).opts(
                    color=colour[label], size=4, alpha=0.35, line_color=None
                )
                * hv.Curve([(e, e) for e in ends], *dims).opts(**DASHED)
            ).opts(
                width=width,
                height=height,
                xlim=ends,
                ylim=ends,
                title=wrapped(f"{title}: {label}" if title else label, width),
                **FREE,
            )
        )
    return hv.Layout(panels).cols(4)


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
    """One panel per kind of run: the score of each target's probe and those of its controls, by
    marker and colour, one mark per seed. Scores below the axis stand at its lower end, with their
    value.

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
    label, low = METRICS[value].label, (LEAST_OF_FEATURES if layer == "features" else LEAST)[value]
    layers = [layer, "grid mean"] if layer == "features" else [layer]
    part = scores[scores["layer"].isin(layers) & (scores["split"] == split)].dropna(subset=[value])
    if part.empty:
        raise DataError(f"no {label} of {layer} on {split} days among these probes; choose another")
    targets = list(dict.fromkeys(part["target"]))
    controls = {c: mark for c, mark in CONTROLS.items() if c in set(part["control"])}
    shift = {c: (k - (len(controls) - 1) / 2) * 0.17 for k, c in enumerate(controls)}
    part = part.assign(
        place=part["target"].map(targets.index) + part["control"].map(shift),
        shown=part[value].clip(lower=low),
    )
    panels = []
    for run, of_run in part.groupby("label", sort=False):
        marks = [
            hv.Scatter(
                of_run[of_run["control"] == control], "place", [("shown", label), "target", value]
            ).opts(color=colour, marker=marker, size=9, tools=["hover"], line_color=colour)
            for control, (_, colour, marker) in controls.items()
        ]
        panels.append(
            hv.Overlay(
                [
                    hv.HLine(1.0).opts(color=INK, line_dash="dashed", line_width=1),
                    *marks,
                    values_below(of_run, value, low),
                ]
            ).opts(
                width=width,
                height=height,
                title=wrapped(run, width),
                xticks=[
                    (k, t.removeprefix("true_").replace("_", " ")) for k, t in enumerate(targets)
                ],
                xlabel="",
                ylabel=f"{label}, {split} days",
                xrotation=20,
                xlim=(-0.5, len(targets) - 0.5),
                ylim=(low - 0.04 * (1 - low), 1 + 0.04 * (1 - low)),
                show_legend=False,
                **FREE,
            )
        )
    rows = [panels[k : k + ACROSS] for k in range(0, len(panels), ACROSS)]
    ends = [marker_key(list(controls.values()), 190, height), *(hv.Empty() for _ in rows[1:])]
    cells = [cell for row, end in zip(rows, ends, strict=True) for cell in (*row, end)]
    return hv.Layout(cells).cols(len(rows[0]) + 1).opts(shared_axes=False)
