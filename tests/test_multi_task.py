"""The lumped LSTM and the EA-LSTM with streamflow and evaporation together: each target weighs
alike, and is scaled, scored, written and compared by itself."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from catchments import period, random_catchments

from hydronb import metrics
from hydronb.analysis import benchmark
from hydronb.errors import ParameterError
from hydronb.losses import Terms
from hydronb.parameters import BenchmarkParameters, TrainParameters
from hydronb.runs.directory import read_run
from hydronb.training.ealstm import prepare_ealstm
from hydronb.training.predict import predict
from hydronb.training.task import validator
from hydronb.training.train import simulate_test, train
from hydronb.vocabulary import LOSSES

SETTINGS = {
    "forcings": ["prcp", "tmean"],
    "attributes": ["slope", "forest"],
    "targets": ["streamflow", "et"],
    "train_period": period("2000-03-01", "2000-10-31"),
    "test_period": period("2000-11-01", "2001-01-31"),
    "hidden": 8,
    "dropout": 0.0,
    "forget_bias": 1.0,
    "loss": "mse",
    "sequence_length": 30,
    "predict_last": 20,
    "epochs": 20,
    "samples_per_epoch": 64,
    "batch_size": 16,
    "learning_rate": 1e-2,
}


def catchments() -> xr.Dataset:
    """Evaporation follows the day's temperature, and is a hundred times as large as streamflow."""
    ds = random_catchments()
    return ds.assign(et=(100 + 10 * ds["tmean"]).assign_attrs(units="mm/d"))


@pytest.fixture(scope="module", params=["ealstm", "lstm"])
def trained(request, tmp_path_factory):
    p = TrainParameters(**SETTINGS, model=request.param)
    folder, ds = tmp_path_factory.mktemp(request.param), catchments()
    model = train(ds, p, folder)
    simulate_test(model, ds, p, folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(p.plain()))
    return folder, p, ds, model


def test_both_targets_are_learnt_simulated_and_written(trained):
    folder, _, _, model = trained
    assert list(model.scaling.targets) == ["streamflow", "et"]
    simulation = xr.load_dataset(folder / "simulation.nc")
    assert {"streamflow", "streamflow_obs", "et", "et_obs"} <= set(simulation.data_vars)
    assert float(simulation["et"].mean()) == pytest.approx(
        float(simulation["et_obs"].mean()), rel=0.1
    )
    for name, file in (("streamflow", "metrics.csv"), ("et", "metrics_et.csv")):
        written = pd.read_csv(folder / file, index_col=0)
        by_hand = metrics.nse(sim=simulation[name], obs=simulation[f"{name}_obs"])
        np.testing.assert_allclose(written.loc[by_hand["basin"].values, "nse"], by_hand, rtol=1e-6)
    assert pd.read_csv(folder / "metrics_et.csv")["nse"].median() > 0.5, (
        "temperature tells all of it"
    )


def test_validation_is_the_mean_over_targets(trained):
    _, p, ds, model = trained
    simulation = predict(model, ds, p.test_period, progress=False)
    medians = [
        float(metrics.nse(sim=simulation[n], obs=simulation[f"{n}_obs"]).median())
        for n in p.targets
    ]
    judged = p.model_copy(update={"validation_period": p.test_period})
    assert validator(ds, judged)(model) == pytest.approx(np.mean(medians))


def test_a_benchmark_scores_the_target_it_is_asked_for(trained):
    folder, *_ = trained
    groups = benchmark.group_runs([read_run(folder)])
    simulation = xr.load_dataset(folder / "simulation.nc")
    for name in ("streamflow", "et"):
        (members,) = benchmark.read_members(groups, name).values()
        np.testing.assert_array_equal(members["streamflow"].sel(seed=111), simulation[name])
        np.testing.assert_array_equal(members["streamflow_obs"], simulation[f"{name}_obs"])


@pytest.mark.parametrize("loss", ["mse", "nse_star"])
def test_targets_weigh_alike_whatever_their_units(loss):
    """A target in other units, with its scaling, gives the same loss; and two targets the mean of
    the two."""
    torch.manual_seed(0)
    sim, obs = torch.rand(4, 5, 2), torch.rand(4, 5, 2)
    std_basin, std_all, basin = torch.rand(4, 2) + 0.5, torch.rand(2) + 0.5, torch.arange(4)

    def of(k: list[int]) -> float:
        return float(
            LOSSES[loss].make(None)(
                Terms(sim[:, :, k], obs[:, :, k], std_basin[:, k], std_all[k], basin)
            )
        )

    assert of([0, 1]) == pytest.approx((of([0]) + of([1])) / 2, rel=1e-5)
    if loss == "mse":
        larger = torch.tensor([1.0, 1000.0])
        scaled = LOSSES[loss].make(None)(
            Terms(sim * larger, obs * larger, std_basin * larger, std_all * larger, basin)
        )
        assert float(scaled) == pytest.approx(of([0, 1]), rel=1e-5)


@pytest.mark.parametrize("model", ["ealstm", "lstm"])
def test_a_missing_target_teaches_nothing(model):
    ready = prepare_ealstm(catchments(), TrainParameters(**SETTINGS, model=model), "cpu")
    torch.manual_seed(0)
    network, batch = ready.build(), ready.samples.gather(torch.arange(4))
    batch.target[:, :, 1] = torch.nan
    ready.loss_of(network, batch).backward()
    assert (network.network.head.weight.grad[1] == 0).all() and (
        network.network.head.weight.grad[0] != 0
    ).any()


def test_what_is_wrong_is_said_in_one_line():
    for given, message in (
        ({"target": "runoff"}, "target = 'runoff' is unknown; choose one of streamflow, et"),
        ({"target": "et", "benchmark_models": "x"}, "the benchmark models have streamflow alone"),
    ):
        with pytest.raises(ParameterError) as error:
            BenchmarkParameters.validate_parameters(given)
        assert message in str(error.value) and "\n" not in str(error.value)
