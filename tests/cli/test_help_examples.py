"""Every example at the end of a help page works on the simulated account, and finds something there."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from typer.main import get_command

from orstats.cli.app import app
from orstats.sim import SimServer

#: They run until Ctrl-C, or have tests of their own.
SKIPPED = ("demo", "sim", "explore", "doctor")
SHOWN_ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"


def examples():
    def epilogs(command):
        yield command.epilog or ""
        for below in getattr(command, "commands", {}).values():
            yield from epilogs(below)

    lines = [line for text in epilogs(get_command(app)) for line in re.findall(r"\[cyan\](.*?)\[/cyan\]", text)]
    return [line for line in dict.fromkeys(lines) if not line.startswith(tuple(f"orstats {name}" for name in SKIPPED))]


@pytest.fixture
def account(monkeypatch, tmp_path):
    """An account of last week's generations, with the files that the examples name."""
    with SimServer(60, seed=3, analytics_per_minute=None) as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", server.key)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", server.management_key)
        monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
        Path("app.log").write_text("".join(f"INFO checkout id={one}\n" for one in server.ids))
        table = pd.DataFrame({"generation_id": server.ids, "run": range(len(server.ids))})
        table.to_excel("orders.xlsx", index=False)
        table.to_csv("runs.csv", index=False)
        Path("activity.csv").write_text(server.activity_export())
        yield server


def test_every_example_works(account, orstats):
    host = account.base_url.split("/")[2]
    assert orstats("fetch", "--ids-from", "app.log", "-q").exit_code in (0, 3)
    found = examples()
    assert len(found) > 30
    for one, example in zip(account.ids, found, strict=False):
        line = example.partition("   ")[0].replace(SHOWN_ID, one).replace("eu.openrouter.ai", host)
        text = ""
        for part in line.partition(" > ")[0].split(" | "):
            words = shlex.split(part)
            if words[0] != "orstats":  # grep at the beginning, jq at the end
                text = Path("app.log").read_text() if words[0] == "grep" else text
                continue
            done = orstats(*words[1:], input=text)
            assert done.exit_code in (0, 3), f"{example}\n{done.output}"
            text = done.stdout
            assert text or "ritten to" in done.stderr or words[1] in ("feedback", "archive", "reconcile"), example
            # The user in the example of forget is made up.
            assert words[1:3] == ["archive", "forget"] or not re.search(
                r"\b0 (ids|generations)|Nothing to compare|No usage of|Unknown", done.stderr
            ), f"{example}\n{done.stderr}"
