"""The page of similar catchments: embedding, clusters and map, linked; and the one catchment that
was clicked."""

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import xarray as xr

from hydronb.app import catchment
from hydronb.app.outputs import Outputs, find_basin
from hydronb.app.state import State
from hydronb.app.view import Linked, Page, column, heading, html_table, note, row
from hydronb.data.dataset import bare_id
from hydronb.errors import DataError
from hydronb.plots import selection as linked
from hydronb.plots import similarity

LOOKS = {
    "Silhouettes (Fig. 9)": "silhouettes",
    "Input gates (Fig. 8)": "gates",
    "Variance explained (Fig. 10)": "variance",
    "Sensitivity (Fig. 7)": "sensitivity",
}
SPACES = {"embedding": "embedding", "raw attributes": "attributes"}
NEIGHBOURS = 8


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    of = Embedding(state, outputs)
    links = Linked(state)
    colours = ["embedding", "seed", "space", "k", "colour"]
    time = ["runs", "basin", "since", "years"]
    clear = pn.widgets.Button(name="Clear selection", width=120, margin=(20, 10, 4, 10))
    clear.on_click(lambda _: state.param.update(selection=[]))
    return pn.Column(
        heading("Catchment similarity"),
        row(
            page.choice(
                "embedding",
                "Analysis",
                lambda: {n: n for n in outputs.having("embedding.nc")},
                default=lambda: of.name,
                width=330,
            ),
            page.choice(
                "seed", "Seed", of.seeds, on=["embedding"], default=lambda: of.seed, width=90
            ),
            page.choice("space", "Clusters of", lambda: SPACES, width=130),
            page.slider("k", "k, number of clusters", of.ks, on=["embedding"], width=200),
            page.choice("colour", "Colour by", of.colours, on=["embedding"], width=180),
            clear,
        ),
        row(
            page.part(
                lambda: _plane(of),
                colours,
                drawn=links.listen("plane"),
                width=380,
                table=lambda: of.plane().assign(
                    cluster=of.clusters().reindex(of.plane()["basin"]).to_numpy()
                ),
                name="umap",
            ),
            page.part(
                lambda: _map(of),
                colours,
                drawn=links.listen("map"),
                width=440,
                grow=2,
                table=lambda: of.values()[0].to_frame(),
                name="colours",
            ),
        ),
        row(page.part(lambda: _selected(of), ["selection", "embedding"], width=700)),
        row(
            page.part(
                lambda: _hydrograph(state, outputs),
                time,
                width=700,
                table=lambda: catchment.flow_table(state, outputs),
                name="hydrograph",
            )
        ),
        row(
            page.part(lambda: _standing(of), ["basin", "embedding"], width=480),
            column(
                page.part(lambda: _strip(of), ["basin", "embedding"]),
                page.part(lambda: _neighbours(of), ["basin", "embedding", "seed", "space", "k"]),
            ),
        ),
        row(page.part(lambda: _metrics(state, outputs), ["basin", "runs"], width=700)),
        heading("All catchments"),
        row(page.choice("look", "Figure", lambda: LOOKS, width=260)),
        row(
            page.part(
                lambda: _look(of),
                ["look", "embedding", "seed", "k", "selection"],
                width=700,
                table=lambda: _look_table(of),
                name="figure",
            )
        ),
        sizing_mode="stretch_width",
    )


class Embedding:
    """What the notebook ealstm_05_similarity wrote, as the state wants it."""

    def __init__(self, state: State, outputs: Outputs) -> None:
        self.state, self.outputs = state, outputs

    @property
    def name(self) -> str:
        if self.state.embedding:
            return self.state.embedding
        there = self.outputs.having("embedding.nc")
        if not there:
            raise DataError(
                "no similarity analysis here yet; the notebook ealstm_05_similarity makes one: "
                "`hydronb run params/demo.yaml`"
            )
        return catchment.newest_first(self.outputs, there, "embedding.nc")[0]

    @property
    def seed(self) -> str:
        return self.state.seed or str(self.open()["seed"].values[0])

    def open(self) -> xr.Dataset:
        return self.outputs.still(self.name, "embedding.nc", ["input_gate", "basin", "seed"])

    def seeds(self) -> dict[str, str]:
        return self._or_nothing(lambda: {str(s): str(s) for s in self.open()["seed"].values})

    def ks(self) -> tuple[int, int]:
        found = self._or_nothing(lambda: dict.fromkeys(self.silhouettes()["k"]))
        return (int(min(found)), int(max(found))) if found else (2, 14)

    def colours(self) -> dict[str, str]:
        return {"cluster": "cluster"} | self._or_nothing(lambda: {n: n for n in self.over_basin()})

    def _or_nothing(self, made: object) -> dict:
        try:
            return made()
        except DataError:
            return {}

    def over_basin(self) -> list[str]:
        """Attributes and signatures."""
        return [str(n) for n, v in self.open().data_vars.items() if v.dims == ("basin",)]

    def attributes(self) -> pd.DataFrame:
        """Those that are numbers, a row a basin."""
        ds = self.open()
        numbers = [n for n in self.over_basin() if ds[n].dtype.kind in "fiu"]
        return pd.DataFrame(
            {n: ds[n].values for n in numbers}, index=ds["basin"].values.astype(str)
        )

    def units(self) -> dict[str, str]:
        return {n: str(self.open()[n].attrs.get("units", "")) for n in self.over_basin()}

    def silhouettes(self) -> pd.DataFrame:
        return self.outputs.table(
            self.name, "silhouettes.csv", ["space", "seed", "k", "mean", "min"]
        )

    def _of_seed(self, table: pd.DataFrame, space: str) -> pd.DataFrame:
        mine = table["space"] == space
        if space == "embedding":
            if not self.seed.isdigit() or int(self.seed) not in set(table.loc[mine, "seed"]):
                raise DataError(f"{self.name} has no seed {self.seed[:20]!r}; choose one")
            mine &= table["seed"] == int(self.seed)
        return table[mine]

    def plane(self) -> pd.DataFrame:
        table = self.outputs.table(self.name, "umap.csv", ["space", "seed", "basin", "x", "y"])
        return self._of_seed(table, "embedding")[["basin", "x", "y"]]

    def clusters(self) -> pd.Series:
        """Number of each basin's cluster as text, from 1 on, the largest first."""
        if self.state.space not in SPACES.values():
            raise DataError(
                f"clusters are of {' or '.join(SPACES.values())}, not of {self.state.space[:40]!r}"
            )
        table = self.outputs.table(
            self.name, "clusters.csv", ["space", "seed", "k", "basin", "cluster"]
        )
        mine = self._of_seed(table, self.state.space)
        mine = mine[mine["k"] == self.state.k].set_index("basin")["cluster"]
        if mine.empty:
            raise DataError(f"{self.name} has no clusters for k = {self.state.k}; move the slider")
        return (mine + 1).astype(str)

    def values(self) -> tuple[pd.Series, str]:
        """What the points are coloured by, and what to call it."""
        if self.state.colour == "cluster":
            return self.clusters().rename("cluster"), "cluster"
        ds = self.open()
        if self.state.colour not in self.over_basin():
            raise DataError(
                f"{self.name} has no attribute or signature {self.state.colour[:40]!r}; choose"
                " another"
            )
        of_all = ds[self.state.colour]
        values = pd.Series(
            of_all.values, index=ds["basin"].values.astype(str), name=self.state.colour
        )
        unit = str(of_all.attrs.get("units", ""))
        return values, self.state.colour + (f" ({unit})" if unit not in ("", "1", "-") else "")

    def basin(self) -> str:
        """The clicked catchment, by the id it has here."""
        return str(find_basin(self.open()["basin"].values, self.state.basin, self.name))

    def knows(self) -> bool:
        """Whether the clicked catchment is here."""
        return bare_id(self.state.basin) in {bare_id(str(b)) for b in self.open()["basin"].values}

    def gates(self) -> xr.DataArray:
        """Input gates (basin, cell) of the seed."""
        gates = self.open()["input_gate"]
        if self.seed not in gates["seed"].values.astype(str):
            raise DataError(f"{self.name} has no seed {self.seed[:20]!r}; choose one")
        return gates.sel(seed=int(self.seed))


def _plane(of: Embedding) -> hv.Overlay:
    values, label = of.values()
    return linked.plane(of.plane(), values, label=label, title="UMAP of the input gates")


def _map(of: Embedding) -> hv.Overlay:
    values, label = of.values()
    ds = of.open()
    if lacking := [c for c in ("lat", "lon") if c not in ds.coords]:
        raise DataError(f"{of.name}/embedding.nc has no {lacking[0]}, so there is no map")
    frame = pd.DataFrame(
        {"basin": ds["basin"].values.astype(str), "lon": ds["lon"].values, "lat": ds["lat"].values}
    )
    return linked.gauges(frame, values, label=label, title=label)


def _selected(of: Embedding) -> str:
    table = of.attributes()
    inside = [b for b in of.state.selection if b in table.index]
    if not inside:
        return note(
            "Draw a box (or choose the lasso) on either plot to select catchments; click one to see"
            " it below."
        )
    both = pd.DataFrame({"selected": table.loc[inside].median(), "all": table.median()})
    return note(f"{len(inside)} of {len(table)} catchments selected; medians:") + html_table(both.T)


def _hydrograph(state: State, outputs: Outputs) -> object:
    return catchment.hydrograph(state, outputs) if state.basin else None


def _standing(of: Embedding) -> object:
    return linked.standing(of.attributes(), of.basin(), of.units()) if of.state.basin else None


def _strip(of: Embedding) -> object:
    if not of.knows():
        return None
    gates = of.open()["input_gate"].sel(basin=of.basin())
    return linked.gate_strip(gates, title="input gate, a row a seed")


def neighbours(of: Embedding) -> pd.DataFrame:
    """Nearest catchments in embedding space (Euclidean distance of the input gates), nearest
    first."""
    gates = of.gates().transpose("basin", "cell")
    here = of.basin()
    distance = (
        np.sqrt(((gates - gates.sel(basin=here)) ** 2).sum("cell"))
        .to_series()
        .drop(here)
        .nsmallest(NEIGHBOURS)
    )
    ds = of.open()
    shown = {"distance": distance}
    if "gauge_name" in ds.coords:
        shown["name"] = ds["gauge_name"].sel(basin=distance.index).to_series().astype(str)
    return pd.DataFrame(shown | {"cluster": of.clusters().reindex(distance.index)}).rename_axis(
        "basin"
    )


def _neighbours(of: Embedding) -> str | None:
    if not of.knows():
        return None
    return note("Nearest neighbours in embedding space") + html_table(
        neighbours(of).reset_index(), index=False
    )


def _metrics(state: State, outputs: Outputs) -> str | None:
    if not state.basin:
        return None
    return note("Metrics of the compared runs") + html_table(catchment.metrics_of(state, outputs))


def _look(of: Embedding) -> object:
    state = of.state
    if state.look == "silhouettes":
        return similarity.silhouettes(of.silhouettes(), at=state.k)
    if state.look == "gates":
        gates = of.gates()
        inside = [b for b in gates["basin"].values.astype(str) if b in set(state.selection)]
        chosen = gates.sel(basin=inside) if inside else gates
        title = f"input gates of {chosen.sizes['basin']} catchments, seed {of.seed}"
        return similarity.input_gates(chosen, title=title)
    if state.look == "variance":
        return similarity.variance_reduction(_look_table(of), state.k)
    if state.look == "sensitivity":
        return _sensitivity(of)
    raise DataError(f"there is no figure {state.look[:40]!r}; choose one of {', '.join(LOOKS)}")


def _look_table(of: Embedding) -> pd.DataFrame:
    look = of.state.look
    if look == "gates":
        return of.gates().to_pandas()
    if look == "variance":
        columns = ["space", "seed", "k", "signature", "weighting", "value"]
        table = of.outputs.table(of.name, "variance_reduction.csv", columns)
        if of.state.k not in set(table["k"]):
            raise DataError(f"{of.name} has no clusters for k = {of.state.k}; move the slider")
        return table
    return (
        of.outputs.table(_gradients(of), "sensitivities.csv")
        if look == "sensitivity"
        else of.silhouettes()
    )


def _gradients(of: Embedding) -> str:
    """The sensitivity analysis of the same plan, else any."""
    there = of.outputs.having("sensitivities.csv")
    if not there:
        raise DataError(
            "no sensitivity analysis here yet; the notebook ealstm_04_sensitivity makes one: "
            "`hydronb run params/demo.yaml`"
        )
    plan = of.name.split("/")[0]
    return next((n for n in there if n.split("/")[0] == plan), there[0])


def _sensitivity(of: Embedding) -> hv.Layout:
    name = _gradients(of)
    each = of.outputs.table(name, "sensitivities.csv", ["basin", "attribute", "sensitivity"])
    mean = each.pivot_table("sensitivity", "basin", "attribute", aggfunc="mean")
    first = mean.idxmax(axis=1)
    ds = of.open()
    places = zip(ds["basin"].values, ds["lon"].values, ds["lat"].values, strict=True)
    places = {bare_id(str(b)): (x, y) for b, x, y in places}
    first = first[[bare_id(b) in places for b in first.index]]
    if first.empty:
        raise DataError(
            f"{name} and {of.name} have no catchment in common, so there is no map of the"
            " sensitivities"
        )
    lon, lat = np.array([places[bare_id(b)] for b in first.index]).T
    frame = pd.DataFrame({"basin": first.index, "lon": lon, "lat": lat})
    ranks = of.outputs.table(name, "rankings.csv", ["attribute", "sensitivity"])
    here = linked.gauges(
        frame,
        first,
        label="most sensitive to",
        title="the attribute that streamflow answers to most",
    )
    return hv.Layout(
        [here, similarity.ranking(ranks, title="all catchments; a dot is a seed", width=520)]
    ).opts(shared_axes=False)
