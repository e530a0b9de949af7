"""Which attributes an EA-LSTM listens to: the method of Morris with exact gradients.

Kratzert et al. (2019), Sects. 2.6.2 and 3.3 of the discussion paper, Eqs. 14 and 15: the derivative
of each day's standardised streamflow by each standardised attribute, its absolute value averaged
over days.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm.auto import tqdm

from hydronb.analysis.ealstm_runs import window_days
from hydronb.data.scaling import select_period
from hydronb.data.windows import Samples, prediction_samples
from hydronb.errors import DataError
from hydronb.models.kernels.forward_gradient import tangents
from hydronb.models.standardised import ScaledModel
from hydronb.parameters import Period
from hydronb.runs.directory import TrainedRun

Evaluation = Literal["continuous", "windowed"]


def sensitivities(
    model: ScaledModel,
    ds: xr.Dataset,
    period: Period,
    *,
    evaluation: Evaluation = "continuous",
    progress: bool = True,
) -> xr.DataArray:
    """Mean over the days of `period` of |d streamflow / d attribute|, both standardised, not
    clipped at zero.

    Parameters
    ----------
    model
        A trained EA-LSTM.
    ds
        Catchments; the days before `period` that the model looks back on must be there.
    evaluation
        `windowed`: each day from its own window, state zero at its beginning, as the model was
        trained and the paper evaluates. `continuous`: one pass over the period with the state
        carried along; the derivative then sees all days since the warm-up began. Where the model
        was trained on one day a window this is far cheaper.

    Returns
    -------
    xarray.DataArray
        (basin, attribute), without unit.
    """
    if evaluation == "windowed":
        samples = prediction_samples(
            ds, model.scaling, period, model.sequence_length, model.predict_last
        )
        mean = _windowed(model, samples, window_days(samples, ds, period)[1], progress)
    else:
        mean = _continuous(model, ds, period, progress)
    return xr.DataArray(
        mean,
        dims=("basin", "attribute"),
        name="sensitivity",
        coords={"basin": ds["basin"].values, "attribute": list(model.scaling.attributes)},
        attrs={"units": "1", "long_name": "mean absolute gradient"},
    )


def _continuous(model: ScaledModel, ds: xr.Dataset, period: Period, progress: bool) -> np.ndarray:
    days = select_period(ds, period).sizes["time"]
    warm_up = model.sequence_length - model.predict_last
    samples = prediction_samples(ds, model.scaling, period, days + warm_up, days)
    out = []
    # what a core's cache holds
    size = max(1, 2**18 // (model.network.hidden * model.network.n_static * 4))
    with tqdm(total=len(samples), desc="sensitivity", unit="basin", disable=not progress) as bar:
        for batch in samples.batches(size):
            _, slope = tangents(
                model.network, *model.standardise(batch.dynamic, batch.static), days
            )
            out.append(slope.abs().mean(1))
            bar.update(len(batch.basin))
    return torch.cat(out).double().numpy()


def _windowed(
    model: ScaledModel, samples: Samples, new: Bool[Tensor, "window last"], progress: bool
) -> np.ndarray:
    total = torch.zeros(len(samples.ids), samples.static.shape[1], dtype=torch.float64)
    size = max(1, 2**16 // samples.sequence_length)
    with tqdm(total=len(samples), desc="sensitivity", unit="window", disable=not progress) as bar:
        for index in torch.arange(len(samples)).split(size):
            batch = samples.gather(index)
            slope = _slopes(model, *model.standardise(batch.dynamic, batch.static)).abs()
            slope = slope * new[index % len(new), :, None]
            total.index_add_(0, batch.basin.long(), slope.sum(1).double())
            bar.update(len(index))
    return (total / new.sum()).numpy()


def _slopes(
    model: ScaledModel,
    dynamic: Float[Tensor, "batch time dynamic"],
    static: Float[Tensor, "batch static"],
) -> Float[Tensor, "batch last static"]:
    """Derivatives by one reverse pass where a window has one target, else carried forward."""
    if model.predict_last > 1:
        return tangents(model.network, dynamic, static, model.predict_last)[1]
    static = static.clone().requires_grad_()
    weights = [w for w in model.network.parameters() if w.requires_grad]
    for w in weights:
        w.requires_grad_(False)
    try:
        return torch.autograd.grad(model.network(dynamic, static)[..., 0].sum(), static)[0][:, None]
    finally:
        for w in weights:
            w.requires_grad_(True)


def of_seeds(
    runs: Sequence[TrainedRun], ds: xr.Dataset, *, evaluation: Evaluation = "continuous"
) -> xr.DataArray:
    """`sensitivities` of each run over its own test period: (seed, basin, attribute)."""
    each = [
        sensitivities(run.model, ds, run.fit_parameters.test_period, evaluation=evaluation)
        for run in runs
    ]
    return xr.concat(each, pd.Index([run.seed for run in runs], name="seed"))


def read_sensitivities(path: str | Path) -> xr.DataArray:
    """Mean absolute gradients of a CSV file, `basin` and a column an attribute: (basin, attribute).

    Raises
    ------
    DataError
        No such file, no column `basin`, a basin that is there twice, or anything but numbers from 0
        on.
    """
    try:
        table = pd.read_csv(path, dtype={"basin": str})
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except ValueError as error:
        raise DataError(f"{path} is no CSV table ({error})") from None
    if "basin" not in table or len(table.columns) < 2 or not len(table):
        raise DataError(f"{path} needs a column basin and one an attribute, a row a basin")
    table = table.set_index("basin")
    if table.index.has_duplicates:
        raise DataError(
            f"{path}: basin {table.index[table.index.duplicated()][0]} is there twice; remove a row"
        )
    for name, values in table.items():
        if values.dtype.kind not in "fi" or not (values >= 0).all():
            raise DataError(
                f"{path}: {name} holds something else than numbers from 0 on, for a mean absolute"
                " gradient"
            )
    return xr.DataArray(
        table.to_numpy(float),
        dims=("basin", "attribute"),
        name="sensitivity",
        coords={"basin": table.index.to_numpy(object), "attribute": list(table.columns)},
        attrs={"units": "1", "long_name": "mean absolute gradient"},
    )


def within_basin(gradients: xr.DataArray) -> xr.DataArray:
    """Gradients scaled to 0..1 over the attributes of each basin, as Table 4 of the paper has them
    before averaging."""
    low, high = gradients.min("attribute"), gradients.max("attribute")
    return (gradients - low) / (high - low).where(high > low, 1)


def ranking(gradients: xr.DataArray) -> pd.DataFrame:
    """Table 4: attributes by their scaled sensitivity, averaged over basins (and seeds, where there
    are several).

    Parameters
    ----------
    gradients
        (basin, attribute) or (seed, basin, attribute).

    Returns
    -------
    pandas.DataFrame
        Columns rank, attribute, sensitivity; and beside the paper's, `gradient`, the plain mean
        over basins, with `gradient_rank`: scaling within the basin gives each basin the same say,
        however little its flow reacts.
    """
    over = [d for d in gradients.dims if d != "attribute"]
    table = pd.DataFrame(
        {
            "sensitivity": within_basin(gradients).mean(over).to_series(),
            "gradient": gradients.mean(over).to_series(),
        }
    )
    table = (
        table.sort_values("sensitivity", ascending=False, kind="stable")
        .rename_axis("attribute")
        .reset_index()
    )
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    table["gradient_rank"] = table["gradient"].rank(ascending=False, method="first").astype(int)
    return table


def rankings(gradients: xr.DataArray) -> pd.DataFrame:
    """`ranking` of every seed of (seed, basin, attribute), with the column seed in front."""
    each = [
        ranking(gradients.sel(seed=s, drop=True)).assign(seed=int(s))
        for s in gradients["seed"].values
    ]
    made = pd.concat(each, ignore_index=True)
    return made[["seed", *(c for c in made.columns if c != "seed")]]


def most_sensitive(gradients: xr.DataArray) -> xr.DataArray:
    """The attribute with the largest gradient, over basin (Fig. 7)."""
    return gradients.idxmax("attribute").rename("attribute")


def rank_agreement(gradients: xr.DataArray) -> pd.DataFrame:
    """How far seeds (seed, basin, attribute) agree: columns one, other, spearman (of the rankings),
    same_first (the share of basins whose most sensitive attribute is the same)."""
    sensitivity, first = within_basin(gradients).mean("basin"), most_sensitive(gradients)
    rows = []
    for a, b in combinations(gradients["seed"].values, 2):
        one, other = (sensitivity.sel(seed=s).to_series().rank() for s in (a, b))
        same = float((first.sel(seed=a, drop=True) == first.sel(seed=b, drop=True)).mean())
        rows.append((int(a), int(b), one.corr(other), same))
    return pd.DataFrame(rows, columns=["one", "other", "spearman", "same_first"])


def compare(one: xr.DataArray, other: xr.DataArray) -> dict[str, float]:
    """How far two evaluations (basin, attribute) agree: Spearman's correlation of their rankings,
    the largest difference in a sensitivity of Table 4, the share of basins with the same first
    attribute."""
    a, b = (within_basin(g).mean("basin").to_series() for g in xr.align(one, other, join="inner"))
    return {
        "spearman": float(a.rank().corr(b.rank())),
        "largest_difference": float((a - b).abs().max()),
        "same_first": float((most_sensitive(one) == most_sensitive(other)).mean()),
    }
