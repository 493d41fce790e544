"""What the site has beyond the pages in docs/: executed notebooks, the API by docstrings, the commands by --help."""

from __future__ import annotations

import functools
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbclient
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

import orstats
from orstats.cli import _command
from orstats.cli.app import app

ROOT = Path(__file__).parents[2]
#: Names of the API page's sections, by the folder that a name comes from.
SECTIONS = {
    "ids": "Ids from files and logs",
    "fetching": "Fetching",
    "frame": "DataFrames of generations",
    "reports": "Reports",
    "plots": "Plots",
    "export": "Files",
    "content": "One generation and its content",
    "notebook": "Notebook widgets",
    "account": "The account",
    "recording": "Recording ids of new calls",
    "api": "Client",
    "archive": "Archive",
    "errors": "Errors and warnings",
    "sim": "Simulator",
}


#: A cross-reference of a docstring, after Markdown.
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj):<code>(?P<short>~?)(?P<name>[\w.]+)</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for name, content in executed(notebook):
            files.append(File.generated(config, f"tutorial/{name}", content=content))
    files.append(File.generated(config, "reference/api.md", content=api_page()))
    files.append(File.generated(config, "reference/help.md", content=help_page()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs calls it so
    """Point links to notebooks at their executed pages."""
    to_root = "../" * page.file.src_uri.count("/")
    return re.sub(r"\]\((?:\.\./)+notebooks/(\w+)\.ipynb\)", rf"]({to_root}tutorial/\1.md)", markdown)


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as above
    """Turn the cross-references of docstrings, such as :func:`orstats.fetch`, into links on the API page."""
    return ROLE.sub(functools.partial(as_link, html), html) if page.file.src_uri == "reference/api.md" else html


def as_link(html: str, role: re.Match[str]) -> str:
    """Return a cross-reference as a link, or as plain code where the page does not have its target."""
    name = role["name"].removeprefix("orstats.")
    target = role["name"]
    public = name.removeprefix("sim.")
    owner = getattr(orstats.sim if public != name else orstats, public.partition(".")[0], None)
    if isinstance(owner, Callable):
        target = f"{owner.__module__}.{public}"
    shown = name.rpartition(".")[2] if role["short"] else role["name"]
    return f'<a href="#{target}"><code>{shown}</code></a>' if f'id="{target}"' in html else f"<code>{shown}</code>"


def executed(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Run a notebook against the simulator; yield its page and its pictures."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER", "ORSTATS"))
        }
        resources = {"metadata": {"path": folder}}
        client = nbclient.NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources=resources, store_widget_state=False
        )
        client.execute(env=environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
    for cell in notebook.cells:  # progress bars and the bare repr of widgets are of no use on a page
        cell.outputs = [output for output in cell.get("outputs", []) if not is_progress(output)]
        if cell.cell_type != "code":
            del cell["outputs"]
    text, resources = MarkdownExporter().from_notebook_node(notebook, {"output_files_dir": f"{path.stem}_files"})
    # Outputs that follow each other become one block of code: a single empty line between them is enough.
    yield f"{path.stem}.md", re.sub(r"(?<=\S)\n{3,}(?=    \S)", "\n\n", text)
    yield from resources["outputs"].items()


def is_progress(output: Any) -> bool:
    """Return whether an output is messages on standard error, or a widget that says nothing without a kernel."""
    data = output.get("data", {})
    return output.get("name") == "stderr" or (
        "application/vnd.jupyter.widget-view+json" in data and "text/html" not in data
    )


def api_page() -> str:
    """Return a page with a mkdocstrings directive for every public name."""
    parts = ["# Python API\n\nEverything here is imported as `import orstats`, for example `orstats.fetch`.\n"]
    names = {name: f"{getattr(orstats, name).__module__}.{name}" for name in orstats.__all__ if name not in SECTIONS}
    for module in ("errors", "sim"):
        public = getattr(orstats, module)
        names |= {f"{module}.{name}": f"{getattr(public, name).__module__}.{name}" for name in public.__all__}
    for folder, title in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [
            f"::: {home}\n    options:\n      heading_level: 3\n"
            for home in names.values()
            if home.split(".")[1] == folder
        ]
    return "\n".join(parts)


def help_page() -> str:
    """Return a page with the --help text of every command."""
    parts = ["# All commands and options\n\nAs `orstats COMMAND --help` prints them.\n"]

    def add(words: list[str], command: Any) -> None:
        with redirect_stdout(io.StringIO()) as printed:
            orstats_command.main([*words, "--help"], prog_name="orstats", standalone_mode=False)
        lines = "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())
        parts.append(f"## {' '.join(['orstats', *words])}\n\n```text\n{lines}\n```\n")
        for name, below in getattr(command, "commands", {}).items():
            add([*words, name], below)

    orstats_command = _command(app)
    with patch.dict(os.environ, COLUMNS="90", NO_COLOR="1"):
        add([], orstats_command)
    return "\n".join(parts)
