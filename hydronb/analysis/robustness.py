"""How robust an EA-LSTM is to errors in its attributes: Gaussian noise on them, without further
training.

Kratzert et al. (2019), Sects. 2.6.2 and 3.3 of the discussion paper, Fig. 6. A noise vector is
added to the standardised attributes of one basin and stays the same on all days; many are drawn for
each standard deviation.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float, Int
from tqdm.auto import tqdm

from hydronb import metrics
from hydronb.analysis.ealstm_ensemble import Evaluation, Windows, evaluation_windows
from hydronb.data.scaling import select_period
from hydronb.errors import DataError
from hydronb.files import replacing
from hydronb.models import EALSTM, StandardisedLSTM
from hydronb.parameters import Period

SIGMAS = tuple(round(0.1 * k, 1) for k in range(11))
"""Standard deviations of the paper, and 0 for the attributes as they are."""
PAPER_EVALUATIONS = 531 * (1 + 10 * 50)
CHUNK_DAYS = 32
"""Days of the continuous evaluation whose states are held at once."""


def noise_experiment(
    model: StandardisedLSTM,
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

    The noise of a basin depends on `seed`, its id and the standard deviation alone: not on the
    other basins, nor on what is evaluated together with it.

    Parameters
    ----------
    model
        A trained EA-LSTM.
    ds
        Catchments with the model's first target, and the days before `period` that the model looks
        back on.
    sigmas, repetitions
        Standard deviations, and noise vectors drawn for each; 0 is evaluated once.
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
        No observation in `period`, or missing days.
    """
    target = next(iter(model.scaling.targets))
    if target not in ds:
        raise DataError(f"the data have no {target}, so that nothing can be scored")
    obs = select_period(ds, period)[target].values.astype(np.float32)
    basin, static, place = _vectors(model, ds, sigmas, repetitions, seed)
    windows = evaluation_windows(model, ds, period, evaluation)
    simulate = _windowed if evaluation == "windowed" else _continuous
    nse = np.full((len(sigmas), repetitions, ds.sizes["basin"]), np.nan)
    with (
        torch.inference_mode(),
        tqdm(total=len(basin), desc="robustness", unit="run", disable=not progress) as bar,
    ):
        for part, sim in simulate(model, windows, basin, static, rows):
            level, repetition = place[part].T
            sim = sim * model.targets_std[0] + model.targets_mean[0]
            sim = sim.clamp(min=0) if target == "streamflow" else sim
            sim = xr.DataArray(sim.numpy(), dims=("row", "time"))
            nse[level, repetition, basin[part]] = metrics.nse(
                sim=sim, obs=sim.copy(data=obs[basin[part]])
            )
            bar.update(len(part))
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
    model: StandardisedLSTM, ds: xr.Dataset, sigmas: Sequence[float], repetitions: int, seed: int
) -> tuple[np.ndarray, torch.Tensor, np.ndarray]:
    """Every evaluation as a row: its basin's position, its standardised attributes, its level and
    repetition."""
    raw = torch.from_numpy(model.scaling.static(ds).astype(np.float32))
    clean = ((raw - model.attributes_mean) / model.attributes_std).numpy()
    place = np.array([(a, r) for a, s in enumerate(sigmas) for r in range(repetitions if s else 1)])
    each = [
        attributes
        + noise_vectors(str(name), sigmas, repetitions, len(attributes), seed)[tuple(place.T)]
        for name, attributes in zip(ds["basin"].values, clean, strict=True)
    ]
    static = torch.from_numpy(np.concatenate(each).astype(np.float32))
    return np.repeat(np.arange(len(each)), len(place)), static, np.tile(place, (len(each), 1))


def noise_vectors(
    basin: str, sigmas: Sequence[float], repetitions: int, n_attributes: int, seed: int
) -> np.ndarray:
    """Noise on the standardised attributes of one basin: (sigma, repetition, attribute)."""
    return np.stack(
        [
            np.random.default_rng((seed, zlib.crc32(basin.encode()), round(1e6 * s))).normal(
                0.0, s, (repetitions, n_attributes)
            )
            for s in sigmas
        ]
    )


Simulated = Iterator[tuple[np.ndarray, torch.Tensor]]
"""Positions of rows, and their standardised simulation (row, day)."""


def _continuous(
    model: StandardisedLSTM, windows: Windows, basin: np.ndarray, static: torch.Tensor, rows: int
) -> Simulated:
    samples, _, _ = windows
    for part in np.split(np.arange(len(basin)), range(rows, len(basin), rows)):
        basins, row = np.unique(basin[part], return_inverse=True)
        batch = samples.gather(torch.from_numpy(basins))
        dynamic, _ = model.standardise(batch.dynamic, batch.static)
        row, last = torch.from_numpy(row), samples.predict_last
        yield part, carried(model.network, dynamic, row, static[part], last)


def carried(
    network: EALSTM,
    dynamic: Float[torch.Tensor, "basin time dynamic"],
    basin: Int[torch.Tensor, " row"],
    static: Float[torch.Tensor, "row static"],
    last: int,
) -> Float[torch.Tensor, "row last"]:
    """The first target on the last `last` days from one pass, the state carried from chunk to
    chunk.

    Each row is an evaluation of one of the basins: rows of the same basin share its forcing, and
    nothing of the recurrence.
    """
    h = c = static.new_zeros(len(static), network.hidden)
    out = static.new_empty(len(static), dynamic.shape[1])
    for start in range(0, dynamic.shape[1], CHUNK_DAYS):
        part = slice(start, start + CHUNK_DAYS)
        hs, cs = network.states(dynamic[:, part][basin], static, (h, c))
        out[:, part] = network.head(hs)[..., 0]
        h, c = hs[:, -1], cs[:, -1]
    return out[:, -last:]


def _windowed(
    model: StandardisedLSTM, windows: Windows, basin: np.ndarray, static: torch.Tensor, rows: int
) -> Simulated:
    samples, day, new = windows
    for row in range(len(basin)):
        sim = static.new_empty(int(new.sum()))
        for part in torch.arange(len(day)).split(rows):
            batch = samples.gather(part + int(basin[row]) * len(day))
            dynamic, _ = model.standardise(batch.dynamic, batch.static)
            out = model.network(dynamic, static[[row]].expand(len(part), -1), model.predict_last)
            sim[day[part][new[part]]] = out[..., 0][new[part]]
        yield np.array([row]), sim[None]


def pooled_boxes(nse: xr.DataArray) -> pd.DataFrame:
    """The boxes of the paper: for each sigma the values of all basins and repetitions together.

    Parameters
    ----------
    nse
        From `noise_experiment`.

    Returns
    -------
    pandas.DataFrame
        Index sigma; columns mean, median, q01, q05, q25, q75, q95, n.

    Raises
    ------
    DataError
        A sigma without any value.
    """
    rows = {}
    for of_sigma in nse.transpose("sigma", ...):
        sigma, values = float(of_sigma["sigma"]), of_sigma.values[of_sigma.notnull().values]
        if not len(values):
            raise DataError(
                f"no basin has an NSE at sigma {sigma:g}: nothing was observed in the period"
            )
        q01, q05, q25, median, q75, q95 = np.percentile(values, (1, 5, 25, 50, 75, 95))
        rows[sigma] = {
            "mean": values.mean(),
            "q01": q01,
            "q05": q05,
            "q25": q25,
            "median": median,
            "q75": q75,
            "q95": q95,
            "n": len(values),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("sigma").astype({"n": int})


def basin_boxes(nse: xr.DataArray) -> pd.DataFrame:
    """As `pooled_boxes`, of each basin's median over repetitions: what noise does to a catchment,
    and how catchments differ in that, without the chance of single draws."""
    return pooled_boxes(nse.median("repetition"))


def compare_noise(continuous: xr.DataArray, windowed: xr.DataArray) -> dict[str, float]:
    """How far two evaluations of the same noise agree: |difference| in NSE over basins and vectors,
    its median, 95 % quantile and maximum (which means little where the NSE is -100), and the
    difference between the medians over all.
    """
    a, b = xr.align(continuous, windowed, join="inner")
    difference = np.abs((a - b).to_series().dropna().to_numpy())
    return {
        "median_difference": float(np.median(difference)),
        "q95_difference": float(np.percentile(difference, 95)),
        "largest_difference": float(difference.max()),
        "difference_of_medians": float(a.median() - b.median()),
        "evaluations": len(difference),
    }


def save_noise(nse: xr.DataArray, path: Path) -> None:
    """Write the experiment as NetCDF in single precision."""
    with replacing(path) as partial:
        nse.astype(np.float32).to_netcdf(partial, encoding={"nse": {"zlib": True, "complevel": 1}})
