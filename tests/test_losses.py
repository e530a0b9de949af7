"""Losses against sums worked out by hand, in mm/d."""

import numpy as np
import pytest
import torch

from hydronb.losses import Terms, mse, nse_star, nse_star_paper
from hydronb.vocabulary import LOSSES

NAN = float("nan")


def terms(sim, obs, std_basin, std_all=2.0, basin=(0, 1)):
    """Sequences (sample, day) of one target."""

    def column(v):
        return torch.tensor(v, dtype=torch.float64)[..., None]

    return Terms(
        column(sim),
        column(obs),
        column(std_basin),
        torch.tensor([std_all], dtype=torch.float64),
        torch.tensor(basin),
    )


TWO = terms([[1.0, 2.0], [5.0, 3.0]], [[2.0, 2.5], [4.0, NAN]], [0.9, 1.9])
"""Errors -1, -0.5 in a basin with s = 0.9 (so s + 0.1 = 1), and 1, missing in one with s = 1.9
(2)."""


def test_mse_is_of_scaled_targets():
    assert mse(TWO).item() == pytest.approx((1 + 0.25 + 1) / 2.0**2 / 3)


def test_nse_star_as_the_code_ran_it():
    """Numerator over the square of the common standard deviation (2), s in mm/d, mean over the 3
    samples."""
    assert nse_star(TWO).item() == pytest.approx((1 + 0.25 + 1 / 4) / 2.0**2 / 3)


def test_nse_star_as_the_paper_prints_it():
    """In mm/d throughout, summed over days, the mean over the 2 basins."""
    assert nse_star_paper(TWO).item() == pytest.approx((1 + 0.25 + 1 / 4) / 2)


def test_the_paper_weighs_basins_the_code_samples():
    """Three samples of one basin and one of another, all errors 1, s + 0.1 = 1."""
    t = terms([[1.0]] * 4, [[0.0]] * 4, [0.9] * 4, std_all=1.0, basin=(5, 5, 5, 7))
    assert nse_star(t).item() == pytest.approx(1)
    assert nse_star_paper(t).item() == pytest.approx(4 / 2)


def test_with_the_published_constants():
    """One sample in the units of the published runs: 3.62443672 mm/d is their standard deviation of
    discharge."""
    t = terms([[3.0]], [[1.0]], [1.5], std_all=3.62443672, basin=(0,))
    z = ((3.0 - 1.49996196) / 3.62443672) - ((1.0 - 1.49996196) / 3.62443672)
    assert nse_star(t).item() == pytest.approx(z**2 / (1.5 + 0.1) ** 2, rel=1e-7)
    assert nse_star_paper(t).item() == pytest.approx(nse_star(t).item() * 13.137, rel=1e-4)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_missing_observation_counts_nowhere(name):
    rng = np.random.default_rng(0)
    sim, obs = rng.random((2, 6)), rng.random((2, 6))
    kept = LOSSES[name].make(None)(terms(sim[:, :4], obs[:, :4], [1.0, 2.0]))
    obs[:, 4:] = NAN
    masked = terms(sim, obs, [1.0, 2.0])
    masked = masked._replace(sim=masked.sim.requires_grad_())
    loss = LOSSES[name].make(None)(masked)
    assert loss.item() == pytest.approx(kept.item(), rel=1e-12)
    loss.backward()
    assert masked.sim.grad.isfinite().all()
    assert (masked.sim.grad[:, 4:] == 0).all() and (masked.sim.grad[:, :4] != 0).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_zero_only_where_the_simulation_is_right(name):
    assert LOSSES[name].make(None)(terms([[1.0], [2.0]], [[1.0], [2.0]], [1.0, 1.0])).item() == 0
    assert LOSSES[name].make(None)(terms([[1.0], [2.1]], [[1.0], [2.0]], [1.0, 1.0])).item() > 0


@pytest.mark.parametrize("name", ["nse_star", "nse_star_paper"])
def test_a_constant_river_is_weighed_by_epsilon(name):
    loss = LOSSES[name].make(None)(terms([[1.0]], [[0.0]], [0.0], std_all=1.0, basin=(0,)))
    assert loss.item() == pytest.approx(1 / 0.1**2)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_simulation_that_is_no_number_is_not_hidden(name):
    assert LOSSES[name].make(None)(terms([[NAN], [1.0]], [[1.0], [1.0]], [1.0, 1.0])).isnan()


def test_several_targets_have_their_own_scale():
    """Two targets with errors 1 and 10, standard deviations 1 and 10: each counts 1."""
    t = Terms(
        torch.tensor([[[1.0, 10.0]]]),
        torch.zeros(1, 1, 2),
        torch.tensor([[0.9, 9.9]]),
        torch.tensor([1.0, 10.0]),
        torch.tensor([0]),
    )
    assert mse(t).item() == pytest.approx(1.0)
    assert nse_star(t).item() == pytest.approx((1 + 1 / 100) / 2)
    assert nse_star_paper(t).item() == pytest.approx(2.0)
