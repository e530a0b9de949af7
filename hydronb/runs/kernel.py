"""The notebook's kernel: ipykernel in this environment's Python, ending with the process that
executes it."""

import os
import sys
import uuid

from jupyter_client.localinterfaces import localhost
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from hydronb.runs.engines.local import PARENT, die_with_parent


class RunKernelManager(AsyncKernelManager):
    """Starts this module as the kernel, whichever kernels a user has installed.

    On Linux it listens on Unix sockets with abstract names: many kernels can start at once without
    taking each other's ports, and no file is left when one is killed. Elsewhere it listens on
    ports, as usual.
    """

    @default("transport")
    def _sockets(self) -> str:
        return "ipc" if sys.platform == "linux" else "tcp"

    @default("ip")
    def _abstract_name(self) -> str:
        return f"@hydronb-{uuid.uuid4()}" if self.transport == "ipc" else localhost()

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return [
            *(sys.executable, "-m", "hydronb.runs.kernel", "-f", self.connection_file),
            *(extra_arguments or []),
        ]


def main() -> None:
    from ipykernel.kernelapp import launch_new_instance

    die_with_parent(int(os.environ.pop(PARENT)))
    sys.path[0] = ""
    launch_new_instance()


if __name__ == "__main__":
    main()
