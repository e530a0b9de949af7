"""One list of each thing: a metric, a model, a loss, a source of data and a notebook that are added
here, in the two or three places that CONTRIBUTING names, are known everywhere else.

A place that keeps a list of its own fails this test.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import panel as pn
import pytest
import torch
import yaml
from catchments import random_catchments
from torch import nn

from hydronb import metrics, plots, vocabulary
from hydronb.analysis.benchmark import group_runs, read_members
from hydronb.analysis.ensembles import readable_summary, score_members, summary
from hydronb.app import benchmarks_page, catchment
from hydronb.app.outputs import Outputs
from hydronb.app.state import State
from hydronb.app.view import Page
from hydronb.data import open_catchments
from hydronb.data.dataset import open_dataset
from hydronb.data.report import report
from hydronb.errors import ParameterError
from hydronb.models.standardised import StandardisedLSTM
from hydronb.models.weights import load
from hydronb.parameters import NOTEBOOKS, NotebookParameters, TrainParameters
from hydronb.runs.plan import read_plan
from hydronb.training.predict import predict
from hydronb.training.train import train_run
from hydronb.vocabulary import LOSSES, MODELS, SOURCES, Loss, Model, Source

SETTINGS = {
    "model": "toy",
    "loss": "toy_loss",
    "forcings": ["prcp", "tmean"],
    "attributes": ["slope", "forest"],
    "train_period": ["2000-03-01", "2000-09-30"],
    "test_period": ["2000-12-01", "2001-02-03"],
    "hidden": 4,
    "sequence_length": 20,
    "predict_last": 4,
    "epochs": 2,
    "samples_per_epoch": 64,
}


class Toy(nn.Module):
    """A linear model of each day's forcing."""

    def __init__(self, n_dynamic, n_static, hidden, n_targets, dropout, forget_bias):
        super().__init__()
        self.head = nn.Linear(n_dynamic, n_targets)

    def forward(self, dynamic, static, last=1):
        return self.head(dynamic[:, -last:])


def toy_loss(terms):
    """Mean absolute error of days with an observation."""
    return (terms.sim - terms.obs)[~terms.obs.isnan()].abs().mean()


def recognises(path: Path) -> bool:
    return path.suffix == ".toy"


def describe(path: Path, found) -> None:
    found.append(f"a toy of {open_dataset(path).sizes['basin']} basins")


@pytest.fixture(scope="module")
def toys():
    """The toys, in the lists while this module is tested."""
    source = SimpleNamespace(
        open_source=lambda data: open_dataset(data.path),
        recognises=recognises,
        describe=describe,
        LAYOUT="FILE.toy",
    )
    MODELS.add(
        Model(
            "toy",
            "Toy model",
            "#123456",
            "ealstm_01_train",
            MODELS["lstm"].training,
            lambda **settings: StandardisedLSTM(Toy, **settings),
        )
    )
    LOSSES.add(Loss("toy_loss", "MAE", lambda p: toy_loss))
    SOURCES.add(Source("toy", "toys", lambda: source))

    @metrics.metric("Toy score", "%", "share of days without error")
    def toy_score(s, o):
        """Share of days on which simulation and observation agree to 1 mm/d, in percent."""
        return 100 * np.mean(np.abs(s - o) < 1, axis=-1)

    class ToyParameters(NotebookParameters, notebook="toy_01"):
        """toy_01."""

        size: int = 1

    yield ToyParameters
    for names, name in (
        (MODELS, "toy"),
        (LOSSES, "toy_loss"),
        (SOURCES, "toy"),
        (metrics.METRICS, "toy_score"),
        (NOTEBOOKS, "toy_01"),
    ):
        del names[name]


@pytest.fixture(scope="module")
def data(toys, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rivers.toy"
    random_catchments(n_basins=3).to_netcdf(path)
    return {"kind": "toy", "path": str(path)}


@pytest.fixture(scope="module")
def outputs(data, tmp_path_factory):
    """An outputs folder with two trained runs of the toy model."""
    root = tmp_path_factory.mktemp("outputs")
    for seed in (1, 2):
        run_dir = root / "plan" / "ealstm_01_train" / f"toy_seed-{seed}"
        run_dir.mkdir(parents=True)
        given = SETTINGS | {"data": data, "seed": seed}
        (run_dir / "params.yaml").write_text(yaml.safe_dump(given))
        train_run(run_dir)
    return root


def test_a_plan_takes_them(data, tmp_path):
    cells = [
        ("parameters", 'data = {"kind": "synthetic"}\nsize = 1\nrun_dir = ""'),
        ("", "p = ToyParameters.from_notebook(globals())"),
    ]
    code = [
        {"cell_type": "code", "source": text, "metadata": {"tags": [tag]}, "outputs": []}
        for tag, text in cells
    ]
    notebook = tmp_path / "toy_01.ipynb"
    notebook.write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4}))
    runs = [
        {"id": "toy", "notebook": "ealstm_01_train", "params": SETTINGS},
        {
            "id": "benchmark",
            "notebook": "ealstm_02_benchmark",
            "needs": ["toy"],
            "params": {"metrics": ["nse", "toy_score"]},
        },
        {"id": "toys", "notebook": str(notebook), "params": {"size": 2}},
    ]
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump({"name": "toys", "data": data, "runs": runs}))
    plan = read_plan(file)
    assert [run.id for run in plan.runs] == ["toy", "benchmark", "toys"]
    assert plan.runs[2].everything["size"] == 2
    runs[2]["params"] = {"size": "many"}
    file.write_text(yaml.safe_dump({"name": "toys", "data": data, "runs": runs}))
    with pytest.raises(ParameterError, match=r"toys: size = 'many'"):
        read_plan(file)


def test_parameters_offer_them(toys):
    refused = {"model": "tyo", "loss": "tyo_loss", "data": {"kind": "tyo"}}
    for name, value in refused.items():
        with pytest.raises(ParameterError, match=r"choose one of .*toy"):
            TrainParameters.validate_parameters({name: value})
    for wrong in ({"model": "toy"}, SETTINGS):
        assert TrainParameters.validate_parameters(wrong).model == "toy"
    assert NOTEBOOKS["toy_01"] is toys


def test_the_data_are_opened_and_checked(data):
    ds = open_catchments(TrainParameters.validate_parameters({"data": data}).data)
    assert ds.sizes["basin"] == 3
    found = report(data["path"])
    assert "a toy of 3 basins" in list(found) and not found.problems


def test_the_model_is_trained_saved_and_loaded(data, outputs):
    run_dir = outputs / "plan" / "ealstm_01_train" / "toy_seed-1"
    model = load(run_dir)
    assert isinstance(model.network, Toy) and model.settings["model"] == "toy"
    p = TrainParameters.validate_parameters(SETTINGS | {"data": data})
    simulation = predict(model, open_catchments(p.data), p.test_period, progress=False)
    assert simulation["streamflow"].notnull().all()
    assert torch.isfinite(model.network.head.weight).all()
    table = pd.read_csv(run_dir / "metrics.csv", dtype={"basin": str}, index_col="basin")
    error = abs(simulation["streamflow"] - simulation["streamflow_obs"])
    counted = error.notnull().sum("time")
    expected = 100 * (error < 1).sum("time") / error.sizes["time"]
    assert (counted > 0).all()
    np.testing.assert_allclose(table["toy_score"], expected, rtol=1e-6)


def test_the_benchmark_scores_it(outputs):
    from hydronb.runs.directory import read_run

    folders = sorted((outputs / "plan" / "ealstm_01_train").iterdir())
    (group,) = group_runs([read_run(folder) for folder in folders])
    assert group.label == "Toy model"
    members = read_members([group])["Toy model"]
    scores = score_members(members, ["nse", "toy_score"])
    table = summary(scores.expand_dims(model=["Toy model"]), {"toy_score": ("median",)})
    assert table["toy_score_median"].notna().all()
    assert len(readable_summary(table))


def test_the_dashboard_offers_it(outputs):
    page = Page(State(), Outputs(outputs))
    labels = catchment.run_labels(page, page.outputs.trained())
    assert len(labels) == 2 and all(label.startswith("Toy model") for label in labels)
    (choice,) = (
        widget
        for widget in benchmarks_page.build(page).select(pn.widgets.Select)
        if widget.name == "Metric"
    )
    assert choice.options["Toy score (%)"] == "toy_score"
    assert plots.metric_label("toy_score") == "Toy score (%)"
    assert plots.colours(["LSTM", "Toy model, 2 seeds"])["Toy model, 2 seeds"] == "#123456"
    page.state.metric = "toy_score"
    scores = catchment.scores(page, "toy_score")
    assert len(scores) == 2 and all(len(series) == 3 for series in scores.values())


def test_an_unknown_name_is_an_error_in_every_list(toys):
    for names in (MODELS, LOSSES, SOURCES, vocabulary.metrics()):
        with pytest.raises(ParameterError, match=r"unknown .*nothing_of_the_kind"):
            names["nothing_of_the_kind"]
        with pytest.raises(ValueError, match="there are two"):
            names.add(next(iter(names.values())))
