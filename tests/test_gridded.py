"""The convention of gridded catchments: what is taken, what is refused, and means against closed
forms."""

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb.data import gridded, open_grid, open_gridded
from hydronb.data.gridded import as_catchment, basin_mean, cell_area, cell_weights, check_grid
from hydronb.data.report import report
from hydronb.data.synthetic.grids import synthetic_grid
from hydronb.errors import DataError, HydronbError, ParameterError
from hydronb.parameters.cnn_lstm import GridParameters


def grid(days: int = 40, rows: int = 5, cols: int = 6) -> xr.Dataset:
    rng = np.random.default_rng(0)
    shape = (days, rows, cols)
    mask = np.zeros((rows, cols))
    mask[1:4, 2:5] = 1
    mask[1, 2] = 0.25
    return xr.Dataset(
        {
            "prcp": (("time", "y", "x"), rng.gamma(0.5, 6, shape), {"units": "mm/d"}),
            "tmean": (("time", "y", "x"), rng.normal(5, 8, shape)),
            "mask": (("y", "x"), mask),
            "streamflow": ("time", rng.gamma(2, 1, days)),
            "et": ("time", rng.gamma(2, 1, days)),
        },
        coords={
            "time": pd.date_range("2000-01-01", periods=days),
            "lat": ("y", 60 - np.arange(rows)),
            "lon": ("x", 10.0 + np.arange(cols)),
        },
        attrs={"basin": "test"},
    )


# What is taken
# ---


@pytest.mark.parametrize("name", ["grid.nc", "grid.zarr"])
def test_a_file_comes_back_in_the_convention(tmp_path, name):
    ds = grid()
    write = ds.transpose("x", "y", "time")
    (
        write.to_netcdf(tmp_path / name)
        if name.endswith("nc")
        else write.to_zarr(tmp_path / name, consolidated=False)
    )
    found = open_gridded(tmp_path / name)
    assert found["prcp"].dims == ("time", "y", "x") and found["mask"].dims == ("y", "x")
    assert {found[n].dtype for n in ("prcp", "tmean", "mask", "streamflow", "et")} == {
        np.dtype("float32")
    }
    assert found["tmean"].attrs["units"] == "degC" and found.attrs["basin"] == "test"
    np.testing.assert_allclose(found["prcp"], ds["prcp"], rtol=1e-6)


def test_dimensions_may_be_called_lat_and_lon(tmp_path):
    ds = grid()
    places = {
        "latitude": ("latitude", ds["lat"].values),
        "longitude": ("longitude", ds["lon"].values),
    }
    named = ds.drop_vars(["lat", "lon"]).rename(y="latitude", x="longitude").assign_coords(places)
    xr.testing.assert_allclose(check_grid(named), check_grid(ds))


def test_targets_may_be_absent_or_have_gaps():
    assert "streamflow" not in check_grid(grid().drop_vars(["streamflow", "et"]))
    ds = grid()
    ds["streamflow"][3:30] = np.nan
    assert np.isnan(check_grid(ds)["streamflow"]).sum() == 27


def test_large_files_are_opened_with_dask_and_checked_all_the_same(tmp_path, monkeypatch):
    pytest.importorskip("dask")
    monkeypatch.setattr(gridded, "LAZY_BYTES", 1000)
    ds = grid()
    ds.to_netcdf(tmp_path / "large.nc")
    found = open_gridded(tmp_path / "large.nc")
    assert found["prcp"].chunks and not found["streamflow"].chunks
    np.testing.assert_allclose(found["prcp"].mean(), ds["prcp"].mean(), rtol=1e-6)
    ds["tmean"][17, 2, 3] = np.nan
    ds.to_netcdf(tmp_path / "hole.nc")
    with pytest.raises(
        DataError, match=r"tmean is missing in cell \(2, 3\) on 2000-01-18 \(1 values in all\)"
    ):
        open_gridded(tmp_path / "hole.nc")


def test_large_files_without_dask_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(gridded, "LAZY_BYTES", 1000)
    monkeypatch.setitem(sys.modules, "dask", None)
    grid().to_netcdf(tmp_path / "large.nc")
    with pytest.raises(DataError, match=r"pip install 'hydronb\[grid\]'"):
        open_gridded(tmp_path / "large.nc")


# Means
# ---


def test_basin_means_weigh_cells_by_mask_and_area():
    ds = check_grid(grid())
    weights = grid()["mask"].values * np.cos(np.deg2rad(60.0 - np.arange(5)))[:, None]
    np.testing.assert_allclose(cell_weights(ds), weights / weights.sum(), rtol=1e-7)
    want = [np.average(day, weights=weights) for day in grid()["prcp"].values]
    np.testing.assert_allclose(basin_mean(ds, "prcp"), want, rtol=1e-6)


def test_a_field_of_ones_means_one_and_outside_may_be_missing():
    ds = check_grid(grid()).assign(one=lambda d: d["prcp"] * 0 + 1)
    ds["one"] = ds["one"].where(ds["mask"] > 0)
    np.testing.assert_allclose(basin_mean(ds, "one"), 1, rtol=1e-12)


def test_cells_areas_sum_to_the_sphere():
    lat, lon = np.arange(89.5, -90, -1), np.arange(0.5, 360)
    assert cell_area(lat, lon).sum() == pytest.approx(4 * np.pi * 6371.0**2)


def test_the_lumped_catchment_of_a_grid():
    ds = synthetic_grid((6, 7), 1)
    lumped = as_catchment(ds)
    assert lumped["prcp"].dims == ("basin", "time") and list(lumped["basin"].values) == [
        "synthetic_6x7"
    ]
    np.testing.assert_allclose(lumped["tmean"][0], basin_mean(ds, "tmean"), rtol=1e-6)
    np.testing.assert_allclose(lumped["streamflow"][0], ds["streamflow"])
    assert "true_snow" in lumped and float(lumped["area"][0]) == pytest.approx(float(ds["area"]))
    assert 34 < float(lumped["lat"][0]) < 37


# What is refused
# ---


def changed(**variables) -> xr.Dataset:
    ds = grid()
    return ds.assign(
        {
            name: ds[name].copy(data=change(ds[name].values.copy()))
            for name, change in variables.items()
        }
    )


def put(index: tuple, value: float):
    def change(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return change


MISTAKES = {
    "another shape": (
        lambda: grid().drop_vars("mask").assign(mask=(("row", "col"), np.ones((3, 6)))),
        r"mask is 3 x 6 \(row, col\) of float64, the grid is 5 x 6 \(y, x\)",
    ),
    "empty mask": (
        lambda: grid().assign(mask=grid()["mask"] * 0),
        "mask is empty, no cell lies in the basin",
    ),
    "missing mask": (
        lambda: grid().assign(mask=grid()["mask"] * np.nan),
        "mask has values outside 0 to 1",
    ),
    "mask in percent": (
        lambda: grid().assign(mask=grid()["mask"] * 100),
        "mask has values outside 0 to 1",
    ),
    "kelvin": (
        lambda: changed(tmean=lambda t: t + 273.15),
        "tmean of .* outside -90 to 60; kelvin rather than degC",
    ),
    "kelvin named": (
        lambda: grid().assign(tmean=grid()["tmean"].assign_attrs(units="K")),
        "tmean is in 'K'",
    ),
    "metres": (lambda: changed(prcp=lambda p: p / 1000), "metres rather than millimetres"),
    "small": (
        lambda: grid(rows=5).isel(y=slice(1, 4)),
        "a grid of 3 x 6 cells; the smallest is 4 x 4",
    ),
    "no overlap": (
        lambda: changed(streamflow=lambda q: q * np.nan),
        "streamflow has no value between 2000-01-01 and ",
    ),
    "missing day": (
        lambda: grid().isel(time=[t for t in range(40) if t != 7]),
        "1 dates are missing.*2000-01-08",
    ),
    "two days": (lambda: grid().isel(time=[0, 1, 1, 2]), "the date 2000-01-02 appears twice"),
    "a hole": (
        lambda: changed(prcp=put((7, 0, 5), np.nan)),
        r"prcp is missing in cell \(0, 5\) on 2000-01-08",
    ),
    "infinite": (lambda: changed(prcp=put((7, 0, 5), np.inf)), "prcp of inf"),
    "flags": (
        lambda: changed(prcp=put((7, 0, 5), -9999)),
        "prcp of -9999 mm/d.*missing is NaN, never a flag",
    ),
    "flagged target": (lambda: changed(streamflow=put((3,), -999)), "streamflow of -999 mm/d"),
    "no prcp": (lambda: grid().rename(prcp="prpc"), "no variable 'prcp'; did you mean 'prpc'"),
    "no x": (lambda: grid().isel(x=0, drop=True), "no dimension 'x'"),
    "no lat": (lambda: grid().drop_vars("lat"), "no coordinate 'lat'; cells are weighed by it"),
    "strange lat": (
        lambda: grid().assign_coords(lat=("y", np.arange(5) * 1e5)),
        "lat is missing or outside",
    ),
    "static prcp": (
        lambda: grid().assign(prcp=grid()["prcp"][0]),
        r"prcp is 5 x 6 \(y, x\), not over",
    ),
    "streamflow in cells": (
        lambda: grid().assign(streamflow=grid()["prcp"]),
        "streamflow is 40 x 5 x 6",
    ),
    "low mountains": (
        lambda: grid().assign(elevation=grid()["mask"] * 1e5),
        "elevation is missing or outside",
    ),
    "no day": (lambda: grid().isel(time=[]), "holds no day"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_file(mistake, tmp_path):
    ds, message = MISTAKES[mistake]
    with pytest.raises(DataError, match=message) as found:
        check_grid(ds(), where="basin.nc")
    assert str(found.value).startswith("basin.nc") and "\n" not in str(found.value)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(DataError, match="no such file: "):
        open_gridded(tmp_path / "none.nc")
    (tmp_path / "broken.nc").write_text("nothing")
    with pytest.raises(DataError, match="cannot be read as NetCDF or Zarr"):
        open_gridded(tmp_path / "broken.nc")


# Parameters and reports
# ---


def test_the_door_opens_synthetic_grids_and_files(tmp_path):
    ds = open_grid(GridParameters(shape=[5, 6], years=1, seed=3))
    xr.testing.assert_identical(ds, synthetic_grid((5, 6), 1, 3, cells=False))
    ds.to_netcdf(tmp_path / "grid.nc")
    xr.testing.assert_allclose(
        open_grid(GridParameters(kind="file", path=str(tmp_path / "grid.nc"))), ds
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "file"}, "needs a path"),
        ({"shape": [3, 9]}, "the smallest grid is 4 x 4"),
        ({"preset": "yelow"}, "choose one of yellow, yangtze, lancang"),
        ({"preset": "yellow", "shape": [5, 5]}, "has a shape of its own"),
        ({"n_basins": 3}, "unknown parameter 'n_basins'"),
    ],
)
def test_parameters_that_cannot_be(values, message):
    with pytest.raises(ParameterError, match=message):
        GridParameters.validate_parameters(values)
    assert issubclass(ParameterError, HydronbError)


def test_a_plan_follows_the_file_of_a_grid(tmp_path):
    from hydronb.runs.plan import read_plan

    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"data: {{kind: file, path: {tmp_path / 'grid.nc'}}}\n"
        "runs: [{id: a, notebook: cnn_lstm_01_train}]\n"
    )
    with pytest.raises(DataError, match=r"plan.yaml: a: data.path: no such file: .*grid.nc"):
        read_plan(plan)
    (tmp_path / "grid.nc").write_text("")
    assert list(read_plan(plan).runs[0].data) == ["data.path"]
    plan.write_text("runs: [{id: a, notebook: cnn_lstm_01_train}]\n")
    assert read_plan(plan).runs[0].data == {}


def test_data_check_describes_a_grid(tmp_path):
    synthetic_grid((5, 6), 2, cells=False).to_netcdf(tmp_path / "grid.nc")
    found = report(tmp_path / "grid.nc")
    text = "\n".join(found)
    assert "a gridded catchment, synthetic_5x6, of 5 x 6 cells and 731 days" in text
    assert "runoff over precipitation: 0." in text and "no problem found" in text


def test_data_check_lists_all_that_is_wrong(tmp_path):
    changed(tmean=lambda t: t + 273.15, streamflow=put((3,), -999)).to_netcdf(tmp_path / "grid.nc")
    problems = report(tmp_path / "grid.nc").problems
    assert len(problems) == 2 and "kelvin" in problems[0] and "streamflow of -999" in problems[1]
