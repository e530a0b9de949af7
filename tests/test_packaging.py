"""environment.yml names what pyproject.toml names."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"torch": "pytorch", "netCDF4": "netcdf4"}


def _split(requirement: str) -> tuple[str, str]:
    name, version = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    return name, version


def test_environment_in_step_with_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = dict(
        _split(r) for r in project["dependencies"] + project["optional-dependencies"]["test"]
    )
    wanted = {CONDA_NAMES.get(name, name): version for name, version in wanted.items()}
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    given = dict(_split(r) for r in conda if isinstance(r, str) and r != "pip")
    assert given.pop("python") == project["requires-python"]
    from_pip = next(r["pip"] for r in conda if isinstance(r, dict))
    assert given | dict(_split(r) for r in from_pip if not r.startswith("-")) == wanted


def test_torch_pin_is_a_constraint_not_a_requirement():
    assert "torch==" in (ROOT / "constraints.txt").read_text()
    assert "torch==" not in (ROOT / "pyproject.toml").read_text()
