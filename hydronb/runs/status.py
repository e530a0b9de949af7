"""What `hydronb run` and `hydronb status` print: the runs of a plan, of an outputs folder, what
would run, and what a plan has made."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hydronb
from hydronb.errors import HydronbError, ParameterError
from hydronb.files import resolve
from hydronb.runs.directory import PARTIAL, RunDirectory, read_record, why_stale
from hydronb.runs.notebook import Notebook
from hydronb.runs.plan import Plan, fingerprint
from hydronb.runs.schedule import Outcome, directory, state_of_run, to_redo


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def took(seconds: float) -> str:
    """`12 s`, `3 min 5 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def of_outcomes(outcomes: Sequence[Outcome]) -> list[str]:
    """The table at the end of `hydronb run`, with the words of the errors below it."""
    words = {"complete": "complete already", "made": "complete"}
    rows = [
        [
            o.run.id,
            words.get(o.state, o.state),
            took(o.seconds) if o.seconds else "",
            short_path(o.path),
        ]
        for o in outcomes
    ]
    bad = [f"{o.run.id} {o.state}: {o.message}" for o in outcomes if not o.good]
    return text_table(["run", "state", "time", "where"], rows) + (["", *bad] if bad else [])


def of_run(plan: Plan, outcomes: Sequence[Outcome], outputs: Path, redo_stale: bool) -> list[str]:
    """What `hydronb run` prints at its end."""
    lines = ["", *of_outcomes(outcomes), ""]
    if all(o.state == "complete" for o in outcomes):
        lines = [
            f"nothing to do: all {len(outcomes)} runs of {plan.name} are complete in"
            f" {short_path(outputs / plan.name)}"
        ]
    old = {} if redo_stale else to_redo(plan, outputs)
    if stale := [f"{run_id}: {why}" for run_id, why in old.items()]:
        lines.append(f"{len(stale)} of them stale ({stale[0]}); --redo-stale runs them again")
    if all(o.good for o in outcomes):
        lines += made_and_next(outcomes, outputs / plan.name)
    return lines


def of_dry_run(plan: Plan, outputs: Path, redo_stale: bool) -> list[str]:
    """What `hydronb run --dry-run` prints: what would run."""
    redo = to_redo(plan, outputs) if redo_stale else {}
    rows = []
    for run in plan.runs:
        state, _ = state_of_run(outputs, plan.name, run)
        now = "skipped" if state in ("complete", "stale") and run.id not in redo else "would run"
        counts = Counter(needed.entry for needed in run.needs).items()
        needs = ", ".join(f"{entry} ({n})" if n > 1 else entry for entry, n in counts)
        where = short_path(directory(outputs, plan.name, run).path)
        rows.append([run.id, run.notebook.name, state, now, needs, where])
    return [
        *text_table(["run", "notebook", "state", "now", "needs", "where"], rows),
        "",
        f"{sum(row[3] == 'would run' for row in rows)} of {len(plan.runs)} runs would run; nothing"
        " was started or written",
    ]


def of_plan(plan: Plan, outputs: Path) -> list[str]:
    """The state of each run of a plan."""
    return text_table(
        ["run", "notebook", "state", "finished", "time", "about"],
        [
            _row(directory(outputs, plan.name, run), *state_of_run(outputs, plan.name, run))
            for run in plan.runs
        ],
    )


def of_outputs(outputs: Path) -> list[str]:
    """The state of every run directory in an outputs folder, and how many another version made.

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
        file.parent.with_name(file.parent.name.removesuffix(PARTIAL))
        for file in outputs.glob("*/*/*/run.json")
    }
    if not folders:
        return [f"no runs in {short_path(outputs)} yet; `hydronb run params/demo.yaml` makes some"]
    rows, look = [], cache(fingerprint)  # each file once, however many runs read it
    for path in sorted(folders):
        where = RunDirectory(path)
        folder = path if (path / "run.json").exists() else where.partial
        state = state_of_folder(folder, look=look)
        rows.append([path.parent.parent.name, *_row(where, *state)])
    now = hydronb.__version__
    by_version = Counter(r["versions"].get("hydronb", now) for r in map(read_record, folders) if r)
    return [
        *text_table(["plan", "run", "notebook", "state", "finished", "time", "about"], rows),
        *(
            f"{n} run{'s' * (n != 1)} of hydronb {version}: stale; `hydronb run PLAN --redo-stale`"
            " makes them again"
            for version, n in sorted(by_version.items())
            if version != now
        ),
    ]


def state_of_folder(
    folder: Path,
    read: Callable[[Path], dict[str, Any] | None] = read_record,
    look: Callable[[Path], str] | None = None,
) -> tuple[str, str]:
    """State of a run directory without its plan, and what to say about it.

    Parameters
    ----------
    folder
        A complete directory, or one that ends in `.partial` and is not being written.
    read
        Reads the records of the runs that it needs.
    look
        Gives the fingerprint of a file or folder, to notice input that was replaced since; None
        does not look. What is no longer there is not noticed: outputs may have been moved.
    """
    if not (folder / "run.json").exists():
        return "notebook", "made outside a plan"
    try:
        record = RunDirectory(folder).record()
        if record["status"] == "failed":
            return "failed", record.get("error", "")
        if record["status"] != "complete" or folder.name.endswith(PARTIAL):
            return "unfinished", "stopped; the same `hydronb run` continues it"
        notebook = Notebook(Path(record["notebook_file"]))
        # a notebook that is gone counts as unchanged
        code = notebook.code_hash if notebook.path.is_file() else record["versions"].get("notebook")
        why = why_stale(folder, record, {"hydronb": hydronb.__version__, "notebook": code}, read)
        for name, mark in record.get("data", {}).items() if look and not why else ():
            path = resolve(_value(record["parameters"], name))
            if path.exists() and look(path) != mark:
                why = f"{name}, {short_path(path)}, has changed since"
    except (HydronbError, LookupError, OSError, TypeError, ValueError) as error:
        return "unreadable", str(error)
    return ("stale", why) if why else ("complete", "")


def _value(parameters: Any, name: str) -> str:
    """The parameter of a dotted name, such as `data.path` or `scores.0`."""
    for part in name.split("."):
        parameters = parameters[int(part) if isinstance(parameters, list) else part]
    return parameters


def _row(where: RunDirectory, state: str, about: str) -> list[str]:
    record = read_record(where.path) or {}
    run = [where.path.name, where.path.parent.name]
    if writer := where.writer():
        row = RunDirectory(where.partial).latest_progress()
        epoch = [f"epoch {row['epoch']:g} of {row['epochs']:g}"] if row else []
        return [*run, "running", "", "", "; ".join([*epoch, writer])]
    finished = record.get("finished", "")[:16].replace("T", " ")
    return [*run, state, finished, took(record["seconds"]) if record.get("seconds") else "", about]


def short_path(path: Path) -> str:
    """A path, short if it lies below the working folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def made_and_next(outcomes: Sequence[Outcome], outputs: Path) -> list[str]:
    """The last lines of a good run: what was made, where, and what to do next."""
    n_made = sum(o.state == "made" for o in outcomes)
    kept = f", {len(outcomes) - n_made} complete already" if n_made < len(outcomes) else ""
    # the hydrograph first: it is what a hydrologist looks at first
    pages = sorted(
        [page for o in reversed(outcomes) for page in sorted(o.path.glob("*.html"))],
        key=lambda page: not page.name.startswith("hydrograph"),
    )
    more = f"; {len(pages) - 1} more beside it and in the other runs" if len(pages) > 1 else ""
    notebook = outcomes[-1].path / f"{outcomes[-1].run.notebook.name}.ipynb"
    every = short_path(outputs.parent)
    return [
        f"{n_made} run{'s' * (n_made != 1)} made{kept}: notebooks, parameters, results and figures"
        f" in {short_path(outputs)}",
        f"Look: open {short_path(pages[0])} in a browser{more}"
        if pages
        else f"Look: open {short_path(notebook)} in JupyterLab",
        f"Next: `hydronb app {every}` shows them side by side, `hydronb status {every}` says what"
        " is stale",
    ]
