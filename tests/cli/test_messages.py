"""Messages name options of the shell, and tables fit the terminal."""

import re
from pathlib import Path

import pandas as pd
import pytest

from orstats.cli.console import print_status
from orstats.cli.shell import for_shell


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("Pass what to forget: ids=, user= or before=.", "Pass what to forget: --ids-from, --user or --before."),
        ("name another place as archive=… or in X.", "name another place as --archive or in X."),
        ("or fetch without an archive (archive=False).", "or fetch without an archive (--no-archive)."),
        ("https://host/?archive=1&tz=UTC stays", "https://host/?archive=1&tz=UTC stays"),
        ("Check api_key=: the key is wrong.", "Check OPENROUTER_API_KEY: the key is wrong."),
        ("No key: set X (or pass Client(management_key=…)).", "No key: set X."),
    ],
)
def test_advice_names_options_of_the_command_line(python, shell):
    assert for_shell(python) == shell


def test_table_without_ids_names_the_option(orstats):
    Path("t.csv").write_text("a,b\n1,2\n")
    done = orstats("fetch", "--ids-from", "t.csv")
    assert done.exit_code == 1
    assert "--column" in done.stderr
    assert "column=" not in done.stderr


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("command", [["report"], ["reconcile", "--since", "1d"], ["fetch", "-q"]])
def test_no_ids_in_a_file_are_an_error(orstats, command):
    Path("empty.txt").touch()
    done = orstats(*command, "--ids-from", "empty.txt")
    assert done.exit_code == 1
    assert "no ids found in empty.txt" in done.stderr


@pytest.mark.usefixtures("online")
def test_a_fetch_without_ids_writes_the_header(orstats):
    Path("empty.txt").touch()
    done = orstats("fetch", "--ids-from", "empty.txt", "-o", "costs.csv")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Only the header row was written." in done.stderr
    assert len(pd.read_csv("costs.csv")) == 0
    Path("costs.csv").write_text("of the last good run")
    done = orstats("fetch", "--ids-from", "empty.txt", "-o", "costs.csv")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "costs.csv was not changed." in done.stderr
    assert Path("costs.csv").read_text() == "of the last good run"


def test_counts_of_an_archive_are_not_called_requests(online, orstats):
    assert "5 ids requested · 5 ok" in orstats("fetch", *online.ids[:5], "--archive", "a", "-o", "c.csv").stderr
    report = orstats("report", "--archive", "a")
    assert "5 generations in the archive · 5 ok" in report.stderr
    assert "requested" not in report.stderr


def test_top_has_a_row_for_the_other_groups_and_a_right_total(online, orstats):
    orstats("fetch", *online.ids, "--archive", "a", "-o", "c.csv")
    whole, top = (orstats("report", "--archive", "a", *more).stdout.splitlines() for more in ([], ["--top", "2"]))
    assert [line.split()[:3] for line in top[1:3]] == [line.split()[:3] for line in whole[1:3]]
    assert top[3].startswith(f"other ({len(whole) - 4} groups)")
    assert top[-1].split()[:3] == whole[-1].split()[:3]
    orstats("report", "--archive", "a", "--by", "is_byok,model", "--freq", "M", "--top", "2", "-o", "top.csv")
    orstats("report", "--archive", "a", "--by", "model,provider_name", "--top", "2", "-o", "top.md")
    assert re.search(r"^\| other \\\(\d+ groups\\\) \|  \|", Path("top.md").read_text("utf-8"), re.MULTILINE)
    written = pd.read_csv("top.csv", dtype={"is_byok": str})
    assert written["generations"].sum() == len(online.ids)
    for _, period in written.groupby("period"):
        assert not period["is_byok"].str.startswith("other")[:-1].any(), "the others are last in each period"
    assert written["cost_usd"].sum() == pytest.approx(pd.read_csv("c.csv")["cost_usd"].sum())


@pytest.mark.slow
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_tables_fit_a_terminal(online, orstats, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    orstats("fetch", *online.ids, "--archive", "a", "-o", "c.csv")
    for command in (["report", "--by", "model,provider_name,external_user"], ["archive", "info"]):
        lines = orstats(*command, "--archive", "a").stdout.splitlines()
        assert max(map(len, lines)) <= width
    by = orstats("report", "--archive", "a", "--by", "model,provider_name").stdout.splitlines()
    groups = len(pd.read_csv("c.csv").groupby(["model", "provider_name"], dropna=False))
    assert sum("$" in line for line in by[1:]) == groups + 1, "each group is one line, with its cost"


def test_pipes_get_complete_labels(online, orstats, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    orstats("fetch", *online.ids, "--archive", "a", "-o", "c.csv")
    text = orstats("report", "--archive", "a", "--by", "model,provider_name,external_user").stdout
    assert "…" not in text
    assert "$/Mtok" in text


def test_no_line_of_a_table_ends_with_spaces(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.management_key)
    for arguments in (["key"], ["keys"], ["usage", "--since", "30d"], ["show", online.ids[0]], ["doctor"]):
        lines = orstats(*arguments).stdout.splitlines()
        assert lines == [line.rstrip() for line in lines], arguments


def test_a_terminal_gets_status_lines_that_break_between_words(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    print_status("The archive is empty. Run `orstats fetch --ids-from app.log -o costs.csv`.")
    print_status("orstats fetch --ids-from app.log --archive here -o costs.csv", is_command=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["The archive is empty. Run", "`orstats fetch --ids-from app.log -o costs.csv`."]
    assert len(lines) == 3
