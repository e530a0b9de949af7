"""Linear probes of what a network holds (Li et al., 2023, Sect. 4), with the controls that tell
what a score is worth.

A probe is a linear regression from a layer's values of a day to something the network was not
trained on. The paper has no control: a high score may as well come from the target being easy, or
from the forcing alone (Hewitt and Liang, 2019, doi:10.18653/v1/D19-1275). Here the same regression
is made from an untrained network of the same shape, to targets whose days are shuffled, and from
the forcing alone; all are fit on training days and scored on test days.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import nn

from hydronb import metrics
from hydronb.analysis.scenarios import basin_label, scenario_label
from hydronb.data.gridded import FORCING, as_catchment
from hydronb.data.scaling import select_period
from hydronb.data.windows import prediction_samples
from hydronb.errors import DataError, ParameterError, nearest
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.models.standardised import ScaledModel
from hydronb.parameters import Period
from hydronb.runs.directory import TrainedRun
from hydronb.vocabulary import MODELS

FEATURES, CELLS = "features", "cells"
"""Layers: the encoder's outputs; the cell states of all LSTM layers together. `cell_1`, `cell_2`
are those of one."""
CONTROLS = ("network", "untrained", "shuffled", "forcing")
MEMORY = (1, 7, 30, 90)
"""Days over which the control takes means of the forcing, none longer than the network's
sequence."""
PROBED = (
    "streamflow",
    "et",
    "true_snow",
    "true_soil_moisture",
    "true_groundwater",
    "true_baseflow",
    "true_et",
)
"""What cell states are asked for, where the data have it and the network was not trained on it."""
COLUMNS = ["run", "label", "layer", "target", "control", "split", "nse", "r", "basins", "days"]


def open_run(run: TrainedRun, ds: xr.Dataset | None = None) -> tuple[xr.Dataset, str]:
    """The data of a CNN-LSTM, LSTM or EA-LSTM run as its network takes them (a grid, or
    catchments), and its label; `ds` where its data are open already.

    Raises
    ------
    ParameterError
        A model without cell states.
    """
    p = run.fit_parameters
    if p.notebook not in ("cnn_lstm_01_train", "ealstm_01_train"):
        raise ParameterError(
            f"{run.path}: {p.model} has no cell states to probe; give runs of cnn_lstm_01_train or"
            " ealstm_01_train"
        )
    place = f"{basin_label(run.parameters['data'])}, " if p.notebook == "cnn_lstm_01_train" else ""
    label = f"{place}{scenario_label(run.parameters)} ({' + '.join(p.targets)})"
    return MODELS[p.model].training().open_data(p) if ds is None else ds, label


# What a network holds
# ---


def activations(model: nn.Module, ds: xr.Dataset, period: Period) -> dict[str, xr.DataArray]:
    """Values of each layer on each day of `period`, `(basin, time, unit)`, float32, by layer:
    `cell_1`, ... with the cell states, the lowest layer first, `cells` with all of them, and of a
    CNN-LSTM `features`.

    A day's cell states are those at the end of the sequence that the network simulates the day
    with.

    Raises
    ------
    DataError
        The data do not hold the period, or what the model was trained with.
    """
    if isinstance(model, CNNLSTM):
        basins, pieces = [str(ds.attrs["basin"])], _of_grid(model, ds, period)
    else:
        basins, pieces = [str(b) for b in ds["basin"].values], _of_catchments(model, ds, period)
    out: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        for basin, day, layers in pieces:
            for name, values in layers.items():
                if name not in out:
                    out[name] = np.full(
                        (len(basins), ds.sizes["time"], values.shape[-1]), np.nan, np.float32
                    )
                out[name][basin[:, None], day] = values.cpu().numpy()
    cells = [name for name in out if name.startswith("cell_")]
    coords = {"basin": basins, "time": ds.indexes["time"]}
    found = {
        name: select_period(
            xr.DataArray(v, coords, ("basin", "time", "unit")).to_dataset(name="v"), period
        )["v"]
        for name, v in out.items()
    }
    if len(cells) == 1:
        return {CELLS: found.pop(cells[0])} | found
    return found | {CELLS: xr.concat([found[name] for name in cells], "unit")}


Pieces = Iterator[tuple[np.ndarray, np.ndarray, dict[str, torch.Tensor]]]


def _of_grid(model: CNNLSTM, ds: xr.Dataset, period: Period) -> Pieces:
    for x, days in model.windows(ds, period):
        cells = model.recurrent.states(x, model.predict_last)[1]
        layers = {f"cell_{n}": c for n, c in enumerate(cells, start=1)}
        if model.encoder is not None:
            layers[FEATURES] = x[:, -model.predict_last :]
        yield np.zeros(len(x), int), days.cpu().numpy(), layers


def _of_catchments(model: ScaledModel, ds: xr.Dataset, period: Period) -> Pieces:
    samples = prediction_samples(
        ds,
        model.scaling,
        period,
        model.sequence_length,
        model.predict_last,
        device=model.forcings_mean.device,
    )
    back = torch.arange(1 - model.predict_last, 1)
    for index in torch.arange(len(samples)).split(max(1, 2**18 // model.sequence_length)):
        batch = samples.gather(index.to(samples.last.device))
        dynamic, static = model.standardise(batch.dynamic, batch.static)
        zero = dynamic.new_zeros(len(index), model.network.hidden)
        _, cells = model.network.states(dynamic, static, (zero, zero), model.predict_last)
        yield (
            batch.basin.cpu().numpy(),
            (samples.last[index].cpu()[:, None] + back).numpy(),
            {"cell_1": cells},
        )


def untrained(model: nn.Module, seed: int = 0) -> nn.Module:
    """A network of the same shape and scaling with the weights that a training with this seed
    starts from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = MODELS[model.settings["model"]].make(scaling=model.scaling, **model.settings)
    return fresh.to(next(model.parameters()).device).eval()


def forcing_memory(
    series: xr.Dataset, forcings: Sequence[str], period: Period, longest: int
) -> xr.DataArray:
    """What a linear model knows of a day without a network: means of each forcing over the last
    days (`MEMORY`, none above `longest`), `(basin, time, unit)`."""
    spans = [n for n in MEMORY if n <= longest]
    parts = [series[name].rolling(time=n, min_periods=1).mean() for name in forcings for n in spans]
    return select_period(
        xr.concat(parts, "unit").transpose("basin", "time", "unit").to_dataset(name="v"), period
    )["v"]


# The probe
# ---


class Probe(NamedTuple):
    """A linear regression: `(x - x_mean) @ weights + y_mean`."""

    weights: np.ndarray
    x_mean: np.ndarray
    y_mean: float

    def __call__(self, x: xr.DataArray) -> xr.DataArray:
        values = (
            x.transpose("basin", "time", "unit").to_numpy() - self.x_mean
        ) @ self.weights + self.y_mean
        return xr.DataArray(values, {d: x[d] for d in ("basin", "time")}, ("basin", "time"))


def fit_probe(x: xr.DataArray, y: xr.DataArray) -> Probe:
    """Least squares over all basins and days that have a target, of the smallest weights where
    units repeat each other.

    Parameters
    ----------
    x, y
        `(basin, time, unit)` and `(basin, time)`, joined by id and date.

    Raises
    ------
    DataError
        No day has a target.
    """
    x, y = xr.align(x, y, join="inner")
    values, target = (
        x.transpose("basin", "time", "unit").to_numpy(),
        y.transpose("basin", "time").to_numpy(),
    )
    there = np.isfinite(target)
    if not there.any():
        raise DataError(
            f"no day to fit a probe on: {y.name or 'the target'} and the network have none in"
            " common"
        )
    n = int(there.sum())
    x_mean = sum(v[t].sum(0, dtype=np.float64) for v, t in zip(values, there, strict=True)) / n
    y_mean = float(target[there].mean(dtype=np.float64))
    gram, cross = np.zeros((len(x_mean), len(x_mean))), np.zeros(len(x_mean))
    # basin by basin, so that no second copy is made of all
    for v, t, o in zip(values, there, target, strict=True):
        centred = v[t].astype(np.float64) - x_mean
        gram += centred.T @ centred
        cross += centred.T @ (o[t].astype(np.float64) - y_mean)
    scale = np.sqrt(np.maximum(gram.diagonal(), 1e-30))
    weights = np.linalg.lstsq(gram / np.outer(scale, scale), cross / scale, rcond=1e-10)[0] / scale
    return Probe(weights, x_mean, y_mean)


def shuffle_days(y: xr.DataArray, seed: int) -> xr.DataArray:
    """Each basin's values on other days of the same period: the values stay, what they follow from
    is gone."""
    rng = np.random.default_rng(seed)
    values = y.transpose("basin", "time").to_numpy().copy()
    for row in values:
        there = np.isfinite(row)
        row[there] = rng.permutation(row[there])
    return y.transpose("basin", "time").copy(data=values)


def score_probe(fitted: xr.DataArray, y: xr.DataArray) -> dict[str, float]:
    """Medians over basins of NSE and r, with the number of basins, and of days that count."""
    fitted, y = xr.align(fitted, y, join="inner")
    scores = {
        name: float(getattr(metrics, name)(sim=fitted, obs=y).median()) for name in ("nse", "r")
    }
    return scores | {
        "basins": y.sizes["basin"],
        "days": int((fitted.notnull() & y.notnull()).sum()),
    }


# All probes of a run
# ---


class Probed(NamedTuple):
    """`scores` has `COLUMNS` but `run` and `label`; `fitted` is the trained network's probe of the
    test period by layer and target, a Dataset of `probed` and `truth`, `(basin, time)`, on the
    basins that the probe was fit on.
    """

    scores: pd.DataFrame
    fitted: dict[tuple[str, str], xr.Dataset]


def probe(
    model: nn.Module,
    ds: xr.Dataset,
    train_period: Period,
    test_period: Period,
    *,
    targets: Sequence[str] = (),
    left_out: Sequence[str] = (),
    seed: int = 0,
) -> Probed:
    """Every probe of a network with its controls.

    Parameters
    ----------
    ds
        A gridded catchment for a CNN-LSTM, catchments for others.
    train_period, test_period
        Probes are fit on the first and scored on both.
    targets
        What cell states are asked for; `PROBED` where empty. `features` are always asked for the
        basin's mean forcing.
    left_out
        Basins that no probe is fit on; scored as the split `left_out`.
    seed
        Of the untrained weights and the shuffling.

    Raises
    ------
    DataError
        A target that the data do not have.
    """
    series = as_catchment(ds) if isinstance(model, CNNLSTM) else ds
    asked = list(targets) or [
        n
        for n in PROBED
        if n in series
        and n.removeprefix("true_") not in model.scaling.targets
        and (n != "true_et" or "et" not in series)
    ]
    for name in asked:
        if name not in series or series[name].dims != ("basin", "time"):
            raise DataError(
                f"the data have no {name!r} to probe for{nearest(name, map(str, series.data_vars))}"
            )
    periods = {"train": train_period, "test": test_period}
    layers = {"network": {k: activations(model, ds, v) for k, v in periods.items()}}
    layers["untrained"] = {
        k: activations(untrained(model, seed), ds, v) for k, v in periods.items()
    }
    memory = {
        k: forcing_memory(series, list(model.scaling.forcings), v, model.sequence_length)
        for k, v in periods.items()
    }
    rows, fitted = [], {}
    for layer in layers["network"]["train"]:
        of_layer = list(FORCING) if layer == FEATURES else asked
        inputs = {c: {k: layers[c][k][layer] for k in periods} for c in layers}
        inputs["shuffled"] = inputs["network"]
        inputs["forcing"] = (
            {k: _whole_grid(ds, v) for k, v in periods.items()} if layer == FEATURES else memory
        )
        for target in of_layer:
            y = {k: select_period(series[[target]], v)[target] for k, v in periods.items()}
            for control, x in inputs.items():
                truth = (
                    {k: shuffle_days(v, seed) for k, v in y.items()} if control == "shuffled" else y
                )
                made = fit_probe(_without(x["train"], left_out), truth["train"])
                known = {k: _without(truth[k], left_out) for k in periods}
                found = {k: score_probe(made(_without(x[k], left_out)), known[k]) for k in periods}
                if left_out:
                    found["left_out"] = score_probe(
                        made(x["test"].sel(basin=list(left_out))), truth["test"]
                    )
                rows += [
                    {"layer": layer, "target": target, "control": control, "split": k, **v}
                    for k, v in found.items()
                ]
                if control == "network":
                    probed = made(_without(x["test"], left_out)).assign_attrs(series[target].attrs)
                    fitted[layer, target] = xr.Dataset({"probed": probed, "truth": known["test"]})
    if isinstance(model, CNNLSTM) and model.encoder is not None:
        rows += _reference(ds, series, periods)
    return Probed(pd.DataFrame(rows), fitted)


def probe_runs(
    runs: Sequence[TrainedRun],
    *,
    targets: Sequence[str] = (),
    left_out: float = 0.25,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, Probed]]:
    """Every probe of every run: the scores with `COLUMNS`, and `Probed` of the first run of each
    label.

    Parameters
    ----------
    targets, seed
        As `probe` takes them.
    left_out
        Share of the basins of a regional model that no probe is fit on.
    """
    tables, first, ds, data = [], {}, None, None
    for run in sorted(runs, key=lambda r: str(r.parameters["data"])):
        ds = ds if run.parameters["data"] == data else None
        data, p = run.parameters["data"], run.fit_parameters
        ds, label = open_run(run, ds)
        regional = "basin" in ds.dims and ds.sizes["basin"] > 1
        basins = choose_left_out(ds["basin"].values.tolist(), left_out, seed) if regional else []
        found = probe(
            run.model,
            ds,
            p.train_period,
            p.test_period,
            targets=targets,
            left_out=basins,
            seed=seed,
        )
        tables.append(found.scores.assign(run=run.path.name, label=label))
        first.setdefault(label, found)
    return pd.concat(tables, ignore_index=True)[COLUMNS], first


def _without(da: xr.DataArray, basins: Sequence[str]) -> xr.DataArray:
    return da.drop_sel(basin=list(basins)) if basins else da


def _whole_grid(ds: xr.Dataset, period: Period) -> xr.DataArray:
    """The day's mean over the whole grid, in place of features."""
    return xr.concat(list(grid_means(ds, period).values()), "unit").transpose(
        "basin", "time", "unit"
    )


def grid_means(ds: xr.Dataset, period: Period) -> dict[str, xr.DataArray]:
    """Mean of each forcing over the whole grid, also outside the basin, `(basin, time)`."""
    inside = select_period(ds, period)
    return {
        n: (
            inside[n]
            .mean(["y", "x"], dtype=np.float64)
            .drop_vars(["lat", "lon", "area"], errors="ignore")
            .expand_dims(basin=[str(ds.attrs["basin"])])
        )
        for n in FORCING
    }


def _reference(ds: xr.Dataset, series: xr.Dataset, periods: Mapping[str, Period]) -> list[dict]:
    """r_ref of Table 5: the mean of the whole grid against the basin's, without any regression (so
    no NSE)."""
    rows = []
    for split, period in periods.items():
        for name, whole in grid_means(ds, period).items():
            found = score_probe(whole, select_period(series[[name]], period)[name])
            rows.append(
                {
                    "layer": "grid mean",
                    "target": name,
                    "control": "reference",
                    "split": split,
                    **found,
                    "nse": np.nan,
                }
            )
    return rows


def choose_left_out(basins: Sequence[str], share: float, seed: int) -> list[str]:
    """A random share of the basins, at least one and never all; none where there is one basin
    alone."""
    n = min(max(1, round(share * len(basins))), len(basins) - 1) if share > 0 else 0
    return sorted(np.random.default_rng(seed).permutation(list(basins))[:n].tolist())


def table5(scores: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """The layout of Table 5: r of the probe of CNN outputs, a row a basin's mean forcing, a column
    a run (by its label) and control, and r_ref."""
    part = scores[(scores["layer"].isin([FEATURES, "grid mean"])) & (scores["split"] == split)]
    return part.pivot_table(index="target", columns=["label", "control"], values="r", sort=False)


def cell_table(scores: pd.DataFrame, split: str = "test", value: str = "nse") -> pd.DataFrame:
    """Scores of probes of all cell states together: a row a run and target, a column a control."""
    part = scores[(scores["layer"] == CELLS) & (scores["split"] == split)]
    table = part.pivot_table(index=["label", "target"], columns="control", values=value, sort=False)
    return table.reindex(columns=[c for c in CONTROLS if c in table.columns])
