"""The API's endpoints, and the checks that a request passes before it reaches one."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson

from orstats.sim.analytics import FEEDBACK, fits, meta, query
from orstats.sim.dataset.catalogue import RESEARCH, ApiKey, label_of
from orstats.sim.dataset.random_streams import hexadecimal, stream, uuid_of
from orstats.sim.dataset.records import write_time
from orstats.sim.dataset.timeline import SECOND_US
from orstats.sim.faults import MESSAGES, page_reply
from orstats.sim.http import Reply, Request, accepts_gzip, compressed, error_reply, json_reply
from orstats.sim.ledger import spent_by, total_usd
from orstats.sim.rate_limit import Limiter, RateLimit
from orstats.sim.state import AccountState
from orstats.sim.stats import Recorder

if TYPE_CHECKING:
    from orstats.sim.dataset.account import SimulatedAccount
    from orstats.sim.faults import Faults
    from orstats.sim.http_connection import Connection
    from orstats.sim.ledger import Entry
    from orstats.sim.state import AccountState

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


Handler = Callable[["AccountState", Request, Role], Reply | Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint; ``management`` ones need a management key."""

    method: str
    handler: Handler
    management: bool = False


def generation(state: AccountState, request: Request, _role: Role) -> Reply:
    """Answer ``GET /generation``: the metadata of one generation, with any key of the account."""
    identifier = request.parameter("id")
    if not identifier:
        return error_reply(400, MESSAGES[400])
    if state.out_of_credits:
        return error_reply(402, MESSAGES[402])
    index = state.find(identifier)
    if index is None:
        return _not_found(state, identifier)
    return Reply(200, state.record_body(index))


def content(state: AccountState, request: Request, role: Role) -> Reply:
    """Answer ``GET /generation/content``: prompt and completion, for administrators of the organisation."""
    identifier = request.parameter("id")
    if not identifier:
        return error_reply(400, MESSAGES[400])
    if role is Role.PLAIN:
        return error_reply(403, MESSAGES[403])
    index = state.find(identifier, content=True)
    stored = state.account.content(index) if index is not None else None
    if stored is None:
        return _not_found(state, identifier)
    return json_reply(200, {"data": stored})


def _not_found(state: AccountState, identifier: str) -> Reply:
    if state.account.is_foreign(identifier):
        return error_reply(403, "This generation belongs to another user")
    return error_reply(404, MESSAGES[404])


def feedback(state: AccountState, request: Request, _role: Role) -> Reply:
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
    if state.find(identifier) is None:
        return _not_found(state, identifier)
    if identifier in state.rated:
        return error_reply(409, MESSAGES[409])
    state.rated.add(identifier)
    return json_reply(200, {"data": {"success": True}})


def key(state: AccountState, _request: Request, role: Role) -> Reply | Awaitable[Reply]:
    """Answer ``GET /key``: the limits and the use of the key that asks.

    Beside the specification of 2026-08-22 it has what the vendor's SDK of November 2026 demands: budgets, data
    regions, organisation and workspace, the free requests of the day.
    """
    own = {Role.ADMIN: state.keys.admin, Role.PLAIN: state.keys.plain, Role.MANAGEMENT: None}[role]
    return state.with_ledger(lambda entries: json_reply(200, {"data": _key_data(state, own, entries)}))


def keys(state: AccountState, request: Request, _role: Role) -> Reply | Awaitable[Reply]:
    """Answer ``GET /keys``: all keys but the management key; disabled ones on request."""
    offset = request.parameter("offset") or "0"
    if not offset.isdecimal():
        return error_reply(400, MESSAGES[400])
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
        return error_reply(400, MESSAGES[400])
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

_TOO_MANY = 429


class Service:
    """Answers requests about one account, in the server's thread."""

    def __init__(
        self,
        account: SimulatedAccount,
        *,
        faults: Faults | None,
        rate_limit: RateLimit | None,
        latency: float | tuple[float, float],
        lag: float,
        gzip: bool,
        analytics_per_minute: int | None,
        clock: Callable[[], float] | None,
    ) -> None:
        self.state = AccountState(account, lag=lag, clock=clock)
        self.recorder = Recorder()
        self.connections: set[Connection] = set()
        self._analytics_limiter = (
            None
            if analytics_per_minute is None
            else Limiter(RateLimit(analytics_per_minute / 60, burst=analytics_per_minute))
        )
        keys = self.state.keys
        self._roles = {
            keys.admin.secret: Role.ADMIN,
            keys.plain.secret: Role.PLAIN,
            keys.management: Role.MANAGEMENT,
        }
        self._faults = faults
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._limiter = Limiter(rate_limit) if rate_limit is not None else None
        self._least, self._most = latency if isinstance(latency, tuple) else (latency, latency)
        self._delays = stream(account.seed, "latency")
        self._gzip = gzip

    def open(self) -> None:
        """Prepare to serve in a new event loop."""
        self.state.open()

    async def close(self, within_s: float) -> None:
        """Drop all connections and wait until they are closed; raise ``TimeoutError`` if they are not."""
        self.state.close()
        for connection in list(self.connections):
            connection.abort()
        async with asyncio.timeout(within_s):
            while self.connections:  # noqa: ASYNC110 - takes one turn of the loop, at the very end
                await asyncio.sleep(0)

    def answer(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer one request."""
        identifier = request.parameter("id") or ""
        admitted = self._admit(request)
        if isinstance(admitted, Reply):
            return self._conclude(request, identifier, admitted)
        refusal = self._limiter.refusal() if self._limiter is not None else None
        if refusal is not None:
            return self._conclude(request, identifier, refusal, refused=True)
        fault, instead = self._fault(request, identifier)
        if instead is not None:
            return self._conclude(request, identifier, instead, fault)
        route, role = admitted
        forbidden = self._forbidden(request, route, role)
        if forbidden is not None:
            return self._conclude(request, identifier, forbidden, fault, refused=forbidden.status == _TOO_MANY)
        answer = route.handler(self.state, request, role)
        if isinstance(answer, Reply):
            return self._conclude(request, identifier, answer, fault)
        return self._conclude_later(request, identifier, answer, fault)

    def delay(self) -> float:
        """Draw the latency of the next response, in seconds."""
        if self._most <= 0:
            return 0.0
        return self._least + (self._most - self._least) * self._delays.random()

    def connected(self, connection: Connection) -> None:
        """Register a connection."""
        self.connections.add(connection)
        self.recorder.connected()

    def disconnected(self, connection: Connection) -> None:
        """Unregister a connection."""
        self.connections.discard(connection)

    def begun(self) -> None:
        """Count the start of a request."""
        self.recorder.begun()

    def ended(self) -> None:
        """Count the end of a request."""
        self.recorder.ended()

    def _admit(self, request: Request) -> tuple[Route, Role] | Reply:
        """Find the endpoint and the key's role, or the error that answers the request."""
        route = ROUTES.get(request.path)
        if route is None and not request.path.startswith("/api/v1/"):
            return page_reply(404, "404 This page could not be found.")  # the vendor's web site
        if route is None:
            return error_reply(404, "Not Found")
        if request.method != route.method and (request.method, route.method) != ("HEAD", "GET"):
            return error_reply(405, MESSAGES[405], (("allow", route.method),))
        authorization = request.headers.get("authorization", "")
        # The scheme is case-insensitive (RFC 9110, 11.1).
        scheme, _, key = authorization.partition(" ")
        role = self._roles.get(key.strip()) if scheme.lower() == "bearer" else None
        if role is None:
            return error_reply(401, "User not found." if authorization else MESSAGES[401])
        return route, role

    def _forbidden(self, request: Request, route: Route, role: Role) -> Reply | None:
        if route.management and role is not Role.MANAGEMENT:
            return error_reply(403, MESSAGES[403])
        if self._analytics_limiter is not None and request.path.startswith("/api/v1/analytics/"):
            return self._analytics_limiter.refusal()
        return None

    def _fault(self, request: Request, identifier: str) -> tuple[str | None, Reply | None]:
        """Choose the fault of a request, and the reply that replaces the successful one, if any."""
        if self._faults is None:
            return None, None
        key = identifier or request.path.removeprefix("/api/v1")
        place = (request.path, key)
        fault = self._faults.kind(key, self._attempts[place])
        if fault is not None or key in self._faults.per_id:
            # Counted only where another fault may follow, so that a million others need no memory.
            self._attempts[place] += 1
        return fault, None if fault is None else self._faults.reply(fault)

    def _conclude(
        self, request: Request, identifier: str, reply: Reply, fault: str | None = None, *, refused: bool = False
    ) -> Reply:
        if fault is not None and self._faults is not None and self._faults.corrupts(fault):
            reply = self._faults.corrupt(fault, reply)
        if self._gzip and reply.body and accepts_gzip(request.headers.get("accept-encoding", "")):
            reply = compressed(reply)
        self.recorder.answered(request.path, identifier, reply.status, fault=fault, refused=refused)
        return reply

    async def _conclude_later(
        self, request: Request, identifier: str, answer: Awaitable[Reply], fault: str | None
    ) -> Reply:
        return self._conclude(request, identifier, await answer, fault)
