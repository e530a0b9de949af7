"""Whether this version of the package writes what another one wrote: `make golden BASE=COMMIT`.

Runs `params/golden.yaml`, every model and notebook, with the commit's version in a worktree of its
own and with this one, and compares all files of all runs: weights, simulations, fluxes, parameters,
embeddings, losses of every epoch, tables. Numbers have to be the same to the last bit, but for
columns of baseflow indices (see `TOLERANCES`). Exits with 1 on any difference.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parent.parent
PLAN = ROOT / "params" / "golden.yaml"
TOLERANCES = {"bfi": 0.00055, "baseflow": 0.00055}
"""Largest difference of a column whose name holds one of these words. Since 0.2.0 the filter of
baseflow is the one that reproduces the index of CAMELS."""
COSTS = ("seconds", "minutes")
"""Columns whose name holds one of these words are times, which never agree."""


def run(checkout: Path, outputs: Path) -> None:
    """Run the plan with the package of `checkout`."""
    env = os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "hydronb", "run", str(PLAN), "--outputs", str(outputs)]
    subprocess.run(command, cwd=checkout, env=env, check=True)


def differences(old: Path, new: Path) -> Iterator[str]:
    """One line per file of two folders of run directories that is not the same."""
    kinds = {".safetensors": _tensors, ".nc": _dataset, ".csv": _table}
    files = {
        path.relative_to(folder)
        for folder in (old, new)
        for path in folder.rglob("*")
        if path.suffix in kinds
    }
    for file in sorted(files):
        if not (old / file).is_file() or not (new / file).is_file():
            yield f"{file}: only the {'new' if (new / file).is_file() else 'old'} version writes it"
        else:
            yield from (f"{file}: {line}" for line in kinds[file.suffix](old / file, new / file))


def _tensors(old: Path, new: Path) -> Iterator[str]:
    yield from _compare(load_file(old), load_file(new))


def _dataset(old: Path, new: Path) -> Iterator[str]:
    with xr.open_dataset(old) as a, xr.open_dataset(new) as b:
        yield from _compare(
            {str(n): v.values for n, v in a.variables.items()},
            {str(n): v.values for n, v in b.variables.items()},
        )


def _table(old: Path, new: Path) -> Iterator[str]:
    a, b = (pd.read_csv(path, dtype={"basin": str}) for path in (old, new))
    if old.name == "progress.csv":  # rows within an epoch are written by the clock
        a, b = (t[t["epoch"] % 1 == 0].reset_index(drop=True) for t in (a, b))
    kept = [c for c in a if not any(word in c for word in COSTS)]
    yield from _compare(
        {c: a[c].to_numpy() for c in kept},
        {c: b[c].to_numpy() for c in b if not any(word in c for word in COSTS)},
    )


def _compare(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> Iterator[str]:
    for name in sorted(old.keys() ^ new.keys()):
        yield f"{name} is only in the {'old' if name in old else 'new'} one"
    for name in sorted(old.keys() & new.keys()):
        a, b = old[name], new[name]
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            yield f"{name} is {a.dtype} {a.shape}, was {b.dtype} {b.shape}"
            continue
        if a.dtype.kind != "f":
            same = np.asarray((a == b) | (pd.isna(a) & pd.isna(b)))
            apart = int((~same).sum())
        else:
            allowed = max((v for word, v in TOLERANCES.items() if word in name), default=0.0)
            apart = int((~(np.isclose(a, b, rtol=0, atol=allowed, equal_nan=True))).sum())
        if apart:
            yield f"{name} differs in {apart} of {a.size} values"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="commit to compare with")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "golden")
    chosen = parser.parse_args()
    folder: Path = chosen.folder
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.check_output([*git, "rev-parse", chosen.base], text=True).strip()
    worktree, old, new = (folder / name for name in ("worktree", commit, "new"))
    for left in (worktree, new):
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([*git, "worktree", "prune"], check=True)
    add = [*git, "worktree", "add", "--detach", "--quiet"]
    subprocess.run([*add, str(worktree), commit], check=True)
    try:
        run(worktree, old)  # what it wrote before is kept
        run(ROOT, new)
        lines = list(differences(old, new))
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(worktree)], check=True)
    print("\n".join(lines) or f"the same as {chosen.base}, to the last bit")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
