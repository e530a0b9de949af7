"""What the imports of each notebook cost: CPU seconds of its kernel, from start to last import.

    python benchmarks/imports.py [NOTEBOOK ...]

Every import statement of a notebook counts, also those that only run where it trains models of its
own. The median of three kernels.
"""

import ast
import json
import statistics
import sys
from pathlib import Path

from jupyter_client.manager import KernelManager

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
REPETITIONS = 3


def imports(notebook: Path) -> str:
    """The import statements of a notebook, one per line."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    found = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Import | ast.ImportFrom)]
    return "\n".join(dict.fromkeys(map(ast.unparse, found)))


def seconds(code: str) -> float:
    """CPU seconds of a kernel that runs `code`."""
    manager = KernelManager(transport="ipc")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    printed: list[str] = []

    def hear(message: dict) -> None:
        printed.append(message["content"].get("text", ""))

    try:
        reply = client.execute_interactive(code, output_hook=hear)
        if reply["content"]["status"] != "ok":
            sys.exit("\n".join(reply["content"]["traceback"]))
        printed.clear()
        client.execute_interactive("import time; print(time.process_time())", output_hook=hear)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return float("".join(printed))


def main() -> None:
    names = sys.argv[1:] or [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    print(f"{'notebook':36} CPU seconds")
    for name in names:
        code = imports(NOTEBOOKS / f"{name}.ipynb")
        each = [seconds(code) for _ in range(REPETITIONS)]
        print(f"{name:36} {statistics.median(each):.2f}", flush=True)


if __name__ == "__main__":
    main()
