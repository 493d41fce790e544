"""``orstats key``: the limits and usage of the key, and the credits that the account has left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from orstats.cli.console import handle_errors, print_pairs, print_status, write_json
from orstats.cli.options import AsJson, BaseUrl

app = typer.Typer(rich_markup_mode="rich")


@app.command(help="Show the limit and usage of the key, and, with a management key, the account's credits.")
@handle_errors
def key(as_json: AsJson = False, base_url: BaseUrl = None) -> int:
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
    if as_json:
        write_json({"keys": keys, "credits": credit})
        return 0
    for one in keys:
        print_pairs(_describe_key(one))
    if credit is None:
        print_status(f"Credits: visible only to a management key; make one at {MANAGEMENT_KEYS_URL}.")
    else:
        bought, used = number(credit.get("total_credits")), number(credit.get("total_usage"))
        left = usd(bought - used) if bought is not None and used is not None else "unknown"
        print_pairs({"Credits": f"{left} left: {usd(bought)} bought, {usd(used)} used"})
    return 0


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
    if key.get("limit") is None:
        described["Limit"] = "none"
    else:
        resets = f", resets {terminal_line(key['limit_reset'])}" if key.get("limit_reset") else ""
        described["Limit"] = f"{amount('limit')}{resets}; {amount('limit_remaining')} left"
    return described | {"Expires": terminal_line(key.get("expires_at") or "never")}


_PERIODS: Final = {"_daily": "today", "_weekly": "this week", "_monthly": "this month", "": "in total"}
