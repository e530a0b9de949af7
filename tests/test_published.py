"""The released simulations of other models, from files written here in their layout."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydronb.analysis import ensembles
from hydronb.analysis.published import other_models
from hydronb.data.sources.published import MODELS, open_benchmark_models
from hydronb.errors import DataError
from hydronb.metrics import nse

TIME = pd.date_range("1989-10-01", "1992-09-30")


def write(folder, basin, names=tuple(MODELS), dim="time", time=TIME):
    rng = np.random.default_rng(int(basin))
    obs = rng.gamma(1, 2, len(time))
    data = {"QObs": (dim, obs)} | {n: (dim, obs + k * 0.2) for k, n in enumerate(names)}
    data["QObs"][1][:3] = -999.0
    xr.Dataset(data, {dim: time}).to_netcdf(folder / f"{basin}_benchmark_models.nc")


@pytest.fixture
def folder(tmp_path):
    for basin in ("01022500", "06221400"):
        write(tmp_path, basin)
    write(tmp_path, "11522500", [n for n in MODELS if not n.startswith("mHm")], dim="date")
    return tmp_path


def test_models_over_basins_and_days(folder):
    ds = open_benchmark_models(folder)
    assert ds["streamflow"].dims == ("model", "basin", "time") and ds[
        "model"
    ].values.tolist() == list(MODELS.values())
    assert ds["basin"].values.tolist() == ["01022500", "06221400", "11522500"]
    assert np.isnan(ds["streamflow_obs"]).sum() == 9, "negative values stand for missing"
    shift = (
        (ds["streamflow"] - ds["streamflow_obs"])
        .sel(model="VIC (CONUS-wide calibrated)")
        .mean("time")
    )
    np.testing.assert_allclose(shift, 0.4, atol=1e-6)
    assert np.isnan(
        ds["streamflow"].sel(basin="11522500", model="mHM (basin-wise calibrated)")
    ).all()


def test_models_that_no_file_has_are_left_out(tmp_path):
    write(tmp_path, "11522500", [n for n in MODELS if not n.startswith("mHm")], dim="date")
    ds = open_benchmark_models(tmp_path)
    assert ds["basin"].values.tolist() == ["11522500"]
    assert ds["model"].values.tolist() == [m for m in MODELS.values() if not m.startswith("mHM")]


def test_they_go_through_the_same_metrics_and_tables(folder):
    ds = open_benchmark_models(folder)
    scores = xr.Dataset({"nse": nse(sim=ds["streamflow"], obs=ds["streamflow_obs"])})
    assert ensembles.common_basins(scores) == ["01022500", "06221400"]
    table = ensembles.summary(scores.sel(basin=ensembles.common_basins(scores)))
    assert (
        table.loc[("SAC-SMA", "single"), "nse_median"] == pytest.approx(1)
        and (table["basins"] == 2).all()
    )
    assert ensembles.summary(scores).loc[("mHM (basin-wise calibrated)", "single"), "basins"] == 2


def test_labels_are_those_of_the_published_table():
    from hydronb.analysis.published import read_published

    published = read_published("kratzert2019_table3")["model"].tolist()
    assert set(MODELS.values()) == {n for n in published if not n.startswith("EA-LSTM")}


def test_all_of_them_are_drawn_beside_ours():
    from hydronb import plots

    labels = ["EA-LSTM", "LSTM", "LSTM (no statics)", "climatology", *MODELS.values()]
    drawn = plots.colours(labels)
    assert list(drawn) == labels and len(set(drawn.values())) == len(labels)
    assert set(plots.colours([f"model {i}" for i in range(40)])) == {
        f"model {i}" for i in range(40)
    }


def test_what_cannot_be_read(folder, tmp_path):
    with pytest.raises(DataError, match=r"holds no file GAUGE_benchmark_models\.nc"):
        open_benchmark_models(tmp_path / "nowhere")
    (folder / "00000001_benchmark_models.nc").write_text("no NetCDF")
    with pytest.raises(DataError, match=r"00000001_benchmark_models\.nc cannot be read as NetCDF"):
        open_benchmark_models(folder)
    xr.Dataset({"QObs": ("time", [1.0, 2.0])}).to_netcdf(folder / "00000001_benchmark_models.nc")
    with pytest.raises(DataError, match="not one of dates"):
        open_benchmark_models(folder)
    xr.Dataset({"Qobs": ("time", [1.0])}).to_netcdf(folder / "00000001_benchmark_models.nc")
    with pytest.raises(DataError, match="has no variable QObs; did you mean 'Qobs'"):
        open_benchmark_models(folder)


def test_other_models_are_scored_on_their_own_period_in_the_basins_asked_for(folder, tmp_path):
    ds = open_benchmark_models(folder)
    scored = other_models(["camels_01022500", "camels_11522500", "elsewhere"], folder=folder)
    assert list(scored) == list(MODELS.values())
    assert scored["SAC-SMA"].index.tolist() == ["01022500", "11522500"]
    assert scored["mHM (basin-wise calibrated)"].index.tolist() == ["01022500"]
    sim = ds["streamflow"].sel(model="SAC-SMA", basin="01022500")
    expected = float(nse(sim=sim, obs=ds["streamflow_obs"].sel(basin="01022500")))
    assert scored["SAC-SMA"].loc["01022500", "nse"] == pytest.approx(expected)
    table = pd.DataFrame({"basin": ["01022500"], "mHm_conus": [0.53]})
    table.to_csv(tmp_path / "scores.csv", index=False)
    of_file = other_models(["01022500"], scores=[tmp_path / "scores.csv"])
    assert list(of_file) == ["mHM (CONUS-wide calibrated), published"]
    (row,) = of_file.values()
    assert row.to_dict() == {"nse": {"01022500": 0.53}}
    with pytest.raises(
        DataError, match="calibrated\\), published has a score in none of the 1 bas"
    ):
        other_models(["99"], scores=[tmp_path / "scores.csv"])
