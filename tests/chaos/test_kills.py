"""kill -9 at random moments, again and again: what was fetched stays, nothing is torn, little is done twice."""

import os
import random
import time

import forked
import pyarrow.parquet as pq
import pytest

import orstats
from orstats.sim import SimServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

KILLS, IDS, WORKERS, LATENCY_S = 20, 7000, 8, 0.02
#: Written at least once a second, so that two seconds of work may be lost, and what was under way.
LOST_AT_MOST = 2 * WORKERS / LATENCY_S + WORKERS


def start(sim, ids, archive, workers):
    command = ["fetch", "--ids-from", ids, "--archive", archive, "-q", "-o", f"{archive}.csv", "--workers", workers]
    command += ["--base-url", sim.base_url]
    return forked.start(command, f"{archive}.err", OPENROUTER_API_KEY=sim.key)


def archived(place):
    """All stored records, read file by file; a torn one is an error."""
    rows = [pq.read_table(part, columns=["id"])["id"].to_pylist() for part in place.rglob("*.parquet")]
    return [one for part in rows for one in part]


def test_twenty_kills_lose_nothing_and_cost_two_seconds_each_at_most(tmp_path):
    rng = random.Random(20)
    place, ids = tmp_path / "archive", tmp_path / "ids.txt"
    with SimServer(IDS, seed=4, latency=LATENCY_S) as sim:
        ids.write_text("\n".join(sim.ids))
        have, repeated, kills = set(), [], 0
        while kills < KILLS:
            sim.reset_stats()
            process = start(sim, ids, place, WORKERS)
            while not sim.requests and process.is_alive():
                time.sleep(0.005)
            assert process.is_alive(), "it ended before it could be killed: give it more ids"
            # Chance, not a deadline: anywhere in its work. Two are late, to see that it is written in between.
            time.sleep(2.7 if kills in (5, 15) else rng.uniform(0, 1.25))
            process.kill()
            process.join()
            kills += 1
            asked = sim.stats.ids
            assert max(asked.values()) == 1
            assert not asked.keys() & have, "what was archived was asked for again"
            now_have = set(archived(place))
            assert now_have >= have, "what a kill found archived is archived after the next"
            repeated.append(len(asked.keys() - now_have))
            have = now_have
        assert max(repeated) <= LOST_AT_MOST, repeated
        sim.reset_stats()
        last = start(sim, ids, place, 64)
        last.join()
        assert last.exitcode == 0
        assert (tmp_path / "archive.err").read_text() == ""
        assert set(sim.stats.ids) == set(sim.ids) - have
        stored = archived(place)
        assert sorted(stored) == sorted(sim.ids), "each once"
        archive = orstats.Archive(place)
        assert archive.info()["damaged"].sum() == 0
        df = orstats.fetch(sim.ids, client=sim.client(), archive=archive)
        assert list(df["total_cost"]) == [sim.record(one)["total_cost"] for one in sim.ids]
    print(f"requests done twice after each kill: {sorted(repeated)}")  # noqa: T201 - shown by pytest -s
