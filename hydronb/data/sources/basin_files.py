"""What sources of many files have in common: series that are read one basin after another, for an
opener that keeps them or a report that keeps their summary, and tables of static attributes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from hydronb.data.dataset import VARIABLES, variable_attrs
from hydronb.data.problems import Reading, Report, counted, name_list, nested
from hydronb.errors import DataError
from hydronb.files import reading

PLACES = {"gauge_lat": "lat", "gauge_lon": "lon", "area": "area", "gauge_name": "gauge_name"}
"""The convention's coordinates, by their names in the tables."""
NUMBERS = ("gauge_lat", "gauge_lon", "area", "area_gages2")
"""Columns that are read as numbers, or refused."""
TEXT = ("gauge_id", "gauge_name", "huc_02")
"""Columns that are text, even where they look like numbers."""
RESERVED = (*VARIABLES, "basin", "time", "lat", "lon")
"""Names that an attribute cannot have."""


# Series
# ---


class Extent(NamedTuple):
    """Days and variables of a basin's series."""

    first: pd.Timestamp
    last: pd.Timestamp
    names: tuple[str, ...]


def read_each(
    files: Mapping[str, Sequence[Path]],
    read: Callable[..., Reading[pd.DataFrame]],
    take: Callable[[str, pd.DataFrame], None],
    what: str,
) -> Reading[dict[str, Extent]]:
    """Read the files of each basin, pass its series (one column per variable, indexed by day) to
    `take`, and return the extent of each basin that could be read.

    In one thread: the parser holds the interpreter, two threads were measured to be no faster.
    """
    extents = {}
    for basin, paths in tqdm(files.items(), desc=what, unit="basin", delay=1, leave=False):
        series = yield from nested(read, *paths)
        if series is not None:
            extents[basin] = Extent(series.index[0], series.index[-1], tuple(series))
            take(basin, series)
    return extents


def stack_series(
    series: Mapping[str, pd.DataFrame], first: pd.Timestamp, last: pd.Timestamp
) -> xr.Dataset:
    """The series of all basins on the days from `first` to `last`, `(basin, time)` float32."""
    cut = [one.loc[first:last] for one in series.values()]
    return xr.Dataset(
        {
            n: (
                ("basin", "time"),
                np.stack([one[n].to_numpy(np.float32) for one in cut]),
                variable_attrs(n),
            )
            for n in cut[0]
        },
        coords={
            "basin": np.array(list(series), object),
            "time": pd.date_range(first, last, freq="D", unit="ns"),
        },
    )


def summarise(series: pd.DataFrame) -> pd.DataFrame:
    """Period, ranges and number of values of one basin's series, a row per variable."""
    return pd.DataFrame({n: getattr(series, n)() for n in ("min", "max", "sum", "count")}).assign(
        first=series.index[0], last=series.index[-1], days=len(series)
    )


def describe_series(summaries: Mapping[str, pd.DataFrame], report: Report) -> None:
    """Append period, ranges and missing streamflow of all basins, from what `summarise` says of
    each; one line per variable."""
    if not summaries:
        report.append("  no file could be read")
        return
    table = pd.concat(summaries, names=["basin", "variable"])
    same = len(table[["first", "last"]].drop_duplicates()) == 1
    report.append(
        f"  period: {table['first'].min().date()} to {table['last'].max().date()}"
        f"{'' if same else ', not the same in all basins'}"
    )
    for name, one in table[table["count"] > 0].groupby("variable", sort=False):
        report.append(
            f"  {name}: {one['min'].min():.6g} to {one['max'].max():.6g}"
            f" {variable_attrs(name)['units']}, mean {one['sum'].sum() / one['count'].sum():.4g}"
        )
    flow = table[table.index.get_level_values("variable") == "streamflow"].droplevel("variable")
    missing = 1 - flow["count"] / flow["days"]
    if flow.empty:
        report.append("  streamflow: none")
        return
    most = f", most in {missing.idxmax()} ({missing.max():.1%})" if missing.any() else ""
    report.append(
        f"  no streamflow on {missing.mean():.1%} of days, in {(missing > 0).sum()} of"
        f" {len(missing)} basins{most}"
    )
    if len(empty := missing.index[missing == 1]):
        report.notes.append(f"no streamflow at all in {counted(empty)}; leave out for training")


# Attributes
# ---


def read_tables(
    paths: Iterable[Path],
    sep: str,
    variable: Callable[[pd.Series, Path], Any],
    report: Report | None,
    *,
    ids: Sequence[str] | None = None,
    reserved: Sequence[str] = (),
) -> Reading[xr.Dataset]:
    """The attributes in tables with one row per gauge id, joined by it: what `variable` makes of
    each column and its file, and the convention's coordinates. A `report` gets a line per table.

    Problems: a file that is no such table, a basin that is there twice, a column that two tables
    have or that is called like a series or one of `reserved`, text for a place. Where `ids` are
    given, only their rows are read, and a table that lacks one is a problem too.
    """
    columns, homes = [], {}
    for path in paths:
        table = yield from nested(_read_table, path, sep)
        if table is None:
            continue
        if report is not None:
            gaps = name_list(table.columns[table.isna().any()])
            report.append(
                f"    {path.name}: {len(table)} basins, {table.shape[1]} attributes"
                f"{f', missing values in {gaps}' if gaps else ''}"
            )
        if ids is not None:
            table = table[table.index.isin(ids)]
            if lacking := sorted(set(ids) - set(table.index)):
                yield f"{path} lacks {counted(lacking)}; leave them out or download the table again"
        for basin, times in table.index.value_counts().loc[lambda times: times > 1].items():
            yield f"{path} has basin {basin} {times} times; remove all lines but one"
        table = table[~table.index.duplicated()]
        for name, column in table.items():
            if name in (*RESERVED, *reserved):
                yield f"{path}: an attribute cannot be called {name!r}; rename the column"
            elif name in homes:
                yield (
                    f"attribute {name!r} is in {homes[name].name} and {path.name} of {path.parent};"
                    " remove one of them"
                )
            else:
                if name in NUMBERS:
                    if len(texts := column[not_numbers(column)]):
                        yield (
                            f"{path}: {name} of basin {texts.index[0]} is {texts.iloc[0]!r}, not a"
                            " number"
                        )
                    column = pd.to_numeric(column, errors="coerce")
                homes[name] = path
                columns.append(column)
    if report is not None and len({len(column) for column in columns}) > 1:
        report.notes.append(
            "the attribute tables do not list the same number of basins; values that a table lacks"
            " are missing"
        )
    if not columns:
        raise DataError(f"no attribute that can be used in {', '.join(map(str, paths))}")
    joined = pd.concat(columns, axis=1)
    joined = joined if ids is None else joined.reindex(ids)
    ds = xr.Dataset(
        {PLACES.get(name, name): variable(joined[name], homes[name]) for name in joined},
        coords={"basin": joined.index.to_numpy(dtype=object)},
    )
    return ds.set_coords([name for name in PLACES.values() if name in ds])


def _read_table(path: Path, sep: str) -> pd.DataFrame:
    with reading(path, f"a table with {sep!r} between columns", hint="download it again"):
        table = pd.read_csv(path, sep=sep, dtype=dict.fromkeys(TEXT, str))
    if "gauge_id" not in table:
        raise DataError(
            f"{path}:1: no column gauge_id among {name_list(table.columns)}; download it again"
        )
    table = table.assign(gauge_id=table["gauge_id"].str.strip()).set_index("gauge_id")
    if table.index.hasnans:
        raise DataError(f"{path}: {table.index.isna().sum()} lines have no gauge_id; remove them")
    if odd := [id_ for id_ in table.index if not id_.isprintable()]:
        raise DataError(f"{path}: the gauge_id {odd[0]!r} is damaged; download the table again")
    return table


def not_numbers(column: pd.Series) -> pd.Series:
    """Where a column holds text that is not a number."""
    return pd.to_numeric(column, errors="coerce").isna() & column.notna()
