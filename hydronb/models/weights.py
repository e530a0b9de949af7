"""A trained model on disk: `model.safetensors` and `model.json`, nothing pickled, each file whole
or absent. A file of tensors carries a checksum of all its bytes."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from hydronb.data.scaling import Scaling
from hydronb.errors import ParameterError, TrainingError
from hydronb.files import read_json, reading, write
from hydronb.vocabulary import MODELS

CHECKSUM, DESCRIPTION = "sha256", "sha256 of model.json"
"""Names in the metadata of a file of tensors."""
BLANK = b"." * 64
"""Stands for the checksum while it is computed."""
WITHOUT_CHECKSUM = (set(), {"at", "fingerprint"})
"""Names in the metadata of the weights and checkpoints that hydronb 0.1.0 wrote."""
HINT = "delete it and train the run again"


def save_model(model: nn.Module, folder: Path, **notes: object) -> None:
    """Write the weights, then the description; `notes` go into the description.

    Raises
    ------
    OSError
        The folder cannot be written, or the disk is full.
    """
    text = json.dumps(
        {"settings": model.settings, "scaling": model.scaling.plain(), **notes}, indent=1
    ).encode()
    checksum = {DESCRIPTION: hashlib.sha256(text).hexdigest()}
    write_tensors(folder / "model.safetensors", model.state_dict(), checksum)
    write(folder / "model.json", text)


def load(folder: str | Path, *, device: str = "cpu") -> nn.Module:
    """A trained model from its run directory, in evaluation mode.

    Raises
    ------
    TrainingError
        No model there, or a file that is damaged or of another model.
    """
    folder = Path(folder)
    description, weights = read_description(folder), folder / "model.safetensors"
    with reading(weights, "weights", hint=HINT, error=TrainingError):
        tensors, metadata = read_tensors(weights)
        checksum = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
        if metadata.get(DESCRIPTION, checksum) != checksum:
            raise ValueError("model.json is damaged or of another training")
    with reading(folder / "model.json", "a model", hint=HINT, error=TrainingError):
        settings = description["settings"]
        scaling = Scaling.from_plain(description["scaling"])
        try:
            model = MODELS[settings["model"]].make(scaling=scaling, **settings)
        except ParameterError as error:
            raise TrainingError(f"{folder / 'model.json'}: {error}") from None
        model.load_state_dict(tensors)
    return model.to(device).eval()


def read_description(folder: Path) -> dict:
    """`model.json` of a run directory: a mapping that holds the `settings` and `scaling` of a
    model, and the `basins` that it was trained on.

    Raises
    ------
    TrainingError
        There is none, or it is not of a model.
    """
    path = folder / "model.json"
    if lacking := [n for n in (path.name, "model.safetensors") if not (folder / n).exists()]:
        raise TrainingError(f"{folder} holds no trained model (no {lacking[0]}); train the run")
    description = read_json(path, hint=HINT, error=TrainingError)
    basins = description.get("basins", [])
    whole = all(isinstance(description.get(name), dict) for name in ("settings", "scaling"))
    if not whole or not isinstance(basins, list) or not all(isinstance(b, str) for b in basins):
        raise TrainingError(f"{path} is not the description of a model; {HINT}")
    return description


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, whole or not at all, with a checksum in its metadata."""
    content = to_bytes(
        {n: t.contiguous() for n, t in tensors.items()},
        {**(metadata or {}), CHECKSUM: BLANK.decode()},
    )
    write(path, content.replace(BLANK, hashlib.sha256(content).hexdigest().encode(), 1))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises
    ------
    FileNotFoundError, ValueError
        There is none, or it is damaged: its checksum, which covers every byte, does not match.
    """
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header.get("__metadata__", {})
    checksum = metadata.get(CHECKSUM, "").encode()
    computed = hashlib.sha256(content.replace(checksum, BLANK, 1)).hexdigest().encode()
    if computed != checksum and (checksum or metadata.keys() not in WITHOUT_CHECKSUM):
        raise ValueError("it is truncated or damaged: its checksum does not match")
    try:
        return from_bytes(content), metadata
    except SafetensorError as error:
        raise ValueError(str(error)) from None
