"""Writes tiny CAMELS-US folders in the layouts of the real ones."""

from pathlib import Path

import numpy as np
import pandas as pd

NAMES = ("dayl(s)", "prcp(mm/day)", "srad(W/m2)", "swe(mm)", "tmax(C)", "tmin(C)", "vp(Pa)")
MIXED = ("Dayl(s)", "PRCP(mm/day)", "SRAD(W/m2)", "SWE(mm)", "Tmax(C)", "Tmin(C)", "Vp(Pa)")
STYLES = {  # tag, column names, delimiter after the first field, Tmin and Tmax differ
    "daymet": ("cida", NAMES, " ", True),
    "maurer": ("maurer", MIXED, " ", False),
    "nldas": ("nldas", MIXED, " ", False),
    "maurer_extended": ("maurer", NAMES, "\t", True),
    "nldas_extended": ("nldas", MIXED, "\t", True),
}
BASINS = {"01013500": ("01", 2252.7), "02108000": ("03", 1551.0), "11532500": ("18", 1591.0)}
"""HUC region and area in km2."""
DAYS = pd.date_range("1999-10-01", "2001-09-30")


def series(basin: str) -> pd.DataFrame:
    """The forcing of a basin as its file holds it: two decimals."""
    rng = np.random.default_rng(int(basin))
    n = len(DAYS)
    tmin = rng.normal(0, 5, n)
    return pd.DataFrame(
        {
            "dayl": rng.uniform(3e4, 5e4, n),
            "prcp": rng.gamma(0.5, 5, n),
            "srad": rng.uniform(50, 500, n),
            "swe": rng.gamma(1, 10, n),
            "tmax": tmin + rng.uniform(1, 15, n),
            "tmin": tmin,
            "vp": rng.uniform(100, 2000, n),
        },
        index=DAYS,
    ).round(2)


def discharge(basin: str) -> pd.Series:
    """In cubic feet per second: begins before the forcing, ends before it, has a gap and a flagged
    day."""
    days = pd.date_range("1999-09-01", "2001-08-31")
    cfs = pd.Series(
        np.random.default_rng(int(basin) + 1).gamma(1, 300, len(days)).round(2), index=days
    )
    cfs["2000-03-05"] = -999.0
    return cfs.drop(pd.date_range("2000-06-10", "2000-06-14"))


def forcing_file(root: Path, product: str, basin: str) -> Path:
    name = f"{basin}_lump_{STYLES[product][0]}_forcing_leap.txt"
    return root / "basin_mean_forcing" / product / BASINS[basin][0] / name


def flow_file(root: Path, basin: str) -> Path:
    return root / f"usgs_streamflow/{BASINS[basin][0]}/{basin}_streamflow_qc.txt"


def write_camels_us(root: Path, product: str = "daymet", *, snow: bool = True) -> Path:
    """All of `BASINS` with one forcing product, and two attribute tables in different order."""
    for basin, (_, area) in BASINS.items():
        _write_forcing(
            forcing_file(root, product, basin),
            product,
            series(basin).assign(**({} if snow else {"swe": 0.0})),
            area,
        )
        path = flow_file(root, basin)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(
                f"{basin} {day:%Y %m %d} {q:8.2f} {'M' if q < 0 else 'A:e'}\n"
                for day, q in discharge(basin).items()
            )
        )
    write_attributes(root / "camels_attributes_v2.0")
    return root


def _write_forcing(path: Path, product: str, values: pd.DataFrame, area: float) -> None:
    _, names, gap, ranges = STYLES[product]
    if not ranges:
        values = values.assign(tmin=values["tmax"])
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "  46.84",
        " 353.00",
        f"   {round(area * 1e6)}",
        gap.join(["Year", "Mnth", "Day", "Hr"]) + "\t" + "\t".join(names),
    ]
    for day, row in values.iterrows():
        lines.append(
            gap.join(f"{day:%Y %m %d} 12".split()) + "\t" + "\t".join(f"{v:.2f}" for v in row)
        )
    path.write_text("\n".join(lines))  # the real files have no line end after the last day


def write_attributes(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "readme.txt").write_text("not a table\n")
    (folder / "camels_name.txt").write_text(
        "gauge_id;huc_02;gauge_name\n01013500;01;Fish River near Fort Kent, Maine\n"
        "02108000;03;NORTHEAST CAPE FEAR RIVER\n11532500;18;SMITH R NR CRESCENT CITY CA\n"
    )
    (folder / "camels_topo.txt").write_text(
        "gauge_id;gauge_lat;gauge_lon;elev_mean;area_gages2\n11532500;41.79;-124.08;831.87;1590.4\n"
        "01013500;47.24;-68.58;250.31;2252.7\n02108000;34.83;-77.83;20.5;1551.5\n"
    )
    (folder / "camels_vege.txt").write_text(
        "gauge_id;dom_land_cover;root_depth_50;geol_2nd_class\n01013500;    Mixed"
        " Forests;NA;NA\n02108000;  Croplands;0.2;Basic volcanics\n11532500;    Evergreen"
        " Needleleaf Forest;0.17;NA\n"
    )
