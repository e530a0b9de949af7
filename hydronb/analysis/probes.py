"""Linear probes of what a network holds (Li et al., 2023, Sect. 4), with the controls that tell
what a score is worth.

A probe is a linear regression from the values of a layer on a day to something that the network was
not trained on. The paper has no control: a high score may also come from an easy target, or from
the forcing alone (Hewitt and Liang, 2019, doi:10.18653/v1/D19-1275). Here the same regression is
made from an untrained network of the same shape, to targets whose days are shuffled, and from the
forcing alone; all are fitted on training days and scored on test days.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr

from hydronb import metrics
from hydronb.analysis.grid_scenarios import name_scenarios
from hydronb.data.gridded import FORCING, as_catchment
from hydronb.data.opening import open_data
from hydronb.data.scaling import select_period
from hydronb.errors import DataError, ParameterError, nearest
from hydronb.models.cnn_lstm import CNNLSTM
from hydronb.models.standardised import StandardisedLSTM
from hydronb.parameters import Period
from hydronb.runs.directory import TrainedRun
from hydronb.vocabulary import MODELS

FEATURES, ALL_CELLS = "features", "cells"
"""Layers: the encoder's outputs; the cell states of all LSTM layers together. `cell_1`, `cell_2`
are those of one layer."""
PROBE_CONTROLS = ("network", "untrained", "shuffled", "forcing")
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
"""Targets that cell states are asked for, if the data have them and the network was not trained on
them."""
PROBE_COLUMNS = [
    "run",
    "label",
    "layer",
    "target",
    "control",
    "split",
    "nse",
    "r",
    "basins",
    "days",
]


# What a network holds
# ---


def activations(model: torch.nn.Module, ds: xr.Dataset, period: Period) -> dict[str, xr.DataArray]:
    """Values of each layer on each day of `period`, `(basin, time, unit)`, float32, by layer: the
    cell states `cell_1`, ... (the lowest layer first), all of them together as `cells`, and the
    `features` of a CNN-LSTM.

    The cell states of a day are those at the end of the sequence that the network simulates the day
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
    layers: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        for basin, day, of_piece in pieces:
            for name, values in of_piece.items():
                if name not in layers:
                    layers[name] = np.full(
                        (len(basins), ds.sizes["time"], values.shape[-1]), np.nan, np.float32
                    )
                layers[name][basin, day] = values.cpu().numpy()
    coords = {"basin": basins, "time": ds.indexes["time"]}
    states = {
        name: _of_period(xr.DataArray(values, coords, ("basin", "time", "unit")), period)
        for name, values in layers.items()
    }
    cells = [name for name in states if name.startswith("cell_")]
    if len(cells) == 1:
        return {ALL_CELLS: states.pop(cells[0])} | states
    return states | {ALL_CELLS: xr.concat([states[name] for name in cells], "unit")}


def _of_period(da: xr.DataArray, period: Period) -> xr.DataArray:
    return select_period(da.to_dataset(name="values"), period)["values"].rename(da.name)


Pieces = Iterator[tuple[np.ndarray | int, np.ndarray, dict[str, torch.Tensor]]]


def _of_grid(model: CNNLSTM, ds: xr.Dataset, period: Period) -> Pieces:
    for x, days in model.windows(ds, period):
        _, cells = model.recurrent.states(x, model.predict_last)
        layers = {f"cell_{n}": c for n, c in enumerate(cells, start=1)}
        if model.encoder is not None:
            layers[FEATURES] = x[:, -model.predict_last :]
        yield 0, days.cpu().numpy(), layers


def _of_catchments(model: StandardisedLSTM, ds: xr.Dataset, period: Period) -> Pieces:
    for batch, basin, day in model.windows(ds, period):
        dynamic, static = model.standardise(batch.dynamic, batch.static)
        zero = dynamic.new_zeros(len(dynamic), model.network.hidden)
        _, cells = model.network.states(dynamic, static, (zero, zero), model.predict_last)
        yield basin, day, {"cell_1": cells}


def untrained(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """A network of the same shape and scaling, with the weights from which a training with this
    seed starts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = MODELS[model.settings["model"]].make(scaling=model.scaling, **model.settings)
    return fresh.to(next(model.parameters()).device).eval()


def forcing_memory(
    series: xr.Dataset, forcings: Sequence[str], period: Period, longest: int
) -> xr.DataArray:
    """What a linear model has of a day without a network: means of each forcing over the last days
    (`MEMORY`, none above `longest`), `(basin, time, unit)`."""
    parts = [
        series[name].rolling(time=n, min_periods=1).mean()
        for name in forcings
        for n in MEMORY
        if n <= longest
    ]
    return _of_period(xr.concat(parts, "unit").transpose("basin", "time", "unit"), period)


# The probe
# ---


class Probe(NamedTuple):
    """A linear regression: `(x - x_mean) @ weights + y_mean`."""

    weights: np.ndarray
    x_mean: np.ndarray
    y_mean: float

    def __call__(self, x: xr.DataArray) -> xr.DataArray:
        x = x.transpose("basin", "time", "unit")
        values = (x.to_numpy() - self.x_mean) @ self.weights + self.y_mean
        return xr.DataArray(values, {d: x[d] for d in ("basin", "time")}, ("basin", "time"))


def fit_probe(x: xr.DataArray, y: xr.DataArray) -> Probe:
    """Least squares over all basins and days that have a target, with the smallest weights where
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
    values = x.transpose("basin", "time", "unit").to_numpy()
    target = y.transpose("basin", "time").to_numpy()
    has_target = np.isfinite(target)
    if not has_target.any():
        raise DataError(
            f"no day to fit a probe on: {y.name or 'the target'} and the network have none in"
            " common"
        )
    total = sum(v[k].sum(0, dtype=np.float64) for v, k in zip(values, has_target, strict=True))
    x_mean = total / int(has_target.sum())
    y_mean = float(target[has_target].mean(dtype=np.float64))
    gram, cross = np.zeros((len(x_mean), len(x_mean))), np.zeros(len(x_mean))
    # basin by basin, so that the whole is not copied
    for v, k, o in zip(values, has_target, target, strict=True):
        centred = v[k].astype(np.float64) - x_mean
        gram += centred.T @ centred
        cross += centred.T @ (o[k].astype(np.float64) - y_mean)
    scale = np.sqrt(np.maximum(gram.diagonal(), 1e-30))
    weights = np.linalg.lstsq(gram / np.outer(scale, scale), cross / scale, rcond=1e-10)[0] / scale
    return Probe(weights, x_mean, y_mean)


def shuffle_days(y: xr.DataArray, seed: int) -> xr.DataArray:
    """Each basin's values on other days of the same period: the values are kept, their relation to
    the forcing is lost."""
    rng = np.random.default_rng(seed)
    y = y.transpose("basin", "time")
    values = y.to_numpy().copy()
    for row in values:
        has_value = np.isfinite(row)
        row[has_value] = rng.permutation(row[has_value])
    return y.copy(data=values)


def score_probe(fitted: xr.DataArray, y: xr.DataArray) -> dict[str, float]:
    """Medians over basins of NSE and r, with the number of basins, and of days that count."""
    fitted, y = xr.align(fitted, y, join="inner")
    return {
        "nse": float(metrics.nse(sim=fitted, obs=y).median()),
        "r": float(metrics.r(sim=fitted, obs=y).median()),
        "basins": y.sizes["basin"],
        "days": int((fitted.notnull() & y.notnull()).sum()),
    }


# All probes of a run
# ---


class Probed(NamedTuple):
    """`scores` has `PROBE_COLUMNS` except `run` and `label`; `fitted` is the trained network's
    probe of the test period by layer and target, a Dataset of `probed` and `truth`,
    `(basin, time)`, on the basins that the probe was fitted on."""

    scores: pd.DataFrame
    fitted: dict[tuple[str, str], xr.Dataset]


def probe(
    model: torch.nn.Module,
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
        Probes are fitted on the first and scored on both.
    targets
        What cell states are asked for; `PROBED` if empty. `features` are always asked for the
        basin's mean forcing.
    left_out
        Basins that no probe is fitted on; scored as the split `left_out`.
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
    if lacking := [n for n in asked if n not in series or series[n].dims != ("basin", "time")]:
        raise DataError(
            f"the data have no {lacking[0]!r} to probe"
            f" for{nearest(lacking[0], map(str, series.data_vars))}"
        )
    periods = {"train": train_period, "test": test_period}
    fitted_on = [b for b in series["basin"].values if b not in set(left_out)]
    splits = {"train": ("train", fitted_on), "test": ("test", fitted_on)}
    splits |= {"left_out": ("test", list(left_out))} if left_out else {}
    layers = {
        control: {k: activations(network, ds, v) for k, v in periods.items()}
        for control, network in (("network", model), ("untrained", untrained(model, seed)))
    }
    memory = {
        k: forcing_memory(series, list(model.scaling.forcings), v, model.sequence_length)
        for k, v in periods.items()
    }
    rows, fitted = [], {}
    for layer in layers["network"]["train"]:
        inputs = {control: {k: of[k][layer] for k in periods} for control, of in layers.items()}
        inputs |= {"shuffled": inputs["network"], "forcing": memory}
        if layer == FEATURES:
            # the day's mean over the whole grid
            inputs["forcing"] = {
                k: xr.concat(list(grid_means(ds, v).values()), "unit") for k, v in periods.items()
            }
        for target in FORCING if layer == FEATURES else asked:
            y = {k: _of_period(series[target], v) for k, v in periods.items()}
            truths = {"shuffled": {k: shuffle_days(v, seed) for k, v in y.items()}}
            for control, x in inputs.items():
                truth = truths.get(control, y)
                fit = fit_probe(_of(x["train"], fitted_on), _of(truth["train"], fitted_on))
                for split, (k, basins) in splits.items():
                    probed, true = fit(_of(x[k], basins)), _of(truth[k], basins)
                    rows.append(
                        {"layer": layer, "target": target, "control": control, "split": split}
                        | score_probe(probed, true)
                    )
                    if (control, split) == ("network", "test"):
                        fitted[layer, target] = xr.Dataset(
                            {"probed": probed.assign_attrs(series[target].attrs), "truth": true}
                        )
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
    """Every probe of every run: the scores with `PROBE_COLUMNS`, and `Probed` of the first run of
    each label.

    Parameters
    ----------
    targets, seed
        As `probe` takes them.
    left_out
        Share of the basins of a regional model that no probe is fitted on.

    Raises
    ------
    ParameterError
        A model without cell states.
    """
    for run in runs:
        if run.fit_parameters.notebook not in ("cnn_lstm_01_train", "ealstm_01_train"):
            raise ParameterError(
                f"{run.path}: {run.fit_parameters.model} has no cell states to probe; give runs of"
                " cnn_lstm_01_train or ealstm_01_train"
            )
    tables, first, ds, data = [], {}, None, None
    labels = name_scenarios(runs)["label"]
    for run, label in sorted(
        zip(runs, labels, strict=True), key=lambda both: str(both[0].parameters["data"])
    ):
        p = run.fit_parameters
        if run.parameters["data"] != data:
            ds, data = open_data(p.data), run.parameters["data"]
        basins = ds["basin"].values.tolist() if "basin" in ds.dims else []
        probed = probe(
            run.model,
            ds,
            p.train_period,
            p.test_period,
            targets=targets,
            left_out=choose_left_out(basins, left_out, seed),
            seed=seed,
        )
        tables.append(probed.scores.assign(run=run.path.name, label=label))
        first.setdefault(label, probed)
    return pd.concat(tables, ignore_index=True)[PROBE_COLUMNS], first


def _of(da: xr.DataArray, basins: Sequence[str]) -> xr.DataArray:
    """Of these basins; not copied where they are all."""
    return da if len(basins) == da.sizes["basin"] else da.sel(basin=list(basins))


def grid_means(ds: xr.Dataset, period: Period) -> dict[str, xr.DataArray]:
    """Mean of each forcing over the whole grid, also outside the basin, `(basin, time)`."""
    days = select_period(ds, period)
    return {
        n: (
            days[n]
            .mean(["y", "x"], dtype=np.float64)
            .drop_vars(["lat", "lon", "area"], errors="ignore")
            .expand_dims(basin=[str(ds.attrs["basin"])])
        )
        for n in FORCING
    }


def _reference(ds: xr.Dataset, series: xr.Dataset, periods: Mapping[str, Period]) -> list[dict]:
    """r_ref of Table 5: the mean of the whole grid against the basin's, without any regression (so
    no NSE)."""
    return [
        {"layer": "grid mean", "control": "reference", "target": name, "split": split}
        | score_probe(whole, _of_period(series[name], period))
        | {"nse": np.nan}
        for split, period in periods.items()
        for name, whole in grid_means(ds, period).items()
    ]


def choose_left_out(basins: Sequence[str], share: float, seed: int) -> list[str]:
    """A random share of the basins, at least one and never all; none of fewer than two basins."""
    n = min(max(1, round(share * len(basins))), max(len(basins) - 1, 0)) if share > 0 else 0
    return sorted(np.random.default_rng(seed).permutation(list(basins))[:n].tolist())


def table5(scores: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """The layout of Table 5: r of the probe of CNN outputs, one row per kind of run (its label) and
    control, r_ref among them, one column per forcing of the basin; see `over_seeds`."""
    part = scores[(scores["layer"].isin([FEATURES, "grid mean"])) & (scores["split"] == split)]
    by_run = part.pivot_table(
        index=["label", "control", "run"], columns="target", values="r", sort=False
    )
    return over_seeds(by_run)


def cell_table(scores: pd.DataFrame, split: str = "test", value: str = "nse") -> pd.DataFrame:
    """Scores of probes of all cell states together: one row per kind of run (its label) and target,
    one column per control, and `gain`, the network minus its best control, run by run; see
    `over_seeds`."""
    part = scores[(scores["layer"] == ALL_CELLS) & (scores["split"] == split)]
    by_run = part.pivot_table(
        index=["label", "target", "run"], columns="control", values=value, sort=False
    )
    by_run = by_run.reindex(columns=[c for c in PROBE_CONTROLS if c in by_run.columns])
    if "network" in by_run:
        by_run["gain"] = by_run["network"] - by_run.drop(columns="network").max(axis=1)
    return over_seeds(by_run)


def over_seeds(by_run: pd.DataFrame) -> pd.DataFrame:
    """Means over the runs of a kind, without the level `run` of the index; their standard
    deviations (ddof 1, NaN for one run) as `_std`, and the number of `runs`."""
    grouped = by_run.groupby(level=[n for n in by_run.index.names if n != "run"], sort=False)
    return grouped.mean().join(grouped.std().add_suffix("_std")).assign(runs=grouped.size())


def readable_probes(table: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """A table of `over_seeds` as text: mean ± standard deviation, the mean alone for one run."""
    text = table.drop(columns="runs").map(f"{{:.{digits}f}}".format)
    names = [name for name in text if not name.endswith("_std")]
    one = table["runs"] == 1
    both = {name: text[name].where(one, text[name] + " ± " + text[f"{name}_std"]) for name in names}
    return pd.DataFrame(both).replace("^nan.*", "-", regex=True).assign(runs=table["runs"])
