"""Trained runs side by side: grouped by their settings, on the basins and days they share; settings
as text, and what tells runs with different settings apart."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
import yaml

from hydronb.analysis.ensembles import OBSERVED, SIMULATED, as_members
from hydronb.data.dataset import bare_id
from hydronb.data.sources.published import OBSERVED as PUBLISHED_OBSERVED
from hydronb.data.sources.published import open_benchmark_models
from hydronb.errors import DataError
from hydronb.runs.directory import TrainedRun
from hydronb.vocabulary import LOSSES, model_label

OBSERVATIONS_APART = 0.1
"""Largest mean absolute difference between the observation of a run and that of a file of the
benchmark models, as a share of the mean; rounding stays far below it."""
NOT_THE_MODEL = ("seed", "fold", "run_dir", "threads", "device")
"""Parameters that may differ between the members of an ensemble."""
PREFERRED = ("dropout", "hidden", "predict_last")
"""Settings that a label names first."""


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed, and in the fold of basins that they leave out, if they
    have folds."""

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
        how = {"join": "inner", "coords": "minimal", "compat": "override"}
        of_seeds = [
            xr.concat(
                [r.simulation(target) for r in self.runs if r.parameters["seed"] == seed],
                "basin",
                **how,
            )
            for seed in self.seeds
        ]
        sims = xr.concat(
            [ds[SIMULATED] for ds in of_seeds], pd.Index(self.seeds, name="seed"), **how
        )
        return xr.merge([sims, of_seeds[0][OBSERVED]], join="inner", compat="override")


def group_runs(runs: Sequence[TrainedRun]) -> list[Group]:
    """Runs grouped by all their parameters except the seed, labelled by model, by loss if there are
    several, and by what else tells a group from all others like it.

    Raises
    ------
    DataError
        Two runs of a group have the same seed (and fold): they are one run, counted twice. Or the
        seeds of a group have different folds.
    """
    by_settings: dict[str, list[TrainedRun]] = {}
    for run in runs:
        settings = {k: v for k, v in run.parameters.items() if k not in NOT_THE_MODEL}
        by_settings.setdefault(yaml.safe_dump(settings, sort_keys=True), []).append(run)
    parameters = [members[0].parameters for members in by_settings.values()]
    several = len({p["loss"] for p in parameters}) > 1
    labels = [
        model_label(p) + (f", {LOSSES[p['loss']].label}" if several else "") for p in parameters
    ]
    labels = with_distinctions(labels, labels, parameters)
    groups = [
        Group(label, tuple(sorted(members, key=_member)))
        for label, members in zip(labels, by_settings.values(), strict=True)
    ]
    for group in groups:
        _check_members(group)
    return groups


def _member(run: TrainedRun) -> tuple[int, int]:
    """Seed and fold, 0 where the run has none."""
    return run.parameters["seed"], run.parameters.get("fold") or 0


def _check_members(group: Group) -> None:
    members = [_member(run) for run in group.runs]
    if len(set(members)) < len(members):
        seed, fold = next(m for m in members if members.count(m) > 1)
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


def by_test_period(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups by the period that they simulate, as text: runs of one period are compared day by day,
    those of others by their scores alone."""
    periods: dict[str, list[Group]] = {}
    for group in groups:
        periods.setdefault(setting_text(group.parameters["test_period"]), []).append(group)
    return periods


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
    if empty := [dim for dim in ("basin", "time") if aligned[0].sizes[dim] == 0]:
        raise DataError(
            f"the runs {', '.join(read)} have no {empty[0]} in common; compare runs with the same "
            f"{'basins' if empty[0] == 'basin' else 'test_period'}"
        )
    return dict(zip(read, aligned, strict=True))


def with_benchmark_models(
    members: Mapping[str, xr.Dataset], folder: str | Path
) -> dict[str, xr.Dataset]:
    """`members` and the benchmark models of `folder` (`hydronb.data.sources.published`), on
    the basins and days of all.

    Raises
    ------
    DataError
        No basin or day in common, or the files' observation is another one than that of `members`
        in some basin; see also `open_benchmark_models`.
    """
    ids = {bare_id(str(b)): str(b) for b in next(iter(members.values()))["basin"].values}
    ds = open_benchmark_models(folder)
    ds = ds.sel(basin=[basin for basin in ds["basin"].values if basin in ids])
    ds = ds.assign_coords(basin=[ids[str(basin)] for basin in ds["basin"].values])
    _check_observations(next(iter(members.values()))[OBSERVED], ds[OBSERVED], Path(folder))
    others = {
        str(sim["model"].item()): as_members(sim.drop_vars("model"), ds[OBSERVED])
        for sim in ds[SIMULATED]
    }
    return _aligned({**members, **others})


def _check_observations(obs: xr.DataArray, of_files: xr.DataArray, folder: Path) -> None:
    """Raise DataError if the two differ by more than `OBSERVATIONS_APART` in some basin."""
    obs, of_files = xr.align(obs, of_files, join="inner")
    apart = abs(of_files - obs).mean("time") / obs.where(of_files.notnull()).mean("time")
    off = apart.where(apart > OBSERVATIONS_APART, drop=True)
    if off.size:
        basin, share = off["basin"].values[0], off.values[0]
        raise DataError(
            f"{folder}: in {off.size} of {apart.size} basins {PUBLISHED_OBSERVED} is not the"
            f" streamflow that the runs were scored against, such as basin {basin}, {share:.0%} off"
            " on average; is it in mm/d, and are days and gauges the same? Take these files away,"
            " or leave the basins out"
        )


def training_cost(groups: Sequence[Group]) -> pd.DataFrame:
    """Epochs, minutes and processor minutes of each group's runs, as means over seeds."""
    ends = {g.label: pd.DataFrame([r.progress().iloc[-1] for r in g.runs]) for g in groups}
    rows = {
        label: {
            "epochs": end["epoch"].mean(),
            "minutes": end["seconds"].mean() / 60,
            "cpu minutes": end["cpu_seconds"].mean() / 60,
        }
        for label, end in ends.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


# Settings
# ---


def setting_key(value: Any) -> Hashable:
    """A setting as it is where it is a number or text, else as text, to be counted or unfolded."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def setting_text(value: Any) -> str:
    """A setting to be read, without the braces that figures take for the name of a field.

    >>> setting_text({"start": "1999-10-01", "end": "2008-09-30"})
    '1999-10-01 to 2008-09-30'
    >>> setting_text({1: 0.01, 4: 0.003})
    '1: 0.01, 4: 0.003'
    """
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{k}: {v}" for k, v in value.items())
        return " to ".join(map(str, value.values())) if "start" in value else pairs
    if value is None or value == []:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def with_distinctions(
    labels: Sequence[str], keys: Sequence[Hashable], parameters: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Each run's label and the settings that tell the run from all others of the same key, as `name
    value`: one if one is enough, else all that differ; none where only a member's parameters
    differ."""
    parameters = [_with_data_apart(p) for p in parameters]
    names = sorted(
        {n for p in parameters for n in p if n not in (*NOT_THE_MODEL, "model", "loss")},
        key=lambda n: (n not in PREFERRED, n),
    )
    told = []
    for label, key, p in zip(labels, keys, parameters, strict=True):
        others = [
            q
            for k, q in zip(keys, parameters, strict=True)
            if k == key and any(q.get(n) != p.get(n) for n in names)
        ]
        differ = [n for n in names if any(q.get(n) != p.get(n) for q in others)]
        enough = [n for n in differ if all(q.get(n) != p.get(n) for q in others)]
        told.append(", ".join([label, *(f"{n} {_short(p.get(n))}" for n in enough[:1] or differ)]))
    return told


def _with_data_apart(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """With each setting of the data as one of its own, `data NAME`."""
    rest = {name: value for name, value in parameters.items() if name != "data"}
    return rest | {f"data {n}": v for n, v in (parameters.get("data") or {}).items()}


def _short(value: Any) -> str:
    """Of a path the last two parts."""
    if isinstance(value, str):
        return "/".join(Path(value).parts[-2:])
    text = setting_text(value)
    return text if len(text) <= len("1990-10-01 to 1999-09-30") else text[:21] + "..."
