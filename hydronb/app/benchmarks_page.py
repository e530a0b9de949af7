"""The page of benchmarks: any metric of any runs, the papers' tables, two models basin by basin."""

import pandas as pd
import panel as pn

from hydronb import plots
from hydronb.analysis.seasons import mean_years
from hydronb.app import catchment
from hydronb.app.outputs import refuse_unless
from hydronb.app.view import Page, choose_by_click, heading, html_table, note, row
from hydronb.metrics import METRICS


def build(page: Page) -> pn.Column:
    def runs() -> dict[str, str]:
        return catchment.run_labels(page, page.outputs.trained())

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
                value=lambda: list(catchment.compared(page).values()),
            )
        ),
        row(
            page.choice(
                "metric",
                "Metric",
                lambda: {plots.metric_label(n): n for n in METRICS},
                width=170,
            ),
            page.choice(
                "across",
                "Scatter, across",
                runs,
                width=380,
                on=["runs", "metric"],
                value=lambda: _pair(page)[0],
            ),
            page.choice(
                "up",
                "Scatter, up",
                runs,
                width=380,
                on=["runs", "metric", "across"],
                value=lambda: _pair(page)[1],
            ),
        ),
        row(
            page.part(
                lambda: _cdf(page),
                shown,
                table=lambda: pd.DataFrame(catchment.scores(page, page.state.metric)),
                name="scores",
            ),
            page.part(
                lambda: _scatter(page),
                [*shown, "across", "up"],
                drawn=lambda plot: choose_by_click(plot, page.state),
                table=lambda: _pair(page)[2],
                name="scatter",
            ),
        ),
        row(page.part(lambda: _medians(page), ["runs", "selection"], width=700)),
        row(
            page.slider(
                "since",
                "From",
                lambda: catchment.years_of(
                    page, list(catchment.compared(page).values()), "simulation.nc"
                ),
                on=["runs", "basin"],
            ),
            page.slider("years", "Years", lambda: (1, 30)),
        ),
        row(
            page.part(
                lambda: (
                    catchment.flow_figure(page)
                    if page.state.basin
                    else note("Click a point of the scatter for its catchment's hydrographs.")
                ),
                ["runs", "basin", "since", "years"],
                width=700,
                table=lambda: catchment.flow_table(page),
                name="hydrograph",
            )
        ),
        row(
            page.of_basin(
                lambda: plots.regime(
                    *mean_years(*catchment.flows(page, whole=True)), title="mean year"
                ),
                ["runs"],
            ),
            page.of_basin(
                lambda: html_table(catchment.metrics_of(page).T.rename(index=plots.metric_label)),
                ["runs"],
            ),
        ),
        heading("The papers' tables"),
        page.choice(
            "table",
            "Made by",
            lambda: {n: n for n in _with_tables(page)},
            value=lambda: _made_by(page),
            width=420,
        ),
        row(page.part(lambda: _tables(page), ["table"], width=700)),
        sizing_mode="stretch_width",
    )


def _cdf(page: Page) -> plots.Figure:
    scores = catchment.scores(page, page.state.metric)
    return plots.cdf(
        scores,
        label=plots.metric_label(page.state.metric),
        title=f"{max(map(len, scores.values()))} "
        + ("selected catchments" if page.state.selection else "catchments"),
    )


def _pair(page: Page) -> tuple[str, str, pd.DataFrame]:
    """The two runs that the visitor has chosen, else the first two, and their scores, one column
    each, joined by catchment."""
    asked = [n for n in (page.state.across, page.state.up) if n]
    runs = list(dict.fromkeys([*(page.state.runs or catchment.compared(page).values()), *asked]))
    scores = catchment.scores(page, page.state.metric, runs)
    labels = {n: label for label, n in catchment.compared(page, runs).items() if label in scores}
    for name in asked:
        refuse_unless(
            name in labels,
            f"{name[:120]} has no {page.state.metric}, or there is no such run; choose another",
        )
    refuse_unless(
        len(labels) >= 2, "a scatter needs two runs with this metric; choose a second one"
    )
    across = page.state.across or next(n for n in labels if n != page.state.up)
    up = page.state.up or next(n for n in labels if n != across)
    return across, up, pd.DataFrame({labels[n]: scores[labels[n]] for n in (across, up)}).dropna()


def _scatter(page: Page) -> plots.Figure:
    *_, table = _pair(page)
    refuse_unless(len(table), "these two runs have no catchment in common; choose others")
    name, x, y = plots.metric_label(page.state.metric), table.columns[0], table.columns[-1]
    return plots.one_to_one(table[x], table[y], x=f"{name}, {x}", y=f"{name}, {y}").opts(
        title=f"above the line: {(table[y] > table[x]).mean():.0%} of {len(table)} catchments;"
        " click one"
    )


def _medians(page: Page) -> str:
    rows = {}
    for label, name in catchment.compared(page).items():
        table = (
            catchment.metrics_by_basin(page, name)
            .select_dtypes("number")
            .loc[lambda table: catchment.chosen_basins(table.index, page.state.selection)]
        )
        rows[label] = table.median().to_dict() | {"catchments": len(table)}
    return html_table(
        pd.DataFrame(rows).T.rename(columns=plots.metric_label),
        "Medians over catchments" + (", of the selected ones" if page.state.selection else ""),
    )


def _tables(page: Page) -> str:
    name = _made_by(page)
    return "".join(
        html_table(
            page.outputs.table(name, path.name),
            title=path.stem.replace("table", "Table "),
            index=False,
        )
        for path in sorted(page.outputs.folder(name).glob("table*.csv"))
    ) or note(f"{name} holds no table.")


def _with_tables(page: Page) -> list[str]:
    return [n for n in page.outputs.names() if any((page.outputs.root / n).glob("table*.csv"))]


def _made_by(page: Page) -> str:
    names = _with_tables(page)
    refuse_unless(
        names or page.state.table,
        "no table here yet; the notebooks ealstm_02_benchmark and delta_hbv_02_benchmark make"
        " them: `hydronb run params/demo.yaml`",
    )
    return page.state.table or max(
        names, key=lambda n: (not n.startswith(catchment.BY_HAND), "benchmark" in n, n)
    )
