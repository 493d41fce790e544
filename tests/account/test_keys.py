"""Keys and their budgets: use by day, week and month, recomputed from the simulator's own records."""

import math
from datetime import UTC, datetime, timedelta

import pytest

import orstats
from orstats.sim import SimServer

DAY = timedelta(days=1)


def midnight(now):
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


#: The start of what counts as today, this week (from Monday) and this month, in UTC.
SINCE = {
    "": lambda _: datetime(1970, 1, 1, tzinfo=UTC),
    "_daily": midnight,
    "_weekly": lambda now: midnight(now) - now.weekday() * DAY,
    "_monthly": lambda now: midnight(now).replace(day=1),
}

#: A Wednesday; minutes into a Monday and a month; a Sunday that is the first of a month, so that its week began before.
MOMENTS = [
    datetime(2026, 6, 17, 14, 30, tzinfo=UTC),
    datetime(2026, 6, 1, 0, 40, tzinfo=UTC),
    datetime(2026, 3, 1, 18, tzinfo=UTC),
]


def records_of(sim):
    """All records, with their times read."""
    return [record | {"at": datetime.fromisoformat(record["created_at"])} for record in map(sim.record, sim.ids)]


def used(records, now, apps, span):
    """What the vendor and providers charged to the calls of some applications since the start of a span, and when."""
    start = SINCE[span](now)
    own = [one for one in records if (one["app_id"], one["origin"]) in apps and start <= one["at"] <= now]
    byok = [one["upstream_inference_cost"] or 0 for one in own if one["is_byok"]]
    return math.fsum(one["total_cost"] for one in own), math.fsum(byok), [one["at"] for one in own]


@pytest.mark.parametrize("now", MOMENTS, ids=lambda now: f"{now:%a %d %b}")
@pytest.mark.parametrize("kind", ["plain", "awkward"])
def test_use_of_each_key_is_that_of_its_generations(now, kind):
    with SimServer(800, seed=8, until=now, clock=now.timestamp, account=kind) as sim:
        listed = {key["hash"]: key for key in sim.client().keys(include_disabled=True)}
        records, owners = records_of(sim), sim._service.state.keys.listed
        assert listed.keys() == {key.hash for key in owners}
        for owner in owners:
            key, apps = listed[owner.hash], {(app.app_id, app.origin) for app in owner.apps}
            assert (key["name"], key["disabled"]) == (owner.name, not apps)
            for span in SINCE:
                charged, byok, times = used(records, now, apps, span)
                assert key[f"usage{span}"] == pytest.approx(charged, abs=1e-9)
                assert key[f"byok_usage{span}"] == pytest.approx(byok, abs=1e-9)
                if span == "":
                    last = max(times, default=None)
                    shown = key["last_used_at"] and datetime.fromisoformat(key["last_used_at"])
                    assert (shown is None) == (last is None)
                    assert last is None or abs(shown - last) < timedelta(milliseconds=1)
                if span == "_monthly" and owner.limit is not None:
                    assert key["limit"] - key["limit_remaining"] == pytest.approx(charged, abs=1e-6)
        total = math.fsum(key["usage"] for key in listed.values())
        assert 0 < total < math.fsum(one["total_cost"] for one in records)  # the chat page has no key


@pytest.mark.parametrize("now", MOMENTS, ids=lambda now: f"{now:%a %d %b}")
def test_spend_of_each_budget_is_that_of_its_generations(now):
    with SimServer(800, seed=8, until=now, clock=now.timestamp, account="awkward") as sim:
        records, keys = records_of(sim), sim._service.state.keys
        limited = {(app.app_id, app.origin) for app in keys.plain.apps}
        of_member = {
            (app.app_id, app.origin) for key in keys.listed if key.creator == keys.admin.creator for app in key.apps
        }
        plain = orstats.Client(sim.plain_key, base_url=sim.base_url).key()
        (own,) = plain["budgets"]
        charged, _, _ = used(records, now, limited, "_monthly")
        assert (own["scope"], own["limit_usd"], own["reset_interval"]) == ("key_limit", keys.plain.limit, "monthly")
        assert own["spend_usd"] == pytest.approx(charged, abs=1e-9)
        assert own["remaining_usd"] == pytest.approx(own["limit_usd"] - charged, abs=1e-6)
        turn = (midnight(now).replace(day=1) + 32 * DAY).replace(day=1)
        assert datetime.fromisoformat(own["resets_at"]) == turn
        member, workspace = orstats.Client(sim.key, base_url=sim.base_url).key()["budgets"]
        charged, _, _ = used(records, now, of_member, "_monthly")
        assert (member["scope"], member["reset_interval"]) == ("member", "monthly")
        assert member["spend_usd"] == pytest.approx(charged, abs=1e-9)
        charged = math.fsum(one["total_cost"] for one in records if one["workspace_id"] == keys.admin.workspace)
        assert (workspace["scope"], workspace["reset_interval"], workspace["resets_at"]) == ("workspace", None, None)
        assert workspace["spend_usd"] == pytest.approx(charged, abs=1e-9)
        assert workspace["remaining_usd"] == pytest.approx(workspace["limit_usd"] - charged, abs=1e-6)


def test_use_of_keys_agrees_with_the_usage_and_the_list_of_generations():
    now = MOMENTS[0]
    with SimServer(800, seed=8, until=now, clock=now.timestamp) as sim, sim.client() as client:
        listed = client.keys()
        monthly = {key["name"]: key["usage_monthly"] + key["byok_usage_monthly"] for key in listed}
        range_ = {"start": SINCE["_monthly"](now), "end": now + timedelta(seconds=1), "client": client}
        by_key = orstats.usage("api_key", **range_)["cost_usd"]
        generations = orstats.list_generations(range_["start"], range_["end"], labels="api_key", client=client)
    sums = generations.groupby("api_key")["account_usd"].sum()
    for name, usd in monthly.items():
        assert by_key.get(name, 0) == pytest.approx(usd, abs=1e-8)
        assert sums.get(name, 0) == pytest.approx(usd, abs=1e-8)
