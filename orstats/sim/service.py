"""What the server knows and decides: keys, rate limit, faults, and which endpoint answers."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from orstats.sim.account import keys_of
from orstats.sim.endpoints import ROUTES, Role, Route
from orstats.sim.faults import MESSAGES
from orstats.sim.ledger import Entry, read_ledger
from orstats.sim.limits import Limiter, RateLimit
from orstats.sim.messages import Reply, Request, compressed, error_reply
from orstats.sim.seeds import stream
from orstats.sim.stats import Recorder

if TYPE_CHECKING:
    from orstats.sim.connection import Connection
    from orstats.sim.corpus import Corpus
    from orstats.sim.faults import Faults

# Answers kept ready as bytes: some 25 MB.
_READY = 16_384
_TOO_MANY = 429


class Service:
    """Answers requests about one account. All methods but the properties run in the server's thread.

    Parameters
    ----------
    corpus
        The account.
    faults
        What goes wrong; None for nothing.
    rate_limit
        The limit of requests a second; None for none.
    latency
        Seconds that every answer takes, or the least and the most.
    lag
        Seconds after its moment before a generation is found.
    gzip
        Whether answers are compressed for clients that accept it.
    analytics_per_minute
        The limit of analytics; None for none.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        faults: Faults | None,
        rate_limit: RateLimit | None,
        latency: float | tuple[float, float],
        lag: float,
        gzip: bool,
        analytics_per_minute: int | None,
    ) -> None:
        self.corpus = corpus
        self.keys = keys_of(corpus.seed)
        self.recorder = Recorder()
        self.connections: set[Connection] = set()
        self.out_of_credits = False
        self.found_at: dict[int, float] = {}
        self._adding = threading.Lock()
        self.record_body = functools.lru_cache(maxsize=_READY)(self._record_body)
        self._analytics_limiter = (
            None
            if analytics_per_minute is None
            else Limiter(RateLimit(analytics_per_minute / 60, burst=analytics_per_minute))
        )
        self._roles = {
            f"Bearer {self.keys.admin}": Role.ADMIN,
            f"Bearer {self.keys.plain}": Role.PLAIN,
            f"Bearer {self.keys.management}": Role.MANAGEMENT,
        }
        self._faults = faults
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._limiter = Limiter(rate_limit) if rate_limit is not None else None
        self._least, self._most = latency if isinstance(latency, tuple) else (latency, latency)
        self._delays = stream(corpus.seed, "latency")
        self._lag = lag
        self._gzip = gzip
        self.stopping = threading.Event()
        self._ledger: list[Entry] | None = None
        self._reading: asyncio.Future[list[Entry]] | None = None

    def open(self) -> None:
        """Get ready to serve in a new event loop."""
        self.stopping.clear()
        self._reading = None

    async def close(self, within_s: float) -> None:
        """Drop all connections; they are gone when this returns, or ``TimeoutError`` is raised."""
        self.stopping.set()
        for connection in list(self.connections):
            connection.abort()
        async with asyncio.timeout(within_s):
            while self.connections:  # noqa: ASYNC110 - takes one turn of the loop, at the very end
                await asyncio.sleep(0)

    def find(self, identifier: str) -> int | None:
        """Find a generation that can be found by now; None for the others, as the API does not tell them apart."""
        index = self.corpus.find(identifier)
        if index is None:
            return None
        if index in self.found_at:
            return index if time.monotonic() >= self.found_at[index] else None
        if self._lag and time.time() < self.corpus.created_us(index) / 1e6 + self._lag:
            return None
        return index

    def add_young(self, found_after: float) -> str:
        """Add a generation of this second, to be found after some seconds; any thread may call this."""
        with self._adding:
            index = self.corpus.add(datetime.now(UTC))
            self.found_at[index] = time.monotonic() + found_after
        return self.corpus.identifier(index)

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
        answer = route.handler(self, request, role)
        if isinstance(answer, Reply):
            return self._conclude(request, identifier, answer, fault)
        return self._conclude_later(request, identifier, answer, fault)

    def with_ledger(self, then: Callable[[Sequence[Entry]], Reply]) -> Reply | Awaitable[Reply]:
        """Answer from the whole account: at once if it has been read, else after a thread has read it."""
        if self._ledger is not None:
            return then(self._ledger)
        return self._after_reading(then)

    async def _after_reading(self, then: Callable[[Sequence[Entry]], Reply]) -> Reply:
        if self._reading is None:
            self._reading = asyncio.ensure_future(asyncio.to_thread(read_ledger, self.corpus, self.stopping))
        # Shielded: a client that hangs up must not end the reading for the others.
        self._ledger = await asyncio.shield(self._reading)
        return then(self._ledger)

    def delay(self) -> float:
        """Draw how long the next answer takes, in seconds."""
        if self._most <= 0:
            return 0.0
        return self._least + (self._most - self._least) * self._delays.random()

    def connected(self, connection: Connection) -> None:
        """Note a new connection."""
        self.connections.add(connection)
        self.recorder.connected()

    def disconnected(self, connection: Connection) -> None:
        """Note the end of one."""
        self.connections.discard(connection)

    def begun(self) -> None:
        """Note that work on a request begins."""
        self.recorder.begun()

    def ended(self) -> None:
        """Note that it ends."""
        self.recorder.ended()

    def _record_body(self, index: int) -> bytes:
        # A copy: what orjson returns keeps its scratch space, some 8 kB for a record of 1.5 kB.
        return memoryview(orjson.dumps({"data": self.corpus.record(index)})).tobytes()

    def _admit(self, request: Request) -> tuple[Route, Role] | Reply:
        """Find the endpoint and the key's role, or the answer for those who have come to the wrong place."""
        route = ROUTES.get(request.path)
        if route is None or request.method == "HEAD":
            return error_reply(404, "Not Found")
        if request.method != route.method:
            return error_reply(405, MESSAGES[405], (("allow", route.method),))
        authorization = request.headers.get("authorization", "")
        role = self._roles.get(authorization)
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
        """Tell which fault a request meets, and the answer that takes the good one's place, if one does."""
        if self._faults is None:
            return None, None
        key = identifier or request.path.removeprefix("/api/v1")
        place = (request.path, key)
        fault = self._faults.kind(key, self._attempts[place])
        if fault is not None or key in self._faults.per_id:
            # Only those are counted that a fault may still meet: a million others need no memory.
            self._attempts[place] += 1
        return fault, None if fault is None else self._faults.reply(fault)

    def _conclude(
        self, request: Request, identifier: str, reply: Reply, fault: str | None = None, *, refused: bool = False
    ) -> Reply:
        if fault is not None and self._faults is not None and self._faults.spoils(fault):
            reply = self._faults.spoil(fault, reply)
        if self._gzip and reply.body and "gzip" in request.headers.get("accept-encoding", ""):
            reply = compressed(reply)
        self.recorder.answered(request.path, identifier, reply.status, fault=fault, refused=refused)
        return reply

    async def _conclude_later(
        self, request: Request, identifier: str, answer: Awaitable[Reply], fault: str | None
    ) -> Reply:
        return self._conclude(request, identifier, await answer, fault)
