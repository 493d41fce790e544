"""``orstats key`` and ``orstats keys``: limits, budgets and usage of one key or of all, and the credits left."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orstats.cli.console import print_pairs, print_status, print_table, write_json
from orstats.cli.errors import SOME_FAILED, WrongUsage, handle_errors
from orstats.cli.options import MANAGEMENT_KEY, AsJson, BaseUrl, TableFile, epilog
from orstats.cli.result_file import check_report_file, written

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Show the limit, budgets and usage of the key, and, with a management key, the account's credits.\n\n"
    "Also shows what is spent per day, and when each limit is used up at that rate. A management key "
    "([bold]OPENROUTER_MANAGEMENT_KEY[/bold]) shows spend over the last 7 and 30 days; without one, it is the spend "
    "since the last reset.",
    epilog=epilog("orstats key", "orstats key --warn 0.8   [dim]# for cron: exit code 3 when 80% is used[/dim]"),
)
@handle_errors
def key(
    warn: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="End with exit code 3 when more than this share of the key's limit or of a budget is used, or when "
            "nothing is left.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> int:
    from orstats.account.budgets import KeyOutlook, outlook_frame, outlook_of, outlook_since_reset
    from orstats.api.client import Client
    from orstats.cli.key_budgets import (
        describe_credits,
        describe_key,
        describe_management_key,
        describe_mix_up,
        limits_beyond,
    )
    from orstats.errors import ApiError, ForbiddenError

    if warn is not None and math.isnan(warn):
        raise WrongUsage("--warn must be a share from 0 to 1, got nan.")
    with Client(base_url=base_url) as client:
        api, management = client.settings.api_key, client.settings.management_key
        keys = [client.key()]
        if api is not None and management is not None and api != management:
            keys.append(client.key(management=True))
        try:
            credit: dict[str, Any] | None = client.credits()
        except ForbiddenError:
            credit = None
        now = datetime.fromtimestamp(client.now(), UTC)
        beyond, unknown = ([], []) if warn is None else limits_beyond(keys, credit, warn, now)
        for text in (*beyond, *unknown, *describe_mix_up(keys)):
            print_status(text, "bold yellow")
        try:
            outlook: KeyOutlook = outlook_of(keys[0], credit, client)
        except ApiError as error:
            print_status(f"Spend per day over the last 7 and 30 days is unknown: {error}", "yellow")
            outlook = outlook_since_reset(keys[0], credit, now)
    code = SOME_FAILED if beyond else 0
    if as_json:
        write_json({"keys": keys, "credits": credit, "budgets": _records(outlook_frame(outlook))})
        return code
    print_pairs(
        describe_key(keys[0], outlook),
        *map(describe_management_key, keys[1:]),
        *([] if credit is None else [describe_credits(credit, outlook)]),
    )
    print_status(outlook.note)
    return code


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows for JSON, with times as text and null for missing values."""
    plain = frame.reset_index().astype(object)
    plain = plain.where(plain.notna(), None)
    return [
        {str(name): value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in plain.to_dict("records")
    ]


@app.command(
    help="List the account's API keys with their usage by day, week and month, limit and what is left.",
    epilog=epilog("orstats keys", "orstats keys -o keys.xlsx", more=MANAGEMENT_KEY),
)
@handle_errors
def keys(
    disabled: Annotated[bool, typer.Option("--disabled", metavar="", help="List disabled keys, too.")] = False,
    output: TableFile = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> int:
    import pandas as pd

    from orstats.account.key_frame import key_frame
    from orstats.api.client import Client
    from orstats.export.write_report import write_report
    from orstats.frame import money
    from orstats.frame.json_values import number
    from orstats.reports.coverage import PROVENANCE
    from orstats.text.format import column_places, plural, usd_amounts
    from orstats.text.sanitize import terminal_line
    from orstats.text.table import Column

    def named(one: dict[str, Any]) -> str:
        return terminal_line(one.get("name") or "?") + (" (disabled)" if one.get("disabled") else "")

    check_report_file(output)
    with Client(base_url=base_url) as client:
        found = client.keys(include_disabled=disabled)
        host = client.settings.host
    if output is not None:
        table = key_frame(found)
        table.attrs = {PROVENANCE: {"source": host}, "note": _NOTE}
        write_report(table, output)
    found.sort(key=lambda one: -(number(one.get("usage_monthly")) or 0.0))
    if as_json:
        write_json(found)
        return 0
    if output is not None:
        print_status(written(output, len(found)))
        return 0

    used = {
        name: [(number(one.get(name)) or 0.0) + (number(one.get(f"byok_{name}")) or 0.0) for one in found]
        for name in ("usage_daily", "usage_weekly", "usage_monthly", "usage")
    }
    totals = {name: money.total(pd.Series(values, dtype="float64")) for name, values in used.items()}
    places = column_places(totals.values())

    def spent(heading: str, name: str, leaves: int = 0) -> Column:
        *cells, total = usd_amounts([*used[name], totals[name]], places=places)
        return Column(heading, cells, leaves=leaves, footer=total)

    def limited(name: str, without: str) -> list[str]:
        cells = usd_amounts([number(one.get(name)) for one in found])
        return [without if one.get("limit") is None else cell for one, cell in zip(found, cells, strict=True)]

    for remark in print_table(
        [
            Column("name", [named(one) for one in found], "label", footer="total"),
            Column("key", [terminal_line(one.get("label") or "?") for one in found], "label", leaves=5),
            spent("today", "usage_daily", 3),
            spent("this week", "usage_weekly", 4),
            spent("this month", "usage_monthly"),
            spent("in total", "usage", 6),
            Column("limit", limited("limit", "none"), leaves=2),
            Column("left", limited("limit_remaining", ""), leaves=1),
            Column(
                "last used", [terminal_line(str(one.get("last_used_at") or "never")[:10]) for one in found], leaves=7
            ),
        ]
    ):
        print_status(remark)
    print_status(f"{plural(len(found), 'key')}. {_NOTE}")
    return 0


_NOTE: Final = "Usage includes BYOK. A budget of the workspace or member may block sooner."
