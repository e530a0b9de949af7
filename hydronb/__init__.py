"""Rainfall-runoff models in notebooks: data -> model -> training -> simulation -> analysis ->
figure."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`__version__`: the installed version, or that of the checkout this package lies in."""
    if name != "__version__":
        raise AttributeError(f"module 'hydronb' has no attribute {name!r}")
    import tomllib
    from importlib import metadata
    from pathlib import Path

    project = Path(__file__).parent.parent / "pyproject.toml"
    if project.is_file():
        about = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if about.get("name") == "hydronb":
            return str(about["version"])
    return metadata.version("hydronb")
