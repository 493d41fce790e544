"""Every command under the conditions of containers, cron jobs and pipelines: no traceback, and the right exit code."""

import json
import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from functools import cache

import pytest

from orstats.sim import SimServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX streams and devices")

#: Runs each command in a fork of one process that has everything loaded, which is many times faster than a start each.
DRIVER = """
    import contextlib, gc, importlib, json, os, pkgutil, sys, tempfile

    import orstats

    loaded = [module.name for module in pkgutil.walk_packages(orstats.__path__, "orstats.")]
    loaded += ["narwhals._pandas_like.dataframe", "narwhals._pandas_like.expr", "narwhals._pandas_like.group_by"]
    loaded += ["narwhals._pandas_like.namespace", "narwhals._pandas_like.selectors", "narwhals._arrow.utils"]
    loaded += ["pandas.core.arrays.arrow._arrow_utils", "pandas.core.methods.to_dict", "pyarrow.pandas_compat"]
    loaded += ["pydantic.plugin._loader", "rich.markdown", "rich.traceback", "rich._emoji_codes", "tqdm.auto"]
    loaded += ["typer._adapters", "typer.rich_utils", "multiprocessing.synchronize", "tzdata"]
    for name in loaded:
        if not name.startswith(("orstats.__main__", "orstats.notebook", "orstats.plots")):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.freeze()

    def run(argv, folder, variables, closed, devices):
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        child = os.fork()
        if not child:
            try:
                os.chdir(folder)
                os.environ.clear()
                os.environ.update(variables)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                for number, device in devices.items():
                    os.dup2(os.open(device, os.O_WRONLY), int(number))
                for number in closed:
                    os.close(number)
                sys.stdin = open(0, closefd=False)
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

    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps([run(argv, *given["under"]) for argv in given["commands"]]), flush=True)
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

#: Help depends on width and start only, and width and colour matter only to commands that print tables and sheets.
SOME_HELP = ["", "fetch", "archive info"]
PRINTING = {"fetch", "show", "report", "sessions", "fields", "key", "keys", "usage", "archive"}

#: Conditions: of the streams and the environment of each command, and how the interpreter is started.
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
    "LANG=C": {"start": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
    "colour": {"start": {"NO_COLOR": None, "FORCE_COLOR": "1"}},
    "-OO, and warnings are errors": {"start": {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error"}},
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


@pytest.fixture(scope="module")
def driver():
    """Return a function that returns the process for a start; conditions without one share a process."""
    with ExitStack() as ends:

        @cache
        def started(start=()):
            environment = {name: value for name, value in (os.environ | dict(start)).items() if value is not None}
            process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(DRIVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                env=environment,
            )
            ends.enter_context(process)  # which closes its input, and so ends it
            return process

        yield started


def run(process, commands, folder, start, *, closed=(), devices=None, env=None):
    variables = {name: value for name, value in (os.environ | start | (env or {})).items() if value is not None}
    given = {"commands": commands, "under": [str(folder), variables, closed, devices or {}]}
    process.stdin.write(json.dumps(given) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_every_command_ends_well(condition, works, tmp_path, online, driver, monkeypatch):
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.management_key)
    streams = {name: value for name, value in condition.items() if name != "start"}
    start = condition.get("start", {})
    is_width = "COLUMNS" in streams.get("env", {})
    helped = HELPED if is_width or not streams else SOME_HELP
    if is_width or "FORCE_COLOR" in start:
        works = [(argv, code) for argv, code in works if argv[0] in PRINTING and code in (0, 3)]
    commands = [[*name.split(), "--help"] for name in helped] + [argv for argv, _ in works]
    codes = [0] * len(helped) + [code for _, code in works]
    fails_to_print = condition.get("devices", {}).keys() == {1}
    results = run(driver(tuple(start.items())), commands, tmp_path, start, **streams)
    for argv, code, (got, out, err) in zip(commands, codes, results, strict=True):
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
