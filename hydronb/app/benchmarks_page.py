"""The page of benchmarks: any metric of any runs, the papers' tables, two models basin by basin."""

import html

import holoviews as hv
import pandas as pd
import panel as pn

from hydronb import plots
from hydronb.analysis.seasons import mean_years
from hydronb.app import catchment
from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import Page, choose_by_click, heading, html_table, note, row
from hydronb.errors import DataError
from hydronb.plots.refill import bokeh_plots
from hydronb.plots.style import METRICS, metric_label


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    def runs() -> dict[str, str]:
        return catchment.run_labels(outputs, outputs.trained())

    shown = ["runs", "metric", "selection"]
    return pn.Column(
        heading("Benchmarks"),
        row(
            page.choice(
                "runs",
                "Runs",
                runs,
                many=True,
                width=760,
                value=lambda: list(catchment.compared(state, outputs).values()),
            )
        ),
        row(
            page.choice(
                "metric", "Metric", lambda: {metric_label(n): n for n in METRICS}, width=170
            ),
            page.choice(
                "across",
                "Scatter, across",
                runs,
                width=380,
                on=["runs", "metric"],
                value=lambda: _pair(state, outputs)[0],
            ),
            page.choice(
                "up",
                "Scatter, up",
                runs,
                width=380,
                on=["runs", "metric", "across"],
                value=lambda: _pair(state, outputs)[1],
            ),
        ),
        row(
            page.part(
                lambda: _cdf(state, outputs),
                shown,
                table=lambda: pd.DataFrame(catchment.scores(state, outputs, state.metric)),
                name="scores",
            ),
            page.part(
                lambda: _scatter(state, outputs),
                [*shown, "across", "up"],
                drawn=lambda model: choose_by_click(bokeh_plots(model)[0], state),
                table=lambda: _pair(state, outputs)[2],
                name="scatter",
            ),
        ),
        row(page.part(lambda: _medians(state, outputs), ["runs", "selection"], width=700)),
        row(
            page.slider(
                "since",
                "From",
                lambda: catchment.years_of(
                    outputs, list(catchment.compared(state, outputs).values()), "simulation.nc"
                ),
                on=["runs", "basin"],
            ),
            page.slider("years", "Years", lambda: (1, 30)),
        ),
        row(
            page.part(
                lambda: _hydrograph(state, outputs),
                ["runs", "basin", "since", "years"],
                width=700,
                table=lambda: catchment.flow_table(state, outputs),
                name="hydrograph",
            )
        ),
        row(
            page.of_basin(lambda: _regime(state, outputs), ["runs"]),
            page.of_basin(
                lambda: html_table(
                    catchment.metrics_of(state, outputs).T.rename(index=metric_label)
                ),
                ["runs"],
            ),
        ),
        heading("The papers' tables"),
        page.choice(
            "table",
            "Made by",
            lambda: {n: n for n in _with_tables(outputs)},
            value=lambda: _made_by(state, outputs),
            width=420,
        ),
        row(page.part(lambda: _tables(state, outputs), ["table"], width=700)),
        sizing_mode="stretch_width",
    )


def _cdf(state: State, outputs: Outputs) -> hv.Overlay:
    scores = catchment.scores(state, outputs, state.metric)
    n = max(len(s) for s in scores.values())
    chosen = "selected " if state.selection else ""
    return plots.cdf(scores, label=metric_label(state.metric), title=f"{n} {chosen}catchments")


def _pair(state: State, outputs: Outputs) -> tuple[str, str, pd.DataFrame]:
    """The two runs that the visitor has chosen, else the first two, and their scores, one column
    each, joined by catchment."""
    asked = [n for n in (state.across, state.up) if n]
    runs = state.runs or list(catchment.compared(state, outputs).values())
    both = State(runs=list(dict.fromkeys([*runs, *asked])), selection=state.selection)
    scores = catchment.scores(both, outputs, state.metric)
    labels = {
        name: label for label, name in catchment.compared(both, outputs).items() if label in scores
    }
    if missing := [n for n in asked if n not in labels]:
        raise DataError(f"{missing[0][:120]} has no {state.metric} or is not there; choose another")
    if len(labels) < 2:
        raise DataError("a scatter needs two runs with this metric; choose a second one")
    across = state.across or next(n for n in labels if n != state.up)
    up = state.up or next(n for n in labels if n != across)
    table = pd.DataFrame({label: scores[label] for label in (labels[across], labels[up])})
    return across, up, table.dropna()


def _scatter(state: State, outputs: Outputs) -> hv.Overlay:
    *_, table = _pair(state, outputs)
    if table.empty:
        raise DataError("these two runs have no catchment in common; choose others")
    name, x, y = metric_label(state.metric), table.columns[0], table.columns[-1]
    better = (table[y] > table[x]).mean()
    return plots.one_to_one(table[x], table[y], x=f"{name}, {x}", y=f"{name}, {y}").opts(
        title=f"above the line: {better:.0%} of {len(table)} catchments; click one"
    )


def _medians(state: State, outputs: Outputs) -> str:
    rows = {}
    for label, name in catchment.compared(state, outputs).items():
        table = catchment.metrics_by_basin(outputs, name).select_dtypes("number")
        table = table[catchment.chosen_basins(table.index, state.selection)]
        rows[label] = table.median().to_dict() | {"catchments": len(table)}
    chosen = ", of the selected ones" if state.selection else ""
    return html_table(
        pd.DataFrame(rows).T.rename(columns=metric_label), f"Medians over catchments{chosen}"
    )


def _hydrograph(state: State, outputs: Outputs) -> hv.Overlay | str:
    if not state.basin:
        return note("Click a point of the scatter for its catchment's hydrographs.")
    return catchment.flow_figure(state, outputs)


def _regime(state: State, outputs: Outputs) -> hv.Overlay:
    every_year = State(runs=state.runs, basin=state.basin, years=100)
    return plots.regime(*mean_years(*catchment.flows(every_year, outputs)), title="mean year")


def _tables(state: State, outputs: Outputs) -> str:
    name = _made_by(state, outputs)
    texts = [
        f"<h3>{html.escape(path.stem.replace('table', 'Table '))}</h3>"
        + html_table(outputs.table(name, path.name), index=False)
        for path in sorted(outputs.folder(name).glob("table*.csv"))
    ]
    return "".join(texts) or note(f"{name} holds no table.")


def _with_tables(outputs: Outputs) -> list[str]:
    return [n for n in outputs.names() if any((outputs.root / n).glob("table*.csv"))]


def _made_by(state: State, outputs: Outputs) -> str:
    names = _with_tables(outputs)
    if not names and not state.table:
        raise DataError(
            "no table here yet; the notebooks ealstm_02_benchmark and delta_hbv_02_benchmark make"
            " them: `hydronb run params/demo.yaml`"
        )
    return state.table or max(
        names, key=lambda n: (not n.startswith(catchment.BY_HAND), "benchmark" in n, n)
    )
