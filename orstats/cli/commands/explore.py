"""``orstats explore``: the explorer as a page in the browser, served by Voilà on this machine alone."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.cli.commands.archive import stored
from orstats.cli.commands.fetch import tell
from orstats.cli.console import Failure, WrongUsage, data, print_status
from orstats.cli.inputs import collect_ids, fetch_ids, resolve_archive
from orstats.errors import MissingExtraError
from orstats.text.format import plural

_LOOPBACK: Final = "127.0.0.1"
_STARTING_S: Final = 60.0
_ENDING_S: Final = 10.0

_CELL: Final = """\
import os, pandas as pd, orstats
os.chdir({directory!r})
orstats.explore(pd.read_parquet({frame!r}), client=orstats.Client(base_url={base_url!r}), archive={archive!r})
"""


def run(
    *,
    ids: Sequence[str],
    files: Sequence[str],
    column: str | None,
    base_url: str | None,
    archive: str | None,
    no_archive: bool,
    port: int,
    no_browser: bool,
    dark: bool,
    quiet: bool,
) -> int:
    """Serve until Ctrl-C; the options are those of the command."""
    if find_spec("voila") is None:
        raise MissingExtraError("The explorer in the browser", extra="notebook")
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client)
        if ids or files:
            frame = fetch_ids(collect_ids(ids, files, column), client, store, quiet=quiet)
        elif no_archive:
            raise WrongUsage("no ids, and no archive to explore. Give ids, or --ids-from FILE.")
        else:
            kept = store or Archive(archive)
            named = base_url is not None or client.settings.host in kept.hosts()
            frame = stored(kept, client.settings.host if named else None)
        if not quiet:
            tell(frame)
        kept_at = False if store is None else store.path
        with tempfile.TemporaryDirectory(prefix="orstats-explore-") as name:  # mode 0700: costs are private
            folder = Path(name)
            rows = folder / "frame.parquet"
            frame.to_parquet(rows)
            cell = _CELL.format(
                directory=str(Path.cwd()), frame=str(rows), base_url=client.settings.base_url, archive=kept_at
            )
            page = _Page(folder, port or _free_port(), secrets.token_urlsafe(24))
            page.write(cell, dark=dark)
            return _serve(page, len(frame), no_browser=no_browser)


@dataclass(frozen=True, slots=True)
class _Page:
    """Where the page's files are, and where it is served. The token lets in only who was told the address."""

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
        """Write the notebook and Voilà's settings. On a command line others could see the token; here not."""
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
        settings = {
            "Voila": where | {"token": self.token, "open_browser": False},
            "VoilaConfiguration": {"theme": "dark" if dark else "light"},
        }
        (self.folder / "voila.json").write_text(json.dumps(settings), "utf-8")

    def last_words(self) -> str:
        """Return the last line that the server wrote."""
        said = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        return said[-1] if said else "(no output)"


def _serve(page: _Page, number: int, *, no_browser: bool) -> int:
    with _voila(page) as server:
        _await(server, page)
        try:
            print_status(
                f"Exploring {plural(number, 'generation')} in the browser (press Ctrl-C to stop):", "bold green"
            )
            out = data()
            out.write(f"{page.url}\n")
            out.flush()
            if not no_browser and not webbrowser.open(page.url):
                print_status("No browser could be opened; follow the link above.", "yellow")
            server.wait()
        except KeyboardInterrupt:
            print_status("Explorer stopped.")
            return 0
        raise Failure(f"the server exited unexpectedly. Last log line: {page.last_words()}")


@contextmanager
def _voila(page: _Page) -> Iterator[subprocess.Popen[bytes]]:
    """Run Voilà beside this process, and end it with it."""
    paths = f"--Voila.config_file_paths={json.dumps([str(page.folder)])}"
    with page.log.open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter and files
            [sys.executable, "-m", "voila", str(page.notebook), paths],
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
            server.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await(server: subprocess.Popen[bytes], page: _Page) -> None:
    """Wait until it listens. Nothing is asked of it: a request would start a kernel."""
    until = time.monotonic() + _STARTING_S
    while time.monotonic() < until:
        if server.poll() is not None:
            raise Failure(f"the dashboard could not start. {page.last_words()}")
        with socket.socket() as probe:
            if probe.connect_ex((_LOOPBACK, page.port)) == 0:
                return
        time.sleep(0.1)
    raise Failure(f"the dashboard did not start within {_STARTING_S:.0f} s. {page.last_words()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
