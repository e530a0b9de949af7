"""The page of probes: what the values inside a network tell about variables that it was never
trained on, beside controls."""

import pandas as pd
import panel as pn

from hydronb import plots
from hydronb.analysis.published import read_published
from hydronb.app import catchment
from hydronb.app.outputs import refuse_unless
from hydronb.app.view import WIDE, Page, heading, html_table, note, row
from hydronb.plots.grids import LEAST

FILE = "probes.csv"
COLUMNS = ("label", "layer", "target", "control", "split", "nse", "r")
CONTROLS = (
    "A probe is a linear regression from a layer's values to something the network was not trained"
    " on. It means something only where it is better than its controls: the same from an untrained"
    " network, from the forcing alone, and to targets whose days are shuffled."
)


def build(page: Page) -> pn.Column:
    def kinds(column: str) -> dict[str, str]:
        """The values in a column of the probes."""
        return {
            str(v).replace("_", " "): str(v)
            for v in dict.fromkeys(_table(page)[column])
            if v != "grid mean"
        }

    def table(file: str, title: str) -> str | None:
        """A table of the analysis, if it has it."""
        if (page.outputs.folder(chosen_probes(page)) / file).is_file():
            return html_table(
                page.outputs.table(chosen_probes(page), file), title, index=False, digits=2
            )
        return None

    def published(name: str, title: str) -> str:
        return html_table(read_published(name), title, index=False, digits=2)

    return pn.Column(
        heading("Probes"),
        pn.pane.HTML(note(CONTROLS), **WIDE),
        row(
            page.choice(
                "probes",
                "Analysis",
                lambda: {n: n for n in page.outputs.having(FILE)},
                value=lambda: chosen_probes(page),
                width=330,
            ),
            page.choice("layer", "Layer", lambda: kinds("layer"), on=["probes"], width=140),
            page.choice(
                "score", "Score", lambda: {plots.metric_label(n): n for n in LEAST}, width=140
            ),
            page.choice("split", "On days", lambda: kinds("split"), on=["probes"], width=140),
        ),
        row(
            page.part(
                lambda: _scores(page),
                ["probes", "layer", "score", "split"],
                width=700,
                table=lambda: _table(page),
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
                lambda: _series(page),
                on=["probes"],
                value=lambda: page.state.series or next(iter(_series(page).values()), ""),
                width=520,
            )
        ),
        row(
            page.part(
                lambda: _hydrograph(page),
                ["probes", "series", "since", "years"],
                width=700,
            )
        ),
        sizing_mode="stretch_width",
    )


def chosen_probes(page: Page) -> str:
    """The visitor's analysis, else the newest."""
    return (
        page.state.probes
        or catchment.runs_with(
            page, FILE, what="analysis of probes", notebook="cnn_lstm_03_probes"
        )[0]
    )


def _table(page: Page) -> pd.DataFrame:
    return page.outputs.table(chosen_probes(page), FILE, COLUMNS)


def _scores(page: Page) -> plots.Figure:
    table, state = _table(page), page.state
    refuse_unless(
        state.score in LEAST, f"there is no score {state.score[:40]!r}; choose {' or '.join(LEAST)}"
    )
    refuse_unless(
        ((table["layer"] == state.layer) & (table["split"] == state.split)).any(),
        f"no run was probed in layer {state.layer[:40]!r} on {state.split[:40]!r} days; choose"
        " another",
    )
    return plots.probe_scores(table, layer=state.layer, value=state.score, split=state.split)


def _series(page: Page) -> dict[str, str]:
    """Files of probed series, by their titles."""
    name = chosen_probes(page)
    return {
        str(page.outputs.still(name, f.name).attrs.get("title", f.name)): f.name
        for f in sorted(
            page.outputs.folder(name).glob("probe_*.nc"), key=lambda f: (len(f.name), f.name)
        )
    }


def _hydrograph(page: Page) -> plots.Figure:
    titles = {file: title for title, file in _series(page).items()}
    refuse_unless(
        titles,
        "this analysis keeps no series: only runs that were not trained on streamflow, or not"
        " on evaporation, have one",
    )
    file = page.state.series or next(iter(titles))
    refuse_unless(file in titles, f"there is no series {file[:40]!r}; choose another")
    page.outputs.still(chosen_probes(page), file, ["truth", "probed"])
    ds = catchment.in_shown_years(page.outputs.read(chosen_probes(page), file), page)
    return plots.hydrograph(ds["truth"], {"probe": ds["probed"]}, title=titles[file])
