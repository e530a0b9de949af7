"""CAMELS-US from its own text files: basin-mean forcing, USGS streamflow and attributes of 671
catchments.

Source: Newman et al. (2015), doi:10.5194/hess-19-209-2015; attributes: Addor et al. (2017),
doi:10.5194/hess-21-5293-2017; data: doi:10.5065/D6MW2F4D (CC-BY-4.0). Expected below the root, or
one or two folders further down, as the archive unpacks:

    basin_mean_forcing/PRODUCT/HUC/GAUGE_lump_TAG_forcing_leap.txt
    usgs_streamflow/HUC/GAUGE_streamflow_qc.txt
    camels_attributes_v2.0/camels_*.txt         (here, or beside any of the folders above)

Days are real calendar days. Products label them differently: Daymet's precipitation falls about a
day later than that of Maurer and NLDAS, so that scores on different products are not comparable day
by day.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.attributes import camels_descriptions
from hydronb.data.cache import cached
from hydronb.data.dataset import (
    check,
    choose_basins,
    coordinate_problems,
    value_problems,
    variable_attrs,
)
from hydronb.data.pet import choose_pet, latitude_problems
from hydronb.data.problems import Reading, Report, counted, name_list, nested, raise_first
from hydronb.data.sources.basin_files import (
    Extent,
    describe_series,
    read_each,
    read_tables,
    stack_series,
    summarise,
)
from hydronb.data.sources.camels_us_text import read_forcing, read_streamflow
from hydronb.errors import DataError, ParameterError, nearest
from hydronb.parameters import DataParameters, resolve

LAYOUT = "basin_mean_forcing/ (CAMELS-US), camels_*.txt (its attributes)"

PRODUCTS = {
    "daymet": "in the main archive",
    "maurer": "in the main archive",
    "nldas": "in the main archive",
    "maurer_extended": "HydroShare 17c896843cf940339c3c3496d0c1c077",
    "nldas_extended": "HydroShare 0a68bfd7ddf642a8be9041d60f40868c",
}
"""Forcing products by their folder, and where to get them. The extended ones have real Tmin and
Tmax."""

AREA_TOLERANCE = 0.10
"""Relative difference of two areas above which a warning is given."""
HEADER_AREA = "the forcing header's area, by which streamflow becomes mm/d,"
EQUAL_SHARE = 0.5
"""Share of days with Tmin equal to Tmax above which the two are taken as one temperature; it is 0
or 1."""


class AreaWarning(UserWarning):
    """Catchment areas of the forcing header and of the attribute table disagree."""


def open_source(data: DataParameters) -> xr.Dataset:
    """Open the CAMELS-US folder that a plan's `data` names."""
    return open_camels_us(
        resolve(data.path), forcing=data.forcing, basins=data.basins, pet=data.pet
    )


def recognises(path: Path) -> bool:
    """Whether `path` is a CAMELS-US folder, one that holds it, or one of attribute tables."""
    return any(find_folders(path))


def open_camels_us(
    root: str | Path,
    *,
    forcing: str = "maurer_extended",
    basins: Sequence[str] | None = None,
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
    -------
    xarray.Dataset
        Over basin and time: `prcp`, `srad`, `vp`, `dayl`, `tmean`; `tmin` and `tmax` where the
        product has real ones; `swe` where it is not zero throughout; `pet`; `streamflow` in mm/d,
        by the area in the header of the forcing file as in Kratzert et al. (2019), NaN where it is
        negative or has no value; all attributes; the coordinates `lat`, `lon`, `area` (the
        header's) and `gauge_name`. The attributes `note_tmin`, `note_tmax` and `note_swe` explain
        why a variable is left out.

    Raises
    ------
    ParameterError
        Unknown product or PET.
    DataError
        Folder, layout, basin or file that cannot be used; a file's problem is named with its line.

    Warns
    -----
    AreaWarning
        Header and attribute table differ by more than 10 % in a basin's area.
    """
    base, tables = require_folders(Path(root).expanduser())
    files = forcing_files(base, forcing)
    attributes = open_camels_attributes(tables)
    attributes = attributes.sel(basin=available_basins(base, forcing, files, attributes, basins))
    flow = _by_gauge(base / "usgs_streamflow", "streamflow_qc.txt")
    pairs = raise_first(find_pairs(base, files, flow, attributes))
    ds = cached(
        lambda: _read_all(pairs, forcing),
        name=f"camels_us-{forcing}",
        # `reader` is raised with every change of the reader that changes the data
        key={"reader": 1, "forcing": forcing, "basins": list(pairs)},
        sources=[path for pair in pairs.values() for path in pair],
    )
    ds = _without_placeholders(ds, forcing).merge(
        attributes, join="exact", combine_attrs="override"
    )
    if problem := area_problem(ds, HEADER_AREA):
        warnings.warn(problem, AreaWarning, stacklevel=2)
    return check(choose_pet(ds, pet, where=str(base)), where=str(base))


def available_basins(
    base: Path,
    forcing: str,
    files: Mapping[str, list[Path]],
    attributes: xr.Dataset,
    basins: Sequence[str] | None = None,
) -> list[str]:
    """The basins asked for, or all that have both attributes and a forcing file.

    Raises
    ------
    DataError
        There is none, or a basin asked for is not among them.
    """
    listed = set(attributes["basin"].values)
    where = base / "basin_mean_forcing" / forcing
    if not listed & set(files):
        raise DataError(
            f"no gauge in {where} is in the attribute tables; ids have eight digits, leading zeros"
            " kept"
        )
    if lacking := [basin for basin in basins or () if basin in listed and basin not in files]:
        raise DataError(
            f"{where} has no forcing file of basin {lacking[0]}, only the attribute tables have"
            " it; download the file or leave the basin out"
        )
    return choose_basins(sorted(listed & set(files)), basins, where=str(where))


# Folders and files
# ---


def find_folders(root: Path) -> tuple[Path | None, Path | None]:
    """The folder that holds `basin_mean_forcing` and `usgs_streamflow`, at or below `root`, and the
    one that holds the tables `camels_*.txt`, beside them too; None for what is not found."""
    if root.name == "basin_mean_forcing":
        root = root.parent
    bases = (
        path.parent
        for pattern in ("", "*/", "*/*/")
        for path in sorted(root.glob(f"{pattern}basin_mean_forcing"))
        if path.is_dir()
    )
    base = next(bases, None)
    around = [root] if base is None else [root, base, base.parent, base.parent.parent]
    tables = (
        folder
        for above in around
        for folder in (above / "camels_attributes_v2.0", above)
        if any(folder.glob("camels_*.txt"))
    )
    return base, next(tables, None)


def require_folders(root: Path) -> tuple[Path, Path]:
    """`find_folders`, both of them.

    Raises
    ------
    DataError
        No such folder, or one of another layout; names what was looked for.
    """
    if not root.is_dir():
        raise DataError(f"no such folder: {root}")
    base, tables = find_folders(root)
    if base is None:
        raise DataError(
            f"{root} is not CAMELS-US: looked for basin_mean_forcing/PRODUCT there and up to two"
            " folders below; give the folder that holds basin_mean_forcing"
        )
    if tables is None:
        raise DataError(
            f"no attribute tables: looked for camels_attributes_v2.0/camels_*.txt in {root} and"
            f" beside {base}; download them with the time series and put them there"
        )
    return base, tables


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
        The product does not exist in this folder, or has no file.
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
    return _by_gauge(folder, "lump_TAG_forcing_leap.txt")


def _by_gauge(folder: Path, ending: str) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob(f"[!.]*_{ending.replace('TAG', '*')}")):
        files.setdefault(path.name.split("_")[0], []).append(path)
    if not files:
        raise DataError(f"{folder} holds no file GAUGE_{ending}; download and unpack it again")
    return files


def find_pairs(
    base: Path,
    forcing: Mapping[str, list[Path]],
    flow: Mapping[str, list[Path]],
    attributes: xr.Dataset,
) -> Reading[dict[str, list[Path]]]:
    """Forcing file and streamflow file of each basin with `attributes`; of several, the ones in the
    folder of the basin's own HUC region."""
    pairs = {}
    hucs = attributes.get("huc_02", xr.full_like(attributes["basin"], "")).to_series()
    for basin, huc in hucs.items():
        pair = []
        for files, folder in ((forcing, "basin_mean_forcing"), (flow, "usgs_streamflow")):
            paths = files.get(basin, [])
            paths = [path for path in paths if path.parent.name == huc] or paths
            if len(paths) > 1:
                yield f"{paths[0]} and {paths[1]} are both of basin {basin}; remove one of them"
                break
            if paths:
                pair += paths
            elif files:
                yield (
                    f"{base / folder} has no file of basin {basin}; download it or leave the basin"
                    " out"
                )
        if pair:
            pairs[basin] = pair
    return pairs


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
    -------
    xarray.Dataset
        Over basin: numbers as float64 with NaN for missing, categories as stripped text with "" for
        missing, each with `units`, `long_name` and `group` (its table); coordinates `lat`, `lon`,
        `gauge_name`.

    Raises
    ------
    DataError
        No such folder, no table in it, a table without ids, an id or a column that is there twice,
        an unknown basin.
    """
    folder = Path(folder).expanduser()
    ds = raise_first(read_camels_attributes(folder))
    return ds.sel(basin=choose_basins(ds["basin"].values.tolist(), basins, where=str(folder)))


def read_camels_attributes(folder: Path, report: Report | None = None) -> Reading[xr.Dataset]:
    """`open_camels_attributes` as a reading, of all basins."""
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}")
    paths = sorted(folder.glob("camels_*.txt"))
    if not paths:
        raise DataError(
            f"{folder} holds no attribute table; looked for camels_*.txt, such as camels_clim.txt"
        )
    return (yield from read_tables(paths, ";", _attribute, report, reserved=["area"]))


def _attribute(column: pd.Series, path: Path) -> xr.DataArray:
    units, long_name = camels_descriptions().get(str(column.name), ("1", str(column.name)))
    attrs = {"units": units, "long_name": long_name, "group": path.stem.removeprefix("camels_")}
    values = (
        column.to_numpy(np.float64)
        if pd.api.types.is_numeric_dtype(column)
        else column.fillna("").astype(str).str.strip().to_numpy(dtype=object)
    )
    return xr.DataArray(values, dims="basin", attrs=attrs)


# Series
# ---


def _read_all(pairs: dict[str, list[Path]], product: str) -> xr.Dataset:
    """Forcing and streamflow of all basins on the days of the forcing."""
    series: dict[str, pd.DataFrame] = {}

    def take(basin: str, one: pd.DataFrame) -> None:
        series[basin] = one.astype(np.float32)

    extents = raise_first(read_camels_series(pairs, product, take))
    ds = stack_series(series, *extents[next(iter(pairs))][:2])
    return ds.assign_coords(area=("basin", [one.attrs["area"] for one in series.values()]))


def read_camels_series(
    pairs: Mapping[str, list[Path]],
    product: str,
    take: Callable[[str, pd.DataFrame], None],
) -> Reading[dict[str, Extent]]:
    """Pass the series of each basin to `take`, and return what each covers. Problems are those of
    each file, and then of all together."""
    extents = yield from read_each(pairs, read_basin, take, f"reading CAMELS-US {product}")
    periods = {b: f"{e.first.date()} to {e.last.date()}" for b, e in extents.items()}
    if len(set(periods.values())) > 1:
        most = max(periods.values(), key=list(periods.values()).count)
        odd = [f"{basin} {period}" for basin, period in periods.items() if period != most]
        yield (
            f"{product}: {len(odd)} of {len(periods)} forcing files do not cover {most} like the"
            f" others ({name_list(odd)}); download these files again or leave the basins out"
        )
    return extents


def read_basin(forcing_path: Path, flow_path: Path | None = None) -> Reading[pd.DataFrame]:
    """A basin's forcing and streamflow in mm/d, indexed by day; its `area` (km2) is an attribute of
    the table."""
    forcing = yield from nested(read_forcing, forcing_path)
    flow = None if flow_path is None else (yield from nested(read_streamflow, flow_path))
    if forcing is not None and flow is not None:
        m3, m2 = 0.3048**3, forcing.attrs["area"] * 1e6  # of a cubic foot, of the catchment
        mm = flow.reindex(forcing.index) * (m3 * 86400 * 1000 / m2)
        ids = flow_path.name.split("_")[:1]
        yield from value_problems("streamflow", mm.to_numpy()[None], ids, mm.index, flow_path)
        forcing["streamflow"] = mm
    return forcing


def _without_placeholders(ds: xr.Dataset, product: str) -> xr.Dataset:
    """With `tmean`, and without variables that are placeholders: Tmin and Tmax that are one
    temperature, as in the archive's Maurer and NLDAS, and snow that is zero throughout. Decided for
    the product, never basin by basin.
    """
    notes = {}
    if float((ds["tmin"] == ds["tmax"]).mean()) > EQUAL_SHARE:
        notes["tmin"] = notes["tmax"] = (
            f"tmin and tmax are equal in the {product} files, so only tmean is offered; "
            "daymet, maurer_extended and nldas_extended have both"
        )
    if not ds["swe"].any():
        notes["swe"] = f"swe is zero throughout in the {product} files"
    tmean = ((ds["tmin"] + ds["tmax"]) / 2).assign_attrs(
        variable_attrs("tmean"),
        method="the product's one temperature" if "tmin" in notes else "mean of tmin and tmax",
    )
    return (
        ds.assign(tmean=tmean)
        .drop_vars(notes)
        .assign_attrs(
            source="CAMELS-US",
            forcing=product,
            references="doi:10.5194/hess-19-209-2015, doi:10.5194/hess-21-5293-2017",
            license="CC-BY-4.0",
            **{f"note_{name}": text for name, text in notes.items()},
        )
    )


def area_problem(ds: xr.Dataset, what: str) -> str:
    """Basins whose `area` and `area_gages2` (km2) differ by more than 10 %, in one line; empty for
    none. `what` says which area the first one is."""
    if "area_gages2" not in ds:
        return ""
    areas = pd.DataFrame({name: ds[name].to_series() for name in ("area", "area_gages2")}).dropna()
    off = areas[(areas["area"] / areas["area_gages2"] - 1).abs() > AREA_TOLERANCE]
    texts = [f"{b} ({area:.0f} against {gages2:.0f} km2)" for b, area, gages2 in off.itertuples()]
    return (
        f"{what} is more than 10 % off area_gages2 in {len(off)} of {len(areas)} basins:"
        f" {name_list(texts, 10)}"
        if texts
        else ""
    )


# What a folder holds
# ---


def describe(root: Path, report: Report) -> None:
    """Report a CAMELS-US folder, or attribute tables, with everything that opening would refuse."""
    base, tables = find_folders(root)
    if base is not None:
        report.append(f"{base}: CAMELS-US")
        report.take(require_folders, root)
    attributes = None
    if tables is not None:
        report.append(f"  attribute tables in {tables}:")
        attributes = report.take(read_camels_attributes, tables, report)
    if base is not None:
        flow = report.take(_by_gauge, base / "usgs_streamflow", "streamflow_qc.txt") or {}
        if not PRODUCTS.keys() & set(products(base)):
            report.problems.append(
                f"{base}: basin_mean_forcing holds no forcing product; looked for"
                f" {', '.join(PRODUCTS)}"
            )
        for product in products(base):
            if product in PRODUCTS:
                _describe_product(base, product, flow, attributes, report)
            else:
                report.notes.append(
                    f"{base / 'basin_mean_forcing' / product} is no forcing product known here; it"
                    " is passed over"
                )


def _describe_product(
    base: Path,
    product: str,
    flow: Mapping[str, list[Path]],
    attributes: xr.Dataset | None,
    report: Report,
) -> None:
    if not (files := report.take(forcing_files, base, product)):
        return
    report.append(f"forcing {product}: {len(files)} basins, {min(files)} to {max(files)}")
    chosen = xr.Dataset(coords={"basin": np.array(sorted(files), object)})
    if attributes is not None:
        ids = report.take(available_basins, base, product, files, attributes) or []
        chosen, listed = attributes.sel(basin=ids), attributes.sizes["basin"]
        report.take(coordinate_problems, chosen, str(base))
        report.take(latitude_problems, chosen, str(base))
        if lacking := sorted(set(files) - set(ids)):
            report.notes.append(
                f"{product}: no attributes of {counted(lacking)}; they are left out, check the ids'"
                " leading zeros"
            )
        if listed > len(ids):
            report.notes.append(
                f"{product}: {listed - len(ids)} of the {listed} basins with attributes have no"
                " forcing file"
            )
    summaries, areas, equal = {}, {}, []

    def take(basin: str, series: pd.DataFrame) -> None:
        summaries[basin] = summarise(series)
        areas[basin] = series.attrs["area"]
        equal.append(bool((series["tmin"] == series["tmax"]).all()))

    pairs = report.take(find_pairs, base, files, flow, chosen)
    report.take(read_camels_series, pairs, product, take)
    describe_series(summaries, report)
    if equal and np.mean(equal) > EQUAL_SHARE:
        report.notes.append(
            f"{product}: tmin equals tmax in {sum(equal)} of {len(equal)} files; only tmean is"
            " offered"
        )
    chosen = chosen.sel(basin=list(areas)).assign_coords(area=("basin", list(areas.values())))
    if problem := area_problem(chosen, HEADER_AREA):
        report.notes.append(problem)
