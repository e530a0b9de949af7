"""Trained runs side by side: groups of seeds, ensembles, and the tables of Kratzert et al.
(2019)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
import yaml

from hydronb.analysis.ensembles import COUNTS, OBSERVED, SIMULATED, single
from hydronb.data.dataset import bare_id
from hydronb.data.sources.benchmark_models import open_benchmark_models
from hydronb.errors import DataError
from hydronb.parameters import training_class
from hydronb.runs.directory import TrainedRun

MODEL_LABELS = {
    "ealstm": "EA-LSTM",
    "lstm": "LSTM",
    "lstm_no_static": "LSTM (no statics)",
    "runoff_lstm": "LSTM",
    "local_hbv": "HBV (local)",
    "cnn_lstm": "CNN-LSTM",
    "mean_lstm": "LSTM",
}
SYMBOLS = {"BETAET": "gamma", "BETA": "beta"}
"""Of Feng et al. (2022), for the parameters that they made dynamic, in their order."""
LOSS_LABELS = {"nse_star": "NSE*", "nse_star_paper": "NSE* (as printed)", "mse": "MSE"}
NOT_THE_MODEL = ("seed", "fold", "run_dir", "threads", "device")
"""Parameters that may differ between the members of an ensemble."""
TELLING = ("dropout", "hidden", "predict_last")
"""Parameters that a group is best named by."""


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed, and in the fold of basins that they leave out, if
    any."""

    label: str
    runs: tuple[TrainedRun, ...]
    """By seed, then by fold."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.runs[0].parameters

    @property
    def seeds(self) -> list[int]:
        return list(dict.fromkeys(r.parameters["seed"] for r in self.runs))

    def members(self, target: str = SIMULATED) -> xr.Dataset:
        """`streamflow` (seed, basin, time) and `streamflow_obs` (basin, time), or `target` under
        their names, on the basins and days of all; the folds of one seed together."""
        each = [
            xr.concat(
                [r.simulation(target) for r in self.runs if r.parameters["seed"] == seed],
                "basin",
                join="inner",
                coords="minimal",
                compat="override",
            )
            for seed in self.seeds
        ]
        sims = xr.concat(
            [s[SIMULATED] for s in each],
            pd.Index(self.seeds, name="seed"),
            join="inner",
            coords="minimal",
            compat="override",
        )
        return xr.merge([sims, each[0][OBSERVED]], join="inner", compat="override")


def group_runs(runs: Sequence[TrainedRun]) -> list[Group]:
    """Runs grouped by all their parameters but the seed, labelled by model and by whatever else
    tells groups apart.

    Raises
    ------
    DataError
        Two runs of a group have the same seed (and fold): they are one run, counted twice. Seeds of
        a group have different folds.
    """
    groups: dict[str, list[TrainedRun]] = {}
    for run in runs:
        settings = {k: v for k, v in run.parameters.items() if k not in NOT_THE_MODEL}
        groups.setdefault(yaml.safe_dump(settings, sort_keys=True), []).append(run)
    labels = _labels([members[0].parameters for members in groups.values()])
    made = [
        Group(label, tuple(sorted(members, key=_member)))
        for label, members in zip(labels, groups.values(), strict=True)
    ]
    for group in made:
        _check_members(group)
    return made


def _member(run: TrainedRun) -> tuple[int, int]:
    """Seed and fold, 0 where the run has none."""
    return run.parameters["seed"], run.parameters.get("fold") or 0


def _check_members(group: Group) -> None:
    members = [_member(run) for run in group.runs]
    if twice := [m for m in members if members.count(m) > 1]:
        seed, fold = twice[0]
        raise DataError(
            f"{group.label}: two runs have the seed"
            f" {seed}{f' and the fold {fold}' if fold else ''}; give each run once"
        )
    folds = {seed: [f for s, f in members if s == seed] for seed in group.seeds}
    fewest, most = (choose(folds, key=lambda s: len(folds[s])) for choose in (min, max))
    if folds[fewest] != folds[most]:
        lacking, having = (", ".join(map(str, folds[s])) for s in (fewest, most))
        raise DataError(
            f"{group.label}: seed {fewest} has fold {lacking} of {group.parameters['folds']} and"
            f" seed {most} has {having}; train what is missing"
        )


def model_label(parameters: Mapping[str, Any]) -> str:
    """A model as its paper calls it.

    >>> parameters = {"model": "delta_hbv", "components": 16, "recharge": "hbv"}
    >>> model_label(parameters | {"dynamic": ["BETA", "BETAET"]})
    'delta_n(gamma, beta)'
    """
    if parameters["model"] != "delta_hbv":
        return MODEL_LABELS.get(parameters["model"], parameters["model"])
    dynamic = sorted(
        parameters["dynamic"],
        key=lambda n: list(SYMBOLS).index(n) if n in SYMBOLS else len(SYMBOLS),
    )
    parts = ["NN_r"] if parameters["recharge"] == "network" else []
    parts += [SYMBOLS.get(name, name) for name in dynamic]
    return f"delta_{1 if parameters['components'] == 1 else 'n'}" + (
        f"({', '.join(parts)})" if parts else ""
    )


def _labels(parameters: Sequence[Mapping[str, Any]]) -> list[str]:
    """Model, loss where there are several, and as few other parameters as tell a group from all
    like it."""
    names = {k for p in parameters for k in p if k not in (*NOT_THE_MODEL, "model", "loss")}
    names = sorted(names, key=lambda n: (n not in TELLING, n))
    losses = {p["loss"] for p in parameters}
    labels = []
    for p in parameters:
        like = [q for q in parameters if (model_label(q), q["loss"]) == (model_label(p), p["loss"])]
        differ = [n for n in names if any(q.get(n) != p.get(n) for q in like)]
        enough = [n for n in differ if sum(q.get(n) == p.get(n) for q in like) == 1]
        differ = enough[:1] or differ
        parts = [model_label(p)]
        parts += [LOSS_LABELS.get(p["loss"], p["loss"])] if len(losses) > 1 else []
        labels.append(", ".join(parts + [f"{n} {_short(p.get(n))}" for n in differ]))
    return labels


def _short(value: Any) -> str:
    text = _shown(value)
    return text if len(text) <= len("1990-10-01 to 1999-09-30") else text[:21] + "..."


def read_members(groups: Sequence[Group], target: str = SIMULATED) -> dict[str, xr.Dataset]:
    """`members()` of each group by label, all on the basins and days that every group has.

    Raises
    ------
    DataError
        The runs have no basin or no day in common.
    """
    return _aligned({g.label: g.members(target) for g in groups})


def _aligned(read: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    aligned = xr.align(*read.values(), join="inner", exclude="seed")
    for dim in ("basin", "time"):
        if aligned[0].sizes[dim] == 0:
            raise DataError(
                f"the runs {', '.join(read)} have no {dim} in common; compare runs with the same "
                f"{'basins' if dim == 'basin' else 'test_period'}"
            )
    return dict(zip(read, aligned, strict=True))


def with_benchmark_models(
    members: Mapping[str, xr.Dataset], folder: str | Path
) -> dict[str, xr.Dataset]:
    """`members` and the benchmark models of `folder` (`hydronb.data.sources.benchmark_models`), on
    the basins and days of all.

    Raises
    ------
    DataError
        No basin or day in common; see `open_benchmark_models` for what else.
    """
    ours = {
        bare_id(str(basin)): str(basin) for basin in next(iter(members.values()))["basin"].values
    }
    ds = open_benchmark_models(folder)
    ds = ds.sel(basin=[basin for basin in ds["basin"].values if basin in ours])
    ds = ds.assign_coords(basin=[ours[str(basin)] for basin in ds["basin"].values])
    others = {
        str(sim["model"].item()): single(sim.drop_vars("model"), ds[OBSERVED])
        for sim in ds[SIMULATED]
    }
    return _aligned({**members, **others})


def published_table2(groups: Sequence[Group]) -> pd.DataFrame:
    """Table 2 of Kratzert et al. (2019) for these groups, in the form of `ensembles.summary`: a
    model and loss that the paper has not is left out."""
    published = read_published("kratzert2019_table2").set_index(["model", "loss"])
    named = {
        "mean": "nse_mean",
        "mean_std": "nse_mean_std",
        "median": "nse_median",
        "median_std": "nse_median_std",
    }
    rows = [
        published.loc[[key]].assign(model=group.label)
        for group in groups
        if (key := (group.parameters["model"], group.parameters["loss"])) in published.index
    ]
    if not rows:
        return pd.DataFrame(columns=[*named.values(), "failures", "failures_std", *COUNTS])
    frame = pd.concat(rows).rename(columns=named).set_index(["model", "kind"])
    return frame.assign(members=8, basins=531, undefined=0)


def read_published(name: str) -> pd.DataFrame:
    """A small table of published numbers, `published/NAME.csv`."""
    with files("hydronb.analysis").joinpath(f"published/{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


@dataclass(frozen=True)
class Published:
    """The runs that a paper made, to name what sets others apart from them."""

    data: str
    basins: int
    seeds: int
    settings: tuple[str, ...]
    """Parameters whose defaults are the published ones, but for what tells the groups apart."""


KRATZERT2019 = Published(
    "CAMELS-US, maurer_extended",
    531,
    8,
    (
        "forcings",
        "attributes",
        "train_period",
        "validation_period",
        "test_period",
        "hidden",
        "dropout",
        "forget_bias",
        "sequence_length",
        "predict_last",
        "epochs",
        "samples_per_epoch",
        "batch_size",
        "learning_rate",
        "clip_norm",
        "weight_decay",
        "attribute_noise",
        "patience",
    ),
)


def differences(
    groups: Sequence[Group], n_basins: int, paper: Published = KRATZERT2019
) -> list[str]:
    """What sets these runs apart from the published ones, a line each; empty where nothing does."""
    lines = []
    data = {_source(g.parameters.get("data", {})) for g in groups}
    if data != {paper.data}:
        lines.append(f"data: {', '.join(sorted(data))} here, {paper.data} in the paper")
    if n_basins != paper.basins:
        lines.append(f"basins: {n_basins} here, {paper.basins} in the paper")
    given = training_class(groups[0].parameters["model"])().plain()
    for name in paper.settings:
        values = list(dict.fromkeys(_shown(g.parameters[name]) for g in groups))
        if values != [published := _shown(given[name])]:
            lines.append(f"{name}: {' or '.join(values)} here, {published} in the paper")
    if (members := {len(g.seeds) for g in groups}) != {paper.seeds}:
        lines.append(
            f"seeds a model: {', '.join(map(str, sorted(members)))} here, {paper.seeds} in the"
            " paper"
        )
    return lines


def _source(data: Mapping[str, Any]) -> str:
    kind = data.get("kind", "synthetic")
    return f"CAMELS-US, {data.get('forcing', 'maurer_extended')}" if kind == "camels_us" else kind


def _shown(value: Any) -> str:
    """Without braces, which figures take for the name of a field."""
    if isinstance(value, Mapping):
        parts = (
            (str(v) for v in value.values())
            if "start" in value
            else (f"{k}: {v}" for k, v in value.items())
        )
        return (" to " if "start" in value else ", ").join(parts)
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else "none"
        if value is None
        else str(value)
    )


def best_median_worst(scored: pd.Series) -> dict[str, str]:
    """The basins with the best, the median (a true one, the lower of two) and the worst score; NaN
    never counts.

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
    ids = ordered.index.to_numpy()
    return {"best": str(ids[-1]), "median": str(ids[(len(ids) - 1) // 2]), "worst": str(ids[0])}


def training_cost(groups: Sequence[Group]) -> pd.DataFrame:
    """Epochs, minutes and processor minutes of each group's runs, means over seeds."""
    rows = {}
    for group in groups:
        last = pd.DataFrame([r.progress().iloc[-1] for r in group.runs])
        rows[group.label] = {
            "epochs": last["epoch"].mean(),
            "minutes": last["seconds"].mean() / 60,
            "cpu minutes": last["cpu_seconds"].mean() / 60,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
