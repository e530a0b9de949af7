"""The app without a browser: state and links, what is read and what is not, messages, figures that
take new data."""

import gc
import json
import os
import re
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from urllib.parse import urlencode

import app_files
import holoviews as hv
import netCDF4
import numpy as np
import pandas as pd
import panel as pn
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hydronb import plots
from hydronb.app import catchment, dynamics_page, page, runs_page, similarity_page
from hydronb.app.outputs import Outputs
from hydronb.app.server import allowed, check_address
from hydronb.app.shell import PAGES, App
from hydronb.app.state import State
from hydronb.app.view import Page
from hydronb.errors import DataError, ParameterError
from hydronb.plots.basins import attribute_percentiles
from hydronb.plots.refill import bokeh_plots, refill, series_structure
from hydronb.plots.style import render
from hydronb.runs import status
from hydronb.runs.directory import PROGRESS, RESERVED, RunDirectory


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return app_files.write(
        tmp_path_factory.mktemp("outputs"), basins=6, years=2, components=2, cells=4
    )


@pytest.fixture
def outputs(folder: Path) -> Outputs:
    return Outputs(folder)


def text_of(app: App) -> str:
    """All HTML of an app's page and above it."""
    panes = app.problem, *app.place.select(pn.pane.HTML)
    return " ".join(pane.object for pane in panes)


# Links
# ---


@given(
    st.fixed_dictionaries(
        {
            "page": st.sampled_from(list(PAGES)),
            "basin": st.text(min_size=1, max_size=9),
            "k": st.integers(2, 99),
            "colour": st.text(min_size=1, max_size=9),
            "years": st.integers(1, 100),
            "runs": st.lists(st.text("abc/_-=&% é", min_size=1, max_size=9), max_size=3),
        }
    )
)
@settings(max_examples=40, deadline=None)
def test_a_link_brings_back_the_state(values):
    there = State(**values)
    back = State()
    assert back.read("?" + there.query()) == []
    assert {n: v for n, v in back.param.values().items() if n != "name"} == {
        n: v for n, v in there.param.values().items() if n != "name"
    }


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_link_breaks_the_state(query):
    for problem in State().read(query):
        assert "\n" not in problem


@pytest.mark.parametrize("query", ["page=simularity", "page=", "page=a&page=b", "page=%00"])
def test_a_link_to_no_page_shows_the_first(query, tmp_path):
    app = App(Outputs(tmp_path), query)
    assert app.state.page == "runs" and len(app.problems) == (query != "page=")


def test_nonsense_is_named_and_the_rest_taken(tmp_path):
    app = App(Outputs(tmp_path), "?k=²&page=simularity&colour=aridity&metrik=nse")
    assert app.problems == [
        "the link's k='²': give a whole number from 2 to 99",
        "the link's 'metrik' is not part of a link; did you mean 'metric'?",
        (
            "the link's page='simularity': there is no such page; did you mean 'similarity'?;"
            " the pages are similarity, dynamics, benchmarks, probes, runs"
        ),
    ]
    assert (app.state.k, app.state.colour) == (5, "aridity")


# What is read
# ---


def test_runs_are_found_whatever_their_depth_and_nothing_else(tmp_path):
    for name in (
        "plan/notebook/run",
        "desk/lstm",
        "plan/notebook/run/runs/own",
        "plan/.locks/x",
        "plan/superseded/x",
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "params.yaml").write_text("seed: 1")
    (tmp_path / "plan/notebook/half.partial").mkdir()
    (tmp_path / "plan/notebook/half.partial/run.json").write_text("{")
    assert Outputs(tmp_path).names() == [
        "desk/lstm",
        "plan/notebook/half.partial",
        "plan/notebook/run",
        "plan/notebook/run/runs/own",
    ]


def test_runs_whose_names_begin_like_reserved_folders_are_shown(tmp_path):
    for name in ("superseded_2", "checkpoints-1", ".hidden"):
        app_files.run(tmp_path, f"notebook/{name}", {})
    for reserved in RESERVED:
        app_files.run(tmp_path, f"{reserved}/notebook", {})
        app_files.run(tmp_path, f"notebook/run/{reserved}", {})
    shown = {"tiny/notebook/.hidden", "tiny/notebook/checkpoints-1", "tiny/notebook/superseded_2"}
    assert set(Outputs(tmp_path).names()) == shown
    assert {"superseded_2", "checkpoints-1"} <= {
        line.split()[1] for line in status.of_outputs(tmp_path)
    }


def test_a_problem_that_one_part_is_rid_of_is_still_said_by_the_other(outputs):
    def gone() -> str:
        raise DataError("gone")

    state = State()
    page = Page(state, outputs)
    first, second = (
        page.part(lambda name=name: getattr(state, name) or gone(), [name])
        for name in ("basin", "run")
    )
    page.show()
    assert (first.visible, second.visible) == (True, False)
    state.basin = "there"
    page.changed({"basin"})
    assert first.text.object == "there" and second.visible and "gone" in second.text.object


def test_the_app_starts_where_dask_is_not_installed():
    """It is of the extras `grid` and `test` only."""
    code = """
from importlib.machinery import PathFinder
from importlib.util import find_spec
find = PathFinder.find_spec
gone = lambda name: name.partition(".")[0] == "dask"
PathFinder.find_spec = lambda name, *rest: None if gone(name) else find(name, *rest)
assert find_spec("dask") is None
from hydronb.app.server import warm_up
warm_up()
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr


def test_a_problem_of_many_parts_is_said_once(outputs):
    app = App(outputs, "?page=similarity&embedding=no/such")
    parts = app.pages["similarity"][0].parts

    def said() -> int:
        return sum("there is no run 'no/such'" in part.problem and part.visible for part in parts)

    assert said() == 1
    for basin in outputs.table("tiny/ealstm_01_train/lstm", "metrics.csv")["basin"][:2]:
        app.state.basin = basin
        assert said() == 1
    app.state.embedding = ""
    assert said() == 0 and all(part.visible for part in parts)


@pytest.mark.parametrize("name", ["../secret", "/etc", "a/../../secret", "link", ""])
def test_nothing_outside_the_folder_is_read(tmp_path, name):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/params.yaml").write_text("seed: 1")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/link").symlink_to(tmp_path / "secret")
    outputs = Outputs(tmp_path / "outputs")
    assert outputs.names() == []
    with pytest.raises(DataError, match="there is no run"):
        outputs.table(name, "params.yaml")


def test_a_file_that_is_a_link_to_outside_is_not_read(tmp_path):
    (tmp_path / "secret.csv").write_text("basin\n1\n")
    run = app_files.run(tmp_path / "outputs", "notebook/run", {})
    (run / "metrics.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match=r"holds no metrics\.csv"):
        Outputs(tmp_path / "outputs").table("tiny/notebook/run", "metrics.csv")


def test_a_basin_is_joined_by_id_and_read_alone(outputs, folder):
    run = "tiny/ealstm_01_train/lstm"
    with xr.open_dataset(folder / run / "simulation.nc") as ds:
        wanted = ds.sel(basin="01013500").load()
    for basin in ("01013500", "camels_01013500"):
        xr.testing.assert_identical(outputs.read(run, "simulation.nc", basin=basin), wanted)
    with pytest.raises(DataError, match="there is no catchment '99'"):
        outputs.read(run, "simulation.nc", basin="99")
    assert "streamflow" not in outputs.still(run, "simulation.nc", ["streamflow"])


def test_a_file_is_read_beside_others_that_have_it_open(folder, outputs):
    name, file = "tiny/ealstm_05_similarity/similarity", "embedding.nc"
    for _ in range(8):  # HDF5 crashes where this app were to keep a handle of its own
        with xr.open_dataset(folder / name / file) as theirs:
            assert (
                Outputs(folder)
                .read(name, file, basin="01013500")["input_gate"]
                .equals(theirs["input_gate"].sel(basin="01013500"))
            )
        assert not outputs.still(name, file)["input_gate"].isnull().any()  # noqa: PD003


def test_a_file_made_anew_is_read_anew(tmp_path):
    run = app_files.run(tmp_path, "notebook/run", {})
    outputs = Outputs(tmp_path)
    for value in (1.0, 2.5):
        pd.DataFrame({"basin": ["01"], "nse": [value]}).to_csv(run / "new.csv", index=False)
        os.replace(run / "new.csv", run / "metrics.csv")
        assert outputs.table("tiny/notebook/run", "metrics.csv")["nse"].tolist() == [value]


# Messages
# ---


@pytest.mark.parametrize("name", list(PAGES))
def test_an_empty_folder_says_which_command_fills_it(name, tmp_path):
    assert "hydronb run params/demo.yaml" in text_of(App(Outputs(tmp_path), f"?page={name}"))


@pytest.mark.parametrize("name", list(PAGES))
def test_half_written_files_are_said_on_every_page(name, tmp_path):
    app_files.write(tmp_path, basins=4, years=1, components=2, cells=4)
    for path in [*tmp_path.rglob("*.nc"), *tmp_path.rglob("*.csv"), *tmp_path.rglob("run.json")]:
        path.write_bytes(path.read_bytes()[:60])
    text = text_of(App(Outputs(tmp_path), f"?page={name}&basin=01013500"))
    assert any(
        words in text
        for words in ("cannot be read", "has no column", "not whole", "no run was probed")
    )


@pytest.mark.parametrize("text", ["x" * 300, "a/" * 200, "a\0b", "tiny/\0", "../" * 40])
def test_a_name_that_no_folder_can_have_is_no_run(text, outputs):
    for ask in (outputs.folder, lambda name: outputs.table(name, "metrics.csv")):
        with pytest.raises(DataError, match=r"there is no run .*; choose one from the list"):
            ask(text)
    assert outputs.parameters(text) == outputs.record(text) == {}


@pytest.mark.parametrize("text", ["x" * 300, "a\0b"])
@pytest.mark.parametrize(
    ("name", "parameters"),
    {
        "similarity": ("embedding", "basin"),
        "dynamics": ("model", "basin"),
        "benchmarks": ("runs", "table", "basin"),
        "probes": ("probes", "series"),
        "runs": ("run",),
    }.items(),
)
def test_a_link_with_such_a_name_is_a_message(name, parameters, text, outputs, caplog):
    for parameter in parameters:
        app = App(outputs, f"?page={name}&{urlencode({parameter: text})}")
        assert 'class="message"' in text_of(app)
    assert caplog.records == []


def claims_45_gib(path: Path, *, coordinate: bool) -> None:
    """A small NetCDF file that is as large as 45 GiB once it is read: nothing but fill values."""
    with netCDF4.Dataset(path, "w") as file:
        days = 45 * 2**30 // 8
        file.createDimension("basin", 1)
        file.createDimension("time", days)
        file.createVariable("basin", str, ("basin",))[0] = "01013500"
        if coordinate:
            file.createVariable("time", "i8", ("time",), zlib=True)
        for name in ("streamflow", "streamflow_obs"):
            file.createVariable(name, "f8", ("basin", "time"), zlib=True)
        file.createVariable("still", "f8", ("basin", "time"), zlib=True)


@pytest.mark.parametrize("coordinate", [False, True])
@pytest.mark.parametrize("name", ["benchmarks", "dynamics", "similarity"])
def test_a_file_that_claims_45_gib_is_a_message(name, coordinate, tmp_path, caplog):
    app_files.write(tmp_path, basins=4, years=1, components=2, cells=4)
    for path in tmp_path.rglob("*.nc"):
        path.unlink()
        claims_45_gib(path, coordinate=coordinate)
    outputs = Outputs(tmp_path)
    text = text_of(App(outputs, f"?page={name}&basin=01013500"))
    claims = re.search(r"does not fit into memory \(it claims [49][50]\.0 GiB of at most", text)
    assert claims or (name != "benchmarks" and "has no" in text)
    assert caplog.records == []
    run = "tiny/delta_hbv_01_train/dynamic"
    with pytest.raises(DataError, match=f"^{run}/simulation.nc does not fit into memory"):
        outputs.read(run, "simulation.nc", ["streamflow"], basin="01013500")
    with pytest.raises(DataError, match=r"simulation.nc does not fit into memory \(it claims"):
        RunDirectory(tmp_path / run).dataset("simulation.nc")


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_draws_without_a_message(name, outputs):
    app = App(outputs, f"?page={name}&basin=01013500")
    assert 'class="message"' not in text_of(app)
    assert any(part.model is not None for part in app.pages[name][0].parts)


def test_every_figure_of_all_catchments_is_drawn_and_nonsense_is_said(outputs):
    app = App(outputs, "?page=similarity&colour=geol_1st_class&space=attributes&k=6")
    for look in similarity_page.LOOKS.values():
        app.state.look = look
        assert 'class="message"' not in text_of(app)
    for link, words in {
        "colour=nothing": "has no attribute or signature 'nothing'",
        "look=that": "no figure 'that'",
        "colour=cluster&k=50": "has no clusters for k = 50",
        "basin=9": "there is no catchment '9'",
        "seed=5&k=5": "has no seed '5'",
    }.items():
        assert app.state.read(link) == []
        assert words.replace("'", "&#x27;") in text_of(app)


def test_markup_in_files_and_links_is_text(tmp_path):
    app_files.run(tmp_path, "notebook/<b>run", {"model": "<script>alert(1)</script>"})
    app = App(Outputs(tmp_path), "?page=runs&%3Cimg%20src=x%20onerror=alert(1)%3E=1")
    assert (
        "<script" not in text_of(app)
        and "<img" not in text_of(app)
        and "<b>run" not in text_of(app)
    )


# Runs
# ---


def test_states_of_runs(tmp_path):
    app_files.run(tmp_path, "n/good", {})
    app_files.run(tmp_path, "n/old", {}, versions={"hydronb": "0.0.1", "notebook": "abc"})
    app_files.run(
        tmp_path,
        "n/bad.partial",
        {},
        status="failed",
        error="TrainingError: the loss is not finite",
    )
    app_files.run(tmp_path, "n/left.partial", {}, status="prepared")
    other = app_files.run(tmp_path, "n/older", {})
    (other / "run.json").write_text(json.dumps({"status": "complete"}))
    table = runs_page.overview(Page(State(), Outputs(tmp_path))).set_index("run")
    assert table["state"].to_dict() == {
        "tiny/n/bad.partial": "failed",
        "tiny/n/good": "complete",
        "tiny/n/left.partial": "unfinished",
        "tiny/n/old": "stale",
        "tiny/n/older": "unreadable",
    }
    assert table.loc["tiny/n/bad.partial", "about"] == "TrainingError: the loss is not finite"
    assert table.loc["tiny/n/old", "about"].startswith("made by hydronb 0.0.1")


def test_a_row_that_is_half_written_is_left_out(tmp_path):
    run = app_files.run(tmp_path, "n/going.partial", {}, status="prepared")
    rows = "0.5,2,0.9,,0.1,3,3\n1.0,2,0.8,0.1,0.1,5,5\n1.5,"
    (run / "progress.csv").write_text(f"{','.join(PROGRESS)}\n{rows}")
    assert runs_page.overview(Page(State(), Outputs(tmp_path)))["epoch"].tolist() == ["1 of 2"]


def test_a_run_that_comes_while_the_page_is_open_is_shown(tmp_path):
    app_files.run(tmp_path, "n/first", {})
    app = App(Outputs(tmp_path), "?page=runs")
    assert "tiny/n/second" not in text_of(app)
    app_files.run(tmp_path, "n/second", {})
    app.pages["runs"][0].changed({"files"})  # as the page does every few seconds
    assert "tiny/n/second" in text_of(app)
    assert "tiny/n/second" in app.place.select(pn.widgets.Select)[0].options


# Numbers
# ---


def test_neighbours_by_a_second_computation(outputs, folder):
    state = State(basin="01027000", seed="222")
    found = similarity_page.neighbours(similarity_page.Embedding(Page(state, outputs)))
    with xr.open_dataset(folder / "tiny/ealstm_05_similarity/similarity/embedding.nc") as ds:
        gates = ds["input_gate"].sel(seed=222).to_pandas()
    away = {
        b: np.linalg.norm(gates.loc[b] - gates.loc["01027000"])
        for b in gates.index
        if b != "01027000"
    }
    assert found.index.tolist() == sorted(away, key=away.get)
    np.testing.assert_allclose(found["distance"], sorted(away.values()), rtol=1e-5)


def test_a_selection_holds_for_the_benchmarks(outputs):
    chosen = State(selection=["01000000", "01027000"], runs=["tiny/ealstm_01_train/lstm"])
    (scores,) = catchment.scores(Page(chosen, outputs), "nse").values()
    assert scores.index.tolist() == ["01000000", "01027000"]


def test_long_series_are_drawn_as_means_and_say_so(outputs, monkeypatch):
    monkeypatch.setattr(dynamics_page, "POINTS", 100)
    ds = dynamics_page.inside_catchment(
        Page(State(basin="01013500", years=100), outputs), "tiny/delta_hbv_01_train/dynamic"
    )
    drawn, days = dynamics_page.thinned(ds)
    assert days == 8 and drawn.sizes["time"] == 91
    np.testing.assert_allclose(drawn["et"][3], ds["et"][24:32].mean(), rtol=1e-5)


def test_new_data_in_a_drawn_figure_are_those_of_a_new_figure():
    time = pd.date_range("2000-01-01", periods=20)

    def figure(scale: float) -> hv.Layout:
        da = xr.DataArray(
            scale * np.arange(20.0), {"time": time}, "time", "flow", {"units": "mm/d"}
        )
        return plots.hydrograph(
            da, {"LSTM": da + 1}, prcp=(2 * da).rename("prcp"), title=f"times {scale:g}"
        )

    model = render(figure(1.0))
    assert series_structure(figure(3.0)) == series_structure(figure(1.0)) is not None
    refill(model, figure(3.0))
    for old, new in zip(bokeh_plots(model), bokeh_plots(render(figure(3.0))), strict=True):
        for mine, theirs in zip(old.renderers, new.renderers, strict=True):
            for name, values in theirs.data_source.data.items():
                np.testing.assert_array_equal(mine.data_source.data[name], values)
    rain, flow = bokeh_plots(model)
    assert rain.title.text == "times 3" and rain.y_range.start > rain.y_range.end == 0
    assert flow.y_range.start == 0 and flow.y_range.end > 58


def test_a_figure_that_is_gone_is_forgotten():
    drawn = weakref.ref(render(hv.Curve([1, 2, 3])))
    gc.collect()
    assert drawn() is None


def test_where_a_catchment_stands():
    table = pd.DataFrame({"aridity": np.arange(101.0)}, index=[f"{i:03d}" for i in range(101)])
    words = xr.Dataset({"aridity": ("basin", [1.0], {"long_name": "aridity", "units": "1"})})
    figure = attribute_percentiles(table, "100", words)
    (dot,) = figure.traverse(lambda e: e, [hv.Points])
    assert dot["lower"].tolist() == pytest.approx([100 * 100 / 101])
    assert dot["where"].tolist() == pytest.approx([(100 - 5) / 90])


# Visitors and the outside
# ---


def test_visitors_share_no_choices(outputs):
    one, two = App(outputs, "?page=runs"), App(outputs, "?page=runs")
    one.state.param.update(selection=["01000000"], basin="01013500", page="probes")
    assert (two.state.selection, two.state.basin, two.state.page) == ([], "", "runs")


def test_other_addresses_need_a_password():
    check_address("127.0.0.1", "")
    check_address("0.0.0.0", "secret")
    with pytest.raises(ParameterError, match="needs a password"):
        check_address("0.0.0.0", "")
    assert allowed("127.0.0.1", 5006) == ["127.0.0.1:5006", "localhost:5006"]
    assert f"{socket.gethostname()}:5006" in allowed("0.0.0.0", 5006)
    assert not any("*" in origin for origin in allowed("0.0.0.0", 5006))


def test_a_page_is_a_cell_of_a_notebook(folder):
    shown = page("benchmarks", folder, metric="kge")
    assert shown.select()
    with pytest.raises(
        ParameterError, match=r"there is no page 'benchmark'; did you mean 'benchmarks'\?"
    ):
        page("benchmark", folder)
    with pytest.raises(ParameterError, match="is not part of a link"):
        page("runs", folder, colours="x")
