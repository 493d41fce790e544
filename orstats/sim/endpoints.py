"""The API's endpoints: one small function each. They see authorised requests only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson

from orstats.sim.account import RESEARCH, ApiKey, label_of
from orstats.sim.activity import activity, credits_left
from orstats.sim.analytics import meta, query
from orstats.sim.faults import MESSAGES
from orstats.sim.http import Reply, Request, error_reply, json_reply
from orstats.sim.records import write_time
from orstats.sim.seeds import hexadecimal, uuid_of
from orstats.sim.shapes import FEEDBACK, fits
from orstats.sim.spending import spent_by

if TYPE_CHECKING:
    from orstats.sim.ledger import Entry
    from orstats.sim.world import World


_KEY_AGE = timedelta(days=200)
FEEDBACK_CATEGORIES = (
    "latency",
    "incoherence",
    "incorrect_response",
    "formatting",
    "billing",
    "api_error",
    "other",
)


class Role(Enum):
    """What a key may do."""

    ADMIN = "admin"
    PLAIN = "plain"
    MANAGEMENT = "management"


Handler = Callable[["World", Request, Role], Reply | Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """How an endpoint is reached, and who answers. ``management`` ones are for management keys only."""

    method: str
    handler: Handler
    management: bool = False


def generation(world: World, request: Request, _role: Role) -> Reply:
    """Answer ``GET /generation``: the metadata of one generation, with any key of the account."""
    identifier = request.parameter("id")
    if not identifier:
        return error_reply(400, MESSAGES[400])
    if world.out_of_credits:
        return error_reply(402, MESSAGES[402])
    index = world.find(identifier)
    if index is None:
        return _not_found(world, identifier)
    return Reply(200, world.record_body(index))


def content(world: World, request: Request, role: Role) -> Reply:
    """Answer ``GET /generation/content``: prompt and completion, for administrators of the organisation."""
    identifier = request.parameter("id")
    if not identifier:
        return error_reply(400, MESSAGES[400])
    if role is Role.PLAIN:
        return error_reply(403, MESSAGES[403])
    index = world.find(identifier, content=True)
    stored = world.corpus.content(index) if index is not None else None
    if stored is None:
        return _not_found(world, identifier)
    return json_reply(200, {"data": stored})


def _not_found(world: World, identifier: str) -> Reply:
    if world.corpus.is_foreign(identifier):
        return error_reply(403, "This generation belongs to another user")
    return error_reply(404, MESSAGES[404])


def feedback(world: World, request: Request, _role: Role) -> Reply:
    """Answer ``POST /generation/feedback``: once for each generation."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return error_reply(400, MESSAGES[400])
    if not fits(body, FEEDBACK) or not body.keys() >= {"generation_id", "category"}:
        return error_reply(400, MESSAGES[400])
    if body["category"] not in FEEDBACK_CATEGORIES:
        return error_reply(400, f"Unknown category: {body['category']}")
    identifier: str = body["generation_id"]
    if world.find(identifier) is None:
        return _not_found(world, identifier)
    if identifier in world.rated:
        return error_reply(409, MESSAGES[409])
    world.rated.add(identifier)
    return json_reply(200, {"data": {"success": True}})


def key(world: World, _request: Request, role: Role) -> Reply | Awaitable[Reply]:
    """Answer ``GET /key``: the limits and the use of the key that asks.

    Beside the specification of 2026-08-22 it has what the vendor's SDK of November 2026 demands: budgets, data
    regions, organisation and workspace, the free requests of the day.
    """
    own = {Role.ADMIN: world.keys.admin, Role.PLAIN: world.keys.plain, Role.MANAGEMENT: None}[role]
    return world.with_ledger(lambda entries: json_reply(200, {"data": _key_data(world, own, entries)}))


def keys(world: World, request: Request, _role: Role) -> Reply | Awaitable[Reply]:
    """Answer ``GET /keys``: all keys but the management key; disabled ones on request."""
    offset = request.parameter("offset") or "0"
    if not offset.isdecimal():
        return error_reply(400, MESSAGES[400])
    disabled, workspace = request.parameter("include_disabled") == "true", request.parameter("workspace_id")

    def describe(entries: Sequence[Entry]) -> Reply:
        chosen = [
            one for one in world.keys.listed if (disabled or not one.disabled) and workspace in (None, one.workspace)
        ]
        return json_reply(200, {"data": [_listed_key(world, one, entries) for one in chosen[int(offset) :]]})

    return world.with_ledger(describe)


def _listed_key(world: World, own: ApiKey, entries: Sequence[Entry]) -> dict[str, Any]:
    spent = spent_by(own, entries, world.today)
    used = [entry.created_us for entry in entries if entry.key == own]
    return {
        "name": own.name,
        "hash": own.hash,
        "label": label_of(own.secret),
        "disabled": own.disabled,
        **_limits(own, spent),
        **spent,
        "created_at": (world.corpus.until - _KEY_AGE).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
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


def _key_data(world: World, own: ApiKey | None, entries: Sequence[Entry]) -> dict[str, Any]:
    """Describe the key that asks, or the management key; amounts in USD."""
    seed, management = world.corpus.seed, own is None
    spent = spent_by(own, entries, world.today)
    budgets = []
    if own is not None and own.limit is not None:
        budgets.append(_budget(world.now, "key_limit", spent["usage_monthly"], own.limit))
    elif own is not None and world.corpus.awkward:
        # The key itself has no limit.
        used = sum(entry.usage for entry in entries if entry.workspace == own.workspace)
        budgets.append(_budget(world.now, "member", spent["usage_monthly"], 10_000))
        budgets.append(_budget(world.now, "workspace", round(used, 10), round(used, 2)))
    creator = world.keys.admin.creator if own is None else own.creator
    return {
        "label": label_of(world.keys.management if own is None else own.secret),
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


def _budget(now: datetime, scope: str, spent: float, limit: float) -> dict[str, Any]:
    turn = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    return {
        "scope": scope,
        "budget_id": uuid_of("budget", scope) if scope == "workspace" else None,
        "guardrail_id": uuid_of("guardrail", scope) if scope == "member" else None,
        "limit_usd": limit,
        "spend_usd": spent,
        "remaining_usd": round(limit - spent, 6),
        "reset_interval": "monthly",
        "resets_at": turn.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "include_byok": False,
    }


ROUTES: dict[str, Route] = {
    "/api/v1/generation": Route("GET", generation),
    "/api/v1/generation/content": Route("GET", content),
    "/api/v1/generation/feedback": Route("POST", feedback, management=True),
    "/api/v1/key": Route("GET", key),
    "/api/v1/keys": Route("GET", keys, management=True),
    "/api/v1/analytics/query": Route("POST", query, management=True),
    "/api/v1/analytics/meta": Route("GET", meta, management=True),
    "/api/v1/activity": Route("GET", activity, management=True),
    "/api/v1/credits": Route("GET", credits_left, management=True),
}
