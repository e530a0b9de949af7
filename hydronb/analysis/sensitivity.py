"""Which attributes an EA-LSTM is sensitive to: the method of Morris with exact gradients.

Kratzert et al. (2019), Sects. 2.6.2 and 3.3 of the discussion paper, Eqs. 14 and 15: the derivative
of each day's standardised streamflow with respect to each standardised attribute, its absolute
value averaged over days.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from jaxtyping import Float
from tqdm.auto import tqdm

from hydronb.analysis.ealstm_ensemble import Evaluation, evaluation_windows
from hydronb.errors import DataError
from hydronb.files import reading
from hydronb.models import EALSTM, StandardisedLSTM
from hydronb.models.kernels.forward_gradient import attribute_gradients
from hydronb.parameters import Period
from hydronb.runs.directory import TrainedRun


def sensitivities(
    model: StandardisedLSTM,
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
        Catchments, with the days before `period` that the model looks back on.
    evaluation
        In the continuous one the derivative sees all days since the warm-up began. Where the model
        was trained on one day per window it is far cheaper.

    Returns
    -------
    xarray.DataArray
        (basin, attribute), without unit.

    Raises
    ------
    DataError
        The data do not hold the period, or not enough days before it.
    """
    samples, _, new = evaluation_windows(model, ds, period, evaluation)
    network = model.network
    # the work of a batch fits the cache of a core
    size = 2**18 // (network.hidden * network.n_static * 4)
    size = size if evaluation == "continuous" else 2**16 // samples.sequence_length
    total = torch.zeros(len(samples.ids), samples.static.shape[1], dtype=torch.float64)
    with tqdm(total=len(samples), desc="sensitivity", unit="window", disable=not progress) as bar:
        for index in torch.arange(len(samples)).split(max(1, size)):
            batch = samples.gather(index)
            dynamic, static = model.standardise(batch.dynamic, batch.static)
            slope = _slopes(network, dynamic, static, samples.predict_last).abs()
            counted = slope * new[index % len(new), :, None]
            total.index_add_(0, batch.basin.long(), counted.sum(1).double())
            bar.update(len(index))
    # single precision, as the network computes
    mean = (total / new.sum()).float().double()
    return _gradients(mean.numpy(), ds["basin"].values, list(model.scaling.attributes))


def _gradients(values: np.ndarray, basins: np.ndarray, attributes: list[str]) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("basin", "attribute"),
        name="sensitivity",
        coords={"basin": basins, "attribute": attributes},
        attrs={"units": "1", "long_name": "mean absolute gradient"},
    )


def _slopes(
    network: EALSTM,
    dynamic: Float[torch.Tensor, "batch time dynamic"],
    static: Float[torch.Tensor, "batch static"],
    last: int,
) -> Float[torch.Tensor, "batch last static"]:
    """Derivatives by one reverse pass where a window has one target, else carried forward."""
    if last > 1:
        return attribute_gradients(network, dynamic, static, last)[1]
    static = static.clone().requires_grad_()
    constant = {name: weight.detach() for name, weight in network.named_parameters()}
    out = torch.func.functional_call(network, constant, (dynamic, static))
    return torch.autograd.grad(out[..., 0].sum(), static)[0][:, None]


def sensitivities_of_seeds(
    runs: Sequence[TrainedRun], ds: xr.Dataset, *, evaluation: Evaluation = "continuous"
) -> xr.DataArray:
    """`sensitivities` of each run over its own test period: (seed, basin, attribute)."""
    return xr.concat(
        [
            sensitivities(run.model, ds, run.fit_parameters.test_period, evaluation=evaluation)
            for run in runs
        ],
        pd.Index([run.seed for run in runs], name="seed"),
    )


def read_sensitivities(path: str | Path) -> xr.DataArray:
    """Mean absolute gradients of a CSV file, `basin` and one column per attribute: (basin,
    attribute).

    Raises
    ------
    DataError
        No such file, no column `basin`, a basin that is there twice, or anything but numbers from 0
        on.
    """
    with reading(Path(path), "a CSV table"):
        table = pd.read_csv(path, dtype={"basin": str})
    if "basin" not in table or len(table.columns) < 2 or not len(table):
        raise DataError(
            f"{path} needs a column basin and one per attribute, with one row per basin"
        )
    table = table.set_index("basin")
    if table.index.has_duplicates:
        raise DataError(
            f"{path}: basin {table.index[table.index.duplicated()][0]} is there twice; remove a row"
        )
    if wrong := [n for n in table if table[n].dtype.kind not in "fi" or not (table[n] >= 0).all()]:
        raise DataError(
            f"{path}: {wrong[0]} holds something else than numbers from 0 on, for a mean absolute"
            " gradient"
        )
    return _gradients(table.to_numpy(float), table.index.to_numpy(object), list(table.columns))


def within_basin(gradients: xr.DataArray) -> xr.DataArray:
    """Gradients scaled to 0..1 over the attributes of each basin, as Table 4 of the paper has them
    before averaging."""
    low, high = gradients.min("attribute"), gradients.max("attribute")
    return (gradients - low) / (high - low).where(high > low, 1)


def attribute_ranking(gradients: xr.DataArray) -> pd.DataFrame:
    """Table 4: attributes by their scaled sensitivity, averaged over basins (and seeds, if there
    are several).

    Parameters
    ----------
    gradients
        (basin, attribute) or (seed, basin, attribute).

    Returns
    -------
    pandas.DataFrame
        Columns rank, attribute, sensitivity, as in the paper; also `gradient`, the plain mean over
        basins, with `gradient_rank`. Scaling within the basin gives each basin the same weight,
        however little its flow reacts.
    """
    over = [d for d in gradients.dims if d != "attribute"]
    table = (
        pd.DataFrame(
            {
                "sensitivity": within_basin(gradients).mean(over).to_series(),
                "gradient": gradients.mean(over).to_series(),
            }
        )
        .sort_values("sensitivity", ascending=False, kind="stable")
        .rename_axis("attribute")
        .reset_index()
    )
    return table.assign(
        rank=np.arange(1, len(table) + 1),
        gradient_rank=table["gradient"].rank(ascending=False, method="first").astype(int),
    )[["rank", "attribute", "sensitivity", "gradient", "gradient_rank"]]


def rankings_of_seeds(gradients: xr.DataArray) -> pd.DataFrame:
    """`attribute_ranking` of every seed of (seed, basin, attribute), with the column seed in
    front."""
    return (
        pd.concat({int(one["seed"]): attribute_ranking(one) for one in gradients}, names=["seed"])
        .reset_index("seed")
        .reset_index(drop=True)
    )


def most_sensitive(gradients: xr.DataArray) -> xr.DataArray:
    """The attribute with the largest gradient, over basin (Fig. 7)."""
    return gradients.idxmax("attribute").rename("attribute")


def compare_sensitivities(one: xr.DataArray, other: xr.DataArray) -> dict[str, float]:
    """How far two sensitivities (basin, attribute) agree, of two evaluations or two seeds:
    Spearman's correlation of their rankings, the largest difference in a sensitivity of Table 4,
    the share of basins with the same most sensitive attribute."""
    one, other = xr.align(one, other, join="inner")
    a, b = (within_basin(g).mean("basin").to_series() for g in (one, other))
    return {
        "spearman": float(a.rank().corr(b.rank())),
        "largest_difference": float((a - b).abs().max()),
        "same_first": float((most_sensitive(one) == most_sensitive(other)).mean()),
    }


def rank_agreement(gradients: xr.DataArray) -> pd.DataFrame:
    """`compare_sensitivities` of every pair of seeds of (seed, basin, attribute): columns one,
    other, spearman, same_first."""
    rows = [
        {"one": int(one["seed"]), "other": int(other["seed"])} | compare_sensitivities(one, other)
        for one, other in combinations(gradients, 2)
    ]
    return pd.DataFrame(rows, columns=["one", "other", "spearman", "same_first"])
