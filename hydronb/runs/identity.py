"""What makes two runs the same: notebook, parameters, the runs they need, the files they read."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hydronb.files import reading

LOOKS = 16
"""Files looked at side by side: network folders answer slowly, but many requests at once."""


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()


def fingerprint(path: Path) -> str:
    """sha256 of path, size and time of change of a file, or of every file in a folder except hidden
    ones. No file is read.

    Raises
    ------
    DataError
        No such file or folder, or one that cannot be looked into.
    """
    with reading(path, "a file or folder", hint="correct it, or see `hydronb data get`"):
        files = [str(path)] if path.is_file() else sorted(_files(str(path)))
        with ThreadPoolExecutor(LOOKS) as pool:
            lines = [
                f"{os.path.relpath(file, path)}\0{mark}"
                for file, mark in zip(files, pool.map(_mark, files), strict=True)
            ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(folder: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """All files except hidden ones; a link back to a folder `above` is not followed."""
    real = os.path.realpath(folder)
    entries = [] if real in above else [e for e in os.scandir(folder) if e.name[0] != "."]
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, (*above, real))
        else:
            yield entry.path


def _mark(file: str) -> str:
    """Size and time of change; empty for a broken link."""
    try:
        about = os.stat(file)
    except FileNotFoundError:
        return ""
    return f"{about.st_size}\0{about.st_mtime_ns}"
