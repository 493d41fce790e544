"""Activity and credits agree with the single generations, and the server stays awake while it adds up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from urllib3.exceptions import ProtocolError

from orstats.sim import SimServer, analytics, state
from orstats.sim.analytics import run_query
from orstats.sim.ledger import read_ledger

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def books():
    with SimServer(1000, seed=11, until=UNTIL) as server:
        yield server


def created(record):
    return datetime.fromisoformat(record["created_at"])


def completed(records):
    today = UNTIL.date()
    return [r for r in records if today - timedelta(days=30) <= created(r).date() < today]


def test_activity_adds_up_to_the_generations_of_30_days(books, ask):
    rows = ask(books, "/activity", key=books.management_key)[1]["data"]
    served = [r for r in completed([books.record(i) for i in books.ids]) if r["provider_name"]]
    assert sum(row["requests"] for row in rows) == len(served)
    assert sum(row["usage"] for row in rows) == pytest.approx(sum(r["total_cost"] for r in served), abs=1e-9)
    upstream = sum(r["upstream_inference_cost"] for r in served if r["is_byok"])
    assert sum(row["byok_usage_inference"] for row in rows) == pytest.approx(upstream, abs=1e-9)
    for mine, theirs in (
        ("prompt", "prompt"),
        ("completion", "completion"),
        ("reasoning", "reasoning"),
        ("cached", "cached"),
    ):
        expected = sum(r[f"native_tokens_{theirs}"] or 0 for r in served)
        assert sum(row[f"{mine}_tokens"] for row in rows) == expected


def test_activity_rows_are_one_per_day_model_and_endpoint(books, ask):
    rows = ask(books, "/activity", key=books.management_key)[1]["data"]
    fields = {"date", "model", "model_permaslug", "endpoint_id", "provider_name", "usage", "byok_usage_inference"}
    fields |= {"requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens"}
    assert all(set(row) == fields for row in rows)
    assert len({(row["date"], row["model_permaslug"], row["endpoint_id"]) for row in rows}) == len(rows)
    assert {row["date"] for row in rows} <= {str(UNTIL.date() - timedelta(days=age)) for age in range(1, 31)}


def test_endpoints_are_those_of_the_provider_responses(books, ask):
    rows = ask(books, "/activity", key=books.management_key)[1]["data"]
    attempts = [a for i in books.ids for a in books.record(i)["provider_responses"] or [] if a["status"] == 200]
    known = {(a["endpoint_id"], a["provider_name"], a["model_permaslug"]) for a in attempts}
    assert {(row["endpoint_id"], row["provider_name"], row["model_permaslug"]) for row in rows} <= known


def test_activity_of_one_day(books, ask):
    day = str(UNTIL.date() - timedelta(days=2))
    rows = ask(books, "/activity", key=books.management_key, date=day)[1]["data"]
    assert {row["date"] for row in rows} == {day}


@pytest.mark.parametrize("day", ["2026-06-17", "2026-05-17", "yesterday"])
def test_days_that_are_not_among_the_30_are_refused(books, ask, day):
    assert ask(books, "/activity", key=books.management_key, date=day)[0] == 400


def test_activity_by_workspace(books, ask):
    key = books.management_key
    rows = ask(books, "/activity", key=key, group_by="workspace")[1]["data"]
    total = ask(books, "/activity", key=key)[1]["data"]
    workspaces = {row["workspace_id"] for row in rows}
    assert len(workspaces) == 3
    assert sum(row["requests"] for row in rows) == sum(row["requests"] for row in total)
    one = ask(books, "/activity", key=key, workspace_id=min(workspaces))[1]["data"]
    expected = sum(row["requests"] for row in rows if row["workspace_id"] == min(workspaces))
    assert sum(row["requests"] for row in one) == expected
    assert ask(books, "/activity", key=key, group_by="user")[0] == 400
    assert ask(books, "/activity", key=key, api_key_hash="0" * 64)[1]["data"] == []


def test_credits_are_what_all_generations_cost(books, ask):
    data = ask(books, "/credits", key=books.management_key)[1]["data"]
    assert data["total_usage"] == pytest.approx(sum(books.record(i)["total_cost"] for i in books.ids), abs=1e-9)
    assert data["total_credits"] >= data["total_usage"]


def test_other_requests_are_answered_while_the_ledger_is_read(ask, monkeypatch):
    begun, go_on = Event(), Event()

    def slow(account, keys, stop):
        begun.set()
        assert go_on.wait(20)
        return read_ledger(account, keys, stop)

    monkeypatch.setattr(state, "read_ledger", slow)
    with SimServer(50, until=UNTIL) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, server, "/credits", key=server.management_key)
        assert begun.wait(20)
        assert ask(server, "/generation", id=server.ids[0])[0] == 200
        assert not answer.done()
        go_on.set()
        assert answer.result()[0] == 200


def test_other_requests_are_answered_while_a_query_runs(ask, monkeypatch):
    begun, go_on = Event(), Event()

    def slow(asked, entries, dimensions):
        begun.set()
        assert go_on.wait(20)
        return run_query(asked, entries, dimensions)

    with SimServer(50, until=UNTIL) as server, ThreadPoolExecutor(1) as pool:
        assert ask(server, "/credits", key=server.management_key)[0] == 200
        monkeypatch.setattr(analytics, "run_query", slow)
        body = {"metrics": ["request_count"]}
        answer = pool.submit(ask, server, "/analytics/query", key=server.management_key, body=body)
        assert begun.wait(20)
        assert ask(server, "/generation", id=server.ids[0])[0] == 200
        assert not answer.done()
        go_on.set()
        assert answer.result()[0] == 200


def test_stopping_does_not_wait_for_a_million_generations(ask):
    server = SimServer(1_000_000, until=UNTIL)
    with ThreadPoolExecutor(1) as pool:
        with server:
            answer = pool.submit(ask, server, "/credits", key=server.management_key)
            while not server.requests and not server.stats.peak_concurrent:
                assert not answer.done()
        with pytest.raises(ProtocolError):
            answer.result()


def test_failure_of_the_simulator_is_logged_and_drops_the_connection(ask, monkeypatch, caplog):
    def fail(_account, _keys, _stop):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(state, "read_ledger", fail)
    with SimServer(5, until=UNTIL) as server, pytest.raises(ProtocolError):
        ask(server, "/credits", key=server.management_key)
    assert "no answer to GET /api/v1/credits" in caplog.text
    assert "on purpose" in caplog.text
