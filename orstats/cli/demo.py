"""``orstats demo``: the whole job, from an application's log to a CSV, against the simulator."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.text import Text

from orstats.analysis.export import write_csv
from orstats.analysis.report import cost_by
from orstats.cli.asking import ask
from orstats.cli.console import say, tables, words
from orstats.cli.fetching import tell
from orstats.cli.reporting import cost_table
from orstats.cli.text import count, plural
from orstats.data.archive.archive import Archive
from orstats.data.ids.read import read_ids
from orstats.sim import SimServer

_FAULTS = 0.1
_RATE = 400.0
_LOST = 2
_DEAREST = 12


def run(generations: int, out: str) -> int:
    """Show the job; ``out`` is the directory for its files."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    archive = _fresh_archive(folder / "archive")
    log, costs = folder / "app.log", folder / "costs.csv"
    with SimServer(generations, faults=_FAULTS, rate_limit=_RATE) as sim, sim.client() as client:
        lost = sim.unknown_ids(_LOST, age=86_400)
        lines = list(_log_lines([(one, sim.record(one)) for one in sim.ids], lost))
        with log.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        _step(1, f"A simulated API runs at {sim.base_url}")
        say(f"   It fails for {_FAULTS:.0%} of the ids at first, and refuses more than {_RATE:.0f} requests a second.")

        _step(2, "The ids are found in an application's log")
        ids = read_ids(log)
        say(f"   {log}: {plural(len(ids), 'id')} in {count(len(lines))} lines.")

        _step(3, "They are fetched")
        started = time.monotonic()
        frame = ask(ids, client, archive)
        took = time.monotonic() - started
        tell(frame, took)
        answers = sim.stats
        say(
            f"{plural(answers.requests, 'request')}: {count(sum(answers.faults.values()))} met a fault, "
            f"{count(answers.refusals)} came too fast; each was made good."
        )

        _step(4, "What it cost, by model")
        report = cost_by(frame)
        tables().print(cost_table(report, _DEAREST))
        if len(report) > _DEAREST:
            say(f"   The {_DEAREST} dearest of {len(report)} models; orstats report shows all.")
        write_csv(frame, costs)
        say(f"   Every id with all its columns is in {costs}.")

        _step(5, "The same again comes from the archive")
        sim.reset_stats()
        started = time.monotonic()
        again = ask(ids, client, archive, quiet=True)
        archived = int((again["attempts"] == 0).sum())
        say(
            f"   {plural(archived, 'id')} in {time.monotonic() - started:.2f} s; "
            f"{plural(sim.requests, 'request')}, for the ids that have no record."
        )
    _next(folder, costs)
    return 0


def _step(number: int, title: str) -> None:
    words().print()
    words().print(Text(f"{number}. {title}", style="bold"))


def _next(folder: Path, costs: Path) -> None:
    words().print()
    words().print(Text("Try next", style="bold"))
    for line, meaning in (
        (f"open {costs}", "in a spreadsheet"),
        (f"orstats report --archive {folder / 'archive'} --by provider_name", "another break-down, no network"),
        ("orstats sim --ids-out ids.txt", "keep a simulator running to play with"),
        ("export OPENROUTER_API_KEY=...", "then, with your own log:"),
        ("orstats fetch --ids-from your.log -o costs.csv", ""),
    ):
        words().print(Text(f"   {line}", style="cyan").append(f"   {meaning}" if meaning else "", style="dim"))


def _fresh_archive(path: Path) -> Archive:
    """Return an empty archive. What an earlier demonstration left goes, but nothing that was really paid for."""
    archive = Archive(path)
    hosts = archive.hosts()
    if hosts and all(host.startswith("127.0.0.1:") for host in hosts):
        shutil.rmtree(path)
    return archive


def _log_lines(records: list[tuple[str, dict[str, Any]]], lost: list[str]) -> Iterator[str]:
    """Write the log that an application might have written while it made these generations."""
    rng = random.Random(7)  # noqa: S311 - makes up a log
    for number, (one, record) in enumerate(records):
        at = datetime.fromisoformat(record["created_at"])
        if rng.random() < 0.2:  # noqa: PLR2004
            yield f"{_stamp(at)} DEBUG http.pool     connection reused pool=llm idle={rng.randrange(1, 90)}s\n"
        if rng.random() < 0.05:  # noqa: PLR2004
            yield f"{_stamp(at)} WARN  billing.quota estimate for tenant {rng.randrange(40, 90)} is stale\n"
        took = record.get("generation_time") or 0
        done = _stamp(at + timedelta(milliseconds=took))
        yield f'{done} INFO  llm.client    completion model="{record["model"]}" generation={one} ms={took:.0f}\n'
        if rng.random() < 0.1:  # noqa: PLR2004
            yield f'{done} INFO  audit         {{"event": "answer_shown", "generation_id": "{one}"}}\n'
        if number < len(lost):
            yield f"{done} ERROR llm.client    stream broke off generation={lost[number]}\n"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
