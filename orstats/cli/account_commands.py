"""The commands about the account, and their options. Only what ``--help`` needs is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats.cli.console import command
from orstats.cli.options import (
    ArchiveDir,
    AsJson,
    BaseUrl,
    Column,
    Ids,
    IdsFrom,
    NoArchive,
    Quiet,
    Refresh,
    TimeZone,
    epilog,
    output_option,
)

app = typer.Typer(rich_markup_mode="rich")

Since = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Start of the range: 2026-03-01, 2026-03-01T08:00+01:00, yesterday, today, 7d, 24h, 3mo.",
        show_default=False,
    ),
]
Until = Annotated[str, typer.Option(metavar="TIME", help="End of the range, which is not included.")]

_KEY = "Needs a management key in [bold]OPENROUTER_MANAGEMENT_KEY[/bold]: openrouter.ai/settings/management-keys"


def _filter(name: str, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{name}", metavar=name.upper(), help=f"Only of this {what}. May be given several times.", show_default=False
    )
    return option


@app.command(
    epilog=epilog(
        "orstats ids --since yesterday --until today -o ids.txt",
        "orstats ids --since 7d --model openai/gpt-4.1 | orstats fetch --ids-from - -o costs.csv",
        more=_KEY,
    )
)
@command(
    "List the ids of all generations of the account in a time range, one a line.\n\n"
    "Safe to interrupt: run the same command again to resume."
)
def ids(
    since: Since,
    until: Until = "now",
    tz: TimeZone = "UTC",
    model: Annotated[list[str] | None, _filter("model", "model")] = None,
    user: Annotated[list[str] | None, _filter("user", "end user, as your application named it (external_user)")] = None,
    key: Annotated[list[str] | None, _filter("key", "API key: its number or hash (api_key_id)")] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the ids to a file, one a line.", show_default=False),
    ] = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", metavar="", help="Ignore cached listings and query again.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    from orstats.cli.commands.ids import run  # noqa: PLC0415 - loads pandas

    return run(
        since=since,
        until=until,
        tz=tz,
        filters={"model": model or [], "external_user": user or [], "api_key_id": key or []},
        output=output,
        base_url=base_url,
        archive=archive,
        no_archive=no_archive,
        refresh=refresh,
        quiet=quiet,
    )


@app.command(
    epilog=epilog(
        "orstats reconcile --since yesterday --until today",
        "orstats reconcile --ids-from app.log --since 2026-03-01 --until 2026-04-01 -o differences.csv",
        more=_KEY,
    )
)
@command(
    "Compare what your ids cost with the account's own totals, per day and model.\n\n"
    "Of the ids given, or, without any, of all that the account lists in this time. Shows what does not agree, "
    "and why. Exit code 3 when more than the tolerance is unexplained."
)
def reconcile(
    since: Since,
    ids: Ids = None,
    until: Until = "now",
    tz: TimeZone = "UTC",
    ids_from: IdsFrom = None,
    column: Column = None,
    tolerance: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=1, help="Share of the account's amount that may stay unexplained."),
    ] = 0.01,
    output: Annotated[str | None, output_option("all days and models")] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    quiet: Quiet = False,
) -> int:
    from orstats.cli.commands.reconcile import run  # noqa: PLC0415 - loads pandas

    return run(
        ids=ids or [],
        files=ids_from or [],
        column=column,
        since=since,
        until=until,
        tz=tz,
        tolerance=tolerance,
        output=output,
        as_json=as_json,
        base_url=base_url,
        archive=archive,
        no_archive=no_archive,
        refresh=refresh,
        quiet=quiet,
    )


@app.command()
@command("Show what the key may spend and has spent, and, with a management key, the account's credits.")
def key(as_json: AsJson = False, base_url: BaseUrl = None) -> int:
    from orstats.cli.commands.key import run  # noqa: PLC0415 - loads requests

    return run(as_json=as_json, base_url=base_url)
