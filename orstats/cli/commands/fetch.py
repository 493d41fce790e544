"""``orstats fetch``: ids in, one row each out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orstats.cli.console import data_stream, print_status
from orstats.cli.errors import SOME_FAILED, WrongUsage, handle_errors
from orstats.cli.options import (
    EXIT_CODES,
    KEYS,
    ArchiveDir,
    BaseUrl,
    Column,
    Excel,
    ExcelCommand,
    Ids,
    IdsFrom,
    NoArchive,
    Quiet,
    RawText,
    Refresh,
    RowsFile,
    dialect_of,
    epilog,
)
from orstats.cli.result_file import written

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from orstats.errors import ApiError, ArchiveError

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    cls=ExcelCommand,
    help="Fetch cost, tokens and latency of many generations: one row per id.\n\n"
    "Without [bold]-o[/bold], CSV on standard output. Ids that fail keep their row, with the reason. Safe to "
    "interrupt: run the same command again to resume.",
    epilog=epilog(
        "orstats fetch --ids-from app.log -o costs.csv",
        "orstats fetch --ids-from orders.xlsx --column generation_id -o costs.parquet",
        "grep checkout app.log | orstats fetch --ids-from - > costs.csv",
        "orstats fetch --ids-from runs.csv --join -o runs-with-costs.csv",
        more=f"{KEYS}\n\n{EXIT_CODES}",
    ),
)
@handle_errors
def fetch(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            metavar="",
            help="Write the rows and columns of the table in --ids-from (.csv, .xlsx, .jsonl, .parquet) with cost, "
            "tokens, latency and status added. An id in several rows is charged once.",
        ),
    ] = False,
    output: RowsFile = None,
    excel: Excel = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Maximum number of concurrent requests; the request rate adapts automatically.",
        ),
    ] = 16,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    pending_wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="How long to keep retrying ids that are too recent to be available."
        ),
    ] = 30.0,
    deadline: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Stop after this time; the remaining ids are marked not_attempted. "
            "0 only reads the archive, without a key.",
        ),
    ] = None,
    raw_text: RawText = False,
    quiet: Quiet = False,
) -> int:
    from orstats.api.client import Client
    from orstats.cli.archive_records import NAME_AN_ARCHIVE, resolve_archive
    from orstats.cli.inputs import NoIdsFound, collect_ids, user_table
    from orstats.cli.resumable import fetch_ids
    from orstats.cli.summary import print_summary
    from orstats.errors import ApiError, ArchiveError
    from orstats.export.write_csv import check_target, write_csv

    if not ids and not ids_from:
        raise WrongUsage("no ids. Pass them as arguments, as --ids-from FILE (such as a log), or piped: --ids-from -")
    dialect = dialect_of(excel, output)
    if output is not None:
        check_target(output, inputs=ids_from or [])

    table = user_table(ids, ids_from, column) if join else None

    def write(frame: pd.DataFrame) -> None:
        target = data_stream() if output is None else output
        written = frame if table is None else table.joined(frame)
        write_csv(written, target, spreadsheet_safe=not raw_text, dialect=dialect)

    try:
        collected = table.distinct_ids() if table is not None else collect_ids(ids or [], ids_from or [], column)
    except NoIdsFound as error:
        raise NoIdsFound(f"{error} {_write_nothing(output, write)}") from None
    if output is not None:
        check_target(output, rows=len(collected) if table is None else len(table.rows))
    started = time.monotonic()
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client.settings)
        try:
            frame = fetch_ids(
                collected,
                client,
                store,
                workers=workers,
                refresh=refresh,
                pending_wait=pending_wait,
                deadline=deadline,
                quiet=quiet,
            )
        except (ApiError, ArchiveError) as error:
            _write_partial(error, output, write)
            raise
    write(frame)
    if not quiet:
        print_summary(frame, time.monotonic() - started)
        if output is not None:
            print_status(written(output, len(frame) if table is None else len(table.rows)))
        if store is None and not no_archive:
            print_status(f"Not archived. {NAME_AN_ARCHIVE}")
    return SOME_FAILED if bool((frame["fetch_status"] != "ok").any()) else 0


def _write_nothing(output: str | None, write: Callable[[pd.DataFrame], None]) -> str:
    """Write the header row, unless it would replace the results of a good run; return what was done."""
    from orstats.frame.build import empty_frame

    if output is not None and Path(output).exists():
        return f"{output} was not changed."
    write(empty_frame())
    return "Only the header row was written."


def _write_partial(error: ApiError | ArchiveError, output: str | None, write: Callable[[pd.DataFrame], None]) -> None:
    """Write the results of a stopped fetch; without any they would overwrite a good file with empty rows."""
    from orstats.errors import ApiError
    from orstats.text.format import plural

    frame = error.frame
    fetched = 0 if frame is None else int((frame["fetch_status"] == "ok").sum())
    if not fetched or (output is None and isinstance(error, ApiError)):
        return
    write(frame)
    target = output or "standard output"
    print_status(f"Partial results written to {target}: {fetched:,} of {plural(len(frame), 'id')}.", "yellow")
