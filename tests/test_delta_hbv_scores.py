"""Run directories written by hand, with scores, baseflow and ET that are known before they are
computed."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from hydronb.analysis import benchmark, choices, flux_scores, published
from hydronb.analysis.evapotranspiration import composites
from hydronb.analysis.flux_scores import Reference
from hydronb.analysis.seasons import components_table, dynamics
from hydronb.data.hbv_parameters import STORES
from hydronb.data.synthetic.catchments import synthetic_catchments
from hydronb.errors import DataError
from hydronb.parameters import DeltaHBVTrainParameters
from hydronb.runs.directory import read_run
from hydronb.signatures import baseflow_index
from hydronb.vocabulary import model_label

PERIOD = ("1990-10-01", "1991-09-30")


@pytest.fixture(scope="module")
def ds():
    return synthetic_catchments(n_basins=6, years=2)


def write_run(folder, ds, *, factor=1.0, seed=1, model="delta_hbv", fluxes=True, **settings):
    """A run that simulates `factor` times the truth in everything."""
    folder.mkdir()
    p = DeltaHBVTrainParameters(
        **{"data": {"n_basins": 6, "years": 2}} | settings, model=model, seed=seed
    )
    (folder / "params.yaml").write_text(
        yaml.safe_dump({k: v for k, v in p.plain().items() if k != "run_dir"})
    )
    days = ds.sel(time=slice(*PERIOD))
    xr.Dataset(
        {"streamflow": factor * days["true_streamflow"], "streamflow_obs": days["true_streamflow"]}
    ).to_netcdf(folder / "simulation.nc")
    if fluxes and model != "runoff_lstm":
        names = {"et": "et", "q2": "baseflow", "soil_moisture": "soil_moisture", "snowpack": "snow"}
        made = xr.Dataset({name: factor * days[f"true_{true}"] for name, true in names.items()})
        made.assign(
            {n: xr.zeros_like(made["et"]) for n in (*STORES, "q0", "q1") if n not in made}
        ).to_netcdf(folder / "fluxes.nc")
    return read_run(folder)


@pytest.fixture
def observed(ds):
    return ds["true_streamflow"].sel(time=slice(*PERIOD))


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({"components": 1, "dynamic": []}, "delta_1"),
        ({"dynamic": []}, "delta_n"),
        ({"dynamic": ["BETA"]}, "delta_n(beta)"),
        ({"dynamic": ["BETAET"]}, "delta_n(gamma)"),
        ({"dynamic": ["BETA", "BETAET"]}, "delta_n(gamma, beta)"),
        ({"dynamic": [], "recharge": "network"}, "delta_n(NN_r)"),
        ({"model": "runoff_lstm"}, "LSTM"),
    ],
)
def test_every_row_of_table_2_has_its_label(settings, label):
    p = DeltaHBVTrainParameters(**settings).plain()
    assert model_label(p) == label
    assert label in published.read_published("feng2022_table2")["model"].tolist()


def test_a_perfect_run_scores_perfectly_and_half_of_it_as_worked_out(ds, observed, tmp_path):
    bfi = baseflow_index(observed, ds["true_baseflow"])
    et = composites(ds["true_et"].sel(time=slice(*PERIOD)))
    perfect = flux_scores.score_fluxes(
        [write_run(tmp_path / "a", ds)], Reference(observed, bfi, et)
    )
    np.testing.assert_allclose(perfect[["nse", "kge", "et_r"]], 1, atol=1e-6)
    np.testing.assert_allclose(perfect["bfi"], perfect["bfi_reference"], rtol=1e-6)
    half = flux_scores.score_fluxes(
        [write_run(tmp_path / "b", ds, factor=0.5)], Reference(observed, bfi, et)
    )
    # r = 1, alpha = beta = 0.5
    np.testing.assert_allclose(half["kge"], 1 - np.sqrt(0.5), rtol=1e-5)
    np.testing.assert_allclose(half["bfi"], perfect["bfi"], rtol=1e-5)  # a ratio
    np.testing.assert_allclose(half["et_rmse"], np.sqrt((et**2).mean("time")) / 2, rtol=1e-5)
    np.testing.assert_allclose(half["et_simulated"], half["et_reference"] / 2, rtol=1e-5)


def test_table2_puts_the_paper_beside_and_means_over_seeds(ds, observed, tmp_path):
    bfi, et = baseflow_index(observed), composites(ds["true_et"].sel(time=slice(*PERIOD)))
    runs = [write_run(tmp_path / f"{k}", ds, factor=k, seed=s) for s, k in ((1, 1.0), (2, 0.5))]
    runs.append(write_run(tmp_path / "lstm", ds, model="runoff_lstm"))
    groups = benchmark.group_runs(runs)
    scores = {g.label: flux_scores.score_seeds(g, Reference(observed, bfi, et)) for g in groups}
    table = flux_scores.feng_table2(scores, groups)
    assert table.index.tolist() == ["delta_n(gamma, beta)", "LSTM"]
    one = scores["delta_n(gamma, beta)"]
    assert table.loc["delta_n(gamma, beta)", "nse"] == pytest.approx(
        (1 + one.loc[2, "nse"].median()) / 2
    )
    assert table.loc[
        "delta_n(gamma, beta)", ["seeds", "basins", "paper_nse", "paper_et_r"]
    ].tolist() == [2, 6, 0.732, 0.844]
    assert (
        table.loc["LSTM", ["bfi_correlation", "et_r"]].isna().all()
        and table.loc["LSTM", "paper_nse"] == 0.748
    )


@pytest.mark.parametrize(
    ("forcing", "model", "nse"),
    [
        ("daymet", "delta_n(gamma, beta)", 0.732),
        ("nldas_extended", "delta_n(gamma, beta)", 0.711),
        ("nldas", "LSTM", 0.719),
        ("maurer_extended", "delta_1", 0.618),
        ("maurer_extended", "LSTM", None),
    ],
)
def test_published_numbers_are_those_of_the_forcing(forcing, model, nse, ds, observed, tmp_path):
    """Whatever a label adds to the model's name: the number of cells, the mean of seeds."""
    settings = {
        "delta_1": {"components": 1, "dynamic": []},
        "LSTM": {"model": "runoff_lstm"},
        "delta_n(gamma, beta)": {},
    }[model] | {"data": {"kind": "camels_us", "path": "here", "forcing": forcing}}
    runs = [
        write_run(tmp_path / f"{seed}-{hidden}", ds, seed=seed, hidden=hidden, **settings)
        for seed in (1, 2)
        for hidden in (8, 16)
    ]
    groups, reference = benchmark.group_runs(runs), Reference(observed, baseflow_index(observed))
    scores = {g.label: flux_scores.score_seeds(g, reference) for g in groups}
    scores |= flux_scores.score_ensembles(groups, reference)
    table = flux_scores.feng_table2(scores, groups)
    assert len(table) == 4 and table.index.str.startswith(model).all() and model not in table.index
    expected = [np.nan if nse is None else nse] * 4
    np.testing.assert_array_equal(table["paper_nse"], expected)


def test_the_mean_of_seeds_is_scored_as_one_run(ds, observed, tmp_path):
    """Runs of 1.5 and 0.5 times the truth: their mean is the truth, in streamflow, baseflow and
    ET."""
    bfi, et = (
        baseflow_index(observed, ds["true_baseflow"]),
        composites(ds["true_et"].sel(time=slice(*PERIOD))),
    )
    runs = [write_run(tmp_path / f"{k}", ds, factor=k, seed=s) for s, k in ((1, 1.5), (2, 0.5))]
    groups = benchmark.group_runs([*runs, write_run(tmp_path / "lstm", ds, model="runoff_lstm")])
    scores = flux_scores.score_ensembles(groups, Reference(observed, bfi, et))
    assert list(scores) == ["delta_n(gamma, beta), mean of 2"]
    one = scores["delta_n(gamma, beta), mean of 2"]
    np.testing.assert_allclose(one[["nse", "kge", "et_r"]], 1, atol=1e-5)
    np.testing.assert_allclose(one["bfi"], one["bfi_reference"], rtol=1e-5)
    assert flux_scores.feng_table2(scores, groups)["basins"].tolist() == [6]


def test_a_run_without_its_fluxes_is_named(ds, observed, tmp_path):
    run = write_run(tmp_path / "a", ds, fluxes=False)
    with pytest.raises(DataError, match=r"holds no fluxes\.nc; its notebook makes it again"):
        flux_scores.score_fluxes([run], Reference(observed, baseflow_index(observed)))
    assert write_run(tmp_path / "b", ds, model="runoff_lstm").fluxes() is None


def test_the_reference_index_is_camels_own_where_the_data_have_it(ds, observed):
    own = ds.assign(baseflow_index=("basin", np.linspace(0.2, 0.7, 6)))
    np.testing.assert_allclose(flux_scores.reference_bfi(own, observed), np.linspace(0.2, 0.7, 6))
    xr.testing.assert_identical(flux_scores.reference_bfi(ds, observed), baseflow_index(observed))


def test_near_median_and_the_days_shown(observed):
    scores = pd.Series([0.1, 0.5, np.nan, 0.62, 0.9, 0.6], list("abcdef"))
    assert choices.near_median(scores, 3) == ["f", "d", "b"]
    assert choices.days_shown(observed, None) == slice("1989-10-01 00:00:00", "1991-09-30 00:00:00")
    outside = DeltaHBVTrainParameters().test_period
    with pytest.raises(DataError, match="hydrograph_period 1995-10-01 to 2010-09-30 lies outside"):
        choices.days_shown(observed, outside)


def test_dynamic_parameters_come_from_the_model_with_the_fewest(ds, tmp_path):
    both, one = (
        write_run(tmp_path / str(len(d)), ds, dynamic=d) for d in (["BETAET", "BETA"], ["BETA"])
    )
    runs = [
        both,
        one,
        write_run(tmp_path / "lstm", ds, model="runoff_lstm"),
        write_run(tmp_path / "none", ds, dynamic=[]),
    ]
    sources = choices.fewest_dynamic(benchmark.group_runs(runs))
    assert {n: g.label for n, g in sources.items()} == {
        "BETA": "delta_n(beta)",
        "BETAET": "delta_n(gamma, beta)",
    }
    assert choices.most_detailed(benchmark.group_runs(runs)).label == "delta_n(gamma, beta)"
    with pytest.raises(DataError, match="none of the runs has a dynamic parameter"):
        choices.fewest_dynamic(benchmark.group_runs(runs[2:]))


def test_what_a_parameter_goes_with():
    time = pd.date_range("1999-01-01", "2002-12-31")
    season = np.sin(2 * np.pi * (time.day_of_year.to_numpy() - 1) / 365)
    noise = np.random.default_rng(0).normal(size=len(time))
    coords = {"basin": ["season", "storage"], "time": time}
    storage = xr.DataArray(np.stack([noise, noise]), coords, ("basin", "time"))
    middle = np.stack([3 + season, 3 - noise / 10])
    values = xr.DataArray(
        np.stack([middle - 1, middle, middle + 1.5], -1),
        coords,
        ("basin", "time", "component"),
        name="BETA",
    )
    table = dynamics(values, storage, truth=values.isel(component=1) * 2)
    np.testing.assert_allclose(table["mean"], middle.mean(1), rtol=1e-6)
    assert table.loc["season", "season_share"] > 0.99 and table.loc[
        "season", "amplitude"
    ] == pytest.approx(2, abs=0.05)
    assert abs(table.loc["season", "storage_r"]) < 0.1
    assert (
        table.loc["storage", "storage_r"] == pytest.approx(-1)
        and table.loc["storage", "season_share"] < 0.1
    )
    assert table.loc["storage", "storage_r_deseasoned"] == pytest.approx(-1)
    np.testing.assert_allclose(table["true_r"], 1)
    np.testing.assert_allclose(table["deviation"], middle.std(1), rtol=1e-6)
    np.testing.assert_allclose(table["deviation_ratio"], 0.5, rtol=1e-6)
    assert not table["constant"].any() and table.loc["storage", "at_bounds"] == 0


def test_a_parameter_that_hardly_moves_and_one_at_its_bounds():
    """BETA lies between 1 and 6: 0.05 is a hundredth of that."""
    time = pd.date_range("1999-01-01", "2000-12-31")
    season = np.sin(2 * np.pi * (time.day_of_year.to_numpy() - 1) / 365)
    coords = {"basin": ["still", "moving"], "time": time}
    steps = np.sqrt(2) * np.array([[0.04], [0.06]]) * season
    values = np.stack([3 + steps, np.full_like(steps, 5.96), np.full_like(steps, 5.94)], -1)
    beta = xr.DataArray(values, coords, ("basin", "time", "component"), name="BETA")
    table = dynamics(beta.isel(component=[0]), beta.isel(component=0))
    assert table["constant"].tolist() == [True, False]
    table = dynamics(beta, beta.isel(component=0))
    np.testing.assert_allclose(table["at_bounds"], 1 / 3)


def test_components_by_their_means_and_how_each_moves():
    """Two basins; of three components the last has the lowest mean, and in one basin stands still
    at its bound."""
    swing = np.tile([-1.0, 1.0], 5)
    values = np.stack([[4 + swing, 3 + 0.5 * swing, 1 + 0 * swing]] * 2).transpose(0, 2, 1)
    values[1, :, 2] = 2 + swing / 2
    beta = xr.DataArray(values, dims=("basin", "time", "component"), name="BETA")
    table = components_table(beta)
    assert table.index.tolist() == [2, 1, 0]
    assert table["mean"].tolist() == [1.5, 3, 4] and table["deviation"].tolist() == [0.25, 0.5, 1]
    assert table["constant"].tolist() == table["at_bounds"].tolist() == [0.5, 0, 0]


def test_contrasting_basins_are_simulated_well(ds, tmp_path):
    chosen = choices.contrasting_basins(ds, write_run(tmp_path / "a", ds))
    regime = ds["true_regime"].sel(basin=chosen).values.tolist()
    assert regime == ["arid flashy", "snowy mountains", "maritime wet"]


def test_twin_of_a_perfect_run_and_of_an_lstm(ds, tmp_path):
    runs = [
        write_run(tmp_path / "a", ds),
        write_run(tmp_path / "b", ds, factor=0.5, dynamic=[]),
        write_run(tmp_path / "c", ds, model="runoff_lstm"),
    ]
    experiments = flux_scores.by_truth(runs)
    assert list(experiments) == ["hbv"]
    scores = {
        g.label: flux_scores.score_seeds(g, flux_scores.hidden_reference(g.runs[0], ds))
        for g in experiments["hbv"]
    }
    table = flux_scores.flux_table(scores, flux_scores.TWIN_COLUMNS)
    perfect, half, lstm = (table.loc[n] for n in ("delta_n(gamma, beta)", "delta_n", "LSTM"))
    ones = ["nse", "bfi_correlation", "et_r", "et_correlation", "snow_r", "soil_r"]
    np.testing.assert_allclose(perfect[ones].astype(float), 1, atol=1e-6)
    np.testing.assert_allclose(
        perfect[["bfi_bias", "et_bias", "et_rmse", "snow_bias"]].astype(float), 0, atol=1e-5
    )
    np.testing.assert_allclose(
        half[["et_bias", "snow_bias", "bfi_bias"]].astype(float), [-0.5, -0.5, 0], atol=1e-5
    )
    assert lstm["nse"] == pytest.approx(1) and lstm[["et_r", "snow_r", "soil_r"]].isna().all()
    filtered, true = (
        baseflow_index(ds["true_streamflow"].sel(time=slice(*PERIOD))),
        baseflow_index(
            *(ds[n].sel(time=slice(*PERIOD)) for n in ("true_streamflow", "true_baseflow"))
        ),
    )
    assert lstm["bfi_bias"] == pytest.approx(float((filtered - true).mean()), rel=1e-5)


def test_pet_alone_is_worse_than_the_truth_but_seasonal(ds, tmp_path):
    alone = flux_scores.pet_alone(ds, write_run(tmp_path / "a", ds))
    assert (
        alone["et_r"].between(0.3, 1).all()
        and (alone["et_simulated"] > alone["et_reference"]).all()
    )


def test_parameters_that_are_true_are_recovered(ds, tmp_path):
    run = write_run(tmp_path / "a", ds)
    time = ds["time"].sel(time=slice(*PERIOD))
    spread = xr.DataArray([-0.1, 0.0, 0.1], dims="component")
    made = xr.Dataset(
        {
            "FC": ds["true_FC"] * (1 + spread),
            "K0": -ds["true_K0"] + 0 * spread,
            "BETA": ds["true_BETA_daily"].sel(time=time) + spread,
            "routing_a": ds["true_ROUTE_A"],
        }
    )
    made.to_netcdf(run.path / "parameters.nc")
    table = flux_scores.parameter_recovery(run, ds)
    assert table["rank_correlation"].round(6).to_dict() == {
        "FC": 1,
        "K0": -1,
        "BETA": 1,
        "routing_a": 1,
    }
    assert abs(table.loc["FC", "bias"]) < 1e-9 and table.loc["BETA", "temporal_r"] == pytest.approx(
        1
    )
    assert flux_scores.parameter_recovery(
        write_run(tmp_path / "b", ds, model="runoff_lstm"), ds
    ).empty


def test_a_twin_experiment_needs_a_truth(ds, tmp_path):
    run = write_run(tmp_path / "a", ds)
    with pytest.raises(DataError, match="carry no truth"):
        flux_scores.hidden_reference(run, ds.drop_vars("true_et"))
    data = {"kind": "caravan", "path": "here"}
    (run.path / "params.yaml").write_text(yaml.safe_dump(run.parameters | {"data": data}))
    real = read_run(run.path)
    with pytest.raises(DataError, match="was trained on data of kind 'caravan'"):
        flux_scores.by_truth([real])
