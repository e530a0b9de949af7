"""Training a model of any family into a run directory.

`python -m hydronb.training.train RUN_DIR` trains what `RUN_DIR/params.yaml` says, without a
notebook.
"""

import json
import sys
import zlib
from importlib import import_module
from pathlib import Path

import torch
import xarray as xr
from torch import Tensor, nn

from hydronb.errors import HydronbError, ParameterError, TrainingError
from hydronb.models.weights import load, read_description, save
from hydronb.parameters import FitParameters, read_parameters, training_class
from hydronb.training.loop import fit


def train(ds: xr.Dataset, p: FitParameters, run_dir: str | Path) -> nn.Module:
    """Train the model that `p` describes on all basins of `ds` and save it in `run_dir`.

    A training that was cut off goes on from its checkpoint and ends with the bits of an undisturbed
    one (on a CPU, with the same number of threads). One that is complete, with the same parameters
    and data, is loaded.

    Returns
    -------
    torch.nn.Module
        In evaluation mode; `run_dir` holds `model.safetensors`, `model.json` and `progress.csv`.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see the family's `prepare`.
    TrainingError
        The loss is not finite, or `run_dir` cannot be written.
    """
    run_dir = Path(run_dir)
    torch.set_num_threads(p.threads)
    device = choose_device(p.device)
    ready = import_module(f"hydronb.training.{p.family}").prepare(ds, p, device)
    fingerprint = _fingerprint(ready.seen, p)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if is_complete(run_dir, fingerprint):
            return load(run_dir, device=device)
        # of other parameters; it is the last file that is written
        (run_dir / "model.json").unlink(missing_ok=True)
        torch.manual_seed(p.seed)
        model = ready.build()
        drawn = p.samples_per_epoch or ready.samples_per_epoch
        fit(
            model,
            ready.samples,
            ready.loss_of,
            p.model_copy(update={"samples_per_epoch": drawn}),
            run_dir,
            fingerprint=fingerprint,
            validate=ready.validate,
        )
        save(
            model,
            run_dir,
            fingerprint=fingerprint,
            train_period=p.plain()["train_period"],
            basins=list(ready.samples.ids),
        )
        (run_dir / "checkpoint.safetensors").unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{run_dir} cannot be written: {error.strerror or error}; free space or choose another "
            "folder, then run again: it goes on where it stopped"
        ) from None
    return model.eval()


def is_complete(run_dir: Path, fingerprint: str) -> bool:
    """Whether `run_dir` holds the weights of a finished training with this fingerprint."""
    if not (run_dir / "model.safetensors").exists() or not (run_dir / "model.json").exists():
        return False
    return read_description(run_dir).get("fingerprint") == fingerprint


def choose_device(name: str) -> str:
    """`auto` to `cuda` where there is a GPU.

    Raises
    ------
    ParameterError
        A device this machine does not have.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise ParameterError(f"device {name!r} is not on this machine; use cpu or auto") from None
    return name


def _fingerprint(seen: tuple[Tensor, ...], p: FitParameters) -> str:
    """What the weights depend on: the parameters that training uses, and the numbers it sees."""
    used = p.model_dump(mode="json", exclude={"data", "run_dir", "test_period", "device"})
    data = 0
    for tensor in seen:
        data = zlib.crc32(tensor.cpu().contiguous().numpy().data, data)
    settings = zlib.crc32(json.dumps(used, sort_keys=True).encode())
    return f"{settings:08x}-{data:08x}-{torch.__version__}"


def main(run_dir: str) -> None:
    """Train and simulate what `run_dir/params.yaml` says."""
    path = Path(run_dir) / "params.yaml"
    given = read_parameters(path)
    p = training_class(given.get("model")).validate_parameters(given, where=str(path))
    family = import_module(f"hydronb.training.{p.family}")
    ds = family.open_data(p)
    model = train(ds, p, run_dir)
    try:
        table = family.finish(model, ds, p, Path(run_dir))
    except (OSError, RuntimeError) as error:  # netCDF4 has both for a full disk
        raise TrainingError(
            f"{run_dir} cannot be written: {error}; free space, then run again"
        ) from None
    print(table.median().to_string())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m hydronb.training.train RUN_DIR")
    try:
        main(sys.argv[1])
    except HydronbError as error:
        sys.exit(f"error: {error}")
