"""What https costs: CPU for each new connection with a full CA bundle, and the rate of kept ones beside bare urllib3.

    python tests/benchmarks/bench_tls.py [--quick]

The simulator listens with TLS in a process of its own. Its private CA is the last of a bundle that also has all of
certifi's. Targets: at most 10 ms of CPU for a new connection, at least 0.85 of the rate of bare urllib3 threads.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import peers
import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

import orstats

WORKERS, ROUNDS = 16, 5
#: What comes before the first request must not count: imports, the records that the server makes at first sight.
WARM = 20


def new_connections(at: peers.Server, number: int) -> dict[str, float]:
    """Return the milliseconds of CPU that a request on a new connection takes, for each way."""
    session = requests.Session()
    client = orstats.Client(at.key, base_url=at.base_url)

    def ours(one: str) -> None:
        client.ask_generation(one)
        client.close()

    def with_requests(one: str) -> None:
        session.get(at.url(one), headers=at.headers() | {"Connection": "close"}).raise_for_status()
        session.close()

    return {"orstats": _cpu_ms(ours, at.ids[:number]), "requests": _cpu_ms(with_requests, at.ids[: number // 2])}


def _cpu_ms(ask: Callable[[str], None], ids: list[str]) -> float:
    for one in ids[:3]:
        ask(one)
    before = time.process_time()
    for one in ids:
        ask(one)
    return 1000 * (time.process_time() - before) / len(ids)


def kept_connections(at: peers.Server, ids: list[str]) -> dict[str, tuple[float, float]]:
    """Return requests a second, and a second of CPU, on kept connections; medians of rounds in turn."""
    rates: dict[str, list[tuple[float, float]]] = {"orstats": [], "bare urllib3": []}
    pool = urllib3.PoolManager(maxsize=WORKERS, ca_certs=os.environ["REQUESTS_CA_BUNDLE"])
    with orstats.Client(at.key, base_url=at.base_url) as client:
        ways: dict[str, Callable[[list[str]], object]] = {
            "orstats": lambda some: orstats.fetch(some, client=client, archive=False, workers=WORKERS, progress=False),
            "bare urllib3": lambda some: peers.in_threads(
                some, WORKERS, lambda one: pool.request("GET", at.url(one), headers=at.headers()).json()["data"]
            ),
        }
        for ask in ways.values():
            ask(ids[: WARM * WORKERS])
        for _ in range(ROUNDS):
            for name, ask in ways.items():
                started, before = time.perf_counter(), time.process_time()
                ask(ids)
                took, used = time.perf_counter() - started, time.process_time() - before
                rates[name].append((len(ids) / took, len(ids) / used))
    return {
        name: (statistics.median(rate for rate, _ in each), statistics.median(rate for _, rate in each))
        for name, each in rates.items()
    }


def main() -> None:
    """Measure both and print them."""
    number, many = (20, 300) if "--quick" in sys.argv else (100, 3000)
    with peers.server(generations=many, tls=True) as at, tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle.pem"
        bundle.write_bytes(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes() + Path(str(at.ca_file)).read_bytes())
        os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)
        for name, milliseconds in new_connections(at, number).items():
            print(f"new connection      {name:14} {milliseconds:8.1f} ms CPU")
        rates = kept_connections(at, at.ids)
        for name, (rate, per_cpu) in rates.items():
            print(f"kept connections    {name:14} {rate:8,.0f} requests/s {per_cpu:8,.0f} requests per second of CPU")
        ours, bare = rates["orstats"], rates["bare urllib3"]
        print(f"ratio               {ours[0] / bare[0]:.2f}, by CPU {ours[1] / bare[1]:.2f}")


if __name__ == "__main__":
    main()
