"""Trained EA-LSTMs for the analyses that look inside them: the members of one ensemble, and their catchments."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import xarray as xr
from jaxtyping import Bool, Int
from torch import Tensor

from hydronb.data import open_catchments
from hydronb.data.dataset import choose_basins
from hydronb.data.scaling import select_period
from hydronb.data.windows import Samples
from hydronb.errors import DataError, TrainingError
from hydronb.models.scaled import ScaledModel
from hydronb.models.stored import load, read_description
from hydronb.parameters import Period, TrainParameters, read_parameters


@dataclass(frozen=True)
class TrainedEALSTM:
    """A run directory's model and what it was trained on."""

    path: Path
    parameters: TrainParameters
    model: ScaledModel
    basins: tuple[str, ...]

    @property
    def seed(self) -> int:
        return self.parameters.seed


def read_ealstms(paths: Sequence[Path]) -> list[TrainedEALSTM]:
    """The EA-LSTMs of run directories, by seed.

    Raises
    ------
    TrainingError
        A directory without a trained model, or one whose model is no EA-LSTM.
    DataError
        Two runs of one seed, of other numbers of cells, or with no basin in common.
    """
    if not paths:
        raise DataError("no runs are given; name run directories of ealstm_01_train")
    runs = sorted((_read(path) for path in paths), key=lambda run: run.seed)
    first = runs[0]
    for one, run in pairwise(runs):
        if run.seed == one.seed:
            raise DataError(f"{one.path} and {run.path} both have the seed {run.seed}; the runs of one analysis differ "
                            "in their seed alone")
    for run in runs[1:]:
        if run.parameters.hidden != first.parameters.hidden:
            raise DataError(f"{run.path} has {run.parameters.hidden} cells, {first.path} {first.parameters.hidden}; "
                            "give runs with the same `hidden`")
        if list(run.model.scaling.attributes) != list(first.model.scaling.attributes):
            raise DataError(f"{run.path} and {first.path} were trained with other attributes; give runs with the same")
    return runs


def common_catchments(runs: Sequence[TrainedEALSTM]) -> xr.Dataset:
    """The dataset of the first run, with the basins that all runs were trained on.

    Raises
    ------
    DataError
        The runs share no basin.
    """
    shared = [b for b in runs[0].basins if all(b in run.basins for run in runs)]
    if not shared:
        raise DataError(f"{', '.join(str(run.path) for run in runs)} share no basin; give runs trained on the same "
                        "basins")
    ds = open_catchments(runs[0].parameters.data)
    return ds.sel(basin=choose_basins(list(ds["basin"].values), shared, where=f"the data of {runs[0].path}"))


def window_days(samples: Samples, ds: xr.Dataset, period: Period
                ) -> tuple[Int[Tensor, "window last"], Bool[Tensor, "window last"]]:
    """The targets of one basin's windows (`prediction_samples`) as days of `period`, counted from 0, and which of them
    to take: those within it that no later window has, as `predict` does."""
    days = select_period(ds, period)
    first = ds.indexes["time"].get_loc(days.indexes["time"][0])
    end = samples.last[: len(samples) // len(samples.ids)].long()
    day = end[:, None] - first + torch.arange(1 - samples.predict_last, 1)
    after = torch.cat([day[1:, 0], torch.tensor([days.sizes["time"]])])
    return day, (day >= 0) & (day < after[:, None])


def _read(path: Path) -> TrainedEALSTM:
    description = read_description(path)
    name = description.get("settings", {}).get("model")
    if name != "ealstm":
        raise TrainingError(f"{path} holds a model {name!r}, which has no static input gate; give runs trained with "
                            "model: ealstm")
    p = TrainParameters.validate_parameters(read_parameters(path / "params.yaml"), where=str(path / "params.yaml"))
    return TrainedEALSTM(path, p, load(path), tuple(description["basins"]))
