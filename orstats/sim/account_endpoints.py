"""The endpoints of the account's keys, credits and daily totals."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.catalogue import RESEARCH, ApiKey, label_of
from orstats.sim.dataset.random_streams import hexadecimal, uuid_of
from orstats.sim.dataset.records import write_time
from orstats.sim.dataset.timeline import SECOND_US
from orstats.sim.http import Reply, Request, error_reply, json_reply
from orstats.sim.ledger import spent_by, total_usd
from orstats.sim.state import Role

if TYPE_CHECKING:
    from orstats.sim.ledger import Entry
    from orstats.sim.state import AccountState

_KEY_AGE = timedelta(days=200)


def key(state: AccountState, _request: Request, role: Role) -> Reply | Awaitable[Reply]:
    """Answer ``GET /key``: the limits and the use of the key that asks.

    In addition to the specification of 2026-08-22, it has what the vendor's SDK of November 2026 demands: budgets, data
    regions, organisation and workspace, the free requests of the day.
    """
    own = {Role.ADMIN: state.keys.admin, Role.PLAIN: state.keys.plain, Role.MANAGEMENT: None}[role]
    return state.with_ledger(lambda entries: json_reply(200, {"data": _key_data(state, own, entries)}))


def keys(state: AccountState, request: Request, _role: Role) -> Reply | Awaitable[Reply]:
    """Answer ``GET /keys``: all keys but the management key; disabled ones on request."""
    offset = request.parameter("offset") or "0"
    if not offset.isdecimal():
        return error_reply(400)
    disabled, workspace = request.parameter("include_disabled") == "true", request.parameter("workspace_id")

    def describe(entries: Sequence[Entry]) -> Reply:
        chosen = [
            one for one in state.keys.listed if (disabled or not one.disabled) and workspace in (None, one.workspace)
        ]
        return json_reply(200, {"data": [_listed_key(state, one, entries) for one in chosen[int(offset) :]]})

    return state.with_ledger(describe)


def _listed_key(state: AccountState, own: ApiKey, entries: Sequence[Entry]) -> dict[str, Any]:
    spent = spent_by(own, entries, state.today)
    used = [entry.created_us for entry in entries if entry.key is own]
    return {
        "name": own.name,
        "hash": own.hash,
        "label": label_of(own.secret),
        "disabled": own.disabled,
        **_limits(own, spent),
        **spent,
        "created_at": (state.account.until - _KEY_AGE).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "updated_at": None,
        "last_used_at": write_time(used[-1], zulu=True) if used else None,
        "expires_at": None,
        "external_user": None,
        "workspace_id": own.workspace,
        "creator_user_id": own.creator.user_id,
    }


def _limits(own: ApiKey | None, spent: dict[str, float]) -> dict[str, Any]:
    limit = own.limit if own is not None else None
    return {
        "limit": limit,
        "limit_remaining": round(limit - spent["usage_monthly"], 6) if limit is not None else None,
        "limit_reset": "monthly" if limit is not None else None,
        "include_byok_in_limit": False,
    }


def _key_data(state: AccountState, own: ApiKey | None, entries: Sequence[Entry]) -> dict[str, Any]:
    """Describe the key that asks, or the management key; amounts in USD."""
    seed, management = state.account.seed, own is None
    spent = spent_by(own, entries, state.today)
    budgets = []
    if own is not None and own.limit is not None:
        budgets.append(_budget(state.now, "key_limit", spent["usage_monthly"], own.limit))
    elif own is not None and state.account.awkward:
        # The key itself has no limit.
        used = sum(entry.usage for entry in entries if entry.workspace == own.workspace)
        budgets.append(_budget(state.now, "member", spent["usage_monthly"], 10_000))
        budgets.append(_budget(state.now, "workspace", round(used, 10), round(used, 2), resets=False))
    creator = state.keys.admin.creator if own is None else own.creator
    return {
        "label": label_of(state.keys.management if own is None else own.secret),
        **_limits(own, spent),
        **spent,
        "is_free_tier": False,
        "is_management_key": management,
        "is_provisioning_key": management,
        "creator_user_id": creator.user_id,
        "rate_limit": {
            "requests": -1,
            "interval": "10s",
            "note": "This field is deprecated and safe to ignore.",
        },
        "expires_at": None,
        "allowed_data_regions": ["global", "europe", "us"],
        "budgets": budgets,
        "effective_budget": min(budgets, key=lambda budget: budget["remaining_usd"], default=None),
        "free_model_daily_requests": {"limit": 1000, "used": 37, "remaining": 963},
        "organization_id": f"org_{hexadecimal(26, seed, 'organisation')}",
        "workspace_id": RESEARCH if own is None else own.workspace,
    }


def _budget(now: datetime, scope: str, spent: float, limit: float, *, resets: bool = True) -> dict[str, Any]:
    turn = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    return {
        "scope": scope,
        "budget_id": uuid_of("budget", scope) if scope == "workspace" else None,
        "guardrail_id": uuid_of("guardrail", scope) if scope == "member" else None,
        "limit_usd": limit,
        "spend_usd": spent,
        "remaining_usd": round(limit - spent, 6),
        "reset_interval": "monthly" if resets else None,
        "resets_at": turn.strftime("%Y-%m-%dT%H:%M:%S.000Z") if resets else None,
        "include_byok": False,
    }


_DAYS = 30
_TOP_UP_USD = 25
# What an awkward account's activity lacks, as was reported of the vendor's.
OMITTED_MODEL = "google/gemini-2.5-flash"
# What the activity can be filtered by.
_OWNERS: dict[str, Callable[[Entry], str | None]] = {
    "workspace_id": lambda entry: entry.workspace,
    "api_key_hash": lambda entry: entry.key.hash if entry.key else None,
    "user_id": lambda entry: entry.key.creator.user_id if entry.key else None,
}


def activity(state: AccountState, request: Request, _role: object) -> Reply | Awaitable[Reply]:
    """Answer ``GET /activity``: totals per day, model and endpoint of the last 30 completed UTC days.

    Generations that no provider served have no endpoint and are excluded; they cost nothing.
    """
    awkward, today = state.account.awkward, state.today.astimezone(UTC).date()
    days = {today - timedelta(days=age) for age in range(1, _DAYS + 1)}
    day_filter = request.parameter("date")
    by_workspace = request.parameter("group_by") == "workspace"
    if request.parameter("group_by") not in (None, "workspace"):
        return error_reply(400)
    if day_filter is not None:
        try:
            days &= {date.fromisoformat(day_filter)}
        except ValueError:
            days = set()
        if not days:
            return error_reply(400, "Date must be within the last 30 (completed) UTC days")
    owner_filters = {name: value for name in _OWNERS if (value := request.parameter(name)) is not None}

    def add_up(entries: Sequence[Entry]) -> Reply:
        groups: dict[tuple[str, str, str, str, str], list[Entry]] = {}
        for entry in entries:
            counted_us = entry.ended_us if awkward else entry.created_us
            day = datetime.fromtimestamp(counted_us // SECOND_US, UTC).date()
            if day not in days or not entry.provider or (awkward and entry.model == OMITTED_MODEL):
                continue
            if any(_OWNERS[name](entry) != value for name, value in owner_filters.items()):
                continue
            own = entry.workspace if by_workspace else ""
            key = (day.isoformat(), entry.model, entry.slug, entry.endpoint_id, own)
            groups.setdefault(key, []).append(entry)
        rows = [_row(*key, members) for key, members in sorted(groups.items(), reverse=True)]
        return json_reply(200, {"data": rows})

    return state.with_ledger(add_up)


def _row(day: str, model: str, slug: str, endpoint_id: str, workspace: str, members: list[Entry]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "date": day,
        "model": slug,
        "model_permaslug": model,
        "endpoint_id": endpoint_id,
        "provider_name": members[0].provider,
        "usage": total_usd(entry.usage for entry in members),
        "byok_usage_inference": total_usd(entry.byok_usage for entry in members),
        "requests": len(members),
        "prompt_tokens": sum(entry.prompt for entry in members),
        "completion_tokens": sum(entry.completion for entry in members),
        "reasoning_tokens": sum(entry.reasoning for entry in members),
        # Later than the specification of 2026-08-22, required by the vendor's SDK of November 2026.
        "cached_tokens": sum(entry.cached for entry in members),
    }
    if workspace:
        row["workspace_id"] = workspace
    return row


def credits_left(state: AccountState, _request: Request, _role: object) -> Reply | Awaitable[Reply]:
    """Answer ``GET /credits``: what was bought and what was used, in USD."""

    def add_up(entries: Sequence[Entry]) -> Reply:
        used = total_usd(entry.usage for entry in entries)
        bought = (math.floor(used / _TOP_UP_USD) + 1) * _TOP_UP_USD
        return json_reply(200, {"data": {"total_credits": bought, "total_usage": used}})

    return state.with_ledger(add_up)
