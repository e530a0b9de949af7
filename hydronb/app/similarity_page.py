"""The page of similar catchments: embedding, clusters and map, linked; and the one catchment that
was clicked."""

import pandas as pd
import panel as pn
import xarray as xr

from hydronb import plots
from hydronb.app import catchment
from hydronb.app.outputs import find_basin, refuse_unless, value_or
from hydronb.app.view import LinkedPlots, Page, column, heading, html_table, note, row
from hydronb.data.dataset import bare_id
from hydronb.plots import similarity as figures

LOOKS = {
    "Silhouettes (Fig. 9)": "silhouettes",
    "Input gates (Fig. 8)": "gates",
    "Variance explained (Fig. 10)": "variance",
    "Sensitivity (Fig. 7)": "sensitivity",
}
SPACES = {"embedding": "embedding", "raw attributes": "attributes"}
NEIGHBOURS = 8


def build(page: Page) -> pn.Column:
    of = Embedding(page)
    links = LinkedPlots(page.state)
    colours = ["embedding", "seed", "space", "k", "colour"]
    clear = pn.widgets.Button(name="Clear selection", width=120, margin=(20, 10, 4, 10))
    clear.on_click(lambda _: page.state.param.update(selection=[]))
    return pn.Column(
        heading("Catchment similarity"),
        row(
            page.choice(
                "embedding",
                "Analysis",
                lambda: {n: n for n in page.outputs.having("embedding.nc")},
                value=lambda: of.name,
                width=330,
            ),
            page.choice(
                "seed", "Seed", of.seeds, on=["embedding"], value=lambda: of.seed, width=90
            ),
            page.choice("space", "Clusters of", lambda: SPACES, width=130),
            page.slider("k", "k, number of clusters", of.ks, on=["embedding"], width=200),
            page.choice(
                "colour",
                "Colour by",
                lambda: {text: name for name, text in value_or(of.words, {}).items()},
                on=["embedding"],
                width=330,
            ),
            clear,
        ),
        row(
            page.part(
                lambda: _plane(of),
                colours,
                drawn=lambda plot: links.listen("plane", plot),
                width=380,
                table=lambda: of.plane().assign(
                    cluster=of.clusters().reindex(of.plane()["basin"]).to_numpy()
                ),
                name="umap",
            ),
            page.part(
                lambda: catchment.gauge_map(*of.values(), of.open()),
                colours,
                drawn=lambda plot: links.listen("map", plot),
                width=440,
                grow=2,
                table=lambda: of.values()[0].to_frame(),
                name="colours",
            ),
        ),
        row(page.part(lambda: _selected(of), ["selection", "embedding"], width=700)),
        row(
            page.of_basin(
                lambda: catchment.flow_figure(page),
                ["runs", "since", "years"],
                width=700,
                table=lambda: catchment.flow_table(page),
                name="hydrograph",
            )
        ),
        row(
            page.of_basin(
                lambda: plots.attribute_percentiles(of.attributes(), of.basin(), of.over_basin()),
                ["embedding"],
                width=560,
            ),
            column(
                page.of_basin(
                    lambda: figures.gates_of_basin(
                        of.open()["input_gate"].sel(basin=of.basin()),
                        title="input gate, one row per seed",
                    ),
                    ["embedding"],
                ),
                page.of_basin(
                    lambda: html_table(
                        neighbours(of).reset_index(),
                        "Nearest neighbours in embedding space",
                        index=False,
                    ),
                    ["embedding", "seed", "space", "k"],
                ),
            ),
        ),
        row(
            page.of_basin(
                lambda: html_table(catchment.metrics_of(page), "Metrics of the compared runs"),
                ["runs"],
                width=700,
            )
        ),
        heading("All catchments"),
        row(page.choice("look", "Figure", lambda: LOOKS, width=260)),
        row(
            page.part(
                lambda: _look(of)[0],
                ["look", "embedding", "seed", "k", "selection"],
                width=700,
                table=lambda: _look(of)[1],
                name="figure",
            )
        ),
        sizing_mode="stretch_width",
    )


class Embedding:
    """What the notebook ealstm_05_similarity wrote, as the state asks for it."""

    def __init__(self, page: Page) -> None:
        self.page, self.state, self.outputs = page, page.state, page.outputs

    @property
    def name(self) -> str:
        """The visitor's run directory, else the newest."""
        return (
            self.state.embedding
            or catchment.runs_with(
                self.page,
                "embedding.nc",
                what="similarity analysis",
                notebook="ealstm_05_similarity",
            )[0]
        )

    @property
    def seed(self) -> str:
        return self.state.seed or str(self.open()["seed"].values[0])

    def open(self) -> xr.Dataset:
        return self.outputs.still(self.name, "embedding.nc", ["input_gate", "basin", "seed"])

    def seeds(self) -> dict[str, str]:
        return {str(s): str(s) for s in self.open()["seed"].values}

    def ks(self) -> tuple[int, int]:
        k = self.table("silhouettes.csv", "mean", "min")["k"]
        return int(k.min()), int(k.max())

    def over_basin(self) -> xr.Dataset:
        """Attributes and signatures."""
        ds = self.open()
        return ds[[n for n, v in ds.data_vars.items() if v.dims == ("basin",)]]

    def attributes(self) -> pd.DataFrame:
        """Those that are numbers, one row per basin."""
        ds = self.over_basin()
        return pd.DataFrame(
            {n: v.values for n, v in ds.items() if v.dtype.kind in "fiu"},
            ds["basin"].values.astype(str),
        )

    def words(self) -> dict[str, str]:
        """What points can be coloured by, in words with units: clusters, attributes, signatures."""
        return {"cluster": "cluster"} | {
            str(n): plots.axis_label(v) for n, v in self.over_basin().items()
        }

    def table(self, file: str, *columns: str, space: str = "", of_k: bool = False) -> pd.DataFrame:
        """A table by space and seed; with `space` the rows of that, for the seed in the case of the
        embedding; with `of_k` the rows for the number of clusters."""
        table = self.outputs.table(self.name, file, ["space", "seed", *columns])
        if space:
            table = table[table["space"] == space]
        if space == "embedding":
            table = table[table["seed"] == pd.to_numeric(self.seed, errors="coerce")]
            refuse_unless(len(table), f"{self.name} has no seed {self.seed[:20]!r}; choose one")
        if of_k:
            table = table[table["k"] == self.state.k]
            refuse_unless(
                len(table), f"{self.name} has no clusters for k = {self.state.k}; move the slider"
            )
        return table

    def plane(self) -> pd.DataFrame:
        return self.table("umap.csv", "basin", "x", "y", space="embedding")[["basin", "x", "y"]]

    def clusters(self) -> pd.Series:
        """Number of each basin's cluster as text, from 1 on, the largest first."""
        space = self.state.space
        refuse_unless(
            space in SPACES.values(),
            f"clusters are of {' or '.join(SPACES.values())}, not of {space[:40]!r}",
        )
        return (
            self.table("clusters.csv", "k", "basin", "cluster", space=space, of_k=True)
            .set_index("basin")["cluster"]
            .add(1)
            .astype(str)
        )

    def values(self) -> tuple[pd.Series, str]:
        """What the points are coloured by, and its label."""
        name = self.state.colour
        if name == "cluster":
            return self.clusters(), name
        ds = self.over_basin()
        refuse_unless(
            name in ds, f"{self.name} has no attribute or signature {name[:40]!r}; choose another"
        )
        return (
            pd.Series(ds[name].values, ds["basin"].values.astype(str), name=name),
            plots.axis_label(ds[name]),
        )

    def basin(self) -> str:
        """The clicked catchment, by its id in the embedding."""
        return str(find_basin(self.open()["basin"].values, self.state.basin, self.name))

    def gates(self) -> xr.DataArray:
        """Input gates (basin, cell) of the seed."""
        refuse_unless(
            self.seed in self.seeds(), f"{self.name} has no seed {self.seed[:20]!r}; choose one"
        )
        return self.open()["input_gate"].sel(seed=int(self.seed))


def _plane(of: Embedding) -> plots.Figure:
    values, label = of.values()
    return figures.embedding_plane(
        catchment.placed_values(values, of.plane()), label=label, title="UMAP of the input gates"
    )


def _selected(of: Embedding) -> str:
    table = of.attributes()
    inside = table.loc[table.index.isin(of.state.selection)]
    if inside.empty:
        return note(
            "Draw a box (or choose the lasso) on either plot to select catchments; click one to see"
            " it below."
        )
    return html_table(
        pd.DataFrame({"selected": inside.median(), "all": table.median()}).rename(index=of.words()),
        f"{len(inside)} of {len(table)} catchments selected; medians:",
    )


def neighbours(of: Embedding) -> pd.DataFrame:
    """Nearest catchments in embedding space (Euclidean distance of the input gates), nearest
    first."""
    basin, gates = of.basin(), of.gates()
    table = (
        (((gates - gates.sel(basin=basin)) ** 2).sum("cell") ** 0.5)
        .rename("distance")
        .to_series()
        .drop(basin)
        .nsmallest(NEIGHBOURS)
        .to_frame()
    )
    if "gauge_name" in gates.coords:
        table["name"] = gates["gauge_name"].to_series().astype(str)
    return table.assign(cluster=of.clusters()).rename_axis("basin")


def _look(of: Embedding) -> tuple[plots.Figure, pd.DataFrame]:
    """The chosen figure of all catchments, and its numbers."""
    look = of.state.look
    refuse_unless(
        look in LOOKS.values(),
        f"there is no figure {look[:40]!r}; choose one of {', '.join(LOOKS)}",
    )
    match look:
        case "silhouettes":
            table = of.table("silhouettes.csv", "mean", "min")
            return figures.silhouette_curves(table, at=of.state.k), table
        case "gates":
            gates = of.gates()
            selected = gates["basin"].isin(of.state.selection)
            chosen = gates[selected] if selected.any() else gates
            return (
                figures.gate_image(
                    chosen, title=f"input gates of {len(chosen)} catchments, seed {of.seed}"
                ),
                gates.to_pandas(),
            )
        case "variance":
            of_k = of.table(
                "variance_reduction.csv", "k", "signature", "weighting", "value", of_k=True
            )
            return figures.variance_bars(of_k, of.state.k), of_k
        case "sensitivity":
            return _sensitivity(of)


def _sensitivity(of: Embedding) -> tuple[plots.Figure, pd.DataFrame]:
    """Of the newest sensitivity analysis of the same plan, else of any."""
    names = catchment.runs_with(
        of.page,
        "sensitivities.csv",
        what="sensitivity analysis",
        notebook="ealstm_04_sensitivity",
    )
    name = next((n for n in names if n.split("/")[0] == of.name.split("/")[0]), names[0])
    each = of.outputs.table(name, "sensitivities.csv", ["basin", "attribute", "sensitivity"])
    first = (
        each.pivot_table("sensitivity", "basin", "attribute", aggfunc="mean")
        .idxmax(axis=1)
        .rename(index=bare_id)
    )
    ds = of.open().assign_coords(basin=[bare_id(b) for b in of.open()["basin"].values.astype(str)])
    ds = ds.sel(basin=ds["basin"].isin(first.index))
    refuse_unless(
        ds.sizes["basin"],
        f"{name} and {of.name} have no catchment in common, so there is no map of the"
        " sensitivities",
    )
    ranks = of.outputs.table(name, "rankings.csv", ["attribute", "sensitivity"])
    words = of.words()
    most = catchment.gauge_map(
        first.map(lambda name: words.get(name, name)),
        "most sensitive to",
        ds,
        title="the attribute that streamflow answers to most",
    )
    bars = figures.ranking_bars(
        ranks, names=words, title="all catchments; a dot is a seed", width=620
    )
    return (most + bars).opts(shared_axes=False), each
