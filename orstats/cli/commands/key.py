"""``orstats key`` and ``orstats keys``: limits, budgets and usage of one key or of all, and the credits left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from orstats.cli.console import SOME_FAILED, handle_errors, print_pairs, print_status, print_table, write_json
from orstats.cli.options import MANAGEMENT_KEY, AsJson, BaseUrl, epilog

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Show the limit, budgets and usage of the key, and, with a management key, the account's credits.",
    epilog=epilog("orstats key", "orstats key --warn 0.8   [dim]# for cron: exit code 3 when 80 % is used[/dim]"),
)
@handle_errors
def key(
    warn: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="End with exit code 3 when more than this share of the key's limit or of a budget is used.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> int:
    from orstats.api.client import MANAGEMENT_KEYS_URL, Client
    from orstats.errors import ForbiddenError
    from orstats.frame.json_values import number
    from orstats.text.format import usd

    with Client(base_url=base_url) as client:
        api, management = client.settings.api_key, client.settings.management_key
        keys = [client.key()]
        if api is not None and management is not None and api != management:
            keys.append(client.key(management=True))
        try:
            credit: dict[str, Any] | None = client.credits()
        except ForbiddenError:
            credit = None
    beyond = [] if warn is None else [text for one in keys for text in _beyond(one, warn)]
    for text in beyond:
        print_status(text, "bold yellow")
    code = SOME_FAILED if beyond else 0
    if as_json:
        write_json({"keys": keys, "credits": credit})
        return code
    for one in keys:
        print_pairs(_describe_key(one))
    if credit is None:
        print_status(f"Credits: visible only to a management key; make one at {MANAGEMENT_KEYS_URL}.")
    else:
        bought, used = number(credit.get("total_credits")), number(credit.get("total_usage"))
        left = usd(bought - used) if bought is not None and used is not None else "unknown"
        print_pairs({"Credits": f"{left} left: {usd(bought)} bought, {usd(used)} used"})
    return code


@app.command(
    help="List the account's API keys with their usage by day, week and month, limit and what is left.",
    epilog=epilog("orstats keys", "orstats keys --json", more=MANAGEMENT_KEY),
)
@handle_errors
def keys(
    disabled: Annotated[bool, typer.Option("--disabled", metavar="", help="List disabled keys, too.")] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> int:
    from orstats.api.client import Client
    from orstats.frame.json_values import number
    from orstats.text.format import plural, usd, usd_amounts
    from orstats.text.sanitize import terminal_line
    from orstats.text.table import Column

    with Client(base_url=base_url) as client:
        found = client.keys(include_disabled=disabled)
    found.sort(key=lambda one: -(number(one.get("usage_monthly")) or 0.0))
    if as_json:
        write_json(found)
        return 0

    def amounts(name: str) -> list[str]:
        values = [(number(one.get(name)) or 0.0) + (number(one.get(f"byok_{name}")) or 0.0) for one in found]
        return usd_amounts(values)

    for remark in print_table(
        [
            Column("name", [terminal_line(one.get("name") or "?") for one in found], "label"),
            Column("key", [terminal_line(one.get("label") or "?") for one in found], "label", leaves=5),
            Column("today", amounts("usage_daily"), leaves=3),
            Column("this week", amounts("usage_weekly"), leaves=4),
            Column("this month", amounts("usage_monthly")),
            Column("in total", amounts("usage"), leaves=6),
            Column(
                "limit", ["none" if one.get("limit") is None else usd(number(one["limit"])) for one in found], leaves=2
            ),
            Column(
                "left",
                ["" if one.get("limit") is None else usd(number(one.get("limit_remaining"))) for one in found],
                leaves=1,
            ),
            Column(
                "last used", [terminal_line(str(one.get("last_used_at") or "never")[:10]) for one in found], leaves=7
            ),
        ]
    ):
        print_status(remark)
    print_status(
        f"{plural(len(found), 'key')}. Usage includes BYOK. A budget of the workspace or member may block sooner."
    )
    return 0


def _budgets(key: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the budgets that can block the key, the effective one first."""
    listed = key.get("budgets")
    budgets = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    effective = key.get("effective_budget")
    return sorted(budgets, key=lambda one: one != effective)


def _beyond(key: Mapping[str, Any], warn: float) -> list[str]:
    """Describe the limits of which more than a share is used."""
    from orstats.frame.json_values import number
    from orstats.text.format import usd
    from orstats.text.sanitize import terminal_line

    limits = [
        (f"budget of the {_scope(one)}", number(one.get("limit_usd")), number(one.get("remaining_usd")))
        for one in _budgets(key)
    ] or [("limit", number(key.get("limit")), number(key.get("limit_remaining")))]
    label = terminal_line(key.get("label") or "?")
    return [
        f"{label}: {1 - left / limit:.0%} of the {name} of {usd(limit)} used, {usd(left)} left."
        for name, limit, left in limits
        if limit and left is not None and 1 - left / limit > warn
    ]


def _scope(budget: Mapping[str, Any]) -> str:
    from orstats.text.sanitize import terminal_line

    return terminal_line(str(budget.get("scope") or "account").replace("_", " "))


def _describe_key(key: Mapping[str, Any]) -> dict[str, str]:
    from orstats.frame.json_values import number
    from orstats.text.format import usd
    from orstats.text.sanitize import terminal_line

    def amount(name: str) -> str:
        return usd(number(key.get(name)))

    def usage(name: str) -> str:
        return ", ".join(f"{amount(name + period)} {words}" for period, words in _PERIODS.items())

    kind = "a management key" if key.get("is_management_key") else "an ordinary key, not a management key"
    tier = ", of the free tier" if key.get("is_free_tier") else ""
    described = {
        "Key": f"{terminal_line(key.get('label') or '?')}: {kind}{tier}",
        "Used": usage("usage"),
    }
    if any(key.get(f"byok_usage{period}") for period in _PERIODS):
        counts = "counts" if key.get("include_byok_in_limit") else "does not count"
        described["BYOK usage"] = f"{usage('byok_usage')}; {counts} towards the limit"
    budgets = _budgets(key)
    if key.get("limit") is None:
        described["Limit"] = "none of its own" if budgets else "none"
    else:
        resets = f", resets {terminal_line(key['limit_reset'])}" if key.get("limit_reset") else ""
        described["Limit"] = f"{amount('limit')}{resets}; {amount('limit_remaining')} left"
    for place, budget in enumerate(budgets):
        resets = f", resets {terminal_line(str(budget['resets_at'])[:10])}" if budget.get("resets_at") else ""
        figures = [usd(number(budget.get(f"{name}_usd"))) for name in ("remaining", "limit", "spend")]
        described[f"Budget {place + 1}" if len(budgets) > 1 else "Budget"] = (
            f"{_scope(budget)}: {figures[0]} left of {figures[1]}, {figures[2]} spent{resets}"
            + (" (effective)" if budget == key.get("effective_budget") else "")
        )
    free = key.get("free_model_daily_requests")
    if isinstance(free, Mapping) and isinstance(free.get("remaining"), int):
        described["Free models"] = f"{free['remaining']:,} requests left today"
    return described | {"Expires": terminal_line(key.get("expires_at") or "never")}


_PERIODS: Final = {"_daily": "today", "_weekly": "this week", "_monthly": "this month", "": "in total"}
