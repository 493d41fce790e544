"""Behaviour that needs a process: signals, pipes, full disks, start-up."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipapp
from datetime import UTC, datetime
from pathlib import Path

import pytest

import orstats as orstats_package
from orstats.sim import SimServer

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and devices")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_fetch_keeps_its_records_and_resumes(spawn, orstats, tmp_path, monkeypatch, number):
    with SimServer(300, seed=5, latency=0.05) as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        (tmp_path / "ids.txt").write_text("\n".join(sim.ids))
        command = ["fetch", "--ids-from", "ids.txt", "--archive", "a", "-o", "x.csv"]
        process = spawn(*command, "--workers", "2")
        while sim.requests < 40:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate()
        assert process.returncode == 128 + number
        assert out == ""
        assert f"archive ({tmp_path / 'a'})" in err
        assert "same command again" in err
        assert "Traceback" not in err
        assert not (tmp_path / "x.csv").exists()
        sim.reset_stats()
        done = orstats(*command, "--workers", "64")
        assert done.exit_code == 0
        assert 0 < sim.requests <= 300 - 30


@posix
def test_ctrl_c_without_an_archive_says_that_nothing_was_saved(spawn, monkeypatch):
    with SimServer(300, seed=5, latency=0.05) as sim:
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        process = spawn("fetch", *sim.ids, "--base-url", sim.base_url, "--no-archive", "--workers", "2")
        while sim.requests < 10:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "nothing was saved" in err


@posix
def test_closed_pipe_ends_the_command_silently(online, spawn):
    process = spawn("fetch", *online.ids, "-q")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@posix
def test_failed_ids_set_the_exit_code_with_a_closed_pipe(online, spawn):
    ids = [*online.ids, "gen-1760000000-AbCdEfGhIjKlMnOpQrSt"]
    process = spawn("fetch", *ids)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate()
    assert process.returncode == 3, err


@posix
def test_signal_that_the_caller_ignores_stays_ignored(spawn):
    process = spawn("--version", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.wait() == 0
    code = (
        "import signal; from orstats.cli.signals import handle_signals; handle_signals(); "
        "print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("command", [["fetch"], ["show", "--json"], ["fields"]])
def test_a_full_disk_behind_standard_output_is_an_error(online, spawn, command):
    ids = [online.ids[0]] if command != ["fields"] else []
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = spawn(*command, *ids, stdout=full)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err.splitlines()[-1] == "orstats: error: standard output: No space left on device"
    assert "Traceback" not in err


@posix
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_it_runs_where_standard_streams_are_closed(online, spawn, tmp_path, closed):
    command = ["fetch", "--ids-from", "-"] if closed == 0 else ["fetch", online.ids[0], "-o", "x.csv"]
    process = spawn(*command, preexec_fn=lambda: os.close(closed))
    _, err = process.communicate()
    assert process.returncode == (1 if closed == 0 else 0), err  # no standard input, no ids
    assert "Traceback" not in err
    assert closed == 0 or (tmp_path / "x.csv").stat().st_size


@posix
def test_the_simulator_serves_until_ctrl_c(spawn, orstats, tmp_path):
    options = ("--port", "0", "--generations", "10", "--seed", "7", "--until", "2026-06-30", "--ids-out", "ids.txt")
    process = spawn("sim", *options)
    lines = [process.stdout.readline() for _ in range(4)]
    environment = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
    credentials = {"OPENROUTER_BASE_URL", "OPENROUTER_API_KEY", "OPENROUTER_MANAGEMENT_KEY"}
    assert set(environment) == {*credentials, "ORSTATS_ARCHIVE"}
    done = orstats("fetch", "--ids-from", "ids.txt", env=environment)
    assert "10 ids requested · 10 ok" in done.stderr
    same = SimServer(10, seed=7, until=datetime(2026, 6, 30, tzinfo=UTC))
    assert (tmp_path / "ids.txt").read_text().split() == same.ids
    assert "bought" in orstats("key", env=environment).stdout
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "")
    assert "orstats fetch --ids-from ids.txt" in err
    assert "Traceback" not in err


def test_invalid_time_is_a_usage_error(orstats):
    done = orstats("sim", "--until", "soon")
    assert done.exit_code == 2
    assert "--until: Unknown time 'soon'" in done.stderr


def test_a_port_in_use_is_an_error(sim, orstats):
    done = orstats("sim", "--port", sim.port)
    assert done.exit_code == 1
    assert f"port {sim.port} is in use" in done.stderr


def test_help_loads_nothing_heavy():
    heavy = {"pandas", "pyarrow", "requests", "ipywidgets", "matplotlib"}
    code = f"import sys, orstats.cli.app; print(*{heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(("command", "unneeded"), [("show", "pandas"), ("report", "requests")])
def test_commands_load_only_what_they_need(online, orstats, command, unneeded):
    assert orstats("fetch", online.ids[0], "--archive", "a", "-q").exit_code == 0
    arguments = [command, *([online.ids[0]] if command == "show" else []), "--archive", "a"]
    code = (
        f"import sys, contextlib, orstats.cli; sys.argv = ['orstats', *{arguments}]\n"
        f"with contextlib.suppress(SystemExit): orstats.cli.main()\nsys.exit({unneeded!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_help_fits_every_encoding(spawn, encoding):
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    process = spawn("fetch", "--help", env=env, encoding=encoding)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "Exit codes: 0 success" in out


def test_zipapp_and_copied_folder_work_without_package_metadata(online, tmp_path):
    package = Path(orstats_package.__file__).parent
    copy = tmp_path / "app"
    shutil.copytree(package, copy / "orstats", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "__main__.py").write_text('import runpy\n\nrunpy.run_module("orstats", run_name="__main__")\n')
    zipapp.create_archive(copy, tmp_path / "orstats.pyz")
    hidden = "import importlib.metadata as m, runpy, sys; m.distribution = None; sys.argv[0] = 'orstats'; "
    for place in (copy, tmp_path / "orstats.pyz"):
        command = [sys.executable, "-c", f"{hidden}runpy.run_path({str(place)!r}, run_name='__main__')"]
        out = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        assert out == f"orstats {orstats_package.__version__}\n"
    # From the zip file, these two read the package's data files as well.
    subprocess.run([*command, "fetch", online.ids[0], "-q", "-o", "x.csv"], check=True)
    subprocess.run([*command, "report", online.ids[0], "-q", "-o", "x.html"], check=True)


@pytest.mark.skipif(os.name == "nt", reason="bash")
def test_shell_completion_completes_commands_and_options(spawn):
    def completed(words):
        environment = os.environ | {
            "_ORSTATS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        done = spawn(env=environment)
        return done.communicate(timeout=60)[0].split()

    assert completed("orstats rec") == ["reconcile"]
    assert "--ids-from" in completed("orstats fetch --i")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_completion_script_is_shown_for_the_shell():
    """For the shell that runs the command; the tests themselves may run without one."""
    command = f'"{sys.executable}" -m orstats --show-completion; exit $?'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "_ORSTATS_COMPLETE" in done.stdout, done.stderr
