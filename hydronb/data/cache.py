"""Datasets read from text, kept as Zarr so that opening them again takes seconds.

An entry is named by what it was made from: the reader's version and parameters, and the path, size
and time of change of every source file. A change in any of them gives another entry. The list of
the entry's files, with sizes and checksums, is compared before anything is read, because Zarr fills
in for a missing chunk.
"""

import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import xarray as xr

from hydronb.files import replacing

MANIFEST = "manifest.json"
CHUNK_BASINS = 32
"""Basins in a chunk; each chunk spans all days."""


class CacheWarning(UserWarning):
    """The cache could not be written. The data are right, but opening them again is as slow."""


def cache_folder() -> Path:
    """`$HYDRONB_CACHE`, else `$XDG_CACHE_HOME/hydronb`, else `~/.cache/hydronb`."""
    if chosen := os.environ.get("HYDRONB_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hydronb"


def cached(
    make: Callable[[], xr.Dataset], *, key: Mapping[str, object], sources: Iterable[Path], name: str
) -> xr.Dataset:
    """`make()`, or what it returned when it was last called with the same key and sources.

    Parameters
    ----------
    make
        Reads the sources; not called when the cache holds an undamaged entry.
    key
        What else the result depends on, such as the reader's version and its parameters; JSON
        values.
    sources
        Every file that `make` reads.
    name
        First part of the entry's name, for people who look into the folder.

    Returns
    -------
    xarray.Dataset
        In memory, with the dtypes that `make` gave it; text is of dtype object.

    Warns
    -----
    CacheWarning
        The folder cannot be written or the disk is full.
    """
    entry = cache_folder() / f"{name}-{_digest(key, sources)}"
    if _whole(entry):
        with xr.open_zarr(entry / "data.zarr", consolidated=True, chunks=None) as ds:
            return _plain_text(ds.load())
    ds = make()
    try:
        _write(ds, entry)
    except OSError as error:
        if not _whole(entry):  # else another process was faster, and its entry stays
            warnings.warn(
                f"cannot keep {name} in {entry.parent} ({error.strerror or error}); it is read from"
                " its source files again next time, set HYDRONB_CACHE to a folder that can be"
                " written",
                CacheWarning,
                stacklevel=2,
            )
    return ds


def _digest(key: Mapping[str, object], sources: Iterable[Path]) -> str:
    files = [
        (str(p), p.stat().st_size, p.stat().st_mtime_ns)
        for p in sorted(Path(p).absolute() for p in sources)
    ]
    return hashlib.sha256(json.dumps([dict(key), files], sort_keys=True).encode()).hexdigest()[:20]


def _write(ds: xr.Dataset, entry: Path) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    with replacing(entry) as partial:
        partial.mkdir()
        _plain_text(ds).to_zarr(
            partial / "data.zarr", zarr_format=2, consolidated=True, encoding=_chunks(ds)
        )
        (partial / MANIFEST).write_text(json.dumps(_manifest(partial)))
        if not _whole(entry):
            shutil.rmtree(entry, ignore_errors=True)


def _plain_text(ds: xr.Dataset) -> xr.Dataset:
    """Text as objects, which Zarr 2 stores at any length; without the encoding of a file."""
    text = {
        n: (v.dims, v.to_numpy().astype(object), v.attrs)
        for n, v in ds.variables.items()
        if v.dtype.kind in "UT"
    }
    return ds.drop_encoding().assign(text)


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
    return {
        p.relative_to(folder).as_posix(): [p.stat().st_size, zlib.crc32(p.read_bytes())]
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != MANIFEST
    }


def _whole(entry: Path) -> bool:
    """Whether the entry exists and no byte of it differs from what was written."""
    try:
        return json.loads((entry / MANIFEST).read_text()) == _manifest(entry)
    except (OSError, ValueError):
        return False
