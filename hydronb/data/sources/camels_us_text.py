"""The two kinds of text file in which CAMELS-US keeps its series, and what can be wrong with a line
of them.

Forcing: three lines of latitude, elevation (m) and area (m2), one of column names, then one line
per day; spaces between the first fields, tabs or spaces after. Streamflow: no header, `gauge year
month day cfs flag`.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from hydronb.data.dataset import COORDINATES, DAY, VARIABLES
from hydronb.data.problems import Reading, abridged
from hydronb.errors import DataError
from hydronb.files import reading

HEADER_LINES = 4
DATE = ("year", "mnth", "day")
COLUMNS = (*DATE, "hr", "dayl", "prcp", "srad", "swe", "tmax", "tmin", "vp")
"""Columns of a forcing file, by lower-case name without the unit, in the order of all products."""
UNITS = {
    "dayl": "s",
    "prcp": "mm/day",
    "srad": "w/m2",
    "swe": "mm",
    "tmax": "c",
    "tmin": "c",
    "vp": "pa",
}
"""Units in the header line, lower case; all are the convention's own."""
FLOW_COLUMNS = ["gauge", *DATE, "streamflow"]
FLAGS = (-999.0, -9999.0)
"""These mark a missing value in streamflow, and should never occur in forcing."""


def read_forcing(path: Path) -> Reading[pd.DataFrame]:
    """A forcing file: a column for each variable in the convention's units, indexed by day, none
    missing; the catchment's `area` (km2) is an attribute of the table.

    Problems, each as `path:line: what`: the header, a field that is missing or not a number, a day
    that repeats or is missing, a value out of physical range.
    """
    header = _header(path)
    area, columns = _area(path, header), _columns(path, header)
    table = yield from _read_lines(path, columns, HEADER_LINES, len(columns), list(UNITS))
    if table is not None:
        table.attrs["area"] = area
    return table


def read_streamflow(path: Path) -> Reading[pd.Series]:
    """Streamflow of a USGS file in cubic feet per second, by increasing day, with gaps.

    Missing is NaN: -999 in the file, and whatever else is negative, as Kratzert et al. (2019) read
    it. Problems as in `read_forcing`, but for missing days.
    """
    table = yield from _read_lines(path, FLOW_COLUMNS, 0, len(FLOW_COLUMNS) + 1, [])
    return None if table is None else table["streamflow"].mask(table["streamflow"] < 0)


# The header
# ---


def _header(path: Path) -> list[str]:
    with (
        reading(path, "a text file of CAMELS-US"),
        path.open(encoding="ascii", errors="replace") as lines,
    ):
        header = [line.strip() for line in islice(lines, HEADER_LINES)]
    if len(header) < HEADER_LINES:
        raise DataError(f"{path}:{len(header) + 1}: the file ends in its header; download it again")
    return header


def _area(path: Path, header: list[str]) -> float:
    """Catchment area, km2; line 3 holds it in m2."""
    try:
        area = float(header[2]) / 1e6
    except ValueError:
        area = np.nan
    if not 0 < area <= COORDINATES["area"].high:
        raise DataError(
            f"{path}:3: {header[2]!r} is not a catchment area in m2; download the file again"
        )
    return area


def _columns(path: Path, header: list[str]) -> list[str]:
    """Names of the columns in the file's order: from line 4, or by position where that line is cut
    short."""
    fields = header[HEADER_LINES - 1].lower().split()
    names = [field.split("(")[0] for field in fields]
    for name, field in zip(names, fields, strict=True):
        unit = re.search(r"\((.*)\)", field)
        if unit and name in UNITS and unit[1] != UNITS[name]:
            raise DataError(
                f"{path}:{HEADER_LINES}: {name} is in {unit[1]}, not in {UNITS[name]}; convert it"
                " first"
            )
    if sorted(names) == sorted(COLUMNS):
        return names
    # four of the archive's Maurer files (02108000, 05120500, 07067000, 09492400) have such a header
    # above whole data
    if " ".join(COLUMNS).startswith(" ".join(names)):
        return list(COLUMNS)
    odd = next((name for name in names if name not in COLUMNS), names[-1])
    raise DataError(
        f"{path}:{HEADER_LINES}: unexpected column {odd!r}; a forcing file has {' '.join(COLUMNS)}"
    )


# The lines
# ---


def _read_lines(
    path: Path, columns: list[str], skip: int, most: int, forcings: list[str]
) -> Reading[pd.DataFrame]:
    """The lines of a file below its header, by day: `forcings`, which have to be complete, or all
    columns. A line has at most `most` fields; those beyond the columns are not read."""
    damaged: dict[int, str] = {}
    try:
        table = pd.read_csv(
            path,
            sep=r"\s+",
            skiprows=skip,
            header=None,
            names=columns,
            dtype=np.float64,
            usecols=columns if most > len(columns) else None,
            na_filter=False,
            skip_blank_lines=False,
        )
        table.index += skip + 1
    except (ValueError, OSError):
        table, damaged = _read_each_line(path, columns, skip, most)
    if table.empty:
        raise DataError(f"{path}:{skip + 1}: the file holds no day; download it again")
    days = _days(table)
    whole = ~table.index.isin(list(damaged))
    problems = [
        *damaged.items(),
        *_date_problems(table, days, whole, gaps=not forcings),
        *(line for name in forcings for line in _value_problems(name, table.loc[whole, name])),
    ]
    lines = (
        f"{path}:{line}: {text}; download the file again or leave the basin out"
        for line, text in sorted(problems)
    )
    yield from abridged(lines, str(path))
    return None if problems else table[forcings or columns].set_axis(days)


def _read_each_line(
    path: Path, columns: list[str], skip: int, most: int
) -> tuple[pd.DataFrame, dict[int, str]]:
    """The same, one line after another: damaged lines are NaN, and what is wrong with each is told.
    Blank lines are passed over."""
    with reading(path, "a text file of CAMELS-US"):
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    rows, damaged = {}, {}
    for number, line in enumerate(lines[skip:], start=skip + 1):
        if fields := line.split():
            texts = np.array(fields[: len(columns)], object)
            rows[number] = pd.to_numeric(texts, errors="coerce")
            bad = np.flatnonzero(
                np.isnan(rows[number]) & (np.char.lower(texts.astype(str)) != "nan")
            )
            if not len(columns) <= len(fields) <= most:
                damaged[number] = (
                    f"{len(fields)} fields instead of {len(columns)}, the line is cut or damaged"
                )
            elif len(bad):
                damaged[number] = f"{columns[bad[0]]} is {fields[bad[0]]!r}, not a number"
    rows |= dict.fromkeys(damaged, np.full(len(columns), np.nan))
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float), damaged


def _days(table: pd.DataFrame) -> np.ndarray:
    """The date of each line, datetime64[D]; NaT where it is not in the calendar."""
    date = table[list(DATE)].to_numpy()
    sane = ((date == np.floor(date)) & (date >= (1000, 1, 1)) & (date <= (3000, 12, 31))).all(1)
    year, month, day = np.where(sane[:, None], date, (1970, 1, 1)).astype(np.int64).T
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day - 1)
    return np.where(sane & (days.astype("datetime64[M]") == first), days, np.datetime64("NaT", "D"))


def _date_problems(
    table: pd.DataFrame, days: np.ndarray, whole: np.ndarray, *, gaps: bool
) -> Iterator[tuple[int, str]]:
    """Dates that are none, repeat, are out of order or, where `gaps` are not allowed, missing: the
    line of each, and what is wrong. A step from or to a damaged line is not judged."""
    for line, row in table[np.isnat(days) & whole].iterrows():
        yield line, f"{' '.join(f'{row[name]:g}' for name in DATE)} is no date"
    steps = np.diff(days) / DAY
    wrong = np.isfinite(steps) & (steps < 1 if gaps else steps != 1)
    for k in np.flatnonzero(wrong):
        last, day = days[k : k + 2]
        text = f"the date {day} comes after {last}, dates are out of order"
        if steps[k] == 0:
            text = f"the date {day} appears twice"
        elif steps[k] > 0:
            missing = f"{steps[k] - 1:g} dates are" if steps[k] > 2 else "1 date is"
            text = f"{missing} missing between {last} and {day}, forcing must be complete"
        yield table.index[k + 1], text


def _value_problems(name: str, values: pd.Series) -> Iterator[tuple[int, str]]:
    """Values that are missing or out of the physical range: the line of each, and what is wrong."""
    spec = VARIABLES[name]
    for line, value in values[~values.between(spec.low, spec.high)].items():
        if np.isnan(value) or value in FLAGS:
            text = f"{spec.long_name} ({name}) is missing ({value:g}), forcing must be complete"
        elif value < 0 == spec.low:
            text = f"negative {spec.long_name} ({name}): {value:g} {spec.units}"
        else:
            text = (
                f"{spec.long_name} ({name}) is {value:g} {spec.units}, outside {spec.low:g} to"
                f" {spec.high:g}"
            )
        yield line, text
