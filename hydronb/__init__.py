"""Rainfall-runoff models in notebooks: data -> model -> training -> simulation -> analysis ->
figure."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    raise AttributeError(f"module 'hydronb' has no attribute {name!r}")


def _version() -> str:
    """The installed version, or that of the checkout this package lies in."""
    import tomllib
    from importlib import metadata
    from pathlib import Path

    project = Path(__file__).parent.parent / "pyproject.toml"
    if project.is_file():
        with project.open("rb") as file:
            about = tomllib.load(file).get("project", {})
        if about.get("name") == "hydronb":
            return str(about["version"])
    return metadata.version("hydronb")
