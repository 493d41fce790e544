"""``orstats demo``: the whole job, from an application's log to a CSV, against the simulator."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path

from rich.text import Text

from orstats.archive.archive import Archive
from orstats.cli.app_log import write_app_log
from orstats.cli.commands.fetch import tell
from orstats.cli.commands.report import cost_columns
from orstats.cli.console import command_prefix, print_status, show, stderr_console
from orstats.cli.inputs import fetch_ids
from orstats.export.write_csv import write_csv
from orstats.ids.read import read_ids
from orstats.reports.cost_tokens_latency import cost_by
from orstats.sim import SimServer
from orstats.text.format import count, plural

_FAULTS = 0.1
_RATE = 400.0
_TOP = 12


def run(generations: int, out: str) -> int:
    """Show the job; ``out`` is the directory for its files."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    archive = _fresh_archive(folder / "archive")
    log, costs = folder / "app.log", folder / "costs.csv"
    with SimServer(generations, faults=_FAULTS, rate_limit=_RATE) as sim, sim.client() as client:
        _step(1, f"A simulated API runs at {sim.base_url}")
        print_status(
            f"   The first request for {_FAULTS:.0%} of the ids fails, "
            f"and more than {_RATE:.0f} requests per second are refused."
        )

        _step(2, "Ids are read from an application's log")
        lines = write_app_log(sim, log)
        ids = read_ids(log)
        print_status(f"   {log}: {plural(len(ids), 'id')} in {count(lines)} lines.")

        _step(3, "Their records are fetched")
        started = time.monotonic()
        frame = fetch_ids(ids, client, archive)
        took = time.monotonic() - started
        tell(frame, took)
        answers = sim.stats
        print_status(
            f"{plural(answers.requests, 'request')}: {count(sum(answers.faults.values()))} met an injected fault, "
            f"{count(answers.refusals)} exceeded the rate limit; all were retried."
        )

        _step(4, "What it cost, by model")
        report = cost_by(frame)
        show(cost_columns(report, _TOP))
        if len(report) > _TOP:
            print_status(f"   The {_TOP} most expensive of {len(report)} models.")
        write_csv(frame, costs)
        print_status(f"   {costs} has a row for each id, with all columns.")

        _step(5, "The second fetch is served from the archive")
        sim.reset_stats()
        started = time.monotonic()
        again = fetch_ids(ids, client, archive, quiet=True)
        archived = int((again["attempts"] == 0).sum())
        print_status(
            f"   {plural(archived, 'id')} in {time.monotonic() - started:.2f} s; "
            f"{plural(sim.requests, 'request')}, for the ids that have no record."
        )
    _next(folder, costs)
    return 0


def _step(number: int, title: str) -> None:
    stderr_console().print()
    stderr_console().print(Text(f"{number}. {title}", style="bold"))


def _next(folder: Path, costs: Path) -> None:
    stderr_console().print()
    stderr_console().print(Text("Next", style="bold"))
    archive = shlex.quote(str(folder / "archive"))
    program = command_prefix()
    for title, line in (
        ("Open the CSV in a spreadsheet:", str(costs)),
        (
            "Another report on the same archive, without network:",
            f"{program} report --archive {archive} --by provider_name",
        ),
        ("Keep a simulator running, to follow the README:", f"{program} sim --log-out app.log"),
    ):
        stderr_console().print(Text(f"   {title}", style="dim"))
        stderr_console().print(Text(f"      {line}", style="cyan"))


def _fresh_archive(path: Path) -> Archive:
    """Return an empty archive: delete the simulated records of an earlier demo, never those of a real account."""
    archive = Archive(path)
    hosts = archive.hosts()
    if hosts and all(host.startswith("127.0.0.1:") for host in hosts):
        shutil.rmtree(path)
    return archive
