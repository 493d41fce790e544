"""The options of ``orstats sim`` reach the simulator, and mistakes in them are named."""

import shlex
import signal
import sys
from datetime import datetime
from pathlib import Path

import pytest
import urllib3

from orstats.cli.demo_log import write_app_log
from orstats.cli.errors import Interrupted
from orstats.cli.shell import command_prefix
from orstats.sim import SimServer


def start(spawn, *options):
    process = spawn("sim", "--port", "0", "--generations", "5", *options)
    lines = [process.stdout.readline() for _ in range(5 if "--tls" in options else 4)]
    environment = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
    url, headers = environment["OPENROUTER_BASE_URL"], {"Authorization": f"Bearer {environment['OPENROUTER_API_KEY']}"}
    return process, f"{url}/key", headers, environment.get("REQUESTS_CA_BUNDLE")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("options", "status", "waits"),
    [
        ((), 429, {"retry-after": "10"}),
        (("--retry-after", "120"), 429, {"retry-after": "120"}),
        (("--rate-status", "503", "--retry-after", "none"), 503, {}),
    ],
)
def test_sim_rejects_requests_as_its_options_say(spawn, options, status, waits):
    process, url, headers, _ = start(spawn, "--rate", "0.1", *options)
    with urllib3.PoolManager(retries=False, timeout=20) as pool:
        assert pool.request("GET", url, headers=headers).status == 200
        refusal = pool.request("GET", url, headers=headers)
    assert refusal.status == status
    assert {
        name: refusal.headers[name] for name in ("retry-after", "retry-after-ms") if name in refusal.headers
    } == waits
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_sim_serves_https_and_prints_its_authority(spawn):
    process, url, headers, ca_file = start(spawn, "--tls")
    assert url.startswith("https://")
    with urllib3.PoolManager(retries=False, timeout=20, ca_certs=ca_file) as pool:
        assert pool.request("GET", url, headers=headers).status == 200
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate-status", "500"), "--rate-status must be 429 or 503, got 500."),
        (("--retry-after", "soon"), "--retry-after must be one of seconds, date,"),
    ],
)
def test_sim_names_options_that_are_wrong(orstats, options, message):
    done = orstats("sim", "--rate", "5", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_sim_prints_everything_that_a_second_terminal_needs(spawn, orstats, tmp_path, monkeypatch):
    process = spawn("sim", "--port", "0", "--generations", "30", "--log-out", "app.log")
    for _ in range(4):
        name, value = process.stdout.readline().removeprefix("export ").strip().split("=", 1)
        monkeypatch.setenv(name, value)
    for archived in ("", " (30 from the archive)"):
        done = orstats("fetch", "--ids-from", "app.log", "-o", "costs.csv")
        assert done.exit_code == 3
        assert f"32 ids requested · 30 ok{archived} · 2 failed" in done.stderr
        assert "not archived" not in done.stderr.lower()
    assert "total" in orstats("report").stdout
    (archive,) = (tmp_path / "orstats-sim").iterdir()
    assert archive.name.endswith("-30-0"), "another account has another archive"
    process.send_signal(signal.SIGINT)
    _, words = process.communicate()
    assert words.rstrip().endswith("-m orstats fetch --ids-from app.log\nSimulator stopped.")


def test_lines_of_the_log_are_as_old_as_their_ids(tmp_path):
    with SimServer(200, seed=4) as sim:
        write_app_log(sim, tmp_path / "app.log")
    lines = (tmp_path / "app.log").read_text().splitlines()
    broken = [line for line in lines if "stream broke off" in line]
    assert len(broken) == 2
    for line in broken:
        at = datetime.fromisoformat(line.split(" ", 1)[0])
        assert f"gen-{at.timestamp():.0f}-" in line
        assert lines.index(line) > len(lines) / 2


def test_sim_on_a_taken_port_leaves_the_files_of_the_other(orstats, online, tmp_path):
    (tmp_path / "app.log").write_text("the other's\n")
    (tmp_path / "ids.txt").write_text("the other's\n")
    files = ("--log-out", tmp_path / "app.log", "--ids-out", tmp_path / "ids.txt")
    result = orstats("sim", "--port", online.port, *files)
    assert result.exit_code == 1
    assert "in use" in result.stderr
    assert {path.read_text() for path in tmp_path.glob("*.*")} == {"the other's\n"}


def test_fetch_from_this_machine_says_that_nothing_is_archived(orstats, online):
    advice = "set ORSTATS_ARCHIVE or pass --archive DIR."
    assert orstats("fetch", online.ids[0], "-o", "x.csv").stderr.count(advice) == 1
    for option in ("--quiet", "--no-archive", "--archive=a"):
        assert advice not in orstats("fetch", online.ids[0], option, "-o", "x.csv").stderr
    done = orstats("report")
    assert done.exit_code == 1
    assert "does not exist" in done.stderr
    assert advice in done.stderr


def test_report_never_takes_the_account_for_the_simulator(orstats, online, monkeypatch):
    monkeypatch.setenv("ORSTATS_ARCHIVE", "a")
    orstats("fetch", online.ids[0], "-q")
    for variable in ("OPENROUTER_BASE_URL", "ORSTATS_ARCHIVE"):
        monkeypatch.delenv(variable)
    assert "records of 127.0.0.1" in orstats("report", "--archive", "a").stderr
    Path("data").mkdir()  # XDG_DATA_HOME
    Path("a").rename("data/orstats")
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1")
    done = orstats("report")
    assert done.exit_code == 1
    assert "No records for 127.0.0.1:9" in done.stderr


@pytest.mark.parametrize(
    ("argv", "on_path", "prefix"),
    [
        ("bin/orstats", True, "orstats"),
        ("bin/orstats", False, "bin/orstats"),
        ("my bin/orstats", False, "'my bin/orstats'"),
        ("orstats/__main__.py", False, "{python} -m orstats"),
        ("apps/orstats.pyz", False, "{python} apps/orstats.pyz"),
    ],
)
def test_printed_commands_start_this_program(argv, on_path, prefix, tmp_path, monkeypatch):
    script = tmp_path / argv
    script.parent.mkdir()
    script.touch(0o600 if script.suffix else 0o700)
    monkeypatch.setenv("PATH", str(script.parent) if on_path else "")
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert command_prefix() == prefix.format(python=shlex.quote(sys.executable))


@pytest.mark.parametrize("command", ["sim", "demo"])
def test_a_missing_extra_is_named(orstats, monkeypatch, command):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    done = orstats(command)
    assert done.exit_code == 1
    assert "pip install 'orstats[sim]'" in " ".join(done.stderr.split())


def test_an_interrupted_demo_does_not_promise_to_resume(orstats, monkeypatch):
    def interrupted(*_args, **_options):
        raise Interrupted("Run the same command again to resume.") from KeyboardInterrupt()

    monkeypatch.setattr("orstats.cli.resumable.fetch_ids", interrupted)
    done = orstats("demo", "--generations", "5", "--out", "demo")
    assert done.exit_code == 130
    assert done.stderr.endswith("orstats: interrupted.\n")
