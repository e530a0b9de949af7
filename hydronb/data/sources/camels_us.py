"""CAMELS-US from its own text files: basin-mean forcing, USGS streamflow and attributes of 671
catchments.

Source: Newman et al. (2015), doi:10.5194/hess-19-209-2015; attributes: Addor et al. (2017),
doi:10.5194/hess-21-5293-2017; data: doi:10.5065/D6MW2F4D (CC-BY-4.0). Expected below the root, or
one or two folders further down, as the archive unpacks:

    basin_mean_forcing/PRODUCT/HUC/GAUGE_lump_TAG_forcing_leap.txt
    usgs_streamflow/HUC/GAUGE_streamflow_qc.txt
    camels_attributes_v2.0/camels_*.txt         (here, or beside any of the folders above)

Days are real calendar days. Products label them differently: Daymet's precipitation falls about a
day later than that of Maurer and NLDAS, so scores on different products are not comparable day by
day.
"""

import csv
import warnings
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from hydronb.data.cache import cached
from hydronb.data.dataset import VARIABLES, check, choose_basins
from hydronb.data.pet import choose_pet
from hydronb.data.sources.camels_us_text import UNITS, read_forcing, read_streamflow
from hydronb.errors import DataError, ParameterError, nearest

READER = 1
"""Version of what the cache holds; raised with every change of the reader that changes the data."""

PRODUCTS = {
    "daymet": "in the main archive",
    "maurer": "in the main archive",
    "nldas": "in the main archive",
    "maurer_extended": "HydroShare 17c896843cf940339c3c3496d0c1c077",
    "nldas_extended": "HydroShare 0a68bfd7ddf642a8be9041d60f40868c",
}
"""Forcing products by their folder, and where they are. The extended ones have real Tmin and
Tmax."""

FT3 = 0.3048**3
"""m3 in a cubic foot, exactly."""
AREA_TOLERANCE = 0.10
"""Areas that differ by more are warned about."""
EQUAL_SHARE = 0.5
"""Share of days with Tmin equal to Tmax from which the two are taken for one temperature; it is 0
or 1."""


class AreaWarning(UserWarning):
    """Catchment areas of the forcing header and of the attribute table disagree."""


class Source(NamedTuple):
    """Where the parts of a CAMELS-US folder lie."""

    base: Path
    """Holds basin_mean_forcing and usgs_streamflow."""
    attributes: Path
    """Holds camels_*.txt."""


def cfs_to_mm(cfs: pd.Series | float, area_km2: float) -> pd.Series | float:
    """Streamflow in mm/d from cubic feet per second, over a catchment of `area_km2`.

    >>> round(cfs_to_mm(1.0, 1.0), 6)
    2.446576
    """
    return cfs * (FT3 * 86400 * 1000 / (area_km2 * 1e6))


def open_camels_us(
    root: str | Path,
    *,
    forcing: str = "maurer_extended",
    basins: Iterable[str] | None = None,
    pet: str = "auto",
) -> xr.Dataset:
    """The catchment dataset of a CAMELS-US folder.

    Parameters
    ----------
    root
        Folder that holds `basin_mean_forcing`, or one above it.
    forcing
        One of `PRODUCTS`.
    basins
        Eight-digit gauge ids as strings; every basin with a forcing file where None.
    pet
        See `hydronb.data.pet.choose_pet`; CAMELS-US has no PET of its own among the forcings.

    Returns
    ------- Dataset over basin and time: `prcp`, `srad`, `vp`, `dayl`, `tmean`; `tmin` and `tmax`
    where the product has real ones; `swe` where it is not zero throughout; `pet`; `streamflow` in
    mm/d, by the area in the header of the forcing file as in Kratzert et al. (2019), NaN where it
    is negative or has no value; all attributes; the coordinates `lat`, `lon`, `area` (the header's)
    and `gauge_name`. What a product only pretends to have is explained in the dataset's attributes
    `note_tmin`, `note_tmax`, `note_swe`.

    Raises
    ------
    ParameterError
        Unknown product or PET.
    DataError
        Folder, layout, basin or file that cannot be used; a file's problem is named with its line.

    Warns
    -----
    AreaWarning
        Header and attribute table disagree by more than 10 % about a basin's area.
    """
    source = find_camels_us(root)
    files = forcing_files(source.base, forcing)
    attributes = open_camels_attributes(source.attributes)
    attributes = attributes.sel(basin=_available(files, attributes, basins, source, forcing))
    pairs = _pairs(source.base, files, attributes)
    ds = cached(
        lambda: _read_all(pairs, forcing),
        name=f"camels_us-{forcing}",
        key={"reader": READER, "forcing": forcing, "basins": list(pairs)},
        sources=[path for pair in pairs.values() for path in pair],
    )
    ds = _without_placeholders(ds, forcing).merge(
        attributes, join="exact", combine_attrs="override"
    )
    if problem := area_problem(ds):
        warnings.warn(problem, AreaWarning, stacklevel=2)
    return check(choose_pet(ds, pet, where=str(source.base)), where=str(source.base))


def _available(
    files: dict[str, list[Path]],
    attributes: xr.Dataset,
    basins: Iterable[str] | None,
    source: Source,
    forcing: str,
) -> list[str]:
    """The basins asked for, or all that have both attributes and a forcing file."""
    known = {str(basin) for basin in attributes["basin"].to_numpy()}
    where = source.base / "basin_mean_forcing" / forcing
    if not known & set(files):
        raise DataError(
            f"no gauge in {where} is in the attribute tables of {source.attributes}; ids have eight"
            " digits, leading zeros kept"
        )
    if basins is not None and not isinstance(basins, str):
        basins = list(basins)
        for basin in basins:
            if basin in known - set(files):
                raise DataError(
                    f"{where} has no forcing file of basin {basin}, only the attribute tables know"
                    " it; download the file or leave the basin out"
                )
    return choose_basins(sorted(known & set(files)), basins, where=str(where))


# Folders and files
# ---


def camels_us_base(root: Path) -> Path | None:
    """The folder at or below `root` that holds basin_mean_forcing, None where there is none."""
    if root.name == "basin_mean_forcing":
        return root.parent
    for pattern in ("", "*/", "*/*/"):
        if found := [
            path for path in sorted(root.glob(f"{pattern}basin_mean_forcing")) if path.is_dir()
        ]:
            return found[0].parent
    return None


def find_camels_us(root: str | Path) -> Source:
    """The folders at, below and beside `root`.

    Raises
    ------
    DataError
        No such folder, or one of another layout; names what was looked for.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DataError(f"no such folder: {root}")
    base = camels_us_base(root)
    if base is None:
        raise DataError(
            f"{root} is not CAMELS-US: looked for basin_mean_forcing/PRODUCT there and up to two"
            " folders below; give the folder that holds basin_mean_forcing"
        )
    for folder in (root, base, base.parent, base.parent.parent):
        for candidate in (folder / "camels_attributes_v2.0", folder):
            if any(candidate.glob("camels_*.txt")):
                return Source(base, candidate)
    raise DataError(
        f"no attribute tables: looked for camels_attributes_v2.0/camels_*.txt in {root} and beside"
        f" {base}; download them with the time series and put them there"
    )


def products(base: Path) -> list[str]:
    """Forcing products that have a folder below `base`."""
    return sorted(path.name for path in (base / "basin_mean_forcing").iterdir() if path.is_dir())


def forcing_files(base: Path, product: str) -> dict[str, list[Path]]:
    """Forcing files of a product by gauge id. By name, since the HUC folder does not follow from
    the id.

    Raises
    ------
    ParameterError
        Unknown product.
    DataError
        The product is not there, or has no file.
    """
    if product not in PRODUCTS:
        raise ParameterError(f"unknown forcing {product!r}{nearest(product, PRODUCTS)}")
    folder = base / "basin_mean_forcing" / product
    if not folder.is_dir():
        raise DataError(
            f"no forcing {product!r} in {base / 'basin_mean_forcing'}, which holds"
            f" {', '.join(products(base)) or 'none'}; choose one of these or download it"
            f" ({PRODUCTS[product]})"
        )
    if not (files := _by_gauge(folder, "forcing_leap.txt")):
        raise DataError(
            f"{folder} holds no file GAUGE_lump_TAG_forcing_leap.txt; unpack the archive again"
        )
    return files


def streamflow_files(base: Path) -> dict[str, list[Path]]:
    """USGS streamflow files by gauge id."""
    return _by_gauge(base / "usgs_streamflow", "streamflow_qc.txt")


def _by_gauge(folder: Path, ending: str) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob(f"*_{ending}")):
        files.setdefault(path.name.split("_")[0], []).append(path)
    return files


def one_file(files: dict[str, list[Path]], basin: str, huc: str, *, where: Path) -> Path:
    """The file of a basin: of several, the one in the folder of the basin's own HUC region.

    Raises
    ------
    DataError
        There is none, or several and not one of them in that folder.
    """
    found = files.get(basin, [])
    if len(found) > 1:
        found = [path for path in found if path.parent.name == huc] or found
    if not found:
        raise DataError(f"{where} has no file of basin {basin}; download it or leave the basin out")
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1]} are both of basin {basin}; remove one of them")
    return found[0]


def _pairs(
    base: Path, files: dict[str, list[Path]], attributes: xr.Dataset
) -> dict[str, tuple[Path, Path]]:
    """Forcing file and streamflow file of each basin."""
    flow = streamflow_files(base)
    folder = base / "usgs_streamflow"
    ids = [str(basin) for basin in attributes["basin"].to_numpy()]
    hucs = attributes["huc_02"].to_numpy() if "huc_02" in attributes else [""] * len(ids)
    return {
        basin: (one_file(files, basin, huc, where=base), one_file(flow, basin, huc, where=folder))
        for basin, huc in zip(ids, hucs, strict=True)
    }


# Attributes
# ---


def open_camels_attributes(folder: str | Path, basins: Iterable[str] | None = None) -> xr.Dataset:
    """Every attribute table `camels_*.txt` of a folder, joined by gauge id.

    Parameters
    ----------
    folder
        Holds the tables: `;` between columns, among them `gauge_id`.
    basins
        Gauge ids; all, sorted, where None.

    Returns
    ------- Dataset over basin: numbers as float64 with NaN for missing, categories as stripped text
    with "" for missing, each with `units`, `long_name` and `group` (its table); coordinates `lat`,
    `lon`, `gauge_name`.

    Raises
    ------
    DataError
        No such folder, no table in it, a table without ids, an id or a column that is there twice,
        an unknown basin.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}")
    paths = sorted(folder.glob("camels_*.txt"))
    if not paths:
        raise DataError(
            f"{folder} holds no attribute table; looked for camels_*.txt, such as camels_clim.txt"
        )
    tables = {path.stem.removeprefix("camels_"): attribute_table(path) for path in paths}
    groups = _groups(tables, folder)
    joined = pd.concat(tables.values(), axis=1)
    joined = joined.loc[choose_basins(list(joined.index), basins, where=str(folder))]
    ds = xr.Dataset(
        {name: _attribute(joined[name], groups[name]) for name in joined.columns},
        coords={"basin": joined.index.to_numpy(dtype=object)},
    )
    ds = ds.rename(
        {old: new for old, new in (("gauge_lat", "lat"), ("gauge_lon", "lon")) if old in ds}
    )
    return ds.set_coords([name for name in ("lat", "lon", "gauge_name") if name in ds])


def attribute_table(path: Path) -> pd.DataFrame:
    """One attribute table, indexed by gauge id.

    Raises
    ------
    DataError
        Not a table with `;` between columns and a column `gauge_id`, or an id that is there twice.
    """
    try:
        table = pd.read_csv(path, sep=";", dtype={"gauge_id": str, "huc_02": str})
    except (ValueError, OSError) as error:
        raise DataError(
            f"{path} is no table with ';' between columns ({error}); download it again"
        ) from None
    if "gauge_id" not in table.columns:
        raise DataError(
            f"{path}:1: no column gauge_id among {', '.join(table.columns[:5])}; download it again"
        )
    table = table.assign(gauge_id=table["gauge_id"].str.strip()).set_index("gauge_id")
    if table.index.has_duplicates:
        raise DataError(
            f"{path}: basin {table.index[table.index.duplicated()][0]} is there twice; remove a"
            " line"
        )
    return table


def _groups(tables: dict[str, pd.DataFrame], folder: Path) -> dict[str, str]:
    """The table each attribute is from."""
    groups: dict[str, str] = {}
    for group, table in tables.items():
        for name in table.columns:
            if name in groups:
                raise DataError(
                    f"attribute {name!r} is in camels_{groups[name]}.txt and camels_{group}.txt of"
                    f" {folder}; remove one of them"
                )
            groups[name] = group
    return groups


def _attribute(column: pd.Series, group: str) -> xr.DataArray:
    units, long_name = described().get(str(column.name), ("1", str(column.name)))
    attrs = {"units": units, "long_name": long_name, "group": group}
    if pd.api.types.is_numeric_dtype(column):
        return xr.DataArray(column.to_numpy(np.float64), dims="basin", attrs=attrs)
    text = column.fillna("").astype(str).str.strip()
    return xr.DataArray(text.to_numpy(dtype=object), dims="basin", attrs=attrs)


@cache
def described() -> dict[str, tuple[str, str]]:
    """Units and long name of each attribute, after Addor et al. (2017)."""
    with (
        Path(__file__)
        .with_name("camels_us_attributes.csv")
        .open(encoding="utf-8", newline="") as lines
    ):
        return {row["name"]: (row["units"], row["long_name"]) for row in csv.DictReader(lines)}


# Series
# ---


def _read_all(pairs: dict[str, tuple[Path, Path]], product: str) -> xr.Dataset:
    """Forcing and streamflow of all basins over the days of the forcing, as `(basin, time)`
    float32.

    In one thread: the parser holds the interpreter, two threads were measured to be no faster.
    """
    spans, areas = {}, []
    series: dict[str, list[np.ndarray]] = {name: [] for name in (*UNITS, "streamflow")}
    days = np.array([], dtype="datetime64[D]")
    for basin, (forcing_path, flow_path) in tqdm(
        pairs.items(), desc=f"reading CAMELS-US {product}", unit="basin", delay=1
    ):
        forcing = read_forcing(forcing_path)
        days = forcing.days
        spans[basin] = (days[0], days[-1])
        areas.append(forcing.area_km2)
        for name in UNITS:
            series[name].append(forcing.series[name].astype(np.float32))
        days_of_flow, cfs = read_streamflow(flow_path)
        flow = cfs_to_mm(pd.Series(cfs, index=days_of_flow).reindex(days), forcing.area_km2)
        series["streamflow"].append(flow.to_numpy(np.float32))
    if problem := span_problem(spans):
        raise DataError(f"{product}: {problem}; download these files again or leave the basins out")
    return xr.Dataset(
        {name: (("basin", "time"), np.stack(rows), _attrs(name)) for name, rows in series.items()},
        coords={
            "basin": np.array(list(pairs), dtype=object),
            "time": days.astype("datetime64[ns]"),
            "area": ("basin", np.array(areas)),
        },
    )


def _attrs(name: str) -> dict[str, str]:
    return {"units": VARIABLES[name].units, "long_name": VARIABLES[name].long_name}


def span_problem(spans: dict[str, tuple[np.datetime64, np.datetime64]]) -> str:
    """Basins whose forcing covers other days than most, in one line; empty where all agree."""
    (first, last), agree = Counter(spans.values()).most_common(1)[0]
    odd = [
        f"{b} {start} to {end}"
        for b, (start, end) in spans.items()
        if (start, end) != (first, last)
    ]
    if agree == len(spans):
        return ""
    return (
        f"{len(odd)} of {len(spans)} forcing files do not cover {first} to {last} like the others "
        f"({', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''})"
    )


def _without_placeholders(ds: xr.Dataset, product: str) -> xr.Dataset:
    """With `tmean`, and without variables that only stand in: Tmin and Tmax that are one
    temperature, as in stock Maurer and NLDAS, and snow that is zero throughout. Decided for the
    product, never basin by basin.
    """
    notes = {}
    method = "mean of tmin and tmax"
    if float((ds["tmin"] == ds["tmax"]).mean()) > EQUAL_SHARE:
        method = "the product's one temperature"
        notes["tmin"] = notes["tmax"] = (
            f"tmin and tmax are equal in the {product} files, so only tmean is offered; "
            "daymet, maurer_extended and nldas_extended have both"
        )
    if not ds["swe"].any():
        notes["swe"] = f"swe is zero throughout in the {product} files"
    tmean = ((ds["tmin"] + ds["tmax"]) / 2).assign_attrs(_attrs("tmean") | {"method": method})
    ds = ds.assign(tmean=tmean).drop_vars(notes)
    return ds.assign_attrs(
        source="CAMELS-US",
        forcing=product,
        references="doi:10.5194/hess-19-209-2015, doi:10.5194/hess-21-5293-2017",
        license="CC-BY-4.0",
        **{f"note_{name}": text for name, text in notes.items()},
    )


def area_problem(ds: xr.Dataset) -> str:
    """Basins whose `area` and `area_gages2` (km2) differ by more than 10 %, in one line; empty for
    none."""
    if "area_gages2" not in ds:
        return ""
    areas = pd.DataFrame(
        {"header": ds["area"].to_series(), "gages2": ds["area_gages2"].to_series()}
    ).dropna()
    off = areas[(areas["header"] / areas["gages2"] - 1).abs() > AREA_TOLERANCE]
    if off.empty:
        return ""
    shown = [
        f"{b} ({header:.0f} against {gages2:.0f} km2)" for b, header, gages2 in off.itertuples()
    ]
    return (
        "the forcing header's area, by which streamflow becomes mm/d, is more than 10 % off"
        f" area_gages2 in {len(off)} of {len(areas)} basins:"
        f" {', '.join(shown[:10])}{', ...' if len(shown) > 10 else ''}"
    )
