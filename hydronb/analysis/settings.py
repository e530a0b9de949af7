"""Settings as text, and what tells runs with different settings apart."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

NOT_THE_MODEL = ("seed", "fold", "run_dir", "threads", "device")
"""Parameters that may differ between the members of an ensemble."""
PREFERRED = ("dropout", "hidden", "predict_last")
"""Settings that a label names first."""


def setting_key(value: Any) -> Hashable:
    """A setting as it is where it is a number or text, else as text, to be counted or unfolded."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def setting_text(value: Any) -> str:
    """A setting to be read, without the braces that figures take for the name of a field.

    >>> setting_text({"start": "1999-10-01", "end": "2008-09-30"})
    '1999-10-01 to 2008-09-30'
    >>> setting_text({1: 0.01, 4: 0.003})
    '1: 0.01, 4: 0.003'
    """
    if isinstance(value, Mapping):
        if "start" in value:
            return " to ".join(str(v) for v in value.values())
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    if value is None or value == []:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def distinctions(
    keys: Sequence[Hashable], parameters: Sequence[Mapping[str, Any]]
) -> list[list[str]]:
    """For each run the settings that tell it from all others of the same key, as `name value`: one
    if one is enough, else all that differ; none where only a member's parameters differ."""
    names = {n for p in parameters for n in p if n not in (*NOT_THE_MODEL, "model", "loss")}
    names = sorted(names, key=lambda n: (n not in PREFERRED, n))
    told = []
    for key, p in zip(keys, parameters, strict=True):
        others = [q for k, q in zip(keys, parameters, strict=True) if k == key]
        others = [q for q in others if any(q.get(n) != p.get(n) for n in names)]
        differ = [n for n in names if any(q.get(n) != p.get(n) for q in others)]
        enough = [n for n in differ if all(q.get(n) != p.get(n) for q in others)]
        told.append([f"{n} {_short(p.get(n))}" for n in enough[:1] or differ])
    return told


def _short(value: Any) -> str:
    text = setting_text(value)
    return text if len(text) <= len("1990-10-01 to 1999-09-30") else text[:21] + "..."
