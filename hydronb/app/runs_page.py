"""The page of runs: what has been made and with what, what is running and how far, what failed and
why."""

import html
import os
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import yaml

from hydronb import plots
from hydronb.app.outputs import PARTIAL, Outputs
from hydronb.app.state import State
from hydronb.app.view import Page, heading, html_table, message, note, row
from hydronb.errors import DataError
from hydronb.runs.directory import RunDirectory
from hydronb.runs.status import state_of_folder, took

EVERY = 3000
"""Milliseconds between two looks at a run that is running."""
LEFT_OUT = ("identity", "parameters", "data", "needs", "versions", "error", "traceback")


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    def names() -> dict[str, str]:
        return {n: n for n in outputs.names()}

    choose = page.choice("run", "Run", names, default=lambda: chosen(state, outputs), width=420)
    view = pn.Column(
        heading("Runs"),
        row(page.part(lambda: _overview(outputs), [], width=900)),
        choose,
        row(
            page.part(
                lambda: _loss(outputs, chosen(state, outputs)),
                ["run"],
                width=620,
                grow=2,
                table=lambda: outputs.progress(chosen(state, outputs)),
                name="progress",
            ),
            page.part(lambda: _about(outputs, chosen(state, outputs)), ["run"], width=380),
        ),
        sizing_mode="stretch_width",
    )
    seen = {"was": _moment(outputs, state)}

    def look_again() -> None:
        now = _moment(outputs, state)
        if state.page == "runs" and now != seen["was"]:
            seen["was"] = now
            for part in page.parts:
                part.stale = True
            page.changed({"run"})

    if pn.state.curdoc is not None:
        pn.state.add_periodic_callback(look_again, period=EVERY)
    return view


def chosen(state: State, outputs: Outputs) -> str:
    """The run to show: the visitor's, else one that is running, else the newest with a loss curve,
    else the newest."""
    if state.run:
        return state.run
    names = sorted(outputs.names(), key=lambda n: _changed(outputs.root / n))
    running = [n for n in names if _state(outputs, n)[0] == "running"]
    trained = [n for n in names if (outputs.root / n / "progress.csv").is_file()]
    if not names:
        raise DataError(
            "no runs yet; `make demo` (or `hydronb run params/demo.yaml`) makes some within minutes"
        )
    return (running or trained or names)[-1]


def overview(outputs: Outputs) -> pd.DataFrame:
    """One row per run directory: run, state, epoch, finished, time, version, about."""
    rows = []
    for name in outputs.names():
        state, about = _state(outputs, name)
        record = outputs.record(name)
        rows.append(
            {
                "run": name,
                "state": state,
                "finished": record.get("finished", "")[:16].replace("T", " "),
                "time": took(record["seconds"]) if "seconds" in record else "",
                "hydronb": record.get("versions", {}).get("hydronb", ""),
                "epoch": _last(outputs, name),
                "about": about,
            }
        )
    return pd.DataFrame(
        rows, columns=["run", "state", "epoch", "finished", "time", "hydronb", "about"]
    )


def _overview(outputs: Outputs) -> str:
    table = overview(outputs)
    if table.empty:
        return message(
            f"No runs in {outputs.root.name}/ yet. `make demo` (or `hydronb run params/demo.yaml`)"
            " makes some within minutes; this page shows them as they come."
        )
    counts = table["state"].value_counts()
    return note(", ".join(f"{n} {state}" for state, n in counts.items())) + html_table(
        table, index=False
    )


def _state(outputs: Outputs, name: str) -> tuple[str, str]:
    """State of a run, and what to say about it."""
    folder = outputs.folder(name)
    where = RunDirectory(folder.with_name(folder.name.removesuffix(PARTIAL)))
    if folder == where.partial and (writer := where.writer()):
        return "running", writer

    def record(path: Path) -> dict[str, Any] | None:
        return outputs.record(os.path.relpath(path, outputs.root)) or None

    state, about = state_of_folder(folder, record)
    return state, about.replace(f"{outputs.root}/", "")[:400]


def _last(outputs: Outputs, name: str) -> str:
    try:
        last = outputs.progress(name).iloc[-1]
    except DataError:
        return ""
    return f"{last['epoch']:.3g} of {last['epochs']:g}"


def _loss(outputs: Outputs, name: str) -> object:
    if not (outputs.folder(name) / "progress.csv").is_file():
        return note(
            f"{name} trained no model of its own, or has not begun: there is no loss curve."
        )
    return plots.loss_curve(outputs.progress(name), width=700)


def _about(outputs: Outputs, name: str) -> str:
    record, parameters = outputs.record(name), outputs.parameters(name)
    state, about = _state(outputs, name)
    lines = {"state": f"{state}{': ' if about else ''}{about}"}
    lines |= {f"version of {n}": v[:12] for n, v in record.get("versions", {}).items()}
    lines |= {
        n: str(v)
        for n, v in record.items()
        if n not in LEFT_OUT and isinstance(v, str | int | float)
    }
    lines |= {
        n: yaml.safe_dump(v, default_flow_style=True, width=1000).strip().removesuffix("\n...")
        for n, v in parameters.items()
    }
    table = pd.DataFrame({"": lines.values()}, index=[str(n) for n in lines])
    with pd.option_context("display.max_colwidth", 300):
        return f"<h3>{html.escape(name)}</h3>" + html_table(table)


def _changed(folder: Path) -> float:
    times = []
    for file in ("progress.csv", "run.json", "params.yaml"):
        try:
            times.append((folder / file).stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def _moment(outputs: Outputs, state: State) -> tuple[object, ...]:
    """Changes when something on the page has."""
    return tuple((n, _changed(outputs.root / n)) for n in outputs.names())
