"""``orstats usage``: which key, member, application or model spends, from the account's own figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import print_status, print_table, write_json
from orstats.cli.errors import WrongUsage, handle_errors
from orstats.cli.options import (
    MANAGEMENT_KEY,
    AsJson,
    BaseUrl,
    Quiet,
    Since,
    TableFile,
    TimeZone,
    Until,
    epilog,
)
from orstats.cli.result_file import check_report_file

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Show what the account's keys, members, applications or models cost, without any ids.\n\n"
    "Groups by up to two of model, variant, api_key, user, workspace, app (365 days per request) and provider, origin, "
    "country, finish_reason, external_user, context_length_bucket (31 days per request).",
    epilog=epilog(
        "orstats usage --by api_key --since 30d",
        "orstats usage --by api_key,model --since 30d --freq W -o usage.csv",
        "orstats usage --by user --since 7d --metric request_count,total_usage",
        more=MANAGEMENT_KEY,
    ),
)
@handle_errors
def usage(
    since: Since,
    until: Until = "now",
    tz: TimeZone = "UTC",
    by: Annotated[
        str, typer.Option(metavar="NAMES", help="One or two dimensions, comma-separated; key is short for api_key.")
    ] = "model",
    freq: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD",
            help="Also group by hour, day, week, month, quarter or year (h, D, W, M, Q, Y).",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Metrics of the API, comma-separated, such as cached_tokens. Default: generations, cost and tokens.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(metavar="N", min=1, help="Show only the N most expensive groups; -o and --json have all.")
    ] = 20,
    output: TableFile = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    quiet: Quiet = False,
) -> int:
    from orstats.account.usage import usage as account_usage
    from orstats.account.usage_metrics import dimensions_of, metrics_of
    from orstats.api.client import Client
    from orstats.cli.times import time_range
    from orstats.errors import ConfigError
    from orstats.export.write_csv import json_rows
    from orstats.export.write_report import write_report
    from orstats.frame import money
    from orstats.text.format import column_places, plural, usd

    first, last = time_range(since, until, tz)
    metric = None if metric is None else [name for text in metric for name in text.split(",") if name]
    names = [{"key": "api_key"}.get(name, name) for name in by.split(",") if name]
    for option, check, value in (("--by", dimensions_of, names), ("--metric", metrics_of, metric)):
        try:
            check(value)
        except ConfigError as error:
            raise WrongUsage(f"{option}: {error}") from error
    check_report_file(output)
    with Client(base_url=base_url) as client:
        bar = False if quiet else None
        table = account_usage(
            names, start=first, end=last, metrics=metric, freq=freq, tz=tz, client=client, progress=bar
        )
    if output is not None:
        write_report(table, output)
    if as_json:
        write_json(list(json_rows(table)))
    elif output is None and len(table):
        _print_groups(table, names, top, quiet=quiet)
    if not quiet:
        if {"cost_usd", "generations"} <= set(table):
            cost = money.total(table["cost_usd"])
            total = f"{usd(cost, column_places([cost]))} for {plural(int(table['generations'].sum()), 'generation')}"
            print_status(f"Total {total}.", "bold")
        where = "" if output is None else f"; written to {output}"
        print_status(f"{plural(len(table), 'row')} from {plural(table.attrs['requests'], 'request')}{where}.")
    return 0


#: Shorter names of the columns that are shown by default.
_HEADINGS: Final = {"native_tokens_prompt": "prompt tokens", "native_tokens_completion": "completion tokens"}


def _print_groups(table: pd.DataFrame, names: list[str], top: int, *, quiet: bool) -> None:
    from orstats.frame.column_texts import by_importance, formatted_columns
    from orstats.frame.column_units import words
    from orstats.text.format import plural

    shown, omitted = _most_expensive(table, names, top)
    labels, columns = formatted_columns(shown, totals_of=table if names or len(table) > 1 else None)
    columns = [
        replace(column, name=_HEADINGS.get(column.name, words(column.name))) for column in by_importance(columns)
    ]
    remarks = print_table([*labels, *columns])
    remarks += [table.attrs["note"]] if "note" in table.attrs else []
    if omitted:
        remarks.append(f"{plural(omitted, 'less expensive group')} omitted (--top {top}), included in the total.")
    for remark in remarks * (not quiet):
        print_status(remark)


def _most_expensive(table: pd.DataFrame, names: list[str], top: int) -> tuple[pd.DataFrame, int]:
    """Keep the most expensive groups, over all periods, and return how many were omitted."""
    if not names:
        return table, 0
    totals = table["cost_usd" if "cost_usd" in table else table.columns[0]].astype("float64")
    ranked = totals.groupby(level=names, dropna=False).sum().sort_values(ascending=False, kind="stable").index
    groups = table.reset_index("period").index if "period" in table.index.names else table.index
    return table[groups.isin(ranked[:top])], max(0, len(ranked) - top)
