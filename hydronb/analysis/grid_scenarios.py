"""The scenarios of Li et al. (2023), gridded basins x models x targets: their scores, in the layout
of the paper's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from scipy.stats import t

from hydronb import metrics
from hydronb.analysis.benchmark import Group, with_distinctions
from hydronb.analysis.ensembles import OBSERVED, SIMULATED
from hydronb.analysis.published import LI_BASINS, paper_river, read_published
from hydronb.data.scaling import select_period
from hydronb.errors import DataError
from hydronb.parameters import Period
from hydronb.runs.directory import TrainedRun
from hydronb.vocabulary import SOURCES, model_label

LI_MODELS = ("LSTM", "CNN-LSTM", "LSTM MT", "CNN-LSTM MT")
"""In the order of Tables 3 and 4; MT learns streamflow and evaporation together."""
LI_TABLES = {"streamflow": "li2023_table3", "et": "li2023_table4"}
LI_COLUMNS = {
    "nse": "nse",
    "r": "r",
    "alpha": "alpha_nse",
    "beta": "beta_nse",
    "bpv": "bpv",
    "bmv": "bmv",
    "blv": "blv",
}
"""Metric of each column of Tables 3 and 4."""


def scenario_label(parameters: Mapping[str, Any]) -> str:
    """The model as the paper's tables call it.

    >>> scenario_label({"model": "mean_lstm", "targets": ["streamflow", "et"]})
    'LSTM MT'
    """
    return model_label(parameters) + (" MT" if len(parameters["targets"]) > 1 else "")


def basin_label(data: Mapping[str, Any]) -> str:
    """The name of a run's data: the paper's river if a file is called so, else the file; of
    synthetic grids shape (or whose shape it is) and seed.

    >>> basin_label({"kind": "synthetic", "preset": "yellow", "shape": [16, 16], "seed": 3})
    'synthetic Yellow, seed 3'
    """
    if data.get("path"):
        return paper_river(data) or Path(data["path"]).stem
    if "shape" not in data:
        return SOURCES[data["kind"]].label
    shape = "{} x {}".format(*data["shape"])
    return f"{'synthetic ' + data['preset'].capitalize() if data['preset'] else shape}, seed " + (
        str(data["seed"])
    )


def name_scenarios(runs: Sequence[TrainedRun]) -> pd.DataFrame:
    """Basin, model, targets, seed of each run, and its label made of the first three; basin and
    model include what else tells data, or runs on the same data, apart.

    Raises
    ------
    DataError
        Two runs are alike in all of it.
    """
    settings = [{k: v for k, v in r.parameters.items() if k != "data"} for r in runs]
    # what is kept of the hidden truth makes no other basin
    data = [{k: v for k, v in r.parameters["data"].items() if k != "cells"} for r in runs]
    names = [basin_label(d) for d in data]
    frame = pd.DataFrame(
        {
            "basin": with_distinctions(names, names, data),
            "model": [scenario_label(p) for p in settings],
            "targets": [tuple(p["targets"]) for p in settings],
            "seed": [p["seed"] for p in settings],
        }
    )
    keys = list(frame.drop(columns="seed").itertuples(index=False, name=None))
    frame["model"] = with_distinctions(frame["model"].tolist(), keys, settings)
    frame["label"] = [
        f"{row.basin}, {row.model} ({' + '.join(row.targets)})" for row in frame.itertuples()
    ]
    if (twice := frame.assign(fold=[p.get("fold") for p in settings]).duplicated()).any():
        row = frame[twice].iloc[0]
        raise DataError(
            f"two runs of {row['model']} in {row['basin']} have the seed {row['seed']}; give each"
            " run once"
        )
    return frame


def group_scenarios(runs: Sequence[TrainedRun]) -> list[Group]:
    """Runs that differ in their seed alone, by the labels of `name_scenarios`."""
    frame = name_scenarios(runs).assign(run=list(runs)).sort_values("seed", kind="stable")
    return [Group(label, tuple(part["run"])) for label, part in frame.groupby("label", sort=False)]


def score_scenarios(runs: Sequence[TrainedRun]) -> pd.DataFrame:
    """The paper's seven metrics of every run and target in its test period.

    Returns
    -------
    pandas.DataFrame
        Columns `basin`, `model`, `target`, `seed`, `days` (observed), `LI_COLUMNS`, and
        `undefined`: why there is no score, empty where there is one.
    """
    rows = []
    for run, scenario in zip(runs, name_scenarios(runs).to_dict("records"), strict=True):
        for target in scenario.pop("targets"):
            ds = run.simulation(target)
            sim, obs = ds[SIMULATED], ds[OBSERVED]
            rows.append(
                {
                    **scenario,
                    "target": target,
                    "days": int(obs.count()),
                    **{
                        column: metrics.METRICS[name](sim=sim, obs=obs).item()
                        for column, name in LI_COLUMNS.items()
                    },
                    "undefined": metrics.why_undefined(sim=sim, obs=obs).item(0),
                }
            )
    return pd.DataFrame(
        rows, columns=["basin", "model", "target", "seed", "days", *LI_COLUMNS, "undefined"]
    )


def scenario_table(scores: pd.DataFrame, target: str) -> pd.DataFrame:
    """The layout of Table 3 (streamflow) or 4 (evaporation): the mean over seeds of each metric,
    its deviation (ddof 1, none of one seed) as `_std`, the number of seeds, and the published
    numbers as `paper_*` where basin and model are the paper's.

    Index (basin, model), in the paper's order.
    """
    of_target = scores[scores["target"] == target]
    grouped = of_target.groupby(["basin", "model"], sort=False)[list(LI_COLUMNS)]
    published = read_published(LI_TABLES[target]).set_index(["basin", "model"])[list(LI_COLUMNS)]
    return (
        grouped.mean()
        .join(grouped.std().add_suffix("_std"))
        .assign(seeds=grouped.size())
        .join(published.add_prefix("paper_"))
        .sort_index(key=_paper_order)
    )


def _paper_order(level: pd.Index) -> pd.Index:
    names = dict.fromkeys([*LI_BASINS, *LI_MODELS, *sorted(set(level))])
    return level.map({name: place for place, name in enumerate(names)})


def readable_scenarios(table: pd.DataFrame) -> pd.DataFrame:
    """`scenario_table` as text: our numbers with their deviation over seeds, and the published ones
    where there are any."""
    text, one_seed = table.map("{:.2f}".format), table["seeds"] == 1
    here = {
        ("here", name): text[name].where(one_seed, text[name] + " ± " + text[f"{name}_std"])
        for name in LI_COLUMNS
    }
    paper = {("paper", name): text[f"paper_{name}"].replace("nan", "-") for name in LI_COLUMNS}
    return pd.DataFrame(here | paper if table["paper_nse"].notna().any() else here)


def headroom(ds: xr.Dataset, period: Period) -> pd.DataFrame:
    """How much a grid can add at most: of a synthetic grid, the NSE of the hidden truth and of the
    same truth under the basin's mean forcing, against what is measured in `period`.

    Returns
    -------
    pandas.DataFrame
        Columns `truth`, `lumped`, `headroom` (`truth` minus `lumped`), index `target`; no row for
        a grid whose truth is not known.
    """
    days = select_period(ds, period)
    targets = [name for name in LI_TABLES if f"lumped_{name}" in days]
    nse = {
        kind: [float(metrics.nse(sim=days[f"{prefix}_{n}"], obs=days[n])) for n in targets]
        for kind, prefix in (("truth", "true"), ("lumped", "lumped"))
    }
    frame = pd.DataFrame(nse, index=pd.Index(targets, name="target"))
    return frame.assign(headroom=frame["truth"] - frame["lumped"])


def scenario_effects(scores: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """What the grid and what the second target change, seed by seed.

    Returns
    -------
    pandas.DataFrame
        Columns: `target`; `effect`, `grid` (CNN-LSTM minus LSTM) or `multi-task` (MT minus
        single-task); `basin`; `of`, the pair of models; the mean difference in NSE, |beta| and
        |bpv| over the seeds that both have, the ends `_low` and `_high` of its interval over seeds
        (Student's t with the deviation of a mean, none of one seed), and `seeds`. An |.| below zero
        is a smaller bias.
    """
    scores = scores.assign(abs_beta=scores["beta"].abs(), abs_bpv=scores["bpv"].abs())
    names = ["nse", "abs_beta", "abs_bpv"]
    pairs = {
        ("CNN-LSTM", "LSTM"): "grid",
        ("CNN-LSTM MT", "LSTM MT"): "grid",
        ("LSTM MT", "LSTM"): "multi-task",
        ("CNN-LSTM MT", "CNN-LSTM"): "multi-task",
    }
    rows = []
    for (target, basin), part in scores.groupby(["target", "basin"], sort=False):
        by_model = {model: p.set_index("seed")[names] for model, p in part.groupby("model")}
        for (one, other), effect in pairs.items():
            if one in by_model and other in by_model:
                change = (by_model[one] - by_model[other]).dropna(how="all")
                half = change.sem() * t.ppf((1 + level) / 2, max(len(change) - 1, 1))
                rows.append(
                    {
                        "target": target,
                        "effect": effect,
                        "basin": basin,
                        "of": f"{one} minus {other}",
                        **change.mean(),
                        **(change.mean() - half).add_suffix("_low"),
                        **(change.mean() + half).add_suffix("_high"),
                        "seeds": len(change),
                    }
                )
    ends = [f"{name}_{end}" for name in names for end in ("low", "high")]
    return pd.DataFrame(rows, columns=["target", "effect", "basin", "of", *names, *ends, "seeds"])


def mean_over_seeds(runs: Sequence[TrainedRun], target: str) -> dict[str, dict[str, xr.Dataset]]:
    """By basin and model label, `streamflow` (the target, mean over seeds) and `streamflow_obs`
    over time."""
    frame = name_scenarios(runs).assign(run=list(runs))
    frame = frame[[target in targets for targets in frame["targets"]]]
    how = {"join": "inner", "coords": "minimal", "compat": "override"}
    means: dict[str, dict[str, xr.Dataset]] = {}
    for (basin, model), part in frame.groupby(["basin", "model"], sort=False):
        members = [run.simulation(target).isel(basin=0, drop=True) for run in part["run"]]
        means.setdefault(basin, {})[model] = xr.concat(members, "seed", **how).mean(
            "seed", keep_attrs=True
        )
    return means
