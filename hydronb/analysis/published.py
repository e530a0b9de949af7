"""What the three papers published: their tables, and what sets runs apart from theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from hydronb.analysis.benchmark import NOT_THE_MODEL, Group, setting_text
from hydronb.analysis.ensembles import COUNTS
from hydronb.parameters import training_class


@dataclass(frozen=True)
class PaperRuns:
    """The runs of a paper. Their settings are the defaults of the training's parameters, except
    for what is stated here."""

    data: str
    basins: int
    seeds: int
    varied: Mapping[str, Sequence[Any]]
    """Every value of the settings in which the paper's own runs differ."""
    left_open: tuple[str, ...] = ()
    """What the paper does not state."""
    not_compared: tuple[str, ...] = ()
    """Settings of models that the paper does not have."""


KRATZERT2019_RUNS = PaperRuns(
    "CAMELS-US, maurer_extended",
    basins=531,
    seeds=8,
    varied={"model": ["ealstm", "lstm", "lstm_no_static"], "loss": ["nse_star", "mse"]},
)
FENG2022_RUNS = PaperRuns(
    "CAMELS-US, daymet",
    basins=671,
    seeds=1,
    varied={
        "model": ["delta_hbv", "runoff_lstm"],
        "components": [16, 1],
        "dynamic": [["BETAET", "BETA"], ["BETAET"], ["BETA"], []],
        "recharge": ["hbv", "network"],
        "forcings": [["prcp", "tmean", "pet"], ["prcp", "tmean", "srad", "vp", "dayl"]],
        "warmup_days": [365, 0],
        "epochs": [50, 300],
    },
    not_compared=("starts",),
)
LI2023_RUNS = PaperRuns(
    "MSWEP, ERA5, GLEAM and gauged runoff",
    basins=3,
    seeds=1,
    varied={
        "model": ["cnn_lstm", "mean_lstm"],
        "targets": [["streamflow"], ["et"], ["streamflow", "et"]],
        "train_period": [
            {"start": "1983-01-01", "end": "2004-12-31"},
            {"start": "1988-01-01", "end": "2004-12-31"},
        ],
        "validation_period": [
            {"start": "2006-01-01", "end": "2009-12-31"},
            {"start": "2005-01-01", "end": "2007-12-31"},
        ],
        "test_period": [
            {"start": "2011-01-01", "end": "2014-12-31"},
            {"start": "2008-01-01", "end": "2010-12-31"},
        ],
        "sequence_length": [60, 90, 120, 180],
    },
    left_open=("learning_rate", "activations", "scaling", "weights of the two targets"),
)


def differences_from_paper(groups: Sequence[Group], n_basins: int, paper: PaperRuns) -> list[str]:
    """What sets these runs apart from the published ones, one line each: data, basins, every
    setting of the training, seeds; then what the paper leaves open. Empty where nothing does."""
    defaults = training_class(groups[0].parameters["model"])().plain()
    compared = {
        "data": ([_source(g.parameters["data"]) for g in groups], [paper.data]),
        "basins": ([n_basins], [paper.basins]),
    }
    skipped = {*NOT_THE_MODEL, "data", *paper.left_open, *paper.not_compared}
    compared |= {
        name: ([g.parameters[name] for g in groups], paper.varied.get(name, [default]))
        for name, default in defaults.items()
        if name not in skipped
    } | {"seeds per model": ([len(g.seeds) for g in groups], [paper.seeds])}
    lines = []
    for name, both in compared.items():
        here, published = (list(dict.fromkeys(map(_in_any_order, values))) for values in both)
        if not set(here) <= set(published):
            lines.append(f"{name}: {' or '.join(here)} here, {' or '.join(published)} in the paper")
    return lines + [f"not in the paper: {', '.join(paper.left_open)}"] * bool(paper.left_open)


def _source(data: Mapping[str, Any]) -> str:
    return f"CAMELS-US, {data['forcing']}" if data["kind"] == "camels_us" else data["kind"]


def _in_any_order(value: Any) -> str:
    """As text; the order of names in a list makes no difference."""
    return setting_text(sorted(value) if isinstance(value, list) else value)


def read_published(name: str) -> pd.DataFrame:
    """A small table of published numbers, `published/NAME.csv`."""
    with files("hydronb.analysis").joinpath(f"published/{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#")


def kratzert_table2(groups: Sequence[Group]) -> pd.DataFrame:
    """Table 2 of Kratzert et al. (2019) for these groups, in the form of `ensembles.summary`; a
    model and loss that the paper does not have are left out."""
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
    return (
        pd.concat(rows)
        .rename(columns=named)
        .assign(members=8, basins=531, undefined=0)
        .set_index(["model", "kind"])
    )
