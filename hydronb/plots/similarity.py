"""Similarity of catchments in an EA-LSTM: input gates, clusters, what the clusters explain, and the
attributes that matter most."""

from collections.abc import Mapping

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from hydronb.plots.basins import TO_SELECT, basin_map, basin_points
from hydronb.plots.style import (
    CATEGORIES,
    COLOUR_BAR,
    FREE,
    INK,
    OTHER,
    SEQUENTIAL,
    WIDTH,
    axis_label,
    legend_outside,
    on_bokeh,
    wrapped,
)

GROUPS = {
    "clim": ("climate", "Blues"),
    "topo": ("topography", "Oranges"),
    "vege": ("vegetation", "Greens"),
    "soil": ("soil", "Purples"),
    "geol": ("geology", "Greys"),
}
"""Name and hue of the groups of CAMELS' attributes."""
SPACES = {"embedding": "#0072B2", "attributes": "#D55E00"}


def gate_image(
    gate: xr.DataArray, *, title: str = "", width: int = WIDTH, height: int = 380
) -> hv.Image:
    """Raw input gates (basin, cell), one column per basin in the order of ids (Fig. 8): yellow is
    open, blue closed."""
    return _gate_image(gate.sortby("basin"), "cell", "basin").opts(
        width=width, height=height, title=title, xlabel="basin, in the order of ids"
    )


def gates_of_basin(gates: xr.DataArray, *, title: str = "", width: int = 520) -> hv.Image:
    """Input gates (seed, cell) of one catchment, one row per seed."""
    seeds = gates["seed"].to_numpy()
    return _gate_image(gates, "seed", "cell").opts(
        width=width,
        height=100 + 14 * len(seeds),
        title=title,
        yticks=[(i, str(seed)) for i, seed in enumerate(seeds)],
        default_tools=["save", "reset"],
    )


@on_bokeh
def _gate_image(gates: xr.DataArray, up: str, across: str) -> hv.Image:
    values = gates.transpose(up, across).to_numpy()
    rows, columns = values.shape
    return hv.Image(
        (np.arange(columns), np.arange(rows), values),
        [across, up],
        hv.Dimension("gate", label="input gate"),
        bounds=(-0.5, -0.5, columns - 0.5, rows - 0.5),
    ).opts(cmap=SEQUENTIAL, clim=(0, 1), tools=["hover"], active_tools=[], **COLOUR_BAR)


@on_bokeh
def silhouette_curves(
    table: pd.DataFrame, *, at: int | None = None, width: int = WIDTH // 2, height: int = 320
) -> hv.Layout:
    """Mean and minimum silhouette over the number of clusters (Fig. 9): the mean over seeds, with
    their standard deviation.

    Parameters
    ----------
    table
        Columns space, seed, k, mean, min.
    at
        A number of clusters to mark.
    """
    titles = {"mean": "mean over basins; the star is the largest", "min": "the worst basin"}
    ks = sorted(int(k) for k in set(table["k"]))
    return hv.Layout(
        [
            legend_outside(hv.Overlay(_silhouette(table, of, at)), width, height).opts(
                title=title,
                xticks=ks,
                xlim=(ks[0] - 0.4, ks[-1] + 0.4),
                padding=(0, 0.08),
                ylabel=f"{of} silhouette",
                xlabel="number of clusters k",
                **FREE,
            )
            for of, title in titles.items()
        ]
    ).opts(shared_axes=False)


def _silhouette(table: pd.DataFrame, of: str, at: int | None) -> list[hv.Element]:
    dims = ("k", "number of clusters k"), (of, f"{of} silhouette")
    layers: list[hv.Element] = [] if at is None else [hv.VLine(at).opts(color=OTHER, line_width=8)]
    for space, colour in SPACES.items():
        seeds = table[table["space"] == space].groupby("k")[of]
        k, mean, std = list(seeds.groups), seeds.mean().to_numpy(), seeds.std(ddof=0).to_numpy()
        if not k:
            continue
        layers += [
            hv.Curve((k, mean), *dims, label=space).opts(color=colour, line_width=2),
            hv.Scatter((k, mean), *dims).opts(color=colour, size=6, tools=["hover"]),
            hv.Segments(
                [(at, m - s, at, m + s) for at, m, s in zip(k, mean, std, strict=True) if s > 0],
                ["k", "low", "k1", "high"],
            ).opts(color=colour, line_width=1.2),
        ]
        if of == "mean":
            layers.append(
                hv.Scatter(([k[mean.argmax()]], [mean.max()]), *dims).opts(
                    color=colour, marker="star", size=16, line_color="white"
                )
            )
    return layers


@on_bokeh
def variance_bars(
    table: pd.DataFrame,
    k: int,
    *,
    seed: int | None = None,
    width: int = WIDTH // 2,
    height: int = 400,
) -> hv.Layout:
    """How much of each signature's variance k clusters explain (Fig. 10): weighted as in the paper,
    then by size. Bars are the mean over seeds, lines with ends their range, dots one seed.

    Parameters
    ----------
    table
        Columns space, seed, k, signature, weighting, value.
    seed
        The seed of the dots, such as the one that the paper shows; none where None.
    """
    of_k = table[table["k"] == k]
    titles = {
        "cluster": f"k = {k}, clusters count alike (the paper)",
        "size": f"k = {k}, basins count alike",
    }
    names = list(dict.fromkeys(of_k["signature"]))
    return hv.Layout(
        [
            legend_outside(
                hv.Overlay(_signature_bars(of_k[of_k["weighting"] == weighting], names, seed)),
                width,
                height,
            ).opts(
                title=title,
                xticks=list(enumerate(names)),
                xrotation=45,
                xlabel="",
                ylabel="share of variance explained",
                ylim=(min(0.0, float(of_k["value"].min()) - 0.02), 1),
                xlim=(-0.6, len(names) - 0.4),
                **FREE,
            )
            for weighting, title in titles.items()
        ]
    ).opts(shared_axes=False)


def _signature_bars(table: pd.DataFrame, names: list[str], seed: int | None) -> list[hv.Element]:
    """Beside each other, one bar per space for each signature."""
    layers: list[hv.Element] = []
    for offset, (space, colour) in zip((-0.2, 0.2), SPACES.items(), strict=True):
        seeds = (
            table[table["space"] == space]
            .groupby("signature")["value"]
            .agg(["mean", "min", "max"])
            .reindex(names)
            .reset_index(drop=True)
        )
        at = seeds.index.to_numpy() + offset
        bars = (at - 0.18, seeds["mean"].clip(upper=0), at + 0.18, seeds["mean"].clip(lower=0))
        spread = (seeds["min"] < seeds["max"]).to_numpy()
        layers += [
            hv.Rectangles(bars, label=space).opts(color=colour, line_color=None, fill_alpha=0.55),
            hv.Segments((at[spread], seeds["min"][spread], at[spread], seeds["max"][spread])).opts(
                color=INK, line_width=2
            ),
            *(
                hv.Segments((at[spread] - 0.09, end[spread], at[spread] + 0.09, end[spread])).opts(
                    color=INK, line_width=2
                )
                for end in (seeds["min"], seeds["max"])
            ),
        ]
    if seed is not None:
        shown = table[(table["space"] == "embedding") & (table["seed"] == seed)]
        values = shown.set_index("signature")["value"].reindex(names)
        dots = hv.Scatter((np.arange(len(names)) - 0.2, values), label=f"embedding, seed {seed}")
        layers.append(dots.opts(color="#F0E442", line_color=INK, size=8, tools=["hover"]))
    return layers


@on_bokeh
def most_sensitive_map(
    first: xr.DataArray, attributes: xr.Dataset, *, title: str = "", width: int = 820
) -> hv.Overlay:
    """Each basin's most sensitive attribute on a map (Fig. 7): a hue for climate, topography, soil,
    vegetation and geology, a shade for each attribute of it.

    Parameters
    ----------
    first
        Name of an attribute for each `basin`, with the coordinates `lat` and `lon`.
    attributes
        Variables of these names, with `long_name`, and `group` where it is known.
    """
    from bokeh import palettes

    words, colours = {}, {}
    counts = first.to_series().value_counts()
    for name in counts.index:
        group = str(attributes[name].attrs.get("group", ""))
        text = str(attributes[name].attrs.get("long_name", name))
        words[name] = f"{GROUPS[group][0]}: {text}" if group in GROUPS else text
        if group in GROUPS:
            shades = getattr(palettes, GROUPS[group][1])[8]
            used = sum(colour in shades for colour in colours.values())
            colours[words[name]] = shades[min(used + 1, 6)]
    named = first.copy(data=[words[name] for name in first.values])
    grouped = {"colours": colours} if len(colours) == len(counts) else {}
    drawn = basin_map(named, title=title, width=width, most=12, **grouped)
    rows = -(-min(len(counts), 13) // 2)
    return drawn.opts(legend_position="bottom", legend_cols=2, height=500 + 24 * rows)


def cluster_maps(labels: Mapping[str, xr.DataArray], *, width: int = WIDTH // 2) -> hv.Layout:
    """Maps of clusters by title (Fig. 11), two in a row; a cluster of one number has the same
    colour in all.

    Parameters
    ----------
    labels
        Cluster of each basin, with the coordinates lat and lon; see `similarity.aligned`.
    """
    n = 1 + max(int(of.max()) for of in labels.values())
    colours = {str(c + 1): colour for c, colour in zip(range(n), CATEGORIES, strict=False)}
    return (
        hv.Layout(
            [
                basin_map(
                    (of + 1).astype(str),
                    title=title,
                    label="cluster",
                    colours=colours,
                    most=n,
                    width=width,
                )
                for title, of in labels.items()
            ]
        )
        .cols(2)
        .opts(shared_axes=False)
    )


def embedding_plane(
    values: xr.DataArray, *, label: str = "", title: str = "", width: int = 520, height: int = 400
) -> hv.Overlay:
    """A projection of catchments onto a plane, to select in by box and lasso.

    Parameters
    ----------
    values
        Number or category of each `basin`, for the colours, with the coordinates `x` and `y`.
    """
    return basin_points(values, "x", "y", label=label, select=True, key=False).opts(
        width=width, height=height, title=title, xaxis=None, yaxis=None, padding=0.05, **TO_SELECT
    )


def projections(
    plane: pd.DataFrame,
    values: xr.Dataset,
    *,
    columns: int = 3,
    width: int = 310,
    cmap: str = SEQUENTIAL,
) -> hv.Layout:
    """A projection onto a plane once for each variable of `values`, coloured by it (Fig. 12).

    Parameters
    ----------
    plane
        Columns basin, x, y.
    values
        Variables over basin, numbers; colours reach from the 2nd to the 98th percentile.
    """
    located = values.sel(basin=plane["basin"].to_numpy()).assign_coords(
        {n: ("basin", plane[n].to_numpy()) for n in ("x", "y")}
    )
    panels = [
        basin_points(da, "x", "y", cmap=cmap).opts(
            hv.opts.Points(size=5, colorbar_opts={"width": 8, "padding": 2}),
            hv.opts.Overlay(
                width=width,
                height=width - 30,
                title=wrapped(axis_label(da), width, 12),
                xaxis=None,
                yaxis=None,
                active_tools=["pan"],
                fontsize={"title": "12px"},
                padding=0.05,
            ),
        )
        for name, da in located.data_vars.items()
    ]
    return hv.Layout(panels).cols(columns).opts(shared_axes=True)


@on_bokeh
def agreement_matrix(table: pd.DataFrame, k: int, *, width: int = 430) -> hv.Overlay:
    """Adjusted Rand index between the clusters of each pair of seeds, and of the attributes:
    columns k, one, other, adjusted_rand."""
    from holoviews.plotting.util import process_cmap

    # seeds read from a file are numbers
    of_k = table.loc[table["k"] == k, ["one", "other", "adjusted_rand"]].astype(
        {"one": str, "other": str}
    )
    names = list(dict.fromkeys([*of_k["one"], *of_k["other"]]))
    whole = pd.concat(
        [
            of_k,
            of_k.rename(columns={"one": "other", "other": "one"}),
            pd.DataFrame({"one": names, "other": names, "adjusted_rand": 1.0}),
        ]
    ).sort_values(["one", "other"], key=lambda column: column.map(names.index))
    heat = hv.HeatMap(whole, ["one", "other"], ("adjusted_rand", "adjusted Rand index")).opts(
        cmap=process_cmap("Blues", 100)[:60],
        clim=(0, 1),
        width=width,
        height=width - 60,
        xlabel="seed",
        ylabel="seed",
        title=f"agreement of seeds, {k} clusters",
        tools=["hover"],
        active_tools=[],
        xrotation=45,
        **COLOUR_BAR,
    )
    text = hv.Labels(
        whole.assign(text=whole["adjusted_rand"].map("{:.2f}".format)), ["one", "other"], "text"
    ).opts(text_font_size="9px", text_color=INK)
    return hv.Overlay([heat, text] if len(names) <= 12 else [heat])


@on_bokeh
def ranking_bars(
    table: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    title: str = "",
    width: int = 720,
) -> hv.Overlay:
    """Attributes by sensitivity, the mean over seeds as a bar and each seed as a dot.

    Parameters
    ----------
    table
        Columns attribute, sensitivity, and seed where there are several.
    names
        What an attribute is called in words.
    """
    means = table.groupby("attribute")["sensitivity"].mean().sort_values()
    rows = np.arange(len(means))
    dots = table.assign(place=table["attribute"].map(dict(zip(means.index, rows, strict=True))))
    return hv.Overlay(
        [
            hv.Rectangles((np.zeros(len(means)), rows - 0.35, means.to_numpy(), rows + 0.35)).opts(
                color="#9CC3E0", line_color=None
            ),
            hv.Scatter(dots, "sensitivity", ["place", "attribute"]).opts(
                color=SPACES["embedding"], size=5, tools=["hover"], alpha=0.8
            ),
        ]
    ).opts(
        width=width,
        height=90 + 19 * len(means),
        xlim=(0, None),
        ylim=(-0.7, len(means) - 0.3),
        yticks=[(row, (names or {}).get(name, name)) for row, name in enumerate(means.index)],
        ylabel="",
        xlabel="sensitivity, scaled to 0..1 within each basin",
        title=title,
        **FREE,
    )
