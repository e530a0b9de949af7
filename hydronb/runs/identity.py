"""What makes two runs the same: notebook, parameters, the runs they stand on, and the data."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from hydronb.errors import DataError, ParameterError
from hydronb.parameters import resolve

LOOKS = 16
"""Files looked at side by side: a network's folders answer slowly, but many questions at once."""


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def data_files(data: Mapping[str, Any], kind: type[Any], *, where: str) -> dict[str, Path]:
    """The folders and files that `data`, parameters of the class `kind`, names, by parameter.

    Raises
    ------
    DataError
        One of them does not exist.
    """
    named = kind.validate_parameters(data, where=where).files()
    found = {name: _resolved(path, where=f"{where}: {name}") for name, path in named.items()}
    for name, path in found.items():
        if not path.exists():
            raise DataError(
                f"{where}: {name}: {path} does not exist; correct it, or see `hydronb data get`"
            )
    return found


def _resolved(path: str, *, where: str) -> Path:
    try:
        return resolve(path)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from None


def fingerprint(data: Mapping[str, Any], kind: type[Any], *, where: str) -> dict[str, str]:
    """Path, size and time of change of every file, folded to one hash for each path that `data`
    names."""
    return {name: _fold(path) for name, path in data_files(data, kind, where=where).items()}


@cache
def _fold(path: Path) -> str:
    """Never reads a file; one pass over the folder."""
    files = sorted(_files(path))
    with ThreadPoolExecutor(LOOKS) as pool:
        marks = pool.map(_mark, files)
        lines = [
            f"{os.path.relpath(file, path)}\0{mark}"
            for file, mark in zip(files, marks, strict=True)
        ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(path: Path) -> Iterator[str]:
    """All files but hidden ones."""
    if path.is_file():
        yield str(path)
        return
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (os.path.join(folder, file) for file in files if not file.startswith("."))


def _mark(file: str) -> str:
    """Size and time of change; a link to nowhere has neither."""
    try:
        stat = os.stat(file)
    except FileNotFoundError:
        return ""
    return f"{stat.st_size}\0{stat.st_mtime_ns}"
