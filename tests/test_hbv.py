"""HBV: water balance, the fused core against the plain step, a second implementation, states, bad
input."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from hydronb.data.synthetic import truth_hbv
from hydronb.errors import DataError, ParameterError
from hydronb.models import hbv

EVERYTHING = (*hbv.STORES, *hbv.FLUXES)


def weather(basins: int, days: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precipitation, temperature, PET (basin, time) with frost, thaw, dry spells and floods."""
    rng = np.random.default_rng(seed)
    prcp = rng.gamma(0.4, 12, (basins, days)) * (rng.random((basins, days)) < 0.6)
    tmean = 3 + 12 * np.sin(np.arange(days) / 60 * 2 * np.pi) + rng.normal(0, 4, (basins, days))
    return prcp, tmean, np.maximum(0, 0.2 * tmean)


def parameters(basins: int, n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed + 1)
    return {name: rng.uniform(p.low, p.high, (basins, n)) for name, p in hbv.PARAMETERS.items()}


def tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(a, dtype=torch.float64) for a in arrays)


def datasets(
    basins: int = 3, days: int = 60, n: int | None = 2, seed: int = 0
) -> tuple[xr.Dataset, xr.Dataset]:
    """Forcing and parameters, routing among them, with BETA over time."""
    coords = {
        "basin": np.array([f"x_{k}" for k in range(basins)], object),
        "time": pd.date_range("2001-01-01", periods=days),
    }
    names = ("prcp", "tmean", "pet")
    forcing = xr.Dataset(
        {
            k: (("basin", "time"), v)
            for k, v in zip(names, weather(basins, days, seed), strict=True)
        },
        coords,
    )
    dims = ("basin",) if n is None else ("basin", "component")
    values = {
        k: (dims, v[:, 0] if n is None else v) for k, v in parameters(basins, n or 1, seed).items()
    }
    rng = np.random.default_rng(seed + 2)
    routing = {
        name: ("basin", rng.uniform(p.low, p.high, basins)) for name, p in hbv.ROUTING.items()
    }
    given = xr.Dataset(values | routing, {"basin": coords["basin"]})
    season = xr.DataArray(np.linspace(1, 2, days), {"time": coords["time"]})
    return forcing, given.assign(BETA=np.minimum(given["BETA"] * season, 6))


def mean(da: xr.DataArray) -> xr.DataArray:
    return da.mean("component") if "component" in da.dims else da


SHAPE = {"basins": 2, "days": 12, "n": 3}


@st.composite
def anything(draw) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Any forcing, any parameters within bounds, the bounds themselves among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def between(low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        edges = draw(st.floats(0, 1))
        values = rng.uniform(low, draw(st.floats(low, high)), shape)
        return np.where(rng.random(shape) < edges, rng.choice([low, high], shape), values)

    series = [
        between(*limits, (SHAPE["basins"], SHAPE["days"]))
        for limits in ((0, 2000), (-90, 60), (0, 50))
    ]
    shape = (SHAPE["basins"], SHAPE["days"], SHAPE["n"])
    return series, {name: between(p.low, p.high, shape) for name, p in hbv.PARAMETERS.items()}


@given(anything(), st.sampled_from(["step", "fused"]))
@settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
def test_water_is_neither_made_nor_lost_and_no_store_is_negative(case, route):
    series, values = case
    prcp, tmean, pet = tensors(*series)
    dynamic = dict(zip(values, tensors(*values.values()), strict=True))
    out, end = hbv.run(prcp, tmean, pet, {}, dynamic, want=EVERYTHING, components=True, route=route)
    stores = torch.stack([out[name] for name in hbv.STORES])
    assert stores.min() >= 0 and min(out[name].min() for name in hbv.FLUXES) >= 0
    assert torch.equal(stores[:, :, -1], end)
    before = torch.cat([torch.full_like(stores[:, :, :1], 0.001), stores[:, :, :-1]], 2)
    leaving = out["et"] + out["q0"] + out["q1"] + out["q2"]
    assert (prcp[:, :, None] - leaving - (stores - before).sum(0)).abs().max() < 1e-9
    assert (out["rain"] + out["snow"] - prcp[:, :, None]).abs().max() < 1e-9


def by_hand(**changes: float) -> dict[str, Tensor]:
    """Parameters of one basin and component that leave hardly anything to compute."""
    values = {"BETA": 1, "FC": 50, "K0": 0.5, "K1": 0.1, "K2": 0.02, "LP": 0.2, "PERC": 0}
    values |= {"UZL": 100, "TT": 0, "CFMAX": 2, "CFR": 0, "CWH": 0, "BETAET": 1} | changes
    return {name: torch.tensor([[float(v)]], dtype=torch.float64) for name, v in values.items()}


@pytest.mark.parametrize("route", ["step", "fused"])
def test_the_first_days_by_hand(route):
    """Every store starts with 0.001 mm. A first day at 1 degree without rain or demand: the pack
    melts, none of the meltwater is held, so 0.002 mm come to the soil, of which the share 0.001 /
    50 passes; the zones give a tenth and a fiftieth. A second day of frost with 3 mm of snow: all
    of it lies in the pack, and the zones alone give."""
    days = tensors(np.array([[0.0, 3.0]]), np.array([[1.0, -1.0]]), np.zeros((1, 2)))
    out, _ = hbv.run(*days, by_hand(), want=EVERYTHING, route=route)
    passed = 0.002 * 0.001 / 50
    expected = {
        "snowpack": [0, 3],
        "meltwater": [0, 0],
        "soil_moisture": 2 * [0.003 - passed],
        "upper_zone": [0.9 * (0.001 + passed), 0.9**2 * (0.001 + passed)],
        "lower_zone": [0.98 * 0.001, 0.98**2 * 0.001],
        "melt": [0.001, 0],
        "recharge": [passed, 0],
        "q1": [0.1 * (0.001 + passed), 0.09 * (0.001 + passed)],
        "q2": [0.02 * 0.001, 0.02 * 0.98 * 0.001],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(out[name][0], values, rtol=1e-12, atol=1e-15, err_msg=name)


def test_a_simulation_starts_with_a_thousandth_in_every_store():
    forcing, given = datasets(basins=1, days=1, n=None)
    no_water = forcing.assign(prcp=0 * forcing["prcp"], pet=0 * forcing["pet"])
    out = hbv.simulate(no_water, given).isel(basin=0, time=0)
    left = sum(out[name] for name in hbv.STORES) + out["q0"] + out["q1"] + out["q2"]
    assert float(left) == pytest.approx(0.005, rel=1e-9)


@pytest.mark.parametrize("route", ["step", "fused"])
def test_a_hundred_thousandth_of_a_millimetre_never_evaporates(route):
    """However dry the days, 1e-5 mm stay in the soil, and so does what lies below that."""
    state = torch.zeros(5, 1, 1, dtype=torch.float64)
    for start, left in ((0.5, 1e-5), (1e-5, 1e-5), (4e-6, 4e-6), (0.0, 0.0)):
        state[2] = start
        dry = tensors(np.zeros((1, 3)), np.full((1, 3), 9.0), np.full((1, 3), 50.0))
        out, _ = hbv.run(*dry, by_hand(), state=state, want=("soil_moisture", "et"), route=route)
        np.testing.assert_allclose(out["soil_moisture"][0], 3 * [left], rtol=1e-9, atol=0)
        assert out["et"].sum().item() == pytest.approx(start - left, abs=1e-15)


@pytest.mark.parametrize("cut", [5, 14, 15, 40])
def test_water_on_its_way_is_that_of_the_last_days_before(cut):
    """A series cut in two, the first part longer than the unit hydrograph or shorter; against a
    convolution of the whole."""
    rng = np.random.default_rng(0)
    flow = rng.gamma(1, 3, (3, 60))
    a, b = tensors(np.array([0.5, 1.3, 2.9]), np.array([1.0, 0.0, 6.5]))
    weights = hbv.unit_hydrograph(a, b).numpy()
    expected = [np.convolve(q, w)[:60] for q, w in zip(flow, weights, strict=True)]
    before, after = tensors(flow[:, :cut], flow[:, cut:])
    routed = [hbv.route(before, a, b), hbv.route(after, a, b, before=before)]
    np.testing.assert_allclose(torch.cat(routed, 1), expected, rtol=1e-12)


def test_a_second_implementation_agrees():
    """Where the soil stays above its floor, the one departure: gamma of 1 and more, no drizzle."""
    prcp, tmean, pet = weather(5, 700, 3)
    prcp, values = prcp.round(1), parameters(5, 4, 3)
    values["BETAET"] = 1 + 0.8 * values["BETAET"]
    rng = np.random.default_rng(3)
    a, b = (rng.uniform(p.low, p.high, 5) for p in hbv.ROUTING.values())
    season = {name: rng.uniform(1, 1.5, prcp.shape) for name in ("BETA", "BETAET")}
    truth = truth_hbv.simulate(prcp, tmean, pet, values | {"ROUTE_A": a, "ROUTE_B": b}, season)
    dynamic = {
        name: np.clip(values.pop(name)[:, None] * factor[:, :, None], *hbv.PARAMETERS[name][:2])
        for name, factor in season.items()
    }
    out, _ = hbv.run(
        *tensors(prcp, tmean, pet),
        dict(zip(values, tensors(*values.values()), strict=True)),
        dict(zip(dynamic, tensors(*dynamic.values()), strict=True)),
        state=torch.zeros(5, 5, 4, dtype=torch.float64),
        want=EVERYTHING,
    )
    a, b = tensors(a, b)
    ours = {
        "streamflow": hbv.route(out["q0"] + out["q1"] + out["q2"], a, b),
        "baseflow": hbv.route(out["q2"], a, b),
        "et": out["et"],
        "snow": out["snowpack"] + out["meltwater"],
        "soil_moisture": out["soil_moisture"],
    }
    for name, values in ours.items():
        assert np.abs(values.numpy() - truth[name]).max() < 1e-9, name


@pytest.mark.parametrize(
    "dynamic", [(), ("BETA", "BETAET"), tuple(hbv.PARAMETERS)], ids=["static", "two", "all"]
)
@pytest.mark.parametrize(
    ("basins", "n", "days", "components", "gamma", "routed"),
    [
        (5, 16, 50, False, True, True),
        (3, 4, 40, True, True, False),
        (2, 150, 20, False, True, False),
        (130, 1, 17, False, False, True),
    ],
)
def test_the_fused_core_is_the_step(basins, n, days, components, gamma, routed, dynamic):
    """Outputs and gradients, on weather and parameters that tie in every min and max."""
    prcp, tmean, pet = weather(basins, days, n)
    values = parameters(basins, n, n)
    tmean, values["TT"] = np.round(tmean), np.round(values["TT"])
    for name in ("PERC", "UZL", "CWH", "CFR"):
        values[name][:, ::2] = 0
    values["FC"][0], values["BETA"][0] = 50, 1
    prcp[:, days // 3 : days // 3 + 3] += 300
    pet[:, days // 3 :: 2] = 0
    if not gamma and not dynamic:
        del values["BETAET"]
    every_day = np.random.default_rng(n).uniform(1, 1.2, (days, 1))
    static = {k: torch.tensor(v, requires_grad=True) for k, v in values.items() if k not in dynamic}
    varying = {k: torch.tensor(values[k][:, None] * every_day, requires_grad=True) for k in dynamic}
    state = (
        torch.rand(5, basins, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        * 20
    )
    state[2, 0] = 0
    state.requires_grad_()
    routing = [
        torch.full((basins,), v, dtype=torch.float64, requires_grad=True) for v in (1.3, 0.0)
    ]
    results = []
    for way in ("step", "fused"):
        out, end = hbv.run(
            *tensors(prcp, tmean, pet),
            static,
            varying,
            state=state,
            want=EVERYTHING,
            components=components,
            route=way,
        )
        if routed:
            out["streamflow"] = hbv.route(out["q0"] + out["q1"] + out["q2"], *routing)
        torch.manual_seed(n)
        loss = sum((v * torch.randn_like(v)).sum() for v in (*out.values(), end))
        leaves = [state, *static.values(), *varying.values(), *(routing if routed else ())]
        results.append(
            [v.detach() for v in (*out.values(), end, *torch.autograd.grad(loss, leaves))]
        )
    for step, fused in zip(*results, strict=True):
        assert torch.isfinite(step).all()
        torch.testing.assert_close(fused, step, rtol=1e-8, atol=1e-8 * float(step.abs().mean()))


@pytest.mark.parametrize("route", ["step", "fused"])
def test_gradcheck(route):
    """Against finite differences, away from ties."""
    series = tensors(*weather(2, 6, 8))
    values = parameters(2, 2, 8)
    names = tuple(values)
    gamma = torch.tensor(np.repeat(values.pop("BETAET")[:, None], 6, 1)).requires_grad_()
    state = torch.full((5, 2, 2), 30.0, dtype=torch.float64, requires_grad=True)

    def flows(state: Tensor, gamma: Tensor, *static: Tensor) -> tuple[Tensor, ...]:
        out, end = hbv.run(
            *series,
            dict(zip(names, static, strict=False)),
            {"BETAET": gamma},
            state=state,
            want=("q0", "q1", "q2", "et", "snowpack"),
            route=route,
        )
        return (*out.values(), end)

    leaves = [t.requires_grad_() for t in tensors(*values.values())]
    assert torch.autograd.gradcheck(flows, (state, gamma, *leaves), eps=1e-6, atol=1e-5)


def test_single_precision_several_threads_and_any_layout():
    series = [t.float() for t in tensors(*weather(70, 200, 4))]
    values = {k: torch.tensor(v, dtype=torch.float32) for k, v in parameters(70, 16, 4).items()}
    daily = values.pop("BETA")[None].repeat(200, 1, 1).transpose(0, 1)  # time outermost in memory
    gradients, flows = [], []
    for threads, beta in ((1, daily.contiguous()), (2, daily), (1, daily)):
        torch.set_num_threads(threads)
        try:
            beta = beta.detach().requires_grad_()
            out, _ = hbv.run(*series, values, {"BETA": beta}, route="fused")
            sum(v.sum() for v in out.values()).backward()
        finally:
            torch.set_num_threads(1)
        flows.append(out["q1"].detach())
        gradients.append(beta.grad)
    assert torch.equal(flows[0], flows[1]) and torch.equal(flows[0], flows[2])
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])
    double, _ = hbv.run(
        *(s.double() for s in series),
        {k: v.double() for k, v in values.items()},
        {"BETA": daily.double()},
        route="fused",
    )
    torch.testing.assert_close(flows[0].double(), double["q1"], rtol=1e-3, atol=1e-3)


def test_the_core_compiles_where_no_cache_can_be_written(monkeypatch):
    from numba import types
    from numba.core import caching

    from hydronb.models.kernels import hbv as kernel

    def twice(x):
        x[0] *= 2

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    value = np.ones(1)
    kernel._compile(twice, (types.Array(types.float64, 1, "C"),))(value)
    assert value[0] == 2


def test_recharge_by_a_network():
    """A network that computes Equation 5 itself gives the same; any share of the water keeps the
    balance."""
    series = tensors(*weather(2, 30, 5))
    values = dict(zip(hbv.PARAMETERS, tensors(*parameters(2, 3, 5).values()), strict=True))
    plain, _ = hbv.run(*series, values)
    same, _ = hbv.run(
        *series, values, recharge=lambda fc, beta, sm, ratio, water: ratio.clamp(max=1) ** beta
    )
    for name, flow in plain.items():
        torch.testing.assert_close(same[name], flow, rtol=1e-12, atol=1e-12)
    with pytest.raises(
        ParameterError, match="fused core cannot run recharge by a network; take the route 'step'"
    ):
        hbv.run(*series, values, recharge=lambda *_: torch.zeros(2, 3), route="fused")


def test_the_unit_hydrograph_is_a_gamma_density():
    from scipy.stats import gamma

    a, b = tensors(np.array([0.0, 1.3, 2.9]), np.array([6.5, 0.0, 2.0]))
    t = np.arange(hbv.ROUTING_DAYS) + 0.5
    density = np.stack([gamma.pdf(t, x + 0.1, scale=y + 0.5) for x, y in zip(a, b, strict=True)])
    weights = hbv.unit_hydrograph(a, b).numpy()
    np.testing.assert_allclose(weights, density / density.sum(1, keepdims=True), rtol=1e-10)
    pulse = torch.zeros(3, 20, dtype=torch.float64)
    pulse[:, 2] = 1
    np.testing.assert_allclose(hbv.route(pulse, a, b)[:, 2:17], weights, atol=1e-15)


@pytest.mark.parametrize("n", [None, 3])
@pytest.mark.parametrize("cut", [1, 5, 30])
def test_stopped_and_continued_is_the_same_as_in_one(n, cut):
    forcing, given = datasets(n=n)
    whole = hbv.simulate(forcing, given)
    first = hbv.simulate(forcing.isel(time=slice(cut)), given)
    second = hbv.simulate(forcing.isel(time=slice(cut, None)), given, state=first)
    xr.testing.assert_allclose(xr.concat([first, second], "time"), whole, rtol=0, atol=1e-12)
    stores_only = first.isel(time=-1)[list(hbv.STORES)]
    again = hbv.simulate(forcing.isel(time=slice(cut, None)), given, state=stores_only)
    xr.testing.assert_allclose(again["q2"], second["q2"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [None, 3])
def test_simulation_has_every_store_and_flux(n):
    forcing, given = datasets(n=n)
    out = hbv.simulate(forcing, given)
    assert set(out.data_vars) == {*EVERYTHING, "streamflow"}
    dims = ("basin", "time") if n is None else ("basin", "time", "component")
    for name in EVERYTHING:
        assert out[name].dims == dims and out[name].attrs["units"] == (
            "mm" if name in hbv.STORES else "mm/d"
        )
    assert out["streamflow"].dims == ("basin", "time")
    unrouted = hbv.simulate(forcing, given.drop_vars(hbv.ROUTING))
    xr.testing.assert_allclose(unrouted["streamflow"], mean(out["q0"] + out["q1"] + out["q2"]))
    assert not np.allclose(unrouted["streamflow"], out["streamflow"])
    assert np.all(hbv.simulate(forcing, given.drop_vars("BETAET"))["et"] >= 0)
    other_order = hbv.simulate(forcing, given.isel(basin=[2, 0, 1]))
    xr.testing.assert_allclose(other_order, out)


def _wrong(forcing: xr.Dataset, given: xr.Dataset):
    """What is wrong, and what is said of it."""
    gap = forcing.assign(prcp=forcing["prcp"].where(forcing["time"] != forcing["time"][4]))
    yield gap, given, None, DataError, "prcp of basin x_0 is missing on 2001-01-05"
    yield (
        forcing.drop_vars("pet"),
        given,
        None,
        DataError,
        "HBV needs pet in the forcing; hydronb.data.pet.choose_pet",
    )
    yield (
        forcing,
        given.isel(basin=[0, 1]),
        None,
        DataError,
        "no basin x_2, which the forcing has",
    )
    yield (
        forcing,
        given.isel(time=slice(30)),
        None,
        DataError,
        "parameters has no time 2001-01-31, which the forcing has",
    )
    yield (
        forcing,
        given.assign(FC=given["FC"] + 2000),
        None,
        ParameterError,
        "HBV's FC of basin x_0 is .* outside 50",
    )
    yield (
        forcing,
        given.assign(BETA=-given["BETA"]),
        None,
        ParameterError,
        "of basin x_0 is .* on 2001-01-01, outside",
    )
    yield forcing, given.drop_vars("K2"), None, ParameterError, "HBV needs a value of K2"
    yield (
        forcing,
        given.rename(K2="K22"),
        None,
        ParameterError,
        "no parameter 'K22'; did you mean 'K2'",
    )
    yield (
        forcing,
        given.assign(routing_b=given["BETA"]),
        None,
        ParameterError,
        "routing_b cannot vary over component",
    )
    yield forcing, given.drop_vars("routing_b"), None, ParameterError, "routing_a but not the other"
    state = hbv.simulate(forcing, given)
    yield (
        forcing,
        given,
        state,
        DataError,
        "state ends on 2001-03-01, the forcing begins on 2001-01-01",
    )
    last = state.isel(time=-1)
    yield forcing, given, last.drop_vars("snowpack"), DataError, "the state has no snowpack"
    yield (
        forcing,
        given,
        last.assign(snowpack=-last["snowpack"] - 1),
        DataError,
        "snowpack is negative or missing",
    )
    yield (
        forcing,
        given.isel(component=[0]),
        last,
        DataError,
        "parameters have 1 components, the state 2",
    )


def test_bad_input_ends_in_one_line():
    for forcing, given_, state, error, words in _wrong(*datasets()):
        with pytest.raises(error, match=words) as caught:
            hbv.simulate(forcing, given_, state=state)
        assert "\n" not in str(caught.value)


def test_names_that_run_does_not_know():
    series = tensors(*weather(2, 5, 6))
    values = dict(zip(hbv.PARAMETERS, tensors(*parameters(2, 3, 6).values()), strict=True))
    daily = values["BETA"][:, None].expand(-1, 5, -1)
    for arguments, words in (
        (({**values}, {"BETTA": daily}), "no parameter 'BETTA'; did you mean 'BETA'"),
        (({**values}, {"BETA": daily}), "BETA is given both static and dynamic"),
        (({"FC": values["FC"]},), "HBV needs a value of BETA"),
    ):
        with pytest.raises(ParameterError, match=words):
            hbv.run(*series, *arguments)
    with pytest.raises(ParameterError, match="no flux or store 'q3'"):
        hbv.run(*series, values, want=("q3",))
    with pytest.raises(ParameterError, match="no route 'fuse'; did you mean 'fused'"):
        hbv.run(*series, values, route="fuse")
