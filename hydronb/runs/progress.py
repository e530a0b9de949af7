"""How far a plan is: bars in a terminal, elsewhere plain lines now and then."""

import time
from collections.abc import Mapping

from tqdm import tqdm

from hydronb.runs.directory import RunDirectory

EVERY = 60.0
"""Seconds between two plain lines of a run."""
BAR = "{desc}: {percentage:3.0f}%|{bar}| epoch {n:.1f}/{total:g} [{elapsed}{postfix}]"


class Lines:
    """For logs and pipes."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.printed: dict[str, float] = {}

    def refresh(self, running: Mapping[str, RunDirectory]) -> None:
        """Called a few times a second with the runs that are running."""
        now = time.monotonic()
        for run_id, directory in running.items():
            new = run_id not in self.printed
            if new or now - self.printed[run_id] >= EVERY:
                self.printed[run_id] = now
                if new:
                    print(f"{run_id}: started", flush=True)
                elif row := directory.latest_progress():
                    scores = "".join(f", {name} {value}" for name, value in _scores(row).items())
                    print(
                        f"{run_id}: epoch {row['epoch']:.2f} of {row['epochs']:g}{scores}",
                        flush=True,
                    )

    def ended(self, run_id: str, line: str) -> None:
        self.done += 1
        print(f"[{self.done}/{self.total}] {run_id}: {line}", flush=True)

    def close(self) -> None:
        return


class Bars:
    """One for the plan, below it one for each notebook that trains."""

    def __init__(self, total: int) -> None:
        self.plan = tqdm(total=total, unit="run", desc="plan", position=0)
        self.bars: dict[str, tqdm] = {}
        self.refreshed = 0.0

    def refresh(self, running: Mapping[str, RunDirectory]) -> None:
        """Called a few times a second with the runs that are running."""
        if time.monotonic() - self.refreshed < 1:
            return
        self.refreshed = time.monotonic()
        for run_id, directory in running.items():
            if row := directory.latest_progress():
                if run_id not in self.bars:
                    self.bars[run_id] = tqdm(
                        total=row["epochs"], desc=run_id, leave=False, bar_format=BAR
                    )
                self.bars[run_id].n = row["epoch"]
                self.bars[run_id].set_postfix(_scores(row))
        self.plan.set_postfix_str(", ".join(running))

    def ended(self, run_id: str, line: str) -> None:
        if run_id in self.bars:
            self.bars.pop(run_id).close()
        tqdm.write(f"{run_id}: {line}")
        self.plan.update()

    def close(self) -> None:
        self.plan.set_postfix_str("")
        for bar in (*self.bars.values(), self.plan):
            bar.close()


def _scores(row: dict[str, float]) -> dict[str, str]:
    return {name: f"{row[name]:.3f}" for name in ("loss", "valid") if name in row}
