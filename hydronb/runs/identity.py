"""What makes two runs the same: notebook, parameters, the runs they stand on, and the data."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hydronb.errors import DataError
from hydronb.parameters import DataParameters, resolve


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def data_files(data: Mapping[str, Any], *, where: str) -> dict[str, Path]:
    """The folders and files that `data` names, by parameter.

    Raises
    ------
    DataError
        One of them does not exist.
    """
    p = DataParameters.validate_parameters(data, where=where)
    listed = p.basins if isinstance(p.basins, str) else None
    named = {"path": p.path, "attributes": p.attributes, "basins": listed}
    found = {name: resolve(path) for name, path in named.items() if path is not None}
    if p.kind == "synthetic":
        found.pop("path", None)
    for name, path in found.items():
        if not path.exists():
            raise DataError(f"{where}: {name}: {path} does not exist; correct it, or see `hydronb data get`")
    return found


def fingerprint(data: Mapping[str, Any], *, where: str) -> dict[str, str]:
    """Path, size and time of change of every file, folded to one hash for each path that `data` names."""
    return {name: _fold(path) for name, path in data_files(data, where=where).items()}


@cache
def _fold(path: Path) -> str:
    """Never reads a file; one pass over the folder."""
    folded = hashlib.sha256()
    for name, stat in sorted(_stats(path)):
        folded.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return folded.hexdigest()


def _stats(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if path.is_file():
        yield "", path.stat()
        return
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for file in files:
            full = os.path.join(folder, file)
            if not file.startswith(".") and os.path.exists(full):
                yield os.path.relpath(full, path), os.stat(full)
