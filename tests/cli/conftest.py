import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from orstats.cli.app import app
from orstats.sim import SimServer


@pytest.fixture(scope="session")
def sim():
    with SimServer(200, seed=3) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No setting of the machine leaks in, and nothing is written outside the test's directory."""
    for name in list(os.environ):
        if name.startswith(("OPENROUTER_", "ORSTATS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def account(sim):
    """The account that commands use. Modules that need another one have a fixture of the same name."""
    return sim


@pytest.fixture
def online(account, monkeypatch):
    """The environment of a user of the simulated API."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", account.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", account.key)
    return account


@pytest.fixture
def managed(online, monkeypatch):
    """The same environment, with a management key."""
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.management_key)
    online.reset_stats()
    return online


@pytest.fixture
def orstats():
    """Run a command in this process; its result has exit_code, stdout and stderr."""
    return lambda *args, **options: CliRunner().invoke(app, [str(arg) for arg in args], prog_name="orstats", **options)


@pytest.fixture
def spawn():
    """Start a command as a process of its own, and end those that still run when the test is over."""
    started = []
    # Under nohup, as some CI services run, commands would inherit that hang-ups are ignored.
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL) if os.name != "nt" else None

    def start(*args, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"} | options
        process = subprocess.Popen([sys.executable, "-m", "orstats", *map(str, args)], **options)
        started.append(process)
        return process

    yield start
    if hangup is not None:
        signal.signal(signal.SIGHUP, hangup)
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
