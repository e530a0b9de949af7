"""Caravan folders, NetCDF and CSV, as they should be and as they should not."""

import warnings

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from camels_us_files import write_attributes
from caravan_files import (
    BASINS,
    DAYS,
    IMPOSSIBLE,
    PLAUSIBLE,
    file_of,
    series,
    write_caravan,
    write_series,
)

from hydronb.data.pet import PetWarning, extraterrestrial_radiation
from hydronb.data.sources.caravan import climate_indices, open_caravan
from hydronb.errors import DataError

KINDS = ["netcdf", "csv"]
FIRST, SECOND = BASINS["camels"]
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def root(tmp_path):
    return write_caravan(tmp_path / "Caravan")


def refused(message, root, **arguments):
    """The one line that opening ends in."""
    with pytest.raises(DataError, match=message) as error:
        open_caravan(root, **arguments)
    assert "\n" not in str(error.value)


@every_kind
@pytest.mark.parametrize("source", sorted(BASINS))
def test_every_value_stands_at_its_basin_and_date(tmp_path, kind, source):
    ds = open_caravan(write_caravan(tmp_path, kind), source=source)
    assert list(ds["basin"].values) == sorted(BASINS[source])
    assert (ds.indexes["time"] == DAYS).all()
    for basin in BASINS[source]:
        frame, one = series(basin), ds.sel(basin=basin)
        for ours, theirs in (
            ("prcp", "total_precipitation_sum"),
            ("tmean", "temperature_2m_mean"),
            ("tmin", "temperature_2m_min"),
            ("tmax", "temperature_2m_max"),
            ("pet", PLAUSIBLE),
            ("srad", "surface_net_solar_radiation_mean"),
            ("streamflow", "streamflow"),
            ("swe", "snow_depth_water_equivalent_mean"),
        ):
            np.testing.assert_allclose(one[ours], frame[theirs], rtol=1e-6)
        dew = frame["dewpoint_temperature_2m_mean"]
        np.testing.assert_allclose(
            one["vp"], 610.8 * np.exp(17.27 * dew / (dew + 237.3)), rtol=1e-5
        )
    assert ds["vp"].attrs["units"] == "Pa" and ds["prcp"].attrs["units"] == "mm/d"
    assert ds["pet"].attrs["method"] == "FAO Penman-Monteith (source)"
    assert "volumetric_soil_water_layer_1_mean" not in ds


def test_tables_are_joined_by_id(root):
    """The rows of the tables are in other orders, and a basin without a file is among them."""
    ds = open_caravan(root, basins=[SECOND, FIRST])
    assert list(ds["basin"].values) == [SECOND, FIRST]
    np.testing.assert_array_equal(ds["ele_mt_sav"], [200, 100])
    np.testing.assert_array_equal(ds["lat"], [41, 40])
    np.testing.assert_array_equal(ds["area"], [2 * 2252.7, 2252.7])
    assert list(ds["gauge_name"].values) == ["River 1, at the bridge", "River 0, at the bridge"]
    assert {"p_mean", "frac_snow", "lit_cl_smj", "country"} <= set(ds.data_vars)


def test_both_layouts_give_the_same(tmp_path):
    a, b = (open_caravan(write_caravan(tmp_path / kind, kind)) for kind in KINDS)
    xr.testing.assert_allclose(a, b, rtol=1e-6)


def test_csv_is_read_once(tmp_path, monkeypatch):
    root = write_caravan(tmp_path, "csv")
    first = open_caravan(root)
    with monkeypatch.context() as patch:
        patch.setattr(
            "hydronb.data.sources.caravan.read_timeseries", lambda path: pytest.fail("parsed again")
        )
        again = open_caravan(root)
    xr.testing.assert_identical(first, again)
    write_series(root, FIRST, series(FIRST).assign(streamflow=1.5), "csv")
    assert float(open_caravan(root)["streamflow"].sel(basin=FIRST).mean()) == 1.5


def test_the_folder_may_lie_one_level_down(root):
    xr.testing.assert_identical(open_caravan(root.parent), open_caravan(root))


def test_ids_with_or_without_their_prefix(root):
    assert list(open_caravan(root, basins=["02108000"])["basin"].values) == [SECOND]


# PET


def moisture_by_hand(prcp, pet):
    """Knoben et al. (2018), month by month."""
    months = []
    for month in range(1, 13):
        p, e = (v[v.index.month == month].mean() for v in (prcp, pet))
        months.append(1 - e / p if p > e else p / e - 1 if e > p else 0.0)
    return np.mean(months), max(months) - min(months)


def test_impossible_pet_is_replaced_and_what_was_made_from_it_too(root):
    for basin in BASINS["camels"]:
        write_series(root, basin, series(basin).drop(columns=PLAUSIBLE), "netcdf")
    with pytest.warns(PetWarning, match=IMPOSSIBLE):
        ds = open_caravan(root)
    assert ds["pet"].attrs["method"] == "hargreaves"
    assert 0.5 < float(ds["pet"].mean()) < 4
    for basin in BASINS["camels"]:
        one = ds.sel(basin=basin)
        prcp, pet = (one[n].to_series() for n in ("prcp", "pet"))
        assert float(one["pet_mean"]) == pytest.approx(pet.mean(), rel=1e-5)
        assert float(one["aridity"]) == pytest.approx(pet.mean() / prcp.mean(), rel=1e-5)
        index, seasonality = moisture_by_hand(prcp, pet)
        assert float(one["moisture_index"]) == pytest.approx(index, rel=1e-4)
        assert float(one["seasonality"]) == pytest.approx(seasonality, rel=1e-4)
        # not made from PET: the table's
        assert float(one["p_mean"]) == 3.0 + BASINS["camels"].index(basin)


def test_what_later_versions_made_from_the_impossible_pet_is_left_out(root):
    path = root / "attributes" / "camels" / "attributes_caravan_camels.csv"
    table = pd.read_csv(path, dtype={"gauge_id": str})
    table.assign(pet_mean_ERA5_LAND=14.5, aridity_ERA5_LAND=4.5, seasonality_FAO_PM=0.5).to_csv(
        path, index=False
    )
    assert not [n for n in open_caravan(root) if str(n).endswith(("ERA5_LAND", "FAO_PM"))]


def test_without_extremes_oudin_stands_in(root):
    for basin in BASINS["camels"]:
        write_series(
            root,
            basin,
            series(basin)[["total_precipitation_sum", "temperature_2m_mean", IMPOSSIBLE]],
            "netcdf",
        )
    with pytest.warns(PetWarning):
        ds = open_caravan(root)
    assert ds["pet"].attrs["method"] == "oudin"
    assert "streamflow" not in ds


def test_impossible_pet_by_name_and_no_pet_at_all(root):
    for basin in BASINS["camels"]:
        write_series(root, basin, series(basin).drop(columns=PLAUSIBLE), "netcdf")
    with warnings.catch_warnings(action="error"):
        ds = open_caravan(root, pet="source")
        np.testing.assert_allclose(ds["pet"].sel(basin=FIRST), series(FIRST)[IMPOSSIBLE], rtol=1e-6)
        none = open_caravan(root, pet="none")
    assert float(ds["pet_mean"].sel(basin=FIRST)) == pytest.approx(
        series(FIRST)[IMPOSSIBLE].mean(), rel=1e-5
    )
    assert not {"pet", "pet_mean", "aridity", "moisture_index", "seasonality"} & set(none.variables)


def test_moisture_index_by_hand():
    """P 4 mm/d all year; PET 1 in half of the months (1 - 1/4 = 0.75) and 8 in the others (4/8 - 1
    = -0.5): the mean is 0.125, the range 1.25. A second basin without rain is -1; a third has
    neither and is 0; the fourth has both alike and is 0."""
    time = pd.date_range("2001-01-01", "2002-12-31")
    summer = np.isin(time.month, [4, 5, 6, 7, 8, 9])

    def basins(*rows):
        return xr.DataArray(
            [np.broadcast_to(r, len(time)).astype(float) for r in rows],
            dims=("basin", "time"),
            coords={"basin": list("abcd"), "time": time},
        )

    indices = climate_indices(basins(4, 0, 0, 3), basins(np.where(summer, 8, 1), 2, 0, 3))
    np.testing.assert_allclose(indices["moisture_index"], [0.125, -1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(indices["seasonality"], [1.25, 0, 0, 0], atol=1e-12)
    mean = np.where(summer, 8, 1).mean()
    np.testing.assert_allclose(indices["pet_mean"], [mean, 2, 0, 3])
    np.testing.assert_allclose(indices["aridity"].values[[0, 3]], [mean / 4, 1])


# CAMELS attributes


def test_camels_attributes_are_joined_by_the_part_after_the_prefix(root, tmp_path):
    write_attributes(tmp_path / "tables")
    with pytest.warns(UserWarning, match="differ by more than 10 % in 1 basins.*camels_02108000"):
        ds = open_caravan(root, attributes=tmp_path / "tables", basins=[SECOND, FIRST])
    assert list(ds["basin"].values) == [SECOND, FIRST]
    np.testing.assert_array_equal(ds["elev_mean"], [20.5, 250.31])
    assert list(ds["dom_land_cover"].values) == ["Croplands", "Mixed Forests"]
    np.testing.assert_array_equal(ds["lat"], [41, 40])  # Caravan's own


def test_camels_attributes_replace_caravans_of_the_same_name(root, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "camels_clim.txt").write_text(
        "gauge_id;p_mean;pet_mean\n02108000;3.9;3.1\n01013500;3.1;2.0\n"
    )
    ds = open_caravan(root, attributes=folder)
    np.testing.assert_array_equal(ds["p_mean"], [3.1, 3.9])
    np.testing.assert_array_equal(ds["pet_mean"], [2.0, 3.1])
    assert "aridity" in ds  # made from the forcing


def test_camels_attributes_that_lack_a_basin(root, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "camels_clim.txt").write_text("gauge_id;p_mean\n01013500;3.1\n")
    refused("02108000", root, attributes=folder)
    refused("no such folder", root, attributes=tmp_path / "nowhere")


# What is wrong


def test_missing_folder_and_wrong_layout(tmp_path, root):
    refused("no such folder: .*nowhere", tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    refused("is not a Caravan folder", tmp_path / "other")
    refused("no sub-source 'camelsbg'; did you mean 'camelsgb'", root, source="camelsbg")
    (root / "timeseries/netcdf/empty").mkdir()
    refused(r"holds no \.nc file", root, source="empty")


@pytest.mark.parametrize(
    ("basin", "message"),
    [
        ("camels_01013501", "has no basin 'camels_01013501'; did you mean"),
        ("1013500", "did you mean '01013500', with its leading zero"),
        ("camels_1013500", "did you mean '01013500', with its leading zero"),
        ("camelsgb_1001", "has no basin 'camelsgb_1001'"),
    ],
)
def test_unknown_basins(root, basin, message):
    refused(message, root, basins=[basin])


def change(column, day, value):
    def changed(frame):
        frame = frame.astype({column: object}) if isinstance(value, str) else frame
        frame.loc[day, column] = value
        return frame

    return changed


BROKEN = {
    "negative precipitation": (
        change("total_precipitation_sum", "2001-03-04", -1.0),
        "prcp of basin camels_02108000 is -1 mm/d on 2001-03-04, outside 0",
    ),
    "precipitation in metres a year": (
        change("total_precipitation_sum", "2001-03-04", 1e5),
        "is 100000 mm/d on 2001",
    ),
    "NaN forcing": (
        change("temperature_2m_mean", "2001-03-04", np.nan),
        r"camels_02108000\.\w+: tmean of basin .* is missing on 2001-03-04 \(1 days in all\)",
    ),
    "kelvin": (
        lambda f: f.assign(temperature_2m_mean=f["temperature_2m_mean"] + 273.15),
        "tmean .*outside -90 to 60",
    ),
    "missing day": (
        lambda f: f.drop(pd.Timestamp("2001-03-04")),
        "1 dates are missing, the first is 2001-03-04",
    ),
    "date twice": (lambda f: pd.concat([f[:100], f[99:]]), "the date 2001-04-10 appears twice"),
    "out of order": (lambda f: pd.concat([f[10:], f[:10]]), "dates are not in order at 2001-01-01"),
    "times of day": (
        lambda f: f.set_axis(f.index + pd.Timedelta("9h")),
        "2001-01-01 09:00:00 is not a day",
    ),
    "no precipitation": (
        lambda f: f.drop(columns="total_precipitation_sum"),
        "no variable 'total_precipitation_sum'",
    ),
    "a variable fewer": (
        lambda f: f.drop(columns="temperature_2m_max"),
        "camels_02108000.* has no variable tmax, other files have",
    ),
    "no common day": (
        lambda f: f.set_axis(f.index + pd.Timedelta("4000D")),
        "the basins' files share no day",
    ),
    "no day": (lambda f: f[:0], r"camels_02108000\.\w+ (holds no day|is not one of Caravan's)"),
}


@every_kind
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_named(tmp_path, kind, what):
    breaks, message = BROKEN[what]
    root = write_caravan(tmp_path, kind)
    write_series(root, SECOND, breaks(series(SECOND)).rename_axis("date"), kind)
    refused(message, root)


LETTERS = {
    "letters in a number": (
        change("temperature_2m_mean", "2001-03-04", "warm"),
        "temperature_2m_mean on 2001-03-04 is 'warm', not a number",
    ),
    "letters in a date": (
        lambda f: f.rename({f.index[3]: "4th of January"}),
        "time holds .* values such as .*, not dates",
    ),
    "no dates": (lambda f: f.reset_index(drop=True).rename_axis("day"), "date"),
}


@pytest.mark.parametrize("what", LETTERS)
def test_csv_with_letters(tmp_path, what):
    breaks, message = LETTERS[what]
    root = write_caravan(tmp_path, "csv")
    write_series(
        root, SECOND, breaks(series(SECOND).astype({"temperature_2m_mean": object})), "csv"
    )
    refused(f"{SECOND}.csv.*({message})", root)


@every_kind
@pytest.mark.parametrize("left", [0, 3000])
def test_a_truncated_file(tmp_path, kind, left):
    root = write_caravan(tmp_path, kind)
    path = file_of(root, SECOND, kind)
    path.write_bytes(path.read_bytes()[:left])
    refused(SECOND, root)


def test_another_calendar(root):
    """A model's 360-day years have no 31st and a 30th of February."""
    days = np.array([cftime.Datetime360Day(2001, m, d) for m in range(1, 13) for d in range(1, 31)])
    frame = series(SECOND).iloc[: len(days)]
    ds = xr.Dataset({n: ("date", frame[n].to_numpy()) for n in frame}, coords={"date": days})
    ds.to_netcdf(file_of(root, SECOND, "netcdf"))
    refused("standard calendar", root)


def test_packing_noise_below_zero_is_zero(root):
    frame = series(SECOND)
    frame.loc["2001-03-04", "total_precipitation_sum"] = -1e-7
    write_series(root, SECOND, frame, "netcdf")
    assert float(open_caravan(root)["prcp"].sel(basin=SECOND, time="2001-03-04")) == 0


def test_negative_streamflow_is_missing(root):
    frame = series(SECOND)
    frame.loc["2001-03-04", "streamflow"] = -999.0
    write_series(root, SECOND, frame, "netcdf")
    assert np.isnan(open_caravan(root)["streamflow"].sel(basin=SECOND, time="2001-03-04"))


def test_files_of_different_length_give_the_common_days_and_a_warning(root):
    write_series(root, SECOND, series(SECOND)["2001-02-01":"2002-11-30"], "netcdf")
    with pytest.warns(
        UserWarning,
        match="only 2001-02-01 to 2002-11-30 is kept .*1 files are longer, camels_01013500",
    ):
        ds = open_caravan(root)
    np.testing.assert_allclose(
        ds["prcp"].sel(basin=FIRST),
        series(FIRST)["total_precipitation_sum"]["2001-02-01":"2002-11-30"],
        rtol=1e-6,
    )


TABLES = {
    "no tables": (
        lambda folder: [f.unlink() for f in folder.iterdir()],
        "no attribute table in .*camels",
    ),
    "no table of places": (
        lambda folder: (folder / "attributes_other_camels.csv").unlink(),
        "attributes_other_camels.csv is missing",
    ),
    "a basin that is not in a table": (
        lambda folder: rewrite(folder, lambda t: t[t["gauge_id"] != SECOND]),
        r"attributes_hydroatlas_camels.csv lacks 1 basin \(camels_02108000\)",
    ),
    "a basin twice": (
        lambda folder: rewrite(folder, lambda t: pd.concat([t, t[-2:]])),
        "attributes_hydroatlas_camels.csv has basin camels_02108000 2 times",
    ),
    "no ids": (
        lambda folder: rewrite(folder, lambda t: t.drop(columns="gauge_id")),
        "attributes_hydroatlas_camels.csv:1: no column gauge_id",
    ),
    "not a table": (
        lambda folder: (folder / "attributes_hydroatlas_camels.csv").write_text(
            "a,b\n1,2,3\n1,2,3,4\n"
        ),
        "attributes_hydroatlas_camels.csv",
    ),
    "an empty file": (
        lambda folder: (folder / "attributes_hydroatlas_camels.csv").write_text(""),
        "attributes_hydroatlas_camels.csv",
    ),
    "words for an area": (
        lambda folder: rewrite(folder, lambda t: t.assign(area="big"), "other"),
        "attributes_other_camels.csv: area of basin camels_02108000 is 'big', not a number",
    ),
}


def rewrite(folder, changed, table="hydroatlas"):
    path = folder / f"attributes_{table}_camels.csv"
    changed(pd.read_csv(path, dtype={"gauge_id": str})).to_csv(path, index=False)


@pytest.mark.parametrize("what", TABLES)
def test_tables_that_cannot_be_joined(root, what):
    breaks, message = TABLES[what]
    breaks(root / "attributes/camels")
    refused(message, root)


# The real thing


def test_real_basins(real_data):
    """402 basins; ERA5-Land PET of 5 to 20 mm/d is refused, what stands in for it is near CAMELS'
    own."""
    with pytest.warns(UserWarning) as told:
        ds = open_caravan(
            real_data / "caravan", attributes=real_data / "camels_us/camels_attributes_v2.0"
        )
    assert any(w.category is PetWarning and "impossible" in str(w.message) for w in told)
    assert ds.sizes == {"basin": 402, "time": 12418}
    assert all(b.startswith("camels_") and len(b) == 15 for b in ds["basin"].values)
    assert ds["pet"].attrs["method"] == "oudin"
    means = ds["pet"].mean("time")
    radiation = 0.408 * extraterrestrial_radiation(ds["lat"], ds["time"][-365:]).mean("time")
    assert 0.5 < float(means.min()) and float(means.max()) < 5.0
    assert 0.05 < float((means / radiation).min()) and float((means / radiation).max()) < 0.4
    # CAMELS' Priestley-Taylor, joined by id
    assert abs(float((means / ds["pet_mean"]).median()) - 1) < 0.2
    assert ds["area_gages2"].notnull().all() and ds["elev_mean"].dtype == float


def test_a_real_basin_without_camels_tables(real_data):
    with pytest.warns(PetWarning):
        ds = open_caravan(real_data / "caravan", basins=["01022500"])
    one = ds.isel(basin=0)
    assert 0.3 < float(one["aridity"]) < 0.9  # the table says 4.54
    assert 0.2 < float(one["moisture_index"]) < 0.8
    assert str(one["gauge_name"].values) == "Narraguagus River at Cherryfield, Maine"
