"""A file is whole or not there; what cannot be read is refused in one line."""

import errno

import numpy as np
import pytest
import xarray as xr

from hydronb import files
from hydronb.errors import DataError, TrainingError
from hydronb.files import (
    load_at_most,
    opening,
    read_dataset,
    read_json,
    reading,
    replacing,
    write,
    writing,
)


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.txt"
    write(path, "höhe")
    assert path.read_text(encoding="utf-8") == "höhe"
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "höhe"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    folder = tmp_path / "store"
    with pytest.raises(OSError), replacing(folder) as partial:
        partial.mkdir()
        (partial / "a").write_text("half")
        raise OSError
    assert not list(tmp_path.iterdir())
    with replacing(folder) as partial:
        partial.mkdir()
        (partial / "a").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_a_dataset_is_in_memory_and_its_file_closed(tmp_path):
    path = tmp_path / "a.nc"
    ds = xr.Dataset({"v": ("x", np.arange(3.0))})
    ds.to_netcdf(path)
    xr.testing.assert_identical(read_dataset(path), ds)
    (ds + 1).to_netcdf(path)  # an open file could not be written
    ds.to_zarr(tmp_path / "a.zarr", zarr_format=2)
    xr.testing.assert_identical(read_dataset(tmp_path / "a.zarr"), ds)


@pytest.mark.parametrize("content", [b"", b"CDF\x01", b"\x89HDF\r\n\x1a\n" + b"x" * 100, b"text"])
def test_a_damaged_dataset_is_one_line(tmp_path, content):
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nc cannot be read as NetCDF or Zarr \(.*\); again$"):
        read_dataset(path, hint="again")
    path.unlink()
    with pytest.raises(DataError, match=r"^no such file: .*a\.nc; again$"):
        read_dataset(path, hint="again")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"{", "JSON"), (b"[1]", "no names and values"), (b"\xff", "not text in UTF-8")],
)
def test_json_that_is_none_is_one_line(tmp_path, content, reason):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=reason) as caught:
        read_json(path, error=TrainingError)
    assert "\n" not in str(caught.value)


def test_an_error_of_ours_is_not_wrapped(tmp_path):
    with pytest.raises(DataError, match=r"^mine$"), reading(tmp_path, "anything"):
        raise DataError("mine")


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"a cannot be written .*choose another folder"):
        with writing(tmp_path):
            (tmp_path / "file" / "a").write_text("")
    with pytest.raises(TrainingError, match=r"disk is full at .*free some space"):
        with writing(tmp_path, error=TrainingError):
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_dataset_larger_than_the_memory_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    ds = xr.Dataset({"v": (("x", "y"), np.zeros((100, 50)))}, {"x": np.arange(100.0)})
    ds.to_netcdf(path)
    with opening(path, most=20_000) as whole:
        xr.testing.assert_identical(
            load_at_most(20_000, whole.isel(x=slice(10))), ds.isel(x=slice(10))
        )
        with pytest.raises(MemoryError):
            load_at_most(20_000, whole)
    words = r"a\.nc does not fit into memory \(it claims 0\.0 GiB of at most 0\.0 GiB\); again$"
    for most in (20_000, 100):  # the second is less than its coordinate
        monkeypatch.setattr(files, "MEMORY", most)
        with pytest.raises(DataError, match=words), opening(path, most=most, hint="again") as whole:
            load_at_most(most, whole)
        with pytest.raises(DataError, match=words):
            read_dataset(path, hint="again")


@pytest.mark.parametrize("problem", [AttributeError, ZeroDivisionError, IndexError, RecursionError])
def test_whatever_reading_stumbles_over_is_one_line(tmp_path, problem):
    with pytest.raises(DataError, match=f"cannot be read as this \\({problem.__name__}\\)$"):
        with reading(tmp_path, "this"):
            raise problem
