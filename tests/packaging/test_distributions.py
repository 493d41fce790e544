"""The wheel and the sdist: built twice they are the same bytes, and they hold the package without tests or pictures."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import orstats

pytest.importorskip("hatchling", reason="the build backend is not installed")
ROOT = Path(__file__).parents[2]


def build(folder):
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return [build(tmp_path_factory.mktemp("dist")) for _ in range(2)]


def names_of(built):
    for path in built.values():
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as file:
                yield path, file.namelist()
        else:
            with tarfile.open(path) as file:
                yield path, [name.partition("/")[2] for name in file.getnames()]


def test_both_are_built_with_this_version(built):
    version = orstats.__version__
    assert set(built[0]) == {f"orstats-{version}-py3-none-any.whl", f"orstats-{version}.tar.gz"}


def test_a_second_build_has_the_same_bytes(built):
    first, second = built
    assert {name: path.read_bytes() for name, path in first.items()} == {
        name: path.read_bytes() for name, path in second.items()
    }


def test_readme_has_no_link_into_the_repository(built):
    for path in built[0].values():
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as file:
                texts = [file.read(name).decode() for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        else:
            with tarfile.open(path) as file:
                wanted = [name for name in file.getnames() if name.endswith(("/README.md", "/PKG-INFO"))]
                texts = [file.extractfile(name).read().decode() for name in wanted]
        assert len(texts) == (1 if path.suffix == ".whl" else 2)
        for text in texts:
            assert "## Install" in text
            assert not re.findall(r"\]\((?!https?:)[^)]*\)", text), path.name


def test_they_hold_the_package_and_no_tests_or_pictures(built):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "orstats").rglob("*.py")}
    for path, names in names_of(built[0]):
        assert modules <= set(names), path.name
        assert "orstats/py.typed" in names
        assert not [name for name in names if name.startswith(("tests/", ".")) and name != ".gitignore"], path.name
        assert not [name for name in names if name.endswith((".png", ".parquet", ".ipynb", ".pyc"))], path.name
        assert path.stat().st_size < 2_000_000
