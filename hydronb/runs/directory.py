"""A run's directory, outputs/PLAN/NOTEBOOK/RUN_ID: RUN_ID.partial while being written, complete by
a rename."""

import contextlib
import datetime as dt
import fcntl
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

import hydronb
from hydronb.runs.notebook import Notebook
from hydronb.runs.plan import Run

State = Literal["new", "unfinished", "failed", "changed", "complete", "stale"]
"""Of a directory, seen from a plan. `changed`: complete, but with other parameters, data or needs.
`stale`: complete, but made by another version of the package or notebook, or before what it needs
was made again."""


class Busy(Exception):
    """Another process is writing the directory."""


@dataclass(frozen=True)
class RunDirectory:
    """Where a run's files are; `path` once complete, `partial` until then."""

    path: Path

    @property
    def partial(self) -> Path:
        return self.path.with_name(self.path.name + ".partial")

    @property
    def _lock_file(self) -> Path:
        return self.path.parent.parent / ".locks" / self.path.parent.name / f"{self.path.name}.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the right to write; the file descriptor may be handed to a process, which then holds
        it too.

        Raises
        ------
        Busy
            Saying who holds it.
        """
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _try_lock(lock):
                raise Busy(_holder(lock))
            now = dt.datetime.now().isoformat(" ", "seconds")
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {platform.node()} since {now}".encode(), 0)
            yield lock
        finally:
            os.close(lock)

    def writer(self) -> str | None:
        """Who is writing the directory just now."""
        if not self._lock_file.is_file():
            return None
        lock = os.open(self._lock_file, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(lock)
        finally:
            os.close(lock)
        return None

    def prepare(self, run: Run, *, plan: str, needs: list["RunDirectory"], fresh: bool) -> None:
        """Make `partial` ready to be executed; one left by the same run is kept, so that it
        resumes."""
        left = read_record(self.partial)
        if (
            left is None
            or left["identity"] != run.identity
            or (fresh and left["versions"] != versions(run))
        ):
            shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True, exist_ok=True)
        _write(
            self.partial / "params.yaml", yaml.safe_dump(_parameters(run, needs), sort_keys=False)
        )
        write_record(
            self.partial,
            {
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
            },
        )

    def publish(self) -> None:
        """`partial` becomes `path`; what was there is kept in `superseded/`."""
        if self.path.exists():
            kept = self.path.parent.parent / "superseded" / self.path.parent.name
            kept.mkdir(parents=True, exist_ok=True)
            os.rename(self.path, kept / f"{self.path.name}-{dt.datetime.now():%Y%m%dT%H%M%S.%f}")
        os.rename(self.partial, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def finish_publishing(self, run: Run) -> bool:
        """Where a stop fell between the last word of run.json and the rename: rename now."""
        left = read_record(self.partial)
        if left is None or left["status"] != "complete" or left["identity"] != run.identity:
            return False
        self.publish()
        return True

    def state(self, run: Run, needs: list["RunDirectory"]) -> tuple[State, str]:
        """Of the directory for this run, with the reason or error where there is one."""
        made, left = read_record(self.path), read_record(self.partial)
        complete = made is not None and made["status"] == "complete"
        if complete and made["identity"] == run.identity:
            why = stale(made, versions(run), {n.path.name: read_record(n.path) for n in needs})
            return ("stale", why) if why else ("complete", "")
        if left is not None and left["identity"] == run.identity:
            return (
                ("failed", left.get("error", ""))
                if left["status"] == "failed"
                else ("unfinished", "")
            )
        return (
            ("changed", "parameters, data or needs differ from the plan's")
            if complete
            else ("new", "")
        )


def directory(outputs: Path, plan: str, run: Run) -> RunDirectory:
    return RunDirectory(outputs / plan / run.notebook.name / run.id)


def versions(run: Run) -> dict[str, str]:
    """Of the package and of the notebook's code."""
    return {"hydronb": hydronb.__version__, "notebook": run.notebook.code_hash}


def versions_today(made: dict[str, Any]) -> dict[str, str]:
    """As `versions`, for a record without its plan; a notebook that is gone counts as unchanged."""
    notebook = Notebook(Path(made["notebook_file"]))
    code = notebook.code_hash if notebook.path.is_file() else made["versions"]["notebook"]
    return {"hydronb": hydronb.__version__, "notebook": code}


def stale(
    made: dict[str, Any], now: dict[str, str], needs: dict[str, dict[str, Any] | None]
) -> str:
    """Why a complete run would come out differently today; empty where it would not."""
    then = made["versions"]
    if then["hydronb"] != now["hydronb"]:
        return f"made by hydronb {then['hydronb']}, now {now['hydronb']}"
    if then["notebook"] != now["notebook"]:
        return "the notebook's code has changed since"
    for needed in made["needs"]:
        record = needs.get(needed["id"])
        if record is None or record.get("finished") != needed["finished"]:
            return (
                f"{needed['id']} has been made again since" if record else f"{needed['id']} is gone"
            )
    return ""


def read_record(folder: Path) -> dict[str, Any] | None:
    """run.json, or None where there is none or it is not whole."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    whole = (
        isinstance(record, dict) and {"status", "identity", "versions", "needs"} <= record.keys()
    )
    return record if whole else None


def write_record(folder: Path, record: dict[str, Any]) -> None:
    _write(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False))


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and on the disk when this returns."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _parameters(run: Run, needs: list[RunDirectory]) -> dict[str, Any]:
    """All of the run's parameters; not run_dir, whose name changes when the run is complete."""
    everything = {name: value for name, value in run.everything.items() if name != "run_dir"}
    return everything | ({"runs": [str(n.path) for n in needs]} if needs else {})


def _made(needed: RunDirectory) -> dict[str, Any]:
    record = read_record(needed.path) or {}
    return {
        "id": needed.path.name,
        "path": str(needed.path),
        "identity": record.get("identity"),
        "finished": record.get("finished"),
    }


def _try_lock(lock: int) -> bool:
    """Ask a few times: `writer` of another process holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _holder(lock: int) -> str:
    return os.pread(lock, 500, 0).decode(errors="replace") or "another process"
