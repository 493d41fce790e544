"""Every command under the conditions of containers, cron jobs and pipelines: no traceback, and the right exit code."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from orstats.sim import SimServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX streams and devices")

#: Runs each command in a fork of one process that has everything loaded, which is many times faster than a start each.
DRIVER = """
    import contextlib, gc, importlib, json, os, pkgutil, sys, tempfile

    import orstats

    loaded = [module.name for module in pkgutil.walk_packages(orstats.__path__, "orstats.")]
    loaded += ["narwhals._pandas_like.dataframe", "pyarrow.pandas_compat", "rich.markdown", "rich.traceback"]
    loaded += ["tqdm.auto", "typer._adapters", "typer.rich_utils", "multiprocessing.synchronize", "tzdata"]
    for name in loaded:
        if not name.startswith(("orstats.__main__", "orstats.notebook", "orstats.plots")):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.freeze()

    def run(argv, closed, devices):
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        child = os.fork()
        if not child:
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                for number, device in devices.items():
                    os.dup2(os.open(device, os.O_WRONLY), int(number))
                for number in closed:
                    os.close(number)
                for name, number, mode in (("stdout", 1, "w"), ("stderr", 2, "w")):
                    stream = None if number in closed else open(number, mode, closefd=False)
                    setattr(sys, name, stream)
                sys.argv = ["orstats", *argv]
                orstats.cli.main()
                os._exit(0)
            except SystemExit as end:
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(end.code if isinstance(end.code, int) else int(bool(end.code)))
            except BaseException:
                import traceback
                os.write(err.fileno(), traceback.format_exc().encode())
                os._exit(99)
        status = os.waitpid(child, 0)[1]
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return [os.waitstatus_to_exitcode(status), *texts]

    given = json.load(sys.stdin)
    print(json.dumps([run(argv, given["closed"], given["devices"]) for argv in given["commands"]]))
"""
HELPED = [
    "",
    "demo",
    "fetch",
    "show",
    "report",
    "sessions",
    "fields",
    "sim",
    "ids",
    "usage",
    "reconcile",
    "key",
    "keys",
    "feedback",
    "explore",
    "doctor",
    "archive",
]
HELPED += [f"archive {name}" for name in ("path", "info", "compact", "export", "forget")]
#: Commands whose words are all on standard error, as are those of ``reconcile`` when nothing differs.
WITHOUT_OUTPUT = [["archive", name] for name in ("compact", "export", "forget")]
LOST = "gen-1760000000-AbCdEfGhIjKlMnOpQrSt"

#: Conditions: how the process is started, and which exit code a command has under it.
CONDITIONS = {
    "as it is": {},  # 80 columns without colours, as all tests of commands are
    "closed stdout": {"closed": [1]},
    "closed stderr": {"closed": [2]},
    "full stdout": {"devices": {1: "/dev/full"}},
    "full stderr": {"devices": {2: "/dev/full"}},
    "COLUMNS=0": {"env": {"COLUMNS": "0"}},
    "COLUMNS=40": {"env": {"COLUMNS": "40"}},
    "COLUMNS=200": {"env": {"COLUMNS": "200"}},
    "COLUMNS=wide": {"env": {"COLUMNS": "wide"}},
    "no HOME": {"env": {"HOME": None, "XDG_DATA_HOME": None, "XDG_CACHE_HOME": None}},
    "LANG=C": {"env": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
    "colour": {"env": {"NO_COLOR": None, "FORCE_COLOR": "1"}},
    "warnings are errors": {"env": {"PYTHONWARNINGS": "error"}},
    "-OO": {"flags": ["-OO"]},
}


@pytest.fixture(scope="module")
def sim():
    """An account that can be queried under all conditions within a minute."""
    with SimServer(200, seed=3, analytics_per_minute=None) as server:
        yield server


@pytest.fixture
def works(online):
    """Commands that do something, with the exit code that their work deserves."""
    good = online.ids[0]
    return [
        (["--version"], 0),
        (["fetch", good], 0),
        (["fetch", good, LOST, "--no-archive"], 3),
        (["fetch", good, "-o", "costs.csv", "--archive", "a"], 0),
        (["fetch"], 2),
        (["fetch", "--column", "x", good], 2),
        (["show", good, "--no-archive"], 0),
        (["show", LOST, "--json", "--no-archive"], 3),
        (["report", good], 0),
        (["report", "--archive", "a"], 0),
        (["report", "--archive", "none"], 1),
        (["sessions", "--archive", "a"], 0),
        (["sessions", good, "--by", "colour"], 2),
        (["fields", "cost_usd"], 0),
        (["key"], 0),
        (["keys"], 0),
        (["usage", "--since", "30d"], 0),
        (["usage", "--since", "30d", "--by", "colour"], 2),
        (["ids", "--since", "30d"], 0),
        (["reconcile", "--since", "30d", "--archive", "b"], 0),
        (["archive", "info", "--archive", "a"], 0),
        (["archive", "compact", "--archive", "a"], 0),
        (["archive", "export", "a.csv", "--archive", "a"], 0),
        (["archive", "forget", LOST, "--yes", "--archive", "a"], 0),
        (["archive", "forget", good, "--archive", "a"], 2),
        (["archive", "forget", good, "--yes", "--archive", "a"], 0),
        (["archive", "path"], 0),
        (["nonsense"], 2),
    ]


def run(commands, tmp_path, *, closed=(), devices=None, env=None, flags=()):
    environment = {name: value for name, value in (dict(os.environ) | (env or {})).items() if value is not None}
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(DRIVER)],
        input=json.dumps({"commands": commands, "closed": list(closed), "devices": devices or {}}),
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_every_command_ends_well(condition, works, tmp_path, online, monkeypatch):
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.management_key)
    commands = [[*name.split(), "--help"] for name in HELPED] + [argv for argv, _ in works]
    codes = [0] * len(HELPED) + [code for _, code in works]
    fails_to_print = condition.get("devices", {}).keys() == {1}
    for argv, code, (got, out, err) in zip(commands, codes, run(commands, tmp_path, **condition), strict=True):
        said = f"{argv}: exit {got}\n{out}\n{err}"
        assert "Traceback" not in out + err, said
        prints = "-o" not in argv and argv[0] != "reconcile" and argv[:2] not in WITHOUT_OUTPUT
        if fails_to_print and code in (0, 3) and (prints or "--help" in argv):
            assert got == 1, said
            assert "standard output: No space left on device" in err, said
        else:
            assert got == code, said
        if "--help" in argv and 1 not in condition.get("closed", []) and not fails_to_print:
            assert "Usage" in out, said
            assert len(out.splitlines()) > 8, said
            assert not any(shown in out for shown in ("<bool>", "<str>", "<list[", "] {")), said


def test_every_command_is_tried():
    from typer.main import get_command  # noqa: PLC0415 - only this test looks inside

    from orstats.cli.app import app  # noqa: PLC0415 - same

    def names(command, before=()):
        yield " ".join(before)
        for name, one in getattr(command, "commands", {}).items():
            yield from names(one, (*before, name))

    assert set(names(get_command(app))) == set(HELPED)
