from datetime import UTC, datetime, timedelta

import pytest
from manual_clock import ManualClock

import orstats
from orstats.api.rate_limit import FixedQuota
from orstats.api.response import decode
from orstats.errors import BadResponseError
from orstats.sim import Faults, SimServer


@pytest.fixture(scope="module")
def sim():
    with SimServer(400, seed=2) as server:
        yield server


def test_account_calls_return_usage_activity_and_credits(sim):
    client = sim.client()
    usage = client.analytics({"metrics": ["request_count", "total_usage"]})
    assert set(usage) == {"data", "metadata"}
    assert isinstance(usage["data"][0]["request_count"], str)
    assert {"metrics", "dimensions"} < set(client.analytics_meta())
    days = client.activity()
    assert {row["date"] for row in days} <= {
        f"{datetime.now(UTC).date() - timedelta(days=age):%Y-%m-%d}" for age in range(32)
    }
    assert client.credits()["total_usage"] == pytest.approx(sum(sim.record(one)["usage"] for one in sim.ids))


def test_activity_of_one_day_and_by_workspace(sim):
    client = sim.client()
    day = client.activity()[0]["date"]
    assert {row["date"] for row in client.activity(day)} == {day}
    assert all("workspace_id" in row for row in client.activity(day, group_by="workspace"))
    with pytest.raises(orstats.errors.BadRequestError, match="last 30"):
        client.activity("2020-01-01")


CALLS = [
    lambda client: client.analytics({"metrics": ["request_count"]}),
    lambda client: client.analytics_meta(),
    lambda client: client.activity(),
    lambda client: client.credits(),
]


@pytest.mark.parametrize("call", CALLS)
def test_error_names_the_required_key_in_one_sentence(sim, call, monkeypatch):
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_MANAGEMENT_KEY"):
        monkeypatch.delenv(name, raising=False)
    needed = r"management key: make one at https://openrouter\.ai/settings/management-keys"
    with pytest.raises(orstats.errors.ForbiddenError, match=needed) as forbidden:
        call(sim.client(api_key=sim.plain_key, management_key=""))
    assert forbidden.value.status == 403
    with pytest.raises(orstats.errors.MissingKeyError, match=needed):
        call(orstats.Client(base_url=sim.base_url))
    with pytest.raises(orstats.errors.AuthenticationError, match=r"the key \(management_key=\) is wrong"):
        call(sim.client(management_key="sk-or-v1-wrong"))
    assert call(sim.client(api_key=sim.management_key, management_key="")) is not None


def test_invalid_query_names_the_problem(sim):
    with pytest.raises(orstats.errors.BadRequestError, match=r"Unknown metric: profit\.$"):
        sim.client().analytics({"metrics": ["profit"]})


def test_analytics_is_retried():
    faults = Faults(rate=0, per_id={"/analytics/query": ["502", "reset", "408"]})
    with SimServer(10, faults=faults) as server:
        client = server.client(retry=orstats.Retry(first_wait=0))
        assert client.analytics({"metrics": ["request_count"]})["data"]
        assert server.requests == 4


def test_key_returns_either_key(sim):
    client = sim.client()
    assert client.key()["is_management_key"] is False
    assert client.key(management=True)["is_management_key"] is True


def test_quota_holds_in_any_interval():
    clock = ManualClock()
    quota = FixedQuota(64, 60.0, clock)
    sent = []
    while clock.now < 300:
        wait = quota.reserve(clock.now)
        if wait:
            clock.now += wait
        else:
            sent.append(clock.now)
    assert sent[63] == 0.0
    for first, after in zip(sent, sent[64:], strict=False):
        assert after - first > 60.0
    assert len(sent) >= 64 * 4


def test_refusal_holds_all_threads_for_retry_after():
    clock = ManualClock(100.0)
    quota = FixedQuota(10, 60.0, clock)
    sent = quota.admit()
    quota.refused(sent, 5.0)
    assert quota.reserve(100.0) == 5.0
    clock.now = 105.0
    assert quota.admit() == 105.0
    quota.refused(105.0)
    assert quota.reserve(105.0) == 6.0
    quota.refused(105.0, 86_400.0)
    assert quota.reserve(105.0) == 60.0
    assert quota.admit(stop=lambda: True) is None


def test_the_limit_of_64_a_minute_is_kept_from_the_start():
    with SimServer(5) as server:
        client = server.client()
        for _ in range(64):
            client.analytics_meta()
        assert client.analytics_limiter.reserve(client.clock.monotonic()) > 50
        assert server.stats.refusals == 0


def test_data_must_have_the_expected_type():
    assert decode(200, {}, b'{"data": [1]}', shape=list, now=0.0) == [1]
    for body, shape in ((b'{"data": {}}', list), (b'{"data": []}', dict)):
        with pytest.raises(BadResponseError, match="without a `data`"):
            decode(200, {}, body, shape=shape, now=0.0)


@pytest.mark.parametrize(
    "answer",
    [{"data": [1]}, {"data": {}}, {}, {"data": [], "metadata": []}, {"data": [{}], "metadata": "x"}],
)
def test_analytics_of_another_shape_is_a_bad_response(sim, answer, monkeypatch):
    client = sim.client()
    monkeypatch.setattr(client, "_request", lambda *_, **__: answer)
    with pytest.raises(BadResponseError, match="analytics"):
        client.analytics({"metrics": ["request_count"]})


def test_activity_with_rows_that_are_not_objects_is_a_bad_response(sim, monkeypatch):
    client = sim.client()
    monkeypatch.setattr(client, "_request", lambda *_, **__: [{}, [1]])
    with pytest.raises(BadResponseError, match="activity"):
        client.activity()


def test_keys_of_all_pages_are_returned_once():
    pages = {"0": ["a", "b"], "2": ["c"], "3": []}
    requests = []

    def respond(*_, query="", **__):
        requests.append(query)
        offset = query.partition("offset=")[2].partition("&")[0]
        return [{"hash": one} for one in pages[offset]]

    client = orstats.Client("sk-or-v1-" + "0" * 64, base_url="http://127.0.0.1:1/api/v1")
    client._request = respond
    assert [one["hash"] for one in client.keys(include_disabled=True)] == ["a", "b", "c"]
    assert all("include_disabled=true" in query for query in requests)


def test_keys_of_a_server_without_pages_end():
    with SimServer(50, seed=1) as sim, sim.client() as client:
        listed = client.keys()
        assert len({one["hash"] for one in listed}) == len(listed) > 2
        assert sum(one["usage"] for one in listed) <= client.credits()["total_usage"] + 1e-6
