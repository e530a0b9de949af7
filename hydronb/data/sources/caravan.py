"""Caravan (Kratzert et al. 2023, doi:10.1038/s41597-023-01975-w), CC-BY-4.0: any of its
sub-sources.

Layout: `timeseries/netcdf/SOURCE/ID.nc` or `timeseries/csv/SOURCE/ID.csv`, and
`attributes/SOURCE/attributes_{caravan,hydroatlas,other}_SOURCE.csv`.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.data.cache import cached
from hydronb.data.dataset import (
    VARIABLES,
    bare_id,
    check,
    choose_basins,
    coordinate_problems,
    day_problems,
    value_problems,
)
from hydronb.data.pet import (
    HIGHEST_RATIO,
    IMPOSSIBLE_NAMES,
    choose_pet,
    latitude_problems,
    own_pet_refusal,
    radiation_ratio,
    saturation_vapour_pressure,
)
from hydronb.data.problems import Reading, Report, raise_first
from hydronb.data.sources.basin_files import (
    Extent,
    describe_series,
    not_numbers,
    read_each,
    read_tables,
    stack_series,
    summarise,
)
from hydronb.data.sources.camels_us import area_problem, open_camels_attributes
from hydronb.errors import DataError, nearest
from hydronb.files import reading
from hydronb.parameters import DataParameters, resolve

LAYOUT = "timeseries/netcdf/ or timeseries/csv/ (Caravan)"
NAMES = {
    "total_precipitation_sum": "prcp",
    "temperature_2m_mean": "tmean",
    "temperature_2m_min": "tmin",
    "temperature_2m_max": "tmax",
    "surface_net_solar_radiation_mean": "srad",
    "snow_depth_water_equivalent_mean": "swe",
    "streamflow": "streamflow",
}
"""Caravan's names of the convention's variables; its srad is the net radiation at the surface."""
DEWPOINT = "dewpoint_temperature_2m_mean"
PETS = (
    "potential_evaporation_sum_FAO_PENMAN_MONTEITH",
    "potential_evaporation_sum",
    "potential_evaporation_sum_ERA5_LAND",
)
"""Caravan's own PET, the better first."""
MADE_FROM_PET = ("pet_mean", "aridity", "moisture_index", "seasonality")
"""Attributes that Caravan computes from its PET; later versions append the PET's name."""
TINY = 0.01
"""mm/d; reanalysis precipitation this little below zero is packing noise and becomes 0, more is an
error."""


def open_source(data: DataParameters) -> xr.Dataset:
    """Open the Caravan folder that a plan's `data` names."""
    return open_caravan(
        resolve(data.path),
        source=data.source,
        basins=data.basins,
        pet=data.pet,
        attributes=resolve(data.attributes) if data.attributes else None,
    )


def recognises(path: Path) -> bool:
    """Whether `path` is a Caravan folder, or one that holds it."""
    return bool(sub_sources(path))


def open_caravan(
    root: str | Path,
    *,
    source: str = "camels",
    basins: list[str] | None = None,
    attributes: str | Path | None = None,
    pet: str = "auto",
) -> xr.Dataset:
    """Open one sub-source of a Caravan folder as a catchment dataset.

    Parameters
    ----------
    root
        The folder that holds `timeseries` and `attributes`.
    source
        Sub-source, such as `camels`, `camelsgb` or `hysets`.
    basins
        Ids, with or without the source's prefix; all where None.
    attributes
        A CAMELS attribute folder (`camels_*.txt`), joined on the id's part after the prefix. Where
        both have an attribute, CAMELS' is taken.
    pet
        See `hydronb.data.pet.choose_pet`. Caravan's ERA5-Land PET is impossible (5 to 20 mm/d) and
        is replaced with a warning. `pet_mean`, `aridity`, `moisture_index` and `seasonality` are
        always computed from the PET chosen.

    Returns
    -------
    xarray.Dataset
        In the convention of `hydronb.data.dataset`, over the days that all files share.

    Raises
    ------
    DataError
        Not a Caravan folder, an unknown source or basin, a file or table that cannot be used.
    """
    folder = find_timeseries(Path(root).expanduser(), source)
    files = series_files(folder)
    chosen = {b: files[b] for b in choose_basins(list(files), basins, where=str(folder))}
    ds = (
        cached(
            lambda: _read_all(chosen),
            key={"reader": "caravan csv", "version": 1, "basins": list(chosen)},
            sources=list(chosen.values()),
            name=f"caravan-{source}",
        )
        if folder.parent.name == "csv"
        else _read_all(chosen)
    )
    tables = raise_first(read_caravan_attributes(folder, list(chosen)))
    if "srad" in ds:
        # the convention's is what comes down
        ds["srad"].attrs["long_name"] = "net solar radiation at the surface"
    ds = ds.merge(tables.drop_vars([n for n in tables if str(n).startswith(MADE_FROM_PET)]))
    own = next((n for n in PETS if n in ds), "")
    ds = choose_pet(
        ds.drop_vars(PETS, errors="ignore"),
        pet,
        own=ds[own] if own else None,
        own_name=own,
        where=str(root),
    )
    if "pet" in ds:
        ds = ds.merge(climate_indices(ds["prcp"], ds["pet"]))
    if attributes is not None:
        ds = _join_camels(ds, Path(attributes))
    return check(ds, where=str(root))


# Folders and files
# ---


def sub_sources(root: Path) -> dict[str, Path]:
    """The folder with the files of each sub-source, at `root` or one folder below; NetCDF where
    there is both NetCDF and CSV."""
    folders: dict[str, Path] = {}
    for above in [root, *sorted(f.parent for f in root.glob("*/timeseries"))]:
        for kind in ("netcdf", "csv"):
            for folder in sorted(above.glob(f"timeseries/{kind}/*")):
                if folder.is_dir() and not folder.name.startswith("."):
                    folders.setdefault(folder.name, folder)
    return folders


def find_timeseries(root: Path, source: str) -> Path:
    """The folder with the files of a sub-source.

    Raises
    ------
    DataError
        No such folder, another layout, or no such source.
    """
    if not root.is_dir():
        raise DataError(f"no such folder: {root}")
    if not (folders := sub_sources(root)):
        raise DataError(
            f"{root} is not a Caravan folder: it has neither timeseries/netcdf/SOURCE nor"
            " timeseries/csv/SOURCE; `hydronb data check` says what it holds"
        )
    if source not in folders:
        raise DataError(f"{root} has no sub-source {source!r}{nearest(source, folders)}")
    return folders[source]


def series_files(folder: Path) -> dict[str, Path]:
    """The file of each basin of a sub-source.

    Raises
    ------
    DataError
        There is none.
    """
    suffix = {"netcdf": "nc", "csv": "csv"}[folder.parent.name]
    paths = [f for f in sorted(folder.glob(f"*.{suffix}")) if not f.name.startswith(".")]
    if not paths:
        raise DataError(f"{folder} holds no .{suffix} file; download it again")
    return {path.stem: path for path in paths}


# Series
# ---


def _read_all(files: dict[str, Path]) -> xr.Dataset:
    """Series of all basins on the days that they share."""
    series: dict[str, pd.DataFrame] = {}
    extents = raise_first(read_caravan_series(files, series.__setitem__))
    start, end = _shared(extents)
    if longer := [b for b, extent in extents.items() if extent[:2] != (start, end)]:
        warnings.warn(
            f"the basins' files differ in their dates; only {start.date()} to {end.date()} is kept "
            f"({len(longer)} files are longer, {longer[0]} is one)",
            stacklevel=3,
        )
    return stack_series(series, start, end)


def _shared(extents: Mapping[str, Extent]) -> tuple[pd.Timestamp, pd.Timestamp]:
    return max(e.first for e in extents.values()), min(e.last for e in extents.values())


def read_caravan_series(
    files: Mapping[str, Path], take: Callable[[str, pd.DataFrame], None]
) -> Reading[dict[str, Extent]]:
    """Pass the series of each basin to `take`, and return what each covers. Problems are those of
    each file, and then of all together."""
    extents = yield from read_each(
        {basin: (path,) for basin, path in files.items()}, read_timeseries, take, "reading Caravan"
    )
    if extents and (shared := _shared(extents))[0] > shared[1]:
        yield (
            f"the basins' files share no day: one starts on {shared[0].date()}, another ends on"
            f" {shared[1].date()}; choose basins that overlap"
        )
    for name in dict.fromkeys(n for extent in extents.values() for n in extent.names):
        if lacking := [b for b, extent in extents.items() if name not in extent.names]:
            yield (
                f"{files[lacking[0]]} has no variable {name}, other files have; {len(lacking)} lack"
                " it, leave them out or download them again"
            )
    return extents


def read_timeseries(path: Path) -> Reading[pd.DataFrame]:
    """One basin's file: a column for each variable of the convention and for Caravan's own PET,
    indexed by date. Problems: not readable, no precipitation, letters, dates that repeat or are
    missing, forcing that is missing, values that are impossible."""
    with reading(path, "one of Caravan's files", hint="download it again if it is truncated"):
        if path.suffix == ".nc":
            with xr.open_dataset(path) as ds:
                series = pd.DataFrame(
                    {n: v.values for n, v in ds.data_vars.items() if v.dims == ("date",)},
                    index=ds.indexes["date"],
                )
        else:
            series = pd.read_csv(path, index_col="date", parse_dates=["date"])
    if not len(series):
        raise DataError(f"{path} holds no day; download it again or leave the basin out")
    problems = [*day_problems(series.index, str(path)), *_column_problems(series, path)]
    yield from problems
    if problems:
        return None
    out = series[[n for n in (*NAMES, *PETS) if n in series]].rename(columns=NAMES)
    if DEWPOINT in series:
        out["vp"] = saturation_vapour_pressure(series[DEWPOINT])
    for name in out.columns.intersection(["prcp", "srad", "swe"]):
        out[name] = out[name].mask(out[name].between(-TINY, 0), 0.0)
    if "streamflow" in out:
        out["streamflow"] = out["streamflow"].mask(out["streamflow"] < 0)
    for name in out.columns.intersection(list(VARIABLES)):
        yield from value_problems(name, out[name].to_numpy()[None], [path.stem], out.index, path)
    return out


def _column_problems(series: pd.DataFrame, path: Path) -> Iterator[str]:
    """Missing precipitation, and columns that are not numbers."""
    if "total_precipitation_sum" not in series:
        yield (
            f"{path} has no variable 'total_precipitation_sum'"
            f"{nearest('total_precipitation_sum', map(str, series.columns))}"
        )
    for name in series.columns.intersection([*NAMES, *PETS, DEWPOINT]):
        if series[name].dtype.kind not in "fiu":
            texts = series[name][not_numbers(series[name]).to_numpy()]
            first = f"on {str(texts.index[0])[:10]} is {texts.iloc[0]!r}" if len(texts) else "is"
            yield f"{path}: {name} {first}, not a number ({series[name].dtype})"


# Attributes
# ---


def read_caravan_attributes(
    folder: Path, ids: list[str], report: Report | None = None
) -> Reading[xr.Dataset]:
    """Caravan's attributes of the basins `ids`, whose series lie in `folder`, with `lat`, `lon`,
    `area` (km2) and `gauge_name` as coordinates. Problems are those of `read_tables`, no table, no
    latitude, impossible places."""
    attributes = folder.parents[2] / "attributes" / folder.name
    paths = [
        attributes / f"attributes_{table}_{folder.name}.csv"
        for table in ("caravan", "hydroatlas", "other")
    ]
    if not (present := [path for path in paths if path.is_file()]):
        raise DataError(
            f"no attribute table in {attributes}; looked for"
            f" {', '.join(path.name for path in paths)}"
        )
    if report is not None:
        report.notes += [
            f"no attribute table {path}; download Caravan's attributes folder"
            for path in paths
            if path not in present
        ]
    ds = yield from read_tables(present, ",", _attribute, report, ids=ids, reserved=PETS)
    if "lat" in ds:
        yield from coordinate_problems(ds, str(paths[-1]))
        yield from latitude_problems(ds, str(paths[-1]))
    else:
        yield f"no gauge_lat in the attribute tables; {paths[-1]} is missing or damaged"
    return ds


def _attribute(column: pd.Series, path: Path) -> tuple[str, np.ndarray]:
    return "basin", column.to_numpy(float if column.dtype.kind in "fiu" else object)


def climate_indices(prcp: xr.DataArray, pet: xr.DataArray) -> xr.Dataset:
    """`pet_mean` (mm/d), `aridity` (PET/P), and the yearly mean and range of Knoben's moisture
    index.

    The index of a calendar month is 1 - PET/P where P > PET and P/PET - 1 elsewhere, -1 (arid) to 1
    (humid), from long-term monthly means; `seasonality` is its largest minus its smallest value.
    Knoben et al. (2018), doi:10.1029/2018WR022913, Eqs. 1 to 3.
    """
    p, e = (v.groupby("time.month").mean() for v in (prcp, pet))
    index = xr.where(p > e, 1 - e / p, xr.where(e > 0, p / e - 1, 0.0))
    pet_mean, seasonality = pet.mean("time"), index.max("month") - index.min("month")
    indices = {
        "pet_mean": (pet_mean, "mm/d", "mean potential evapotranspiration"),
        "aridity": (pet_mean / prcp.mean("time"), "-", "aridity, PET over P"),
        "moisture_index": (index.mean("month"), "-", "mean moisture index"),
        "seasonality": (seasonality, "-", "range of the moisture index over the year"),
    }
    return xr.Dataset(
        {
            name: da.astype(np.float64).assign_attrs(units=units, long_name=long_name)
            for name, (da, units, long_name) in indices.items()
        }
    )


def _join_camels(ds: xr.Dataset, folder: Path) -> xr.Dataset:
    """CAMELS' attributes joined by the id's part after the prefix; they replace Caravan's of the
    same name."""
    camels = (
        open_camels_attributes(folder, basins=[bare_id(b) for b in ds["basin"].values])
        .reset_coords(drop=True)
        .assign_coords(basin=ds["basin"].values)
    )
    ds = ds.drop_vars([n for n in camels.data_vars if n in ds]).merge(camels)
    if problem := area_problem(ds, "Caravan's area"):
        warnings.warn(problem, stacklevel=3)
    return ds


# What a folder holds
# ---


def describe(root: Path, report: Report) -> None:
    """Report each sub-source of a Caravan folder, with everything that opening it would refuse."""
    for folder in sub_sources(root).values():
        if files := report.take(series_files, folder):
            report.append(
                f"{folder.parents[2]}: Caravan, sub-source {folder.name} ({folder.parent.name}),"
                f" {len(files)} basins, {min(files)} to {max(files)}"
            )
            attributes = report.take(read_caravan_attributes, folder, list(files), report)
            has_places = attributes is not None and "lat" in attributes
            _describe_files(files, attributes["lat"].to_series() if has_places else {}, report)


def _describe_files(
    files: Mapping[str, Path], lat: Mapping[str, float] | pd.Series, report: Report
) -> None:
    summaries, pets, impossible = {}, {}, []

    def take(basin: str, series: pd.DataFrame) -> None:
        summaries[basin] = summarise(series)
        for name in series.columns.intersection(PETS):
            own = series[name].rename_axis("time").to_xarray()
            ratio = radiation_ratio(own, xr.DataArray([lat.get(basin, np.nan)], dims="basin"))
            pets.setdefault(name, []).append((ratio, series[name].mean()))
            if name not in IMPOSSIBLE_NAMES:
                pet = series[name].clip(lower=0).to_numpy()[None]
                impossible.extend(value_problems("pet", pet, [basin], series.index, files[basin]))

    extents = report.take(read_caravan_series, files, take)
    describe_series(summaries, report)
    if len({extent[:2] for extent in extents.values()}) > 1:
        report.notes.append("files cover different days; opening them keeps the days they share")
    for name, basins in pets.items():
        table = pd.DataFrame(basins, columns=["ratio", "mean"])
        if refusal := own_pet_refusal(name, *table.median()):
            report.notes.append(
                f"{refusal}, {(table['ratio'] > HIGHEST_RATIO).sum()} of {len(table)} basins above"
                f" the plausible {HIGHEST_RATIO:.2f}; opening replaces it (pet 'auto')"
            )
        elif name not in IMPOSSIBLE_NAMES:
            report.problems += impossible
