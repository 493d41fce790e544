"""orstats key and keys: limits, usage and forecasts."""

import json
from datetime import UTC, datetime

import openpyxl
import pandas as pd
import pytest

import orstats as library
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(200, seed=3, analytics_per_minute=None) as server:
        yield server


def test_key_shows_limits_and_where_to_make_a_management_key(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.plain_key)
    result = orstats("key")
    assert result.exit_code == 0
    assert "not a management key" in result.stdout
    for word in ("today", "this week", "this month", "$100.00", "left"):
        assert word in result.stdout
    assert "make one at https://openrouter.ai/settings/management-keys" in result.stderr
    assert online.plain_key not in result.output


def test_key_says_that_the_keys_are_swapped(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.management_key)
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.plain_key)
    for command in (["key"], ["key", "--json"]):
        result = orstats(*command)
        assert "OPENROUTER_MANAGEMENT_KEY is an ordinary key, not a management key." in result.stderr
        assert "are they swapped?" in result.stderr
        assert "Management key" not in result.stdout


@pytest.mark.usefixtures("managed")
def test_key_shows_both_keys_and_the_credits(orstats):
    result = orstats("key", "--json")
    answer = json.loads(result.stdout)
    assert [key["is_management_key"] for key in answer["keys"]] == [False, True]
    assert set(answer["credits"]) == {"total_credits", "total_usage"}
    assert "bought" in orstats("key").stdout


def test_key_without_a_key(orstats):
    result = orstats("key")
    assert result.exit_code == 1
    assert "No API key" in result.stderr


def test_amounts_that_are_no_numbers_are_unknown(online, orstats, monkeypatch):  # noqa: ARG001 - the environment
    monkeypatch.setattr(library.Client, "key", lambda _: {"label": "k", "limit": "much", "usage": "25.5"})
    monkeypatch.setattr(library.Client, "credits", lambda _: {"total_credits": "100.5", "total_usage": "x"})
    result = orstats("key")
    assert result.exit_code == 0
    assert "unknown; unknown left" in result.stdout
    assert "$25.5000 in total" in result.stdout
    assert "unknown left: $100.50 bought, unknown used" in result.stdout


@pytest.mark.usefixtures("managed")
def test_keys_are_listed_with_their_usage(orstats, account):
    listed = account.client().keys()
    result = orstats("keys")
    assert result.exit_code == 0
    assert f"{len(listed)} keys." in result.stderr
    assert all(one["name"] in result.stdout for one in listed)
    assert {one["hash"] for one in json.loads(orstats("keys", "--json").stdout)} == {one["hash"] for one in listed}
    assert "disabled" not in result.stdout
    assert "Old laptop (disabled)" in orstats("keys", "--disabled").stdout


@pytest.mark.usefixtures("managed")
def test_keys_are_written_with_usage_and_byok_added_up(orstats, account, tmp_path):
    listed = account.client().keys()
    result = orstats("keys", "-o", str(tmp_path / "keys.csv"))
    assert (result.exit_code, result.stdout) == (0, "")
    written = pd.read_csv(tmp_path / "keys.csv", dtype={"hash": "str"}).set_index("hash")
    assert sorted(written.index) == sorted(one["hash"] for one in listed)
    assert written["this_month_usd"].is_monotonic_decreasing
    for one in listed:
        row = written.loc[one["hash"]]
        assert row["in_total_usd"] == pytest.approx(one["usage"] + one["byok_usage"], abs=1e-12)
        assert row["created_at"][:19] == one["created_at"][:19]
        assert pd.isna(row["limit_usd"]) if one["limit"] is None else row["limit_usd"] == one["limit"]
    assert orstats("keys", "-o", str(tmp_path / "keys.xlsx")).exit_code == 0
    book = openpyxl.load_workbook(tmp_path / "keys.xlsx")
    formats = {cell.value: book["report"].cell(2, cell.column).number_format for cell in book["report"][1]}
    assert formats["API key"] == formats["Hash"] == "General"
    assert formats["Limit (USD)"] == formats["This month (USD)"] == formats["Total (USD)"]
    assert formats["Limit (USD)"].startswith("$")
    assert formats["Last used (UTC)"] == "yyyy-mm-dd hh:mm:ss"
    totals = {cell.value: book["report"].cell(len(listed) + 3, cell.column).value for cell in book["report"][1]}
    assert totals["API key"] == "Total"
    assert totals["Left (USD)"] is None, "limits may contain each other"
    assert "first_created_at" not in {row[0].value for row in book["coverage"].iter_rows()}


def test_keys_need_a_management_key(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.plain_key)
    result = orstats("keys")
    assert result.exit_code == 1
    assert "management key" in " ".join(result.stderr.split())


def test_key_shows_the_budget_that_blocks_it(orstats, monkeypatch):
    with SimServer(300, seed=2, account="awkward") as sim:
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        shown = " ".join(orstats("key").stdout.split())
        assert "Limit none of its own" in shown
        assert "Budget 1 workspace:" in shown
        assert shown.count("(effective)") == 1
        assert "963 requests left today" in shown
        warned = orstats("key", "--warn", "0.8")
        assert warned.exit_code == 3
        assert "of the budget of the workspace" in " ".join(warned.stderr.split())
        assert orstats("key", "--warn", "1").exit_code == 0


@pytest.mark.parametrize(
    ("left", "code"), [(30.0, 0), (20.0, 0), (19.99, 3), (10.0, 3), (0.0, 3), (-5.0, 3), (None, 0)]
)
def test_key_warns_beyond_a_share_of_its_limit(online, orstats, monkeypatch, left, code):  # noqa: ARG001 - the environment
    monkeypatch.setattr(library.Client, "key", lambda *_, **__: {"label": "k", "limit": 100.0, "limit_remaining": left})
    monkeypatch.setattr(library.Client, "credits", lambda _: {})
    result = orstats("key", "--warn", "0.8")
    assert result.exit_code == code
    assert ("cannot check the limit of the key" in result.stderr) == (left is None)
    if left is not None and left <= 0:
        assert orstats("key", "--warn", "1").exit_code == 3
        assert "of the limit of the key of $100.00 used" in result.stderr


@pytest.mark.parametrize(
    ("key", "credit", "share", "code"),
    [
        ({"limit": 0.0, "limit_remaining": 0.0}, {}, "1", 3),  # a limit of 0 rejects everything
        ({"limit": 0.3, "limit_remaining": 0.06}, {}, "0.8", 0),  # exactly the share, in spite of binary noise
        ({"limit": 10.0, "limit_remaining": 10.0}, {}, "0", 0),
        ({"limit": 10.0, "limit_remaining": 9.99}, {}, "0", 3),
        ({"limit": None}, {}, "0", 0),
        ({"limit": None}, {"total_credits": 5.0, "total_usage": 5.0}, "1", 3),
        ({"limit": None}, {"total_credits": 5.0, "total_usage": 4.9}, "0.8", 0),  # credits are bought again and again
        ({"limit": None}, {"total_credits": 0, "total_usage": 0}, "0.8", 0),
        # The own limit counts in addition to budgets that do not include it.
        (
            {
                "limit": 10.0,
                "limit_remaining": 1.0,
                "budgets": [{"scope": "member", "limit_usd": 9, "remaining_usd": 9}],
            },
            {},
            "0.8",
            3,
        ),
        ({"budgets": [{"scope": "member", "limit_usd": 9, "spend_usd": 8}]}, {}, "0.8", 3),
    ],
)
def test_edges_of_the_warning(online, orstats, monkeypatch, key, credit, share, code):  # noqa: ARG001 - the environment
    monkeypatch.setattr(library.Client, "key", lambda *_, **__: {"label": "k"} | key)
    monkeypatch.setattr(library.Client, "credits", lambda _: credit)
    assert orstats("key", "--warn", share).exit_code == code


@pytest.mark.parametrize("share", ["80", "-0.1", "nan", "much"])
def test_a_share_that_is_none_is_a_usage_error(online, orstats, share):  # noqa: ARG001 - the environment
    assert orstats("key", "--warn", share).exit_code == 2


def test_key_forecasts_when_limits_are_used_up(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.plain_key)
    plain = orstats("key")
    text = " ".join(plain.stdout.split())
    assert "before it is used up, at $" in text or "runs out on" in text or "unknown" in text
    assert "Only a management key shows spend over the last 7 and 30 days, and the account's credits" in plain.stderr
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.management_key)
    managed = orstats("key")
    text = " ".join(managed.stdout.split())
    assert "Per day $" in text
    assert "over the last 7 days, $" in text
    assert "over the last 30 days, BYOK included" in text
    assert "requests left today (of 1,000; resets at midnight UTC)" in text
    assert "Outlook runs out on 20" in text
    assert "First used up: the account's credits" in " ".join(managed.stderr.split())
    found = json.loads(orstats("key", "--json").stdout)["budgets"]
    assert [one["scope"] for one in found] == ["credits", "key_limit"]
    rate = found[0]["usd_per_day_7d"]
    assert rate > 0
    assert datetime.fromisoformat(found[0]["runs_out_at"]) > datetime.now(UTC)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            {"limit_usd": 10, "spend_usd": 10, "remaining_usd": 0},
            "used up: requests are rejected until the limit is raised",
        ),
        (
            {"limit_usd": 10, "spend_usd": 0, "remaining_usd": 10, "reset_interval": "monthly"},
            "does not run out at $0 a day",
        ),
        ({"limit_usd": 10, "spend_usd": 1, "remaining_usd": 9}, "unknown: its spend per day is unknown"),
        ({"limit_usd": 10}, "unknown: the API does not say what is left"),
    ],
)
def test_outlooks_in_words(online, orstats, monkeypatch, limit, words):  # noqa: ARG001 - the environment
    limit = {"scope": "workspace", "resets_at": None, "reset_interval": None} | limit
    monkeypatch.setattr(library.Client, "key", lambda *_, **__: {"label": "k", "budgets": [limit]})
    monkeypatch.setattr(library.Client, "now", lambda _: datetime(2026, 3, 11, 12, tzinfo=UTC).timestamp())
    monkeypatch.setattr(library.Client, "credits", forbidden)
    result = orstats("key")
    assert result.exit_code == 0, result.output
    assert words in " ".join(result.stdout.split())


def forbidden(_client):
    raise library.errors.ForbiddenError("management keys only", status=403)


def test_a_period_that_only_its_reset_saves_is_mentioned(online, orstats, monkeypatch):  # noqa: ARG001 - the environment
    month = {"scope": "key_limit", "limit_usd": 30, "spend_usd": 20, "remaining_usd": 10, "reset_interval": "monthly"}
    month["resets_at"] = "2026-04-01T00:00:00Z"
    monkeypatch.setattr(library.Client, "key", lambda *_, **__: {"label": "k", "budgets": [month]})
    monkeypatch.setattr(library.Client, "credits", forbidden)
    monkeypatch.setattr(library.Client, "now", lambda _: datetime(2026, 3, 16, tzinfo=UTC).timestamp())
    text = " ".join(orstats("key").stdout.split())
    assert "runs out on 2026-03-23 (in 7 days) at $1.3300 a day since 2026-03-01" in text
    month |= {"spend_usd": 16, "remaining_usd": 14, "limit_usd": 30}
    text = " ".join(orstats("key").stdout.split())
    assert "resets on 2026-04-01 (in 16 days), before it is used up, at $1.0700 a day since 2026-03-01" not in text
    monkeypatch.setattr(library.Client, "now", lambda _: datetime(2026, 3, 31, tzinfo=UTC).timestamp())
    month |= {"spend_usd": 33, "remaining_usd": 2, "limit_usd": 35}
    assert "before it is used up" in (text := " ".join(orstats("key").stdout.split()))
    month |= {"spend_usd": 28.9, "remaining_usd": 1.1, "limit_usd": 28.0}
    text = " ".join(orstats("key").stdout.split())
    assert "At this rate 30 days cost $28.9000, more than the limit" in text


def test_key_without_the_account_analytics_still_warns(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", online.management_key)
    monkeypatch.setattr(library.Client, "key", lambda *_, **__: {"label": "k", "limit": 10, "limit_remaining": 1})

    def down(*_, **__):
        raise library.errors.ServerError("The analytics are down.", status=500)

    monkeypatch.setattr(library.Client, "ask_analytics", down)
    monkeypatch.setattr(library.Client, "keys", lambda *_, **__: [{"label": "k", "hash": "h"}])
    result = orstats("key", "--warn", "0.8")
    assert result.exit_code == 3
    assert "is unknown: The analytics are down." in result.stderr
    assert "Credits" in result.stdout
