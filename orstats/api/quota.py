"""A limit that the vendor publishes: so many requests in so many seconds, kept from the first request on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from orstats.api.clock import SYSTEM_CLOCK, Clock

log = logging.getLogger("orstats.quota")

#: Waiters look up this often, so that a stop reaches them.
_LOOK_UP_S = 0.05
#: Their clock and ours do not start a minute at the same moment, and requests travel.
_SLACK_S = 0.5


class Pace(Protocol):
    """What the client needs of whoever paces its requests."""

    def admit(self, stop: Callable[[], bool] = ..., *, left: int | None = None) -> float | None:
        """Block until a request may be sent; return the moment, or None when ``stop()`` ended the wait."""

    def accepted(self, sent_at: float) -> None:
        """Record an answer that was no refusal."""

    def refused(self, sent_at: float, told: float | None = None, *, is_sure: bool = ...) -> None:
        """Record a refusal, which is surely about the pace or may be a fault; ``told`` is its wait, if any."""


class Quota:
    """Admits at most ``most`` requests in any ``seconds``. Shared by threads.

    The first ``most`` pass at once, which holds for servers that count in fixed windows and for those that refill
    steadily. Others may use up the same limit: after a refusal everybody waits.

    Examples
    --------
    >>> quota = Quota(2, 60.0)
    >>> quota.reserve(100.0), quota.reserve(100.0), quota.reserve(101.0)
    (0.0, 0.0, 59.5)
    """

    def __init__(self, most: int, seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = clock.lock()
        self._sent: deque[float] = deque(maxlen=most)
        self._closed_until = float("-inf")

    def admit(self, stop: Callable[[], bool] = lambda: False, *, left: int | None = None) -> float | None:  # noqa: ARG002 - how many are left makes no difference to a known limit
        """Block until a request may be sent; return the moment, or None when ``stop()`` ended the wait."""
        while not stop():
            with self._lock:
                now = self._clock.monotonic()
                wait = self.reserve(now)
            if wait <= 0:
                return now
            self._clock.sleep(min(wait, _LOOK_UP_S))
        return None

    def reserve(self, now: float) -> float:
        """Take a place at once (returns 0), or return the seconds after which to ask again. Takes no lock."""
        wait = self._closed_until - now
        if len(self._sent) == self._sent.maxlen:
            wait = max(wait, self._sent[0] + self._seconds + _SLACK_S - now)
        if wait > 0:
            return wait
        self._sent.append(now)
        return 0.0

    def accepted(self, sent_at: float) -> None:
        """Do nothing: the limit is known."""

    def refused(self, sent_at: float, told: float | None = None, *, is_sure: bool = True) -> None:  # noqa: ARG002 - a known limit needs no evidence
        """Hold everybody for as long as told, else for one request's share of the time."""
        with self._lock:
            wait = self._seconds / (self._sent.maxlen or 1) if told is None else min(told, self._seconds)
            self._closed_until = max(self._closed_until, self._clock.monotonic() + wait)
        log.debug("refused although within the limit; %.1f s pause", wait)
