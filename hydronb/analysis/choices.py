"""Which basins, days and models to draw."""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from hydronb.analysis.benchmark import Group
from hydronb.analysis.ensembles import OBSERVED, SIMULATED
from hydronb.errors import DataError
from hydronb.metrics import nse
from hydronb.parameters import Period
from hydronb.runs.directory import TrainedRun
from hydronb.vocabulary import SYMBOLS


def best_median_worst(scored: pd.Series) -> dict[str, str]:
    """The basins with the best, the median (of two the lower) and the worst score, NaN left out.

    Raises
    ------
    DataError
        No basin has a score.
    """
    ordered = scored.dropna().sort_values(kind="stable")
    if ordered.empty:
        raise DataError(
            f"{scored.name} is undefined in every basin; the observation is missing or constant"
        )
    ids = ordered.index.astype(str)
    return {"best": ids[-1], "median": ids[(len(ids) - 1) // 2], "worst": ids[0]}


def near_median(scores: pd.Series, n: int) -> list[str]:
    """The `n` basins whose score is nearest to the median, as in Fig. 3 of Feng et al. (2022)."""
    distance = (scores - scores.median()).abs().dropna().sort_values(kind="stable")
    return distance.index[:n].astype(str).tolist()


def contrasting_basins(ds: xr.Dataset, run: TrainedRun) -> list[str]:
    """Among the better half of a run's basins (by NSE) the driest, the snowiest and the wettest.

    Dry and wet by mean precipitation over mean PET, snowy by the share of precipitation below 0
    degC.
    """
    simulated = run.simulation()
    scores = nse(sim=simulated[SIMULATED], obs=simulated[OBSERVED])
    days = ds.sel(basin=scores["basin"][scores >= scores.median()])
    prcp, pet = days["prcp"].mean("time"), days["pet"].mean("time")
    snow = days["prcp"].where(days["tmean"] < 0, 0).mean("time")
    chosen = ((prcp / pet).idxmin(), (snow / prcp).idxmax(), (prcp / pet).idxmax())
    return list(dict.fromkeys(str(basin.item()) for basin in chosen))


def days_shown(observed: xr.DataArray, period: Period | None) -> slice:
    """`period`, or the last two years of `observed`, as labels of its `time`.

    Raises
    ------
    DataError
        None of the period's days was simulated.
    """
    last = observed.indexes["time"][-1]
    start = period.start if period else last - pd.DateOffset(years=2) + pd.Timedelta("1D")
    days = slice(str(start), str(period.end if period else last))
    if not observed.sel(time=days).sizes["time"]:
        raise DataError(
            f"hydrograph_period {period} lies outside of what was simulated, "
            f"{observed.indexes['time'][0].date()} to {last.date()}"
        )
    return days


def most_detailed(groups: Sequence[Group]) -> Group:
    """The delta-HBV with the most dynamic parameters, then components, then epochs; the first of
    equals."""
    return max(
        groups,
        key=lambda group: (
            group.parameters["model"] == "delta_hbv",
            len(group.parameters["dynamic"]),
            group.parameters["components"],
            group.parameters["epochs"],
        ),
    )


def fewest_dynamic(groups: Sequence[Group]) -> dict[str, Group]:
    """For each dynamic parameter the group to show it of: of those that have it, the one with the
    fewest dynamic parameters, then with the most components. Beta and gamma first.

    Raises
    ------
    DataError
        No run has a dynamic parameter.
    """
    hbvs = [g for g in groups if g.parameters["model"] == "delta_hbv"]
    names = {n for g in hbvs for n in g.parameters["dynamic"]}
    if not names:
        raise DataError(
            "none of the runs has a dynamic parameter; give runs with dynamic: [BETA], [BETAET] or"
            " both"
        )
    by_order = sorted(
        hbvs, key=lambda g: (len(g.parameters["dynamic"]), -g.parameters["components"])
    )
    return {
        n: next(g for g in by_order if n in g.parameters["dynamic"])
        for n in sorted(names, key=lambda n: (n not in SYMBOLS, n))
    }
