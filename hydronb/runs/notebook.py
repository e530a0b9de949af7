"""A notebook as the runner sees it: where it lies, which parameters it takes, and a hash of its
code."""

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hydronb
from hydronb.errors import HydronbError, ParameterError, nearest
from hydronb.parameters import NOTEBOOKS, DataParameters, NotebookParameters, resolve

SET_BY_RUNNER = ("run_dir",)


def notebooks_folder() -> Path:
    """`notebooks/` beside the package (a checkout), else the one in the working folder."""
    beside = Path(hydronb.__file__).resolve().parent.parent / "notebooks"
    return beside if beside.is_dir() else Path.cwd() / "notebooks"


@dataclass(frozen=True)
class Notebook:
    """One .ipynb file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def _code_cells(self) -> list[tuple[str, list[str]]]:
        """Source and tags of each code cell."""
        try:
            cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
            code = [cell for cell in cells if cell["cell_type"] == "code"]
            return [
                ("".join(cell["source"]), cell.get("metadata", {}).get("tags", [])) for cell in code
            ]
        except (ValueError, KeyError, TypeError):
            raise ParameterError(
                f"{self.path}: not a notebook in version 4 JSON; save it once in JupyterLab"
            ) from None

    @cached_property
    def code_hash(self) -> str:
        """Changes with the code, not with outputs, text or metadata."""
        sources = json.dumps([source for source, _ in self._code_cells])
        return hashlib.sha256(sources.encode()).hexdigest()[:16]

    @cached_property
    def assigned(self) -> dict[str, Any]:
        """Name and default of each assignment in the cell tagged `parameters`; None where it is
        computed."""
        sources = [source for source, tags in self._code_cells if "parameters" in tags]
        if not sources:
            return {}
        try:
            body = ast.parse(sources[0]).body
        except SyntaxError as error:
            where = f"{self.path}: parameters cell, line {error.lineno}"
            raise ParameterError(f"{where}: not Python; correct it in JupyterLab") from None
        found: dict[str, Any] = {}
        for node in body:
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            )
            for target in targets:
                if isinstance(target, ast.Name):
                    found[target.id] = _literal(getattr(node, "value", None))
        return found

    @property
    def schema(self) -> type[NotebookParameters] | None:
        """Its parameter class, for the project's own notebooks; a copy elsewhere may take
        others."""
        own = self.path.parent == notebooks_folder()
        return NOTEBOOKS.get(self.name) if own else None

    @property
    def takes(self) -> set[str]:
        """Names of all its parameters."""
        return set(self.schema.model_fields) if self.schema else set(self.assigned)

    @property
    def data_class(self) -> type[Any]:
        """What its parameter `data` is."""
        return self.schema.data_class() if self.schema else DataParameters

    def check(
        self, given: Mapping[str, Any], *, where: str
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The given parameters in plain form, and all that the run will have: the given ones over
        the defaults in the notebook's own parameters cell.

        Raises
        ------
        ParameterError
            An unknown name or a value that cannot be, before anything runs.
        """
        for name in given:
            if name not in self.takes:
                hint = (self.schema.instead.get(name) if self.schema else "") or nearest(
                    name, self.takes
                )
                raise ParameterError(f"{where}: unknown parameter {name!r} of {self.name}{hint}")
        if self.schema is None:
            plain = {
                name: _like(value, self.assigned[name], f"{where}: {name}")
                for name, value in given.items()
            }
            return plain, _plain(self.assigned) | plain
        defaults = {
            name: value for name, value in self.assigned.items() if name in self.schema.model_fields
        }
        try:
            everything = self.schema.validate_parameters(defaults | dict(given)).plain()
            for value in given.values():
                if isinstance(value, str) and value.startswith("$"):
                    resolve(value)
        except HydronbError as error:
            raise ParameterError(f"{where}: {error}") from None
        plain = {name: everything[name] for name in given}
        if isinstance(given.get("data"), Mapping):
            plain["data"] = {name: plain["data"][name] for name in given["data"]}
        return plain, everything


def find_notebook(name: str, *, where: str) -> Notebook:
    """A notebook of the project by its name, or any by the path to its .ipynb.

    Raises
    ------
    ParameterError
        There is none; the nearest name is given.
    """
    if name.endswith(".ipynb"):
        path = resolve(name)
        if not path.is_file():
            raise ParameterError(f"{where}: no notebook {path}")
        return Notebook(path)
    folder = notebooks_folder()
    path = folder / f"{name}.ipynb"
    if not path.is_file():
        known = [p.stem for p in folder.glob("*.ipynb")]
        raise ParameterError(f"{where}: unknown notebook {name!r}{nearest(name, known)}")
    return Notebook(path)


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    """As JSON holds it: dates as text, tuples as lists."""
    return json.loads(json.dumps(value, default=str))


def _like(value: Any, default: Any, where: str) -> Any:
    """`value` where the default is a number or text: YAML reads `1e-3` as text and `yes` as a
    boolean."""
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if number and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ParameterError(f"{where} = {value!r}: a number belongs here") from None
    if isinstance(default, str) and isinstance(value, bool | int | float):
        raise ParameterError(f"{where} = {value!r}: text belongs here; put it in quotes")
    return _plain(value)
