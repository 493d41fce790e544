"""Records and content become available some time after their call has ended, by the server's clock."""

from datetime import UTC, datetime

import pytest

from orstats.sim import SimServer

NOW = 1_790_000_000.5


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(clock):
    with SimServer(20, clock=clock) as running:
        yield running


def created(record):
    return datetime.fromisoformat(record["created_at"]).timestamp()


@pytest.mark.parametrize("ran_for", [90, 135, 240, 3600])
@pytest.mark.parametrize(("kind", "prefix"), [("chat", "gen-"), ("video", "gen-vid-"), ("cancelled", "gen-")])
def test_records_of_long_calls_appear_after_the_call_has_ended(server, ask, clock, ran_for, kind, prefix):
    (identifier,) = server.young_ids(1, found_after=8, ran_for=ran_for, kind=kind)
    assert identifier.startswith(f"{prefix}{int(NOW) - ran_for}-")
    assert ask(server, "/generation", id=identifier)[0] == 404
    clock.now += 7.9
    assert ask(server, "/generation", id=identifier)[0] == 404
    clock.now += 0.1
    status, body = ask(server, "/generation", id=identifier)
    assert (status, body["data"]) == (200, server.record(identifier))
    assert int(created(body["data"])) == int(NOW) - ran_for
    assert created(body["data"]) + body["data"]["generation_time"] / 1000 == pytest.approx(NOW, abs=0.01)
    assert (body["data"]["latency"] or 0) <= body["data"]["generation_time"]


def test_content_may_appear_later_than_the_record(server, ask, clock):
    late, same = (server.young_ids(1, found_after=5, content_after=wait)[0] for wait in (30, None))
    clock.now += 5
    assert [ask(server, "/generation", id=identifier)[0] for identifier in (late, same)] == [200, 200]
    assert [ask(server, "/generation/content", id=identifier)[0] for identifier in (late, same)] == [404, 200]
    clock.now += 25
    assert ask(server, "/generation/content", id=late) == (200, {"data": server.content(late)})


def test_lag_counts_from_the_end_of_a_call(ask, clock):
    with SimServer(200, lag=30, clock=clock) as server:
        newest = server.ids[-1]
        record = server.record(newest)
        clock.now = created(record) + record["generation_time"] / 1000 + 29.9
        assert ask(server, "/generation", id=newest)[0] == 404
        clock.now += 0.2
        assert ask(server, "/generation", id=newest)[0] == 200


def test_account_ends_at_the_time_of_its_clock(server):
    assert NOW - 7 * 86_400 < created(server.record(server.ids[-1])) < NOW
    (unknown,) = server.unknown_ids(1, age=100)
    assert unknown.startswith(f"gen-{int(NOW) - 100}-")
    same = SimServer(20, until=datetime.fromtimestamp(NOW, UTC))
    assert same.ids == server.ids


def test_unknown_kind_of_generation_is_named(server):
    with pytest.raises(ValueError, match="Unknown kind 'poem'"):
        server.young_ids(1, found_after=1, kind="poem")
