"""The page of probes: what a network's insides tell about what it was never trained on, beside the
controls."""

from pathlib import Path

import pandas as pd
import panel as pn

from hydronb import plots
from hydronb.analysis.published import read_published
from hydronb.app import catchment
from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import Page, heading, html_table, note, row
from hydronb.errors import DataError, HydronbError
from hydronb.plots import probes as figures

FILE = "probes.csv"
COLUMNS = ("label", "layer", "target", "control", "split", "nse", "r")
SCORES = {"NSE": "nse", "correlation": "r"}


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    def kinds(column: str) -> dict[str, str]:
        try:
            found = dict.fromkeys(_table(state, outputs)[column])
        except HydronbError:
            return {}
        return {str(v).replace("_", " "): str(v) for v in found if v != "grid mean"}

    return pn.Column(
        heading("Probes"),
        note_of_controls(),
        row(
            page.choice(
                "probes",
                "Analysis",
                lambda: {n: n for n in outputs.having(FILE)},
                default=lambda: chosen(state, outputs),
                width=330,
            ),
            page.choice("layer", "Layer", lambda: kinds("layer"), on=["probes"], width=140),
            page.choice("score", "Score", lambda: SCORES, width=140),
            page.choice("split", "On days", lambda: kinds("split"), on=["probes"], width=140),
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
                lambda: _made(state, outputs, "table5.csv", "Table 5: features to basin means, r"),
                ["probes"],
            ),
            page.part(lambda: _published("li2023_table5", "Table 5 as published"), []),
        ),
        row(
            page.part(
                lambda: _made(state, outputs, "cell_states.csv", "Cell states, NSE on test days"),
                ["probes"],
            ),
            page.part(
                lambda: _published(
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
                default=lambda: next(iter(_series(state, outputs).values()), ""),
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


def note_of_controls() -> pn.pane.HTML:
    return pn.pane.HTML(
        note(
            "A probe is a linear regression from a layer's values to something the network was not"
            " trained on. It says something only where it beats its controls: the same from an"
            " untrained network, from the forcing alone, and to targets whose days are shuffled."
        ),
        sizing_mode="stretch_width",
        margin=0,
    )


def chosen(state: State, outputs: Outputs) -> str:
    """The visitor's analysis, else the newest."""
    there = outputs.having(FILE)
    if not there and not state.probes:
        raise DataError(
            "no probes here yet; the notebook cnn_lstm_03_probes makes them: "
            "`hydronb run params/demo.yaml`"
        )
    return state.probes or catchment.newest_first(outputs, there, FILE)[0]


def _table(state: State, outputs: Outputs) -> pd.DataFrame:
    return outputs.table(chosen(state, outputs), FILE, COLUMNS)


def _scores(state: State, outputs: Outputs) -> object:
    table = _table(state, outputs)
    if state.score not in SCORES.values():
        raise DataError(
            f"there is no score {state.score[:40]!r}; choose {' or '.join(SCORES.values())}"
        )
    if not ((table["layer"] == state.layer) & (table["split"] == state.split)).any():
        raise DataError(
            f"no run was probed in layer {state.layer[:40]!r} on {state.split[:40]!r} days; choose"
            " another"
        )
    return figures.probe_scores(table, layer=state.layer, value=state.score, split=state.split)


def _made(state: State, outputs: Outputs, file: str, title: str) -> str | None:
    name = chosen(state, outputs)
    if not (outputs.folder(name) / file).is_file():
        return None
    return note(title) + html_table(outputs.table(name, file), index=False, digits=2)


def _published(name: str, title: str) -> str:
    return note(title) + html_table(read_published(name), index=False, digits=2)


def _series(state: State, outputs: Outputs) -> dict[str, str]:
    """Files of probed series, by what they are."""
    try:
        name = chosen(state, outputs)
        files = sorted(outputs.folder(name).glob("probe_*.nc"), key=lambda f: (len(f.name), f.name))
        return {str(outputs.still(name, f.name).attrs.get("title", f.name)): f.name for f in files}
    except HydronbError:
        return {}


def _hydrograph(state: State, outputs: Outputs) -> object:
    there = _series(state, outputs)
    if not there:
        raise DataError(
            "this analysis keeps no series: only runs that were not trained on streamflow, or not"
            " on evaporation, have one"
        )
    file = state.series or next(iter(there.values()))
    if Path(file).name != file or file not in there.values():
        raise DataError(f"there is no series {file[:40]!r}; choose another")
    outputs.still(chosen(state, outputs), file, ["truth", "probed"])
    ds = outputs.read(chosen(state, outputs), file)
    ds = ds.sel(time=catchment.window(ds.indexes["time"], state))
    return plots.hydrograph(
        ds["truth"], {"probe": ds["probed"]}, title=next(t for t, f in there.items() if f == file)
    )
