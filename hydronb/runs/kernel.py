"""The notebook's kernel: ipykernel in this environment's Python, ending with the process that executes it."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from hydronb.runs.lifeline import PARENT, die_with_parent


class RunKernelManager(AsyncKernelManager):
    """Starts this module as the kernel, whatever kernels a user has installed.

    It listens on Unix sockets, not on ports: many kernels may start at once without taking each other's.
    """

    @default("transport")
    def _sockets(self) -> str:
        return "ipc"

    @default("ip")
    def _short_path(self) -> str:
        """The path of a Unix socket has at most some 100 bytes."""
        return str(Path(tempfile.mkdtemp(prefix="hydronb-")) / "kernel")

    def cleanup_ipc_files(self) -> None:
        super().cleanup_ipc_files()
        shutil.rmtree(Path(self.ip).parent, ignore_errors=True)

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        extra = extra_arguments or []
        return [sys.executable, "-m", "hydronb.runs.kernel", "-f", self.connection_file, *extra]


def main() -> None:
    from ipykernel.kernelapp import launch_new_instance

    die_with_parent(int(os.environ.pop(PARENT)))
    sys.path[0] = ""
    launch_new_instance()


if __name__ == "__main__":
    main()
