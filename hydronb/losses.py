"""Losses over a batch of targets in mm/d, missing observations masked. Kratzert et al. (2019),
Sect. 2.3, and Feng et al. (2022), Sect. 2.2.2."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

EPSILON = 0.1
"""mm/d, added to a basin's standard deviation (Eq. 13), so that nearly constant rivers do not rule
the loss."""


class Terms(NamedTuple):
    """What a loss may look at. `std_basin` and `std_all` are standard deviations of the target over
    the training period, mm/d, of each sample's basin and of all basins together."""

    sim: Float[Tensor, "batch day target"]
    obs: Float[Tensor, "batch day target"]
    std_basin: Float[Tensor, "batch target"]
    std_all: Float[Tensor, " target"]
    basin: Int[Tensor, " batch"]

    def errors(self) -> tuple[Float[Tensor, "batch day target"], Bool[Tensor, "batch day target"]]:
        """sim - obs with 0 where obs is missing, and where it is not."""
        there = ~self.obs.isnan()
        return torch.where(there, self.sim - self.obs.nan_to_num(), 0.0), there


def mse(terms: Terms) -> Float[Tensor, ""]:
    """Mean squared error of z-scored targets."""
    error, there = terms.errors()
    return ((error / terms.std_all) ** 2).sum() / there.sum()


def nse_star(terms: Terms) -> Float[Tensor, ""]:
    """NSE* as the paper's code ran it: squared errors of z-scored targets over (s(b) + 0.1)^2 with
    s(b) in mm/d, the mean over the batch's samples. It is Eq. 13 but for the constant std_all^2 and
    for weighing each sample, not each basin, alike."""
    error, there = terms.errors()
    weight = (terms.std_basin[:, None] + EPSILON) ** -2
    return ((error / terms.std_all) ** 2 * weight).sum() / there.sum()


def nse_star_paper(terms: Terms) -> Float[Tensor, ""]:
    """NSE* as the paper prints it, Eq. 13: squared errors in mm/d over (s(b) + 0.1)^2, summed over
    days and averaged over the batch's basins."""
    error, _ = terms.errors()
    weight = (terms.std_basin[:, None] + EPSILON) ** -2
    return (error**2 * weight).sum() / len(terms.basin.unique())


def feng2022(terms: Terms, low_flow_weight: float = 0.25) -> Float[Tensor, ""]:
    """RMSE of streamflow and, with `low_flow_weight`, RMSE of log10(sqrt(streamflow + 1e-6) + 0.1):
    Eqs. 1 and 2 of Feng et al. (2022), over all basins and days of the batch together."""
    error, there = terms.errors()
    low = [
        torch.log10(torch.sqrt(q.clamp(min=0) + 1e-6) + 0.1)
        for q in (terms.sim, terms.obs.nan_to_num())
    ]
    low_error = torch.where(there, low[0] - low[1], 0.0)
    return sum(
        weight * torch.sqrt((e**2).sum() / there.sum())
        for weight, e in ((1 - low_flow_weight, error), (low_flow_weight, low_error))
    )
