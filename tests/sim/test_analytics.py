"""The endpoints that add up agree with the single generations, and keep the documented rules."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from orstats.sim import Faults, SimServer

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def last(**span):
    return {"start": iso(UNTIL - timedelta(**span)), "end": iso(UNTIL)}


def created(record):
    return datetime.fromisoformat(record["created_at"])


@pytest.fixture(scope="module")
def books():
    """A server of its own: analytics admits 64 requests a minute."""
    with SimServer(1000, seed=11, until=UNTIL) as server:
        yield server


@pytest.fixture
def query(ask):
    """Ask the analytics of a fresh server that has the account's books already."""

    def run(server, **body):
        server._service._analytics_limiter._tokens = 64.0
        status, answer = ask(server, "/analytics/query", key=server.management_key, body=body)
        return answer["data"] if status == 200 else (status, answer["error"]["message"])

    return run


@pytest.fixture(scope="module")
def recent(books):
    """The records of the last 30 days."""
    rows = [books.record(identifier) for identifier in books.ids]
    return [row for row in rows if created(row) >= UNTIL - timedelta(days=30)]


def test_totals_are_those_of_the_generations(books, query, recent):
    metrics = ["request_count", "total_usage", "credits_usage", "byok_usage", "tokens_prompt", "tokens_completion"]
    (row,) = query(books, metrics=metrics, time_range=last(days=30))["data"]
    charged = math.fsum(record["total_cost"] for record in recent)
    upstream = math.fsum(record["upstream_inference_cost"] for record in recent if record["is_byok"])
    assert row["request_count"] == str(len(recent))
    assert row["credits_usage"] == pytest.approx(charged, abs=1e-9)
    assert row["byok_usage"] == pytest.approx(upstream, abs=1e-9)
    assert row["total_usage"] == pytest.approx(charged + upstream, abs=1e-9)
    assert row["tokens_prompt"] == str(sum(record["native_tokens_prompt"] or 0 for record in recent))
    assert row["tokens_completion"] == str(sum(record["native_tokens_completion"] or 0 for record in recent))


def test_generations_can_be_listed(books, query, recent):
    answer = query(
        books, metrics=["request_count", "total_usage"], dimensions=["generation_id"], time_range=last(days=30)
    )
    assert {row["generation_id"] for row in answer["data"]} == {record["id"] for record in recent}
    assert {row["request_count"] for row in answer["data"]} == {"1"}
    assert answer["metadata"]["truncated"] is False
    assert answer["metadata"]["row_count"] == len(recent)


def test_rows_above_the_limit_are_truncated(books, query):
    body = {"metrics": ["request_count"], "dimensions": ["generation_id"], "time_range": last(days=31)}
    short = query(books, **body, limit=5)
    assert len(short["data"]) == short["metadata"]["row_count"] == 5
    assert short["metadata"]["truncated"] is True


def test_default_limit_is_a_thousand_rows(query):
    with SimServer(3000, until=UNTIL) as server:
        answer = query(server, metrics=["request_count"], dimensions=["generation_id"], time_range=last(days=31))
        everything = query(
            server, metrics=["request_count"], dimensions=["generation_id"], time_range=last(days=31), limit=10_000
        )
    assert (answer["metadata"]["row_count"], answer["metadata"]["truncated"]) == (1000, True)
    assert everything["metadata"]["row_count"] == len(everything["data"]) > 1400


def test_breakdowns_add_up(books, query, recent):
    answer = query(
        books,
        metrics=["request_count", "credits_usage"],
        dimensions=["model", "provider"],
        time_range=last(days=30),
        order_by={"field": "credits_usage", "direction": "desc"},
    )
    expected = defaultdict(float)
    for record in recent:
        expected[record["model"], record["provider_name"] or ""] += record["total_cost"]
    assert {(row["model"], row["provider"]) for row in answer["data"]} == set(expected)
    for row in answer["data"]:
        assert row["credits_usage"] == pytest.approx(expected[row["model"], row["provider"]], abs=1e-9)
    amounts = [row["credits_usage"] for row in answer["data"]]
    assert amounts == sorted(amounts, reverse=True)


def test_counts_are_text_money_is_a_number_and_nothing_is_null(books, query):
    metrics = ["request_count", "cached_tokens", "total_usage", "cache_hit_rate", "p90_latency", "usage_cache"]
    rows = query(books, metrics=metrics, dimensions=["model"], time_range=last(days=30))["data"]
    for row in rows:
        assert isinstance(row["request_count"], str)
        assert isinstance(row["cached_tokens"], str)
        assert isinstance(row["total_usage"], int | float)
        assert 0 <= row["cache_hit_rate"] <= 1
    assert any(row["usage_cache"] is None for row in rows)
    assert any(row["p90_latency"] is None for row in rows)


@pytest.mark.parametrize(
    ("granularity", "metrics", "key", "form"),
    [
        ("day", ["request_count"], "date__day", "T00:00:00.000Z"),
        ("day", ["request_count", "avg_latency"], "created_at__day", "T00:00:00.000Z"),
        ("hour", ["request_count"], "created_at__hour", ":00:00.000Z"),
        ("week", ["request_count"], "date__week", "T00:00:00.000Z"),
        ("month", ["request_count"], "date__month", "-01T00:00:00.000Z"),
    ],
)
def test_time_series_name_their_time(books, query, recent, granularity, metrics, key, form):
    rows = query(books, metrics=metrics, granularity=granularity, time_range=last(days=30))["data"]
    times = [row[key] for row in rows]
    assert times == sorted(times, reverse=True)
    assert all(moment.endswith(form) for moment in times)
    assert sum(int(row["request_count"]) for row in rows) == len(recent)
    if granularity == "week":
        assert all(datetime.fromisoformat(moment).weekday() == 0 for moment in times)


def test_minutes_are_for_three_hours(books, query):
    body = {"metrics": ["request_count"], "granularity": "minute"}
    assert "created_at__minute" in query(books, **body, time_range=last(hours=3))["data"][0]
    assert query(books, **body, time_range=last(hours=4))[0] == 400


def test_group_limit_cuts_within_groups(books, query):
    body = {"metrics": ["request_count"], "dimensions": ["model"], "granularity": "day", "time_range": last(days=30)}
    seen = [row["model"] for row in query(books, **body, group_limit=2)["data"]]
    assert max(seen.count(model) for model in seen) == 2


FILTERS = [
    ("model", "eq", "google/gemini-2.5-flash", lambda r: r["model"] == "google/gemini-2.5-flash"),
    ("model", "neq", "google/gemini-2.5-flash", lambda r: r["model"] != "google/gemini-2.5-flash"),
    ("provider", "in", ["OpenAI", "Azure"], lambda r: r["provider_name"] in {"OpenAI", "Azure"}),
    ("provider", "not_in", ["OpenAI"], lambda r: r["provider_name"] not in {"OpenAI", None}),
    ("app", "eq", 1042317, lambda r: r["app_id"] == 1042317),
    ("app", "eq", 1042317.0, lambda r: r["app_id"] == 1042317),
    ("app", "in", ["1042317", 1098220.0], lambda r: r["app_id"] in {1042317, 1098220}),
    ("finish_reason", "eq", "", lambda r: r["finish_reason"] is None),
    ("external_user", "gte", "team", lambda r: (r["external_user"] or "") >= "team"),
]


@pytest.mark.parametrize(("field", "operator", "value", "keeps"), FILTERS)
def test_filters_keep_matching_rows(books, query, recent, field, operator, value, keeps):
    requested = {"field": field, "operator": operator, "value": value}
    rows = query(books, metrics=["request_count"], filters=[requested], time_range=last(days=30))["data"]
    assert [int(row["request_count"]) for row in rows] == [sum(map(keeps, recent))]


def test_filters_may_include_unset_values(books, query, recent):
    requested = {"field": "external_user", "operator": "in", "value": ["team-platform"], "include_unset": True}
    (row,) = query(books, metrics=["request_count"], filters=[requested], time_range=last(days=30))["data"]
    assert int(row["request_count"]) == sum(r["external_user"] in {"team-platform", None} for r in recent)


def test_default_range_is_the_last_seven_days(books, query, recent):
    (row,) = query(books, metrics=["request_count"])["data"]
    assert int(row["request_count"]) == sum(created(r) >= UNTIL - timedelta(days=7) for r in recent)


FULL = last(days=31)
BAD = [
    ({"metrics": []}, "At least one metric"),
    ({"metrics": ["profit"]}, "Unknown metric: profit"),
    ({"metrics": ["request_count"], "dimensions": ["colour"]}, "Unknown dimension: colour"),
    ({"metrics": ["request_count"], "dimensions": ["model", "app", "origin"]}, "At most 2 dimensions"),
    (
        {"metrics": ["request_count"], "filters": [{"field": "model", "operator": "eq", "value": "x"}] * 21},
        "At most 20",
    ),
    ({"metrics": ["request_count"], "filters": [{"field": "model", "operator": "like", "value": "x"}]}, "Unknown op"),
    ({"metrics": ["request_count"], "filters": [{"field": "model", "operator": "in", "value": "x"}]}, "needs an array"),
    ({"metrics": ["request_count"], "filters": [{"field": "model", "operator": "eq", "value": ["x"]}]}, "single value"),
    ({"metrics": ["request_count"], "filters": [{"field": "model"}]}, "Invalid request parameters"),
    ({"metrics": ["request_count"], "granularity": "second"}, "Unknown granularity"),
    ({"metrics": ["request_count"], "limit": 0}, "Limits are integers"),
    ({"metrics": ["request_count"], "limit": 10_001}, "Limits are integers"),
    ({"metrics": ["request_count"], "order_by": {"field": "x", "direction": "asc"}}, "Unknown order field"),
    ({"metrics": ["request_count"], "order_by": {"field": "date", "direction": "up"}}, "Unknown direction"),
    ({"metrics": ["p90_latency"], "time_range": last(days=32)}, "must not exceed 31 days"),
    ({"metrics": ["request_count"], "time_range": last(days=366)}, "must not exceed 365 days"),
    ({"metrics": ["request_count"], "time_range": {"start": FULL["end"], "end": FULL["start"]}}, "before its end"),
    (
        {"metrics": ["request_count"], "time_range": {"start": "2026-06-01T00:00Z", "end": FULL["end"]}},
        "Invalid timestamp",
    ),
    ({"metrics": ["request_count"], "time_range": {"start": FULL["start"]}}, "Invalid request parameters"),
    ({"dimensions": ["model"]}, "Invalid request parameters"),
    (["request_count"], "Invalid request parameters"),
    (
        {
            "metrics": ["request_count"],
            "classifier_dimensions": {"classifier_id": "550e8400-e29b-41d4-a716-446655440000"},
        },
        "No classifier is active",
    ),
]


@pytest.mark.parametrize(("body", "message"), BAD)
def test_bad_queries_are_refused_with_a_reason(books, ask, body, message):
    books._service._analytics_limiter._tokens = 64.0
    status, answer = ask(books, "/analytics/query", key=books.management_key, body=body)
    assert (status, answer["error"]["code"]) == (400, 400)
    assert message in answer["error"]["message"]


WRONG_TYPES = [
    *(("metrics", wrong) for wrong in ("request_count", {"request_count": 1}, ["request_count", None], None)),
    *((name, wrong) for name in ("dimensions", "filters") for wrong in (None, "", 0, {}, [None])),
    *((name, wrong) for name in ("limit", "group_limit") for wrong in (None, True, "10", 1.5)),
    *((name, None) for name in ("granularity", "order_by", "time_range")),
    ("order_by", []),
    ("time_range", {"start": 0, "end": FULL["end"]}),
    *(("filters", [{"field": "app", "operator": "eq", "value": wrong}]) for wrong in (None, True, {})),
    *(("filters", [{"field": "app", "operator": "in", "value": [wrong]}]) for wrong in (None, True, {}, [])),
    ("filters", [{"field": "app", "operator": "in", "value": ["1"], "include_unset": 1}]),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG_TYPES)
def test_values_of_a_wrong_type_are_refused(books, ask, name, wrong):
    books._service._analytics_limiter._tokens = 64.0
    body = {"metrics": ["request_count"], name: wrong}
    status, answer = ask(books, "/analytics/query", key=books.management_key, body=body)
    assert (status, answer["error"]["message"]) == (400, "Invalid request parameters")


def test_integers_may_be_written_with_a_point(books, query):
    assert len(query(books, metrics=["request_count"], dimensions=["model"], limit=2.0)["data"]) == 2


def test_31_days_are_allowed(books, query):
    assert query(books, metrics=["p90_latency"], time_range=FULL)["data"]


def test_meta_lists_what_queries_accept(books, ask, query):
    status, body = ask(books, "/analytics/meta", key=books.management_key)
    data = body["data"]
    assert status == 200
    assert set(data) == {"metrics", "dimensions", "operators", "granularities"}
    for metric in data["metrics"]:
        assert set(metric) == {"name", "display_label", "is_rate", "display_format"}
        assert metric["display_format"] in {"number", "currency", "percent", "latency", "throughput"}
    names = [metric["name"] for metric in data["metrics"]]
    for dimension in data["dimensions"]:
        assert query(books, metrics=names, dimensions=[dimension["name"]])["metadata"]["row_count"] > 0
    assert [o["name"] for o in data["operators"] if o["value_type"] == "array"] == ["in", "not_in"]
    assert [g["name"] for g in data["granularities"]] == ["minute", "hour", "day", "week", "month"]


@pytest.mark.parametrize("path", ["/analytics/query", "/analytics/meta", "/activity", "/credits", "/keys"])
def test_aggregates_need_a_management_key(books, ask, path):
    body = {"metrics": ["request_count"]} if path.endswith("query") else None
    for key in (books.key, books.plain_key):
        status, answer = ask(books, path, key=key, body=body)
        assert (status, answer) == (
            403,
            {"error": {"code": 403, "message": "Only management keys can perform this operation"}},
        )


def test_64_queries_a_minute(ask):
    with SimServer(5, until=UNTIL) as server:
        statuses = [ask(server, "/analytics/meta", key=server.management_key)[0] for _ in range(66)]
        assert statuses[:64] == [200] * 64
        assert 429 in statuses[64:]
        assert server.stats.refusals == statuses.count(429)


def test_queries_may_time_out(ask):
    with SimServer(5, until=UNTIL, faults=Faults(rate=0, per_id={"/analytics/query": ["408", "cut"]})) as server:
        body = {"metrics": ["request_count"]}
        assert ask(server, "/analytics/query", key=server.management_key, body=body)[0] == 408
