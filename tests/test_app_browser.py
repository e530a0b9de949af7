"""The app in a browser: every page, clicks, boxes, links; what is on screen against what is in the
files."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import app_files
import numpy as np
import pandas as pd
import pytest
import xarray as xr

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium: on Debian, apt install chromium"
)

FIND = """
(wanted) => {
  const models = [...Bokeh.documents[0]._all_models.values()];
  const on = models.filter(m => m.type === "Figure" && Bokeh.index.find_one(m));
  const data = (r) => r.data_source?.data ?? {};
  return on.filter(f => f.renderers.some(r => wanted in data(r))).map(f => {
    const r = f.renderers.filter(r => wanted in data(r)).at(-1), view = Bokeh.index.find_one(f);
    const rect = view.canvas_view.el.getBoundingClientRect(), d = data(r);
    const [x, y] = [r.glyph.x?.field, r.glyph.y?.field];
    const numbers = (v) => [...(v ?? [])].map(Number);
    return {title: f.title.text, basins: [...(d.basin ?? [])], x: numbers(d[x]), y: numbers(d[y]),
      colours: [...(d.colour ?? [])],
      sx: numbers(d[x]).map(v => rect.left + view.frame.x_scale.compute(v)),
      sy: numbers(d[y]).map(v => rect.top + view.frame.y_scale.compute(v)),
      left: rect.left + view.frame.bbox.left, top: rect.top + view.frame.bbox.top,
      right: rect.left + view.frame.bbox.right, bottom: rect.top + view.frame.bbox.bottom,
      selected: [...r.data_source.selected.indices],
      lines: f.renderers.filter(r => r.glyph.type === "Line")
        .map(r => numbers(data(r)[r.glyph.y.field]))};
  });
}
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = app_files.write(tmp_path_factory.mktemp("outputs"), basins=12, years=3)
    shutil.copytree(made / "tiny/ealstm_01_train/lstm", made / "tiny/ealstm_01_train/<img src=x>")
    return made


@pytest.fixture(scope="module")
def address(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the app is served, which afterwards has printed no error."""
    command = [sys.executable, "-m", "hydronb", "app", str(outputs), "--port", "0"]
    errors = tmp_path_factory.mktemp("app") / "errors.txt"
    with errors.open("w") as file:
        served = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        said = served.stdout.readline()
        assert "http://" in said, f"the app did not start; it said {said!r}"
        yield re.search(r"http://\S+", said)[0]
    finally:
        served.send_signal(signal.SIGINT)
        try:
            served.wait(20)
        except subprocess.TimeoutExpired:  # a machine with too much to do
            served.kill()
            served.wait()
        served.stdout.close()
    assert "Traceback" not in errors.read_text()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser, address):
    """Opens a page of the app; afterwards no error was in the console and nothing was asked of
    another machine."""
    wrong, contexts = [], []

    def note(message) -> None:
        if message.type == "error":
            wrong.append(message.text)

    def asked(request) -> None:
        if not request.url.startswith(
            (address, "about:", "data:", "blob:", address.replace("http", "ws"))
        ):
            wrong.append(f"asked for {request.url}")

    def opened(query: str = ""):
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("console", note)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", asked)
        tab.goto(f"{address}/{query}")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def figures(
    tab,
    wanted: str = "basin",
    *,
    n: int = 1,
    title: str = "",
    selected: bool = False,
    colours: int = 0,
) -> list[dict]:
    """Figures on screen that show this column, once there are `n` of them and they have come to
    rest, one with `title`, all with a selection, the first in as many colours."""
    places = None
    for _ in range(100):
        tab.wait_for_timeout(400)
        if not tab.evaluate("() => window.Bokeh?.documents?.length > 0"):
            continue
        found = tab.evaluate(FIND, wanted)
        before, places = places, [(f["left"], f["top"], f["right"], f["bottom"]) for f in found]
        if (
            len(found) >= n
            and places == before
            and any(title in f["title"] for f in found)
            and (not selected or all(f["selected"] for f in found))
            and (not colours or len(set(found[0]["colours"])) == colours)
        ):
            return found
    raise AssertionError(f"{n} figures with {wanted} and {title!r} did not come")


def link(tab, says: str) -> dict[str, str]:
    """What the address says, once it says this."""
    tab.wait_for_function("says => location.search.includes(says)", arg=says)
    return {k: v[0] for k, v in parse_qs(tab.evaluate("() => location.search.slice(1)")).items()}


def test_every_page_opens(tab):
    tab = tab("?page=runs")
    for name, word in {
        "Similarity": "Catchment similarity",
        "Dynamic parameters": "Water balance",
        "Benchmarks": "Medians over",
        "Probes": "As published",
        "Runs": "6 of 6",
    }.items():
        tab.get_by_role("button", name=name, exact=True).click()
        tab.get_by_text(word).first.wait_for()
    tab.get_by_role("button", name="Benchmarks", exact=True).click()
    assert link(tab, "page=benchmarks") == {"page": "benchmarks"}
    assert tab.get_by_text("River <b>").count() == 0


def test_a_click_opens_the_catchment(tab, outputs):
    tab = tab("?page=similarity&years=100&runs=tiny/ealstm_01_train/lstm")
    plane = figures(tab, n=2)[0]
    wanted = plane["basins"][5]
    tab.mouse.click(plane["sx"][5], plane["sy"][5])
    drawn = figures(tab, "time", title=wanted)[0]
    with xr.open_dataset(outputs / "tiny/ealstm_01_train/lstm/simulation.nc") as ds:
        of_basin = ds.sel(basin=wanted).load()
    np.testing.assert_allclose(drawn["lines"][0], of_basin["streamflow_obs"], rtol=1e-6)
    np.testing.assert_allclose(drawn["lines"][1], of_basin["streamflow"], rtol=1e-6)
    assert link(tab, f"basin={wanted}")["page"] == "similarity"
    tab.get_by_text("Nearest neighbours").wait_for()
    assert tab.get_by_text("River <b>").count() > 0  # markup in a gauge's name is text
    scores = pd.read_csv(
        outputs / "tiny/ealstm_01_train/lstm/metrics.csv", dtype={"basin": str}
    ).set_index("basin")
    tab.get_by_text(f"{scores.loc[wanted, 'nse']:.3f}".rstrip("0")).first.wait_for()
    other = figures(tab, n=2)[1]
    tab.mouse.click(other["sx"][2], other["sy"][2])  # the map
    drawn = figures(tab, "time", title=other["basins"][2])[0]
    with xr.open_dataset(outputs / "tiny/ealstm_01_train/lstm/simulation.nc") as ds:
        np.testing.assert_allclose(
            drawn["lines"][1], ds["streamflow"].sel(basin=other["basins"][2]), rtol=1e-6
        )


def test_a_box_selects_everywhere_and_for_this_visitor_alone(tab):
    mine, theirs = tab("?page=similarity"), tab("?page=similarity")
    plane = figures(mine, n=2)[0]
    middle = (plane["left"] + plane["right"]) / 2
    mine.mouse.move(plane["left"] + 2, plane["top"] + 2)
    mine.mouse.down()
    mine.mouse.move(middle, plane["bottom"] - 2, steps=4)
    mine.mouse.up()
    inside = [i for i, x in enumerate(plane["sx"]) if x < middle]
    assert 0 < len(inside) < len(plane["basins"])
    mine.get_by_text(f"{len(inside)} of 12 catchments selected").wait_for()
    on_map = figures(mine, n=2, selected=True)[1]
    assert sorted(on_map["basins"][i] for i in on_map["selected"]) == sorted(
        plane["basins"][i] for i in inside
    )
    mine.get_by_role("button", name="Benchmarks", exact=True).click()
    figures(mine, "score", title=f"{len(inside)} selected catchments")
    assert figures(theirs, n=2)[0]["selected"] == []


def test_a_lasso_on_the_map_selects_in_the_plane(tab):
    tab = tab("?page=similarity")
    on_map = figures(tab, n=2)[1]
    left, top, right, bottom = (on_map[side] for side in ("left", "top", "right", "bottom"))
    tab.get_by_title("Lasso Select").nth(1).click()
    corners = [(left + 1, top + 1), (right - 1, top + 1), (left + 1, bottom - 1)]
    tab.mouse.move(*corners[0])
    tab.mouse.down()
    for corner in (*corners[1:], corners[0]):
        tab.mouse.move(*corner, steps=8)
    tab.mouse.up()
    inside = [
        b
        for b, x, y in zip(on_map["basins"], on_map["sx"], on_map["sy"], strict=True)
        if (x - left) / (right - left) + (y - top) / (bottom - top) < 1
    ]
    assert 0 < len(inside) < len(on_map["basins"])
    tab.get_by_text(f"{len(inside)} of 12 catchments selected").wait_for()
    plane = figures(tab, n=2, selected=True)[0]
    assert sorted(plane["basins"][i] for i in plane["selected"]) == sorted(inside)


def test_k_changes_the_clusters(tab, outputs):
    tab = tab("?page=similarity&k=3")
    table = pd.read_csv(
        outputs / "tiny/ealstm_05_similarity/similarity/clusters.csv", dtype={"basin": str}
    )
    for k in (3, 4):
        mine = table[
            (table["space"] == "embedding") & (table["seed"] == 111) & (table["k"] == k)
        ].set_index("basin")
        plane = figures(tab, n=2, colours=mine["cluster"].nunique())[0]
        colours = pd.Series(plane["colours"], plane["basins"])
        assert colours.groupby(mine["cluster"]).nunique().eq(1).all()
        if k == 3:
            tab.locator(".noUi-handle").first.focus()
            tab.keyboard.press("ArrowRight")
            assert link(tab, "k=4")["page"] == "similarity"


def test_a_shared_link_shows_the_same(tab, outputs):
    tab = tab(
        "?page=dynamics&basin=01013500&model=tiny/delta_hbv_01_train/dynamic&years=1&since=1991"
    )
    figures(tab, "time", title="01013500")
    panels = [f for f in figures(tab, "gamma", n=1)]
    with xr.open_dataset(outputs / "tiny/delta_hbv_01_train/dynamic/parameters.nc") as ds:
        gamma = ds["BETAET"].sel(basin="01013500", time="1991").load()
    middle = gamma.isel(component=int(gamma.mean("time").argsort()[1]))
    np.testing.assert_allclose(panels[0]["lines"][1], middle, rtol=1e-6)


def test_a_visitor_may_leave_while_the_page_is_drawn(tab):
    """`address` sees that nothing is printed."""
    tab = tab("?page=similarity&basin=01013500")
    tab.locator("canvas").first.wait_for()
    tab.goto("about:blank")


def test_nonsense_in_a_link_is_said(tab):
    tab = tab(
        "?page=benchmarks&k=many&colour=nothing&runs=no/such/run"
        "&metric=%3Cscript%3Ealert(1)%3C/script%3E&x=1"
    )
    for text in (
        "give a whole number from 2 to 99",
        "is not part of a link",
        "there is no run 'no/such/run'",
    ):
        tab.get_by_text(text).first.wait_for()


def test_a_file_that_goes_while_it_is_looked_at_is_said(tab, outputs):
    tab = tab("?page=similarity&runs=tiny/ealstm_01_train/train_seed-222")
    plane = figures(tab, n=2)[0]
    file = outputs / "tiny/ealstm_01_train/train_seed-222/simulation.nc"
    kept = file.rename(file.with_name("kept"))
    try:
        tab.mouse.click(plane["sx"][0], plane["sy"][0])
        tab.get_by_text("there is no run 'tiny/ealstm_01_train/train_seed-222'").first.wait_for()
    finally:
        kept.rename(file)
