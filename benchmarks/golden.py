"""Whether this version of the package writes what another one wrote: `make golden BASE=COMMIT`.

Runs `params/golden.yaml`, every model and notebook, with the commit's version in a worktree of its
own and with this one, and compares all files of all runs: weights, simulations, fluxes, parameters,
embeddings, losses of every epoch, tables. Numbers have to be the same to the last bit, but for
baseflow indices (see `BASEFLOW`). Exits with 1 on any difference.
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
BASEFLOW = ("bfi", "baseflow")
"""Tables and columns whose name holds one of these words are not compared with 0.1.0: since 0.2.0
there is one filter of baseflow, the one that reproduces the index of CAMELS. On 402 rivers the
indices differ by at most 0.00055 (tests/test_signatures.py), more where a short record has gaps."""
COSTS = ("seconds", "minutes")
"""Columns whose name holds one of these words are times, which never agree."""
WORDING = {" less ": " minus "}
"""Words in tables that have changed on purpose since 0.1.0."""


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
    passed = (*COSTS, *BASEFLOW)
    if not any(word in old.name for word in BASEFLOW):
        yield from _compare(*({c: t[c].to_numpy() for c in _columns(t, passed)} for t in (a, b)))


def _columns(table: pd.DataFrame, passed: tuple[str, ...]) -> list[str]:
    return [c for c in table if not any(word in c for word in passed)]


def _compare(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> Iterator[str]:
    for name in sorted(old.keys() ^ new.keys()):
        yield f"{name} is only in the {'old' if name in old else 'new'} one"
    for name in sorted(old.keys() & new.keys()):
        a, b = old[name], new[name]
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            yield f"{name} is {b.dtype} {b.shape}, was {a.dtype} {a.shape}"
            continue
        if a.dtype.kind == "O":
            a, b = (np.array([_words(v) for v in x.ravel()], object) for x in (a, b))
        if apart := int((~((a == b) | (pd.isna(a) & pd.isna(b)))).sum()):
            yield f"{name} differs in {apart} of {a.size} values"


def _words(value: object) -> object:
    for before, now in WORDING.items():
        value = value.replace(before, now) if isinstance(value, str) else value
    return value


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
