"""Evapotranspiration composited by hand, and balances that close because the model's arithmetic
says so."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb.analysis.evapotranspiration import (
    compare_et,
    composite_length,
    composite_start,
    composites,
    read_et,
)
from hydronb.analysis.water_balance import (
    balance_residual,
    simulated_balance,
)
from hydronb.data.synthetic.catchments import synthetic_catchments
from hydronb.errors import DataError
from hydronb.models import hbv


def daily(start, days, values=None, basins=("camels_01013500", "camels_02046000")):
    time = pd.date_range(start, periods=days)
    values = np.ones((len(basins), days)) if values is None else values
    return xr.DataArray(
        values,
        dims=("basin", "time"),
        coords={"basin": list(basins), "time": time},
        name="et",
        attrs={"units": "mm/d"},
    )


def test_composites_by_hand_over_a_leap_year_and_a_common_one():
    made = composites(daily("2004-01-01", 366 + 365)).isel(basin=0)
    starts = made.indexes["time"]
    assert len(starts) == 46 + 46
    assert starts[45] == pd.Timestamp("2004-12-26") and starts[46] == pd.Timestamp("2005-01-01")
    assert starts[91] == pd.Timestamp("2005-12-27")
    assert starts[8] == pd.Timestamp("2004-03-05")  # day 65, one calendar day earlier than in 2005
    assert starts[46 + 8] == pd.Timestamp("2005-03-06")
    assert made.to_numpy().tolist() == [8.0] * 45 + [6.0] + [8.0] * 45 + [5.0]
    assert made.attrs["units"] == "mm/8 d"


def test_composites_sum_the_right_days_and_leave_out_what_is_cut_off():
    values = np.arange(40, dtype=float)
    made = composites(daily("2001-12-20", 40, np.stack([values, values])))
    # 20 to 26 December is the end of a composite that began on the 19th; 27 to 31 are days 7 to 11
    assert made["time"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2001-12-27",
        "2002-01-01",
        "2002-01-09",
        "2002-01-17",
    ]
    assert made.isel(basin=0).to_numpy().tolist() == [
        sum(range(7, 12)),
        *(sum(range(k, k + 8)) for k in (12, 20, 28)),
    ]


def test_a_missing_day_makes_its_composite_missing():
    values = np.ones((2, 24))
    values[1, 9] = np.nan
    made = composites(daily("2003-01-01", 24, values))
    assert np.isnan(made).to_numpy().tolist() == [[False] * 3, [False, True, False]]


def test_starts_and_lengths_agree_with_counting_days():
    days = pd.date_range("1999-01-01", "2004-12-31")
    counted = pd.Series(1, composite_start(days)).groupby(level=0).sum()
    assert (counted.to_numpy() == composite_length(pd.DatetimeIndex(counted.index))).all()
    assert set(counted.groupby(counted.index.year).last()) == {5, 6}


def test_no_whole_composite_and_days_that_are_missing_are_errors():
    with pytest.raises(DataError, match="holds no whole 8-day composite"):
        composites(daily("2001-01-03", 7))
    with pytest.raises(DataError, match="et to be composited"):
        composites(daily("2001-01-01", 30).isel(time=[*range(10), *range(12, 30)]))


def test_et_is_compared_by_bare_id_with_scores_known_by_hand():
    sim = daily(
        "2002-01-01", 32, np.stack([np.repeat([1.0, 2, 3, 4], 8), np.repeat([4.0, 3, 2, 1], 8)])
    )
    observed = composites(sim).assign_coords(basin=["01013500", "02046000"])
    observed = 0.5 * observed + xr.DataArray([4.0, 0], dims="basin")
    table = compare_et(sim, observed.isel(basin=[1, 0]))
    assert table.index.tolist() == ["camels_01013500", "camels_02046000"]
    np.testing.assert_allclose(table["r"], 1)
    halves = np.array([4.0, 8, 12, 16])
    np.testing.assert_allclose(
        table["rmse"], [np.sqrt(((halves - 4) ** 2).mean()), np.sqrt((halves**2).mean())]
    )
    np.testing.assert_allclose(table["simulated"], 20)
    np.testing.assert_allclose(table["observed"], [14, 10])
    assert table["composites"].tolist() == [4, 4]


def test_et_without_common_basins_or_dates_is_one_line():
    sim = daily("2002-01-01", 32)
    with pytest.raises(DataError, match=r"no basins in common \(camels_01013500 against x\)"):
        compare_et(sim, composites(sim).assign_coords(basin=["x", "y"]))
    with pytest.raises(
        DataError, match=r"no composites in common \(2002-01-01 to 2002-01-25 against 2005"
    ):
        compare_et(sim, composites(daily("2005-01-01", 32)))


@pytest.mark.parametrize(("units", "factor"), [("mm/d", 1), ("kg/m^2/8day", 8)])
def test_read_et_knows_daily_from_composited(tmp_path, units, factor):
    et = daily("2003-01-01", 365)
    stored = et if units == "mm/d" else composites(et)
    stored.assign_attrs(units=units).to_dataset().to_netcdf(tmp_path / "et.nc")
    read = read_et(tmp_path / "et.nc")
    assert read.attrs["units"] == "mm/8 d" and read.shape == (2, 46)
    assert read.isel(basin=0).to_numpy().tolist() == [8.0] * 45 + [5.0]


def mod16(tmp_path, change=lambda et: et, **coords):
    """A file of 8-day sums of two basins over a year, changed."""
    time = pd.date_range("2001-01-01", periods=46, freq="8D")
    et = np.random.default_rng(0).uniform(5, 30, (2, 46))
    ds = xr.Dataset(
        {"et": (("basin", "time"), change(et), {"units": "kg/m^2/8day"})},
        {"basin": ["01013500", "01022500"], "time": time} | coords,
    )
    ds.to_netcdf(tmp_path / "mod16.nc")
    return tmp_path / "mod16.nc", et


def test_read_et_takes_the_codes_of_mod16_out_and_sorts(tmp_path):
    def with_codes(et):
        et = et.copy()
        et[0, 3], et[1, 5] = 3276.7, 3276.1
        return et[:, ::-1]

    time = pd.date_range("2001-01-01", periods=46, freq="8D")[::-1]
    path, et = mod16(tmp_path, with_codes, time=time)
    read = read_et(path)
    assert read.indexes["time"].is_monotonic_increasing
    assert np.argwhere(np.isnan(read.to_numpy())).tolist() == [[0, 3], [1, 5]]
    np.testing.assert_array_equal(read.values[0, :3], et[0, :3])


@pytest.mark.parametrize(
    ("change", "coords", "message"),
    [
        (
            lambda et: np.where(et > 29, 32767, et * 10),
            {},
            "et reaches 32767; .* scale factor, 0.1",
        ),
        (lambda et: et - 6, {}, r"et is negative in \d+ places, -0\."),
        (lambda et: et * 10, {}, r"mean et of basin 010\d+ is 2\d\.\d mm/d, above the 15"),
        (lambda et: et, {"basin": [1013500, 1022500]}, "basin holds numbers, such as 1013500"),
        (
            lambda et: et,
            {
                "time": pd.DatetimeIndex(
                    ["2001-01-09", *pd.date_range("2001-01-09", periods=45, freq="8D")]
                )
            },
            "has 2001-01-09 twice",
        ),
    ],
)
def test_read_et_refuses_what_cannot_be_evapotranspiration(tmp_path, change, coords, message):
    path, _ = mod16(tmp_path, change, **coords)
    with pytest.raises(DataError, match=message):
        read_et(path)


def test_read_et_names_what_is_wrong(tmp_path):
    path = tmp_path / "et.nc"
    with pytest.raises(DataError, match="no such file"):
        read_et(path)
    path.write_text("no NetCDF")
    with pytest.raises(DataError, match="cannot be read as NetCDF"):
        read_et(path)
    path.unlink()
    et = daily("2003-01-01", 365)
    et.rename("evaporation").to_dataset().to_netcdf(path)
    with pytest.raises(DataError, match="has no variable 'et'"):
        read_et(path)
    et.assign_attrs(units="W/m2").to_dataset().to_netcdf(tmp_path / "units.nc")
    with pytest.raises(DataError, match="et has units 'W/m2'; give 'mm/d'"):
        read_et(tmp_path / "units.nc")
    shifted = composites(et).assign_coords(time=lambda da: da["time"] + np.timedelta64(1, "D"))
    shifted.to_dataset().to_netcdf(tmp_path / "shifted.nc")
    with pytest.raises(DataError, match="2003-01-02 is not the first day of an 8-day composite"):
        read_et(tmp_path / "shifted.nc")


@pytest.fixture(scope="module")
def simulated():
    ds = synthetic_catchments(n_basins=3, years=1)
    rng = np.random.default_rng(0)
    shape = (ds.sizes["basin"], 4)
    parameters = xr.Dataset(
        {
            n: (("basin", "component"), rng.uniform(p.low, p.high, shape))
            for n, p in hbv.PARAMETERS.items()
        },
        {"basin": ds["basin"]},
    )
    return ds, hbv.simulate(ds, parameters).mean("component")


def test_the_water_balance_of_the_model_closes(simulated):
    ds, fluxes = simulated
    assert abs(balance_residual(ds["prcp"], fluxes)).max() < 1e-9
    table = simulated_balance(ds["prcp"], fluxes)
    assert table["residual"].abs().max() < 1e-6
    np.testing.assert_allclose(
        table["P"], ds["prcp"][:, 1:].sum("time", dtype=float) / 364 * 365.25
    )
    np.testing.assert_allclose(table.drop(columns="P").sum(axis=1), table["P"])


def test_a_leak_is_seen_where_it_is(simulated):
    ds, fluxes = simulated
    leak = xr.zeros_like(fluxes["et"])
    leak[1, 100] = 0.5
    residual = balance_residual(ds["prcp"], fluxes.assign(et=fluxes["et"] + leak))
    np.testing.assert_allclose(residual, -leak[:, 1:], atol=1e-9)


def test_a_balance_without_its_parts_is_one_line(simulated):
    ds, fluxes = simulated
    with pytest.raises(DataError, match="the fluxes have no 'lower_zone'"):
        simulated_balance(ds["prcp"], fluxes.drop_vars("lower_zone"))
    with pytest.raises(DataError, match="no precipitation for time 1990-09-30"):
        simulated_balance(ds["prcp"][:, :-1], fluxes)
