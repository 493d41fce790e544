"""The state that the endpoints answer from: the account, its keys and its ledger."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

import orjson

from orstats.sim.dataset.catalogue import keys_of
from orstats.sim.dataset.timeline import SECOND_US
from orstats.sim.ledger import Entry, read_entry, read_ledger

if TYPE_CHECKING:
    from orstats.sim.dataset.account import SimulatedAccount
    from orstats.sim.http import Reply

# Number of cached response bodies: about 25 MB.
_READY = 16_384
_ANALYTICS_LAG_S = 3 * 3600


class Role(Enum):
    """What a key may do."""

    ADMIN = "admin"
    PLAIN = "plain"
    MANAGEMENT = "management"


class AccountState:
    """One account as it is now. All methods but :meth:`add_young` run in the server's thread."""

    def __init__(self, account: SimulatedAccount, *, lag: float, clock: Callable[[], float] | None) -> None:
        self.account = account
        self.keys = keys_of(account.seed, awkward=account.awkward)
        self.keys_by_app = {(app.app_id, app.origin): key for key in self.keys.listed for app in key.apps}
        self.out_of_credits = False
        self.rated: set[str] = set()
        self.record_body = functools.lru_cache(maxsize=_READY)(self._record_body)
        self._lag = lag
        self._clock = clock or time.time
        self._moves = clock is not None
        self._found_at: dict[int, float] = {}
        self._content_at: dict[int, float] = {}
        self._adding = threading.Lock()
        self._stopping = threading.Event()
        self._ledger: list[Entry] | None = None
        self._reading: asyncio.Future[list[Entry]] | None = None

    def open(self) -> None:
        """Prepare for a new event loop."""
        self._stopping.clear()
        self._reading = None

    def close(self) -> None:
        """Stop reading the ledger."""
        self._stopping.set()

    @property
    def now(self) -> datetime:
        """The server's time."""
        return datetime.fromtimestamp(self._clock(), UTC)

    @property
    def today(self) -> datetime:
        """The account's current time: its end, or the injected clock's time after that."""
        return max(self.account.until, self.now) if self._moves else self.account.until

    @property
    def analytics_until_us(self) -> int | None:
        """The end of what the analytics of an awkward account include, as they lag behind."""
        return int((self._clock() - _ANALYTICS_LAG_S) * SECOND_US) if self.account.awkward else None

    def find(self, identifier: str, *, content: bool = False) -> int | None:
        """Find a generation whose record, or content, is already available."""
        index = self.account.find(identifier)
        if index is None:
            return None
        available_at = (self._content_at if content else self._found_at).get(index)
        if available_at is None and self._lag:
            duration_ms = self.account.record(index)["generation_time"] or 0
            available_at = self.account.created_us(index) / 1e6 + duration_ms / 1e3 + self._lag
        return None if available_at is not None and self._clock() < available_at else index

    def add_young(self, *, found_after: float, content_after: float, ran_for: float, kind: str) -> str:
        """Add a generation whose call has just ended; any thread may call this. For arguments see ``young_ids``."""
        now = self._clock()
        with self._adding:
            index = self.account.add(now - ran_for, ran_s=ran_for, kind=kind)
            self._found_at[index], self._content_at[index] = now + found_after, now + content_after
        return self.account.identifier(index)

    async def with_ledger(self, then: Callable[[Sequence[Entry]], Reply]) -> Reply:
        """Answer from the ledger, which is read once; both in a thread, so that other requests need not wait."""
        if self._ledger is None:
            if self._reading is None:
                self._reading = asyncio.ensure_future(
                    asyncio.to_thread(read_ledger, self.account, self.keys_by_app, self._stopping)
                )
            # Shielded: a client that disconnects must not cancel the reading for the others.
            self._ledger = await asyncio.shield(self._reading)
        return await asyncio.to_thread(then, self._with_added(self._ledger))

    def _with_added(self, entries: list[Entry]) -> list[Entry]:
        """Insert the added generations that are already available, in time order."""
        now = self._clock()
        added = [index for index, found_at in self._found_at.items() if found_at <= now]
        if not added:
            return entries
        more = [read_entry(self.account, self.keys_by_app, index) for index in added]
        return sorted([*entries, *more], key=lambda entry: entry.created_us)

    def _record_body(self, index: int) -> bytes:
        # A copy, because orjson's bytes keep a buffer of about 8 kB for a record of 1.5 kB.
        return memoryview(orjson.dumps({"data": self.account.record(index)})).tobytes()
