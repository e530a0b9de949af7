"""The series of many basins, one file after another: read for an opener that keeps them, or for a
report that keeps only their summary."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm.auto import tqdm

from hydronb.data.dataset import VARIABLES
from hydronb.data.problems import Reading, Report, attempt, counted


class Extent(NamedTuple):
    """What the files of several basins must have in common."""

    first: pd.Timestamp
    last: pd.Timestamp
    names: tuple[str, ...]
    """The variables."""

    @property
    def period(self) -> str:
        return f"{self.first.date()} to {self.last.date()}"


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
        series = yield from attempt(read, *paths)
        if series is not None:
            extents[basin] = Extent(series.index[0], series.index[-1], tuple(series))
            take(basin, series)
    return extents


class SeriesSummary:
    """Period, ranges and missing streamflow of many basins, none of which stays in memory."""

    def __init__(self) -> None:
        self._statistics: dict[str, pd.DataFrame] = {}

    def add(self, basin: str, series: pd.DataFrame) -> None:
        """Take in one basin's series, in the convention's names."""
        statistics = {n: getattr(series, n)() for n in ("min", "max", "sum", "count")}
        days = {"first": series.index[0], "last": series.index[-1], "days": len(series)}
        self._statistics[basin] = pd.DataFrame(statistics).assign(**days)

    def describe(self, report: Report) -> None:
        """Append the summary, one line per variable."""
        if not self._statistics:
            report.append("  no file could be read")
            return
        table = pd.concat(self._statistics, names=["basin", "variable"])
        same = len(table[["first", "last"]].drop_duplicates()) == 1
        report.append(
            f"  period: {table['first'].min().date()} to {table['last'].max().date()}"
            f"{'' if same else ', not the same in all basins'}"
        )
        for name, one in table[table["count"] > 0].groupby("variable", sort=False):
            units = VARIABLES[name].units if name in VARIABLES else "mm/d"
            report.append(
                f"  {name}: {one['min'].min():.6g} to {one['max'].max():.6g} {units}, mean"
                f" {one['sum'].sum() / one['count'].sum():.4g}"
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
