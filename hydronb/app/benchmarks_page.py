"""The page of benchmarks: any metric of any runs, the papers' tables, two models basin by basin."""

import html

import holoviews as hv
import pandas as pd
import panel as pn

from hydronb import plots
from hydronb.app import catchment
from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import Page, heading, html_table, note, on_click, row
from hydronb.errors import DataError
from hydronb.plots.refill import plots_of

METRICS = {
    "NSE": "nse",
    "KGE": "kge",
    "correlation": "r",
    "alpha of NSE": "alpha_nse",
    "beta of NSE": "beta_nse",
    "RMSE (mm/d)": "rmse",
    "FHV (%)": "fhv",
    "FMS (%)": "fms",
    "FLV (%)": "flv",
    "peak bias (mm/d)": "bpv",
    "mid bias (mm/d)": "bmv",
    "low bias (mm/d)": "blv",
}


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    def runs() -> dict[str, str]:
        return catchment.run_labels(outputs, outputs.trained())

    def tables() -> dict[str, str]:
        return {n: n for n in _with_tables(outputs)}

    def clicked(basin: str) -> None:
        state.basin = basin

    def listen(model: object) -> None:
        for plot in plots_of(model):
            on_click(plot, clicked)

    shown = ["runs", "metric", "selection"]
    time = ["runs", "basin", "since", "years"]
    return pn.Column(
        heading("Benchmarks"),
        row(
            page.choice(
                "runs",
                "Runs",
                runs,
                many=True,
                width=760,
                default=lambda: list(catchment.compared(state, outputs).values()),
            )
        ),
        row(
            page.choice("metric", "Metric", lambda: METRICS, width=170),
            page.choice(
                "across",
                "Scatter, across",
                runs,
                width=380,
                on=["runs", "metric"],
                default=lambda: _pair(state, outputs).across,
            ),
            page.choice(
                "up",
                "Scatter, up",
                runs,
                width=380,
                on=["runs", "metric", "across"],
                default=lambda: _pair(state, outputs).up,
            ),
        ),
        row(
            page.part(
                lambda: _cdf(state, outputs),
                shown,
                table=lambda: _scores(state, outputs),
                name="scores",
            ),
            page.part(
                lambda: _scatter(state, outputs),
                [*shown, "across", "up"],
                drawn=listen,
                table=lambda: _pair(state, outputs).table,
                name="scatter",
            ),
        ),
        row(page.part(lambda: _medians(state, outputs), ["runs", "selection"], width=700)),
        row(
            page.slider(
                "since",
                "From",
                lambda: catchment.first_and_last(state, outputs),
                on=["runs", "basin"],
            ),
            page.slider("years", "Years", lambda: (1, 30)),
        ),
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
            page.part(lambda: _regime(state, outputs), ["runs", "basin"]),
            page.part(lambda: _of_basin(state, outputs), ["runs", "basin"]),
        ),
        heading("The papers' tables"),
        page.choice(
            "table", "Made by", tables, default=lambda: _made_by(state, outputs), width=420
        ),
        row(page.part(lambda: _tables(state, outputs), ["table"], width=700)),
        sizing_mode="stretch_width",
    )


def _named(metric: str) -> str:
    return next((label for label, name in METRICS.items() if name == metric), metric)


def _cdf(state: State, outputs: Outputs) -> hv.Overlay:
    scores = catchment.scores(state, outputs, state.metric)
    n = max(len(s) for s in scores.values())
    chosen = "selected " if state.selection else ""
    return plots.cdf(scores, label=_named(state.metric), title=f"{n} {chosen}catchments")


def _scores(state: State, outputs: Outputs) -> pd.DataFrame:
    return pd.DataFrame(catchment.scores(state, outputs, state.metric))


class _Pair:
    """Two runs' scores, joined by catchment."""

    def __init__(
        self, across: str, up: str, labels: dict[str, str], scores: dict[str, pd.Series]
    ) -> None:
        self.across, self.up = across, up
        x, y = self.x, self.y = labels[across], labels[up]
        self.table = pd.DataFrame({x: scores[x], y: scores[y]}).dropna()


def _pair(state: State, outputs: Outputs) -> _Pair:
    """The two that the visitor has chosen, else the first two."""
    wanted = [n for n in (state.across, state.up) if n]
    runs = state.runs or list(catchment.compared(state, outputs).values())
    extra = State(runs=list(dict.fromkeys([*runs, *wanted])), selection=state.selection)
    scores = catchment.scores(extra, outputs, state.metric)
    labels = {
        name: label for label, name in catchment.compared(extra, outputs).items() if label in scores
    }
    if missing := [n for n in wanted if n not in labels]:
        raise DataError(f"{missing[0][:120]} has no {state.metric} or is not there; choose another")
    if len(labels) < 2:
        raise DataError("a scatter needs two runs with this metric; choose a second one")
    x = state.across or next(n for n in labels if n != state.up)
    y = state.up or next((n for n in labels if n != x), x)
    return _Pair(x, y, labels, scores)


def _scatter(state: State, outputs: Outputs) -> hv.Overlay:
    pair = _pair(state, outputs)
    if pair.table.empty:
        raise DataError("these two runs have no catchment in common; choose others")
    name = _named(state.metric)
    better = (pair.table[pair.y] > pair.table[pair.x]).mean()
    return plots.one_to_one(
        pair.table[pair.x], pair.table[pair.y], x=f"{name}, {pair.x}", y=f"{name}, {pair.y}"
    ).opts(title=f"above the line: {better:.0%} of {len(pair.table)} catchments; click one")


def _medians(state: State, outputs: Outputs) -> str:
    rows = {}
    for label, name in catchment.compared(state, outputs).items():
        table = outputs.table(name, "metrics.csv", ["basin"]).set_index("basin")
        inside = table[catchment.chosen_basins(table.index, state.selection)].select_dtypes(
            "number"
        )
        rows[label] = inside.median().to_dict() | {"catchments": len(inside)}
    table = pd.DataFrame(rows).T.rename(columns={name: label for label, name in METRICS.items()})
    return note(
        "Medians over catchments" + (", of the selected ones" if state.selection else "")
    ) + html_table(table)


def _hydrograph(state: State, outputs: Outputs) -> object:
    if not state.basin:
        return note("Click a point of the scatter for its catchment's hydrographs.")
    return catchment.hydrograph(state, outputs)


def _regime(state: State, outputs: Outputs) -> object:
    if not state.basin:
        return None
    every = State(runs=state.runs, basin=state.basin, years=100)
    return plots.regime(*catchment.flows(every, outputs), title="mean year")


def _of_basin(state: State, outputs: Outputs) -> str | None:
    if not state.basin:
        return None
    return html_table(
        catchment.metrics_of(state, outputs).T.rename(
            index={n: label for label, n in METRICS.items()}
        )
    )


def _tables(state: State, outputs: Outputs) -> str:
    name = _made_by(state, outputs)
    texts = []
    for path in sorted(outputs.folder(name).glob("table*.csv")):
        title = html.escape(path.stem.replace("table", "Table "))
        texts.append(f"<h3>{title}</h3>" + html_table(outputs.table(name, path.name), index=False))
    return "".join(texts) or note(f"{name} holds no table.")


def _with_tables(outputs: Outputs) -> list[str]:
    return [n for n in outputs.names() if any((outputs.root / n).glob("table*.csv"))]


def _made_by(state: State, outputs: Outputs) -> str:
    there = _with_tables(outputs)
    if not there and not state.table:
        raise DataError(
            "no table here yet; the notebooks ealstm_02_benchmark and delta_hbv_02_benchmark make"
            " them: `hydronb run params/demo.yaml`"
        )
    return state.table or max(
        there, key=lambda n: (not n.startswith(catchment.BY_HAND), "benchmark" in n, n)
    )
