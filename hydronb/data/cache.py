"""Datasets read from text, kept as Zarr so that the second opening takes seconds.

An entry is named by what it was made from: the reader's version and parameters, and path, size and
time of change of every source file. Any of them changes: another entry. A list of the entry's files
with sizes and checksums is written last and compared before anything is read, because Zarr fills in
for a missing chunk.
"""

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

MANIFEST = "manifest.json"
CHUNK_BASINS = 32
"""Basins a chunk; each chunk spans all days."""


class CacheWarning(UserWarning):
    """The cache could not be written; the data are right, the next opening is as slow as this
    one."""


def cache_folder() -> Path:
    """`$HYDRONB_CACHE`, else `$XDG_CACHE_HOME/hydronb`, else `~/.cache/hydronb`."""
    if chosen := os.environ.get("HYDRONB_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hydronb"


def cached(
    make: Callable[[], xr.Dataset], *, key: Mapping[str, Any], sources: Iterable[Path], name: str
) -> xr.Dataset:
    """`make()`, or what it returned when it was last called for the same key and unchanged sources.

    Parameters
    ----------
    make
        Reads the sources. Not called when there is a whole entry.
    key
        What else the result depends on, such as the reader's version and its parameters; JSON
        values.
    sources
        Every file that `make` reads.
    name
        First part of the entry's name, for people who look into the folder.

    Returns
    -------
    Dataset in memory, with the dtypes `make` gave it; text comes back as objects.

    Warns
    -----
    CacheWarning
        The folder cannot be written or the disk is full.
    """
    entry = cache_folder() / f"{name}-{_digest(key, sources)}"
    if (ds := _read(entry)) is not None:
        return ds
    ds = make()
    try:
        _write(ds, entry)
    except OSError as error:
        warnings.warn(
            f"cannot keep {name} in {entry.parent} ({error.strerror or error}); it is read from its"
            " source files again next time, set HYDRONB_CACHE to a folder that can be written",
            CacheWarning,
            stacklevel=2,
        )
    return ds


def _digest(key: Mapping[str, Any], sources: Iterable[Path]) -> str:
    files = []
    for path in sorted(Path(p).absolute() for p in sources):
        stat = path.stat()
        files.append((str(path), stat.st_size, stat.st_mtime_ns))
    made_from = json.dumps([dict(key), files], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()[:20]


def _write(ds: xr.Dataset, entry: Path) -> None:
    """Write beside the entry, list what was written, then rename: an entry is whole or not
    there."""
    partial = entry.with_name(f"{entry.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        _plain_text(ds).to_zarr(
            partial / "data.zarr", zarr_format=2, consolidated=True, encoding=_chunks(ds)
        )
        manifest = json.dumps(_manifest(partial))
        (partial / MANIFEST).write_text(manifest)
        if _whole(entry):  # another process was faster, and may be read by a third at this moment
            return
        shutil.rmtree(entry, ignore_errors=True)
        os.rename(partial, entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _plain_text(ds: xr.Dataset) -> xr.Dataset:
    """Text as objects, which Zarr 2 stores at any length; no encoding left over from a file."""
    text = {
        n: (v.dims, v.to_numpy().astype(object), v.attrs)
        for n, v in ds.variables.items()
        if v.dtype.kind in "UT"
    }
    coords = {n: v for n, v in text.items() if n in ds.coords}
    return (
        ds.drop_encoding()
        .assign({n: v for n, v in text.items() if n not in coords})
        .assign_coords(coords)
    )


def _chunks(ds: xr.Dataset) -> dict[str, dict[str, tuple[int, ...]]]:
    return {
        str(n): {
            "chunks": tuple(
                min(s, CHUNK_BASINS) if d == "basin" else s
                for d, s in zip(v.dims, v.shape, strict=True)
            )
        }
        for n, v in ds.data_vars.items()
        if v.ndim > 1
    }


def _manifest(folder: Path) -> dict[str, list[int]]:
    """Size and CRC-32 of every file but the manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {
        p.relative_to(folder).as_posix(): [p.stat().st_size, zlib.crc32(p.read_bytes())]
        for p in files
    }


def _whole(entry: Path) -> bool:
    try:
        return json.loads((entry / MANIFEST).read_text()) == _manifest(entry)
    except (OSError, ValueError):
        return False


def _read(entry: Path) -> xr.Dataset | None:
    """The entry's dataset, or None where there is none or any byte of it differs from what was
    written."""
    if not _whole(entry):
        return None
    with xr.open_zarr(entry / "data.zarr", consolidated=True, chunks=None) as ds:
        return _plain_text(ds.load())
