"""orstats reconcile: totals that agree, and why others do not."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import orstats as library
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(200, seed=3, analytics_per_minute=None) as server:
        yield server


@pytest.mark.usefixtures("managed")
def test_all_agrees_when_all_is_fetched(orstats, tmp_path):
    result = orstats("reconcile", "--since", "30d", "--archive", tmp_path / "archive", "-o", tmp_path / "all.csv")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "100% explained" in result.stderr
    assert (tmp_path / "all.csv").read_text().startswith("day,model,account_requests,requests,missing")


def test_missing_ids_are_named_and_exit_with_3(managed, orstats, tmp_path):
    ids = library.list_ids("30d", "now", client=managed.client())
    (tmp_path / "some.txt").write_text("\n".join(ids[::2]))
    result = orstats("reconcile", "--since", "30d", "--ids-from", tmp_path / "some.txt", "-q")
    assert result.exit_code == 3
    assert "missing from" in " ".join(result.stdout.split())
    assert "beyond the tolerance of 1.00%" in result.stderr
    assert result.stderr.count("not logged, or from another workspace") == 1
    loose = orstats("reconcile", "--since", "30d", "--ids-from", tmp_path / "some.txt", "--tolerance", "1")
    assert loose.exit_code == 0
    assert "within the tolerance" in loose.stderr


@pytest.mark.usefixtures("managed")
def test_reconcile_as_json(orstats):
    result = orstats("reconcile", "--since", "yesterday", "--until", "today", "--json", "-q")
    assert all(row["agrees"] for row in json.loads(result.stdout))


@pytest.mark.slow
def test_awkward_account_is_explained_by_what_it_lists_itself(orstats, monkeypatch):
    # At noon: which calls run past midnight would otherwise depend on the time of day at which the test runs.
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    with SimServer(1500, seed=4, account="awkward", analytics_per_minute=None, until=noon) as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", sim.management_key)
        for days in (1, 2, 9, 20):
            since, until = (f"{noon - timedelta(days=n):%Y-%m-%d}" for n in (days, 0))
            result = orstats("reconcile", "--since", since, "--until", until)
            assert (result.exit_code, result.stdout) == (0, "")
            assert "100% explained" in result.stderr


def test_why_ids_of_a_day_were_not_fetched_is_printed_once(capsys):
    from orstats.cli.commands.reconcile import _print_differences  # noqa: PLC0415 - the table alone

    reason = "missing from the ids (not logged, or from another workspace); not fetched on this day: 3 pending"
    index = pd.MultiIndex.from_product([[pd.Timestamp("2026-06-01", tz="UTC")], ["a/b", "c/d"]], names=["day", "model"])
    values = {"agrees": False, "missing": 2, "account_usd": 1.0, "usd": 0.5, "difference_usd": 0.5, "reason": reason}
    _print_differences(pd.DataFrame(values, index=index))
    printed = capsys.readouterr()
    assert "not fetched" not in printed.out
    assert printed.err.count("Not fetched on 2026-06-01: 3 pending.") == 1
