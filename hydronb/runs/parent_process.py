"""Processes that end with the one that started them, even if that one is killed with -9."""

import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "HYDRONB_PARENT"
"""Environment variable with the id of the process to end with."""
FAILED, DISK_FULL = 1, 28
"""Exit codes of a run's process."""
PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """End this process as soon as process `parent`, which started it, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
