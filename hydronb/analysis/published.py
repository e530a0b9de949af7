"""What the three papers published: their tables, and what sets runs apart from theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from hydronb.analysis.benchmark import NOT_THE_MODEL, Group, setting_text
from hydronb.analysis.ensembles import (
    COUNTS,
    ENSEMBLE,
    OBSERVED,
    SIMULATED,
    as_members,
    join_models,
    score_members,
)
from hydronb.data.dataset import bare_id
from hydronb.data.sources.published import MODELS as BENCHMARK_MODELS
from hydronb.data.sources.published import open_benchmark_models
from hydronb.errors import DataError
from hydronb.files import read_dataset, reading
from hydronb.metrics import METRICS
from hydronb.parameters import training_class
from hydronb.vocabulary import MODELS


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


EXTENDED = ("nldas_extended", "maurer_extended")
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
        "data": [f"CAMELS-US, {forcing}" for forcing in ("daymet", *EXTENDED)],
        "model": ["delta_hbv", "runoff_lstm"],
        "components": [16, 1],
        "dynamic": [["BETAET", "BETA"], ["BETAET"], ["BETA"], []],
        "recharge": ["hbv", "network"],
        "forcings": [["prcp", "tmean", "pet"], ["prcp", "tmean", "srad", "vp", "dayl"]],
        "warmup_days": [365, 0],
        "train_period": [
            {"start": "1981-10-01", "end": "1995-09-30"},
            {"start": "1980-10-01", "end": "1995-09-30"},
            {"start": "2000-10-01", "end": "2008-09-30"},
            {"start": "1999-10-01", "end": "2008-09-30"},
        ],
        "test_period": [
            {"start": "1995-10-01", "end": "2010-09-30"},
            {"start": "1989-10-01", "end": "1999-09-30"},
        ],
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
        "data": (
            [_source(g.parameters["data"]) for g in groups],
            paper.varied.get("data", [paper.data]),
        ),
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
    frame = pd.concat(rows).rename(columns=named).assign(members=8, basins=531, undefined=0)
    return frame.set_index(["model", "kind"])


def read_scores(paths: Sequence[str | Path]) -> xr.Dataset:
    """Scores of every basin that were published, in place of those of runs.

    Parameters
    ----------
    paths
        NetCDF files with metrics, in upper or lower case, over `model`, `member` (seeds, and
        `ensemble`) and `basin`; CSV files with `basin` and a column of NSE per model. `ealstm` and
        the like, and the names in the files of the benchmark models, get their labels.

    Returns
    -------
    xarray.Dataset
        In the form of `ensembles.join_models`; NaN where a model lacks a metric, member or basin.

    Raises
    ------
    DataError
        A file that cannot be read, lacks a dimension or any metric, or names a model, member or
        basin twice.
    """
    models: dict[str, xr.Dataset] = {}
    for path in map(Path, paths):
        scores = _scores_of_csv(path) if path.suffix == ".csv" else _scores_of_netcdf(path)
        for dim in scores.dims:
            if scores.indexes[dim].has_duplicates:
                twice = scores.indexes[dim][scores.indexes[dim].duplicated()][0]
                raise DataError(f"{path} has the {dim} {twice!r} twice; give each once")
        for name in scores["model"].values.tolist():
            of_model = scores.sel(model=name, drop=True)
            label = MODELS[name].label if name in MODELS else BENCHMARK_MODELS.get(name, name)
            if label in models:
                raise DataError(
                    f"{path} has scores of {label}, as another file has; give one of them"
                )
            models[label] = of_model
    return join_models(models)


def other_models(
    basins: Sequence[str], *, scores: Sequence[str | Path] = (), folder: str | Path = ""
) -> dict[str, pd.DataFrame]:
    """NSE and KGE of models that were not run here, each on its own period, for the CDFs of Fig. 2
    of Feng et al. (2022).

    Parameters
    ----------
    basins
        Ids, with or without a prefix; others are left out.
    scores
        Files for `read_scores`; members are averaged. Labels get ", published".
    folder
        Of the released benchmark models, whose simulations are scored; none where empty.

    Returns
    -------
    dict
        By label, index `basin`; a model without KGE lacks that column.

    Raises
    ------
    DataError
        A model has none of the basins; see also `read_scores` and `open_benchmark_models`.
    """
    read = {}
    if scores:
        of_files = read_scores(scores)
        members = of_files.drop_sel(member=ENSEMBLE, errors="ignore").mean("member")
        read |= {f"{m}, published": members.sel(model=m) for m in of_files["model"].values}
    if folder:
        models = open_benchmark_models(folder)
        read |= {
            str(sim["model"].item()): score_members(
                as_members(sim.drop_vars("model"), models[OBSERVED]), ["nse", "kge"]
            ).sel(member=ENSEMBLE)
            for sim in models[SIMULATED]
        }
    ids, tables = [bare_id(str(basin)) for basin in basins], {}
    for label, ds in read.items():
        table = pd.DataFrame({n: ds[n].to_series() for n in ("nse", "kge") if n in ds})
        table = table.reindex(ids).dropna(how="all").dropna(axis="columns", how="all")
        if table.empty:
            raise DataError(f"{label} has a score in none of the {len(ids)} basins of the runs")
        tables[label] = table
    return tables


def _scores_of_netcdf(path: Path) -> xr.Dataset:
    ds = read_dataset(path)
    names = {name: str(name).lower() for name in ds.data_vars if str(name).lower() in METRICS}
    dims = ("model", "member", "basin")
    if not names or any(set(ds[name].dims) != set(dims) for name in names):
        raise DataError(f"{path} has no metric over {', '.join(dims)}, such as NSE")
    members = [str(member).removeprefix("seed") for member in ds["member"].values]
    basins = [bare_id(str(basin)) for basin in ds["basin"].values]
    ds = ds[list(names)].rename({k: v for k, v in names.items() if k != v}).astype(float)
    return ds.assign_coords(member=members, basin=basins).transpose(*dims)


def _scores_of_csv(path: Path) -> xr.Dataset:
    with reading(path, "a table of scores", hint="it needs basin and a column of NSE per model"):
        table = pd.read_csv(path, dtype={"basin": str}).set_index("basin").astype(float)
    nse = xr.DataArray(
        table.to_numpy().T[:, None],
        dims=("model", "member", "basin"),
        coords={"model": list(table), "member": ["single"], "basin": [*map(bare_id, table.index)]},
    )
    both = [nse, nse.assign_coords(member=[ENSEMBLE])]
    return xr.concat(both, "member").to_dataset(name="nse")
