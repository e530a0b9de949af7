"""A plan: which notebooks run with which parameters, read from YAML, checked in full before
anything starts.

name: demo
data: {kind: synthetic}
runs:
  - id: ealstm
    notebook: ealstm_01_train
    params: {model: ealstm}
    each: {seed: [111, 222]}        # runs ealstm_seed-111 and ealstm_seed-222
  - id: benchmark notebook: ealstm_02_benchmark needs: [ealstm]                 # their run
    directories reach the notebook as its parameter `runs`
"""

import fnmatch
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field

from hydronb.errors import ParameterError, nearest
from hydronb.parameters import Parameters, resolve
from hydronb.runs.identity import digest, fingerprint
from hydronb.runs.notebook import SET_BY_RUNNER, Notebook, find_notebook

Keyed = TypeVar("Keyed", bound=Parameters)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class Entry(Parameters):
    """One item of a plan's `runs`."""

    id: str
    notebook: str
    params: dict[str, Any] = Field(default_factory=dict)
    each: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    needs: list[str] = Field(default_factory=list)


class PlanFile(Parameters):
    """A plan as its file holds it."""

    name: str
    data: dict[str, Any] | None = None
    runs: Annotated[list[dict[str, Any]], Field(min_length=1)]


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
    """Fingerprints of the files and folders that the data come from."""
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
        """The runs that `chosen` names (ids of entries or runs, `*` allowed) and what they need.

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
                known = {r.id for r in self.runs} | {r.entry for r in self.runs}
                raise ParameterError(f"{self.file}: no run {name!r}{nearest(name, known)}")
            for run in fitting:
                kept |= {r.id for r in with_needs(run)}
        return Plan(self.name, self.file, tuple(r for r in self.runs if r.id in kept))


def with_needs(run: Run) -> Iterator[Run]:
    """A run and everything it stands on."""
    yield run
    for needed in run.needs:
        yield from with_needs(needed)


def read_plan(path: str | Path) -> Plan:
    """A plan with every run's parameters checked and its identity known.

    Raises
    ------
    ParameterError, DataError
        One line: which plan, which run, what is wrong.
    """
    file = resolve(path)
    raw = _keyed(_load(file, shown=str(path)), PlanFile, where=str(path))
    entries = _entries(raw, where=str(path))
    made: dict[str, list[Run]] = {}
    for name in _in_order(entries, where=str(path)):
        entry = entries[name]
        notebook = find_notebook(entry.notebook, where=f"{path}: {name}")
        needs = tuple(run for needed in entry.needs for run in made[needed])
        made[name] = [
            _run(
                entry,
                run_id,
                params,
                notebook,
                needs,
                raw.data,
                where=f"{path}: {run_id}",
                plan=str(path),
            )
            for run_id, params in _crossed(entry, where=f"{path}: {name}")
        ]
    runs = tuple(run for name in entries for run in made[name])
    _all_different([run.id for run in runs], where=str(path))
    return Plan(raw.name, file, runs)


def _load(file: Path, *, shown: str) -> dict[str, Any]:
    if not file.is_file():
        known = [str(p.relative_to(Path.cwd())) for p in Path.cwd().glob("params/**/*.yaml")]
        raise ParameterError(f"{shown}: no such plan{nearest(shown, known)}")
    try:
        raw = yaml.load(file.read_text(encoding="utf-8"), Loader=_OneOfEachKey)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ParameterError(
            f"{shown}{line}: not YAML: {getattr(error, 'problem', None) or error}"
        ) from None
    except UnicodeDecodeError:
        raise ParameterError(f"{shown}: not a text file in UTF-8") from None
    if not isinstance(raw, dict):
        raise ParameterError(
            f"{shown}: not a plan; it needs `name:` and `runs:` (see params/demo.yaml)"
        )
    return {"name": file.stem} | raw


class _OneOfEachKey(yaml.SafeLoader):
    """YAML lets the last of two equal keys win in silence; here it is an error, as is a date that
    there never was."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:  # 1999-02-30; without its line where it comes from the calendar
            problem = f"{node.value} is no date"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


_OneOfEachKey.add_constructor("tag:yaml.org,2002:timestamp", _OneOfEachKey.construct_yaml_timestamp)


def _keyed(raw: Mapping[str, Any], schema: type[Keyed], *, where: str) -> Keyed:
    for key in raw:
        if key not in schema.model_fields:
            raise ParameterError(
                f"{where}: unknown key {key!r}{nearest(str(key), schema.model_fields)}"
            )
    for key, about in schema.model_fields.items():
        if about.is_required() and key not in raw:
            raise ParameterError(f"{where}: the key {key!r} is missing")
    filled = {key: value for key, value in raw.items() if value is not None}
    return schema.validate_parameters(filled, where=where)


def _entries(raw: PlanFile, *, where: str) -> dict[str, Entry]:
    entries = [
        _keyed(item, Entry, where=f"{where}: {item.get('id', f'run {n}')}")
        for n, item in enumerate(raw.runs, start=1)
    ]
    _safe(raw.name, where=f"{where}: name")
    for entry in entries:
        _safe(entry.id, where=f"{where}: id")
    ids = [entry.id for entry in entries]
    _all_different(ids, where=where)
    for entry in entries:
        for needed in entry.needs:
            if needed not in ids:
                raise ParameterError(
                    f"{where}: {entry.id}: needs unknown {needed!r}{nearest(needed, ids)}"
                )
    return {entry.id: entry for entry in entries}


def _safe(name: str, *, where: str) -> None:
    if not NAME.fullmatch(name) or len(name) > 150 or name.endswith(".partial"):
        raise ParameterError(
            f"{where} = {name!r}: it names a folder; use letters, digits and _ . + -, at most 150"
        )


def _all_different(ids: list[str], *, where: str) -> None:
    for name in ids:
        if ids.count(name) > 1:
            raise ParameterError(f"{where}: two runs have the id {name!r}; give each its own")


def _in_order(entries: Mapping[str, Entry], *, where: str) -> list[str]:
    try:
        return list(
            TopologicalSorter({name: entry.needs for name, entry in entries.items()}).static_order()
        )
    except CycleError as error:
        raise ParameterError(
            f"{where}: circular needs: {' needs '.join(reversed(error.args[1]))}"
        ) from None


def _crossed(entry: Entry, *, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run id and parameters for each combination of the `each` lists."""
    for name in entry.each:
        if name in entry.params:
            raise ParameterError(f"{where}: {name!r} is in params and in each; keep one")
    for choice in itertools.product(
        *(enumerate(values, start=1) for values in entry.each.values())
    ):
        values = {name: value for name, (_, value) in zip(entry.each, choice, strict=True)}
        parts = [
            f"{name}-{_in_name(value, n)}"
            for name, (n, value) in zip(entry.each, choice, strict=True)
        ]
        run_id = "_".join([entry.id, *parts])
        _safe(run_id, where=f"{where}: id")
        yield run_id, entry.params | values


def _in_name(value: Any, position: int) -> str:
    """A value as a part of a folder's name; lists and mappings by their position."""
    if isinstance(value, list | dict):
        return str(position)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", str(value))


def _shared_data(data: dict[str, Any], notebook: Notebook, *, where: str) -> dict[str, Any]:
    """The plan's `data`, as the notebook's kind of data has it."""
    plain = notebook.data_class.validate_parameters(data, where=where).plain()
    return {name: plain[name] for name in data}


def _run(
    entry: Entry,
    run_id: str,
    params: dict[str, Any],
    notebook: Notebook,
    needs: tuple[Run, ...],
    data: dict[str, Any] | None,
    *,
    where: str,
    plan: str,
) -> Run:
    for name in SET_BY_RUNNER:
        if name in params:
            raise ParameterError(f"{where}: {name} is set by the runner; leave it out")
    if needs and "runs" in params:
        raise ParameterError(f"{where}: runs come from needs; leave one of them out")
    if needs and "runs" not in notebook.takes:
        raise ParameterError(
            f"{where}: {notebook.name} has no parameter `runs` to take what it needs"
        )
    wanted = notebook.schema.takes_runs_of if notebook.schema else ()
    if wanted and (other := [n for n in needs if n.notebook.name not in wanted]):
        raise ParameterError(
            f"{where}: {notebook.name} takes runs of {', '.join(wanted)}, and {other[0].id} is one"
            f" of {other[0].notebook.name}; take it out of needs"
        )
    shared = data is not None and "data" in notebook.takes and "data" not in params
    given = (
        {"data": _shared_data(data, notebook, where=f"{plan}: data")} | params if shared else params
    )
    plain, everything = notebook.check(given, where=where)
    from_data = isinstance(plain.get("data"), Mapping)
    marks = (
        fingerprint(plain["data"], notebook.data_class, where=f"{where}: data") if from_data else {}
    )
    stands_on = [n.identity for n in needs] + [
        _made_elsewhere(path, where=where) for path in _runs(plain)
    ]
    identity = digest(
        {"notebook": notebook.name, "parameters": plain, "needs": stands_on, "data": marks}
    )
    return Run(run_id, entry.id, notebook, plain, everything, needs, marks, identity)


def _runs(plain: Mapping[str, Any]) -> list[str]:
    runs = plain.get("runs")
    return [str(path) for path in runs] if isinstance(runs, list) else []


def _made_elsewhere(path: str, *, where: str) -> str:
    """The identity of a run directory that the plan names by its path."""
    record = resolve(path) / "run.json"
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        hint = "is not a complete run directory; see `hydronb status`"
        raise ParameterError(f"{where}: runs: {path} {hint}") from None
