"""The `hydronb` command: what it prints, where, and its exit codes."""

import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

import hydronb
from hydronb.cli import main
from hydronb.runs import execute
from hydronb.runs.directory import RunDirectory, read_record, write_record
from hydronb.runs.plan import read_plan
from hydronb.runs.schedule import cannot_write, directory, prepare
from hydronb.runs.status import took

ROOT = Path(hydronb.__file__).parent.parent


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(argv)
    return end.value.code or 0


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan of one run, `outputs/small/blank/only`, in the working folder."""
    monkeypatch.chdir(tmp_path)
    cell = nbformat.v4.new_code_cell("seed = 1\nrun_dir = ''", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "blank.ipynb")
    (tmp_path / "small.yaml").write_text(
        "runs:\n  - {id: only, notebook: blank.ipynb, params: {seed: 7}}\n"
    )
    return tmp_path / "small.yaml"


def complete(plan: Path, figure: bool = True) -> Path:
    """Complete the plan's run without a kernel."""
    chosen = read_plan(plan)
    where = directory(plan.parent / "outputs", chosen.name, chosen.runs[0])
    prepare(where, chosen.runs[0], plan=chosen.name, needs=[], fresh=False)
    done = {"status": "complete", "finished": "2026-11-21T10:00:00+00:00", "seconds": 3.0}
    write_record(where.partial, read_record(where.partial) | done)
    if figure:
        (where.partial / "map.html").touch()
    where.publish()
    return where.path


def test_version_is_that_of_the_project(capsys):
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert call("--version") == 0
    assert capsys.readouterr().out == f"hydronb {version}\n"
    assert hydronb.__version__ == version


def test_dry_run_says_what_would_run_and_writes_nothing(plan, capsys):
    before = sorted(plan.parent.rglob("*"))
    assert call("run", str(plan), "--dry-run") == 0
    out = capsys.readouterr().out
    assert "only  blank     new    would run         outputs/small/blank/only" in out
    assert "1 of 1 runs would run; nothing was started or written" in out
    assert sorted(plan.parent.rglob("*")) == before


def test_a_complete_plan_says_there_is_nothing_to_do(plan, capsys):
    complete(plan)
    assert call("run", str(plan)) == 0
    out = capsys.readouterr().out
    assert "nothing to do: all 1 runs of small are complete in outputs/small" in out
    assert "Look: open outputs/small/blank/only/map.html in a browser" in out
    assert "`hydronb status outputs`" in out
    assert call("run", str(plan), "--dry-run") == 0
    assert "0 of 1 runs would run" in capsys.readouterr().out


def test_nothing_heavy_is_imported_where_nothing_is_to_do(plan):
    complete(plan)
    heavy = "{'torch', 'papermill', 'holoviews', 'umap', 'xarray'}"
    code = (
        "import sys\nfrom hydronb.cli import main\n"
        f"try:\n    main(['run', {str(plan)!r}])\n"
        f"except SystemExit as end:\n    assert not end.code and not {heavy} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (
            "notebook: blank.ipynb, params: {seeed: 7}",
            "only: unknown parameter 'seeed' of blank; did you mean 'seed'?",
        ),
        ("notebook: blnk.ipynb", "only: unknown notebook 'blnk.ipynb'; "),
    ],
)
def test_what_the_user_can_put_right_is_one_line_on_stderr(plan, capsys, run, words):
    plan.write_text(f"runs:\n  - {{id: only, {run}}}\n")
    assert call("run", str(plan)) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert words in err
    assert not (plan.parent / "outputs").exists()


def test_status_of_a_plan_and_of_a_folder(plan, capsys):
    assert call("status") == 1
    assert "no such folder; `hydronb run PLAN` makes it" in capsys.readouterr().err
    assert call("status", str(plan)) == 0
    assert "only  blank     new" in capsys.readouterr().out
    complete(plan)
    assert call("status") == 0
    assert "small  only  blank     complete" in capsys.readouterr().out
    book = nbformat.read(plan.parent / "blank.ipynb", 4)
    book.cells.append(nbformat.v4.new_code_cell("print(seed)"))
    nbformat.write(book, plan.parent / "blank.ipynb")
    for of in ([], [str(plan)]):
        assert call("status", *of) == 0
        out = capsys.readouterr().out
        assert "stale" in out
        assert "the notebook's code has changed since" in out
    assert call("run", str(plan)) == 0
    assert (
        "1 of them stale (only: the notebook's code has changed since); --redo-stale"
        in capsys.readouterr().out
    )


def test_the_app_refuses_other_machines_without_a_password(capsys, monkeypatch):
    monkeypatch.delenv("HYDRONB_PASSWORD", raising=False)
    assert call("app", "--address", "0.0.0.0") == 1
    assert capsys.readouterr().err.startswith(
        "error: 0.0.0.0 can be reached from other machines, so it needs a pass"
    )


def test_data_check_ends_with_one_when_something_is_wrong(tmp_path, capsys):
    assert call("data", "check", str(tmp_path / "nowhere")) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_full_disk_and_a_closed_folder_are_named():
    full = OSError(28, "No space left on device", "out/run.json")
    assert (
        cannot_write(full, Path("out"))
        == "out/run.json: the disk is full; free some space, then the same command goes on"
    )
    closed = PermissionError(13, "Permission denied")
    assert (
        cannot_write(closed, Path("out"))
        == "out: Permission denied; choose a folder you can write to with --outputs"
    )


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("DataError", "basin 1: gone", "basin 1: gone"),
        ("ValueError", "first\nsecond", "ValueError: first"),
        ("KeyboardInterrupt", "", "KeyboardInterrupt"),
        ("nearest", "not an error class", "nearest: not an error class"),
    ],
)
def test_a_notebooks_error_becomes_one_line(name, value, line):
    assert execute._words(name, value) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (185.0, "3 min 5 s"), (7800.0, "2 h 10 min")],
)
def test_times_are_read_at_a_glance(seconds, text):
    assert took(seconds) == text


def test_a_locked_directory_tells_who_writes_it(tmp_path):
    where = RunDirectory(tmp_path / "plan" / "book" / "run")
    assert where.writer() is None
    with where.locked():
        assert where.writer().startswith("process ")
    assert where.writer() is None
