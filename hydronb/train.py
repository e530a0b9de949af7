"""Training: one readable loop that shows progress, never loses more than minutes, and resumes to the same bits.

`python -m hydronb.train RUN_DIR` trains what `RUN_DIR/params.yaml` says, without a notebook.
"""

import csv
import json
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from tqdm.auto import tqdm

from hydronb import metrics
from hydronb.data.attributes import attribute_list
from hydronb.data.scaling import fit_scaling, select_period
from hydronb.data.windows import Samples, prediction_samples, training_samples
from hydronb.errors import DataError, HydronbError, ParameterError, TrainingError
from hydronb.losses import LOSSES, Terms
from hydronb.models.scaled import ScaledModel, load, read_description, write_atomically, write_tensors
from hydronb.parameters import Period, TrainParameters, read_parameters
from hydronb.predict import predict

CHECKPOINT_SECONDS = 120
"""At most so much of a long epoch is lost when a run is killed."""
PROGRESS_SECONDS = 5
"""How often `progress.csv` grows within an epoch."""
COLUMNS = ("epoch", "epochs", "loss", "valid", "learning_rate", "seconds", "cpu_seconds")


def train(ds: xr.Dataset, p: TrainParameters, run_dir: str | Path) -> ScaledModel:
    """Train the model that `p` describes on all basins of `ds` and save it in `run_dir`.

    A training that was cut off goes on from its checkpoint and ends with the bits of an undisturbed one (on a CPU, with
    the same number of threads). One that is complete, with the same parameters and data, is loaded.

    Returns
    -------
    ScaledModel
        In evaluation mode; `run_dir` holds `model.safetensors`, `model.json` and `progress.csv`.

    Raises
    ------
    DataError
        The data lack what `p` asks for; see `fit_scaling` and `training_samples`.
    TrainingError
        The loss is not finite, or `run_dir` cannot be written.
    """
    run_dir = Path(run_dir)
    torch.set_num_threads(p.threads)
    device = choose_device(p.device)
    attributes = [] if p.model == "lstm_no_static" else attribute_list(ds, p.attributes)
    if p.model == "ealstm" and not attributes:
        raise ParameterError("attributes is empty: an EA-LSTM needs static attributes, or choose model: lstm_no_static")
    scaling = fit_scaling(ds, p.forcings, attributes, p.targets, p.train_period,
                          missing_attributes=p.missing_attributes)
    samples = training_samples(ds, scaling, p.train_period, p.sequence_length, p.predict_last, device=device)
    for period in filter(None, (p.validation_period, p.test_period)):  # a period that cannot be predicted stops here
        prediction_samples(ds.isel(basin=[0]), scaling, period, p.sequence_length, p.predict_last)
    if p.validation_period and not select_period(ds, p.validation_period)[p.targets[0]].notnull().any():
        raise DataError(f"no basin has {p.targets[0]} in the validation_period {p.validation_period}; choose another")
    fingerprint = _fingerprint(samples, p)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if is_complete(run_dir, fingerprint):
            return load(run_dir, device=device)
        (run_dir / "model.json").unlink(missing_ok=True)  # of other parameters; it is the last file that is written
        torch.manual_seed(p.seed)
        model = ScaledModel(p.model, scaling, hidden=p.hidden, dropout=p.dropout, forget_bias=p.forget_bias,
                            sequence_length=p.sequence_length, predict_last=p.predict_last).to(device)
        fit(model, samples, basin_std(ds, p), p, run_dir, fingerprint=fingerprint,
            validate=validator(ds, p.validation_period) if p.validation_period else None)
        model.save(run_dir, fingerprint=fingerprint, train_period=p.plain()["train_period"],
                   basins=[str(b) for b in ds["basin"].values])
        (run_dir / "checkpoint.safetensors").unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(f"{run_dir} cannot be written: {error.strerror or error}; free space or choose another "
                            "folder, then run again: it goes on where it stopped") from None
    return model.eval()


def fit(model: ScaledModel, samples: Samples, std: torch.Tensor, p: TrainParameters, run_dir: Path, *,
        fingerprint: str, validate: Callable[[ScaledModel], float] | None = None) -> None:
    """Fit `model` in place, with a checkpoint in `run_dir` after each epoch and every two minutes within one.

    Parameters
    ----------
    std
        Standard deviation of each basin's targets over the training period, shape (basin, target), for the losses.
    fingerprint
        Of parameters and data; a checkpoint with another one is passed over.
    validate
        Gives the score after each epoch, higher is better; the weights of the best epoch are kept if `p.patience`
        is set, those of the last one otherwise.

    Raises
    ------
    TrainingError
        A loss that is not finite, with epoch, step and basins.
    """
    loss_of = LOSSES[p.loss]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=p.weight_decay)
    parameters = list(model.parameters())
    checkpoint = Checkpoint(run_dir / "checkpoint.safetensors", model, optimiser, fingerprint)
    at = checkpoint.restore()
    log = ProgressLog(run_dir / "progress.csv", p.epochs, at)
    n_drawn = min(p.samples_per_epoch or len(samples), len(samples))
    n_steps = -(-n_drawn // p.batch_size)
    saved = time.monotonic()
    for epoch in range(at["epoch"], p.epochs + 1):
        if p.patience and epoch - 1 - at["best_epoch"] >= p.patience and at["best_epoch"]:
            break
        order = epoch_order(len(samples), n_drawn, p.seed, epoch).to(std.device)
        learning_rate = rate(p.learning_rate, epoch)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        model.train()
        bar = tqdm(total=n_steps, initial=at["step"], desc=f"epoch {epoch}/{p.epochs}", unit="step", leave=False)
        for step in range(at["step"], n_steps):
            batch = samples.gather(order[step * p.batch_size : (step + 1) * p.batch_size])
            sim = model(batch.dynamic, batch.static, attribute_noise=p.attribute_noise)
            loss = loss_of(Terms(sim, batch.target, std[batch.basin], model.targets_std, batch.basin))
            if not (value := loss.item()) < float("inf"):
                raise TrainingError(non_finite(epoch, step, batch.basin, samples, value))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, p.clip_norm)
            optimiser.step()
            at["step"], at["loss_sum"] = step + 1, at["loss_sum"] + value
            bar.update()
            bar.set_postfix(loss=f"{at['loss_sum'] / at['step']:.4f}", refresh=False)
            if step + 1 < n_steps:
                log.within(epoch - 1 + (step + 1) / n_steps, at["loss_sum"] / at["step"], learning_rate)
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    log.keep(at)
                    checkpoint.save(at)
                    saved = time.monotonic()
        bar.close()
        score = validate(model) if validate else None
        if score is not None and score > (-np.inf if at["best_score"] is None else at["best_score"]):
            at |= {"best_epoch": epoch, "best_score": score}
            checkpoint.remember_best()
        log.epoch(float(epoch), at["loss_sum"] / n_steps, score, learning_rate)
        at |= {"epoch": epoch + 1, "step": 0, "loss_sum": 0.0}
        log.keep(at)
        checkpoint.save(at)
        saved = time.monotonic()
    if p.patience:
        checkpoint.use_best()


def is_complete(run_dir: Path, fingerprint: str) -> bool:
    """Whether `run_dir` holds the weights of a finished training with this fingerprint."""
    if not (run_dir / "model.safetensors").exists() or not (run_dir / "model.json").exists():
        return False
    return read_description(run_dir).get("fingerprint") == fingerprint


def rate(learning_rate: float | dict[int, float], epoch: int) -> float:
    """The learning rate of an epoch, counted from 1.

    >>> rate({1: 1e-3, 11: 5e-4}, 10), rate({1: 1e-3, 11: 5e-4}, 11), rate(0.1, 7)
    (0.001, 0.0005, 0.1)
    """
    if isinstance(learning_rate, dict):
        return learning_rate[max(e for e in learning_rate if e <= epoch)]
    return learning_rate


def epoch_order(n_samples: int, n_drawn: int, seed: int, epoch: int) -> torch.Tensor:
    """Which samples an epoch sees and in which order; depends on nothing but its arguments, so that a resumed epoch
    goes on with the same batches."""
    rng = np.random.default_rng((seed % 2**32, epoch))
    if n_drawn < n_samples // 8:
        return torch.from_numpy(rng.choice(n_samples, n_drawn, replace=False, shuffle=True))
    return torch.from_numpy(rng.permutation(n_samples)[:n_drawn])


def basin_std(ds: xr.Dataset, p: TrainParameters) -> torch.Tensor:
    """Standard deviation (ddof 0) of each basin's targets over the training period, shape (basin, target)."""
    days = ds.sel(time=slice(str(p.train_period.start), str(p.train_period.end)))
    targets = [days[n].values.astype(np.float64) for n in p.targets]
    std = np.stack([np.nanstd(values, axis=1) for values in targets], axis=1)
    return torch.from_numpy(std.astype(np.float32)).to(choose_device(p.device))


def validator(ds: xr.Dataset, period: Period) -> Callable[[ScaledModel], float]:
    """Median NSE over basins in `period`, of the first target."""

    def score(model: ScaledModel) -> float:
        simulation = predict(model, ds, period, progress=False)
        target = next(iter(model.scaling.targets))
        return float(metrics.nse(sim=simulation[target], obs=simulation[f"{target}_obs"]).median())

    return score


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


def non_finite(epoch: int, step: int, basin: torch.Tensor, samples: Samples, value: float) -> str:
    """The message of a training that diverged."""
    ids = sorted({samples.ids[b] for b in basin.tolist()})
    return (f"the loss became {value} in epoch {epoch}, step {step + 1}, in a batch of {len(ids)} basins "
            f"({', '.join(ids[:8])}{' ...' if len(ids) > 8 else ''}); lower learning_rate, or look at these basins' "
            "data with `hydronb data check`")


class Checkpoint:
    """Everything that a training needs to go on, in one file that is replaced whole."""

    def __init__(self, path: Path, model: ScaledModel, optimiser: torch.optim.Optimizer, fingerprint: str):
        self.path, self.model, self.optimiser, self.fingerprint = path, model, optimiser, fingerprint
        self.best: dict[str, torch.Tensor] = {}

    def save(self, at: dict) -> None:
        tensors = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {f"best.{n}": t for n, t in self.best.items()}
        for n, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{n}.{key}": value for key, value in state.items()}
        tensors["rng.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        write_tensors(self.path, tensors, {"at": json.dumps(at), "fingerprint": self.fingerprint})

    def restore(self) -> dict:
        """Put model, optimiser and random numbers back; returns where the training stands."""
        start = {"epoch": 1, "step": 0, "loss_sum": 0.0, "best_epoch": 0, "best_score": None, "rows": 0,
                 "seconds": 0.0, "cpu_seconds": 0.0}
        if not self.path.exists():
            return start
        try:
            with safe_open(self.path, "pt") as file:
                about = file.metadata() or {}
                if about.get("fingerprint") != self.fingerprint:
                    return start
                parts = {name: file.get_tensor(name) for name in file.keys()}
        except SafetensorError:
            raise TrainingError(f"{self.path} cannot be read, so the training cannot go on; delete it to start anew"
                                ) from None
        self.model.load_state_dict(_below(parts, "model"))
        self.best = _below(parts, "best")
        states = {}
        for name, value in _below(parts, "optimiser").items():
            number, key = name.split(".")
            states.setdefault(int(number), {})[key] = value
        self.optimiser.load_state_dict({"state": states, "param_groups": self.optimiser.state_dict()["param_groups"]})
        torch.set_rng_state(parts["rng.cpu"])
        if "rng.cuda" in parts and torch.cuda.is_available():
            torch.cuda.set_rng_state(parts["rng.cuda"])
        return json.loads(about["at"])

    def remember_best(self) -> None:
        self.best = {n: t.clone() for n, t in self.model.state_dict().items()}

    def use_best(self) -> None:
        if self.best:
            self.model.load_state_dict(self.best)


def _below(parts: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(f"{prefix}."): t for n, t in parts.items() if n.startswith(f"{prefix}.")}


class ProgressLog:
    """`progress.csv`: a row each epoch and every few seconds within one. Rows that a killed run wrote after its last
    checkpoint are dropped when it goes on."""

    def __init__(self, path: Path, epochs: int, at: dict):
        self.path, self.epochs = path, epochs
        rows = path.read_text().splitlines()[: at["rows"] + 1] if at["rows"] and path.exists() else [",".join(COLUMNS)]
        path.write_text("\n".join(rows) + "\n")
        self.rows = len(rows) - 1
        self.seconds_before, self.cpu_before = at["seconds"], at["cpu_seconds"]
        self.start, self.cpu_start = time.monotonic(), time.process_time()
        self.written = time.monotonic()

    def within(self, epoch: float, loss: float, learning_rate: float) -> None:
        if time.monotonic() - self.written > PROGRESS_SECONDS:
            self.epoch(round(epoch, 4), loss, None, learning_rate)

    def epoch(self, epoch: float, loss: float, valid: float | None, learning_rate: float) -> None:
        self.written = time.monotonic()
        seconds, cpu = self._spent()
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([epoch, self.epochs, f"{loss:.6g}", "" if valid is None else f"{valid:.6g}",
                                       learning_rate, f"{seconds:.1f}", f"{cpu:.1f}"])
        self.rows += 1

    def keep(self, at: dict) -> None:
        """Note in `at` what a checkpoint written now accounts for."""
        at["rows"] = self.rows
        at["seconds"], at["cpu_seconds"] = self._spent()

    def _spent(self) -> tuple[float, float]:
        return (self.seconds_before + time.monotonic() - self.start,
                self.cpu_before + time.process_time() - self.cpu_start)


def _fingerprint(samples: Samples, p: TrainParameters) -> str:
    """What the weights depend on: the parameters that training uses, and the numbers it sees."""
    used = p.model_dump(mode="json", exclude={"data", "run_dir", "test_period", "device"})
    data = 0
    for tensor in (samples.dynamic, samples.static, samples.target, samples.basin, samples.last):
        data = zlib.crc32(tensor.cpu().contiguous().numpy().data, data)
    return f"{zlib.crc32(json.dumps(used, sort_keys=True).encode()):08x}-{data:08x}-{torch.__version__}"


def main(run_dir: str) -> None:
    """Train and simulate what `run_dir/params.yaml` says."""
    from hydronb.data import open_catchments
    from hydronb.predict import save_simulation

    path = Path(run_dir) / "params.yaml"
    given = read_parameters(path)
    p = TrainParameters.validate_parameters(given, where=str(path))
    ds = open_catchments(p.data)
    simulation = predict(train(ds, p, run_dir), ds, p.test_period)
    target = p.targets[0]
    table = metrics.table(simulation[target], simulation[f"{target}_obs"])
    try:
        save_simulation(simulation, Path(run_dir) / "simulation.nc")
        write_atomically(Path(run_dir) / "metrics.csv", table.to_csv().encode())
    except (OSError, RuntimeError) as error:  # netCDF4 has both for a full disk
        raise TrainingError(f"{run_dir} cannot be written: {error}; free space, then run again") from None
    print(table.median().to_string())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m hydronb.train RUN_DIR")
    try:
        main(sys.argv[1])
    except HydronbError as error:
        sys.exit(f"error: {error}")
