"""``orstats key``: what the key may spend and has spent, and what the account has left."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from orstats.api.client import MANAGEMENT_KEYS_URL, Client
from orstats.cli.console import pairs, print_status, stdout_console, write_json
from orstats.errors import ForbiddenError
from orstats.frame.coerce import number
from orstats.text.format import usd
from orstats.text.sanitize import terminal_line


def run(*, as_json: bool, base_url: str | None) -> int:
    """Show the keys that are set, and the credits if one of them may see them."""
    with Client(base_url=base_url) as client:
        api, management = client.settings.api_key, client.settings.management_key
        keys = [client.key()]
        if api is not None and management is not None and api != management:
            keys.append(client.key(management=True))
        try:
            left: dict[str, Any] | None = client.credits()
        except ForbiddenError:
            left = None
    if as_json:
        write_json({"keys": keys, "credits": left})
        return 0
    for key in keys:
        stdout_console().print(_table(key))
    if left is None:
        print_status(f"Credits: only a management key may see them; make one at {MANAGEMENT_KEYS_URL}.")
    else:
        stdout_console().print(_credits(left))
    return 0


def _table(key: dict[str, Any]) -> Table:
    grid = pairs()
    management = key.get("is_management_key")
    kind = "a management key" if management else "an ordinary key, not a management key"
    tier = ", of the free tier" if key.get("is_free_tier") else ""
    grid.add_row("Key", Text(f"{terminal_line(key.get('label') or '?')}: {kind}{tier}"))
    grid.add_row("Used", _spent(key, "usage"))
    if any(key.get(f"byok_usage{span}") for span in _SPANS):
        counts = "counts" if key.get("include_byok_in_limit") else "does not count"
        grid.add_row("BYOK usage", _spent(key, "byok_usage") + f"; {counts} towards the limit")
    if key.get("limit") is not None:
        reset = key.get("limit_reset")
        turn = f", resets {terminal_line(reset)}" if reset else ""
        grid.add_row("Limit", Text(f"{_usd(key, 'limit')}{turn}; {_usd(key, 'limit_remaining')} left"))
    else:
        grid.add_row("Limit", "none")
    expires = key.get("expires_at")
    grid.add_row("Expires", Text(terminal_line(expires) if expires else "never"))
    return grid


_SPANS = {"_daily": "today", "_weekly": "this week", "_monthly": "this month", "": "in total"}


def _spent(key: dict[str, Any], name: str) -> str:
    return ", ".join(f"{_usd(key, name + span)} {words}" for span, words in _SPANS.items())


def _credits(left: dict[str, Any]) -> Table:
    grid = pairs()
    bought, used = number(left.get("total_credits")), number(left.get("total_usage"))
    remains = usd(bought - used) if bought is not None and used is not None else "unknown"
    grid.add_row("Credits", f"{remains} left: {usd(bought)} bought, {usd(used)} used")
    return grid


def _usd(answer: dict[str, Any], name: str) -> str:
    """Write an amount of an answer; what is no number is unknown."""
    return usd(number(answer.get(name)))
