"""What the three papers published: their tables, and what sets runs apart from theirs."""

import re
from collections.abc import Iterator, Mapping, Sequence
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

NOT_STATED = "not stated"
LI_BASINS = ("Yellow", "Yangtze", "Lancang")


@dataclass(frozen=True)
class PaperRuns:
    """The runs of a paper. Their settings are the defaults of the training's parameters, except
    for what is stated here; what no parameter changes is in `published/fixed.csv`."""

    name: str
    """In `published/fixed.csv`."""
    data: str
    basins: int
    seeds: int
    varied: Mapping[str, Sequence[Any]]
    """Every value of the settings in which all its runs may differ."""
    runs: Sequence[Mapping[str, Any]] = ({},)
    """Settings of each kind of its runs: `TOLD_BY` say of which kind a run is."""
    not_stated: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    """Settings of what the paper does not have, or that change no result."""
    pet: str | None = None


TOLD_BY = ("model", "river", "data")
KRATZERT2019_RUNS = PaperRuns(
    "kratzert2019",
    "CAMELS-US, maurer_extended",
    basins=531,
    seeds=8,
    varied={"model": ["ealstm", "lstm", "lstm_no_static"], "loss": ["nse_star", "mse"]},
)
_HBV = {"model": "delta_hbv"}
_LSTM = {
    "model": "runoff_lstm",
    "forcings": ["prcp", "tmean", "srad", "vp", "dayl"],
    "warmup_days": 0,
    "train_period": {"start": "1980-10-01", "end": "1995-09-30"},
    "epochs": 300,
}
_NLDAS, _MAURER = ({"data": f"CAMELS-US, {name}_extended"} for name in ("nldas", "maurer"))
_RAKOVEC = {
    "train_period": {"start": "2000-10-01", "end": "2008-09-30"},
    "test_period": {"start": "1989-10-01", "end": "1999-09-30"},
}
FENG2022_RUNS = PaperRuns(
    "feng2022",
    "CAMELS-US, daymet",
    basins=671,
    seeds=1,
    varied={
        "model": ["delta_hbv", "runoff_lstm"],
        "components": [16, 1],
        "dynamic": [["BETAET", "BETA"], ["BETAET"], ["BETA"], []],
        "recharge": ["hbv", "network"],
    },
    runs=(
        *(model | data for data in ({}, _NLDAS) for model in (_HBV, _LSTM)),
        _HBV | _MAURER | _RAKOVEC,
        # without a warm-up year, as in the main comparison
        _LSTM | _MAURER | _RAKOVEC | {"train_period": {"start": "1999-10-01", "end": "2008-09-30"}},
    ),
    not_compared=("starts", "details"),
    pet="hargreaves",
)
_LANCANG = {
    "train_period": {"start": "1988-01-01", "end": "2004-12-31"},
    "validation_period": {"start": "2005-01-01", "end": "2007-12-31"},
    "test_period": {"start": "2008-01-01", "end": "2010-12-31"},
}
LI2023_RUNS = PaperRuns(
    "li2023",
    "MSWEP, ERA5, GLEAM and gauged runoff",
    basins=3,
    seeds=1,
    varied={
        "model": ["cnn_lstm", "mean_lstm"],
        "targets": [["streamflow"], ["et"], ["streamflow", "et"]],
    },
    runs=[
        {"model": model, "river": river, "sequence_length": days}
        | (_LANCANG if river == "Lancang" else {})
        for model, of_rivers in (("mean_lstm", (90, 180, 120)), ("cnn_lstm", (60, 120, 90)))
        for river, days in zip(LI_BASINS, of_rivers, strict=True)
    ],
    not_stated=("learning_rate", "weights kept"),
)


def differences_from_paper(
    groups: Sequence[Group], n_basins: int, paper: PaperRuns
) -> pd.DataFrame:
    """What sets these runs apart from the published ones: data, basins, every setting of the
    training, seeds, and what no parameter changes.

    Returns
    -------
    pandas.DataFrame
        One row per difference: `setting`, `runs` (labels, or all), `paper`, `here`.
    """
    rows = [(*d, group.label) for group in groups for d in _differences(group, n_basins, paper)]
    columns = ["setting", "paper", "here"]
    table = pd.DataFrame(rows, columns=[*columns, "runs"])
    labels = table.groupby(columns, sort=False)["runs"].agg(list)
    runs = labels.map(lambda own: "all" if len(own) == len(groups) else "; ".join(own))
    # rows of one setting beside each other, in the order of the first
    order = {name: place for place, name in enumerate(table["setting"].unique())}
    return (
        runs.reset_index()[["setting", "runs", "paper", "here"]]
        .sort_values("setting", key=lambda names: names.map(order), kind="stable")
        .reset_index(drop=True)
    )


def _differences(group: Group, n_basins: int, paper: PaperRuns) -> Iterator[tuple[str, str, str]]:
    """Setting, in the paper, here."""
    p, data = group.parameters, group.parameters["data"]
    default = training_class(p["model"])().plain() | {
        "data": paper.data,
        "pet": paper.pet,
        "basins": paper.basins,
        "seeds per model": paper.seeds,
        "weights kept": "of the last epoch",
    }
    here = {name: p[name] for name in default if name in p} | {
        "data": f"CAMELS-US, {data['forcing']}" if data["kind"] == "camels_us" else data["kind"],
        # of CAMELS-US, which has none of its own, `auto` is Hargreaves
        "pet": data.get("pet") if (data["kind"], data.get("pet")) != _AUTO else "hargreaves",
        "basins": n_basins,
        "seeds per model": len(group.seeds),
        "weights kept": f"of the {'best' if p['patience'] else 'last'} epoch",
        "river": paper_river(data),
    }
    kinds = paper.runs
    for name in TOLD_BY:
        alike = [kind for kind in kinds if kind.get(name) == here[name]]
        kinds = alike or [kind for kind in kinds if name not in kind] or kinds
    skipped = {*NOT_THE_MODEL, *paper.not_compared, *(() if paper.pet else ("pet",))}
    for name in [name for name in default if name not in skipped]:
        values = paper.varied.get(name) or [kind.get(name, default[name]) for kind in kinds]
        published = list(dict.fromkeys(map(_in_any_order, values)))
        if name in paper.not_stated:
            yield name, NOT_STATED, _in_any_order(here[name])
        elif _in_any_order(here[name]) not in published:
            yield name, " or ".join(published), _in_any_order(here[name])
    for row in read_published("fixed").query("paper == @paper.name").itertuples():
        name, _, value = row.where.partition(":")
        if p[name] in value.split(" or "):
            yield row.setting, row.published, row.here


_AUTO = ("camels_us", "auto")


def paper_river(data: Mapping[str, Any]) -> str | None:
    """The river of Li et al. (2023) that a file of a gridded catchment is called by: `yellow.nc`,
    `my_yangtze_2020.zarr`, not `yellowstone.nc`; None for others, and for synthetic ones."""
    words = re.findall("[a-z]+", Path(data.get("path") or "").stem.lower())
    return next((river for river in LI_BASINS if river.lower() in words), None)


def _in_any_order(value: Any) -> str:
    """As text; the order of names in a list makes no difference."""
    names = isinstance(value, list) and all(isinstance(v, str) for v in value)
    return setting_text(sorted(value) if names else value)


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
