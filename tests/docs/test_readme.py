import re
import tomllib
from datetime import UTC, datetime

import pytest
import typer.main
from dictionary import README, ROOT, WRITTEN, split

import orstats
from orstats.cli.app import app
from orstats.data.frame.schema import STATUSES
from orstats.sim import SimServer

TEXT = README.read_text("utf-8")
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_examples():
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_run(block, tmp_path, monkeypatch, capsys):
    with SimServer(60, until=datetime(2026, 10, 1, tzinfo=UTC)) as sim:
        log = [f"2026-09-30 12:00:00 INFO done generation={i}" for i in (*sim.ids, *sim.unknown_ids(1, age=7200))]
        (tmp_path / "app.log").write_text("\n".join(log))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_dictionary_is_the_field_table(path):
    assert split(path)[1] == WRITTEN[path][1](), "run: python tests/docs/dictionary.py"


@pytest.mark.parametrize("name", orstats.__all__)
def test_every_public_name_is_in_the_readme_and_has_a_docstring_that_says_more(name):
    assert re.search(rf"\borstats\.{name}\b|`{name}\b", TEXT)
    assert len((getattr(orstats, name).__doc__ or "").strip()) > 30


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, place in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert not place or place in headings(file), place


def test_every_notebook_and_picture_is_shown():
    named = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    }
    assert {*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "docs").rglob("*.*")} - {README} <= named


def headings(page):
    """The anchors that the headings of a page get where Markdown is shown."""
    named = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in named}


def test_files_that_the_architecture_page_names_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [ROOT / "orstats", *(room for room in (ROOT / "orstats").glob("*") if room.is_dir())]
    rooms += [room for room in (ROOT / "orstats" / "data").glob("*") if room.is_dir()]
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text):
        assert any((room / name).exists() for room in (ROOT, *rooms)), name
    for room in re.findall(r"^\| `(orstats/)?([a-z]+)` \|", text, re.MULTILINE):
        assert (ROOT / "orstats" / ("" if room[0] else "data") / room[1]).is_dir()
