"""All figures and pages on contact sheets, so that anyone can look at them: `make contact-sheet`.

    python benchmarks/contact_sheet.py [OUTPUTS]

For each notebook a sheet of the figures that its runs saved, and for each page of the dashboard a
sheet of it at 1400, 800 and 390 pixels, in `OUTPUTS/contact_sheets`. Needs chromium. Says which
figures put something in the browser's console.
"""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw
from playwright.sync_api import Browser, sync_playwright

from hydronb.app.shell import PAGES

COLUMNS, TILE, GAP = 3, 640, 16
"""Tiles beside each other, their width and the space between, in pixels."""
WIDTHS = (1400, 800, 390)
SETTLED = 5000
"""Milliseconds in which the last part of a page is drawn."""


def picture(browser: Browser, address: str, width: int, wait: int = 300) -> Image.Image:
    """The whole of a page at a width; prints what it puts in the console."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda m: m.type == "error" and print(f"{address}: {m.text}"))
    page.on("pageerror", lambda error: print(f"{address}: {error}"))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(wait)
    content = page.screenshot(full_page=True)
    page.close()
    image = Image.open(io.BytesIO(content)).convert("RGB")
    white = Image.new("RGB", image.size, "white")
    _, _, right, bottom = ImageChops.difference(image, white).getbbox() or (0, 0, *image.size)
    return image.crop((0, 0, right, bottom))


def sheet(pictures: dict[str, Image.Image], tile: int = TILE) -> Image.Image:
    """Pictures side by side, no wider than `tile`, each with its name above."""
    tiles = [
        (name, image.resize((width := min(tile, image.width), image.height * width // image.width)))
        for name, image in pictures.items()
    ]
    rows = [tiles[k : k + COLUMNS] for k in range(0, len(tiles), COLUMNS)]
    heights = [max(image.height for _, image in row) + 2 * GAP for row in rows]
    whole = Image.new("RGB", (COLUMNS * (tile + GAP), sum(heights)), "white")
    pen, top = ImageDraw.Draw(whole), 0
    for row, height in zip(rows, heights, strict=True):
        for k, (name, image) in enumerate(row):
            pen.text((k * (tile + GAP), top + 2), name[-90:], fill="black")
            whole.paste(image, (k * (tile + GAP), top + GAP))
        top += height
    return whole


def figures(browser: Browser, outputs: Path, dest: Path) -> None:
    """One sheet per notebook."""
    by_notebook = defaultdict(list)
    for path in sorted(outputs.glob("*/*/*/*.html")):
        if "superseded" not in path.parts:
            by_notebook[path.parent.parent.name].append(path)
    for notebook, paths in by_notebook.items():
        drawn = {f"{p.parent.name}/{p.stem}": picture(browser, p.as_uri(), 960) for p in paths}
        sheet(drawn).save(dest / f"{notebook}.png")
        print(f"{notebook}: {len(paths)} figures")


def pages(browser: Browser, outputs: Path, dest: Path) -> None:
    """One sheet per page of the dashboard, all widths beside each other."""
    command = [sys.executable, "-m", "hydronb", "app", str(outputs), "--port", "0"]
    served = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    try:
        address = re.search(r"http://\S+", served.stdout.readline())[0]
        for name in PAGES:
            link = f"{address}?page={name}"
            drawn = {f"{name}, {w} px": picture(browser, link, w, SETTLED) for w in WIDTHS}
            sheet(drawn, WIDTHS[0] * 3 // 4).save(dest / f"page_{name}.png")
            print(f"page {name}: {', '.join(map(str, WIDTHS))} px")
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(30)


def main() -> None:
    outputs = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs").resolve()
    if not any(outputs.glob("*/*/*/*.html")):
        sys.exit(f"{outputs} holds no figure; `make demo` makes some")
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        sys.exit("chromium is not installed; on Debian: apt install chromium")
    dest = outputs / "contact_sheets"
    dest.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        figures(browser, outputs, dest)
        pages(browser, outputs, dest)
        browser.close()
    print(f"look at {dest}")


if __name__ == "__main__":
    main()
