"""Execute one prepared run directory: `python -m hydronb.runs.execute RUN_ID.partial`.

This is what every engine has to have done: in a process on this machine, or in a job on a cluster.
All that it needs is in the directory's run.json. It ends with the directory complete, or with
`status: failed` and the error's message in run.json.
"""

import contextlib
import datetime as dt
import errno
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import hydronb.errors
from hydronb.runs.directory import RunDirectory, read_record, write_record
from hydronb.runs.engines.local import DISK_FULL, FAILED, PARENT, die_with_parent


def execute(partial: Path) -> bool:
    """Run the notebook of a prepared directory from the working folder; return whether it is
    complete now.

    Raises
    ------
    OSError
        It is no prepared directory, or cannot be written.
    """
    record = read_record(partial)
    if record is None:
        raise FileNotFoundError(errno.ENOENT, "not a prepared run directory", str(partial))
    started = dt.datetime.now().astimezone()
    record |= {
        "status": "running",
        "started": started.isoformat(timespec="milliseconds"),
        "machine": {
            "name": platform.node(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "libraries": {
            name: importlib.metadata.version(name)
            for name in ("torch", "numpy", "xarray", "papermill")
        },
    }
    record.pop("error", None)
    write_record(partial, record)
    error = _notebook(partial, record)
    finished = dt.datetime.now().astimezone()
    record |= {
        "finished": finished.isoformat(timespec="milliseconds"),
        "seconds": round((finished - started).total_seconds(), 1),
    }
    write_record(
        partial,
        record | ({"status": "failed", "error": error} if error else {"status": "complete"}),
    )
    if not error:
        RunDirectory(partial.with_name(partial.name.removesuffix(".partial"))).publish()
    return not error


def _notebook(partial: Path, record: dict[str, Any]) -> str:
    """Run the notebook; return its error in one line, empty if there is none."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    from hydronb.runs import kernel

    runs = {"runs": [needed["path"] for needed in record["needs"]]} if record["needs"] else {}
    run_dir = {"run_dir": str(partial)} if record["takes_run_dir"] else {}
    os.environ[PARENT] = str(os.getpid())
    try:
        papermill.execute_notebook(
            record["notebook_file"],
            str(partial / f"{record['notebook']}.ipynb"),
            parameters=record["parameters"] | runs | run_dir,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=kernel.RunKernelManager,
        )
    except papermill.PapermillExecutionError as error:
        return _words(error.ename, error.evalue)
    except DeadKernelError:
        return "the notebook's process was killed (out of memory?); the same command resumes it"
    return ""


def _words(name: str, value: str) -> str:
    """An error in one line; one that the user can put right needs no class name before it."""
    line = next((line.strip() for line in value.splitlines() if line.strip()), "")
    kind = getattr(hydronb.errors, name, None)
    if isinstance(kind, type) and issubclass(kind, hydronb.errors.HydronbError):
        return line
    return f"{name}: {line}" if line else name


def main() -> None:
    if parent := os.environ.pop(PARENT, None):
        die_with_parent(int(parent))
    try:
        sys.exit(0 if execute(Path(sys.argv[1])) else FAILED)
    except OSError as error:
        with contextlib.suppress(OSError):  # the log may lie on the same full disk
            print(f"{error.strerror}: {error.filename}", file=sys.stderr, flush=True)
        sys.exit(DISK_FULL if error.errno == errno.ENOSPC else FAILED)


if __name__ == "__main__":
    main()
