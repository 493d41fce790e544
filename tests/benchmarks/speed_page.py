"""Write what the benchmarks found into docs/explanation/speed.md, table by table, and draw its picture."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib import pyplot as plt
from peers import BARE, ORSTATS

if TYPE_CHECKING:
    from bench_peers import Compared, Run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "speed.md"
PICTURE = ROOT / "docs" / "images" / "peers.png"
OURS, THEIRS, BAD = "#0072B2", "#999999", "#D55E00"


def write_section(
    name: str, header: Iterable[str], rows: Iterable[Iterable[str]], packages: Iterable[str] = ()
) -> None:
    """Put a table between the marks of its name, with the date, the machine and the versions of these packages."""
    header = tuple(header)
    lines = [f"| {' | '.join(header)} |", f"|---{'|--:' * (len(header) - 1)}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    begin, end = f"<!-- {name}: written by tests/benchmarks -->\n", f"<!-- /{name} -->"
    before, found, rest = PAGE.read_text("utf-8").partition(begin)
    assert found, f"{PAGE} has no place for {name}"
    text = "\n".join([*lines, "", f"Measured {machine(packages)}.", ""])
    PAGE.write_text(before + begin + text + end + rest.partition(end)[2], "utf-8")


def machine(packages: Iterable[str] = ()) -> str:
    """Name the date, the machine and the versions."""
    cpu = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpu.read_text()) if cpu.exists() else None
    kind = " ".join(model[1].split()) if model else platform.processor()
    versions = "".join(f", {name} {version(name)}" for name in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({kind}), Python {platform.python_version()}{versions}"
    )


def write_peers(found: dict[str, Compared]) -> None:
    """Write the tables and the picture for which all scenarios have been measured."""
    for needed, write in (
        ({"http", "100ms", "faults"}, write_fetching),
        ({"http", "https", "http-new", "https-new"}, write_connections),
        ({"429", "reset", "503"}, write_limits),
        ({"http", "100ms", "429", "faults"}, draw),
    ):
        if needed <= set(found):
            write(found)


def bold(name: str) -> str:
    """Return the name of a row, orstats in bold."""
    return f"**{name}**" if name == ORSTATS else name


def cell(run: Run | None, write: Callable[[Run], str]) -> str:
    """Return a cell, or that the client did not finish."""
    return "not finished" if run is None else write(run)


def write_fetching(found: dict[str, Compared]) -> None:
    """Write one line for each client on plain connections."""
    cold, slow, faults = (found[name] for name in ("http", "100ms", "faults"))
    bound = slow.scenario.workers / slow.scenario.options["latency"]
    bare = cold.runs[BARE]
    rows = [
        (
            bold(name),
            cell(run, lambda r: f"{r.rate:,.0f}"),
            cell(run, lambda r: f"{r.rate / bare.rate:.2f}" if bare else ""),
            cell(run, lambda r: f"{r.cpu_ms:.2f}"),
            cell(run, lambda r: f"{r.peak_mb:.0f}"),
            cell(slow.runs[name], lambda r: f"{r.rate / bound:.3f}"),
            cell(faults.runs[name], lambda r: f"{r.lost:,}"),
        )
        for name, run in cold.runs.items()
    ]
    header = ("", "ids/s, no latency", "of bare urllib3", "CPU ms per id", "peak MB", "100 ms: of the maximum")
    lost = f"30 % faults: lost of {faults.scenario.ids:,}"
    write_section("fetching", (*header, lost), rows, ("openrouter", "requests", "httpx", "aiohttp", "urllib3"))


def write_connections(found: dict[str, Compared]) -> None:
    """Write the rates over http and https, on kept connections and on new ones."""
    kinds = ("http", "https", "http-new", "https-new")
    rows = []
    for name in found["https"].runs:
        runs = [found[kind].runs[name] for kind in kinds]
        bare = [found[kind].runs[BARE] for kind in kinds[:2]]
        ratios = [f"{run.rate / best.rate:.2f}" if run and best else "" for run, best in zip(runs, bare, strict=False)]
        rates = [cell(run, lambda r: f"{r.rate:,.0f}") for run in runs]
        new_cpu = cell(runs[3], lambda r: f"{r.cpu_ms:.1f}")
        rows.append((bold(name), rates[0], ratios[0], rates[1], ratios[1], *rates[2:], new_cpu))
    header = ("", "http, kept: ids/s", "of bare urllib3", "https, kept: ids/s", "of bare urllib3")
    header = (*header, "http, new: ids/s", "https, new: ids/s", "https, new: CPU ms per id")
    write_section("connections", header, rows)


def write_limits(found: dict[str, Compared]) -> None:
    """Write how each client does under a limit of requests per second."""
    kinds = [found[name] for name in ("429", "reset", "503")]
    rows = []
    for name in kinds[0].runs:
        cells = [bold(name)]
        for scenario, runs in kinds:
            if name not in runs:
                cells += ["-", "-"]
            elif (run := runs[name]) is None:
                cells += [f"over {scenario.patience_s / scenario.ideal_s:.1f}", "-"]
            else:
                time = f"lost {run.lost:,}" if run.lost else f"{run.seconds / scenario.ideal_s:.2f}"
                cells += [time, f"{run.refused / run.requested * 100:.1f} %"]
        rows.append(cells)
    kinds_of_refusal = ("429, Retry-After", "429, reset time", "503")
    write_section(
        "limits", ("", *(head for kind in kinds_of_refusal for head in (f"{kind}: time / ideal", "refused"))), rows
    )


def draw(found: dict[str, Compared]) -> None:
    """Draw the four figures that matter, orstats in colour."""
    cold, slow, limit, faults = (found[name] for name in ("http", "100ms", "429", "faults"))
    bound = slow.scenario.workers / slow.scenario.options["latency"]
    panels = (
        ("Ids per second, no latency", {n: r.rate for n, r in cold.runs.items() if r}, "{:,.0f}"),
        ("100 ms per response: rate, of the maximum", {n: r.rate / bound for n, r in slow.runs.items() if r}, "{:.0%}"),
        (
            f"Limit of 200 per second: lost of {limit.scenario.ids:,} ids",
            {n: r.lost for n, r in limit.runs.items() if r},
            "{:,.0f}",
        ),
        (
            f"Faults for 30 % of {faults.scenario.ids:,} ids: lost",
            {n: r.lost for n, r in faults.runs.items() if r},
            "{:,.0f}",
        ),
    )
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.8), layout="constrained", facecolor="white")
    for ax, (title, values, form) in zip(axes.flat, panels, strict=True):
        bad = "lost" in title
        names = list(values)[::-1]
        colours = [OURS if name == ORSTATS else BAD if bad else THEIRS for name in names]
        bars = ax.barh(names, [values[name] for name in names], color=colours)
        ax.bar_label(bars, [form.format(values[name]) for name in names], padding=3, fontsize=8)
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
        ax.tick_params(labelsize=8)
        ax.margins(x=0.14)
        ax.xaxis.set_visible(False)
        for side in ("top", "right", "bottom"):
            ax.spines[side].set_visible(False)
        for label in ax.get_yticklabels():
            if label.get_text() == ORSTATS:
                label.set_fontweight("bold")
    figure.text(0.01, -0.01, f"Measured {machine()}. Clients that did not finish are omitted.", fontsize=7, va="top")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110, bbox_inches="tight", pad_inches=0.1)
    plt.close(figure)
