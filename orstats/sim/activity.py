"""``GET /activity`` and ``GET /credits``: what the account spent by day, and what it has left."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orstats.sim.faults import MESSAGES
from orstats.sim.http import Reply, Request, error_reply, json_reply
from orstats.sim.timeline import SECOND_US

if TYPE_CHECKING:
    from orstats.sim.ledger import Entry
    from orstats.sim.world import World

_DAYS = 30
_TOP_UP_USD = 25
_DECIMALS = 10
# What an awkward account's activity lacks, as was reported of the vendor's.
OMITTED_MODEL = "google/gemini-2.5-flash"
# What the activity can be filtered by.
_OWNERS: dict[str, Callable[[Entry], str | None]] = {
    "workspace_id": lambda entry: entry.workspace,
    "api_key_hash": lambda entry: entry.key.hash if entry.key else None,
    "user_id": lambda entry: entry.key.creator.user_id if entry.key else None,
}


def activity(world: World, request: Request, _role: object) -> Reply | Awaitable[Reply]:
    """Answer ``GET /activity``: totals per day, model and endpoint of the last 30 completed UTC days.

    Generations that no provider served have no endpoint and are not in it; they cost nothing.
    """
    awkward, today = world.corpus.awkward, world.today.astimezone(UTC).date()
    days = {today - timedelta(days=age) for age in range(1, _DAYS + 1)}
    wanted = request.parameter("date")
    by_workspace = request.parameter("group_by") == "workspace"
    if request.parameter("group_by") not in (None, "workspace"):
        return error_reply(400, MESSAGES[400])
    if wanted is not None:
        try:
            days &= {date.fromisoformat(wanted)}
        except ValueError:
            days = set()
        if not days:
            return error_reply(400, "Date must be within the last 30 (completed) UTC days")
    asked = {name: value for name in _OWNERS if (value := request.parameter(name)) is not None}

    def add_up(entries: Sequence[Entry]) -> Reply:
        groups: dict[tuple[str, str, str, str, str], list[Entry]] = {}
        for entry in entries:
            counted_us = entry.ended_us if awkward else entry.created_us
            day = datetime.fromtimestamp(counted_us // SECOND_US, UTC).date()
            if day not in days or not entry.provider or (awkward and entry.model == OMITTED_MODEL):
                continue
            if any(_OWNERS[name](entry) != value for name, value in asked.items()):
                continue
            own = entry.workspace if by_workspace else ""
            key = (day.isoformat(), entry.model, entry.slug, entry.endpoint_id, own)
            groups.setdefault(key, []).append(entry)
        rows = [_row(*key, members) for key, members in sorted(groups.items(), reverse=True)]
        return json_reply(200, {"data": rows})

    return world.with_ledger(add_up)


def _row(day: str, model: str, slug: str, endpoint_id: str, workspace: str, members: list[Entry]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "date": day,
        "model": slug,
        "model_permaslug": model,
        "endpoint_id": endpoint_id,
        "provider_name": members[0].provider,
        "usage": _usd(entry.usage for entry in members),
        "byok_usage_inference": _usd(entry.byok_usage for entry in members),
        "requests": len(members),
        "prompt_tokens": sum(entry.prompt for entry in members),
        "completion_tokens": sum(entry.completion for entry in members),
        "reasoning_tokens": sum(entry.reasoning for entry in members),
        # Not in the specification of 2026-08-22, but demanded by the vendor's SDK of November 2026.
        "cached_tokens": sum(entry.cached for entry in members),
    }
    if workspace:
        row["workspace_id"] = workspace
    return row


def credits_left(world: World, _request: Request, _role: object) -> Reply | Awaitable[Reply]:
    """Answer ``GET /credits``: what was bought and what was used, in USD."""

    def add_up(entries: Sequence[Entry]) -> Reply:
        used = _usd(entry.usage for entry in entries)
        bought = (math.floor(used / _TOP_UP_USD) + 1) * _TOP_UP_USD
        return json_reply(200, {"data": {"total_credits": bought, "total_usage": used}})

    return world.with_ledger(add_up)


def _usd(amounts: Any) -> float:
    return round(math.fsum(amounts), _DECIMALS)
