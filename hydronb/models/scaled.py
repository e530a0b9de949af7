"""A network with its scaling: raw units in, mm/d out, saved as safetensors and JSON."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.errors import TrainingError, nearest
from hydronb.models.ealstm import EALSTM
from hydronb.models.lstm import LSTM

NETWORKS = {"ealstm": EALSTM, "lstm": LSTM, "lstm_no_static": LSTM}


class ScaledModel(nn.Module):
    """`network` between standardised inputs and outputs that are put back into the targets' units.

    Parameters
    ----------
    model
        A name in `NETWORKS`.
    scaling
        From the training basins and period; its names say which variables enter and leave.
    hidden, dropout, forget_bias
        As the network takes them.
    sequence_length, predict_last
        Days a sample has and how many of them are targets; kept so that a trained model is used as it was trained.
    """

    def __init__(self, model: str, scaling: Scaling, *, hidden: int, dropout: float, forget_bias: float,
                 sequence_length: int, predict_last: int):
        super().__init__()
        if model not in NETWORKS:
            raise TrainingError(f"unknown model {model!r}{nearest(model, NETWORKS)}")
        self.settings = {"model": model, "hidden": hidden, "dropout": dropout, "forget_bias": forget_bias,
                         "sequence_length": sequence_length, "predict_last": predict_last}
        self.scaling, self.sequence_length, self.predict_last = scaling, sequence_length, predict_last
        self.network = NETWORKS[model](len(scaling.forcings), len(scaling.attributes), hidden, len(scaling.targets),
                                       dropout, forget_bias)
        for role in ("forcings", "attributes", "targets"):
            table = torch.tensor(list(getattr(scaling, role).values()), dtype=torch.float32).reshape(-1, 2)
            std = torch.where(table[:, 1] > 0, table[:, 1], 1.0)  # a constant attribute scales to zero
            self.register_buffer(f"{role}_mean", table[:, 0].clone(), persistent=False)
            self.register_buffer(f"{role}_std", std, persistent=False)

    def standardise(self, dynamic: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """Raw forcings and attributes to zero mean and unit standard deviation."""
        return ((dynamic - self.forcings_mean) / self.forcings_std,
                (static - self.attributes_mean) / self.attributes_std)

    def forward(self, dynamic: Float[Tensor, "batch time dynamic"], static: Float[Tensor, "batch static"],
                *, attribute_noise: float = 0.0) -> Float[Tensor, "batch last target"]:
        """Targets of the last `predict_last` days, in their units and not clipped.

        `attribute_noise` is the standard deviation of Gaussian noise on the standardised attributes.
        """
        dynamic, static = self.standardise(dynamic, static)
        if attribute_noise:
            static = static + attribute_noise * torch.randn_like(static)
        out = self.network(dynamic, static, self.predict_last)
        return out * self.targets_std + self.targets_mean

    def input_gate(self, static: Float[Tensor, "batch static"]) -> Float[Tensor, "batch hidden"]:
        """The EA-LSTM's embedding of raw attributes.

        Raises
        ------
        TrainingError
            The network is not an EA-LSTM.
        """
        if not isinstance(self.network, EALSTM):
            raise TrainingError(f"a {self.settings['model']} has no static input gate; train model: ealstm")
        return self.network.input_gate((static - self.attributes_mean) / self.attributes_std)

    def save(self, folder: Path, **notes: object) -> None:
        """Write `model.safetensors`, then `model.json`, each whole or not at all; `notes` go into the JSON.

        Raises
        ------
        OSError
            The folder cannot be written, or the disk is full.
        """
        text = json.dumps({"settings": self.settings, "scaling": self.scaling.plain(), **notes}, indent=1)
        write_tensors(folder / "model.safetensors", self.state_dict())
        write_atomically(folder / "model.json", text.encode())


def load(folder: str | Path, *, device: str = "cpu") -> ScaledModel:
    """A trained model from its run directory, in evaluation mode.

    Raises
    ------
    TrainingError
        No model there, or a file that is truncated or of another model.
    """
    folder = Path(folder)
    description = read_description(folder)
    weights = folder / "model.safetensors"
    try:
        scaling = Scaling.from_plain(description["scaling"])
        model = ScaledModel(scaling=scaling, **description["settings"])
        model.load_state_dict(load_file(weights))
    except FileNotFoundError:
        raise TrainingError(f"{folder} holds no model.safetensors: the training has not finished; "
                            "run it again") from None
    except (SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise TrainingError(f"{weights} cannot be read: it is truncated or not of this model "
                            f"({str(error).splitlines()[0]}); delete it and train the run again") from None
    return model.to(device).eval()


def read_description(folder: Path) -> dict:
    """`model.json` of a run directory."""
    try:
        return json.loads((folder / "model.json").read_text())
    except FileNotFoundError:
        raise TrainingError(f"{folder} holds no trained model (no model.json)") from None
    except ValueError:
        raise TrainingError(f"{folder / 'model.json'} is truncated or no JSON; delete it and train the run "
                            "again") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: to a temporary name beside it, then renamed."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all."""
    write_atomically(path, save({n: t.contiguous() for n, t in tensors.items()}, metadata))
