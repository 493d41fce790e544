"""Fetching, side by side with its peers in one run: cold, slow, limited, faulty, and from the archive.

    python tests/benchmarks/bench_fetch.py [cold slow limit faults archive memory import]

Each line says what the target is, what was measured, and the rate or time of each side. Absolute figures belong to
the machine; the ratios are what counts.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import peers

import orstats


def ours(at: peers.Server, ids: list[str], workers: int, archive=False):
    with orstats.Client(at.key, base_url=at.base_url) as client:
        return orstats.fetch(ids, client=client, workers=workers, archive=archive, progress=False)


def seconds(call: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def ok(frame) -> int:
    return int((frame["fetch_status"] == "ok").sum())


def verdict(name: str, got: float, bound: float, *, at_least: bool, detail: str) -> None:
    good = got >= bound if at_least else got <= bound
    print(
        f"{'met ' if good else 'MISS'} {name}: {got:.3f} ({'>=' if at_least else '<='} {bound}) · {detail}", flush=True
    )


def cold() -> None:
    with peers.server(generations=4000) as at:
        peers.bare_urllib3(at, at.ids, 32)  # the server makes its records at first sight
        bare, mine = [], []
        for _ in range(5):
            took, results = seconds(lambda: peers.bare_urllib3(at, at.ids, 32))
            assert peers.lost(results) == 0
            bare.append(4000 / took)
            took, frame = seconds(lambda: ours(at, at.ids, 32))
            assert ok(frame) == 4000
            mine.append(4000 / took)
        loop, _ = seconds(lambda: peers.sdk_loop(at, at.ids[:1000]))
        gather, _ = seconds(lambda: peers.sdk_gather(at, at.ids[:1000], 32))
    ratio = statistics.median(m / b for m, b in zip(mine, bare, strict=True))
    rate, bare_rate = statistics.median(mine), statistics.median(bare)
    verdict("cold / bare urllib3", ratio, 0.65, at_least=True, detail=f"{rate:.0f}/s against {bare_rate:.0f}/s")
    verdict("cold / SDK loop", rate * loop / 1000, 3.5, at_least=True, detail=f"SDK loop {1000 / loop:.0f}/s")
    verdict("cold / SDK gather", rate * gather / 1000, 8, at_least=True, detail=f"SDK gather {1000 / gather:.0f}/s")


def slow() -> None:
    with peers.server(generations=4000, latency=0.1) as at:
        took, frame = seconds(lambda: ours(at, at.ids, 64))
        bare, _ = seconds(lambda: peers.bare_urllib3(at, at.ids, 64))
    assert ok(frame) == 4000
    detail = f"{4000 / took:.0f}/s of 640/s; bare urllib3 {4000 / bare:.0f}/s"
    verdict("100 ms, 64 workers / limit", 4000 / took / 640, 0.93, at_least=True, detail=detail)


def limit() -> None:
    for header in ("seconds", "reset"):
        options = {"per_second": 200, "burst": 40, "retry_after": header}
        with peers.server(generations=2000, rate_limit=options) as at:
            time.sleep(1)
            took, frame = seconds(lambda: ours(at, at.ids, 32))
            time.sleep(1)
            other, results = seconds(lambda: peers.urllib3_retry(at, at.ids, 32))
        ideal = (2000 - 40) / 200
        refused = int(frame["attempts"].sum()) - 2000
        assert ok(frame) == 2000
        detail = f"{took:.2f} s, ideal {ideal:.2f} s; urllib3.Retry {other:.2f} s, {peers.lost(results)} lost"
        verdict(f"200/s ({header}): time / ideal", took / ideal, 1.15, at_least=False, detail=detail)
        verdict(
            f"200/s ({header}): refused %", refused / 20, 4.0, at_least=False, detail=f"{refused} of 2000, none lost"
        )


def faults() -> None:
    with peers.server(generations=1000, faults={"rate": 0.3}) as at:
        took, frame = seconds(lambda: ours(at, at.ids, 32))
    with peers.server(generations=1000, faults={"rate": 0.3}) as at:
        other, results = seconds(lambda: peers.urllib3_retry(at, at.ids, 32))
    detail = f"{took:.2f} s; urllib3.Retry {other:.2f} s, {peers.lost(results)} lost"
    verdict("30 % faults: lost", 1000 - ok(frame), 0, at_least=False, detail=detail)


def archive() -> None:
    import requests_cache

    with tempfile.TemporaryDirectory() as folder, peers.server(generations=20_000) as at:
        path = Path(folder)
        ours(at, at.ids, 32, path / "archive")
        took, frame = seconds(lambda: ours(at, at.ids, 32, path / "archive"))
        assert ok(frame) == 20_000
        assert not frame["attempts"].any()
        few = at.ids[:3000]
        with requests_cache.CachedSession(str(path / "cache"), backend="sqlite") as session:
            session.headers.update(at.headers())
            for generation_id in few:
                session.get(at.url(generation_id))
            other, _ = seconds(lambda: [session.get(at.url(i)).json() for i in few])
    rate, cached = 20_000 / took, len(few) / other
    verdict(
        "archived / requests-cache", rate / cached, 50, at_least=True, detail=f"{rate:.0f}/s against {cached:.0f}/s"
    )


MEMORY = """
import resource, sys, time, orstats
base_url, key, path, number = sys.argv[1:]
ids = open(path).read().split()[: int(number)]
with orstats.Client(key, base_url=base_url) as client:
    frame = orstats.fetch(ids, client=client, workers=32, archive=False, progress=False)
assert (frame["fetch_status"] == "ok").all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, frame.memory_usage(deep=True).sum() / 2**20)
"""


def memory() -> None:
    with tempfile.TemporaryDirectory() as folder, peers.server(generations=100_000) as at:
        path = Path(folder) / "ids.txt"
        path.write_text("\n".join(at.ids))
        figures = []
        for number in (1_000, 100_000):
            command = [sys.executable, "-c", MEMORY, at.base_url, at.key, str(path), str(number)]
            peak, frame = map(float, subprocess.check_output(command, text=True).split())
            figures.append((peak, frame))
    (small, _), (large, frame) = figures
    detail = f"peak {small:.0f} MiB for 1,000 ids, {large:.0f} MiB for 100,000, whose frame is {frame:.0f} MiB"
    verdict("100,000 ids: growth of peak / result", (large - small) / frame, 3.0, at_least=False, detail=detail)


def imports() -> None:
    def cpu(*command: str) -> float:
        times = []
        for _ in range(7):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return statistics.median(times)

    both = cpu(sys.executable, "-c", "import pandas, requests")
    alone = cpu(sys.executable, "-c", "import orstats")
    fetch = cpu(sys.executable, "-c", "import orstats; orstats.fetch")
    detail = f"{alone:.2f} s against {both:.2f} s of CPU; with fetch loaded {fetch:.2f} s"
    verdict("import orstats / import pandas, requests", alone / both, 1.15, at_least=False, detail=detail)
    teach = cpu(str(Path(sys.executable).parent / "orstats"), "--help")
    verdict("orstats --help, CPU seconds", teach, 0.5, at_least=False, detail="median of 7")


PARTS = {f.__name__: f for f in (cold, slow, limit, faults, archive, memory)} | {"import": imports}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
