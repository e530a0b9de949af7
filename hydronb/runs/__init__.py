"""From a plan to run directories: `read_plan`, `run_plan`, and the tables of `hydronb status`.

plan -> notebook (its parameters) -> identity -> directory (locked, complete by one rename) ->
engine (one process per run) -> schedule (what runs when) -> status.
"""

from hydronb.runs.plan import Plan, Run, read_plan
from hydronb.runs.schedule import Outcome, run_plan

__all__ = ["Outcome", "Plan", "Run", "read_plan", "run_plan"]
