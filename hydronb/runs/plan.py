"""A plan: which notebooks run with which parameters. It is read from YAML and checked in full
before anything starts. Two runs are the same if their notebook, parameters, the runs they need and
the files they read are.

    name: demo
    data: {kind: synthetic}
    runs:
      - id: ealstm
        notebook: ealstm_01_train
        params: {model: ealstm}
        each: {seed: [111, 222]}        # runs ealstm_seed-111 and ealstm_seed-222
      - id: benchmark
        notebook: ealstm_02_benchmark
        needs: [ealstm]                 # their run directories are its parameter `runs`
"""

import fnmatch
import hashlib
import itertools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from hydronb.errors import ParameterError, located, nearest
from hydronb.files import reading
from hydronb.parameters import Parameters, once, read_parameters, resolve
from hydronb.runs.directory import read_record
from hydronb.runs.notebook import Notebook, find_notebook

MOST_RUNS = 10_000
LOOKS = 16
"""Files looked at side by side: network folders answer slowly, but many requests at once."""


def folder_name(name: str) -> str:
    """Return `name`, which is to name a folder.

    Raises
    ------
    ParameterError
        A character that not every disk takes, or a name that has another use there.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,149}", name, re.ASCII) or name.endswith(".partial"):
        raise ParameterError(
            f"{name!r:.60}: it names a folder; use letters, digits and _ . + -, at most 150"
        )
    if name.lower() == "superseded":
        raise ParameterError(f"{name!r} is where replaced runs are kept; choose another name")
    return name


FolderName = Annotated[str, AfterValidator(folder_name)]


class Entry(Parameters):
    """One item of a plan's `runs`."""

    noun: ClassVar[str] = "key"
    id: FolderName
    notebook: str
    params: dict[str, Any] = Field(default_factory=dict)
    each: dict[str, Annotated[list[Any], Field(min_length=1), AfterValidator(once)]] = Field(
        default_factory=dict
    )
    needs: list[str] = Field(default_factory=list)


class PlanFile(Parameters):
    """A plan as its file holds it."""

    noun: ClassVar[str] = "key"
    name: FolderName
    data: dict[str, Any] | None = None
    runs: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]


@dataclass(frozen=True)
class Run:
    """One notebook with one set of parameters."""

    id: str
    entry: str
    notebook: Notebook
    parameters: dict[str, Any]
    """What the plan gives, in plain form."""
    everything: dict[str, Any] = field(repr=False)
    """`parameters` over the defaults in the notebook's parameters cell."""
    needs: tuple["Run", ...]
    data: dict[str, str]
    """Fingerprints of the files and folders that the parameters name, by dotted name."""
    identity: str

    @property
    def threads(self) -> int:
        threads = self.everything.get("threads")
        return threads if isinstance(threads, int) and threads > 0 else 1


@dataclass(frozen=True)
class Plan:
    """All runs of a plan, in the order of the file."""

    name: str
    file: Path
    runs: tuple[Run, ...]

    def only(self, chosen: list[str]) -> "Plan":
        """The runs that `chosen` names (ids of entries or of runs, with `*`) and those they need.

        Raises
        ------
        ParameterError
            A name that fits no run.
        """
        kept: set[str] = set()
        for name in chosen:
            fitting = [
                r
                for r in self.runs
                if fnmatch.fnmatch(r.id, name) or fnmatch.fnmatch(r.entry, name)
            ]
            if not fitting:
                raise ParameterError(
                    f"{self.file}: no run {name!r}"
                    + nearest(name, {n for r in self.runs for n in (r.id, r.entry)})
                )
            kept |= {r.id for r in needed_first(fitting)}
        return Plan(self.name, self.file, tuple(r for r in self.runs if r.id in kept))


def needed_first(runs: Iterable[Run]) -> list[Run]:
    """These runs and all that they need, each once and after those it needs."""
    by_id: dict[str, Run] = {}
    waiting = [*runs]
    while waiting:
        run = waiting.pop()
        if run.id not in by_id:
            by_id[run.id] = run
            waiting += run.needs
    order = TopologicalSorter({run.id: [n.id for n in run.needs] for run in by_id.values()})
    return [by_id[run_id] for run_id in order.static_order()]


def read_plan(path: str | Path) -> Plan:
    """A plan with every run's parameters checked and its identity computed.

    Raises
    ------
    ParameterError, DataError
        One line that says which plan, which run and what is wrong.
    """
    file, shown = resolve(path), str(path)
    if not os.path.exists(file):
        raise ParameterError(
            f"{shown}: no such plan"
            + nearest(
                shown, [str(p.relative_to(Path.cwd())) for p in Path.cwd().glob("params/**/*.yaml")]
            )
        )
    values = read_parameters(
        file, shown=shown, hint="a plan needs `name:` and `runs:` (see params/demo.yaml)"
    )
    with located(shown):
        plan = PlanFile.validate_parameters(_with_value({"name": file.stem} | values))
        entries = _entries(plan)
        look: Callable[[Path], str] = cache(fingerprint)  # each path once in a plan
        runs: dict[str, list[Run]] = {}
        for entry in _in_order(entries):
            needs = tuple(run for needed in entry.needs for run in runs[needed])
            runs[entry.id] = [*_runs(entry, needs, plan.data, look)]
            by_identity: dict[str, str] = {}
            for run in runs[entry.id]:
                if (other := by_identity.setdefault(run.identity, run.id)) != run.id:
                    raise ParameterError(f"{other} and {run.id} have the same parameters; keep one")
        listed = tuple(run for name in entries for run in runs[name])
        _check_different(run.id for run in listed)
    return Plan(plan.name, file, listed)


def _with_value(named: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys without a value."""
    return {key: value for key, value in named.items() if value is not None}


def _entries(plan: PlanFile) -> dict[str, Entry]:
    entries = []
    for number, item in enumerate(plan.runs, start=1):
        with located(str(item.get("id", f"run {number}"))):
            entries.append(Entry.validate_parameters(_with_value(item)))
    by_id = {entry.id: entry for entry in entries}
    _check_different(entry.id for entry in entries)
    for entry, needed in ((e, n) for e in entries for n in e.needs if n not in by_id):
        raise ParameterError(f"{entry.id}: needs unknown {needed!r:.60}{nearest(needed, by_id)}")
    if sum(math.prod(map(len, entry.each.values())) for entry in entries) > MOST_RUNS:
        raise ParameterError(f"more than {MOST_RUNS:,} runs; shorten the lists in `each`")
    return by_id


def _check_different(ids: Iterable[str]) -> None:
    for run_id, count in Counter(ids).most_common(1):
        if count > 1:
            raise ParameterError(f"two runs have the id {run_id!r}; give each its own")


def _in_order(entries: Mapping[str, Entry]) -> list[Entry]:
    """Each entry after those that it needs."""
    try:
        order = TopologicalSorter({e.id: e.needs for e in entries.values()})
        return [entries[entry_id] for entry_id in order.static_order()]
    except CycleError as error:
        raise ParameterError(
            f"circular needs: {' needs '.join(reversed(error.args[1])):.300}"
        ) from None


def _runs(
    entry: Entry, needs: tuple[Run, ...], data: Any, look: Callable[[Path], str]
) -> Iterator[Run]:
    """A run for each combination of the `each` lists; `look` gives a path's fingerprint."""
    with located(entry.id):
        notebook = find_notebook(entry.notebook)
        folder_name(notebook.name)
        _check_needs(entry, notebook, needs)
    shared = {"data": data} if data is not None and "data" in notebook.takes else {}
    for run_id, params in _crossed(entry):
        with located(run_id):
            given, everything, paths = notebook.check(shared | params)
            runs = given.get("runs")
            named = [_identity(str(run)) for run in runs] if isinstance(runs, list) else []
            marks = {}
            for name, path in paths.items():
                with located(name):
                    marks[name] = look(resolve(path))
        files = {n: m for n, m in marks.items() if not n.startswith("data.")}
        made_of = {
            "notebook": notebook.name,
            "parameters": given,
            "needs": [needed.identity for needed in needs] + named,
            "data": {n.removeprefix("data."): marks[n] for n in marks.keys() - files.keys()},
        } | ({"files": files} if files else {})
        identity = hashlib.sha256(
            json.dumps(made_of, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        ).hexdigest()
        yield Run(run_id, entry.id, notebook, given, everything, needs, marks, identity)


def _check_needs(entry: Entry, notebook: Notebook, needs: tuple[Run, ...]) -> None:
    names = entry.params.keys() | entry.each.keys()
    for name in entry.params.keys() & entry.each.keys():
        raise ParameterError(f"{name!r:.60} is in params and in each; keep one")
    problems = {
        "run_dir is set by the runner; leave it out": "run_dir" in names,
        "runs come from needs; leave one of them out": needs and "runs" in names,
        f"{notebook.name} has no parameter `runs` to take what it needs": (
            needs and "runs" not in notebook.takes
        ),
    }
    for problem in (words for words, holds in problems.items() if holds):
        raise ParameterError(problem)
    takes = notebook.schema.takes_runs_of if notebook.schema else ()
    for run in needs if takes else ():
        if getattr(run.notebook.schema, "notebook", "") not in takes:
            raise ParameterError(
                f"{notebook.name} takes runs of {', '.join(takes)}, and {run.id} is one of"
                f" {run.notebook.name}; take it out of needs"
            )


def _crossed(entry: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run id and parameters for each combination of the `each` lists. The id contains the values,
    or the positions of lists and mappings."""
    numbered = [enumerate(values, start=1) for values in entry.each.values()]
    for choice in itertools.product(*numbered):
        parts, params = [entry.id], dict(entry.params)
        for name, (position, value) in zip(entry.each, choice, strict=True):
            text = str(position if isinstance(value, list | dict) else value)
            parts.append(f"{name}-{re.sub(r'[^A-Za-z0-9_.+-]+', '-', text)}")
            params[name] = value
        yield folder_name("_".join(parts)), params


def _identity(path: str) -> str:
    """The identity of a run directory that the plan names by its path."""
    record = read_record(resolve(path))
    if record is None or record["status"] != "complete":
        raise ParameterError(
            f"runs: {path:.200} is not a complete run directory; see `hydronb status`"
        )
    return str(record["identity"])


def fingerprint(path: Path) -> str:
    """sha256 of path, size and time of change of a file, or of every file in a folder except hidden
    ones. No file is read.

    Raises
    ------
    DataError
        No such file or folder, or one that cannot be looked into.
    """
    with reading(path, "a file or folder", hint="correct it, or see `hydronb data get`"):
        files = [str(path)] if path.is_file() else sorted(_files(str(path)))
        with ThreadPoolExecutor(LOOKS) as pool:
            lines = [
                f"{os.path.relpath(file, path)}\0{mark}"
                for file, mark in zip(files, pool.map(_mark, files), strict=True)
            ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(folder: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """All files except hidden ones; a link back to a folder `above` is not followed."""
    real = os.path.realpath(folder)
    entries = [] if real in above else [e for e in os.scandir(folder) if e.name[0] != "."]
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, (*above, real))
        else:
            yield entry.path


def _mark(file: str) -> str:
    """Size and time of change; empty for a broken link."""
    try:
        about = os.stat(file)
    except FileNotFoundError:
        return ""
    return f"{about.st_size}\0{about.st_mtime_ns}"
