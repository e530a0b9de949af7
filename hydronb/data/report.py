"""What a folder or file of catchment data holds, and what is wrong with it: `hydronb data check
PATH`.

Unlike opening, which stops at the first problem, a report goes through every file and lists them
all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from hydronb.data.dataset import TARGETS, VARIABLES, attribute_names, check
from hydronb.data.gridded import (
    as_catchment,
    check_grid,
    grid_problems,
    is_gridded,
    open_lazily,
    read_grid,
)
from hydronb.data.pet import HIGHEST_RATIO, IMPOSSIBLE_NAMES, radiation_ratio
from hydronb.data.sources import camels_us, caravan
from hydronb.data.sources.camels_us_text import (
    forcing_problems,
    read_forcing,
    read_streamflow,
    streamflow_problems,
)
from hydronb.errors import DataError

PER_FILE = 3
"""Problems of one file that are listed; of more, their number."""
SHOWN = 5
"""Names in a line; of more, the first."""
THINNED = 7
"""Days from one to the next that a mean PET is judged by; a week apart they are all seasons
still."""
DATASET_SUFFIXES = (".nc", ".nc4", ".zarr")
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")


class Report(list[str]):
    """Lines to print. Among them `problems`, which have to be put right; empty where nothing is
    wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.problems: list[str] = []

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def note(self, text: str) -> None:
        """Something to know that opening the data takes care of."""
        if text not in self.notes:
            self.notes.append(text)

    def close(self) -> "Report":
        for title, found in (("note", self.notes), ("problem", self.problems)):
            if found:
                self.append(f"{len(found)} {title}{'s' if len(found) > 1 else ''}:")
                self.extend(f"  - {text}" for text in found)
        if not self.problems:
            self.append("no problem found")
        return self


@dataclass
class Series:
    """Sums over many files of series, so that none of them has to stay in memory."""

    spans: dict[str, tuple[np.datetime64, np.datetime64]] = field(default_factory=dict)
    ranges: dict[str, np.ndarray] = field(default_factory=dict)
    """Lowest, highest, sum and number of values, by variable."""
    missing: dict[str, float] = field(default_factory=dict)
    """Share of days without streamflow, by basin."""

    def add(self, basin: str, days: np.ndarray, values: dict[str, np.ndarray]) -> None:
        """Take in the `values` of one basin on `days`."""
        self.spans[basin] = (days[0].astype("datetime64[D]"), days[-1].astype("datetime64[D]"))
        for name, series in values.items():
            there = series[np.isfinite(series)]
            if name == "streamflow":
                self.missing[basin] = 1 - len(there) / len(series)
            if len(there):
                low, high, total, n = self.ranges.get(name, np.array([np.inf, -np.inf, 0.0, 0]))
                self.ranges[name] = np.array(
                    [
                        min(low, there.min()),
                        max(high, there.max()),
                        total + there.sum(),
                        n + len(there),
                    ]
                )

    def describe(self, report: Report) -> None:
        """Period, ranges and missing streamflow, as lines."""
        if not self.spans:
            report.append("  no file could be read")
            return
        first, last = min(s for s, _ in self.spans.values()), max(e for _, e in self.spans.values())
        same = len(set(self.spans.values())) == 1
        report.append(f"  period: {first} to {last}{'' if same else ', not the same in all files'}")
        for name, (low, high, total, n) in self.ranges.items():
            units = VARIABLES[name].units if name in VARIABLES else "mm/d"
            report.append(f"  {name}: {low:.6g} to {high:.6g} {units}, mean {total / n:.4g}")
        self._describe_streamflow(report)

    def _describe_streamflow(self, report: Report) -> None:
        shares = pd.Series(self.missing, dtype=float)
        if shares.empty:
            report.append("  streamflow: none")
            return
        gaps = shares[shares > 0].sort_values(ascending=False)
        most = f", most in {gaps.index[0]} ({gaps.iloc[0]:.1%})" if len(gaps) else ""
        report.append(
            f"  no streamflow on {shares.mean():.1%} of days, in {len(gaps)} of {len(shares)}"
            f" basins{most}"
        )
        if len(empty := shares[shares == 1].index):
            report.problem(f"no streamflow at all in {_some(empty)}; leave out for training")


def report(path: str | Path) -> Report:
    """What `path` holds, as lines, and every problem found, with its file and what to do.

    Parameters
    ----------
    path
        Folder of Caravan or CAMELS-US or of attribute tables, or a NetCDF or Zarr dataset in the
        convention.

    Raises
    ------
    DataError
        No such path, or a layout it does not know; names what was looked for.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"no such file or folder: {path}")
    found = Report()
    for describe in _sources(path):
        describe(found)
    return found.close()


def _sources(path: Path) -> list[Callable[[Report], None]]:
    """One function for each source that `path` holds."""
    if _is_dataset(path):
        return [lambda out: _report_dataset(path, out)]
    if not path.is_dir():
        raise DataError(
            f"{path} is a file, but neither NetCDF (.nc) nor Zarr; give the folder of Caravan or"
            " CAMELS-US"
        )
    sources: list[Callable[[Report], None]] = []
    if base := camels_us.camels_us_base(path):
        sources.append(lambda out: _report_camels_us(path, base, out))
    for folder in _caravan_folders(path):
        sources.append(lambda out, folder=folder: _report_caravan(folder, out))
    if not sources and any(path.glob("camels_*.txt")):
        sources.append(lambda out: _report_attributes(path, out))
    if not sources:
        sources = [
            lambda out, p=p: _report_dataset(p, out)
            for p in sorted(path.iterdir())
            if _is_dataset(p)
        ]
    if not sources:
        raise DataError(
            f"{path} holds nothing known; looked for basin_mean_forcing/ (CAMELS-US),"
            " timeseries/netcdf/ or timeseries/csv/ (Caravan), camels_*.txt (attributes), *.nc and"
            " *.zarr"
        )
    return sources


def _is_dataset(path: Path) -> bool:
    if path.is_dir():
        return any((path / mark).is_file() for mark in ZARR_MARKS)
    return path.suffix in DATASET_SUFFIXES


def _some(basins: Iterable[str]) -> str:
    names = list(basins)
    return f"{len(names)} basin{'s' if len(names) > 1 else ''} ({_names(names)})"


def _names(names: Iterable[str]) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _list_problems(path: Path, problems: Iterator[str], out: Report) -> None:
    """The first few problems of a file, each in its line, and how many more there are."""
    for text in islice(problems, PER_FILE):
        out.problem(f"{text}; download the file again or leave the basin out")
    if more := sum(1 for _ in problems):
        out.problem(f"{path}: {more} more like these")


def _list_implausible(path: Path, series: pd.DataFrame, out: Report) -> None:
    """Values no catchment has, by the convention's bounds; the first day of each variable."""
    for name in series.columns.intersection(list(VARIABLES)):
        spec, values = VARIABLES[name], series[name]
        wrong = values[(values < spec.low) | (values > spec.high)]
        if len(wrong):
            out.problem(
                f"{path}: {name} is {wrong.iloc[0]:g} {spec.units} on {wrong.index[0]:%Y-%m-%d},"
                f" outside {spec.low:g} to {spec.high:g} ({len(wrong)} such days); correct it or"
                " leave the basin out"
            )


# CAMELS-US
# ---


def _report_camels_us(root: Path, base: Path, out: Report) -> None:
    out.append(f"{base}: CAMELS-US")
    attributes = None
    try:
        attributes = _report_attributes(camels_us.find_camels_us(root).attributes, out)
    except DataError as error:
        out.problem(str(error))
    flow = camels_us.streamflow_files(base)
    if not flow:
        out.problem(
            f"{base / 'usgs_streamflow'} holds no file GAUGE_streamflow_qc.txt; download"
            " usgs_streamflow"
        )
    for product in camels_us.products(base):
        if product in camels_us.PRODUCTS:
            _report_product(base, product, flow, attributes, out)
        else:
            out.note(
                f"{base / 'basin_mean_forcing' / product} is no forcing product known here; it is"
                " passed over"
            )


def _report_attributes(folder: Path, out: Report) -> xr.Dataset | None:
    """The attribute tables, each by itself; the joined dataset where they can be joined."""
    out.append(f"  attribute tables in {folder}:")
    sizes = {}
    for path in sorted(folder.glob("camels_*.txt")):
        try:
            table = camels_us.attribute_table(path)
        except DataError as error:
            out.problem(str(error))
            continue
        sizes[path.name] = len(table)
        gaps = table.columns[table.isna().any()]
        missing = f", missing values in {_names(gaps)}" if len(gaps) else ""
        out.append(f"    {path.name}: {len(table)} basins, {table.shape[1]} attributes{missing}")
    if len(set(sizes.values())) > 1:
        out.problem(
            f"{folder}: the tables do not list the same number of basins; download the shorter ones"
            " again"
        )
    try:
        return camels_us.open_camels_attributes(folder)
    except DataError as error:
        out.problem(str(error))
        return None


def _report_product(
    base: Path,
    product: str,
    flow: dict[str, list[Path]],
    attributes: xr.Dataset | None,
    out: Report,
) -> None:
    """Every forcing file of a product, with the streamflow of its basin."""
    try:
        files = camels_us.forcing_files(base, product)
    except DataError as error:
        out.problem(str(error))
        return
    out.append(f"forcing {product}: {len(files)} basins, {min(files)} to {max(files)}")
    hucs = (
        {}
        if attributes is None or "huc_02" not in attributes
        else attributes["huc_02"].to_series().to_dict()
    )
    series, areas, equal = Series(), {}, []
    for basin in tqdm(files, desc=f"checking {product}", unit="basin", delay=1, leave=False):
        forcing = None
        try:
            path = camels_us.one_file(files, basin, hucs.get(basin, ""), where=base)
            forcing = read_forcing(path)
        except DataError as error:
            _list_file(error, files[basin], forcing_problems, out)
        q = _streamflow(base, flow, basin, hucs.get(basin, ""), out)
        if forcing is None:
            continue
        areas[basin] = forcing.area_km2
        equal.append(bool((forcing.series["tmin"] == forcing.series["tmax"]).all()))
        values = dict(forcing.series)
        if q is not None:
            mm = camels_us.cfs_to_mm(q.reindex(forcing.days), forcing.area_km2)
            values["streamflow"] = mm.to_numpy()
            _list_implausible(flow[basin][0], mm.to_frame("streamflow"), out)
        series.add(basin, forcing.days, values)
    series.describe(out)
    if problem := camels_us.span_problem(series.spans) if series.spans else "":
        out.problem(
            f"{base / 'basin_mean_forcing' / product}: {problem}; download them again or leave"
            " them out"
        )
    if equal and np.mean(equal) > camels_us.EQUAL_SHARE:
        out.note(
            f"{product}: tmin equals tmax in {sum(equal)} of {len(equal)} files; only tmean is"
            " offered"
        )
    if attributes is not None:
        _compare_with_attributes(product, files, areas, attributes, out)


def _list_file(
    error: DataError, paths: list[Path], problems: Callable[[Path], Iterator[str]], out: Report
) -> None:
    """All problems of the files of a basin; where line by line none is found, the error as it
    stands."""
    before = len(out.problems)
    for path in paths:
        _list_problems(path, problems(path), out)
    if len(out.problems) == before:
        out.problem(str(error))


def _streamflow(
    base: Path, flow: dict[str, list[Path]], basin: str, huc: str, out: Report
) -> pd.Series | None:
    """Streamflow in cubic feet per second by day, None where it cannot be read."""
    if not flow:
        return None
    try:
        path = camels_us.one_file(flow, basin, huc, where=base / "usgs_streamflow")
        days, cfs = read_streamflow(path)
    except DataError as error:
        _list_file(error, flow.get(basin, []), streamflow_problems, out)
        return None
    return pd.Series(cfs, index=days)


def _compare_with_attributes(
    product: str,
    files: dict[str, list[Path]],
    areas: dict[str, float],
    attributes: xr.Dataset,
    out: Report,
) -> None:
    known = {str(b) for b in attributes["basin"].to_numpy()}
    if lacking := sorted(set(files) - known):
        out.problem(
            f"{product}: no attributes of {_some(lacking)}; they are left out, check the ids'"
            " leading zeros"
        )
    if without := len(known - set(files)):
        out.note(
            f"{product}: {without} of the {len(known)} basins with attributes have no forcing file"
        )
    both = [b for b in areas if b in known]
    area = ("basin", np.array([areas[b] for b in both]))
    if problem := (
        camels_us.area_problem(attributes.sel(basin=both).assign_coords(area=area)) if both else ""
    ):
        out.note(problem)


# Caravan
# ---


def _caravan_folders(root: Path) -> list[Path]:
    """Every `timeseries/{netcdf,csv}/SOURCE` at the root or one folder below."""
    kinds = [
        d
        for p in ("", "*/")
        for kind in ("netcdf", "csv")
        for d in sorted(root.glob(f"{p}timeseries/{kind}"))
    ]
    return [folder for kind in kinds for folder in sorted(kind.iterdir()) if folder.is_dir()]


def _report_caravan(folder: Path, out: Report) -> None:
    """One sub-source."""
    kind = folder.parent.name
    files = {f.stem: f for f in sorted(folder.glob("*.nc" if kind == "netcdf" else "*.csv"))}
    if not files:
        out.problem(
            f"{folder} holds no {'.nc' if kind == 'netcdf' else '.csv'} file; download it again"
        )
        return
    out.append(
        f"{folder.parents[2]}: Caravan, sub-source {folder.name} ({kind}), {len(files)} basins, "
        f"{min(files)} to {max(files)}"
    )
    tables = _report_caravan_tables(folder, list(files), out)
    series = Series()
    ratios: dict[str, dict[str, float]] = {}
    for basin, path in tqdm(
        files.items(), desc=f"checking {folder.name}", unit="basin", delay=1, leave=False
    ):
        try:
            frame = caravan.read_timeseries(path)
        except DataError as error:
            out.problem(f"{error}; download the file again or leave the basin out")
            continue
        series.add(
            basin, frame.index.to_numpy(), {str(n): frame[n].to_numpy() for n in frame.columns}
        )
        _list_implausible(path, frame, out)
        for name in frame.columns.intersection(list(caravan.PETS)):
            ratios.setdefault(name, {})[basin] = _ratio(frame[name], tables, basin)
    series.describe(out)
    if len(set(series.spans.values())) > 1:
        out.note(
            f"{folder}: files cover different days; opening them together keeps the days they share"
        )
    for name, by_basin in ratios.items():
        _judge_pet(name, by_basin, out)


def _report_caravan_tables(folder: Path, ids: list[str], out: Report) -> pd.DataFrame:
    """The attribute tables of a sub-source; returns latitudes by basin, as far as there are any."""
    attributes = folder.parents[2] / "attributes" / folder.name
    places = pd.DataFrame()
    for kind in caravan.TABLES:
        path = attributes / f"attributes_{kind}_{folder.name}.csv"
        if not path.is_file():
            out.problem(f"no attribute table {path}; download Caravan's attributes folder")
            continue
        try:
            table = pd.read_csv(path, dtype={"gauge_id": str}).set_index("gauge_id")
        except (ValueError, KeyError, OSError) as error:
            out.problem(f"{path} is no table with a column gauge_id ({error}); download it again")
            continue
        gaps = int(table.isna().any().sum())
        out.append(
            f"  {path.name}: {len(table)} basins, {table.shape[1]} attributes"
            f"{f', {gaps} of them with missing values' if gaps else ''}"
        )
        if lacking := sorted(set(ids) - set(table.index)):
            out.problem(
                f"{path} lacks {_some(lacking)}; leave them out or download the table again"
            )
        if "gauge_lat" in table:
            places = table
    return places


def _ratio(pet: pd.Series, places: pd.DataFrame, basin: str) -> float:
    """A basin's mean PET over the equivalent of its radiation, NaN where its latitude is not
    known."""
    if basin not in places.index:
        return np.nan
    thin = pet.iloc[::THINNED]
    coords = {"basin": [basin], "time": thin.index.to_numpy()}
    da = xr.DataArray(thin.to_numpy()[None], dims=("basin", "time"), coords=coords)
    return radiation_ratio(da, xr.DataArray([float(places.loc[basin, "gauge_lat"])], dims="basin"))


def _judge_pet(name: str, ratios: dict[str, float], out: Report) -> None:
    """Name an impossible PET; as in opening, judged for the source as a whole."""
    known = pd.Series(ratios, dtype=float).dropna()
    median = known.median() if len(known) else np.nan
    if name in IMPOSSIBLE_NAMES or median > HIGHEST_RATIO:
        above = int((known > HIGHEST_RATIO).sum())
        out.note(
            f"{name} is impossible as potential evapotranspiration: the median basin has"
            f" {median:.2f} times what all of the sun's radiation could evaporate, {above} of"
            f" {len(known)} basins more than the plausible {HIGHEST_RATIO:.2f}; opening replaces it"
            " (pet='auto')"
        )


# Datasets in the convention
# ---


def _report_dataset(path: Path, out: Report) -> None:
    """A NetCDF or Zarr dataset; each variable is checked by itself, so that one does not hide
    another."""
    try:
        with open_lazily(path) as ds:
            ds = ds if is_gridded(ds) else ds.load()
    except (OSError, ValueError, KeyError) as error:
        out.append(f"{path}: cannot be read")
        out.problem(
            f"{path} is neither NetCDF nor Zarr that xarray can read ({error}); write it again"
        )
        return
    if is_gridded(ds):
        _report_grid(read_grid(path), path, out)
        return
    out.append(
        f"{path}: a dataset of {ds.sizes.get('basin', 0)} basins and {ds.sizes.get('time', 0)} days"
    )
    try:
        check(ds.drop_vars(list(ds.data_vars)), where=str(path))
    except DataError as error:
        out.problem(str(error))
        return
    for name in ds.data_vars:
        try:
            check(ds.drop_vars([other for other in ds.data_vars if other != name]), where=str(path))
        except DataError as error:
            out.problem(str(error))
    _describe_dataset(ds, out)


def _describe_dataset(ds: xr.Dataset, out: Report) -> None:
    series = Series()
    names = [
        str(n)
        for n in VARIABLES
        if n in ds and set(ds[n].dims) == {"basin", "time"} and ds[n].dtype.kind in "fiu"
    ]
    for basin in ds["basin"].to_numpy():
        one = ds[names].sel(basin=basin)
        series.add(
            str(basin), ds["time"].to_numpy(), {n: one[n].to_numpy().astype(float) for n in names}
        )
    series.describe(out)
    if not any(n in ds for n in TARGETS):
        out.note("no target (streamflow, et): enough to simulate, not to train")
    if not (attributes := attribute_names(ds)):
        return
    gaps = [n for n in attributes if ds[n].dtype.kind == "f" and np.isnan(ds[n]).any()]
    missing = f", missing values in {_names(gaps)}" if gaps else ""
    out.append(f"  {len(attributes)} attributes{missing}")


def _report_grid(ds: xr.Dataset, path: Path, out: Report) -> None:
    """One gridded catchment."""
    for problem in grid_problems(ds, where=str(path)):
        out.problem(problem)
    if out.problems:
        out.append(f"{path}: a gridded catchment")
        return
    ds = check_grid(ds, where=str(path))
    lumped = as_catchment(ds)
    share = float((ds["mask"] > 0).mean())
    out.append(
        f"{path}: a gridded catchment, {ds.attrs['basin']}, of {ds.sizes['y']} x {ds.sizes['x']}"
        f" cells and {ds.sizes['time']} days"
    )
    out.append(f"  {share:.0%} of the cells lie in the basin, wholly or in part")
    _describe_dataset(lumped, out)
    if "streamflow" in lumped:
        both = lumped.where(lumped["streamflow"].notnull())
        ratio = float(both["streamflow"].mean() / both["prcp"].mean())
        out.append(f"  runoff over precipitation: {ratio:.2f}")
        if ratio > 1:
            out.note(
                f"{path}: more runoff than precipitation ({ratio:.2f}); are area, units and days"
                " right?"
            )
