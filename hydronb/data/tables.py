"""Tables of static attributes, one row per gauge id, as Caravan and CAMELS-US keep them."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from hydronb.data.dataset import VARIABLES
from hydronb.data.problems import Reading, Report, attempt, counted, shown
from hydronb.errors import DataError
from hydronb.files import reading

PLACES = {"gauge_lat": "lat", "gauge_lon": "lon", "area": "area", "gauge_name": "gauge_name"}
"""The convention's coordinates, by their names in the tables."""
TEXT = ("gauge_id", "gauge_name", "huc_02")
"""Columns that are text, even where they look like numbers."""
RESERVED = (*VARIABLES, "basin", "time", "lat", "lon")
"""Names that an attribute cannot have."""


def read_tables(
    paths: Iterable[Path],
    sep: str,
    report: Report | None,
    *,
    ids: Collection[str] | None = None,
    reserved: Collection[str] = (),
) -> Reading[tuple[pd.DataFrame, dict[str, Path]]]:
    """The tables joined by gauge id, and the file that each column is from. A `report` gets a line
    for each table.

    Problems: a file that is no such table, a basin that is there twice, a column that two tables
    have or that is called like a series or one of `reserved`, text for a place. Where `ids` are
    given, only their rows are read, and a table that lacks one is a problem too.
    """
    columns, homes = [], {}
    for path in paths:
        table = yield from attempt(_read_table, path, sep)
        if table is None:
            continue
        if report is not None:
            gaps = shown(table.columns[table.isna().any()])
            missing = f", missing values in {gaps}" if gaps else ""
            report.append(
                f"    {path.name}: {len(table)} basins, {table.shape[1]} attributes{missing}"
            )
        if ids is not None:
            table = table[table.index.isin(ids)]
            if lacking := sorted(set(ids) - set(table.index)):
                yield f"{path} lacks {counted(lacking)}; leave them out or download the table again"
        for basin, times in table.index.value_counts().items():
            if times > 1:
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
                if name in PLACES and name not in TEXT:
                    if len(texts := column[not_numbers(column)]):
                        basin, text = texts.index[0], texts.iloc[0]
                        yield f"{path}: {name} of basin {basin} is {text!r}, not a number"
                    column = pd.to_numeric(column, errors="coerce")
                homes[name] = path
                columns.append(column)
    if report is not None and len({len(column) for column in columns}) > 1:
        report.notes.append(
            "the attribute tables do not list the same number of basins; values that a table lacks"
            " are missing"
        )
    return pd.concat(columns, axis=1) if columns else pd.DataFrame(), homes


def _read_table(path: Path, sep: str) -> pd.DataFrame:
    with reading(path, f"a table with {sep!r} between columns", hint="download it again"):
        table = pd.read_csv(path, sep=sep, dtype=dict.fromkeys(TEXT, str))
    if "gauge_id" not in table:
        raise DataError(
            f"{path}:1: no column gauge_id among {shown(table.columns)}; download it again"
        )
    table = table.assign(gauge_id=table["gauge_id"].str.strip()).set_index("gauge_id")
    if table.index.hasnans:
        raise DataError(f"{path}: {table.index.isna().sum()} lines have no gauge_id; remove them")
    return table


def not_numbers(column: pd.Series) -> pd.Series:
    """Where a column holds text that is not a number."""
    return pd.to_numeric(column, errors="coerce").isna() & column.notna()
