"""Time commands from start to exit, compared with curl and the vendor's SDK for the same single request.

Run ``python tests/benchmarks/bench_start.py [--quick] [--write]``. The commands run in turn, so that a change of the
machine's speed meets all of them; the medians count. ``--write`` puts the table into docs/explanation/speed.md.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
import speed_page
from progress import progress

import orstats

ROUNDS = 5
ORSTATS = str(Path(sys.executable).parent / "orstats")
SDK = """
import sys
from openrouter import OpenRouter
with OpenRouter(api_key=sys.argv[1], server_url=sys.argv[2]) as sdk:
    print(sdk.generations.get_generation(id=sys.argv[3]).data.total_cost)
"""
REQUESTS = """
import sys, requests
headers = {"Authorization": "Bearer " + sys.argv[1]}
reply = requests.get(sys.argv[2] + "/generation", {"id": sys.argv[3]}, headers=headers)
print(reply.json()["data"]["total_cost"])
"""


def commands(at: peers.Server, archive: str) -> dict[str, list[str]]:
    """Return the commands by their label."""
    one = at.ids[0]
    python = sys.executable
    curl = shutil.which("curl")
    if curl is None:
        progress("curl is not installed: not measured")
    return {
        **(
            {"`curl` of one generation": [curl, "-sf", "-H", f"Authorization: Bearer {at.key}", at.url(one)]}
            if curl
            else {}
        ),
        "requests, one generation": [python, "-c", REQUESTS, at.key, at.base_url, one],
        "SDK, one generation": [python, "-c", SDK, at.key, at.base_url, one],
        "`orstats show ID`, requested": [ORSTATS, "show", one, "--no-archive"],
        "`orstats show ID`, archived": [ORSTATS, "show", one, "--archive", archive],
        f"`orstats report`, {len(at.ids):,} archived": [ORSTATS, "report", "--archive", archive],
        "`orstats --help`": [ORSTATS, "--help"],
        "`import orstats`": [python, "-c", "import orstats"],
        "`import orstats`, with `fetch` loaded": [python, "-c", "import orstats; orstats.fetch"],
        "`import pandas, requests`": [python, "-c", "import pandas, requests"],
    }


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds from start to exit, and those of CPU."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | environment)
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command} failed: {done.stderr}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    count, rounds = (100, 1) if "--quick" in sys.argv else (1_000, ROUNDS)
    with tempfile.TemporaryDirectory() as folder, peers.server(generations=count) as at:
        archive = str(Path(folder) / "archive")
        with orstats.Client(at.key, base_url=at.base_url) as client:
            orstats.fetch(at.ids, client=client, archive=archive, progress=False)
        environment = {"OPENROUTER_API_KEY": at.key, "OPENROUTER_BASE_URL": at.base_url, "NO_COLOR": "1"}
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(rounds):
            progress(f"commands, {number + 1} of {rounds}")
            for label, command in commands(at, archive).items():
                found.setdefault(label, []).append(measure(command, environment))
    medians = {label: [statistics.median(each) for each in zip(*runs, strict=True)] for label, runs in found.items()}
    for label, (seconds, cpu) in medians.items():
        print(f"  {label:<40}{seconds:8.2f} s{cpu:8.2f} s of CPU")
    share = medians["`import orstats`"][1] / medians["`import pandas, requests`"][1]
    print(
        f"{'met ' if share <= 1.15 else 'MISS'} import orstats: CPU of import pandas, requests: {share:.2f} (<= 1.15)"
    )
    help_s = medians["`orstats --help`"][1]
    print(f"{'met ' if help_s <= 0.5 else 'MISS'} orstats --help: s of CPU: {help_s:.2f} (<= 0.5)")
    if "--write" in sys.argv:
        rows = [(label, f"{seconds:.2f} s", f"{cpu:.2f} s") for label, (seconds, cpu) in medians.items()]
        speed_page.write_section("start", ("", "start to exit", "of it CPU"), rows, ("openrouter", "requests"))


if __name__ == "__main__":
    main()
