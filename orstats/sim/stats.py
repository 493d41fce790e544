"""Counters of requests and responses, readable from any thread."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

LOG_LENGTH = 200_000


class Hit(NamedTuple):
    """One request: monotonic seconds of its answer, path, identifier ("" without one), status (0 for none)."""

    at: float
    path: str
    id: str
    status: int


@dataclass(frozen=True)
class Stats:
    """Counters at one moment.

    Attributes
    ----------
    requests
        All requests, also those without an answer.
    paths, ids, statuses
        Requests by path, by identifier, and by status of the answer (0: none was sent).
    refusals
        Requests above the rate limit. A 429 that is a fault counts in ``faults`` instead.
    faults
        Faults served, by kind.
    peak_concurrent
        The maximum number of concurrent requests.
    connections
        Connections opened so far.
    log
        The latest requests, oldest first (at most 200,000).
    """

    requests: int
    paths: dict[str, int]
    ids: dict[str, int]
    statuses: dict[int, int]
    refusals: int
    faults: dict[str, int]
    peak_concurrent: int
    connections: int
    log: tuple[Hit, ...]


class Recorder:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._clear()

    def _clear(self) -> None:
        self._paths: Counter[str] = Counter()
        self._ids: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._refusals = 0
        self._peak = self._running
        self._connections = 0
        self._log: deque[Hit] = deque(maxlen=LOG_LENGTH)

    def reset(self) -> None:
        """Set all counters to zero; requests in progress stay counted as such."""
        with self._lock:
            self._clear()

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self._connections += 1

    def begun(self) -> None:
        """Count the start of a request."""
        with self._lock:
            self._running += 1
            self._peak = max(self._peak, self._running)

    def ended(self) -> None:
        """Count the end of a request."""
        with self._lock:
            self._running -= 1

    def answered(
        self, path: str, identifier: str, status: int, *, fault: str | None = None, refused: bool = False
    ) -> None:
        """Count a response, before its first byte is sent, so that a client never sees one that is not counted."""
        with self._lock:
            self._paths[path] += 1
            if identifier:
                self._ids[identifier] += 1
            self._statuses[status] += 1
            self._refusals += refused
            if fault is not None:
                self._faults[fault] += 1
            self._log.append(Hit(time.monotonic(), path, identifier, status))

    def snapshot(self) -> Stats:
        """Copy the counters."""
        with self._lock:
            return Stats(
                requests=self._statuses.total(),
                paths=dict(self._paths),
                ids=dict(self._ids),
                statuses=dict(self._statuses),
                refusals=self._refusals,
                faults=dict(self._faults),
                peak_concurrent=self._peak,
                connections=self._connections,
                log=tuple(self._log),
            )

    @property
    def requests(self) -> int:
        """All requests so far; cheaper than a snapshot."""
        with self._lock:
            return self._statuses.total()
