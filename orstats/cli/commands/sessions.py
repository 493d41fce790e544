"""``orstats sessions``: what each session cost, how long it took, and what failed in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import print_table
from orstats.cli.errors import WrongUsage, handle_errors
from orstats.cli.options import (
    ArchiveDir,
    BaseUrl,
    Column,
    CreatedSince,
    CreatedUntil,
    Excel,
    ExcelCommand,
    Ids,
    IdsFrom,
    NoArchive,
    Quiet,
    Refresh,
    TimeZone,
    epilog,
    output_option,
)
from orstats.cli.result_file import check_report_file, written

if TYPE_CHECKING:
    import pandas as pd

    from orstats.text import table

app = typer.Typer(rich_markup_mode="rich")

#: For those who pass the name of a session.
_ALL_SESSIONS: Final = (
    "Without ids, `orstats sessions` lists every session of the archive; in a notebook, "
    "orstats.view_session(df, SESSION) shows one."
)


@app.command(
    cls=ExcelCommand,
    help="Report what each session cost, how long it took, and what failed in it.\n\n"
    "Reports on the given ids or, without any, on everything in the archive; with [bold]--since[/bold] and a "
    "management key (OPENROUTER_MANAGEMENT_KEY), on every generation of the account in that range.\n\n"
    "[bold]wall[/bold] is the time from the first start to the last end, [bold]busy[/bold] the part of it in which a "
    "generation was running.",
    epilog=epilog(
        "orstats sessions --top 10",
        "orstats sessions --since 7d",
        "orstats sessions --by request_id --ids-from app.log -o requests.csv",
        more="In a notebook, orstats.view_session(df, SESSION) shows where the time of one session went.",
    ),
)
@handle_errors
def sessions(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", help="What a session is: session_id, request_id, external_user or another column."
        ),
    ] = "session_id",
    tz: TimeZone = "UTC",
    since: CreatedSince = None,
    until: CreatedUntil = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Show only the N most expensive sessions.", show_default=False),
    ] = None,
    output: Annotated[
        str | None, output_option("Write a file: .csv, .csv.gz, .xlsx, .md, .json, .parquet, .jsonl.")
    ] = None,
    excel: Excel = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    quiet: Quiet = False,
) -> int:
    from orstats.cli.inputs import is_unlike_an_id
    from orstats.cli.report_range import describe_times, read_range, select_range
    from orstats.cli.report_records import Selection, print_outcome, read_records
    from orstats.export.write_report import write_report
    from orstats.frame.schema import COLUMNS
    from orstats.frame.summary import SUMMARY_COLUMNS
    from orstats.reports.sessions import COLUMNS as NEEDED
    from orstats.reports.sessions import sessions as sum_up
    from orstats.text.format import plural
    from orstats.text.suggest import unknown

    for one in ids or []:
        if is_unlike_an_id(one):
            raise WrongUsage(f"{one[:100]!r} is not a generation id. {_ALL_SESSIONS}")
    names = [one.name for one in COLUMNS]
    if by not in names:
        raise WrongUsage(f"--by: {unknown('column', by, names, hint='Run `orstats fields` for the list.')}")
    dialect = check_report_file(output, excel, inputs=ids_from or [])
    span = read_range(since, until, tz, compare=False)
    selected = Selection(
        ids or [], ids_from or [], column, base_url, archive, no_archive=no_archive, refresh=refresh, quiet=quiet
    )
    source, frame = read_records(selected, span, (*SUMMARY_COLUMNS, *NEEDED, by))
    frame, undated = select_range(frame, span)
    found = sum_up(frame, by)
    shown = found if top is None else found.head(top)
    if output is None:
        remarks = print_table(_columns(shown, found))
    else:
        write_report(shown, output, dialect=dialect)
        remarks = [written(output, len(shown))]
    if len(shown) < len(found):
        omitted = f"{plural(len(found) - len(shown), 'less expensive session')} omitted (--top"
        remarks.append(f"{omitted}), included in the total." if output is None else f"{omitted}).")
    remarks += [*([found.attrs["note"]] if "note" in found.attrs else []), *undated, *describe_times(span, None)]
    return print_outcome(frame, source, remarks, quiet=quiet)


def _columns(shown: pd.DataFrame, found: pd.DataFrame) -> list[table.Column]:
    """Return the columns of the sessions that are shown; the last line is the total of all."""
    from orstats.text.format import count, duration, tokens, usd_amounts
    from orstats.text.sanitize import terminal_line
    from orstats.text.table import Column

    def counts(name: str, leaves: int) -> Column:
        return Column(name, list(map(count, shown[name])), leaves=leaves, footer=count(found[name].sum()))

    least = min(len(found), 1)  # nothing costs $0; only unknown amounts add up to an unknown one
    *costs, total = usd_amounts([*shown["cost_usd"], found["cost_usd"].sum(min_count=least)])
    total_tokens = tokens(found["tokens_total"].sum(min_count=least))
    columns = [
        Column(str(found.index.name), [terminal_line(str(name)) for name in shown.index], "label", footer="total"),
        counts("generations", 1),
        Column("cost", costs, footer=total),
        Column("wall", list(map(duration, shown["wall_s"] * 1000)), leaves=2),
        Column("busy", list(map(duration, shown["busy_s"] * 1000)), leaves=3),
        counts("failed", 4),
        Column("tokens", list(map(tokens, shown["tokens_total"])), leaves=5, footer=total_tokens),
        counts("fallbacks", 6),
        Column("models", list(map(count, shown["models"])), leaves=7),
    ]
    if found["cost_unknown"].any():
        columns.append(replace(counts("cost_unknown", 0), name="cost unknown"))
    return columns
