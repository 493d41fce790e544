"""``orstats reconcile``: does what we added up agree with the account? For scheduled jobs, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import time, timedelta

import pandas as pd

from orstats.account.reconcile import reconcile, share_explained
from orstats.api.client import Client
from orstats.cli.commands.ids import between, ids_between
from orstats.cli.console import SOME_FAILED, print_status, show, write_json
from orstats.cli.inputs import collect_ids, fetch_ids, resolve_archive
from orstats.export.write_csv import check_target, json_rows, write_csv
from orstats.text.format import count, plural, usd, usd_amounts, usd_places
from orstats.text.sanitize import terminal_line
from orstats.text.table import Column

_MOST_LINES = 20
#: A reason and its explanation in parentheses.
_EXPLANATION = re.compile(r"([^;()\d,]*[^;()\d, ]) \(([^()]*)\)")
_LONG_CALL = timedelta(hours=1)


def run(
    *,
    ids: Sequence[str],
    files: Sequence[str],
    column: str | None,
    since: str,
    until: str,
    tz: str,
    tolerance: float,
    output: str | None,
    as_json: bool,
    base_url: str | None,
    archive: str | None,
    no_archive: bool,
    refresh: bool,
    quiet: bool,
) -> int:
    """Compare and tell; the options are those of the command."""
    first, last = between(since, until, tz)
    if output is not None:
        check_target(output)
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client)
        if ids or files:
            wanted = collect_ids(ids, files, column)
        else:
            # A call from before midnight that ended after it may be counted on the first day.
            begin = first - _LONG_CALL if first.time() == time() else first
            wanted = ids_between(client, begin, last, archive=store, refresh=refresh, quiet=quiet)
        frame = fetch_ids(wanted, client, store, refresh=refresh, quiet=quiet)
        compared = reconcile(frame, start=first, end=last, client=client, tolerance=tolerance)
    if output is not None:
        write_csv(compared, output)
    if as_json:
        write_json(list(json_rows(compared)))
    elif not compared["agrees"].all():
        columns, said = _columns(compared)
        for words in [*show(columns), *said]:
            print_status(words)
    share = share_explained(compared)
    beyond = 1.0 - share > tolerance
    if not quiet or beyond:
        _tell(compared, share, tolerance)
    if output is not None and not quiet:
        print_status(f"Written to {output}: {plural(len(compared), 'row')}.")
    return SOME_FAILED if beyond else 0


def _columns(compared: pd.DataFrame) -> tuple[list[Column], list[str]]:
    """List the days and models that do not agree, the largest difference first, and what their reasons mean."""
    off = compared.loc[~compared["agrees"]]
    off = off.loc[off["difference_usd"].abs().sort_values(ascending=False, kind="stable").index]
    rows = off.head(_MOST_LINES).reset_index()
    columns = [
        Column("day", [f"{day:%Y-%m-%d}" for day in rows["day"]], "fixed"),
        Column("model", [terminal_line(model or "(none)") for model in rows["model"]], "label"),
        Column("missing", list(map(count, rows["missing"])), leaves=3),
        Column("account", usd_amounts(rows["account_usd"])),
        Column("ours", usd_amounts(rows["usd"]), leaves=1),
        Column("why", [terminal_line(_EXPLANATION.sub(r"\1", reason)) for reason in rows["reason"]], "prose", leaves=2),
    ]
    # Written once for all rows, which often have the same reason.
    explained = {one[1].strip(): one[2] for reason in rows["reason"] for one in _EXPLANATION.finditer(reason)}
    notes = [terminal_line(f"{reason}: {explanation}") for reason, explanation in explained.items()]
    more = [f"and {len(off) - _MOST_LINES:,} more; -o writes all."] if len(off) > _MOST_LINES else []
    return columns, [*more, *notes]


def _tell(compared: pd.DataFrame, share: float, tolerance: float) -> None:
    if compared.empty:
        print_status("Nothing to compare: neither the account nor the ids have anything in this time.", "yellow")
        return
    account, ours = float(compared["account_usd"].sum()), float(compared["usd"].sum())
    places = usd_places(account)
    off = int((~compared["agrees"]).sum())
    # Rounded down: 100 % means all of it.
    percent = int(share * 10_000 + 1e-6) / 100
    text = (
        f"Account {usd(account, places)} for {plural(int(compared['account_requests'].sum()), 'request')} · "
        f"ours {usd(ours, places)} for {count(compared['requests'].sum())} · {percent:g} % explained"
    )
    print_status(text, "bold green" if not off else "bold yellow")
    if off:
        verdict = "beyond" if 1.0 - share > tolerance else "within"
        sums = plural(len(compared), "sum")
        print_status(f"{off:,} of {sums} by day and model do not agree; {verdict} the tolerance of {tolerance:.2%}.")
