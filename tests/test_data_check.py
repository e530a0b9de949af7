"""The report names what a folder holds and does not stop at the first thing that is wrong with
it."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from camels_us_files import (
    DAYS,
    discharge,
    flow_file,
    forcing_file,
    series,
    write_attributes,
    write_camels_us,
)

from hydronb.data.report import report
from hydronb.errors import DataError


@pytest.fixture
def camels(tmp_path):
    return write_camels_us(tmp_path / "camels", "daymet")


def write_caravan(root, *, source="camels", kind="netcdf", pet=2.0, n=3):
    """A few basins with the attribute tables; `pet` is the mean of the ERA5-Land series, mm/d."""
    days = pd.date_range("2000-01-01", "2001-12-31", name="date")
    ids = [f"{source}_0{i}013500" for i in range(1, n + 1)]
    folder = root / "timeseries" / kind / source
    folder.mkdir(parents=True)
    for i, basin in enumerate(ids):
        rng = np.random.default_rng(i)
        frame = pd.DataFrame(
            {
                "total_precipitation_sum": rng.gamma(0.5, 5, len(days)),
                "temperature_2m_mean": rng.normal(10, 5, len(days)),
                "potential_evaporation_sum_ERA5_LAND": np.full(len(days), pet * 5),
                "potential_evaporation_sum_FAO_PENMAN_MONTEITH": np.full(len(days), pet),
                "streamflow": rng.gamma(1, 2, len(days)),
            },
            index=days,
        )
        frame.iloc[: 73 * i, -1] = np.nan
        if kind == "netcdf":
            xr.Dataset.from_dataframe(frame).to_netcdf(folder / f"{basin}.nc")
        else:
            frame.to_csv(folder / f"{basin}.csv")
    tables = root / "attributes" / source
    tables.mkdir(parents=True, exist_ok=True)
    for table, columns in (
        ("caravan", {"p_mean": 2.0}),
        ("hydroatlas", {"ele_mt_sav": 100}),
        ("other", {"gauge_lat": 45.0, "gauge_lon": -70.0, "area": 100.0}),
    ):
        pd.DataFrame({"gauge_id": ids} | columns).to_csv(
            tables / f"attributes_{table}_{source}.csv", index=False
        )
    return root


def text(lines) -> str:
    return "\n".join(lines)


# What is there
# ---


def test_camels_us_as_it_should_be(camels):
    found = report(camels)
    said = text(found)
    assert found.problems == [] and found[-1] == "no problem found"
    assert f"{camels}: CAMELS-US" in said
    assert "camels_topo.txt: 3 basins, 4 attributes" in said
    assert (
        "camels_vege.txt: 3 basins, 3 attributes, missing values in root_depth_50, geol_2nd_class"
        in said
    )
    assert "forcing daymet: 3 basins, 01013500 to 11532500" in said
    assert "period: 1999-10-01 to 2001-09-30" in said
    prcp = pd.concat([series(b)["prcp"] for b in ("01013500", "02108000", "11532500")])
    assert f"prcp: {prcp.min():.6g} to {prcp.max():.6g} mm/d, mean {prcp.mean():.4g}" in said
    missing = discharge("01013500").where(lambda q: q >= 0).reindex(DAYS).isna().mean()
    assert f"no streamflow on {missing:.1%} of days, in 3 of 3 basins" in said


def test_caravan_as_it_should_be(tmp_path):
    found = report(write_caravan(tmp_path))
    said = text(found)
    assert found.problems == []
    assert (
        "Caravan, sub-source camels (netcdf), 3 basins, camels_01013500 to camels_03013500" in said
    )
    assert "attributes_other_camels.csv: 3 basins, 3 attributes" in said
    assert "period: 2000-01-01 to 2001-12-31" in said
    assert (
        "no streamflow on 10.0% of days, in 2 of 3 basins, most in camels_03013500 (20.0%)" in said
    )
    assert "potential_evaporation_sum_FAO_PENMAN_MONTEITH: 2 to 2 mm/d, mean 2" in said


def test_impossible_pet_is_named(tmp_path):
    """By the ERA5-Land name whatever it is like, and by its size whatever its name."""
    notes = report(write_caravan(tmp_path / "a")).notes
    assert len(notes) == 1 and "(potential_evaporation_sum_ERA5_LAND) is impossible" in notes[0]
    notes = report(write_caravan(tmp_path / "b", pet=13.0)).notes
    assert "(potential_evaporation_sum_FAO_PENMAN_MONTEITH) is impossible" in text(notes)
    assert "3 of 3 basins" in text(notes)


def test_a_folder_that_holds_several_sources(tmp_path):
    write_camels_us(tmp_path / "camels_us", "nldas")
    write_caravan(tmp_path / "caravan")
    write_caravan(tmp_path / "caravan", source="camelsgb", kind="csv", n=2)
    said = text(report(tmp_path))
    assert (
        "CAMELS-US" in said
        and "sub-source camels (netcdf)" in said
        and "sub-source camelsgb (csv)" in said
    )
    assert "nldas: tmin equals tmax in 3 of 3 files; only tmean is offered" in said


def test_a_dataset_in_the_convention(tmp_path):
    days = pd.date_range("2000-01-01", periods=20)
    ds = xr.Dataset(
        {"prcp": (("basin", "time"), np.ones((2, 20))), "aridity": ("basin", [1.0, np.nan])},
        coords={"basin": ["01", "02"], "time": days},
    )
    ds.to_netcdf(tmp_path / "mine.nc")
    found = report(tmp_path / "mine.nc")
    assert found.problems == []
    assert "a dataset of 2 basins and 20 days" in text(
        found
    ) and "prcp: 1 to 1 mm/d, mean 1" in text(found)
    assert "1 attributes, missing values in aridity" in text(found)
    ds.to_zarr(tmp_path / "mine.zarr", zarr_format=2)
    assert "a dataset of 2 basins" in text(report(tmp_path / "mine.zarr"))
    assert text(report(tmp_path)).count("a dataset of 2 basins") == 2


def test_a_folder_of_attribute_tables(tmp_path):
    write_attributes(tmp_path)
    assert "camels_name.txt: 3 basins" in text(report(tmp_path))


# What is wrong
# ---


def test_everything_wrong_with_camels_us_is_named(camels):
    forcing = forcing_file(camels, "daymet", "01013500")
    lines = forcing.read_text().split("\n")
    lines[9] = lines[9].replace("\t", "\tx", 1)
    del lines[20]
    for i in range(30, 40):
        lines[i] = "\t".join([*lines[i].split("\t")[:2], "-1.00", *lines[i].split("\t")[3:]])
    forcing.write_text("\n".join(lines))
    short = forcing_file(camels, "daymet", "02108000")
    short.write_text("\n".join(short.read_text().split("\n")[:300]))
    flow = flow_file(camels, "11532500")
    flow.write_text(flow.read_text().replace("A:e", "A:e extra", 1))
    flow_file(camels, "01013500").unlink()
    stray = forcing_file(camels, "daymet", "02108000").with_name(
        "99999999_lump_cida_forcing_leap.txt"
    )
    stray.write_text(short.read_text())
    table = camels / "camels_attributes_v2.0" / "camels_name.txt"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    found = report(camels)
    said = text(found.problems)
    assert f"{forcing}:10: dayl is 'x" in said
    assert f"{forcing}:21: 1 date is missing between 1999-10-16 and 1999-10-18" in said
    assert f"{forcing}:31: negative precipitation (prcp): -1 mm/d" in said
    assert f"{forcing}: 9 more like these" in said
    assert "1 of 2 forcing files do not cover" in said
    assert "usgs_streamflow has no file of basin 01013500" in said
    assert "no attributes of 1 basin (99999999)" in text(found.notes)
    assert "do not list the same number of basins" in text(found.notes)
    assert f"{len(found.problems)} problems:" in found
    assert all("\n" not in line for line in found)


def test_notes_are_what_opening_takes_care_of(camels):
    forcing_file(camels, "daymet", "02108000").unlink()
    other = forcing_file(camels, "daymet", "01013500")
    lines = other.read_text().split("\n")
    lines[2] = "  4000000000"
    other.write_text("\n".join(lines))
    (camels / "basin_mean_forcing" / "mine").mkdir()
    found = report(camels)
    assert found.problems == []
    assert "1 of the 3 basins with attributes have no forcing file" in text(found.notes)
    assert "01013500 (4000 against 2253 km2)" in text(found.notes)
    assert "mine is no forcing product known here" in text(found.notes)


def test_everything_wrong_with_caravan_is_named(tmp_path):
    root = write_caravan(tmp_path, kind="csv", n=5)
    folder = root / "timeseries" / "csv" / "camels"
    files = sorted(folder.glob("*.csv"))
    good = pd.read_csv(files[0])
    files[0].write_text(files[0].read_text()[:40])
    good.assign(total_precipitation_sum=-3.0).to_csv(files[1], index=False)
    good.drop(index=100).to_csv(files[2], index=False)
    good.assign(streamflow=1e5).to_csv(files[3], index=False)
    good.assign(streamflow=np.nan).to_csv(files[4], index=False)
    (root / "attributes" / "camels" / "attributes_hydroatlas_camels.csv").unlink()
    other = root / "attributes" / "camels" / "attributes_other_camels.csv"
    other.write_text("\n".join(other.read_text().splitlines()[:-1]))
    found = report(root)
    said = text(found.problems)
    for path in files[:3]:
        assert str(path) in said
    assert (
        f"{files[1]}: prcp of basin camels_02013500 is -3 mm/d on 2000-01-01, outside 0 to" in said
    )
    assert "(731 such days)" in said
    assert "2000-04-10" in said
    assert f"{files[3]}: streamflow of basin camels_04013500 is 100000 mm/d" in said
    assert "no streamflow at all in 1 basin (camels_05013500)" in text(found.notes)
    assert "attributes_hydroatlas_camels.csv" in text(found.notes)
    assert f"{other} lacks 1 basin (camels_05013500)" in said


def test_everything_wrong_with_a_dataset_is_named(tmp_path):
    days = pd.date_range("2000-01-01", periods=20)
    bad = np.ones((1, 20))
    bad[0, 3] = -999
    ds = xr.Dataset(
        {
            "prcp": (("basin", "time"), bad),
            "streamflow": (("basin", "time"), bad),
            "tmean": (("basin", "time"), bad + 273, {"units": "K"}),
        },
        coords={"basin": ["01"], "time": days},
    )
    ds.to_netcdf(tmp_path / "mine.nc")
    problems = report(tmp_path / "mine.nc").problems
    assert len(problems) == 3
    assert "prcp of basin 01 is -999" in text(problems) and "tmean is in 'K'" in text(problems)
    ds.assign_coords(basin=[1013500]).to_netcdf(tmp_path / "numbers.nc")
    assert "leading zeros are lost" in text(report(tmp_path / "numbers.nc").problems)
    (tmp_path / "broken.nc").write_text("not a file of that kind")
    assert "cannot be read as NetCDF or Zarr" in text(report(tmp_path / "broken.nc").problems)


def test_a_path_or_layout_that_is_not_known(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        report(tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"looked for .*\(Caravan\), basin_mean_forcing/ \(CAMELS-US\), .*\*\.nc"
    ):
        report(tmp_path)
    (tmp_path / "notes.docx").write_text("")
    with pytest.raises(DataError, match="holds nothing known"):
        report(tmp_path / "notes.docx")


def test_real_folders(real_data, tmp_path):
    """CAMELS-US as it lies there, and every twentieth of Caravan's files."""
    series = tmp_path / "caravan/timeseries/netcdf/camels"
    series.mkdir(parents=True)
    for path in sorted((real_data / "caravan/timeseries/netcdf/camels").glob("*.nc"))[::20]:
        (series / path.name).symlink_to(path.resolve())
    (tmp_path / "caravan/attributes").symlink_to((real_data / "caravan/attributes").resolve())
    (tmp_path / "camels_us").symlink_to((real_data / "camels_us").resolve())
    found = report(tmp_path)
    assert found.problems == []
    said = text(found)
    assert "forcing nldas: 18 basins" in said and "sub-source camels (netcdf), 21 basins" in said
    assert "05057200 (909 against 1897 km2)" in text(found.notes)
    assert "(potential_evaporation_sum) is impossible" in text(found.notes)


def test_missing_attribute_tables_do_not_hide_the_rest(camels):
    """Nor does a missing streamflow folder."""
    for folder in ("camels_attributes_v2.0", "usgs_streamflow"):
        shutil.rmtree(camels / folder)
    found = report(camels)
    assert len(found.problems) == 2
    assert "no attribute tables: looked for" in found.problems[0]
    assert "usgs_streamflow holds no file GAUGE_streamflow_qc.txt" in found.problems[1]
    assert "forcing daymet: 3 basins" in text(found) and "streamflow: none" in text(found)
