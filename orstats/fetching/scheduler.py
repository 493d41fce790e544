"""Which id is requested next, and what a failure means for it. Pure: no threads, no clock, no network."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orstats import errors
from orstats.api.retry import Retry
from orstats.frame.status import status_of
from orstats.ids.id_shapes import id_created_at

#: The second in an id is when its request began, and its record appears after the call ended. Calls of reasoning models
#: run for minutes, video jobs for 4 minutes and more, agents' calls for up to an hour.
LONGEST_CALL_S: Final = 3600.0
#: A record or content appears this many seconds after the end of its call at the latest: lags of 5 to 10 s were
#: observed, longer ones after an interrupted stream.
AVAILABILITY_LAG_S: Final = 60.0

#: Waits between requests for a record that may become available: the first, doubled each time, and the longest.
_NOT_FOUND_FIRST_WAIT_S, _NOT_FOUND_MAX_WAIT_S = 0.5, 5.0


def may_appear(generation_id: str, now: float, ended_at: float | None = None) -> bool:
    """Whether a missing record may become available: its call may still be running or has just ended.

    Examples
    --------
    >>> [may_appear("gen-1790000000-AbCdEfGhIjKlMnOpQrSt", 1_790_000_000.0 + age) for age in (240, 7200)]
    [True, False]
    """
    if ended_at is not None:
        return now - ended_at < AVAILABILITY_LAG_S
    began_at = id_created_at(generation_id)
    # An id from the future is mistyped, unless a clock is off by less than that.
    return began_at is not None and abs(now - began_at) < LONGEST_CALL_S


def call_ended_at(created_at: datetime | None, generation_time_ms: float | None) -> float | None:
    """Return the end of a call in Unix seconds; ``created_at`` of its record is the beginning."""
    return None if created_at is None else created_at.timestamp() + (generation_time_ms or 0.0) / 1000.0


@dataclass(slots=True, eq=False)
class Task:
    """One id and its requests so far. Times are monotonic seconds."""

    id: str
    attempts: int = 0
    first_sent: float = 0.0
    failed_at: float = 0.0  # of the last failure; before the first one, the same as first_sent
    failures: int = 0  # those that the retry policy counts; a 404 of a recent id is not one
    not_found: int = 0  # responses that a later request may change
    error: errors.ApiError | None = None  # of the last request


class Schedule:
    """Hands out tasks: due retries first, else the next untried id. Guarded by its caller's lock."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._untried = deque(ids)
        self._waiting: list[tuple[float, int, Task]] = []
        self._pushed = 0
        self._active = 0

    @property
    def left(self) -> int:
        """The number of ids that are neither finished nor being requested."""
        return len(self._untried) + len(self._waiting)

    def take(self, now: float) -> Task | float | None:
        """Return the next task, the seconds until one is due, or None when no task is left.

        Infinity: no task waits, but an active one may be rescheduled.
        """
        if self._waiting and self._waiting[0][0] <= now:
            self._active += 1
            return heapq.heappop(self._waiting)[2]
        if self._untried:
            self._active += 1
            return Task(self._untried.popleft())
        if self._waiting:
            return self._waiting[0][0] - now
        return float("inf") if self._active else None

    def done(self) -> None:
        """Finish an active task."""
        self._active -= 1

    def reschedule(self, task: Task, until: float) -> None:
        """Hand an active task out again at ``until`` (monotonic seconds)."""
        self._active -= 1
        self._pushed += 1
        heapq.heappush(self._waiting, (until, self._pushed, task))

    def prefer_due_task(self, task: Task, now: float) -> Task:
        """Exchange an untried task for a retry that became due while it waited for its turn, if there is one."""
        if task.attempts or not self._waiting or self._waiting[0][0] > now:
            return task
        self.reschedule(task, now)
        self._active += 1
        return heapq.heappop(self._waiting)[2]

    def waiting_tasks(self) -> list[Task]:
        """Return the tasks that wait for their next request."""
        return [task for _, _, task in self._waiting]


class FailureRules:
    """What a failed request means for its id: a final status, or another request after a wait.

    ``ended_at`` has the Unix seconds at which calls ended, for ids where this is known.
    """

    def __init__(self, retry: Retry, pending_wait: float, ended_at: Mapping[str, float] | None = None) -> None:
        self._retry = retry
        self._pending_wait = pending_wait
        self._ended_at = ended_at or {}

    def classify(
        self, task: Task, error: errors.ApiError, now: float, wall: float, *, excused: bool = False
    ) -> str | float:
        """Return the final status of a task whose request failed, or the seconds to wait before its next request."""
        elapsed = now - task.first_sent
        task.error = error
        if isinstance(error, errors.NotFoundError):
            return self._retry_not_found(task, error, elapsed, wall)
        task.failures += not excused
        wait = self._retry.next_wait(error, attempt=max(task.failures, 1), elapsed=elapsed)
        return status_of(error) if wait is None else wait

    def _retry_not_found(self, task: Task, error: errors.NotFoundError, elapsed: float, wall: float) -> str | float:
        error.retryable = may_appear(task.id, wall, self._ended_at.get(task.id))
        remaining = self._pending_wait - elapsed
        if not error.retryable or remaining <= 0:
            return status_of(error)
        wait = min(_NOT_FOUND_FIRST_WAIT_S * 2.0 ** min(task.not_found, 10), _NOT_FOUND_MAX_WAIT_S, remaining)
        task.not_found += 1
        return wait
