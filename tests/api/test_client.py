import threading
from datetime import timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from manual_clock import ManualClock
from urllib3 import HTTPHeaderDict

from orstats import errors
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


def test_record_and_content_equal_the_servers(sim, stored):
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


@pytest.mark.parametrize(
    ("keys", "variable", "named"),
    [
        (("k", "m"), None, "api_key="),
        ((None, "m"), None, "management_key="),
        (("m", "m"), None, "api_key="),
        ((None, "m"), "e", "OPENROUTER_API_KEY"),
        ((None, None), "e", "OPENROUTER_API_KEY"),
    ],
)
def test_refused_key_is_named_by_where_it_came_from(sim, monkeypatch, keys, variable, named):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    if variable:
        monkeypatch.setenv("OPENROUTER_API_KEY", variable)
    with (
        Client(keys[0], management_key=keys[1], base_url=sim.base_url) as client,
        pytest.raises(errors.AuthenticationError, match=f"Check {named}: the key is wrong"),
    ):
        client.generation(sim.ids[0])


def test_unknown_id_is_not_found_with_one_request(sim):
    (unknown,) = sim.unknown_ids(1, age=600)
    sim.reset_stats()
    with sim.client() as client, pytest.raises(errors.NotFoundError) as caught:
        client.generation(unknown)
    assert caught.value.generation_id == unknown
    assert sim.requests == 1


def test_faults_are_retried_within_the_limits():
    with SimServer(5, faults=Faults(rate=1.0, kinds=["502"], repeat=1)) as sim:
        with sim.client(retry=Retry(first_wait=0)) as client:
            assert client.generation(sim.ids[0])["id"] == sim.ids[0]
        with sim.client(retry=Retry(attempts=1)) as client, pytest.raises(errors.ServerError):
            client.generation(sim.ids[1])


def test_settings_are_read_from_the_environment(sim, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url.removesuffix("/api/v1"))
    with Client() as client:
        assert client.generation(sim.ids[0])["id"] == sim.ids[0]


@pytest.mark.parametrize(
    "timeout",
    [
        0,
        -1,
        (1, 0),
        (1, 2, 3),
        (1,),
        (),
        float("nan"),
        float("inf"),
        True,
        "5",
        [1, 2],
        (None, 2),
        timedelta(seconds=5),
    ],
)
def test_invalid_timeouts_are_rejected(timeout):
    with pytest.raises(errors.ConfigError):
        Client("k", timeout=timeout)


def test_very_long_timeout_is_accepted(sim):
    with Client(sim.key, base_url=sim.base_url, timeout=1e12) as client:
        assert client.generation(sim.ids[0])["id"] == sim.ids[0]


@pytest.mark.parametrize(
    "options",
    [
        *({"attempts": value} for value in (0, 1.5, True, "3", None)),
        *({"max_elapsed": value} for value in (-1, float("nan"), None, "5", True, timedelta(seconds=5))),
        {"max_offline": "5"},
        {"on_retry": 5},
    ],
)
def test_invalid_retries_are_rejected(options):
    with pytest.raises(errors.ConfigError, match=f"^{next(iter(options))} must be "):
        Retry(**options)


def test_server_time_is_kept_when_the_local_clock_jumps(monkeypatch):
    clock = ManualClock(10.0, wall=1000.0)
    client = Client("sk-or-v1-0", base_url="https://openrouter.ai", _clock=clock)

    def respond(headers):
        answer = Answer(200, HTTPHeaderDict(headers), b'{"data": {"label": "k"}}')
        monkeypatch.setattr(client._transport, "send", lambda *_, **__: answer)
        client.key()

    assert client.now() == 1000.0, "of this machine, before the first response"
    respond({"Date": formatdate(8200.0)})
    assert client.now() == 8200.0
    clock.wall, clock.now = 99_999.0, 12.0
    assert client.now() == 8202.0, "a jump of this machine's clock has no effect"
    respond({})
    assert client.now() == 8202.0, "a response without a date has no effect"
    clock.wall = 9000.0
    respond({"Date": formatdate(9001.0)})
    assert client.now() == 9000.0, "nearly equal: this machine's clock is more precise"


@pytest.mark.parametrize(("said", "told"), [("0", None), ("-5", None), ("2", 2.0)])
def test_zero_or_negative_retry_after_counts_as_none(monkeypatch, said, told):
    client = Client("sk-or-v1-0", base_url="https://openrouter.ai")
    answer = Answer(429, HTTPHeaderDict({"Retry-After": said}), b"")
    monkeypatch.setattr(client._transport, "send", lambda *_, **__: answer)
    heard = []
    monkeypatch.setattr(client.rate_limiter, "refused", lambda _, retry_after, **__: heard.append(retry_after))
    with pytest.raises(errors.RateLimitError):
        client.ask_generation("gen-1")
    assert heard == [told]


def test_options_share_connections_and_the_learnt_rate(sim):
    with sim.client() as client:
        again = client.with_options(timeout=5, retry=Retry(attempts=2), headers={"X-Team": "search"})
        assert again.rate_limiter is client.rate_limiter
        assert again.analytics_limiter is client.analytics_limiter
        assert again._transport.pool is client._transport.pool
        assert (again.retry.attempts, client.retry.attempts) == (2, 8)
        assert again.generation(sim.ids[0]) == client.generation(sim.ids[0])
        same_host = client.with_options(base_url=sim.base_url.removesuffix("/api/v1") + "/proxy/api/v1")
        assert same_host._transport.pool is client._transport.pool
        assert same_host.settings.base_url.endswith("/proxy/api/v1")
        assert client.settings.base_url == sim.base_url


@pytest.fixture
def heard():
    """A server of its own host that records what it is sent."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            requests.append(self.headers)
            body = b'{"data": {"label": "k", "usage": 0}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


def test_headers_are_added_to_every_request_of_that_client_only(heard):
    url, requests = heard
    with Client("sk-or-v1-0", base_url=url) as client:
        team = client.with_options(headers={"X-Team": "search", "user-agent": "mine"})
        both = team.with_options(headers={"X-Run": "7", "x-team": "ads"})
        for one in (client, team, both):
            one.key()
    assert [(r["X-Team"], r["X-Run"]) for r in requests] == [(None, None), ("search", None), ("ads", "7")]
    assert [r["User-Agent"] == "mine" for r in requests] == [False, True, True]
    assert {r["Authorization"] for r in requests} == {"Bearer sk-or-v1-0"}
    assert {r["Accept-Encoding"] for r in requests} == {"gzip"}


def test_another_host_has_its_own_connections_and_rate_and_gets_no_earlier_headers(sim, heard):
    url, requests = heard
    with sim.client().with_options(headers={"X-Gateway-Token": "secret"}) as client:
        with client.with_options(base_url=url, headers={"X-New": "1"}) as elsewhere:
            elsewhere.key()
        assert elsewhere.rate_limiter is not client.rate_limiter
        assert elsewhere.analytics_limiter is not client.analytics_limiter
        assert elsewhere._transport.pool is not client._transport.pool
    assert requests[0]["X-Gateway-Token"] is None
    assert requests[0]["X-New"] == "1"


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://elsewhere.example"},
        {"base_url": "ftp://elsewhere.example"},
        {"timeout": 0},
        {"headers": {"Authorization": "Bearer other"}},
        {"headers": {"authorization": "Bearer other"}},
        {"headers": {"Host": "elsewhere.example"}},
        {"headers": {"X Team": "a"}},
        {"headers": {"": "a"}},
        {"headers": {"X-Team": "a\r\nX-Other: b"}},
        {"headers": {"X-Team": 7}},
        {"headers": [("X-Team", "a")]},
        {"headers": "X-Team: a"},
        {"base_url": 5},
        {"retry": 5},
        {"headers": {"X-Team": "\u4e2d"}},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    client = Client("sk-or-v1-0", base_url="https://openrouter.ai")
    with pytest.raises(errors.ConfigError) as caught:
        client.with_options(**options)
    assert "other" not in str(caught.value)


def test_errors_of_the_account_calls_keep_what_the_server_sent():
    with (
        SimServer(5) as sim,
        Client(sim.plain_key, base_url=sim.base_url) as client,
        pytest.raises(errors.ForbiddenError) as caught,
    ):
        client.credits()
    assert caught.value.status == 403
    assert caught.value.body["error"]["code"] == 403
    assert caught.value.headers["Content-Type"].startswith("application/json")
