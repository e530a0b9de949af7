"""Which settings are best, by basins or years that were left out of the training, never by the test
period.

Kratzert et al. (2019, doi:10.5194/hess-23-5089-2019), Appendix B: a grid of settings, each trained
on three of four folds of the basins and scored by the median NSE of the fourth, all in the
calibration period.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hydronb.analysis.benchmark import NOT_THE_MODEL, Group, setting_key
from hydronb.analysis.ensembles import ENSEMBLE, bootstrap_members, score_members
from hydronb.analysis.significance import DRAWS, interval
from hydronb.data.climate import water_year
from hydronb.errors import DataError, ParameterError


def varied_settings(groups: Sequence[Group]) -> list[str]:
    """The parameters in which the groups differ."""
    return [
        name
        for name in groups[0].parameters
        if name not in NOT_THE_MODEL
        and len({setting_key(group.parameters.get(name)) for group in groups}) > 1
    ]


def rank_settings(groups: Sequence[Group], *, draws: int = DRAWS) -> pd.DataFrame:
    """The settings of a search, best first.

    If the runs have folds, `score` is the median over all basins of the NSE that each has where it
    is left out; otherwise the median NSE of their validation period. Both are means over seeds.

    Returns
    -------
    pandas.DataFrame
        Index `settings` (the label); one column for each setting that varies; `score`, `score_std`
        (over seeds, ddof 0), `seeds`, `basins`, `minutes` of training in all, and, with folds and
        two years or more, `behind`: the score of the best minus this score, with its interval over
        water years `behind_low`, `behind_high`. If that holds zero, the data do not tell the two
        apart.

    Raises
    ------
    DataError
        Fewer than two settings, only some with folds, folds that do not hold the same basins, or no
        validation score.
    ParameterError
        Folds that are scored outside of the training period: those years are for the test.
    """
    if len(groups) < 2:
        raise DataError(
            "a search compares two settings or more; give runs that differ in a setting"
        )
    with_folds = {bool(g.parameters.get("folds")) for g in groups}
    if len(with_folds) > 1:
        raise DataError("some runs leave out folds of basins and others do not; rank them apart")
    scores = (
        _by_folds(groups, draws)
        if with_folds == {True}
        else {group.label: _by_validation(group) for group in groups}
    )
    names = varied_settings(groups)
    rows = {
        group.label: {
            **{name: setting_key(group.parameters.get(name)) for name in names},
            **scores[group.label],
            "minutes": sum(run.progress()["seconds"].iloc[-1] for run in group.runs) / 60,
        }
        for group in groups
    }
    return (
        pd.DataFrame.from_dict(rows, orient="index")
        .rename_axis("settings")
        .sort_values("score", ascending=False, kind="stable")
    )


def _by_folds(groups: Sequence[Group], draws: int) -> dict[str, dict[str, Any]]:
    scores, drawn, basins = {}, {}, None
    for group in groups:
        trained, scored = (group.parameters[name] for name in ("train_period", "test_period"))
        if scored["start"] < trained["start"] or scored["end"] > trained["end"]:
            raise ParameterError(
                f"{group.label}: its folds are scored in {scored['start']} to {scored['end']},"
                " outside of the train_period: settings chosen there have seen the test; simulate"
                " the folds within it"
            )
        members = group.members()
        of_group = sorted(map(str, members["basin"].values))
        basins = basins or of_group
        if of_group != basins:
            raise DataError(
                f"{group.label}: its folds hold {len(of_group)} basins, others other"
                f" {len(basins)}; train all folds of all settings on the same data"
            )
        nse = score_members(members, ["nse"])["nse"].drop_sel(member=ENSEMBLE).median("basin")
        scores[group.label] = {
            "score": float(nse.mean()),
            "score_std": float(nse.std()),
            "seeds": len(group.seeds),
            "basins": len(basins),
        }
        if len(set(water_year(members["time"]).values)) > 1:
            nse = bootstrap_members(members, draws=draws)["nse"].drop_sel(member=ENSEMBLE)
            drawn[group.label] = nse.median("basin").mean("member")
    if len(drawn) == len(scores):
        best = max(scores, key=lambda label: scores[label]["score"])
        for label, score in scores.items():
            low, high = interval(drawn[best] - drawn[label])
            score["behind"] = scores[best]["score"] - score["score"]
            score |= {"behind_low": float(low), "behind_high": float(high)}
    return scores


def _by_validation(group: Group) -> dict[str, Any]:
    scores = []
    for run in group.runs:
        valid = run.progress()["valid"].dropna()
        if valid.empty:
            raise DataError(
                f"{run.path} has neither folds nor a validation_period, so there is nothing to"
                " choose by"
            )
        scores.append(valid.max() if run.parameters.get("patience") else valid.iloc[-1])
    return {"score": np.mean(scores), "score_std": np.std(scores), "seeds": len(group.seeds)}
