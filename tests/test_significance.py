"""Intervals and tests against the metrics themselves, closed forms, and the published p-values."""

import doctest
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb import metrics
from hydronb.analysis import significance
from hydronb.analysis.published import read_published
from hydronb.errors import DataError
from hydronb.metrics import kge, nse
from hydronb.signatures import water_year

TIME = pd.date_range("1989-10-01", "1999-09-30")
IDS = [f"{k:08d}" for k in range(1, 6)]


def rivers(n_seeds=3, missing=0.05, time=TIME):
    rng = np.random.default_rng(0)
    coords = {"basin": IDS, "time": time}
    obs = xr.DataArray(rng.gamma(0.7, 2, (5, len(time))), dims=("basin", "time"), coords=coords)
    noise = rng.normal(size=(n_seeds, 5, len(time))) * np.linspace(0.3, 1, n_seeds)[:, None, None]
    sim = obs + xr.DataArray(noise, dims=("seed", "basin", "time"), coords=coords)
    return sim, obs.where(rng.random(obs.shape) > missing)


def test_sums_of_all_years_give_the_metrics():
    sim, obs = rivers()
    sums = significance.yearly_sums(sim, obs)
    assert sums.sizes["year"] == 10 and sums["year"].values[0] == 1990
    whole = sums[[*significance.SUMS]].sum("year").assign(level=sums["level"])
    made = significance.scores_of_sums(whole)
    for name, metric in (("nse", nse), ("kge", kge)):
        expected = metric(sim=sim, obs=obs).transpose(*made[name].dims)
        np.testing.assert_allclose(made[name], expected, rtol=1e-10)


def test_a_draw_is_the_score_of_the_series_of_its_years():
    """Resampled from sums, as from the series put together year by year."""
    sim, obs = rivers()
    draws = significance.bootstrap_years(sim, obs, draws=3, seed=7)
    years = water_year(obs["time"]).values
    times = np.random.default_rng(7).multinomial(10, np.full(10, 0.1), size=3)
    for k in range(3):
        days = np.concatenate(
            [np.flatnonzero(years == 1990 + y) for y in range(10) for _ in range(times[k, y])]
        )
        s, o = (x.isel(time=days).drop_vars("time") for x in (sim, obs))
        for name in ("nse", "kge"):
            expected = metrics.METRICS[name](sim=s, obs=o).transpose("seed", "basin")
            np.testing.assert_allclose(
                draws[name].isel(draw=k).transpose("seed", "basin"), expected, rtol=1e-5
            )


def test_intervals_hold_what_they_say():
    """How often a 90 % interval holds the score of all years to come, where their errors differ by
    factors."""
    time = pd.date_range("1980-10-01", "2000-09-30")
    rng = np.random.default_rng(3)
    year = water_year(xr.DataArray(time, dims="time")).values - 1981
    # years are unlike, days within them alike
    scale = np.exp(rng.normal(0, 0.5, (400, 20)))[:, year]
    obs = rng.normal(0, 1, scale.shape)
    sim = obs + scale * rng.normal(0, 0.5, scale.shape)
    coords = {"basin": [f"{k:08d}" for k in range(400)], "time": time}
    obs, sim = (xr.DataArray(x, dims=("basin", "time"), coords=coords) for x in (obs, sim))
    bounds = significance.interval(significance.bootstrap_years(sim, obs, draws=300)["nse"])
    truth = 1 - 0.25 * np.exp(2 * 0.5**2)  # the mean of the squared lognormal scale
    inside = (bounds.sel(bound="low") <= truth) & (truth <= bounds.sel(bound="high"))
    assert 0.77 < float(inside.mean()) < 0.93


def test_differences_are_paired():
    """A model that is better by a hair every day is surely better, though either score is
    unsure."""
    sim, obs = rivers(1, missing=0)
    a = sim.isel(seed=0, drop=True)
    b = obs + 1.01 * (a - obs)
    both = xr.concat([a, b], pd.Index(["a", "b"], name="model"))
    draws = significance.bootstrap_years(both, obs, draws=200)["nse"]
    width = significance.interval(draws.sel(model="a")).diff("bound").squeeze("bound")
    table = significance.model_differences(draws, nse(sim=both, obs=obs))
    row = table.loc["a", "b"]
    assert row["surely_better"] == 5 and row["surely_worse"] == 0 and row["basins"] == 5
    assert 0 < row["low"] < row["difference"] < row["high"] < float(width.min())
    assert table.index.tolist() == [("a", "b")]


def test_what_cannot_be_resampled():
    sim, obs = rivers()
    with pytest.raises(DataError, match="two or more, and 1989-10-01 to 1990-09-30 lies in one"):
        significance.bootstrap_years(sim, obs.sel(time=slice(None, "1990-09-30")))
    with pytest.raises(DataError, match="no basin in common"):
        significance.bootstrap_years(sim.isel(basin=[0]), obs.isel(basin=[1]))
    gap = obs.copy()
    gap[0] = np.nan
    gap[1, 400:] = np.nan
    gap[2, 365:] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draws = significance.bootstrap_years(sim, gap, draws=50)["nse"]
    assert np.isnan(draws.isel(basin=[0, 2])).all(), "no year, or one: no interval"
    assert np.isnan(significance.interval(draws).sel(basin=IDS[0])).all()
    assert np.isfinite(significance.interval(draws).sel(basin=IDS[4])).all()


def test_pairs_are_made_by_id():
    a = pd.Series([0.1, 0.2, 0.3], index=["camels_01", "camels_02", "camels_03"])
    b = pd.Series([0.3, np.nan, 0.1], index=["03", "02", "01"])
    left, right = significance.paired(a, b)
    assert left.tolist() == right.tolist() == [0.1, 0.3] and left.index.tolist() == ["01", "03"]
    assert significance.wilcoxon(a, b) == 1.0, "no pair differs"
    with pytest.raises(DataError, match="no basin in common"):
        significance.paired(a, b.rename(index=lambda i: "9" + i))
    with pytest.raises(DataError, match="basin 01 is scored twice"):
        significance.paired(pd.concat([a, a]), b)


def test_cohens_d_by_hand():
    a, b = (pd.Series(x, index=list("pqrs")) for x in ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]))
    assert significance.cohens_d(a, b) == pytest.approx(1 / np.sqrt(1.25))
    assert np.isnan(significance.cohens_d(a * 0, b * 0))


@pytest.fixture(scope="module")
def published_nse(real_data):
    """NSE by basin: single (mean over seeds) and ensemble of LSTM and EA-LSTM, and the benchmark
    models."""
    ds = xr.open_dataset(real_data / "published" / "ealstm_test_metrics.nc")["NSE"].astype(float)
    out = {}
    for model in ("ealstm", "lstm"):
        one = ds.sel(model=model, drop=True)
        out[model, "ensemble"] = one.sel(member="ensemble", drop=True).to_series()
        out[model, "single"] = one.drop_sel(member="ensemble").mean("member").to_series()
    other = pd.read_csv(
        real_data / "published" / "benchmark_nse.csv", dtype={"basin": str}
    ).set_index("basin")
    return out, other


def test_published_significance_of_lstm_against_ealstm(published_nse):
    nets, _ = published_nse
    rows = read_published("kratzert2019_significance").set_index(["metric", "a", "b", "kind"])
    for kind, p, d in (("single", 1.149e-28, 0.0546), ("ensemble", 2.108e-26, 0.0696)):
        a, b = nets["lstm", kind], nets["ealstm", kind]
        assert significance.wilcoxon(a, b) == pytest.approx(p, rel=1e-3)
        assert significance.cohens_d(a, b) == pytest.approx(d, abs=5e-5)
        row = rows.loc["nse", "LSTM, NSE*", "EA-LSTM, NSE*", kind]
        assert significance.wilcoxon(a, b) == pytest.approx(row["p_published"], rel=5e-3)
        assert significance.wilcoxon(a, b) == pytest.approx(row["p_aligned"], rel=1e-3)


def test_published_benchmark_p_values_are_not_of_aligned_pairs(published_nse):
    """Aligned pairs give far smaller p; random pairings give what was published, and d does not
    care."""
    nets, other = published_nse
    rows = read_published("kratzert2019_significance").set_index(["metric", "a", "b", "kind"])
    rng = np.random.default_rng(0)
    for name, label in (
        ("mHm_basin", "mHM (basin-wise calibrated)"),
        ("HBV_ub", "HBV (upper, calibrated)"),
    ):
        for kind in ("single", "ensemble"):
            row = rows.loc["nse", "EA-LSTM, NSE*", label, kind]
            theirs = other[name].reindex(common_447(other)).dropna()
            ours = nets["ealstm", kind]
            assert significance.wilcoxon(ours, theirs) == pytest.approx(row["p_aligned"], rel=2e-2)
            assert significance.cohens_d(ours, theirs) == pytest.approx(
                row["d_published"], abs=6e-4
            )
            shuffled = [
                significance.wilcoxon(ours, pd.Series(rng.permutation(theirs), theirs.index))
                for _ in range(60)
            ]
            low, high = np.quantile(shuffled, [0.02, 0.98])
            assert low < row["p_published"] < high and row["p_aligned"] < low / 1e6


def common_447(other):
    """The basins of Table 3: those that the five models here have, but for 18 that the other five
    lack."""
    lacking = (
        "01139000 01634500 01644000 02069700 02297310 03186500 03238500 04105700 05495500 05501000"
        " 06339100 06614800 06888500 06921070 07375000 11522500 12040500 12145500"
    ).split()
    return other.dropna().index.difference(lacking)


def test_examples_in_the_docstring():
    assert doctest.testmod(significance).failed == 0
