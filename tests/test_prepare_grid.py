"""Products made a gridded catchment: against xarray's own resampling, closed forms, and what users
get wrong."""

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import grid_files as files
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from scipy.integrate import dblquad

from hydronb.data import open_gridded
from hydronb.data.gridded import cell_area, cell_weights
from hydronb.data.gridding import prepare as prepare_grid
from hydronb.data.gridding.outline import read_outline
from hydronb.data.gridding.prepare import GridWarning, Recipe
from hydronb.data.gridding.products import Product, ProductReader, conversion
from hydronb.data.gridding.regrid import Axes, regrid, share_of_cells
from hydronb.errors import DataError, HydronbError, ParameterError


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("products")
    return folder, files.write_all(folder)


@pytest.fixture
def recipe(original) -> dict:
    """A copy to break."""
    return json.loads(json.dumps(original[1]))


def made(recipe: dict, tmp_path: Path) -> xr.Dataset:
    return open_gridded(prepare_grid.prepare_grid(recipe, tmp_path / "basin.zarr", progress=False))


def at(want: xr.DataArray, ds: xr.Dataset) -> np.ndarray:
    """`want` in the cells of `ds`, by place."""
    return want.sel(lat=ds["lat"].values, lon=ds["lon"].values, method="nearest").to_numpy()


# The whole way
# ---


def test_days_grid_mask_and_targets_are_those_of_the_products(recipe, tmp_path):
    ds = made(recipe, tmp_path)
    want = files.daily(files.truth())
    np.testing.assert_allclose(ds["prcp"], at(want["prcp"], ds), atol=1e-5)
    np.testing.assert_allclose(ds["tmean"], at(want["tmean"], ds), atol=1e-4)
    assert (ds.sizes["y"], ds.sizes["x"], ds.sizes["time"]) == (11, 18, files.DAYS)
    assert ds["lat"][0] > ds["lat"][-1] and ds["lon"][0] < ds["lon"][-1]
    # the polygon: 100.5 to 102.25 E, 34.5 to 35.55 N
    mask = np.ones((11, 18))
    mask[0] *= 0.5
    mask[:, -1] *= 0.5
    np.testing.assert_allclose(ds["mask"], mask, atol=1e-5)
    area = 6371.0**2 * np.deg2rad(1.75) * (np.sin(np.deg2rad(35.55)) - np.sin(np.deg2rad(34.5)))
    assert float(ds["area"]) == pytest.approx(area, rel=1e-3)
    np.testing.assert_allclose(ds["streamflow"], flow_mm(float(ds["area"])), rtol=1e-5)
    # evaporation is a plane in longitude and latitude, plus 0.01 per day: its basin mean is known
    weigh = lambda f: dblquad(f, 100.5, 102.25, 34.5, 35.55)[0]  # noqa: E731
    plane = weigh(
        lambda y, x: (1 + 0.1 * (x - 101) + 0.2 * (y - 35)) * np.cos(np.deg2rad(y))
    ) / weigh(lambda y, x: np.cos(np.deg2rad(y)))
    np.testing.assert_allclose(ds["et"], plane + 0.01 * np.arange(files.DAYS), atol=0.02)
    assert ds.attrs["basin"] == "Upper Test"
    assert json.loads(ds.attrs["recipe"])["prcp"]["units"] is None


def flow_mm(area: float) -> np.ndarray:
    flow = 100 + np.arange(files.DAYS, dtype=float)
    flow[3] = np.nan
    return flow * 86400 / (area * 1e6) * 1000


def test_the_command_writes_what_the_function_writes(recipe, tmp_path, capsys):
    from hydronb.cli import app

    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    app(
        ["data", "grid", str(tmp_path / "recipe.yaml"), str(tmp_path / "cli.zarr")],
        standalone_mode=False,
    )
    assert "data: {kind: file, path:" in capsys.readouterr().out
    xr.testing.assert_identical(open_gridded(tmp_path / "cli.zarr"), made(recipe, tmp_path))


def test_a_mask_file_serves_as_a_polygon_does(recipe, tmp_path):
    whole = made(recipe, tmp_path)
    shares = read_outline(Path(recipe["outline"])).share(Axes(files.LAT, files.LON))
    mask = xr.DataArray(
        shares, dims=("lat", "lon"), coords={"lat": files.LAT, "lon": files.LON}, name="mask"
    )
    mask.isel(lat=slice(None, None, -1)).to_netcdf(tmp_path / "mask.nc")
    recipe["outline"] = str(tmp_path / "mask.nc")
    ds = made(recipe, tmp_path / "other")
    np.testing.assert_allclose(ds["mask"], whole["mask"], atol=1e-6)
    np.testing.assert_allclose(ds["et"], whole["et"], atol=2e-2)


def test_margin_period_and_elevation(recipe, tmp_path):
    dem = xr.DataArray(
        np.add.outer(np.arange(400.0), np.zeros(600)),
        dims=("lat", "lon"),
        name="dem",
        coords={
            "lat": 36 - 0.005 * (np.arange(400) + 0.5),
            "lon": 100 + 0.005 * (np.arange(600) + 0.5),
        },
    )
    dem.to_netcdf(tmp_path / "dem.nc")
    ds = made(
        recipe
        | {
            "margin": 2,
            "period": ["2001-02-01", "2001-02-10"],
            "elevation": {"files": str(tmp_path / "dem.nc")},
        },
        tmp_path,
    )
    assert dict(ds.sizes) == {"time": 10, "y": 15, "x": 22}
    assert not ds["mask"][:2].any() and not ds["mask"][:, :2].any()
    # a cell of 0.1 degree holds 20 rows of the elevation model, which rises southwards
    np.testing.assert_allclose(ds["elevation"][:, 0], (36 - ds["lat"]) / 0.005 - 0.5, atol=0.2)


# Time
# ---


def reader(
    name: str, da: xr.DataArray, tmp_path: Path, utc_offset: int = 0, **product
) -> ProductReader:
    path = tmp_path / f"{name}.nc"
    da.to_netcdf(path)
    product = Product(files=str(path), **product)
    whole = ProductReader(name, product, 101.0, utc_offset, progress=False)
    return whole.cut((100.5, 34.5, 102.0, 35.5))


def hourly(days: int = 3) -> xr.DataArray:
    """1 mm in the first hour of the record, 2 mm in the second, ..., the same in each cell."""
    time = pd.date_range("2001-01-01", periods=24 * days, freq="h")
    values = np.broadcast_to(np.arange(1.0, 24 * days + 1)[:, None, None], (24 * days, 20, 30))
    return xr.DataArray(
        values,
        dims=("time", "lat", "lon"),
        name="tp",
        attrs={"units": "mm"},
        coords={"time": time, "lat": files.LAT, "lon": files.LON},
    )


def sums(first: int, last: int) -> float:
    """Of the hours from `first` to `last`, counted from 1."""
    return float(np.arange(first, last + 1).sum())


def test_amounts_at_the_start_the_middle_and_the_end_of_their_step(tmp_path):
    hours = hourly()
    for stamp, shift in (("start", 0), ("middle", 30), ("end", 60)):
        stamped = hours.assign_coords(time=hours["time"] + np.timedelta64(shift, "m"))
        found = reader("prcp", stamped, tmp_path, stamp=stamp)
        assert [str(day.date()) for day in found.days] == [
            "2001-01-01",
            "2001-01-02",
            "2001-01-03",
        ]
        np.testing.assert_allclose(
            found.daily(found.days)[:, 0, 0], [sums(1, 24), sums(25, 48), sums(49, 72)]
        )
    with pytest.raises(DataError, match="set stamp to middle or end"):
        reader("prcp", hours.assign_coords(time=hours["time"] + np.timedelta64(30, "m")), tmp_path)


def test_sums_since_midnight_as_in_era5_land(tmp_path):
    hours = hourly()
    summed = hours.groupby("time.date").cumsum().assign_attrs(units="m") / 1000
    summed = summed.assign_attrs(units="m").assign_coords(
        time=hours["time"] + np.timedelta64(1, "h")
    )
    found = reader("prcp", summed, tmp_path, accumulated=True)
    want = [sums(1, 24), sums(25, 48), sums(49, 72)]
    np.testing.assert_allclose(found.daily(found.days)[:, 0, 0], want, rtol=1e-5)
    eastern = reader("prcp", summed, tmp_path, utc_offset=8, accumulated=True)
    np.testing.assert_allclose(
        eastern.daily(eastern.days)[:, 0, 0], [sums(17, 40), sums(41, 64)], rtol=1e-4
    )


def test_evaporation_that_counts_upwards_as_negative(tmp_path):
    """ERA5-Land's: metres, negative, summed since midnight."""
    hours = hourly()
    summed = -hours.groupby("time.date").cumsum() / 1000
    summed = summed.assign_attrs(units="m").assign_coords(
        time=hours["time"] + np.timedelta64(1, "h")
    )
    found = reader("et", summed, tmp_path, accumulated=True, factor=-1)
    want = [sums(1, 24), sums(25, 48), sums(49, 72)]
    np.testing.assert_allclose(found.daily(found.days)[:, 0, 0], want, rtol=1e-4)


def test_local_days(tmp_path):
    found = reader("prcp", hourly(), tmp_path, utc_offset=-5)
    np.testing.assert_allclose(found.daily(found.days)[:, 0, 0], [sums(6, 29), sums(30, 53)])
    three = hourly().isel(time=slice(None, None, 3))
    with pytest.raises(DataError, match="utc_offset 8 h does not fall between two steps of tmean"):
        reader("tmean", three, tmp_path, utc_offset=8, units="degC", variable="tp")


def test_daily_products_stamped_at_noon(tmp_path):
    noon = hourly().resample(time="1D").sum().assign_attrs(units="mm/d")
    found = reader(
        "prcp",
        noon.assign_coords(time=noon["time"] + np.timedelta64(12, "h")),
        tmp_path,
        utc_offset=8,
        stamp="middle",
    )
    np.testing.assert_allclose(
        found.daily(found.days)[:, 0, 0], [sums(1, 24), sums(25, 48), sums(49, 72)]
    )


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("mm", 8),
        ("m", 8000),
        ("mm/3h", 8),
        ("mm/hr", 24),
        ("mm d-1", 1),
        ("mm.day-1", 1),
        ("kg m-2 s-1", 86400),
        ("kg m**-2 s**-1", 86400),
    ],
)
def test_units_of_water(units, factor):
    assert conversion("prcp", units, pd.Timedelta("3h"), "") == (pytest.approx(factor), 0.0)


def test_units_of_temperature():
    for units in ("degC", "Celsius", "degrees_Celsius", "degrees C", "°C", "C"):
        assert conversion("tmean", units, pd.Timedelta("3h"), "") == (1.0, 0.0)
    for units in ("K", "kelvin"):
        assert conversion("tmean", units, pd.Timedelta("3h"), "") == (1.0, -273.15)
    with pytest.raises(DataError, match="tmean is in 'F'; set units to K or degC"):
        conversion("tmean", "F", pd.Timedelta("3h"), "")
    with pytest.raises(DataError, match="prcp is in ''; set units"):
        conversion("prcp", "", pd.Timedelta("3h"), "")


# Grids
# ---


def test_regridding_to_coarser_cells_keeps_the_mean_by_area():
    fine = Axes(np.arange(39.95, 30, -0.1), np.arange(100.05, 110, 0.1))
    coarse = Axes(np.arange(39.75, 30, -0.5), np.arange(100.25, 110, 0.5))
    field = np.random.default_rng(0).random((100, 100))
    found = regrid(field, fine, coarse)
    assert found.shape == (20, 20)
    fine_area, area = (cell_area(axes.lat, axes.lon) for axes in (fine, coarse))
    np.testing.assert_allclose((found * area).sum(), (field * fine_area).sum(), rtol=1e-12)
    block, weights = field[:5, :5], fine_area[:5, :5]
    assert found[0, 0] == pytest.approx((block * weights).sum() / weights.sum(), rel=1e-12)


def test_regridding_between_coarser_cells_is_linear():
    coarse = Axes(np.arange(39.875, 30, -0.25), np.arange(100.125, 110, 0.25))
    fine = Axes(np.arange(38.95, 31, -0.1), np.arange(101.05, 109, 0.1))
    plane = 2 * coarse.lat[:, None] - 3 * coarse.lon[None, :]
    np.testing.assert_allclose(
        regrid(plane, coarse, fine), 2 * fine.lat[:, None] - 3 * fine.lon[None, :], rtol=1e-12
    )


def test_share_of_cells_keeps_a_masks_area():
    fine = Axes(np.arange(39.95, 30, -0.1), np.arange(100.05, 110, 0.1))
    coarse = Axes(np.arange(42.8, 28, -0.4), np.arange(98.2, 112, 0.4))
    mask = np.zeros((100, 100))
    mask[20:70, 33:71] = 0.7
    share = share_of_cells(mask, fine, coarse)
    areas = [(m * cell_area(a.lat, a.lon)).sum() for m, a in ((mask, fine), (share, coarse))]
    assert areas[1] == pytest.approx(areas[0], rel=1e-9)
    assert share.max() == pytest.approx(0.7)


def test_a_triangle_covers_half_of_its_cells(tmp_path):
    ring = [[100, 30], [101, 30], [101, 31], [100, 30]]
    (tmp_path / "t.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    axes = Axes(np.arange(30.95, 30, -0.1), np.arange(100.05, 101, 0.1))
    share = read_outline(tmp_path / "t.geojson").share(axes)
    south_first = np.triu(np.ones((10, 10)), 1) + 0.5 * np.eye(10)
    np.testing.assert_allclose(share, south_first[::-1], atol=1e-9)


def test_a_basin_across_the_seam_of_the_map(tmp_path):
    lon = np.arange(0.5, 360, 1.0)
    da = xr.DataArray(
        np.broadcast_to(np.minimum(lon, 360 - lon), (4, 20, 360)),
        dims=("time", "lat", "lon"),
        name="tp",
        coords={
            "time": pd.date_range("2001", periods=4),
            "lat": np.arange(50.5, 31, -1.0),
            "lon": lon,
        },
        attrs={"units": "mm/d"},
    )
    da.to_netcdf(tmp_path / "world.nc")
    found = ProductReader(
        "prcp", Product(files=str(tmp_path / "world.nc")), 0.0, progress=False
    ).cut((-4.0, 40.0, 3.0, 45.0))
    np.testing.assert_allclose(found.axes.lon, np.arange(-3.5, 3))
    np.testing.assert_allclose(found.daily(found.days)[0, 0], np.abs(np.arange(-3.5, 3)))


def test_cells_of_sea_hold_their_neighbours_values(tmp_path):
    da = hourly().astype(float).copy(data=np.random.default_rng(1).random((72, 20, 30)))
    sea = da.where(da["lon"] > 101.2)
    found = reader("prcp", sea, tmp_path)
    values = found.daily(found.days)
    column = int(np.flatnonzero(found.axes.lon > 101.2)[0])
    np.testing.assert_allclose(values[:, :, 0], values[:, :, column])
    land = (
        sea.resample(time="1D")
        .sum()
        .sel(lat=found.axes.lat, lon=found.axes.lon[column:], method="nearest")
    )
    np.testing.assert_allclose(values[:, :, column:], land, rtol=1e-5)


# Memory and interruption
# ---


def test_products_in_steps_of_hours_are_never_held_whole(tmp_path, monkeypatch):
    """The peak is a fraction of what the files hold, and does not grow with it."""
    monkeypatch.setattr(prepare_grid, "BLOCK_BYTES", 150_000)
    peaks, sizes = [], []
    for days in (60, 240):
        folder = tmp_path / str(days)
        recipe = files.write_all(folder_made(folder), days)
        sizes.append(2 * days * 8 * len(files.LAT) * len(files.LON) * 4)
        tracemalloc.start()
        prepare_grid.prepare_grid(recipe, folder / "basin.zarr", progress=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sizes[1] == 4 * sizes[0] > 9e6
    assert peaks[1] < sizes[1] / 5
    assert peaks[1] < 1.5 * peaks[0]


def folder_made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_was_stopped_goes_on_and_ends_the_same(recipe, tmp_path, monkeypatch):
    whole = made(recipe, tmp_path)
    monkeypatch.setattr(prepare_grid, "BLOCK_BYTES", 60_000)
    blocks = []
    daily = ProductReader.daily

    def stopped(self, days):
        if self.name == "prcp":
            blocks.append(days)
            if len(blocks) == 3:
                raise KeyboardInterrupt
        return daily(self, days)

    monkeypatch.setattr(ProductReader, "daily", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare_grid.prepare_grid(recipe, tmp_path / "again.zarr", progress=False)
    assert not (tmp_path / "again.zarr").exists() and (tmp_path / "again.zarr.partial").is_dir()
    prepare_grid.prepare_grid(recipe, tmp_path / "again.zarr", progress=False)
    assert blocks[3][0] == blocks[2][0]  # it went on with the block that it was stopped in
    again = open_gridded(tmp_path / "again.zarr")
    xr.testing.assert_identical(again, whole)
    assert not (tmp_path / "again.zarr.partial").exists()


def test_a_partial_result_of_something_else_is_not_gone_on_with(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_grid, "BLOCK_BYTES", 60_000)
    daily = ProductReader.daily
    monkeypatch.setattr(ProductReader, "daily", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepare_grid.prepare_grid(recipe, tmp_path / "basin.zarr", progress=False)
    monkeypatch.setattr(ProductReader, "daily", daily)
    recipe["prcp"]["factor"] = 2.0
    ds = made(recipe, tmp_path)
    np.testing.assert_allclose(
        ds["prcp"], 2 * at(files.daily(files.truth())["prcp"], ds), atol=1e-5
    )


# What users get wrong
# ---


def without_day(folder: Path, tmp_path: Path) -> str:
    with xr.open_mfdataset(str(folder / "mswep" / "*.nc")) as ds:
        ds = ds.load()
    ds.isel(time=np.flatnonzero(ds["time"].dt.strftime("%m-%d") != "02-03")).to_netcdf(
        tmp_path / "gap.nc"
    )
    return str(tmp_path / "gap.nc")


MISTAKES = {
    "missing files": (
        lambda r, f, t: r["prcp"].update(files=str(t / "mswep_*.nc")),
        "prcp: no file .*mswep",
    ),
    "unknown variable": (
        lambda r, f, t: r["tmean"].update(variable="t2n"),
        "has no variable 't2n'; did you mean 't2m'",
    ),
    "a day is missing": (
        lambda r, f, t: r["prcp"].update(files=without_day(f, t)),
        r"prcp has no value for 2001-02-03 00:00 \(8 steps of 640 are missing",
    ),
    "a file is missing": (
        lambda r, f, t: r["prcp"].update(files=[str(f / f"mswep/mswep_{n}.nc") for n in (0, 1, 3)]),
        "prcp has no value for 2001-02-10 00:00",
    ),
    "kelvin as Celsius": (
        lambda r, f, t: r["tmean"].update(units="degC"),
        "kelvin rather than degC",
    ),
    "Celsius as kelvin": (
        lambda r, f, t: r["tmean"].update(offset=1),
        "tmean: unknown parameter 'offset'",
    ),
    "metres as mm": (
        lambda r, f, t: r["prcp"].update(factor=0.001),
        "metres rather than millimetres",
    ),
    "flags": (lambda r, f, t: r["prcp"].update(factor=-1), "prcp of -"),
    "evaporation downwards": (lambda r, f, t: r["et"].update(factor=-1.0), "set factor to -1"),
    "runoff at another time": (
        lambda r, f, t: r["streamflow"].update(file=table(t, "date,q\n1990-01-01,3\n")),
        "no runoff from 2001-01-01 to 2001-03-21.*the table has 1990-01-01 to 1990-01-01",
    ),
    "runoff with flags": (
        lambda r, f, t: r["streamflow"].update(file=table(t, "date,q\n2001-01-01,-999\n")),
        "runoff of -999 on 2001-01-01; missing is empty",
    ),
    "no column": (
        lambda r, f, t: r["streamflow"].update(file=table(t, "date,a,b\n2001-01-01,1,2\n")),
        "which column is the runoff",
    ),
    "no dates": (
        lambda r, f, t: r["streamflow"].update(file=table(t, "day,q\nMonday,1\n")),
        "cannot be read as a table with dates",
    ),
    "a gauge twice a day": (
        lambda r, f, t: r["streamflow"].update(file=table(t, "d,q\n2001-01-01,1\n2001-01-01,2\n")),
        "2001-01-01 occurs twice",
    ),
    "a period outside": (
        lambda r, f, t: r.update(period=["2001-03-01", "2001-04-01"]),
        "is not covered",
    ),
    "no outline": (lambda r, f, t: r.update(outline=str(t / "none.geojson")), "outline: no file"),
    "a shapefile": (lambda r, f, t: r.update(outline=empty(t / "basin.shp")), "ogr2ogr"),
    "no GeoJSON": (lambda r, f, t: r.update(outline=empty(t / "basin.geojson")), "is not GeoJSON"),
    "metres for degrees": (
        lambda r, f, t: r.update(outline=polygon(t, 5e5, 3e6, 6e5, 4e6)),
        "are not degrees; reproject to WGS84",
    ),
    "a basin elsewhere": (
        lambda r, f, t: r.update(outline=polygon(t, 7, 46, 9, 47)),
        "the product must reach over the basin",
    ),
    "too small a basin": (
        lambda r, f, t: r.update(outline=polygon(t, 101, 35, 101.2, 35.2)),
        "the smallest is 4 x 4",
    ),
    "a misspelt name": (
        lambda r, f, t: r.update(elevaton={"files": "x"}),
        "did you mean 'elevation'",
    ),
}


def polygon(folder: Path, *box: float) -> str:
    return str(files.write_polygon(folder / "other.geojson", *box))


def table(folder: Path, text: str) -> str:
    (folder / "table.csv").write_text(text)
    return str(folder / "table.csv")


def empty(path: Path) -> str:
    path.write_text("nothing")
    return str(path)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_and_leave_nothing(mistake, original, recipe, tmp_path):
    change, message = MISTAKES[mistake]
    change(recipe, original[0], tmp_path)
    with pytest.raises(HydronbError, match=message) as found:
        prepare_grid.prepare_grid(recipe, tmp_path / "basin.zarr", progress=False)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "basin.zarr").exists()


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(
        ParameterError, match=r"no such file: .*none.yaml; docs/data.md shows a recipe"
    ):
        prepare_grid.read_recipe(tmp_path / "none.yaml")


def test_what_is_there_is_not_written_over(recipe, tmp_path):
    (tmp_path / "basin.zarr").mkdir()
    with pytest.raises(ParameterError, match="is there already; remove it"):
        prepare_grid.prepare_grid(recipe, tmp_path / "basin.zarr")


def test_two_areas_that_differ_are_pointed_out(recipe, tmp_path):
    recipe["streamflow"]["area"] = 50_000
    with pytest.warns(GridWarning, match="50000 km2, its outline has 18604 km2"):
        ds = made(recipe, tmp_path)
    np.testing.assert_allclose(ds["streamflow"], flow_mm(50_000), rtol=1e-5)


def test_files_of_different_grids(original, recipe, tmp_path):
    folder = shutil.copytree(original[0] / "mswep", tmp_path / "mswep")
    with xr.open_dataset(folder / "mswep_1.nc") as ds:
        other = ds.load()
    other.isel(lat=slice(2, None)).to_netcdf(folder / "mswep_1.nc.new")
    os.replace(folder / "mswep_1.nc.new", folder / "mswep_1.nc")
    recipe["prcp"]["files"] = str(folder / "*.nc")
    with pytest.raises(DataError, match=r"prcp is on a grid of 18 x 30 cells, .* on 20 x 30"):
        prepare_grid.prepare_grid(recipe, tmp_path / "basin.zarr", progress=False)


def test_monthly_steps_cannot_be_days(tmp_path):
    monthly = hourly(120).resample(time="30D").sum().assign_attrs(units="mm")
    with pytest.raises(DataError, match="steps of an hour to a day"):
        reader("prcp", monthly, tmp_path)


def test_a_recipe_as_yaml_reads_itself(recipe):
    assert Recipe.validate_parameters(
        yaml.safe_load(yaml.safe_dump(Recipe.validate_parameters(recipe).plain()))
    ) == Recipe.validate_parameters(recipe)


def test_weights_of_the_mask_follow_latitude(recipe, tmp_path):
    ds = made(recipe, tmp_path)
    weights = cell_weights(ds)
    assert float(weights.sum()) == pytest.approx(1)
    full = weights.values[1:, 1]
    np.testing.assert_allclose(
        full / full[0],
        np.cos(np.deg2rad(ds["lat"].values[1:])) / np.cos(np.deg2rad(ds["lat"].values[1])),
        rtol=1e-9,
    )
