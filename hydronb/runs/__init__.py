"""From a plan to run directories: `read_plan`, `run_plan`, and what `hydronb status` says.

plan -> notebook (what it takes) -> identity -> directory (locked, complete by one rename) -> engine
(a process a run) -> schedule (what runs when) -> status.
"""

from hydronb.runs.plan import Plan, Run, read_plan
from hydronb.runs.schedule import Outcome, run_plan

__all__ = ["Outcome", "Plan", "Run", "read_plan", "run_plan"]
