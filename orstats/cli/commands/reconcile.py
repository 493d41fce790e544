"""``orstats reconcile``: compare the ids' cost with the account's own totals, also in scheduled jobs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import print_status, print_table, write_json
from orstats.cli.errors import SOME_FAILED, WrongUsage, handle_errors
from orstats.cli.options import (
    MANAGEMENT_KEY,
    START_OF_RANGE,
    ArchiveDir,
    AsJson,
    BaseUrl,
    Column,
    Ids,
    IdsFrom,
    NoArchive,
    Quiet,
    Refresh,
    TableFile,
    TimeZone,
    Until,
    epilog,
)
from orstats.cli.result_file import check_report_file, written

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(rich_markup_mode="rich")

_MAX_ROWS: Final = 20
#: A reason and its explanation in parentheses.
_EXPLANATION: Final = re.compile(r"([^;()\d,]*[^;()\d, ]) \(([^()]*)\)")
#: Why ids of a day have no record, which is the same for all models of the day.
_NOT_FETCHED: Final = re.compile(r"; not fetched on this day: (.*)")
_LONG_CALL: Final = timedelta(hours=1)


@app.command(
    help="Compare what your ids cost with the account's own totals, per day and model.\n\n"
    "Compares the given ids or, without any, every generation listed for the account in the range. Shows the days and "
    "models that do not agree, and why. With [bold]--activity[/bold], compares each generation with the export of the "
    "Activity page. Exit code 3 when more than the tolerance is unexplained.",
    epilog=epilog(
        "orstats reconcile --since yesterday --until today",
        "orstats reconcile --ids-from app.log --since 30d --until today -o differences.csv",
        "orstats reconcile --activity activity.csv -o differences.csv",
        more=f"{MANAGEMENT_KEY} (not for --activity)",
    ),
)
@handle_errors
def reconcile(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=f"{START_OF_RANGE} Required without --activity.",
            show_default=False,
        ),
    ] = None,
    ids: Ids = None,
    until: Until = "now",
    tz: TimeZone = "UTC",
    ids_from: IdsFrom = None,
    column: Column = None,
    activity: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Compare each generation with the CSV that the Activity page exports: without ids, all archived "
            "records. Needs no key and no network for what is archived.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=1, help="Share of the account's cost that may stay unexplained."),
    ] = 0.01,
    output: TableFile = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Refresh = False,
    quiet: Quiet = False,
) -> int:
    from orstats.account.reconcile import reconcile as compare
    from orstats.api.client import Client
    from orstats.cli.archive_records import read_archive_of_host, resolve_archive
    from orstats.cli.inputs import collect_ids
    from orstats.cli.resumable import fetch_ids, list_range
    from orstats.cli.times import time_range
    from orstats.export.write_csv import json_rows
    from orstats.export.write_report import write_report

    check_report_file(output, inputs=[*(ids_from or []), *([activity] if activity else [])])
    if since is None and activity is None:
        raise WrongUsage(f"--since is missing. {START_OF_RANGE} Or pass --activity FILE.")
    first, last = _range_of_export(until, tz) if since is None else time_range(since, until, tz)
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client.settings)
        if ids or ids_from:
            collected = collect_ids(ids or [], ids_from or [], column)
            frame = fetch_ids(collected, client, store, refresh=refresh, quiet=quiet)
        elif activity is not None or first is None or last is None:
            frame = read_archive_of_host(client.settings, store, base_url, quiet=quiet)
        else:
            # A call that began before midnight and ended after it may be counted on the first day.
            begin = first - _LONG_CALL if first.time() == time() else first
            collected = list_range(client, begin, last, store, refresh=refresh, quiet=quiet)
            frame = fetch_ids(collected, client, store, refresh=refresh, quiet=quiet)
        compared = compare(frame, start=first, end=last, client=client, tolerance=tolerance, activity=activity)
    if output is not None:
        write_report(compared, output)
    if as_json:
        write_json(list(json_rows(compared)))
    show = _show_totals if activity is None else _show_generations
    is_beyond = show(compared, tolerance, table=not as_json, quiet=quiet)
    if output is not None and not quiet:
        print_status(written(output, len(compared)))
    return SOME_FAILED if is_beyond else 0


def _range_of_export(until: str, tz: str) -> tuple[None, datetime | None]:
    """Return the range without ``--since``: everything up to ``--until``, if that is given."""
    from orstats.cli.times import time_option

    return None, None if until == "now" else time_option("--until", until, now=datetime.now(UTC), tz=tz)


def _show_totals(compared: pd.DataFrame, tolerance: float, *, table: bool, quiet: bool) -> bool:
    """Print totals that do not agree, and the verdict; return whether it is beyond the tolerance."""
    from orstats.account.reconcile import share_explained

    if table and not compared["agrees"].all():
        _print_differences(compared)
    share = share_explained(compared)
    is_beyond = 1.0 - share > tolerance
    if not quiet or is_beyond:
        _print_verdict(compared, share, tolerance)
    return is_beyond


def _show_generations(compared: pd.DataFrame, tolerance: float, *, table: bool, quiet: bool) -> bool:
    """Print generations that do not agree with an export, and the verdict, as for totals."""
    from orstats.account.activity_export import share_explained

    if table and len(compared):
        _print_generations(compared)
    share = share_explained(compared)
    is_beyond = 1.0 - share > tolerance
    if not quiet or is_beyond:
        style = "bold yellow" if len(compared) else "bold green"
        print_status(f"{compared.attrs['note']} {_percent(share):g}% explained.", style)
    return is_beyond


def _percent(share: float) -> float:
    return int(share * 10_000 + 1e-6) / 100  # rounded down: 100% means everything


def _print_generations(compared: pd.DataFrame) -> None:
    """Print the generations that do not agree with the Activity export, and what their differences mean."""
    from orstats.text.format import column_places, usd_amounts
    from orstats.text.sanitize import terminal_line
    from orstats.text.table import Column

    rows = compared.head(_MAX_ROWS).reset_index()
    places = column_places(rows["export_usd"], rows["usd"])
    remarks = print_table(
        [
            Column("id", [terminal_line(one) for one in rows["id"]], "label"),
            Column("difference", [one.replace("_", " ") for one in rows["difference"]], "fixed"),
            Column("export", usd_amounts(rows["export_usd"], "", places=places), leaves=2),
            Column("yours", usd_amounts(rows["usd"], "", places=places), leaves=1),
        ]
    )
    if len(compared) > _MAX_ROWS:
        remarks.append(f"and {len(compared) - _MAX_ROWS:,} more; -o writes all of them.")
    reasons = compared.drop_duplicates("difference")
    explained = zip(reasons["difference"].str.replace("_", " "), reasons["reason"], strict=True)
    for remark in [*remarks, *(f"{name}: {reason}." for name, reason in explained)]:
        print_status(remark)


def _print_differences(compared: pd.DataFrame) -> None:
    """Print the days and models that do not agree, the largest difference first, and what their reasons mean."""
    from orstats.text.format import column_places, count, usd_amounts
    from orstats.text.sanitize import display_text, terminal_line
    from orstats.text.table import Column

    off = compared.loc[~compared["agrees"]]
    off = off.loc[off["difference_usd"].abs().sort_values(ascending=False, kind="stable").index]
    rows = off.head(_MAX_ROWS).reset_index()
    places = column_places(rows["account_usd"], rows["usd"])
    remarks = print_table(
        [
            Column("day", [f"{day:%Y-%m-%d}" for day in rows["day"]], "fixed"),
            Column("model", [display_text(model or None, 200) for model in rows["model"]], "label"),
            Column("missing", list(map(count, rows["missing"])), leaves=1),
            Column("account", usd_amounts(rows["account_usd"], places=places)),
            Column("yours", usd_amounts(rows["usd"], places=places), leaves=3),
            Column(
                "reason",
                [terminal_line(_EXPLANATION.sub(r"\1", _NOT_FETCHED.sub("", one))) for one in rows["reason"]],
                "prose",
                leaves=2,
            ),
        ]
    )
    if len(off) > _MAX_ROWS:
        remarks.append(f"and {len(off) - _MAX_ROWS:,} more; -o writes all of them.")
    not_fetched = {
        f"{day:%Y-%m-%d}": found[1]
        for day, reason in zip(rows["day"], rows["reason"], strict=True)
        if (found := _NOT_FETCHED.search(reason))
    }
    remarks += [f"Not fetched on {day}: {statuses}." for day, statuses in sorted(not_fetched.items())]
    # Written once for all rows, which often have the same reason.
    explained = {one[1].strip(): one[2] for reason in rows["reason"] for one in _EXPLANATION.finditer(reason)}
    for remark in [*remarks, *(f"{reason}: {explanation}" for reason, explanation in explained.items())]:
        print_status(remark)


def _print_verdict(compared: pd.DataFrame, share: float, tolerance: float) -> None:
    from orstats.text.format import count, plural, usd, usd_places

    if compared.empty:
        print_status("Nothing to compare: neither the account nor the ids have generations in this range.", "yellow")
        return
    account, yours = float(compared["account_usd"].sum()), float(compared["usd"].sum())
    places = usd_places(account)
    off = int((~compared["agrees"]).sum())
    print_status(
        f"Account {usd(account, places)} for {plural(int(compared['account_requests'].sum()), 'request')} · "
        f"yours {usd(yours, places)} for {count(compared['requests'].sum())} · {_percent(share):g}% explained",
        "bold yellow" if off else "bold green",
    )
    if off:
        verdict = "beyond" if 1.0 - share > tolerance else "within"
        totals = plural(len(compared), "total")
        print_status(f"{off:,} of {totals} by day and model do not agree; {verdict} the tolerance of {tolerance:.2%}.")
