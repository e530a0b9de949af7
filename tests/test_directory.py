"""Run directories: what an earlier version wrote opens; what is damaged, wrong or missing is one
line, whoever reads it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from catchments import random_catchments
from safetensors.torch import load_file, save_file

import hydronb
from hydronb.analysis.ealstm_ensemble import read_ealstms
from hydronb.errors import DataError, HydronbError, ParameterError, TrainingError
from hydronb.models.weights import load, read_tensors, write_tensors
from hydronb.parameters import TrainParameters
from hydronb.runs import status
from hydronb.runs.directory import PROGRESS, RunDirectory, TrainedRun, read_record, read_run
from hydronb.training import train as training
from hydronb.training.train import train

SETTINGS = {
    "model": "ealstm",
    "forcings": ["prcp", "tmean"],
    "attributes": ["slope", "forest"],
    "targets": ["streamflow"],
    "train_period": {"start": "2000-02-01", "end": "2000-09-30"},
    "validation_period": {"start": "2000-10-01", "end": "2000-11-30"},
    "test_period": {"start": "2000-12-01", "end": "2001-02-03"},
    "hidden": 4,
    "dropout": 0.2,
    "forget_bias": 3.0,
    "sequence_length": 20,
    "predict_last": 4,
    "epochs": 2,
    "samples_per_epoch": 64,
    "batch_size": 32,
    "learning_rate": {1: 0.01},
    "seed": 7,
    "device": "cpu",
}
IDS = ["x_00000001", "x_00000002", "x_00000003"]


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# What hydronb 0.1.0 wrote
# ---


def write_0_1_0(outputs: Path, name: str = "train") -> Path:
    """A run directory of ealstm_01_train, file by file as version 0.1.0 wrote it: no checksums."""
    folder = outputs / "demo" / "ealstm_01_train" / name
    folder.mkdir(parents=True)
    record = {
        "id": name,
        "plan": "demo",
        "notebook": "ealstm_01_train",
        "status": "complete",
        "identity": "0123456789abcdef",
        "parameters": {"model": "ealstm", "seed": 7},
        "data": {},
        "needs": [],
        "seed": 7,
        "threads": 1,
        "versions": {"hydronb": "0.1.0", "notebook": "fedcba9876543210"},
        "notebook_file": "/gone/notebooks/ealstm_01_train.ipynb",
        "takes_run_dir": True,
        "started": "2026-11-20T09:59:00.000+00:00",
        "machine": {"name": "desk", "system": "Linux", "cores": 2, "python": "3.11.7"},
        "libraries": {"torch": "2.13.0", "numpy": "2.3.0", "xarray": "2026.9.0"},
        "finished": "2026-11-20T10:00:12.345+00:00",
        "seconds": 72.3,
    }
    (folder / "run.json").write_text(json.dumps(record, indent=1))
    (folder / "params.yaml").write_text(yaml.safe_dump(SETTINGS, sort_keys=False))
    scaling = {
        "forcings": {"prcp": [2.0, 4.0], "tmean": [8.0, 7.0]},
        "attributes": {"slope": [1.0, 0.5], "forest": [0.4, 0.2]},
        "targets": {"streamflow": [1.5, 2.5]},
        "codes": {},
        "fill_missing": False,
    }
    settings = {n: SETTINGS[n] for n in ("model", "hidden", "dropout", "forget_bias")}
    settings |= {"sequence_length": 20, "predict_last": 4}
    description = {"settings": settings, "scaling": scaling, "fingerprint": "a-b-2.13.0"}
    description |= {"train_period": SETTINGS["train_period"], "basins": IDS}
    (folder / "model.json").write_text(json.dumps(description, indent=1))
    save_file(WEIGHTS, folder / "model.safetensors")
    (folder / "progress.csv").write_text(
        f"{','.join(PROGRESS)}\n0.5,2,0.9,,0.01,1.5,1.4\n1.0,2,0.7,0.21,0.01,3.0,2.9\n"
        "2.0,2,0.5,0.34,0.01,6.0,5.8\n"
    )
    (folder / "metrics.csv").write_text("basin,nse,kge\n" + "".join(f"{b},0.5,0.4\n" for b in IDS))
    simulation().to_netcdf(folder / "simulation.nc")
    return folder


rng = np.random.default_rng(0)
WEIGHTS = {
    f"network.{name}": torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    for name, shape in {
        "weight_static": (4, 2),
        "bias_static": (4,),
        "weight": (12, 2),
        "recurrent": (12, 4),
        "bias": (12,),
        "head.weight": (1, 4),
        "head.bias": (1,),
    }.items()
}


def simulation() -> xr.Dataset:
    time = pd.date_range("2000-12-01", "2001-02-03", name="time")
    shape = (len(IDS), len(time))
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return xr.Dataset(
        {
            "streamflow": (("basin", "time"), values),
            "streamflow_obs": (("basin", "time"), values + 1),
        },
        {"basin": IDS, "time": time},
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_0_1_0(tmp_path)


def test_every_reader_reads_a_run_of_0_1_0(folder):
    run = read_run(folder)
    assert run.record()["versions"]["hydronb"] == "0.1.0" and run.record()["seconds"] == 72.3
    assert isinstance(run.fit_parameters, TrainParameters) and run.seed == 7
    assert run.parameters["test_period"] == SETTINGS["test_period"]
    assert run.model.scaling.forcings["prcp"] == (2.0, 4.0)
    assert run.basins == tuple(IDS)
    assert all(torch.equal(run.model.state_dict()[name], t) for name, t in WEIGHTS.items())
    xr.testing.assert_identical(run.simulation(), simulation())
    xr.testing.assert_identical(run.dataset("simulation.nc"), simulation())
    assert run.table("metrics.csv", ["nse"])["basin"].tolist() == IDS
    assert run.progress()["valid"].tolist()[1:] == [0.21, 0.34]
    assert run.latest_progress()["epoch"] == 2.0
    (member,) = read_ealstms([folder])
    assert member.basins == run.basins


def test_runs_of_0_1_0_are_counted_and_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(hydronb, "__version__", "0.2.0")
    for name in ("a", "b"):
        write_0_1_0(tmp_path, name)
    lines = status.of_outputs(tmp_path)
    row = "demo  a    ealstm_01_train  stale  2026-11-20 10:00  1 min 12 s"
    assert lines[1] == f"{row}  made by hydronb 0.1.0, now 0.2.0"
    words = "stale; `hydronb run PLAN --redo-stale` makes them again"
    assert lines[-1] == f"2 runs of hydronb 0.1.0: {words}"


def test_a_checkpoint_of_0_1_0_is_resumed(ds, checkpoint, tmp_path):
    tensors, metadata = read_tensors(checkpoint)
    save_file(tensors, checkpoint, {name: metadata[name] for name in ("at", "fingerprint")})
    train(ds, PARAMETERS, checkpoint.parent)
    train(ds, PARAMETERS, tmp_path)
    resumed, undisturbed = (
        load_file(f / "model.safetensors") for f in (checkpoint.parent, tmp_path)
    )
    assert all(torch.equal(resumed[name], t) for name, t in undisturbed.items())


def test_what_a_run_needs_is_found_wherever_the_outputs_are(tmp_path):
    needed, run = write_0_1_0(tmp_path / "old", "needed"), write_0_1_0(tmp_path / "old", "run")
    made = read_record(needed)
    needs = [{"id": "needed", "path": str(needed), "identity": "x", "finished": made["finished"]}]
    versions = {"hydronb": hydronb.__version__, "notebook": "fedcba9876543210"}
    record = made | {"needs": needs, "versions": versions}
    (run / "run.json").write_text(json.dumps(record))
    moved = (tmp_path / "old").rename(tmp_path / "new") / run.relative_to(tmp_path / "old")
    assert status.state_of_folder(moved) == ("complete", "")
    later = made | {"finished": "2026-11-21T10:00:00.000+00:00"}
    (moved.with_name("needed") / "run.json").write_text(json.dumps(later))
    assert status.state_of_folder(moved) == ("stale", "needed has been made again since")
    (moved.with_name("needed") / "run.json").unlink()
    assert status.state_of_folder(moved) == ("stale", "needed is gone")


def test_reading_imports_nothing_heavy():
    heavy = ["torch", "xarray", "pandas", "hydronb.runs.plan", "hydronb.runs.notebook"]
    code = f"import sys, hydronb.runs.directory\nassert not set({heavy}) & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# What parses and is wrong
# ---

RECORDS = {
    "empty": {},
    "state": {"status": "done"},
    "state of no text": {"status": 5},
    "versions": {"versions": []},
    "needs": {"needs": {}},
    "a need": {"needs": [{"id": 1}]},
    "seconds": {"seconds": "long"},
    "seconds beyond numbers": {"seconds": float("nan")},
    "finished": {"finished": 5},
    "notebook": {"notebook_file": None},
    "error": {"error": ["a"]},
}


def broken_records() -> list:
    changed = [pytest.param(change, id=name) for name, change in RECORDS.items()]
    texts = ["[]", "3", "null", '{"status": "comp', "\xff", "[" * 10**5]
    return changed + [pytest.param(text, id=repr(text[:9])) for text in texts]


@pytest.mark.parametrize("change", broken_records())
def test_one_bad_record_is_listed_with_its_reason_beside_the_others(tmp_path, monkeypatch, change):
    monkeypatch.setattr(hydronb, "__version__", "0.1.0", raising=False)
    good, bad = write_0_1_0(tmp_path, "good"), write_0_1_0(tmp_path, "bad")
    if isinstance(change, dict):
        change = json.dumps(read_record(good) | change if change else {})
    (bad / "run.json").write_bytes(change.encode("latin-1"))
    with pytest.raises(HydronbError) as error:
        RunDirectory(bad).record()
    assert f"{bad / 'run.json'}" in one_line(error) and "makes the run again" in one_line(error)
    assert read_record(bad) is None
    _, bad_row, good_row, *_ = status.of_outputs(tmp_path)
    assert "unreadable" in bad_row and str(error.value) in bad_row
    assert good_row.split()[:4] == ["demo", "good", "ealstm_01_train", "complete"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "a: [",
        "model: 3",
        "model: [ealstm]",
        "model: none_such",
        "hidden: many",
        "hidden: -1",
        "1: 2",
        "dropout: .nan",
        "train_period: 2000",
        "data: 5",
        "a: &a [*a]",
        "a: !!python/object:os.system x",
        "\xff",
        "[" * 10**5,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_wrong_parameters_are_one_line(folder, text):
    (folder / "params.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ParameterError) as error:
        _ = read_run(folder).parameters
    assert "params.yaml" in one_line(error) or "model = " in one_line(error)


def changed_description(folder: Path, *path: str, to: object) -> str:
    description = json.loads((folder / "model.json").read_text())
    part = description
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = to
    return json.dumps(description)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (["settings"], []),
        (["settings"], {}),
        (["settings", "model"], 5),
        (["settings", "model"], []),
        (["settings", "model"], "none_such"),
        (["settings", "hidden"], "many"),
        (["settings", "hidden"], -3),
        (["settings", "hidden"], 5),
        (["settings", "more"], 1),
        (["scaling"], None),
        (["scaling"], {}),
        (["scaling", "forcings"], "prcp"),
        (["scaling", "forcings", "prcp"], [1.0]),
        (["scaling", "forcings", "prcp"], ["a", 1.0]),
        (["scaling", "targets"], {"streamflow": [1.0, 2.0], "et": [1.0, 2.0]}),
        (["basins"], "x_00000001"),
        (["basins"], [1]),
        (None, "{}"),
        (None, "[]"),
        (None, "null"),
        (None, '{"settings": '),
        (None, "\xff"),
    ],
)
def test_a_wrong_description_is_one_line(folder, path, to):
    text = to if path is None else changed_description(folder, *path, to=to)
    (folder / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingError) as error:
        _ = TrainedRun(folder).model
    assert str(folder) in one_line(error) and "model" in one_line(error)


LINE = "1.0,2,0.7,0.21,0.01,3.0,2.9\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        f"{','.join(PROGRESS)}\n",
        f"{','.join(PROGRESS[:4])}\n1.0,2,0.7,0.2\n",
        f"{','.join(PROGRESS)}\n{LINE.replace('1.0', 'abc')}",
        f"{','.join(PROGRESS)}\n{LINE.replace('1.0', 'nan')}{LINE}",
        f"{','.join(PROGRESS)}\n{LINE.replace('0.7', 'inf')}",
        f"{','.join(PROGRESS)}\n{LINE}1.0,2\n",
        f"{','.join(PROGRESS)}\n{LINE.replace(',2,', ',2,3,')}",
        "\xff\xfe",
        "\0\0\n\0",
    ],
    ids=lambda text: repr(text[-20:]),
)
def test_a_wrong_log_is_one_line_and_never_stops_the_runner(folder, text):
    (folder / "progress.csv").write_bytes(text.encode("latin-1"))
    run = read_run(folder)
    with pytest.raises(DataError) as error:
        run.progress()
    assert str(folder / "progress.csv") in one_line(error)
    row = run.latest_progress()
    assert not row or 0 <= row["epoch"] <= row["epochs"]


@pytest.mark.parametrize("name", ["simulation.nc", "metrics.csv", "fluxes.nc"])
@pytest.mark.parametrize("content", [None, b"", b"CDF\x01", b"\x89HDF\r\n\x1a\n", b"\xff\xfe"])
def test_a_missing_or_damaged_file_says_what_makes_it_anew(folder, name, content):
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)
    run = RunDirectory(folder)
    with pytest.raises(DataError) as error:
        run.table(name, ["nse"]) if name.endswith("csv") else run.dataset(name)
    assert str(folder) in one_line(error) and name in one_line(error)
    assert one_line(error).endswith(
        "delete the folder of the run, then `hydronb run PLAN` (the plan demo) makes it again"
    )


@pytest.mark.parametrize("kept", ["streamflow", "streamflow_obs"])
def test_a_simulation_without_a_variable_or_its_days_is_one_line(folder, kept):
    ds = simulation()
    for wrong in (ds[[kept]], ds.isel(time=0)):
        wrong.to_netcdf(folder / "simulation.nc")
        with pytest.raises(DataError) as error:
            TrainedRun(folder).simulation()
        assert "has no 'streamflow" in one_line(error) and "cannot be scored" in one_line(error)


# Weights and checkpoints
# ---

PARAMETERS = TrainParameters.validate_parameters(SETTINGS)


@pytest.fixture
def ds() -> xr.Dataset:
    return random_catchments()


@pytest.fixture
def checkpoint(ds, tmp_path_factory, monkeypatch) -> Path:
    """The checkpoint of a training that was killed at its end."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("killed")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "save_model", killed)
        train(ds, PARAMETERS, folder)
    return folder / "checkpoint.safetensors"


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def some_bits(content: bytes, n: int = 30, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(8 * len(content), size=n).tolist()


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_flipped_bit_of_a_model_is_found(ds, tmp_path, name):
    train(ds, PARAMETERS, tmp_path)
    content = (tmp_path / name).read_bytes()
    for bit in some_bits(content):
        (tmp_path / name).write_bytes(flipped(content, bit))
        with pytest.raises(TrainingError) as error:
            load(tmp_path)
        assert str(tmp_path) in one_line(error) and "train the run again" in one_line(error)
    (tmp_path / name).write_bytes(content)
    load(tmp_path)


def test_a_flipped_bit_of_a_checkpoint_is_found(ds, checkpoint):
    content = checkpoint.read_bytes()
    for bit in some_bits(content):
        checkpoint.write_bytes(flipped(content, bit))
        with pytest.raises(TrainingError) as error:
            train(ds, PARAMETERS, checkpoint.parent)
        assert str(checkpoint) in one_line(error) and "delete it" in one_line(error)
    checkpoint.write_bytes(content)
    train(ds, PARAMETERS, checkpoint.parent)


def test_every_bit_of_a_small_file_counts(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": torch.arange(3.0), "b": torch.ones(2)}, {"fingerprint": "x"})
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        path.write_bytes(flipped(content, bit))
        with pytest.raises((ValueError, AttributeError)):
            read_tensors(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises((ValueError, AttributeError)):
            read_tensors(path)


POSITIONS = {
    "epoch": ("abc", 0, 99, 2.0, True, None),
    "step": (-1, 10**9, "1"),
    "loss_sum": (float("nan"), "x", None),
    "best_epoch": (-1, 5, 0),
    "best_score": (float("nan"), None, "x"),
    "rows": (-1, 1.5),
    "seconds": (float("inf"), []),
    "cpu_seconds": ("x",),
}


def broken_positions() -> list:
    whole = [json.dumps(at) for at in ({}, [], 3, "x", None)] + ["{", "\xff"]
    missing = [pytest.param({name: ...}, id=f"no {name}") for name in POSITIONS]
    wrong = [
        pytest.param({name: value}, id=f"{name}: {value}")
        for name, values in POSITIONS.items()
        for value in values
    ]
    return whole + missing + wrong


@pytest.mark.parametrize("change", broken_positions())
def test_a_checkpoint_with_a_wrong_position_is_one_line(ds, checkpoint, change):
    tensors, metadata = read_tensors(checkpoint)
    if isinstance(change, dict):
        at = json.loads(metadata["at"]) | change
        change = json.dumps({name: value for name, value in at.items() if value is not ...})
    refuses(ds, checkpoint, tensors, metadata | {"at": change})


def refuses(ds: xr.Dataset, checkpoint: Path, tensors: dict, metadata: dict) -> str:
    write_tensors(checkpoint, tensors, metadata)
    with pytest.raises(TrainingError) as error:
        train(ds, PARAMETERS, checkpoint.parent)
    assert str(checkpoint) in one_line(error)
    assert one_line(error).endswith("; delete it to start again")
    return one_line(error)


@pytest.mark.parametrize("name", ["model.network.bias", "best.network.bias", "optimiser.0.step"])
@pytest.mark.parametrize("how", ["missing", "renamed", "other shape", "one more"])
def test_a_checkpoint_with_other_tensors_is_one_line(ds, checkpoint, name, how):
    tensors, metadata = read_tensors(checkpoint)
    value = tensors[name]
    if how in ("missing", "renamed"):
        del tensors[name]
    if how in ("renamed", "one more"):
        tensors[f"{name}2"] = value.clone()
    if how == "other shape":
        tensors[name] = torch.cat([value.reshape(-1), torch.zeros(1)])
    assert name in refuses(ds, checkpoint, tensors, metadata)


def test_a_checkpoint_without_random_numbers_or_fingerprint_is_one_line(ds, checkpoint):
    tensors, metadata = read_tensors(checkpoint)
    without = {name: t for name, t in tensors.items() if name != "rng.cpu"}
    refuses(ds, checkpoint, without, metadata)
    refuses(ds, checkpoint, without | {"rng.cpu": torch.zeros(3)}, metadata)
    refuses(ds, checkpoint, {}, {})
    refuses(ds, checkpoint, tensors, {"at": metadata["at"]})


@pytest.mark.parametrize("text", ["[]\n", "a,b\n1,2\n", "\xff"], ids=repr)
def test_a_training_does_not_continue_what_is_not_its_log(ds, checkpoint, text):
    log = checkpoint.with_name("progress.csv")
    log.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as error:
        train(ds, PARAMETERS, checkpoint.parent)
    assert str(log) in one_line(error)
    log.unlink()
    train(ds, PARAMETERS, checkpoint.parent)
