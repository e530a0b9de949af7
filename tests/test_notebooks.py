"""The notebooks' form: a reader, the runner and nbval all rely on it. That they run is nbval's to
show."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from hydronb.parameters import NOTEBOOKS

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
CHECKED = "# NBVAL_CHECK_OUTPUT"


@pytest.fixture(params=NAMES)
def notebook(request):
    found = nbformat.read(FOLDER / f"{request.param}.ipynb", 4)
    return request.param, found, [cell for cell in found.cells if cell.cell_type == "code"]


def test_every_notebook_has_its_parameters():
    assert NAMES == sorted(NOTEBOOKS)


def test_first_code_cell_assigns_every_parameter_with_a_comment(notebook):
    name, _, code = notebook
    assert [i for i, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", [])] == [
        0
    ]
    body = ast.parse(code[0].source).body
    assert all(isinstance(node, ast.Assign) and len(node.targets) == 1 for node in body)
    assigned = {node.targets[0].id: ast.literal_eval(node.value) for node in body}
    assert set(assigned) == set(NOTEBOOKS[name].model_fields)
    lines = code[0].source.splitlines()
    for node in body:
        own = any(re.search(r"  # \S", line) for line in lines[node.lineno - 1 : node.end_lineno])
        above = node.lineno > 1 and lines[node.lineno - 2].startswith("# ")
        assert own or above, f"no comment: {lines[node.lineno - 1]}"


def test_defaults_are_valid_and_small(notebook):
    name, _, code = notebook
    namespace: dict = {}
    exec(code[0].source, namespace)
    namespace["In"] = ["", code[0].source]
    p = NOTEBOOKS[name].from_notebook(namespace)
    assert p.data.kind == "synthetic" and p.run_dir == ""
    assert getattr(p.data, "n_basins", 1) * p.data.years < 500


def test_second_code_cell_validates(notebook):
    name, _, code = notebook
    assert f"p = {NOTEBOOKS[name].__name__}.from_notebook(globals())" in code[1].source
    assert f'run_folder(p, "{name}")' in code[1].source


def test_reads_like_a_section_of_a_paper(notebook):
    _, found, code = notebook
    assert found.cells[0].cell_type == "markdown" and found.cells[0].source.startswith("# ")
    assert "**Question.**" in found.cells[0].source
    assert 8 <= len(code) <= 18
    for cell in code[1:]:  # the first has as many as parameters
        assert sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(cell.source))) <= 24
    assert "assert" in code[-1].source, "the last cell checks ranges"


def test_outputs_are_stripped_but_of_checked_cells(notebook):
    _, _, code = notebook
    checked = [cell for cell in code if cell.source.startswith(CHECKED)]
    assert 1 <= len(checked) <= 2
    for cell in code:
        assert "execution" not in cell.metadata
        if cell in checked:
            assert cell.execution_count, "nbval wants a number where there is output"
            assert [out.output_type for out in cell.outputs] == ["stream"]
            assert not re.search(r"\d\.\d{3}", cell.outputs[0].text), "numbers of one machine"
        else:
            assert cell.outputs == [] and cell.execution_count is None


def test_kernel_and_paths_are_anyones(notebook):
    name, found, _ = notebook
    assert found.metadata.kernelspec.name == "python3"
    text = (FOLDER / f"{name}.ipynb").read_text()
    assert not re.search(r"(/home/|/Users/|/tmp/|/work/|[A-Z]:\\\\)", text)
