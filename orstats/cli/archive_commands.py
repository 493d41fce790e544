"""``orstats archive`` and its commands. Only what ``--help`` needs is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats.cli.console import command
from orstats.cli.options import ArchiveDir, AsJson, RawText, epilog

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The archive, where each record is kept so that it is fetched only once.",
)


@app.command("path")
@command("Print where the archive is.")
def archive_path(archive: ArchiveDir = None) -> int:
    from orstats.cli.archiving import path  # noqa: PLC0415 - loads pyarrow

    return path(archive)


@app.command("info")
@command("Show what is stored, for each API host.")
def archive_info(archive: ArchiveDir = None, as_json: AsJson = False) -> int:
    from orstats.cli.archiving import info  # noqa: PLC0415 - loads pandas

    return info(archive, as_json=as_json)


@app.command("compact")
@command("Merge many small files into few big ones; reading gets faster.")
def archive_compact(
    archive: ArchiveDir = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Only this host.", show_default=False)] = None,
) -> int:
    from orstats.cli.archiving import compact  # noqa: PLC0415 - loads pyarrow

    return compact(archive, host)


@app.command(
    "export",
    epilog=epilog("orstats archive export all.parquet", "orstats archive export eu.csv --host eu.openrouter.ai"),
)
@command("Write every record of the archive to one file.")
def archive_export(
    output: Annotated[
        str, typer.Argument(metavar="FILE", help="To write: .csv, .csv.gz, .parquet, .jsonl.", show_default=False)
    ],
    archive: ArchiveDir = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Which host, when there are several.", show_default=False)
    ] = None,
    raw_text: RawText = False,
) -> int:
    from orstats.cli.archiving import export  # noqa: PLC0415 - loads pandas

    return export(output, archive, host, raw_text=raw_text)
