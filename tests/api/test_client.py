from email.utils import formatdate
from types import SimpleNamespace

import pytest
from urllib3 import HTTPHeaderDict

from orstats.api import client as client_module
from orstats.api import errors
from orstats.api.client import Client
from orstats.api.retry import Retry
from orstats.api.transport import Answer
from orstats.sim import Faults, SimServer


@pytest.fixture(scope="module")
def sim():
    with SimServer(200) as server:
        yield server


@pytest.fixture(scope="module")
def stored(sim):
    return next(i for i in sim.ids if sim.content(i) is not None)


def test_record_and_content_are_what_the_server_has(sim, stored):
    with sim.client() as client:
        assert client.generation(stored) == sim.record(stored)
        assert client.content(stored) == sim.content(stored)


def test_key_call_names_the_limits(sim):
    with sim.client() as client:
        key = client.key()
    assert {"label", "limit", "limit_remaining", "usage_daily", "is_management_key"} <= key.keys()


def test_content_that_a_plain_key_may_not_read_is_forbidden(sim, stored):
    with Client(sim.plain_key, base_url=sim.base_url) as client, pytest.raises(errors.ForbiddenError):
        client.content(stored)


def test_content_is_read_with_the_management_key_where_a_plain_one_may_not(sim, stored):
    with Client(sim.plain_key, management_key=sim.management_key, base_url=sim.base_url) as client:
        assert client.content(stored) == sim.content(stored)


def test_unknown_id_is_not_found_with_one_request(sim):
    (unknown,) = sim.unknown_ids(1, age=600)
    sim.reset_stats()
    with sim.client() as client, pytest.raises(errors.NotFoundError) as caught:
        client.generation(unknown)
    assert caught.value.generation_id == unknown
    assert sim.requests == 1


def test_faults_are_retried_within_the_bounds():
    with SimServer(5, faults=Faults(rate=1.0, kinds=["502"], repeat=1)) as sim:
        with sim.client(retry=Retry(first_wait=0)) as client:
            assert client.generation(sim.ids[0])["id"] == sim.ids[0]
        with sim.client(retry=Retry(attempts=1)) as client, pytest.raises(errors.ServerError):
            client.generation(sim.ids[1])


def test_settings_come_from_the_environment(sim, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url.removesuffix("/api/v1"))
    with Client() as client:
        assert client.generation(sim.ids[0])["id"] == sim.ids[0]


@pytest.mark.parametrize("timeout", [0, -1, (1, 0), (1, 2, 3), float("nan")])
def test_timeouts_that_make_no_sense_are_refused(timeout):
    with pytest.raises(errors.ConfigError):
        Client("k", timeout=timeout)


def test_the_servers_clock_is_kept_when_ours_jumps(monkeypatch):
    clock = SimpleNamespace(time=lambda: 1000.0, monotonic=lambda: 10.0)
    monkeypatch.setattr(client_module, "time", clock)
    client = Client("sk-or-v1-0", base_url="https://openrouter.ai")
    assert client.now() == 1000.0, "ours, before the first answer"
    client._watch_clock({"Date": formatdate(8200.0)}, asked_again=False)
    assert client.now() == 8200.0
    clock.time, clock.monotonic = lambda: 99_999.0, lambda: 12.0
    assert client.now() == 8202.0, "what ours does is of no interest"
    client._watch_clock({}, asked_again=False)
    assert client.now() == 8202.0, "an answer without a date says nothing"
    clock.time = lambda: 9000.0
    client._watch_clock({"Date": formatdate(9001.0)}, asked_again=False)
    assert client.now() == 9000.0, "nearly the same: ours has the finer seconds"


@pytest.mark.parametrize(("said", "told"), [("0", None), ("-5", None), ("2", 2.0)])
def test_who_names_no_wait_leaves_it_to_the_governor(monkeypatch, said, told):
    client = Client("sk-or-v1-0", base_url="https://openrouter.ai")
    answer = Answer(429, HTTPHeaderDict({"Retry-After": said}), b"")
    monkeypatch.setattr(client._transport, "get", lambda *_, **__: answer)
    heard = []
    monkeypatch.setattr(client.governor, "refused", lambda sent_at, told=None: heard.append(told))  # noqa: ARG005
    with pytest.raises(errors.RateLimitError):
        client.ask_generation("gen-1")
    assert heard == [told]
