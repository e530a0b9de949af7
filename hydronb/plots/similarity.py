"""What an EA-LSTM makes of catchments: input gates, clusters, what they explain, and which
attributes it listens to."""

from collections.abc import Mapping, Sequence

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from holoviews.plotting.util import process_cmap

from hydronb.errors import DataError
from hydronb.plots.basins import _frame_of, _in_conus, _outline, _spread
from hydronb.plots.style import FREE, INK, WIDTH, _bokeh, axis_label

SPACES = {"embedding": "#0072B2", "attributes": "#D55E00"}
CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#F0E442",
    "#332288",
    "#882255",
    "#117733",
    "#AA4499",
    "#999933",
    "#661100",
    "#6699CC",
)
"""Colours of clusters and other categories: Okabe and Ito's, then Tol's."""
OTHER = "#C8C8C8"


def input_gates(
    gate: xr.DataArray, *, title: str = "", width: int = WIDTH, height: int = 380
) -> hv.Image:
    """Raw input gates (basin, cell), a column a basin in the order of ids (Fig. 8): yellow is open,
    blue closed."""
    _bokeh()
    gate = gate.sortby("basin").transpose("cell", "basin")
    n_cells, n_basins = gate.shape
    x, y = (
        hv.Dimension("basin", label="basin, in the order of ids"),
        hv.Dimension("cell", label="cell"),
    )
    image = hv.Image(
        (np.arange(n_basins), np.arange(n_cells), gate.values),
        [x, y],
        hv.Dimension("gate", label="input gate"),
    )
    return image.opts(
        cmap="viridis",
        clim=(0, 1),
        colorbar=True,
        width=width,
        height=height,
        title=title,
        tools=["hover"],
        active_tools=[],
        clabel="",
        colorbar_opts={"width": 12},
    )


def silhouettes(
    table: pd.DataFrame, *, at: int | None = None, width: int = WIDTH // 2, height: int = 320
) -> hv.Layout:
    """Mean and minimum silhouette over the number of clusters (Fig. 9): the mean over seeds, with
    their standard deviation.

    Parameters
    ----------
    table
        Columns space, seed, k, mean, min.
    at
        A k to mark.
    """
    _bokeh()
    return hv.Layout([_silhouette(table, of, at, width, height) for of in ("mean", "min")]).opts(
        shared_axes=False
    )


def _silhouette(
    table: pd.DataFrame, of: str, at: int | None, width: int, height: int
) -> hv.Overlay:
    x, y = (
        hv.Dimension("k", label="number of clusters k"),
        hv.Dimension(of, label=f"{of} silhouette"),
    )
    layers: list[hv.Element] = [] if at is None else [hv.VLine(at).opts(color=OTHER, line_width=8)]
    for space, colour in SPACES.items():
        seeds = (
            table.loc[table["space"] == space]
            .groupby("k")[of]
            .agg(["mean", lambda v: v.std(ddof=0)])
        )
        if not len(seeds):
            continue
        k, mean, std = (
            seeds.index.to_numpy(),
            seeds.iloc[:, 0].to_numpy(),
            seeds.iloc[:, 1].to_numpy(),
        )
        layers += [
            hv.Curve((k, mean), x, y, label=space).opts(color=colour, line_width=2),
            hv.Scatter((k, mean), x, y).opts(color=colour, size=6, tools=["hover"]),
        ]
        spans = [(at, m - s, at, m + s) for at, m, s in zip(k, mean, std, strict=True) if s > 0]
        layers.append(
            hv.Segments(spans, ["k", "low", "k1", "high"]).opts(color=colour, line_width=1.2)
        )
        if of == "mean":
            best = int(mean.argmax())
            layers.append(
                hv.Scatter(([k[best]], [mean[best]]), x, y).opts(
                    color=colour, marker="star", size=16, line_color="white"
                )
            )
    title = "mean over basins; the star is the largest" if of == "mean" else "the worst basin"
    ks = [int(k) for k in sorted(table["k"].unique())]
    return hv.Overlay(layers).opts(
        width=width,
        height=height,
        title=title,
        legend_position="top_right",
        show_legend=of == "mean",
        xticks=ks,
        xlim=(ks[0] - 0.4, ks[-1] + 0.4),
        padding=(0, 0.08),
        ylabel=y.label,
        xlabel=x.label,
        **FREE,
    )


def variance_reduction(
    table: pd.DataFrame, k: int, *, width: int = WIDTH // 2, height: int = 400
) -> hv.Layout:
    """How much of each signature's variance k clusters explain (Fig. 10): the paper's weighting,
    then by size. Bars are the mean over seeds, lines their range.

    Parameters
    ----------
    table
        Columns space, seed, k, signature, weighting, value.
    """
    _bokeh()
    of_k = table[table["k"] == k]
    titles = {
        "cluster": f"k = {k}, clusters count alike (the paper)",
        "size": f"k = {k}, basins count alike",
    }
    low = min(0.0, float(of_k["value"].min()) - 0.02)
    panels = [
        _reduction(of_k[of_k["weighting"] == w], title, low, width, height)
        for w, title in titles.items()
    ]
    return hv.Layout(panels).opts(shared_axes=False)


def _reduction(table: pd.DataFrame, title: str, low: float, width: int, height: int) -> hv.Overlay:
    names = list(dict.fromkeys(table["signature"]))
    y = hv.Dimension("share", label="share of variance explained")
    layers: list[hv.Element] = []
    for offset, (space, colour) in zip((-0.2, 0.2), SPACES.items(), strict=True):
        seeds = (
            table[table["space"] == space]
            .groupby("signature")["value"]
            .agg(["mean", "min", "max"])
            .reindex(names)
        )
        at = np.arange(len(names)) + offset
        bars = [
            (a - 0.18, min(v, 0), a + 0.18, max(v, 0))
            for a, v in zip(at, seeds["mean"], strict=True)
        ]
        layers.append(
            hv.Rectangles(bars, ["left", "bottom", "right", "top"], label=space).opts(
                color=colour, line_color=None
            )
        )
        spans = [
            (a, one, a, other)
            for a, one, other in zip(at, seeds["min"], seeds["max"], strict=True)
            if one < other
        ]
        layers.append(hv.Segments(spans, ["x", "y0", "x1", "y1"]).opts(color=INK, line_width=1.2))
    ticks = [(i, name) for i, name in enumerate(names)]
    return hv.Overlay(layers).opts(
        width=width,
        height=height,
        title=title,
        xticks=ticks,
        xrotation=45,
        xlabel="",
        ylabel=y.label,
        ylim=(low, 1),
        xlim=(-0.6, len(names) - 0.4),
        legend_position="top_right",
        **FREE,
    )


def category_map(
    values: xr.DataArray,
    *,
    title: str = "",
    label: str = "",
    most: int = 12,
    colours: Mapping[str, str] | None = None,
    width: int = WIDTH // 2 + 60,
    size: float | None = None,
) -> hv.Overlay:
    """Basins at their gauges, coloured by what kind they are, the most frequent kind first in the
    legend.

    Parameters
    ----------
    values
        Text or number for each basin, with the coordinates lat and lon.
    most
        Kinds that have a colour of their own; all rarer ones are grey.
    colours
        By kind; chosen where None.

    Raises
    ------
    DataError
        The basins have no coordinates.
    """
    _bokeh()
    if lacking := [c for c in ("lat", "lon") if c not in values.coords]:
        raise DataError(f"basins without the coordinate {lacking[0]!r} cannot be drawn on a map")
    frame = pd.DataFrame(
        {
            "lon": values["lon"].to_numpy(),
            "lat": values["lat"].to_numpy(),
            "basin": values["basin"].to_numpy().astype(str),
            "kind": values.to_numpy().astype(str),
        }
    )
    counts = frame["kind"].value_counts(sort=False)
    kinds = list(counts.sort_values(ascending=False, kind="stable").index[:most])
    colours = colours or kind_colours(kinds)
    x, y = hv.Dimension("lon", label="longitude (°)"), hv.Dimension("lat", label="latitude (°)")
    kind = hv.Dimension("kind", label=label or axis_label(values))
    size = size or float(np.clip(90 / np.sqrt(len(frame)), 5, 10))
    mapped = _in_conus(frame["lat"].to_numpy(), frame["lon"].to_numpy())
    layers: list[hv.Element] = (
        [hv.Curve(_outline(), x, y).opts(color="#B0B0B0", line_width=0.8)] if mapped else []
    )
    groups = [
        (f"{name} ({counts[name]})", frame[frame["kind"] == name], colours.get(name, OTHER))
        for name in kinds
    ]
    rest = frame[~frame["kind"].isin(kinds)]
    if len(rest):
        groups.append((f"others ({len(rest)})", rest, OTHER))
    for name, part, colour in groups:
        layers.append(
            hv.Points(part, [x, y], [kind, "basin"], label=name).opts(
                color=colour, size=size, line_color="#444444", line_width=0.4, tools=["hover"]
            )
        )
    xlim, ylim = _frame_of(frame, mapped)
    aspect = (ylim[1] - ylim[0]) / ((xlim[1] - xlim[0]) * np.cos(np.radians(sum(ylim) / 2)))
    height = int(np.clip((width - 160) * aspect, 220, 560)) + 50
    return hv.Overlay(layers).opts(
        width=width,
        height=height,
        xlim=xlim,
        ylim=ylim,
        xaxis=None,
        yaxis=None,
        legend_position="right",
        active_tools=["pan"],
        title=title or label or axis_label(values),
    )


def kind_colours(kinds: Sequence[str]) -> dict[str, str]:
    """A colour for each kind, in their order; grey once they are used up."""
    return {k: CATEGORIES[i] if i < len(CATEGORIES) else OTHER for i, k in enumerate(kinds)}


def cluster_maps(labels: Mapping[str, xr.DataArray], *, width: int = WIDTH // 2) -> hv.Layout:
    """Maps of clusters by title (Fig. 11), two a row; a cluster of one number has one colour
    throughout.

    Parameters
    ----------
    labels
        Cluster of each basin, with the coordinates lat and lon; see `similarity.aligned`.
    """
    n = 1 + max(int(of.max()) for of in labels.values())
    colours = kind_colours([str(c + 1) for c in range(n)])
    maps = [
        category_map(of + 1, title=title, label="cluster", colours=colours, most=n, width=width)
        for title, of in labels.items()
    ]
    return hv.Layout(maps).cols(2).opts(shared_axes=False)


def projections(
    plane: pd.DataFrame,
    values: xr.Dataset,
    *,
    columns: int = 3,
    width: int = 310,
    cmap: str = "viridis",
) -> hv.Layout:
    """A projection onto a plane once for each variable of `values`, coloured by it (Fig. 12).

    Parameters
    ----------
    plane
        Columns basin, x, y.
    values
        Variables over basin, numbers; colours reach from the 2nd to the 98th percentile.
    """
    _bokeh()
    panels = []
    for name, of_all in values.data_vars.items():
        units = of_all.attrs.get("units", "1")
        title = str(name) if units in ("1", "-", "") else f"{name} ({units})"
        frame = plane.assign(
            value=of_all.sel(basin=plane["basin"].to_numpy()).to_numpy().astype(float)
        )
        value = hv.Dimension("value", label=axis_label(of_all))
        panels.append(
            hv.Points(frame, ["x", "y"], [value, "basin"]).opts(
                color="value",
                cmap=cmap,
                clim=_spread(frame["value"].to_numpy()),
                colorbar=True,
                width=width,
                height=width - 30,
                size=5,
                title=title,
                xaxis=None,
                yaxis=None,
                tools=["hover"],
                active_tools=["pan"],
                clabel="",
                colorbar_opts={"width": 8, "padding": 2},
                fontsize={"title": "12px"},
                padding=0.05,
            )
        )
    return hv.Layout(panels).cols(columns).opts(shared_axes=True)


def agreement(table: pd.DataFrame, k: int, *, width: int = 430) -> hv.Overlay:
    """Adjusted Rand index between the clusters of each two seeds, and of the attributes: columns k,
    one, other, adjusted_rand."""
    _bokeh()
    # a file's seeds are read as numbers
    of_k = table[table["k"] == k].astype({"one": str, "other": str})
    names = list(dict.fromkeys([*of_k["one"], *of_k["other"]]))
    half = of_k[["one", "other", "adjusted_rand"]]
    whole = pd.concat(
        [
            half,
            half.rename(columns={"one": "other", "other": "one"}),
            pd.DataFrame({"one": names, "other": names, "adjusted_rand": 1.0}),
        ]
    )
    order = {n: i for i, n in enumerate(names)}
    whole = whole.sort_values(["one", "other"], key=lambda c: c.map(order))
    heat = hv.HeatMap(
        whole, ["one", "other"], hv.Dimension("adjusted_rand", label="adjusted Rand index")
    )
    heat = heat.opts(
        cmap=process_cmap("Blues", 100)[:60],
        clim=(0, 1),
        colorbar=True,
        width=width,
        height=width - 60,
        xlabel="seed",
        ylabel="seed",
        title=f"do seeds find the same {k} clusters?",
        tools=["hover"],
        active_tools=[],
        xrotation=45,
        clabel="",
        colorbar_opts={"width": 10},
    )
    if len(names) > 12:
        return hv.Overlay([heat])
    text = hv.Labels(
        whole.assign(text=[f"{v:.2f}" for v in whole["adjusted_rand"]]), ["one", "other"], "text"
    )
    return hv.Overlay([heat, text.opts(text_font_size="9px", text_color=INK)])


def ranking(table: pd.DataFrame, *, title: str = "", width: int = 620) -> hv.Overlay:
    """Attributes by sensitivity, the mean over seeds as a bar and each seed as a dot.

    Parameters
    ----------
    table
        Columns attribute, sensitivity, and seed where there are several.
    """
    _bokeh()
    means = table.groupby("attribute")["sensitivity"].mean().sort_values()
    at = {name: i for i, name in enumerate(means.index)}
    bars = hv.Rectangles([(0, i - 0.35, v, i + 0.35) for i, v in enumerate(means)]).opts(
        color="#9CC3E0", line_color=None
    )
    dots = hv.Scatter(
        pd.DataFrame(
            {
                "sensitivity": table["sensitivity"],
                "place": table["attribute"].map(at),
                "attribute": table["attribute"],
            }
        ),
        "sensitivity",
        ["place", "attribute"],
    ).opts(color=SPACES["embedding"], size=5, tools=["hover"], alpha=0.8)
    return (bars * dots).opts(
        width=width,
        height=90 + 19 * len(means),
        xlim=(0, None),
        ylim=(-0.7, len(means) - 0.3),
        yticks=[(i, n) for n, i in at.items()],
        ylabel="",
        xlabel="sensitivity, scaled to 0..1 within each basin",
        title=title,
        **FREE,
    )
