"""Catchment similarity as an EA-LSTM sees it: clusters of input gates, and what they say about
streamflow.

Kratzert et al. (2019), Sects. 2.7 and 3.4 (2.6.3 in the discussion paper),
doi:10.5194/hess-23-5089-2019. A *space* is a set of points, one per basin: the `embedding` (input
gates, Eq. 7, one dimension per cell) or the `attributes` (standardised, independent of any
network). All tables are tidy; `seed` is empty for attributes.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from hydronb.data.attributes import attribute_matrix, categories
from hydronb.data.dataset import bare_id
from hydronb.data.scaling import require
from hydronb.errors import DataError, ParameterError
from hydronb.files import read_dataset, replacing
from hydronb.runs.directory import TrainedRun
from hydronb.signatures import SIGNATURES, signatures

KS = tuple(range(3, 15))
"""Numbers of clusters that the paper tries; with 2 among them, 2 wins in both spaces."""
WEIGHTINGS = ("cluster", "size")
Space = tuple[str, int | None]
"""`embedding` with its seed, or `attributes` with None."""


def gates_of_runs(runs: Sequence[TrainedRun], ds: xr.Dataset) -> xr.DataArray:
    """Input gates of each run for the basins of `ds`: (seed, basin, cell), 0 to 1 (Eq. 7)."""
    with torch.inference_mode():
        gates = [
            model.input_gate(torch.from_numpy(model.scaling.static(ds).astype(np.float32))).numpy()
            for model in (run.model for run in runs)
        ]
    return _described(np.stack(gates), [run.seed for run in runs], ds["basin"].values)


def read_embedding(path: str | Path) -> xr.DataArray:
    """`input_gate` (seed, basin, cell) of a NetCDF file: the published one, or `embedding.nc` of a
    run.

    Raises
    ------
    DataError
        No such file, no `input_gate`, other dimensions, ids that are not text or repeat, or values
        outside 0 to 1.
    """
    ds = read_dataset(path)
    if "input_gate" not in ds:
        raise DataError(f"{path} has no variable input_gate; give the published file or a run's")
    gate = ds["input_gate"]
    if "seed" not in gate.dims:
        gate = gate.expand_dims(seed=[int(gate["seed"]) if "seed" in gate.coords else 0])
    if set(gate.dims) != {"seed", "basin", "cell"} or not {"seed", "basin"} <= set(gate.coords):
        raise DataError(
            f"{path}: input_gate is over {gate.dims}; it needs seed, basin and cell, with ids and"
            " seeds"
        )
    if gate["basin"].dtype.kind not in "UOT" or not gate.indexes["basin"].is_unique:
        raise DataError(
            f"{path}: basin ids must be text, each once; numbers lose their leading zeros"
        )
    gate = gate.transpose("seed", "basin", "cell")
    if not bool(((gate >= 0) & (gate <= 1)).all()):
        raise DataError(
            f"{path}: input_gate is not within 0 to 1 everywhere; give it after the sigmoid (Eq. 7)"
        )
    basins = np.array([str(b) for b in gate["basin"].values], object)
    return _described(gate.values, [int(s) for s in gate["seed"].values], basins)


def _described(values: np.ndarray, seeds: Sequence[int], basins: np.ndarray) -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=("seed", "basin", "cell"),
        name="input_gate",
        coords={"seed": list(seeds), "basin": basins, "cell": np.arange(values.shape[2])},
        attrs={"units": "1", "long_name": "input gate"},
    )


def choose_seed(gates: xr.DataArray, seed: int | None = None) -> int:
    """`seed` if it is among those of `gates`, the first one for None.

    Raises
    ------
    ParameterError
        It is not among them.
    """
    seeds = gates["seed"].values.tolist()
    if seed is not None and seed not in seeds:
        raise ParameterError(
            f"shown_seed = {seed}: the input gates have the seeds {', '.join(map(str, seeds))}"
        )
    return seeds[0] if seed is None else seed


def standardised_attributes(
    ds: xr.Dataset, names: Sequence[str], *, fill_missing: bool = False
) -> xr.DataArray:
    """Attributes with zero mean and unit standard deviation (ddof 1) over the basins of `ds`:
    (basin, attribute).

    A constant attribute is zero throughout, and so is a missing one with `fill_missing`.

    Raises
    ------
    DataError
        The data lack an attribute, or a basin lacks its value.
    """
    require(ds, names, "attribute")
    values = attribute_matrix(ds, list(names), categories(ds, list(names)))
    if (missing := np.isnan(values)).any() and not fill_missing:
        b, a = np.argwhere(missing)[0]
        raise DataError(
            f"attribute {names[a]} of basin {ds['basin'].values[b]} is missing; leave the basin out"
        )
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1)
    return xr.DataArray(
        np.nan_to_num((values - mean) / np.where(std > 0, std, 1)),
        dims=("basin", "attribute"),
        coords={"basin": ds["basin"].values, "attribute": list(names)},
        name="attributes",
    )


def select_basins(ds: xr.Dataset, basins: Iterable[str], *, where: str) -> xr.Dataset:
    """The rows of `ds` for `basins`, joined by the part of the id after the source's prefix, with
    the ids as given.

    Raises
    ------
    DataError
        A basin that `ds` does not have.
    """
    position = {bare_id(str(b)): k for k, b in enumerate(ds["basin"].values)}
    basins = list(basins)
    if lacking := [b for b in basins if bare_id(b) not in position]:
        more = f" (nor {len(lacking) - 1} others)" if len(lacking) > 1 else ""
        raise DataError(
            f"{where} has no basin {lacking[0]!r}{more} of the embedding; give the `attributes` of"
            " these"
        )
    return ds.isel(basin=[position[bare_id(b)] for b in basins]).assign_coords(
        basin=np.array(basins, object)
    )


# Clusters
# ---


def clusters(
    points: xr.DataArray, ks: Sequence[int] = KS, *, n_init: int = 10, random_state: int = 0
) -> xr.DataArray:
    """k-means of points (basin, ...) for each k: labels (k, basin), the largest cluster is 0.

    scikit-learn's k-means++ with Euclidean distances. The best of `n_init` restarts is kept; the
    paper's silhouettes have 10, its maps 200.

    Raises
    ------
    DataError
        A k below 2, or not below the number of basins.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    basins = points["basin"].values
    if wrong := [k for k in ks if not 2 <= k < len(basins)]:
        raise DataError(
            f"k = {wrong[0]} clusters of {len(basins)} basins: choose k from 2 to {len(basins) - 1}"
        )
    values = points.transpose("basin", ...).values
    # one thread is fastest for so few points, and always gives the same result
    with threadpool_limits(1):
        labels = [
            _by_size(KMeans(k, n_init=n_init, random_state=random_state).fit_predict(values))
            for k in ks
        ]
    return xr.DataArray(
        np.stack(labels),
        dims=("k", "basin"),
        coords={"k": list(ks), "basin": basins},
        name="cluster",
    )


def _by_size(labels: np.ndarray) -> np.ndarray:
    """The same clusters, the largest first; of two as large, the one with the earlier basin."""
    names, first, counts = np.unique(labels, return_index=True, return_counts=True)
    rank = np.empty(len(names), int)
    rank[np.lexsort((first, -counts))] = np.arange(len(names))
    return rank[np.searchsorted(names, labels)]


def silhouette_table(points: xr.DataArray, labels: xr.DataArray) -> pd.DataFrame:
    """Mean and minimum over basins of the silhouette (Rousseeuw, 1987): columns k, mean, min.

    A basin's silhouette is (b - a) / max(a, b): a is its mean distance to the others of its
    cluster, b that to the basins of the nearest other cluster; 0 for a basin that is alone.
    """
    from sklearn.metrics import pairwise_distances, silhouette_samples

    values = points.sel(basin=labels["basin"]).transpose("basin", ...).values.astype(np.float64)
    distance = pairwise_distances(values)
    np.fill_diagonal(distance, 0)
    each = [silhouette_samples(distance, of_k.values, metric="precomputed") for of_k in labels]
    return pd.DataFrame(
        {"k": labels["k"].values, "mean": [s.mean() for s in each], "min": [s.min() for s in each]}
    )


def all_spaces(embedding: xr.DataArray, attributes: xr.DataArray) -> dict[Space, xr.DataArray]:
    """Points (basin, ...) by space and seed: each seed's embedding, then the attributes, whose seed
    is None.

    Raises
    ------
    DataError
        They are not of the same basins.
    """
    if only := set(embedding["basin"].values) ^ set(attributes["basin"].values):
        raise DataError(
            f"basin {min(only)} is not in both, embedding and attributes; join them first"
        )
    return {
        **{("embedding", int(one["seed"])): one.drop_vars("seed") for one in embedding},
        ("attributes", None): attributes.sel(basin=embedding["basin"]),
    }


def join_spaces(tables: Mapping[Space, pd.DataFrame]) -> pd.DataFrame:
    """Tables by space and seed below each other, with columns `space` and `seed` in front."""
    parts = [
        pd.DataFrame({"space": space, "seed": seed}, table.index, dtype=object).join(table)
        for (space, seed), table in tables.items()
    ]
    return pd.concat(parts, ignore_index=True).astype({"seed": "Int64"})


def best_k(silhouettes: pd.DataFrame, per: str = "space") -> dict[Hashable, int]:
    """The k with the largest mean silhouette, averaged over seeds, for each space; with `per`
    "seed", what each seed would choose on its own.

    Parameters
    ----------
    silhouettes
        Columns space, seed, k, mean, from `join_spaces`.
    """
    means = silhouettes.groupby([per, "k"])["mean"].mean().unstack("k")  # noqa: PD010
    best = means.idxmax(axis=1)
    return dict(zip(best.index.tolist(), best.tolist(), strict=True))


def cluster_stability(labels: Mapping[Space, xr.DataArray]) -> pd.DataFrame:
    """How far two clusterings agree: columns k, one, other, adjusted_rand; 1 is the same clusters,
    0 chance.

    `one` and `other` are a seed as text or `attributes`. Adjusted Rand index of Hubert and Arabie
    (1985).
    """
    from sklearn.metrics import adjusted_rand_score

    named = {
        space if seed is None else str(seed): of_seed for (space, seed), of_seed in labels.items()
    }
    rows = [
        (int(k), one, other, adjusted_rand_score(named[one].sel(k=k), named[other].sel(k=k)))
        for one, other in combinations(named, 2)
        for k in named[one]["k"].values
    ]
    return pd.DataFrame(rows, columns=["k", "one", "other", "adjusted_rand"])


def truth_agreement(labels: Mapping[Space, xr.DataArray], truth: xr.DataArray) -> pd.DataFrame:
    """Adjusted Rand index of every clustering against a known classification (basin): columns
    space, seed, k, adjusted_rand."""
    from sklearn.metrics import adjusted_rand_score

    tables = {}
    for space, of_space in labels.items():
        classes = truth.sel(basin=of_space["basin"]).values.astype(str)
        rand = [adjusted_rand_score(classes, of_k.values) for of_k in of_space]
        tables[space] = pd.DataFrame({"k": of_space["k"].values, "adjusted_rand": rand})
    return join_spaces(tables)


def matched_labels(labels: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Labels (basin) renamed so that as many basins as possible have the label they have in
    `reference`, for maps to be compared by colour."""
    from scipy.optimize import linear_sum_assignment

    n = int(max(labels.max(), reference.max())) + 1
    shared = np.zeros((n, n), int)
    np.add.at(shared, (labels.values, reference.sel(basin=labels["basin"]).values), 1)
    return labels.copy(data=linear_sum_assignment(-shared)[1][labels.values])


# What clusters explain
# ---


def signatures_of(ds: xr.Dataset) -> xr.Dataset:
    """The 13 signatures of CAMELS: its own table's where `ds` has them, else from streamflow and
    precipitation.

    Raises
    ------
    DataError
        The data have neither.
    """
    if all(name in ds for name in SIGNATURES):
        return ds[list(SIGNATURES)]
    if lacking := [n for n in ("streamflow", "prcp") if n not in ds]:
        raise DataError(
            f"no signatures: the data have neither camels_hydro's nor {lacking[0]} to make them"
            " from"
        )
    return signatures(ds["streamflow"], ds["prcp"])


def require_signatures(ds: xr.Dataset, *, missing: str = "error") -> xr.Dataset:
    """`ds`, with one signature per variable over basin, if every basin has every signature.

    Raises
    ------
    DataError
        A basin lacks one, unless `missing` is `skip`; or there is no signature.
    """
    if not ds.data_vars:
        raise DataError("no signatures are given, so there is nothing for clusters to explain")
    for name, values in ds.data_vars.items() if missing != "skip" else ():
        if (lacking := np.isnan(values)).any():
            names = ds["basin"].values[lacking.values]
            more = f" (nor have {len(names) - 1} others)" if len(names) > 1 else ""
            raise DataError(
                f"basin {names[0]} has no {name}{more}; leave out the basin or the signature, or"
                " set missing_signatures: skip"
            )
    return ds


def variance_reductions(labels: xr.DataArray, ds: xr.Dataset) -> pd.DataFrame:
    """Share of each signature's variance over basins that the clusters explain.

    Weighting `cluster`, the paper's: 1 - mean over clusters of var(in the cluster) / var(of all),
    ddof 1; a cluster of five basins counts as much as one of two hundred. Weighting `size`: 1 - sum
    of squares within clusters / total sum of squares, the explained variance as it is usually
    meant, never below 0. A cluster of one basin has no variance and is left out of the first.

    Parameters
    ----------
    labels
        (k, basin).
    ds
        One signature per variable, over basin; basins without a value do not count in it.

    Returns
    -------
    pandas.DataFrame
        Columns k, signature, weighting, value.
    """
    rows = []
    for name, values in ds.sel(basin=labels["basin"]).data_vars.items():
        y = values.values.astype(np.float64)
        seen = ~np.isnan(y)
        for k, of_k in zip(labels["k"].values, labels.values, strict=True):
            rows += [
                (int(k), str(name), weighting, value)
                for weighting, value in zip(
                    WEIGHTINGS, _reductions(y[seen], of_k[seen]), strict=True
                )
            ]
    return pd.DataFrame(rows, columns=["k", "signature", "weighting", "value"])


def _reductions(y: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    if len(y) < 2 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    groups = [y[labels == c] for c in np.unique(labels)]
    variances = [g.var(ddof=1) for g in groups if len(g) > 1]
    by_cluster = 1 - float(np.mean(variances)) / y.var(ddof=1) if variances else float("nan")
    within = sum(((g - g.mean()) ** 2).sum() for g in groups)
    return float(by_cluster), float(1 - within / ((y - y.mean()) ** 2).sum())


# In two dimensions, and on disk
# ---


def umap_plane(
    points: xr.DataArray, *, n_neighbors: int = 10, min_dist: float = 0.1, random_state: int = 0
) -> pd.DataFrame:
    """UMAP (McInnes et al., 2018) of points (basin, ...) onto a plane: columns basin, x, y; with
    the paper's settings.

    Coordinates depend on the library's version and on the machine: look at neighbours, not at
    numbers.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_jobs value", category=UserWarning)
        import umap

        values = points.transpose("basin", ...).values
        plane = umap.UMAP(
            n_neighbors=min(n_neighbors, len(values) - 1),
            min_dist=min_dist,
            random_state=random_state,
            # the spectral start needs more points than a handful
            init="spectral" if len(values) > 10 else "random",
        ).fit_transform(values)
    return pd.DataFrame({"basin": points["basin"].values, "x": plane[:, 0], "y": plane[:, 1]})


def save_embedding(
    folder: Path,
    embedding: xr.DataArray,
    catchments: xr.Dataset,
    of_basins: xr.Dataset,
    names: Sequence[str],
) -> None:
    """Write `embedding.nc`: input gates, and over basin the attributes `names`, the signatures
    `of_basins`, the position of the gauges, and a true regime where it is known: all that is needed
    to draw every figure again."""
    over_basin = [n for n in (*names, "true_regime") if n in catchments]
    whole = xr.merge(
        [
            embedding.astype(np.float32),
            catchments[over_basin].reset_coords(drop=True),
            of_basins.reset_coords(drop=True),
        ],
        compat="override",
        join="exact",
    ).assign_coords(
        {c: catchments[c] for c in ("lat", "lon", "gauge_name") if c in catchments.coords}
    )
    with replacing(folder / "embedding.nc") as partial:
        whole.to_netcdf(partial, encoding={"input_gate": {"zlib": True, "complevel": 1}})
