"""Parameters: what is refused, in which words, and what YAML and papermill turn numbers and dates
into."""

import datetime as dt

import pytest
import yaml

from hydronb.errors import HydronbError, ParameterError, nearest
from hydronb.parameters import (
    NOTEBOOKS,
    BenchmarkParameters,
    CatchmentsParameters,
    DataParameters,
    TrainParameters,
    resolve,
)
from hydronb.vocabulary import LOSSES

CARAVAN = {"kind": "caravan", "path": "/data/Caravan"}


def refused(kind, values, *words):
    with pytest.raises(ParameterError) as error:
        kind.validate_parameters(values)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hiden": 64}, ["unknown parameter 'hiden'; did you mean 'hidden'?"]),
        ({"model": "ea-lstm"}, ["model = 'ea-lstm'", "choose one of ealstm, lstm, lstm_no_static"]),
        ({"seed": True}, ["seed = True", "a number belongs here"]),
        ({"epochs": "3"}, ["epochs = '3'", "a number belongs here, without quotes"]),
        ({"dropout": "0.4"}, ["dropout = '0.4'", "number", "without quotes"]),
        ({"device": "tpu"}, ["device = 'tpu'"]),
        (
            {"train_period": ["1990-10-01", "1999-09-30"]},
            ["train_period", "test_period", "overlap"],
        ),
        (
            {"validation_period": ["2005-10-01", "2008-09-30"]},
            ["train_period", "validation_period", "overlap"],
        ),
        ({"loss": "rmse"}, ["loss = 'rmse'", "nse_star, nse_star_paper, mse"]),
        ({"hidden": "many"}, ["hidden = 'many'", "a number belongs here"]),
        ({"hidden": 64.5}, ["hidden = 64.5", "integer"]),
        ({"hidden": 0}, ["hidden = 0", "greater than or equal to 1"]),
        ({"batch_size": 0}, ["batch_size = 0", "greater than or equal to 1"]),
        ({"batch_size": -5}, ["batch_size = -5"]),
        ({"epochs": 0}, ["epochs = 0"]),
        ({"threads": 0}, ["threads = 0"]),
        ({"dropout": 1.5}, ["dropout = 1.5", "less than 1"]),
        ({"dropout": -0.1}, ["dropout = -0.1"]),
        ({"dropout": "high"}, ["dropout = 'high'", "number"]),
        ({"learning_rate": -0.001}, ["learning_rate = -0.001", "greater than 0"]),
        ({"learning_rate": 0}, ["learning_rate = 0", "greater than 0"]),
        ({"learning_rate": "fast"}, ["learning_rate = 'fast'", "number"]),
        ({"learning_rate": float("nan")}, ["learning_rate = nan"]),
        ({"learning_rate": float("inf")}, ["learning_rate = inf"]),
        ({"learning_rate": {1: 0.1, 5: -1}}, ["learning_rate", "-1", "greater than 0"]),
        ({"learning_rate": {2: 0.1}}, ["learning_rate given by epoch must start at epoch 1"]),
        ({"clip_norm": 0}, ["clip_norm = 0"]),
        ({"weight_decay": -1}, ["weight_decay = -1"]),
        ({"attribute_noise": -1}, ["attribute_noise = -1"]),
        ({"forget_bias": float("nan")}, ["forget_bias = nan"]),
        (
            {"train_period": ["2008-09-30", "1999-10-01"]},
            ["train_period", "ends (1999-10-01) before it starts"],
        ),
        ({"train_period": ["1999-10-01"]}, ["train_period", "[first day, last day]"]),
        (
            {"train_period": ["1999-02-30", "2008-09-30"]},
            ["train_period.start = '1999-02-30'", "date"],
        ),
        ({"train_period": [1999, 2008]}, ["train_period.start = 1999", "date"]),
        ({"train_period": "1999 to 2008"}, ["train_period = '1999 to 2008'"]),
        ({"predict_last": 300}, ["predict_last (300) is longer than sequence_length (270)"]),
        ({"patience": 3}, ["patience needs a validation_period"]),
        ({"forcings": []}, ["forcings = []"]),
        ({"forcings": ["prcp", "prcp"]}, ["forcings = ", "it lists 'prcp' twice"]),
        ({"forcings": "prcp"}, ["forcings = 'prcp'", "list"]),
        ({"targets": ["streamflow", "streamflow"]}, ["targets = ", "it lists 'streamflow' twice"]),
        (
            {"attributes": ["slope_mean", "slope_mean"]},
            ["attributes = ", "it lists 'slope_mean' twice"],
        ),
        ({"attributes": "kratzert"}, ["attributes", "'kratzert'", "kratzert2019, all"]),
        (
            {"missing_attributes": "zero"},
            ["missing_attributes = 'zero'", "choose one of error, mean"],
        ),
        (
            {"data": {"kind": "camels"}},
            ["data", "kind = 'camels'", "synthetic, caravan, camels_us, file"],
        ),
        ({"data": {"kind": "caravan"}}, ["data of kind 'caravan' needs a path"]),
        (
            {"data": CARAVAN | {"basin": ["01013500"]}},
            ["data: unknown parameter 'basin'; did you mean 'basins'?"],
        ),
        (
            {"data": CARAVAN | {"basins": [1013500]}},
            ["data.basins.0 = 1013500", "put it in quotes, gauge ids too"],
        ),
        ({"data": "caravan"}, ["data = 'caravan'"]),
        ({"data": {"n_basins": 0}}, ["data.n_basins = 0"]),
    ],
)
def test_a_training_that_cannot_be_run(values, words):
    refused(TrainParameters, values, *words)


def test_other_notebooks_parameters():
    refused(
        BenchmarkParameters,
        {"metrics": ["nse", "kg"]},
        "metrics.1 = 'kg' is unknown; choose one of nse, kge",
    )
    refused(BenchmarkParameters, {"runs": "outputs"}, "runs = 'outputs'", "list")
    refused(CatchmentsParameters, {"basin": 1013500}, "basin = 1013500: text belongs here")


def test_where_is_said_first():
    with pytest.raises(ParameterError, match=r"^params/demo\.yaml: run a: batch_size = 0: "):
        TrainParameters.validate_parameters({"batch_size": 0}, where="params/demo.yaml: run a")


def test_names_are_those_of_the_code():
    refused(TrainParameters, {"model": ""}, "ealstm, lstm, lstm_no_static")
    refused(TrainParameters, {"loss": ""}, *LOSSES)


@pytest.mark.parametrize("name", sorted(NOTEBOOKS))
def test_defaults_are_valid_and_survive_yaml(name):
    kind = NOTEBOOKS[name]
    p = kind()
    assert kind.validate_parameters(yaml.safe_load(yaml.safe_dump(p.plain()))) == p
    assert kind.validate_parameters(p.plain()) == p


def test_the_published_settings_are_the_defaults():
    """Kratzert et al. (2019), Sect. 2.6 and its code."""
    p = TrainParameters()
    assert (p.hidden, p.dropout, p.forget_bias, p.sequence_length, p.predict_last) == (
        256,
        0.4,
        5.0,
        270,
        1,
    )
    assert (p.epochs, p.batch_size, p.clip_norm, p.weight_decay) == (30, 256, 1.0, 0.0)
    assert p.learning_rate == {1: 1e-3, 11: 5e-4, 21: 1e-4}
    assert (
        str(p.train_period) == "1999-10-01 to 2008-09-30"
        and str(p.test_period) == "1989-10-01 to 1999-09-30"
    )


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.e-3", "0.001", "!!float 1e-3"])
def test_numbers_that_yaml_reads_as_text(text):
    p = TrainParameters.validate_parameters(
        yaml.safe_load(f"learning_rate: {text}\nweight_decay: {text}")
    )
    assert p.learning_rate == p.weight_decay == 1e-3


def test_rates_by_epoch_from_yaml():
    p = TrainParameters.validate_parameters(yaml.safe_load("learning_rate: {1: 1e-2, 5: 1e-3}"))
    assert p.learning_rate == {1: 0.01, 5: 0.001}
    as_in_json = TrainParameters.validate_parameters({"learning_rate": {"1": 0.01, "5": 0.001}})
    assert as_in_json.learning_rate == p.learning_rate


def test_dates_from_yaml_with_and_without_quotes():
    a, b = (
        TrainParameters.validate_parameters(yaml.safe_load(f"test_period: {t}"))
        for t in ("[1989-10-01, 1999-09-30]", "['1989-10-01', '1999-09-30']")
    )
    assert a == b and a.test_period.start == dt.date(1989, 10, 1)


def test_unquoted_gauge_ids_are_refused_with_their_reason():
    read = yaml.safe_load("data: {kind: caravan, path: x, basins: [1013500]}")
    refused(TrainParameters, read, "text belongs here; put it in quotes, gauge ids too")


def test_parameters_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        TrainParameters().hidden = 3


def test_what_papermill_injected_must_be_known():
    cells = ["hidden = 8", "# Parameters\nhidden = 16\ndropot = 0.1"]
    with pytest.raises(ParameterError, match="unknown parameter 'dropot'; did you mean 'dropout'"):
        TrainParameters.from_notebook({"In": cells, "hidden": 16, "dropot": 0.1, "np": object()})
    assert (
        TrainParameters.from_notebook({"In": cells[:1], "hidden": 16, "dropot": 0.1}).hidden == 16
    )


def test_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_HERE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert resolve("$DATA_HERE/x") == tmp_path / "x" == resolve("x") == resolve("./a/../x")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert resolve("outputs") == tmp_path / "outputs"
    with pytest.raises(ParameterError, match="the environment variable NOT_SET_HERE is not set"):
        resolve("${NOT_SET_HERE}/x")


def test_nearest_names():
    assert nearest("stremflow", ["prcp", "streamflow"]) == "; did you mean 'streamflow'?"
    assert nearest("zzz", ["b", "a"]) == "; known: a, b"
    assert nearest("zzz", [f"{k:03}" for k in range(30)]).endswith("019 ...")
    assert nearest("zzz", []) == ""


def test_errors_are_one_line_in_a_notebook():
    assert HydronbError("what is wrong")._render_traceback_() == ["HydronbError: what is wrong"]
    assert DataParameters().kind == "synthetic"
