"""Opening CAMELS-US text files: the first time from text, from then on out of the cache."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from measure import arguments, show, take_turns

PRODUCT = "daymet"
DAYS = pd.date_range("1980-01-01", "2014-12-31")
HEADER = "  46.84\n 353.00\n   1551000000\nYear Mnth Day Hr\t" + "\t".join(
    ["dayl(s)", "prcp(mm/day)", "srad(W/m2)", "swe(mm)", "tmax(C)", "tmin(C)", "vp(Pa)"]
)


def write_files(root: Path, basins: list[str]) -> None:
    """A CAMELS-US folder: one basin's random series of 35 years, under every id."""
    rng = np.random.default_rng(0)
    n = len(DAYS)
    tmin = rng.normal(5, 5, n)
    columns = [
        rng.uniform(3e4, 5e4, n),
        rng.gamma(0.5, 5, n),
        rng.uniform(50, 500, n),
        rng.gamma(1, 10, n),
        tmin + rng.uniform(1, 15, n),
        tmin,
        rng.uniform(100, 2000, n),
    ]
    rows = zip(DAYS, *columns, strict=True)
    forcing = "\n".join(
        [
            HEADER,
            *(f"{day:%Y %m %d} 12\t" + "\t".join(f"{v:.2f}" for v in row) for day, *row in rows),
        ]
    )
    flows = zip(DAYS, rng.gamma(1, 300, n), strict=True)
    flow = [f" {day:%Y %m %d} {q:8.2f} A\n" for day, q in flows]
    for folder in (
        f"basin_mean_forcing/{PRODUCT}/01",
        "usgs_streamflow/01",
        "camels_attributes_v2.0",
    ):
        (root / folder).mkdir(parents=True)
    for basin in basins:
        (root / f"basin_mean_forcing/{PRODUCT}/01/{basin}_lump_cida_forcing_leap.txt").write_text(
            forcing
        )
        (root / f"usgs_streamflow/01/{basin}_streamflow_qc.txt").write_text(
            basin + basin.join(flow)
        )
    tables = {
        "name": ("huc_02;gauge_name", "01;River"),
        "topo": ("gauge_lat;gauge_lon;area_gages2", "46.84;-90;1551"),
    }
    for name, (header, row) in tables.items():
        lines = [f"gauge_id;{header}", *(f"{basin};{row}" for basin in basins)]
        (root / f"camels_attributes_v2.0/camels_{name}.txt").write_text("\n".join(lines) + "\n")


def candidates(root: Path, basins: list[str], chosen) -> dict[str, Callable[[], object]]:
    from hydronb.data import open_camels_us

    caches = iter(range(10**6))

    def first() -> None:
        os.environ["HYDRONB_CACHE"] = str(root / f"cache_{next(caches)}")
        open_camels_us(root, forcing=PRODUCT)

    def again() -> None:
        open_camels_us(root, forcing=PRODUCT)

    run = {"hydronb, first opening": first, "hydronb, every other": again}
    if chosen.peer:
        from peer import read_text

        run["NeuralHydrology, every opening"] = lambda: read_text(root, basins, PRODUCT)
    return run


def main() -> None:
    chosen = arguments(__doc__, basins=671, repetitions=1)
    if chosen.quick:
        chosen.basins = 12
    basins = [f"{k:08d}" for k in range(1000001, 1000001 + chosen.basins)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_files(root, basins)
        seconds = take_turns(candidates(root, basins, chosen), chosen.repetitions)
    show(
        ["", "seconds", "ratio"],
        [[name, s, s / seconds["hydronb, every other"]] for name, s in seconds.items()],
        f"{chosen.basins} basins of 35 years; the files were in the system's memory",
    )


if __name__ == "__main__":
    main()
