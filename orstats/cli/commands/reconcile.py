"""``orstats reconcile``: compare the ids' cost with the account's own totals, also in scheduled jobs."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats.cli.console import SOME_FAILED, handle_errors, print_status, print_table, write_json
from orstats.cli.options import (
    MANAGEMENT_KEY,
    ArchiveDir,
    AsJson,
    BaseUrl,
    Column,
    Ids,
    IdsFrom,
    NoArchive,
    Quiet,
    Refresh,
    Since,
    TableFile,
    TimeZone,
    Until,
    epilog,
)

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
    "models that do not agree, and why. Exit code 3 when more than the tolerance is unexplained.",
    epilog=epilog(
        "orstats reconcile --since yesterday --until today",
        "orstats reconcile --ids-from app.log --since 2026-03-01 --until 2026-04-01 -o differences.csv",
        more=MANAGEMENT_KEY,
    ),
)
@handle_errors
def reconcile(
    since: Since,
    ids: Ids = None,
    until: Until = "now",
    tz: TimeZone = "UTC",
    ids_from: IdsFrom = None,
    column: Column = None,
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
    from orstats.account.reconcile import share_explained
    from orstats.api.client import Client
    from orstats.cli.inputs import collect_ids, fetch_ids, list_range, resolve_archive, time_range
    from orstats.export.write_csv import check_target, json_rows, write_csv
    from orstats.text.format import plural

    first, last = time_range(since, until, tz)
    if output is not None:
        check_target(output)
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client.settings)
        if ids or ids_from:
            collected = collect_ids(ids or [], ids_from or [], column)
        else:
            # A call that began before midnight and ended after it may be counted on the first day.
            begin = first - _LONG_CALL if first.time() == time() else first
            collected = list_range(client, begin, last, store, refresh=refresh, quiet=quiet)
        frame = fetch_ids(collected, client, store, refresh=refresh, quiet=quiet)
        compared = compare(frame, start=first, end=last, client=client, tolerance=tolerance)
    if output is not None:
        write_csv(compared, output)
    if as_json:
        write_json(list(json_rows(compared)))
    elif not compared["agrees"].all():
        _print_differences(compared)
    share = share_explained(compared)
    is_beyond = 1.0 - share > tolerance
    if not quiet or is_beyond:
        _print_verdict(compared, share, tolerance)
    if output is not None and not quiet:
        print_status(f"Written to {output}: {plural(len(compared), 'row')}.")
    return SOME_FAILED if is_beyond else 0


def _print_differences(compared: pd.DataFrame) -> None:
    """Print the days and models that do not agree, the largest difference first, and what their reasons mean."""
    from orstats.text.format import count, usd_amounts
    from orstats.text.sanitize import terminal_line
    from orstats.text.table import Column

    off = compared.loc[~compared["agrees"]]
    off = off.loc[off["difference_usd"].abs().sort_values(ascending=False, kind="stable").index]
    rows = off.head(_MAX_ROWS).reset_index()
    remarks = print_table(
        [
            Column("day", [f"{day:%Y-%m-%d}" for day in rows["day"]], "fixed"),
            Column("model", [terminal_line(model or "(none)") for model in rows["model"]], "label"),
            Column("missing", list(map(count, rows["missing"])), leaves=3),
            Column("account", usd_amounts(rows["account_usd"])),
            Column("yours", usd_amounts(rows["usd"]), leaves=1),
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
    percent = int(share * 10_000 + 1e-6) / 100  # rounded down: 100 % means everything
    print_status(
        f"Account {usd(account, places)} for {plural(int(compared['account_requests'].sum()), 'request')} · "
        f"yours {usd(yours, places)} for {count(compared['requests'].sum())} · {percent:g} % explained",
        "bold yellow" if off else "bold green",
    )
    if off:
        verdict = "beyond" if 1.0 - share > tolerance else "within"
        totals = plural(len(compared), "total")
        print_status(f"{off:,} of {totals} by day and model do not agree; {verdict} the tolerance of {tolerance:.2%}.")
