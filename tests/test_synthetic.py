"""The synthetic catchments: water is conserved, the hidden models follow their equations, and
CAMELS looks alike."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from hydronb.data.attributes import KRATZERT2019
from hydronb.data.climate import climatic_attributes
from hydronb.data.dataset import FORCINGS, attribute_names, bare_id, check
from hydronb.data.hbv_parameters import Parameter
from hydronb.data.synthetic import truth_gr4j, truth_hbv
from hydronb.data.synthetic.catchments import REGIMES, synthetic_catchments
from hydronb.errors import ParameterError


@pytest.fixture(scope="module", params=["hbv", "gr4j"])
def both(request) -> xr.Dataset:
    """The embedded default, from either truth."""
    return synthetic_catchments(truth=request.param)


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return synthetic_catchments()


def weather(n_basins: int, n_days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rain, temperature and PET without any sense, but with frost, drought and floods."""
    rng = np.random.default_rng(7)
    prcp = rng.gamma(0.3, 12, (n_basins, n_days)) * (rng.random((n_basins, n_days)) < 0.5)
    tmean = 8 - 14 * np.cos(np.arange(n_days) / 58) + rng.normal(0, 5, (n_basins, n_days))
    return prcp, tmean, np.maximum(tmean, 0) / 4


def any_parameters(bounds: dict[str, Parameter], n_basins: int, split: tuple[str, ...], n: int = 4):
    """Parameters from the whole of their bounds, the bounds themselves included."""
    rng = np.random.default_rng(11)
    out = {}
    for name, (low, high, *_) in bounds.items():
        values = rng.uniform(low, high, (n_basins, n))
        values[0], values[1] = low, high
        out[name] = values if name in split else values[:, 0]
    return out


HBV_SPLIT = tuple(name for name in truth_hbv.BOUNDS if not name.startswith("ROUTE"))


def run_hbv(prcp, tmean, pet, parameters, spread=0.4):
    rng = np.random.default_rng(3)
    season = {name: np.exp(rng.normal(0, spread, prcp.shape)) for name in ("BETA", "BETAET")}
    return truth_hbv.simulate(prcp, tmean, pet, parameters, season)


# Water
# ---


def test_hbv_conserves_water_every_day():
    prcp, tmean, pet = weather(8, 1500)
    out = run_hbv(prcp, tmean, pet, any_parameters(truth_hbv.BOUNDS, 8, HBV_SPLIT))
    change = np.diff(out["storage"], axis=1, prepend=0)
    np.testing.assert_allclose(change, prcp - out["et"] - out["streamflow"], rtol=0, atol=1e-9)
    assert min(values.min() for values in out.values()) > -1e-9
    assert (out["et"] <= pet + 1e-12).all()
    assert (out["baseflow"] <= out["streamflow"] + 1e-12).all()


def test_gr4j_conserves_water_every_day():
    prcp, tmean, pet = weather(8, 1500)
    out = truth_gr4j.simulate(
        prcp, tmean, pet, any_parameters(truth_gr4j.BOUNDS, 8, ("TT", "CFMAX"))
    )
    change = np.diff(out["storage"], axis=1, prepend=0)
    balance = prcp - out["et"] - out["streamflow"] + out["exchange"]
    np.testing.assert_allclose(change, balance, rtol=0, atol=1e-9)
    assert min(values.min() for name, values in out.items() if name != "exchange") > -1e-9
    assert (out["et"] <= pet + 1e-12).all()
    assert out["exchange"].min() < 0 < out["exchange"].max()


def test_the_data_set_itself_closes(both):
    """From the float32 variables alone; a store of 2000 mm is known to 1e-4."""
    exchange = both.get("true_exchange", 0)
    balance = both["prcp"] - both["true_et"] - both["true_streamflow"] + exchange
    change = both["true_storage"].diff("time")
    assert float(np.abs(change - balance.isel(time=slice(1, None))).max()) < 2e-3


# Equations
# ---


def hbv_scalar(prcp, tmean, pet, p):
    """One element, a day at a time, as Feng et al. (2022) put it; unrouted flow, ET, and slow
    outflow."""
    sp = mw = sm = suz = slz = 0.0
    flow, evaporation, slow = [], [], []
    for rain, t, potential in zip(prcp, tmean, pet, strict=True):
        snow, rain = (0.0, rain) if t >= p["TT"] else (rain, 0.0)
        sp += snow
        if t > p["TT"]:
            melt = min(p["CFMAX"] * (t - p["TT"]), sp)
            sp, mw = sp - melt, mw + melt
        else:
            refreeze = min(p["CFR"] * p["CFMAX"] * (p["TT"] - t), mw)
            sp, mw = sp + refreeze, mw - refreeze
        to_soil = max(mw - p["CWH"] * sp, 0)
        mw -= to_soil
        recharge = (rain + to_soil) * min(max((sm / p["FC"]) ** p["BETA"], 0), 1)
        sm += rain + to_soil - recharge
        excess = max(sm - p["FC"], 0)
        sm -= excess
        et = min(sm, potential * min((sm / (p["LP"] * p["FC"])) ** p["BETAET"], 1))
        sm -= et
        suz += recharge + excess
        perc = min(suz, p["PERC"])
        suz -= perc
        q0 = p["K0"] * max(suz - p["UZL"], 0)
        suz -= q0
        q1 = p["K1"] * suz
        suz -= q1
        slz += perc
        q2 = p["K2"] * slz
        slz -= q2
        flow.append(q0 + q1 + q2)
        evaporation.append(et)
        slow.append(q2)
    return np.array(flow), np.array(evaporation), np.array(slow)


def test_hbv_is_the_mean_of_its_elements_routed():
    prcp, tmean, pet = weather(5, 400)
    parameters = any_parameters(truth_hbv.BOUNDS, 5, HBV_SPLIT)
    out = run_hbv(prcp, tmean, pet, parameters, spread=0)
    for b in (0, 1, 2, 4):
        elements = [
            hbv_scalar(prcp[b], tmean[b], pet[b], {n: parameters[n][b, e] for n in HBV_SPLIT})
            for e in range(4)
        ]
        flow, et, slow = np.mean(elements, axis=0)
        days = np.arange(15) + 0.5
        weights = stats.gamma.pdf(
            days, parameters["ROUTE_A"][b] + 0.1, scale=parameters["ROUTE_B"][b] + 0.5
        )
        weights /= weights.sum()
        np.testing.assert_allclose(out["et"][b], et, atol=1e-10)
        np.testing.assert_allclose(
            out["streamflow"][b], np.convolve(flow, weights)[:400], atol=1e-10
        )
        np.testing.assert_allclose(out["baseflow"][b], np.convolve(slow, weights)[:400], atol=1e-10)


def test_hbv_seasonal_factors_are_parameters_of_the_day():
    """A factor of 1.5 on every day is a parameter 1.5 times as large."""
    prcp, tmean, pet = weather(3, 300)
    parameters = any_parameters(truth_hbv.BOUNDS, 3, HBV_SPLIT)
    parameters["BETA"][:], parameters["BETAET"][:] = 2.0, 1.0
    season = {name: np.full(prcp.shape, 1.5) for name in ("BETA", "BETAET")}
    out = truth_hbv.simulate(prcp, tmean, pet, parameters, season)
    same = run_hbv(
        prcp, tmean, pet, parameters | {n: parameters[n] * 1.5 for n in season}, spread=0
    )
    np.testing.assert_array_equal(out["streamflow"], same["streamflow"])


def gr4j_scalar(prcp, pet, x1, x2, x3, x4):
    """GR4J after Perrin et al. (2003), its unit hydrographs as queues; streamflow."""
    n1, n2 = math.ceil(x4), math.ceil(2 * x4)
    sh1 = [min(t / x4, 1) ** 2.5 for t in range(n1 + 1)]
    sh2 = [
        0.5 * (t / x4) ** 2.5 if t <= x4 else 1 - 0.5 * max(2 - t / x4, 0) ** 2.5
        for t in range(n2 + 1)
    ]
    queue1, queue2 = [0.0] * n1, [0.0] * n2
    s = r = 0.0
    flow = []
    for p, e in zip(prcp, pet, strict=True):
        pn, en = max(p - e, 0), max(e - p, 0)
        ps = x1 * (1 - (s / x1) ** 2) * math.tanh(pn / x1) / (1 + s / x1 * math.tanh(pn / x1))
        es = s * (2 - s / x1) * math.tanh(en / x1) / (1 + (1 - s / x1) * math.tanh(en / x1))
        s += ps - es
        perc = s * (1 - (1 + (4 * s / (9 * x1)) ** 4) ** -0.25)
        s -= perc
        pr = perc + pn - ps
        queue1 = [q + 0.9 * pr * (sh1[k + 1] - sh1[k]) for k, q in enumerate(queue1)]
        queue2 = [q + 0.1 * pr * (sh2[k + 1] - sh2[k]) for k, q in enumerate(queue2)]
        q9, q1 = queue1.pop(0), queue2.pop(0)
        queue1.append(0.0)
        queue2.append(0.0)
        f = x2 * (r / x3) ** 3.5
        r = max(0, r + q9 + f)
        qr = r * (1 - (1 + (r / x3) ** 4) ** -0.25)
        r -= qr
        flow.append(qr + max(0, q1 + f))
    return np.array(flow)


def test_gr4j_follows_perrin():
    prcp, _, pet = weather(6, 700)
    parameters = any_parameters(truth_gr4j.BOUNDS, 6, ("TT", "CFMAX"))
    out = truth_gr4j.simulate(prcp, np.full(prcp.shape, 20.0), pet, parameters)
    for b in range(6):
        expected = gr4j_scalar(
            prcp[b], pet[b], *(float(parameters[x][b]) for x in ("X1", "X2", "X3", "X4"))
        )
        np.testing.assert_allclose(out["streamflow"][b], expected, atol=1e-10)


def test_snow_waits_for_warmth():
    """10 mm at -5 degC on day 0, then 3 degC above the threshold: 2 mm/degC/d melt it in two
    days."""
    prcp = np.array([[10.0, 0, 0, 0]])
    tmean = np.array([[-5.0, 3, 3, 3]])
    out = truth_gr4j.simulate(
        prcp,
        tmean,
        0 * prcp,
        {
            "TT": np.zeros((1, 1)),
            "CFMAX": np.full((1, 1), 2.0),
            "X1": np.array([300.0]),
            "X2": np.array([0.0]),
            "X3": np.array([50.0]),
            "X4": np.array([1.5]),
        },
    )
    np.testing.assert_allclose(out["snow"], [[10, 4, 0, 0]])


# Data set
# ---


def test_is_a_catchment_data_set(both):
    assert both.sizes == {"basin": 24, "time": 4383}
    assert [str(both["time"].to_numpy()[k])[:10] for k in (0, -1)] == ["1989-10-01", "2001-09-30"]
    assert set(FORCINGS) - {"swe"} <= set(both.data_vars)
    assert attribute_names(both) == list(KRATZERT2019)
    assert set(both["true_regime"].to_numpy()) == set(REGIMES)
    assert len({bare_id(b) for b in both["basin"].to_numpy()}) == 24
    assert both["basin"].to_numpy()[0] == "syn_0001"
    assert all("units" in v.attrs and "long_name" in v.attrs for v in both.data_vars.values())
    xr.testing.assert_identical(check(both), both)


def test_repeats_and_seeds_differ(ds):
    again, other = synthetic_catchments(), synthetic_catchments(seed=1)
    xr.testing.assert_identical(again, ds)
    assert not np.allclose(other["prcp"], ds["prcp"])
    assert not np.allclose(other["true_FC"], ds["true_FC"])


def test_is_the_same_on_every_machine(both):
    """Means written down once. A change of the recipe changes them: then every result on this data
    set is another."""
    means = (3.1384, 1.3782, 1.7416) if "true_FC" in both else (3.1384, 1.3802, 1.7795)
    got = [float(both[name].mean()) for name in ("prcp", "streamflow", "true_et")]
    np.testing.assert_allclose(got, means, rtol=1e-3)


def test_few_open_the_many(ds):
    few = synthetic_catchments(n_basins=5, years=2)
    many = ds.sel(basin=few["basin"], time=few["time"])
    for name in (
        "prcp",
        "tmin",
        "tmax",
        "srad",
        "vp",
        "pet",
        "true_streamflow",
        "true_soil_moisture",
    ):
        np.testing.assert_allclose(few[name], many[name], rtol=1e-5, atol=1e-5, err_msg=name)
    for name in ("true_FC", "slope_mean", "sand_frac", "lat"):
        np.testing.assert_array_equal(few[name], many[name])


def test_least_data_set():
    tiny = synthetic_catchments(n_basins=1, years=1, truth="gr4j")
    assert tiny.sizes == {"basin": 1, "time": 365}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_basins": 0}, "n_basins = 0: .* 1"),
        ({"years": 0}, "years = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"truth": "gr4"}, "truth = 'gr4' is unknown; choose one of hbv, gr4j"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ParameterError, match=message):
        synthetic_catchments(**arguments)


# Likeness
# ---


def test_weather_hangs_together(ds):
    assert bool((ds["tmin"] < ds["tmax"]).all())
    np.testing.assert_allclose(ds["tmean"], (ds["tmin"] + ds["tmax"]) / 2, atol=1e-5)
    wet = ds["prcp"] > 1
    assert float(ds["srad"].where(wet).mean()) < 0.9 * float(ds["srad"].where(~wet).mean())
    saturated = 610.8 * np.exp(17.27 * ds["tmean"] / (ds["tmean"] + 237.3))
    assert float((ds["vp"] > saturated).mean()) < 0.01
    december = ds["tmean"].where(ds["time.month"] == 12)
    lagged = xr.corr(december, december.shift(time=1), "time")
    assert bool(((lagged > 0.5) & (lagged < 0.9)).all()), lagged
    summer = ds["time.month"].isin([6, 7, 8])
    assert bool((ds["tmean"].where(summer).mean("time") > ds["tmean"].mean("time") + 4).all())


def test_is_within_what_camels_shows(both):
    """Percentiles 0 to 100 of CAMELS' 671 basins (Addor et al. 2017) hold every synthetic
    catchment."""
    camels = {
        "p_mean": (0.64, 8.94),
        "pet_mean": (1.6, 4.74),
        "aridity": (0.22, 5.7),
        "p_seasonality": (-1.44, 0.93),
        "frac_snow": (0, 0.91),
        "high_prec_freq": (7.9, 32.7),
        "high_prec_dur": (1.07, 2.1),
        "low_prec_freq": (169, 349),
        "low_prec_dur": (2.7, 36.6),
        "slope_mean": (0.8, 256),
        "soil_porosity": (0.37, 0.6),
        "soil_conductivity": (0.44, 11),
        "max_water_content": (0.08, 0.88),
        "lai_max": (0.3, 5.6),
        "gvf_max": (0.2, 0.95),
        "silt_frac": (2.9, 68),
        "area_gages2": (4, 2000),
    }
    for name, (low, high) in camels.items():
        values = both[name].to_numpy()
        assert (values >= low).all() and (values <= high).all(), (name, values.min(), values.max())
    ratio = (both["true_streamflow"].mean("time") / both["prcp"].mean("time")).to_numpy()
    assert 0.01 < ratio.min() < 0.12, ratio.min()
    assert 0.6 < ratio.max() < 0.95, ratio.max()
    assert float(both["aridity"].max()) > 2.5
    assert float(both["frac_snow"].max()) > 0.5


def test_gaps_and_noise(both):
    missing = np.isnan(both["streamflow"]).mean("time").to_numpy()
    assert (missing >= 0.01).all() and (missing <= 0.05).all(), missing
    error = both["streamflow"] - both["true_streamflow"]
    spread = both["streamflow"] - both["streamflow"].mean("time")
    best = (1 - (error**2).sum("time") / (spread**2).sum("time")).to_numpy()
    assert 0.91 < np.median(best) < 0.96
    assert best.min() > 0.82 and best.max() < 0.99, best
    bias = both["streamflow"].mean("time") / both["true_streamflow"].where(error.notnull()).mean(
        "time"
    )
    assert float(np.abs(bias - 1).max()) < 0.12


def test_kinds_differ_as_named(ds):
    ds = ds.assign(bfi=ds["true_baseflow"].mean("time") / ds["true_streamflow"].mean("time"))
    kinds = (
        ds[["aridity", "frac_snow", "p_mean", "bfi", "p_seasonality"]]
        .groupby(ds["true_regime"])
        .mean()
    )
    assert kinds["aridity"].idxmax() == "arid flashy"
    assert kinds["frac_snow"].idxmax() == "snowy mountains"
    assert kinds["p_mean"].idxmax() == "maritime wet"
    assert kinds["p_seasonality"].idxmin() == "maritime wet"
    assert kinds["p_seasonality"].idxmax() == "dry plains"
    bfi = kinds["bfi"].to_series()
    assert bfi["humid baseflow"] > bfi["humid forest"] + 0.2
    assert bfi["humid baseflow"] > bfi["arid flashy"] + 0.1


def test_attributes_drive_the_truth():
    many = synthetic_catchments(n_basins=48, years=1)
    many["store"] = many["max_water_content"] * (1 + many["frac_forest"])
    pairs = [
        ("store", "FC"),
        ("slope_mean", "K0"),
        ("soil_depth_pelletier", "K2"),
        ("geol_permeability", "PERC"),
        ("frac_forest", "UZL"),
        ("elev_mean", "TT"),
        ("frac_forest", "CFMAX"),
        ("gvf_max", "LP"),
        ("soil_conductivity", "BETA"),
        ("area_gages2", "ROUTE_A"),
    ]
    for attribute, parameter in pairs:
        correlation = stats.spearmanr(many[attribute], many[f"true_{parameter}"]).statistic
        assert abs(correlation) > 0.6, (attribute, parameter, correlation)
    for parameter, (low, high, *_) in truth_hbv.BOUNDS.items():
        assert float(many[f"true_{parameter}"].min()) >= low
        assert float(many[f"true_{parameter}"].max()) <= high


def test_no_simple_model_does_well(both):
    """Ridge regression on 60 days of rain and PET and the season, and the mean of each date, stay
    far below 0.9."""
    train, test = slice("1990-10-01", "1995-09-30"), slice("1995-10-01", "2001-09-30")
    scores = []
    for basin in both["basin"].to_numpy()[:6]:
        one = both.sel(basin=basin)
        angle = 2 * np.pi * one["time.dayofyear"] / 365.25
        lags = {
            f"{name}{lag}": one[name].shift(time=lag).to_numpy()
            for name in ("prcp", "tmean")
            for lag in range(60)
        }
        x = pd.DataFrame(
            lags | {"one": 1.0, "cos": np.cos(angle), "sin": np.sin(angle)},
            index=one.indexes["time"],
        )
        y = one["streamflow"].to_series()
        fit = x[train].join(y).dropna()
        gram = fit[x.columns].T @ fit[x.columns] + np.eye(x.shape[1])
        weights = np.linalg.solve(gram, fit[x.columns].T @ fit["streamflow"])
        pair = pd.DataFrame({"sim": x[test] @ weights, "obs": y[test]}).dropna()
        scores.append(
            1
            - ((pair["sim"] - pair["obs"]) ** 2).sum()
            / ((pair["obs"] - pair["obs"].mean()) ** 2).sum()
        )
    assert max(scores) < 0.8, scores
    assert np.median(scores) < 0.65, scores
    of_date = (
        both["streamflow"].groupby("time.dayofyear").mean().sel(dayofyear=both["time.dayofyear"])
    )
    error = ((both["streamflow"] - of_date) ** 2).sum("time")
    assert (
        float(
            (
                1
                - error / ((both["streamflow"] - both["streamflow"].mean("time")) ** 2).sum("time")
            ).max()
        )
        < 0.7
    )


# Attributes
# ---


def climate(prcp: np.ndarray, tmean: np.ndarray, time: pd.DatetimeIndex) -> dict[str, float]:
    made = xr.Dataset(
        {
            n: (("basin", "time"), v[None])
            for n, v in {"prcp": prcp, "tmean": tmean, "pet": np.full(len(time), 2.0)}.items()
        },
        coords={"basin": ["a"], "time": time},
    )
    return {name: float(values[0]) for name, values in climatic_attributes(made).items()}


@pytest.mark.parametrize(("shift", "expected"), [(0, 0.6), (math.pi, -0.6), (math.pi / 3, 0.3)])
def test_seasonality_of_sines(shift, expected):
    """Woods (2009): amplitude 0.6 of the mean, in phase with temperature, against it, and two
    months off."""
    time = pd.date_range("2001-10-01", "2005-09-30")
    angle = 2 * np.pi * time.day_of_year.to_numpy() / 365.25
    got = climate(3 * (1 + 0.6 * np.sin(angle - 1.8 - shift)), 10 + 8 * np.sin(angle - 1.8), time)
    assert got["p_seasonality"] == pytest.approx(expected, abs=0.005)


def test_climatic_attributes_by_hand():
    """A year of 73 five-day patterns 0, 0, 0, 0.5, 9.5 mm: mean 2, high from 10 mm on; every tenth
    day snowy."""
    prcp = np.tile([0, 0, 0, 0.5, 9.5], 73)
    prcp[4] = 30
    tmean = np.where(np.arange(365) % 10 == 4, -1.0, 5.0)
    got = climate(prcp, tmean, pd.date_range("2001-10-01", periods=365))
    total = 73 * 10 + 20.5
    assert got["p_mean"] == pytest.approx(total / 365)
    assert got["aridity"] == pytest.approx(2 * 365 / total)
    assert got["high_prec_freq"] == pytest.approx(365.25 / 365)
    assert got["high_prec_dur"] == 1
    assert got["low_prec_freq"] == pytest.approx(365.25 * 4 / 5)
    assert got["low_prec_dur"] == 4
    assert got["frac_snow"] == pytest.approx((30 + 36 * 9.5) / total)


def test_climatic_attributes_of_real_basins(real_data):
    """The nine on 18 basins' NLDAS, 1993 to 2009, against CAMELS' own from Daymet, 1989 to 2009."""
    folder = real_data / "camels_us"
    own = pd.read_csv(
        folder / "camels_attributes_v2.0" / "camels_clim.txt",
        sep=";",
        dtype={"gauge_id": str},
        index_col="gauge_id",
    )
    rows = {}
    for file in (folder / "basin_mean_forcing" / "nldas").rglob("*_forcing_leap.txt"):
        table = pd.read_csv(file, sep=r"\s+", skiprows=4, header=None)
        table.index = pd.to_datetime({"year": table[0], "month": table[1], "day": table[2]})
        table = table["1993-10-01":"2009-09-30"]
        rows[file.name[:8]] = climate(table[5].to_numpy(), table[8].to_numpy(), table.index)
    ours = pd.DataFrame(rows).T
    own = own.loc[ours.index]
    for name, least in {
        "p_mean": 0.95,
        "p_seasonality": 0.95,
        "frac_snow": 0.9,
        "low_prec_freq": 0.8,
    }.items():
        assert ours[name].corr(own[name]) > least, (name, ours[name].corr(own[name]))
    assert (ours["p_seasonality"] - own["p_seasonality"]).abs().median() < 0.1
    # the products disagree on single days
    for name in ("high_prec_freq", "high_prec_dur", "low_prec_dur"):
        assert (ours[name] / own[name]).median() == pytest.approx(1, abs=0.2), name
