"""What lies in an outputs folder: its run directories, and single files of theirs when a page asks
for them.

Nothing is read that lies elsewhere, and nothing that is not a table, YAML, JSON or NetCDF. What was
read is kept until the file changes, a few files at most; of series one basin is read at a time.

No NetCDF file stays open: HDF5 crashes on one that holds text and is open twice, once its first
handle is closed (https://github.com/HDFGroup/hdf5/issues/5359), and a crash would end the server
for all visitors.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.dataset import bare_id
from hydronb.errors import DataError, HydronbError, ParameterError
from hydronb.parameters import read_parameters

DEPTH = 5
"""How deep below the folder run directories lie: PLAN/NOTEBOOK/RUN, and runs that a notebook made
for itself."""
MARKS = ("run.json", "params.yaml")
"""A folder that holds one of these is a run directory."""
SUPERSEDED = "superseded"
"""Folder beside the notebooks' that keeps the runs which others have replaced."""
PARTIAL = ".partial"
KEPT_TABLES, KEPT_FILES = 48, 8

SERIES = "series"
"""Attribute that names the variables that change with time."""
_ONE_AT_A_TIME = Lock()

Read = TypeVar("Read")
Kept = OrderedDict[str, tuple[tuple[int, int, int], Read]]
"""By path: what tells a file from its next version, and what was read from it."""


class Outputs:
    """An outputs folder, shared by all visitors, who only read."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._tables: Kept[Any] = OrderedDict()
        self._files: Kept[xr.Dataset] = OrderedDict()

    def names(self) -> list[str]:
        """Run directories by their path below the folder, those being written with `.partial` at
        the end."""
        found: list[str] = []
        self._walk(self.root, DEPTH, found)
        return sorted(found)

    def _walk(self, folder: Path, depth: int, found: list[str]) -> None:
        try:
            entries = [e for e in os.scandir(folder) if e.is_dir(follow_symlinks=False)]
        except OSError:  # gone, or not ours to read
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name == SUPERSEDED:
                continue
            if any(os.path.isfile(os.path.join(entry.path, mark)) for mark in MARKS):
                found.append(Path(entry.path).relative_to(self.root).as_posix())
            if depth > 1:
                self._walk(Path(entry.path), depth - 1, found)

    def having(self, *files: str) -> list[str]:
        """Complete run directories that hold all of these files."""
        complete = (n for n in self.names() if not n.endswith(PARTIAL))
        return [n for n in complete if all((self.root / n / f).is_file() for f in files)]

    def trained(self) -> list[str]:
        """Run directories with a simulation that was scored."""
        return self.having("simulation.nc", "metrics.csv")

    def folder(self, name: str) -> Path:
        """A run directory.

        Raises
        ------
        DataError
            It is not there, or lies outside.
        """
        path = (self.root / name).resolve()
        if not name or not path.is_relative_to(self.root) or not path.is_dir():
            raise DataError(
                f"there is no run {name[:120]!r} in this outputs folder; choose one from the list"
            )
        return path

    def file(self, name: str, file: str) -> Path:
        """A file of a run directory.

        Raises
        ------
        DataError
            It is not there, or lies outside the outputs folder.
        """
        path = (self.folder(name) / file).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            raise DataError(
                f"{name} holds no {file}, or no longer; run what made it again: {again(name)}"
            )
        return path

    def table(
        self, name: str, file: str, columns: Sequence[str] = (), *, ids: Sequence[str] = ("basin",)
    ) -> pd.DataFrame:
        """A CSV file of a run; columns `ids` are text.

        Raises
        ------
        DataError
            There is none, it is no table, or lacks one of `columns`.
        """
        path = self.file(name, file)

        def read() -> pd.DataFrame:
            try:
                return pd.read_csv(path, dtype=dict.fromkeys(ids, str))
            except (ValueError, OSError) as error:
                raise DataError(
                    f"{name}/{file} cannot be read as a table ({_first_line(error)}); {again(name)}"
                    " writes it anew"
                ) from None

        made = self._kept(self._tables, KEPT_TABLES, path, read)
        if lacking := [c for c in columns if c not in made.columns]:
            raise DataError(
                f"{name}/{file} has no column {lacking[0]!r}: another version wrote it;"
                f" {again(name)} writes it anew"
            )
        return made

    def parameters(self, name: str) -> dict[str, Any]:
        """What the run's `params.yaml` says, unchecked; empty where there is none that can be
        read."""
        try:
            path = self.file(name, "params.yaml")
            return self._kept(self._tables, KEPT_TABLES, path, lambda: read_parameters(path))
        except HydronbError:
            return {}

    def record(self, name: str) -> dict[str, Any]:
        """What the run's `run.json` says; empty where there is none that can be read."""
        try:
            given = json.loads(self.file(name, "run.json").read_text(encoding="utf-8"))
        except (HydronbError, OSError, ValueError):
            return {}
        return given if isinstance(given, dict) else {}

    def still(self, name: str, file: str, variables: Sequence[str] = ()) -> xr.Dataset:
        """What in a NetCDF file of a run does not change with time, coordinates among it.

        Raises
        ------
        DataError
            There is none, it is not whole, or lacks one of `variables`, which may be series.
        """
        path = self.file(name, file)

        def read() -> xr.Dataset:
            with _opened(path, f"{name}/{file}", name) as ds:
                series = {str(n) for n, v in ds.data_vars.items() if "time" in v.dims}
                return ds.drop_vars(series).load().assign_attrs(ds.attrs | {SERIES: series})

        ds = self._kept(self._files, KEPT_FILES, path, read)
        if lacking := [v for v in variables if v not in ds.variables and v not in ds.attrs[SERIES]]:
            raise DataError(
                f"{name}/{file} has no {lacking[0]!r}: another version wrote it; {again(name)}"
                " writes it anew"
            )
        return ds

    def read(
        self, name: str, file: str, variables: Sequence[str] = (), *, basin: str = ""
    ) -> xr.Dataset:
        """A NetCDF file, or one catchment of it, read now; with `variables`, those of them that are
        there.

        Raises
        ------
        DataError
            See `still`; the catchment is not in it.
        """
        there = self.still(name, file, ["basin"] if basin else [])
        at = {"basin": find_basin(there["basin"].values, basin, name)} if basin else {}
        with _opened(self.file(name, file), f"{name}/{file}", name) as ds:
            return (ds[[v for v in variables if v in ds]] if variables else ds).sel(at).load()

    def _kept(self, store: Kept[Read], most: int, path: Path, read: Callable[[], Read]) -> Read:
        """What `read` gives, from memory where the file has not changed since."""
        try:
            stat = path.stat()
        except OSError:
            raise DataError(
                f"{path.relative_to(self.root)} has just gone; choose another run"
            ) from None
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if str(path) not in store or store[str(path)][0] != stamp:
            store[str(path)] = (stamp, read())
            while len(store) > most:
                store.popitem(last=False)
        store.move_to_end(str(path))
        return store[str(path)][1]


@contextmanager
def _opened(path: Path, called: str, name: str) -> Iterator[xr.Dataset]:
    try:
        with _ONE_AT_A_TIME, xr.open_dataset(path, engine="netcdf4", cache=False) as ds:
            yield ds
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{called} cannot be read ({_first_line(error)}); if its run is going on, wait, else "
            f"{again(name)} writes it anew"
        ) from None


def find_basin(basins: np.ndarray, basin: str, where: str) -> str:
    """The id in `basins` that means this catchment, whatever its source's prefix.

    Raises
    ------
    DataError
        There is none.
    """
    ids = {bare_id(str(b)): b for b in basins}
    if bare_id(basin) not in ids:
        raise DataError(f"there is no catchment {basin[:60]!r} in {where}; click one")
    return ids[bare_id(basin)]


def again(name: str) -> str:
    """The command that makes a run anew, as far as its folder's name says."""
    parts = name.removesuffix(PARTIAL).split("/")
    plan = parts[0]
    return (
        f"`hydronb run PLAN`, PLAN being the file whose name is {plan},"
        if len(parts) == 3
        else "its notebook"
    )


def open_outputs(folder: str | Path) -> Outputs:
    """Raises
    ------
    ParameterError
        It is not a folder.
    """
    path = Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        raise ParameterError(
            f"{folder} is not a folder; name the outputs folder, `hydronb app OUTPUTS`"
        )
    return Outputs(path)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
