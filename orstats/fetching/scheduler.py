"""Which id is asked next, and what a failure means for it. Pure: no threads, no clock, no network."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orstats import errors
from orstats.api.retry import Retry
from orstats.ids.formats import id_created_at

#: The second in an id is when its request began, and its record appears after the call ended. Calls of reasoning models
#: run for minutes, video jobs for 4 minutes and more, agents' calls for up to an hour.
LONGEST_CALL_S: Final = 3600.0
#: A record or content appears this many seconds after the end of its call at the latest: lags of 5 to 10 s were
#: observed, longer ones after an interrupted stream.
AVAILABILITY_LAG_S: Final = 60.0

_LOOK_AGAIN_FIRST_S, _LOOK_AGAIN_MAX_S = 0.5, 5.0

_STATUS: Final[tuple[tuple[type[errors.ApiError], str], ...]] = (
    (errors.NotFoundError, "not_found"),
    (errors.AccountError, "forbidden"),
    (errors.ForbiddenError, "forbidden"),
    (errors.RateLimitError, "rate_limited"),
    (errors.ServerError, "server_error"),
    (errors.NetworkError, "network_error"),
    (errors.BadRequestError, "invalid_id"),
    (errors.BadResponseError, "bad_response"),
)


def status_of(error: errors.ApiError) -> str:
    """``fetch_status`` of an id whose last request ended with ``error``."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def may_appear(generation_id: str, now: float, ended_at: float | None = None) -> bool:
    """Tell whether what is not found now may become available: the call may still be running or has just ended.

    Examples
    --------
    >>> [may_appear("gen-1790000000-AbCdEfGhIjKlMnOpQrSt", 1_790_000_000.0 + age) for age in (240, 7200)]
    [True, False]
    """
    if ended_at is not None:
        return now - ended_at < AVAILABILITY_LAG_S
    began_at = id_created_at(generation_id)
    # An id from the future is a typing error too, unless a clock is off by less than that.
    return began_at is not None and abs(now - began_at) < LONGEST_CALL_S


def call_ended_at(created_at: datetime | None, generation_time_ms: float | None) -> float | None:
    """Return the end of a call in Unix seconds by its record, whose ``created_at`` is its beginning."""
    return None if created_at is None else created_at.timestamp() + (generation_time_ms or 0.0) / 1000.0


@dataclass(slots=True, eq=False)
class Task:
    """One id on its way: what was tried so far. Times are monotonic seconds."""

    id: str
    attempts: int = 0
    first_sent: float = 0.0
    failed_at: float = 0.0  # the last failure; when it was first sent before that
    failures: int = 0  # those that the retry policy counts; a 404 of a recent id is not one
    looks: int = 0
    error: errors.ApiError | None = None  # of the last request


class Schedule:
    """Hands out ids: those that are due again first, else the next untried one. Guarded by its caller's lock."""

    def __init__(
        self, ids: Sequence[str], retry: Retry, pending_wait: float, ended_at: Mapping[str, float] | None = None
    ) -> None:
        self._fresh: Iterator[str] = iter(ids)
        self._untried = len(ids)
        self._later: list[tuple[float, int, Task]] = []
        self._pushed = 0
        self._out = 0
        self._retry = retry
        self._pending_wait = pending_wait
        self._ended_at = ended_at or {}

    @property
    def left(self) -> int:
        """How many ids are not on their way and not done."""
        return self._untried + len(self._later)

    def take(self, now: float) -> Task | float | None:
        """Return the next task; or the seconds until one is due; or None when there will be none.

        Infinity means: nothing is due, but a task that is out may come back.
        """
        if self._later and self._later[0][0] <= now:
            self._out += 1
            return heapq.heappop(self._later)[2]
        if self._untried:
            self._untried -= 1
            self._out += 1
            return Task(next(self._fresh))
        if self._later:
            return self._later[0][0] - now
        return float("inf") if self._out else None

    def done(self) -> None:
        """Record that a task that was out needs no more."""
        self._out -= 1

    def put_off(self, task: Task, until: float) -> None:
        """Take a task back, to be handed out again at ``until`` (monotonic seconds)."""
        self._out -= 1
        self._pushed += 1
        heapq.heappush(self._later, (until, self._pushed, task))

    def rather(self, task: Task, now: float) -> Task:
        """Return what became due while an untried task waited for its turn, and put that back; else the task."""
        if task.attempts or not self._later or self._later[0][0] > now:
            return task
        self.put_off(task, now)
        self._out += 1
        return heapq.heappop(self._later)[2]

    def put_off_tasks(self) -> list[Task]:
        """Return what was put off and is not handed out yet."""
        return [task for _, _, task in self._later]

    def verdict(
        self, task: Task, error: errors.ApiError, now: float, wall: float, *, excused: bool = False
    ) -> str | float:
        """Say what a failed request means."""
        elapsed = now - task.first_sent
        task.error = error
        if isinstance(error, errors.NotFoundError):
            return self._retry_not_found(task, elapsed, wall)
        task.failures += not excused
        wait = self._retry.next_wait(error, attempt=max(task.failures, 1), elapsed=elapsed)
        return status_of(error) if wait is None else wait

    def _retry_not_found(self, task: Task, elapsed: float, wall: float) -> str | float:
        if not may_appear(task.id, wall, self._ended_at.get(task.id)):
            return "not_found"
        remaining = self._pending_wait - elapsed
        if remaining <= 0:
            return "pending"
        wait = min(_LOOK_AGAIN_FIRST_S * 2.0 ** min(task.looks, 10), _LOOK_AGAIN_MAX_S, remaining)
        task.looks += 1
        return wait


def tally(statuses: Iterator[str]) -> str:
    """Count statuses in words, most frequent first.

    Examples
    --------
    >>> tally(iter(["not_found", "pending", "not_found"]))
    '2 not_found, 1 pending'
    """
    return ", ".join(f"{count:,} {status}" for status, count in Counter(statuses).most_common())
