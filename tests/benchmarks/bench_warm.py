"""Read 100,000 archived generations: orstats, pandas reading the same files, and requests-cache.

Run ``python tests/benchmarks/bench_warm.py [--quick] [--write]``. orstats finds the newest record of each id and
returns typed rows in the order of the ids; ``pandas.read_parquet`` returns the files as they are. Both are read in
turn, and the medians count. ``--write`` puts the table into docs/explanation/speed.md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime

import pandas as pd
import peers
import requests_cache
import speed_page
from progress import progress

import orstats
from orstats.frame.record_table import to_table
from orstats.sim import SimServer

BATCH = 4_000
ROUNDS = 25
MOST = 1.7
OURS, PANDAS, CACHE = speed_page.ORSTATS, "pandas.read_parquet of the archive", "requests-cache, SQLite"


def archived(count: int, folder: str) -> list[str]:
    """Store the records of a simulated account as a fetch does, without the time for HTTP; return the ids."""
    archive = orstats.Archive(folder)
    with SimServer(count, until=datetime(2026, 10, 1, tzinfo=UTC)) as sim:
        ids = sim.ids
        for first in range(0, count, BATCH):
            some = ids[first : first + BATCH]
            archive.append(
                "openrouter.ai", to_table(some, [sim.record(one) for one in some], [time.time()] * len(some))
            )
    return ids


def from_archive(count: int) -> dict[str, float]:
    """Return ids per second."""
    with tempfile.TemporaryDirectory() as folder:
        progress(f"store {count:,} records")
        ids = archived(count, folder)
        times: dict[str, list[float]] = {OURS: [], PANDAS: []}
        for number in range(ROUNDS):
            progress(f"read them, {number + 1} of {ROUNDS}")
            started = time.perf_counter()
            frame = orstats.fetch(ids, archive=folder, progress=False)
            times[OURS].append(time.perf_counter() - started)
            assert not frame["attempts"].any(), "all are in the archive"
            started = time.perf_counter()
            read = pd.read_parquet(f"{folder}/generations")
            times[PANDAS].append(time.perf_counter() - started)
            assert len(read) == len(frame)
            del frame, read
    return {name: count / statistics.median(took) for name, took in times.items()}


def from_cache(count: int) -> float:
    """Return the ids per second of requests-cache."""
    progress(f"requests-cache, {count:,} ids")
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.server(generations=count) as at,
        requests_cache.CachedSession(f"{folder}/cache") as session,
    ):
        session.headers.update(at.headers())
        for generation_id in at.ids:
            session.get(at.url(generation_id))
        started = time.perf_counter()
        for generation_id in at.ids:
            session.get(at.url(generation_id)).json()
        return count / (time.perf_counter() - started)


def main() -> None:
    quick = "--quick" in sys.argv
    rates = from_archive(10_000 if quick else 100_000)
    rates[CACHE] = from_cache(300 if quick else 3_000)
    for name, rate in rates.items():
        print(f"  {name:<36}{rate:12,.0f} ids/s{rates[PANDAS] / rate:10.2f} x the time of pandas.read_parquet")
    ratio = rates[PANDAS] / rates[OURS]
    print(f"{'met ' if ratio <= MOST else 'MISS'} warm: time / pandas.read_parquet: {ratio:.2f} (<= {MOST})")
    if "--write" in sys.argv:
        rows = [(speed_page.bold(name), f"{rate:,.0f}", f"{rates[PANDAS] / rate:,.2f}") for name, rate in rates.items()]
        header = ("", "ids/s", "time / pandas.read_parquet")
        speed_page.write_section("archive", header, rows, ("pandas", "pyarrow", "requests-cache"))


if __name__ == "__main__":
    main()
