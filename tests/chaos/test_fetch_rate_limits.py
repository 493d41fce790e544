"""A rate limit is used fully, and costs no id, whatever the server says about it."""

import pytest
from fake_account import FakeTransport, account
from simulated_time import World

import orstats
from orstats.api.transport import Answer


@pytest.mark.parametrize("told", [None, 0, 1])
def test_ids_refused_once_each_do_not_block_each_other(told):
    ids = [f"gen-1780000000-{number:020d}" for number in range(60)]
    with World() as world:
        scripts = {one: ([("429", told)], "ok", 0.02) for one in ids}
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=16, progress=False)
        ended = world.now
    assert (frame["fetch_status"] == "ok").all()
    assert len(wire.sent) == 120
    assert ended < 60


class Limited(FakeTransport):
    """A token bucket in front of the API: `rate` a second, refusals without a word about when to come back."""

    def __init__(self, world, rate, burst, status, latency, *, hammered=0.0):
        super().__init__(world, {})
        self.rate, self.burst, self.status, self.latency = rate, burst, status, latency
        self.tokens, self.at, self.hammered = burst, 0.0, hammered
        self.refused = 0

    def send(self, path, *_, **__):
        name = path.rpartition("id=")[2]
        self.world.sleep(self.latency / 2)
        now = self.world.now
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        is_ok = self.tokens >= 1 and self.world._random.random() >= self.hammered
        self.tokens -= is_ok
        self.refused += not is_ok
        self.sent.append(name)
        self.world.sleep(self.latency / 2)
        return self.answer("ok", None, name) if is_ok else Answer(self.status, {}, b"<html>no</html>")


@pytest.mark.parametrize(("status", "workers"), [(503, 16), (503, 32), (429, 16)])
@pytest.mark.parametrize(("rate", "burst"), [(20, 1), (20, 20), (50, 50), (200, 40), (200, 200)])
def test_rate_limit_without_a_wait_is_fully_used_and_loses_nothing(rate, burst, workers, status):
    ids = [f"gen-1780000000-{number:020d}" for number in range(1000)]
    with World() as world:
        client, wire = account(world, orstats.Retry(), Limited(world, rate, burst, status, 0.005))
        frame = orstats.fetch(ids, client=client, archive=False, workers=workers, progress=False)
        ended = world.now
    assert (frame["fetch_status"] == "ok").all(), frame["error"].dropna().iloc[:3].tolist()
    assert wire.refused < 0.08 * len(wire.sent)
    assert ended < 1.3 * (len(ids) - burst) / rate


@pytest.mark.parametrize("status", [503, 429])
def test_ids_are_not_given_up_while_another_program_uses_up_the_limit(status):
    ids = [f"gen-1780000000-{number:020d}" for number in range(300)]
    with World() as world:
        client, _wire = account(world, orstats.Retry(), Limited(world, 50, 50, status, 0.02, hammered=0.3))
        frame = orstats.fetch(ids, client=client, archive=False, progress=False)
    assert (frame["fetch_status"] == "ok").all()


def test_random_faults_do_not_slow_a_fetch_down():
    ids = [f"gen-1780000000-{number:020d}" for number in range(2500)]
    with World(3) as world:
        scripts = {one: ([("503", None)] * (number % 10 == 7), "ok", 0.02) for number, one in enumerate(ids)}
        client, _ = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=16, progress=False)
        ended = world.now
    assert (frame["fetch_status"] == "ok").all()
    assert ended < 1.3 * 1.1 * len(ids) * 0.02 / 16
    assert client.rate_limiter.pace is None
