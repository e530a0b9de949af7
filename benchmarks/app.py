"""The app at full size, measured in a browser: 671 basins, 30 years, 16 components.

    python benchmarks/app.py /tmp/app_outputs

The folder is filled with random numbers once (2 GB, some minutes) and used again. Times are from the visitor's side:
from the click to the last thing drawn that follows from it. Targets: page in 3 s, click and lasso in 0.7 s (aim 0.3 s),
the server's memory under 500 MB and not growing over 200 interactions.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import app_files  # noqa: E402
from test_app_browser import FIND  # noqa: E402

TITLE = """
(title) => [...(Bokeh.documents[0]?._all_models.values() ?? [])].some(
  m => m.type === "Figure" && m.title.text.includes(title) && Bokeh.index.find_one(m))
"""
RUNS = "runs=tiny/ealstm_01_train/train_seed-111,tiny/ealstm_01_train/lstm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--basins", type=int, default=671)
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--clicks", type=int, default=200)
    given = parser.parse_args()
    if not (given.folder / "tiny").is_dir():
        partial = given.folder.with_name(given.folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        app_files.write(partial, basins=given.basins, years=given.years, components=16, cells=256)
        partial.rename(given.folder)
    command = [sys.executable, "-m", "hydronb", "app", str(given.folder), "--port", "0"]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        address = re.search(r"http://\S+", served.stdout.readline())[0]
        print(json.dumps(measure(address, served.pid, given.clicks) | {"load": os.getloadavg()}, indent=1))
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(20)


def measure(address: str, server: int, clicks: int) -> dict[str, object]:
    """Seconds and MB by what was measured."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                             args=["--no-sandbox", "--disable-gpu"])
        made: dict[str, object] = {"memory at start": memory(server)}
        for name in ("similarity", "dynamics", "benchmarks", "runs"):
            tab = browser.new_page(viewport={"width": 1400, "height": 1000})
            since = time.perf_counter()
            tab.goto(f"{address}/?page={name}&{RUNS}")
            tab.wait_for_selector("canvas")
            made[f"page {name}, first figure"] = since_then(since)
            tab.close()
        tab = browser.new_page(viewport={"width": 1400, "height": 1000})
        tab.goto(f"{address}/?page=similarity&{RUNS}")
        plane = points(tab)
        made["click to hydrograph"] = timed(tab, [clicked(plane, i) for i in range(0, 45, 3)])
        made["lasso over all"] = [round(lasso(tab, plane), 2) for _ in range(3)]
        tab.get_by_role("button", name="Clear selection").click()
        made["memory after them"] = memory(server)
        timed(tab, [clicked(plane, i % len(plane["basins"])) for i in range(clicks // 2)])
        made[f"memory after {clicks // 2} clicks"] = memory(server)
        timed(tab, [clicked(plane, i % len(plane["basins"])) for i in range(clicks // 2, clicks)])
        made[f"memory after {clicks} clicks"] = memory(server)
        tab.goto(f"{address}/?page=dynamics&{RUNS}")
        on_map = points(tab)
        tab.wait_for_timeout(2000)
        made["click to all parameters and fluxes"] = timed(tab, [clicked(on_map, i) for i in range(0, 45, 3)])
        made["memory at end"] = memory(server)
        browser.close()
    return made


def points(tab) -> dict:
    """The first figure of catchments, once it is drawn."""
    for _ in range(100):
        tab.wait_for_timeout(300)
        ready = tab.evaluate("() => window.Bokeh?.documents?.length > 0")
        if ready and (found := tab.evaluate(FIND, "basin")):
            return found[0]
    raise RuntimeError("no figure of catchments came")


def clicked(plane: dict, i: int) -> tuple[float, float, str]:
    """Where to click, and the catchment that is nearest there."""
    return plane["sx"][i], plane["sy"][i], plane["basins"][i]


def timed(tab, clicks: list[tuple[float, float, str]]) -> dict[str, float]:
    """Median and worst time from a click until its catchment stands in a title; points upon each other pass."""
    seconds = []
    for x, y, basin in clicks:
        tab.mouse.move(x, y)
        tab.evaluate("() => window.scrollTo(0, 0)")
        if tab.evaluate(TITLE, basin):
            continue
        since = time.perf_counter()
        tab.mouse.click(x, y)
        try:
            tab.wait_for_function(TITLE, arg=basin, polling=20, timeout=6000)
        except Exception as error:  # a neighbour on the same spot was nearest
            if "Timeout" not in str(error):
                raise
            continue
        seconds.append(time.perf_counter() - since)
    return {"median": round(statistics.median(seconds), 2), "worst": round(max(seconds), 2), "clicks": len(seconds)}


def lasso(tab, plane: dict) -> float:
    """Draw a box round all points; until the page says how many are selected."""
    tab.get_by_role("button", name="Clear selection").click()
    tab.wait_for_timeout(800)
    tab.mouse.move(plane["left"] + 1, plane["top"] + 1)
    tab.mouse.down()
    tab.mouse.move(plane["right"] - 1, plane["bottom"] - 1, steps=5)
    since = time.perf_counter()
    tab.mouse.up()
    tab.get_by_text(f"{len(plane['basins'])} of {len(plane['basins'])} catchments selected").wait_for()
    return time.perf_counter() - since


def memory(pid: int) -> int:
    """MB that a process holds."""
    kilobytes = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]
    return int(kilobytes) // 1024


def since_then(since: float) -> float:
    return round(time.perf_counter() - since, 2)


if __name__ == "__main__":
    main()
