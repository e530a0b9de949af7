"""What an outputs folder holds: its run directories, and single files of them when a page asks for
them.

Nothing is read that lies elsewhere, and nothing but tables, YAML, JSON and NetCDF. What was read is
kept until the file changes, a few files at most; of series one basin is read at a time.

No NetCDF file stays open: HDF5 crashes on one that holds text and is open twice, once its first
handle is closed (https://github.com/HDFGroup/hdf5/issues/5359), and a crash would end the server
for all visitors.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import pandas as pd
import xarray as xr

from hydronb.data.dataset import bare_id
from hydronb.errors import DataError, HydronbError, ParameterError
from hydronb.files import load_at_most, opening
from hydronb.runs.directory import PARTIAL, RESERVED, RunDirectory

DEPTH = 5
"""How deep below the folder run directories lie: PLAN/NOTEBOOK/RUN, and runs that a notebook made
for itself."""
MARKS = {"run.json", "params.yaml"}
"""A folder that holds one of these is a run directory."""
KEPT_TABLES, KEPT_FILES = 48, 8
LARGEST = 2**31
"""Bytes that are read of a NetCDF file at once; more would be taken from all visitors."""
SERIES = "series"
"""Attribute that names the variables that change with time."""
_ONE_AT_A_TIME = Lock()

Result = TypeVar("Result")


class Outputs:
    """An outputs folder, shared by all visitors, who only read.

    Raises
    ------
    ParameterError
        It is not a folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.root = Path(folder).expanduser().resolve()
        if self.root.exists() and not self.root.is_dir():
            raise ParameterError(
                f"{folder} is not a folder; name the outputs folder, `hydronb app OUTPUTS`"
            )

    def names(self) -> list[str]:
        """Run directories by their path below the folder, those being written with `.partial` at
        the end."""
        names = []
        for folder, folders, files in os.walk(self.root):
            path = Path(folder).relative_to(self.root)
            folders[:] = [n for n in folders if n not in RESERVED and len(path.parts) < DEPTH]
            if path.parts and not MARKS.isdisjoint(files):
                names.append(path.as_posix())
        return sorted(names)

    def having(self, *files: str) -> list[str]:
        """Complete run directories that hold all of these files."""
        return [
            n
            for n in self.names()
            if not n.endswith(PARTIAL) and all((self.root / n / f).is_file() for f in files)
        ]

    def trained(self) -> list[str]:
        """Run directories with a simulation that was scored."""
        return self.having("simulation.nc", "metrics.csv")

    def folder(self, name: str) -> Path:
        """A run directory.

        Raises
        ------
        DataError
            There is none of this name, or it lies outside.
        """
        path = Path()
        with contextlib.suppress(OSError, ValueError):  # a name that is too long, or no name
            path = (self.root / name).resolve(strict=True)
        refuse_unless(
            name and path.is_relative_to(self.root) and path.is_dir(),
            f"there is no run {name[:120]!r} in this outputs folder; choose one from the list",
        )
        return path

    def file(self, name: str, file: str) -> Path:
        """A file of a run directory.

        Raises
        ------
        DataError
            There is none, or it lies outside the outputs folder.
        """
        with self._shown():
            path = RunDirectory(self.folder(name)).file(file).resolve()
        refuse_unless(
            path.is_relative_to(self.root), f"{name} holds no {file} but a link to one elsewhere"
        )
        return path

    def table(self, name: str, file: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """A CSV file of a run; see `RunDirectory.table`."""
        return self._kept(_of_run, name, file, RunDirectory.table, file, tuple(columns))

    def progress(self, name: str) -> pd.DataFrame:
        """See `RunDirectory.progress`."""
        return self._kept(_of_run, name, "progress.csv", RunDirectory.progress)

    def parameters(self, name: str) -> dict[str, Any]:
        """What the run's `params.yaml` says, not validated; nothing if it cannot be read."""
        return value_or(lambda: self._kept(_of_run, name, "params.yaml", RunDirectory.given), {})

    def record(self, name: str) -> dict[str, Any]:
        """What the run's `run.json` says; nothing if it cannot be read."""
        return value_or(lambda: self._kept(_of_run, name, "run.json", RunDirectory.record), {})

    def still(self, name: str, file: str, variables: Sequence[str] = ()) -> xr.Dataset:
        """What in a NetCDF file of a run does not change with time, coordinates included.

        Raises
        ------
        DataError
            There is none, it is not whole, or lacks one of `variables`, which may be series.
        """
        ds = self._kept(_still, name, file, file)
        with self._shown():
            RunDirectory(self.folder(name)).require(
                file, variables, {*ds.variables, *ds.attrs[SERIES]}
            )
        return ds

    def read(
        self, name: str, file: str, variables: Sequence[str] = (), *, basin: str = ""
    ) -> xr.Dataset:
        """A NetCDF file, or one catchment of it, read now; with `variables`, those of them that it
        has.

        Raises
        ------
        DataError
            See `still`; the catchment is not in it.
        """
        still = self.still(name, file, ["basin"] if basin else [])
        at = {"basin": find_basin(still["basin"].values, basin, name)} if basin else {}
        run = RunDirectory(self.folder(name))
        with (
            self._shown(),
            _ONE_AT_A_TIME,
            opening(run.path / file, most=LARGEST, hint=run.remedy) as ds,
        ):
            return load_at_most(
                LARGEST, (ds[[v for v in variables if v in ds]] if variables else ds).sel(at)
            )

    def _kept(self, read: Callable[..., Any], name: str, file: str, *arguments: Any) -> Any:
        """What `read` gives of a file of a run, from memory if the file has not changed since: its
        number, time and size tell it from its next version."""
        run, path = RunDirectory(self.folder(name)), self.file(name, file)
        with self._shown():
            stat = path.stat()
            return read(run, (stat.st_ino, stat.st_mtime_ns, stat.st_size), *arguments)

    @contextlib.contextmanager
    def _shown(self) -> Iterator[None]:
        """Errors that name files as visitors may see them: by their path below the folder."""
        try:
            yield
        except (HydronbError, OSError) as error:
            raise DataError(str(error).replace(f"{self.root}/", "")) from None


@lru_cache(KEPT_TABLES)
def _of_run(
    run: RunDirectory, stamp: tuple[int, ...], read: Callable[..., Any], *arguments: Any
) -> Any:
    return read(run, *arguments)


@lru_cache(KEPT_FILES)
def _still(run: RunDirectory, stamp: tuple[int, ...], file: str) -> xr.Dataset:
    with _ONE_AT_A_TIME, opening(run.path / file, most=LARGEST, hint=run.remedy) as ds:
        series = {str(n) for n, v in ds.data_vars.items() if "time" in v.dims}
        return load_at_most(LARGEST, ds.drop_vars(series)).assign_attrs(ds.attrs | {SERIES: series})


def find_basin(basins: Iterable[str], basin: str, where: str) -> str:
    """The id in `basins` that means this catchment, whatever the prefix of its source.

    Raises
    ------
    DataError
        There is none.
    """
    ids = {bare_id(str(b)): b for b in basins}
    refuse_unless(
        bare_id(basin) in ids, f"there is no catchment {basin[:60]!r} in {where}; click one"
    )
    return ids[bare_id(basin)]


def refuse_unless(condition: object, problem: str) -> None:
    """Raises DataError with what is wrong and what to do, unless the condition holds."""
    if not condition:
        raise DataError(problem)


def value_or(make: Callable[[], Result], otherwise: Result) -> Result:
    """What `make` returns, or `otherwise` where the files do not allow it."""
    try:
        return make()
    except HydronbError:
        return otherwise
