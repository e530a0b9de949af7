"""Losses over a batch of targets in mm/d, missing observations masked. Kratzert et al. (2019),
Sect. 2.3, and Feng et al. (2022), Sect. 2.2.2."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

EPSILON = 0.1
"""mm/d, added to a basin's standard deviation (Eq. 13), so that nearly constant rivers do not
dominate the loss."""


class Terms(NamedTuple):
    """The arguments of a loss. `std_basin` and `std_all` are standard deviations of the target over
    the training period, mm/d, of each sample's basin and of all basins together."""

    sim: Float[Tensor, "batch day target"]
    obs: Float[Tensor, "batch day target"]
    std_basin: Float[Tensor, "batch target"]
    std_all: Float[Tensor, " target"]
    basin: Int[Tensor, " batch"]


def observed_errors(sim: Tensor, obs: Tensor) -> tuple[Tensor, Tensor]:
    """sim - obs, with 0 where obs is missing, and a mask of where it is observed."""
    observed = ~obs.isnan()
    return torch.where(observed, sim - obs.nan_to_num(), 0.0), observed


def mse(terms: Terms) -> Float[Tensor, ""]:
    """Mean squared error of z-scored targets."""
    error, observed = observed_errors(terms.sim, terms.obs)
    return ((error / terms.std_all) ** 2).sum() / observed.sum()


def nse_star(terms: Terms) -> Float[Tensor, ""]:
    """NSE* as computed by the paper's code: squared errors of z-scored targets over (s(b) + 0.1)^2
    with s(b) in mm/d, averaged over the samples of the batch. It differs from Eq. 13 by the
    constant std_all^2 and by equal weights of samples instead of basins."""
    error, observed = observed_errors(terms.sim, terms.obs)
    weight = (terms.std_basin[:, None] + EPSILON) ** -2
    return ((error / terms.std_all) ** 2 * weight).sum() / observed.sum()


def nse_star_paper(terms: Terms) -> Float[Tensor, ""]:
    """NSE* as printed in the paper, Eq. 13: squared errors in mm/d over (s(b) + 0.1)^2, summed over
    days and averaged over the basins of the batch."""
    error, _ = observed_errors(terms.sim, terms.obs)
    weight = (terms.std_basin[:, None] + EPSILON) ** -2
    return (error**2 * weight).sum() / len(terms.basin.unique())


def rmse_observed(sim: Tensor, obs: Tensor) -> Float[Tensor, ""]:
    """Root of the mean squared error of all observed values together."""
    error, observed = observed_errors(sim, obs)
    return torch.sqrt((error**2).sum() / observed.sum())


def feng2022(terms: Terms, low_flow_weight: float = 0.25) -> Float[Tensor, ""]:
    """RMSE of streamflow and, with `low_flow_weight`, RMSE of log10(sqrt(streamflow + 1e-6) + 0.1):
    Eqs. 1 and 2 of Feng et al. (2022), over all basins and days of the batch together."""
    low = [torch.log10(torch.sqrt(q.clamp(min=0) + 1e-6) + 0.1) for q in (terms.sim, terms.obs)]
    high_rmse, low_rmse = rmse_observed(terms.sim, terms.obs), rmse_observed(*low)
    return (1 - low_flow_weight) * high_rmse + low_flow_weight * low_rmse
