"""fetch against faults of every kind, rate limits, and servers that restart."""

import socket
import threading
import time

import pandas as pd
import pytest
from simulated import UNTIL, wait_for

import orstats
from orstats.sim import Faults, RateLimit, SimServer
from orstats.sim.faults import DEFAULT_KINDS

QUICK = orstats.Retry(first_wait=0.01, max_wait=0.05)


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_each_transient_fault_is_retried(kind):
    faults = Faults(rate=1.0, kinds=[kind], retry_after_s=0)
    with SimServer(12, faults=faults) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(retry=QUICK))
        assert (df["fetch_status"] == "ok").all(), df["error"].dropna().tolist()
        assert (df["attempts"] == 2).all()


def test_no_id_is_lost_to_many_faults():
    faults = Faults(rate=0.3, retry_after_s=0, repeat=2)
    with SimServer(1000, faults=faults) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(retry=QUICK), workers=32)
    assert (df["fetch_status"] == "ok").all()
    assert df["attempts"].max() > 1


@pytest.mark.parametrize(
    ("kind", "status", "http_status", "requests"),
    [
        ("400", "invalid_id", 400, 1),
        ("403", "forbidden", 403, 1),
        ("404", "not_found", 404, 1),
        ("429", "rate_limited", 429, 3),
        ("500", "server_error", 500, 3),
        ("408", "server_error", 408, 3),
        ("529", "server_error", 529, 3),
        ("reset", "network_error", None, 3),
        ("cut", "network_error", None, 3),
        ("html-200", "bad_response", 200, 3),
        ("truncated", "bad_response", 200, 3),
        ("redirect", "bad_response", 302, 1),
        ("hang", "network_error", None, 3),
    ],
)
def test_permanent_fault_is_one_failed_row_with_the_reason(kind, status, http_status, requests):
    victim = next(i for i in SimServer(20, until=UNTIL).ids if i.startswith("gen-1"))
    bad = Faults(rate=0, always={victim: kind}, retry_after_s=0)
    with SimServer(20, until=UNTIL, faults=bad) as sim:
        timeout = 0.3 if kind == "hang" else 10
        client = sim.client(retry=orstats.Retry(attempts=3, first_wait=0.01), timeout=timeout)
        df = orstats.fetch(sim.ids, client=client)
        row = df.loc[victim]
        assert row["fetch_status"] == status
        assert row["attempts"] == requests == sim.stats.ids[victim]
        assert pd.isna(row["http_status"]) if http_status is None else row["http_status"] == http_status
        assert victim in row["error"]
        assert pd.isna(row["cost_usd"])
        assert pd.isna(row["total_cost"])
        assert (df.drop(index=victim)["fetch_status"] == "ok").all()


def test_rate_limit_is_learned_once_and_kept_with_the_client():
    limit = RateLimit(300, burst=30, retry_after="seconds")
    with SimServer(900, rate_limit=limit) as sim:
        client = sim.client()
        first = orstats.fetch(sim.ids[:600], client=client, workers=32)
        refused = sim.stats.refusals
        second = orstats.fetch(sim.ids[600:], client=client, workers=32)
        assert (first["fetch_status"] == "ok").all()
        assert (second["fetch_status"] == "ok").all()
        assert client.rate_limiter.pace is not None
        assert sim.stats.refusals - refused < 30


@pytest.mark.parametrize("status", [420, 502])
def test_rate_limit_with_any_transient_status_is_detected(status):
    with SimServer(250, rate_limit=RateLimit(100, burst=50, status=status, retry_after="none")) as sim:
        df = orstats.fetch(sim.ids, client=sim.client())
        assert (df["fetch_status"] == "ok").all()
        assert sim.requests < 2 * len(sim.ids)  # failures that may be chance are believed on more evidence


def test_dripping_response_is_given_up_in_bounded_time():
    with SimServer(3, faults=Faults(rate=1.0, kinds=["drip"], drip_s=0.05)) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(timeout=0.4, retry=QUICK))
    assert (df["fetch_status"] == "ok").all()
    assert (df["attempts"] > 1).all()


def test_netrc_cannot_replace_the_key_and_proxies_do_not_see_loopback(sim, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    df = orstats.fetch(sim.ids[:3], client=sim.client())
    assert (df["fetch_status"] == "ok").all()


def test_server_restart_loses_nothing():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with SimServer(600, latency=0.005, port=port) as sim:
        client = sim.client(retry=orstats.Retry(attempts=40, first_wait=0.05, max_wait=0.3))
        frames = []
        worker = threading.Thread(target=lambda: frames.append(orstats.fetch(sim.ids, client=client, workers=4)))
        worker.start()
        wait_for(lambda: sim.requests > 100)
        sim.stop()
        time.sleep(0.4)
        sim.start()
        worker.join()
    assert (frames[0]["fetch_status"] == "ok").all()
