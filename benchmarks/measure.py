"""What the benchmarks share: fair timing of several candidates in one process, memory in one
process each, a table.

Times are CPU seconds of one thread: on an idle machine the same as the clock's, and on a shared one
without the time that others took. Candidates take turns, so that a slow minute of the machine meets
all of them.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import torch


def arguments(
    description: str, *, peer: str = "NeuralHydrology", **options: int
) -> argparse.Namespace:
    """`--peer`, `--quick`, `--repetitions` and one number an option; torch is set to one thread."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--peer", action="store_true", help=f"measure {peer} beside hydronb")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    for name, default in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    # the one candidate whose memory this process measures
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.peer:
        need_peer(peer)
    return chosen


def need_peer(peer: str) -> None:
    """Ends with the command that installs the peer, where it is missing."""
    try:
        version(peer.lower())
    except ImportError:
        sys.exit(
            f"{peer} is not installed here; `.venv/bin/python -m pip install -c constraints.txt"
            f" {peer.lower()}` brings it, or leave out --peer"
        )


def take_turns(candidates: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median CPU seconds of each candidate, after one run of each that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for repetition in range(repetitions + 1):
        for name, run in candidates.items():
            start = time.process_time()
            run()
            if repetition:
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def megabytes(field: str) -> float:
    """A field of this process's memory in MB: `VmRSS` now, `VmHWM` at most so far. Not a number
    where not on Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next(
        (int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), float("nan")
    )


def growth(run: Callable[[], object]) -> float:
    """MB by which the process grows at most while `run` runs."""
    before = megabytes("VmRSS")
    run()
    return megabytes("VmHWM") - before


def alone(candidate: str) -> float:
    """What this script prints when it is run for one candidate, in a process of its own."""
    command = [sys.executable, *sys.argv, "--alone", candidate]
    return float(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def show(header: Iterable[str], rows: Iterable[Iterable[object]], note: str = "") -> None:
    """A table for terminals and for Markdown."""
    text = [
        [
            (
                f"{v:.3g}"
                if isinstance(v, float) and v < 100
                else f"{v:,.0f}"
                if isinstance(v, float)
                else str(v)
            )
            for v in row
        ]
        for row in rows
    ]
    text.insert(0, list(header))
    widths = [max(len(row[k]) for row in text) for k in range(len(text[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in text
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print("\n".join(lines), f"\n{note}" if note else "", f"\n{machine()}", sep="")


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        cpu = next(
            (
                line.split(":")[1].strip()
                for line in info.read_text().splitlines()
                if "model name" in line
            ),
            cpu,
        )
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores, {cpu}{load}; torch {torch.__version__}, one thread; medians of"
        " CPU time"
    )
