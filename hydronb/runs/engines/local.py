"""The engine that executes run directories on this machine, one process per run, which ends with
the process that started it, even if that one is killed with -9."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import hydronb

PARENT = "HYDRONB_PARENT"
"""Environment variable with the id of the process to end with."""
FAILED, DISK_FULL = 1, 28
"""Exit codes of a run's process."""
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


def die_with_parent(parent: int) -> None:
    """End this process as soon as process `parent`, which started it, is gone."""
    if sys.platform == "linux":
        # 1 is PR_SET_PDEATHSIG
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
