"""Plans, run directories and what runs when. Most tests use an engine that completes a directory
without a kernel; those named `test_real_...` start real kernels."""

import dataclasses
import datetime as dt
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import pytest
import yaml

from hydronb.app.outputs import Outputs
from hydronb.errors import HydronbError, ParameterError
from hydronb.parameters import NOTEBOOKS
from hydronb.runs import notebook as notebooks
from hydronb.runs import progress, status
from hydronb.runs.directory import RunDirectory, read_record, write_record
from hydronb.runs.notebook import find_notebook
from hydronb.runs.plan import Plan, fingerprint, read_plan
from hydronb.runs.progress import Bars, Lines
from hydronb.runs.schedule import directory, run_plan, state_of_run, to_redo

COUNT = "seed = 1\nrate = 0.1\nbasins = None\nwords = ''\nthreads = 1\nrun_dir = ''\n"
TOTAL = "runs = []\nrun_dir = ''\n"


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    book = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    nbformat.write(book, path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with two notebooks, `count` and `total`."""
    monkeypatch.chdir(tmp_path)
    write_notebooks(tmp_path)
    return tmp_path


def write_notebooks(folder: Path) -> None:
    write_notebook(
        folder / "count.ipynb",
        COUNT,
        "from pathlib import Path\nimport os\n"
        "if words:\n    from hydronb.errors import DataError\n    raise DataError(words)",
        "(Path(run_dir) / 'out.txt').write_text(f\"{seed} {rate} {os.environ['OMP_NUM_THREADS']}"
        ' {os.getcwd()}")',
    )
    write_notebook(
        folder / "total.ipynb",
        TOTAL,
        "from pathlib import Path\n"
        "seeds = [int((Path(r) / 'out.txt').read_text().split()[0]) for r in runs]\n"
        "(Path(run_dir) / 'total.txt').write_text(str(sum(seeds)))",
    )


def plan_of(folder: Path, runs: list[dict], **more) -> Plan:
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump({"name": "plan", "runs": runs} | more))
    return read_plan(file)


def count(run_id: str, **more) -> dict:
    return {"id": run_id, "notebook": "count.ipynb"} | more


def total(run_id: str, *needs: str) -> dict:
    return {"id": run_id, "notebook": "total.ipynb", "needs": list(needs)}


class Ended:
    """A job that was over at once."""

    def __init__(self, words: str = "") -> None:
        self.words = words

    def ended(self) -> bool:
        return True

    def last_words(self) -> str:
        return self.words

    def stop(self) -> None:
        raise AssertionError("nothing left to stop")


class AtOnce:
    """Completes a directory as `hydronb.runs.execute` does, without a kernel; `broken` runs die
    instead."""

    def __init__(self, *broken: str) -> None:
        self.broken, self.started = broken, []

    def start(self, partial: Path, *, threads: int, lock: int) -> Ended:
        record = read_record(partial)
        self.started.append(record["id"])
        with (partial / "work.txt").open("a") as file:
            file.write("x")
        if record["id"] in self.broken:
            return Ended("its process was killed")
        finished = dt.datetime.now().isoformat()
        write_record(partial, record | {"status": "complete", "finished": finished})
        RunDirectory(partial.with_name(partial.name.removesuffix(".partial"))).publish()
        return Ended()


def started(plan: Plan, outputs: Path, *broken: str, **options) -> list[str]:
    engine = AtOnce(*broken)
    run_plan(plan, outputs, engine=engine, **options)
    return engine.started


def states(plan: Plan, outputs: Path) -> dict[str, str]:
    return {run.id: state_of_run(outputs, plan.name, run)[0] for run in plan.runs}


# plans


def test_each_is_crossed_and_needs_are_all_its_runs(project):
    plan = plan_of(
        project, [total("sum", "a"), count("a", each={"seed": [1, 2], "words": ["x/y", "z"]})]
    )
    crossed = ["a_seed-1_words-x-y", "a_seed-1_words-z", "a_seed-2_words-x-y", "a_seed-2_words-z"]
    assert [run.id for run in plan.runs] == ["sum", *crossed]
    assert [needed.id for needed in plan.runs[0].needs] == crossed
    assert plan.runs[1].parameters == {"seed": 1, "words": "x/y"}


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([count("a"), count("a")], "plan.yaml: two runs have the id 'a'; give each its own"),
        ([total("a", "b"), total("b", "a")], "plan.yaml: circular needs: "),
        ([total("a", "a")], "plan.yaml: circular needs: a needs a"),
        (
            [
                {"id": "c", "notebook": "00_catchments"},
                {"id": "b", "notebook": "ealstm_02_benchmark", "needs": ["c"]},
            ],
            "b: ealstm_02_benchmark takes runs of ealstm_01_train, and c is one of 00_catchments",
        ),
        ([count("first"), total("b", "frist")], "b: needs unknown 'frist'; did you mean 'first'?"),
        (
            [count("a", params={"sed": 1})],
            "a: unknown parameter 'sed' of count; did you mean 'seed'?",
        ),
        ([count("a", params={"run_dir": "x"})], "a: run_dir is set by the runner; leave it out"),
        ([count("a", params={"seed": "many"})], "a: seed = 'many': a number belongs here"),
        (
            [count("a", params={"words": True})],
            "a: words = True: text belongs here; put it in quotes",
        ),
        ([count("a", each={"seed": []})], "a: each.seed = []"),
        (
            [count("a", each={"seed": [1]}, params={"seed": 2})],
            "a: 'seed' is in params and in each; keep one",
        ),
        ([count("a", neds=["b"])], "a: unknown key 'neds'; did you mean 'needs'?"),
        ([count("a/b")], "plan.yaml: a/b: 'a/b': it names a folder"),
        ([count("a"), count("b", needs=["a"])], "b: count has no parameter `runs`"),
        ([{"id": "a"}], "a: the key 'notebook' is missing"),
        ([{"id": "a", "notebook": "gone.ipynb"}], "gone.ipynb"),
        (
            [{"id": "a", "notebook": "total.ipynb", "params": {"runs": ["nowhere"]}}],
            "nowhere is not a complete run",
        ),
        ([], "plan.yaml: runs = []"),
        ("all", "plan.yaml: runs = 'all'"),
    ],
)
def test_a_wrong_plan_is_one_line(project, runs, words):
    with pytest.raises(ParameterError) as error:
        plan_of(project, runs)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "plan.yaml, line 2: not YAML: "),
        ("name: x\nname: y\n", "plan.yaml, line 2: the key 'name' occurs twice"),
        ("name: x\nwhen: 1999-02-30\n", "plan.yaml, line 2: '1999-02-30' cannot be read as a date"),
        (
            "just words",
            "plan.yaml holds no names with values, one `name: value` per line; a plan needs",
        ),
        ("name: x\nrun: []", "unknown key 'run'; did you mean 'runs'?"),
        ("name: x", "the key 'runs' is missing"),
        ("runs: []", "plan.yaml: runs = []"),
        ("runs: []\nname: a b", "plan.yaml: 'a b': it names a folder"),
    ],
)
def test_a_file_that_is_no_plan_is_one_line(project, text, words):
    (project / "plan.yaml").write_text(text + "\n")
    with pytest.raises(ParameterError) as error:
        read_plan("plan.yaml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_plan_that_is_not_there_suggests_the_nearest(project):
    (project / "params").mkdir()
    (project / "params" / "demo.yaml").touch()
    with pytest.raises(
        ParameterError, match=r"params/dmeo.yaml: no such plan; did you mean 'params/demo.yaml'"
    ):
        read_plan("params/dmeo.yaml")


@pytest.fixture
def own_notebooks(project, monkeypatch):
    """A notebooks folder whose ealstm_01_train is the project's own."""
    folder = project / "notebooks"
    folder.mkdir()
    write_notebook(
        folder / "ealstm_01_train.ipynb",
        "data = {'kind': 'synthetic'}\nepochs = 2\nrun_dir = ''\n",
        "p = TrainParameters.from_notebook(globals())",
    )
    monkeypatch.setattr(notebooks, "notebooks_folder", lambda: folder)
    return folder


def train(**params) -> dict:
    return {"id": "a", "notebook": "ealstm_01_train", "params": params}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"dropot": 0.4},
            "a: unknown parameter 'dropot'; did you mean 'dropout'?",
        ),
        ({"dropout": 1.5}, "a: dropout = 1.5"),
        ({"learning_rate": "fast"}, "a: learning_rate = 'fast'"),
        ({"batch_size": 0}, "a: batch_size = 0"),
        (
            {"data": {"kind": "caravan", "pth": "x"}},
            "a: data: unknown parameter 'pth'; did you mean 'path'?",
        ),
        ({"data": {"kind": "caravan", "path": "nowhere"}}, "a: data.path: no such file: "),
        (
            {"data": {"kind": "synthetic", "basins": [1013500]}},
            "a: data.basins.0 = 1013500: text belongs here; put it in quotes, gauge ids too",
        ),
        (
            {"data": {"kind": "caravan", "path": "$NOT_SET_HERE/x"}},
            "a: data.path: $NOT_SET_HERE/x: the environment",
        ),
        (
            {"data": {"kind": "synthetic", "basins": "gone.txt"}},
            "gone.txt; correct it, or see `hydronb data get`",
        ),
    ],
)
def test_parameters_of_the_projects_notebooks_are_checked_by_their_class(
    own_notebooks, params, words
):
    with pytest.raises(HydronbError) as error:
        plan_of(own_notebooks.parent, [train(**params)])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_gauge_ids_without_quotes_are_refused_as_yaml_reads_them(own_notebooks):
    (own_notebooks.parent / "plan.yaml").write_text(
        "name: x\ndata: {basins: [01013500]}\nruns: [{id: a, notebook: ealstm_01_train}]\n"
    )
    with pytest.raises(
        ParameterError,
        match=r"plan.yaml, line 2: YAML reads 01013500 as a number in base 8; .* quote gauge ids",
    ):
        read_plan("plan.yaml")


def test_a_variable_that_is_not_set_is_said_before_anything_runs(monkeypatch):
    monkeypatch.delenv("EALSTM_PUBLISHED", raising=False)
    plan = Path(__file__).parents[1] / "params/paper/ealstm_published.yaml"
    with pytest.raises(
        ParameterError, match=r"similarity: .*the environment variable EALSTM_PUBLISHED is not set"
    ):
        read_plan(plan)


def test_an_unknown_notebook_suggests_the_nearest(own_notebooks):
    with pytest.raises(
        ParameterError, match=r"unknown notebook 'ealstm_train'; did you mean 'ealstm_01_train'"
    ):
        plan_of(own_notebooks.parent, [{"id": "a", "notebook": "ealstm_train"}])


def test_numbers_as_yaml_reads_them_are_the_numbers_meant(own_notebooks):
    (own_notebooks.parent / "plan.yaml").write_text(
        "name: x\nruns: [{id: a, notebook: ealstm_01_train, params: {learning_rate: 1e-3,"
        " train_period: [2000-10-01, 2005-09-30]}}]\n"
    )
    run = read_plan("plan.yaml").runs[0]
    assert run.parameters == {
        "learning_rate": 1e-3,
        "train_period": {"start": "2000-10-01", "end": "2005-09-30"},
    }
    assert run.everything["epochs"] == 2
    assert (
        run.identity
        == plan_of(
            own_notebooks.parent,
            [train(learning_rate=0.001, train_period=["2000-10-01", "2005-09-30"])],
        )
        .runs[0]
        .identity
    )


def test_the_identity_follows_size_and_time_of_the_data_files(own_notebooks):
    folder = own_notebooks.parent / "caravan" / "deep"
    folder.mkdir(parents=True)
    (folder / "one.csv").write_text("1")
    (folder.parent / ".cache").write_text("not data")

    def identity() -> str:
        return (
            plan_of(own_notebooks.parent, [train(data={"kind": "caravan", "path": "caravan"})])
            .runs[0]
            .identity
        )

    before = identity()
    (folder.parent / ".cache").write_text("still not data")
    assert identity() == before
    os.utime(folder / "one.csv", ns=(0, 0))
    touched = identity()
    assert touched != before
    (folder / "two.csv").touch()
    assert identity() not in (touched, before)


def test_the_identity_of_data_is_path_size_and_time(own_notebooks):
    """What 0.1.0 wrote stays complete: the hash by hand."""
    folder = own_notebooks.parent / "caravan"
    (folder / "deep").mkdir(parents=True)
    for name, content in (("b.csv", "1"), ("deep/a.csv", "22"), (".hidden", "3")):
        (folder / name).write_text(content)
        os.utime(folder / name, ns=(5, 7))
    (folder / "gone.csv").symlink_to("nowhere")
    data = {"kind": "caravan", "path": "caravan"}
    run = plan_of(own_notebooks.parent, [train(data=data)]).runs[0]
    lines = "b.csv\x001\x007\ndeep/a.csv\x002\x007\ngone.csv\x00"
    mark = hashlib.sha256(lines.encode()).hexdigest()
    assert run.data == {"data.path": mark}
    made_of = {
        "data": {"path": mark},
        "needs": [],
        "notebook": "ealstm_01_train",
        "parameters": {"data": data},
    }
    text = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    assert run.identity == hashlib.sha256(text.encode()).hexdigest()


PATHS = [
    ("00_catchments", "data", lambda path: {"kind": "caravan", "path": path}),
    (
        "00_catchments",
        "data",
        lambda path: {"kind": "caravan", "path": "count.ipynb", "attributes": path},
    ),
    ("ealstm_01_train", "data", lambda path: {"kind": "synthetic", "basins": path}),
    ("cnn_lstm_01_train", "data", lambda path: {"kind": "file", "path": path}),
    ("cnn_lstm_03_probes", "data", lambda path: {"kind": "file", "path": path}),
    ("ealstm_02_benchmark", "benchmark_models", str),
    ("ealstm_02_benchmark", "basins", str),
    ("ealstm_02_benchmark", "scores", lambda path: [path]),
    ("ealstm_04_sensitivity", "sensitivities", str),
    ("ealstm_04_sensitivity", "attributes", str),
    ("ealstm_05_similarity", "embedding", str),
    ("ealstm_05_similarity", "attributes", str),
    ("delta_hbv_02_benchmark", "et_path", str),
    ("delta_hbv_02_benchmark", "benchmark_models", str),
    ("delta_hbv_02_benchmark", "scores", lambda path: [path]),
    ("delta_hbv_03_fluxes", "et_path", str),
]


@pytest.mark.parametrize(("notebook", "name", "value"), PATHS)
def test_every_path_is_looked_for_first_and_a_replaced_file_makes_a_run_changed(
    project, notebook, name, value
):
    out, file = project / "outputs", project / "input.dat"
    runs = [{"id": "a", "notebook": notebook, "params": {name: value("input.dat")}}]
    with pytest.raises(HydronbError, match=rf"plan.yaml: a: {name}.*: no such file: .*input.dat"):
        plan_of(project, runs)
    file.write_text("one")
    started(plan_of(project, runs), out)
    assert states(plan_of(project, runs), out) == {"a": "complete"}
    assert [line.split()[3] for line in status.of_outputs(out)[1:]] == ["complete"]
    file.write_text("another")
    assert states(plan_of(project, runs), out) == {"a": "changed"}
    (line,) = status.of_outputs(out)[1:]
    assert "stale" in line and f"{name}" in line and "input.dat, has changed since" in line


def test_no_path_is_missing_above():
    paths = {
        (notebook, name)
        for notebook, kind in NOTEBOOKS.items()
        for name, about in kind.model_fields.items()
        if "InputPath" in repr(about.annotation) and name != "runs"
    }
    assert paths == {(notebook, name) for notebook, name, _ in PATHS if name != "data"}


def test_a_run_named_by_its_path_is_part_of_the_identity(project):
    out = project / "outputs"
    started(plan_of(project, [{"id": "t", "notebook": "ealstm_01_train"}]), out)
    trained = out / "plan" / "ealstm_01_train" / "t"
    analysis = {"id": "a", "notebook": "ealstm_02_benchmark", "params": {"runs": [str(trained)]}}
    before = plan_of(project, [analysis]).runs[0]
    assert list(before.data) == ["runs.0"]
    assert plan_of(project, [analysis]).runs[0].identity == before.identity
    (trained / "simulation.nc").write_text("another")
    assert plan_of(project, [analysis]).runs[0].identity != before.identity
    write_record(trained, read_record(trained) | {"status": "running"})
    with pytest.raises(ParameterError, match=r"a: runs: .* is not a complete run directory"):
        plan_of(project, [analysis])


def test_a_path_is_looked_at_once_in_a_plan_and_again_in_the_next(own_notebooks, monkeypatch):
    looks = []

    def counted(path: Path) -> str:
        looks.append(path.name)
        return fingerprint(path)

    monkeypatch.setattr("hydronb.runs.plan.fingerprint", counted)
    (own_notebooks.parent / "caravan").mkdir()
    runs = [
        train(data={"kind": "caravan", "path": path}) | {"id": name}
        for name, path in (("a", "caravan"), ("b", "./caravan"))
    ]
    for n in (1, 2):
        plan_of(own_notebooks.parent, runs)
        assert looks == ["caravan"] * n


def test_a_link_back_to_its_folder_ends(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "file").touch()
    before = fingerprint(tmp_path / "data")
    for n in range(3):
        (tmp_path / "data" / "a" / f"link{n}").symlink_to(tmp_path / "data")
    assert fingerprint(tmp_path / "data") == before
    (tmp_path / "data" / "loop").symlink_to("loop")
    with pytest.raises(HydronbError, match=r"cannot be read as a file or folder .*symbolic links"):
        fingerprint(tmp_path / "data")


def test_long_and_wide_needs_end(project):
    """A chain as long as recursion would not go, and pairs that all need both before them."""
    chain = [total("r0")] + [total(f"r{n}", f"r{n - 1}") for n in range(1, 1200)]
    plan = plan_of(project, chain)
    assert len(plan.only(["r1199"]).runs) == 1200
    pairs = [total(f"{s}0") for s in "ab"]
    pairs += [total(f"{s}{n}", f"a{n - 1}", f"b{n - 1}") for n in range(1, 60) for s in "ab"]
    plan = plan_of(project, pairs)
    assert len(plan.only(["a59"]).runs) == 119
    assert not to_redo(plan, project / "outputs")


# names


@pytest.mark.parametrize("run_id", ["checkpoints_a", "checkpoints", "superseded_a", "superseded-1"])
def test_names_that_are_not_reserved_are_seen_by_status_and_dashboard(project, run_id):
    out = project / "outputs"
    plan = plan_of(project, [count(run_id), count("b")], name="superseded_runs")
    for _ in range(2):  # the second replaces the first
        run_plan(plan, out, engine=AtOnce())
        plan = plan_of(project, [count(run_id, params={"seed": 5})], name="superseded_runs")
    seen = {line.split()[1] for line in status.of_outputs(out)[1:]}
    assert seen == {run_id, "b"}
    assert (out / "superseded_runs" / "superseded" / "count").is_dir()
    assert {Path(name).name for name in Outputs(out).names()} == seen


# notebooks elsewhere


@pytest.mark.parametrize("name", sorted(NOTEBOOKS))
def test_a_copy_keeps_its_parameters_class(tmp_path, name):
    copy = shutil.copy(Path(__file__).parents[1] / "notebooks" / f"{name}.ipynb", tmp_path / "x")
    shutil.move(copy, tmp_path / "mine.ipynb")
    notebook = find_notebook(str(tmp_path / "mine.ipynb"))
    assert notebook.name == "mine" and notebook.schema is NOTEBOOKS[name]
    assert notebook.check({})[1]["data"]["kind"] == "synthetic"


def copied(folder: Path, name: str, new: str) -> dict:
    shutil.copy(Path(__file__).parents[1] / "notebooks" / f"{name}.ipynb", folder / f"{new}.ipynb")
    return {"id": new, "notebook": f"{new}.ipynb"}


def test_a_copy_is_checked_as_the_original(tmp_path):
    grid = copied(tmp_path, "cnn_lstm_01_train", "grid")
    grid["notebook"] = str(tmp_path / "grid.ipynb")
    run = plan_of(tmp_path, [grid | {"params": {"data": {"shape": [8, 8]}}}]).runs[0]
    assert run.everything["data"]["shape"] == [8, 8]
    with pytest.raises(ParameterError, match="grid: data: unknown parameter 'n_basins'"):
        plan_of(tmp_path, [grid | {"params": {"data": {"n_basins": 8}}}])
    with pytest.raises(ParameterError, match="grid: hidden = 0"):
        plan_of(tmp_path, [grid | {"params": {"hidden": 0}}])


def test_runs_of_a_copy_are_runs_of_the_original(project):
    trains, benchmark = copied(project, "ealstm_01_train", "mine"), "ealstm_02_benchmark"
    plan_of(project, [trains, {"id": "b", "notebook": benchmark, "needs": ["mine"]}])
    scores = copied(project, benchmark, "scores")
    plan_of(project, [trains, scores | {"needs": ["mine"]}])
    with pytest.raises(ParameterError, match="takes runs of ealstm_01_train, and scores is one of"):
        plan_of(project, [scores, {"id": "b", "notebook": benchmark, "needs": ["scores"]}])


def test_defaults_that_are_computed_are_left_to_the_notebook(project):
    cells = ("hidden = 4 * 4\nepochs = 3", "p = TrainParameters.from_notebook(globals())")
    write_notebook(project / "mine.ipynb", *cells)
    write_notebook(project / "other.ipynb", "hidden = 4 * 4\nepochs = 3\nx = {[1]: 2}")
    runs = [{"id": name, "notebook": f"{name}.ipynb"} for name in ("mine", "other")]
    mine, other = (run.everything for run in plan_of(project, runs).runs)
    assert (mine["hidden"], mine["epochs"]) == (256, 3)
    assert other == {"hidden": None, "epochs": 3, "x": None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as a notebook in version 4 JSON"),
        (b"text", "cannot be read as a notebook in version 4 JSON"),
        (b"[1]", "save it once in JupyterLab"),
        (b'{"cells": 5}', "save it once in JupyterLab"),
        (b'{"cells": ["code"]}', "save it once in JupyterLab"),
        (b'{"cells": [{"cell_type": "code"}]}', "save it once in JupyterLab"),
        (b'{"cells": [{"cell_type": "code", "source": 5}]}', "save it once in JupyterLab"),
        (b'{"cells": [{"cell_type": "code", "source": "", "metadata": null}]}', "JupyterLab"),
        (
            b'{"cells": [{"cell_type": "code", "source": "", "metadata": {"tags": 1}}]}',
            "JupyterLab",
        ),
        (b"[" * 100_000, "save it once in JupyterLab"),
        (b"\xff\xfe", "is not a notebook in version 4 JSON: it is not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_notebook_is_one_line(project, content, words):
    (project / "count.ipynb").write_bytes(content)
    with pytest.raises(ParameterError) as error:
        plan_of(project, [count("a")])
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("cell", ["%matplotlib inline", "seed = (", "seed = '\0'"])
def test_a_parameters_cell_that_is_not_python_is_one_line(project, cell):
    write_notebook(project / "count.ipynb", cell)
    with pytest.raises(ParameterError, match="parameters cell, line 1: not Python; correct it in"):
        plan_of(project, [count("a")])


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "../count", "count", "."])
def test_a_notebook_that_is_not_there_is_one_line(project, name):
    with pytest.raises(ParameterError, match=r"plan.yaml: a: unknown notebook "):
        plan_of(project, [{"id": "a", "notebook": name}])


# what runs when


def test_a_complete_plan_runs_nothing_and_a_changed_seed_only_what_it_touches(project):
    out = project / "outputs"
    runs = [
        count("a"),
        count("b", params={"seed": 2}),
        total("of_a", "a"),
        total("of_both", "a", "b"),
    ]
    assert set(started(plan_of(project, runs), out)) == {"a", "b", "of_a", "of_both"}
    assert started(plan_of(project, runs), out) == []
    runs[1] = count("b", params={"seed": 3})
    changed = plan_of(project, runs)
    assert states(changed, out) == {
        "a": "complete",
        "b": "changed",
        "of_a": "complete",
        "of_both": "changed",
    }
    assert started(changed, out) == ["b", "of_both"]
    old = sorted(path.name.split("-")[0] for path in (out / "plan" / "superseded").glob("*/*"))
    assert old == ["b", "of_both"]
    assert set(states(changed, out).values()) == {"complete"}


def test_the_old_run_stays_until_the_new_one_is_complete(project):
    out = project / "outputs"
    started(plan_of(project, [count("a")]), out)
    changed = plan_of(project, [count("a", params={"seed": 5})])
    started(changed, out, "a")
    assert read_record(out / "plan" / "count" / "a")["parameters"] == {}
    assert not (out / "plan" / "superseded").exists()
    started(changed, out)
    assert read_record(out / "plan" / "count" / "a")["parameters"] == {"seed": 5}


def test_what_was_left_is_kept_for_the_same_run_and_wiped_for_another(project):
    out = project / "outputs"
    plan, left = plan_of(project, [count("a")]), out / "plan" / "count" / "a.partial" / "work.txt"
    started(plan, out, "a")
    assert states(plan, out) == {"a": "failed"}
    started(plan, out, "a")
    assert left.read_text() == "xx"
    started(plan_of(project, [count("a", params={"seed": 9})]), out, "a")
    assert left.read_text() == "x"


@pytest.mark.parametrize("text", [None, "", '{"status": "comp', '{"status": "complete"}', "[]"])
def test_a_half_written_directory_is_never_taken_as_complete(project, text):
    out = project / "outputs"
    half = out / "plan" / "count" / "a"
    half.mkdir(parents=True)
    if text is not None:
        (half / "run.json").write_text(text)
    plan = plan_of(project, [count("a")])
    assert states(plan, out) == {"a": "new"}
    assert started(plan, out) == ["a"]
    assert states(plan, out) == {"a": "complete"}


def test_a_stop_before_the_last_rename_costs_nothing(project):
    out = project / "outputs"
    plan = plan_of(project, [count("a")])
    started(plan, out)
    done = out / "plan" / "count" / "a"
    done.rename(done.with_name("a.partial"))
    assert started(plan, out) == []
    assert states(plan, out) == {"a": "complete"}


def test_one_failing_run_stops_only_what_needs_it(project):
    out = project / "outputs"
    plan = plan_of(
        project,
        [count("a"), count("b"), total("of_a", "a"), total("of_b", "b"), total("on", "of_a")],
    )
    outcomes = {o.run.id: o for o in run_plan(plan, out, jobs=1, engine=AtOnce("a"))}
    assert {name: o.state for name, o in outcomes.items()} == {
        "a": "failed",
        "b": "made",
        "of_a": "skipped",
        "of_b": "made",
        "on": "skipped",
    }
    lines = status.of_outcomes(list(outcomes.values()))
    assert "a failed: its process was killed" in lines
    assert "of_a skipped: because a failed" in lines
    assert "on skipped: because of_a was skipped" in lines


def test_only_runs_what_it_names_and_what_that_needs(project):
    plan = plan_of(project, [count("a"), count("b", each={"seed": [1, 2]}), total("of_a", "a")])
    assert [run.id for run in plan.only(["of_a"]).runs] == ["a", "of_a"]
    assert [run.id for run in plan.only(["b"]).runs] == ["b_seed-1", "b_seed-2"]
    assert [run.id for run in plan.only(["*-2"]).runs] == ["b_seed-2"]
    with pytest.raises(ParameterError, match="no run 'of_'; did you mean 'of_a'"):
        plan.only(["of_"])


def test_stale_runs_are_named_and_run_again_only_when_asked(project):
    out = project / "outputs"
    runs = [count("a"), count("b"), total("of_a", "a")]
    started(plan_of(project, runs), out)
    write_notebook(project / "total.ipynb", TOTAL, "print('another way')")
    plan = plan_of(project, runs)
    assert states(plan, out) == {"a": "complete", "b": "complete", "of_a": "stale"}
    assert started(plan, out) == []
    assert started(plan, out, redo_stale=True) == ["of_a"]
    assert set(states(plan, out).values()) == {"complete"}


def test_what_stands_on_a_run_made_again_is_stale(project):
    out = project / "outputs"
    plan = plan_of(project, [count("a"), total("of_a", "a"), total("on", "of_a")])
    started(plan, out)
    write_notebook(project / "count.ipynb", COUNT, "print('another way')")
    plan = plan_of(project, [count("a"), total("of_a", "a"), total("on", "of_a")])
    assert started(plan, out, redo_stale=True) == ["a", "of_a", "on"]
    assert set(states(plan, out).values()) == {"complete"}


def test_another_version_of_the_package_makes_a_run_stale(project):
    out = project / "outputs"
    plan = plan_of(project, [count("a")])
    started(plan, out)
    made = read_record(out / "plan" / "count" / "a")
    write_record(
        out / "plan" / "count" / "a", made | {"versions": made["versions"] | {"hydronb": "0.0.1"}}
    )
    assert states(plan, out) == {"a": "stale"}
    assert any("made by hydronb 0.0.1" in line for line in status.of_outputs(out))


def test_never_more_at_a_time_than_asked(project):
    class Slow(AtOnce):
        together = most = 0

        def start(self, partial, **how):
            super().start(partial, **how)
            engine.together += 1
            engine.most = max(engine.most, engine.together)
            return Later()

    class Later(Ended):
        looks = 2

        def ended(self):
            self.looks -= 1
            engine.together -= self.looks == 0
            return self.looks <= 0

    engine = Slow()
    run_plan(
        plan_of(project, [count("a", each={"seed": list(range(5))})]),
        project / "outputs",
        jobs=2,
        engine=engine,
    )
    assert (len(engine.started), engine.most) == (5, 2)


def test_a_directory_being_written_is_left_alone(project):
    out = project / "outputs"
    plan = plan_of(project, [count("a"), count("b"), total("of_a", "a")])
    with directory(out, "plan", plan.runs[0]).locked():
        outcomes = run_plan(plan, out, engine=AtOnce())
    assert [o.state for o in outcomes] == ["busy", "made", "skipped"]
    assert f"being written by process {os.getpid()} on " in outcomes[0].message
    assert started(plan, out) == ["a", "of_a"]


def test_outputs_that_cannot_be_written_stop_everything_before_the_start(project):
    (project / "outputs").write_text("a file")
    engine = AtOnce()
    with pytest.raises(
        ParameterError, match=r"outputs.*choose a folder you can write to with --outputs"
    ):
        run_plan(plan_of(project, [count("a")]), project / "outputs", engine=engine)
    assert engine.started == []


# how far it is

ROWS = "epoch,epochs,loss,valid\n0.5,4,0.9,\n1.0,4,0.51239,0.25\n1.5,4,0.4"


def test_the_newest_whole_row_of_progress_counts(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.latest_progress() == {}
    (tmp_path / "progress.csv").write_text(ROWS)
    assert run.latest_progress() == {"epoch": 1.0, "epochs": 4.0, "loss": 0.51239, "valid": 0.25}


def test_plain_lines_now_and_then(tmp_path, capsys, monkeypatch):
    (tmp_path / "progress.csv").write_text(ROWS)
    show, running = Lines(2), {"a": RunDirectory(tmp_path)}
    show.refresh(running)
    show.refresh(running)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    show.refresh(running)
    show.ended("a", "complete in 3 s")
    show.refresh({})
    assert capsys.readouterr().out.splitlines() == [
        "a: started",
        "a: epoch 1.00 of 4, loss 0.512, valid 0.250",
        "[1/2] a: complete in 3 s",
    ]


def test_bars_for_the_plan_and_each_training(tmp_path, capsys):
    (tmp_path / "progress.csv").write_text(ROWS)
    show = Bars(2)
    show.refresh(dict.fromkeys("ab", RunDirectory(tmp_path)))
    assert sorted(abs(bar.pos) for bar in show.bars.values()) == [1, 2]
    assert [bar.n for bar in show.bars.values()] == [1.0, 1.0]
    show.ended("a", "complete in 3 s")
    show.close()
    out, err = capsys.readouterr()
    assert "a: complete in 3 s" in out
    assert "epoch 1.0/4" in err
    assert "50%" in err


# real kernels


def test_real_kernels_make_what_the_plan_says(project, capsys):
    out = project / "outputs"
    plan = plan_of(
        project,
        [
            count("a", each={"seed": [1, 2]}, params={"rate": "1e-3", "threads": 2}),
            count("bad", params={"words": "basin '01': no such basin; see hydronb data check"}),
            total("sum", "a"),
        ],
    )
    outcomes = run_plan(plan, out)
    assert [o.state for o in outcomes] == ["made", "made", "failed", "made"]
    assert outcomes[2].message == "basin '01': no such basin; see hydronb data check"
    made = out / "plan" / "count" / "a_seed-2"
    assert (made / "out.txt").read_text() == f"2 0.001 2 {project}"
    assert (out / "plan" / "total" / "sum" / "total.txt").read_text() == "3"
    assert yaml.safe_load((made / "params.yaml").read_text()) == {
        "seed": 2,
        "rate": 0.001,
        "basins": None,
        "words": "",
        "threads": 2,
    }
    record = read_record(made)
    assert record["status"] == "complete"
    assert (record["seed"], record["threads"]) == (2, 2)
    assert nbformat.read(made / "count.ipynb", 4).metadata["papermill"]["exception"] is None
    assert not list(out.glob("plan/*/a*.partial"))
    assert "[4/4]" in capsys.readouterr().out


WAITS = """
from pathlib import Path
import os, time
here = Path(run_dir)
steps = here / 'steps.txt'
first = not steps.exists()
(here / 'progress.csv').write_text('epoch,epochs,loss,valid\\n1.5,3,0.25,0.5\\n')
(here / 'pid.txt').write_text(str(os.getpid()))
while first:
    with steps.open('a') as file:
        file.write('x')
    time.sleep(0.05)
(here / 'out.txt').write_text(str(seed))
"""


@pytest.fixture
def waiting(project):
    """A runner in its own process whose notebook goes on for ever the first time; the run's folder
    and plan."""
    write_notebook(project / "count.ipynb", COUNT, WAITS)
    plan = plan_of(project, [count("a"), total("sum", "a")])
    root = Path(notebooks.__file__).parents[2]
    runner = subprocess.Popen(
        [sys.executable, "-m", "hydronb", "run", "plan.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    partial = project / "outputs" / "plan" / "count" / "a.partial"
    until(lambda: (partial / "steps.txt").exists(), 120)
    yield runner, partial, plan
    runner.kill()
    runner.communicate()


def until(happened, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Not there any more, or waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_real_kill_leaves_no_orphan_and_the_same_command_resumes(waiting):
    runner, partial, plan = waiting
    out = partial.parents[2]
    second = run_plan(plan, out)
    assert [o.state for o in second] == ["busy", "skipped"]
    assert f"process {runner.pid} on " in second[0].message
    assert any("running" in line and "epoch 1.5 of 3" in line for line in status.of_plan(plan, out))

    runner.send_signal(signal.SIGKILL)
    until(lambda: gone(int((partial / "pid.txt").read_text())), 20)
    steps = (partial / "steps.txt").read_text()
    time.sleep(0.3)
    assert (partial / "steps.txt").read_text() == steps
    assert states(plan, out) == {"a": "unfinished", "sum": "new"}

    assert [o.state for o in run_plan(plan, out)] == ["made", "made"]
    assert (out / "plan" / "count" / "a" / "steps.txt").read_text() == steps
    assert (out / "plan" / "total" / "sum" / "total.txt").read_text() == "1"


def test_real_ctrl_c_and_a_killed_kernel_say_how_to_go_on(waiting):
    runner, unfinished, plan = waiting
    pid = int((unfinished / "pid.txt").read_text())
    os.kill(pid, signal.SIGKILL)
    out, err = runner.communicate(timeout=120)
    assert runner.returncode == 1
    assert (
        "a failed: the notebook's process was killed (out of memory?); the same command resumes it"
        in out
    )
    assert "sum skipped: because a failed" in out
    assert states(plan, unfinished.parents[2]) == {"a": "failed", "sum": "new"}

    (unfinished / "steps.txt").unlink()
    # a shell's background jobs are deaf to it
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    runner = subprocess.Popen(
        runner.args,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heard,
        env=os.environ | {"PYTHONPATH": str(Path(notebooks.__file__).parents[2])},
    )
    until(lambda: (unfinished / "steps.txt").exists(), 120)
    runner.send_signal(signal.SIGINT)
    out, err = runner.communicate(timeout=120)
    assert runner.returncode == 130
    assert "`hydronb run plan.yaml` goes on from there" in err
    assert "Traceback" not in err
    until(lambda: gone(int((unfinished / "pid.txt").read_text())), 20)


def test_the_record_of_a_run_is_plain_json(project):
    plan = plan_of(project, [count("a")])
    started(plan, project / "outputs")
    text = (project / "outputs" / "plan" / "count" / "a" / "run.json").read_text()
    assert json.loads(text)["identity"] == plan.runs[0].identity
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.runs[0].id = "other"
