"""CNN-LSTM: sizes of Table A3 of Li et al. (2023), PyTorch's LSTM, and one encoding per day against
one per window."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch
from grids import random_grid

from hydronb.data.windows import fit_grid_scaling, grid_forcing, grid_samples
from hydronb.errors import DataError, ParameterError
from hydronb.models import cnn_lstm
from hydronb.models.cnn_lstm import CNNLSTM, Encoder, StackedLSTM, layer_sizes, stack_for
from hydronb.models.weights import load, save_model
from hydronb.parameters import CNNLSTMTrainParameters, GridParameters, Period
from hydronb.training.cnn_lstm import prepare_cnn_lstm
from hydronb.training.loop import Checkpoint
from hydronb.training.predict import predict
from hydronb.training.train import simulate_test, train

TABLE_A3 = {
    "Yellow": [(41, 77), (19, 37), (9, 17), (3, 5), (1, 1)],
    "Yangtze": [(34, 71), (16, 35), (7, 17), (2, 5), (1, 1)],
    "Lancang": [(84, 59), (40, 28), (19, 12), (5, 4), (1, 1)],
}
WHOLE = Period(start=dt.date(2000, 3, 1), end=dt.date(2000, 12, 31))
LATE = Period(start=dt.date(2000, 11, 2), end=dt.date(2001, 1, 20))


def small(
    ds,
    model="cnn_lstm",
    targets=("streamflow", "et"),
    static=(),
    predict_last=1,
    sequence_length=12,
    **more,
):
    means = model == "mean_lstm"
    scaling = fit_grid_scaling(ds, list(targets), list(static), WHOLE, means=means)
    torch.manual_seed(3)
    shape = None if means else [ds.sizes["y"], ds.sizes["x"]]
    return CNNLSTM(
        model,
        scaling,
        shape=shape,
        hidden=6,
        layers=2,
        sequence_length=sequence_length,
        predict_last=predict_last,
        **more,
    ).eval()


def settings(**more):
    given = {
        "train_period": WHOLE,
        "validation_period": None,
        "test_period": Period(start=dt.date(2001, 1, 1), end=dt.date(2001, 1, 31)),
        "hidden": 6,
        "sequence_length": 12,
        "predict_last": 4,
        "epochs": 1,
        "samples_per_epoch": 16,
        "batch_size": 8,
    }
    return CNNLSTMTrainParameters(**(given | more))


# The encoder
# ---


@pytest.mark.parametrize("basin", TABLE_A3)
def test_published_stacks_have_the_published_sizes(basin):
    sizes = TABLE_A3[basin]
    assert layer_sizes(sizes[0]) == sizes
    seen, x = [], torch.zeros(2, 2, *sizes[0])
    for layer in Encoder(2, sizes[0]):
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            seen.append((x.shape[1], tuple(x.shape[2:])))
    assert seen == list(zip((8, 16, 32, 64), sizes[1:], strict=True))
    assert x.shape == (2, 64)


@pytest.mark.parametrize("shape", [(4, 4), (4, 19), (5, 6), (16, 16), (23, 37), (150, 7), (7, 331)])
def test_any_grid_is_encoded_and_every_cell_counts(shape):
    torch.manual_seed(0)
    encoder = Encoder(2, shape)
    for layer in encoder:  # so that no cell is lost to chance, as by a ReLU
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.abs_()
    x = torch.ones(1, 2, *shape, requires_grad=True)
    features = encoder(x)
    assert features.shape == (1, 64)
    features.sum().backward()
    assert (x.grad > 0).all()


def test_smallest_grid():
    with pytest.raises(
        ParameterError, match="3 x 8 cells is too small to convolve; the smallest is 4 x 4"
    ):
        stack_for((3, 8))
    with pytest.raises(ParameterError, match="smallest grid is 4 x 4 cells"):
        GridParameters.validate_parameters({"shape": [3, 8]})


# The recurrence
# ---


def test_stacked_lstm_is_pytorchs():
    torch.manual_seed(1)
    stacked, x = StackedLSTM(3, 5, 2), torch.randn(4, 11, 3)
    expected, (_, c) = stacked.lstm(x)
    torch.testing.assert_close(stacked(x, 6), expected[:, -6:], atol=1e-6, rtol=1e-5)
    hidden, cells = stacked.states(x, 2)
    torch.testing.assert_close(hidden[1], expected[:, -2:], atol=1e-6, rtol=1e-5)
    for layer in (0, 1):
        torch.testing.assert_close(cells[layer][:, -1], c[layer], atol=1e-6, rtol=1e-5)


def test_gradients_are_pytorchs():
    torch.manual_seed(1)
    stacked, x = StackedLSTM(3, 5, 2), torch.randn(4, 11, 3, requires_grad=True)
    found = torch.autograd.grad(stacked(x, 4).square().sum(), [x, *stacked.parameters()])
    expected = torch.autograd.grad(
        stacked.lstm(x)[0][:, -4:].square().sum(), [x, *stacked.parameters()]
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


# One copy, and one encoding a day
# ---


def test_the_forcing_is_the_datasets_own_memory():
    ds = random_grid()
    model = small(ds)
    forcing = model.open(ds)
    assert [c.data_ptr() for c in forcing.channels] == [
        ds[n].values.ctypes.data for n in ("prcp", "tmean")
    ]


@pytest.mark.parametrize("predict_last", [1, 5])
@pytest.mark.parametrize("static", [(), ("elevation", "mask")])
def test_cached_features_equal_every_window_encoded_by_itself(predict_last, static):
    ds = random_grid()
    model = small(ds, static=static, predict_last=predict_last)
    found = predict(model, ds, LATE, progress=False)
    z = {
        n: (ds[n].values - m) / s
        for n, (m, s) in (model.scaling.forcings | model.scaling.attributes).items()
    }
    time = ds.indexes["time"]
    fields = [np.broadcast_to(z[n], ds["prcp"].shape) for n in static]
    grid = torch.from_numpy(np.stack([z["prcp"], z["tmean"], *fields], 1).astype(np.float32))
    names, (first, last) = (
        list(model.scaling.targets),
        (time.get_loc(str(d)) for d in (LATE.start, LATE.end)),
    )
    for end in range(first + predict_last - 1, last + 1, predict_last):
        window = torch.stack(
            [model.encoder(grid[day][None])[0] for day in range(end - 11, end + 1)]
        )
        out = model.head(model.recurrent.lstm(window[None])[0][0, -predict_last:])
        for k, name in enumerate(names):
            mean, std = model.scaling.targets[name]
            expected = out[:, k].detach().numpy() * std + mean
            days = time[end - predict_last + 1 : end + 1]
            np.testing.assert_allclose(
                found[name].sel(time=days)[0],
                np.maximum(expected, 0),
                atol=2e-6,
            )


def test_each_day_is_encoded_once_whatever_the_sequence(monkeypatch):
    ds = random_grid()
    for length in (12, 48):
        model, seen = small(ds, sequence_length=length), []
        encode = model._encode
        monkeypatch.setattr(
            model,
            "_encode",
            lambda forcing, days, encode=encode, seen=seen: (
                seen.extend(days.tolist()),
                encode(forcing, days),
            )[1],
        )
        predict(model, ds, LATE, progress=False)
        assert (
            len(seen)
            == len(set(seen))
            == len(ds.sel(time=slice("2000-11-02", "2001-01-20")).time) + length - 1
        )


def test_recomputed_activations_change_no_gradient(monkeypatch):
    ds = random_grid()
    model = small(ds)
    samples = grid_samples(ds, model.open(ds), list(model.scaling.targets), WHOLE, 12, 1)
    batch = samples.gather(torch.tensor([0, 1, 2, 40, 41, 41]))
    grads = []
    for cells in (2**20, 8 * 35):
        monkeypatch.setattr(cnn_lstm, "CELLS", cells)
        grads.append(
            torch.autograd.grad(model(batch.forcing, batch.days).sum(), list(model.parameters()))
        )
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_samples_end_on_observed_days_of_the_period():
    ds = random_grid()
    ds["streamflow"][70:200] = np.nan
    model = small(ds, targets=["streamflow"])
    samples = grid_samples(ds, model.open(ds), ["streamflow"], WHOLE, 12, 1)
    observed = ds["streamflow"].sel(time=slice("2000-03-01", "2000-12-31")).dropna("time")
    assert (
        samples.last.tolist() == ds.indexes["time"].get_indexer(observed.indexes["time"]).tolist()
    )
    batch = samples.gather(torch.tensor([0, 5]))
    np.testing.assert_array_equal(batch.target[:, 0, 0], observed[[0, 5]])
    assert batch.days[1].tolist() == list(
        range(int(samples.last[5]) - 11, int(samples.last[5]) + 1)
    )


def test_a_period_as_long_as_predict_last_is_one_sample():
    ds = random_grid().assign(streamflow=("time", np.arange(400, dtype=np.float32)))
    model = small(ds, targets=["streamflow"], predict_last=5)
    march = Period(start=dt.date(2000, 3, 1), end=dt.date(2000, 3, 5))
    samples = grid_samples(ds, model.open(ds), ["streamflow"], march, 12, 5)
    batch = samples.gather(torch.arange(len(samples)))
    assert batch.target[:, :, 0].tolist() == [[60, 61, 62, 63, 64]]  # 1 March is day 60
    assert batch.days.tolist() == [list(range(53, 65))]
    with pytest.raises(DataError, match="is shorter than predict_last"):
        grid_samples(ds, model.open(ds), ["streamflow"], march, 12, 6)


def test_a_period_may_end_on_the_last_day_of_the_data():
    """A longer record after it changes nothing, and its own last day is a target and simulated."""
    longer = random_grid()
    ds = longer.isel(time=slice(386))
    model, late = small(ds, targets=["streamflow"]), LATE
    assert str(ds["time"].values[-1])[:10] == str(LATE.end)
    short, whole = (predict(model, d, late, progress=False)["streamflow"] for d in (ds, longer))
    assert short["time"].values[-1] == ds["time"].values[-1] and short.notnull().all()
    np.testing.assert_allclose(short, whole, rtol=1e-5, atol=1e-6)
    ds["streamflow"][-1] = 4.5
    samples = grid_samples(ds, model.open(ds), ["streamflow"], late, 12, 1)
    batch = samples.gather(torch.tensor([len(samples) - 1]))
    assert batch.target.item() == 4.5 and batch.days[0, -1] == 385
    with pytest.raises(DataError, match="not within the data"):
        predict(model, ds.isel(time=slice(385)), late, progress=False)


def test_means_see_the_basin_alone():
    ds = random_grid()
    outside = ds.assign(prcp=ds["prcp"].where(ds["mask"] > 0, ds["prcp"] + 5))
    lstm, cnn = small(ds, "mean_lstm"), small(ds)
    same, other = (predict(lstm, d, LATE, progress=False)["et"] for d in (ds, outside))
    np.testing.assert_allclose(same, other, rtol=1e-6)
    assert not np.allclose(*(predict(cnn, d, LATE, progress=False)["et"] for d in (ds, outside)))


def test_scaling_by_hand():
    ds = random_grid()
    scaling = fit_grid_scaling(ds, ["et"], ["elevation"], WHOLE, means=False)
    inside = ds.sel(time=slice("2000-03-01", "2000-12-31"))
    pairs = [
        (scaling.forcings["prcp"], inside["prcp"]),
        (scaling.attributes["elevation"], ds["elevation"]),
        (scaling.targets["et"], inside["et"]),
    ]
    for found, values in pairs:
        assert found == pytest.approx(
            (values.values.mean(dtype=float), values.values.std(dtype=float)), rel=1e-6
        )


# Training
# ---


def test_a_training_writes_what_the_others_read(tmp_path):
    ds, p = random_grid(), settings(targets=["streamflow", "et"], static=["elevation"])
    model = train(ds, p, tmp_path)
    scores = simulate_test(model, ds, p, tmp_path)
    assert scores.index.tolist() == ["brook"]
    assert (tmp_path / "metrics_et.csv").exists()
    again = predict(load(tmp_path), ds, p.test_period, progress=False)
    np.testing.assert_array_equal(
        again["et"], predict(model, ds, p.test_period, progress=False)["et"]
    )
    assert (again["streamflow"] >= 0).all() and again["streamflow_obs"].attrs["units"] == "mm/d"


def test_a_stopped_training_ends_with_the_same_bits(tmp_path, monkeypatch):
    ds, march = (
        random_grid((4, 4), 120),
        Period(start=dt.date(2000, 3, 1), end=dt.date(2000, 3, 31)),
    )
    p = settings(
        epochs=2,
        train_period=march,
        test_period=Period(start=dt.date(2000, 4, 1), end=dt.date(2000, 4, 9)),
    )
    whole = train(ds, p, tmp_path / "whole")
    keep = Checkpoint.save

    def stop(self, at):
        keep(self, at)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Checkpoint, "save", stop)
        train(ds, p, tmp_path / "cut")
    assert not (tmp_path / "cut" / "model.json").exists()
    resumed = train(ds, p, tmp_path / "cut")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_grid_knows_what_the_mean_does_not(tmp_path):
    """Streamflow is the rain of one of 16 cells, of which the mean explains a sixteenth."""
    ds = random_grid((4, 4), 400)
    p = settings(
        targets=["streamflow"],
        epochs=5,
        samples_per_epoch=128,
        sequence_length=30,
        predict_last=28,
        learning_rate=1e-2,
        clip_norm=1.0,
        hidden=12,
    )
    train(ds, p, tmp_path)
    assert pd.read_csv(tmp_path / "progress.csv")["loss"].iloc[-1] < 0.5


def test_a_missing_target_teaches_nothing():
    ds = random_grid()
    p = settings(targets=["streamflow", "et"])
    ready = prepare_cnn_lstm(ds, p, "cpu")
    torch.manual_seed(0)
    model, batch = ready.build(), ready.samples.gather(torch.arange(4))
    batch.target[:, :, 0] = torch.nan
    ready.loss_of(model, batch).backward()
    assert (model.head.weight.grad[0] == 0).all() and (model.head.weight.grad[1] != 0).any()


# Mistakes
# ---


def test_what_is_wrong_is_said_in_one_line():
    ds = random_grid()
    for wrong, message in (
        (
            {"targets": ["evaporation"]},
            "targets.0 = 'evaporation' is unknown; choose one of streamflow, et",
        ),
        ({"targets": ["et", "et"]}, "targets = ['et', 'et']: it lists 'et' twice"),
        ({"model": "mean_lstm", "static": ["mask"]}, "mean_lstm sees no grid"),
        ({"predict_last": 99}, "predict_last (99) is longer than sequence_length (12)"),
    ):
        with pytest.raises(ParameterError) as error:
            CNNLSTMTrainParameters.validate_parameters(settings().plain() | wrong)
        assert message in str(error.value) and "\n" not in str(error.value)
    for change, parameters, message in (
        (
            lambda d: d.drop_vars("et"),
            {"targets": ["et"]},
            "brook has no target 'et'; known: streamflow",
        ),
        (
            lambda d: d.drop_vars(["et", "streamflow"]),
            {},
            "nor any other, so nothing can be trained on it",
        ),
        (lambda d: d, {"static": ["slope"]}, "no static field 'slope'"),
        (
            lambda d: d,
            {"sequence_length": 4000},
            "sequence_length 4000 is longer than the data, which have 400 days",
        ),
        (lambda d: d, {"sequence_length": 200}, "needs 196 days of forcing before 2000-03-01"),
        (
            lambda d: d.assign(streamflow=d["streamflow"] * np.nan),
            {},
            "brook has no streamflow in 2000-03-01",
        ),
        (lambda d: d.assign(prcp=d["prcp"] * 0), {}, "forcing prcp is 0 everywhere"),
    ):
        with pytest.raises(DataError) as error:
            prepare_cnn_lstm(change(ds.copy()), settings(**parameters), "cpu")
        assert message in str(error.value) and "\n" not in str(error.value)


def test_a_grid_of_another_shape_is_refused(tmp_path):
    save_model(small(random_grid()), tmp_path)
    model = load(tmp_path).train()
    with pytest.raises(DataError, match="trained on a grid of 5 x 7 cells and this one has 6 x 7"):
        predict(model, random_grid((6, 7)), LATE, progress=False)
    assert model.training


def test_prediction_needs_no_target():
    ds = random_grid()
    model = small(ds)
    found = predict(model, ds.drop_vars(["streamflow", "et"]), LATE, progress=False)
    assert set(found.data_vars) == {"streamflow", "et"} and found.notnull().all().to_array().all()


def test_published_settings_are_the_defaults():
    """Tables 2 and A2, Appendix A."""
    p = CNNLSTMTrainParameters()
    assert (p.hidden, p.layers, p.sequence_length, p.predict_last, p.epochs, p.batch_size) == (
        32,
        2,
        60,
        1,
        400,
        32,
    )
    assert [str(x) for x in (p.train_period, p.validation_period, p.test_period)] == [
        "1983-01-01 to 2004-12-31",
        "2006-01-01 to 2009-12-31",
        "2011-01-01 to 2014-12-31",
    ]


def test_the_forcing_of_means_has_no_cells():
    ds = random_grid()
    scaling = fit_grid_scaling(ds, ["et"], [], WHOLE, means=True)
    forcing = grid_forcing(ds, scaling, means=True)
    assert forcing.channels[0].shape == (400,) and forcing.static.shape == (0,)
    inside = ds["prcp"].values[:, 1:-1, 1:-1].mean((1, 2))
    np.testing.assert_allclose(forcing.channels[0], inside, rtol=1e-5)


def test_neither_streamflow_nor_evaporation_is_simulated_below_zero():
    """A network that gives the same on every day: its two targets are these numbers, or zero."""
    ds, given = random_grid(), {"streamflow": 0.5, "et": -0.25}
    model = small(ds)
    with torch.no_grad():
        model.head.weight.zero_()
        for n, value in enumerate(given.values()):
            model.head.bias[n] = (value - model.targets_mean[n]) / model.targets_std[n]
    simulation = predict(model, ds, LATE, progress=False)
    np.testing.assert_allclose(simulation["streamflow"], 0.5, rtol=1e-5)
    assert not simulation["et"].any()
