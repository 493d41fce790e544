"""How fast the archive answers, and what it needs in memory.

Run ``python tests/benchmarks/bench_archive.py [rows] [directory]`` (default 1,000,000). With a directory the archive is
kept there and used again. Each reading is measured in a process of its own; its memory is the peak of that process,
what importing the library needs included.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import pyarrow as pa
from bench_frame import record

from orstats.archive.archive import Archive
from orstats.frame.record_table import to_table

HOST = "openrouter.ai"
BATCH = 4_000
SECOND = 1_721_086_399


def batch(first: int, count: int, rng: random.Random) -> pa.Table:
    records = [orjson.loads(orjson.dumps(record(number, rng))) for number in range(first, first + count)]
    return to_table([one["id"] for one in records], records, [time.time()] * count)


def fill(archive: Archive, rows: int) -> None:
    """Store ``rows`` records as a fetch does: 4,000 at a time, in the order of time."""
    rng = random.Random(7)
    spent = 0.0
    for first in range(0, rows, BATCH):
        table = batch(first, min(BATCH, rows - first), rng)
        start = time.perf_counter()
        archive.append(HOST, table)
        spent += time.perf_counter() - start
    print(f"{'append, 4,000 rows each':<44}{spent:8.3f} s{rows / spent:14,.0f} rows/s")


def peak_gb() -> float:
    """The most memory that this process had; getrusage would count the parent's as well."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1e6


def ids_of(kind: str, rows: int) -> list[str] | None:
    rng = random.Random(11)
    requested = min(20_000, rows)
    numbers = {
        "20,000 of one time": range(rows // 2, rows // 2 + requested),
        "20,000 anywhere": rng.sample(range(rows), requested),
        "20,000 unknown": range(10 * rows, 10 * rows + requested),
        "all, asked by id": rng.sample(range(rows), rows),
    }
    return None if kind == "all" else [f"gen-{SECOND + n // 3}-{n:020d}" for n in numbers[kind]]


KINDS = ("20,000 of one time", "20,000 anywhere", "20,000 unknown", "all", "all, asked by id")


def read(path: str, kind: str, rows: int) -> None:
    archive = Archive(path)
    ids = ids_of(kind, rows)
    archive.read(HOST, ["warm-up"])
    start = time.perf_counter()
    table = archive.read(HOST, ids)
    spent = time.perf_counter() - start
    peak = peak_gb()
    print(
        f"  {'read ' + kind:<42}{spent:8.3f} s{peak:10.2f} GB peak{table.num_rows:12,} rows{table.nbytes / 1e9:7.2f} GB"
    )


def readings(path: str, rows: int, label: str) -> None:
    files = Archive(path).info()
    print(f"{label}: {files['parts'].iloc[0]} files, {files['bytes'].iloc[0] / 1e6:,.0f} MB")
    for kind in KINDS:
        subprocess.run([sys.executable, __file__, "--read", path, kind, str(rows)], check=True)


def main(rows: int, directory: str) -> None:
    archive = Archive(directory)
    if not archive.hosts():
        fill(archive, rows)
    if len(list(Path(directory).rglob("*.parquet"))) > 1:
        readings(directory, rows, "as fetched")
        start = time.perf_counter()
        (done,) = archive.compact()
        spent = time.perf_counter() - start
        print(
            f"{'compact':<44}{spent:8.3f} s{peak_gb():10.2f} GB peak, {done.parts_before} -> {done.parts_after} files"
        )
    readings(directory, rows, "compacted")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        count = int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else 1_000_000
        if len(sys.argv) > 2:
            main(count, sys.argv[2])
        else:
            with tempfile.TemporaryDirectory() as place:
                main(count, place)
