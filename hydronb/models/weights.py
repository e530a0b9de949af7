"""A trained model on disk: `model.safetensors` and `model.json`, nothing pickled, each file whole
or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.errors import ParameterError, TrainingError
from hydronb.vocabulary import MODELS


def save(model: nn.Module, folder: Path, **notes: object) -> None:
    """Write the weights, then the description; `notes` go into the description.

    Raises
    ------
    OSError
        The folder cannot be written, or the disk is full.
    """
    text = json.dumps(
        {"settings": model.settings, "scaling": model.scaling.plain(), **notes}, indent=1
    )
    write_tensors(folder / "model.safetensors", model.state_dict())
    write_atomically(folder / "model.json", text.encode())


def load(folder: str | Path, *, device: str = "cpu") -> nn.Module:
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
        settings = description["settings"]
        scaling = Scaling.from_plain(description["scaling"])
        model = MODELS[settings["model"]].make(scaling=scaling, **settings)
        model.load_state_dict(load_file(weights))
    except ParameterError as error:
        raise TrainingError(f"{folder / 'model.json'}: {error}") from None
    except FileNotFoundError:
        raise TrainingError(
            f"{folder} holds no model.safetensors: the training has not finished; run it again"
        ) from None
    except (SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{weights} cannot be read: it is truncated or not of this model "
            f"({str(error).splitlines()[0]}); delete it and train the run again"
        ) from None
    return model.to(device).eval()


def read_description(folder: Path) -> dict:
    """`model.json` of a run directory."""
    try:
        return json.loads((folder / "model.json").read_text())
    except FileNotFoundError:
        raise TrainingError(f"{folder} holds no trained model (no model.json)") from None
    except ValueError:
        raise TrainingError(
            f"{folder / 'model.json'} is truncated or no JSON; delete it and train the run again"
        ) from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: to a temporary name beside it, then renamed."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, whole or not at all."""
    write_atomically(path, to_bytes({n: t.contiguous() for n, t in tensors.items()}, metadata))
