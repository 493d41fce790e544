"""How time and memory grow with the number of ids, cold and from the archive.

Run ``python tests/benchmarks/bench_scale.py [--quick] [--write] [sizes …]`` (default 1,000, 10,000, 100,000 and
1,000,000; the last takes about eight minutes and three gigabytes). Each size is fetched from a simulator in a process
of its own, and again from the archive in another one, whose peak memory is printed. The last lines say by how much more
than the ids time and memory grew: 1.0 is linear. ``--write`` puts the table into docs/explanation/speed.md.
"""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
import speed_page
from progress import progress

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def child(base_url: str, key: str, ids: str, archive: str) -> None:
    """Fetch, and return seconds, peak memory and the size of the DataFrame in MB."""
    import orstats

    requested = Path(ids).read_text("ascii").split()
    with orstats.Client(key, base_url=base_url) as client:
        started = time.perf_counter()
        frame = orstats.fetch(requested, client=client, workers=32, archive=archive, progress=False)
        took = time.perf_counter() - started
    assert (frame["fetch_status"] == "ok").all()
    used = resource.getrusage(resource.RUSAGE_SELF)
    held = float(frame.memory_usage(deep=True).sum()) / 1e6
    print(json.dumps([took, peers.peak_mb(), held, used.ru_utime + used.ru_stime]))


def measure(count: int) -> dict[str, list[float]]:
    """Fetch so many ids, then once more."""
    with tempfile.TemporaryDirectory() as folder, peers.server(generations=count) as at:
        ids = Path(folder, "ids.txt")
        ids.write_text("\n".join(at.ids), "ascii")
        command = [sys.executable, __file__, "--child", at.base_url, at.key, str(ids), f"{folder}/archive"]
        return {kind: json.loads(subprocess.check_output(command)) for kind in ("cold", "archived")}


def write(found: dict[int, dict[str, list[float]]]) -> None:
    """Write one line for each number of ids into the page."""
    rows = []
    for count, kinds in found.items():
        (took, peak, held, cpu), (again, peak_again, _, _) = kinds["cold"], kinds["archived"]
        cells = [
            *(f"{count:,}", f"{took:,.1f} s", f"{count / took:,.0f}", f"{cpu / count * 1e3:.2f}", f"{peak:,.0f}"),
            *(f"{again:,.2f} s", f"{count / again:,.0f}", f"{peak_again:,.0f}", f"{held:,.0f}"),
        ]
        rows.append(cells)
    header = (
        "ids",
        "fetched in",
        "ids/s",
        "CPU ms per id",
        "peak MB",
        "again, archived",
        "ids/s",
        "peak MB",
        "the DataFrame, MB",
    )
    speed_page.write_section("scale", header, rows)


def main(sizes: list[int], *, is_written: bool) -> None:
    """Measure each size, print the figures as they come, and how much more than the ids time and memory grow."""
    found: dict[int, dict[str, list[float]]] = {}
    print(f"{'ids':>10}  {'':<9}{'time':>10}{'ids/s':>11}{'CPU ms/id':>11}{'peak MB':>10}{'frame MB':>10}")
    for count in sizes:
        progress(f"{count:,} ids, at about 2,000 a second")
        found[count] = measure(count)
        for kind, (took, peak, held, cpu) in found[count].items():
            figures = f"{took:8.2f} s{count / took:11,.0f}{cpu / count * 1e3:11.3f}{peak:10,.0f}{held:10,.1f}"
            print(f"{count:>10,}  {kind:<9}{figures}", flush=True)
        if is_written:
            write(found)
    for small, large in itertools.pairwise(sizes):
        for kind in ("cold", "archived"):
            (t0, m0, _, _), (t1, m1, h1, _) = found[small][kind], found[large][kind]
            more = f"time {t1 / t0 / (large / small):.2f} of linear, {(m1 - m0) / h1:.1f} x the frame more memory"
            print(f"{small:,} → {large:,} {kind}: {more}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        chosen = [int(size.replace(",", "")) for size in sys.argv[1:] if not size.startswith("--")]
        main(chosen or list(SIZES[:2] if "--quick" in sys.argv else SIZES), is_written="--write" in sys.argv)
