"""Seeds and models as dimensions: ensembles, and the tables over them.

Scores are held in one Dataset, one variable per metric over (model, member, basin): `model` is a
configuration, `member` a seed as text, or `ensemble` for the score of the members' mean simulation.
They are NaN where a model lacks a member.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from hydronb.analysis.significance import DRAWS, bootstrap_years, interval
from hydronb.errors import DataError
from hydronb.metrics import METRICS

ENSEMBLE = "ensemble"
SIMULATED, OBSERVED = "streamflow", "streamflow_obs"
TABLE2 = {"nse": ("mean", "median", "failures")}
"""Statistics over basins in Table 2 of Kratzert et al. (2019)."""
OVER_BASINS = {
    "mean": lambda score: score.mean("basin"),
    "median": lambda score: score.median("basin"),
    "failures": lambda score: (score <= 0).sum("basin"),
}
KINDS = ("single", ENSEMBLE)
COUNTS = ("members", "basins", "undefined")
"""Columns of a table that count."""


def as_members(simulation: xr.DataArray, obs: xr.DataArray) -> xr.Dataset:
    """A simulation (basin, time) without seeds, such as a baseline, in the form of a group's
    members."""
    return xr.Dataset({SIMULATED: simulation.expand_dims(seed=["single"]), OBSERVED: obs})


def _join(parts: Mapping[str, xr.Dataset | xr.DataArray], dim: str) -> xr.Dataset | xr.DataArray:
    """The parts along the new dimension `dim`, by label; NaN where one lacks what others have."""
    return xr.concat(
        list(parts.values()), dim, join="outer", coords="minimal", compat="override"
    ).assign_coords({dim: list(parts)})


def mean_simulation(members: xr.Dataset) -> xr.DataArray:
    """The mean simulation over `seed`, day by day, without the seeds that a model lacks."""
    return members[SIMULATED].mean("seed", keep_attrs=True)


def _with_mean(members: xr.Dataset, score: Callable[[xr.DataArray], xr.Dataset]) -> xr.Dataset:
    """`score` of each seed's simulation and of their mean (`ensemble`), over `member`; one at a
    time to keep the memory low."""
    scores = {
        str(seed): score(members[SIMULATED].sel(seed=seed, drop=True))
        for seed in members["seed"].values
    }
    scores[ENSEMBLE] = score(mean_simulation(members))
    return _join(scores, "member").transpose("member", ..., "basin")


def score_members(members: xr.Dataset, metrics: Sequence[str]) -> xr.Dataset:
    """Metrics of every seed and of the mean simulation.

    Parameters
    ----------
    members
        `streamflow` over `seed`, `basin`, `time`, optionally `model`; `streamflow_obs` over `basin`
        and `time`.

    Returns
    -------
    xarray.Dataset
        One variable per metric, over `member` (each seed as text, and `ensemble`), `basin` and
        `model` if it is there.

    Raises
    ------
    ParameterError
        An unknown metric.
    """
    return _with_mean(
        members,
        lambda sim: xr.Dataset({n: METRICS[n](sim=sim, obs=members[OBSERVED]) for n in metrics}),
    )


def bootstrap_members(members: xr.Dataset, *, draws: int = DRAWS, seed: int = 0) -> xr.Dataset:
    """NSE and KGE in draws of water years (`bootstrap_years`), over member, draw and basin."""
    return _with_mean(
        members, lambda sim: bootstrap_years(sim, members[OBSERVED], draws=draws, seed=seed)
    )


def join_models(scores: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Scores (or draws) of several models in one, over `model`; a member that a model lacks is NaN.

    Raises
    ------
    DataError
        No model.
    """
    if not scores:
        raise DataError("no model to compare; give the run directories of trained models")
    return _join(scores, "model")


def summary(
    scores: xr.Dataset,
    statistics: Mapping[str, Sequence[str]] = TABLE2,
    draws: xr.Dataset | None = None,
) -> pd.DataFrame:
    """Tables 2 and 3 of Kratzert et al. (2019), from the scores of every basin.

    A statistic over basins is taken of each seed; `single` is the mean of these over seeds, with
    their standard deviation (ddof 0), `ensemble` the statistic of the mean simulation's scores.
    Failures are basins with NSE <= 0. A basin without a score is left out of that metric alone.

    Parameters
    ----------
    scores
        Over (model, member, basin); without `model`, one model; without `member`, a model with one
        row (kind `single`).
    statistics
        `TABLE2` or `table3_statistics()`, or for each metric which of mean, median, failures.
        Metrics that are not in `scores` are passed over.
    draws
        The same scores in draws of water years, over `draw` as well (`bootstrap_members`): each
        statistic of a metric that is in it gets its interval.

    Returns
    -------
    pandas.DataFrame
        Index (model, kind), columns `METRIC_STATISTIC` (for failures `failures`), each with `_std`
        and, given draws, `_low` and `_high`; `members`; `basins` with a score; and `undefined`, the
        largest number of basins that have a score but lack one of the metrics.

    Raises
    ------
    DataError
        No basin, no member, or none of the metrics.
    """
    for dim in ("model", "member"):
        scores = scores if dim in scores.dims else scores.expand_dims({dim: [f"the {dim}"]})
    if empty := [dim for dim in ("model", "member", "basin") if not scores.sizes.get(dim)]:
        raise DataError(f"a table of scores needs one {empty[0]} or more, and there is none")
    chosen = {name: of_metric for name, of_metric in statistics.items() if name in scores}
    if not chosen:
        raise DataError(
            f"none of {', '.join(statistics)} is among the scores,"
            f" {', '.join(map(str, scores.data_vars))}"
        )
    valid = scores[[*chosen]].notnull().to_dataarray("metric")
    scored = valid.any(["metric", "basin"])
    n_seeds = _seeds(scored).sum("member")
    over = _over_basins(scores, chosen).where(scored)
    columns = dict(_kinds(over, n_seeds).data_vars)
    columns |= {
        f"{name}_std": values.where(n_seeds > 1).expand_dims(kind=["single"])
        for name, values in _seeds(over).std("member").items()
    }
    if draws is not None:
        drawn = _over_basins(draws, {n: s for n, s in chosen.items() if n in draws})
        columns |= {
            f"{name}_{bound['bound'].item()}": bound.drop_vars("bound")
            for name, values in _kinds(drawn.where(scored), n_seeds).items()
            for bound in interval(values).transpose("bound", ...)
        }
    counts = valid.any("metric").sum("basin")
    columns |= {
        "members": n_seeds,
        "basins": counts.max("member"),
        "undefined": (counts - valid.sum("basin").min("metric")).max("member"),
    }
    frame = (
        xr.Dataset(columns)
        .to_dataframe(dim_order=["model", "kind"])
        .dropna(how="all", subset=list(over.data_vars))
    )
    order = [(m, k) for m in scores["model"].values for k in KINDS if (m, k) in frame.index]
    ordered = [c for n in over for c in (n, f"{n}_std", f"{n}_low", f"{n}_high") if c in frame]
    return frame.loc[order, [*ordered, *COUNTS]].astype(dict.fromkeys(COUNTS, int))


def _over_basins(scores: xr.Dataset, statistics: Mapping[str, Sequence[str]]) -> xr.Dataset:
    return xr.Dataset(
        {
            what if what == "failures" else f"{name}_{what}": OVER_BASINS[what](scores[name])
            for name, of_metric in statistics.items()
            for what in of_metric
        }
    )


def _seeds(table: xr.Dataset | xr.DataArray) -> xr.Dataset | xr.DataArray:
    return table.drop_sel(member=ENSEMBLE, errors="ignore")


def _kinds(table: xr.Dataset, n_seeds: xr.DataArray) -> xr.Dataset:
    """`member` replaced by `kind`: the mean over seeds, and the ensemble unless there is just one
    seed."""
    kinds = {"single": _seeds(table).mean("member")}
    if ENSEMBLE in table["member"].values:
        kinds[ENSEMBLE] = table.sel(member=ENSEMBLE, drop=True).where(n_seeds != 1)
    return _join(kinds, "kind")


def table3_statistics() -> dict[str, Sequence[str]]:
    """Statistics over basins in its Table 3: those of Table 2, and the median of every other
    metric."""
    return TABLE2 | {name: ("median",) for name in METRICS if name != "nse"}


def common_basins(scores: xr.Dataset, metric: str = "nse") -> list[str]:
    """The basins in which every model has a score, by any member: the subset on which models are
    compared.

    Raises
    ------
    DataError
        There is no such basin.
    """
    scored = scores[metric].notnull()
    by_any = scored.any("member") if "member" in scored.dims else scored
    basins = scores["basin"].values[by_any.all("model").values].tolist()
    if not basins:
        raise DataError(
            f"no basin has the score {metric} of all models"
            f" {', '.join(map(str, scores['model'].values))}; compare models of the same basins"
        )
    return basins


HEADINGS = {
    "nse_mean": "NSE mean",
    "nse_median": "NSE median",
    "failures": "NSE \u2264 0",
    "alpha_nse_median": "alpha",
    "beta_nse_median": "beta",
}


def readable_summary(table: pd.DataFrame) -> pd.DataFrame:
    """`summary` as text: `0.712 \u00b1 0.005 (0.68 to 0.74)`, with the deviation over seeds and
    the interval over years."""
    names = [c for c in table if c not in COUNTS and not c.endswith(("_std", "_low", "_high"))]
    text, none = {}, pd.Series(np.nan, table.index)
    for name in names:
        metric = METRICS[name.rpartition("_")[0] or "nse"]
        heading = HEADINGS.get(name, metric.label + " mean" * name.endswith("_mean"))
        digits = 1 if name == "failures" or metric.units == "%" else 3
        std, low, high = (table.get(f"{name}_{part}", none) for part in ("std", "low", "high"))
        text[heading] = [
            _cell(*row, digits) for row in zip(table[name], std, low, high, strict=True)
        ]
    text |= {"seeds": table["members"].map(str), "basins": table["basins"].map(str)}
    return pd.DataFrame(text, index=table.index)


def _cell(value: float, std: float, low: float, high: float, digits: int) -> str:
    if pd.isna(value):
        return "-"
    text = f"{value:.{digits}f}" + ("" if pd.isna(std) else f" \u00b1 {std:.{digits}f}")
    return text + (
        "" if pd.isna(low) else f" ({low:.{max(digits - 1, 0)}f} to {high:.{max(digits - 1, 0)}f})"
    )
