"""The rate limit admits exactly what it should and says when to come back."""

from time import time

import pytest
import urllib3

from orstats.sim import RateLimit, SimServer
from orstats.sim.rate_limit import Limiter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def admitted(limiter, count):
    return sum(limiter.refusal() is None for _ in range(count))


def test_bucket_admits_its_burst_and_refills_steadily():
    clock = Clock()
    limiter = Limiter(RateLimit(10, burst=4), clock)
    assert admitted(limiter, 20) == 4
    clock.now += 0.25
    assert admitted(limiter, 20) == 2
    clock.now += 0.06
    assert admitted(limiter, 20) == 1
    clock.now += 60
    assert admitted(limiter, 20) == 4


def test_bucket_serves_its_rate_regardless_of_refusals():
    clock = Clock()
    limiter = Limiter(RateLimit(50, burst=1), clock)
    served = 0
    for _ in range(1000):
        clock.now += 0.01
        served += admitted(limiter, 5)
    assert served == pytest.approx(500, abs=1)


def test_window_resets_each_second():
    clock = Clock()
    limiter = Limiter(RateLimit(3, algorithm="window"), clock)
    assert admitted(limiter, 10) == 3
    clock.now += 0.999
    assert admitted(limiter, 10) == 0
    clock.now += 0.001
    assert admitted(limiter, 10) == 3


def test_slow_limits_admit_one_at_a_time():
    clock = Clock()
    limiter = Limiter(RateLimit(0.5), clock)
    assert admitted(limiter, 5) == 1
    clock.now += 1.9
    assert admitted(limiter, 5) == 0
    clock.now += 0.1
    assert admitted(limiter, 5) == 1


@pytest.mark.parametrize("algorithm", ["bucket", "window"])
def test_refusal_announces_when_to_retry(algorithm):
    clock = Clock()
    limiter = Limiter(RateLimit(2, burst=1, retry_after="reset", algorithm=algorithm), clock)
    limiter.refusal()
    headers = dict(limiter.refusal().headers)
    wait = 0.5 if algorithm == "bucket" else 1.0
    assert int(headers["x-ratelimit-reset"]) / 1000 - time() == pytest.approx(wait, abs=0.3)
    assert headers["x-ratelimit-limit"] == "2"
    assert headers["x-ratelimit-remaining"] == "0"


@pytest.mark.parametrize(("style", "name"), [("seconds", "retry-after"), ("date", "retry-after"), ("none", None)])
def test_refusal_has_the_header_of_its_style(style, name):
    limiter = Limiter(RateLimit(1, retry_after=style, retry_after_s=7), Clock())
    limiter.refusal()
    refusal = limiter.refusal()
    assert refusal.status == 429
    assert [header for header, _ in refusal.headers] == ([name] if name else [])
    assert style != "seconds" or refusal.headers[0][1] == "7"


@pytest.mark.parametrize(
    ("style", "headers"),
    [
        ("none", {}),
        ("seconds", {"retry-after": "120"}),
        ("ms", {"retry-after-ms": "120000"}),
        ("both", {"retry-after": "120", "retry-after-ms": "120000"}),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_refusal_has_the_status_and_headers_of_its_limit(status, style, headers):
    limiter = Limiter(RateLimit(1, status=status, retry_after=style, retry_after_s=120), Clock())
    limiter.refusal()
    refusal = limiter.refusal()
    assert (refusal.status, dict(refusal.headers)) == (status, headers)
    assert refusal.content_type.startswith("application/json" if status == 429 else "text/html")


def test_retry_after_ms_announces_when_to_retry():
    limiter = Limiter(RateLimit(4, burst=1, retry_after="both"), Clock())
    limiter.refusal()
    assert dict(limiter.refusal().headers) == {"retry-after": "1", "retry-after-ms": "250"}


def test_server_that_refuses_with_503_counts_refusals():
    with SimServer(9, rate_limit=RateLimit(0.001, burst=2, status=503, retry_after="none")) as server:
        url, headers = f"{server.base_url}/key", {"Authorization": f"Bearer {server.key}"}
        statuses = [urllib3.request("GET", url, headers=headers, retries=False).status for _ in range(4)]
        assert statuses == [200, 200, 503, 503]
        assert (server.stats.refusals, server.stats.faults) == (2, {})


@pytest.mark.parametrize(("per_second", "announced"), [(200, "1"), (1, "1"), (0.5, "2"), (0.1, "10")])
def test_requests_after_the_announced_wait_are_served(per_second, announced):
    clock = Clock()
    limiter = Limiter(RateLimit(per_second, burst=1), clock)
    limiter.refusal()
    assert limiter.refusal().headers == (("retry-after", announced),)
    clock.now += int(announced)
    assert limiter.refusal() is None


@pytest.mark.parametrize("options", [{"per_second": 0}, {"per_second": -1}, {"per_second": 5, "burst": 0}])
def test_limits_that_admit_nothing_are_refused(options):
    with pytest.raises(ValueError, match="must admit something"):
        RateLimit(**options)


def test_requests_above_the_limit_are_refused_and_counted(ask):
    with SimServer(20, rate_limit=RateLimit(0.001, burst=5)) as server:
        statuses = [ask(server, "/generation", id=identifier)[0] for identifier in server.ids[:8]]
        assert statuses == [200] * 5 + [429] * 3
        assert server.stats.refusals == 3
        assert server.stats.faults == {}
        assert ask(server, "/key")[0] == 429
        assert ask(server, "/generation", key="sk-or-v1-wrong", id="x")[0] == 401


def test_number_is_requests_a_second(ask):
    with SimServer(5, rate_limit=2.0) as server:
        statuses = [ask(server, "/generation", id=identifier)[0] for identifier in server.ids[:2]]
    assert statuses == [200, 200]
