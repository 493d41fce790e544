"""Which id is asked next, and what a failure means for it. Pure: no threads, no clock, no network."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from orstats.api import errors
from orstats.api.retry import Retry
from orstats.data.ids.shapes import id_created_at

#: An id younger than this may not be found *yet* (seconds). Lags of 5 to 10 s are usual, more after a broken stream.
YOUNG_S: Final = 60.0

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


@dataclass(slots=True, eq=False)
class Task:
    """One id on its way: what was tried so far. Times are monotonic seconds."""

    id: str
    attempts: int = 0
    first_sent: float = 0.0
    failures: int = 0  # those that the retry policy counts: a 404 of a young id is none
    looks: int = 0
    error: errors.ApiError | None = None  # of the last request


class Schedule:
    """Hands out ids: those that are due again first, else the next untried one. Guarded by its caller's lock.

    Parameters
    ----------
    ids
        Distinct ids to ask for.
    retry
        When to give up on an id.
    pending_wait
        Seconds from its first request during which a young id is looked for again.
    """

    def __init__(self, ids: Sequence[str], retry: Retry, pending_wait: float) -> None:
        self._fresh: Iterator[str] = iter(ids)
        self._untried = len(ids)
        self._later: list[tuple[float, int, Task]] = []
        self._pushed = 0
        self._out = 0
        self._retry = retry
        self._pending_wait = pending_wait

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

    def verdict(self, task: Task, error: errors.ApiError, now: float, wall: float) -> str | float:
        """Say what a failed request means.

        Parameters
        ----------
        task
            With this request counted in ``attempts``.
        error
            What it ended with.
        now, wall
            Monotonic and unix seconds.

        Returns
        -------
        str or float
            The final ``fetch_status``, or the seconds after which to try again.
        """
        elapsed = now - task.first_sent
        task.error = error
        if isinstance(error, errors.NotFoundError):
            return self._look_again(task, elapsed, wall)
        task.failures += 1
        wait = self._retry.next_wait(error, attempt=task.failures, elapsed=elapsed)
        return status_of(error) if wait is None else wait

    def _look_again(self, task: Task, elapsed: float, wall: float) -> str | float:
        """Tell a 404 that means "not yet" from one that means "never" by the age: by the id's second, else as seen."""
        born = id_created_at(task.id)
        age = elapsed if born is None else wall - born
        if age >= YOUNG_S or not task.id.startswith("gen"):  # what is no generation id at all will not become one
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
