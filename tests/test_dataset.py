"""The convention of catchment datasets: what `check` takes, puts in order, and refuses in one
line."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from catchments import random_catchments

from hydronb.data import open_catchments
from hydronb.data.dataset import (
    attribute_names,
    bare_id,
    check,
    choose_basins,
    open_dataset,
    read_basin_list,
    require_daily,
)
from hydronb.errors import DataError
from hydronb.parameters import DataParameters


@pytest.fixture
def ds():
    return random_catchments(n_basins=3, days=60)


def refused(ds, message):
    with pytest.raises(DataError, match=message) as error:
        check(ds, where="here")
    assert str(error.value).startswith("here") and "\n" not in str(error.value)


def with_value(ds, name, value, basin=1, day=10):
    ds[name][basin, day] = value
    return ds


def test_what_is_right_stays_as_it_is(ds):
    checked = check(ds)
    for name in ds.data_vars:
        np.testing.assert_array_equal(checked[name].values, ds[name].values)
        assert checked[name].dtype == ds[name].dtype
    assert checked["streamflow"].attrs == {"units": "mm/d", "long_name": "streamflow"}
    assert checked["lat"].attrs["units"] == "degrees_north"
    xr.testing.assert_identical(check(checked), checked)


def test_order_and_type_are_put_right(ds):
    ds["prcp"] = ds["prcp"].astype(float)
    checked = check(ds.transpose("time", "basin").assign_coords(basin=ds["basin"].astype("U")))
    assert checked["prcp"].dims == ("basin", "time") and checked["prcp"].dtype == np.float32
    assert all(type(b) is str for b in checked["basin"].values)
    np.testing.assert_array_equal(checked["tmean"], ds["tmean"])


def test_what_the_convention_does_not_know_is_kept(ds):
    ds["true_snow"] = ds["prcp"] * 0
    ds["true_regime"] = ("basin", ["a", "b", "c"])
    ds["parameters"] = (("basin", "name"), np.ones((3, 2)))
    checked = check(ds)
    assert {"true_snow", "true_regime", "parameters"} <= set(checked.data_vars)
    assert attribute_names(checked) == ["slope", "forest", "rock"]


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (lambda ds: ds.rename(basin="catchment"), "no dimension 'basin'"),
        (lambda ds: ds.drop_vars("time"), "no coordinate 'time'"),
        (lambda ds: ds.isel(basin=[]), "holds no basin"),
        (lambda ds: ds.isel(time=[]), "holds no day"),
        (
            lambda ds: ds.assign_coords(basin=[1013500, 2, 3]),
            "ids are numbers, so leading zeros are lost",
        ),
        (lambda ds: ds.assign_coords(basin=["a", "b", "a"]), "basin a appears 2 times"),
        (lambda ds: ds.isel(time=[0, 1, 3]), "1 dates are missing, the first is 2000-01-03"),
        (lambda ds: ds.isel(time=[0, 1, 1]), "the date 2000-01-02 appears twice"),
        (lambda ds: ds.isel(time=[0, 2, 1]), "dates are not in order at 2000-01-02"),
        (
            lambda ds: ds.assign_coords(time=ds["time"] + np.timedelta64(12, "h")),
            "2000-01-01 12:00:00 is not a day",
        ),
        (lambda ds: ds.assign_coords(time=np.arange(60)), "time holds int64 values such as 0, not"),
        (
            lambda ds: ds.convert_calendar("360_day", align_on="date"),
            "not in the standard calendar .360_day",
        ),
        (
            lambda ds: with_value(ds, "prcp", np.nan),
            "prcp of basin x_00000002 is missing on 2000-01-11 .1 days in all",
        ),
        (
            lambda ds: with_value(ds, "prcp", -0.5),
            "prcp of basin x_00000002 is -0.5 mm/d on 2000-01-11, outside 0 to",
        ),
        (lambda ds: with_value(ds, "tmean", 280), "tmean of basin x_00000002 is 280 degC"),
        (lambda ds: with_value(ds, "tmean", np.inf), "tmean of basin x_00000002 is inf"),
        (
            lambda ds: with_value(ds, "streamflow", -999),
            "is -999 mm/d on 2000-01-11, .* missing is NaN, never a flag",
        ),
        (
            lambda ds: ds.assign(prcp=ds["prcp"].assign_attrs(units="m")),
            "prcp is in 'm', the convention is 'mm/d'",
        ),
        (lambda ds: ds.assign(prcp=ds["prcp"].astype(str)), "prcp holds .* values, not numbers"),
        (
            lambda ds: ds.assign(prcp=ds["slope"]),
            r"prcp is 3 \(basin\), not over \('basin', 'time'\)",
        ),
        (
            lambda ds: ds.assign_coords(lat=("basin", [40.0, 91.0, 3.0])),
            "lat of basin x_00000002 is 91, outside -90",
        ),
        (
            lambda ds: ds.assign_coords(area=("basin", [1.0, 2.0, -3.0])),
            "area of basin x_00000003 is -3",
        ),
    ],
)
def test_what_breaks_the_convention_is_one_line(ds, breaks, message):
    refused(breaks(ds), message)


def test_targets_and_attributes_may_be_missing(ds):
    ds["streamflow"][:, :] = np.nan
    ds["slope"][1] = np.nan
    check(ds)


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_a_users_own_file(ds, tmp_path, kind):
    path = tmp_path / f"mine.{kind}"
    if kind == "nc":
        ds.to_netcdf(path)
    else:
        ds.assign(rock=ds["rock"].astype("U")).assign_coords(basin=ds["basin"].astype("U")).to_zarr(
            path, zarr_format=2
        )
    opened = open_dataset(path)
    for name in ds.data_vars:
        np.testing.assert_array_equal(opened[name].values.astype(ds[name].dtype), ds[name].values)
    some = open_catchments(
        DataParameters(kind="file", path=str(path), basins=["00000003", "x_00000001"])
    )
    assert list(some["basin"].values) == ["x_00000003", "x_00000001"]
    np.testing.assert_array_equal(some["prcp"], ds["prcp"].values[[2, 0]])


def test_files_that_are_none(tmp_path):
    (tmp_path / "a.nc").write_text("no data")
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("a.nc", "cannot be read as NetCDF or Zarr"),
        ("folder", "cannot be read as NetCDF or Zarr"),
        ("gone.nc", "no such file: "),
    ):
        with pytest.raises(DataError, match=message) as error:
            open_dataset(tmp_path / name)
        assert "\n" not in str(error.value)


BASINS = ["camels_01013500", "camels_02108000", "camels_11532500"]


def test_basins_are_chosen_in_the_order_asked_for():
    assert choose_basins(BASINS[::-1], None, where="here") == BASINS
    assert choose_basins(BASINS, ["11532500", "camels_01013500"], where="here") == [
        BASINS[2],
        BASINS[0],
    ]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            ["1013500"],
            "here has no basin '1013500'; did you mean '01013500', with its leading zero",
        ),
        (["camels_1013500"], "did you mean '01013500', with its leading zero"),
        (["camels_02108001"], "no basin 'camels_02108001'; did you mean"),
        (["xyz"], "no basin 'xyz'; known: camels_01013500, "),
        ("01013500", "basins is a list of ids, not the string '01013500'"),
        (["01013500", "camels_01013500"], "basin 'camels_01013500' is asked for twice"),
        ([], "the list of basins is empty"),
    ],
)
def test_basins_that_cannot_be_chosen(wanted, message):
    with pytest.raises(DataError, match=message):
        choose_basins(BASINS, wanted, where="here")


def test_bare_ids():
    assert [bare_id(b) for b in ("camels_01013500", "01013500", "hysets_01AD002")] == [
        "01013500"
    ] * 2 + ["01AD002"]


def test_lists_of_basins(tmp_path):
    path = tmp_path / "basins.txt"
    path.write_text("# mine\n01013500\n\n 02108000  # the second\n")
    assert read_basin_list(path) == ["01013500", "02108000"]
    path.write_text("# none\n")
    with pytest.raises(DataError, match=r"basins\.txt lists no basin"):
        read_basin_list(path)
    with pytest.raises(
        DataError, match=r"no such file: .*gone.txt; give a text file with one id per line"
    ):
        read_basin_list(tmp_path / "gone.txt")


def test_a_list_of_basins_chooses_among_the_synthetic(tmp_path):
    path = tmp_path / "basins.txt"
    everything = open_catchments(DataParameters(n_basins=6, years=2))
    ids = list(everything["basin"].values)
    path.write_text(f"{ids[2]}\n{ids[0]}\n")
    ds = open_catchments(DataParameters(n_basins=6, years=2, basins=str(path)))
    assert list(ds["basin"].values) == [ids[2], ids[0]]
    xr.testing.assert_identical(ds, everything.isel(basin=[2, 0]))


def test_leap_years_are_complete():
    require_daily(pd.date_range("1999-12-31", "2000-03-01"), "here")
    with pytest.raises(DataError, match="here: 1 dates are missing, the first is 2000-02-29"):
        require_daily(pd.date_range("1999-12-31", "2000-03-01").drop("2000-02-29"), "here")
