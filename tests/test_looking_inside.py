"""Analyses that look inside trained EA-LSTMs: derivatives against autograd and differences, noise
against ordinary prediction, clusters and rankings against what was published."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from catchments import period

from hydronb import metrics
from hydronb.analysis import ealstm_ensemble, robustness, sensitivity
from hydronb.analysis.ealstm_ensemble import evaluation_windows
from hydronb.data import open_catchments
from hydronb.data.scaling import fit_scaling
from hydronb.errors import DataError, ParameterError, TrainingError
from hydronb.models.ealstm import EALSTM
from hydronb.models.kernels.forward_gradient import attribute_gradients
from hydronb.models.weights import save_model
from hydronb.parameters import (
    RobustnessParameters,
    SensitivityParameters,
    SimilarityParameters,
    TrainParameters,
)
from hydronb.training.predict import predict
from hydronb.vocabulary import MODELS

TEST = period("1990-10-01", "1991-02-08")  # 131 days
ATTRIBUTES = ["p_mean", "aridity", "frac_snow", "slope_mean"]
SETTINGS = {
    "forcings": ["prcp", "tmax", "srad"],
    "attributes": ATTRIBUTES,
    "hidden": 6,
    "dropout": 0.3,
    "forget_bias": 2.0,
    "train_period": ["1990-03-01", "1990-09-30"],
    "test_period": TEST,
    "data": {"kind": "synthetic", "n_basins": 4, "years": 2},
}


@pytest.fixture(scope="module")
def catchments():
    return open_catchments(TrainParameters(**SETTINGS).data)


def build(
    ds: xr.Dataset, seed: int = 0, *, sequence_length: int = 30, predict_last: int = 1, **settings
):
    """A model that was never trained, with inputs that matter."""
    torch.manual_seed(seed)
    p = SETTINGS | settings
    scaling = fit_scaling(
        ds, p["forcings"], p["attributes"], ["streamflow"], period("1990-03-01", "1990-09-30")
    )
    model = MODELS[settings.get("model", "ealstm")].make(
        model=settings.get("model", "ealstm"),
        scaling=scaling,
        hidden=p["hidden"],
        dropout=p["dropout"],
        forget_bias=p["forget_bias"],
        sequence_length=sequence_length,
        predict_last=predict_last,
    )
    torch.nn.init.normal_(model.network.recurrent, std=0.3)
    return model.eval()


def write_run(folder, ds, seed=1, *, basins=None, **settings):
    folder.mkdir()
    chosen = ds if basins is None else ds.sel(basin=basins)
    save_model(
        build(chosen, seed, sequence_length=60, predict_last=31, **settings),
        folder,
        basins=[str(b) for b in chosen["basin"].values],
    )
    p = TrainParameters(
        **SETTINGS | {"seed": seed, "sequence_length": 60, "predict_last": 31} | settings
    ).plain()
    (folder / "params.yaml").write_text(yaml.safe_dump(p))
    return folder


# Derivatives
# ---


def test_attribute_gradients_are_what_autograd_says():
    torch.manual_seed(1)
    network = EALSTM(3, 4, 8, dropout=0.3).double().eval()
    torch.nn.init.normal_(network.recurrent, std=0.4)
    dynamic, static = torch.randn(2, 25, 3).double(), torch.randn(2, 4).double()
    y, slope = attribute_gradients(network, dynamic, static, 6)
    torch.testing.assert_close(y, network(dynamic, static, 6)[..., 0].detach(), rtol=0, atol=1e-14)
    for b in range(2):
        exact = torch.autograd.functional.jacobian(
            lambda x, b=b: network(dynamic[[b]], x[None], 6)[0, :, 0], static[b]
        )
        torch.testing.assert_close(slope[b], exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("evaluation", "predict_last"), [("windowed", 1), ("windowed", 20), ("continuous", 1)]
)
def test_sensitivities_are_mean_absolute_differences(catchments, evaluation, predict_last):
    """Against central differences of an ordinary prediction, standardised on both sides and not
    clipped."""
    days = 131
    model = build(catchments, predict_last=predict_last).double()
    made = sensitivity.sensitivities(
        model.float(), catchments, TEST, evaluation=evaluation, progress=False
    )
    assert made.dims == ("basin", "attribute") and list(made["attribute"].values) == ATTRIBUTES
    if evaluation == "continuous":  # one window over the period, after the same warm-up
        model.sequence_length, model.predict_last = days + 29, days
    raised, std = 3e-2, model.scaling.targets["streamflow"][1]
    model.targets_mean += 100  # so that nothing is clipped at zero
    for name in ("aridity", "slope_mean"):
        step = raised * model.scaling.attributes[name][1]
        up, down = (
            predict(model, catchments.assign({name: catchments[name] + s}), TEST, progress=False)[
                "streamflow"
            ]
            for s in (step, -step)
        )
        expected = np.abs((up - down) / (2 * raised) / std).mean("time")
        np.testing.assert_allclose(made.sel(attribute=name), expected, rtol=0.02, atol=2e-4)


def test_published_ranking_to_its_last_digit(real_data):
    gradients = sensitivity.read_sensitivities(
        real_data / "published" / "ealstm_morris_seed111.csv"
    )
    made = sensitivity.attribute_ranking(gradients)
    from hydronb.analysis.published import read_published

    paper = read_published("kratzert2019_table4")
    assert made["attribute"].tolist() == paper["attribute"].tolist()
    assert [f"{v:.6f}" for v in made["sensitivity"]] == [f"{v:.6f}" for v in paper["sensitivity"]]
    assert made.set_index("attribute").loc["elev_mean", "gradient_rank"] == 2, (
        "unscaled it would be another ranking"
    )
    first = sensitivity.most_sensitive(gradients).to_series().value_counts()
    assert first.head(4).to_dict() == {
        "p_mean": 137,
        "aridity": 96,
        "area_gages2": 72,
        "elev_mean": 64,
    }


def gradients_of(values, seeds=(1,)):
    return xr.DataArray(
        np.array(values, float),
        dims=("seed", "basin", "attribute"),
        coords={"seed": list(seeds), "basin": ["a", "b"], "attribute": ["x", "y", "z"]},
    )


def test_ranking_by_hand():
    made = sensitivity.attribute_ranking(gradients_of([[[1, 2, 3], [40, 0, 10]]]).isel(seed=0))
    assert made["attribute"].tolist() == ["z", "x", "y"]  # (1 + .25)/2, (0 + 1)/2, (.5 + 0)/2
    np.testing.assert_allclose(made["sensitivity"], [0.625, 0.5, 0.25])
    assert made["gradient_rank"].tolist() == [2, 1, 3]


def test_seeds_that_agree_and_seeds_that_do_not():
    same = [[1, 2, 3], [4, 5, 6]]
    made = sensitivity.rank_agreement(gradients_of([same, same, [[3, 2, 1], [6, 5, 4]]], (1, 2, 3)))
    assert made[["one", "other", "spearman", "same_first"]].values.tolist() == [
        [1, 2, 1, 1],
        [1, 3, -1, 0],
        [2, 3, -1, 0],
    ]


def test_attributes_that_all_matter_alike_divide_nothing_by_zero():
    assert sensitivity.within_basin(gradients_of([[[1, 1, 1], [0, 0, 0]]])).values.tolist() == [
        [[0] * 3] * 2
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", "needs a column basin"),
        ("basin,x,y\n01,1,2\n01,1,2\n", "basin 01 is there twice"),
        ("basin,x,y\n01,1,-2\n", "y holds something else than numbers from 0 on"),
        ("basin,x,y\n01,1,high\n", "y holds something else than numbers from 0 on"),
    ],
)
def test_files_that_are_no_gradients(tmp_path, text, message):
    (tmp_path / "morris.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        sensitivity.read_sensitivities(tmp_path / "morris.csv")
    with pytest.raises(DataError, match="no such file"):
        sensitivity.read_sensitivities(tmp_path / "nowhere.csv")


# Noise
# ---


def test_without_noise_it_is_the_ordinary_prediction(catchments):
    for predict_last in (1, 20):
        model = build(catchments, predict_last=predict_last)
        made = robustness.noise_experiment(
            model,
            catchments,
            TEST,
            sigmas=[0.0],
            repetitions=3,
            evaluation="windowed",
            progress=False,
        )
        simulation = predict(model, catchments, TEST, progress=False)
        expected = metrics.nse(sim=simulation["streamflow"], obs=simulation["streamflow_obs"])
        np.testing.assert_allclose(made.sel(sigma=0, repetition=0), expected, atol=1e-5)
        assert np.isnan(made.sel(sigma=0).isel(repetition=slice(1, None))).all(), "evaluated once"


def test_carried_state_is_one_long_window(catchments):
    model = build(catchments)
    made = robustness.noise_experiment(
        model, catchments, TEST, sigmas=[0.0], repetitions=1, progress=False
    )
    model.sequence_length, model.predict_last = 131 + 29, 131
    simulation = predict(model, catchments, TEST, progress=False)
    expected = metrics.nse(sim=simulation["streamflow"], obs=simulation["streamflow_obs"])
    np.testing.assert_allclose(made[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("evaluation", ["windowed", "continuous"])
def test_noise_is_added_to_standardised_attributes(catchments, evaluation):
    """A noise vector is the same as other attributes."""
    model = build(catchments, sequence_length=131 + 29, predict_last=131)
    how = {
        "sigmas": [0.0, 0.5],
        "repetitions": 2,
        "seed": 7,
        "evaluation": evaluation,
        "progress": False,
    }
    made = robustness.noise_experiment(model, catchments, TEST, **how)
    changed = catchments.copy()
    for k, name in enumerate(ATTRIBUTES):
        added = [
            robustness.noise_vectors(str(b), [0.0, 0.5], 2, 4, 7)[1, 1, k]
            for b in catchments["basin"].values
        ]
        changed[name] = changed[name] + np.array(added) * model.scaling.attributes[name][1]
    simulation = predict(model, changed, TEST, progress=False)
    expected = metrics.nse(sim=simulation["streamflow"], obs=simulation["streamflow_obs"])
    np.testing.assert_allclose(made.sel(sigma=0.5, repetition=1), expected, atol=1e-4)


def test_noise_of_a_basin_depends_on_nothing_else(catchments):
    model = build(catchments)
    how = {"repetitions": 3, "progress": False, "rows": 4}
    both = robustness.noise_experiment(model, catchments, TEST, sigmas=[0.3, 1.0], **how)
    alone = robustness.noise_experiment(
        model, catchments.isel(basin=[2]), TEST, sigmas=[1.0], **how | {"rows": 100}
    )
    np.testing.assert_allclose(alone.sel(sigma=1.0), both.sel(sigma=1.0).isel(basin=[2]), atol=1e-5)
    draws = robustness.noise_vectors("01013500", [0.5, 1.0], 4000, 27, 0)
    np.testing.assert_allclose(draws.std(axis=(1, 2)), [0.5, 1.0], rtol=0.01)
    assert abs(np.corrcoef(draws[0].ravel(), draws[1].ravel())[0, 1]) < 0.01, (
        "levels are drawn independently"
    )


def test_boxes_pool_or_keep_basins():
    nse = xr.DataArray(
        [[[0.5, 0.9]] + [[np.nan, np.nan]] * 2, [[0.1, 0.8], [0.2, 0.8], [-3.0, 0.8]]],
        dims=("sigma", "repetition", "basin"),
        coords={"sigma": [0.0, 1.0], "repetition": [0, 1, 2], "basin": ["a", "b"]},
    )
    pooled, basins = robustness.pooled_boxes(nse), robustness.basin_boxes(nse)
    assert pooled["n"].tolist() == [2, 6] and basins["n"].tolist() == [2, 2]
    assert pooled.loc[1.0, "median"] == pytest.approx(0.5) and basins.loc[
        1.0, "median"
    ] == pytest.approx(0.45)
    assert pooled.loc[1.0, "q01"] < -2 and basins.loc[1.0, "q01"] > 0, "one draw is not a catchment"


def test_days_of_windows_are_counted_once(catchments):
    for predict_last in (1, 20, 131):
        model = build(catchments, sequence_length=150, predict_last=predict_last)
        for evaluation in ("windowed", "continuous"):
            _, day, new = evaluation_windows(model, catchments, TEST, evaluation)
            assert sorted(day[new].tolist()) == list(range(131))


# Runs
# ---


def test_runs_are_read_by_seed(tmp_path, catchments):
    paths = [write_run(tmp_path / str(s), catchments, s) for s in (5, 2)]
    runs = ealstm_ensemble.read_ealstms(paths)
    assert [run.seed for run in runs] == [2, 5]
    assert ealstm_ensemble.catchments_of(runs).identical(catchments)


def test_runs_that_do_not_go_together(tmp_path, catchments):
    ids = [str(b) for b in catchments["basin"].values]
    first = write_run(tmp_path / "a", catchments, 1, basins=ids[:2])
    other = write_run(tmp_path / "b", catchments, 2, basins=ids[2:])
    wide = write_run(tmp_path / "wide", catchments, 3, basins=ids[:2], hidden=7)
    fewer = write_run(tmp_path / "fewer", catchments, 4, basins=ids[:2], attributes=ATTRIBUTES[:2])
    later = write_run(
        tmp_path / "later", catchments, 6, basins=ids[:2], test_period=["1991-01-01", "1991-02-08"]
    )
    lstm = write_run(tmp_path / "lstm", catchments, 5, model="lstm")
    with pytest.raises(
        DataError, match=r"trained on other basins \(2 and 2, 0 in common\); give runs"
    ):
        ealstm_ensemble.read_ealstms([first, other])
    with pytest.raises(
        DataError, match=r"a has hidden 6, .*wide 7; the runs of one analysis differ in their seed"
    ):
        ealstm_ensemble.read_ealstms([first, wide])
    with pytest.raises(
        DataError, match=r"a has test_period 1990-10-01 to 1991-02-08, .*later 1991-01-01 to"
    ):
        ealstm_ensemble.read_ealstms([first, later])
    with pytest.raises(DataError, match="other attributes"):
        ealstm_ensemble.read_ealstms([first, fewer])
    with pytest.raises(DataError, match="both have the seed 1"):
        ealstm_ensemble.read_ealstms([first, first])
    with pytest.raises(TrainingError, match="holds a model 'lstm', which has no static input gate"):
        ealstm_ensemble.read_ealstms([first, lstm])
    with pytest.raises(DataError, match="no runs are given"):
        ealstm_ensemble.read_ealstms([])
    with pytest.raises(TrainingError, match="holds no trained model"):
        ealstm_ensemble.read_ealstms([tmp_path])


@pytest.mark.parametrize(
    ("cls", "given", "message"),
    [
        (
            SimilarityParameters,
            {"runs": ["a"], "embedding": "e.nc"},
            "give runs or embedding, not both",
        ),
        (SimilarityParameters, {"ks": [1, 3]}, "ks.0 = 1"),
        (SimilarityParameters, {"ks": [3, 3]}, r"ks = \[3, 3\]: it lists 3 twice"),
        (
            SensitivityParameters,
            {"runs": ["a"], "sensitivities": "s.csv"},
            "give runs or sensitivities, not both",
        ),
        (RobustnessParameters, {"sigmas": [0.1, -0.1]}, "sigmas.1 = -0.1"),
        (RobustnessParameters, {"sigmas": [0.1, 0.1]}, "it lists 0.1 twice"),
        (RobustnessParameters, {"evaluation": "weekly"}, "choose one of continuous, windowed"),
    ],
)
def test_parameters_that_cannot_be(cls, given, message):
    with pytest.raises(ParameterError, match=message):
        cls.validate_parameters(given)


# Figures
# ---


def test_figures_draw():
    from hydronb import plots
    from hydronb.plots.similarity import ranking_bars

    plots.start()
    boxes = pd.DataFrame(
        {c: [0.5, 0.1] for c in ("mean", "median", "q05", "q25", "q75", "q95")},
        index=pd.Index([0.0, 1.0], name="sigma"),
    )
    plots.style.render(plots.noise_boxes(boxes, paper=boxes[["median"]]))
    values = xr.DataArray(
        [[0.5, 0.55, 0.052, -3.0], [0.4, 0.951, 0.953, 0.0]],
        {"sigma": [0.0, 1.0]},
        ("sigma", "basin"),
    )
    wide = boxes.assign(q05=0.1, q95=0.9)
    figure = plots.noise_boxes(wide, values=values, title="noise", low=0.0)
    circles = figure.get(0).dframe()
    # 0.951 and 0.953 are drawn once, -3 lies below the axis
    assert sorted(circles.itertuples(index=False, name=None)) == [(0, 0.05), (1, 0.0), (1, 0.95)]
    assert plots.style.render(figure).title.text == "noise; 1 circles below the axis"
    table = sensitivity.rankings_of_seeds(gradients_of([[[1, 2, 3], [4, 0, 1]]] * 2, (1, 2)))
    plots.style.render(ranking_bars(table))
    kinds = xr.DataArray(
        ["x", "y", "x"],
        dims="basin",
        coords={
            "basin": ["a", "b", "c"],
            "lat": ("basin", [40.0, 41, 42]),
            "lon": ("basin", [-100.0, -101, -102]),
        },
    )
    figure = plots.basin_map(kinds, most=1, title="kinds")
    assert [e.label for e in figure if e.label] == ["x (2)", "others (1)"]
    plots.style.render(figure)
    with pytest.raises(DataError, match="without the coordinate 'lat'"):
        plots.basin_map(kinds.drop_vars("lat"))
