"""The rules of the house that no linter knows. Layers and circles are import-linter's, see
pyproject.toml; that there is one list of each thing is shown by tests/test_toys.py."""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "hydronb"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}
INTERFACES = {
    "hydronb.data.sources": {"open_source", "open_grid_source", "recognises", "describe"},
    "hydronb.data.synthetic": {"simulate", "step", "unit_hydrograph"},
    "hydronb.cli": {"run", "train"},
    "hydronb.app": {"build"},
    "hydronb.runs": {"main"},
    "hydronb.runs.engines": {"start"},
}
"""Names that several modules of a folder share on purpose: each is one of a kind."""


def imports():
    """Module, imported module and names of every `from ... import ...`."""
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hydronb"):
                yield module, node.module, [alias.name for alias in node.names]


def test_private_names_stay_in_their_module():
    taken = [
        f"{module} imports {source}.{name}"
        for module, source, names in imports()
        for name in names
        if name.startswith("_") and name != "__version__"
    ]
    assert taken == []


def test_private_attributes_of_a_module_stay_there():
    last = {module.rsplit(".", 1)[-1] for module in MODULES}
    used = [
        f"{module}, line {node.lineno}: {ast.unparse(node)}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in last & imported_modules(tree)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    ]
    assert used == []


def imported_modules(tree):
    """Names that a module's imports from the package bind."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hydronb")
        for alias in node.names
    }


def test_nothing_is_imported_by_a_string():
    calls = [
        f"{module}, line {node.lineno}"
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rsplit(".", 1)[-1] in ("import_module", "__import__")
    ]
    assert calls == []


def test_public_names_are_defined_once():
    defined = defaultdict(list)
    for module, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                shared = [f for f, names in INTERFACES.items() if node.name in names]
                if not any(module.startswith(folder) for folder in shared):
                    defined[node.name].append(module)
    assert {name: where for name, where in defined.items() if len(where) > 1} == {}


def test_lines_are_no_longer_than_the_layout():
    long = [
        f"{path.name}, line {number}"
        for path in PACKAGE.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > 100
    ]
    assert long == []
