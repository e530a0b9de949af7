"""The comparison behind `make golden` sees every kind of difference, and nothing where there is
none."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from golden import differences


@pytest.fixture
def folders(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    run = old / "plan" / "notebook" / "run"
    run.mkdir(parents=True)
    save_file({"weight": np.arange(6, dtype=np.float32)}, run / "model.safetensors")
    series = np.array([[1.0, np.nan, 3.0]], np.float32)
    ds = xr.Dataset({"streamflow": (("basin", "time"), series)}, {"basin": ["a"]})
    ds.to_netcdf(run / "simulation.nc")
    columns = {"basin": ["01", "02"], "nse": [0.1, np.nan], "bfi": [0.5, 0.6], "seconds": [1, 2]}
    pd.DataFrame(columns).to_csv(run / "metrics.csv", index=False)
    shutil.copytree(old, new)
    return old, new, new / "plan" / "notebook" / "run"


def test_copies_are_the_same(folders):
    assert list(differences(*folders[:2])) == []


def changed_table(run, name, value):
    table = pd.read_csv(run / "metrics.csv", dtype={"basin": str})
    table.loc[0, name] = value
    table.to_csv(run / "metrics.csv", index=False)


def test_a_weight_that_differs_in_one_bit(folders):
    weight = np.arange(6, dtype=np.float32)
    weight[5] = np.nextafter(weight[5], np.float32(9))
    save_file({"weight": weight}, folders[2] / "model.safetensors")
    (line,) = differences(*folders[:2])
    assert line.endswith("model.safetensors: weight differs in 1 of 6 values")


def test_a_day_that_differs(folders):
    series = np.array([[1.0, 2.0, 3.0]], np.float32)
    ds = xr.Dataset({"streamflow": (("basin", "time"), series)}, {"basin": ["a"]})
    ds.to_netcdf(folders[2] / "simulation.nc")
    (line,) = differences(*folders[:2])
    assert line.endswith("simulation.nc: streamflow differs in 1 of 3 values")


@pytest.mark.parametrize(
    ("name", "value", "differs"),
    [
        ("nse", 0.1000001, True),
        ("basin", "1", True),
        ("seconds", 9, False),
        ("bfi", 0.6, False),
    ],
)
def test_a_table_that_differs(folders, name, value, differs):
    changed_table(folders[2], name, value)
    assert bool(list(differences(*folders[:2]))) is differs


def test_a_file_that_one_version_lacks(folders):
    (folders[2] / "metrics.csv").unlink()
    (line,) = differences(*folders[:2])
    assert line.endswith("metrics.csv: only the old version writes it")


def test_rows_within_an_epoch_are_not_compared(folders):
    old, new, run = folders
    for path, rows in ((old / run.relative_to(new), 3), (run, 2)):
        epochs = {"epoch": [0.5, 1.0, 1.7][-rows:], "loss": [2.0, 1.0, 3.0][-rows:]}
        pd.DataFrame(epochs).to_csv(path / "progress.csv", index=False)
    assert list(differences(old, new)) == []
    pd.DataFrame({"epoch": [1.0], "loss": [1.5]}).to_csv(run / "progress.csv", index=False)
    (line,) = differences(old, new)
    assert line.endswith("progress.csv: loss differs in 1 of 1 values")
