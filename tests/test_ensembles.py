"""Tables over seeds by hand, and the published ones from the published scores of every basin."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb.analysis import ensembles
from hydronb.analysis.ensembles import TABLE2, table3_statistics
from hydronb.analysis.published import read_published
from hydronb.errors import DataError, ParameterError
from hydronb.metrics import kge, nse

TIME = pd.date_range("1998-10-01", "2001-09-30")
IDS = ["camels_01013500", "camels_01022500", "camels_06221400"]
NAMES = {
    "NSE": "nse",
    "alpha_nse": "alpha_nse",
    "beta_nse": "beta_nse",
    "FHV": "fhv",
    "FMS": "fms",
    "FLV": "flv",
}


def members(seeds=(1, 2, 3), error=1.0, ids=IDS, time=TIME):
    """A group as `Group.members` gives it: the same river, simulated with a noise of each seed."""
    obs = np.random.default_rng(0).gamma(1, 2, (len(ids), len(time)))
    sims = [obs + error * np.random.default_rng(s).normal(size=obs.shape) for s in seeds]
    coords = {"seed": list(seeds), "basin": list(ids), "time": time}
    return xr.Dataset(
        {
            "streamflow": (("seed", "basin", "time"), np.reshape(sims, (len(seeds), *obs.shape))),
            "streamflow_obs": (("basin", "time"), obs),
        },
        coords,
    )


def scores_of(values, name="nse"):
    """Scores of one model, by member."""
    basins = [f"{k:08d}" for k in range(len(next(iter(values.values()))))]
    return xr.Dataset(
        {name: (("member", "basin"), np.array(list(values.values()), float))},
        {"member": list(values), "basin": basins},
    )


def test_every_seed_and_the_mean_simulation_are_scored():
    group = members()
    scores = ensembles.score_members(group, ["nse", "kge"])
    assert scores["nse"].dims == ("member", "basin") and scores["member"].values.tolist() == [
        "1",
        "2",
        "3",
        "ensemble",
    ]
    mean = group["streamflow"].values.mean(0)
    sim = group["streamflow_obs"].copy(data=mean)
    for name, metric in (("nse", nse), ("kge", kge)):
        expected = metric(sim=sim, obs=group["streamflow_obs"])
        np.testing.assert_allclose(scores[name].sel(member="ensemble"), expected)
        one = metric(sim=group["streamflow"].sel(seed=2), obs=group["streamflow_obs"])
        np.testing.assert_allclose(scores[name].sel(member="2"), one)
    with pytest.raises(ParameterError, match="unknown metric 'nsee'; did you mean 'nse'"):
        ensembles.score_members(group, ["nsee"])


def test_models_with_other_seeds_stand_in_one_table():
    groups = {"a": members((1, 2)), "b": members((2, 3, 4), 0.5)}
    scores = ensembles.join_models(
        {label: ensembles.score_members(group, ["nse"]) for label, group in groups.items()}
    )
    table = ensembles.summary(scores)
    assert table.index.tolist() == [(m, k) for m in "ab" for k in ("single", "ensemble")]
    assert table["members"].tolist() == [2, 2, 3, 3] and table["basins"].tolist() == [3] * 4
    of_a = nse(sim=groups["a"]["streamflow"], obs=groups["a"]["streamflow_obs"])
    assert table.loc[("a", "single"), "nse_mean"] == pytest.approx(float(of_a.mean()))
    with pytest.raises(DataError, match="no model to compare"):
        ensembles.join_models({})


def test_summary_by_hand():
    scores = scores_of({"1": [0.2, 0.6, -0.1], "2": [0.4, 0.8, 0.3], "ensemble": [0.5, 0.9, 0.0]})
    table = ensembles.summary(scores.expand_dims(model=["LSTM"]))
    single, mean = table.loc["LSTM", "single"], table.loc["LSTM", "ensemble"]
    assert single["nse_median"] == pytest.approx(0.3) and single["nse_median_std"] == pytest.approx(
        0.1
    )
    assert single["failures"] == 0.5 and single["failures_std"] == 0.5
    assert mean["nse_median"] == 0.5 and mean["failures"] == 1, "an NSE of 0 counts as a failure"
    assert np.isnan(mean["nse_median_std"]) and single["members"] == mean["members"] == 2
    text = ensembles.readable_summary(table)
    assert text.loc[("LSTM", "single"), "NSE median"] == "0.300 \u00b1 0.100"
    assert text.loc[("LSTM", "ensemble"), "NSE \u2264 0"] == "1.0"


def test_one_seed_has_one_row_and_no_deviation():
    table = ensembles.summary(scores_of({"1": [0.1, 0.2], "ensemble": [0.1, 0.2]}))
    assert table.index.tolist() == [("the model", "single")] and np.isnan(
        table["nse_mean_std"].iloc[0]
    )
    assert table["members"].tolist() == [1]


def test_models_without_seeds_have_a_row_too():
    bare = ensembles.summary(scores_of({"a": [0.2, 0.4]}).sel(member="a", drop=True))
    assert bare["nse_mean"].tolist() == [pytest.approx(0.3)]
    network = scores_of(
        {"1": [0.2, np.nan, 0.3], "2": [0.4, 0.1, 0.5], "ensemble": [0.5, np.nan, 0.6]}
    )
    climatology = scores_of({"1": [0.0, 0.1, 0.2]})
    table = ensembles.summary(ensembles.join_models({"LSTM": network, "climatology": climatology}))
    assert table.index.tolist() == [
        ("LSTM", "single"),
        ("LSTM", "ensemble"),
        ("climatology", "single"),
    ]
    assert table.loc[("climatology", "single"), "failures"] == 1


def test_undefined_values_are_counted():
    scores = scores_of({"1": [0.2, 0.4, 0.6]})
    scores["flv"] = scores["nse"].copy(data=[[1.0, np.nan, np.nan]])
    row = ensembles.summary(scores, table3_statistics()).iloc[0]
    assert row["basins"] == 3 and row["undefined"] == 2 and row["flv_median"] == 1


def test_nothing_to_tabulate():
    with pytest.raises(DataError, match="needs one basin or more"):
        ensembles.summary(scores_of({"1": [0.2]}).isel(basin=[]))
    with pytest.raises(DataError, match="none of nse is among the scores, kge"):
        ensembles.summary(scores_of({"1": [0.2]}, "kge"))


def test_intervals_over_years_stand_in_the_table():
    group = members((1, 2))
    scores = ensembles.score_members(group, ["nse", "kge", "fhv"])
    draws = ensembles.bootstrap_members(group, draws=200)
    table = ensembles.summary(scores, table3_statistics(), draws)
    for name in ("nse_mean", "nse_median", "kge_median"):
        assert (table[f"{name}_low"] < table[name]).all() and (
            table[name] < table[f"{name}_high"]
        ).all()
    assert "fhv_median_low" not in table
    by_hand = (
        draws["nse"].sel(member=["1", "2"]).median("basin").mean("member").quantile([0.05, 0.95])
    )
    assert table.loc[("the model", "single"), "nse_median_high"] == pytest.approx(float(by_hand[1]))
    assert " to " in ensembles.readable_summary(table).loc[("the model", "ensemble"), "KGE"]


@pytest.fixture(scope="module")
def published(real_data):
    """The published scores of every basin, in our names: (model, member, basin)."""
    ds = xr.open_dataset(real_data / "published" / "ealstm_test_metrics.nc").astype(np.float64)
    return ds.rename(NAMES).load()


def test_table_2_of_the_paper(published):
    table = ensembles.summary(published, TABLE2)
    rows = read_published("kratzert2019_table2").set_index(["model", "loss", "kind"])
    for model in ("ealstm", "lstm"):
        for kind in ("single", "ensemble"):
            ours, theirs = table.loc[model, kind], rows.loc[model, "nse_star", kind]
            assert ours["basins"] == 531 and ours["members"] == 8
            for name in ("mean", "median", "failures"):
                column = name if name == "failures" else f"nse_{name}"
                assert ours[column] == pytest.approx(theirs[name], abs=1e-6), (model, kind, name)
                if kind == "single":
                    assert ours[f"{column}_std"] == pytest.approx(
                        theirs[f"{name}_std"], abs=1e-5
                    ), (model, name)


def test_table_3_of_the_paper(published, real_data):
    """Its 447 basins, and the rows whose scores by basin there are: EA-LSTM, and the NSE of five
    other models."""
    from test_significance import common_447

    other = pd.read_csv(
        real_data / "published" / "benchmark_nse.csv", dtype={"basin": str}
    ).set_index("basin")
    basins = [b for b in common_447(other) if b in published["basin"].values]
    assert len(basins) == 447
    theirs = read_published("kratzert2019_table3").set_index("model")
    table = ensembles.summary(published.sel(basin=basins), table3_statistics())
    names = {"nse_mean": "nse_mean", "failures": "failures"} | {
        f"{n}_median": n for n in NAMES.values()
    }
    for kind in ("single", "ensemble"):
        for ours, name in names.items():
            expected = theirs.loc[f"EA-LSTM, NSE* {kind}", name]
            assert table.loc[("ealstm", kind), ours] == pytest.approx(expected, abs=1.01e-6), (
                kind,
                name,
            )
    labels = {
        "SAC_SMA": "SAC-SMA",
        "VIC_basin": "VIC (basin-wise calibrated)",
        "mHm_basin": "mHM (basin-wise calibrated)",
        "HBV_ub": "HBV (upper, calibrated)",
        "q_sim_fuse_900": "FUSE (900)",
    }
    scored = xr.Dataset(
        {"nse": (("model", "basin"), other.loc[basins, list(labels)].to_numpy().T)},
        {"model": list(labels.values()), "basin": basins},
    )
    table = ensembles.summary(scored, table3_statistics())
    for label in labels.values():
        for ours, name in (
            ("nse_mean", "nse_mean"),
            ("nse_median", "nse"),
            ("failures", "failures"),
        ):
            assert table.loc[(label, "single"), ours] == pytest.approx(
                theirs.loc[label, name], abs=1e-5
            ), (label, name)
