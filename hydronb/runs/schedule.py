"""What runs when: every run of a plan that is not complete, as soon as those it needs are."""

import contextlib
import errno
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import hydronb
from hydronb.errors import ParameterError
from hydronb.runs.directory import Busy, RunDirectory, State, read_record, write_record
from hydronb.runs.engines import local
from hydronb.runs.plan import Plan, Run, needed_first
from hydronb.runs.progress import Bars, Lines

Ended = Literal["complete", "made", "failed", "skipped", "busy"]
PAUSE = 0.1
"""Seconds between two looks at the processes."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended."""

    run: Run
    state: Ended
    """`complete`: it was before; `made`: it is now; `skipped`: a run that it needs is not complete;
    `busy`: another process is writing it."""
    path: Path
    seconds: float = 0.0
    message: str = ""

    @property
    def good(self) -> bool:
        return self.state in ("complete", "made")


@dataclass
class _Running:
    run: Run
    job: Any
    lock: contextlib.ExitStack
    since: float


def run_plan(
    plan: Plan,
    outputs: Path,
    *,
    jobs: int | None = None,
    redo_stale: bool = False,
    engine: Any = local,
) -> list[Outcome]:
    """Run what is missing. A run that fails stops only those that need it.

    Parameters
    ----------
    jobs
        Runs at a time; if None, as many as the cores allow with each run's threads.
    engine
        What executes the run directories; see `hydronb.runs.engines`.

    Raises
    ------
    ParameterError
        The outputs folder cannot be written; nothing has been started.
    """
    schedule = _Schedule(plan, outputs, engine, redo_stale)
    if waiting := [run for run in plan.runs if run.id not in schedule.outcomes]:
        folder = outputs / plan.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"a few bytes")
        except OSError as error:
            raise ParameterError(cannot_write(error, folder)) from None
        show = (Bars if sys.stderr.isatty() else Lines)(len(waiting))
        schedule.work(waiting, jobs or default_jobs(waiting), show)
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
    parameters |= {"runs": [str(needed.path) for needed in needs]} if needs else {}
    record = {
        "id": run.id,
        "plan": plan,
        "notebook": run.notebook.name,
        "status": "prepared",
        "identity": run.identity,
        "parameters": run.parameters,
        "data": run.data,
        "needs": [
            {
                "id": needed.path.name,
                "path": str(needed.path),
                "identity": (record := read_record(needed.path) or {}).get("identity"),
                "finished": record.get("finished"),
            }
            for needed in needs
        ],
        "seed": run.everything.get("seed"),
        "threads": run.threads,
        "versions": versions(run),
        "notebook_file": str(run.notebook.path),
        "takes_run_dir": "run_dir" in run.notebook.takes,
    }
    where.prepare(record, parameters, fresh=fresh)


def default_jobs(runs: list[Run]) -> int:
    """Cores divided by the most threads of a run, at most the number of runs."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(len(runs), cores // max(run.threads for run in runs)))


def to_redo(plan: Plan, outputs: Path) -> dict[str, str]:
    """The stale runs of a plan and those that need them, with the reason."""
    redo: dict[str, str] = {}
    for run in needed_first(plan.runs):
        state, why = state_of_run(outputs, plan.name, run)
        stale = next((f"{n.id} is stale" for n in run.needs if n.id in redo), "")
        if state == "stale" or (stale and state == "complete"):
            redo[run.id] = why or stale
    return redo


def cannot_write(error: OSError, folder: Path) -> str:
    """What the error means for a user who writes to `folder`, in one line."""
    why = (
        "the disk is full; free some space, then the same command goes on"
        if error.errno == errno.ENOSPC
        else f"{error.strerror}; choose a folder you can write to with --outputs"
    )
    return f"{error.filename or folder}: {why}"


class _Schedule:
    """The runs of a plan: waiting, running or with an outcome."""

    def __init__(self, plan: Plan, outputs: Path, engine: Any, redo_stale: bool) -> None:
        self.plan, self.engine = plan, engine
        self.where = {run.id: directory(outputs, plan.name, run) for run in plan.runs}
        self.redo: Mapping[str, str] = to_redo(plan, outputs) if redo_stale else {}
        self.outcomes = {
            run.id: Outcome(run, "complete", self.where[run.id].path)
            for run in plan.runs
            if self._complete(run) and run.id not in self.redo
        }
        self.running: dict[str, _Running] = {}

    def work(self, waiting: list[Run], jobs: int, show: Lines | Bars) -> None:
        try:
            while waiting or self.running:
                self._collect(show)
                for run in list(waiting):
                    ended = [self.outcomes.get(needed.id) for needed in run.needs]
                    if bad := [outcome for outcome in ended if outcome and not outcome.good]:
                        waiting.remove(run)
                        why = {
                            "busy": "is being written by another process",
                            "skipped": "was skipped",
                        }
                        words = f"because {bad[0].run.id} {why.get(bad[0].state, 'failed')}"
                        self._end(run, "skipped", words, 0.0, show)
                    elif None not in ended and len(self.running) < jobs:
                        waiting.remove(run)
                        self._start(run, show)
                show.refresh({n: RunDirectory(self.where[n].partial) for n in self.running})
                time.sleep(PAUSE if self.running else 0)
        finally:
            for running in self.running.values():
                running.job.stop()
                running.lock.close()
            show.close()

    def _start(self, run: Run, show: Lines | Bars) -> None:
        where = self.where[run.id]
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
                self.running[run.id] = _Running(run, job, undo.pop_all(), time.monotonic())
        except Busy as busy:
            self._end(run, "busy", f"being written by {busy}", 0.0, show)
        except OSError as error:
            self._end(run, "failed", cannot_write(error, where.partial), 0.0, show)

    def _collect(self, show: Lines | Bars) -> None:
        for running in [r for r in self.running.values() if r.job.ended()]:
            run, where = running.run, self.where[running.run.id]
            del self.running[run.id]
            record = read_record(where.partial)
            complete = record is None and self._complete(run)
            if not complete and (record is None or record["status"] != "failed"):
                record = (record or {}) | {"status": "failed", "error": running.job.last_words()}
                with contextlib.suppress(OSError):  # a full disk has no room for the reason
                    write_record(where.partial, record)
            state, why = ("made", "") if complete else ("failed", record["error"])
            self._end(run, state, why, time.monotonic() - running.since, show)
            running.lock.close()

    def _complete(self, run: Run) -> bool:
        record = read_record(self.where[run.id].path) or {}
        return (record.get("status"), record.get("identity")) == ("complete", run.identity)

    def _end(
        self, run: Run, state: Ended, message: str, seconds: float, show: Lines | Bars
    ) -> None:
        where = self.where[run.id]
        path = where.path if state == "made" or not where.partial.exists() else where.partial
        self.outcomes[run.id] = Outcome(run, state, path, seconds, message)
        words = "complete" if state == "made" else state
        words += f" in {seconds:.0f} s" if seconds else ""
        show.ended(run.id, f"{words}: {message}" if message else words)
