"""Which settings are best, by basins or years that were left out of the training, never by the test
period.

Kratzert et al. (2019, doi:10.5194/hess-23-5089-2019), Appendix B: a grid of settings, each trained
on three of four folds of the basins and scored by the median NSE of the fourth, all in the
calibration period.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hydronb.analysis import ensembles, significance
from hydronb.analysis.benchmark import NOT_THE_MODEL, Group
from hydronb.errors import DataError, ParameterError
from hydronb.signatures import water_year


def varied(groups: Sequence[Group]) -> list[str]:
    """The parameters in which the groups differ."""
    names = [name for name in groups[0].parameters if name not in NOT_THE_MODEL]
    return [name for name in names if len({_plain(g.parameters.get(name)) for g in groups}) > 1]


def rank(groups: Sequence[Group], *, draws: int = significance.DRAWS) -> pd.DataFrame:
    """The settings of a search, best first.

    Where the runs have folds, `score` is the median over all basins of the NSE that each has where
    it is left out; where they have none, the median NSE of their validation period. Both are means
    over seeds.

    Returns
    -------
    pandas.DataFrame
        Index `settings` (the label); a column for each setting that varies; `score`, `score_std`
        (over seeds, ddof 0), `seeds`, `basins`, `minutes` of training in all, and, with folds and
        two years or more, `behind`: how far the settings are behind the best, with its interval
        over water years `behind_low`, `behind_high`. Where that holds zero, the data do not tell
        the two apart.

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
    rows = (
        _by_folds(groups, draws)
        if with_folds == {True}
        else {g.label: _by_validation(g) for g in groups}
    )
    settings = {g.label: {n: _plain(g.parameters.get(n)) for n in varied(groups)} for g in groups}
    cost = {
        g.label: {"minutes": sum(r.progress()["seconds"].iloc[-1] for r in g.runs) / 60}
        for g in groups
    }
    made = {label: settings[label] | rows[label] | cost[label] for label in rows}
    frame = pd.DataFrame.from_dict(made, orient="index")
    return frame.rename_axis("settings").sort_values("score", ascending=False, kind="stable")


def _by_folds(groups: Sequence[Group], draws: int) -> dict[str, dict[str, Any]]:
    scores, resampled, basins = {}, {}, None
    for group in groups:
        _not_the_test(group)
        members = group.members()
        here = sorted(map(str, members["basin"].values))
        if basins not in (None, here):
            raise DataError(
                f"{group.label}: its folds hold {len(here)} basins, others other {len(basins)};"
                " train all folds of all settings on the same data"
            )
        basins = here
        nse = (
            ensembles.score(members, ["nse"])["nse"]
            .drop_sel(member=ensembles.ENSEMBLE)
            .median("basin")
        )
        scores[group.label] = {
            "score": float(nse.mean()),
            "score_std": float(nse.std()),
            "seeds": len(group.seeds),
            "basins": len(here),
        }
        if len(set(water_year(members["time"]).values)) > 1:
            drawn = ensembles.bootstrap(members, draws=draws)["nse"].drop_sel(
                member=ensembles.ENSEMBLE
            )
            resampled[group.label] = drawn.median("basin").mean("member")
    if len(resampled) == len(scores):
        best = max(scores, key=lambda label: scores[label]["score"])
        for label, drawn in resampled.items():
            bounds = significance.interval(resampled[best] - drawn)
            scores[label]["behind"] = scores[best]["score"] - scores[label]["score"]
            scores[label] |= {
                f"behind_{bound}": float(bounds.sel(bound=bound)) for bound in ("low", "high")
            }
    return scores


def _not_the_test(group: Group) -> None:
    trained, scored = (group.parameters[name] for name in ("train_period", "test_period"))
    if scored["start"] < trained["start"] or scored["end"] > trained["end"]:
        raise ParameterError(
            f"{group.label}: its folds are scored in {scored['start']} to {scored['end']}, outside"
            " of the train_period: settings chosen there have seen the test; simulate the folds"
            " within it"
        )


def _by_validation(group: Group) -> dict[str, Any]:
    valid = []
    for run in group.runs:
        scores = run.progress()["valid"].dropna()
        if scores.empty:
            raise DataError(
                f"{run.path} has neither folds nor a validation_period, so there is nothing to"
                " choose by"
            )
        valid.append(scores.max() if run.parameters.get("patience") else scores.iloc[-1])
    scores = pd.Series(valid)
    return {"score": scores.mean(), "score_std": scores.std(ddof=0), "seeds": len(group.seeds)}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
