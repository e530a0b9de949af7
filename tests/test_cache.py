"""The cache gives back what was made, and nothing that is not whole."""

import json
import os
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb import files
from hydronb.data import cache
from hydronb.data.cache import CacheWarning, cached


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRONB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_text("as it was")
    return path


def dataset() -> xr.Dataset:
    values = np.arange(30, dtype=np.float32).reshape(3, 10)
    values[1, 4] = np.nan
    return xr.Dataset(
        {
            "prcp": (("basin", "time"), values, {"units": "mm/d"}),
            "class": ("basin", np.array(["a", "", "ü c"], object)),
            "elev": ("basin", [1.5, np.nan, 3.25]),
        },
        coords={
            "basin": np.array(["01", "02", "0003"], object),
            "time": pd.date_range("2000-02-25", periods=10),
            "area": ("basin", [1.0, 2.0, 3.0]),
        },
        attrs={"source": "a test"},
    )


class Maker:
    """Counts how often it is called."""

    calls = 0

    def __call__(self) -> xr.Dataset:
        self.calls += 1
        return dataset()


def entries(folder):
    return sorted(p for p in folder.iterdir() if not p.name.endswith(".partial"))


def test_the_second_time_gives_the_same_without_making(folder, source):
    make = Maker()
    for _ in range(2):
        ds = cached(make, key={"a": 1}, sources=[source], name="test")
        xr.testing.assert_identical(ds, dataset())
        assert ds["prcp"].dtype == np.float32 and ds["basin"].dtype == object
    assert make.calls == 1
    assert len(entries(folder)) == 1 and not list(folder.glob("*.partial"))


def test_a_change_of_key_or_source_makes_anew(folder, source, tmp_path):
    make = Maker()
    cached(make, key={"a": 1}, sources=[source], name="test")
    cached(make, key={"a": 2}, sources=[source], name="test")
    assert make.calls == 2
    source.write_text("as it is")  # same size
    os.utime(source, ns=(1, 1))
    cached(make, key={"a": 1}, sources=[source], name="test")
    assert make.calls == 3
    other = tmp_path / "other.txt"
    other.write_text("as it is")
    cached(make, key={"a": 1}, sources=[source, other], name="test")
    assert make.calls == 4


def renaming_raises(error):
    """Stands for `os` in `hydronb.files`; Zarr, which renames files too, keeps its own."""

    def replace(*_):
        raise error

    return SimpleNamespace(replace=replace, getpid=os.getpid, fsync=os.fsync)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("file", ["data.zarr/prcp/0.0", "data.zarr/.zmetadata", "manifest.json"])
@pytest.mark.parametrize("damage", [_truncate, _flip, os.remove])
def test_a_damaged_entry_is_made_anew(folder, source, file, damage):
    make = Maker()
    cached(make, key={}, sources=[source], name="test")
    damage(entries(folder)[0] / file)
    for _ in range(2):
        xr.testing.assert_identical(cached(make, key={}, sources=[source], name="test"), dataset())
    assert make.calls == 2


def test_a_killed_writer_leaves_nothing_that_is_read(folder, source, monkeypatch):
    """The renaming comes last; before it there is only the partial folder."""
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", renaming_raises(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cached(Maker(), key={}, sources=[source], name="test")
    make = Maker()
    cached(make, key={}, sources=[source], name="test")
    assert make.calls == 1


def test_another_process_was_faster(folder, source):
    """What it wrote is kept, since a third may be reading it."""

    def make():
        if not list(folder.glob("test-*")):
            cached(dataset, key={}, sources=[source], name="test")
            (entries(folder)[0] / "data.zarr" / "mark").write_text("")
            manifest = entries(folder)[0] / "manifest.json"
            manifest.write_text(
                json.dumps(json.loads(manifest.read_text()) | {"data.zarr/mark": [0, 0]})
            )
        return dataset()

    cached(make, key={}, sources=[source], name="test")
    assert (entries(folder)[0] / "data.zarr" / "mark").exists()


def test_a_folder_that_cannot_be_written_warns_in_one_line(tmp_path, monkeypatch, source):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("HYDRONB_CACHE", str(blocked))
    with pytest.warns(
        CacheWarning, match="set HYDRONB_CACHE to a folder that can be written"
    ) as caught:
        ds = cached(dataset, key={}, sources=[source], name="test")
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    xr.testing.assert_identical(ds, dataset())


def test_a_full_disk_warns_and_leaves_nothing(folder, source, monkeypatch):
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", renaming_raises(full))
        with pytest.warns(CacheWarning, match="No space left on device"):
            cached(dataset, key={}, sources=[source], name="test")
    assert list(folder.iterdir()) == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HYDRONB_CACHE", str(tmp_path))
    assert cache.cache_folder() == tmp_path
    monkeypatch.delenv("HYDRONB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "hydronb"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "hydronb"


def test_no_warning_in_ordinary_use(folder, source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached(dataset, key={}, sources=[source], name="test")
        cached(dataset, key={}, sources=[source], name="test")
    shutil.rmtree(folder)
