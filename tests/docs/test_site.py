"""The documentation site: every page is in its navigation, it builds without a warning, and it loads nothing."""

import re
import subprocess
import sys

import pytest
import yaml
from dictionary import DOCS, PAGES, README, ROOT

import orstats

CONFIG = DOCS / "site" / "mkdocs.yml"
GENERATED = {
    "reference/api.md",
    "reference/help.md",
    *(f"tutorial/{p.stem}.md" for p in (ROOT / "notebooks").glob("*")),
}
#: mkdocs, without a grammar that jsonschema would compile for more than a second to check a format of no notebook.
START = 'import sys; sys.modules["rfc3987_syntax"] = None; from mkdocs.__main__ import cli; cli()'


def pages_of(nav):
    """All pages of a navigation, in order."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav if isinstance(nav, list) else nav.values():
            yield from pages_of(item)


def test_every_page_is_in_the_navigation_once():
    named = list(pages_of(yaml.safe_load(CONFIG.read_text("utf-8"))["nav"]))
    written = {page.relative_to(DOCS).as_posix() for page in PAGES if page != README}
    generated = {name for name in GENERATED if ".ipynb_checkpoints" not in name}
    assert sorted(named) == sorted(written | generated)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", START, "build", "--strict", "-f", str(CONFIG), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING -" not in done.stderr
    return folder


@pytest.mark.slow
def test_site_documents_every_public_name_and_loads_nothing(site):
    reference = (site / "reference" / "api.html").read_text("utf-8")
    for name in set(orstats.__all__) - {"errors", "sim"}:
        assert re.search(rf'id="orstats\.[\w.]+\.{name}"', reference), name
    assert '<a href="#orstats.fetching.fetch.fetch"><code>orstats.fetch</code></a>' in reference
    assert not re.findall(r":\w+:<code>[^<]*", reference), "cross-references of docstrings"
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="?(?:https?:)?//', text), page
        assert not re.findall(r'<link[^>]+rel="?(?:stylesheet|preconnect|icon)[^>]+href="?(?:https?:)?//', text), page


@pytest.mark.slow
def test_tutorials_show_what_the_notebooks_print(site):
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        text = (site / "tutorial" / f"{notebook.stem}.html").read_text("utf-8")
        assert "dataframe" in text, "a table"
        assert "Traceback" not in text
    assert list((site / "tutorial").rglob("*.png")), "plots"
