"""Keys, members and feedback of the account, and the figures that name them, agree with each other."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from orstats.sim import SimServer
from orstats.sim.account_endpoints import OMITTED_MODEL

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)
ACCOUNT = {"seed": 11, "until": UNTIL, "analytics_per_minute": None}
RECENT = {"start": "2026-05-18T00:00:00Z", "end": "2026-06-17T00:00:00Z"}


@pytest.fixture(scope="module")
def server():
    with SimServer(1000, **ACCOUNT) as running:
        yield running


@pytest.fixture(scope="module")
def awkward():
    with SimServer(1000, **ACCOUNT, account="awkward") as running:
        yield running


@pytest.fixture
def query(ask):
    def run(server, *metrics, **body):
        body = {"metrics": metrics, "time_range": RECENT, "limit": 10_000} | body
        status, answer = ask(server, "/analytics/query", key=server.management_key, body=body)
        assert status == 200, answer
        return answer["data"]["data"]

    return run


def records(server):
    return [server.record(identifier) for identifier in server.ids]


def keys(ask, server, **fields):
    return ask(server, "/keys", key=server.management_key, **fields)[1]["data"]


# ---- keys and members ------------------------------------------------------------------------------------------


def test_keys_are_listed_with_the_fields_of_the_sdk(server, ask):
    listed = keys(ask, server)
    assert len({key["hash"] for key in listed}) == len(listed) == 6
    usage = {f"{kind}{span}" for kind in ("usage", "byok_usage") for span in ("", "_daily", "_weekly", "_monthly")}
    fields = {"name", "hash", "label", "disabled", "limit", "limit_remaining", "limit_reset", "include_byok_in_limit"}
    fields |= {"created_at", "updated_at", "last_used_at", "expires_at", "external_user", "workspace_id"}
    assert all(key.keys() == {*usage, *fields, "creator_user_id"} for key in listed)
    everything = keys(ask, server, include_disabled="true")
    assert [key["name"] for key in everything if key["disabled"]] == ["Old laptop"]
    assert keys(ask, server, offset=2, include_disabled="true") == everything[2:]
    one = listed[0]["workspace_id"]
    assert keys(ask, server, workspace_id=one) == [key for key in listed if key["workspace_id"] == one]
    assert ask(server, "/keys", key=server.management_key, offset="x")[0] == 400


def test_key_and_keys_agree(server, ask):
    listed = {key["label"]: key for key in keys(ask, server)}
    for secret in (server.key, server.plain_key):
        own = ask(server, "/key", key=secret)[1]["data"]
        shared = own.keys() & listed[own["label"]].keys()
        assert {name: own[name] for name in shared} == {name: listed[own["label"]][name] for name in shared}
        assert own["usage"] > own["usage_monthly"] >= own["usage_weekly"] >= own["usage_daily"]
    management = ask(server, "/key", key=server.management_key)[1]["data"]
    assert (management["usage"], management["is_management_key"]) == (0, True)


def test_usage_by_key_adds_up_to_the_account(server, ask, query):
    total = ask(server, "/credits", key=server.management_key)[1]["data"]["total_usage"]
    year = {"start": "2025-06-18T00:00:00Z", "end": "2026-06-17T15:00:00Z"}
    rows = query(server, "credits_usage", dimensions=["api_key_id"], time_range=year)
    assert {row["api_key_id"] for row in rows} == {
        "Notebooks",
        "Campaign studio",
        "Production",
        "Batch jobs",
        "CI",
        "Legal",
        "",
    }
    listed = {key["name"]: key["usage"] for key in keys(ask, server)}
    legacy = math.fsum(record["total_cost"] for record in records(server) if record["created_at"] < "2025-06-18")
    assert math.fsum(row["credits_usage"] for row in rows) == pytest.approx(total - legacy)
    for row in rows:
        if row["api_key_id"] not in {"", "Production", "Notebooks"}:
            assert row["credits_usage"] == pytest.approx(listed[row["api_key_id"]]), "these have no older calls"


def test_filters_by_key_and_user_take_ids(server, ask, query):
    for key in keys(ask, server):
        for value, count in ((key["hash"], None), (key["name"], 0)):
            filters = [{"field": "api_key_id", "operator": "eq", "value": value}]
            found = query(server, "request_count", dimensions=["api_key_id"], filters=filters)
            assert {row["api_key_id"] for row in found} == (set() if count == 0 else {key["name"]})
    creator = keys(ask, server)[0]["creator_user_id"]
    filters = [{"field": "user", "operator": "eq", "value": creator}]
    rows = query(server, "request_count", dimensions=["user"], filters=filters)
    assert [(row["user"], row["user_email"]) for row in rows] == [("Ana Silva", "ana@northwind.example")]


def test_generations_can_be_listed_with_their_keys(server, query):
    rows = query(server, "request_count", dimensions=["generation_id", "api_key_id"])
    names = {row["generation_id"]: row["api_key_id"] for row in rows}
    recent = [record for record in records(server) if "2026-05-18" <= record["created_at"] < "2026-06-17"]
    assert names.keys() == {record["id"] for record in recent}
    assert {names[record["id"]] for record in recent if record["app_id"] == 1_042_317} == {"Production"}


def test_activity_can_be_filtered_by_key_and_user(server, ask):
    every = ask(server, "/activity", key=server.management_key)[1]["data"]
    by_key = [
        ask(server, "/activity", key=server.management_key, api_key_hash=key["hash"])[1]["data"]
        for key in keys(ask, server)
    ]
    count = sum(row["requests"] for rows in by_key for row in rows)
    assert 0 < count < sum(row["requests"] for row in every), "the chatroom has no key"
    creators = {key["creator_user_id"] for key in keys(ask, server)}
    by_user = [ask(server, "/activity", key=server.management_key, user_id=one)[1]["data"] for one in creators]
    assert sum(row["requests"] for rows in by_user for row in rows) == count


@pytest.mark.parametrize("name", ["api_key_id", "user", "app", "workspace", "variant", "model"])
def test_long_range_dimensions_reach_back_a_year(server, query, name):
    year = {"start": "2025-06-18T00:00:00Z", "end": "2026-06-17T15:00:00Z"}
    assert len(query(server, "request_count", dimensions=[name], time_range=year)) > 1


@pytest.mark.parametrize(
    "name",
    ["provider", "origin", "country", "finish_reason", "external_user", "context_length_bucket", "generation_id"],
)
def test_recent_dimensions_reach_back_a_month(server, ask, query, name):
    rows = query(server, "request_count", dimensions=[name])
    assert len(rows) > 2
    assert sum(int(row["request_count"]) for row in rows) == int(query(server, "request_count")[0]["request_count"])
    body = {
        "metrics": ["request_count"],
        "dimensions": [name],
        "time_range": RECENT | {"start": "2026-05-01T00:00:00Z"},
    }
    assert ask(server, "/analytics/query", key=server.management_key, body=body)[0] == 400


def test_newer_metrics_follow_from_the_records(server, query):
    recent = [record for record in records(server) if "2026-05-18" <= record["created_at"] < "2026-06-17"]
    names = ["guardrail_invoked_count", "guardrail_invoked_rate", "usage_web", "usage_upstream_web", "usage_data"]
    (row,) = query(server, *names, "usage_file", "usage_upstream_file", "usage_web_fetch", "usage_upstream_web_fetch")
    filtered = sum(record["finish_reason"] == "content_filter" for record in recent)
    assert row["guardrail_invoked_count"] == str(filtered)
    assert row["guardrail_invoked_rate"] == pytest.approx(filtered / len(recent))
    assert row["usage_web"] == pytest.approx(sum((record["num_search_results"] or 0) * 0.004 for record in recent))
    assert row["usage_data"] < 0
    assert row["usage_file"] is row["usage_web_fetch"] is None


# ---- feedback and other people's generations -------------------------------------------------------------------


def test_feedback_is_accepted_once(server, ask):
    body = {"generation_id": server.ids[5], "category": "latency", "comment": "slow"}
    post = lambda **other: ask(  # noqa: E731 - one request with other fields
        server, "/generation/feedback", key=server.management_key, body=body | other
    )
    assert post() == (200, {"data": {"success": True}})
    assert [post()[0], post(generation_id=server.ids[6])[0]] == [409, 200]
    assert post(category="mood")[0] == post(generation_id=7)[0] == 400
    assert post(generation_id=server.unknown_ids(1)[0])[0] == 404
    assert post(generation_id=server.foreign_ids(1)[0])[0] == 403
    assert ask(server, "/generation/feedback", body=body)[0] == 403, "management keys only"


@pytest.mark.parametrize("path", ["/generation", "/generation/content"])
def test_generations_of_another_user_are_forbidden(server, ask, path):
    for identifier in server.foreign_ids(3):
        status, body = ask(server, path, id=identifier)
        assert (status, body["error"]["message"]) == (403, "This generation belongs to another user")


# ---- an awkward account ----------------------------------------------------------------------------------------


def test_activity_omits_a_model_that_analytics_have(awkward, ask, query):
    activity = {row["model_permaslug"] for row in ask(awkward, "/activity", key=awkward.management_key)[1]["data"]}
    analytics = {
        row["model"] for row in query(awkward, "request_count", dimensions=["model", "provider"]) if row["provider"]
    }
    assert analytics - activity == {OMITTED_MODEL}


def test_calls_across_midnight_are_counted_on_the_day_that_they_end(awkward, ask):
    started, ended = Counter(), Counter()
    crossing = 0
    for record in records(awkward):
        base = record["model"].partition(":")[0]
        if record["provider_name"] is None or base == OMITTED_MODEL:
            continue
        begin = datetime.fromisoformat(record["created_at"])
        end = begin + timedelta(milliseconds=record["generation_time"] or 0)
        started[begin.date()] += 1
        ended[end.date()] += 1
        crossing += begin.date() != end.date()
    rows = ask(awkward, "/activity", key=awkward.management_key)[1]["data"]
    counted = Counter()
    for row in rows:
        counted[datetime.fromisoformat(row["date"]).date()] += row["requests"]
    assert counted == {day: ended[day] for day in counted}
    assert counted != {day: started[day] for day in counted}
    assert crossing >= 5


def test_awkward_ids_are_in_time_order_and_carry_their_second(awkward):
    times = [datetime.fromisoformat(record["created_at"]) for record in records(awkward)]
    assert times == sorted(times, key=lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
    for identifier, moment in zip(awkward.ids, times, strict=True):
        assert identifier.count("-") == 1 or int(identifier.split("-")[-2]) == int(moment.timestamp())


def test_variants_share_a_permaslug(awkward, ask):
    rows = ask(awkward, "/activity", key=awkward.management_key)[1]["data"]
    assert not any(":" in row["model_permaslug"] for row in rows)
    by_permaslug = {}
    for row in rows:
        variant = row["model"].partition(":")[2]
        by_permaslug.setdefault(row["model_permaslug"], set()).add(variant)
    assert any({"", "free", "nitro"} <= variants for variants in by_permaslug.values())
    assert {record["model"].partition(":")[2] for record in records(awkward)} == {"", "free", "nitro"}


def test_analytics_of_an_awkward_account_come_late(ask):
    now = UNTIL.timestamp()
    clock = {"now": now}
    with SimServer(2000, seed=11, account="awkward", clock=lambda: clock["now"]) as server:
        body = {
            "metrics": ["request_count"],
            "time_range": {"start": "2026-06-17T08:30:00Z", "end": "2026-06-17T14:30:00Z"},
        }
        count = lambda: int(  # noqa: E731 - asked for twice
            ask(server, "/analytics/query", key=server.management_key, body=body)[1]["data"]["data"][0]["request_count"]
        )
        early = count()
        clock["now"] += 3 * 3600
        late = count()
    begun = [record for record in records(server) if record["created_at"] >= "2026-06-17T08:30"]
    assert 0 < early < late == len(begun)


def test_two_keys_of_an_awkward_account_have_one_name(awkward, ask, query):
    listed = Counter(key["name"] for key in keys(ask, awkward))
    assert listed["Production"] == 2
    rows = query(awkward, "request_count", dimensions=["api_key_id"])
    assert Counter(row["api_key_id"] for row in rows)["Production"] == 2


def test_budget_of_the_workspace_may_block_a_key_without_a_limit(awkward, ask):
    own = ask(awkward, "/key")[1]["data"]
    assert own["limit"] is None
    assert [budget["scope"] for budget in own["budgets"]] == ["member", "workspace"]
    assert own["effective_budget"]["scope"] == "workspace"
    assert own["effective_budget"]["remaining_usd"] < 0.01


@pytest.mark.parametrize("account", ["plain", "awkward"])
def test_analytics_activity_and_records_agree_on_money(account, query):
    with SimServer(600, **ACCOUNT, account=account) as server:
        (row,) = query(server, "credits_usage", "byok_usage", "request_count")
        recent = [record for record in records(server) if "2026-05-18" <= record["created_at"] < "2026-06-17"]
        assert row["credits_usage"] == pytest.approx(math.fsum(record["total_cost"] for record in recent))
        assert row["request_count"] == str(len(recent))


def test_added_generations_enter_the_books_when_they_are_available(query):
    clock = {"now": UNTIL.timestamp()}
    with SimServer(50, seed=11, clock=lambda: clock["now"], analytics_per_minute=None) as server:
        (young,) = server.young_ids(1, found_after=60, ran_for=100)
        day = {"start": "2026-06-17T14:00:00Z", "end": "2026-06-17T15:00:00Z"}
        listed = lambda: {  # noqa: E731 - asked for twice
            row["generation_id"] for row in query(server, "request_count", dimensions=["generation_id"], time_range=day)
        }
        assert young not in listed()
        clock["now"] += 60
        assert young in listed()


def test_activity_of_a_day_appears_when_its_clock_completes_it(ask):
    clock = {"now": UNTIL.timestamp()}
    with SimServer(500, seed=11, clock=lambda: clock["now"]) as server:
        days = lambda: {row["date"] for row in ask(server, "/activity", key=server.management_key)[1]["data"]}  # noqa: E731
        assert "2026-06-17" not in days()
        clock["now"] += 86_400
        assert "2026-06-17" in days()
