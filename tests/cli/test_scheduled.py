"""From no ids at all to a CSV and a page in one command, with a management key."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from typer.testing import CliRunner

from orstats.cli.app import app
from orstats.sim import SimServer


@pytest.fixture
def account(tmp_path, monkeypatch):
    with SimServer(600, seed=4, until=datetime(2026, 10, 1, tzinfo=UTC)) as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
        monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
        monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
        yield sim


def run(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False).exit_code


def test_range_of_the_account_becomes_a_csv_and_a_page(account, tmp_path):
    first, last = datetime(2026, 9, 20, tzinfo=UTC), datetime(2026, 9, 25, tzinfo=UTC)
    ends = ["--since", "2026-09-20", "--until", "2026-09-25"]
    assert run("report", *ends, "--by", "model", "-o", str(tmp_path / "costs.csv")) == 0
    records = [account.record(i) for i in account.ids]
    expected = {r["id"] for r in records if first <= datetime.fromisoformat(r["created_at"]) < last}
    table = pd.read_csv(tmp_path / "costs.csv").dropna(subset=["generations"])
    models = table[table.iloc[:, 0].isin({r["model"] for r in records})]
    assert models["generations"].astype(int).sum() == len(expected) > 20
    account.reset_stats()
    assert run("report", *ends, "-o", str(tmp_path / "costs.html")) == 0
    assert account.stats.paths.get("/api/v1/generation", 0) == 0, "the second time everything is archived"
    assert "<html" in (tmp_path / "costs.html").read_text("utf-8")


@pytest.mark.usefixtures("account")
def test_range_without_traffic_is_an_honest_empty_report(tmp_path):
    assert run("report", "--since", "2026-10-02", "--until", "2026-10-03", "-o", str(tmp_path / "none.csv")) == 0
    assert (tmp_path / "none.csv").exists()


@pytest.mark.usefixtures("account")
def test_range_in_the_future_fails_in_words():
    future = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    result = CliRunner().invoke(app, ["report", "--since", future])
    assert result.exit_code in (1, 2)
    assert "future" in result.output


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("name", ["costs.csv", "costs.html"])
def test_quiet_report_says_nothing_so_that_cron_sends_no_mail(tmp_path, name):
    words = ["report", "--since", "2026-09-20", "--until", "2026-09-25", "--top", "2", "-q", "-o", str(tmp_path / name)]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / name).exists()
