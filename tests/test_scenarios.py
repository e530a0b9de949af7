"""Scenarios of the CNN-LSTM beside each other: scores known by hand, the published numbers, and
plans that fit them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from hydronb import plots
from hydronb.analysis import grid_scenarios as cnn_lstm
from hydronb.analysis import search
from hydronb.analysis.benchmark import group_runs
from hydronb.errors import DataError
from hydronb.runs.directory import PROGRESS, read_run
from hydronb.runs.plan import read_plan

TIME = pd.date_range("2011-01-01", "2012-12-31")
PARAMS = Path(__file__).parent.parent / "params"


def observed(target="streamflow"):
    rng = np.random.default_rng(len(target))
    return xr.DataArray(
        rng.gamma(2, 1, (1, len(TIME))),
        {"basin": ["b"], "time": TIME},
        ("basin", "time"),
        attrs={"units": "mm/d"},
    )


def write_run(folder, *, factor=0.5, shift=0.0, targets=("streamflow",), obs=observed, **given):
    """A run that simulates `factor` times the observation, plus `shift`."""
    folder.mkdir(parents=True)
    ds = xr.Dataset(
        {f"{t}_obs": obs(t) for t in targets} | {t: factor * obs(t) + shift for t in targets}
    )
    ds.to_netcdf(folder / "simulation.nc")
    settings = {
        "model": "cnn_lstm",
        "targets": list(targets),
        "data": {"kind": "file", "path": "yellow.nc"},
    } | given
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    return read_run(folder)


@pytest.fixture
def runs(tmp_path):
    made = []
    for seed, factor in ((1, 0.5), (2, 0.7)):
        made.append(write_run(tmp_path / f"a{seed}", seed=seed, factor=factor, model="mean_lstm"))
        made.append(write_run(tmp_path / f"b{seed}", seed=seed, factor=0.9))
        made.append(
            write_run(tmp_path / f"c{seed}", seed=seed, factor=0.8, targets=("streamflow", "et"))
        )
    return made


def test_scores_of_half_the_flow(runs):
    scores = cnn_lstm.score_scenarios(runs)
    assert list(scores.columns) == [
        "basin",
        "model",
        "target",
        "seed",
        "days",
        *cnn_lstm.LI_COLUMNS,
        "undefined",
    ]
    row = scores[(scores["model"] == "LSTM") & (scores["seed"] == 1)].iloc[0]
    obs = observed()
    bias = float(-0.5 * obs.mean() / obs.std())
    np.testing.assert_allclose(
        row[["r", "alpha", "beta", "bpv", "bmv", "blv"]].astype(float),
        [1, 0.5, bias, -0.5, -0.5, -0.5],
    )
    assert (
        row["nse"] == pytest.approx(2 * 0.5 - 0.25 - bias**2)
        and row["basin"] == "Yellow"
        and row["days"] == 731
    )
    assert set(scores[scores["model"] == "CNN-LSTM MT"]["target"]) == {"streamflow", "et"}


def test_tables_have_the_published_numbers_beside_ours(runs):
    table = cnn_lstm.scenario_table(cnn_lstm.score_scenarios(runs), "streamflow")
    assert table.index.tolist() == [
        ("Yellow", "LSTM"),
        ("Yellow", "CNN-LSTM"),
        ("Yellow", "CNN-LSTM MT"),
    ]
    row = table.loc[("Yellow", "LSTM")]
    assert row[["paper_nse", "paper_bpv"]].tolist() == [0.88, -0.31]
    assert row[["alpha", "alpha_std", "seeds"]].tolist() == pytest.approx([0.6, 0.2 / 2**0.5, 2])
    text = cnn_lstm.readable_scenarios(table)
    assert text.loc[("Yellow", "LSTM"), ("here", "alpha")] == "0.60 ± 0.14"
    assert text.loc[("Yellow", "CNN-LSTM"), ("paper", "nse")] == "0.90"
    et = cnn_lstm.scenario_table(cnn_lstm.score_scenarios(runs), "et")
    assert et.index.tolist() == [("Yellow", "CNN-LSTM MT")] and et["paper_nse"].notna().all()


def test_effects_are_differences_of_the_same_seed(runs):
    effects = cnn_lstm.scenario_effects(cnn_lstm.score_scenarios(runs)).set_index(
        ["target", "effect"]
    )
    assert len(effects) == 2, "a pair that was not trained has no difference"
    grid = effects.loc[("streamflow", "grid")]
    assert grid["of"] == "CNN-LSTM minus LSTM" and grid["seeds"] == 2
    assert grid["abs_bpv"] == pytest.approx(0.1 - np.mean([0.5, 0.3]))
    # of two seeds, whose differences lie 0.2 apart: t(0.95, 1) = 6.3138 deviations of the mean, 0.1
    assert grid["abs_bpv_high"] - grid["abs_bpv"] == pytest.approx(6.3138 * 0.1, rel=1e-4)
    assert grid["abs_bpv"] - grid["abs_bpv_low"] == pytest.approx(6.3138 * 0.1, rel=1e-4)
    one = cnn_lstm.scenario_effects(cnn_lstm.score_scenarios(runs).query("seed == 1"))
    assert one["nse"].notna().all() and one[["nse_low", "nse_high"]].isna().all(axis=None)
    assert effects.loc[("streamflow", "multi-task"), "abs_bpv"] == pytest.approx(0.2 - 0.1)


def test_a_score_that_cannot_be_says_why(tmp_path):
    run = write_run(tmp_path / "a", obs=lambda t: observed(t) * 0 + 2.5)
    row = cnn_lstm.score_scenarios([run]).iloc[0]
    assert np.isnan(row["nse"]) and row["undefined"] == "the observation never changes"


def test_runs_are_told_apart_or_refused(tmp_path):
    one, other = write_run(tmp_path / "a", hidden=32), write_run(tmp_path / "b", hidden=64)
    assert cnn_lstm.name_scenarios([one, other])["model"].tolist() == [
        "CNN-LSTM, hidden 32",
        "CNN-LSTM, hidden 64",
    ]
    with pytest.raises(
        DataError, match="two runs of CNN-LSTM in Yellow have the seed 111; give each run once"
    ):
        cnn_lstm.name_scenarios([one, one])


def test_basins_of_files_are_the_papers_where_they_are_called_so():
    names = [
        cnn_lstm.basin_label({"kind": "file", "path": p})
        for p in ("x/Lancang_v2.nc", "brook.zarr", "yellowstone.zarr", "my_yellow_river.nc")
    ]
    assert names == ["Lancang", "brook", "yellowstone", "Yellow"]


def test_data_that_differ_share_no_label(tmp_path):
    grids = [
        {"kind": "synthetic", "shape": [8, 8], "years": years, "seed": seed}
        for years, seed in ((12, 0), (32, 0), (12, 1))
    ]
    grids.append({"kind": "synthetic", "preset": "yellow", "seed": 1})
    runs = [write_run(tmp_path / str(n), data=data) for n, data in enumerate(grids)]
    frame = cnn_lstm.name_scenarios(runs)
    assert frame["basin"].tolist() == [
        "8 x 8, seed 0, years 12",
        "8 x 8, seed 0, years 32",
        "8 x 8, seed 1",
        "synthetic Yellow, seed 1",
    ]
    table = cnn_lstm.scenario_table(cnn_lstm.score_scenarios(runs), "streamflow")
    assert table["paper_nse"].isna().all(), "no synthetic grid is the river of the paper"
    kept = write_run(tmp_path / "kept", data=grids[0] | {"cells": True}, seed=2)
    assert cnn_lstm.name_scenarios([runs[0], kept])["basin"].tolist() == ["8 x 8, seed 0"] * 2


def test_sequences_that_differ_share_no_label(tmp_path):
    runs = [write_run(tmp_path / str(n), sequence_length=n) for n in (60, 90)]
    assert cnn_lstm.name_scenarios(runs)["label"].tolist() == [
        "Yellow, CNN-LSTM, sequence_length 60 (streamflow)",
        "Yellow, CNN-LSTM, sequence_length 90 (streamflow)",
    ]
    assert [g.label for g in cnn_lstm.group_scenarios(runs)] == [
        *cnn_lstm.name_scenarios(runs)["label"]
    ]


def test_axes_hold_the_line_of_perfect_simulation_and_name_what_is_below(runs):
    scores = cnn_lstm.score_scenarios(runs).assign(nse=[0.1, 0.2, -3.25, 0.3, 0.3, 0.3, 0.2, 0.2])
    panel = plots.scenario_scores(scores, {"nse": "NSE (-)"}).Overlay.I
    low, high = plots.style.render(panel).y_range.start, plots.style.render(panel).y_range.end
    assert low < -0.5 and high > 1
    assert list(panel.Labels.I["text"]) == ["-3.25"]
    drawn = np.concatenate([mark["shown"] for mark in panel.Scatter])
    assert sorted(drawn) == sorted([0.1, 0.2, -0.5, 0.3, 0.3, 0.3, 0.2, 0.2])


def test_figures_have_a_panel_a_metric_and_a_model(runs):
    scores = cnn_lstm.score_scenarios(runs)
    assert len(plots.scenario_scores(scores, {"nse": "NSE (-)", "bpv": "BPV (-)"})) == 3
    means = cnn_lstm.mean_over_seeds(runs, "streamflow")["Yellow"]
    np.testing.assert_allclose(means["LSTM"]["streamflow"], 0.6 * observed()[0])
    sims = {model: ds["streamflow"] for model, ds in means.items()}
    assert len(plots.day_by_day(means["LSTM"]["streamflow_obs"], sims)) == 3


def test_a_search_ranks_settings_by_the_validation_period(tmp_path):
    runs = []
    for hidden, days, valid in ((16, 30, 0.6), (16, 90, 0.8), (32, 30, 0.7)):
        run = write_run(tmp_path / f"{hidden}-{days}", hidden=hidden, sequence_length=days)
        log = pd.DataFrame({name: [1, 2] for name in PROGRESS}).assign(valid=[0.9, valid])
        log.to_csv(run.path / "progress.csv", index=False)
        runs.append(run)
    groups = group_runs(runs)
    table = search.rank_settings(groups)
    assert search.varied_settings(groups) == ["hidden", "sequence_length"]
    found = table[["hidden", "sequence_length", "score"]].values.tolist()
    assert found == [[16, 90, 0.8], [32, 30, 0.7], [16, 30, 0.6]]


# Plans
# ---


def scenarios(plan):
    for run in plan.runs:
        if run.notebook.name == "cnn_lstm_01_train":
            yield run.id, run.everything


def test_plans_hold_every_scenario(monkeypatch, tmp_path):
    """Three basins x two models x three sets of targets, with the sequences of Table A2 and the
    ranges of Table A1."""
    for name in ("YELLOW_GRID", "YANGTZE_GRID", "LANCANG_GRID", "GRID"):
        (tmp_path / f"{name}.nc").touch()
        monkeypatch.setenv(name, str(tmp_path / f"{name}.nc"))
    paper = dict(scenarios(read_plan(PARAMS / "paper/cnn_lstm.yaml")))
    kinds = {(p["data"]["path"], p["model"], tuple(p["targets"])) for p in paper.values()}
    assert len(paper) == len(kinds) == 18
    days = {(p["data"]["path"], p["model"]): p["sequence_length"] for p in paper.values()}
    assert [days[f"${river}_GRID", "mean_lstm"] for river in ("YELLOW", "YANGTZE", "LANCANG")] == [
        90,
        180,
        120,
    ]
    assert [days[f"${river}_GRID", "cnn_lstm"] for river in ("YELLOW", "YANGTZE", "LANCANG")] == [
        60,
        120,
        90,
    ]
    search = list(scenarios(read_plan(PARAMS / "paper/cnn_lstm_search.yaml")))
    assert len(search) == 2 * 5 * 14 * 2
    desk = [
        p
        for _, p in scenarios(read_plan(PARAMS / "desk/cnn_lstm_synthetic.yaml"))
        if not p.get("static")
    ]
    seeds = Counter((p["data"]["preset"], p["model"], tuple(p["targets"])) for p in desk)
    assert len(seeds) == 18
    for (basin, _, targets), n in seeds.items():
        assert n == (10 if targets == ("streamflow",) and basin != "yellow" else 3)
