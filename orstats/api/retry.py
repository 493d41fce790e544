"""When to retry and how long to wait, with tenacity: bounded in attempts and in time.

:meth:`Retry.call` waits (one request); :meth:`Retry.next_wait` only returns the wait, so that a fetch of many ids can
use the worker for another id meanwhile.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import TypeVar

import tenacity

from orstats.api.config import is_duration
from orstats.errors import ApiError, ConfigError, NoConnectionError

log = logging.getLogger("orstats.retry")

T = TypeVar("T")

#: Seconds. Random part added to a wait that the server requires, so that clients do not all retry together.
_JITTER_S = 0.1
#: Seconds. Without a connection, the waits of a single request end by then; with the attempts it takes 10 s.
MAX_OFFLINE_S = 7.5
#: Seconds. Longer waits of a single request are logged as warnings.
_NOTICEABLE_S = 2.0


@dataclass(frozen=True)
class Retry:
    """Retry limits and waits for one id. Only errors with ``retryable`` set are retried.

    Parameters
    ----------
    attempts
        Maximum number of requests per id; 1 disables retries. In a fetch, refusals by a rate limit do not count while
        other ids succeed; ``max_elapsed`` limits those.
    max_elapsed
        Seconds from the first request of an id after which it is not retried; a wait that would end later is not
        started.
    first_wait
        Seconds. The wait after attempt ``n`` is uniformly random between half of ``first_wait * 2 ** (n - 1)`` and all
        of it, or longer if the server asks for it. With the defaults, no id is given up within half a minute.
    max_wait
        Seconds; maximum of the random wait. A wait that the server asks for is obeyed in full; if it would end after
        ``max_elapsed``, the request fails immediately, and the error states the wait.
    max_offline
        Seconds after which an id is not retried while there is no connection. None: ``max_elapsed`` applies, except
        that two give up within 10 s: a single request, such as :func:`orstats.get`, and a fetch from a server on this
        machine that has not accepted any connection of this fetch.
    on_retry
        Called before each wait with the error and the seconds of the wait; in a fetch, by several threads.

    Raises
    ------
    ConfigError
        ``attempts`` is below 1, or a time is negative.

    Examples
    --------
    >>> patient = Retry(attempts=20, max_elapsed=3600)
    """

    attempts: int = 8
    max_elapsed: float = 300.0
    first_wait: float = 0.5
    max_wait: float = 60.0
    max_offline: float | None = None
    on_retry: Callable[[ApiError, float], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, Integral) or isinstance(self.attempts, bool) or self.attempts < 1:
            raise ConfigError(f"attempts must be a positive whole number, got {self.attempts!r}.")
        if not (self.on_retry is None or callable(self.on_retry)):
            raise ConfigError(f"on_retry must be a function, got {self.on_retry!r}.")
        for name in ("max_elapsed", "first_wait", "max_wait", "max_offline"):
            seconds = getattr(self, name)
            if not (is_duration(seconds) or (seconds is None and name == "max_offline")):
                raise ConfigError(f"{name} must be a non-negative number of seconds, got {seconds!r}.")

    def for_one_request(self) -> Retry:
        """Return the policy for a single request: without a connection it gives up within 10 s.

        Returns
        -------
        Retry
            A copy with defaults for `max_offline` and `on_retry`, which logs each retry.
        """
        return replace(
            self,
            max_offline=MAX_OFFLINE_S if self.max_offline is None else self.max_offline,
            on_retry=self.on_retry or _log_retry,
        )

    def call(self, request: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
        """Call ``request`` until it succeeds, fails with another error, or the limits are reached.

        Parameters
        ----------
        request
            Called without arguments; a ``retryable`` :class:`~orstats.errors.ApiError` is followed by another call.
        sleep
            Waits for a number of seconds.

        Returns
        -------
        object
            The result of ``request``.

        Raises
        ------
        ApiError
            The error of the last attempt.
        """
        return self._policy.copy(sleep=sleep)(request)

    def next_wait(self, error: ApiError, *, attempt: int, elapsed: float) -> float | None:
        """Return how long to wait after an error.

        Parameters
        ----------
        error
            The error of the last request.
        attempt
            Number of requests so far.
        elapsed
            Seconds since the first request was sent.

        Returns
        -------
        float or None
            Seconds; None to give up.
        """
        state = tenacity.RetryCallState(self._policy, None, (), {})
        state.attempt_number = attempt
        state.outcome = tenacity.Future.construct(attempt, error, has_exception=True)
        state.start_time, state.outcome_timestamp = 0.0, elapsed
        if not self._policy.retry(state):
            return None
        state.upcoming_sleep = self._policy.wait(state)
        if self._is_over(state):
            return None
        self._notify(state)
        return state.upcoming_sleep

    @cached_property
    def _policy(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            wait=self._wait,
            stop=self._is_over,
            before_sleep=self._notify,
            reraise=True,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        asked = error.retry_after if isinstance(error, ApiError) else None
        half = {"multiplier": self.first_wait / 2, "max": self.max_wait / 2}
        backoff = float((tenacity.wait_exponential(**half) + tenacity.wait_random_exponential(**half))(state))
        if asked is None or asked < backoff:  # a server that always names the same short wait does not know
            return backoff
        return asked + random.uniform(0, _JITTER_S)  # noqa: S311 - spreads load, protects nothing

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        limit_s = self.max_elapsed
        if self.max_offline is not None and isinstance(_error(state), NoConnectionError):
            limit_s = min(limit_s, self.max_offline)
        ends_s = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        return state.attempt_number >= self.attempts or ends_s >= limit_s

    def _notify(self, state: tenacity.RetryCallState) -> None:
        error = _error(state)
        if self.on_retry is not None and isinstance(error, ApiError):
            self.on_retry(error, state.upcoming_sleep)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(error: ApiError, wait: float) -> None:
    level = logging.WARNING if isinstance(error, NoConnectionError) or wait >= _NOTICEABLE_S else logging.INFO
    log.log(level, "%s Trying again in %.1f s.", error, wait)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.retryable
