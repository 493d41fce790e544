"""Compare orstats with other clients, each in a process of its own, against one simulator on this machine.

    python tests/benchmarks/bench_peers.py [--quick] [--write] [scenario …]

Scenarios: ``http`` and ``https`` on kept connections without latency, ``http-new`` and ``https-new`` with a new
connection for each request, ``100ms``, a limit of 200 requests a second that answers ``429`` with Retry-After,
``reset`` (429 with X-RateLimit-Reset only) or ``503``, and ``faults``. Clients that request one id after the other, and
other slow ones, get fewer ids where there is no limit; rates stay comparable. ``--write`` puts the tables into
docs/explanation/speed.md and draws docs/images/peers.png; ``--quick`` takes a tenth of the ids, to see that all runs.
The server counts refusals. Ratios compare within the run; absolute rates belong to the machine.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from typing import NamedTuple

import peers
from peers import BARE, ORSTATS
from progress import progress

RATE = 200
BURST = 40
#: One way for each library, where a table of all would say the same again.
ONE_EACH = (ORSTATS, BARE, "aiohttp, gather", "requests, threads", "httpx, threads", "SDK, threads")
#: Those that lose nothing under a limit, when refused by 429 with Retry-After.
PATIENT = (ORSTATS, "urllib3.Retry, threads", "requests + tenacity, threads")
EVERYBODY = tuple(peer.name for peer in peers.PEERS)


class Scenario(NamedTuple):
    """What the server does, who fetches, and how many ids."""

    name: str
    ids: int
    workers: int
    options: dict
    clients: tuple[str, ...] = EVERYBODY
    loop_ids: int = 1000
    #: Of orstats and bare urllib3, whose ratio is what counts; the others run once.
    rounds: int = 1
    patience_s: float = 60
    ideal_s: float | None = None

    @property
    def limited(self) -> bool:
        """Whether the server refuses requests."""
        return "rate_limit" in self.options


def _limit(name: str, clients: tuple[str, ...], **refusal) -> Scenario:
    ideal = (2000 - BURST) / RATE
    options = {"rate_limit": {"per_second": RATE, "burst": BURST, **refusal}}
    return Scenario(name, 2000, 32, options, clients, 2000, patience_s=1.5 * ideal + 3, ideal_s=ideal)


SCENARIOS = (
    Scenario("http", 4000, 32, {}, rounds=3),
    Scenario("https", 4000, 32, {"tls": True}, ONE_EACH, rounds=3),
    Scenario("http-new", 1000, 16, {"keep_alive": False}, ONE_EACH),
    Scenario("https-new", 200, 16, {"keep_alive": False, "tls": True}, ONE_EACH),
    Scenario("100ms", 4000, 64, {"latency": 0.1}, loop_ids=20, rounds=3),
    _limit("429", EVERYBODY, retry_after="seconds"),
    _limit("reset", PATIENT, retry_after="reset"),
    _limit("503", PATIENT, retry_after="none", status=503),
    Scenario("faults", 500, 32, {"faults": {"rate": 0.3}}, patience_s=20),
)


class Run(NamedTuple):
    """How one client did."""

    seconds: float
    cpu: float
    peak_mb: float
    requested: int
    lost: int
    refused: int = 0

    @property
    def rate(self) -> float:
        """Ids fetched per second."""
        return (self.requested - self.lost) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU per id."""
        return self.cpu / self.requested * 1000


class Compared(NamedTuple):
    """How all clients did in one scenario; None for one that did not finish."""

    scenario: Scenario
    runs: dict[str, Run | None]


def child(name: str) -> None:
    """Be one client: the server and the ids come in on standard input, the figures go out."""
    setup = json.load(sys.stdin)
    at = peers.Server(setup["base_url"], setup["key"], [], setup["ca_file"])
    peer = next(peer for peer in peers.PEERS if peer.name == name)
    peer.fetch(at, [setup["first"]], 1)  # what is imported at the first call is not fetching
    before, started = _cpu(), time.perf_counter()
    results = peer.fetch(at, setup["ids"], setup["workers"])
    took = time.perf_counter() - started
    cpu = _cpu() - before
    assert len(results) == len(setup["ids"])
    print(json.dumps([took, cpu, peers.peak_mb(), len(results), peers.lost(results)]))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(peer: peers.Peer, scenario: Scenario, at: peers.Server) -> Run | None:
    """Let one client fetch; None when it fails or takes longer than the scenario's patience."""
    count = scenario.ids
    if not (scenario.limited or "faults" in scenario.options):
        count = min(count, scenario.loop_ids) if peer.loop else count // 4 if peer.slow else count
    progress(f"{scenario.name}: {peer.name}, {count:,} ids")
    setup = {"base_url": at.base_url, "key": at.key, "ca_file": at.ca_file}
    setup |= {"first": at.ids[0], "ids": at.ids[1 : 1 + count], "workers": scenario.workers}
    # Where each library looks for the authorities to trust.
    trust = {"REQUESTS_CA_BUNDLE": at.ca_file, "SSL_CERT_FILE": at.ca_file} if at.ca_file else {}
    if scenario.limited:
        time.sleep(2 * BURST / RATE)  # until the full burst is available again
    before = at.counts()["refusals"]
    command = [sys.executable, __file__, "--child", peer.name]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(setup),
            stdout=subprocess.PIPE,
            text=True,
            timeout=scenario.patience_s,
            check=True,
            env=os.environ | trust,
        )
    except subprocess.TimeoutExpired:
        progress(f"{scenario.name}: {peer.name} is not done after {scenario.patience_s:.0f} s")
        return None
    except subprocess.CalledProcessError as error:
        progress(f"{scenario.name}: {peer.name} FAILED with exit code {error.returncode}")
        return None
    return Run(*json.loads(done.stdout), refused=at.counts()["refusals"] - before)


def compare(scenario: Scenario) -> Compared:
    """Run all clients of one scenario; of several rounds the one with the median rate counts."""
    found: dict[str, list[Run | None]] = {name: [] for name in scenario.clients}
    clients = [peer for peer in peers.PEERS if peer.name in scenario.clients]
    rounds = [
        clients,
        *([peer for peer in clients if peer.name in (ORSTATS, BARE)] for _ in range(scenario.rounds - 1)),
    ]
    if "faults" in scenario.options:  # an id's fault comes once: each client has a server of its own
        for peer in clients:
            with peers.server(generations=scenario.ids + 1, **scenario.options) as at:
                found[peer.name].append(measure(peer, scenario, at))
    else:
        with peers.server(generations=scenario.ids + 1, **scenario.options) as at:
            if "latency" not in scenario.options and not scenario.limited:
                peers.bare_urllib3(at, at.ids, 64)  # the server makes its records at first sight
            for those in rounds:
                for peer in those:
                    found[peer.name].append(measure(peer, scenario, at))
    return Compared(scenario, {name: _median(runs) for name, runs in found.items()})


def _median(runs: list[Run | None]) -> Run | None:
    done = sorted((run for run in runs if run is not None), key=lambda run: run.rate)
    return done[len(done) // 2] if done else None


def main(arguments: list[str]) -> int:
    """Measure, print, and write the results if requested; a scenario that fails leaves the others' results."""
    options = {one for one in arguments if one.startswith("--")}
    names = [one for one in arguments if not one.startswith("--")]
    unknown = [*(options - {"--quick", "--write"}), *(set(names) - {scenario.name for scenario in SCENARIOS})]
    if unknown:
        sys.exit(f"Unknown: {', '.join(unknown)}. Scenarios: {', '.join(one.name for one in SCENARIOS)}.")
    found: dict[str, Compared] = {}
    failed = []
    for scenario in SCENARIOS:
        if names and scenario.name not in names:
            continue
        try:
            one = compare(_smaller(scenario) if "--quick" in options else scenario)
        except (OSError, ValueError) as error:  # no server, or no answer from it
            progress(f"{scenario.name} FAILED: {error}")
            failed.append(scenario.name)
            continue
        found[scenario.name] = one
        print(summary(*one), flush=True)
        if "--write" in options:
            import speed_page

            speed_page.write_peers(found)
    if "--quick" in options:
        print("The targets hold for full runs only: not checked.")
    else:
        print("\n".join(verdicts(found)))
    return len(failed)


def _smaller(scenario: Scenario) -> Scenario:
    ids = scenario.ids // 10
    ideal = None if scenario.ideal_s is None else (ids - BURST) / RATE
    patience = 30 if ideal is None else 10
    return scenario._replace(
        ids=ids, loop_ids=max(10, scenario.loop_ids // 10), rounds=1, patience_s=patience, ideal_s=ideal
    )


def verdicts(found: dict[str, Compared]) -> list[str]:
    """Compare the figures with the targets."""
    unfinished = {name for name, (_, runs) in found.items() if runs[ORSTATS] is None or runs.get(BARE, 1) is None}
    lines = [f"MISS {name}: orstats or bare urllib3 did not finish" for name in unfinished]
    found = {name: one for name, one in found.items() if name not in unfinished}

    def hold(name: str, got: float, bound: float, *, at_least: bool = True) -> None:
        good = got >= bound if at_least else got <= bound
        lines.append(f"{'met ' if good else 'MISS'} {name}: {got:.3f} ({'>=' if at_least else '<='} {bound:g})")

    def rates(name: str) -> dict[str, float]:
        return {peer: run.rate for peer, run in found[name].runs.items() if run is not None}

    for name, share in (("http", 0.80), ("https", 0.85)):
        if name in found:
            hold(f"{name}: of bare urllib3", rates(name)[ORSTATS] / rates(name)[BARE], share)
    if "http" in found:
        cold = rates("http")
        others = max(rate for peer, rate in cold.items() if peer.startswith(("requests", "httpx", "SDK")))
        hold("http: of the fastest that uses requests, httpx or the SDK", cold[ORSTATS] / others, 1)
    if "https-new" in found:
        hold("https-new: CPU ms per id", found["https-new"].runs[ORSTATS].cpu_ms, 10, at_least=False)
    if "100ms" in found:
        scenario, slow = found["100ms"].scenario, rates("100ms")
        hold("100ms: of the limit", slow[ORSTATS] * scenario.options["latency"] / scenario.workers, 0.95)
        hold("100ms: of bare urllib3", slow[ORSTATS] / slow[BARE], 1)
    for name, most in (("429", 2), ("reset", 2), ("503", 4)):
        if name in found:
            scenario, ours = found[name].scenario, found[name].runs[ORSTATS]
            hold(f"{name}: time / ideal", ours.seconds / scenario.ideal_s, 1.05, at_least=False)
            hold(f"{name}: refused %", ours.refused / ours.requested * 100, most, at_least=False)
            hold(f"{name}: lost", ours.lost, 0, at_least=False)
    if "faults" in found:
        hold("faults: lost", found["faults"].runs[ORSTATS].lost, 0, at_least=False)
    return lines


def summary(scenario: Scenario, runs: dict[str, Run | None]) -> str:
    """Put one scenario into lines."""
    best = runs.get(BARE)
    lines = [f"{scenario.name}: {scenario.ids:,} ids, {scenario.workers} workers"]
    heads = f"{'ids/s':>9}{'of bare':>9}{'lost':>7}{'refused':>9}{'CPU ms/id':>11}{'peak MB':>9}{'time':>9}"
    lines.append(" " * 32 + heads)
    for name, run in runs.items():
        if run is None:
            lines.append(f"  {name:<30}  not finished")
            continue
        ratio = run.rate / best.rate if best else float("nan")
        time_s = f"{run.seconds / scenario.ideal_s:.2f} x" if scenario.ideal_s else f"{run.seconds:.1f} s"
        lines.append(
            f"  {name:<30}{run.rate:9,.0f}{ratio:9.2f}{run.lost:7,}{run.refused:9,}"
            f"{run.cpu_ms:11.2f}{run.peak_mb:9,.0f}{time_s:>9}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))
