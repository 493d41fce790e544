"""How many requests `list_ids` needs for a large account, beside the fewest that could do.

Run it with ``python tests/benchmarks/bench_list_ids.py [GENERATIONS]``. The simulated account is made so that about so
many generations fall into 31 days; its limit of 64 requests a minute is lifted, else the waiting would be measured.
A million takes some five minutes and 2 GB, nearly all of it the simulator's, which reads its books first.
"""

from __future__ import annotations

import argparse
import math
import time
from datetime import UTC, datetime, timedelta

from orstats import list_ids
from orstats.api.rate_limit import FixedQuota
from orstats.api.retry import Retry
from orstats.ids.id_shapes import id_created_at
from orstats.sim import SimServer

_MOST_ROWS = 10_000
_DAYS = timedelta(days=31)
# The simulator's traffic of 60 days grows by half: its last 31 days have so much of it.
_SHARE = 0.553


def main() -> None:
    """List the ids of 31 days, check them against the truth, print the requests."""
    parser = argparse.ArgumentParser(description="Measure list_ids")
    parser.add_argument("generations", nargs="?", type=int, default=1_000_000, help="in 31 days, about")
    number = parser.parse_args().generations
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    with SimServer(round(number / _SHARE), until=until, analytics_per_minute=None) as sim:
        truth = [one for one in sim.ids if (id_created_at(one) or 0) >= (until - _DAYS).timestamp()]
        client = sim.client(retry=Retry(max_elapsed=3600, attempts=30))
        client.analytics_limiter = FixedQuota(1_000_000, 1.0)
        client.analytics({"metrics": ["request_count"]})  # the simulator reads its books
        sim.reset_stats()
        begun = time.perf_counter()
        ids = list_ids(until - _DAYS, until, client=client, archive=False)
        took = time.perf_counter() - begun
        requests = sim.requests
    fewest = math.ceil(len(truth) / _MOST_ROWS)
    seconds = [id_created_at(one) or 0 for one in ids]
    print(f"ids        {len(ids):,}, each once: {len(ids) == len(set(ids))}, all: {set(ids) == set(truth)}")
    print(f"in order   {seconds == sorted(seconds)}")
    print(f"requests   {requests}, fewest possible {fewest}: {requests / fewest:.2f} x")
    print(f"time       {took:.1f} s, and {max(0, requests - 64) / 64 * 60:.0f} s of waiting at 64 a minute")


if __name__ == "__main__":
    main()
