"""Linear probes and their controls: against least squares, PyTorch's cell states, the equations of
the EA-LSTM, and quantities that a layer holds, or does not hold, by construction."""

import datetime as dt

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from catchments import period
from grids import random_grid

from hydronb import plots
from hydronb.analysis import probes
from hydronb.data import open_catchments
from hydronb.data.scaling import fit_scaling
from hydronb.data.windows import fit_grid_scaling
from hydronb.errors import DataError, ParameterError
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.models.weights import save_model
from hydronb.parameters import CNNLSTMTrainParameters, TrainParameters
from hydronb.runs.directory import TrainedRun, read_run
from hydronb.training.cnn_lstm import prepare_cnn_lstm
from hydronb.training.predict import predict, save_results
from hydronb.vocabulary import MODELS

TRAIN = period("2000-03-01", "2000-10-31")
TEST = period("2000-11-01", "2001-01-31")


def series(values, seed=0, basins=("a", "b")):
    days = pd.date_range("2000-01-01", periods=values.shape[1])
    return xr.DataArray(
        values, {"basin": list(basins), "time": days}, ("basin", "time", "unit")[: values.ndim]
    )


def grid_model(ds, model="cnn_lstm", predict_last=1, targets=("streamflow",)):
    means = model == "mean_lstm"
    scaling = fit_grid_scaling(ds, list(targets), [], TRAIN, means=means)
    torch.manual_seed(3)
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]
    made = CNNLSTM(
        model,
        scaling,
        shape=shape,
        hidden=6,
        layers=2,
        sequence_length=12,
        predict_last=predict_last,
    )
    return made.eval()


# The regression
# ---


def test_a_probe_is_least_squares_with_a_constant():
    rng = np.random.default_rng(0)
    x, y = series(rng.normal(3, [1, 50, 0.01], (2, 90, 3))), rng.normal(size=(2, 90))
    y[0, 10:30] = np.nan
    made = probes.fit_probe(x, series(y))
    there = np.isfinite(y)
    design = np.column_stack([x.values[there], np.ones(there.sum())])
    expected = np.linalg.lstsq(design, y[there], rcond=None)[0]
    np.testing.assert_allclose(made.weights, expected[:3], rtol=1e-6)
    np.testing.assert_allclose(made(x), x.values @ expected[:3] + expected[3], rtol=1e-6, atol=1e-9)


def test_joined_by_id_and_date():
    rng = np.random.default_rng(0)
    x = series(rng.normal(size=(2, 60, 3)))
    y = x.isel(unit=0, drop=True) * 2 + 1
    made = probes.fit_probe(x, y.isel(basin=[1, 0], time=slice(7, None)))
    np.testing.assert_allclose(made.weights, [2, 0, 0], atol=1e-9)


def test_units_that_repeat_each_other_share_the_weight():
    x = np.random.default_rng(0).normal(size=(2, 50, 1))
    made = probes.fit_probe(series(np.concatenate([x, x, 0 * x], 2)), series(x[:, :, 0]))
    np.testing.assert_allclose(made.weights, [0.5, 0.5, 0], atol=1e-6)


def test_nothing_to_fit_on():
    x = series(np.ones((2, 5, 1)))
    with pytest.raises(
        DataError, match="no day to fit a probe on: snow and the network have none in common"
    ):
        probes.fit_probe(x, (x[..., 0] * np.nan).rename("snow"))


# Layers
# ---


@pytest.mark.parametrize("predict_last", [1, 5])
def test_cell_states_are_pytorchs_at_the_end_of_each_sequence(predict_last):
    ds = random_grid()
    model = grid_model(ds, predict_last=predict_last)
    found = probes.activations(model, ds, TEST)
    assert set(found) == {"cell_1", "cell_2", "cells", "features"}
    assert found["cells"].dims == ("basin", "time", "unit") and found["cells"].notnull().all()
    z = [(ds[n].values - m) / s for n, (m, s) in model.scaling.forcings.items()]
    features = model.encoder(torch.from_numpy(np.stack(z, 1).astype(np.float32)))
    # the last target day of a window, of one day or of five
    last = ds.indexes["time"].get_loc("2000-11-05")
    _, (_, cells) = model.recurrent.lstm(features[None, last - 11 : last + 1])
    day = {"time": "2000-11-05", "basin": "brook"}
    for layer in (0, 1):
        np.testing.assert_allclose(
            found[f"cell_{layer + 1}"].sel(day), cells[layer, 0].detach(), atol=1e-6
        )
    np.testing.assert_allclose(found["cells"].sel(day)[:6], found["cell_1"].sel(day))
    np.testing.assert_allclose(found["features"].sel(day), features[last].detach(), atol=1e-6)


@pytest.fixture(scope="module")
def catchments():
    return open_catchments(
        TrainParameters(data={"kind": "synthetic", "n_basins": 4, "years": 2}).data
    )


def lumped_model(ds, model="ealstm", targets=("streamflow",)):
    scaling = fit_scaling(
        ds,
        ["prcp", "tmax"],
        ["p_mean", "aridity"],
        list(targets),
        period("1990-03-01", "1990-09-30"),
    )
    torch.manual_seed(0)
    made = MODELS[model].make(
        model=model,
        scaling=scaling,
        hidden=5,
        dropout=0.4,
        forget_bias=1.0,
        sequence_length=20,
        predict_last=1,
    )
    return made.eval()


def test_cell_states_of_an_ealstm_follow_its_equations(catchments):
    model = lumped_model(catchments)
    found = probes.activations(model, catchments, period("1990-10-01", "1990-10-09"))
    assert set(found) == {"cells"} and found["cells"].shape == (4, 9, 5)
    one = catchments.isel(basin=2).sel(time=slice("1990-09-17", "1990-10-06"))
    x = np.stack([(one[n].values - m) / s for n, (m, s) in model.scaling.forcings.items()], 1)
    a = np.array([(float(one[n]) - m) / s for n, (m, s) in model.scaling.attributes.items()])
    w = {n: v.detach().double().numpy() for n, v in model.network.named_parameters()}
    i = 1 / (1 + np.exp(-(w["weight_static"] @ a + w["bias_static"])))
    h = c = np.zeros(5)
    for day in x:
        o, f, g = np.split(w["weight"] @ day + w["recurrent"] @ h + w["bias"], 3)
        c = c / (1 + np.exp(-f)) + i * np.tanh(g)
        h = np.tanh(c) / (1 + np.exp(-o))
    np.testing.assert_allclose(found["cells"].isel(basin=2).sel(time="1990-10-06"), c, atol=1e-5)


# Controls
# ---


def test_the_untrained_network_is_the_one_that_training_starts_from():
    ds = random_grid()
    p = CNNLSTMTrainParameters(
        train_period=TRAIN, validation_period=None, test_period=TEST, hidden=6, sequence_length=12
    )
    ready = prepare_cnn_lstm(ds, p, "cpu")
    torch.manual_seed(7)
    start = ready.build()
    trained, before = grid_model(ds), torch.get_rng_state()
    fresh = probes.untrained(trained, seed=7)
    assert torch.equal(before, torch.get_rng_state()) and not fresh.training
    for one, other in zip(start.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


def test_shuffled_days_keep_values_and_gaps():
    y = np.random.default_rng(0).normal(size=(2, 50))
    y[1, 5:9] = np.nan
    made = probes.shuffle_days(series(y), seed=1)
    np.testing.assert_array_equal(np.isnan(made), np.isnan(y))
    np.testing.assert_array_equal(np.sort(made, axis=1), np.sort(y, axis=1))
    assert (made.values[0] != y[0]).mean() > 0.9
    xr.testing.assert_identical(made, probes.shuffle_days(series(y), seed=1))


def test_memory_of_the_forcing_by_hand():
    rain = series(np.arange(40.0).reshape(1, 40), basins=["a"]).to_dataset(name="prcp")
    made = probes.forcing_memory(rain, ["prcp"], period("2000-02-01", "2000-02-09"), longest=20)
    np.testing.assert_allclose(
        made.sel(basin="a", time="2000-02-05"), [35, np.arange(29, 36).mean()]
    )


def test_basins_are_left_out_by_chance_but_never_all():
    ids = [f"{k:02d}" for k in range(20)]
    left = probes.choose_left_out(ids, 0.25, seed=0)
    assert (
        len(left) == 5
        and left == sorted(left)
        and left == probes.choose_left_out(ids, 0.25, seed=0)
    )
    assert left != probes.choose_left_out(ids, 0.25, seed=1)
    assert (
        len(probes.choose_left_out(["a", "b"], 0.99, 0)) == 1
        and probes.choose_left_out(ids, 0.0, 0) == []
    )


# All of a run
# ---


def test_what_a_layer_holds_is_found_and_what_it_does_not_is_not():
    """An encoder made to give the basin's mean rain and temperature, and an LSTM made to keep
    nothing of them."""
    ds = random_grid(days=730)
    model = grid_model(ds)

    class Means(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.pad(x[:, :, 1:-1, 1:-1].mean((2, 3)), (0, 62))

    model.encoder = Means()
    for weight in model.recurrent.parameters():
        weight.data.zero_()
    scores = probes.probe(model, ds, TRAIN, period("2001-01-01", "2001-12-30")).scores
    table = scores.set_index(["layer", "target", "control", "split"])
    for name in ("prcp", "tmean"):
        assert table.loc[("features", name, "network", "test"), "r"] > 0.9999
        assert abs(table.loc[("features", name, "shuffled", "test"), "r"]) < 0.25
        whole, basin = ds[name].mean(("y", "x")), ds[name][:, 1:-1, 1:-1].mean(("y", "x"))
        year = slice("2001-01-01", "2001-12-30")
        expected = np.corrcoef(whole.sel(time=year), basin.sel(time=year))[0, 1]
        assert table.loc[("grid mean", name, "reference", "test"), "r"] == pytest.approx(
            expected, abs=2e-4
        )
    assert set(scores["target"]) == {
        "prcp",
        "tmean",
        "et",
        "true_snow",
    }, "streamflow was trained on"
    assert table.loc[("cells", "true_snow", "network", "test"), "nse"] == pytest.approx(0, abs=0.05)
    assert table.loc[("cells", "true_snow", "forcing", "test"), "nse"] > 0.9999, (
        "snow is thrice the day's rain here"
    )
    assert set(scores["control"]) == {*probes.PROBE_CONTROLS, "reference"} and set(
        scores["split"]
    ) == {
        "train",
        "test",
    }


def test_a_target_that_is_not_there():
    ds = random_grid()
    with pytest.raises(DataError, match="no 'true_snwo' to probe for; did you mean 'true_snow'"):
        probes.probe(grid_model(ds, "mean_lstm"), ds, TRAIN, TEST, targets=["true_snwo"])


def write(folder, model, ds, p, finish):
    folder.mkdir()
    save_model(model, folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(p.plain()))
    finish(predict(model, ds, p.test_period, progress=False), p.targets, folder)
    return read_run(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, catchments):
    folder = tmp_path_factory.mktemp("runs")
    ds = random_grid()
    ds.to_netcdf(folder / "brook.nc")
    made = []
    for model in ("mean_lstm", "cnn_lstm"):
        p = CNNLSTMTrainParameters(
            model=model,
            data={"kind": "file", "path": str(folder / "brook.nc")},
            train_period=TRAIN,
            validation_period=None,
            test_period=TEST,
            sequence_length=12,
        )
        made.append(write(folder / model, grid_model(ds, model), ds, p, save_results))
    for model in ("ealstm", "lstm"):
        p = TrainParameters(
            model=model,
            data={"kind": "synthetic", "n_basins": 4, "years": 2},
            sequence_length=20,
            train_period=period("1990-03-01", "1990-09-30"),
            test_period=period("1990-10-01", "1991-03-31"),
            targets=["streamflow"],
        )
        made.append(
            write(folder / model, lumped_model(catchments, model), catchments, p, save_results)
        )
    return made


@pytest.fixture(scope="module")
def probed(runs):
    return probes.probe_runs(runs)


def test_runs_of_all_networks(probed):
    scores, first = probed
    assert list(scores.columns) == probes.PROBE_COLUMNS
    assert list(dict.fromkeys(scores["run"])) == ["mean_lstm", "cnn_lstm", "ealstm", "lstm"]
    assert set(scores["label"]) == {
        "brook, LSTM (streamflow)",
        "brook, CNN-LSTM (streamflow)",
        "synthetic catchments, EA-LSTM (streamflow)",
        "synthetic catchments, LSTM (streamflow)",
    }
    regional = scores[scores["run"].isin(["ealstm", "lstm"])]
    assert set(regional["split"]) == {"train", "test", "left_out"}
    assert set(regional["target"]) == {
        "et",
        "true_snow",
        "true_soil_moisture",
        "true_groundwater",
        "true_baseflow",
    }
    assert regional.groupby("split")["basins"].unique().map(list).to_dict() == {
        "left_out": [1],
        "test": [3],
        "train": [3],
    }
    assert set(scores[scores["split"] == "left_out"]["run"]) == {"ealstm", "lstm"}
    assert "left_out" not in set(scores[scores["run"] == "cnn_lstm"]["split"])
    shown = first["synthetic catchments, EA-LSTM (streamflow)"].fitted["cells", "true_snow"]
    assert shown["truth"].dims == ("basin", "time") and shown.sizes["basin"] == 3


def test_fit_days_are_never_worse_than_their_mean(probed):
    scores = probed[0]
    fit = scores[
        (scores["split"] == "train") & (scores["control"] != "reference") & (scores["basins"] == 1)
    ]
    assert len(fit) and (fit["nse"] > -1e-6).all()


def test_tables_have_the_papers_layout(probed):
    scores = probed[0]
    table5 = probes.table5(scores)
    assert table5.columns.tolist() == ["prcp", "tmean", "prcp_std", "tmean_std", "runs"]
    assert set(table5.index.get_level_values("control")) == {*probes.PROBE_CONTROLS, "reference"}
    cells = probes.cell_table(scores)
    assert cells.index.names == ["label", "target"]
    assert list(cells.columns)[:5] == [*probes.PROBE_CONTROLS, "gain"]
    row = scores[
        (scores["layer"] == "cells")
        & (scores["run"] == "lstm")
        & (scores["split"] == "test")
        & (scores["control"] == "untrained")
        & (scores["target"] == "et")
    ]
    assert (
        cells.loc[("synthetic catchments, LSTM (streamflow)", "et"), "untrained"]
        == row["nse"].item()
    )
    assert len(probes.cell_table(scores, split="left_out")) == 10


def test_spread_over_seeds_is_that_of_the_runs(probed):
    """A second seed whose scores are known: the deviation of two is their difference over root 2,
    that of the gain is of the gains."""
    one = probed[0]
    one = one[(one["run"] == "lstm") & (one["target"] == "et") & (one["split"] == "test")]
    other = one.assign(run="lstm2", nse=one["nse"] + (one["control"] == "network") * 0.1)
    row = probes.cell_table(pd.concat([one, other])).iloc[0]
    both = one[one["layer"] == "cells"].set_index("control")["nse"]
    best = max(both[c] for c in ("untrained", "shuffled", "forcing"))
    assert row["network"] == pytest.approx(both["network"] + 0.05)
    assert row["gain"] == pytest.approx(both["network"] + 0.05 - best)
    assert row[["network_std", "gain_std"]].tolist() == pytest.approx([0.1 / 2**0.5] * 2)
    assert row[["untrained_std", "runs"]].tolist() == [0, 2]
    text = probes.readable_probes(probes.cell_table(pd.concat([one, other]))).iloc[0]
    assert text["network"] == f"{both['network'] + 0.05:.2f} ± 0.07"
    assert "±" not in probes.readable_probes(probes.cell_table(one)).iloc[0]["network"]


def test_figure_has_a_panel_a_run_and_a_key(probed):
    figure = plots.probe_scores(probed[0])
    drawn = [panel for panel in figure if not isinstance(panel, hv.Empty)]
    assert len(drawn) == len(set(probed[0]["label"])) + 1


def test_a_model_without_cell_states(tmp_path):
    from hydronb.parameters import DeltaHBVTrainParameters

    p = DeltaHBVTrainParameters(
        model="local_hbv",
        train_period=[dt.date(1990, 3, 1), dt.date(1990, 9, 30)],
        test_period=[dt.date(1990, 10, 1), dt.date(1991, 3, 31)],
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(p.plain()))
    with pytest.raises(ParameterError, match="local_hbv has no cell states to probe"):
        probes.probe_runs([TrainedRun(tmp_path)])
