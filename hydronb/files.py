"""Files: written whole or not at all, and read or refused in one line."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydronb.errors import DataError, HydronbError, ParameterError

if TYPE_CHECKING:
    import xarray as xr


def resolve(path: str | Path) -> Path:
    """A path as the user means it, made absolute: `~` and `$VARIABLES` expanded, and a relative
    path taken from the project's root when the notebook runs inside `notebooks/` (JupyterLab,
    nbval), else from the working folder.

    Raises
    ------
    ParameterError
        An environment variable is not set.
    """
    text = os.path.expandvars(str(path))
    if unset := re.search(r"\$\{?(\w+)", text):
        raise ParameterError(
            f"{path}: the environment variable {unset[1]} is not set; set it to your folder, or"
            " write the path itself"
        )
    expanded, here = Path(os.path.expanduser(text)), Path.cwd()
    if expanded.is_absolute():
        return expanded
    root = here.parent if here.name == "notebooks" and (here.parent / "params").is_dir() else here
    return Path(os.path.normpath(root / expanded))


MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
"""Bytes of memory of this machine."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, for a file or a folder: what the block has written there
    becomes `path`, on the disk, when the block ends; nothing is left of it when the block fails.

    Raises
    ------
    OSError
        The folder cannot be written, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if partial.is_file():
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all; text in UTF-8."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def reading(
    path: Path, what: str, *, hint: str = "", error: type[HydronbError] = DataError
) -> Iterator[None]:
    """Turn what goes wrong while `path` is read in this block into one line.

    Parameters
    ----------
    what
        What the file should be: `NetCDF`, `a CSV table`.
    hint
        What to do about it, after a semicolon.
    error
        The class that is raised.
    """
    remedy = f"; {hint}" if hint else ""
    try:
        yield
    except UnicodeDecodeError:
        raise error(f"{path} is not {what}: it is not text in UTF-8{remedy}") from None
    except MemoryError as problem:
        raise error(f"{path} does not fit into memory ({first_line(problem)}){remedy}") from None
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as problem:
        if isinstance(problem, FileNotFoundError) and not path.exists():
            raise error(f"no such file: {path}{remedy}") from None
        raise error(
            f"{path} cannot be read as {what}"
            f" ({getattr(problem, 'strerror', None) or first_line(problem)}){remedy}"
        ) from None


@contextmanager
def writing(
    path: Path, *, hint: str = "choose another folder", error: type[HydronbError] = DataError
) -> Iterator[None]:
    """Turn the operating system's refusal to write at or below `path` in this block into one line;
    `hint` is what to do about it, unless the disk is full."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise error(
                f"the disk is full at {path}; free some space and run the same command again, it "
                "continues from here"
            ) from None
        raise error(
            f"{problem.filename or path} cannot be written"
            f" ({problem.strerror or first_line(problem)}); {hint}"
        ) from None


def first_line(problem: Exception) -> str:
    """The first line of an error's text, at most 120 characters; its class where it has none."""
    return (str(problem).splitlines() or [type(problem).__name__])[0][:120]


def read_dataset(
    path: str | Path, *, hint: str = "", error: type[HydronbError] = DataError
) -> "xr.Dataset":
    """A NetCDF file or Zarr folder, in memory and closed again.

    Raises
    ------
    DataError
        No such file, neither NetCDF nor Zarr, or larger than the memory of this machine.
    """
    with opening(path, hint=hint, error=error) as ds:
        return load_at_most(MEMORY, ds)


@contextmanager
def opening(
    path: str | Path,
    *,
    most: int = MEMORY,
    hint: str = "",
    error: type[HydronbError] = DataError,
) -> "Iterator[xr.Dataset]":
    """A NetCDF file or Zarr folder, open in this block, which takes what it needs by
    `load_at_most`.

    Raises
    ------
    DataError
        No such file, neither NetCDF nor Zarr, or coordinates, which are always read, of more than
        `most` bytes; and whatever goes wrong in the block.
    """
    import xarray as xr
    from xarray.backends import NetCDF4DataStore

    path = Path(path).expanduser()
    with reading(path, "NetCDF or Zarr", hint=hint, error=error), ExitStack() as stack:
        if not path.exists():
            raise FileNotFoundError
        source, options = path, {"engine": "zarr", "consolidated": False}
        if not path.is_dir():
            source = stack.enter_context(closing(NetCDF4DataStore.open(str(path))))
            options, file = {"cache": False}, source.ds
            sizes = [v.size for n, v in file.variables.items() if n in file.dimensions]
            _require_at_most(most, 8 * sum(sizes))
        with xr.open_dataset(source, **options) as ds:
            yield ds


def load_at_most(most: int, ds: "xr.Dataset") -> "xr.Dataset":
    """Read a dataset into memory.

    Raises
    ------
    MemoryError
        It claims more than `most` bytes, as a damaged file may.
    """
    _require_at_most(most, ds.nbytes)
    return ds.load()


def _require_at_most(most: int, size: int) -> None:
    if size > most:
        raise MemoryError(f"it claims {size / 2**30:.1f} GiB of at most {most / 2**30:.1f} GiB")


def read_json(
    path: Path, *, hint: str = "", error: type[HydronbError] = DataError
) -> dict[str, Any]:
    """A JSON file that holds a mapping.

    Raises
    ------
    DataError
        No such file, or something else in it.
    """
    with reading(path, "JSON", hint=hint, error=error):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no names and values")
    return content
