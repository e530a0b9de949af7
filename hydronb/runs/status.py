"""What is there, said in tables: of a plan, of an outputs folder, of what a run has made."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydronb.errors import ParameterError
from hydronb.runs.directory import RunDirectory, directory, read_record, stale, versions_today
from hydronb.runs.plan import Plan
from hydronb.runs.progress import last_row
from hydronb.runs.schedule import Outcome


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def took(seconds: float) -> str:
    """`12 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def of_outcomes(outcomes: Sequence[Outcome]) -> list[str]:
    """The table at the end of `hydronb run`, with the errors' own words below it."""
    words = {"complete": "complete already", "made": "complete"}
    rows = [
        [o.run.id, words.get(o.state, o.state), took(o.seconds) if o.seconds else "", shown(o.path)]
        for o in outcomes
    ]
    lines = table(["run", "state", "time", "where"], rows)
    bad = [f"{o.run.id} {o.state}: {o.message}" for o in outcomes if not o.good]
    return lines + (["", *bad] if bad else [])


def of_plan(plan: Plan, outputs: Path) -> list[str]:
    """The state of each run of a plan."""
    rows = []
    for run in plan.runs:
        where = directory(outputs, plan.name, run)
        state, why = where.state(run, [directory(outputs, plan.name, n) for n in run.needs])
        rows.append(_row(run.id, run.notebook.name, where, state, why))
    return table(["run", "notebook", "state", "finished", "time", "about"], rows)


def of_outputs(outputs: Path) -> list[str]:
    """The state of every run directory in an outputs folder.

    Raises
    ------
    ParameterError
        There is no such folder.
    """
    if not outputs.is_dir():
        raise ParameterError(
            f"{outputs}: no such folder; `hydronb run PLAN` makes it, or name another: "
            "`hydronb status OUTPUTS`"
        )
    folders = {
        path.parent.with_name(path.parent.name.removesuffix(".partial"))
        for path in outputs.glob("*/*/*/run.json")
    }
    rows = [
        [
            path.parent.parent.name,
            *_row(path.name, path.parent.name, RunDirectory(path), *_alone(path)),
        ]
        for path in sorted(folders)
    ]
    if not rows:
        return [f"no runs in {shown(outputs)} yet; `hydronb run params/demo.yaml` makes some"]
    return table(["plan", "run", "notebook", "state", "finished", "time", "about"], rows)


def _alone(path: Path) -> tuple[str, str]:
    """State and reason of a directory without its plan."""
    where = RunDirectory(path)
    made, left = read_record(where.path), read_record(where.partial)
    if made is None or made["status"] != "complete":
        failed = left is not None and left["status"] == "failed"
        return ("failed", left.get("error", "")) if failed else ("unfinished", "")
    needs = {n["id"]: read_record(Path(n["path"])) for n in made["needs"]}
    why = stale(made, versions_today(made), needs)
    return ("stale", why) if why else ("complete", "")


def _row(run_id: str, notebook: str, where: RunDirectory, state: str, why: str) -> list[str]:
    record: dict[str, Any] = read_record(where.path) or {}
    if writer := where.writer():
        about = "; ".join(filter(None, [_how_far(where.partial), writer]))
        return [run_id, notebook, "running", "", "", about]
    finished = record.get("finished", "")
    when = f"{dt.datetime.fromisoformat(finished):%Y-%m-%d %H:%M}" if finished else ""
    return [
        run_id,
        notebook,
        state,
        when,
        took(record["seconds"]) if record.get("seconds") else "",
        why,
    ]


def _how_far(partial: Path) -> str:
    row = last_row(partial)
    return f"epoch {row['epoch']} of {row['epochs']}" if row else ""


def shown(path: Path) -> str:
    """Short where it lies below the working folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def made_and_next(outcomes: Sequence[Outcome], outputs: Path) -> list[str]:
    """The last lines of a good run: what was made, where, and what to do next."""
    made = sum(o.state == "made" for o in outcomes)
    kept = len(outcomes) - made
    first = f"{made} run{'s' * (made != 1)} made" + (f", {kept} complete already" if kept else "")
    lines = [f"{first}: notebooks, parameters, results and figures in {shown(outputs)}"]
    pages = [page for o in reversed(outcomes) for page in sorted(o.path.glob("*.html"))]
    if pages:
        # what a hydrologist looks at first
        pages.sort(key=lambda page: not page.name.startswith("hydrograph"))
        more = f"; {len(pages) - 1} more beside it and in the other runs" if len(pages) > 1 else ""
        lines.append(f"Look: open {shown(pages[0])} in a browser{more}")
    else:
        last = outcomes[-1]
        lines.append(
            f"Look: open {shown(last.path / (last.run.notebook.name + '.ipynb'))} in JupyterLab"
        )
    every = shown(outputs.parent)
    return [
        *lines,
        (
            f"Next: `hydronb app {every}` shows them side by side, `hydronb status {every}` says"
            " what is stale"
        ),
    ]
