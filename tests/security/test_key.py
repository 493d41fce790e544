"""The key is in nothing that is shown, logged, raised, written or sent to somebody else."""

import copy
import io
import logging
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import ipywidgets
import nbformat
import pytest
from nbclient import NotebookClient
from tqdm.auto import tqdm
from typer.testing import CliRunner

import orstats
from orstats import errors
from orstats.api.config import Settings
from orstats.cli.app import app
from orstats.sim import Faults, SimServer

QUICK = orstats.Retry(attempts=2, first_wait=0)


@pytest.fixture(scope="module")
def sim():
    with SimServer(30, faults=Faults(rate=0.5)) as server:
        yield server


def files_below(folder):
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_key_is_in_no_repr_or_text(sim, leaks):
    client = sim.client(retry=QUICK, management_key=sim.management_key)
    df = orstats.fetch(sim.ids[:5], client=client, archive=False)
    generation = orstats.get(sim.ids[0], client=client, archive=False)
    things = [client, client.settings, client.retry, client.rate_limiter, client._transport, generation, df]
    things += [generation.content(), orstats.explore(df, client=client), orstats.view(sim.ids[0], client=client)]
    shown = {}
    for thing in things:
        name = type(thing).__name__
        shown |= {f"{name} repr": repr(thing), f"{name} str": str(thing), f"{name} format": f"{thing}"}
    shown["attrs"] = repr(df.attrs)
    for secret in (sim.key, sim.management_key):
        assert leaks(secret, shown) == []


def test_key_is_in_no_log_record_or_warning(sim, leaks, caplog, capsys, tmp_path):
    caplog.set_level(logging.DEBUG)  # of everybody: urllib3 and requests too
    client = orstats.Client(sim.key, management_key=sim.management_key, base_url=sim.base_url)
    with client:
        orstats.fetch([*sim.ids, "gen-unknown"], client=client, archive=tmp_path, pending_wait=0)
        orstats.fetch_contents(sim.ids[:5], client=client, archive=False)
        orstats.list_ids("2d", "now", client=client, archive=False)
        client.key(), client.credits(), client.activity()
    records = {f"record {number}": repr(vars(record)) for number, record in enumerate(caplog.records)}
    assert any("urllib3" in text for text in records.values()), "the connections were listened to"
    shown = records | {"log": caplog.text} | dict(zip(("out", "err"), capsys.readouterr(), strict=True))
    for secret in (sim.key, sim.management_key):
        assert leaks(secret, shown) == []


def test_key_is_in_no_progress_bar(sim, leaks, monkeypatch, tmp_path):
    shown = io.StringIO()
    monkeypatch.setattr(tqdm, "fp", shown, raising=False)
    monkeypatch.setattr(sys, "stderr", shown)
    orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path, progress=True)
    assert "30/30" in shown.getvalue()
    assert leaks(sim.key, {"bar": shown.getvalue()}) == []


def refused(server, key, **options):
    """Every way in which a call can end badly, with its error."""
    calls = {
        "wrong key": lambda c: c.generation("gen-1"),
        "fetch": lambda c: orstats.fetch(["gen-1", "gen-2"], client=c, archive=False),
        "contents": lambda c: orstats.fetch_contents(["gen-1"], client=c, archive=False, errors="raise"),
        "account": lambda c: c.credits(),
        "listing": lambda c: orstats.list_ids("1d", "now", client=c, archive=False),
    }
    with orstats.Client(key, base_url=server, retry=QUICK, **options) as client:
        for name, call in calls.items():
            with pytest.raises(errors.ApiError) as caught:
                call(client)
            yield name, caught.value


def test_key_is_in_no_error_shown_pickled_or_copied(sim, key, leaks):
    for name, error in refused(sim.base_url, key):
        shown = {
            "str": str(error),
            "repr": repr(error),
            "traceback": "".join(traceback.format_exception(error)),
            "attributes": repr(vars(error)),
            "pickle": pickle.dumps(error),
            "copy": repr(copy.copy(error)),
        }
        assert leaks(key, shown) == [], name


@pytest.mark.parametrize("host", ["http://evil.example", "https://user:pass@host.example", "https://h.example/?a=b"])
def test_key_is_in_no_error_about_the_address(host, key, leaks):
    with pytest.raises(errors.ConfigError) as caught:
        orstats.Client(key, base_url=host)
    assert leaks(key, {"error": "".join(traceback.format_exception(caught.value))}) == []


def test_key_is_in_no_traceback_of_the_command_line(sim, key, leaks, tmp_path):
    broken = "import orstats.fetching.fetch as f\nf.fetch = None\n"  # any bug of ours will do
    (tmp_path / "sitecustomize.py").write_text("")
    code = f"{broken}from orstats.cli import main\nmain()"
    run = subprocess.run(
        [sys.executable, "-c", code, "fetch", sim.ids[0], "--no-archive"],
        env=os.environ | {"OPENROUTER_API_KEY": key, "OPENROUTER_BASE_URL": sim.base_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in run.stderr
    assert leaks(key, {"out": run.stdout, "err": run.stderr}) == []


def test_key_is_in_no_help_or_message_of_the_command_line(sim, leaks):
    env = {"OPENROUTER_API_KEY": sim.key, "OPENROUTER_MANAGEMENT_KEY": sim.management_key}
    env["OPENROUTER_BASE_URL"] = sim.base_url
    runs = (
        ["--help"],
        ["fetch", "--help"],
        ["key"],
        ["key", "--json"],
        ["fetch", "gen-unknown", "--pending-wait", "0", "--archive", "a"],
        ["fetch", *sim.ids[:5], "--archive", "a", "-o", "x.csv"],
        ["show", sim.ids[0], "--content"],
        ["report", "--archive", "a", "-o", "x.html"],
        ["archive", "info", "--archive", "a"],
        ["fetch", sim.key, "--no-archive"],
        ["fetch", "--base-url", f"http://{sim.key}@evil.example", "gen-1"],
    )
    for arguments in runs:
        done = CliRunner().invoke(app, arguments, env=env, prog_name="orstats")
        for secret in (sim.key, sim.management_key):
            assert leaks(secret, {"out": done.stdout, "err": done.stderr}) == [], arguments
    assert Path("x.csv").exists()
    assert Path("x.html").exists()
    assert leaks(sim.key, files_below(".")) == []
    assert leaks(sim.management_key, files_below(".")) == []


def test_key_is_in_no_written_file(sim, leaks, tmp_path):
    client = orstats.Client(sim.key, management_key=sim.management_key, base_url=sim.base_url)
    df = orstats.fetch(sim.ids, client=client, archive=tmp_path / "archive")
    orstats.fetch_contents(sim.ids, client=client, archive=tmp_path / "archive", store_content=True)
    orstats.list_ids("8d", "now", client=client, archive=tmp_path / "archive")
    orstats.write_csv(df, tmp_path / "x.csv")
    orstats.write_csv(df, tmp_path / "x.parquet")
    orstats.write_html(df, tmp_path / "x.html")
    for ending in ("csv", "xlsx", "md", "json", "parquet"):
        orstats.write_report(orstats.cost_by(df), tmp_path / f"report.{ending}")
    df.to_pickle(tmp_path / "x.pickle")
    written = files_below(tmp_path)
    assert len(written) > 9
    for secret in (sim.key, sim.management_key):
        assert leaks(secret, written) == []


def test_key_is_in_no_widget_state(sim, leaks):
    client = sim.client(management_key=sim.management_key)
    df = orstats.fetch(sim.ids, client=client, archive=False)
    widget = orstats.explore(df, client=client)
    card = orstats.view(sim.ids[0], client=client)
    assert widget is not None
    assert card is not None
    state = repr(ipywidgets.Widget.get_manager_state())
    assert len(state) > 1000
    for secret in (sim.key, sim.management_key):
        assert leaks(secret, {"state": state}) == []


def test_key_is_in_no_executed_notebook(sim, leaks, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    cells = [
        "import orstats\nclient = orstats.Client()\nclient",
        f"df = orstats.fetch({sim.ids[:5]!r}, client=client)\ndf",
        "orstats.explore(df, client=client)",
        f"orstats.view({sim.ids[0]!r}, client=client)",
        "vars(client.settings) if hasattr(client.settings, '__dict__') else client.settings",
        "orstats.fetch([client], client=client)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3").execute()
    text = nbformat.writes(notebook)
    assert "fetch_status" in text
    assert "Traceback" in text
    for secret in (sim.key, sim.management_key):
        assert leaks(secret, {"notebook": text}) == []


def test_settings_show_no_key_to_debuggers(key, leaks):
    settings = Settings.resolve(key, key, environ={})
    assert leaks(key, {"repr": repr(settings), "format": f"{settings}"}) == []
