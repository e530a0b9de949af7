"""A trained run to an xarray simulation."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm.auto import tqdm

from hydronb.data.dataset import COORDINATES, TARGETS
from hydronb.data.scaling import select_period
from hydronb.data.windows import prediction_samples
from hydronb.files import replacing, write
from hydronb.metrics import metric_table
from hydronb.parameters import Period


def predict(
    model: torch.nn.Module,
    ds: xr.Dataset,
    period: Period,
    *,
    batch_size: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Simulate all basins of `ds` on each day of `period`, as the model was trained: with its
    `sequence_length` and `predict_last`, or by its own `simulate` where it has one.

    Targets are in their units; streamflow below zero is set to zero, as in the paper's code. Where
    `ds` has the target, `<target>_obs` stands beside it; a prediction needs none.

    Returns
    -------
    xarray.Dataset
        `<target>` and `<target>_obs` over `(basin, time)`, with the catchments' coordinates.

    Raises
    ------
    DataError
        Forcings or attributes that the model was trained with are not in `ds`, or not for the
        period.
    """
    if hasattr(model, "simulate"):
        return model.simulate(ds, period, progress=progress)
    device = model.forcings_mean.device
    samples = prediction_samples(
        ds, model.scaling, period, model.sequence_length, model.predict_last, device=device
    )
    names = list(model.scaling.targets)
    out = np.full((ds.sizes["basin"], ds.sizes["time"], len(names)), np.nan, np.float32)
    was_training = model.training
    model.eval()
    size = batch_size or max(1, 2**18 // model.sequence_length)
    days = torch.arange(1 - model.predict_last, 1)
    with (
        torch.inference_mode(),
        tqdm(total=len(samples), desc="predict", unit="window", disable=not progress) as bar,
    ):
        for start in range(0, len(samples), size):
            batch = samples.gather(
                torch.arange(start, min(start + size, len(samples)), device=device)
            )
            simulated = model(batch.dynamic, batch.static).cpu().numpy()
            last = samples.last[start : start + size].cpu()
            out[batch.basin.cpu().numpy()[:, None], (last[:, None] + days).numpy()] = simulated
            bar.update(len(batch.basin))
    model.train(was_training)
    whole = xr.Dataset(
        {f"{n}_obs": ds[n] for n in names if n in ds}, {d: ds[d] for d in ("basin", "time")}
    )
    for k, name in enumerate(names):
        values = np.maximum(out[:, :, k], 0) if name == "streamflow" else out[:, :, k]
        attrs = {"units": TARGETS[name].units, "long_name": f"simulated {TARGETS[name].long_name}"}
        whole[name] = (("basin", "time"), values, attrs)
    keep = [c for c in (*COORDINATES, "gauge_name") if c in ds.coords]
    return select_period(whole.assign_coords({c: ds[c] for c in keep}), period)


def save_simulation(simulation: xr.Dataset, path: str | Path) -> Path:
    """Write a simulation as NetCDF chunked by basin, so that one hydrograph is one read; whole or
    not at all."""
    path = Path(path)
    chunks = {
        n: {"chunksizes": (1, *v.shape[1:]), "zlib": True, "complevel": 1}
        for n, v in simulation.data_vars.items()
        if v.dims[:2] == ("basin", "time")
    }
    with replacing(path) as partial:
        simulation.to_netcdf(partial, encoding=chunks)
    return path


def save_results(
    simulation: xr.Dataset, targets: list[str], run_dir: Path
) -> dict[str, pd.DataFrame]:
    """Write `simulation.nc`, `metrics.csv` of the first target and `metrics_TARGET.csv` of each
    other one; returns the metrics of each target, one row per basin."""
    save_simulation(simulation, run_dir / "simulation.nc")
    tables = {n: metric_table(simulation[n], simulation[f"{n}_obs"]) for n in targets}
    for name, scores in tables.items():
        file = "metrics.csv" if name == targets[0] else f"metrics_{name}.csv"
        write(run_dir / file, scores.to_csv())
    return tables
