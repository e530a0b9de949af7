"""Trained EA-LSTMs for the analyses that look inside them: the members of one ensemble, and their
catchments, and the two ways to evaluate a model over a period."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import xarray as xr
from jaxtyping import Bool, Int

from hydronb.analysis.benchmark import NOT_THE_MODEL
from hydronb.data import open_catchments
from hydronb.data.dataset import choose_basins
from hydronb.data.scaling import select_period
from hydronb.data.windows import WindowSamples, prediction_samples
from hydronb.errors import DataError, TrainingError
from hydronb.models.standardised import StandardisedLSTM
from hydronb.parameters import Period, TrainParameters
from hydronb.runs.directory import TrainedRun

Evaluation = Literal["continuous", "windowed"]
"""`windowed`: each day from its own window, with the state zero at its beginning, as the model was
trained and the paper evaluates. `continuous`: one pass over the period, with the state carried from
day to day after a warm-up as long as that of a window; `sequence_length` times cheaper where the
model was trained on one day per window."""

Windows = tuple[WindowSamples, Int[torch.Tensor, "window last"], Bool[torch.Tensor, "window last"]]


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
    if (basins := set(one.basins)) != (of_other := set(other.basins)):
        raise DataError(
            f"{one.path} and {other.path} were trained on other basins ({len(basins)} and"
            f" {len(of_other)}, {len(basins & of_other)} in common); give runs trained on the same"
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


def evaluation_windows(
    model: StandardisedLSTM, ds: xr.Dataset, period: Period, evaluation: Evaluation
) -> Windows:
    """Cover `period` with windows of the model's length, or with one long window per basin.

    Returns
    -------
    tuple
        The windows of all basins, basin by basin, the same number for each; the target days of one
        basin's windows as days of the period, counted from 0; and which of these to take: those
        within the period that no later window has, as `predict` does.

    Raises
    ------
    DataError
        The data do not hold the period, or not enough days before it.
    """
    time = select_period(ds, period).indexes["time"]
    length, last = model.sequence_length, model.predict_last
    if evaluation == "continuous":
        length, last = len(time) + length - last, len(time)
    samples = prediction_samples(ds, model.scaling, period, length, last)
    end = samples.last[: len(samples) // len(samples.ids)].long()
    day = end[:, None] - ds.indexes["time"].get_loc(time[0]) + torch.arange(1 - last, 1)
    after = torch.cat([day[1:, 0], torch.tensor([len(time)])])
    return samples, day, (day >= 0) & (day < after[:, None])
