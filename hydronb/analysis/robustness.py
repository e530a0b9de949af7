"""How an EA-LSTM bears errors in its attributes: Gaussian noise on them, nothing trained anew.

Kratzert et al. (2019), Sects. 2.6.2 and 3.3 of the discussion paper, Fig. 6. A noise vector is
added to the standardised attributes of one basin and stays the same on all days; for each standard
deviation many are drawn.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from hydronb.analysis.ealstm_runs import window_days
from hydronb.data.scaling import select_period
from hydronb.data.windows import prediction_samples
from hydronb.errors import DataError
from hydronb.models.ealstm import EALSTM
from hydronb.models.standardised import ScaledModel
from hydronb.parameters import Period

SIGMAS = tuple(round(0.1 * k, 1) for k in range(11))
"""The paper's, and 0 for the attributes as they are."""
PAPER_EVALUATIONS = 531 * (1 + 10 * 50)
CHUNK = 32
"""Days of the continuous evaluation whose states are held at once."""
Evaluation = Literal["continuous", "windowed"]


def noise_experiment(
    model: ScaledModel,
    ds: xr.Dataset,
    period: Period,
    *,
    sigmas: Sequence[float] = SIGMAS,
    repetitions: int = 50,
    seed: int = 0,
    evaluation: Evaluation = "continuous",
    rows: int = 256,
    progress: bool = True,
) -> xr.DataArray:
    """NSE of each basin under each noise vector.

    A basin's noise depends on `seed`, its id and the level alone: not on the other basins, nor on
    what is evaluated with it.

    Parameters
    ----------
    model
        A trained EA-LSTM.
    ds
        Catchments with the model's first target, and the days before `period` that the model looks
        back on.
    sigmas, repetitions
        Standard deviations, and noise vectors drawn for each; 0 is evaluated once.
    evaluation
        `windowed`: each day from its own window, state zero at its beginning, as the model was
        trained and the paper evaluates. `continuous`: one pass over the period with the state
        carried along; `sequence_length` times cheaper where the model was trained on one day a
        window.
    rows
        Noise vectors (or windows) that go through the network side by side.

    Returns
    -------
    xarray.DataArray
        `nse` (sigma, repetition, basin); NaN where not evaluated (sigma 0 from the second
        repetition on) or undefined.

    Raises
    ------
    DataError
        No observation in `period`, or days that are missing.
    """
    target = next(iter(model.scaling.targets))
    if target not in ds:
        raise DataError(f"the data have no {target}, so that nothing can be scored")
    obs = torch.from_numpy(select_period(ds, period)[target].values.astype(np.float32))
    basin, static, place = _vectors(model, ds, sigmas, repetitions, seed)
    simulate = _windowed if evaluation == "windowed" else _continuous
    nse = np.full((len(sigmas), repetitions, ds.sizes["basin"]), np.nan)
    with (
        torch.inference_mode(),
        tqdm(total=len(basin), desc="robustness", unit="run", disable=not progress) as bar,
    ):
        for part, sim in simulate(model, ds, period, basin, static, rows):
            level, repetition = place[part].T
            sim = sim * model.targets_std[0] + model.targets_mean[0]
            sim = sim.clamp(min=0) if target == "streamflow" else sim
            nse[level, repetition, basin[part]] = nse_of_rows(sim, obs[basin[part]])
            bar.update(len(sim))
    return xr.DataArray(
        nse,
        dims=("sigma", "repetition", "basin"),
        name="nse",
        coords={
            "sigma": list(sigmas),
            "repetition": np.arange(repetitions),
            "basin": ds["basin"].values,
        },
        attrs={"units": "1", "long_name": "NSE"},
    )


def _vectors(
    model: ScaledModel, ds: xr.Dataset, sigmas: Sequence[float], repetitions: int, seed: int
) -> tuple[np.ndarray, Tensor, np.ndarray]:
    """Every evaluation as a row: its basin's position, its standardised attributes, its level and
    repetition."""
    raw = torch.from_numpy(model.scaling.static(ds).astype(np.float32))
    clean = ((raw - model.attributes_mean) / model.attributes_std).numpy()
    place = np.array([(a, r) for a, s in enumerate(sigmas) for r in range(repetitions if s else 1)])
    each = []
    for b, name in enumerate(ds["basin"].values):
        draws = noise(str(name), sigmas, repetitions, clean.shape[1], seed)
        each.append(clean[b] + draws[place[:, 0], place[:, 1]])
    static = torch.from_numpy(np.concatenate(each).astype(np.float32))
    return np.repeat(np.arange(len(each)), len(place)), static, np.tile(place, (len(each), 1))


def noise(
    basin: str, sigmas: Sequence[float], repetitions: int, n_attributes: int, seed: int
) -> np.ndarray:
    """Noise on the standardised attributes of one basin: (sigma, repetition, attribute)."""
    draws = [
        np.random.default_rng((seed, zlib.crc32(basin.encode()), round(1e6 * s))).normal(
            0.0, s, (repetitions, n_attributes)
        )
        for s in sigmas
    ]
    return np.stack(draws)


Simulated = Iterator[tuple[np.ndarray, Tensor]]
"""Positions of rows, and their standardised simulation (row, day)."""


def _continuous(
    model: ScaledModel, ds: xr.Dataset, period: Period, basin: np.ndarray, static: Tensor, rows: int
) -> Simulated:
    days = select_period(ds, period).sizes["time"]
    samples = prediction_samples(
        ds, model.scaling, period, days + model.sequence_length - model.predict_last, days
    )
    for start in range(0, len(basin), rows):
        part = np.arange(start, min(start + rows, len(basin)))
        near, where = np.unique(basin[part], return_inverse=True)
        batch = samples.gather(torch.from_numpy(near))
        dynamic, _ = model.standardise(batch.dynamic, batch.static)
        yield part, carried(model.network, dynamic, torch.from_numpy(where), static[part], days)


def carried(
    network: EALSTM,
    dynamic: Float[Tensor, "basin time dynamic"],
    basin: Int[Tensor, " row"],
    static: Float[Tensor, "row static"],
    last: int,
) -> Float[Tensor, "row last"]:
    """The first target on the last `last` days from one pass, the state carried from chunk to
    chunk.

    Rows are evaluations of one basin or another: they share its forcing, and nothing of the
    recurrence.
    """
    h = c = static.new_zeros(len(static), network.hidden)
    out = static.new_empty(len(static), dynamic.shape[1])
    for start in range(0, dynamic.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        hs, cs = network.states(dynamic[:, part][basin], static, (h, c))
        out[:, part] = network.head(hs)[..., 0]
        h, c = hs[:, -1], cs[:, -1]
    return out[:, -last:]


def _windowed(
    model: ScaledModel, ds: xr.Dataset, period: Period, basin: np.ndarray, static: Tensor, rows: int
) -> Simulated:
    samples = prediction_samples(
        ds, model.scaling, period, model.sequence_length, model.predict_last
    )
    day, new = window_days(samples, ds, period)
    days = select_period(ds, period).sizes["time"]
    for row in range(len(basin)):
        sim = static.new_empty(days)
        for windows in torch.arange(len(day)).split(rows):
            batch = samples.gather(windows + int(basin[row]) * len(day))
            dynamic, _ = model.standardise(batch.dynamic, batch.static)
            out = model.network(
                dynamic, static[[row]].expand(len(windows), -1), model.predict_last
            )[..., 0]
            sim[day[windows][new[windows]]] = out[new[windows]]
        yield np.array([row]), sim[None]


def nse_of_rows(sim: Float[Tensor, "row day"], obs: Float[Tensor, "row day"]) -> np.ndarray:
    """`hydronb.metrics.nse` of each row in double precision; NaN where fewer than two days, or
    nothing but one value, are observed."""
    seen = ~torch.isnan(obs)
    sim, obs = sim.double(), torch.where(seen, obs, 0).double()
    n = seen.sum(1, keepdim=True)
    anomaly = torch.where(seen, obs - obs.sum(1, keepdim=True) / n, 0)
    errors = torch.where(seen, sim - obs, 0)
    variance = anomaly.square().sum(1)
    return torch.where(variance > 0, 1 - errors.square().sum(1) / variance, torch.nan).numpy()


def pooled(nse: xr.DataArray) -> pd.DataFrame:
    """The paper's boxes: for each sigma the values of all basins and repetitions together.

    Index sigma; columns mean, median, q01, q05, q25, q75, q95, n.
    """
    return _boxes({float(s): nse.sel(sigma=s).values.ravel() for s in nse["sigma"].values})


def of_basins(nse: xr.DataArray) -> pd.DataFrame:
    """As `pooled`, of each basin's median over repetitions: what noise does to a catchment, and how
    catchments differ in that, without the luck of single draws."""
    return _boxes(
        {float(s): nse.sel(sigma=s).median("repetition").values for s in nse["sigma"].values}
    )


def _boxes(values: dict[float, np.ndarray]) -> pd.DataFrame:
    rows = {}
    for sigma, every in values.items():
        there = every[~np.isnan(every)]
        if not len(there):
            raise DataError(
                f"no basin has an NSE at sigma {sigma:g}: nothing was observed in the period"
            )
        quantiles = dict(
            zip(
                ("q01", "q05", "q25", "median", "q75", "q95"),
                np.percentile(there, (1, 5, 25, 50, 75, 95)),
                strict=True,
            )
        )
        rows[sigma] = {"mean": there.mean(), **quantiles, "n": len(there)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("sigma").astype({"n": int})


def compare(continuous: xr.DataArray, windowed: xr.DataArray) -> dict[str, float]:
    """How far two evaluations of the same noise agree: |difference| in NSE over basins and vectors,
    its median, 95 % quantile and the largest (which means little where NSE is -100), and the
    difference of the medians over all.
    """
    a, b = xr.align(continuous, windowed, join="inner")
    difference = np.abs((a - b).values)
    there = difference[~np.isnan(difference)]
    return {
        "median_difference": float(np.median(there)),
        "q95_difference": float(np.percentile(there, 95)),
        "largest_difference": float(there.max()),
        "difference_of_medians": float(a.median() - b.median()),
        "evaluations": len(there),
    }


def save(nse: xr.DataArray, path: Path) -> None:
    """Write the experiment as NetCDF, single precision, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    nse.astype(np.float32).to_netcdf(partial, encoding={"nse": {"zlib": True, "complevel": 1}})
    os.replace(partial, path)
