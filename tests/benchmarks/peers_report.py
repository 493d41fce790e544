"""What bench_peers found, as a table in docs/explanation/speed.md and a picture."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_peers import Compared, Run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "speed.md"
PICTURE = ROOT / "docs" / "images" / "peers.png"
HEADS = (
    "",
    "ids/s, no latency",
    "of bare urllib3",
    "CPU ms per id",
    "peak MB",
    "100 ms: of the limit",
    "200/s limit: time / ideal",
    "refused of 2,000",
    "lost of 2,000",
    "30 % faults: lost of 1,000",
)
OURS, THEIRS, BAD = "#0072B2", "#999999", "#D55E00"


def write(found: dict[str, Compared], stored: dict[str, float]) -> None:
    """Put the figures of a whole run where people see them."""
    into_readme("peers", table(found, stored))
    draw(found)


def into_readme(name: str, text: str) -> None:
    """Put text between the marks of a benchmark."""
    begin, end = f"<!-- {name}: written by tests/benchmarks/bench_{name}.py -->\n", f"<!-- /{name} -->"
    before, found, rest = PAGE.read_text("utf-8").partition(begin)
    assert found, f"{PAGE} has no place for {name}"
    PAGE.write_text(before + begin + text + end + rest.partition(end)[2], "utf-8")


def machine() -> str:
    """Say where and when this was measured."""
    cpu = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpu.read_text()) if cpu.exists() else None
    kind = " ".join(model[1].split()) if model else platform.processor()
    packages = ("openrouter", "requests", "httpx", "aiohttp", "urllib3")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    where = f"{os.cpu_count()} cores ({kind}), Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d} on {where}, {versions}"


def table(found: dict[str, Compared], stored: dict[str, float]) -> str:
    """Write one line for each peer."""
    cold, slow, limit, faults = (found[name] for name in ("0 ms", "100 ms", "limit", "faults"))
    bound = slow.scenario.workers / slow.scenario.options["latency"]
    bare = cold.runs["urllib3, bare, threads"].rate
    lines = [
        f"| {' | '.join(HEADS)} |",
        f"|---{'|--:' * (len(HEADS) - 1)}|",
    ]
    for name, run in cold.runs.items():
        if run is None:
            continue
        under = limit.runs[name]
        cells = [
            f"**{name}**" if name == "orstats" else name,
            f"{run.rate:,.0f}",
            f"{run.rate / bare:.2f}",
            f"{run.cpu / run.asked * 1000:.2f}",
            f"{run.peak_mb:.0f}",
            _of(slow.runs[name], lambda r: f"{r.rate / bound:.3f}"),
            _of(under, lambda r: "lost some" if r.lost else f"{r.seconds / limit.scenario.ideal_s:.2f}"),
            _of(under, lambda r: f"{r.refused:,}"),
            _of(under, lambda r: f"{r.lost:,}"),
            _of(faults.runs[name], lambda r: f"{r.lost:,}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    kept = ", ".join(f"{name} {rate:,.0f}" for name, rate in stored.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Ids a second from what is stored: {kept}.",
            "",
            f"Measured {machine()}.",
            "",
        ]
    )


def _of(run: Run | None, write_it: Callable[[Run], str]) -> str:
    return "not done" if run is None else write_it(run)


def draw(found: dict[str, Compared]) -> None:
    """Draw the four figures that matter, orstats in colour."""
    cold, slow, limit, faults = (found[name] for name in ("0 ms", "100 ms", "limit", "faults"))
    bound = slow.scenario.workers / slow.scenario.options["latency"]
    panels = (
        ("Ids a second, no latency", {n: r.rate for n, r in cold.runs.items() if r}, "{:,.0f}"),
        (
            "100 ms an answer: of what is possible",
            {n: r.rate / bound for n, r in slow.runs.items() if r},
            "{:.0%}",
        ),
        (
            f"Limit of 200 a second: lost of {limit.scenario.ids:,} ids",
            {n: r.lost for n, r in limit.runs.items() if r},
            "{:,.0f}",
        ),
        (
            f"Faults for 30 % of {faults.scenario.ids:,} ids: lost",
            {n: r.lost for n, r in faults.runs.items() if r},
            "{:,.0f}",
        ),
    )
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained", facecolor="white")
    for ax, (title, values, form) in zip(axes.flat, panels, strict=True):
        bad = "lost" in title
        names = list(values)[::-1]
        colours = [OURS if name == "orstats" else BAD if bad else THEIRS for name in names]
        bars = ax.barh(names, [values[name] for name in names], color=colours)
        ax.bar_label(bars, [form.format(values[name]) for name in names], padding=3, fontsize=8)
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        ax.tick_params(labelsize=8)
        ax.margins(x=0.14)
        ax.xaxis.set_visible(False)
        for side in ("top", "right", "bottom"):
            ax.spines[side].set_visible(False)
        for label in ax.get_yticklabels():
            if label.get_text() == "orstats":
                label.set_fontweight("bold")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)
