"""Several processes fetch overlapping ids into one archive while it is compacted: run as a script, one of them."""

import os
import subprocess
import sys
from pathlib import Path

import orstats
from orstats.sim import Faults, SimServer

IDS = 900


def start(*arguments):
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_that_fetch_overlapping_ids_while_the_archive_is_compacted(tmp_path):
    fetchers = 6
    place, names = tmp_path / "archive", tmp_path / "ids.txt"
    with SimServer(IDS, seed=9, latency=0.005, faults=Faults(rate=0.2, retry_after_s=0)) as sim:
        names.write_text("\n".join(sim.ids))
        # Each takes three quarters of the ids, another three quarters than the next one.
        parts = [[n * IDS // fetchers, 3 * IDS // 4] for n in range(fetchers)]
        job = ["fetch", place, names, sim.base_url, sim.key]
        processes = [start(*job, *part) for part in parts]
        reader = start("read", place, names, sim.base_url, sim.key, 0, IDS)
        for process in (*processes, reader):
            assert process.stdout.readline() == "ready\n"
        for process in (*processes, reader):
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait() for process in processes] == [0] * fetchers
        reader.stdin.close()
        assert int(reader.stdout.read()) > 0
        assert reader.wait() == 0
        for process in (*processes, reader):
            process.stdout.close()
            process.stdin.close()
        archive = orstats.Archive(place)
        host = sim.client().settings.host
        assert sorted(archive.read(host)["id"].to_pylist()) == sorted(sim.ids)
        archive.compact()
        info = archive.info().iloc[0]
        assert (info["damaged"], info["ids"], info["rows"]) == (0, IDS, IDS)
        sim.reset_stats()
        df = orstats.fetch(sim.ids, client=sim.client(), archive=archive)
        assert sim.requests == 0
        assert list(df["total_cost"]) == [sim.record(one)["total_cost"] for one in sim.ids]
    assert not [path for path in place.rglob(".*") if path.is_file()]


def fetch(archive, client, ids):
    """In four pieces, so that the second of them finds what others stored meanwhile."""
    step = len(ids) // 4 + 1
    for first in range(0, len(ids), step):
        df = orstats.fetch(ids[first : first + step], client=client, archive=archive, workers=4, progress=False)
        assert (df["fetch_status"] == "ok").all()


def read(archive, client, ids):
    """Read and compact until told to end; what was once there is always there."""
    import threading  # noqa: PLC0415 - this process only

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    had, readings = set(), 0
    while not ended.is_set():
        have = archive.read(client.settings.host, ids)["id"].to_pylist()
        assert len(have) == len(set(have))
        assert set(have) >= had
        assert archive.info()["damaged"].sum() == 0
        had, readings = set(have), readings + 1
        archive.compact()
    print(readings, flush=True)  # noqa: T201 - the parent reads it


def main(action, place, names, base_url, key, first, count):
    ids = Path(names).read_text().split()
    ids = (ids + ids)[int(first) : int(first) + int(count)]
    client = orstats.Client(key, base_url=base_url, retry=orstats.Retry(first_wait=0.01, max_wait=0.05))
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    sys.stdin.readline()
    {"fetch": fetch, "read": read}[action](orstats.Archive(place), client, ids)


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "error"
    main(*sys.argv[1:])
