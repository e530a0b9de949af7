"""Metrics against the values of the published code, answers known by hand and a plain
implementation."""

import doctest

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb import metrics, vocabulary
from hydronb.errors import DataError, ParameterError
from hydronb.metrics import METRICS, metric_table

# What the functions behind Kratzert et al. (2019) (their repository at d118158) return for the
# series below.
GOLDEN = {
    "zeros": (
        0.9618564393771427,
        0.8811838156845221,
        -0.10883887687863546,
        -9.497915235458008,
        -80.09745834352,
        -118493620531.57251,
    ),
    "raised": (
        0.9549754011620706,
        0.8811838156845221,
        -0.13684640782744378,
        -10.063404257549326,
        -21.79985593649399,
        -5751693442.120435,
    ),
    "regular": (
        0.9873844520076005,
        0.9833195686227456,
        -0.10420805718256114,
        -1.1582683634464348,
        7.7301282794075705,
        -35.56780883138327,
    ),
}


def series(*values, **coords):
    return xr.DataArray(np.array(values, float), dims="time", coords=coords)


def golden_pair(case):
    t = np.arange(1000)
    noise = (7919 * t) % 101
    if case == "regular":
        obs = np.exp(1.2 * np.sin(0.05 * t) + noise / 100)
        return series(*(0.8 * obs**1.1 + 0.02 + 0.05 * np.cos(0.3 * t))), series(*obs)
    obs = np.maximum(0, 3 * np.sin(0.05 * t) + 1.5 + noise / 50 - 1)
    sim = np.maximum(0, 0.9 * obs + 0.3 * np.cos(0.11 * t) - 0.05)
    return (
        (series(*sim + 0.15), series(*obs + 0.2))
        if case == "raised"
        else (series(*sim), series(*obs))
    )


def river(shape=(7, 400), seed=0):
    """Skewed flows with exact zeros, ties from rounding and gaps, and a simulation with its own
    gaps."""
    rng = np.random.default_rng(seed)
    obs = np.round(rng.gamma(0.5, 2.0, shape), 2)
    sim = np.maximum(0.0, 0.7 * obs + rng.normal(0.3, 0.5, shape))
    obs[rng.random(shape) < 0.1] = np.nan
    sim[rng.random(shape) < 0.02] = np.nan
    coords = {
        "basin": [f"{i:08d}" for i in range(shape[0])],
        "time": pd.date_range("2000-01-01", periods=shape[1]),
    }
    return tuple(xr.DataArray(x, dims=("basin", "time"), coords=coords) for x in (sim, obs))


def plainly(name, sim, obs):
    """The metric of one series, each day and rank in its turn, in plain Python."""
    pairs = [(s, o) for s, o in zip(sim.tolist(), obs.tolist(), strict=True) if s == s and o == o]
    n = len(pairs)
    s, o = [p[0] for p in pairs], [p[1] for p in pairs]
    ms, mo = sum(s) / n, sum(o) / n
    sd_s = (sum((x - ms) ** 2 for x in s) / n) ** 0.5
    sd_o = (sum((x - mo) ** 2 for x in o) / n) ** 0.5
    corr = sum((x - ms) * (y - mo) for x, y in pairs) / n / sd_s / sd_o
    high_s, high_o = sorted(s, reverse=True), sorted(o, reverse=True)
    log_s, log_o = ([np.log((x or 1e-6) + 1e-6) for x in high] for high in (high_s, high_o))
    if name == "nse":
        return 1 - sum((x - y) ** 2 for x, y in pairs) / sum((y - mo) ** 2 for y in o)
    if name == "fhv":
        k = round(0.02 * n)
        return 100 * (sum(high_s[:k]) - sum(high_o[:k])) / (sum(high_o[:k]) + 1e-6)
    if name == "fms":
        i, j = round(0.2 * n), round(0.7 * n)
        return 100 * ((log_s[i] - log_s[j]) - (log_o[i] - log_o[j])) / (log_o[i] - log_o[j] + 1e-6)
    if name == "flv":
        low_s, low_o = log_s[round(0.7 * n) :], log_o[round(0.7 * n) :]
        qs, qo = sum(x - min(low_s) for x in low_s), sum(x - min(low_o) for x in low_o)
        return -100 * (qs - qo) / (qo + 1e-6)
    if name in ("bpv", "bmv", "blv"):
        peak, most, least = (
            high_o[k] for k in (round(0.02 * n) - 1, round(0.3 * n), round(0.7 * n))
        )
        groups = {
            "bpv": lambda y: y >= peak,
            "bmv": lambda y: least < y <= most,
            "blv": lambda y: y <= least,
        }
        days = [(x, y) for x, y in pairs if groups[name](y)]
        volume = sum(y for _, y in days)
        return sum(x - y for x, y in days) / volume if volume else float("nan")
    return {
        "r": corr,
        "alpha_nse": sd_s / sd_o,
        "beta_nse": (ms - mo) / sd_o,
        "rmse": (sum((x - y) ** 2 for x, y in pairs) / n) ** 0.5,
        "kge": 1 - ((corr - 1) ** 2 + (sd_s / sd_o - 1) ** 2 + (ms / mo - 1) ** 2) ** 0.5,
    }[name]


@pytest.mark.parametrize("case", GOLDEN)
def test_golden_values_of_the_published_code(case):
    sim, obs = golden_pair(case)
    names = ("nse", "alpha_nse", "beta_nse", "fhv", "fms", "flv")
    found = [float(METRICS[name](sim=sim, obs=obs)) for name in names]
    np.testing.assert_allclose(found, GOLDEN[case], rtol=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_agrees_with_one_series_at_a_time(name):
    sim, obs = river()
    found = METRICS[name](sim=sim, obs=obs)
    expected = [plainly(name, s.to_numpy(), o.to_numpy()) for s, o in zip(sim, obs, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_the_score_of_a_perfect_simulation(name):
    perfect = {"nse": 1, "kge": 1, "r": 1, "alpha_nse": 1, "log_nse": 1}.get(name, 0)
    _, obs = river()
    assert METRICS[name].perfect == pytest.approx(perfect, abs=1e-12)
    np.testing.assert_allclose(METRICS[name](sim=obs, obs=obs), METRICS[name].perfect, atol=1e-9)


@pytest.mark.parametrize("n", [26, 75, 125, 175, 225])
def test_ranks_round_half_to_even(n):
    """0.02 n is a half at n = 75, 125, ...: the rounding decides how many days are peaks."""
    sim, obs = (x.fillna(0.37) for x in river((1, n), seed=n))
    for name in ("fhv", "fms", "flv", "bpv", "bmv", "blv"):
        expected = plainly(name, sim[0].to_numpy(), obs[0].to_numpy())
        np.testing.assert_allclose(
            METRICS[name](sim=sim, obs=obs)[0], expected, rtol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("name", METRICS)
def test_perfect_simulation(name):
    _, obs = river()
    best = 1.0 if name in ("nse", "kge", "r", "alpha_nse") else 0.0
    np.testing.assert_allclose(METRICS[name](sim=obs, obs=obs), best, atol=1e-12)


def test_half_the_flow():
    """sim = obs/2: r is 1, the ratio of deviations and of means a half, every volume bias minus a
    half."""
    _, obs = river((3, 600), seed=4)
    scores = metric_table(obs / 2, obs).mean()
    assert scores["r"] == pytest.approx(1)
    assert scores["alpha_nse"] == pytest.approx(0.5)
    assert scores["kge"] == pytest.approx(1 - 0.5**0.5)
    assert scores["fhv"] == pytest.approx(-50, abs=1e-4)
    assert scores[["bpv", "bmv"]].tolist() == pytest.approx([-0.5, -0.5])


def test_nse_is_made_of_its_parts():
    """Gupta et al. (2009), Eq. 4: NSE = 2 alpha r - alpha^2 - beta_n^2."""
    s = metric_table(*river())
    made = 2 * s["alpha_nse"] * s["r"] - s["alpha_nse"] ** 2 - s["beta_nse"] ** 2
    np.testing.assert_allclose(made, s["nse"])


def test_observed_mean_scores_zero():
    _, obs = river()
    np.testing.assert_allclose(metrics.nse(sim=obs.mean("time") + 0 * obs, obs=obs), 0, atol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_pair_with_a_gap_counts_nowhere(name):
    sim, obs = river((1, 200), seed=2)
    both = np.flatnonzero(~np.isnan(sim[0] + obs[0]))
    cut = METRICS[name](sim=sim[:, both], obs=obs[:, both])
    np.testing.assert_allclose(METRICS[name](sim=sim, obs=obs), cut, rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_nothing_observed_is_nan_and_leaves_the_others_alone(name):
    sim, obs = river()
    gap = obs.where(obs.basin != "00000003")
    found, before = METRICS[name](sim=sim, obs=gap), METRICS[name](sim=sim, obs=obs)
    assert np.isnan(found.sel(basin="00000003"))
    others = found.basin != "00000003"
    np.testing.assert_array_equal(found[others], before[others])


@pytest.mark.parametrize(
    "name", ["nse", "r", "alpha_nse", "beta_nse", "kge", "fms", "flv", "bpv", "bmv", "blv"]
)
@pytest.mark.parametrize("level", [0.0, 0.1, 3.3])
def test_constant_observation_is_nan(name, level):
    """0.1 has no exact binary form: the deviation of a thousand of them is not exactly zero."""
    obs = series(*np.full(1000, level))
    assert np.isnan(METRICS[name](sim=obs + np.arange(1000), obs=obs))


def test_paired_volumes_by_hand():
    """Li et al. (2023), Eq. 5, on obs 1, 2, ..., 100: two days at an exceedance of at most 0.02,
    forty from 0.3 to 0.7, thirty above. The two peaks and two middling days change places: what is
    sorted does not see it, what is paired does."""
    obs = series(*np.arange(1.0, 101.0))
    sim = obs.copy()
    sim[[98, 99, 48, 49]] = obs[[48, 49, 98, 99]]
    sim[:30] = obs[:30] + 1
    assert metrics.fhv(sim=sim, obs=obs) == pytest.approx(0, abs=1e-9)
    assert metrics.bpv(sim=sim, obs=obs) == pytest.approx((49 + 50 - 99 - 100) / (99 + 100))
    assert metrics.bmv(sim=sim, obs=obs) == pytest.approx((99 + 100 - 49 - 50) / sum(range(31, 71)))
    assert metrics.blv(sim=sim, obs=obs) == pytest.approx(30 / sum(range(1, 31)))


def test_the_reason_why_a_score_is_undefined():
    obs = xr.DataArray([[1.0, 2.0], [0.0, 0.0], [3.0, 3.0], [np.nan, 1.0]], dims=("basin", "time"))
    sim = xr.ones_like(obs).where([[True, True]] * 3 + [[True, False]])
    assert metrics.why_undefined(sim=sim, obs=obs).values.tolist() == [
        "",
        "the observation is zero on every day",
        "the observation never changes",
        "no day has both a simulation and an observation",
    ]


def test_dry_days_leave_the_low_volume_undefined():
    obs = series(*([0.0] * 60 + [1.0] * 40))
    assert np.isnan(metrics.blv(sim=obs + 1, obs=obs))


@pytest.mark.parametrize("side", ["sim", "obs"])
def test_negative_flow_has_no_logarithm(side):
    """Only exact zeros are put up to 1e-6; a flow below zero leaves the logarithmic metrics
    undefined, on either side, and the others as they are."""
    obs = series(*np.arange(1.0, 101.0))
    below = obs.where(obs > 35, -obs)
    pair = {"sim": obs + 1, "obs": obs} | {side: below}
    assert np.isnan(metrics.fms(**pair)) and np.isnan(metrics.flv(**pair))
    assert np.isfinite(metrics.nse(**pair)) and np.isfinite(metrics.fhv(**pair))
    zeros = {name: da.where(da > 0, 0) for name, da in pair.items()}
    assert np.isfinite(metrics.fms(**zeros)) and np.isfinite(metrics.flv(**zeros))


def test_too_few_days_for_a_peak():
    obs = series(*np.arange(25.0))
    assert np.isnan(metrics.fhv(sim=obs, obs=obs)) and np.isnan(metrics.bpv(sim=obs, obs=obs))


def test_joined_by_label_not_by_position():
    sim, obs = river()
    shuffled = sim.isel(basin=[3, 1, 0, 2, 6, 5, 4])[:, 20:]
    found = metrics.nse(sim=shuffled, obs=obs)
    expected = metrics.nse(sim=sim[:, 20:], obs=obs[:, 20:])
    xr.testing.assert_allclose(found.sel(basin=expected.basin), expected)


def test_members_are_kept():
    sim, obs = river()
    members = xr.concat([sim, sim * 0.5, obs], pd.Index([111, 222, 333], name="seed"))
    for name, function in METRICS.items():
        found = function(sim=members, obs=obs)
        assert set(found.dims) == {"seed", "basin"}
        np.testing.assert_allclose(
            found.sel(seed=111), function(sim=sim, obs=obs), rtol=1e-9, err_msg=name
        )


def test_table():
    sim, obs = river()
    found = metric_table(sim, obs, ["kge", "nse"])
    assert list(found) == ["kge", "nse"] and found.index.name == "basin"
    assert found.index[0] == "00000000"
    np.testing.assert_array_equal(found["nse"], metrics.nse(sim=sim, obs=obs))


def test_parameters_know_the_same_names():
    assert vocabulary.metrics() is METRICS


def test_units_travel_along():
    sim, obs = river()
    assert metrics.fhv(sim=sim, obs=obs).attrs["units"] == "%"
    assert metrics.rmse(sim=sim, obs=obs.assign_attrs(units="mm/d")).attrs["units"] == "mm/d"


def test_names_what_is_wrong():
    sim, obs = river()
    with pytest.raises(DataError, match="sim has no dimension 'tiem'; did you mean 'time'"):
        metrics.nse(sim=sim, obs=obs, dim="tiem")
    with pytest.raises(ParameterError, match="unknown metric 'nes'; did you mean 'nse'"):
        metric_table(sim, obs, ["nes"])
    with pytest.raises(DataError, match="no time in common"):
        metrics.nse(sim=sim[:, :50], obs=obs[:, 60:])
    with pytest.raises(DataError, match="average over 'seed' first"):
        metric_table(sim.expand_dims("seed"), obs)


def test_every_docstring_has_its_five_parts():
    for name, function in METRICS.items():
        for part in ("Equation:", "Symbols:", "Missing:", "Source:"):
            assert part in function.__doc__, f"{name} lacks {part}"


def test_examples_in_the_docstrings():
    assert doctest.testmod(metrics).failed == 0
