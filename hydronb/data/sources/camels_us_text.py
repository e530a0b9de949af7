"""The two kinds of text file in which CAMELS-US keeps its series, and what can be wrong with a line
of them.

Forcing: three lines of latitude, elevation (m) and area (m2), one of column names, then a line a
day; spaces between the first fields, tabs or spaces after. Streamflow: no header, `gauge year month
day cfs flag`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hydronb.data.dataset import VARIABLES
from hydronb.errors import DataError

HEADER_LINES = 4
DATE = ("year", "mnth", "day")
COLUMNS = (*DATE, "hr", "dayl", "prcp", "srad", "swe", "tmax", "tmin", "vp")
"""Columns of a forcing file, by lower-case name without the unit, in the order all products
share."""
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
FLOW_COLUMNS = ("gauge", *DATE, "streamflow")
FLAGS = (-999.0, -9999.0)
"""What stands for a missing value in streamflow, and should never stand in forcing."""


class Forcing(NamedTuple):
    """One forcing file."""

    days: np.ndarray
    """datetime64[D], none missing."""
    series: dict[str, np.ndarray]
    """Values of each day, in the convention's names and units."""
    area_km2: float


def read_forcing(path: Path) -> Forcing:
    """A forcing file, parsed in one go; only where something is off is it searched line by line to
    say where.

    Raises
    ------
    DataError
        The first problem, with its line: the header, a field missing or not a number, a day that
        repeats or is missing, a value out of physical range.
    """
    header = _header(path)
    area, columns = _area(path, header), _columns(path, header)
    table = _parse(path, columns, HEADER_LINES)
    days = _days(table) if table else None
    if days is None or not _complete(days) or not _plausible(table):
        raise _refusal(path, forcing_problems(path))
    return Forcing(days, {name: table[name] for name in UNITS}, area)


def read_streamflow(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Days (datetime64[D], increasing, with gaps) and streamflow in cubic feet per second of a USGS
    file.

    Missing is NaN: -999 in the file, and whatever else is negative, as Kratzert et al. (2019) read
    it.

    Raises
    ------
    DataError
        The first problem, with its line.
    """
    table = _parse(path, FLOW_COLUMNS, 0, more=True)
    days = _days(table) if table else None
    if days is None or not len(days) or (np.diff(days) <= np.timedelta64(0, "D")).any():
        raise _refusal(path, streamflow_problems(path))
    cfs = table["streamflow"]
    return days, np.where(cfs < 0, np.nan, cfs)


def _refusal(path: Path, problems: Iterator[str]) -> DataError:
    problem = next(problems, f"{path} is no table of numbers")
    return DataError(f"{problem}; download the file again or leave the basin out")


# The whole file at once
# ---


def _parse(
    path: Path, columns: Sequence[str], skip: int, *, more: bool = False
) -> dict[str, np.ndarray] | None:
    """The columns as float64, None where a field is not a number. `more`: others may follow and are
    left."""
    which = range(len(columns))
    try:
        table = pd.read_csv(
            path,
            sep=r"\s+",
            skiprows=skip,
            header=None,
            names=which,
            dtype=np.float64,
            usecols=which if more else None,
            na_filter=False,
        )
    except (ValueError, OSError):
        return None
    return {name: table[i].to_numpy() for i, name in enumerate(columns)}


def _days(table: dict[str, np.ndarray]) -> np.ndarray | None:
    """The dates of the rows, None where one of them is not in the calendar."""
    date = np.stack([table[name] for name in DATE])
    if not (np.isfinite(date) & (date == np.floor(date))).all():
        return None
    year, month, day = date.astype(np.int64)
    if ((month < 1) | (month > 12) | (day < 1) | (day > 31) | (year < 1000) | (year > 3000)).any():
        return None
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day - 1)
    return days if (days.astype("datetime64[M]") == first).all() else None


def _complete(days: np.ndarray) -> bool:
    return len(days) > 0 and bool((np.diff(days) == np.timedelta64(1, "D")).all())


def _plausible(table: dict[str, np.ndarray]) -> bool:
    """Whether all values are within physical bounds; NaN is not."""
    return all(
        VARIABLES[n].low <= table[n].min() and table[n].max() <= VARIABLES[n].high for n in UNITS
    )


# The header
# ---


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="ascii", errors="replace") as lines:
            header = [line.strip() for _, line in zip(range(HEADER_LINES), lines, strict=False)]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None
    if len(header) < HEADER_LINES:
        raise DataError(f"{path}:{len(header) + 1}: the file ends in its header; download it again")
    return header


def _area(path: Path, header: list[str]) -> float:
    """Catchment area, km2; line 3 holds it in m2."""
    try:
        area = float(header[2]) / 1e6
    except ValueError:
        area = np.nan
    if not 0 < area < np.inf:
        raise DataError(
            f"{path}:3: {header[2]!r} is not a catchment area in m2; download the file again"
        )
    return area


def _columns(path: Path, header: list[str]) -> list[str]:
    """Names of the columns in the file's order: by line 4, or by position where that line is cut
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
    if _is_cut_short(names):
        return list(COLUMNS)
    odd = next((name for name in names if name not in COLUMNS), names[-1])
    raise DataError(
        f"{path}:{HEADER_LINES}: unexpected column {odd!r}; a forcing file has {' '.join(COLUMNS)}"
    )


def _is_cut_short(names: list[str]) -> bool:
    """Whether the names are the beginning of `COLUMNS`, the last of them perhaps cut. Four stock
    Maurer files (02108000, 05120500, 07067000, 09492400) have such a header above whole data."""
    if not names:
        return True
    *whole, last = names
    return (
        len(names) <= len(COLUMNS)
        and tuple(whole) == COLUMNS[: len(whole)]
        and COLUMNS[len(whole)].startswith(last)
    )


# Line by line
# ---


def forcing_problems(path: Path) -> Iterator[str]:
    """Everything wrong with a forcing file, each as `path:line: what`."""
    try:
        header = _header(path)
        _area(path, header)
        columns = _columns(path, header)
        lines = _lines(path)
    except DataError as error:
        yield str(error)
        return
    last = None
    for at, row, day, problem in _rows(path, lines, columns, HEADER_LINES, most=len(columns)):
        if problem := problem or _step_problem(last, day):
            yield f"{at} {problem}"
        last = day
        yield from (
            f"{at} {out}"
            for name in UNITS
            if name in row and (out := _value_problem(name, row[name]))
        )


def streamflow_problems(path: Path) -> Iterator[str]:
    """Everything wrong with a streamflow file, each as `path:line: what`; missing days are no
    problem."""
    try:
        lines = _lines(path)
    except DataError as error:
        yield str(error)
        return
    last = None
    for at, _, day, problem in _rows(path, lines, FLOW_COLUMNS, 0, most=len(FLOW_COLUMNS) + 1):
        if problem := problem or _step_problem(last, day, gaps=True):
            yield f"{at} {problem}"
        last = day


def _rows(
    path: Path, lines: list[str], columns: Sequence[str], skip: int, *, most: int
) -> Iterator[tuple[str, dict[str, float], np.datetime64 | None, str]]:
    """Of each line where it is, its numbers, its day, and what is wrong with it (empty where
    nothing is)."""
    found = False
    for number, line in enumerate(lines[skip:], start=skip + 1):
        if not (fields := line.split()):
            continue
        found = True
        at = f"{path}:{number}:"
        row, problem = _numbers(columns, fields, most)
        days = None if problem else _days({name: np.array([row[name]]) for name in DATE})
        if not problem and days is None:
            problem = f"{' '.join(f'{row[name]:g}' for name in DATE)} is no date"
        yield at, row, None if days is None else days[0], problem
    if not found:
        yield f"{path}:{len(lines) + 1}:", {}, None, "the file holds no day"


def _numbers(
    columns: Sequence[str], fields: Sequence[str], most: int
) -> tuple[dict[str, float], str]:
    if not len(columns) <= len(fields) <= most:
        return {}, f"{len(fields)} fields instead of {len(columns)}, the line is cut or damaged"
    row = {}
    for name, field in zip(columns, fields, strict=False):
        try:
            row[name] = float(field)
        except ValueError:
            return {}, f"{name} is {field!r}, not a number"
    return row, ""


def _step_problem(
    last: np.datetime64 | None, day: np.datetime64 | None, *, gaps: bool = False
) -> str:
    """What is wrong with `day` after `last`; nothing where one of them could not be read."""
    step = 1 if last is None or day is None else int((day - last) / np.timedelta64(1, "D"))
    if step == 1 or (step > 1 and gaps):
        return ""
    if step == 0:
        return f"the date {day} appears twice"
    if step < 0:
        return f"the date {day} comes after {last}, dates are out of order"
    missing = f"{step - 1} dates are" if step > 2 else "1 date is"
    return f"{missing} missing between {last} and {day}, forcing must be complete"


def _value_problem(name: str, value: float) -> str:
    spec = VARIABLES[name]
    if spec.low <= value <= spec.high:
        return ""
    if np.isnan(value) or value in FLAGS:
        return f"{spec.long_name} ({name}) is missing ({value:g}), forcing must be complete"
    if value < 0 == spec.low:
        return f"negative {spec.long_name} ({name}): {value:g} {spec.units}"
    return (
        f"{spec.long_name} ({name}) is {value:g} {spec.units}, outside {spec.low:g} to"
        f" {spec.high:g}"
    )
