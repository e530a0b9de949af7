"""The page of probes: what a network's insides tell about what it was never trained on, beside the
controls."""

from collections.abc import Callable

import holoviews as hv
import pandas as pd
import panel as pn

from hydronb import plots
from hydronb.analysis.benchmark import read_published
from hydronb.app import catchment
from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import WIDE, Page, heading, html_table, note, row
from hydronb.errors import DataError
from hydronb.plots.probes import LEAST
from hydronb.plots.style import metric_label

FILE = "probes.csv"
COLUMNS = ("label", "layer", "target", "control", "split", "nse", "r")
CONTROLS = (
    "A probe is a linear regression from a layer's values to something the network was not trained"
    " on. It says something only where it beats its controls: the same from an untrained network,"
    " from the forcing alone, and to targets whose days are shuffled."
)


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    def kinds(column: str) -> Callable[[], dict[str, str]]:
        """The values in a column of the probes."""
        return lambda: {
            str(v).replace("_", " "): str(v)
            for v in dict.fromkeys(_table(state, outputs)[column])
            if v != "grid mean"
        }

    def table(file: str, title: str) -> str | None:
        """A table of the analysis, if it has it."""
        name = chosen_probes(state, outputs)
        if not (outputs.folder(name) / file).is_file():
            return None
        return html_table(outputs.table(name, file), title, index=False, digits=2)

    def published(name: str, title: str) -> str:
        return html_table(read_published(name), title, index=False, digits=2)

    return pn.Column(
        heading("Probes"),
        pn.pane.HTML(note(CONTROLS), **WIDE),
        row(
            page.choice(
                "probes",
                "Analysis",
                lambda: {n: n for n in outputs.having(FILE)},
                value=lambda: chosen_probes(state, outputs),
                width=330,
            ),
            page.choice("layer", "Layer", kinds("layer"), on=["probes"], width=140),
            page.choice("score", "Score", lambda: {metric_label(n): n for n in LEAST}, width=140),
            page.choice("split", "On days", kinds("split"), on=["probes"], width=140),
        ),
        row(
            page.part(
                lambda: _scores(state, outputs),
                ["probes", "layer", "score", "split"],
                width=700,
                table=lambda: _table(state, outputs),
                name="probes",
            )
        ),
        row(
            page.part(
                lambda: table("table5.csv", "Table 5: features to basin means, r"), ["probes"]
            ),
            page.part(lambda: published("li2023_table5", "Table 5 as published"), []),
        ),
        row(
            page.part(
                lambda: table("cell_states.csv", "Cell states, NSE on test days"), ["probes"]
            ),
            page.part(
                lambda: published(
                    "li2023_cell_states", "As published (Figs. 8 and 9), without controls"
                ),
                [],
            ),
        ),
        heading("Probed and true, day by day (Figs. 8 and 9)"),
        row(
            page.choice(
                "series",
                "Series",
                lambda: _series(state, outputs),
                on=["probes"],
                value=lambda: state.series or next(iter(_series(state, outputs).values()), ""),
                width=520,
            )
        ),
        row(
            page.part(
                lambda: _hydrograph(state, outputs),
                ["probes", "series", "since", "years"],
                width=700,
            )
        ),
        sizing_mode="stretch_width",
    )


def chosen_probes(state: State, outputs: Outputs) -> str:
    """The visitor's analysis, else the newest."""
    return state.probes or catchment.newest_with(
        outputs, FILE, what="analysis of probes", notebook="cnn_lstm_03_probes"
    )


def _table(state: State, outputs: Outputs) -> pd.DataFrame:
    return outputs.table(chosen_probes(state, outputs), FILE, COLUMNS)


def _scores(state: State, outputs: Outputs) -> hv.Layout:
    table = _table(state, outputs)
    if state.score not in LEAST:
        raise DataError(f"there is no score {state.score[:40]!r}; choose {' or '.join(LEAST)}")
    if not ((table["layer"] == state.layer) & (table["split"] == state.split)).any():
        raise DataError(
            f"no run was probed in layer {state.layer[:40]!r} on {state.split[:40]!r} days; choose"
            " another"
        )
    return plots.probe_scores(table, layer=state.layer, value=state.score, split=state.split)


def _series(state: State, outputs: Outputs) -> dict[str, str]:
    """Files of probed series, by their titles."""
    name = chosen_probes(state, outputs)
    files = sorted(outputs.folder(name).glob("probe_*.nc"), key=lambda f: (len(f.name), f.name))
    return {str(outputs.still(name, f.name).attrs.get("title", f.name)): f.name for f in files}


def _hydrograph(state: State, outputs: Outputs) -> hv.Overlay:
    titles = {file: title for title, file in _series(state, outputs).items()}
    if not titles:
        raise DataError(
            "this analysis keeps no series: only runs that were not trained on streamflow, or not"
            " on evaporation, have one"
        )
    file = state.series or next(iter(titles))
    if file not in titles:
        raise DataError(f"there is no series {file[:40]!r}; choose another")
    outputs.still(chosen_probes(state, outputs), file, ["truth", "probed"])
    ds = catchment.in_shown_years(outputs.read(chosen_probes(state, outputs), file), state)
    return plots.hydrograph(ds["truth"], {"probe": ds["probed"]}, title=titles[file])
