import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]

#: Where conda-forge's name differs from the one in pyproject.toml.
CONDA_NAME = {"matplotlib": "matplotlib-base", "duckdb": "python-duckdb", "tzdata": "python-tzdata"}
#: Extras that environment.yml leaves to those who need them.
LEFT_OUT = {"spark", "docs", "dev"}


def name_and_bound(requirement):
    name, _, bound = requirement.partition(">=")
    return CONDA_NAME.get(name, name), bound


def test_conda_users_get_what_pip_users_get():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    requested = [*project["dependencies"], *(r for extra in extras if extra not in LEFT_OUT for r in extras[extra])]
    requested.append(f"python{project['requires-python']}")
    given = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    packages = [item for item in given if isinstance(item, str) and item != "pip"]
    assert sorted(map(name_and_bound, packages)) == sorted(map(name_and_bound, requested))
    assert {"pip": ["--no-deps -e ."]} in given
