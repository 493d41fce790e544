"""What can block a key, and when it is used up: arithmetic by hand, and figures recomputed from the records."""

import math
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import orstats
from orstats.account.budget import Budget, budgets_of, credits_budget, next_reset, window_start
from orstats.account.budgets import outlook_frame, outlook_of
from orstats.errors import ForbiddenError
from orstats.sim import SimServer
from orstats.sim.dataset.catalogue import DESIGN

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def budget(left=6.0, limit=10.0, interval="monthly", resets_at=APRIL, **more):
    return Budget("key_limit", limit, limit - left, left, interval, resets_at, **more)


@pytest.mark.parametrize(
    ("given", "rate", "outlook", "at"),
    [
        (budget(), 2.0, "runs out", NOW + 3 * DAY),
        (budget(), 0.29, "resets first", None),  # 20.7 days, and 20.5 to the reset
        (budget(), 0.3, "runs out", NOW + 20 * DAY),
        (budget(left=0.0), 2.0, "used up", None),
        (budget(left=-0.5), None, "used up", None),
        (budget(limit=0.0, left=0.0), 1.0, "used up", None),
        (budget(), 0.0, "no spend", None),
        (budget(), -1.0, "no spend", None),  # a refund
        (budget(), None, "unknown", None),
        (Budget("workspace", 10.0, None, None), 1.0, "unknown", None),
        (budget(interval=None, resets_at=None), 1e-9, "lasts", None),
        (budget(), 1e-300, "resets first", None),
        (budget(interval=None, resets_at=None), 1e-300, "lasts", None),
        (budget(interval=None, resets_at=None), 0.01, "runs out", NOW + 600 * DAY),
    ],
)
def test_forecasts(given, rate, outlook, at):
    found = given.forecast(rate, NOW)
    assert (found.outlook, found.at) == (outlook, at)


def test_shares_are_exact_and_exceed_1_where_a_limit_was_exceeded():
    assert budget(left=0.06, limit=0.3).used_share == 0.8
    assert budget(left=-1.0).used_share == 1.1
    assert budget(limit=0.0, left=0.0).used_share is None
    assert budget(limit=0.0, left=0.0).is_used_up


def test_windows_are_utc_days_weeks_from_monday_and_months():
    assert window_start("daily", NOW) == datetime(2026, 3, 11, tzinfo=UTC)
    assert window_start("weekly", NOW) == datetime(2026, 3, 9, tzinfo=UTC)
    assert window_start("monthly", NOW) == datetime(2026, 3, 1, tzinfo=UTC)
    assert window_start(None, NOW) is window_start("yearly", NOW) is None
    assert [next_reset(name, NOW).day for name in ("daily", "weekly", "monthly")] == [12, 16, 1]


def test_spend_since_the_last_reset_is_a_rate_after_an_hour():
    assert budget().own_rate(NOW).usd_per_day == pytest.approx(4 / 10.5)
    assert budget().own_rate(datetime(2026, 3, 1, 0, 59, tzinfo=UTC)) is None
    assert budget(interval=None).own_rate(NOW) is None
    assert Budget("member", 1.0, None, None, "daily").own_rate(NOW) is None


def test_budgets_of_a_key_are_read_the_effective_one_first():
    member = {"scope": "member", "limit_usd": 5, "spend_usd": "1.5", "remaining_usd": None, "reset_interval": "weekly"}
    workspace = {"scope": "workspace", "limit_usd": 9.0, "spend_usd": 8.0, "remaining_usd": 1.0, "include_byok": True}
    workspace["resets_at"] = "2026-04-01T00:00:00.000Z"
    key = {
        "budgets": [member, workspace, "broken"],
        "effective_budget": workspace,
        "limit": 3.0,
        "limit_remaining": 2.0,
    }
    first, second, own = budgets_of(key | {"limit_reset": "daily"}, NOW)
    assert (first.scope, first.is_effective, first.counts_byok, first.resets_at) == ("workspace", True, True, APRIL)
    assert (second.scope, second.left, second.spent, second.resets_at) == ("member", 3.5, 1.5, None)
    assert (own.scope, own.spent, own.resets_at) == ("key_limit", 1.0, datetime(2026, 3, 12, tzinfo=UTC))
    assert budgets_of({"budgets": None, "limit": None}, NOW) == []
    assert [one.scope for one in budgets_of({"effective_budget": workspace}, NOW)] == ["workspace"]


def test_credits_that_were_never_bought_are_not_a_limit():
    assert credits_budget({"total_credits": 0, "total_usage": 0}) is None
    assert credits_budget({}) is None
    assert credits_budget({"total_credits": 5, "total_usage": 5.5}).is_used_up


@pytest.fixture(scope="module")
def account():
    with SimServer(2500, seed=4) as sim:
        yield sim


@pytest.fixture(scope="module")
def awkward():
    with SimServer(1500, seed=4, account="awkward", analytics_per_minute=None) as sim:
        yield sim


def per_day(sim, days, now, which, *, byok):
    """Spend per day, from the simulator's own ledger."""
    ids = [one for one in sim.ids if now - days * DAY <= datetime.fromisoformat(sim.record(one)["created_at"]) < now]
    records = [sim.record(one) for one in ids]
    usd = [one["total_cost"] for one in records if which(one)]
    own = [one["upstream_inference_cost"] or 0 for one in records if which(one) and one["is_byok"]]
    return (math.fsum(usd) + (math.fsum(own) if byok else 0.0)) / days


@pytest.mark.slow
def test_figures_equal_those_of_the_records(account):
    client = orstats.Client(account.plain_key, management_key=account.management_key, base_url=account.base_url)
    found = orstats.budgets(client=client)
    now = datetime.fromtimestamp(int(client.now()), UTC)
    bought = client.credits()["total_credits"]
    spent = math.fsum(account.record(one)["usage"] for one in account.ids)
    row = found.loc["credits"]
    assert row["spent_usd"] == pytest.approx(spent, abs=1e-9)
    assert row["left_usd"] == pytest.approx(bought - spent, abs=1e-9)
    assert row["used_share"] == pytest.approx(spent / bought, abs=1e-9)
    for days in (7, 30):
        rate = per_day(account, days, now, lambda _: True, byok=False)
        assert row[f"usd_per_day_{days}d"] == pytest.approx(rate, rel=1e-6)
    expected = now + (bought - spent) / row["usd_per_day_7d"] * DAY
    assert abs(row["runs_out_at"] - expected) < timedelta(minutes=5)
    expected = now + (bought - spent) / row["usd_per_day_30d"] * DAY
    assert abs(row["runs_out_at_30d"] - expected) < timedelta(minutes=5)
    assert row["usd_per_day"] == row["usd_per_day_7d"]
    own = found.loc["key_limit"]
    for days in (7, 30):  # only this application uses the key
        rate = per_day(account, days, now, lambda record: record["app_id"] == DESIGN.app_id, byok=False)
        assert own[f"usd_per_day_{days}d"] == pytest.approx(rate, rel=1e-6)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    used = [account.record(one) for one in account.ids]
    used = [one for one in used if one["app_id"] == DESIGN.app_id and one["created_at"] >= month.isoformat()]
    assert own["limit_usd"] == 100.0
    assert own["left_usd"] == pytest.approx(100.0 - math.fsum(one["total_cost"] for one in used), abs=1e-6)


def test_first_used_up_comes_first(account, awkward):
    found = orstats.budgets(client=account.client())
    assert found.index.to_list() == ["credits"]
    assert found["outlook"].to_list() == ["runs out"]
    assert found.attrs["note"].startswith("First used up: the account's credits, on 20")
    found = orstats.budgets(client=awkward.client())
    assert found.index.to_list()[0] == "workspace"
    left, outlook = found["left_usd"].iloc[0], found["outlook"].iloc[0]
    assert left < 0.01  # the simulated limit is what was spent, rounded to cents
    assert outlook == ("used up" if left <= 0 else "runs out")
    assert "budget of the workspace" in found.attrs["note"]


def test_budgets_of_workspace_and_member_are_spent_by_others_too(awkward):
    client = awkward.client()
    found = orstats.budgets(client=client)
    by_user = orstats.usage("user", start="7d", end="now", client=client)["charged_usd"]
    assert any(found.loc["member", "usd_per_day_7d"] == pytest.approx(one / 7, rel=1e-3) for one in by_user)
    by_workspace = orstats.usage("workspace", start="7d", end="now", client=client)["charged_usd"]
    assert any(found.loc["workspace", "usd_per_day_7d"] == pytest.approx(one / 7, rel=1e-3) for one in by_workspace)


def test_an_ordinary_key_shows_its_spend_since_the_last_reset(account):
    client = orstats.Client(account.plain_key, base_url=account.base_url)
    found = orstats.budgets(client=client)
    assert found.index.to_list() == ["key_limit"]
    assert found[["usd_per_day_7d", "usd_per_day_30d", "runs_out_at_30d"]].isna().all(axis=None)
    key, now = client.key(), datetime.fromtimestamp(client.now(), UTC)
    days = (now - now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)) / DAY
    if days > 1:
        assert found.loc["key_limit", "usd_per_day"] == pytest.approx(key["usage_monthly"] / days, rel=1e-3)
    assert "Only a management key shows spend over the last 7 and 30 days" in found.attrs["note"]
    assert "make one at https://openrouter.ai/settings/management-keys" in found.attrs["note"]


def test_a_key_without_any_limit_has_no_rows(account):
    found = orstats.budgets(client=orstats.Client(account.key, base_url=account.base_url))
    assert found.empty
    assert found.attrs["note"].startswith("No limit or budget of the key is known.")
    assert found.dtypes.astype(str).to_dict() == orstats.budgets(client=account.client()).dtypes.astype(str).to_dict()
    assert "No rows." in str(found)


def test_a_management_key_alone_shows_the_account(account):
    client = orstats.Client(account.management_key, base_url=account.base_url)
    assert orstats.budgets(client=client).index.to_list() == ["credits"]


def test_a_key_that_the_account_does_not_list_is_not_mistaken_for_another(account):
    client = account.client()
    outlook = outlook_of(client.key() | {"label": "sk-or-v1-other"}, client.credits(), client)
    assert "not among the account's keys" in outlook.note
    assert [rate.over[:6] for rate in outlook.spend] in (["since "], [])


def test_a_new_key_is_measured_since_its_creation(account, monkeypatch):
    client = orstats.Client(account.plain_key, management_key=account.management_key, base_url=account.base_url)
    usual = orstats.budgets(client=client).loc["key_limit"]
    listed, now = client.keys(), datetime.fromtimestamp(int(client.now()), UTC)
    for days, elapsed in ((10, (7, 10)), (2, (2, 2)), (0.1, (1, 1))):
        made = (now - days * DAY).isoformat()
        dated = [one | {"created_at": made} for one in listed]
        monkeypatch.setattr(orstats.Client, "keys", lambda *_, dated=dated, **__: dated)
        found = orstats.budgets(client=client)
        for window, real in zip((7, 30), elapsed, strict=True):
            expected = usual[f"usd_per_day_{window}d"] * window / real
            assert found.loc["key_limit", f"usd_per_day_{window}d"] == pytest.approx(expected, rel=1e-3)
        assert found.loc["credits", "usd_per_day_7d"] > 0, "the account is older"


def test_a_budget_of_an_unknown_scope_is_not_blamed_on_the_key(account):
    client = account.client()
    team = {"scope": "team", "limit_usd": 10, "spend_usd": 1, "remaining_usd": 9}
    outlook = outlook_of(client.key() | {"budgets": [team]}, client.credits(), client)
    (limit,) = (one for one in outlook.limits if one.budget.scope == "team")
    assert limit.rates == ()
    assert limit.forecasts[0].outlook == "unknown"


def test_times_and_amounts_have_types(account):
    found = orstats.budgets(client=account.client())
    assert found["resets_at"].dtype == found["runs_out_at"].dtype == "datetime64[us, UTC]"
    assert found.index.name == "scope"
    assert isinstance(found, pd.DataFrame)
    text = " ".join(str(found).split())
    assert "runs out" in text
    assert "$" in text


def test_a_refused_key_is_an_error(account):
    client = orstats.Client("sk-or-v1-wrong", base_url=account.base_url)
    with pytest.raises((ForbiddenError, orstats.errors.ApiError)):
        orstats.budgets(client=client)


def test_the_outlook_of_an_empty_response_is_a_frame(account):
    assert outlook_frame(outlook_of({}, None, account.client())).empty
