"""Run directories, OUTPUTS/PLAN/NOTEBOOK/RUN: the one place that reads and writes them.

A directory is called RUN.partial while it is written and becomes RUN by one rename. It holds
`run.json` (see `RunRecord`), `params.yaml`, and what its notebook wrote. Each reader ends in one
line when a file is missing, damaged or of another version. Importing this module imports neither
torch, xarray nor pandas.
"""

import contextlib
import datetime as dt
import fcntl
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import StrictFloat

from hydronb.errors import DataError, HydronbError, TrainingError, nearest
from hydronb.files import read_dataset, read_json, reading, write
from hydronb.parameters import FitParameters, Parameters, read_parameters, training_class
from hydronb.vocabulary import MODELS

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from torch import nn

State = Literal["new", "unfinished", "failed", "changed", "complete", "stale"]
"""Of a directory, seen from a plan. `changed`: complete, but with other parameters, data or needs.
`stale`: complete, but made by another version of the package or notebook, or before a run that it
needs was made again."""
PARTIAL = ".partial"
RESERVED = ("superseded", ".locks", ".ipynb_checkpoints")
"""Folders among run directories that hold no current run."""
PROGRESS = ("epoch", "epochs", "loss", "valid", "learning_rate", "seconds", "cpu_seconds")
"""Columns of `progress.csv`; `valid` is empty except at the end of an epoch with a validation."""


class Busy(Exception):
    """Another process is writing the directory."""


class RunRecord(Parameters):
    """What the package reads of `run.json`, which holds more."""

    status: Literal["prepared", "running", "failed", "complete"]
    identity: str
    needs: list[dict[str, str | None]]
    """Of each run that this one was made from: id, path, identity, finished."""
    versions: dict[str, str]
    """Of `hydronb` and of the code of the `notebook`."""
    notebook_file: str
    error: str = ""
    finished: str = ""
    """Date and time in ISO 8601."""
    seconds: StrictFloat = 0.0


@dataclass(frozen=True)
class RunDirectory:
    """A run directory: `path` once it is complete, `partial` until then. The readers read `path`,
    which may itself end in `.partial`."""

    path: Path

    # Reading -------------------------------------------------------------------------------------

    @property
    def remedy(self) -> str:
        """What makes the files of the run again."""
        if self.path.name.endswith(PARTIAL):
            return "if the run is going on, wait; else the same `hydronb run` continues it"
        if (self.path / "run.json").is_file():
            return (
                "delete the folder of the run, then `hydronb run PLAN` (the plan"
                f" {self.path.parent.parent.name}) makes it again"
            )
        return "its notebook makes it again"

    def file(self, name: str) -> Path:
        """The path of a file of the run.

        Raises
        ------
        DataError
            There is none.
        """
        path = self.path / name
        if not path.is_file():
            raise DataError(f"{self.path} holds no {name}; {self.remedy}")
        return path

    def require(self, file: str, names: Iterable[str], present: Container[str]) -> None:
        """Raise DataError if a column or variable of a file is not among those `present`."""
        for name in (name for name in names if name not in present):
            raise DataError(
                f"{self.path / file} has no {name!r}; if another version of hydronb wrote it,"
                f" {self.remedy}"
            )

    def record(self) -> dict[str, Any]:
        """`run.json`.

        Raises
        ------
        DataError, ParameterError
            There is none, or not what `RunRecord` says.
        """
        path, remedy = self.path / "run.json", "`hydronb run PLAN` makes the run again"
        record = read_json(path, hint=remedy)
        RunRecord.validate_parameters(
            {name: value for name, value in record.items() if name in RunRecord.model_fields},
            where=f"{path} is not whole ({remedy})",
        )
        return record

    def given(self) -> dict[str, Any]:
        """`params.yaml`, not validated.

        Raises
        ------
        ParameterError
            There is none, or it holds no names and values.
        """
        return read_parameters(self.path / "params.yaml")

    def table(self, file: str, columns: Sequence[str] = ()) -> "pd.DataFrame":
        """A CSV file of the run, in which `basin` is text.

        Raises
        ------
        DataError
            There is none, it is no table, or it lacks one of `columns`.
        """
        import pandas as pd

        path = self.file(file)
        with reading(path, "a CSV table", hint=self.remedy):
            frame = pd.read_csv(path, dtype={"basin": str})
        self.require(file, columns, frame.columns)
        return frame

    def dataset(self, file: str) -> "xr.Dataset":
        """A NetCDF file of the run, in memory.

        Raises
        ------
        DataError
            There is none, or it is damaged.
        """
        return read_dataset(self.file(file), hint=self.remedy)

    def progress_rows(self, columns: Sequence[str] = PROGRESS) -> list[dict[str, float]]:
        """The rows of `progress.csv`, NaN where a value is empty; a row that is only half written
        is left out.

        Raises
        ------
        DataError
            There is none, it lacks one of `columns`, or a row is not whole.
        """
        path = self.file("progress.csv")
        with reading(path, "progress", hint="delete it and train the run again"):
            text = path.read_text(encoding="utf-8")
            head, *lines = text[: text.rfind("\n") + 1].splitlines()
            names, rows = head.split(","), []
            self.require(path.name, columns, names)
            for line in lines:
                row = dict(zip(names, [float(v or "nan") for v in line.split(",")], strict=True))
                finite = all(math.isfinite(row[name]) for name in columns if name != "valid")
                if not finite or not 0 <= row["epoch"] <= row["epochs"] > 0:
                    raise ValueError(f"row {len(rows) + 1} is not whole")
                rows.append(row)
        return rows

    def latest_progress(self) -> dict[str, float]:
        """What the last row of `progress.csv` holds; nothing if there is no such row. For the
        runner: without pandas, and with the first columns alone, which other notebooks may write
        too."""
        try:
            *_, row = self.progress_rows(PROGRESS[:4])
        except (HydronbError, ValueError):
            return {}
        return {name: value for name, value in row.items() if not math.isnan(value)}

    def progress(self) -> "pd.DataFrame":
        """`progress_rows` as a table.

        Raises
        ------
        DataError
            See there; or there is no row yet.
        """
        import pandas as pd

        rows = self.progress_rows()
        if not rows:
            raise DataError(f"{self.path / 'progress.csv'} has no row yet; {self.remedy}")
        return pd.DataFrame(rows)

    # Writing -------------------------------------------------------------------------------------

    @property
    def partial(self) -> Path:
        return self.path.with_name(self.path.name + PARTIAL)

    @property
    def _lock_file(self) -> Path:
        return self.path.parent.parent / ".locks" / self.path.parent.name / f"{self.path.name}.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the right to write; the file descriptor may be handed to a process, which then holds
        it too.

        Raises
        ------
        Busy
            Saying who holds it.
        """
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("a+", encoding="utf-8") as lock:
            for _ in range(5):  # `writer` of another process holds it for a moment
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
            else:
                raise Busy(self._holder)
            lock.truncate(0)
            print(
                f"process {os.getpid()} on {os.uname().nodename} since"
                f" {dt.datetime.now():%Y-%m-%d %H:%M:%S}",
                file=lock,
                flush=True,
            )
            yield lock.fileno()

    def writer(self) -> str | None:
        """Who is writing the directory now."""
        with contextlib.suppress(FileNotFoundError), self._lock_file.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._holder
        return None

    @property
    def _holder(self) -> str:
        return self._lock_file.read_text(errors="replace")[:500].strip() or "another process"

    def prepare(self, record: dict[str, Any], parameters: dict[str, Any], *, fresh: bool) -> None:
        """Make `partial` ready to be executed. What the same run left there is kept, so that it
        resumes; with `fresh` only if the same versions left it."""
        left = read_record(self.partial)
        if (
            left is None
            or left["identity"] != record["identity"]
            or (fresh and left["versions"] != record["versions"])
        ):
            shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True, exist_ok=True)
        write(self.partial / "params.yaml", yaml.safe_dump(parameters, sort_keys=False))
        write_record(self.partial, record)

    def publish(self) -> None:
        """`partial` becomes `path`; what was there is kept in `superseded/`."""
        if self.path.exists():
            kept = self.path.parent.parent / "superseded" / self.path.parent.name
            kept.mkdir(parents=True, exist_ok=True)
            os.rename(self.path, kept / f"{self.path.name}-{dt.datetime.now():%Y%m%dT%H%M%S.%f}")
        os.rename(self.partial, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def finish_publishing(self, identity: str) -> bool:
        """Rename now, where a stop fell between the last word of `run.json` and the rename."""
        left = read_record(self.partial) or {}
        if whole := (left.get("status"), left.get("identity")) == ("complete", identity):
            self.publish()
        return whole

    def state(self, identity: str, versions: dict[str, str]) -> tuple[State, str]:
        """State of the directory for a run with this identity, with the reason or error if there
        is one."""
        record, left = read_record(self.path), read_record(self.partial)
        complete = record is not None and record["status"] == "complete"
        if complete and record["identity"] == identity:
            why = why_stale(self.path, record, versions)
            return ("stale", why) if why else ("complete", "")
        if left is not None and left["identity"] == identity:
            failed = left["status"] == "failed"
            return ("failed", left.get("error", "")) if failed else ("unfinished", "")
        changed = "changed", "parameters, data or needs differ from the plan's"
        return changed if complete else ("new", "")


@dataclass(frozen=True)
class TrainedRun(RunDirectory):
    """The run directory of a training: its parameters, model and simulation, each read when it is
    first asked for."""

    @cached_property
    def fit_parameters(self) -> FitParameters:
        """`params.yaml`, validated by the class of its model.

        Raises
        ------
        ParameterError
            There is none, or not of a training.
        """
        given, where = self.given(), str(self.path / "params.yaml")
        return training_class(given.get("model"), where).validate_parameters(given, where=where)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """`fit_parameters` in plain form."""
        return self.fit_parameters.plain()

    @property
    def seed(self) -> int:
        return self.fit_parameters.seed

    @cached_property
    def basins(self) -> tuple[str, ...]:
        """Ids of the basins that the model was trained on.

        Raises
        ------
        DataError, TrainingError
            There is no `model.json`, or it is not of a model.
        """
        from hydronb.models.weights import read_description

        with reading(self.path / "model.json", "a model's description", hint=self.remedy):
            return tuple(read_description(self.path)["basins"])

    @cached_property
    def model(self) -> "nn.Module":
        """The trained model, in evaluation mode.

        Raises
        ------
        TrainingError
            There is none, or its files are damaged.
        """
        from hydronb.models.weights import load

        return load(self.path)

    def simulation(self, target: str = "streamflow") -> "xr.Dataset":
        """`streamflow` and `streamflow_obs`, (basin, time), mm/d; another target bears their names,
        so that one set of tables serves all.

        Raises
        ------
        DataError
            There is none, or not of this target.
        """
        names = {target: "streamflow", f"{target}_obs": "streamflow_obs"}
        ds = self.dataset("simulation.nc")
        for name in names:
            if name not in ds or set(ds[name].dims) != {"basin", "time"}:
                raise DataError(
                    f"{self.path / 'simulation.nc'} has no {name!r} of basin and time, so it cannot"
                    f" be scored{nearest(name, map(str, ds.data_vars))}"
                )
        return ds.drop_vars(set(names.values()) - set(names), errors="ignore").rename(names)

    def fluxes(self) -> "xr.Dataset | None":
        """`fluxes.nc`: fluxes (mm/d) and stores (mm), means over components, (basin, time); None
        for a model that has none.

        Raises
        ------
        DataError
            A run of HBV without the file.
        """
        return self.dataset("fluxes.nc") if MODELS[self.fit_parameters.model].fluxes else None

    def hbv_parameters(self) -> "xr.Dataset | None":
        """`parameters.nc`: (basin, component), with `time` where dynamic, routing's (basin); None
        for a model that has none.

        Raises
        ------
        DataError
            A run of HBV without the file.
        """
        return self.dataset("parameters.nc") if MODELS[self.fit_parameters.model].fluxes else None


def read_run(path: str | Path) -> TrainedRun:
    """A complete run directory of a training.

    Raises
    ------
    TrainingError
        No such directory, or one without `params.yaml` or `simulation.nc`.
    """
    run = TrainedRun(Path(path))
    for name in ("params.yaml", "simulation.nc"):
        if not (run.path / name).is_file():
            raise TrainingError(
                f"{path} holds no {name}: not a complete training run; give run directories of "
                "trained models"
            )
    return run


def read_record(folder: Path) -> dict[str, Any] | None:
    """`run.json`, or None if there is none that can be used."""
    try:
        return RunDirectory(folder).record()
    except HydronbError:
        return None


def write_record(folder: Path, record: dict[str, Any]) -> None:
    write(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False))


def why_stale(
    path: Path,
    record: dict[str, Any],
    versions: dict[str, str],
    read: Callable[[Path], dict[str, Any] | None] = read_record,
) -> str:
    """Why a complete run would come out differently today; empty if it would not.

    Parameters
    ----------
    path, record
        Its directory and record. What it needs is looked for in the same outputs folder, wherever
        that has been moved to.
    versions
        Of today.
    """
    then = record["versions"]
    if then.get("hydronb") != versions["hydronb"]:
        return f"made by hydronb {then.get('hydronb')}, now {versions['hydronb']}"
    if then.get("notebook") != versions["notebook"]:
        return "the notebook's code has changed since"
    for needed in record["needs"]:
        now = read(path.parents[2].joinpath(*Path(needed.get("path") or "").parts[-3:]))
        if now is None:
            return f"{needed.get('id')} is gone"
        if now.get("finished") != needed.get("finished"):
            return f"{needed.get('id')} has been made again since"
    return ""
