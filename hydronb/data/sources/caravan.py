"""Caravan (Kratzert et al. 2023, doi:10.1038/s41597-023-01975-w), CC-BY-4.0: any of its
sub-sources.

Layout: `timeseries/netcdf/SOURCE/ID.nc` or `timeseries/csv/SOURCE/ID.csv`, and
`attributes/SOURCE/attributes_{caravan,hydroatlas,other}_SOURCE.csv`.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from hydronb.data.cache import cached
from hydronb.data.dataset import FORCINGS, VARIABLES, bare_id, check, choose_basins, require_daily
from hydronb.data.pet import choose_pet, saturation_vapour_pressure
from hydronb.errors import DataError, nearest

NAMES = {
    "total_precipitation_sum": "prcp",
    "temperature_2m_mean": "tmean",
    "temperature_2m_min": "tmin",
    "temperature_2m_max": "tmax",
    "surface_net_solar_radiation_mean": "srad",
    "snow_depth_water_equivalent_mean": "swe",
    "streamflow": "streamflow",
}
"""Caravan's names of what the convention knows; its srad is the net radiation at the surface."""
DEWPOINT = "dewpoint_temperature_2m_mean"
PETS = (
    "potential_evaporation_sum_FAO_PENMAN_MONTEITH",
    "potential_evaporation_sum",
    "potential_evaporation_sum_ERA5_LAND",
)
"""Caravan's own PET, the better first."""
MADE_FROM_PET = ("pet_mean", "aridity", "moisture_index", "seasonality")
"""Attributes of Caravan's that come from its PET; later versions name the PET after an
underscore."""
TINY = 0.01
"""mm/d; reanalysis precipitation this little below zero is packing noise and becomes 0, more is an
error."""
TABLES = ("caravan", "hydroatlas", "other")


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
        always made anew from the PET chosen.

    Returns
    -------
    xarray.Dataset
        In the convention of `hydronb.data.dataset`, over the days that all files share.

    Raises
    ------
    DataError
        Not a Caravan folder, an unknown source or basin, a file or table that cannot be used.
    """
    folder, suffix = find_timeseries(Path(root).expanduser(), source)
    files = {f.stem: f for f in sorted(folder.glob(f"*.{suffix}"))}
    if not files:
        raise DataError(f"{folder} holds no .{suffix} file")
    ids = choose_basins(list(files), basins, where=str(folder))
    chosen = {b: files[b] for b in ids}
    if suffix == "csv":
        ds = cached(
            lambda: _read_all(chosen),
            key={"reader": "caravan csv", "version": 1, "basins": ids},
            sources=list(chosen.values()),
            name=f"caravan-{source}",
        )
    else:
        ds = _read_all(chosen)
    tables = read_attributes(folder.parents[2] / "attributes" / source, ids)
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


def find_timeseries(root: Path, source: str) -> tuple[Path, str]:
    """The folder of a sub-source's files and their suffix, `nc` or `csv`.

    Raises
    ------
    DataError
        No such folder, another layout, or no such source.
    """
    if not root.is_dir():
        raise DataError(f"no such folder: {root}")
    inner = [root, *(f.parent for f in root.glob("*/timeseries"))]
    layouts = [
        (f / "timeseries" / kind, suffix)
        for f in inner
        for kind, suffix in (("netcdf", "nc"), ("csv", "csv"))
    ]
    there = [(f, suffix) for f, suffix in layouts if f.is_dir()]
    if not there:
        raise DataError(
            f"{root} is not a Caravan folder: it has neither timeseries/netcdf nor timeseries/csv; "
            "`hydronb data check` says what it holds"
        )
    for folder, suffix in there:
        if (folder / source).is_dir():
            return folder / source, suffix
    known = sorted({d.name for f, _ in there for d in f.iterdir() if d.is_dir()})
    raise DataError(f"{there[0][0]} has no sub-source {source!r}{nearest(source, known)}")


def _read_all(files: dict[str, Path]) -> xr.Dataset:
    series = [
        read_timeseries(f)
        for f in tqdm(files.values(), desc="Caravan", unit="basin", disable=len(files) < 20)
    ]
    start = max(s.index[0] for s in series)
    end = min(s.index[-1] for s in series)
    if end < start:
        raise DataError(
            f"the basins' files share no day: one starts on {start.date()}, another ends on"
            f" {end.date()}; choose basins that overlap"
        )
    if shorter := [
        b for b, s in zip(files, series, strict=True) if (s.index[0], s.index[-1]) != (start, end)
    ]:
        warnings.warn(
            f"the basins' files differ in their dates; only {start.date()} to {end.date()} is kept "
            f"({len(shorter)} files are longer, {shorter[0]} is one)",
            stacklevel=3,
        )
    names = [n for n in dict.fromkeys(c for s in series for c in s.columns)]
    for name in names:
        if lacking := [b for b, s in zip(files, series, strict=True) if name not in s]:
            raise DataError(f"{files[lacking[0]]} has no variable {name}, other files have")
    time = pd.date_range(start, end, freq="D")
    values = {
        n: np.stack([s[n].loc[start:end].to_numpy(np.float32) for s in series]) for n in names
    }
    variables = {
        n: (
            ("basin", "time"),
            v,
            {"units": VARIABLES[n].units} if n in VARIABLES else {"units": "mm/d"},
        )
        for n, v in values.items()
    }
    return xr.Dataset(variables, coords={"basin": np.array(list(files), object), "time": time})


def read_timeseries(path: Path) -> pd.DataFrame:
    """One basin's file: a column a variable of the convention and Caravan's own PET, indexed by
    date.

    Raises
    ------
    DataError
        Unreadable, without precipitation or streamflow columns, letters, dates that repeat or are
        missing.
    """
    frame = _read_netcdf(path) if path.suffix == ".nc" else _read_csv(path)
    if not len(frame):
        raise DataError(f"{path} holds no day; download it again or leave the basin out")
    require_daily(frame.index, str(path))
    if "total_precipitation_sum" not in frame:
        raise DataError(
            f"{path} has no variable 'total_precipitation_sum'"
            f"{nearest('total_precipitation_sum', map(str, frame.columns))}"
        )
    out = frame[[n for n in (*NAMES, *PETS) if n in frame]].rename(columns=NAMES)
    if DEWPOINT in frame:
        out["vp"] = saturation_vapour_pressure(frame[DEWPOINT])
    for name in ("prcp", "srad", "swe"):
        if name in out:
            out[name] = out[name].mask(out[name].between(-TINY, 0), 0.0)
    if "streamflow" in out:
        out["streamflow"] = out["streamflow"].mask(out["streamflow"] < 0)
    for name in out.columns.intersection(list(FORCINGS)):
        if (missing := out[name].isna()).any():
            raise DataError(
                f"{path}: {name} is missing on {out.index[missing][0].date()} ({missing.sum()} days"
                " in all); forcing must be complete"
            )
    return out


def _read_netcdf(path: Path) -> pd.DataFrame:
    try:
        with xr.open_dataset(path) as ds:
            days = ds.indexes["date"]
            frame = pd.DataFrame(
                {n: v.values for n, v in ds.data_vars.items() if v.dims == ("date",)}, index=days
            )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not one of Caravan's NetCDF files ({str(error).splitlines()[0]}); "
            "download it again if it is truncated"
        ) from None
    if not isinstance(days, pd.DatetimeIndex):
        raise DataError(
            f"{path}: date is not in the standard calendar ({type(days).__name__}); convert it, for"
            " example with xarray's convert_calendar('standard')"
        )
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, index_col="date", parse_dates=["date"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not one of Caravan's CSV files ({str(error).splitlines()[0]})"
        ) from None
    if not len(frame):
        return frame
    if not isinstance(frame.index, pd.DatetimeIndex):
        raise DataError(f"{path}: the column 'date' holds something that is no date")
    for name in frame.columns.intersection([*NAMES, *PETS, DEWPOINT]):
        if frame[name].dtype.kind not in "fiu":
            number = pd.to_numeric(frame[name], errors="coerce")
            wrong = frame.index[(number.isna() & frame[name].notna()).to_numpy()][0]
            raise DataError(
                f"{path}: {name} on {wrong.date()} is {frame.loc[wrong, name]!r}, not a number"
            )
    return frame


def read_attributes(folder: Path, ids: list[str]) -> xr.Dataset:
    """Caravan's attribute tables of the basins `ids`, with `lat`, `lon`, `area` (km2) and
    `gauge_name` as coordinates.

    Raises
    ------
    DataError
        No table, or a basin that one of the tables lacks.
    """
    paths = [p for t in TABLES if (p := folder / f"attributes_{t}_{folder.name}.csv").is_file()]
    if not paths:
        raise DataError(
            f"no attribute table in {folder}: Caravan's attributes_other_{folder.name}.csv gives"
            " latitude and area"
        )
    columns = {}
    for path in paths:
        table = _read_table(path, ids)
        columns |= {str(n): table[n] for n in table.columns}
    coords = {"lat": "gauge_lat", "lon": "gauge_lon", "area": "area", "gauge_name": "gauge_name"}
    if "gauge_lat" not in columns:
        raise DataError(
            f"no gauge_lat in the tables of {folder}; attributes_other_{folder.name}.csv is missing"
        )
    ds = xr.Dataset(
        {
            n: ("basin", c.to_numpy(object if c.dtype.kind not in "fiu" else float))
            for n, c in columns.items()
            if n not in coords.values()
        },
        coords={"basin": np.array(ids, object)},
    )
    return ds.assign_coords(
        {
            new: ("basin", columns[old].to_numpy(object if old == "gauge_name" else float))
            for new, old in coords.items()
            if old in columns
        }
    )


def _read_table(path: Path, ids: list[str]) -> pd.DataFrame:
    """The rows of `ids`, in their order."""
    try:
        table = pd.read_csv(path, dtype={"gauge_id": str}).set_index("gauge_id")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is no table with a column gauge_id ({str(error).splitlines()[0]}); "
            "download it again"
        ) from None
    if lacking := [b for b in ids if b not in table.index]:
        raise DataError(f"{path} lacks basin {lacking[0]} ({len(lacking)} in all)")
    table = table[table.index.isin(ids)]
    if table.index.has_duplicates:
        basin = table.index[table.index.duplicated()][0]
        raise DataError(
            f"{path} has basin {basin} {(table.index == basin).sum()} times; remove all lines"
            " but one"
        )
    for name in table.columns.intersection(["gauge_lat", "gauge_lon", "area"]):
        wrong = pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()
        if wrong.any():
            raise DataError(
                f"{path}: {name} of basin {table.index[wrong][0]} is"
                f" {table[name][wrong].iloc[0]!r}, not a number"
            )
    return table.loc[ids]


def climate_indices(prcp: xr.DataArray, pet: xr.DataArray) -> xr.Dataset:
    """`pet_mean` (mm/d), `aridity` (PET/P), and the yearly mean and range of Knoben's moisture
    index.

    The index of a calendar month is 1 - PET/P where P > PET and P/PET - 1 elsewhere, -1 (arid) to 1
    (humid), from long-term monthly means; `seasonality` is its largest less its smallest value.
    Knoben et al. (2018), doi:10.1029/2018WR022913, Eqs. 1 to 3.
    """
    p, e = (v.groupby("time.month").mean() for v in (prcp, pet))
    index = xr.where(p > e, 1 - e / p, xr.where(e > 0, p / e - 1, 0.0))
    pet_mean = pet.mean("time")
    made = {
        "pet_mean": (pet_mean, "mm/d", "mean potential evapotranspiration"),
        "aridity": (pet_mean / prcp.mean("time"), "-", "aridity, PET over P"),
        "moisture_index": (index.mean("month"), "-", "mean moisture index"),
        "seasonality": (
            index.max("month") - index.min("month"),
            "-",
            "range of the moisture index over the year",
        ),
    }
    return xr.Dataset(
        {
            n: v.astype(np.float64).assign_attrs(units=u, long_name=t)
            for n, (v, u, t) in made.items()
        }
    )


def _join_camels(ds: xr.Dataset, folder: Path) -> xr.Dataset:
    """CAMELS' attributes joined by the id's part after the prefix; they replace Caravan's of the
    same name."""
    from hydronb.data.sources.camels_us import open_camels_attributes

    bare = [bare_id(b) for b in ds["basin"].values]
    camels = open_camels_attributes(folder, basins=bare).sel(basin=bare)
    camels = camels.drop_vars([c for c in camels.coords if c != "basin"]).assign_coords(
        basin=ds["basin"].values
    )
    if "area_gages2" in camels:
        off = abs(camels["area_gages2"] / ds["area"] - 1).values > 0.1
        if off.any():
            worst = [str(b) for b in ds["basin"].values[off]]
            warnings.warn(
                f"Caravan's area and CAMELS' area_gages2 differ by more than 10 % in {len(worst)}"
                f" basins ({', '.join(worst[:5])}{' ...' if len(worst) > 5 else ''})",
                stacklevel=3,
            )
    return ds.drop_vars([n for n in camels.data_vars if n in ds]).merge(camels)
