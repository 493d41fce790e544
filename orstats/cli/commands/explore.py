"""``orstats explore``: the explorer as a page in the browser, served by Voilà on this machine only."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from orstats.cli.console import data_stream, print_status
from orstats.cli.errors import Failure, WrongUsage, handle_errors
from orstats.cli.options import ArchiveDir, BaseUrl, Column, Ids, IdsFrom, NoArchive, Port, Quiet, epilog

app = typer.Typer(rich_markup_mode="rich")

_LOOPBACK: Final = "127.0.0.1"
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 10.0

# jsonschema, which Voilà imports, compiles the grammar of a format that no schema here uses, if it finds this package:
# more than half of the time in which the server starts. None makes the import fail, which jsonschema expects.
_VOILA: Final = "import sys; sys.modules['rfc3987_syntax'] = None; from voila.app import main; main()"

_CELL: Final = """\
import os, pandas as pd, orstats
os.chdir({directory!r})
client = orstats.Client(base_url={base_url!r})
explorer = orstats.explore(pd.read_parquet({frame!r}), client=client, archive={archive!r})
explorer.table.fill_page()
explorer
"""


@app.command(
    help="Explore generations in the browser: filter, sort, compare, and inspect each of them.\n\n"
    "Explores the given ids or, without any, everything in the archive. Serves on localhost only, protected by the "
    "token in the printed URL. Press Ctrl-C to stop.",
    epilog=epilog(
        "orstats explore",
        "orstats explore --ids-from app.log",
        "orstats explore --no-browser --port 8866 --dark",
        more="Needs an extra: pip install 'orstats\\[notebook]'. Prompts and completions are loaded one by one, when "
        "you open them.",
    ),
)
@handle_errors
def explore(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    port: Port = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", metavar="", help="Only print the URL.")] = False,
    dark: Annotated[bool, typer.Option("--dark", metavar="", help="Dark colours.")] = False,
    quiet: Quiet = False,
) -> int:
    from importlib.util import find_spec

    from orstats.api.client import Client
    from orstats.api.config import Settings
    from orstats.cli.archive_records import read_archive_of_host, resolve_archive
    from orstats.cli.inputs import collect_ids
    from orstats.cli.resumable import fetch_ids
    from orstats.cli.summary import print_summary
    from orstats.errors import MissingExtraError
    from orstats.text.format import plural

    if find_spec("voila") is None:
        raise MissingExtraError("The explorer in the browser", extra="notebook")
    if port and not _is_free(port):
        raise Failure(f"port {port} is in use; choose another with --port, or omit it for a free one.")
    settings = Settings.resolve(base_url=base_url)
    store = resolve_archive(archive, no_archive, settings)
    if ids or ids_from:
        collected = collect_ids(ids or [], ids_from or [], column)
        with Client(base_url=base_url) as client:
            frame = fetch_ids(collected, client, store, quiet=quiet)
    elif no_archive:
        raise WrongUsage("no ids, and no archive to explore. Pass ids, or --ids-from FILE.")
    else:
        frame = read_archive_of_host(settings, store, base_url, quiet=quiet)
    if not quiet:
        print_summary(frame, requested=bool(ids or ids_from))
    with tempfile.TemporaryDirectory(prefix="orstats-explore-") as name:  # mode 0700: costs are private
        folder = Path(name)
        rows = folder / "frame.parquet"
        frame.to_parquet(rows)
        cell = _CELL.format(
            directory=str(Path.cwd()),
            frame=str(rows),
            base_url=settings.base_url,
            archive=False if store is None else store.path,
        )
        page = _Page(folder, port or _free_port(), secrets.token_urlsafe(24))
        page.write(cell, dark=dark)
        return _serve(page, plural(len(frame), "generation"), no_browser=no_browser)


#: Seconds that a page may be closed, or its computer asleep, before its kernel ends.
_KEEP_CLOSED_S: Final = 600
#: The page loads from its own server only. JupyterLab's scripts need inline code and eval, and anywidget's a blob.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://127.0.0.1:{port}; "
    "frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True)
class _Page:
    """The page's files and its URL, whose token keeps everyone else out."""

    folder: Path
    port: int
    token: str

    @property
    def notebook(self) -> Path:
        return self.folder / "orstats.ipynb"

    @property
    def log(self) -> Path:
        return self.folder / "voila.log"

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}/?token={self.token}"

    def write(self, cell: str, *, dark: bool) -> None:
        """Write the notebook and Voilà's settings. On the command line other users could see the token."""
        code: dict[str, object] = {
            "cell_type": "code",
            "id": "explore",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
        }
        notebook = {
            "cells": [code | {"source": cell}],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "title": "orstats"},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        self.notebook.write_text(json.dumps(notebook), "utf-8")
        where = {"ip": _LOOPBACK, "port": self.port, "port_retries": 0}
        # Voilà's own page asks a content delivery network for a font of icons.
        headers = {"Content-Security-Policy": _CONTENT_SECURITY_POLICY.format(port=self.port)}
        settings = {
            "Voila": where | {"token": self.token, "open_browser": False, "tornado_settings": {"headers": headers}},
            "VoilaConfiguration": {"theme": "dark" if dark else "light"},
            # Each load of the page starts a kernel. Without this it stays, with its memory, after the page is closed.
            "MappingKernelManager": {"cull_idle_timeout": _KEEP_CLOSED_S, "cull_interval": _KEEP_CLOSED_S // 10},
        }
        (self.folder / "voila.json").write_text(json.dumps(settings), "utf-8")

    def last_log_line(self) -> str:
        """Return the last line that the server logged."""
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "(no output)"


def _serve(page: _Page, generations: str, *, no_browser: bool) -> int:
    import webbrowser

    with _voila(page) as server:
        _wait_until_listening(server, page)
        try:
            print_status(f"Exploring {generations} in the browser (press Ctrl-C to stop):", "bold green")
            out = data_stream()
            out.write(f"{page.url}\n")
            out.flush()
            if not no_browser and not webbrowser.open(page.url):
                print_status("No browser could be opened; follow the link above.", "yellow")
            server.wait()
        except KeyboardInterrupt:
            print_status("Explorer stopped.")
            return 0
        raise Failure(f"the server exited unexpectedly. Last log line: {page.last_log_line()}")


@contextmanager
def _voila(page: _Page) -> Iterator[subprocess.Popen[bytes]]:
    """Run Voilà until the end of the block."""
    paths = f"--Voila.config_file_paths={json.dumps([str(page.folder)])}"
    with page.log.open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter and files
            [sys.executable, "-c", _VOILA, str(page.notebook), paths],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=page.folder,
            env=os.environ | {"JUPYTER_PLATFORM_DIRS": "1"},
        )
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_listening(server: subprocess.Popen[bytes], page: _Page) -> None:
    """Wait until the server accepts connections, without a request, which would start a kernel."""
    until = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < until:
        if server.poll() is not None:
            raise Failure(f"the dashboard could not start. {page.last_log_line()}")
        with socket.socket() as probe:
            if probe.connect_ex((_LOOPBACK, page.port)) == 0:
                return
        time.sleep(0.1)
    raise Failure(f"the dashboard did not start within {_START_TIMEOUT_S:.0f} s. {page.last_log_line()}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_LOOPBACK, port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
