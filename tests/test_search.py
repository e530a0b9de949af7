"""Settings are ranked by what was left out of the training, and by nothing else."""

import numpy as np
import pandas as pd
import pytest
from test_benchmark import IDS, observed, write_run

from hydronb.analysis import benchmark, search
from hydronb.errors import DataError, ParameterError
from hydronb.metrics import nse
from hydronb.runs.directory import PROGRESS

CALIBRATION = {
    "train_period": {"start": "2001-01-01", "end": "2002-12-31"},
    "test_period": {"start": "2001-01-01", "end": "2002-12-31"},
}


def fold_runs(folder, errors, seeds=(1,), folds=(IDS[:2], IDS[2:]), **given):
    made = []
    for hidden, error in errors.items():
        for seed in seeds:
            for k, basins in enumerate(folds, start=1):
                made.append(
                    write_run(
                        folder / f"{hidden}-{seed}-{k}",
                        seed=seed,
                        error=error,
                        basins=basins,
                        hidden=hidden,
                        folds=len(folds),
                        fold=k,
                        **CALIBRATION | given,
                    )
                )
    return made


def test_best_median_over_left_out_basins_comes_first(tmp_path):
    groups = benchmark.group_runs(fold_runs(tmp_path, {16: 2.0, 32: 0.5, 64: 1.0}, seeds=(1, 2)))
    table = search.rank_settings(groups, draws=100)
    assert (
        table["hidden"].tolist() == [32, 64, 16]
        and (table["basins"] == 3).all()
        and (table["seeds"] == 2).all()
    )
    noise = [np.random.default_rng(s).normal(size=observed().shape) for s in (1, 2)]
    by_hand = [float(nse(sim=observed() + 0.5 * n, obs=observed()).median()) for n in noise]
    assert table["score"].iloc[0] == pytest.approx(np.mean(by_hand))
    assert table["score_std"].iloc[0] == pytest.approx(np.std(by_hand))
    assert table["behind"].iloc[0] == 0 and (table["behind_low"].iloc[1:] > 0).all()
    assert search.varied_settings(groups) == ["hidden"]


def test_without_folds_the_validation_score_counts(tmp_path):
    runs = []
    for k, dropout in enumerate((0.0, 0.4)):
        run = write_run(
            tmp_path / str(k),
            seed=1,
            error=1.0,
            dropout=dropout,
            validation_period={"start": "2000-01-01", "end": "2000-12-31"},
        )
        log = pd.DataFrame({name: [1, 2] for name in PROGRESS})
        log = log.assign(valid=[0.9, 0.3 + k / 10], seconds=[30, 60])
        log.to_csv(run.path / "progress.csv", index=False)
        runs.append(run)
    table = search.rank_settings(benchmark.group_runs(runs))
    assert table["dropout"].tolist() == [0.4, 0.0] and table["score"].tolist() == pytest.approx(
        [0.4, 0.3]
    )
    assert "behind" not in table and table["minutes"].tolist() == [1, 1]


def test_what_cannot_be_ranked(tmp_path):
    runs = fold_runs(tmp_path / "a", {16: 1.0, 32: 2.0})
    with pytest.raises(DataError, match="compares two settings or more"):
        search.rank_settings(benchmark.group_runs(runs[:2]))
    plain = write_run(tmp_path / "plain", seed=1, error=1.0, hidden=8)
    with pytest.raises(DataError, match="some runs leave out folds"):
        search.rank_settings(benchmark.group_runs([*runs, plain]))
    other = write_run(tmp_path / "other", seed=1, error=1.0, hidden=4)
    with pytest.raises(DataError, match="has neither folds nor a validation_period"):
        search.rank_settings(benchmark.group_runs([plain, other]))
    with pytest.raises(DataError, match="train all folds of all settings on the same data"):
        search.rank_settings(benchmark.group_runs(runs[:3]), draws=10)
    late = {"train_period": {"start": "1990-01-01", "end": "1999-12-31"}}
    with pytest.raises(ParameterError, match="settings chosen there have seen the test"):
        search.rank_settings(
            benchmark.group_runs(fold_runs(tmp_path / "late", {16: 1.0, 32: 2.0}, **late))
        )
