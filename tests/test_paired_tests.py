"""Tests of models against each other: by hand, by scipy, and as published."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from hydronb.analysis.paired_tests import paired_tests
from hydronb.analysis.published import read_published, read_scores
from hydronb.errors import DataError, ParameterError
from hydronb.parameters import BenchmarkParameters

BASINS = [f"{k:08d}" for k in range(1, 13)]


def scores(**of_models):
    """Arrays (member, basin) of the metrics nse and fhv by model; members 1, 2 and ensemble."""
    coords = {"model": list(of_models), "member": ["1", "2", "ensemble"], "basin": BASINS}
    dims = ("model", "member", "basin")
    return xr.Dataset(
        {
            name: (dims, np.array([of_metric[k] for of_metric in of_models.values()]))
            for k, name in enumerate(("nse", "fhv"))
        },
        coords,
    )


@pytest.fixture
def three():
    rng = np.random.default_rng(0)
    nse, fhv = rng.uniform(0, 1, (3, 3, 12)), rng.normal(0, 20, (3, 3, 12))
    nse[2, [0, 2]] = nse[2, 1]
    nse[2, 2, 3] = np.nan  # a model without seeds has one score, here of eleven basins
    nse[2, 1, 3] = np.nan
    nse[2, 0] = np.nan
    fhv[2] = np.nan
    return scores(a=(nse[0], fhv[0]), b=(nse[1], fhv[1]), other=(nse[2], fhv[2]))


def test_pairs_kinds_and_counts(three):
    table = paired_tests(three, ["a", "b"]).set_index(["metric", "model", "other", "kind"])
    assert table.index.tolist() == [
        *(
            ("nse", *pair, kind)
            for pair in (("a", "b"), ("a", "other"), ("b", "other"))
            for kind in ("single", "ensemble")
        ),
        ("fhv", "a", "b", "single"),
        ("fhv", "a", "b", "ensemble"),
    ]
    one, other = three["nse"].sel(model="a"), three["nse"].sel(model="other", member="2")
    for kind, ours in (
        ("single", (one[0] + one[1]) / 2),
        ("ensemble", one[2]),
    ):
        row = table.loc["nse", "a", "other", kind]
        difference = (ours - other).dropna("basin").to_numpy()
        assert row["basins"] == 11
        assert row["p"] == pytest.approx(stats.wilcoxon(difference).pvalue)
        assert row["model_better"] == (difference > 0).sum()
        assert row["other_better"] == (difference < 0).sum()
    a, b = (three["fhv"].sel(model=m, member="ensemble").to_numpy() for m in "ab")
    row = table.loc["fhv", "a", "b", "ensemble"]
    assert row["model_better"] == (np.abs(a) < np.abs(b)).sum(), "the best bias is none"
    pooled = np.sqrt((a.var() + b.var()) / 2)
    assert row["d"] == pytest.approx(abs(a.mean() - b.mean()) / pooled)


def test_published_scores_give_the_published_tests(real_data):
    """Cohen's d as printed; p with pairs joined by basin, as the paper's notebook does not join."""
    paths = [
        real_data / "published" / name for name in ("ealstm_test_metrics.nc", "benchmark_nse.csv")
    ]
    read = read_scores(paths)
    assert read["model"].values.tolist()[:2] == ["EA-LSTM", "LSTM"]
    assert read.sizes["basin"] > 531 and "1" not in read["member"].values
    from test_significance import common_447

    other = pd.read_csv(paths[1], dtype={"basin": str}).set_index("basin")
    basins = [
        b for b in common_447(other) if read["nse"].sel(basin=b).notnull().any("member").all()
    ]
    table = paired_tests(read[["nse"]].sel(basin=basins), ["EA-LSTM", "LSTM"]).set_index(
        ["model", "other", "kind"]
    )
    published = read_published("kratzert2019_significance")
    rows = published[(published["metric"] == "nse") & (published["basins"] == 447)]
    assert len(rows) == 4
    for _, row in rows.iterrows():
        ours = table.loc["EA-LSTM", row["b"], row["kind"]]
        assert ours["basins"] == 447
        assert f"{ours['d']:.3f}" == f"{row['d_published']:.3f}"
        assert ours["p"] == pytest.approx(row["p_aligned"], rel=2e-2)


def test_scores_from_a_table(tmp_path):
    path = tmp_path / "nse.csv"
    path.write_text("basin,SAC_SMA,mine\n01013500,0.5,\ncamels_01022500,0.7,0.1\n")
    read = read_scores([path])
    assert read["model"].values.tolist() == ["SAC-SMA", "mine"]
    assert read["basin"].values.tolist() == ["01013500", "01022500"]
    assert read["nse"].sel(model="SAC-SMA", member="ensemble").values.tolist() == [0.5, 0.7]


def test_scores_that_cannot_be_used(tmp_path):
    table = tmp_path / "nse.csv"
    for text, message in (
        ("basin,a\n01013500,0.5\n01013500,0.6\n", "nse.csv has the basin '01013500' twice"),
        ("gauge,a\n01013500,0.5\n", "nse.csv .*a table of scores.*needs basin"),
        ("basin,a\n01013500,good\n", "nse.csv .*a table of scores"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            read_scores([table])
    table.write_text("basin,a\n01013500,0.5\n")
    with pytest.raises(DataError, match="has scores of a, as another file has"):
        read_scores([table, table])
    netcdf = tmp_path / "scores.nc"
    xr.Dataset({"NSE": ("basin", [0.5])}, {"basin": ["01013500"]}).to_netcdf(netcdf)
    with pytest.raises(DataError, match=r"scores\.nc has no metric over model, member, basin"):
        read_scores([netcdf])
    with pytest.raises(ParameterError, match="give scores, or runs and benchmark_models, not both"):
        BenchmarkParameters.validate_parameters({"scores": ["a.csv"], "runs": ["b"]}, where="here")
