"""The checks that a request passes before it reaches an endpoint, and the faults that replace its response."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from orstats.sim.dataset.random_streams import stream
from orstats.sim.fault_replies import page_reply
from orstats.sim.http import Reply, Request, accepts_gzip, compressed, error_reply
from orstats.sim.rate_limit import Limiter, RateLimit
from orstats.sim.routes import ROUTES, Route
from orstats.sim.state import AccountState, Role
from orstats.sim.stats import Recorder

if TYPE_CHECKING:
    from orstats.sim.dataset.account import SimulatedAccount
    from orstats.sim.faults import Faults
    from orstats.sim.http_connection import Connection

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
            return error_reply(405, headers=(("allow", route.method),))
        authorization = request.headers.get("authorization", "")
        # The scheme is case-insensitive (RFC 9110, 11.1).
        scheme, _, key = authorization.partition(" ")
        role = self._roles.get(key.strip()) if scheme.lower() == "bearer" else None
        if role is None:
            return error_reply(401, "User not found." if authorization else None)
        return route, role

    def _forbidden(self, request: Request, route: Route, role: Role) -> Reply | None:
        if route.management and role is not Role.MANAGEMENT:
            return error_reply(403)
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
