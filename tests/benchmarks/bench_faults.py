"""10,000 ids under faults, five times: is any lost? ``python tests/benchmarks/bench_faults.py [ids [seeds]]``."""

import sys
import tempfile
import time

import orstats
from orstats.sim import Faults, SimServer

SHARE = 0.3


def lost(ids: int, seed: int) -> int:
    """Fetch into an archive while 30 % of the ids meet one to three faults; say what happened, return what is lost."""
    faults = Faults(rate=SHARE, seed=seed, repeat=3, retry_after_s=0)
    with tempfile.TemporaryDirectory() as place, SimServer(ids, seed=seed, faults=faults) as sim:
        client = sim.client(retry=orstats.Retry(first_wait=0.02, max_wait=0.2))
        started = time.perf_counter()
        df = orstats.fetch(sim.ids, client=client, archive=place, workers=32, progress=False)
        took = time.perf_counter() - started
        right = [sim.record(one)["total_cost"] for one in sim.ids]
        same = list(df.index) == sim.ids and list(df["total_cost"]) == right
        info = orstats.Archive(place).info().iloc[0]
        missing = int((df["fetch_status"] != "ok").sum()) + ids - int(info["ids"])
        twice = int(info["rows"] - info["ids"])
        met = sum(sim.stats.faults.values())
    print(
        f"seed {seed}: {ids:,} ids, {met:,} faults, {took:5.1f} s ({ids / took:,.0f} ids/s), lost {missing}, "
        f"stored twice {twice}, values {'right' if same else 'WRONG'}",
        flush=True,
    )
    return missing + twice + (not same)


if __name__ == "__main__":
    ids = int(sys.argv[1]) if sys.argv[1:] else 10_000
    seeds = int(sys.argv[2]) if sys.argv[2:] else 5
    sys.exit(1 if sum([lost(ids, seed) for seed in range(seeds)]) else 0)
