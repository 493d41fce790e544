"""``orstats demo``: the complete workflow, from an application's log to a CSV, against the simulator."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import print_status, print_table
from orstats.cli.errors import Interrupted, WrongUsage, handle_errors
from orstats.cli.options import epilog
from orstats.cli.shell import command_prefix, quoted

if TYPE_CHECKING:
    from orstats.archive.archive import Archive

app = typer.Typer(rich_markup_mode="rich")

_FAULTS: Final = 0.1
_RATE: Final = 400.0
_TOP: Final = 12


@app.command(
    help="See the complete workflow in seconds, without a key.\n\n"
    "Starts a simulated API with faults and a rate limit, finds the ids in an application's log, fetches them, "
    "reports their cost, and writes a CSV.",
    epilog=epilog("orstats demo", "orstats demo --generations 5000 --out /tmp/demo"),
)
@handle_errors
def demo(
    generations: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="Number of generations.")] = 1000,
    out: Annotated[str, typer.Option(metavar="DIR", help="Directory for its files.")] = "orstats-demo",
) -> None:
    from orstats.cli.cost_table import cost_columns
    from orstats.cli.demo_log import write_app_log
    from orstats.cli.resumable import fetch_ids
    from orstats.cli.summary import print_summary
    from orstats.export.write_csv import write_csv
    from orstats.ids.read import read_ids
    from orstats.reports.cost_tokens_latency import cost_by
    from orstats.sim import SimServer
    from orstats.text.format import count, plural

    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise WrongUsage(f"--out must be a directory, got the file {out!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    archive = _empty_archive(folder / "archive")
    log, costs = folder / "app.log", folder / "costs.csv"
    with SimServer(generations, faults=_FAULTS, rate_limit=_RATE) as sim, sim.client() as client:
        print_status(f"\n1. A simulated API runs at {sim.base_url}", "bold")
        print_status(
            f"   It injects a fault into the first request for {_FAULTS:.0%} of the ids "
            f"and limits clients to {_RATE:.0f} requests per second."
        )

        print_status("\n2. Ids are read from an application's log", "bold")
        lines = write_app_log(sim, log)
        ids = read_ids(log)
        print_status(f"   {log}: {plural(len(ids), 'id')} in {count(lines)} lines.")

        print_status("\n3. Their records are fetched", "bold")
        started = time.monotonic()
        try:
            frame = fetch_ids(ids, client, archive)
        except Interrupted as interrupted:  # it promises to resume, but every demo starts with an empty archive
            raise (interrupted.__cause__ or interrupted) from None
        print_summary(frame, time.monotonic() - started)
        stats = sim.stats
        print_status(
            f"{plural(stats.requests, 'request')}: {count(sum(stats.faults.values()))} hit an injected fault, "
            f"{count(stats.refusals)} were rate-limited; all were retried."
        )

        print_status("\n4. Their cost by model", "bold")
        report = cost_by(frame)
        print_table(cost_columns(report, _TOP))
        if len(report) > _TOP:
            print_status(f"   Top {_TOP} of {len(report)} models by cost.")
        write_csv(frame, costs)
        print_status(f"   {costs} has a row for each id, with all columns.")

        print_status("\n5. The second fetch is served from the archive", "bold")
        sim.reset_stats()
        started = time.monotonic()
        again = fetch_ids(ids, client, archive, quiet=True)
        archived = int((again["attempts"] == 0).sum())
        print_status(
            f"   {plural(archived, 'id')} in {time.monotonic() - started:.2f} s; "
            f"{plural(sim.requests, 'request')}, for the ids that have no record."
        )
    _print_next_steps(folder / "archive", costs)


def _print_next_steps(archive: Path, costs: Path) -> None:
    program = command_prefix()
    print_status("\nNext", "bold")
    for title, line in {
        "Open the CSV in a spreadsheet:": str(costs),
        "Another report on the same archive, without network:": (
            f"{program} report --archive {quoted(str(archive))} --by provider_name"
        ),
        "Run a simulator, to follow the README:": f"{program} sim --log-out app.log",
    }.items():
        print_status(f"   {title}", "dim")
        print_status(f"      {line}", "cyan", is_command=True)


def _empty_archive(path: Path) -> Archive:
    """Return an empty archive: delete the simulated records of an earlier demo, never those of a real account."""
    import shutil

    from orstats.archive.archive import Archive

    archive = Archive(path)
    hosts = archive.hosts()
    if hosts and all(host.startswith("127.0.0.1:") for host in hosts):
        shutil.rmtree(path)
    return archive
