"""K-fold over basins: train on all but one part of them, simulate that part, as if it had no gauge.

The split depends on the ids, the number of folds and `fold_seed` alone, neither on their order nor
on the seed of the training, so that all seeds and settings of an experiment see the same one.
"""

import numpy as np
import xarray as xr

from hydronb.errors import DataError
from hydronb.parameters import FitParameters


def fold_of(basins: list[str], folds: int, seed: int = 0) -> dict[str, int]:
    """The fold, 1 to `folds`, of each basin; sizes differ by one at most.

    >>> fold_of(["a", "b", "c", "d"], 2) == fold_of(["d", "c", "b", "a"], 2)
    True

    Raises
    ------
    DataError
        More folds than basins.
    """
    if folds > len(basins):
        raise DataError(
            f"folds = {folds} is more than the {len(basins)} basins; choose fewer folds"
        )
    order = np.random.default_rng(seed).permutation(sorted(map(str, basins)))
    return {str(basin): n % folds + 1 for n, basin in enumerate(order)}


def training_basins(ds: xr.Dataset, p: FitParameters) -> xr.Dataset:
    """The basins that `p` trains on: those outside its fold, or all where it has none."""
    return _part(ds, p, inside=False)


def simulated_basins(ds: xr.Dataset, p: FitParameters) -> xr.Dataset:
    """The basins that `p` simulates: those of its fold, or all where it has none."""
    return _part(ds, p, inside=True)


def _part(ds: xr.Dataset, p: FitParameters, *, inside: bool) -> xr.Dataset:
    if not (folds := getattr(p, "folds", None)):
        return ds
    fold = fold_of(ds["basin"].values.tolist(), folds, p.fold_seed)
    return ds.isel(
        basin=[
            k
            for k, basin in enumerate(ds["basin"].values)
            if (fold[str(basin)] == p.fold) == inside
        ]
    )
