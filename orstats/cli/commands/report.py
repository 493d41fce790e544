"""``orstats report``: cost per group and over time, as a table, a file or a page."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import SOME_FAILED, WrongUsage, handle_errors, print_status, print_table
from orstats.cli.options import (
    ArchiveDir,
    BaseUrl,
    Column,
    Excel,
    ExcelCommand,
    Ids,
    IdsFrom,
    NoArchive,
    Quiet,
    Refresh,
    TimeZone,
    dialect_of,
    epilog,
    output_option,
)

if TYPE_CHECKING:
    import pandas as pd

    from orstats.reports.periods import Freq

app = typer.Typer(rich_markup_mode="rich")

_PAGES: Final = (".html", ".htm")


@app.command(
    cls=ExcelCommand,
    help="Report the cost per model, provider, user or any other column, and over time.\n\n"
    "Reports on the given ids or, without any, on everything in the archive; with [bold]--since[/bold] and a "
    "management key (OPENROUTER_MANAGEMENT_KEY), on every generation of the account in that range, which are listed "
    "and fetched first. The page ([bold]-o x.html[/bold]) also has latency, failures, and the most expensive and "
    "slowest generations; it needs no [bold]--by[/bold].",
    epilog=epilog(
        "orstats report",
        "orstats report --by model,provider_name --top 10",
        "orstats report --freq W --by external_user --tz Europe/Lisbon --since 30d",
        "orstats report --ids-from app.log -o report.html",
        more="For the columns to group by, run: orstats fields.",
    ),
)
@handle_errors
def report(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    by: Annotated[str, typer.Option(metavar="COLUMNS", help="Columns to group by, comma-separated.")] = "model",
    freq: Annotated[
        str | None,
        typer.Option(
            metavar="h|D|W|M|Q|Y",
            help="Also group by hour, day, week (from Monday), month, quarter or year.",
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
            min=1,
            metavar="N",
            help="Show the N most expensive groups, and all others in one row.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        output_option("Write a file: .html (a page), .csv, .csv.gz, .xlsx, .md, .json, .parquet, .jsonl."),
    ] = None,
    excel: Excel = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    quiet: Quiet = False,
) -> int:
    from datetime import UTC

    from orstats.api.config import Settings
    from orstats.cli import inputs
    from orstats.cli.summary import print_summary
    from orstats.frame.build import UNREADABLE_FILES
    from orstats.frame.summary import SUMMARY_COLUMNS
    from orstats.reports.cost_tokens_latency import COST_COLUMNS

    keys = [key.strip() for key in by.split(",") if key.strip()]
    _check_grouping(keys, freq)
    zone = inputs.zone_option(tz)
    now = datetime.now(UTC)
    first = None if since is None else inputs.time_option("--since", since, now=now, tz=zone)
    last = None if until is None else inputs.time_option("--until", until, now=now, tz=zone)
    if first is not None and last is not None and first >= last:
        raise WrongUsage(f"--since {since} --until {until}: the range must begin before its end.")
    dialect = _check_output(output, excel)
    is_page = output is not None and output.lower().endswith(_PAGES)

    settings = Settings.resolve(base_url=base_url)
    store = inputs.resolve_archive(archive, no_archive, settings)
    is_listed = not ids and not ids_from and first is not None and settings.management_key is not None
    is_archive = not ids and not ids_from and not is_listed
    if is_archive:
        if no_archive or refresh:
            lacking = ", and no archive to report on" if no_archive else " to fetch again"
            raise WrongUsage(f"no ids{lacking}. Pass ids, or --ids-from FILE.")
        columns = _page_columns() if is_page else (*SUMMARY_COLUMNS, *COST_COLUMNS, *keys)
        frame = inputs.read_archive_of_host(settings, store, base_url, columns, quiet=quiet)
    else:
        from orstats.api.client import Client

        with Client(base_url=base_url) as client:
            if first is not None and is_listed:
                collected = inputs.list_range(client, first, last or now, store, refresh=refresh, quiet=quiet)
            else:
                collected = inputs.collect_ids(ids or [], ids_from or [], column)
            frame = inputs.fetch_ids(collected, client, store, refresh=refresh, quiet=quiet)

    frame, remarks = _select_range(frame, first, last)
    frame.attrs |= {name: end.isoformat() for name, end in (("since", first), ("until", last)) if end is not None}
    remarks += _describe_times(first, last, freq, zone)
    if output is not None and is_page:
        remarks += _write_page(frame, output, freq, zone)
    else:
        remarks += _report_costs(frame, keys, freq, zone, top=top, output=output, dialect=dialect)
    if not quiet:
        for remark in remarks:
            print_status(remark)
        print_summary(frame, requested=not is_archive)
    is_incomplete = bool((frame["fetch_status"] != "ok").any()) or bool(frame.attrs.get(UNREADABLE_FILES))
    return SOME_FAILED if is_incomplete else 0


#: What people look for in records, and the dimension of the account's analytics that has it.
_ANALYTICS_ONLY: Final = {
    **dict.fromkeys(("key", "api_key", "api_key_name", "api_key_id"), "api_key"),
    "member": "user",
    "country": "country",
}


def _check_grouping(keys: list[str], freq: str | None) -> None:
    from orstats.errors import ConfigError
    from orstats.frame.schema import COLUMNS
    from orstats.reports.periods import freq_of
    from orstats.text.suggest import unknown

    if not keys and freq is None:
        raise WrongUsage("pass --by COLUMN (such as model) or --freq PERIOD (such as D).")
    names = [column.name for column in COLUMNS]
    for key in keys:
        if key not in names:
            if key in _ANALYTICS_ONLY:
                raise WrongUsage(f"--by: a record has no {key}. Run `orstats usage --by {_ANALYTICS_ONLY[key]}`.")
            hint = "Run `orstats fields` for the list."
            raise WrongUsage(f"--by: {unknown('column', key, names, hint=hint)}")
    try:
        freq is None or freq_of(freq)
    except ConfigError as error:
        raise WrongUsage(f"--{error}") from error


def _check_output(output: str | None, excel: str | None) -> str:
    """Find out whether the file can be written, and return the dialect of its CSV."""
    if output is not None:
        from orstats.export.write_csv import check_target
        from orstats.export.write_report import ENDINGS

        check_target(output, endings=(*ENDINGS, *_PAGES))
    elif excel is not None:
        raise WrongUsage("--excel needs a file: -o FILE.csv")
    return dialect_of(excel, output)


def _page_columns() -> tuple[str, ...]:
    from orstats.export.html_page import COLUMNS

    return COLUMNS


def _write_page(frame: pd.DataFrame, output: str, freq: str | None, zone: str) -> list[str]:
    from orstats.export.html_page import write_html

    write_html(frame, output, tz=zone, freq=freq or "D")
    return [f"Written to {output}."]


def _report_costs(
    frame: pd.DataFrame,
    keys: list[str],
    freq: str | None,
    zone: str,
    *,
    top: int | None,
    output: str | None,
    dialect: str,
) -> list[str]:
    """Print or write the costs of each group; return remarks about them."""
    from orstats.cli.cost_table import cost_columns, group_rest
    from orstats.reports.cost_tokens_latency import cost_by
    from orstats.text.format import plural

    costs = cost_by(frame, keys or None, freq=freq, tz=zone)
    if top is not None and keys:
        costs = group_rest(costs, frame, keys, top, freq=freq, tz=zone)
    if output is None:
        remarks = print_table(cost_columns(costs))
    else:
        from orstats.export.write_report import write_report

        write_report(costs, output, dialect=dialect)
        remarks = [f"Written to {output}: {plural(len(costs), 'row')}."]
    if "cost_basis" in keys:
        remarks.append("cost_basis byok: what providers charged to your own keys, plus the fees for these calls.")
    return remarks


def _select_range(
    frame: pd.DataFrame, since: datetime | None, until: datetime | None
) -> tuple[pd.DataFrame, list[str]]:
    """Keep the rows of a time range, and those that are not ok, which say how much of the result is missing."""
    from orstats.text.format import plural

    if since is None and until is None:
        return frame, []
    created, is_ok = frame["created_at"], frame["fetch_status"] == "ok"
    is_kept = created.notna()
    if since is not None:
        is_kept &= created >= since
    if until is not None:
        is_kept &= created < until
    undated = int((created.isna() & is_ok).sum())
    remark = f"{plural(undated, 'row')} without created_at excluded: they cannot be assigned to the time range."
    return frame.loc[is_kept | ~is_ok], [remark] if undated else []


def _describe_times(since: datetime | None, until: datetime | None, freq: str | None, zone: str) -> list[str]:
    """Name the range and the time zone, and say when the first period is incomplete."""
    from orstats.cli.inputs import local_time
    from orstats.reports.periods import freq_of

    ends = [f" {word} {local_time(end, zone)}" for word, end in (("from", since), ("to", until)) if end is not None]
    remarks = [f"Times in {zone}{''.join(ends)}."] if ends or freq is not None else []
    if since is not None and freq is not None:
        period = freq_of(freq)
        start = _start_of_period(since, period, zone)
        if start < since:
            complete = start.isoformat(timespec="minutes")
            remarks.append(
                f"The first {period} is incomplete: it begins before --since. Use --since {complete} instead."
            )
    return remarks


def _start_of_period(time: datetime, period: Freq, zone: str) -> datetime:
    import numpy as np
    import pandas as pd

    from orstats.reports.periods import period_moments, period_starts
    from orstats.text.time_zones import clock

    started = period_starts(np.array([time.replace(tzinfo=None)], "datetime64[us]"), period, zone)
    return pd.DatetimeIndex(period_moments(started, period, zone), tz="UTC").tz_convert(clock(zone))[0].to_pydatetime()
