"""The commands and their options. Only what ``--help`` needs is imported here; the work is in the other modules."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats._version import __version__
from orstats.cli import account_commands, archive_commands, explore_command
from orstats.cli.console import command
from orstats.cli.options import (
    ArchiveDir,
    AsJson,
    BaseUrl,
    Column,
    Deadline,
    Excel,
    ExcelCommand,
    Ids,
    IdsFrom,
    NoArchive,
    PendingWait,
    Port,
    Quiet,
    RawText,
    Refresh,
    TimeZone,
    Workers,
    epilog,
    output_option,
)

_KEYS = (
    "The key comes from the environment only ([bold]OPENROUTER_API_KEY[/bold]): on a command line it would stay in the "
    "shell's history. Also read: OPENROUTER_MANAGEMENT_KEY, OPENROUTER_BASE_URL, ORSTATS_ARCHIVE."
)
_CODES = "Exit codes: 0 all · 1 failure, also no ids found · 2 wrong usage · 3 some ids failed · 130 interrupted."


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="What OpenRouter generations cost, took and said: from a list of ids to a CSV that finance can trust.",
    epilog=epilog(
        "orstats demo",
        "orstats fetch --ids-from app.log -o costs.csv",
        "orstats report --by model",
        "orstats show gen-1790000000-AbCdEfGhIjKlMnOpQrSt --content",
        more=f"{_KEYS}\n\n{_CODES}",
    ),
)
app.add_typer(account_commands.app)
app.add_typer(explore_command.app)
app.add_typer(archive_commands.app, name="archive")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"orstats {__version__}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command(epilog=epilog("orstats demo", "orstats demo --generations 5000 --out /tmp/demo"))
@command(
    "See the whole job in seconds, without a key.\n\n"
    "Starts a simulated API with faults and a rate limit, finds the ids in an application's log, fetches them, "
    "reports their cost, writes a CSV."
)
def demo(
    generations: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many generations.")] = 1000,
    out: Annotated[str, typer.Option(metavar="DIR", help="Where its files go.")] = "orstats-demo",
) -> int:
    from orstats.cli.commands.demo import run  # noqa: PLC0415 - loads pandas

    return run(generations, out)


@app.command(
    cls=ExcelCommand,
    epilog=epilog(
        "orstats fetch --ids-from app.log -o costs.csv",
        "orstats fetch --ids-from orders.xlsx --column generation_id -o costs.parquet",
        "grep checkout app.log | orstats fetch --ids-from - > costs.csv",
        "orstats fetch --ids-from app.log -o costs.xlsx",
        more=f"{_KEYS}\n\n{_CODES}",
    ),
)
@command(
    "Fetch cost, tokens and latency of many generations: one line for each id.\n\n"
    "Without [bold]-o[/bold], CSV on standard output. Ids that fail keep their line, with the reason. Stop it at "
    "any time: the same command goes on where it was."
)
def fetch(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    output: Annotated[str | None, output_option("the table")] = None,
    excel: Excel = None,
    workers: Workers = 16,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    pending_wait: PendingWait = 30.0,
    deadline: Deadline = None,
    raw_text: RawText = False,
    quiet: Quiet = False,
) -> int:
    from orstats.cli.commands.fetch import run  # noqa: PLC0415 - loads pandas

    return run(
        ids=ids or [],
        files=ids_from or [],
        column=column,
        output=output,
        excel=excel,
        workers=workers,
        base_url=base_url,
        archive=archive,
        no_archive=no_archive,
        refresh=refresh,
        pending_wait=pending_wait,
        deadline=deadline,
        raw_text=raw_text,
        quiet=quiet,
    )


@app.command(
    epilog=epilog(
        "orstats show gen-1790000000-AbCdEfGhIjKlMnOpQrSt --content",
        "orstats show gen-1790000000-AbCdEfGhIjKlMnOpQrSt --json | jq .cost_usd",
    )
)
@command(
    "Show everything about one generation.\n\n"
    "What it cost and why, tokens, speed, the providers tried; with [bold]--content[/bold] the conversation."
)
def show(
    generation_id: Annotated[str, typer.Argument(metavar="ID", help="A generation id.", show_default=False)],
    content: Annotated[
        bool, typer.Option("--content", metavar="", help="Also the stored prompt and completion.")
    ] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
) -> int:
    from orstats.cli.commands.show import run  # noqa: PLC0415 - loads pandas

    return run(generation_id, base_url, archive, no_archive=no_archive, content=content, as_json=as_json)


@app.command(
    cls=ExcelCommand,
    epilog=epilog(
        "orstats report",
        "orstats report --by model,provider_name --top 10",
        "orstats report --freq W --by external_user --tz Europe/Lisbon --since 30d",
        "orstats report --ids-from app.log -o report.html",
        more="The columns to report by: orstats fields.",
    ),
)
@command(
    "Report the cost per model, provider, user or any other column, and over time.\n\n"
    "Of the ids given, or, without any, of all that is in the archive; with [bold]--since[/bold] and a management "
    "key (OPENROUTER_MANAGEMENT_KEY), of all that the account made in that time, which is listed and fetched "
    "first. The page ([bold]-o x.html[/bold]) also has latency, failures, and the costliest and slowest "
    "generations; it needs no [bold]--by[/bold]."
)
def report(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    by: Annotated[str, typer.Option(metavar="COLUMNS", help="What makes a group; several with commas.")] = "model",
    freq: Annotated[
        str | None,
        typer.Option(
            metavar="h|D|W|M|Q|Y",
            help="Also by hour, day, week (from Monday), month, quarter or year.",
            show_default=False,
        ),
    ] = None,
    tz: TimeZone = "UTC",
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only generations created at or after TIME: 2026-03-01, today, 7d, 3mo.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only generations created before TIME.", show_default=False)
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="The N most expensive groups; the others in one row.", show_default=False
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a file: .html, a whole page; .csv, .csv.gz, .xlsx, .md, .json, .parquet, .jsonl.",
            show_default=False,
        ),
    ] = None,
    excel: Excel = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    quiet: Quiet = False,
) -> int:
    from orstats.cli.commands.report import run  # noqa: PLC0415 - loads pandas

    return run(
        ids=ids or [],
        files=ids_from or [],
        column=column,
        by=by,
        freq=freq,
        tz=tz,
        since=since,
        until=until,
        top=top,
        output=output,
        excel=excel,
        base_url=base_url,
        archive=archive,
        no_archive=no_archive,
        refresh=refresh,
        quiet=quiet,
    )


@app.command(epilog=epilog("orstats fields", "orstats fields latency cost_usd", "orstats fields -o dictionary.csv"))
@command("Explain the columns: unit and meaning; as JSON or in a file also type and source.")
def fields(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these columns.")] = None,
    as_json: AsJson = False,
    output: Annotated[str | None, output_option("the dictionary")] = None,
) -> int:
    from orstats.cli.commands.report import dictionary  # noqa: PLC0415 - loads pandas

    return dictionary(names or [], as_json=as_json, output=output)


@app.command(
    epilog=epilog(
        "orstats sim --log-out app.log",
        "orstats sim --faults 0.3 --rate 50 --latency 0.2 --port 0",
        "orstats sim --rate 20 --rate-status 503 --retry-after none",
        "orstats sim --seed 7 --until 2026-06-30",
    )
)
@command("Run a simulated API on this machine until Ctrl-C, to try things without a key and without cost.")
def sim(
    port: Port = 8377,
    generations: Annotated[
        int, typer.Option(metavar="N", min=0, max=10_000_000, help="Number of generations in the simulated account.")
    ] = 1000,
    faults: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of ids whose first request fails.")
    ] = 0.0,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.1, help="Maximum number of requests per second.", show_default=False),
    ] = None,
    rate_status: Annotated[
        int, typer.Option(metavar="STATUS", help="Status of requests above --rate: 429, or 503 as proxies send.")
    ] = 429,
    retry_after: Annotated[
        str,
        typer.Option(
            metavar="STYLE",
            help="Retry-After of requests above --rate: seconds, date, ms, both, reset, none, or a number of seconds.",
        ),
    ] = "seconds",
    latency: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Time that each response takes.")] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed; each seed simulates a different account.")] = 0,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="End of the simulated period, such as 2026-06-30 (default: now). "
            "The same seed and end always produce the same ids.",
            show_default=False,
        ),
    ] = None,
    awkward: Annotated[
        bool,
        typer.Option(
            "--awkward",
            help="Simulate an account with content in other APIs' formats, calls across midnight and late analytics.",
        ),
    ] = False,
    ids_out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the account's ids, one per line.", show_default=False)
    ] = None,
    log_out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write an application's log with the account's ids, and two that it does not have.",
            show_default=False,
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve https with a certificate of a private authority. [extra: sim]")
    ] = False,
) -> int:
    from orstats.cli.commands.sim import run  # noqa: PLC0415 - loads the simulator

    return run(
        port=port,
        generations=generations,
        faults=faults,
        rate=rate,
        rate_status=rate_status,
        retry_after=retry_after,
        latency=latency,
        seed=seed,
        until=until,
        awkward=awkward,
        ids_out=ids_out,
        log_out=log_out,
        tls=tls,
    )
