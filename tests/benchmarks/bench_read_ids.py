"""How fast `read_ids` goes through a log, beside the loop that everybody writes first.

Run it with ``python tests/benchmarks/bench_read_ids.py [MEGABYTES]``. The log is made in a temporary directory:
one line in four names a generation, every generation is named four times, and the other lines look as an
application's do. Rates are of the best of three runs, memory is the peak of what Python allocated in a run of its own.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import random
import re
import string
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from orstats.ids.read import read_ids

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNS = 3
_NAMED = 4
_NAIVE = re.compile(r"gen-[0-9]{10}-[A-Za-z0-9]{20}")


def main() -> None:
    """Make the logs, read them in every way, print a table."""
    parser = argparse.ArgumentParser(description="Measure read_ids")
    parser.add_argument("megabytes", nargs="?", type=int, default=200, help="size of the log")
    size = parser.parse_args().megabytes * 1_000_000
    logging.getLogger("orstats.ids").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "app.log")
        distinct = write_log(log, size)
        packed = Path(folder, "app.log.gz")
        with gzip.open(packed, "wb", compresslevel=1) as file:
            file.write(log.read_bytes())
        print(f"{log.stat().st_size / 1e6:.0f} MB of log, {distinct:,} distinct ids\n")
        print(f"{'':34}{'MB/s':>8}{'peak MB':>10}{'ids':>12}")
        report("read_ids, log", log, read_ids, size)
        report("line-by-line regex, log", log, naive, size)
        report("read_ids, gzip (of unpacked MB)", packed, read_ids, size)
        report("line-by-line regex, gzip", packed, naive, size)
        report("gunzip alone", packed, unpack, size)
        few = Path(folder, "few.log")
        write_log(few, size, every=10_000)
        report("read_ids, log with few ids", few, read_ids, size)


def write_log(path: Path, size: int, *, every: int = 4) -> int:
    """Write a log in which one line in `every` names a generation; give the number of distinct ids."""
    dice = random.Random(0)
    letters = string.ascii_letters + string.digits
    id_ = ""
    written = lines = named = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            lines += 1
            at = f"2026-11-23T10:{lines // 60 % 60:02d}:{lines % 60:02d}.{lines % 1000:03d}Z"
            if lines % every == 0:
                if named % _NAMED == 0:
                    id_ = f"gen-{dice.randint(1_700_000_000, 1_790_000_000)}-{''.join(dice.choices(letters, k=20))}"
                named += 1
                line = f"{at} INFO [worker-{lines % 16}] agent: generation {id_} model=a/b tokens={lines}\n"
            elif lines % 3 == 0:
                line = f'{{"ts":"{at}","level":"info","msg":"urgent step generated","user":"u{lines}"}}\n'
            else:
                line = f'10.0.0.{lines % 255} - - [{at}] "GET /static/generic/{lines}.js HTTP/1.1" 200 "Mozilla/5.0"\n'
            written += file.write(line)
    return -(-named // _NAMED)


def naive(path: Path) -> list[str]:
    """Search every line with a regular expression."""
    found: dict[str, None] = {}
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            found.update(dict.fromkeys(_NAIVE.findall(line)))
    return list(found)


def unpack(path: Path) -> list[str]:
    """Only unpack: no reader of gzip can be faster."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass
    return []


def report(name: str, path: Path, read: Callable[[Path], list[str]], size: int) -> None:
    """Measure one way, and print its line."""
    seconds = min(timed(read, path) for _ in range(_RUNS))
    tracemalloc.start()
    ids = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{name:34}{size / 1e6 / seconds:8.0f}{peak / 1e6:10.1f}{len(ids):12,}")


def timed(read: Callable[[Path], list[str]], path: Path) -> float:
    """Give the seconds of one run."""
    start = time.perf_counter()
    read(path)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
