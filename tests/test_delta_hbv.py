"""Delta-HBV: what the network gives to HBV, HBV's own datasets as the truth, training, and local
calibration."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from catchments import period

import hydronb.training.loop
from hydronb import metrics
from hydronb.data import open_catchments
from hydronb.data.synthetic import synthetic_catchments
from hydronb.errors import DataError, ParameterError
from hydronb.losses import Terms, feng2022
from hydronb.models import hbv, load
from hydronb.models.continuous import log_sqrt
from hydronb.models.runoff_lstm import RunoffLSTM
from hydronb.parameters import DataParameters, DeltaHBVTrainParameters
from hydronb.runs.plan import read_plan
from hydronb.training import delta_hbv
from hydronb.training.loop import Checkpoint
from hydronb.training.predict import predict
from hydronb.training.train import simulate_test, train
from hydronb.vocabulary import MODELS

SETTINGS = {
    "attributes": ["p_mean", "aridity", "frac_snow"],
    "dynamic": [],
    "components": 3,
    "hidden": 5,
    "dropout": 0.2,
    "warmup_days": 30,
    "target_days": 40,
    "train_period": ["1990-01-01", "1990-09-30"],
    "test_period": ["1990-10-01", "1991-01-31"],
    "epochs": 2,
    "samples_per_epoch": 12,
    "batch_size": 4,
    "optimiser": "adam",
    "learning_rate": 0.02,
    "seed": 3,
    "device": "cpu",
}
VARIANTS = {
    "delta_1": {"components": 1},
    "delta_n": {},
    "delta_n(beta)": {"dynamic": ["BETA"]},
    "delta_n(gamma)": {"dynamic": ["BETAET"]},
    "delta_n(gamma,beta)": {"dynamic": ["BETAET", "BETA"]},
    "delta_n(NN_r)": {"recharge": "network"},
    "attributes": {"network": "attributes"},
    "both": {"dynamic": ["BETAET", "BETA"], "network": "both"},
}
DYNAMIC = VARIANTS["delta_n(gamma,beta)"]
TEST = period("1990-10-01", "1991-01-31")


def settings(**changes) -> DeltaHBVTrainParameters:
    return DeltaHBVTrainParameters.validate_parameters(SETTINGS | changes)


@pytest.fixture(scope="module")
def ds():
    return synthetic_catchments(3, 2).drop_vars("true_regime")


def prepare(ds, p, device):
    return MODELS[p.model].training()(ds, p, device)


def model(ds, **changes):
    p = settings(**changes)
    torch.manual_seed(p.seed)
    return prepare(ds, p, "cpu").build()


def batch(ds, p):
    return prepare(ds, p, "cpu").samples.gather(torch.arange(4))


@pytest.mark.parametrize("name", VARIANTS)
def test_simulation_is_hbv_of_the_parameters_that_come_with_it(ds, name):
    """Streamflow in single precision against `hbv.simulate` in double precision, on the same
    parameters."""
    m = model(ds, initialisation="typical", **VARIANTS[name]).eval()
    out = m.simulate(ds, TEST, progress=False, details=True)
    assert out.sizes == {"basin": 3, "time": 123, "component": m.components}
    for known in (*hbv.PARAMETERS, *hbv.ROUTING):
        if known == "BETAET" and known not in m.dynamic:
            assert known not in out
            continue
        low, high, unit, _ = (hbv.PARAMETERS | hbv.ROUTING)[known]
        dims = ("basin",) if known in hbv.ROUTING else ("basin", "time", "component")
        assert out[known].dims == (
            dims if known in m.dynamic or known in hbv.ROUTING else ("basin", "component")
        )
        assert (
            low <= out[known].min()
            and out[known].max() <= high
            and out[known].attrs["units"] == unit
        )
    np.testing.assert_array_equal(out["streamflow_obs"], ds["streamflow"].sel(time=out["time"]))
    if m.recharge is not None:
        return
    parameters = out[[n for n in (*hbv.PARAMETERS, *hbv.ROUTING) if n in out]]
    if m.dynamic:  # before the period they are static, those of the day before it
        h = m.states(*tensors(m, ds, "1990-09-30"), last=1)[:, 0]
        static = {
            n: (("basin", "component"), v.detach().numpy())
            for n, v in m.read(h).items()
            if n in m.dynamic
        }
        days = ds["time"].sel(time=slice(None, "1990-09-30"))
        first = xr.Dataset(static, {"basin": ds["basin"]}).expand_dims(time=days)
        daily = xr.concat(
            [first.transpose("basin", "time", "component"), parameters[list(m.dynamic)]], "time"
        )
        parameters = parameters.drop_vars([*m.dynamic, "time"]).assign(daily.data_vars)
    truth = hbv.simulate(ds.sel(time=slice(None, "1991-01-31")), parameters).sel(time=out["time"])
    for flux in ("streamflow", *hbv.FLUXES, *hbv.STORES):
        mean = truth[flux].mean("component") if "component" in truth[flux].dims else truth[flux]
        np.testing.assert_allclose(out[flux], mean, rtol=2e-3, atol=2e-3, err_msg=flux)


def tensors(m, ds, last: str):
    """Forcing of the days that the network reads before `last`, and the attributes."""
    days = ds.sel(time=slice(None, last)).isel(time=slice(-m.warmup_days - m.target_days, None))
    dynamic = np.stack([days[n].values for n in m.scaling.forcings], -1).astype(np.float32)
    return torch.from_numpy(dynamic), torch.from_numpy(m.scaling.static(ds).astype(np.float32))


@pytest.mark.parametrize("name", VARIANTS)
def test_no_look_ahead(ds, name):
    """Weather after a day changes nothing up to it; the record after the period changes nothing at
    all."""
    m = model(ds, **VARIANTS[name])
    other = ds.copy(deep=True)
    later = other["time"].values > np.datetime64("1990-11-15")
    other["prcp"][:, later], other["tmean"][:, later], other["pet"][:, later] = 30.0, 1.0, 0.5
    whole, changed = (m.simulate(d, TEST, progress=False, details=True) for d in (ds, other))
    before = slice(None, "1990-11-15")
    for n, values in whole.drop_vars("streamflow_obs").data_vars.items():
        old, new = (v.sel(time=before) if "time" in v.dims else v for v in (values, changed[n]))
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(whole["streamflow"], changed["streamflow"])


@pytest.mark.parametrize("changes", [*VARIANTS.values(), {"model": "runoff_lstm"}])
def test_a_simulation_draws_no_dropout(ds, changes):
    """The same from a model in training mode, which it is left in."""
    m = model(ds, **changes).eval()
    expected = m.simulate(ds, TEST, progress=False)
    xr.testing.assert_identical(m.train().simulate(ds, TEST, progress=False), expected)
    assert m.training


@pytest.mark.parametrize(
    "changes", [{}, DYNAMIC, {"model": "runoff_lstm"}, {"model": "local_hbv", "starts": 2}]
)
def test_a_period_may_end_on_the_last_day_of_the_data(ds, changes):
    """The record after the period does not count, not even whether there is one; in the training
    period, the last day is a target."""
    m, cut = model(ds, **changes).eval(), ds.sel(time=slice(None, "1991-01-31"))
    whole, short = (m.simulate(d, TEST, progress=False) for d in (ds, cut))
    assert str(short["time"].values[-1])[:10] == "1991-01-31" and short.sizes["time"] == 123
    xr.testing.assert_identical(short, whole)
    with pytest.raises(DataError, match="not within the data"):
        m.simulate(cut.isel(time=slice(-1)), TEST, progress=False)
    last = period("1990-10-01", "1991-01-31")
    p = settings(**changes, train_period=last, test_period=["1990-01-01", "1990-09-30"])
    cut["streamflow"][:, -1] = [5.0, 6.0, 7.0]
    samples = prepare(cut, p, "cpu").samples
    targets = (
        samples.gather(torch.zeros(1)).target
        if p.model == "local_hbv"
        else samples.gather(torch.nonzero(samples.last == samples.last.max())[:, 0]).target
    )
    assert targets[:, -1].flatten().tolist() == [5.0, 6.0, 7.0]


def test_a_period_may_begin_right_after_the_warm_up(ds):
    """92 days are before 1990: as many may warm up, and no more."""
    p = settings(warmup_days=92)
    *_, first, end = prepare(ds, p, "cpu").build().inputs(ds, p.train_period)
    assert (first, end) == (92, 92 + 273)
    with pytest.raises(DataError, match="the data have 92 days before 1990-01-01"):
        prepare(ds, settings(warmup_days=93), "cpu")


@pytest.mark.parametrize(
    ("changes", "days", "shown"),
    [({}, 40, "FC"), (DYNAMIC, 70, "FC"), ({"model": "runoff_lstm"}, 70, "streamflow")],
)
def test_the_network_reads_as_many_days_as_a_training_sample_has(ds, changes, days, shown):
    """Before a period: the 40 target days, and the 30 that a dynamic model or the LSTM warms up on.
    Weather before them fills HBV's stores alone."""
    m = model(ds, forget_bias=5.0, **changes).eval()
    first = int(np.searchsorted(ds["time"].values, np.datetime64("1990-10-01")))
    earlier, nearer = ds.copy(deep=True), ds.copy(deep=True)
    earlier["tmean"][:, : first - days] += 20
    nearer["tmean"][:, first - days] += 20
    details = {} if shown == "streamflow" else {"details": True}
    expected, same, other = (
        m.simulate(d, TEST, progress=False, **details)[shown] for d in (ds, earlier, nearer)
    )
    np.testing.assert_array_equal(same, expected)
    assert not np.array_equal(other, expected)


def test_warm_up_is_static_and_has_no_gradient(ds):
    """The stores at the first target day come from the static parameters of the last day before,
    whatever the daily ones of the warm-up say; the gradient of the loss reaches the network through
    the target days alone.
    """
    m = model(ds, **DYNAMIC, dropout=0.0)
    b = batch(ds, settings(**DYNAMIC))
    seen = []
    run = m._run
    m._run = lambda *given, **state: (
        seen.append((given, torch.is_grad_enabled())) or run(*given, **state)
    )
    m(b.dynamic, b.static)
    ((warm_forcing, warm), with_gradient), ((_, static, daily), training) = seen
    assert warm_forcing.shape[1] == 30 and not with_gradient and training
    h = m.states(b.dynamic, b.static, last=41)
    for n, values in m.read(h[:, 0]).items():
        assert torch.equal(values, warm[n])
    for n, values in m.read(h[:, -1]).items():
        torch.testing.assert_close(values, static[n])
    assert set(daily) == {"BETA", "BETAET"} and daily["BETA"].shape == (4, 40, 3)
    torch.testing.assert_close(daily["BETA"][:, -1], static["BETA"])


def test_a_dynamic_parameter_falls_back_on_its_static_value(ds):
    m = model(ds, **DYNAMIC, dropout=0.0, dynamic_dropout=0.5)
    daily, static = torch.rand(400, 7, 3), torch.rand(400, 3)
    out = m._fall_back(daily, static)
    falls = (out == static[:, None]).all(2).all(1)
    assert torch.equal(out[~falls], daily[~falls]) and 0.4 < falls.float().mean() < 0.6


def test_of_two_networks_the_weather_reaches_daily_parameters_alone(ds):
    m = model(ds, **VARIANTS["both"]).eval()
    warmer = ds.assign(tmean=ds["tmean"] + 10)
    cold, warm = (m.simulate(d, TEST, progress=False, details=True) for d in (ds, warmer))
    for name in (*m.names, *hbv.ROUTING):
        assert cold[name].equals(warm[name]) == (name not in m.dynamic), name
    elsewhere = ds.assign(aridity=ds["aridity"] + 1)
    assert not m.simulate(elsewhere, TEST, progress=False, details=True)["FC"].equals(cold["FC"])


def test_typical_start(ds):
    """One component starts at the usual values, give or take what the network's weights add."""
    m = model(ds, components=1, initialisation="typical")
    usual = {n: p.usual for n, p in (hbv.PARAMETERS | hbv.ROUTING).items()}
    assert usual["FC"] == 250 and usual["routing_a"] == 1.4
    for n, value in m.read(torch.zeros(2, 5)).items():
        torch.testing.assert_close(
            value.flatten(), torch.full((2,), usual[n]), rtol=1e-4, atol=1e-5
        )


def test_every_weight_learns(ds):
    for changes in VARIANTS.values():
        p = settings(**changes)
        ready = prepare(ds, p, "cpu")
        m = ready.build()
        ready.loss_of(m, ready.samples.gather(torch.arange(0, 600, 100))).backward()
        assert all(
            w.grad is not None and w.grad.isfinite().all() and w.grad.any() for w in m.parameters()
        )


def test_iterations_of_an_epoch_are_the_paper_s():
    assert delta_hbv.iterations(671, 5478 - 365, 100, 365) == 431
    assert delta_hbv.iterations(2, 300, 100, 365) == 1


def test_loss_by_hand():
    """Errors 3 and -4 mm/d, one observation missing; (sqrt(q) + 0.1) of 0.81, 0.01, 0, 0.25."""
    sim, obs = torch.tensor([[4.0, 0.0, 7.0]]), torch.tensor([[1.0, 4.0, float("nan")]])
    terms = Terms(
        sim[..., None],
        obs[..., None],
        torch.ones(1, 1),
        torch.ones(1),
        torch.zeros(1, dtype=torch.long),
    )
    low = [np.log10(np.sqrt(q + 1e-6) + 0.1) for q in (4, 1, 0, 4)]
    expected = 0.75 * np.sqrt((9 + 16) / 2) + 0.25 * np.sqrt(
        ((low[0] - low[1]) ** 2 + (low[2] - low[3]) ** 2) / 2
    )
    assert feng2022(terms).item() == pytest.approx(expected, rel=1e-6)


def test_calibration_loses_one_minus_nse_of_the_observed_days(ds):
    """Against the metric, with gaps."""
    rng = np.random.default_rng(0)
    obs, sim = rng.gamma(1, 2, (3, 50)), rng.gamma(1, 2, (3, 50, 2))
    obs[rng.random(obs.shape) < 0.3] = np.nan
    losses = delta_hbv.nse_losses(torch.from_numpy(sim), torch.from_numpy(obs))
    dims = ("basin", "time", "start")
    scores = metrics.nse(sim=xr.DataArray(sim, dims=dims), obs=xr.DataArray(obs, dims=dims[:2]))
    np.testing.assert_allclose(losses, 1 - scores.transpose("basin", "start"), rtol=1e-9)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_components_have_the_means_that_are_simulated(ds, name):
    """And each closes its own water balance."""
    m = model(ds, initialisation="typical", **VARIANTS[name]).eval()
    means = m.simulate(ds, TEST, progress=False, details=True)
    each = m.simulate(ds, TEST, progress=False, details="components")
    np.testing.assert_allclose(each["streamflow"], means["streamflow"], rtol=1e-5, atol=1e-6)
    for flux in (*hbv.FLUXES, *hbv.STORES):
        assert each[flux].dims == ("basin", "time", "component")
        np.testing.assert_allclose(
            each[flux].mean("component"), means[flux], rtol=1e-5, atol=1e-5, err_msg=flux
        )
    storage = sum(each[store] for store in hbv.STORES)
    prcp = ds["prcp"].sel(time=each["time"])
    left = prcp - each["et"] - each["q0"] - each["q1"] - each["q2"] - storage.diff("time")
    assert float(abs(left).max()) < 1e-3


def test_components_are_saved_beside_their_means(ds, tmp_path):
    p = settings(components=3, details="components", run_dir=str(tmp_path))
    simulate_test(model(ds, components=3).eval(), ds, p, tmp_path)
    each = xr.load_dataset(tmp_path / "components.nc")
    means = xr.load_dataset(tmp_path / "fluxes.nc")
    assert each.sizes["component"] == 3 and "component" not in means.dims
    assert set(each) == set(means) == {*hbv.FLUXES, *hbv.STORES}
    np.testing.assert_allclose(each["et"].mean("component"), means["et"], rtol=1e-5)
    (tmp_path / "b").mkdir()
    simulate_test(model(ds).eval(), ds, settings(), tmp_path / "b")
    assert not (tmp_path / "b" / "components.nc").exists()


def test_parameters_of_a_network_for_recharge_are_no_hbv(ds):
    m = model(ds, dynamic=[], recharge="network").eval()
    out = m.simulate(ds, TEST, progress=False, details=True)
    with pytest.raises(ParameterError, match=r"of delta_n\(NN_r\), whose recharge is a network"):
        hbv.simulate(ds.sel(time=out["time"]), out[[n for n in hbv.PARAMETERS if n in out]])


def test_the_best_calibration_is_simulated(ds):
    """By its own loss on the training period, in each basin."""
    m = model(ds, model="local_hbv", starts=3)
    m.loss.copy_(torch.tensor([[0.3, 0.1, 0.2], [0.1, 0.2, 0.3], [3.0, 2.0, 1.0]]))
    out = m.simulate(ds, TEST, progress=False, details=True)
    every = m.parameters_of(m.raw.detach())
    for name, values in every.items():
        best = [values[0, 1], values[1, 0], values[2, 2]]
        np.testing.assert_array_equal(out[name].values.flatten(), torch.stack(best))


def test_the_lstm_learns_from_observed_days_alone(ds):
    """RMSE of the standardised target, by hand over the days that are observed."""
    p = settings(model="runoff_lstm", dropout=0.0)
    ready = prepare(ds, p, "cpu")
    torch.manual_seed(0)
    m, b = ready.build(), ready.samples.gather(torch.arange(0, 600, 100))
    b.target[:, ::3] = torch.nan
    z = m(b.dynamic, b.static).detach().numpy()
    target = m.encode(b.target[:, :, 0], b.static).numpy()
    expected = np.sqrt(np.nanmean((z - target) ** 2))
    assert ready.loss_of(m, b).item() == pytest.approx(expected, rel=1e-5)


def test_dynamic_parameters_fall_back_in_training_alone(ds):
    m = model(ds, **DYNAMIC, dropout=0.0, dynamic_dropout=0.5)
    b = batch(ds, settings(**DYNAMIC))
    drawn = [m.train()(b.dynamic, b.static) for _ in range(2)]
    fixed = [m.eval()(b.dynamic, b.static) for _ in range(2)]
    assert not torch.equal(*drawn) and torch.equal(*fixed)


def test_the_lstm_s_target_is_streamflow_over_precipitation(ds):
    m = model(ds, model="runoff_lstm")
    assert isinstance(m, RunoffLSTM)
    days = ds.sel(time=slice("1990-01-01", "1990-09-30"))
    z = m.encode(
        torch.from_numpy(days["streamflow"].values), torch.from_numpy(m.scaling.static(ds)).float()
    )
    assert np.nanmean(z.numpy()) == pytest.approx(0, abs=1e-4) and np.nanstd(
        z.numpy()
    ) == pytest.approx(1, rel=1e-4)
    back = m.decode(z, torch.from_numpy(m.scaling.static(ds)).float())
    np.testing.assert_allclose(back, days["streamflow"], rtol=1e-3, atol=1e-5)
    assert log_sqrt(torch.tensor(0.81)).item() == pytest.approx(0)


@pytest.mark.parametrize(
    "changes", [*VARIANTS.values(), {"model": "runoff_lstm"}, {"model": "local_hbv", "starts": 2}]
)
def test_what_a_training_leaves_behind(ds, tmp_path, changes):
    p = settings(**changes)
    m = train(ds, p, tmp_path)
    # as the notebooks call it, whichever of the models they train
    scores = simulate_test(m, ds, p, tmp_path)
    assert list(scores.index) == list(ds["basin"].values)
    again = load(tmp_path)
    simulated = predict(again, ds, p.test_period, progress=False)
    xr.testing.assert_equal(simulated, predict(m, ds, p.test_period, progress=False))
    with xr.open_dataset(tmp_path / "simulation.nc") as stored:
        np.testing.assert_array_equal(stored["streamflow"], simulated["streamflow"])
    hbvs = ["fluxes.nc", "parameters.nc"] if p.model != "runoff_lstm" else []
    assert sorted(f.name for f in tmp_path.glob("*.nc")) == sorted(["simulation.nc", *hbvs])
    for name in hbvs:
        with xr.open_dataset(tmp_path / name) as stored:
            assert all(values.attrs["units"] for values in stored.data_vars.values())


class Killed(BaseException):
    """Cuts a training off right after a checkpoint; the real signal is `test_train`'s."""


@pytest.mark.parametrize(
    "changes",
    [
        DYNAMIC | {"dynamic_dropout": 0.3, "optimiser": "adadelta"},
        VARIANTS["both"],
        {"model": "local_hbv", "starts": 2},
    ],
)
def test_killed_and_resumed_ends_with_the_same_bits(ds, tmp_path, monkeypatch, changes):
    p, save, saves = settings(**changes), Checkpoint.save, []

    def dying(self, at):
        save(self, at)
        saves.append(at)
        if len(saves) == 4:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(hydronb.training.loop, "CHECKPOINT_SECONDS", -1)
        patch.setattr(Checkpoint, "save", dying)
        with pytest.raises(Killed):
            train(ds, p, tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.json").exists()
    torch.rand(7)  # whatever happens to the random numbers in between
    ends = [train(ds, p, tmp_path / folder).state_dict() for folder in ("killed", "undisturbed")]
    assert all(torch.equal(ends[0][n], ends[1][n]) for n in ends[1])


def test_local_calibration_recovers_the_river_of_an_hbv():
    """Streamflow of HBVs with parameters drawn at random, without noise: on days that the
    calibration has not seen, NSE nears 1, and LP, which such a river shows, comes out."""
    ds, rng = synthetic_catchments(3, 3), np.random.default_rng(0)
    bounds = {n: b for n, b in (hbv.PARAMETERS | hbv.ROUTING).items() if n != "BETAET"}
    true = {n: b.low + rng.uniform(0.2, 0.6, 3) * (b.high - b.low) for n, b in bounds.items()}
    of_basin = xr.Dataset({n: ("basin", v) for n, v in true.items()}, {"basin": ds["basin"]})
    river = ds.assign(streamflow=hbv.simulate(ds, of_basin)["streamflow"])
    p = settings(
        model="local_hbv",
        starts=4,
        warmup_days=90,
        train_period=["1990-01-01", "1991-09-30"],
        test_period=["1991-10-01", "1992-09-30"],
    )
    torch.manual_seed(0)
    ready = prepare(river, p, "cpu")
    m = ready.build()
    optimiser = torch.optim.Adam(m.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        ready.loss_of(m, ready.samples.gather(torch.zeros(1))).backward()
        optimiser.step()
    out = m.simulate(river, p.test_period, progress=False, details=True)
    assert (metrics.nse(sim=out["streamflow"], obs=out["streamflow_obs"]) > 0.99).all()
    np.testing.assert_allclose(out["LP"][:, 0], true["LP"], rtol=0.1)


def test_calibrations_do_not_feel_each_other(ds):
    """The gradient of each start is that of its own loss."""
    torch.manual_seed(0)
    ready = prepare(ds, settings(model="local_hbv", starts=2), "cpu")
    m = ready.build()
    record = ready.samples.gather(torch.zeros(1))
    ready.loss_of(m, record).backward()
    of_all = m.raw.grad.clone()
    m.raw.grad = None
    losses = delta_hbv.nse_losses(m(record.dynamic)[:, -record.target.shape[1] :], record.target)
    losses[1, 0].backward()
    torch.testing.assert_close(m.raw.grad[:, 1, 0], of_all[:, 1, 0])
    assert not m.raw.grad[:, 0].any() and not m.raw.grad[:, :, 1].any()


@pytest.mark.parametrize(
    "changes, error, words",
    [
        (
            {"dynamic": ["BETTA"]},
            ParameterError,
            r"unknown dynamic parameter 'BETTA'; did you mean 'BETA'",
        ),
        ({"dynamic": ["gamma"]}, ParameterError, r"unknown dynamic parameter 'gamma'.*BETAET"),
        ({"dynamic": ["BETA"], "network": "attributes"}, ParameterError, "needs network: lstm"),
        ({"network": "both"}, ParameterError, "both is for dynamic parameters, and there are none"),
        ({"forcings": ["prcp", "tmean"]}, ParameterError, "forcings lack 'pet'"),
        ({"warmup_days": 0}, ParameterError, "warmup_days = 0: the stores of HBV start empty"),
        (
            {"model": "runoff_lstm", "attributes": ["aridity"]},
            ParameterError,
            "attributes lack 'p_mean'",
        ),
        (
            {"warmup_days": 100},
            DataError,
            "the data have 92 days before 1990-01-01, and warming up takes 100; start the",
        ),
        (
            {"warmup_days": 40, "target_days": 300},
            DataError,
            "has 273 days, fewer than the target_days 300 of a sample",
        ),
        (
            {"model": "local_hbv", "warmup_days": 100},
            DataError,
            (
                "the data have 92 days before 1990-01-01, and warming up takes 100; start the"
                " period on 1990-01-09 or later"
            ),
        ),
        ({"validation_period": ["1991-02-01", "1991-10-30"]}, DataError, "not within the data"),
    ],
)
def test_bad_settings_in_one_line(ds, changes, error, words):
    with pytest.raises(error, match=words) as caught:
        prepare(ds, settings(**changes), "cpu")
    assert "\n" not in str(caught.value)


def test_missing_forcing_is_named(ds):
    m, broken = model(ds), ds.copy(deep=True)
    broken["tmean"][1, 7] = np.nan
    with pytest.raises(
        DataError, match=r"tmean of basin syn_0002 is missing on 1989-10-08 \(1 values in all\)"
    ):
        m.simulate(broken, TEST, progress=False)


def test_pet_of_a_user_s_own_file(ds, tmp_path):
    """Computed where it is missing or asked for; without a latitude it cannot be, and that is
    said."""
    days = ds.isel(time=slice(60))
    days.drop_vars("pet").to_netcdf(tmp_path / "rain.nc")
    days.drop_vars(["pet", "lat"]).to_netcdf(tmp_path / "nowhere.nc")
    days.to_netcdf(tmp_path / "whole.nc")

    def opened(name, pet="auto"):
        return open_catchments(DataParameters(kind="file", path=str(tmp_path / name), pet=pet))

    assert opened("rain.nc")["pet"].attrs["method"] == "hargreaves"
    xr.testing.assert_equal(opened("whole.nc")["pet"], days["pet"])
    assert not np.allclose(opened("whole.nc", "oudin")["pet"], days["pet"])
    with pytest.raises(
        DataError, match="no pet, and without the coordinate lat none can be computed"
    ):
        prepare(opened("nowhere.nc"), settings(), "cpu")
    with pytest.raises(DataError, match=r"nowhere\.nc: PET needs the coordinate lat"):
        opened("nowhere.nc", "oudin")


def test_a_basin_that_was_not_calibrated(ds):
    m = model(ds.isel(basin=[0, 1]), model="local_hbv")
    with pytest.raises(DataError, match="basin syn_0003 was not calibrated"):
        m.simulate(ds, TEST, progress=False)


def test_gamma_is_never_static(ds):
    """It exists only where it varies in time: asked static it is refused, and a static model has
    none."""
    assert (
        "BETAET" not in model(ds, dynamic=["BETA"]).names and "BETAET" in model(ds, **DYNAMIC).names
    )
    with pytest.raises(ParameterError, match="dynamic_dropout"):
        settings(**DYNAMIC, dynamic_dropout=1.0)
    with pytest.raises(
        ParameterError, match=r"'static'; what `dynamic` does not name is static; BETAET"
    ):
        settings(static=["BETAET"])


def test_the_paper_plan_is_the_published_settings(tmp_path, monkeypatch):
    """The class's defaults are the published settings; nothing in the plan is left to the
    notebook's small ones."""
    monkeypatch.setenv("CAMELS_US", str(tmp_path))
    monkeypatch.setenv("CAMELS_BENCHMARK_MODELS", str(tmp_path))
    plan = Path(__file__).parents[1] / "params/paper/delta_hbv_camels.yaml"
    runs = {r.id: r.everything for r in read_plan(plan).runs}
    published = DeltaHBVTrainParameters().plain()
    for name, changes in {
        "delta_1": {"components": 1, "dynamic": []},
        "delta_n": {"dynamic": []},
        "delta_n_beta": {"dynamic": ["BETA"]},
        "delta_n_gamma": {"dynamic": ["BETAET"]},
        "delta_n_gamma_beta": {},
        "delta_n_nn_r": {"dynamic": [], "recharge": "network"},
    }.items():
        expected = published | changes
        given = DeltaHBVTrainParameters.validate_parameters(runs[name]).plain()
        assert {k for k in published if given[k] != expected[k]} <= {
            "data",
            "run_dir",
            "starts",
        }, name
    lstm = runs["lstm"]
    assert lstm["forcings"] == ["prcp", "tmean", "srad", "vp", "dayl"] and lstm["epochs"] == 300
    assert lstm["train_period"]["start"] == "1980-10-01" and lstm["warmup_days"] == 0
    assert (
        runs["delta_1_maurer"]["components"] == 1
        and runs["delta_1_maurer"]["data"]["forcing"] == "maurer_extended"
    )
    for name in ("delta_n", "delta_n_nn_r", "delta_n_beta", "delta_n_gamma", "delta_n_gamma_beta"):
        of_maurer = {"data", "train_period", "test_period", "run_dir"}
        other = runs[f"{name}_maurer"]
        assert {k for k in runs[name] if runs[name][k] != other[k]} <= of_maurer, name
        assert other["test_period"]["end"] == "1999-09-30"
