"""Untrusted text cannot control a terminal: no escape sequences, titles, links, hidden or reversed text."""

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import orstats
from orstats.cli.app import app
from orstats.cli.console import print_status
from orstats.frame.record_table import to_table

HOST = "openrouter.ai"
BAD = (
    "gen-x\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\x1b]0;title\x07\x1bP+q\x1b\\\x1bc\x1b]52;c;ZWNobw==\x07"
    "\x9b2J\x90q\x9c\x9d0;t\x9c\u202eevil\u2066x\u2069\u200b\u200f\u2028\x08\x7f\x07\r\nnext[bold]x[/bold]\\"
)
NAMED = (
    *("model", "provider_name", "external_user", "origin", "http_referer", "user_agent", "session_id", "api_type"),
    *("finish_reason", "native_finish_reason", "data_region", "request_id", "upstream_id", "router", "service_tier"),
    *("web_search_engine", "preset_id", "workspace_id"),
)
#: Characters that a terminal obeys, except line feeds and tabs, and those that reorder or hide text.
ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@pytest.fixture
def archived(monkeypatch, tmp_path):
    """An archive in which every text is hostile, and one of a host with such a name."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("OPENROUTER_API_KEY", "k")
    record = dict.fromkeys(NAMED, BAD) | {"new": {BAD: BAD}, "created_at": "2026-01-02T03:04:05Z", "total_cost": 0.5}
    record |= {"usage": 0.5, "is_byok": False}
    record["provider_responses"] = [{"provider_name": BAD, "status": BAD}, {"provider_name": BAD, "status": 200}]
    table = to_table(["gen-1", BAD], [record, record], [1.77e9] * 2)
    orstats.Archive("a").append(HOST, table)
    archive = orstats.Archive("b")
    archive.append(f"host{BAD[:40]}", table)
    (folder,) = (tmp_path / "b" / "generations").iterdir()
    (folder / "part-\x1b[31m.parquet").write_bytes(b"none")
    (tmp_path / "ids\x1b[31m.txt").write_text(f"{BAD}\ngen-2\n", "utf-8")
    return tmp_path


READ_BY_PEOPLE = [
    ["show", "gen-1", "--archive", "a"],
    ["show", BAD, "--archive", "a"],
    ["report", "--archive", "a"],
    ["report", "--archive", "a", "--by", "external_user,finish_reason"],
    ["report", "--archive", "a", "--by", BAD],
    ["report", "--archive", "a", "--freq", BAD],
    ["report", "--archive", "a", "--tz", BAD],
    ["report", "--archive", "a", "--since", BAD],
    ["report", "--archive", "a", "-o", "x\x1b[31m.html"],
    ["report", "--archive", "b"],
    ["fetch", "gen-1", "--archive", "a", "-o", "x\x1b[31m.csv"],
    ["fetch", "gen-1", "--archive", "a", "-o", "x\x1b[31m.foo"],
    ["fetch", "--ids-from", "none\x1b[31m.txt"],
    ["fetch", "--ids-from", "ids\x1b[31m.txt", "--archive", "a", "-o", "x.csv", "--base-url", "http://127.0.0.1:1"],
    ["fetch", "gen-1", "--base-url", "http://\x1b[31m\x9b2J"],
    ["archive", "info", "--archive", "b"],
    ["archive", "compact", "--archive", "b"],
    ["archive", "export", "x\x1b[2J.csv", "--archive", "b"],
    ["archive", "export", "x.csv", "--archive", "a", "--host", BAD],
    ["fields", BAD],
]


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize("arguments", READ_BY_PEOPLE, ids=" ".join)
def test_terminal_text_contains_no_escape_sequences(arguments):
    done = CliRunner().invoke(app, arguments, prog_name="orstats")
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert ORDERS.findall(done.stdout) == []
    assert ORDERS.findall(done.stderr) == []
    assert done.stdout + done.stderr


DATA = [
    ["show", "gen-1", "--archive", "a", "--json"],
    ["fetch", "gen-1", BAD, "--archive", "a", "--quiet"],
    ["fetch", "gen-1", BAD, "--archive", "a", "--quiet", "--raw-text"],
    ["archive", "info", "--archive", "b", "--json"],
    ["archive", "path", "--archive", "p\x1b[31m"],
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize("arguments", DATA, ids=lambda arguments: " ".join(arguments).replace(BAD, "bad"))
def test_terminal_data_contains_no_escape_sequences(arguments, archived):
    theirs, ours = os.openpty()
    run = [sys.executable, "-m", "orstats", *arguments]
    with subprocess.Popen(run, stdin=ours, stdout=ours, stderr=subprocess.DEVNULL, cwd=archived) as process:
        os.close(ours)
        shown = b""
        while True:
            try:
                piece = os.read(theirs, 65536)
            except OSError:  # how Linux reports the end
                break
            if not piece:
                break
            shown += piece
        os.close(theirs)
    assert process.returncode == (3 if BAD in arguments else 0)  # it is not an id
    text = shown.decode().replace("\r\n", "\n")
    assert text.strip()
    assert ORDERS.findall(text) == []


@pytest.mark.usefixtures("archived")
def test_piped_data_is_unchanged():
    done = CliRunner().invoke(app, ["fetch", "gen-1", "--archive", "a", "-q", "--raw-text"], prog_name="orstats")
    assert BAD in done.stdout_bytes.decode()


def test_messages_sanitize_untrusted_names(capsys):
    print_status(f"Written to {BAD}:  2 rows.")
    message = capsys.readouterr().err
    assert ORDERS.findall(message) == []
    assert "[bold]x[/bold]\\:  2 rows." in message


def test_reprs_contain_no_escape_sequences():
    named = orstats.Generation.from_row(dict.fromkeys(NAMED, BAD) | {"id": BAD})
    for generation in (named, orstats.Generation(BAD, fetch_status=BAD, error=BAD)):
        assert ORDERS.search(repr(generation)) is None
        assert "\n" not in repr(generation)
