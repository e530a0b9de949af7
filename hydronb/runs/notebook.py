"""A notebook as the runner sees it: its parameters, and a hash of its code."""

import ast
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hydronb
from hydronb.errors import ParameterError, nearest
from hydronb.files import reading
from hydronb.parameters import (
    NOTEBOOKS,
    DataParameters,
    NotebookParameters,
    input_paths,
    number,
    resolve,
)


def notebooks_folder() -> Path:
    """`notebooks/` beside the package in a checkout, else the one in the working folder."""
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
        with reading(
            self.path,
            "a notebook in version 4 JSON",
            hint="save it once in JupyterLab",
            error=ParameterError,
        ):
            return [
                ("".join(cell["source"]), [*cell.get("metadata", {}).get("tags", [])])
                for cell in json.loads(self.path.read_text(encoding="utf-8"))["cells"]
                if cell["cell_type"] == "code"
            ]

    @cached_property
    def code_hash(self) -> str:
        """A hash that changes with the code, not with outputs, text or metadata."""
        sources = [source for source, _ in self._code_cells]
        return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]

    @cached_property
    def assigned(self) -> dict[str, Any]:
        """Name and default of each assignment in the cell tagged `parameters`; `...` if the default
        is computed."""
        cell = next((source for source, tags in self._code_cells if "parameters" in tags), "")
        try:
            statements = ast.parse(cell).body
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ParameterError(
                f"{self.path}: parameters cell, line {getattr(error, 'lineno', 0) or 1}: not"
                " Python; correct it in JupyterLab"
            ) from None
        defaults: dict[str, Any] = {}
        for node in statements:
            try:
                default = ast.literal_eval(getattr(node, "value", None))
            except (ValueError, TypeError, RecursionError):
                default = ...
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            defaults |= {t.id: default for t in targets if isinstance(t, ast.Name)}
        return defaults

    @cached_property
    def schema(self) -> type[NotebookParameters] | None:
        """The parameters class that the notebook's own code names, wherever the file is and
        whatever it is called; None if that is no class of the package."""
        named = re.search(
            r"\b(\w+)\.from_notebook\(", "\n".join(source for source, _ in self._code_cells)
        )
        return {cls.__name__: cls for cls in NOTEBOOKS.values()}.get(named[1]) if named else None

    @property
    def takes(self) -> set[str]:
        """Names of all its parameters."""
        return set(self.schema.model_fields if self.schema else self.assigned)

    def check(
        self, given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Validate the parameters that a plan gives together with the notebook's own defaults.

        Returns
        -------
        The given parameters; all that the run will have, the given ones over the defaults in the
        notebook's parameters cell; and the paths that it reads, by dotted name. All are plain, as
        JSON and YAML hold them.

        Raises
        ------
        ParameterError
            An unknown name or a value that cannot be, before anything runs.
        """
        if self.schema is None:
            return self._compare_with_defaults(given)
        defaults = {n: v for n, v in self.assigned.items() if n in self.takes and v is not ...}
        p = self.schema.validate_parameters(defaults | dict(given))
        include = {
            name: set(v) if isinstance(v, Mapping) and name == "data" else True
            for name, v in given.items()
        }
        return p.model_dump(mode="json", include=include), p.plain(), dict(input_paths(p))

    def _compare_with_defaults(
        self, given: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """`check` for a notebook without a class: a parameter is a number if its default is one,
        and text if that is text."""
        for name in (name for name in given if name not in self.assigned):
            raise ParameterError(
                f"unknown parameter {name!r:.60} of {self.name}{nearest(name, self.assigned)}"
            )
        plain = _plain(
            {name: _like(value, self.assigned[name], name) for name, value in given.items()}
        )
        data = plain.get("data")
        if isinstance(data, dict):
            data = DataParameters.validate_parameters(data, where="data")
        return plain, _plain(self.assigned) | plain, dict(input_paths(data, "data"))


def find_notebook(name: str) -> Notebook:
    """A notebook of the project by its name, or any by the path to its .ipynb.

    Raises
    ------
    ParameterError
        There is none; the nearest name is given.
    """
    folder = notebooks_folder()
    path = resolve(name) if name.endswith(".ipynb") else folder / f"{name}.ipynb"
    if not os.path.isfile(path):
        raise ParameterError(
            f"unknown notebook {name!r:.200}"
            + nearest(name, [p.stem for p in folder.glob("*.ipynb")])
        )
    return Notebook(path)


def _like(value: Any, default: Any, name: str) -> Any:
    """Return `value`, which must be a number or text if the default is."""
    if isinstance(default, str) and isinstance(value, bool | int | float):
        raise ParameterError(f"{name} = {value!r}: text belongs here; put it in quotes")
    if isinstance(default, bool) or not isinstance(default, int | float):
        return value
    try:
        return number(value)
    except ValueError as error:
        raise ParameterError(f"{name} = {value!r:.60}: {error}") from None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON holds them: dates as text, tuples as lists, None for computed ones."""
    return json.loads(
        json.dumps(values, default=lambda value: None if value is ... else str(value))
    )
