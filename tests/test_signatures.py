"""Signatures of series whose answer is known by hand, and against CAMELS' own table."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.signal import lfilter

from hydronb.data import open_caravan
from hydronb.data.climate import mean_spell, water_year
from hydronb.data.sources.camels_us import open_camels_attributes
from hydronb.errors import DataError
from hydronb.signatures import SIGNATURES, baseflow, baseflow_index, signatures

TIME = pd.date_range("1990-10-01", "1994-09-30")


def series(values, time=TIME, ids=None):
    values = np.atleast_2d(np.asarray(values, float))
    ids = ids or [f"{k:08d}" for k in range(len(values))]
    return xr.DataArray(
        values, dims=("basin", "time"), coords={"basin": ids, "time": time}, attrs={"units": "mm/d"}
    )


def of(flow, rain=None):
    rain = np.full(len(flow), 4.0) if rain is None else rain
    return {n: float(v[0]) for n, v in signatures(series(flow), series(rain)).data_vars.items()}


def test_all_have_units_and_camels_names():
    ds = signatures(series(np.ones(len(TIME))), series(np.ones(len(TIME))))
    assert list(ds.data_vars) == list(SIGNATURES) and all(
        v.attrs["units"] for v in ds.data_vars.values()
    )
    assert ds["q_mean"].dims == ("basin",) and "undefined" in ds.coords


def test_a_ramp():
    """Flow from 0 to 1, evenly: quantiles are their own probabilities."""
    made = of(np.linspace(0, 1, len(TIME)))
    assert made["q_mean"] == pytest.approx(0.5) and made["runoff_ratio"] == pytest.approx(0.125)
    assert made["q5"] == pytest.approx(0.05) and made["q95"] == pytest.approx(0.95)
    assert made["slope_fdc"] == pytest.approx(0.33 / 0.5 / 0.33)
    assert made["low_q_freq"] == pytest.approx(36.525, abs=0.3), (
        "a tenth of the days are below a fifth of the mean"
    )
    assert made["low_q_dur"] == pytest.approx(0.1 * len(TIME), abs=1)
    assert made["zero_q_freq"] == pytest.approx(1 / len(TIME))
    assert made["high_q_freq"] == made["high_q_dur"] == 0, "none: zero, as in CAMELS"


def test_events_and_their_length():
    flow = np.ones(len(TIME))
    flow[100:103] = flow[500:505] = 20.0
    flow[700:706] = 0.0
    made = of(flow)
    assert made["high_q_freq"] == pytest.approx(8 / len(TIME) * 365.25) and made["high_q_dur"] == 4
    assert made["low_q_dur"] == 6 and made["zero_q_freq"] == pytest.approx(6 / len(TIME))


def test_a_gap_neither_ends_nor_lengthens_an_event():
    flow = np.ones(len(TIME))
    flow[100:110] = 20.0
    flow[104:107] = np.nan
    assert of(flow)["high_q_dur"] == 7


def test_half_flow_date():
    """All the water of each year on its 100th day, or evenly over the year."""
    day = np.concatenate([np.arange(n) for n in (365, 366, 365, 365)])
    assert of(np.where(day == 99, 1.0, 0.0))["hfd_mean"] == 100
    assert of(np.ones(len(TIME)))["hfd_mean"] == pytest.approx(np.mean([183, 184, 183, 183]))


def test_elasticity_of_flow_to_precipitation():
    """Q = c P^2 from year to year: an elasticity of about 2; Q = P: exactly 1."""
    year = np.repeat([0.9, 1.1, 0.95, 1.05], [365, 366, 365, 365])
    assert of(2 * year, 4 * year)["stream_elas"] == pytest.approx(1)
    assert of(year**2, year)["stream_elas"] == pytest.approx(2, abs=0.1)


def test_undefined_signatures_say_why():
    rng = np.random.default_rng(0)
    flow = rng.gamma(1, 1, (4, len(TIME)))
    flow[1, : len(TIME) // 10] = np.nan
    flow[2] = 0.0
    rain = np.ones_like(flow)
    rain[3] = 0.0
    ds = signatures(series(flow), series(rain))
    why = dict(zip(ds["basin"].values, ds["undefined"].values, strict=True))
    assert "q_mean" not in why["00000000"] and np.isfinite(ds["slope_fdc"][0])
    assert why["00000001"] == "all: 10% of the days are missing" and np.isnan(ds["q_mean"][1])
    assert (
        "slope_fdc: no flow" in why["00000002"]
        and "hfd_mean: no whole water year" in why["00000002"]
    )
    assert float(ds["zero_q_freq"][2]) == 1 and "runoff_ratio: no precipitation" in why["00000003"]
    named = [{part.split(":")[0] for part in text.split("; ") if part} for text in why.values()]
    for b in (0, 2, 3):
        assert named[b] == {n for n in SIGNATURES if np.isnan(ds[n][b])}


def test_series_are_joined_by_id_and_date():
    rng = np.random.default_rng(1)
    flow, rain = series(rng.gamma(1, 1, (3, len(TIME)))), series(rng.gamma(1, 3, (3, len(TIME))))
    xr.testing.assert_allclose(signatures(flow, rain[::-1]), signatures(flow, rain))
    with pytest.raises(DataError, match="no time in common"):
        signatures(flow[:, :100], rain[:, 200:])
    with pytest.raises(DataError, match=r"signatures need prcp over \(basin, time\)"):
        signatures(flow, rain[0])


# median relative difference from camels_hydro.txt, and the correlation, over 399 basins
AGREEMENT = {
    "q_mean": (0.01, 0.999),
    "slope_fdc": (0.01, 0.98),
    "baseflow_index": (0.001, 0.999),
    "q5": (0.03, 0.999),
    "q95": (0.01, 0.999),
    "high_q_freq": (0.02, 0.89),
    "high_q_dur": (0.02, 0.93),
    "low_q_freq": (0.01, 0.99),
    "low_q_dur": (0.01, 0.97),
    "hfd_mean": (0.001, 0.998),
    # ERA5-Land's precipitation here, Daymet's there
    "runoff_ratio": (0.12, 0.95),
    "stream_elas": (0.25, 0.68),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_camels_own_table(real_data):
    """Its period, and streamflow that is the same but rounded to 0.01 mm/d and divided by another
    area."""
    ds = open_caravan(real_data / "caravan", pet="none").sel(time=slice("1989-10-01", "2009-09-30"))
    made = signatures(ds["streamflow"], ds["prcp"]).to_dataframe()
    made.index = made.index.str.removeprefix("camels_")
    tables = open_camels_attributes(real_data / "camels_us" / "camels_attributes_v2.0")
    published = tables.to_dataframe().loc[made.index]
    assert (made["undefined"] == "").sum() == 399
    assert (made["zero_q_freq"] - published["zero_q_freq"]).abs().median() == 0
    for name, (difference, correlation) in AGREEMENT.items():
        both = pd.DataFrame({"made": made[name], "published": published[name]}).dropna()
        relative = ((both["made"] - both["published"]) / both["published"]).replace(
            [np.inf, -np.inf], np.nan
        )
        assert len(both) == 399 and relative.abs().median() < difference, name
        assert both.corr().iloc[0, 1] > correlation, name


def flashy(days=900, basins=3, seed=1):
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.3, 8, (basins, days)) * (rng.random((basins, days)) < 0.3)
    values = lfilter([0.2], [1, -0.8], rain) + 0.3
    return series(values, pd.date_range("2000-01-01", periods=days))


def test_baseflow_of_constant_flow_by_hand():
    """Constant flow of 1: quick flow decays as 0.925^t from the start of each pass, so that the
    first pass leaves 1 - 0.925^t. The second starts at the far end, where that is 1, and finds its
    quick flow there again; the third does the same from the near end."""
    n = 100
    t = np.arange(n + 60)
    first = 1 - 0.925**t
    backward, quick = np.empty(n + 60), first[-1]
    for k in t[::-1]:
        quick = quick if k == t[-1] else 0.925 * quick + 1.925 / 2 * (first[k] - first[k + 1])
        backward[k] = first[k] - max(quick, 0)
    third, quick = np.empty(n + 60), backward[0]
    for k in t:
        quick = quick if k == 0 else 0.925 * quick + 1.925 / 2 * (backward[k] - backward[k - 1])
        third[k] = backward[k] - max(quick, 0)
    q = series(np.ones(n), pd.date_range("2000-01-01", periods=n))
    np.testing.assert_allclose(baseflow(q)[0], third[30:-30].clip(0), atol=1e-12)
    assert baseflow_index(q).item() == pytest.approx(third[30:-30].clip(0).mean())


def test_baseflow_equals_a_filter_that_is_written_day_by_day():
    q = flashy(days=200, basins=2)
    for values, filtered in zip(q.to_numpy(), baseflow(q).to_numpy(), strict=True):
        flow = [*values[30:0:-1], *values, *values[-2:-32:-1]]
        for _ in range(3):
            quick, base = flow[0], [0.0]
            for before, now in itertools.pairwise(flow):
                quick = 0.925 * quick + 1.925 / 2 * (now - before)
                base.append(now - max(quick, 0))
            flow = base[::-1]
        expected = np.maximum(flow[::-1][30:-30], 0)
        np.testing.assert_allclose(filtered, expected, rtol=1e-9, atol=1e-12)


def test_baseflow_lies_between_zero_and_flow_scales_with_it_and_keeps_the_dimensions():
    q = flashy()
    base = baseflow(q)
    assert ((base >= 0) & (base <= q + 1e-12)).all()
    assert base.dims == q.dims and base.attrs["units"] == "mm/d" and base.attrs["long_name"]
    xr.testing.assert_allclose(baseflow(4 * q), 4 * base)
    xr.testing.assert_equal(baseflow(q.T), base.T)
    stacked = xr.concat([q, 2 * q], "seed")
    xr.testing.assert_equal(baseflow(stacked).isel(seed=0, drop=True), base)
    assert baseflow_index(stacked).dims == ("seed", "basin")
    assert baseflow(q.isel(basin=0)).dims == ("time",)


def test_gaps_part_the_series_and_a_short_record_has_no_index():
    q = flashy()
    day = xr.DataArray(np.arange(q.sizes["time"]), dims="time")
    holed = q.where((day < 200) | (day > 230))
    base = baseflow(holed)
    assert (np.isnan(base) == np.isnan(holed)).all()
    xr.testing.assert_equal(base[:, :200], baseflow(q[:, :200]))
    assert abs(baseflow_index(holed) - baseflow_index(q)).max() < 0.03
    thirty = q.where((q["basin"] != q["basin"][1]) | (day < 30))
    assert np.isnan(baseflow_index(thirty)).values.tolist() == [False, True, False]
    assert np.isnan(baseflow(thirty)[1]).all() and baseflow(thirty).notnull()[0].all()


def test_baseflow_index_of_a_model_is_the_ratio_of_means_on_common_days():
    time = pd.date_range("2000-01-01", periods=4)
    q, slow = series([1.0, 2, 3, np.nan], time), series([0.5, np.nan, 1.5, 9], time)
    index = baseflow_index(q, slow)
    assert index.item() == pytest.approx(2.0 / 4.0)
    assert index.attrs == {"units": "1", "long_name": "baseflow index, Q2 / Q"}
    assert "filter" in baseflow_index(q).attrs["long_name"]
    assert np.isnan(baseflow_index(0 * q, 0 * slow).item())


def test_water_years():
    days = xr.DataArray(
        pd.to_datetime(["1999-03-31", "1999-04-01", "1999-09-30", "1999-10-01"]), dims="time"
    )
    assert water_year(days).values.tolist() == [1999, 1999, 1999, 2000]
    assert water_year(days, 4).values.tolist() == [1999, 2000, 2000, 2000]
    assert water_year(days, 1).values.tolist() == [1999] * 4


def test_mean_spells():
    days = np.array([[1, 1, 0, 1, 0, 0], [0] * 6, [1] * 6, [0, 1, 0, 0, 0, 1]], dtype=bool)
    assert mean_spell(days).tolist() == [1.5, 0, 6, 1]
    assert mean_spell(days[0]) == 1.5


def test_baseflow_index_of_all_camels_rivers(real_data):
    """All 402 rivers over CAMELS' period: within 0.00055 of the filter that bridges gaps with
    straight lines and starts each pass without quick flow."""
    ds = open_caravan(real_data / "caravan", pet="none").sel(time=slice("1989-10-01", "2009-09-30"))
    q = ds["streamflow"].astype(float)
    days = np.arange(q.sizes["time"])
    flow = np.array([np.interp(days, days[seen], x[seen]) for x in q.values for seen in [x == x]])
    flow = np.pad(flow, [(0, 0), (30, 30)], mode="reflect")
    for _ in range(3):
        rise = np.diff(flow, axis=1, prepend=flow[:, :1])
        flow = (flow - np.maximum(lfilter([1.925 / 2], [1, -0.925], rise), 0))[:, ::-1]
    bridged = q.copy(data=flow[:, ::-1][:, 30:-30]).where(q.notnull())
    difference = abs(baseflow_index(q) - bridged.sum("time") / q.sum("time"))
    assert q.sizes["basin"] == 402 and difference.max() <= 0.00055
