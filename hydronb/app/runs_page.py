"""The page of runs: what has been made and with what, what is running and how far, what failed and
why."""

from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import yaml

from hydronb import plots
from hydronb.app import catchment
from hydronb.app.outputs import PARTIAL
from hydronb.app.view import Page, attempt, heading, html_table, message, note, row
from hydronb.errors import DataError
from hydronb.runs.directory import RunDirectory, stale, versions_today
from hydronb.runs.status import took

EVERY = 3000
"""Milliseconds between two looks at a run that is running."""
LEFT_OUT = ("identity", "parameters", "data", "needs", "versions", "error", "traceback")
COLUMNS = ["run", "state", "epoch", "finished", "time", "hydronb", "about"]


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
                table=lambda: _progress(page, chosen_run(page)),
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
    files = ("progress.csv", "run.json", "params.yaml")
    return {
        n: max(catchment.modified(page.outputs.root / n / file) for file in files)
        for n in page.outputs.names()
    }


def chosen_run(page: Page) -> str:
    """The run to show: the visitor's, else one that is running, else the newest with a loss curve,
    else the newest."""
    if page.state.run:
        return page.state.run
    written = _written(page)
    if not written:
        raise DataError(
            "no runs yet; `make demo` (or `hydronb run params/demo.yaml`) makes some within minutes"
        )

    def rank(name: str) -> tuple[bool, bool, float]:
        running = _state(page, name)[0] == "running"
        trains = (page.outputs.root / name / "progress.csv").is_file()
        return running, running or trains, written[name]

    return max(written, key=rank)


def overview(page: Page) -> pd.DataFrame:
    """One row per run directory: run, state, epoch, finished, time, version, about."""
    rows = []
    for name in page.outputs.names():
        record, (state, about) = page.outputs.record(name), _state(page, name)
        seconds = record.get("seconds")
        rows.append(
            {
                "run": name,
                "state": state,
                "epoch": attempt(lambda name=name: _epoch(_progress(page, name)), ""),
                "finished": str(record.get("finished", ""))[:16].replace("T", " "),
                "time": took(float(seconds)) if isinstance(seconds, int | float) else "",
                "hydronb": str(_versions(record).get("hydronb", "")),
                "about": about,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _overview(page: Page) -> str:
    table = overview(page)
    if table.empty:
        return message(
            f"No runs in {page.outputs.root.name}/ yet. `make demo` (or `hydronb run"
            " params/demo.yaml`) makes some within minutes; this page shows them as they come."
        )
    counts = table["state"].value_counts()
    return html_table(table, ", ".join(f"{n} {state}" for state, n in counts.items()), index=False)


def _state(page: Page, name: str) -> tuple[str, str]:
    """State of a run directory, and why."""
    folder = page.outputs.root / name
    record = page.outputs.record(name)
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
    needs = {n["id"]: page.outputs.record(_below(page, n["path"])) or None for n in record["needs"]}
    why = stale(record, versions_today(record), needs)
    return ("stale", why) if why else ("complete", "")


def _below(page: Page, path: str) -> str:
    """Name of a run directory by its path, wherever the outputs folder has been moved to."""
    full = Path(path)
    inside = full.is_relative_to(page.outputs.root)
    return full.relative_to(page.outputs.root).as_posix() if inside else "/".join(full.parts[-3:])


def _versions(record: dict[str, Any]) -> dict[str, Any]:
    versions = record.get("versions")
    return versions if isinstance(versions, dict) else {}


def _progress(page: Page, name: str) -> pd.DataFrame:
    """`progress.csv`, without a row that is only half written."""
    table = page.outputs.table(name, "progress.csv", ["epoch", "epochs", "loss", "valid"])
    return table.apply(pd.to_numeric, errors="coerce").dropna(subset=["epoch", "epochs"])


def _epoch(progress: pd.DataFrame) -> str:
    last = progress.iloc[-1:]
    return "".join(f"{e:.3g} of {n:g}" for e, n in zip(last["epoch"], last["epochs"], strict=True))


def _loss(page: Page, name: str) -> plots.Figure | str:
    if not (page.outputs.folder(name) / "progress.csv").is_file():
        return note(
            f"{name} trained no model of its own, or has not begun: there is no loss curve."
        )
    table = _progress(page, name)
    if table.empty:
        return note(f"{name} has begun, and no epoch has been written yet; this page looks again.")
    return plots.loss_curve(table, width=700)


def _about(page: Page, name: str) -> str:
    record = page.outputs.record(name)
    lines = {"state": ": ".join(filter(None, _state(page, name)))}
    lines |= {f"version of {n}": str(v)[:12] for n, v in _versions(record).items()}
    lines |= {
        n: str(v)
        for n, v in record.items()
        if n not in LEFT_OUT and isinstance(v, str | int | float)
    }
    lines |= {
        n: yaml.safe_dump(v, default_flow_style=True, width=1000).strip().removesuffix("\n...")
        for n, v in page.outputs.parameters(name).items()
    }
    table = pd.DataFrame({"": lines.values()}, index=map(str, lines))
    with pd.option_context("display.max_colwidth", 300):
        return html_table(table, title=name)
