"""The engine that executes run directories on this machine, one process per run."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import hydronb
from hydronb.runs.parent_process import DISK_FULL, PARENT

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class LocalJob:
    """A new interpreter; what it and the notebook print goes to `log.txt` in the directory."""

    process: subprocess.Popen[bytes]

    def ended(self) -> bool:
        return self.process.poll() is not None

    def last_words(self) -> str:
        """Why it ended, if run.json does not say so."""
        code = self.process.returncode
        if code == DISK_FULL:
            return "the disk is full; free some space, then the same command resumes it"
        if code < 0:
            return (
                f"its process was killed ({signal.Signals(-code).name}); the same command"
                " resumes it"
            )
        return f"its process ended with exit code {code}; see log.txt"

    def stop(self) -> None:
        """End it at once: files are written whole, and the kernel ends with the process."""
        self.process.kill()
        self.process.wait()


def start(partial: Path, *, threads: int, lock: int) -> LocalJob:
    """Start a process in the caller's working folder; it ends when this process does. `threads` is
    the number that numerical libraries may use, so that runs side by side do not slow each other
    down."""
    env = os.environ | dict.fromkeys(THREADS, str(threads)) | {PARENT: str(os.getpid())}
    root = Path(hydronb.__file__).resolve().parent.parent
    if (root / "pyproject.toml").is_file():  # a checkout, which may not be installed
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), env.get("PYTHONPATH")]))
    with (partial / "log.txt").open("ab") as log:
        return LocalJob(
            subprocess.Popen(
                [sys.executable, "-m", "hydronb.runs.execute", str(partial)],
                env=env,
                pass_fds=(lock,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
