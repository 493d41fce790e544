"""How fast reports are: beside a hand-written pandas groupby of the same figures, and over big archives by DuckDB.

Run ``python tests/benchmarks/bench_report.py [rows] [archived rows …]`` (default 1,000,000, then archives of 1,000,000
and 10,000,000; these take a gigabyte of temporary disk). Ratios compare within one run. Each report of an archive is
made in a process of its own, whose peak memory is printed.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from bench_frame import SECOND, peak, record

import orstats
from orstats.frame.build import build_frame
from orstats.frame.record_table import to_table

DIFFERENT = 20_000
PART = 1_000_000
LATER = pd.Timedelta(days=400)
REPORTS = ("cost_by", "tokens_by", "latency_by", "failures_by")
TIMES = ["latency", "generation_time", "throughput_tok_s", "decode_tok_s"]
TOKENS = [f"native_tokens_{name}" for name in ("prompt", "completion", "reasoning", "cached")]


def records(count: int, seed: int) -> pa.Table:
    """So many generations: 20,000 different ones again and again, each with an id of its own."""
    rng = random.Random(7)
    different = [record(number, rng) for number in range(DIFFERENT)]
    table = to_table([one["id"] for one in different], different, [float(SECOND)] * DIFFERENT)
    draw = np.random.default_rng(seed)
    table = table.take(pa.array(draw.integers(0, DIFFERENT, count)))
    ids = [f"gen-{SECOND}-{number:020d}" for number in draw.integers(0, 2**62, count)]
    return table.set_column(0, "id", pa.array(ids))


def cost_by_hand(ok: pd.DataFrame) -> pd.DataFrame:
    both = ok["cost_usd"].notna() & ok["tokens_total"].notna()
    parts = ok[["model", "cost_usd", "total_cost", "tokens_total", "cache_discount"]].assign(
        byok=ok["upstream_inference_cost"].where(ok["is_byok"], 0.0),
        rated_usd=ok["cost_usd"].where(both),
        rated_tokens=ok["tokens_total"].where(both),
    )
    groups = parts.groupby("model", dropna=False)
    report = groups.sum(min_count=1)
    report["generations"] = groups.size()
    report["unknown"] = report["generations"] - groups["cost_usd"].count()
    report[["p50", "p95"]] = groups["cost_usd"].quantile([0.5, 0.95]).unstack()  # noqa: PD010 - same
    report["mean"] = groups["cost_usd"].mean()
    report["share"] = report["cost_usd"] / report["cost_usd"].sum()
    report["usd_per_mtok"] = report["rated_usd"] / report["rated_tokens"] * 1e6
    return report.sort_values("cost_usd", ascending=False)


def tokens_by_hand(ok: pd.DataFrame) -> pd.DataFrame:
    cached = ok["native_tokens_cached"].notna() & ok["native_tokens_prompt"].notna()
    reasoned = ok["native_tokens_reasoning"].notna() & ok["native_tokens_completion"].notna()
    parts = ok[["model", *TOKENS, "tokens_total"]].assign(
        cached=ok["native_tokens_cached"].where(cached),
        cacheable=ok["native_tokens_prompt"].where(cached),
        reasoned=ok["native_tokens_reasoning"].where(reasoned),
        reasonable=ok["native_tokens_completion"].where(reasoned),
    )
    groups = parts.groupby("model", dropna=False)
    report = groups.sum(min_count=1)
    report["generations"] = groups.size()
    report["unknown"] = report["generations"] - groups["tokens_total"].count()
    report["share"] = report["tokens_total"] / report["tokens_total"].sum()
    report["hit_rate"] = report["cached"] / report["cacheable"]
    report["reasoning_share"] = report["reasoned"] / report["reasonable"]
    return report.sort_values("tokens_total", ascending=False)


def latency_by_hand(ok: pd.DataFrame) -> pd.DataFrame:
    groups = ok.groupby(["model", "streamed"], dropna=False)
    quantiles = groups[TIMES].quantile([0.5, 0.9, 0.95, 0.99]).unstack()  # noqa: PD010 - there is nothing to aggregate
    quantiles.columns = [f"{name}_p{at * 100:.0f}" for name, at in quantiles.columns]
    return quantiles.join(groups[TIMES].count().add_suffix("_n")).assign(generations=groups.size())


def failures_by_hand(ok: pd.DataFrame) -> pd.DataFrame:
    lost = ok["cost_usd"].where((ok["finish_reason"] == "error") | ok["cancelled"].fillna(value=False), 0.0)
    report = ok.groupby(["model", "finish_reason"], dropna=False).size().unstack(fill_value=0)  # noqa: PD010 - same
    parts = pd.DataFrame({"model": ok["model"], "cancelled": ok["cancelled"], "lost": lost})
    report = report.join(parts.groupby("model", dropna=False).sum())
    rows = []
    for model, written in zip(ok["model"], ok["provider_responses"], strict=True):
        chain = orjson.loads(written) if isinstance(written, str) else []
        refused = True
        for place, one in enumerate(chain):
            refused = refused and not 200 <= (one["status"] or 0) < 300
            rows.append((model, refused, refused and place + 1 < len(chain), one["latency"] if refused else None))
    tries = pd.DataFrame(rows, columns=["model", "failed_attempts", "fallbacks", "failed_attempt_ms"])
    groups = tries.groupby("model", dropna=False)
    return report.join(groups.sum()).assign(attempts=groups.size())


def sessions_by_hand(ok: pd.DataFrame) -> pd.DataFrame:
    return ok.groupby("session_id").agg(
        generations=("cost_usd", "size"),
        cost_usd=("cost_usd", "sum"),
        first_at=("created_at", "min"),
        last_at=("created_at", "max"),
        tokens_total=("tokens_total", "sum"),
        models=("model", "nunique"),
        cached=("native_tokens_cached", "sum"),
        prompt=("native_tokens_prompt", "sum"),
    )


def compare_by_hand(before: pd.DataFrame, after: pd.DataFrame) -> list[pd.DataFrame]:
    """Only the sums; dividing them into volume, mix, size and price takes no time."""
    return [
        side.groupby("model").agg(
            generations=("cost_usd", "size"), usd=("cost_usd", "sum"), tokens=("tokens_total", "sum")
        )
        for side in (before, after)
    ]


def best(work) -> float:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)


def in_pandas(count: int) -> None:
    table = records(count, 0)
    frame = build_frame(table["id"].to_pylist(), [table], {})
    del table
    print(f"pandas, {count:,} rows, best of three     orstats    by hand    by hand / orstats")
    for name in REPORTS:
        ours = best(lambda name=name: getattr(orstats, name)(frame))
        hand = best(lambda name=name: globals()[f"{name}_hand"](frame[frame["fetch_status"] == "ok"]))
        print(f"  {name:<32}{ours:9.3f} s{hand:9.3f} s{hand / ours:12.2f}")
    of_sessions = np.random.default_rng(0).integers(0, max(count // 20, 1), count)
    frame["session_id"] = pd.array([f"session-{number}" for number in of_sessions], "string")
    later = frame.set_axis((frame.index + "-later").rename("id")).assign(created_at=frame["created_at"] + LATER)
    for name, arguments in (("sessions", (frame,)), ("compare", (frame, later))):
        ours = best(lambda name=name, arguments=arguments: getattr(orstats, name)(*arguments))
        hand = best(lambda name=name, arguments=arguments: globals()[f"{name}_by_hand"](*arguments))
        print(f"  {name:<32}{ours:9.3f} s{hand:9.3f} s{hand / ours:12.2f}  (at least 0.5)")
    daily = best(lambda: orstats.cost_by(frame, ["model", "external_user"], freq="day", tz="Europe/Berlin"))
    print(f"  cost_by model and user, daily   {daily:9.3f} s")


def archived(sizes: list[int]) -> None:
    print("DuckDB over an archive, each in a process of its own")
    with tempfile.TemporaryDirectory() as folder:
        for count in sizes:
            archive = orstats.Archive(Path(folder) / str(count))
            for part, start in enumerate(range(0, count, PART)):
                archive.append("openrouter.ai", records(min(PART, count - start), part))
            for name in REPORTS:
                subprocess.run([sys.executable, __file__, "--child", archive.path, name], check=True)


def child(path: str, name: str) -> None:
    start = time.perf_counter()
    relation = orstats.Archive(path).relation()
    ready = time.perf_counter()
    report = getattr(orstats, name)(relation)
    generations = sum(row[report.columns.index("generations")] for row in report.fetchall())
    done = time.perf_counter()
    print(
        f"  {name:<12} {generations:>11,} rows: relation {ready - start:5.2f} s, report {done - ready:6.2f} s "
        f"({(done - ready) / generations * 1e6:.2f} s a million), peak {peak():6,.0f} MB"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        in_pandas(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
        archived([int(size) for size in sys.argv[2:]] or [1_000_000, 10_000_000])
