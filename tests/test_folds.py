"""K-fold over basins: what is trained on is never simulated, and every basin is simulated once."""

import doctest

import numpy as np
import pytest

from hydronb.analysis import benchmark, flux_scores
from hydronb.data import folds as module
from hydronb.data.folds import fold_of, simulated_basins, training_basins
from hydronb.data.synthetic import synthetic_catchments
from hydronb.errors import DataError, ParameterError
from hydronb.metrics import nse
from hydronb.models.weights import read_description
from hydronb.parameters import DeltaHBVTrainParameters, TrainParameters, run_folder
from hydronb.runs.directory import read_run
from hydronb.signatures import baseflow_index
from hydronb.training.train import simulate_test, train, train_and_simulate

SMALL = {
    "data": {"kind": "synthetic", "n_basins": 5, "years": 3},
    "train_period": ["1990-10-01", "1991-09-30"],
    "test_period": ["1990-10-01", "1991-09-30"],
    "hidden": 4,
    "sequence_length": 100,
    "predict_last": 50,
    "epochs": 1,
    "samples_per_epoch": 32,
    "batch_size": 16,
    "attributes": ["aridity", "frac_snow"],
    "dropout": 0.0,
}


def parameters(**given):
    return TrainParameters.validate_parameters(SMALL | given)


def test_folds_are_a_partition_that_knows_only_ids_and_seed():
    ids = [f"{k:08d}" for k in range(11)]
    split = fold_of(ids, 4)
    assert sorted(split) == ids and sorted(np.bincount(list(split.values()))[1:]) == [2, 3, 3, 3]
    assert fold_of(ids[::-1], 4) == split != fold_of(ids, 4, seed=1)
    with pytest.raises(DataError, match="folds = 4 is more than the 3 basins"):
        fold_of(ids[:3], 4)


def test_parameters_of_folds():
    assert parameters(folds=2, fold=2).fold == 2
    with pytest.raises(ParameterError, match="folds and fold belong together"):
        parameters(folds=2)
    with pytest.raises(ParameterError, match="fold 3 is not one of the 2 folds"):
        parameters(folds=2, fold=3)
    with pytest.raises(ParameterError, match=r"train_period .* and test_period .* overlap"):
        parameters()
    with pytest.raises(ParameterError, match=r"train_period .* and validation_period .* overlap"):
        parameters(folds=2, fold=1, validation_period=["1991-01-01", "1991-12-31"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two folds of two seeds, trained."""
    root = tmp_path_factory.mktemp("runs")
    ds = synthetic_catchments(n_basins=5, years=3)
    for seed in (1, 2):
        for fold in (1, 2):
            p = parameters(folds=2, fold=fold, seed=seed, run_dir=str(root / f"{seed}-{fold}"))
            folder = run_folder(p, "x")
            simulate_test(train(ds, p, folder), ds, p, folder)
    return [read_run(path) for path in sorted(root.iterdir())]


def test_nothing_is_simulated_that_was_trained_on(runs):
    simulated = []
    for run in runs[:2]:
        inside = run.simulation()["basin"].values.tolist()
        trained = read_description(run.path)["basins"]
        assert not set(inside) & set(trained) and len(inside) + len(trained) == 5
        simulated += inside
    ds = synthetic_catchments(n_basins=5, years=3)
    assert sorted(simulated) == sorted(ds["basin"].values)
    p = parameters(folds=2, fold=1)
    assert training_basins(ds, p).sizes["basin"] + simulated_basins(ds, p).sizes["basin"] == 5


def test_the_benchmark_puts_folds_together(runs):
    (group,) = benchmark.group_runs(runs)
    assert group.label == "EA-LSTM" and group.seeds == [1, 2]
    members = group.members()
    assert dict(members.sizes) == {"seed": 2, "basin": 5, "time": 365}
    own = runs[0].simulation()["streamflow"]
    np.testing.assert_array_equal(members["streamflow"].sel(seed=1, basin=own["basin"]), own)


@pytest.fixture(scope="module")
def hbv_runs(tmp_path_factory):
    """Two folds of two seeds of a delta-HBV, and of the paper's LSTM."""
    root = tmp_path_factory.mktemp("hbv")
    ds = synthetic_catchments(n_basins=5, years=3)
    for model in ("delta_hbv", "runoff_lstm"):
        for seed in (1, 2):
            for fold in (1, 2):
                p = DeltaHBVTrainParameters.validate_parameters(
                    {
                        "model": model,
                        "dynamic": [],
                        "network": "attributes",
                        "attributes": "kratzert2019",
                        "train_period": ["1990-10-01", "1991-09-30"],
                        "test_period": ["1991-04-01", "1992-09-30"],
                        "warmup_days": 180,
                        "target_days": 90,
                        "hidden": 4,
                        "epochs": 1,
                        "samples_per_epoch": 8,
                        "batch_size": 4,
                        "folds": 2,
                        "fold": fold,
                        "seed": seed,
                        "run_dir": str(root / f"{model}-{seed}-{fold}"),
                    }
                )
                train_and_simulate(ds, p, run_folder(p, "x"))
    return ds, [read_run(path) for path in sorted(root.iterdir())]


def test_a_delta_hbv_of_folds_is_scored_on_every_basin_where_it_was_left_out(hbv_runs):
    """By the scores that each run wrote itself; the ensemble by hand."""
    ds, runs = hbv_runs
    for run in runs:
        inside = run.simulation()["basin"].values
        assert not set(inside) & set(run.basins) and len(inside) + len(run.basins) == 5
    delta, lstm = benchmark.group_runs(runs)
    observed = benchmark.read_members([delta, lstm])[delta.label]["streamflow_obs"]
    reference = flux_scores.Reference(
        observed, baseflow_index(observed), flux_scores.reference_et(ds, None)
    )
    for group in (delta, lstm):
        scores = flux_scores.score_seeds(group, reference)
        assert len(scores) == 10 and set(scores.index.unique("basin")) == set(ds["basin"].values)
        for run in group.runs:
            own = run.table("metrics.csv").set_index("basin")["nse"]
            np.testing.assert_allclose(scores["nse"].loc[run.seed].loc[own.index], own, rtol=1e-5)
    ensemble = flux_scores.score_ensembles([delta, lstm], reference)[f"{delta.label}, mean of 2"]
    first, second = (run.simulation()["streamflow"] for run in (delta.runs[0], delta.runs[2]))
    expected = nse(sim=(first + second) / 2, obs=observed).to_series()
    found = ensemble["nse"].loc["ensemble"]
    np.testing.assert_allclose(found.loc[expected.index], expected, rtol=1e-6)
    assert flux_scores.feng_table2({delta.label: ensemble}, [delta])["basins"].tolist() == [5]


def test_a_local_hbv_has_no_folds():
    with pytest.raises(ParameterError, match="folds: a local HBV is calibrated on each basin"):
        DeltaHBVTrainParameters.validate_parameters(
            {"model": "local_hbv", "folds": 2, "fold": 1}, where="here"
        )


def test_folds_that_do_not_fit_together(runs):
    with pytest.raises(
        DataError,
        match=r"EA-LSTM: seed 2 has fold 1 of 2 and seed 1 has 1, 2; train what is missing",
    ):
        benchmark.group_runs(runs[:3])
    with pytest.raises(DataError, match="two runs have the seed 1 and the fold 2"):
        benchmark.group_runs([*runs, runs[1]])


def test_examples_in_the_docstring():
    assert doctest.testmod(module).failed == 0
