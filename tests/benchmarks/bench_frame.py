"""How fast records become a frame, beside what pandas does with the same records, and what a million rows need.

Run ``python tests/benchmarks/bench_frame.py [records]`` (default 100,000). The figures compare within one run; the
memory is measured in a process of its own, which reads Parquet files as the archive has them.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from orstats.frame.build import build_frame
from orstats.frame.derive import derive
from orstats.frame.record_table import to_table

SECOND = 1_721_086_399
PARTS = 10
PART_ROWS = 100_000


def record(number: int, rng: random.Random) -> dict:
    """One generation as the API describes it, about 1.3 kB of JSON."""
    prompt, completion = rng.randrange(50, 9000), rng.randrange(1, 1500)
    cost = (prompt * 3 + completion * 15) / 1e6
    took = rng.uniform(400, 30_000)
    status = rng.choice([200] * 9 + [503])
    attempts = [
        {
            "provider_name": "DeepInfra",
            "status": code,
            "latency": rng.randrange(100, 3000),
            "is_byok": False,
            "model_permaslug": "meta-llama/llama-3.3-70b-instruct",
            "endpoint_id": "ep_4fQ8w1Zr6TgHk2Lm",
            "id": f"chatcmpl-{rng.getrandbits(80):020x}",
        }
        for code in ([200] if status == 200 else [503, 200])
    ]
    return {
        "id": f"gen-{SECOND + number // 3}-{number:020d}",
        "created_at": f"2024-07-{rng.randrange(1, 31):02d}T23:33:19.{rng.randrange(10**6):06d}+00:00",
        "model": rng.choice(["anthropic/claude-sonnet-4", "openai/gpt-5-mini", "meta-llama/llama-3.3-70b-instruct"]),
        "provider_name": rng.choice(["Anthropic", "OpenAI", "DeepInfra"]),
        "api_type": "completions",
        "total_cost": cost,
        "usage": cost,
        "upstream_inference_cost": 0,
        "cache_discount": None,
        "is_byok": False,
        "tokens_prompt": prompt,
        "tokens_completion": completion,
        "native_tokens_prompt": prompt + 7,
        "native_tokens_completion": completion + 3,
        "native_tokens_reasoning": 0,
        "native_tokens_cached": prompt // 2,
        "native_tokens_completion_images": 0,
        "num_media_prompt": 0,
        "num_input_audio_prompt": 0,
        "num_media_completion": 0,
        "num_search_results": None,
        "num_fetches": None,
        "web_search_engine": None,
        "latency": rng.uniform(100, 400),
        "generation_time": took,
        "moderation_latency": None,
        "streamed": True,
        "cancelled": False,
        "finish_reason": "stop",
        "native_finish_reason": "end_turn",
        "provider_responses": attempts,
        "service_tier": "default",
        "router": None,
        "preset_id": None,
        "response_cache_source_id": None,
        "request_id": f"req-{SECOND}-{rng.getrandbits(80):020x}",
        "session_id": f"session-{rng.randrange(5000)}",
        "upstream_id": f"chatcmpl-{rng.getrandbits(80):020x}",
        "external_user": f"user-{rng.randrange(3000)}",
        "app_id": 12345,
        "workspace_id": "550e8400-e29b-41d4-a716-446655440000",
        "origin": "https://app.example.com/",
        "http_referer": "https://app.example.com/",
        "user_agent": "python-requests/2.32.3",
        "data_region": "global",
    }


def timed(label: str, rows: int, work) -> None:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    print(f"{label:<36}{best:8.3f} s{rows / best:14,.0f} rows/s")


def rates(count: int) -> None:
    rng = random.Random(7)
    bodies = [orjson.dumps(record(number, rng)) for number in range(count)]
    print(f"{count:,} records of {sum(map(len, bodies)) / count:,.0f} bytes, best of three")
    records = [orjson.loads(body) for body in bodies]
    ids = [one["id"] for one in records]
    at = [float(SECOND)] * count
    table = to_table(ids, records, at)
    timed("to_table", count, lambda: to_table(ids, records, at))
    timed("  of it derive", count, lambda: derive(table))
    timed("assemble", count, lambda: build_frame(ids, [table], {}))
    timed("to_table + assemble", count, lambda: build_frame(ids, [to_table(ids, records, at)], {}))
    unexpected = [one | {"total_cost": str(one["total_cost"]), "new_field": 1} for one in records]
    timed("to_table, costs as text, new field", count, lambda: to_table(ids, unexpected, at))
    timed("pd.DataFrame(records)", count, lambda: pd.DataFrame(records))
    timed("pd.json_normalize(records)", count, lambda: pd.json_normalize(records))


def memory() -> None:
    """Write a million records as Parquet, then let a fresh process read and assemble them."""
    with tempfile.TemporaryDirectory() as folder:
        rng = random.Random(7)
        for part in range(PARTS):
            records = [record(part * PART_ROWS + row, rng) for row in range(PART_ROWS)]
            table = to_table([one["id"] for one in records], records, [float(SECOND)] * PART_ROWS)
            pq.write_table(table, Path(folder) / f"{part}.parquet", compression="zstd")
            del records, table
        for order in ("as stored", "shuffled"):
            subprocess.run([sys.executable, __file__, "--child", folder, order], check=True)


def child(folder: str, order: str) -> None:
    idle = peak()
    start = time.perf_counter()
    tables = [pq.read_table(path) for path in sorted(Path(folder).glob("*.parquet"))]
    ids = [one for table in tables for one in table["id"].to_pylist()]
    if order == "shuffled":
        random.Random(1).shuffle(ids)
    ready, held = time.perf_counter(), pa.total_allocated_bytes()
    frame = build_frame(ids, tables, {})
    done = time.perf_counter()
    assert (frame["fetch_status"] == "ok").all()
    print(
        f"{len(frame):,} rows, {order}: read {ready - start:.1f} s, assemble {done - ready:.1f} s; "
        f"peak {peak():,.0f} MB, of which {idle:,.0f} MB before the read and {held / 1e6:,.0f} MB tables"
    )


def peak() -> float:
    """MB of this process at its largest (Linux); ru_maxrss would count the parent's before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        rates(int(sys.argv[1]) if sys.argv[1:] else 100_000)
        memory()
