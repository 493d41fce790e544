"""``orstats report``: cost per group and over time, as a table, a file or a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

    from orstats.cli.report_range import Periods
    from orstats.text import table

app = typer.Typer(rich_markup_mode="rich")

_PAGES: Final = (".html", ".htm")
#: More lines than most screens have.
_MANY_GROUPS: Final = 50
#: Columns by which a page always groups, whatever --by is.
_PAGE_TABLES: Final = ("model", "provider_name", "external_user")


@app.command(
    cls=ExcelCommand,
    help="Report the cost per model, provider, user or any other column, and over time.\n\n"
    "Reports on the given ids or, without any, on everything in the archive; with [bold]--since[/bold] and a "
    "management key (OPENROUTER_MANAGEMENT_KEY), on every generation of the account in that range, which are listed "
    "and fetched first. The page ([bold]-o x.html[/bold]) also has latency, failures, and the most expensive and "
    "slowest generations; it needs no [bold]--by[/bold]. With [bold]--compare previous[/bold]: what changed since the "
    "period of equal length just before, and why.",
    epilog=epilog(
        "orstats report",
        "orstats report --by model,provider_name --top 10",
        "orstats report --freq W --by external_user --tz Europe/Lisbon --since 30d",
        "orstats report --since 7d --by api_key,model",
        "orstats report --since 7d --compare previous",
        "orstats report --ids-from app.log -o report.html",
        more="For the columns to group by, run: orstats fields.",
    ),
)
@handle_errors
def report(
    ids: Ids = None,
    ids_from: IdsFrom = None,
    column: Column = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS",
            help="Columns to group by, comma-separated; with --since and a management key also api_key, "
            "user, app, workspace, country.",
        ),
    ] = "model",
    freq: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD",
            help="Also group by hour, day, week (from Monday), month, quarter or year (h, D, W, M, Q, Y).",
            show_default=False,
        ),
    ] = None,
    tz: TimeZone = "UTC",
    since: CreatedSince = None,
    until: CreatedUntil = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="previous",
            help="Compare with the period of equal length just before --since: the change in cost of each group, split "
            "into volume, mix, size and price.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Show the N most expensive groups (with --compare, those with the largest change), and all others in "
            "one row.",
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
    from orstats.cli.report_labels import describe_labels, labels_in, read_keys
    from orstats.cli.report_range import describe_times, read_range, select_range
    from orstats.cli.report_records import Selection, print_outcome, read_records
    from orstats.frame.summary import SUMMARY_COLUMNS
    from orstats.reports.cost_tokens_latency import COST_COLUMNS
    from orstats.reports.coverage import COVERS_RANGE

    keys = read_keys(by)
    _check_grouping(keys, freq, since)
    if top is not None and not keys:
        raise WrongUsage("--top needs --by COLUMN: it shows the most expensive groups.")
    form = _Form(output, check_report_file(output, excel, inputs=ids_from or [], pages=_PAGES), freq, top)
    _check_compare(compare, since, form)
    span = read_range(since, until, tz, compare=compare is not None)
    selected = Selection(
        ids or [], ids_from or [], column, base_url, archive, no_archive=no_archive, refresh=refresh, quiet=quiet
    )
    columns = (*(_page_columns() if form.is_page else (*SUMMARY_COLUMNS, *COST_COLUMNS)), *keys)
    source, frame = read_records(selected, span, columns, labels_in(keys))
    gaps = span.periods.describe_gaps(frame) if span.periods is not None and source != "account" else []
    frame, undated = select_range(frame, span)
    frame.attrs[COVERS_RANGE] = source == "account"
    if span.periods is not None:
        remarks = [*_report_change(frame, keys, span.periods, form), *gaps, *undated]
    else:
        remarks = [*undated, *describe_times(span, freq)]
        remarks += _write_page(frame, form, span.zone) if form.is_page else _report_costs(frame, keys, form, span.zone)
    remarks += _not_on_page(keys, form, is_comparison=span.periods is not None) if form.is_page else []
    remarks += describe_labels(frame, labels_in(keys))
    return print_outcome(frame, source, remarks, costs=span.periods is None, quiet=quiet)


@dataclass(frozen=True, slots=True)
class _Form:
    """The form of the report: a table on the terminal, a file, or a page."""

    output: str | None
    dialect: str
    freq: str | None
    top: int | None

    @property
    def is_page(self) -> bool:
        return self.output is not None and self.output.lower().endswith(_PAGES)


def _check_grouping(keys: list[str], freq: str | None, since: str | None) -> None:
    from orstats.cli.report_labels import LABELS, labels_in
    from orstats.errors import ConfigError
    from orstats.frame.schema import COLUMNS
    from orstats.frame.validation import unknown_group
    from orstats.reports.periods import freq_of

    if not keys and freq is None:
        raise WrongUsage("pass --by COLUMN (such as model) or --freq PERIOD (such as D).")
    labels = labels_in(keys)
    names = [*(column.name for column in COLUMNS), *LABELS]
    for key in keys:
        if key not in names:
            raise WrongUsage(f"--by: {unknown_group('column', key, names, 'Run `orstats fields` for the list.')}")
    if labels and since is None:
        raise WrongUsage(
            f"--by {labels[0]} needs --since: a record has no {labels[0]}, and the account's analytics list it for a "
            f"time range. For sums only, run `orstats usage --by {labels[0]} --since 30d`."
        )
    try:
        freq is None or freq_of(freq)
    except ConfigError as error:
        raise WrongUsage(f"--{error}") from error


def _check_compare(compare: str | None, since: str | None, form: _Form) -> None:
    if compare is None:
        return
    if compare != "previous":
        raise WrongUsage(f"--compare must be previous, got {compare!r}.")
    if since is None:
        raise WrongUsage("--compare previous needs --since, where the period to compare begins.")
    if form.freq is not None and not form.is_page:
        raise WrongUsage("--compare and --freq are mutually exclusive, except for a page (-o x.html).")


def _page_columns() -> tuple[str, ...]:
    from orstats.export.html_page import COLUMNS

    return COLUMNS


def _write_page(frame: pd.DataFrame, form: _Form, zone: str, compared: pd.DataFrame | None = None) -> list[str]:
    from orstats.export.html_page import write_html

    assert form.output is not None
    write_html(frame, form.output, tz=zone, freq=form.freq, compared=compared)
    return [f"Written to {form.output}."]


def _not_on_page(keys: list[str], form: _Form, *, is_comparison: bool) -> list[str]:
    """Name the options that do not change a page, which has tables of its own."""
    from orstats.cli.report_labels import LABELS

    missing = [] if is_comparison else [key for key in keys if key not in {*_PAGE_TABLES, *LABELS}]
    ignored = [f"--by {','.join(missing)}"] * bool(missing) + [f"--top {form.top}"] * (form.top is not None)
    return [f"The page has its own tables. Ignored: {', '.join(ignored)}."] if ignored else []


def _report_change(frame: pd.DataFrame, keys: list[str], periods: Periods, form: _Form) -> list[str]:
    """Print or write what changed between two periods; return remarks about it."""
    from orstats.cli.change_table import change_columns
    from orstats.reports.compare import compare, fold_changes
    from orstats.reports.coverage import PROVENANCE, coverage, provenance

    is_before = periods.is_before(frame)
    after = frame[~is_before]
    compared = compare(frame[is_before], after, keys)
    compared.attrs |= {"coverage": coverage(frame) | periods.coverage(), PROVENANCE: provenance(frame)}
    remarks = [compared.attrs["note"], *periods.describe()]
    if form.is_page:
        return [*remarks, *_write_page(after, form, periods.zone, compared)]
    if form.top is not None:
        compared = fold_changes(compared, form.top)
    return _show(compared, change_columns, form) + remarks


def _report_costs(frame: pd.DataFrame, keys: list[str], form: _Form, zone: str) -> list[str]:
    """Print or write the costs of each group; return remarks about them."""
    from orstats.cli.cost_table import cost_columns, group_rest
    from orstats.reports.chart_data import fetched_rows
    from orstats.reports.cost_tokens_latency import cost_by
    from orstats.reports.incomplete_periods import incomplete_in_report
    from orstats.text.format import plural

    costs = cost_by(frame, keys or None, freq=form.freq, tz=zone)
    if form.top is not None and keys:
        costs = group_rest(costs, frame, keys, form.top, freq=form.freq, tz=zone)
    remarks = _show(costs, cost_columns, form)
    if form.output is None and form.top is None and len(costs) > _MANY_GROUPS:
        remarks.append(_fewer_groups(len(costs), keys))
    if form.output is None and (unknown := int(fetched_rows(frame)["tokens_total"].isna().sum())):
        remarks.append(f"Tokens exclude {plural(unknown, 'generation')} without a total.")
    # That the range begins within the first period is said with the time range, and with the remedy.
    remarks += [one.sentence for one in incomplete_in_report(costs) if not (one.is_first and one.is_certain)]
    if "cost_basis" in keys:
        remarks.append("cost_basis byok: what providers charged to your own keys, plus the fees for these calls.")
    return remarks


def _fewer_groups(groups: int, keys: list[str]) -> str:
    """Say how to get a table that fits the screen."""
    from orstats.frame.schema import COLUMNS

    times = [column.name for column in COLUMNS if column.dtype.startswith("datetime") and column.name in keys]
    if times:
        return f"{groups:,} groups, because {times[0]} is different in each row. For days, use --freq D without it."
    advice = " --top 20 shows the most expensive." if keys else ""
    return f"{groups:,} groups.{advice} -o FILE writes all of them."


def _show(report: pd.DataFrame, columns: Callable[[pd.DataFrame], list[table.Column]], form: _Form) -> list[str]:
    """Print a report or write it to a file; return remarks about that."""
    from orstats.export.write_report import write_report

    if form.output is None:
        return print_table(columns(report))
    write_report(report, form.output, dialect=form.dialect)
    return [written(form.output, len(report))]
