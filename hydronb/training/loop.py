"""The training loop of all models: shows progress, never loses more than minutes, and resumes to
the same bits."""

import csv
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from hydronb.errors import TrainingError
from hydronb.files import reading, write
from hydronb.models.weights import read_tensors, write_tensors
from hydronb.parameters import FitParameters
from hydronb.runs.directory import PROGRESS, RunDirectory

CHECKPOINT_SECONDS = 120
"""At most so much of a long epoch is lost when a run is killed."""
PROGRESS_SECONDS = 5
"""How often `progress.csv` grows within an epoch."""
OPTIMISERS = {"adam": torch.optim.AdamW, "adadelta": torch.optim.Adadelta}
STATES = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.Adadelta: ("step", "square_avg", "acc_delta"),
}
"""What an optimiser keeps of each weight: the number `step`, and the rest in the weight's shape."""
START = {
    "epoch": 1,
    "step": 0,
    "loss_sum": 0.0,
    "best_epoch": 0,
    "best_score": None,
    "rows": 0,
    "seconds": 0.0,
    "cpu_seconds": 0.0,
}
"""Where a training begins: the next epoch, the next step in it, the sum of its losses so far, the
epoch with the best validation and its score, the rows of the log, the time spent."""


def fit(
    model: nn.Module,
    samples: Any,
    loss_of: Callable[[nn.Module, Any], Tensor],
    p: FitParameters,
    run_dir: Path,
    *,
    fingerprint: str,
    validate: Callable[[nn.Module], float] | None = None,
) -> None:
    """Fit `model` in place, with a checkpoint in `run_dir` after each epoch and every two minutes
    within one.

    Parameters
    ----------
    samples
        What batches are drawn from: `len(samples)`; `samples.gather(index)`, a batch, whose `basin`
        holds positions in `samples.ids`, the basins' names.
    loss_of
        The loss of the model on a batch of `samples`.
    fingerprint
        Of parameters and data; a checkpoint with another one is ignored.
    validate
        The score after each epoch, higher is better; the weights of the best epoch are kept if
        `p.patience` is set, those of the last epoch otherwise.

    Raises
    ------
    TrainingError
        A loss that is not finite, with epoch, step and basins.
    """
    parameters = list(model.parameters())
    optimiser = OPTIMISERS[p.optimiser](parameters, lr=1.0, weight_decay=p.weight_decay)
    checkpoint = Checkpoint(run_dir / "checkpoint.safetensors", model, optimiser, fingerprint)
    n_drawn = min(p.samples_per_epoch or len(samples), len(samples))
    n_steps = -(-n_drawn // p.batch_size)
    at = checkpoint.restore(p.epochs, n_steps)
    log = ProgressLog(run_dir / "progress.csv", p.epochs, at)
    for epoch in range(at["epoch"], p.epochs + 1):
        if p.patience and epoch - 1 - at["best_epoch"] >= p.patience and at["best_epoch"]:
            break
        order = epoch_order(len(samples), n_drawn, p.seed, epoch).to(parameters[0].device)
        learning_rate = rate(p.learning_rate, epoch)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        model.train()
        with tqdm(
            total=n_steps,
            initial=at["step"],
            desc=f"epoch {epoch}/{p.epochs}",
            unit="step",
            leave=False,
        ) as bar:
            for step in range(at["step"], n_steps):
                batch = samples.gather(order[step * p.batch_size : (step + 1) * p.batch_size])
                loss = loss_of(model, batch)
                if not (value := loss.item()) < float("inf"):
                    raise TrainingError(non_finite(epoch, step, batch.basin, samples, value))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if p.clip_norm:
                    nn.utils.clip_grad_norm_(parameters, p.clip_norm)
                optimiser.step()
                at |= {"step": step + 1, "loss_sum": at["loss_sum"] + value}
                mean = at["loss_sum"] / at["step"]
                bar.update()
                bar.set_postfix(loss=f"{mean:.4f}", refresh=False)
                if step + 1 < n_steps:
                    log.within(epoch - 1 + (step + 1) / n_steps, mean, learning_rate)
                    if time.monotonic() - checkpoint.saved > CHECKPOINT_SECONDS:
                        checkpoint.save(log.keep(at))
        score = validate(model) if validate else None
        if score is not None and score > (
            -np.inf if at["best_score"] is None else at["best_score"]
        ):
            at |= {"best_epoch": epoch, "best_score": score}
            checkpoint.best = {n: t.clone() for n, t in model.state_dict().items()}
        log.epoch(float(epoch), at["loss_sum"] / n_steps, score, learning_rate)
        at |= {"epoch": epoch + 1, "step": 0, "loss_sum": 0.0}
        checkpoint.save(log.keep(at))
    if p.patience and checkpoint.best:
        model.load_state_dict(checkpoint.best)


def rate(learning_rate: float | dict[int, float], epoch: int) -> float:
    """The learning rate of an epoch, counted from 1.

    >>> rate({1: 1e-3, 11: 5e-4}, 10), rate({1: 1e-3, 11: 5e-4}, 11), rate(0.1, 7)
    (0.001, 0.0005, 0.1)
    """
    steps = learning_rate if isinstance(learning_rate, dict) else {epoch: learning_rate}
    return steps[max(first for first in steps if first <= epoch)]


def epoch_order(n_samples: int, n_drawn: int, seed: int, epoch: int) -> Tensor:
    """The samples of an epoch in their order, which depends on the arguments alone, so that a
    resumed epoch continues with the same batches."""
    rng = np.random.default_rng((seed % 2**32, epoch))
    return torch.from_numpy(
        rng.choice(n_samples, n_drawn, replace=False, shuffle=True)
        if n_drawn < n_samples // 8
        else rng.permutation(n_samples)[:n_drawn]
    )


def non_finite(epoch: int, step: int, basin: Tensor, samples: Any, value: float) -> str:
    """The message of a training that diverged."""
    ids = sorted({samples.ids[b] for b in basin.tolist()})
    return (
        f"the loss became {value} in epoch {epoch}, step {step + 1}, in a batch of {len(ids)}"
        f" basins ({', '.join(ids[:8])}{' ...' if len(ids) > 8 else ''}); lower learning_rate, or"
        " look at these basins' data with `hydronb data check`"
    )


class Checkpoint:
    """Everything that a training needs to continue, in one file that is replaced whole."""

    def __init__(
        self, path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, fingerprint: str
    ):
        self.path, self.fingerprint, self.saved = path, fingerprint, time.monotonic()
        self.model, self.optimiser = model, optimiser
        self.best: dict[str, Tensor] = {}

    def save(self, at: dict[str, Any]) -> None:
        states = self.optimiser.state_dict()["state"]
        tensors = {
            **{f"model.{name}": weight for name, weight in self.model.state_dict().items()},
            **{f"best.{name}": weight for name, weight in self.best.items()},
            **{f"optimiser.{n}.{k}": value for n in states for k, value in states[n].items()},
            "rng.cpu": torch.get_rng_state(),
        }
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        write_tensors(self.path, tensors, {"at": json.dumps(at), "fingerprint": self.fingerprint})
        self.saved = time.monotonic()

    def restore(self, epochs: int, n_steps: int) -> dict[str, Any]:
        """Put model, optimiser and random numbers back; returns where the training stands.

        Parameters
        ----------
        epochs, n_steps
            Of the training, and of an epoch.

        Raises
        ------
        TrainingError
            The checkpoint is damaged, or not of such a training.
        """
        if not self.path.exists():
            return dict(START)
        with reading(self.path, "checkpoint", hint="delete it to start again", error=TrainingError):
            parts, metadata = read_tensors(self.path)
            if metadata["fingerprint"] != self.fingerprint:
                return dict(START)
            at = json.loads(metadata["at"])
            _require_position(at, epochs, n_steps)
            shapes = {name: t.shape for name, t in parts.items() if not name.startswith("rng.")}
            if wrong := shapes.items() ^ self._shapes(best=at["best_epoch"] > 0).items():
                raise ValueError(f"the tensor {min(wrong)[0]} is missing or of another shape")
            self.model.load_state_dict(_below(parts, "model"))
            self.best = _below(parts, "best")
            states = {
                n: {key: parts[f"optimiser.{n}.{key}"] for key in STATES[type(self.optimiser)]}
                for n, _ in enumerate(self.model.parameters())
            }
            self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": states})
            torch.set_rng_state(parts["rng.cpu"])
            if "rng.cuda" in parts and torch.cuda.is_available():
                torch.cuda.set_rng_state(parts["rng.cuda"])
        return at

    def _shapes(self, *, best: bool) -> dict[str, torch.Size]:
        """Of the tensors of this training's checkpoints, with the best weights once there are."""
        shapes = {
            f"{copy}.{name}": weight.shape
            for copy in (("model", "best") if best else ("model",))
            for name, weight in self.model.state_dict().items()
        }
        return shapes | {
            f"optimiser.{n}.{key}": torch.Size() if key == "step" else weight.shape
            for n, weight in enumerate(self.model.parameters())
            for key in STATES[type(self.optimiser)]
        }


def _below(parts: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(f"{prefix}."): t for n, t in parts.items() if n.startswith(f"{prefix}.")}


def _require_position(at: dict[str, Any], epochs: int, n_steps: int) -> None:
    """Raise ValueError where a training of so many epochs and steps cannot stand."""
    most = {"epoch": epochs + 1, "step": n_steps - 1, "best_epoch": at["epoch"], "rows": math.inf}
    for name, limit in most.items():
        if type(at[name]) is not int or not START[name] <= at[name] <= limit:
            raise ValueError(f"{name} is {at[name]!r}")
    score = at["best_score"]
    numbers = (at["loss_sum"], at["seconds"], at["cpu_seconds"], 0 if score is None else score)
    if not all(map(math.isfinite, numbers)) or (score is None) != (at["best_epoch"] == 0):
        raise ValueError("a number is missing or not finite")


class ProgressLog:
    """`progress.csv`: a row each epoch and every few seconds within one. Rows that a killed run
    wrote after its last checkpoint are dropped when it continues."""

    def __init__(self, path: Path, epochs: int, at: dict[str, Any]):
        self.path, self.epochs = path, epochs
        rows = [",".join(PROGRESS)]
        if at["rows"] and path.exists():
            RunDirectory(path.parent).progress_rows()  # refuses what is not a log
            rows = path.read_text(encoding="utf-8").splitlines()[: at["rows"] + 1]
        write(path, "\n".join(rows) + "\n")
        self.rows, self.written = len(rows) - 1, time.monotonic()
        self.start = time.monotonic() - at["seconds"]
        self.cpu_start = time.process_time() - at["cpu_seconds"]

    def within(self, epoch: float, loss: float, learning_rate: float) -> None:
        if time.monotonic() - self.written > PROGRESS_SECONDS:
            self.epoch(round(epoch, 4), loss, None, learning_rate)

    def epoch(self, epoch: float, loss: float, valid: float | None, learning_rate: float) -> None:
        self.written = time.monotonic()
        seconds, cpu = self._spent()
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(
                [
                    epoch,
                    self.epochs,
                    f"{loss:.6g}",
                    "" if valid is None else f"{valid:.6g}",
                    learning_rate,
                    f"{seconds:.1f}",
                    f"{cpu:.1f}",
                ]
            )
        self.rows += 1

    def keep(self, at: dict[str, Any]) -> dict[str, Any]:
        """`at`, with what a checkpoint written now accounts for."""
        seconds, cpu = self._spent()
        return at | {"rows": self.rows, "seconds": seconds, "cpu_seconds": cpu}

    def _spent(self) -> tuple[float, float]:
        return time.monotonic() - self.start, time.process_time() - self.cpu_start
