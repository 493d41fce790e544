from datetime import UTC, datetime

import orjson
import pytest
import urllib3

from orstats.sim import SimServer

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def sim():
    """A server that nothing goes wrong with; tests that count requests start their own."""
    with SimServer(1000, seed=11, until=UNTIL) as server:
        yield server


@pytest.fixture(scope="session")
def records(sim):
    return [sim.record(identifier) for identifier in sim.ids]


@pytest.fixture
def ask():
    """Ask a server as a client would, without retries: ask(server, "/generation", id=…, key=…) -> status, JSON."""
    pool = urllib3.PoolManager(retries=False, timeout=20)

    def call(server, path, *, key=None, body=None, method=None, **fields):
        headers = {"Authorization": f"Bearer {key or server.key}"}
        url = f"{server.base_url}{path}"
        if body is None:
            answer = pool.request(method or "GET", url, fields=fields, headers=headers)
        else:
            answer = pool.request(method or "POST", url, body=orjson.dumps(body), headers=headers)
        return answer.status, orjson.loads(answer.data)

    yield call
    pool.clear()
