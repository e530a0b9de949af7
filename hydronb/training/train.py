"""Training a model of any kind into a run directory."""

import json
import zlib
from pathlib import Path

import pandas as pd
import torch
import xarray as xr

from hydronb.data import open_data
from hydronb.data.folds import simulated_basins
from hydronb.errors import ParameterError, TrainingError
from hydronb.models.weights import load, read_description, save_model
from hydronb.parameters import FitParameters
from hydronb.runs.directory import TrainedRun
from hydronb.training.loop import fit
from hydronb.training.predict import save_results
from hydronb.training.task import torch_settings
from hydronb.vocabulary import MODELS


def train(ds: xr.Dataset, p: FitParameters, run_dir: str | Path) -> torch.nn.Module:
    """Train the model that `p` describes on all basins of `ds` and save it in `run_dir`.

    A training that was cut off continues from its checkpoint and ends with the bits of an
    undisturbed one (on a CPU, with the same number of threads). A complete one, with the same
    parameters and data, is loaded. torch's threads and random numbers are left as they were.

    Returns
    -------
    torch.nn.Module
        In evaluation mode; `run_dir` holds `model.safetensors`, `model.json` and `progress.csv`.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see the `prepare` of the model's training.
    TrainingError
        The loss is not finite, or `run_dir` cannot be written.
    """
    run_dir, device = Path(run_dir), choose_device(p.device)
    with torch_settings(p.threads, device):
        task = MODELS[p.model].training()(ds, p, device)
        fingerprint = _fingerprint(task.seen, p)
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            if is_complete(run_dir, fingerprint):
                return load(run_dir, device=device)
            # of other parameters; model.json is written last, when a training is complete
            (run_dir / "model.json").unlink(missing_ok=True)
            torch.manual_seed(p.seed)
            model = task.build()
            fit(
                model,
                task.samples,
                task.loss_of,
                p.model_copy(
                    update={"samples_per_epoch": p.samples_per_epoch or task.samples_per_epoch}
                ),
                run_dir,
                fingerprint=fingerprint,
                validate=task.validate,
            )
            save_model(
                model,
                run_dir,
                fingerprint=fingerprint,
                train_period=p.plain()["train_period"],
                basins=list(task.samples.ids),
            )
            (run_dir / "checkpoint.safetensors").unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(
                f"{run_dir} cannot be written: {error.strerror or error}; free space or choose "
                "another folder, then run again: it continues where it stopped"
            ) from None
    return model.eval()


def train_and_simulate(ds: xr.Dataset, p: FitParameters, run_dir: str | Path) -> pd.DataFrame:
    """`train`, then simulate the test period: writes `simulation.nc` and `metrics.csv`, and what
    else the model has, into `run_dir`, and returns the metrics, one row per basin.

    Raises
    ------
    DataError, TrainingError
        See `train`.
    """
    return simulate_test(train(ds, p, run_dir), ds, p, run_dir)


def simulate_test(
    model: torch.nn.Module, ds: xr.Dataset, p: FitParameters, run_dir: str | Path
) -> pd.DataFrame:
    """Simulate the test period, write `simulation.nc` and `metrics.csv` (of an HBV also `fluxes.nc`
    and `parameters.nc`, with `details: components` also `components.nc`), and return the metrics of
    the first target, one row per basin.

    Raises
    ------
    TrainingError
        `run_dir` cannot be written.
    """
    try:
        with torch_settings(p.threads):
            details = "components" if getattr(p, "details", "") == "components" else True
            simulation = model.simulate(simulated_basins(ds, p), p.test_period, details=details)
        return save_results(simulation, p.targets, Path(run_dir))[p.targets[0]]
    except (OSError, RuntimeError) as error:  # netCDF4 has both for a full disk
        raise TrainingError(
            f"{run_dir} cannot be written: {error}; free space, then run again"
        ) from None


def train_run(run_dir: str | Path) -> pd.DataFrame:
    """Train and simulate what `run_dir/params.yaml` says, as its notebook does; returns the
    metrics, one row per basin.

    Raises
    ------
    ParameterError
        No such file, or parameters of no training.
    DataError, TrainingError
        See `train`.
    """
    p = TrainedRun(Path(run_dir)).fit_parameters
    return train_and_simulate(open_data(p.data), p, run_dir)


def is_complete(run_dir: Path, fingerprint: str) -> bool:
    """Whether `run_dir` holds the weights of a finished training with this fingerprint."""
    written = all((run_dir / name).exists() for name in ("model.safetensors", "model.json"))
    return written and read_description(run_dir).get("fingerprint") == fingerprint


def choose_device(name: str) -> str:
    """`auto` becomes `cuda` where there is a GPU.

    Raises
    ------
    ParameterError
        A device that this machine does not have.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise ParameterError(f"device {name!r} is not on this machine; use cpu or auto") from None
    return name


def _fingerprint(seen: tuple[torch.Tensor, ...], p: FitParameters) -> str:
    """What the weights depend on: the parameters that training uses, and the numbers it sees."""
    used = p.model_dump(mode="json", exclude={"data", "run_dir", "test_period", "device"})
    data = 0
    for tensor in seen:
        data = zlib.crc32(tensor.cpu().contiguous().numpy().data, data)
    settings = zlib.crc32(json.dumps(used, sort_keys=True).encode())
    return f"{settings:08x}-{data:08x}-{torch.__version__}"
