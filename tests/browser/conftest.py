"""Real Chromium with real JupyterLab, Notebook 7 and Voilà. Skipped, with the reason, where there is no browser."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect, sync_playwright

from orstats.sim import SimServer

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-proxy-server", "--disable-dev-shm-usage"),
    # otherwise Chromium blocks some requests to the listener and hides what a payload requested
    "--disable-features=LocalNetworkAccessChecks",
)
#: A host that only the hostile payloads name; all requests to it reach the listener.
BEACON = "beacon.test"
#: Starts a module as ``python -m`` does, without a grammar that jsonschema would compile for more than a second.
START = """import sys, runpy
sys.modules["rfc3987_syntax"] = None
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)"""
#: How long a page may take, even on a busy machine: a limit for broken pages, not a measure of speed.
PATIENCE_MS = 90_000


@pytest.fixture(scope="session")
def beacon():
    """A real listener that records the path of every request, so that every remote load is detected."""
    requested = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words):
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.requested = requested
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")  # not longer: meanwhile this thread has a running event loop
def chromium(beacon):
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    rule = f"--host-resolver-rules=MAP {BEACON}:80 127.0.0.1:{beacon.server_port}"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=[*FLAGS, rule])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(chromium):
    """Return a function that opens a page with a memory of its own, until the end of a with statement."""

    @contextmanager
    def opened():
        context = chromium.new_context(viewport={"width": 1500, "height": 1100})
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(
            timeout=PATIENCE_MS
        )  # the default of 5 s is too short for importing pandas on a busy machine
        yield page
        context.close()

    return opened


@pytest.fixture
def page(open_page):
    with open_page() as page:
        yield page


@pytest.fixture(scope="session")
def sim():
    with SimServer(300, seed=3) as server:
        yield server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(arguments, folder, port, ready):
    """Run a Jupyter server in its own process group with default settings; end only that group."""
    home = folder / "home"
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "ORSTATS_"))}
    for name in names:
        (home / name.lower()).mkdir(parents=True, exist_ok=True)
        env[name] = str(home / name.lower())
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", START, *arguments],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=5).close()
                break
            except urllib.error.HTTPError:
                break  # it responds
            except OSError:
                assert server.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < until, (folder / "server.log").read_text()
                time.sleep(0.1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture
def serve():
    """Return :func:`serving`, for tests of other servers."""
    return serving


@pytest.fixture
def port():
    return free_port()


def write_notebook(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@contextmanager
def jupyter(folder, module, address, theme):
    """Serve JupyterLab or Notebook 7, and yield a function that opens cells in it and runs the first."""
    port, token = free_port(), secrets.token_hex(8)
    settings = folder / "home" / "jupyter_config_dir" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    overrides = {"notification": {"fetchNews": "false", "checkForUpdates": False}, "themes": {"theme": theme}}
    settings.write_text(json.dumps({f"@jupyterlab/apputils-extension:{name}": one for name, one in overrides.items()}))
    arguments = [module, "--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}"]
    arguments += ["--allow-root", f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0"]
    with serving(arguments, folder, port, "/api"):

        def open_in(page, *cells):
            name = f"n{secrets.token_hex(4)}.ipynb"
            write_notebook(folder / name, *cells)
            page.goto(f"http://127.0.0.1:{port}/{address.format(space=name[:-6], name=name)}?token={token}&reset")
            run_all(page)

        open_in.folder = folder
        yield open_in


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Return a function that runs code in JupyterLab (light)."""
    with jupyter(
        tmp_path_factory.mktemp("lab"), "jupyterlab", "lab/workspaces/{space}/tree/{name}", "JupyterLab Light"
    ) as opens:
        yield opens


@pytest.fixture(scope="session")
def notebook7(tmp_path_factory):
    """Return a function that runs code in Notebook 7 (dark)."""
    with jupyter(tmp_path_factory.mktemp("notebook"), "notebook", "notebooks/{name}", "JupyterLab Dark") as opens:
        yield opens


def run_all(page):
    """Run the notebook. A click before the kernel is connected is lost, so it is repeated until a prompt shows it."""
    if "/lab/" in page.url:
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    else:
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    dialog = page.locator("dialog.jp-Dialog")
    for _ in range(10):
        try:
            page.locator(".jp-Notebook .jp-Cell").first.click(timeout=4000)
            page.keyboard.press("Shift+Enter")
            page.locator(".jp-InputPrompt").get_by_text("[*]").or_(
                page.locator(".jp-InputPrompt").get_by_text("[1]:")
            ).first.wait_for(timeout=4000)
        except Exception:  # noqa: BLE001 - Playwright's timeout: the click was lost
            if dialog.is_visible():  # on a busy machine: which kernel, or that the server does not respond
                dialog.locator(".jp-mod-accept").click()
            continue
        return
    pytest.fail(f"Jupyter did not run the cell: {dialog.all_inner_texts()}")


@pytest.fixture(scope="module")
def voila(tmp_path_factory):
    """Return a function that serves code with Voilà and opens it."""
    with ExitStack() as servers:

        def open_in(page, code, theme="light"):
            folder = tmp_path_factory.mktemp("voila")
            write_notebook(folder / "page.ipynb", code)
            port = free_port()
            arguments = ["voila", "page.ipynb", "--no-browser", "--Voila.ip=127.0.0.1", f"--port={port}"]
            servers.enter_context(serving([*arguments, f"--theme={theme}"], folder, port, "/static/"))
            open_in.folder = folder
            page.goto(f"http://127.0.0.1:{port}/")

        yield open_in


@pytest.fixture(params=["lab", "voila"])
def front_end(request):
    """Two front ends: ``front_end(page, code)``."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["lab", "voila", "notebook7"])
def anywhere(request):
    """All front ends: ``anywhere(page, code)``."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def pictures():
    """Save screenshots in the folder named by ORSTATS_PICTURES; by default none are taken."""
    folder = os.environ.get("ORSTATS_PICTURES")

    def take(page, name):
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png")

    return take
