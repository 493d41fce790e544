import re
import tomllib
from datetime import UTC, datetime

import pytest
import typer.main
from dictionary import README, dictionary, split

import orstats
from orstats.cli.app import app
from orstats.data.frame.schema import STATUSES
from orstats.sim import SimServer

TEXT = README.read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_examples():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_run(block, tmp_path, monkeypatch, capsys):
    with SimServer(60, until=datetime(2026, 10, 1, tzinfo=UTC)) as sim:
        log = [f"2026-09-30 12:00:00 INFO done generation={i}" for i in (*sim.ids, *sim.unknown_ids(1, age=900))]
        (tmp_path / "app.log").write_text("\n".join(log))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_dictionary_is_the_field_table():
    assert split(TEXT)[1] == dictionary(), "run: python tests/docs/dictionary.py"


def test_every_public_name_is_in_the_readme_or_has_a_docstring_that_says_more():
    for name in orstats.__all__:
        assert len((getattr(orstats, name).__doc__ or "").strip()) > 30, name


def test_every_command_is_in_the_readme_and_no_other():
    commands = typer.main.get_command(app).commands
    named = set(re.findall(r"`orstats ([a-z]+)", TEXT))
    assert named == set(commands)


def test_every_status_is_explained():
    for status in STATUSES:
        assert f"`{status}`" in TEXT


def test_extras_are_those_of_the_project():
    project = tomllib.loads((README.parent / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"^\| `(\w+)` \| ", TEXT.partition("## Install")[2], re.MULTILINE)
    assert sorted(named) == sorted(project["optional-dependencies"])


def test_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert "://" in target or (README.parent / target).exists(), target
