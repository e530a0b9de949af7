"""The page of runs: what has been made and with what, what is running and how far, what failed and
why."""

import html
from pathlib import Path
from typing import Any

import holoviews as hv
import pandas as pd
import panel as pn
import yaml

from hydronb import plots
from hydronb.app import catchment
from hydronb.app.outputs import PARTIAL, Outputs
from hydronb.app.state import State
from hydronb.app.view import Page, attempt, heading, html_table, message, note, row
from hydronb.errors import DataError
from hydronb.runs.directory import RunDirectory, stale, versions_today
from hydronb.runs.status import took

EVERY = 3000
"""Milliseconds between two looks at a run that is running."""
LEFT_OUT = ("identity", "parameters", "data", "needs", "versions", "error", "traceback")
COLUMNS = ["run", "state", "epoch", "finished", "time", "hydronb", "about"]


def build(page: Page, state: State, outputs: Outputs) -> pn.Column:
    view = pn.Column(
        heading("Runs"),
        row(page.part(lambda: _overview(outputs), ["files"], width=900)),
        page.choice(
            "run",
            "Run",
            lambda: {n: n for n in outputs.names()},
            on=["files"],
            value=lambda: chosen_run(state, outputs),
            width=420,
        ),
        row(
            page.part(
                lambda: _loss(outputs, chosen_run(state, outputs)),
                ["run", "files"],
                width=620,
                grow=2,
                table=lambda: _progress(outputs, chosen_run(state, outputs)),
                name="progress",
            ),
            page.part(
                lambda: _about(outputs, chosen_run(state, outputs)), ["run", "files"], width=380
            ),
        ),
        sizing_mode="stretch_width",
    )
    seen = [_written(outputs)]

    def look_again() -> None:
        if state.page == "runs" and seen[-1] != _written(outputs):
            seen[:] = [_written(outputs)]
            page.changed({"files"})

    if pn.state.curdoc is not None:
        pn.state.add_periodic_callback(look_again, period=EVERY)
    return view


def _written(outputs: Outputs) -> dict[str, float]:
    """When each run last wrote one of its small files."""
    files = ("progress.csv", "run.json", "params.yaml")
    return {
        n: max(catchment.modified(outputs.root / n / file) for file in files)
        for n in outputs.names()
    }


def chosen_run(state: State, outputs: Outputs) -> str:
    """The run to show: the visitor's, else one that is running, else the newest with a loss curve,
    else the newest."""
    if state.run:
        return state.run
    written = _written(outputs)
    if not written:
        raise DataError(
            "no runs yet; `make demo` (or `hydronb run params/demo.yaml`) makes some within minutes"
        )

    def rank(name: str) -> tuple[bool, bool, float]:
        running = _state(outputs, name)[0] == "running"
        trains = (outputs.root / name / "progress.csv").is_file()
        return running, running or trains, written[name]

    return max(written, key=rank)


def overview(outputs: Outputs) -> pd.DataFrame:
    """One row per run directory: run, state, epoch, finished, time, version, about."""
    rows = []
    for name in outputs.names():
        record, (state, about) = outputs.record(name), _state(outputs, name)
        seconds = record.get("seconds")
        rows.append(
            {
                "run": name,
                "state": state,
                "epoch": attempt(lambda name=name: _epoch(_progress(outputs, name)), ""),
                "finished": str(record.get("finished", ""))[:16].replace("T", " "),
                "time": took(float(seconds)) if isinstance(seconds, int | float) else "",
                "hydronb": str(_versions(record).get("hydronb", "")),
                "about": about,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _overview(outputs: Outputs) -> str:
    table = overview(outputs)
    if table.empty:
        return message(
            f"No runs in {outputs.root.name}/ yet. `make demo` (or `hydronb run params/demo.yaml`)"
            " makes some within minutes; this page shows them as they come."
        )
    counts = table["state"].value_counts()
    return html_table(table, ", ".join(f"{n} {state}" for state, n in counts.items()), index=False)


def _state(outputs: Outputs, name: str) -> tuple[str, str]:
    """State of a run directory, and why."""
    folder = outputs.root / name
    record = outputs.record(name)
    if name.endswith(PARTIAL):
        writer = RunDirectory(folder.with_name(folder.name.removesuffix(PARTIAL))).writer()
        if writer:
            return "running", writer
        if record.get("status") == "failed":
            return "failed", str(record.get("error", ""))[:400]
        return "unfinished", "stopped; the same `hydronb run` goes on from there"
    if not (folder / "run.json").is_file():
        return "notebook", "made outside a plan"
    if not {"status", "versions", "needs", "notebook_file"} <= record.keys():
        return "other version", "its run.json is of another version of hydronb, or not whole"
    needs = {n["id"]: outputs.record(_below(outputs, n["path"])) or None for n in record["needs"]}
    why = stale(record, versions_today(record), needs)
    return ("stale", why) if why else ("complete", "")


def _below(outputs: Outputs, path: str) -> str:
    """Name of a run directory by its path, wherever the outputs folder has been moved to."""
    full = Path(path)
    inside = full.is_relative_to(outputs.root)
    return full.relative_to(outputs.root).as_posix() if inside else "/".join(full.parts[-3:])


def _versions(record: dict[str, Any]) -> dict[str, Any]:
    versions = record.get("versions")
    return versions if isinstance(versions, dict) else {}


def _progress(outputs: Outputs, name: str) -> pd.DataFrame:
    """`progress.csv`, without a row that is only half written."""
    table = outputs.table(name, "progress.csv", ["epoch", "epochs", "loss", "valid"])
    return table.apply(pd.to_numeric, errors="coerce").dropna(subset=["epoch", "epochs"])


def _epoch(progress: pd.DataFrame) -> str:
    last = progress.iloc[-1:]
    return "".join(f"{e:.3g} of {n:g}" for e, n in zip(last["epoch"], last["epochs"], strict=True))


def _loss(outputs: Outputs, name: str) -> hv.Layout | hv.Overlay | str:
    if not (outputs.folder(name) / "progress.csv").is_file():
        return note(
            f"{name} trained no model of its own, or has not begun: there is no loss curve."
        )
    table = _progress(outputs, name)
    if table.empty:
        return note(f"{name} has begun, and no epoch has been written yet; this page looks again.")
    return plots.loss_curve(table, width=700)


def _about(outputs: Outputs, name: str) -> str:
    record = outputs.record(name)
    lines = {"state": ": ".join(filter(None, _state(outputs, name)))}
    lines |= {f"version of {n}": str(v)[:12] for n, v in _versions(record).items()}
    lines |= {
        n: str(v)
        for n, v in record.items()
        if n not in LEFT_OUT and isinstance(v, str | int | float)
    }
    lines |= {
        n: yaml.safe_dump(v, default_flow_style=True, width=1000).strip().removesuffix("\n...")
        for n, v in outputs.parameters(name).items()
    }
    table = pd.DataFrame({"": lines.values()}, index=map(str, lines))
    with pd.option_context("display.max_colwidth", 300):
        return f"<h3>{html.escape(name)}</h3>" + html_table(table)
