"""Tables over runs against numbers worked out by hand and against the published per-basin
scores."""

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from hydronb.analysis import (
    benchmark,
    choices,
    ensembles,
    published,
    seasons,
    water_balance,
)
from hydronb.errors import DataError, TrainingError
from hydronb.metrics import nse
from hydronb.runs.directory import TrainedRun, read_run
from hydronb.runs.plan import read_plan

PARAMS = Path(__file__).parent.parent / "params"
TIME = pd.date_range("2001-01-01", "2002-12-31")
IDS = ["camels_01013500", "camels_01022500", "camels_06221400"]


def observed():
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.gamma(1, 2, (3, len(TIME))),
        dims=("basin", "time"),
        coords={"basin": IDS, "time": TIME},
        attrs={"units": "mm/d"},
    )


def write_run(folder, *, seed, error, basins=IDS, time=TIME, **parameters):
    """A run directory whose simulation is off by `error` times a noise of its seed."""
    folder.mkdir(parents=True)
    obs = observed()
    noise = np.random.default_rng(seed).normal(size=obs.shape)
    ds = xr.Dataset({"streamflow": obs + error * noise, "streamflow_obs": obs}).sel(
        basin=basins, time=time
    )
    ds.to_netcdf(folder / "simulation.nc")
    settings = {
        "model": "ealstm",
        "loss": "nse_star",
        "hidden": 64,
        "seed": seed,
        "threads": 1,
        "data": {"kind": "caravan", "path": "here"},
        "train_period": {"start": "1990-10-01", "end": "1999-09-30"},
        "test_period": {"start": "2001-01-01", "end": "2002-12-31"},
    } | parameters
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    (folder / "progress.csv").write_text(
        "epoch,epochs,loss,valid,learning_rate,seconds,cpu_seconds\n"
        f"0.5,2,1.0,,0.001,30,30\n2,2,0.5,,0.001,{60 * seed},120\n"
    )
    return read_run(folder)


@pytest.fixture
def runs(tmp_path):
    made = [write_run(tmp_path / f"ea{s}", seed=s, error=1.0) for s in (1, 2, 3)]
    made += [write_run(tmp_path / f"lstm{s}", seed=s, error=0.5, model="lstm") for s in (1, 2)]
    return [*made, write_run(tmp_path / "mse", seed=1, error=2.0, model="lstm", loss="mse")]


def test_groups_differ_in_more_than_the_seed(runs):
    groups = benchmark.group_runs(runs[::-1])
    assert {g.label: g.seeds for g in groups} == {
        "LSTM, MSE": [1],
        "LSTM, NSE*": [1, 2],
        "EA-LSTM, NSE*": [1, 2, 3],
    }


def test_labels_name_what_tells_groups_apart(tmp_path):
    runs = [write_run(tmp_path / str(h), seed=1, error=1.0, hidden=h) for h in (32, 64)]
    runs.append(write_run(tmp_path / "lstm", seed=1, error=1.0, model="lstm"))
    assert [g.label for g in benchmark.group_runs(runs)] == [
        "EA-LSTM, hidden 32",
        "EA-LSTM, hidden 64",
        "LSTM",
    ]


def test_labels_tell_data_apart(tmp_path):
    data = [{"kind": "synthetic", "years": years, "seed": seed} for years, seed in ((6, 0), (6, 1))]
    data += [{"kind": "caravan", "path": f"/a/long/way/to/{place}/caravan"} for place in "bc"]
    runs = [
        write_run(tmp_path / str(n), seed=1, error=1.0, data=given) for n, given in enumerate(data)
    ]
    assert [g.label for g in benchmark.group_runs(runs)] == [
        "EA-LSTM, data kind synthetic, data path none, data seed 0, data years 6",
        "EA-LSTM, data seed 1",
        "EA-LSTM, data path b/caravan",
        "EA-LSTM, data path c/caravan",
    ]


def test_labels_tell_the_forcing_of_the_data(tmp_path):
    runs = [
        write_run(
            tmp_path / f,
            seed=1,
            error=1.0,
            data={"kind": "camels_us", "path": "here", "forcing": f},
        )
        for f in ("daymet", "maurer_extended")
    ]
    assert [g.label for g in benchmark.group_runs(runs)] == [
        "EA-LSTM, data forcing daymet",
        "EA-LSTM, data forcing maurer_extended",
    ]


def test_groups_of_one_test_period_stand_together(tmp_path):
    late, early = ({"start": f"{year}-01-01", "end": f"{year}-12-31"} for year in (2002, 2001))
    runs = [
        write_run(tmp_path / f"{k}", seed=1, error=1.0, model=model, test_period=period)
        for k, (model, period) in enumerate([("lstm", late), ("ealstm", early), ("ealstm", late)])
    ]
    periods = benchmark.by_test_period(benchmark.group_runs(runs))
    assert {period: len(of) for period, of in periods.items()} == {
        "2002-01-01 to 2002-12-31": 2,
        "2001-01-01 to 2001-12-31": 1,
    }


def test_a_run_given_twice(runs):
    with pytest.raises(DataError, match="EA-LSTM: two runs have the seed 1"):
        benchmark.group_runs([runs[0], runs[0]])


def test_a_directory_that_is_no_run(tmp_path):
    with pytest.raises(TrainingError, match=r"holds no params\.yaml: not a complete training run"):
        read_run(tmp_path)


def test_members_of_a_group(runs):
    group = benchmark.group_runs(runs)[0]
    members = group.members()
    assert members["streamflow"].dims == ("seed", "basin", "time") and members[
        "seed"
    ].values.tolist() == [1, 2, 3]
    for run in group.runs:
        mine = members["streamflow"].sel(seed=run.parameters["seed"])
        np.testing.assert_allclose(mine, run.simulation()["streamflow"])


def test_only_common_basins_and_days_are_compared(tmp_path):
    runs = [
        write_run(tmp_path / "a", seed=1, error=1.0, basins=IDS[::-1]),
        write_run(tmp_path / "b", seed=1, error=1.0, basins=IDS[1:], time=TIME[100:], model="lstm"),
    ]
    read = benchmark.read_members(benchmark.group_runs(runs))
    for members in read.values():
        assert (
            sorted(members["basin"].values) == IDS[1:] and members.sizes["time"] == len(TIME) - 100
        )
    alone = nse(sim=runs[0].simulation()["streamflow"], obs=observed().sel(time=TIME[100:]))
    found = ensembles.score_members(read["EA-LSTM"], ["nse"])["nse"].sel(member="1")
    for basin in IDS[1:]:
        assert float(found.sel(basin=basin)) == pytest.approx(float(alone.sel(basin=basin)))


def test_runs_without_a_common_day(tmp_path):
    runs = [
        write_run(tmp_path / "a", seed=1, error=1.0, time=TIME[:100]),
        write_run(tmp_path / "b", seed=1, error=1.0, time=TIME[200:], model="lstm"),
    ]
    with pytest.raises(
        DataError, match="no time in common; compare runs with the same test_period"
    ):
        benchmark.read_members(benchmark.group_runs(runs))


def test_published_rows_of_the_groups_that_the_paper_has(runs):
    table = published.kratzert_table2(benchmark.group_runs(runs))
    assert table.loc[("LSTM, NSE*", "single"), "nse_median"] == 0.731623
    assert table.loc[("EA-LSTM, NSE*", "ensemble"), "failures"] == 2
    assert (
        ensembles.readable_summary(table).loc[("LSTM, MSE", "single"), "NSE mean"]
        == "0.664 ± 0.012"
    )
    assert published.kratzert_table2([]).empty


def test_differences_from_the_paper(runs):
    table = published.differences_from_paper(
        benchmark.group_runs(runs), 3, published.KRATZERT2019_RUNS
    )
    rows = {(r.setting, r.paper, r.here): r.runs for r in table.itertuples()}
    days = "1989-10-01 to 1999-09-30", "2001-01-01 to 2002-12-31"
    assert rows["basins", "531", "3"] == rows["hidden", "256", "64"] == "all"
    assert rows["test_period", *days] == "all"
    assert rows["seeds per model", "8", "2"] == "LSTM, NSE*"


PAPERS = {
    "ealstm_camels": (published.KRATZERT2019_RUNS, ["benchmark"]),
    "delta_hbv_camels": (
        published.FENG2022_RUNS,
        ["benchmark", "benchmark_nldas", "benchmark_maurer"],
    ),
    "cnn_lstm": (published.LI2023_RUNS, ["benchmark"]),
}


def paper_runs(plan, folder, monkeypatch):
    """Every run that the benchmarks of a paper's plan take, not trained."""
    files = "YELLOW_GRID YANGTZE_GRID LANCANG_GRID CAMELS_BASINS CAMELS_BENCHMARK_MODELS"
    for name in files.split():
        (folder / f"{name}.nc").touch()
        monkeypatch.setenv(name, str(folder / f"{name.lower().replace('_', '-')}.nc"))
        (folder / f"{name.lower().replace('_', '-')}.nc").touch()
    monkeypatch.setenv("CAMELS_US", str(folder))
    plans = read_plan(PARAMS / f"paper/{plan}.yaml").runs
    asked = [run for run in plans if run.id in PAPERS[plan][1]]
    needs = list({need.id: need for run in asked for need in run.needs}.values())
    for run in needs:
        values = yaml.safe_dump(run.everything)
        for river in ("yellow", "yangtze", "lancang"):
            values = values.replace(f"${river.upper()}_GRID", f"{river}-grid.nc")
        (folder / run.id).mkdir()
        (folder / run.id / "params.yaml").write_text(values)
    return [TrainedRun(folder / run.id) for run in needs]


@pytest.mark.parametrize("plan", PAPERS)
def test_the_plan_of_a_paper_differs_from_it_in_what_is_fixed(plan, monkeypatch, tmp_path):
    """The files of grids alone cannot tell what is in them."""
    paper, _ = PAPERS[plan]
    groups = benchmark.group_runs(paper_runs(plan, tmp_path, monkeypatch))
    table = published.differences_from_paper(groups, paper.basins, paper)
    fixed = published.read_published("fixed").query("paper == @paper.name")
    assert set(table["setting"]) - set(fixed["setting"]) == (
        {"data", *paper.not_stated} if plan == "cnn_lstm" else set()
    )
    assert set(fixed["setting"]) <= set(table["setting"])


def test_a_river_is_compared_with_its_own_settings(monkeypatch, tmp_path):
    """Tables 2 and A2: each river has its own sequences, the Lancang its own years."""
    runs = paper_runs("cnn_lstm", tmp_path, monkeypatch)
    path = runs[0].path / "params.yaml"
    own = yaml.safe_load(path.read_text())
    assert own["model"] == "mean_lstm" and own["sequence_length"] == 90
    path.write_text(yaml.safe_dump(own | {"data": {"kind": "file", "path": "lancang.nc"}}))
    groups = benchmark.group_runs([TrainedRun(runs[0].path)])
    table = published.differences_from_paper(groups, 3, published.LI2023_RUNS).set_index("setting")
    assert table.loc["sequence_length", ["paper", "here"]].tolist() == ["120", "90"]
    assert table.loc["train_period", "paper"] == "1988-01-01 to 2004-12-31"
    path.write_text(yaml.safe_dump(own | {"data": {"kind": "synthetic"}, "sequence_length": 30}))
    groups = benchmark.group_runs([TrainedRun(runs[0].path)])
    table = published.differences_from_paper(groups, 3, published.LI2023_RUNS).set_index("setting")
    assert table.loc["sequence_length", "paper"] == "90 or 180 or 120"


def test_what_is_fixed_is_explained_under_its_name():
    text = (PARAMS.parent / "docs/departures.md").read_text(encoding="utf-8")
    sections = {name: part for part in text.split("\n## ") for name in (part.split(" et al.")[0],)}
    for row in published.read_published("fixed").itertuples():
        section = sections[row.paper[:-4].capitalize()]
        assert f"**{row.setting}" in section, row.setting


def test_a_paper_is_compared_in_every_setting(tmp_path):
    """All that a training may set; the order of names makes no difference."""
    changed = {"weight_decay": 0.1, "attribute_noise": 0.05, "missing_attributes": "mean"}
    validation = {"start": "2000-01-01", "end": "2000-12-31"}
    run = write_run(
        tmp_path / "a",
        seed=1,
        error=1.0,
        forcings=["vp", "prcp", "srad", "tmin", "tmax"],
        patience=3,
        validation_period=validation,
        threads=2,
        **changed,
    )
    groups = benchmark.group_runs([run])
    table = published.differences_from_paper(groups, 531, published.KRATZERT2019_RUNS)
    rows = table.set_index("setting")[["paper", "here"]].T.to_dict("list")
    assert rows["attribute_noise"] == ["0.0", "0.05"]
    assert rows["validation_period"] == ["none", "2000-01-01 to 2000-12-31"]
    assert rows["weights kept"] == ["of the last epoch", "of the best epoch"]
    assert set(rows) == {
        *("data", "hidden", "train_period", "test_period", "validation_period", "patience"),
        *(*changed, "seeds per model", "weights kept", "Standardisation", "One sample fewer"),
    }


def test_pet_and_network_of_a_delta_hbv_are_compared(monkeypatch, tmp_path):
    runs = paper_runs("delta_hbv_camels", tmp_path, monkeypatch)
    path = runs[0].path / "params.yaml"
    own = yaml.safe_load(path.read_text())
    changed = {"data": own["data"] | {"pet": "oudin"}, "network": "both"}
    path.write_text(yaml.safe_dump(own | changed | {"initialisation": "typical"}))
    groups = benchmark.group_runs([TrainedRun(runs[0].path)])
    table = published.differences_from_paper(groups, 671, published.FENG2022_RUNS)
    rows = table.set_index("setting")[["paper", "here"]].T.to_dict("list")
    assert rows["pet"] == ["hargreaves", "oudin"] and rows["network"] == ["lstm", "both"]
    assert rows["initialisation"] == ["middle", "typical"]


def test_settings_that_the_paper_varied_are_named_with_all_their_values(tmp_path):
    run = write_run(tmp_path / "a", seed=1, error=1.0, loss="nse_star_paper", folds=2, fold=1)
    groups = benchmark.group_runs([run])
    table = published.differences_from_paper(groups, 531, published.KRATZERT2019_RUNS)
    rows = table.set_index("setting")[["paper", "here"]].T.to_dict("list")
    assert rows["loss"] == ["nse_star or mse", "nse_star_paper"] and rows["folds"] == ["none", "2"]


def test_best_median_worst():
    scored = pd.Series([0.3, np.nan, 0.9, -2.0, 0.5], index=list("abcde"), name="nse")
    assert choices.best_median_worst(scored) == {"best": "c", "median": "a", "worst": "d"}
    with pytest.raises(DataError, match="undefined in every basin"):
        choices.best_median_worst(scored * np.nan)


def test_training_cost(runs):
    cost = benchmark.training_cost(benchmark.group_runs(runs))
    assert cost.loc["EA-LSTM, NSE*", "minutes"] == pytest.approx(2)


def test_mean_year_of_a_calendar():
    time = pd.date_range("2000-01-01", "2003-12-31")
    month = xr.DataArray(
        np.stack([time.month, 2 * time.month]).astype(float),
        dims=("basin", "time"),
        coords={"time": time},
    )
    mean = seasons.mean_year(month)
    np.testing.assert_allclose(mean.isel(basin=0), pd.date_range("2001-01-01", "2001-12-31").month)
    smooth = seasons.mean_year(month, window=7).isel(basin=1)
    assert float(smooth.sel(day=1)) == pytest.approx(2 * (12 * 3 + 1 * 4) / 7), (
        "around the end of the year"
    )


def test_climatology_knows_only_the_date():
    time = pd.date_range("1990-01-01", "1995-12-31")
    season = 2 + np.cos(2 * np.pi * time.day_of_year / 365.25)
    flow = xr.DataArray(
        season.to_numpy()[None], dims=("basin", "time"), coords={"basin": ["a"], "time": time}
    )
    train, test = flow.sel(time=slice("1990", "1994")), flow.sel(time="1995")
    assert float(nse(sim=seasons.climatology(train, test["time"]), obs=test)[0]) > 0.99
    with pytest.raises(DataError, match="31 days of the test period"):
        seasons.climatology(train, flow["time"].sel(time="1994-01"))


def test_water_balance_counts_only_observed_days():
    time = pd.date_range("2001-01-01", "2001-12-31")
    wet = np.where(np.arange(365) < 100, 10.0, 2.0)
    flow = np.where(np.arange(365) < 100, np.nan, 1.0)
    ds = xr.Dataset(
        {
            n: (("basin", "time"), v[None])
            for n, v in (("prcp", wet), ("streamflow", flow), ("pet", np.full(365, 3.0)))
        },
        coords={"basin": ["a"], "time": time},
    )
    row = water_balance.measured_balance(ds).loc["a"]
    assert row["P"] == pytest.approx(2 * 365.25) and row["runoff_ratio"] == pytest.approx(0.5)
    assert row["aridity"] == pytest.approx(1.5) and row["missing"] == pytest.approx(100 / 365)


def test_true_balance_closes_on_synthetic_catchments():
    from hydronb.data.synthetic import synthetic_catchments

    ds = synthetic_catchments(n_basins=6, years=3)
    balance = water_balance.true_balance(ds)
    assert (balance["residual"].abs() < 0.001).all()  # mm a year; the series are float32
    table = water_balance.variables_table(ds)
    assert table.loc["prcp", "missing"] == 0 and table.loc["streamflow", "missing"] > 0
    attributes = water_balance.attribute_quantiles(ds, "syn_0002")
    assert attributes.loc["aridity", "syn_0002"] == pytest.approx(
        float(ds["aridity"].sel(basin="syn_0002"))
    )


def test_examples_in_the_docstrings():
    for module in (benchmark, water_balance, seasons):
        assert doctest.testmod(module).failed == 0


def test_benchmark_models_join_by_id_and_date(runs, tmp_path):
    """Their ids have no prefix, their files one basin each; only what all have is compared."""
    time = pd.date_range("2000-10-01", "2002-09-30")
    of_runs = observed().reindex(time=time)
    for basin in ("01022500", "01013500", "99999999"):
        obs = np.random.default_rng(int(basin)).gamma(1, 2, len(time))
        if f"camels_{basin}" in IDS:
            own = of_runs.sel(basin=f"camels_{basin}").to_numpy()
            obs = np.where(np.isnan(own), obs, own)
        xr.Dataset(
            {"QObs": ("time", obs), "SAC_SMA": ("time", obs + 1), "HBV_ub": ("time", 2 * obs)},
            {"time": time},
        ).to_netcdf(tmp_path / f"{basin}_benchmark_models.nc")
    members = benchmark.read_members(benchmark.group_runs(runs))
    joined = benchmark.with_benchmark_models(members, tmp_path)
    assert list(joined) == [*members, "SAC-SMA", "HBV (upper, calibrated)"]
    for ds in joined.values():
        assert ds["basin"].values.tolist() == ["camels_01013500", "camels_01022500"]
        assert (
            str(ds["time"].values[0])[:10] == "2001-01-01"
            and str(ds["time"].values[-1])[:10] == "2002-09-30"
        )
    scores = ensembles.join_models(
        {label: ensembles.score_members(ds, ["nse"]) for label, ds in joined.items()}
    )
    table = ensembles.summary(scores)
    assert ("SAC-SMA", "single") in table.index and ("SAC-SMA", "ensemble") not in table.index
    own = joined["SAC-SMA"]
    expected = nse(sim=own["streamflow"].isel(seed=0), obs=own["streamflow_obs"]).mean()
    assert table.loc[("SAC-SMA", "single"), "nse_mean"] == pytest.approx(float(expected))
    for path in tmp_path.glob("0*.nc"):
        path.unlink()
    with pytest.raises(DataError, match="no basin in common"):
        benchmark.with_benchmark_models(members, tmp_path)


@pytest.mark.parametrize(
    ("change", "off"),
    [
        (lambda q: 2 * q, "100% off"),
        (lambda q: np.roll(q, 1), r"\d+% off"),
        (lambda q: q / 86.4, "99%"),
    ],
)
def test_benchmark_models_with_another_observation_are_refused(runs, tmp_path, change, off):
    """In other units, a day late: a score against it would be of another river."""
    for basin in ("01022500", "01013500"):
        obs = observed().sel(basin=f"camels_{basin}").to_numpy()
        obs = change(obs) if basin == "01022500" else obs.round(2)
        xr.Dataset({"QObs": ("time", obs), "SAC_SMA": ("time", obs)}, {"time": TIME}).to_netcdf(
            tmp_path / f"{basin}_benchmark_models.nc"
        )
    members = benchmark.read_members(benchmark.group_runs(runs))
    with pytest.raises(DataError, match=f"in 1 of 2 basins QObs .* basin camels_01022500, {off}"):
        benchmark.with_benchmark_models(members, tmp_path)
