"""The baseflow filter against closed forms, a second implementation and CAMELS' own baseflow
index."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.signal import lfilter

from hydronb.analysis.baseflow import baseflow_index, lyne_hollick


def series(values, basins=("a",)):
    values = np.atleast_2d(np.asarray(values, float))
    time = pd.date_range("2000-01-01", periods=values.shape[1])
    return xr.DataArray(
        values,
        dims=("basin", "time"),
        coords={"basin": list(basins), "time": time},
        attrs={"units": "mm/d"},
    )


def flashy(days=900, basins=3, seed=1):
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.3, 8, (basins, days)) * (rng.random((basins, days)) < 0.3)
    return series(lfilter([0.2], [1, -0.8], rain) + 0.3, [f"b{k}" for k in range(basins)])


def test_constant_flow_is_all_baseflow():
    assert baseflow_index(series(np.full(400, 2.5))).item() == 1


def test_one_pass_over_a_step_is_the_geometric_series():
    base = lyne_hollick(series(np.r_[np.ones(100), np.full(100, 3.0)]), passes=1).to_numpy()[0]
    np.testing.assert_allclose(base[:100], 1, rtol=1e-12)
    np.testing.assert_allclose(base[100:], 3 - 2 * 1.925 / 2 * 0.925 ** np.arange(100), rtol=1e-12)


def test_equals_a_filter_that_is_written_day_by_day():
    q = flashy(days=200, basins=2)
    for basin, values in zip(q["basin"].values, q.to_numpy(), strict=True):
        flow = [*values[30:0:-1], *values, *values[-2:-32:-1]]
        for _ in range(3):
            quick, base = 0.0, [flow[0]]
            for before, now in itertools.pairwise(flow):
                quick = 0.925 * quick + 1.925 / 2 * (now - before)
                base.append(now - max(quick, 0))
            flow = base[::-1]
        np.testing.assert_allclose(lyne_hollick(q).sel(basin=basin), flow[::-1][30:-30], rtol=1e-9)


def test_lies_between_zero_and_streamflow_scales_with_it_and_ignores_the_order_of_dimensions():
    q = flashy()
    base = lyne_hollick(q)
    assert ((base >= 0) & (base <= q + 1e-12)).all()
    xr.testing.assert_allclose(lyne_hollick(4 * q), 4 * base)
    xr.testing.assert_equal(lyne_hollick(q.T), base.T)
    assert base.attrs["units"] == "mm/d"


def test_gaps_are_left_out_of_both_sums_and_a_short_record_has_no_index():
    q = flashy()
    holed = q.where((q["time"] < q["time"][200]) | (q["time"] > q["time"][230]))
    assert (np.isnan(lyne_hollick(holed)) == np.isnan(holed)).all()
    assert abs(baseflow_index(holed) - baseflow_index(q)).max() < 0.03
    short = q.where((q["basin"] != "b1") | (q["time"] < q["time"][20]))
    assert np.isnan(baseflow_index(short)).values.tolist() == [False, True, False]


def test_index_of_a_model_is_the_ratio_of_means_on_common_days():
    q, slow = series([1.0, 2, 3, np.nan]), series([0.5, np.nan, 1.5, 9])
    assert baseflow_index(q, slow).item() == pytest.approx(2.0 / 4.0)
    assert np.isnan(baseflow_index(series(np.zeros(50)), series(np.zeros(50))).item())


def test_agrees_with_the_index_that_camels_publishes(real_data):
    ids = ["01022500", "02056900", "05291000", "07291000", "11522500", "14306500"]
    published = pd.read_csv(
        real_data / "camels_us/camels_attributes_v2.0/camels_hydro.txt",
        sep=";",
        dtype={"gauge_id": str},
    ).set_index("gauge_id")["baseflow_index"]
    differences = []
    for name in ids:
        path = real_data / f"caravan/timeseries/netcdf/camels/camels_{name}.nc"
        if not path.exists():
            continue
        with xr.open_dataset(path) as ds:
            q = (
                ds["streamflow"]
                .rename(date="time")
                .sel(time=slice("1989-10-01", "2009-09-30"))
                .load()
            )
        differences.append(abs(baseflow_index(q).item() - published[name]))
    assert len(differences) >= 3 and max(differences) < 0.005
