"""``orstats archive``: the archive's directory and contents, compaction, export and deletion."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orstats.cli.console import data_stream, print_status, print_table, write_json
from orstats.cli.errors import FAILED, SOME_FAILED, WrongUsage, handle_errors
from orstats.cli.options import ArchiveDir, AsJson, Host, Ids, IdsFrom, RawText, RowsFile, epilog
from orstats.cli.result_file import written
from orstats.cli.usage_errors import Program

if TYPE_CHECKING:
    from orstats.archive.forget import Forgotten

app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The archive, which stores each record so that it is fetched only once.",
)


@app.command(help="Print the directory of the archive.")
@handle_errors
def path(archive: ArchiveDir = None) -> None:
    from orstats.archive.archive import Archive

    out = data_stream()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path need not be UTF-8
    out.write(f"{Archive(archive).path}\n")


@app.command(help="Show what is stored, for each API host.")
@handle_errors
def info(archive: ArchiveDir = None, as_json: AsJson = False) -> int:
    import pandas as pd

    from orstats.archive.archive import Archive
    from orstats.archive.location import without_records
    from orstats.cli.archive_records import RUN_FETCH
    from orstats.export.write_csv import json_rows
    from orstats.text.format import byte_size, count, plural
    from orstats.text.sanitize import terminal_line
    from orstats.text.table import Column

    store = Archive(archive)
    frame = store.info()
    if as_json:
        write_json(list(json_rows(frame)))
        return 0
    if frame.empty:
        print_status(f"{without_records(store.path)} {RUN_FETCH}")
        return 0
    print_status(f"Archive: {store.path}")
    days = {name: [f"{at:%Y-%m-%d}" if pd.notna(at) else "?" for at in frame[name]] for name in ("oldest", "newest")}
    columns = [
        Column("host", list(map(terminal_line, frame.index)), "label"),
        Column("generations", list(map(count, frame["ids"]))),
        Column("from", days["oldest"], leaves=2),
        Column("to", days["newest"], leaves=1),
        Column("files", list(map(count, frame["parts"])), leaves=4),
        Column("size", list(map(byte_size, frame["bytes"] + frame["contents_bytes"])), leaves=3),
        Column("contents", list(map(count, frame["contents"])), leaves=5),
    ]
    for remark in print_table(columns):
        print_status(remark)
    damaged = int(frame["damaged"].sum())
    if damaged:
        files = plural(damaged, "damaged file")
        print_status(f"{files} cannot be read; the next fetch of their ids fetches them again.", "yellow")
    return SOME_FAILED if damaged else 0


@app.command(help="Merge many small files into a few large ones, which are read faster.")
@handle_errors
def compact(archive: ArchiveDir = None, host: Host = None) -> int:
    from orstats.archive.archive import Archive
    from orstats.text.format import byte_size, plural
    from orstats.text.sanitize import terminal_line

    unreadable: list[str] = []
    ignored: list[str] = []
    done = Archive(archive).compact(host)
    if not done:
        print_status("No files to merge.")
    for one in done:
        print_status(
            f"{terminal_line(one.host)} {one.dataset}: "
            f"{plural(one.parts_before, 'file')} → {one.parts_after:,}, "
            f"{one.rows_before:,} → {plural(one.rows_after, 'row')}, "
            f"{byte_size(one.bytes_before)} → {byte_size(one.bytes_after)}"
        )
        unreadable += one.unreadable
        ignored += one.ignored
    for name in unreadable:
        print_status(f"Skipped unreadable file: {terminal_line(name)}", "yellow")
    for name in ignored:
        print_status(f"Ignored, because it does not belong to the archive: {terminal_line(name)}")
    return FAILED if unreadable else 0


@app.command(
    help="Write every record of the archive to one file.",
    epilog=epilog("orstats archive export -o all.parquet", "orstats archive export -o eu.csv --host eu.openrouter.ai"),
)
@handle_errors
def export(
    output: Annotated[
        str | None, typer.Argument(metavar="FILE", help="The same as -o FILE.", show_default=False)
    ] = None,
    output_option: RowsFile = None,
    archive: ArchiveDir = None,
    host: Host = None,
    raw_text: RawText = False,
) -> int:
    from orstats.archive.archive import Archive
    from orstats.cli.archive_records import read_archive
    from orstats.export.write_csv import check_target, write_csv
    from orstats.frame.build import UNREADABLE_FILES

    if (output is None) == (output_option is None):
        raise WrongUsage("pass one file to write: -o FILE, such as -o all.parquet.")
    output = output or output_option or ""
    check_target(output)
    frame = read_archive(Archive(archive), host)
    write_csv(frame, output, spreadsheet_safe=not raw_text)
    print_status(written(output, len(frame)))
    return SOME_FAILED if frame.attrs.get(UNREADABLE_FILES) else 0


@app.command(
    help="Delete chosen generations, with all copies of their records, prompts and completions.",
    epilog=epilog(
        "orstats archive forget --user alice --dry-run",
        "orstats archive forget --before 90d --contents --yes",
        more="Deletes the generations that match all of the given options. Asks for confirmation in a terminal; "
        "elsewhere (pipes, cron), it needs --yes.",
    ),
)
@handle_errors
def forget(
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
    host: Host = None,
    archive: ArchiveDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Delete without confirmation.")] = False,
) -> int:
    from datetime import UTC, datetime
    from functools import partial

    from orstats.archive.archive import Archive
    from orstats.cli.inputs import collect_ids
    from orstats.cli.times import time_option
    from orstats.text.format import plural
    from orstats.text.sanitize import terminal_line

    if not (ids or ids_from or contents or user or model or before is not None or after is not None):
        raise WrongUsage("pass what to delete: ids, --ids-from, --user, --model, --before, --after or --contents.")
    now = datetime.now(UTC)
    store = Archive(archive)
    delete = partial(
        store.forget,
        ids=collect_ids(ids or [], ids_from or []) if ids or ids_from else None,
        user=user or None,
        model=model or None,
        before=None if before is None else time_option("--before", before, now=now),
        after=None if after is None else time_option("--after", after, now=now),
        host=host,
        contents_only=contents,
    )
    found = delete(dry_run=True)
    print_status(f"Archive: {store.path}")
    if found.records or found.contents or dry_run:
        print_status(f"{'Found' if dry_run else 'To be deleted'}: {_counts(found)}.")
    else:
        print_status("Nothing to delete.")
    if found.unattributed:
        print_status(
            f"The contents of {plural(found.unattributed, 'generation')} are kept: this archive has no record of "
            "their user or model. Pass their ids to delete them.",
            "yellow",
        )
    for name in found.unsearched:
        print_status(f"Cannot be searched: {terminal_line(name)}", "yellow")
    if dry_run:
        return FAILED if found.unsearched else 0
    if found.records or found.contents:
        if not yes and not sys.stdin.isatty():
            raise WrongUsage(
                "nothing was deleted: no terminal to ask for confirmation. Pass --yes to delete without it."
            )
        if not yes and not typer.confirm("Delete them? This cannot be undone.", err=True):
            print_status("Nothing was deleted.")
            return FAILED
    deleted = delete()
    if found.records or found.contents:
        print_status(f"Deleted: {_counts(deleted)}.")
    return 0


def _counts(found: Forgotten) -> str:
    from orstats.text.format import plural

    return (
        f"{plural(found.records, 'record')} and {plural(found.contents, 'content')} "
        f"of {plural(found.generations, 'generation')} in {plural(found.files, 'file')}"
    )
