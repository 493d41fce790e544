"""``orstats explore`` and its options. Only what ``--help`` needs is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats.cli.console import command
from orstats.cli.options import ArchiveDir, BaseUrl, Column, Ids, IdsFrom, NoArchive, Port, Quiet, epilog

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    epilog=epilog(
        "orstats explore",
        "orstats explore --ids-from app.log",
        "orstats explore --no-browser --port 8866 --dark",
        more="Needs the extra notebook. Prompts and completions are asked for one by one, when you open them.",
    )
)
@command(
    "Explore generations in the browser: filter, sort, compare, and see what happened in each.\n\n"
    "Of the ids given, or, without any, of all that is in the archive. Served on this machine only, to who has "
    "the address that is printed; until Ctrl-C."
)
def explore(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    port: Port = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", metavar="", help="Only print the address.")] = False,
    dark: Annotated[bool, typer.Option("--dark", metavar="", help="Dark colours.")] = False,
    quiet: Quiet = False,
) -> int:
    from orstats.cli.commands.explore import run  # noqa: PLC0415 - loads pandas

    return run(
        ids=ids or [],
        files=ids_from or [],
        column=column,
        base_url=base_url,
        archive=archive,
        no_archive=no_archive,
        port=port,
        no_browser=no_browser,
        dark=dark,
        quiet=quiet,
    )
