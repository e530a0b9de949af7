"""The page of runs: what has been made and with what, what is running and how far, what failed and
why."""

import os

import pandas as pd
import panel as pn
import yaml

from hydronb import plots
from hydronb.app import catchment
from hydronb.app.outputs import PARTIAL, refuse_unless, value_or
from hydronb.app.view import Page, heading, html_table, message, note, row
from hydronb.runs.directory import RunDirectory
from hydronb.runs.status import state_of_folder, took

EVERY = 3000
"""Milliseconds between two looks at a run that is running."""
LEFT_OUT = ("identity", "parameters", "data", "needs", "versions", "error", "traceback")


def build(page: Page) -> pn.Column:
    view = pn.Column(
        heading("Runs"),
        row(page.part(lambda: _overview(page), ["files"], width=900)),
        page.choice(
            "run",
            "Run",
            lambda: {n: n for n in page.outputs.names()},
            on=["files"],
            value=lambda: chosen_run(page),
            width=420,
        ),
        row(
            page.part(
                lambda: _loss(page, chosen_run(page)),
                ["run", "files"],
                width=620,
                grow=2,
                table=lambda: page.outputs.progress(chosen_run(page)),
                name="progress",
            ),
            page.part(lambda: _about(page, chosen_run(page)), ["run", "files"], width=380),
        ),
        sizing_mode="stretch_width",
    )
    seen = [_written(page)]

    def look_again() -> None:
        if page.state.page == "runs" and seen[-1] != _written(page):
            seen[:] = [_written(page)]
            page.changed({"files"})

    if pn.state.curdoc is not None:
        pn.state.add_periodic_callback(look_again, period=EVERY)
    return view


def _written(page: Page) -> dict[str, float]:
    """When each run last wrote one of its small files."""
    return {
        name: max(
            catchment.modified(page.outputs.root / name / file)
            for file in ("progress.csv", "run.json", "params.yaml")
        )
        for name in page.outputs.names()
    }


def chosen_run(page: Page) -> str:
    """The run to show: the visitor's, else one that is running, else the newest with a loss curve,
    else the newest."""
    if page.state.run:
        return page.state.run
    written = _written(page)
    refuse_unless(
        written,
        "no runs yet; `make demo` (or `hydronb run params/demo.yaml`) makes some within minutes",
    )

    def rank(name: str) -> tuple[bool, bool, float]:
        running = _state(page, name)[0] == "running"
        return (
            running,
            running or (page.outputs.root / name / "progress.csv").is_file(),
            written[name],
        )

    return max(written, key=rank)


def overview(page: Page) -> pd.DataFrame:
    """One row per run directory: run, state, epoch, finished, time, version, about."""
    rows = []
    for name in page.outputs.names():
        record, (state, about) = page.outputs.record(name), _state(page, name)
        rows.append(
            {
                "run": name,
                "state": state,
                "epoch": value_or(
                    lambda name=name: "{epoch:.3g} of {epochs:g}".format(
                        **page.outputs.progress(name).iloc[-1]
                    ),
                    "",
                ),
                "finished": record.get("finished", "")[:16].replace("T", " "),
                "time": took(record["seconds"]) if "seconds" in record else "",
                "hydronb": record.get("versions", {}).get("hydronb", ""),
                "about": about,
            }
        )
    return pd.DataFrame(rows)


def _overview(page: Page) -> str:
    table = overview(page)
    if table.empty:
        return message(
            f"No runs in {page.outputs.root.name}/ yet. `make demo` (or `hydronb run"
            " params/demo.yaml`) makes some within minutes; this page shows them as they come."
        )
    return html_table(
        table,
        ", ".join(f"{n} {state}" for state, n in table["state"].value_counts().items()),
        index=False,
    )


def _state(page: Page, name: str) -> tuple[str, str]:
    """State of a run directory, and what to say about it."""
    folder, root = page.outputs.folder(name), page.outputs.root
    where = RunDirectory(folder.with_name(folder.name.removesuffix(PARTIAL)))
    if folder == where.partial and (writer := where.writer()):
        return "running", writer
    state, about = state_of_folder(
        folder, lambda path: page.outputs.record(os.path.relpath(path, root)) or None
    )
    return state, about.replace(f"{root}/", "")[:400]


def _loss(page: Page, name: str) -> plots.Figure | str:
    if (page.outputs.folder(name) / "progress.csv").is_file():
        return plots.loss_curve(page.outputs.progress(name), width=700)
    return note(f"{name} trained no model of its own, or has not begun: there is no loss curve.")


def _about(page: Page, name: str) -> str:
    record = page.outputs.record(name)
    lines = {
        "state": ": ".join(filter(None, _state(page, name))),
        **{f"version of {n}": str(v)[:12] for n, v in record.get("versions", {}).items()},
        **{
            n: str(v)
            for n, v in record.items()
            if n not in LEFT_OUT and isinstance(v, str | int | float)
        },
    } | {
        n: yaml.safe_dump(v, default_flow_style=True, width=1000).strip().removesuffix("\n...")
        for n, v in page.outputs.parameters(name).items()
    }
    with pd.option_context("display.max_colwidth", 300):
        return html_table(pd.DataFrame({"": lines.values()}, map(str, lines)), title=name)
