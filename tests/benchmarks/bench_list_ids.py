"""How many requests `list_ids`, `list_generations` and `usage` need for a large account, and the fewest that could do.

Run it with ``python tests/benchmarks/bench_list_ids.py [GENERATIONS]``. The simulated account is made so that about so
many generations fall into 31 days; its limit of 64 requests a minute is lifted, else the waiting would be measured.
To read the books of a million generations would take the simulator two minutes. Only some thousands are read, and the
others get their figures: ids and times are those of the account, and requests depend on nothing else.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orstats import Client, list_generations, list_ids, usage
from orstats.api.rate_limit import FixedQuota
from orstats.api.retry import Retry
from orstats.ids.id_shapes import id_created_at
from orstats.sim import SimServer
from orstats.sim.ledger import read_entry

_MOST_ROWS = 10_000
_DAYS = timedelta(days=31)
# The simulator's traffic of 60 days grows by half: its last 31 days have so much of it.
_SHARE = 0.553
_READ = 20_000


def main() -> None:
    """List 31 days, check the ids against the truth, print the requests."""
    parser = argparse.ArgumentParser(description="Measure list_ids, list_generations and usage")
    parser.add_argument("generations", nargs="?", type=int, default=1_000_000, help="in 31 days, about")
    number = parser.parse_args().generations
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    start = until - _DAYS
    with SimServer(round(number / _SHARE), until=until, analytics_per_minute=None) as sim:
        begun = time.perf_counter()
        truth = [one for one in sim.ids if (id_created_at(one) or 0) >= start.timestamp()]
        write_books(sim)
        print(f"account    {len(truth):,} generations in 31 days, made in {time.perf_counter() - begun:.0f} s")
        fewest = math.ceil(len(truth) / _MOST_ROWS)
        client = sim.client(retry=Retry(max_elapsed=3600, attempts=30))
        client.analytics_limiter = FixedQuota(1_000_000, 1.0)
        ids, listing = measured(sim, client, lambda: list_ids(start, until, client=client, archive=False))
        seconds = [id_created_at(one) or 0 for one in ids]
        print(f"ids        {len(ids):,}, each once: {len(ids) == len(set(ids))}, all: {set(ids) == set(truth)}")
        print(f"in order   {seconds == sorted(seconds)}")
        report("list_ids", listing, fewest)
        listed, labelled = measured(
            sim, client, lambda: list_generations(start, until, labels="api_key", client=client, archive=False)
        )
        print(f"labelled   {len(listed):,}, the same ids in the same order: {list(listed.index) == ids}")
        report("list_generations, one label", labelled, fewest)
        print(f"           {labelled[0] / listing[0]:.2f} x the requests of list_ids")
        used, summed = measured(
            sim, client, lambda: usage(["api_key", "model"], freq="day", start=start, end=until, client=client)
        )
        print(f"usage      {len(used):,} rows, {used['generations'].sum():,} generations")
        report("usage by key, model and day", summed, 1)


def write_books(sim: SimServer) -> None:
    """Give the simulator its books: some generations as they are, the others with the figures of these."""
    state, account = sim._service.state, sim._account
    first = account._timeline.legacy
    stamps = list(account._timeline.stamps())
    read = [read_entry(account, state.keys_by_app, index) for index, *_ in stamps[: first + _READ]]
    pool = read[first:]
    copied = (
        replace(pool[index % len(pool)], index=index, created_us=created_us)
        for index, created_us, _ in stamps[len(read) :]
    )
    state._ledger = [*read, *copied]


def measured(sim: SimServer, client: Client, call: Callable[[], Any]) -> tuple[Any, tuple[int, float]]:
    """Return a result, and its requests and seconds."""
    client.analytics({"metrics": ["request_count"]})
    sim.reset_stats()
    begun = time.perf_counter()
    result = call()
    return result, (sim.requests, time.perf_counter() - begun)


def report(name: str, figures: tuple[int, float], fewest: int) -> None:
    """Print what a call needed."""
    requests, took = figures
    waiting = max(0, requests - 64) / 64 * 60
    print(f"{name}: {requests} requests, fewest possible {fewest}: {requests / fewest:.2f} x")
    print(f"           {took:.1f} s, and {waiting:.0f} s of waiting at 64 requests a minute")


if __name__ == "__main__":
    main()
