"""How far a plan is: bars in a terminal, plain lines now and then elsewhere."""

import csv
import sys
import time
from pathlib import Path
from typing import Protocol, runtime_checkable

EVERY = 60.0
"""Seconds between two plain lines of a run."""


@runtime_checkable
class Progress(Protocol):
    def started(self, run_id: str, partial: Path) -> None: ...

    def refresh(self) -> None:
        """Called a few times a second."""

    def ended(self, run_id: str, line: str) -> None: ...

    def close(self) -> None: ...


def progress(total: int) -> Progress:
    return Bars(total) if sys.stderr.isatty() else Lines(total)


def last_row(partial: Path) -> dict[str, str]:
    """The newest whole row of progress.csv; empty where there is none yet."""
    try:
        text = (partial / "progress.csv").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    whole = text[: text.rfind("\n") + 1]  # a row may be half written
    rows = [row for row in csv.DictReader(whole.splitlines()) if row.get("epochs")]
    return rows[-1] if rows else {}


def _epoch(row: dict[str, str]) -> float:
    try:
        return float(row["epoch"])
    except (KeyError, ValueError):
        return 0.0


def _scores(row: dict[str, str]) -> dict[str, str]:
    shown = {"loss": row.get("loss"), "valid": row.get("valid")}
    return {name: f"{float(value):.3f}" for name, value in shown.items() if value}


class Lines:
    """For logs and pipes."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.running: dict[str, tuple[Path, float]] = {}

    def started(self, run_id: str, partial: Path) -> None:
        self.running[run_id] = (partial, time.monotonic())
        print(f"{run_id}: started", flush=True)

    def refresh(self) -> None:
        now = time.monotonic()
        for run_id, (partial, since) in self.running.items():
            if now - since >= EVERY:
                self.running[run_id] = (partial, now)
                self._line(run_id, last_row(partial))

    def _line(self, run_id: str, row: dict[str, str]) -> None:
        if row:
            scores = "".join(f", {name} {value}" for name, value in _scores(row).items())
            print(f"{run_id}: epoch {_epoch(row):.2f} of {row['epochs']}{scores}", flush=True)

    def ended(self, run_id: str, line: str) -> None:
        self.running.pop(run_id, None)
        self.done += 1
        print(f"[{self.done}/{self.total}] {run_id}: {line}", flush=True)

    def close(self) -> None:
        return


class Bars:
    """One for the plan, one below it for each notebook that trains."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.tqdm = tqdm
        self.plan = tqdm(total=total, unit="run", desc="plan", position=0)
        self.running: dict[str, Path] = {}
        self.bars: dict[str, tqdm] = {}
        self.looked = 0.0

    def started(self, run_id: str, partial: Path) -> None:
        self.running[run_id] = partial
        self._show()

    def refresh(self) -> None:
        if time.monotonic() - self.looked < 1:
            return
        self.looked = time.monotonic()
        for run_id, partial in self.running.items():
            if row := last_row(partial):
                self._move(run_id, row)
        self.plan.refresh()

    def _move(self, run_id: str, row: dict[str, str]) -> None:
        if run_id not in self.bars:
            taken = {-abs(bar.pos) for bar in self.bars.values()}
            place = next(n for n in range(1, len(taken) + 2) if -n not in taken)
            self.bars[run_id] = self.tqdm(
                total=float(row["epochs"]),
                desc=run_id,
                position=place,
                leave=False,
                bar_format=(
                    "{desc}: {percentage:3.0f}%|{bar}| epoch {n:.1f}/{total:g} [{elapsed}{postfix}]"
                ),
            )
        bar = self.bars[run_id]
        bar.n = min(_epoch(row), bar.total)
        bar.set_postfix(_scores(row))

    def ended(self, run_id: str, line: str) -> None:
        self.running.pop(run_id, None)
        if bar := self.bars.pop(run_id, None):
            bar.close()
        self.tqdm.write(f"{run_id}: {line}")
        self.plan.update()
        self._show()

    def _show(self) -> None:
        self.plan.set_postfix_str(", ".join(self.running))

    def close(self) -> None:
        for bar in self.bars.values():
            bar.close()
        self.plan.close()
