import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from orstats.sim import SimServer


@pytest.fixture
def explorer(tmp_path):
    """The dashboard of 20 generations, as a process; ended with all that it started."""
    with SimServer(20) as sim:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "ORSTATS_"))}
        env |= {"OPENROUTER_API_KEY": sim.key, "OPENROUTER_BASE_URL": sim.base_url, "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "orstats", "explore", *sim.ids, "--no-browser", "--quiet"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=env,
            start_new_session=True,
        )
        process.url = process.stdout.readline().strip()
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def running():
    """The command lines of this machine, which everybody on it may read; none where there is no /proc."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            lines.append(path.read_bytes())
    return lines


def test_serves_on_localhost_with_a_token_and_leaves_no_files(explorer, tmp_path):
    assert explorer.url.startswith("http://127.0.0.1:")
    address, _, token = explorer.url.partition("?token=")
    assert len(token) >= 32
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert "/login" in answer.url, "without the token there is only a door"
    with urllib.request.urlopen(explorer.url, timeout=60) as answer:
        page = answer.read().decode()
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; "), "the page must load from nowhere else"
    assert "http" not in policy
    assert "Traceback" not in page
    assert "sk-or" not in page
    (folder,) = tmp_path.glob("orstats-explore-*")
    assert folder.stat().st_mode & 0o077 == 0
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{address}voila/files/voila.json?token={token}", timeout=60)
    assert not [one for one in running() if token.encode() in one]
    explorer.send_signal(signal.SIGINT)
    assert explorer.wait(30) == 0
    assert not list(tmp_path.glob("orstats-explore-*"))


def test_ends_with_sigterm_too(explorer, tmp_path):
    explorer.terminate()
    assert explorer.wait(30) == 0
    assert not list(tmp_path.glob("orstats-explore-*"))


def test_explorer_without_ids_and_archive_is_wrong_usage(orstats):
    done = orstats("explore", "--no-archive")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Pass ids, or --ids-from FILE." in done.stderr


def test_a_port_in_use_is_an_error_before_anything_is_fetched(orstats, online):
    done = orstats("explore", online.ids[0], "--no-archive", "--port", str(online.port))
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"port {online.port} is in use; choose another with --port, or omit it" in done.stderr
    assert not online.requests


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_server_that_ends_at_once_is_an_error_with_its_last_line(orstats, online, tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho The port is forbidden.\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    done = orstats("explore", online.ids[0], "--no-archive", "--no-browser")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the dashboard could not start. The port is forbidden." in done.stderr
