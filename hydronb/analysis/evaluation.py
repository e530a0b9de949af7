"""The two ways to evaluate a trained EA-LSTM over a period, for the analyses that look into it."""

from typing import Literal

import torch
import xarray as xr
from jaxtyping import Bool, Int
from torch import Tensor

from hydronb.data.scaling import select_period
from hydronb.data.windows import WindowSamples, prediction_samples
from hydronb.models.standardised import StandardisedLSTM
from hydronb.parameters import Period

Evaluation = Literal["continuous", "windowed"]
"""`windowed`: each day from its own window, with the state zero at its beginning, as the model was
trained and the paper evaluates. `continuous`: one pass over the period, with the state carried from
day to day after a warm-up as long as that of a window; `sequence_length` times cheaper where the
model was trained on one day per window."""


Windows = tuple[WindowSamples, Int[Tensor, "window last"], Bool[Tensor, "window last"]]


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
