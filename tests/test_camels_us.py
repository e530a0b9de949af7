"""CAMELS-US text files: what is written comes back, and each broken file is named with its line."""

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from camels_us_files import (
    BASINS,
    DAYS,
    STYLES,
    discharge,
    flow_file,
    forcing_file,
    series,
    write_attributes,
    write_camels_us,
)

from hydronb.data.problems import raise_first
from hydronb.data.sources import camels_us
from hydronb.data.sources.camels_us import (
    AreaWarning,
    open_camels_attributes,
    open_camels_us,
)
from hydronb.data.sources.camels_us_text import read_forcing, read_streamflow
from hydronb.errors import HydronbError


@pytest.fixture(autouse=True)
def cache_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRONB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return write_camels_us(tmp_path / "camels", "daymet")


def refused(call) -> str:
    """The message of the error, which is one line."""
    with pytest.raises(HydronbError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def edit(path, line, change):
    """Replace one line (counted from 1) by what `change` makes of it; None removes it."""
    lines = path.read_text().split("\n")
    new = change(lines[line - 1])
    lines[line - 1 : line] = [] if new is None else [new]
    path.write_text("\n".join(lines))


# What is written comes back
# ---


@pytest.mark.parametrize("product", STYLES)
def test_every_product_is_read(tmp_path, product):
    ds = open_camels_us(write_camels_us(tmp_path, product), forcing=product)
    assert list(ds["basin"].values) == list(BASINS)
    assert ds.indexes["time"].equals(DAYS)
    for basin in BASINS:
        want = series(basin)
        for name in ("prcp", "srad", "vp", "dayl", "swe"):
            np.testing.assert_allclose(ds[name].sel(basin=basin), want[name], rtol=1e-6)
        if STYLES[product][3]:
            np.testing.assert_allclose(ds["tmin"].sel(basin=basin), want["tmin"], rtol=1e-6)
            np.testing.assert_allclose(
                ds["tmean"].sel(basin=basin), (want["tmin"] + want["tmax"]) / 2, atol=1e-5
            )
        else:
            np.testing.assert_allclose(ds["tmean"].sel(basin=basin), want["tmax"], rtol=1e-6)
    assert ds["prcp"].attrs["units"] == "mm/d" and ds["vp"].attrs["units"] == "Pa"


def test_leap_days_are_real_days(root):
    ds = open_camels_us(root, forcing="daymet")
    assert float(ds["prcp"].sel(basin="01013500", time="2000-02-29")) == pytest.approx(
        series("01013500").loc["2000-02-29", "prcp"]
    )


def test_streamflow_is_joined_by_date_in_mm(root):
    """28316846.592 mm3 in a cubic foot, over the header's area in mm2, as Kratzert et al. (2019)
    convert."""
    ds = open_camels_us(root, forcing="daymet")
    q = ds["streamflow"].sel(basin="02108000")
    cfs = discharge("02108000")
    day = "2001-07-04"
    assert float(q.sel(time=day)) == pytest.approx(
        cfs[day] * 28316846.592 * 86400 / (1551e6 * 1e6), rel=1e-6
    )
    gap = [
        *pd.date_range("2000-06-10", "2000-06-14"),
        pd.Timestamp("2000-03-05"),
        *pd.date_range("2001-09-01", DAYS[-1]),
    ]
    assert list(DAYS[np.isnan(q.values)]) == sorted(gap)
    np.testing.assert_allclose(ds["area"], [area for _, area in BASINS.values()])


def test_attributes_are_joined_by_id(root):
    """The tables list the basins in different order."""
    ds = open_camels_us(root, forcing="daymet", basins=["11532500", "01013500"])
    assert list(ds["basin"].values) == ["11532500", "01013500"]
    np.testing.assert_allclose(ds["elev_mean"], [831.87, 250.31])
    np.testing.assert_allclose(ds["lat"], [41.79, 47.24])
    assert list(ds["huc_02"].values) == ["18", "01"]
    assert list(ds["dom_land_cover"].values) == ["Evergreen Needleleaf Forest", "Mixed Forests"]
    assert list(ds["geol_2nd_class"].values) == ["", ""]
    assert np.isnan(ds["root_depth_50"].sel(basin="01013500"))
    assert str(ds["gauge_name"].sel(basin="01013500").values) == "Fish River near Fort Kent, Maine"
    assert ds["elev_mean"].attrs == {
        "units": "m",
        "long_name": "mean elevation of the catchment",
        "group": "topo",
    }


@pytest.mark.parametrize("product", ["maurer", "nldas"])
def test_equal_extremes_offer_the_mean_only(tmp_path, product):
    ds = open_camels_us(write_camels_us(tmp_path, product), forcing=product)
    assert "tmin" not in ds and "tmax" not in ds
    assert "only tmean is offered" in ds.attrs["note_tmin"]
    assert ds["pet"].attrs["method"] == "oudin"


def test_real_extremes_give_hargreaves_and_zero_snow_is_dropped(tmp_path):
    ds = open_camels_us(write_camels_us(tmp_path, "daymet", snow=False), forcing="daymet")
    assert ds["pet"].attrs["method"] == "hargreaves"
    assert "swe" not in ds and "zero throughout" in ds.attrs["note_swe"]


def test_areas_that_disagree_are_warned_about_once(root):
    path = forcing_file(root, "daymet", "02108000")
    edit(path, 3, lambda line: "   700000000")
    with pytest.warns(
        AreaWarning, match=r"1 of 3 basins: 02108000 \(700 against 15(51|52) km2\)"
    ) as caught:
        ds = open_camels_us(root, forcing="daymet")
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    assert float(ds["area"].sel(basin="02108000")) == 700


def test_second_opening_parses_nothing(root, monkeypatch):
    first = open_camels_us(root, forcing="daymet")
    with monkeypatch.context() as patched:
        patched.setattr(camels_us, "read_forcing", None)
        xr.testing.assert_identical(open_camels_us(root, forcing="daymet"), first)
    edit(forcing_file(root, "daymet", "02108000"), 5, _replace_field(2, "7.77"))
    changed = open_camels_us(root, forcing="daymet")["prcp"]
    assert float(changed.sel(basin="02108000")[0]) == pytest.approx(7.77)


# Headers
# ---


@pytest.mark.parametrize(
    "header",
    [
        "Year Mnth Day Hr\tdayl(s)\tprcp(mm/day)\tsrad(W/m2)\tswe(mm)\ttmax(C)\ttmi",
        "Year Mnth Day Hr\tDayl(s)\tPRCP(mm/",
        "Year Mnth",
        "",
    ],
)
def test_a_header_cut_short_is_read_by_position(root, header):
    path = forcing_file(root, "daymet", "02108000")
    whole = raise_first(read_forcing(path))
    edit(path, 4, lambda line: header)
    pd.testing.assert_frame_equal(raise_first(read_forcing(path)), whole)


def test_columns_in_another_order_are_read_by_name(root):
    path = forcing_file(root, "daymet", "02108000")
    whole = raise_first(read_forcing(path))
    lines = path.read_text().split("\n")
    swapped = [line.split() for line in lines[3:]]
    path.write_text(
        "\n".join([*lines[:3], *(" ".join([*f[:4], *reversed(f[4:])]) for f in swapped)])
    )
    pd.testing.assert_series_equal(raise_first(read_forcing(path))["prcp"], whole["prcp"])


def test_another_unit_or_column_in_the_header_is_refused(root):
    path = forcing_file(root, "daymet", "02108000")
    edit(path, 4, lambda line: line.replace("tmax(C)", "tmax(F)"))
    assert f"{path}:4: tmax is in f, not in c" in refused(lambda: raise_first(read_forcing(path)))
    edit(path, 4, lambda line: line.replace("tmax(F)", "wind(m/s)"))
    assert f"{path}:4: unexpected column 'wind'" in refused(lambda: raise_first(read_forcing(path)))


# Folders and names
# ---


def test_root_may_be_above_and_the_attributes_beside(tmp_path):
    base = tmp_path / "archive" / "basin_dataset_public_v1p2"
    write_camels_us(base)
    shutil.move(base / "camels_attributes_v2.0", tmp_path / "archive" / "camels_attributes_v2.0")
    for root in (base, base.parent, tmp_path, base / "basin_mean_forcing"):
        assert open_camels_us(root, forcing="daymet", basins=["01013500"]).sizes["basin"] == 1


def test_attribute_tables_may_lie_in_the_root(root):
    for table in (root / "camels_attributes_v2.0").iterdir():
        table.rename(root / table.name)
    assert open_camels_us(root, forcing="daymet").sizes["basin"] == 3


def test_a_basin_in_two_folders_is_read_from_its_own_region(root):
    stray = root / "basin_mean_forcing/daymet/17" / forcing_file(root, "daymet", "02108000").name
    stray.parent.mkdir()
    stray.write_text("nonsense")
    assert open_camels_us(root, forcing="daymet").sizes["basin"] == 3
    (root / "basin_mean_forcing/daymet/03" / stray.name).rename(
        root / "basin_mean_forcing/daymet" / stray.name
    )
    assert "both of basin 02108000" in refused(lambda: open_camels_us(root, forcing="daymet"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"forcing": "daymett"}, "unknown forcing 'daymett'; did you mean 'daymet'?"),
        ({"forcing": "nldas"}, "no forcing 'nldas' in"),
        ({"basins": ["1013500"]}, "did you mean '01013500', with its leading zero?"),
        ({"basins": "01013500"}, "basins is a list of ids"),
        ({"basins": ["01013500", "01013500"]}, "asked for twice"),
        ({"basins": ["99999999"]}, "has no basin '99999999'"),
        ({"pet": "penman"}, "unknown pet 'penman'"),
        ({"pet": "source"}, "has no PET of its own"),
    ],
)
def test_what_is_asked_for_and_not_there(root, arguments, message):
    assert message in refused(lambda: open_camels_us(root, **{"forcing": "daymet"} | arguments))


def test_no_such_folder_or_layout(tmp_path, root):
    assert "no such folder" in refused(lambda: open_camels_us(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "looked for basin_mean_forcing/PRODUCT" in refused(
        lambda: open_camels_us(tmp_path / "empty")
    )
    shutil.rmtree(root / "camels_attributes_v2.0")
    assert "looked for camels_attributes_v2.0/camels_*.txt" in refused(lambda: open_camels_us(root))


def test_a_basin_without_forcing_is_not_there_unless_asked_for(root):
    path = forcing_file(root, "daymet", "02108000")
    path.unlink()
    assert open_camels_us(root, forcing="daymet").sizes["basin"] == 2
    assert "no forcing file of basin 02108000" in refused(
        lambda: open_camels_us(root, forcing="daymet", basins=["02108000"])
    )


# Broken files
# ---


def _replace_field(field, text):
    return lambda line: "\t".join(text if i == field else f for i, f in enumerate(line.split("\t")))


BROKEN_LINES = {
    "letters": (_replace_field(2, "abc"), "prcp is 'abc', not a number"),
    "negative precipitation": (
        _replace_field(2, "-3.20"),
        "negative precipitation (prcp): -3.2 mm/d",
    ),
    "flag in forcing": (
        _replace_field(5, "-999.00"),
        "maximum air temperature (tmax) is missing (-999)",
    ),
    "not a number": (_replace_field(5, "NaN"), "maximum air temperature (tmax) is missing (nan)"),
    "kelvin": (_replace_field(5, "293.15"), "(tmax) is 293.15 degC, outside -90 to 70"),
    "field split": (lambda line: line.replace(".", " ", 1), "12 fields instead of 11"),
    "line cut": (
        lambda line: line[: len(line) // 2].rsplit("\t", 1)[0],
        "the line is cut or damaged",
    ),
    "no date": (lambda line: line.replace("1999 10 09", "1999 02 30"), "1999 2 30 is no date"),
    "date twice": (lambda line: f"{line}\n{line}", "the date 1999-10-09 appears twice"),
    "date missing": (lambda line: None, "1 date is missing between 1999-10-08 and 1999-10-10"),
    "out of order": (
        lambda line: line.replace("1999 10 09", "1999 10 01"),
        "1999-10-01 comes after 1999-10-08",
    ),
}


@pytest.mark.parametrize("case", BROKEN_LINES)
def test_a_broken_forcing_file_is_named_with_its_line(root, case):
    change, message = BROKEN_LINES[case]
    path = forcing_file(root, "daymet", "02108000")
    edit(path, 13, change)
    said = refused(lambda: open_camels_us(root, forcing="daymet"))
    line = 14 if case == "date twice" else 13
    assert said.startswith(f"{path}:{line}: ") and message in said
    assert said.endswith("download the file again or leave the basin out")
    assert open_camels_us(root, forcing="daymet", basins=["01013500"]).sizes["basin"] == 1


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [(3, "many", "'many' is not a catchment area"), (3, "-5", "'-5' is not a catchment area")],
)
def test_a_broken_header_is_named_with_its_line(root, line, text, message):
    path = forcing_file(root, "daymet", "02108000")
    edit(path, line, lambda _: text)
    assert f"{path}:{line}: {message}" in refused(lambda: open_camels_us(root, forcing="daymet"))


def test_truncated_forcing_files(root):
    path = forcing_file(root, "daymet", "02108000")
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2].rsplit(" ", 1)[0])
    assert "the line is cut or damaged" in refused(lambda: open_camels_us(root, forcing="daymet"))
    path.write_text("\n".join(whole.split("\n")[:104]))
    assert (
        "1 of 3 forcing files do not cover 1999-10-01 to 2001-09-30 like the others (02108000"
        " 1999-10-01 to 2000-01-08)" in refused(lambda: open_camels_us(root, forcing="daymet"))
    )
    path.write_text("\n".join(whole.split("\n")[:4]))
    assert f"{path}:5: the file holds no day" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )
    path.write_text("\n".join(whole.split("\n")[:2]))
    assert f"{path}:3: the file ends in its header" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )
    path.write_text("")
    assert f"{path}:1: the file ends in its header" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )


def test_broken_streamflow_files(root):
    path = flow_file(root, "02108000")
    whole = path.read_text()
    edit(path, 7, lambda line: line.replace("A:e", "").rsplit(" ", 2)[0] + " Ice A")
    assert f"{path}:7: streamflow is 'Ice', not a number" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )
    path.write_text(whole)
    edit(path, 7, lambda line: f"{line}\n{line}")
    assert f"{path}:8: the date 1999-09-07 appears twice" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )
    path.write_text("")
    assert f"{path}:1: the file holds no day" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )
    path.unlink()
    assert "usgs_streamflow has no file of basin 02108000" in refused(
        lambda: open_camels_us(root, forcing="daymet")
    )


def test_streamflow_without_flags_is_read(root):
    path = flow_file(root, "02108000")
    before = open_camels_us(root, forcing="daymet")
    path.write_text("\n".join(" ".join(line.split()[:5]) for line in path.read_text().splitlines()))
    xr.testing.assert_identical(open_camels_us(root, forcing="daymet"), before)


def test_blank_lines_are_passed_over(root):
    """Such a file is read line by line, and the others in one go."""
    for basin in BASINS:
        for read, path in (
            (read_forcing, forcing_file(root, "daymet", basin)),
            (read_streamflow, flow_file(root, basin)),
        ):
            whole = raise_first(read(path))
            edit(path, 60, lambda line: f"{line}\n")
            xr.testing.assert_identical(raise_first(read(path)).to_xarray(), whole.to_xarray())


def test_attribute_tables_that_cannot_be_joined(tmp_path):
    assert "no such folder" in refused(lambda: open_camels_attributes(tmp_path / "nowhere"))
    assert "holds no attribute table" in refused(lambda: open_camels_attributes(tmp_path))
    write_attributes(tmp_path)
    table = tmp_path / "camels_topo.txt"
    whole = table.read_text()
    table.write_text(whole.replace(";", ","))
    assert f"{table}:1: no column gauge_id" in refused(lambda: open_camels_attributes(tmp_path))
    table.write_text(whole + "01013500;1;2;3;4\n")
    assert f"{table} has basin 01013500 2 times" in refused(
        lambda: open_camels_attributes(tmp_path)
    )
    table.write_text(whole.replace("elev_mean", "root_depth_50"))
    assert "'root_depth_50' is in camels_topo.txt and camels_vege.txt" in refused(
        lambda: open_camels_attributes(tmp_path)
    )
    table.write_text(whole)
    assert "did you mean '01013500', with its leading zero?" in refused(
        lambda: open_camels_attributes(tmp_path, ["1013500"])
    )


def test_a_basin_that_one_table_lacks_is_missing_there(tmp_path):
    write_attributes(tmp_path)
    edit(tmp_path / "camels_topo.txt", 2, lambda line: None)
    ds = open_camels_attributes(tmp_path)
    assert np.isnan(ds["elev_mean"].sel(basin="11532500"))
    assert str(ds["dom_land_cover"].sel(basin="11532500").values) == "Evergreen Needleleaf Forest"


# Real data
# ---


def test_real_files(real_data):
    with pytest.warns(AreaWarning, match="1 of 18 basins: 05057200"):
        ds = open_camels_us(real_data / "camels_us", forcing="nldas")
    assert ds.sizes["basin"] == 18 and "01013500" in ds["basin"]
    # by hand, first line of 01013500: 514 cfs over 2260093113 m2
    assert float(ds["streamflow"].sel(basin="01013500", time="1993-09-29")) == pytest.approx(
        514 * 0.3048**3 * 86400 / 2260093113 * 1000, rel=1e-6
    )
    assert int(ds["streamflow"].sel(basin="06221400", time=slice(None, "2002-06-29")).count()) == 0
    assert (
        open_camels_attributes(real_data / "camels_us/camels_attributes_v2.0").sizes["basin"] == 671
    )


def test_real_streamflow_is_caravans(real_data):
    """Caravan converted the same USGS series by itself, with other areas: a factor a basin, days
    agree."""
    with warnings.catch_warnings(action="ignore", category=AreaWarning):
        ds = open_camels_us(real_data / "camels_us", forcing="nldas")
    compared = 0
    for basin in ds["basin"].to_numpy():
        path = real_data / f"caravan/timeseries/netcdf/camels/camels_{basin}.nc"
        if not path.exists():
            continue
        with xr.open_dataset(path) as file:
            theirs = file["streamflow"].to_series()
        ours = ds["streamflow"].sel(basin=basin).to_series()
        both = pd.concat([ours, theirs], axis=1, join="inner").dropna()
        assert both.corr().iloc[0, 1] > 0.9999
        assert basin == "05057200" or both.iloc[:, 0].sum() == pytest.approx(
            both.iloc[:, 1].sum(), rel=0.1
        )
        compared += 1
    assert compared >= 5
