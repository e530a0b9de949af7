"""PET against FAO-56's worked examples, values worked by hand, and CAMELS' own `pet_mean`."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb.data.pet import (
    HIGHEST_RATIO,
    PetWarning,
    choose_pet,
    extraterrestrial_radiation,
    hargreaves,
    oudin,
    radiation_ratio,
    saturation_vapour_pressure,
)
from hydronb.errors import DataError, ParameterError

TIME = pd.date_range("2001-01-01", "2002-12-31")


def catchments(**variables: float) -> xr.Dataset:
    """Three basins from 30 to 45 N with constant values."""
    lat = xr.DataArray([30.0, 38.0, 45.0], dims="basin", coords={"basin": ["a_01", "a_02", "a_03"]})
    full = xr.ones_like(lat) * xr.DataArray(np.ones(len(TIME)), dims="time", coords={"time": TIME})
    return xr.Dataset({n: v * full for n, v in variables.items()}, coords={"lat": lat})


def test_vapour_pressure_of_fao56():
    """FAO-56, Table 2.3: 2.338 kPa at 20 degC, 0.611 at 0."""
    np.testing.assert_allclose(
        saturation_vapour_pressure(pd.Series([0.0, 20.0])), [610.8, 2338], rtol=3e-4
    )


def test_radiation_of_fao56_example_8():
    """20 S on 3 September: 32.2 MJ/m2/d."""
    ra = extraterrestrial_radiation(-20.0, pd.DatetimeIndex(["2001-09-03"]))
    assert float(ra[0]) == pytest.approx(32.2, abs=0.05)


@pytest.mark.parametrize("lat", [-75.0, -40.0, 0.0, 25.0, 48.0, 70.0, 90.0])
@pytest.mark.parametrize("day", ["2001-01-15", "2001-03-21", "2001-06-21", "2001-12-21"])
def test_radiation_is_the_integral_over_the_day(lat, day):
    """The sine of the sun's height where above 0, over 2,880 moments; polar day and night are among
    them."""
    angle = 2 * np.pi * pd.Timestamp(day).dayofyear / 365
    declination = 0.409 * np.sin(angle - 1.39)
    hours = (np.arange(2880) + 0.5) / 2880 * 2 * np.pi - np.pi
    height = np.sin(np.radians(lat)) * np.sin(declination) + np.cos(np.radians(lat)) * np.cos(
        declination
    ) * np.cos(hours)
    expected = 0.0820 * 1440 * (1 + 0.033 * np.cos(angle)) * np.maximum(height, 0).mean()
    ra = extraterrestrial_radiation(lat, pd.DatetimeIndex([day]))
    assert float(ra[0]) == pytest.approx(expected, abs=1e-3)


def test_radiation_is_never_negative():
    lat = xr.DataArray(np.linspace(-90, 90, 19), dims="basin")
    ra = extraterrestrial_radiation(lat, TIME)
    assert ra.dims == ("basin", "time")
    assert float(ra.min()) == 0
    assert np.isfinite(ra).all()


def test_hargreaves_by_hand():
    """Ra 32.2 (FAO-56 example 8): 0.408 x 32.2 = 13.138; x 0.0023 x (20 + 17.8) x sqrt(16) = 4.569
    mm/d."""
    time = pd.DatetimeIndex(["2001-09-03"])
    tmin, tmax = (
        xr.DataArray([[t]], dims=("basin", "time"), coords={"time": time}) for t in (12.0, 28.0)
    )
    assert float(hargreaves(tmin, tmax, -20.0)[0, 0]) == pytest.approx(4.569, abs=0.01)
    cooler = hargreaves(tmin, tmax, -20.0, tmean=tmin)
    assert float(cooler[0, 0]) == pytest.approx(4.569 * 29.8 / 37.8, abs=0.01)


def test_hargreaves_never_below_zero():
    ds = catchments(tmin=-40.0, tmax=-30.0)
    assert float(hargreaves(ds["tmin"], ds["tmax"], ds["lat"]).max()) == 0
    assert float(hargreaves(ds["tmax"], ds["tmin"], ds["lat"]).max()) == 0


def test_oudin_by_hand():
    """13.138 x (20 + 5) / 100 = 3.284 mm/d; nothing at -5 degC and below."""
    time = pd.DatetimeIndex(["2001-09-03"] * 1)
    t = xr.DataArray([[20.0], [-5.0], [-20.0]], dims=("basin", "time"), coords={"time": time})
    np.testing.assert_allclose(oudin(t, -20.0)[:, 0], [3.284, 0, 0], atol=0.01)


def test_auto_takes_a_plausible_source():
    ds = catchments(tmean=12.0, pet=2.8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = choose_pet(ds)
        named = choose_pet(
            ds, own=ds["pet"], own_name="potential_evaporation_sum_FAO_PENMAN_MONTEITH"
        )
    assert np.allclose(out["pet"], 2.8)
    assert named["pet"].attrs["method"] == "FAO Penman-Monteith (source)"
    assert "note" not in named["pet"].attrs


def test_auto_replaces_an_impossible_source_for_all_basins_at_once():
    ds = catchments(tmin=5.0, tmax=19.0)
    own = catchments(pet=14.0)["pet"]
    own[0] = 2.8  # plausible in one basin alone
    with pytest.warns(PetWarning, match="hargreaves is used instead") as caught:
        out = choose_pet(ds, own=own, own_name="pot_evap", where="caravan")
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert str(caught[0].message).startswith("caravan: its own PET (pot_evap) is impossible")
    assert out["pet"].attrs["method"] == "hargreaves"
    assert "impossible" in out["pet"].attrs["note"]
    assert float(out["pet"].mean("time").max()) < 6
    kept = choose_pet(ds, "source", own=own, own_name="pot_evap")
    assert np.allclose(kept["pet"], own)
    assert kept["pet"].attrs["method"] == "pot_evap (source)"


def test_era5_land_is_refused_by_name():
    """A few of its basins alone look plausible (ratios from 0.34 in Caravan)."""
    ds = catchments(tmean=12.0)
    own = catchments(pet=4.0)["pet"]
    with pytest.warns(PetWarning, match="oudin is used instead"):
        choose_pet(ds, own=own, own_name="potential_evaporation_sum")


@pytest.mark.parametrize("factor", [1e-3, -1.0])
def test_metres_and_turned_signs_are_refused(factor):
    ds = catchments(tmean=12.0)
    with pytest.warns(PetWarning, match="unit or sign"):
        out = choose_pet(ds, own=factor * catchments(pet=2.8)["pet"])
    assert out["pet"].attrs["method"] == "oudin"


def test_auto_without_own_looks_at_the_temperatures():
    assert choose_pet(catchments(tmin=5.0, tmax=19.0))["pet"].attrs["method"] == "hargreaves"
    assert choose_pet(catchments(tmin=12.0, tmax=12.0))["pet"].attrs["method"] == "oudin"
    assert choose_pet(catchments(tmean=12.0))["pet"].attrs["method"] == "oudin"
    assert "pet" not in choose_pet(catchments(prcp=1.0))


def test_by_name():
    ds = catchments(tmin=5.0, tmax=19.0, pet=2.8)
    for method in ("hargreaves", "oudin"):
        assert choose_pet(ds, method)["pet"].attrs["method"] == method
    assert "pet" not in choose_pet(ds, "none")
    with pytest.raises(ParameterError, match="unknown pet 'hargreave'; did you mean 'hargreaves'"):
        choose_pet(ds, "hargreave")


def test_what_cannot_be_had():
    with pytest.raises(DataError, match=r"nldas: Hargreaves .* but tmin and tmax are equal"):
        choose_pet(catchments(tmin=12.0, tmax=12.0), "hargreaves", where="nldas")
    with pytest.raises(DataError, match="Hargreaves needs tmin and tmax"):
        choose_pet(catchments(tmean=12.0), "hargreaves")
    with pytest.raises(DataError, match="has no PET of its own"):
        choose_pet(catchments(tmean=12.0), "source")
    with pytest.raises(DataError, match="needs the coordinate lat"):
        choose_pet(catchments(tmean=12.0).drop_vars("lat"), "oudin")
    with pytest.raises(DataError, match="Oudin's PET needs tmean"):
        choose_pet(catchments(prcp=1.0), "oudin")


def test_dew_becomes_zero():
    own = catchments(pet=2.8)["pet"]
    own[:, 0] = -0.1
    out = choose_pet(catchments(tmean=12.0), own=own)
    assert float(out["pet"].min()) == 0


@pytest.fixture(scope="module")
def camels(real_data):
    """Latitude and `pet_mean` (Priestley-Taylor) of the 671 basins."""
    folder = real_data / "camels_us" / "camels_attributes_v2.0"
    tables = [
        pd.read_csv(
            folder / f"camels_{n}.txt", sep=";", dtype={"gauge_id": str}, index_col="gauge_id"
        )
        for n in ("clim", "topo")
    ]
    return pd.concat(tables, axis=1, join="inner").rename_axis("basin")


def test_camels_pet_mean_is_plausible(camels):
    time = pd.date_range("2001-01-01", "2001-12-31")
    lat = xr.DataArray.from_series(camels["gauge_lat"])
    pet = xr.DataArray.from_series(camels["pet_mean"]).expand_dims(time=time)
    assert radiation_ratio(pet, lat) < HIGHEST_RATIO / 2
    worst = camels["pet_mean"].idxmax()
    assert radiation_ratio(pet.sel(basin=[worst]), lat.sel(basin=[worst])) < HIGHEST_RATIO


def test_caravan_era5_land_is_impossible(real_data, camels):
    files = sorted((real_data / "caravan").rglob("timeseries/netcdf/camels/*.nc"))[::34]
    basins = pd.Index([f.stem.removeprefix("camels_") for f in files], name="basin")
    pet = xr.concat([xr.load_dataset(f)["potential_evaporation_sum"] for f in files], dim=basins)
    lat = xr.DataArray.from_series(camels["gauge_lat"].loc[basins])
    assert radiation_ratio(pet.rename(date="time"), lat) > HIGHEST_RATIO


def test_oudin_is_near_camels_own_pet(real_data, camels):
    """18 basins with NLDAS temperature. Priestley-Taylor in CAMELS follows radiation, Oudin the
    temperature: low in the cold mountains, elsewhere within a quarter."""
    ratio = {}
    for file in (real_data / "camels_us" / "basin_mean_forcing" / "nldas").rglob(
        "*_forcing_leap.txt"
    ):
        table = pd.read_csv(file, sep=r"\s+", skiprows=4, header=None)
        time = pd.to_datetime(dict(year=table[0], month=table[1], day=table[2])).to_numpy()
        tmean = xr.DataArray(table[8].to_numpy(), dims="time", coords={"time": time})
        row = camels.loc[file.name[:8]]
        ratio[row.name] = float(oudin(tmean, float(row["gauge_lat"])).mean()) / row["pet_mean"]
    ratio = pd.Series(ratio)
    low = camels["elev_mean"].loc[ratio.index] < 1500
    assert len(ratio) == 18
    assert low.sum() >= 10
    assert ratio[low].between(0.75, 1.25).all(), ratio[low]
    assert ratio[~low].between(0.25, 1).all(), ratio[~low]
