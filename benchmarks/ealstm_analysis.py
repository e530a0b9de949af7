"""EA-LSTM analyses at the paper's size: 531 basins, 256 cells, 27 attributes, ten years, random
weights, one thread.

Each is measured on a stated fraction of the work and extrapolated in proportion, but for the
similarity, which is measured whole. CPU seconds, the least of several repetitions: what others do
on the machine only adds to them. Memory is what one process grows by on that fraction; the data of
all 531 basins (50 MB in single precision) come on top.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import xarray as xr
from measure import alone, arguments, growth, show

from hydronb.analysis import robustness, sensitivity, similarity
from hydronb.data.attributes import KRATZERT2019
from hydronb.data.scaling import fit_scaling
from hydronb.models.standardised import StandardisedLSTM
from hydronb.parameters import Period
from hydronb.vocabulary import MODELS

BASINS, HIDDEN, SEEDS, WINDOW = 531, 256, 8, 270
FORCINGS = ("prcp", "srad", "tmax", "tmin", "vp")
TEST = Period(start="1989-10-01", end="1999-09-30")
YEAR = Period(start="1989-10-01", end="1990-09-30")
"""What windows are evaluated for: a tenth of the test period."""


def catchments(n_basins: int) -> xr.Dataset:
    """Random series and attributes, with the window's days before the test period."""
    rng = np.random.default_rng(0)
    time = pd.date_range(pd.Timestamp(TEST.start) - pd.Timedelta(days=WINDOW - 1), TEST.end)
    series = {
        n: (("basin", "time"), rng.gamma(1, 2, (n_basins, len(time))).astype(np.float32))
        for n in (*FORCINGS, "streamflow")
    }
    attributes = {n: ("basin", rng.normal(size=n_basins)) for n in KRATZERT2019}
    return xr.Dataset(
        series | attributes, coords={"basin": [f"{i:08d}" for i in range(n_basins)], "time": time}
    )


def model(ds: xr.Dataset) -> StandardisedLSTM:
    torch.manual_seed(0)
    scaling = fit_scaling(ds, FORCINGS, KRATZERT2019, ["streamflow"], TEST)
    return (
        MODELS["ealstm"]
        .make(
            model="ealstm",
            scaling=scaling,
            hidden=HIDDEN,
            dropout=0.4,
            forget_bias=5.0,
            sequence_length=WINDOW,
            predict_last=1,
        )
        .eval()
    )


def clusters_and_all(chosen) -> float:
    ds = catchments(BASINS)
    torch.manual_seed(0)
    attributes = similarity.standardised_attributes(ds, KRATZERT2019)
    weights = torch.randn(SEEDS, HIDDEN, len(KRATZERT2019))
    gates = torch.sigmoid(
        torch.einsum("sca,ba->sbc", weights, torch.from_numpy(attributes.values).float())
    )
    embedding = xr.DataArray(
        gates.numpy(),
        dims=("seed", "basin", "cell"),
        coords={"seed": range(SEEDS), "basin": ds["basin"].values},
    )
    spaces = similarity.all_spaces(embedding, attributes)
    labels = {key: similarity.clusters(points) for key, points in spaces.items()}
    signatures = ds[list(KRATZERT2019[:13])]  # thirteen numbers a basin, whatever they are
    for key, points in spaces.items():
        similarity.silhouette_table(points, labels[key])
        similarity.variance_reductions(labels[key], signatures)
        similarity.umap_plane(points)
    similarity.cluster_stability(labels)
    return 1.0


def morris(evaluation: str) -> Callable[[object], float]:
    def run(chosen) -> float:
        n, period = (chosen.basins, TEST) if evaluation == "continuous" else (1, YEAR)
        ds = catchments(max(n, 2))
        trained = model(ds)
        sensitivity.sensitivities(
            trained, ds.isel(basin=slice(n)), period, evaluation=evaluation, progress=False
        )
        return n / BASINS * (1 if period is TEST else 0.1)

    return run


def noise(evaluation: str) -> Callable[[object], float]:
    def run(chosen) -> float:
        vectors, period = (chosen.vectors, TEST) if evaluation == "continuous" else (1, YEAR)
        ds = catchments(2)
        robustness.noise_experiment(
            model(ds),
            ds.isel(basin=[0]),
            period,
            sigmas=[1.0],
            repetitions=vectors,
            evaluation=evaluation,
            progress=False,
        )
        return vectors / robustness.PAPER_EVALUATIONS * (1 if period is TEST else 0.1)

    return run


ANALYSES = {
    "similarity: 8 seeds, k 3 to 14, UMAP": clusters_and_all,
    "sensitivity, continuous": morris("continuous"),
    "sensitivity, windowed": morris("windowed"),
    "robustness, continuous": noise("continuous"),
    "robustness, windowed": noise("windowed"),
}


def main() -> None:
    chosen = arguments(__doc__, basins=16, vectors=512, repetitions=3)
    if chosen.quick:
        chosen.basins, chosen.vectors, chosen.repetitions = 2, 16, 1
    if chosen.alone:
        print(growth(lambda: ANALYSES[chosen.alone](chosen)))
        return
    rows = []
    for name, run in ANALYSES.items():
        spent = float("inf")
        for _ in range(chosen.repetitions):
            start = time.process_time()
            fraction = run(chosen)
            spent = min(spent, time.process_time() - start)
        rows.append(
            [
                name,
                f"{fraction:.2g}",
                spent,
                spent / fraction / 60,
                spent / fraction / 120,
                alone(name),
            ]
        )
    show(
        [
            "one model (similarity: eight)",
            "measured",
            "CPU s",
            "whole, min, 1 core",
            "2 cores",
            "MB",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
