"""The program: its commands, each in a module of its own that imports only what ``--help`` needs."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats._version import __version__
from orstats.cli.commands import (
    archive,
    demo,
    doctor,
    explore,
    feedback,
    fetch,
    fields,
    ids,
    key,
    reconcile,
    report,
    sessions,
    show,
    sim,
    usage,
)
from orstats.cli.options import EXIT_CODES, KEYS, epilog
from orstats.cli.usage_errors import Program

app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Cost, latency and content of OpenRouter generations, from a list of ids to a CSV.",
    epilog=epilog(
        "orstats demo",
        "orstats fetch --ids-from app.log -o costs.csv",
        "orstats report --by model",
        "orstats show gen-1790000000-AbCdEfGhIjKlMnOpQrSt --content",
        more=f"{KEYS}\n\n{EXIT_CODES}",
    ),
)
for command in (
    demo,
    fetch,
    show,
    report,
    sessions,
    fields,
    sim,
    ids,
    usage,
    reconcile,
    key,
    feedback,
    explore,
    doctor,
):
    app.add_typer(command.app)
app.add_typer(archive.app, name="archive")


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"orstats {__version__}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""
