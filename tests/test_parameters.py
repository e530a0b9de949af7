"""Parameters: what is refused, in which words, and what YAML and papermill turn numbers and dates
into."""

import datetime as dt
import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from hydronb.data.gridding.prepare import Recipe
from hydronb.errors import HydronbError, ParameterError, nearest
from hydronb.parameters import (
    NOTEBOOKS,
    BenchmarkParameters,
    CatchmentsParameters,
    CNNLSTMProbesParameters,
    CNNLSTMTrainParameters,
    DataParameters,
    DeltaHBVDynamicParameters,
    DeltaHBVTrainParameters,
    GridParameters,
    InputPath,
    Parameters,
    RobustnessParameters,
    SimilarityParameters,
    TrainParameters,
    input_paths,
    read_parameters,
    resolve,
)
from hydronb.parameters.plain_yaml import plain_values
from hydronb.vocabulary import LOSSES

PLANS = Path(__file__).parents[1] / "params"
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


NOT_PLAIN = {
    "octal": ("threads: 010", "YAML reads 010 as a number in base 8"),
    "octal, for a float": ("learning_rate: 017", "YAML reads 017 as a number in base 8"),
    "octal, with a sign": ("a: -0_7", "YAML reads -0_7 as a number in base 8"),
    "octal, as a key": ("{010: 1}", "YAML reads 010 as a number in base 8"),
    "octal, with its tag": ("a: !!int '010'", "YAML reads 010 as a number in base 8"),
    "a gauge id": ("basins: [01013500]", "leading zeros or colons, and quote gauge ids"),
    "sexagesimal": ("hidden: 1:30", "YAML reads 1:30 as a number in base 60"),
    "sexagesimal fraction": ("a: 1:30.5", "YAML reads 1:30.5 as a number in base 60"),
    "a list as a key": ("learning_rate: {[1, 2]: 0.1}", "a list or mapping cannot be a name"),
    "a mapping as a key": ("{a: 1}: 2", "a list or mapping cannot be a name"),
    "a key twice": ("{a: 1, a: 2}", "the key 'a' occurs twice"),
    "a number twice as a key": ("{1: 1, 1.0: 2}", "the key 1.0 occurs twice"),
    "a tag of Python": ("a: !!python/object:os.system b", "the tag !!python/object:os.system does"),
    "an unknown tag": ("a: !foo b", "the tag !foo does not fit"),
    "a tag on a key": ("!foo a: b", "the tag !foo does not fit"),
    "no int": ("a: !!int abc", "the tag !!int does not fit"),
    "no bool": ("a: !!bool maybe", "the tag !!bool does not fit"),
    "no null": ("a: !!null abc", "the tag !!null does not fit"),
    "no float": ("a: !!float abc", "'abc' cannot be read as a number"),
    "a list that is text": ("a: !!str [b]", "the tag !!str does not fit"),
    "a set": ("a: !!set {b, c}", "the tag !!set does not fit"),
    "bytes": ("a: !!binary aGk=", "the tag !!binary does not fit"),
    "no date": ("a: 1999-02-30", "'1999-02-30' cannot be read as a date"),
    "no time zone": ("a: 2001-12-14t21:59:43-99:00", "cannot be read as a date"),
    "not to be encoded": ('a: "\\ud800"', "cannot be read as text"),
    "no merge": ("<<: 3", "expected a mapping or list of mappings"),
    "a large number": ("a: 1000000000000001", "is not between -1e15 and 1e15; quote it if it is"),
    "a large number, negative": ("a: -2e+15", "-2e+15 is not between -1e15 and 1e15"),
    "a large power of ten": ("a: 1e16", "1e16 is not between -1e15 and 1e15"),
    "a large hexadecimal": ("a: 0xFFFFFFFFFFFFFFFF", "is not between -1e15 and 1e15"),
    "too many digits": (f"a: {'9' * 5000}", "cannot be read as a whole number"),
    "infinity": ("a: .inf", ".inf is not between -1e15 and 1e15"),
    "not a number": ("a: .nan", ".nan is not between -1e15 and 1e15"),
    "21 levels": (f"a: {'[' * 20}{']' * 20}", "nested deeper than 20 levels"),
    "3000 levels": (f"a: {'[' * 3000}", "nested deeper than 20 levels"),
    "3000 levels of names": ("{a: " * 3000, "nested deeper than 20 levels"),
    "an alias in itself": ("a: &a [*a]", "nested deeper than 20 levels"),
    "a merge with itself": ("a: &a {<<: *a}", "nested deeper than 20 levels"),
    "aliases without end": (
        "[&a [x, x, x, x, x, x, x, x, x, x]"
        + "".join(f", &{c} [{', '.join([f'*{b}'] * 10)}]" for b, c in pairwise("abcdefghi"))
        + "]",
        "more than 100,000 values, with those that aliases repeat",
    ),
    "merges without end": (
        "[&a {x: 1}"
        + "".join(
            f", &{c} {{<<: [{', '.join([f'*{b}'] * 10)}], {c}: 1}}" for b, c in pairwise("abcdefgh")
        )
        + "]",
        "more than 100,000 values, with those that aliases repeat",
    ),
    "no end": ("a: [", "not YAML: expected the node content"),
    "two documents": ("a\n--- b", "not YAML: but found another document"),
    "a NUL": ("a: \0", "not YAML: special characters are not allowed"),
}


@pytest.mark.parametrize("case", NOT_PLAIN)
def test_what_yaml_would_change_in_silence_is_one_line(case):
    text, words = NOT_PLAIN[case]
    with pytest.raises(ParameterError) as error:
        plain_values(f"# a plan\n---\n{text}", "plan.yaml")
    line = 4 if case == "two documents" else 3
    assert str(error.value).startswith(f"plan.yaml, line {line}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x10", 16),
        ("1_000", 1000),
        ("-0", 0),
        ("0.5", 0.5),
        ("!!float 1e-3", 0.001),
        ("1e-3", "1e-3"),
        ("'010'", "010"),
        ("!!str 010", "010"),
        ("01013589", "01013589"),
        ("'1e20'", "1e20"),
        ("1000000000000000", 10**15),
        ("no", False),
        ("~", None),
        ("2001-10-01", dt.date(2001, 10, 1)),
        ("", None),
        ("\ufeffa", "a"),
        (f"{'[' * 19}1{']' * 19}", eval(f"{'[' * 19}1{']' * 19}")),
    ],
)
def test_plain_values_are_what_they_look_like(text, value):
    assert plain_values(text, "plan.yaml") == value
    assert type(plain_values(text, "plan.yaml")) is type(value)


@pytest.mark.parametrize("plan", sorted(PLANS.glob("**/*.yaml")), ids=lambda path: path.name)
def test_our_plans_read_as_pyyaml_reads_them(plan):
    """Aliases, merges, dates and numbers, in the same order."""
    read = read_parameters(plan)
    assert repr(read) == repr(yaml.safe_load(plan.read_text()))


def make_folder(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_large(path):
    path.write_text("a: " + "x" * 1_000_000)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file: "),
        (make_folder, "params.yaml is not a file of at most 1 MB; "),
        (make_pipe, "params.yaml is not a file of at most 1 MB; "),
        (make_large, "params.yaml is not a file of at most 1 MB; "),
        (lambda path: path.symlink_to("/dev/zero"), "params.yaml is not a file of at most 1 MB; "),
        (lambda path: path.symlink_to(path.name), "cannot be read as YAML (Too many levels"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not YAML: it is not text in UTF-8; "),
        (lambda path: path.write_text(""), "holds no names with values"),
        (lambda path: path.write_text("- a"), "holds no names with values"),
        (lambda path: path.write_text("1: a"), "holds no names with values"),
        (lambda path: path.write_text("a: b\nc"), "params.yaml, line 2: not YAML: "),
        (lambda path: path.write_text("hidden: 8\nhid"), "params.yaml, line 2: not YAML: "),
    ],
)
def test_a_file_without_parameters_is_one_line(tmp_path, make, words):
    make(tmp_path / "params.yaml")
    with pytest.raises(ParameterError) as error:
        read_parameters(tmp_path / "params.yaml")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"\xef\xbb\xbfhidden: 8\n")
    assert read_parameters(tmp_path / "params.yaml") == {"hidden": 8}


@pytest.mark.parametrize(
    ("kind", "values", "twice"),
    [
        (TrainParameters, {"data": CARAVAN | {"basins": ["a", "b", "a"]}}, "'a'"),
        (DeltaHBVTrainParameters, {"dynamic": ["BETA", "BETA"]}, "'BETA'"),
        (DeltaHBVDynamicParameters, {"basins": ["a", "a"]}, "'a'"),
        (CNNLSTMTrainParameters, {"static": ["elevation", "elevation"]}, "'elevation'"),
        (CNNLSTMProbesParameters, {"targets": ["true_snow", "true_snow"]}, "'true_snow'"),
        (BenchmarkParameters, {"metrics": ["nse", "kge", "nse"]}, "'nse'"),
        (BenchmarkParameters, {"runs": ["a", "a"]}, "'a'"),
        (RobustnessParameters, {"compared_sigmas": [0, 0.0]}, "0.0"),
        (SimilarityParameters, {"ks": [3, 4, 4]}, "4"),
        (Recipe, {"basin": "a", "outline": "b", "prcp": {"files": ["c", "c"]}}, "'c'"),
    ],
)
def test_no_list_has_an_entry_twice(kind, values, twice):
    refused(kind, values, f"it lists {twice} twice")


def test_what_is_no_list_of_names_may_repeat():
    assert GridParameters(shape=[8, 8]).plain()["shape"] == [8, 8]
    assert GridParameters.validate_parameters(GridParameters(shape=[8, 8]).plain()).shape == (8, 8)
    refused(GridParameters, {"shape": [8]}, "shape = [8]: List should have at least 2 items")
    refused(GridParameters, {"shape": 8}, "shape = 8: Input should be a valid list")


def test_paths_are_found_by_their_type_whatever_their_name():
    class Nested(Parameters):
        anything: InputPath | None = None
        text: str = "no path"

    class Toy(TrainParameters):
        soil_map: InputPath = InputPath("")
        tables: list[InputPath]
        by_name: dict[str, InputPath | list[InputPath]]
        nested: Nested = Nested()
        either: list[str] | InputPath

    given = {
        "soil_map": "a.nc",
        "tables": ["b", "c"],
        "by_name": {"x": "d", "y": ["e"]},
        "nested": {"anything": "f", "text": "g"},
        "either": "h",
        "data": {"kind": "caravan", "path": "i", "attributes": "j", "basins": "k"},
    }
    p = Toy.validate_parameters(given)
    assert dict(input_paths(p)) == {
        "data.path": "i",
        "data.basins": "k",
        "data.attributes": "j",
        "soil_map": "a.nc",
        "tables.0": "b",
        "tables.1": "c",
        "by_name.x": "d",
        "by_name.y.0": "e",
        "nested.anything": "f",
        "either": "h",
    }
    assert yaml.safe_load(yaml.safe_dump(p.plain())) == p.plain()
    assert Toy.validate_parameters(p.plain()) == p
    assert not dict(input_paths(Toy(soil_map="", tables=[], by_name={}, either=["l"])))


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
