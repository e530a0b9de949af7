"""How far a plan is: bars in a terminal, elsewhere plain lines now and then."""

import sys
import time
from pathlib import Path
from typing import Any

from hydronb.runs.directory import RunDirectory

EVERY = 60.0
"""Seconds between two plain lines of a run."""


class Lines:
    """For logs and pipes."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.running: dict[str, RunDirectory] = {}
        self.printed: dict[str, float] = {}

    def started(self, run_id: str, partial: Path) -> None:
        self.running[run_id] = RunDirectory(partial)
        self.printed[run_id] = time.monotonic()
        print(f"{run_id}: started", flush=True)

    def refresh(self) -> None:
        """Called a few times a second."""
        now = time.monotonic()
        for run_id, directory in self.running.items():
            if now - self.printed[run_id] >= EVERY:
                self.printed[run_id] = now
                if row := directory.latest_progress():
                    scores = "".join(f", {name} {value}" for name, value in _scores(row).items())
                    epochs = f"epoch {row['epoch']:.2f} of {row['epochs']:g}"
                    print(f"{run_id}: {epochs}{scores}", flush=True)

    def ended(self, run_id: str, line: str) -> None:
        self.running.pop(run_id, None)
        self.done += 1
        print(f"[{self.done}/{self.total}] {run_id}: {line}", flush=True)

    def close(self) -> None:
        return


class Bars:
    """One for the plan, below it one for each notebook that trains."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.tqdm = tqdm
        self.plan = tqdm(total=total, unit="run", desc="plan", position=0)
        self.running: dict[str, RunDirectory] = {}
        self.bars: dict[str, Any] = {}
        self.refreshed = 0.0

    def started(self, run_id: str, partial: Path) -> None:
        self.running[run_id] = RunDirectory(partial)
        self.plan.set_postfix_str(", ".join(self.running))

    def refresh(self) -> None:
        """Called a few times a second."""
        if time.monotonic() - self.refreshed < 1:
            return
        self.refreshed = time.monotonic()
        for run_id, directory in self.running.items():
            if row := directory.latest_progress():
                bar = self.bars.get(run_id) or self._add(run_id, row["epochs"])
                bar.n = row["epoch"]
                bar.set_postfix(_scores(row))
        self.plan.refresh()

    def _add(self, run_id: str, epochs: float) -> Any:
        taken = {abs(bar.pos) for bar in self.bars.values()}
        self.bars[run_id] = self.tqdm(
            total=epochs,
            desc=run_id,
            position=min(set(range(1, len(taken) + 2)) - taken),
            leave=False,
            bar_format=(
                "{desc}: {percentage:3.0f}%|{bar}| epoch {n:.1f}/{total:g} [{elapsed}{postfix}]"
            ),
        )
        return self.bars[run_id]

    def ended(self, run_id: str, line: str) -> None:
        self.running.pop(run_id, None)
        if run_id in self.bars:
            self.bars.pop(run_id).close()
        self.tqdm.write(f"{run_id}: {line}")
        self.plan.update()
        self.plan.set_postfix_str(", ".join(self.running))

    def close(self) -> None:
        for bar in (*self.bars.values(), self.plan):
            bar.close()


Progress = Lines | Bars


def progress(total: int) -> Progress:
    """Shows how far a plan of so many runs is."""
    return Bars(total) if sys.stderr.isatty() else Lines(total)


def _scores(row: dict[str, float]) -> dict[str, str]:
    return {name: f"{row[name]:.3f}" for name in ("loss", "valid") if name in row}
