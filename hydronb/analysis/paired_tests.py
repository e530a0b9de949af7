"""The tests of Kratzert et al. (2019, Sect. 3): each trained model against all other models."""

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from hydronb.analysis.ensembles import ENSEMBLE
from hydronb.analysis.significance import cohens_d, paired, wilcoxon
from hydronb.metrics import METRICS


def paired_tests(scores: xr.Dataset, models: Sequence[str]) -> pd.DataFrame:
    """Every one of `models` against every other model, by every metric that both have, with pairs
    joined by basin.

    Parameters
    ----------
    scores
        Metrics over (model, member, basin), from `ensembles.join_models`.
    models
        Labels of the models that were trained.

    Returns
    -------
    pandas.DataFrame
        Columns `metric`, `model`, `other`, `kind` (`single`: scores averaged over seeds;
        `ensemble`: scores of the mean simulation, where the model has several seeds; a model
        without seeds has the same scores in both); `basins` in which both have a score; `p` of
        Wilcoxon's test and Cohen's `d`; `model_better`, `other_better`, the number of basins in
        which one is nearer to the score of a perfect simulation than the other.

    Raises
    ------
    DataError
        Two models have no basin in common.
    """
    others = [label for label in scores["model"].values.tolist() if label not in models]
    pairs = [(a, b) for k, a in enumerate(models) for b in [*models[k + 1 :], *others]]
    rows = []
    for name, values in scores.data_vars.items():
        values = values.dropna("model", how="all")
        kinds = {
            label: _by_kind(values.sel(model=label, drop=True)) for label in values["model"].values
        }
        perfect = METRICS[str(name)].perfect
        for model, other in pairs:
            if model not in kinds or other not in kinds:
                continue
            for kind, of_model in kinds[model].items():
                a, b = paired(of_model, kinds[other].get(kind, kinds[other]["single"]))
                nearer = (b - perfect).abs() - (a - perfect).abs()
                rows.append(
                    {
                        "metric": name,
                        "model": model,
                        "other": other,
                        "kind": kind,
                        "basins": len(a),
                        "p": wilcoxon(a, b),
                        "d": cohens_d(a, b),
                        "model_better": int((nearer > 0).sum()),
                        "other_better": int((nearer < 0).sum()),
                    }
                )
    columns = "metric model other kind basins p d model_better other_better".split()
    return pd.DataFrame(rows, columns=columns)


def _by_kind(values: xr.DataArray) -> dict[str, pd.Series]:
    """Scores by basin of one model: averaged over its seeds, and, of several, of its ensemble."""
    seeds = values.drop_sel(member=ENSEMBLE, errors="ignore").dropna("member", how="all")
    kinds = {"single": seeds.mean("member").to_series()}
    if seeds.sizes["member"] > 1 and ENSEMBLE in values["member"].values:
        kinds[ENSEMBLE] = values.sel(member=ENSEMBLE, drop=True).to_series()
    return kinds
