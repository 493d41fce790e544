"""orstats beside its peers in one run, each in a process of its own, against one simulator on this machine.

    python tests/benchmarks/bench_peers.py [--quick] [--readme] [scenario …]

Scenarios: ``0 ms``, ``50 ms``, ``100 ms``, ``limit``, ``reset``, ``faults``, ``warm``. Peers that ask for one id after
the other get fewer ids where each takes long; rates stay comparable. ``--readme`` writes the table into
docs/explanation/speed.md and draws docs/images/peers.png; ``--quick`` asks for a tenth of the ids, to see that all
runs. The server counts what was refused. Ratios compare within the run; absolute rates belong to the machine.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import peers

import orstats

PATIENCE_S = 120


class Scenario(NamedTuple):
    """What the server does, and how much is asked of it."""

    name: str
    ids: int
    workers: int
    options: dict
    loop_ids: int
    rounds: int = 1
    ideal_s: float | None = None


RATE = 200
BURST = 40
SCENARIOS = (
    Scenario("0 ms", 4000, 32, {}, 1000, rounds=3),
    Scenario("50 ms", 4000, 64, {"latency": 0.05}, 100),
    Scenario("100 ms", 4000, 64, {"latency": 0.1}, 50),
    *(
        Scenario(
            name,
            2000,
            32,
            {"rate_limit": {"per_second": RATE, "burst": BURST, "retry_after": header}},
            2000,
            ideal_s=(2000 - BURST) / RATE,
        )
        for name, header in (("limit", "seconds"), ("reset", "reset"))  # Retry-After, or only X-RateLimit-Reset
    ),
    Scenario("faults", 1000, 32, {"faults": {"rate": 0.3}}, 1000),
)


class Run(NamedTuple):
    """How one peer did."""

    seconds: float
    cpu: float
    peak_mb: float
    asked: int
    lost: int
    refused: int = 0

    @property
    def rate(self) -> float:
        """Ids a second that were had."""
        return (self.asked - self.lost) / self.seconds


class Compared(NamedTuple):
    """How all peers did in one scenario; None who was not done in time."""

    scenario: Scenario
    runs: dict[str, Run | None]


def child(name: str) -> None:
    """Be one peer: the server and the ids come in, the figures go out."""
    setup = json.load(sys.stdin)
    at = peers.Server(setup["base_url"], setup["key"], [])
    peer = next(peer for peer in peers.PEERS if peer.name == name)
    peer.fetch(at, [setup["first"]], 1)  # what is imported at the first call is not fetching
    before, started = _cpu(), time.perf_counter()
    results = peer.fetch(at, setup["ids"], setup["workers"])
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert len(results) == len(setup["ids"])
    print(json.dumps([took, _cpu() - before, peak, len(results), peers.lost(results)]))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(peer: peers.Peer, at: peers.Server, ids: list[str], workers: int) -> Run | None:
    """Let one peer fetch; None when it takes longer than anybody would wait."""
    setup = json.dumps(at._asdict() | {"process": None, "first": at.ids[0], "ids": ids, "workers": workers})
    before = at.counts()["refusals"]
    command = [sys.executable, __file__, "--child", peer.name]
    try:
        done = subprocess.run(command, input=setup, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=True)
    except subprocess.TimeoutExpired:
        return None
    return Run(*json.loads(done.stdout), refused=at.counts()["refusals"] - before)


def compare(scenario: Scenario) -> dict[str, Run | None]:
    """Run all peers through one scenario; of several rounds the one with the median rate counts."""
    found: dict[str, list[Run | None]] = {peer.name: [] for peer in peers.PEERS}
    fresh = "rate_limit" in scenario.options or "faults" in scenario.options
    for _ in range(scenario.rounds):
        if fresh:  # a bucket is full and an id's fault to come for everybody alike
            for peer in peers.PEERS:
                with peers.server(generations=scenario.ids + 1, **scenario.options) as at:
                    found[peer.name].append(measure(peer, at, at.ids[1 : 1 + _count(peer, scenario)], scenario.workers))
        else:
            with peers.server(generations=scenario.ids, **scenario.options) as at:
                peers.bare_urllib3(at, at.ids, 64)  # the server makes its records at first sight
                for peer in peers.PEERS:
                    found[peer.name].append(measure(peer, at, at.ids[: _count(peer, scenario)], scenario.workers))
    return {name: _median(runs) for name, runs in found.items()}


def _count(peer: peers.Peer, scenario: Scenario) -> int:
    return scenario.loop_ids if peer.loop else scenario.ids


def _median(runs: list[Run | None]) -> Run | None:
    done = sorted((run for run in runs if run is not None), key=lambda run: run.rate)
    return done[len(done) // 2] if done else None


def warm(count: int) -> dict[str, float]:
    """Ids a second from what was stored before: orstats, requests-cache, and pandas reading the same files."""
    import pandas as pd
    import requests_cache

    few = min(3000, count)
    with tempfile.TemporaryDirectory() as folder, peers.server(generations=count) as at:
        archive = orstats.Archive(f"{folder}/archive")
        with orstats.Client(at.key, base_url=at.base_url) as client:
            orstats.fetch(at.ids, client=client, workers=32, archive=archive, progress=False)
            ours, parquet = [], []
            for _ in range(7):
                started = time.perf_counter()
                frame = orstats.fetch(at.ids, client=client, archive=archive, progress=False)
                ours.append(time.perf_counter() - started)
                assert not frame["attempts"].any()
                started = time.perf_counter()
                read = pd.read_parquet(f"{folder}/archive/generations")
                parquet.append(time.perf_counter() - started)
                assert len(read) == len(frame)
        with requests_cache.CachedSession(f"{folder}/cache") as session:
            session.headers.update(at.headers())
            for generation_id in at.ids[:few]:
                session.get(at.url(generation_id))
            started = time.perf_counter()
            for generation_id in at.ids[:few]:
                session.get(at.url(generation_id)).json()
            cached = time.perf_counter() - started
    return {
        "orstats, archived": count / statistics.median(ours),
        "pandas.read_parquet of the archive": count / statistics.median(parquet),
        "requests-cache, SQLite": few / cached,
    }


def main(arguments: list[str]) -> None:
    """Measure, print, and write the results if requested."""
    quick = "--quick" in arguments
    chosen = [one for one in arguments if not one.startswith("--")]
    found: dict[str, Compared] = {}
    for scenario in SCENARIOS:
        if not chosen or scenario.name in chosen:
            whole = _smaller(scenario) if quick else scenario
            found[scenario.name] = Compared(whole, compare(whole))
            print(summary_line(*found[scenario.name]), flush=True)
    stored = warm(10_000 if quick else 100_000) if not chosen or "warm" in chosen else {}
    for name, rate in stored.items():
        print(f"  warm   {name:<36}{rate:12,.0f} ids/s", flush=True)
    for line in verdicts(found, stored):
        print(line)
    if "--readme" in arguments:
        import peers_report

        peers_report.write(found, stored)


def _smaller(scenario: Scenario) -> Scenario:
    ids = scenario.ids // 10
    ideal = None if scenario.ideal_s is None else (ids - BURST) / RATE
    return scenario._replace(ids=ids, loop_ids=max(10, scenario.loop_ids // 10), rounds=1, ideal_s=ideal)


def verdicts(found: dict[str, Compared], stored: dict[str, float]) -> list[str]:
    """Hold the figures against what is promised."""
    lines = []

    def hold(name: str, got: float, bound: float, *, at_least: bool = True) -> None:
        good = got >= bound if at_least else got <= bound
        lines.append(f"{'met ' if good else 'MISS'} {name}: {got:.3f} ({'>=' if at_least else '<='} {bound:g})")

    def rates(name: str) -> dict[str, float]:
        return {peer: run.rate for peer, run in found[name].runs.items() if run is not None}

    if "0 ms" in found:
        cold = rates("0 ms")
        ours = cold["orstats"]
        hold("no latency: of bare urllib3", ours / cold["urllib3, bare, threads"], 0.7)
        hold("no latency: of the SDK's loop", ours / cold["SDK, loop"], 3.5)
        hold("no latency: of the SDK's gather", ours / cold["SDK, gather"], 8)
        others = max(rate for peer, rate in cold.items() if peer.startswith(("requests", "httpx")))
        hold("no latency: of the fastest that uses requests or httpx", ours / others, 1)
    for name in ("50 ms", "100 ms"):
        if name in found:
            scenario = found[name].scenario
            hold(f"{name}: of the limit", rates(name)["orstats"] * scenario.options["latency"] / scenario.workers, 0.95)
    for name in ("limit", "reset"):
        if name in found:
            scenario, runs = found[name]
            whole = {peer: run for peer, run in runs.items() if run is not None and not run.lost}
            ours = whole.pop("orstats")
            hold(f"{name}: time / ideal", ours.seconds / scenario.ideal_s, 1.06, at_least=False)
            hold(f"{name}: refused %", ours.refused / ours.asked * 100, 2, at_least=False)
            # Those that were never refused are too slow to meet the limit.
            for peer, run in ((peer, run) for peer, run in whole.items() if run.refused):
                hold(f"{name}: time / that of {peer}, which lost none", ours.seconds / run.seconds, 1, at_least=False)
                hold(f"{name}: refused, less those of {peer}", ours.refused - run.refused, 0, at_least=False)
    if "faults" in found:
        hold("faults: lost", found["faults"].runs["orstats"].lost, 0, at_least=False)
    if stored:
        ours = stored["orstats, archived"]
        hold("warm: time / pandas.read_parquet", stored["pandas.read_parquet of the archive"] / ours, 2, at_least=False)
        hold("warm: of requests-cache", ours / stored["requests-cache, SQLite"], 50)
    return lines


def summary_line(scenario: Scenario, runs: dict[str, Run | None]) -> str:
    """Put one scenario into lines."""
    best = runs["urllib3, bare, threads"]
    lines = [f"{scenario.name}: {scenario.ids:,} ids ({scenario.loop_ids:,} in loops), {scenario.workers} workers"]
    heads = f"{'ids/s':>9}{'of bare':>9}{'lost':>7}{'refused':>9}{'CPU ms/id':>11}{'peak MB':>9}{'time':>9}"
    lines.append(" " * 32 + heads)
    for name, run in runs.items():
        if run is None:
            lines.append(f"  {name:<30}  not done after {PATIENCE_S} s")
            continue
        ratio = run.rate / best.rate if best else float("nan")
        time_s = f"{run.seconds / scenario.ideal_s:.2f} x" if scenario.ideal_s else f"{run.seconds:.1f} s"
        lines.append(
            f"  {name:<30}{run.rate:9,.0f}{ratio:9.2f}{run.lost:7,}{run.refused:9,}"
            f"{run.cpu / run.asked * 1000:11.2f}{run.peak_mb:9,.0f}{time_s:>9}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(sys.argv[1:])
