"""What runs when: everything of a plan that is not complete, as soon as what it needs is there."""

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import hydronb
from hydronb.errors import ParameterError
from hydronb.runs.directory import Busy, RunDirectory, State, read_record, write_record
from hydronb.runs.engines.local import Engine, Job, LocalProcesses
from hydronb.runs.plan import Plan, Run
from hydronb.runs.progress import Progress, progress

Ended = Literal["complete", "made", "failed", "skipped", "busy"]
PAUSE = 0.1
"""Seconds between two looks at the processes."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended."""

    run: Run
    state: Ended
    """`complete` before; `made` is complete now; `skipped` for what it needs; `busy` in another
    process."""
    path: Path
    seconds: float = 0.0
    message: str = ""

    @property
    def good(self) -> bool:
        return self.state in ("complete", "made")


@dataclass
class _Running:
    run: Run
    job: Job
    lock: contextlib.ExitStack
    since: float


def run_plan(
    plan: Plan,
    outputs: Path,
    *,
    jobs: int | None = None,
    redo_stale: bool = False,
    engine: Engine | None = None,
) -> list[Outcome]:
    """Run what is missing; one failing run never stops the others.

    Parameters
    ----------
    jobs
        Runs at a time; None: as many as the cores allow with each run's threads.

    Raises
    ------
    ParameterError
        The outputs folder cannot be written; nothing has started then.
    """
    schedule = _Schedule(plan, outputs, engine or LocalProcesses(), redo_stale)
    waiting = schedule.to_do()
    if waiting:
        check_writable(outputs / plan.name)
        schedule.work(waiting, jobs or default_jobs(waiting), progress(len(waiting)))
    return [schedule.outcomes[run.id] for run in plan.runs]


def directory(outputs: Path, plan: str, run: Run) -> RunDirectory:
    """The directory of a run of the plan named `plan`."""
    return RunDirectory(outputs / plan / run.notebook.name / run.id)


def state_of_run(outputs: Path, plan: str, run: Run) -> tuple[State, str]:
    """State of a run's directory, with the reason or error if there is one."""
    return directory(outputs, plan, run).state(run.identity, versions(run))


def versions(run: Run) -> dict[str, str]:
    """Of the package and of the notebook's code."""
    return {"hydronb": hydronb.__version__, "notebook": run.notebook.code_hash}


def prepare(
    where: RunDirectory, run: Run, *, plan: str, needs: list[RunDirectory], fresh: bool
) -> None:
    """Make a directory ready to be executed: its parameters, without `run_dir`, whose name changes
    when the run is complete, and its record."""
    parameters = {name: value for name, value in run.everything.items() if name != "run_dir"}
    record = {
        "id": run.id,
        "plan": plan,
        "notebook": run.notebook.name,
        "status": "prepared",
        "identity": run.identity,
        "parameters": run.parameters,
        "data": run.data,
        "needs": [_made(needed) for needed in needs],
        "seed": run.everything.get("seed"),
        "threads": run.threads,
        "versions": versions(run),
        "notebook_file": str(run.notebook.path),
        "takes_run_dir": "run_dir" in run.notebook.takes,
    }
    runs = {"runs": [str(needed.path) for needed in needs]} if needs else {}
    where.prepare(record, parameters | runs, fresh=fresh)


def _made(needed: RunDirectory) -> dict[str, Any]:
    record = read_record(needed.path) or {}
    return {
        "id": needed.path.name,
        "path": str(needed.path),
        "identity": record.get("identity"),
        "finished": record.get("finished"),
    }


def default_jobs(runs: list[Run]) -> int:
    """Cores over the threads of the run that uses most, at most one a run."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(len(runs), cores // max(run.threads for run in runs)))


def to_redo(plan: Plan, outputs: Path) -> dict[str, str]:
    """The stale runs of a plan and those that stand on them, with the reason."""
    redo: dict[str, str] = {}
    for run in _needed_first(plan):
        state, why = state_of_run(outputs, plan.name, run)
        stale = next((f"{n.id} is stale" for n in run.needs if n.id in redo), "")
        if state == "stale" or (stale and state == "complete"):
            redo[run.id] = why or stale
    return redo


def check_writable(folder: Path) -> None:
    """Raises ParameterError with what to do where a file cannot be made in `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"room for a word")
    except OSError as error:
        raise ParameterError(cannot_write(error, folder)) from None


def cannot_write(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{error.filename or folder}: the disk is full; free some space, then the same command"
            " goes on"
        )
    return (
        f"{error.filename or folder}: {error.strerror}; choose a folder you can write to with"
        " --outputs"
    )


def _needed_first(plan: Plan) -> list[Run]:
    done: dict[str, Run] = {}

    def add(run: Run) -> None:
        for needed in run.needs:
            add(needed)
        done.setdefault(run.id, run)

    for run in plan.runs:
        add(run)
    return list(done.values())


def _note(partial: Path, record: dict[str, Any]) -> None:
    """Keep the reason for `hydronb status`; a full disk has no room for it."""
    with contextlib.suppress(OSError):
        write_record(partial, record)


class _Schedule:
    def __init__(self, plan: Plan, outputs: Path, engine: Engine, redo_stale: bool) -> None:
        self.plan, self.engine = plan, engine
        self.where = {run.id: directory(outputs, plan.name, run) for run in plan.runs}
        self.redo: Mapping[str, str] = to_redo(plan, outputs) if redo_stale else {}
        self.outcomes: dict[str, Outcome] = {}
        self.running: dict[str, _Running] = {}

    def to_do(self) -> list[Run]:
        """What is not complete; the rest has its outcome at once."""
        waiting = []
        for run in self.plan.runs:
            if self._complete(run) and run.id not in self.redo:
                self.outcomes[run.id] = Outcome(run, "complete", self.where[run.id].path)
            else:
                waiting.append(run)
        return waiting

    def work(self, waiting: list[Run], jobs: int, show: Progress) -> None:
        try:
            while waiting or self.running:
                self._collect(show)
                for run in list(waiting):
                    ready = self._ready(run)
                    if ready is None or (ready and len(self.running) >= jobs):
                        continue
                    waiting.remove(run)
                    if ready:
                        self._start(run, show)
                    else:
                        self._skip(run, show)
                show.refresh()
                time.sleep(PAUSE if self.running else 0)
        finally:
            for running in self.running.values():
                running.job.stop()
                running.lock.close()
            show.close()

    def _ready(self, run: Run) -> bool | None:
        """Whether it can start; None while something it needs is not decided."""
        ended = [self.outcomes.get(needed.id) for needed in run.needs]
        if any(outcome is not None and not outcome.good for outcome in ended):
            return False
        return None if None in ended else True

    def _skip(self, run: Run, show: Progress) -> None:
        ended = [self.outcomes[n.id] for n in run.needs if n.id in self.outcomes]
        bad = next(outcome for outcome in ended if not outcome.good)
        other = {"busy": "is being written by another process", "skipped": "was skipped"}
        why = other.get(bad.state, "failed")
        self._end(run, "skipped", f"because {bad.run.id} {why}", 0.0, show)

    def _start(self, run: Run, show: Progress) -> None:
        where, lock = self.where[run.id], contextlib.ExitStack()
        try:
            with contextlib.ExitStack() as undo:
                held = undo.enter_context(where.locked())
                if run.id not in self.redo and (
                    self._complete(run) or where.finish_publishing(run.identity)
                ):
                    self._end(run, "made", "finished meanwhile", 0.0, show)
                    return
                prepare(
                    where,
                    run,
                    plan=self.plan.name,
                    needs=[self.where[n.id] for n in run.needs],
                    fresh=run.id in self.redo,
                )
                job = self.engine.start(where.partial, threads=run.threads, lock=held)
                lock = undo.pop_all()
        except Busy as busy:
            self._end(run, "busy", f"being written by {busy}", 0.0, show)
        except OSError as error:
            self._end(run, "failed", cannot_write(error, where.partial), 0.0, show)
        else:
            self.running[run.id] = _Running(run, job, lock, time.monotonic())
            show.started(run.id, where.partial)

    def _collect(self, show: Progress) -> None:
        for running in [r for r in self.running.values() if r.job.ended()]:
            run, where = running.run, self.where[running.run.id]
            del self.running[run.id]
            took = time.monotonic() - running.since
            left = read_record(where.partial)
            if self._complete(run) and left is None:
                self._end(run, "made", "", took, show)
            else:
                if left is None or left["status"] != "failed":
                    left = (left or {}) | {"status": "failed", "error": running.job.last_words()}
                    _note(where.partial, left)
                self._end(run, "failed", left["error"], took, show)
            running.lock.close()

    def _complete(self, run: Run) -> bool:
        made = read_record(self.where[run.id].path)
        return (
            made is not None and made["status"] == "complete" and made["identity"] == run.identity
        )

    def _end(self, run: Run, state: Ended, message: str, seconds: float, show: Progress) -> None:
        where = self.where[run.id]
        path = where.path if state == "made" or not where.partial.exists() else where.partial
        self.outcomes[run.id] = Outcome(run, state, path, seconds, message)
        words = {"made": "complete"}.get(state, state)
        took = f" in {seconds:.0f} s" if seconds else ""
        show.ended(run.id, f"{words}{took}{': ' if message else ''}{message}")
