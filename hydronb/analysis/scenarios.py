"""The scenarios of Li et al. (2023), basins x models x targets: their scores, and the layout of the
paper's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hydronb import metrics
from hydronb.analysis.benchmark import OBSERVED, SIMULATED, model_label, read_published
from hydronb.errors import DataError
from hydronb.runs.directory import TrainedRun

MODELS = ("LSTM", "CNN-LSTM", "LSTM MT", "CNN-LSTM MT")
"""In the order of Tables 3 and 4; MT learns streamflow and evaporation together."""
METRICS = {
    "nse": "nse",
    "r": "r",
    "alpha": "alpha_nse",
    "beta": "beta_nse",
    "bpv": "bpv",
    "bmv": "bmv",
    "blv": "blv",
}
"""The paper's names, and ours."""
TABLES = {"streamflow": "li2023_table3", "et": "li2023_table4"}
PUBLISHED_BASINS = ("Yellow", "Yangtze", "Lancang")
TELLING = (
    "static",
    "hidden",
    "layers",
    "sequence_length",
    "predict_last",
    "epochs",
    "learning_rate",
    "weight_decay",
)
"""Parameters that tell scenarios apart where basin, model and targets do not; others may differ as
well."""


def scenario_label(parameters: Mapping[str, Any]) -> str:
    """The model as the paper's tables call it.

    >>> scenario_label({"model": "mean_lstm", "targets": ["streamflow", "et"]})
    'LSTM MT'
    """
    return model_label(parameters) + (" MT" if len(parameters["targets"]) > 1 else "")


def basin_label(data: Mapping[str, Any]) -> str:
    """A gridded catchment's name: one of the paper's where preset or file is called so, else the
    file's or the shape.

    >>> basin_label({"kind": "synthetic", "preset": None, "shape": [16, 20], "seed": 3})
    '16 x 20, seed 3'
    """
    if data.get("kind") == "file":
        stem = Path(data["path"]).stem
        return next((name for name in PUBLISHED_BASINS if name.lower() in stem.lower()), stem)
    if data.get("preset"):
        return str(data["preset"]).capitalize()
    return f"{data['shape'][0]} x {data['shape'][1]}, seed {data['seed']}"


def name_scenarios(runs: Sequence[TrainedRun]) -> pd.DataFrame:
    """Basin, model, targets and seed of each run; the model's label takes on what else tells runs
    apart.

    Raises
    ------
    DataError
        Two runs are alike in all of it.
    """
    rows = [
        {
            "basin": basin_label(r.parameters["data"]),
            "model": scenario_label(r.parameters),
            "targets": tuple(r.parameters["targets"]),
            "seed": r.parameters["seed"],
        }
        for r in runs
    ]
    frame = pd.DataFrame(rows)
    for _, like in frame.groupby(["basin", "model", "targets"], sort=False):
        differ = [n for n in TELLING if len({str(runs[i].parameters[n]) for i in like.index}) > 1]
        for i in like.index:
            extra = [f"{n} {runs[i].parameters[n]}" for n in differ]
            frame.loc[i, "model"] = ", ".join([frame.loc[i, "model"], *extra])
    if (twice := frame.duplicated(["basin", "model", "targets", "seed"])).any():
        row = frame[twice].iloc[0]
        raise DataError(
            f"two runs of {row['model']} in {row['basin']} have the seed {row['seed']}; give each"
            " run once"
        )
    return frame


def score_scenarios(runs: Sequence[TrainedRun]) -> pd.DataFrame:
    """The paper's seven metrics of every run and target in its test period.

    Returns
    -------
    pandas.DataFrame
        Columns `basin`, `model`, `target`, `seed`, `days` (observed), `METRICS`, and `undefined`:
        why there is no score, empty where there is one.
    """
    rows = []
    for run, named in zip(runs, name_scenarios(runs).to_dict("records"), strict=True):
        for target in named.pop("targets"):
            ds = run.simulation(target)
            sim, obs = ds[SIMULATED], ds[OBSERVED]
            made = metrics.table(sim, obs, list(METRICS.values())).iloc[0]
            scores = {ours: made[name] for ours, name in METRICS.items()}
            why = metrics.why_undefined(sim=sim, obs=obs).item(0)
            rows.append(
                {**named, "target": target, "days": int(obs.count()), **scores, "undefined": why}
            )
    return pd.DataFrame(rows)[["basin", "model", "target", "seed", "days", *METRICS, "undefined"]]


def table(scores: pd.DataFrame, target: str) -> pd.DataFrame:
    """The layout of Table 3 (streamflow) or 4 (evaporation): the mean over seeds of each metric,
    its deviation (ddof 0) as `_std`, the number of seeds, and the published numbers as `paper_*`
    where basin and model are the paper's.

    Index (basin, model), in the paper's order.
    """
    of_target = scores[scores["target"] == target]
    grouped = of_target.groupby(["basin", "model"], sort=False)[list(METRICS)]
    deviation = grouped.std(ddof=0).add_suffix("_std")
    made = grouped.mean().join(deviation).assign(seeds=grouped.size())
    published = read_published(TABLES[target]).set_index(["basin", "model"])[list(METRICS)]
    return made.join(published.add_prefix("paper_")).sort_index(key=_paper_order)


def _paper_order(level: pd.Index) -> pd.Index:
    known = [*PUBLISHED_BASINS, *MODELS]
    order = {name: k for k, name in enumerate([*known, *sorted(set(level) - set(known))])}
    return level.map(order)


def readable(made: pd.DataFrame) -> pd.DataFrame:
    """`table` to be read: our numbers with their deviation over seeds, the published ones beside
    them."""
    text = {}
    for name in METRICS:
        several = made["seeds"] > 1
        ours = made[name].map("{:.2f}".format)
        text["here", name] = ours.where(
            ~several, ours + " ± " + made[f"{name}_std"].map("{:.2f}".format)
        )
    for name in METRICS:
        text["paper", name] = made[f"paper_{name}"].map(
            lambda v: "-" if np.isnan(v) else f"{v:.2f}"
        )
    return pd.DataFrame(text)


def effects(scores: pd.DataFrame) -> pd.DataFrame:
    """What the grid and what the second target change, seed by seed.

    Returns
    -------
    pandas.DataFrame
        Index (target, effect, basin); effect `grid` is CNN-LSTM less LSTM, `multi-task` is MT less
        single-task, each for the other's two settings. Columns: `of` which setting, the mean
        difference of NSE, |beta| and |bpv| over the seeds that both have, its deviation `_std`, and
        `seeds`. An |.| below zero is a smaller bias.
    """
    scores = scores.assign(abs_beta=scores["beta"].abs(), abs_bpv=scores["bpv"].abs())
    names = ["nse", "abs_beta", "abs_bpv"]
    pairs = {
        "grid": [("CNN-LSTM", "LSTM"), ("CNN-LSTM MT", "LSTM MT")],
        "multi-task": [("LSTM MT", "LSTM"), ("CNN-LSTM MT", "CNN-LSTM")],
    }
    rows = []
    for (target, basin), part in scores.groupby(["target", "basin"], sort=False):
        by_model = {model: p.set_index("seed")[names] for model, p in part.groupby("model")}
        for effect, each in pairs.items():
            for one, other in each:
                if one in by_model and other in by_model:
                    change = (by_model[one] - by_model[other]).dropna(how="all")
                    rows.append(
                        {
                            "target": target,
                            "effect": effect,
                            "basin": basin,
                            "of": f"{one} less {other}",
                            **change.mean(),
                            **change.std(ddof=0).add_suffix("_std"),
                            "seeds": len(change),
                        }
                    )
    deviations = [f"{n}_std" for n in names]
    return pd.DataFrame(
        rows, columns=["target", "effect", "basin", "of", *names, *deviations, "seeds"]
    )


def mean_over_seeds(runs: Sequence[TrainedRun], target: str) -> dict[str, dict[str, xr.Dataset]]:
    """By basin and model label, `streamflow` (the target, mean over seeds) and `streamflow_obs`
    over time."""
    found: dict[str, dict[str, list[xr.Dataset]]] = {}
    for run, named in zip(runs, name_scenarios(runs).to_dict("records"), strict=True):
        if target in named["targets"]:
            ds = run.simulation(target).isel(basin=0, drop=True)
            found.setdefault(named["basin"], {}).setdefault(named["model"], []).append(ds)
    return {
        basin: {
            model: (
                xr.concat(members, "seed", join="inner", coords="minimal", compat="override").mean(
                    "seed", keep_attrs=True
                )
            )
            for model, members in models.items()
        }
        for basin, models in found.items()
    }


def differences(runs: Sequence[TrainedRun]) -> list[str]:
    """What sets these runs apart from the published ones, a line each."""
    data = sorted(
        {"synthetic" if r.parameters["data"]["kind"] == "synthetic" else "a file" for r in runs}
    )
    lines = [f"data: {' and '.join(data)}; the paper's are MSWEP, ERA5, GLEAM and gauged runoff"]
    paper = {
        "hidden": 32,
        "layers": 2,
        "predict_last": 1,
        "epochs": 400,
        "batch_size": 32,
        "static": [],
        "samples_per_epoch": None,
    }
    for name, value in paper.items():
        if (given := list(dict.fromkeys(str(r.parameters[name]) for r in runs))) != [str(value)]:
            lines.append(f"{name}: {' or '.join(given)} here, {value} in the paper")
    lines.append(
        "learning rate, activations, scaling and the weights of the two targets are not in the"
        " paper"
    )
    return lines
