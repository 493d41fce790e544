"""The API's paths, with the endpoint that answers each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orstats.sim.account_endpoints import activity, credits_left, key, keys
from orstats.sim.analytics import meta, query
from orstats.sim.generation_endpoints import content, feedback, generation
from orstats.sim.http import Reply, Request
from orstats.sim.state import AccountState, Role

Handler = Callable[[AccountState, Request, Role], Reply | Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint; ``management`` ones need a management key."""

    method: str
    handler: Handler
    management: bool = False


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
