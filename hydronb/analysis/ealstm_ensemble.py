"""Trained EA-LSTMs for the analyses that look inside them: the members of one ensemble, and their
catchments."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import xarray as xr

from hydronb.analysis.benchmark import NOT_THE_MODEL
from hydronb.data import open_catchments
from hydronb.data.dataset import choose_basins
from hydronb.errors import DataError, TrainingError
from hydronb.parameters import TrainParameters
from hydronb.runs.directory import TrainedRun


def read_ealstms(paths: Sequence[Path]) -> list[TrainedRun]:
    """The EA-LSTMs of run directories, by seed.

    Raises
    ------
    TrainingError
        A directory without a trained model, or one whose model is no EA-LSTM.
    DataError
        No run, two of one seed, or runs that differ in anything but their seed: settings, periods,
        attributes, basins.
    """
    if not paths:
        raise DataError("no runs are given; name run directories of ealstm_01_train")
    runs = [TrainedRun(Path(path)) for path in paths]
    for run in runs:
        if (name := run.model.settings["model"]) != "ealstm":
            raise TrainingError(
                f"{run.path} holds a model {name!r}, which has no static input gate; give runs"
                " trained with model: ealstm"
            )
    runs.sort(key=lambda run: run.seed)
    for one, run in pairwise(runs):
        if run.seed == one.seed:
            raise DataError(
                f"{one.path} and {run.path} both have the seed {run.seed}; the runs of one analysis"
                " differ in their seed alone"
            )
        _require_alike(one, run)
    return runs


def _require_alike(one: TrainedRun, other: TrainedRun) -> None:
    for name in TrainParameters.model_fields:
        a, b = (getattr(run.fit_parameters, name) for run in (one, other))
        if name not in (*NOT_THE_MODEL, "data", "attributes") and a != b:
            raise DataError(
                f"{one.path} has {name} {a}, {other.path} {b}; the runs of one analysis differ in"
                " their seed alone"
            )
    if list(one.model.scaling.attributes) != list(other.model.scaling.attributes):
        raise DataError(
            f"{one.path} and {other.path} were trained with other attributes; give runs with the"
            " same"
        )
    if (here := set(one.basins)) != (there := set(other.basins)):
        raise DataError(
            f"{one.path} and {other.path} were trained on other basins ({len(here)} and"
            f" {len(there)}, {len(here & there)} in common); give runs trained on the same"
        )


def catchments_of(runs: Sequence[TrainedRun]) -> xr.Dataset:
    """The basins that the runs were trained on, from the data of the first.

    Raises
    ------
    DataError
        The data lack one of the basins.
    """
    ds = open_catchments(runs[0].fit_parameters.data)
    return ds.sel(
        basin=choose_basins(
            list(ds["basin"].values), runs[0].basins, where=f"the data of {runs[0].path}"
        )
    )
