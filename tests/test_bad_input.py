"""Whatever a user gets wrong ends in one line that says what, where, and what to do, before
anything is written.

Data and parameters go the way of `hydronb train`, which opens, scales and trains
as the notebook does, on a tiny Caravan folder; plans go through the `hydronb` command.
"""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from caravan_files import BASINS, file_of, series, write_caravan, write_series

import hydronb.training.train
from hydronb import cli
from hydronb.errors import HydronbError

FIRST, SECOND = BASINS["camels"]
TRAINING = {
    "model": "ealstm",
    "forcings": ["prcp", "tmean", "pet"],
    "attributes": ["ele_mt_sav", "p_mean"],
    "hidden": 4,
    "train_period": ["2001-03-01", "2001-12-31"],
    "test_period": ["2002-01-01", "2002-06-30"],
    "sequence_length": 30,
    "predict_last": 10,
    "epochs": 1,
    "samples_per_epoch": 32,
    "batch_size": 16,
    "device": "cpu",
}


@pytest.fixture
def root(tmp_path) -> Path:
    return write_caravan(tmp_path / "Caravan", "csv")


def attempt(root: Path, run_dir: Path, parameters: dict, data: dict) -> None:
    given = TRAINING | {"data": {"kind": "caravan", "path": str(root)} | data} | parameters
    run_dir.mkdir()
    (run_dir / "params.yaml").write_text(yaml.safe_dump(given))
    hydronb.training.train.train_run(run_dir)


def test_nothing_wrong(root, tmp_path):
    """What the cases below change; without a change it runs."""
    attempt(root, tmp_path / "run", {}, {})
    assert (tmp_path / "run/simulation.nc").exists()


def broken_series(change):
    def breaks(root):
        write_series(root, SECOND, change(series(SECOND)).rename_axis("date"), "csv")

    return breaks


def with_value(name, day, value):
    def change(frame):
        frame = frame.astype({name: object})
        frame.loc[day, name] = value
        return frame

    return broken_series(change)


def attribute_is_missing(root):
    path = root / "attributes/camels/attributes_hydroatlas_camels.csv"
    table = pd.read_csv(path, dtype={"gauge_id": str})
    table.assign(ele_mt_sav=table["ele_mt_sav"].where(table["gauge_id"] != SECOND)).to_csv(
        path, index=False
    )


def unobserved(frame):
    frame.loc["2001-03-01":"2001-12-31", "streamflow"] = np.nan
    return frame


def wrong_layout(root):
    shutil.move(root / "timeseries/csv", root / "timeseries/tables")


PARAMETERS = {
    "unknown forcing": ({"forcings": ["prcp", "temp"]}, ["no forcing 'temp'", "tmean"]),
    "unknown target": (
        {"targets": ["streamflw"]},
        ["targets.0 = 'streamflw' is unknown; choose one of streamflow, et"],
    ),
    "unknown attribute": (
        {"attributes": ["ele_mt_sv"]},
        ["no attribute 'ele_mt_sv'", "did you mean 'ele_mt_sav'?"],
    ),
    "end before start": (
        {"train_period": ["2001-12-31", "2001-03-01"]},
        ["train_period", "before it starts"],
    ),
    "a training period outside the data": (
        {"train_period": ["1995-01-01", "2001-12-31"]},
        ["1995-01-01 to 2001-12-31", "which run from 2001-01-01 to 2002-12-31"],
    ),
    "a test period outside the data": (
        {"test_period": ["2002-01-01", "2012-06-30"]},
        ["2002-01-01 to 2012-06-30", "which run from 2001-01-01 to 2002-12-31"],
    ),
    "a sequence longer than the data": (
        {"sequence_length": 1000},
        ["sequence_length 1000 is longer than the data"],
    ),
    "a sequence longer than what is before": (
        {"sequence_length": 90},
        ["needs 80 days of forcing", "2001-03-22"],
    ),
    "unknown model": (
        {"model": "ealstn"},
        ["model = 'ealstn'", "choose one of ealstm, lstm, lstm_no_static"],
    ),
    "unknown loss": (
        {"loss": "nse"},
        ["loss = 'nse' is unknown; choose one of nse_star, nse_star_paper, mse"],
    ),
    "a string for a number": ({"hidden": "large"}, ["hidden = 'large'", "a number belongs here"]),
    "negative learning rate": (
        {"learning_rate": -0.001},
        ["learning_rate = -0.001", "greater than 0"],
    ),
    "batch size 0": ({"batch_size": 0}, ["batch_size = 0", "greater than or equal to 1"]),
    "dropout 1.5": ({"dropout": 1.5}, ["dropout = 1.5", "less than 1"]),
    "misspelt parameter": (
        {"lerning_rate": 0.1},
        ["'lerning_rate'", "did you mean 'learning_rate'?"],
    ),
    "a device that is not there": (
        {"device": "cuda:99"},
        ["'cuda:99' is not on this machine", "cpu or auto"],
    ),
}
DATA = {
    "a missing folder": ({"path": "/nowhere/Caravan"}, ["no such folder: /nowhere/Caravan"]),
    "a folder of another kind": ({"kind": "camels_us"}, ["Caravan", "basin_mean_forcing"]),
    "a file that is a folder": ({"kind": "file"}, ["Caravan cannot be read as NetCDF or Zarr"]),
    "unknown source": ({"source": "camel"}, ["no sub-source 'camel'; did you mean 'camels'?"]),
    "unknown basin": (
        {"basins": ["camels_02108001"]},
        ["no basin 'camels_02108001'", "did you mean"],
    ),
    "an id without its leading zero": (
        {"basins": ["1013500"]},
        ["'01013500', with its leading zero"],
    ),
    "an id that is a number": ({"basins": [1013500]}, ["data.basins.0 = 1013500", "gauge ids too"]),
    "a basin twice": ({"basins": [FIRST, FIRST]}, ["data.basins = ", f"it lists '{FIRST}' twice"]),
    "a list of basins that is not there": (
        {"basins": "/nowhere/basins.txt"},
        ["no such file: /nowhere"],
    ),
    "unknown PET": (
        {"pet": "odin"},
        ["pet = 'odin' is unknown; choose one of auto, source, hargreaves, oudin, none"],
    ),
    "attributes that are not there": ({"attributes": "/nowhere"}, ["no such folder: /nowhere"]),
}
FILES = {
    "another layout": (wrong_layout, ["is not a Caravan folder", "hydronb data check"]),
    "a missing attribute": (
        attribute_is_missing,
        [f"ele_mt_sav of basin {SECOND} is missing", "missing_attributes: mean"],
    ),
    "letters": (
        with_value("total_precipitation_sum", "2001-05-06", "wet"),
        [f"{SECOND}.csv", "total_precipitation_sum on 2001-05-06 is 'wet', not a number"],
    ),
    "a date twice": (
        broken_series(lambda f: pd.concat([f[:50], f[49:]])),
        [f"{SECOND}.csv", "the date 2001-02-19 appears twice"],
    ),
    "a missing date": (
        broken_series(lambda f: f.drop(f.index[49])),
        [f"{SECOND}.csv", "1 dates are missing, the first is 2001-02-19"],
    ),
    "negative precipitation": (
        with_value("total_precipitation_sum", "2001-05-06", -3.0),
        [f"prcp of basin {SECOND} is -3 mm/d on 2001-05-06"],
    ),
    "no observation in the period": (
        broken_series(unobserved),
        [f"no streamflow in 2001-03-01 to 2001-12-31 in 1 basin ({SECOND})"],
    ),
    "a file cut short": (
        lambda root: (p := file_of(root, SECOND, "csv")).write_bytes(p.read_bytes()[:-1000]),
        [f"{SECOND}"],
    ),
}


def ends_in_one_line(words, call, *arguments):
    with pytest.raises(HydronbError) as error:
        call(*arguments)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_parameter(root, tmp_path, case):
    parameters, words = PARAMETERS[case]
    ends_in_one_line(words, attempt, root, tmp_path / "run", parameters, {})
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("case", DATA)
def test_what_the_data_are_said_to_be(root, tmp_path, case):
    data, words = DATA[case]
    ends_in_one_line(words, attempt, root, tmp_path / "run", {}, data)
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("case", FILES)
def test_the_files_themselves(root, tmp_path, case):
    breaks, words = FILES[case]
    breaks(root)
    ends_in_one_line(words, attempt, root, tmp_path / "run", {}, {})
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["params.yaml"]


def test_a_missing_attribute_may_take_the_mean(root, tmp_path):
    attribute_is_missing(root)
    # one basin's value is left
    with pytest.warns(UserWarning, match="tell the model nothing: ele_mt_sav"):
        attempt(root, tmp_path / "run", {"missing_attributes": "mean"}, {})


def test_a_disk_that_is_full(root, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    words = ["run cannot be written: No space left on device", "free space"]
    ends_in_one_line(words, attempt, root, tmp_path / "run", {}, {})
    assert sorted(f.name for f in (tmp_path / "run").iterdir()) == ["params.yaml"]


def test_a_truncated_weights_file(root, tmp_path):
    attempt(root, tmp_path / "run", {}, {})
    path = tmp_path / "run/model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    ends_in_one_line(
        ["model.safetensors", "truncated", "delete it"],
        hydronb.training.train.train_run,
        str(tmp_path / "run"),
    )


def run(*runs, **more) -> str:
    return yaml.safe_dump({"name": "mine", "runs": list(runs)} | more)


def train_run(name="a", **more) -> dict:
    return {"id": name, "notebook": "ealstm_01_train"} | more


PLANS = {
    "no plan": (None, ["mine.yaml: no such plan"]),
    "not YAML": ("name: [", ["mine.yaml, line", "not YAML"]),
    "no runs": ("name: mine", ["mine.yaml: the key 'runs' is missing"]),
    "unknown notebook": (
        run(train_run(notebook="ealstm_01_tran")),
        ["'ealstm_01_tran'", "'ealstm_01_train'"],
    ),
    "circular needs": (
        run(train_run("a", needs=["b"]), train_run("b", needs=["a"])),
        ["circular needs: "],
    ),
    "needs of nothing": (run(train_run(needs=["c"])), ["a: needs unknown 'c'"]),
    "misspelt parameter": (run(train_run(params={"dropot": 0.1})), ["'dropot'", "'dropout'"]),
    "bad value": (run(train_run(params={"dropout": 1.5})), ["a: dropout = 1.5", "less than 1"]),
    "bad value among many": (run(train_run(each={"batch_size": [16, 0]})), ["batch_size = 0"]),
    "unknown metric": (
        run({"id": "b", "notebook": "ealstm_02_benchmark", "params": {"metrics": ["nsee"]}}),
        ["metrics.0 = 'nsee' is unknown; choose one of nse, kge"],
    ),
    "data that are not there": (
        run(train_run(), data={"kind": "caravan", "path": "/nowhere"}),
        ["/nowhere"],
    ),
    "data without a path": (run(train_run(), data={"kind": "caravan"}), ["'caravan' needs a path"]),
    "unquoted gauge ids": (
        "name: mine\ndata: {basins: [01013500]}\nruns: [{id: a, notebook: ealstm_01_train}]",
        ["mine.yaml, line 2: ", "01013500 as a number in base 8", "quote gauge ids"],
    ),
}


def analysis(notebook="ealstm_05_similarity", **params) -> str:
    return run({"id": "s", "notebook": notebook, "params": params})


PLANS |= {
    "an octal number": (
        "runs: [{id: a, notebook: ealstm_01_train,\n  params: {threads: 010}}]",
        ["mine.yaml, line 2: YAML reads 010 as a number in base 8"],
    ),
    "a list as a key": (
        "runs:\n- {id: a, notebook: ealstm_01_train, params: {learning_rate: {[1, 2]: 0.1}}}",
        ["mine.yaml, line 2: a list or mapping cannot be a name"],
    ),
    "a folder": (Path.mkdir, ["mine.yaml is not a file of at most 1 MB"]),
    "a pipe": (os.mkfifo, ["mine.yaml is not a file of at most 1 MB"]),
    "a device": (
        lambda plan: plan.symlink_to("/dev/zero"),
        ["mine.yaml is not a file of at most 1 MB"],
    ),
    "a large file": ("#" * 1_000_001, ["mine.yaml is not a file of at most 1 MB"]),
    "not text": (lambda plan: plan.write_bytes(b"\xff\xfe"), ["mine.yaml is not YAML: it is not"]),
    "more runs than anyone wants": (
        run(train_run(each={"seed": list(range(101)), "hidden": list(range(1, 101))})),
        ["mine.yaml: more than 10,000 runs; shorten the lists in `each`"],
    ),
    "runs without end": (
        run(train_run(each={f"a{n}": [0, 1] for n in range(200)})),
        ["mine.yaml: more than 10,000 runs"],
    ),
    "a need twice": (
        run(train_run("a"), train_run("b", needs=["a", "a"])),
        ["b: needs = ['a', 'a']: it lists 'a' twice"],
    ),
    "a value twice": (
        run(train_run(each={"hidden": [8, 16, 8]})),
        ["a: each.hidden = [8, 16, 8]: it lists 8 twice"],
    ),
    "a value twice, written in two ways": (
        run(train_run(each={"learning_rate": ["1e-3", 0.001]})),
        ["a_learning_rate-1e-3 and a_learning_rate-0.001 have the same parameters; keep one"],
    ),
    "the same data twice": (
        run(train_run(each={"data": [{"seed": 1}, {"seed": 1}]})),
        ["a: each.data = ", "it lists {'seed': 1} twice"],
    ),
    "a forcing twice": (
        run(train_run(params={"forcings": ["prcp", "prcp"]})),
        ["a: forcings = ['prcp', 'prcp']: it lists 'prcp' twice"],
    ),
    "a number of clusters twice": (analysis(ks=[3, 3]), ["s: ks = [3, 3]: it lists 3 twice"]),
    "a run twice": (
        analysis(runs=["a", "a"]),
        ["s: runs = ['a', 'a']: it lists 'a' twice"],
    ),
    "an embedding that is not there": (
        analysis(embedding="/nowhere.nc"),
        ["s: embedding: no such file: /nowhere.nc; correct it, or see `hydronb data get`"],
    ),
    "attributes that are not there": (
        analysis(attributes="/nowhere"),
        ["s: attributes: no such file: /nowhere"],
    ),
    "sensitivities that are not there": (
        analysis("ealstm_04_sensitivity", sensitivities="~no_such_user/s.csv"),
        ["s: sensitivities: no such file: ", "~no_such_user/s.csv"],
    ),
    "benchmark models that are not there": (
        analysis("ealstm_02_benchmark", benchmark_models="$NOT_SET_HERE/models"),
        ["s: benchmark_models: ", "the environment variable NOT_SET_HERE is not set"],
    ),
    "evapotranspiration that is not there": (
        analysis("delta_hbv_02_benchmark", et_path="a" * 300),
        ["s: et_path: ", "(File name too long)"],
    ),
    "evapotranspiration with a NUL": (
        analysis("delta_hbv_03_fluxes", et_path="a\0b"),
        ["s: et_path: ", "null byte"],
    ),
    "runs that are not there": (
        analysis(runs=["/nowhere"]),
        ["s: runs: /nowhere is not a complete run directory; see `hydronb status`"],
    ),
    "the folder of what was replaced as a plan": (
        "name: superseded\nruns: [{id: a, notebook: ealstm_01_train}]",
        ["mine.yaml: 'superseded' is where replaced runs are kept; choose another name"],
    ),
    "the folder of what was replaced as a run": (
        run(train_run("Superseded")),
        ["mine.yaml: Superseded: 'Superseded' is where replaced runs are kept"],
    ),
    "an id of several lines": (run(train_run("a\nb")), ["mine.yaml: a b: 'a\\nb': it names a fol"]),
    "a key of 100,000 letters": (run({"x" * 100_000: 1}), ["run 1: unknown key 'xxxx"]),
    "a value of 100,000 letters": (
        run(train_run(params={"device": "x" * 100_000})),
        ["a: device = 'xxxx"],
    ),
    "a circle of 2,000 runs": (
        run(*(train_run(f"r{n}", needs=[f"r{(n + 1) % 2000}"]) for n in range(2000))),
        ["circular needs: "],
    ),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_plan(tmp_path, capsys, case):
    text, words = PLANS[case]
    plan = tmp_path / "mine.yaml"
    if callable(text):
        text(plan)
    elif text is not None:
        plan.write_text(text)
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", str(plan), "--outputs", str(tmp_path / "outputs"), "--dry-run"])
    assert stop.value.code == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: ") and told.err.count("\n") == 1 and not told.out
    assert len(told.err) < 1000
    for word in words:
        assert word in told.err
    assert not (tmp_path / "outputs").exists()


def test_outputs_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text(run(train_run()))
    (tmp_path / "outputs").write_text("in the way")
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", str(tmp_path / "mine.yaml"), "--outputs", str(tmp_path / "outputs")])
    told = capsys.readouterr()
    assert stop.value.code == 1 and told.err.count("\n") == 1 and "outputs" in told.err
