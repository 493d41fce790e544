"""The API's endpoints: one small function each. They see authorised requests only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from orstats.sim.account import RESEARCH, label_of
from orstats.sim.activity import activity, credits_left
from orstats.sim.analytics import meta, query
from orstats.sim.faults import MESSAGES
from orstats.sim.messages import Reply, Request, error_reply, json_reply
from orstats.sim.seeds import hexadecimal, letters, stream

if TYPE_CHECKING:
    from orstats.sim.world import World


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
        return error_reply(404, MESSAGES[404])
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
        return error_reply(404, MESSAGES[404])
    return json_reply(200, {"data": stored})


def key(world: World, _request: Request, role: Role) -> Reply:
    """Answer ``GET /key``: the limits and the use of the key that asks.

    Beside the specification of 2026-08-22 it has what the vendor's SDK of November 2026 demands: budgets, data
    regions, organisation and workspace, the free requests of the day.
    """
    return json_reply(200, {"data": key_data(world, role)})


def key_data(world: World, role: Role) -> dict[str, Any]:
    """Describe a key as the API does; amounts in USD."""
    keys, seed = world.keys, world.corpus.seed
    text = {Role.ADMIN: keys.admin, Role.PLAIN: keys.plain, Role.MANAGEMENT: keys.management}[role]
    spent = world.spent(role.value)
    monthly = spent["usage_monthly"]
    limit = 100 if role is Role.PLAIN else None
    budget = _budget(world.now, monthly, limit) if limit is not None else None
    management = role is Role.MANAGEMENT
    return {
        "label": label_of(text),
        "limit": limit,
        **spent,
        "is_free_tier": False,
        "is_management_key": management,
        "is_provisioning_key": management,
        "limit_remaining": round(limit - monthly, 6) if limit is not None else None,
        "limit_reset": "monthly" if limit is not None else None,
        "include_byok_in_limit": False,
        "creator_user_id": f"user_2{letters(stream(seed, 'creator'), 26)}",
        "rate_limit": {
            "requests": -1,
            "interval": "10s",
            "note": "This field is deprecated and safe to ignore.",
        },
        "expires_at": None,
        "allowed_data_regions": ["global", "europe", "us"],
        "budgets": [budget] if budget else [],
        "effective_budget": budget,
        "free_model_daily_requests": {"limit": 1000, "used": 37, "remaining": 963},
        "organization_id": f"org_{hexadecimal(26, seed, 'organisation')}",
        "workspace_id": RESEARCH,
    }


def _budget(now: datetime, spent: float, limit: float) -> dict[str, Any]:
    turn = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    return {
        "scope": "key_limit",
        "budget_id": None,
        "guardrail_id": None,
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
    "/api/v1/key": Route("GET", key),
    "/api/v1/analytics/query": Route("POST", query, management=True),
    "/api/v1/analytics/meta": Route("GET", meta, management=True),
    "/api/v1/activity": Route("GET", activity, management=True),
    "/api/v1/credits": Route("GET", credits_left, management=True),
}
