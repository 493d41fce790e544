"""``orstats archive`` and its commands. Only what ``--help`` needs is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from orstats.cli.console import command
from orstats.cli.options import ArchiveDir, AsJson, Ids, IdsFrom, RawText, epilog

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The archive, where each record is kept so that it is fetched only once.",
)


@app.command("path")
@command("Print where the archive is.")
def archive_path(archive: ArchiveDir = None) -> int:
    from orstats.cli.commands.archive import path  # noqa: PLC0415 - loads pyarrow

    return path(archive)


@app.command("info")
@command("Show what is stored, for each API host.")
def archive_info(archive: ArchiveDir = None, as_json: AsJson = False) -> int:
    from orstats.cli.commands.archive import info  # noqa: PLC0415 - loads pandas

    return info(archive, as_json=as_json)


@app.command("compact")
@command("Merge many small files into few big ones; reading gets faster.")
def archive_compact(
    archive: ArchiveDir = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Only this host.", show_default=False)] = None,
) -> int:
    from orstats.cli.commands.archive import compact  # noqa: PLC0415 - loads pyarrow

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
    from orstats.cli.commands.archive import export  # noqa: PLC0415 - loads pandas

    return export(output, archive, host, raw_text=raw_text)


@app.command(
    "forget",
    epilog=epilog(
        "orstats archive forget --user alice --dry-run",
        "orstats archive forget --before 90d --contents --yes",
        more="What is forgotten meets all of the options given.",
    ),
)
@command("Delete chosen generations, with all copies of their records, prompts and completions.")
def archive_forget(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    user: Annotated[
        list[str] | None, typer.Option(metavar="USER", help="Generations of this external_user.", show_default=False)
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Generations by this model.", show_default=False)
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Created before TIME: 2026-03-01, 90d (UTC).", show_default=False),
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Created at or after TIME.", show_default=False)
    ] = None,
    contents: Annotated[
        bool, typer.Option("--contents", metavar="", help="Delete prompts and completions only; keep the records.")
    ] = False,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Only this API host.", show_default=False)] = None,
    archive: ArchiveDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Delete without asking.")] = False,
) -> int:
    from orstats.cli.commands.archive import forget  # noqa: PLC0415 - loads pyarrow

    return forget(
        archive,
        ids=ids or [],
        files=ids_from or [],
        user=user or None,
        model=model or None,
        before=before,
        after=after,
        contents=contents,
        host=host,
        dry_run=dry_run,
        yes=yes,
    )
