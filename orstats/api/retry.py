"""When to try again and how long to wait: tenacity's strategies, bounded in attempts and in time.

tenacity's defaults (any exception, without a limit, without waiting) do not suit an API, so each part is set.
The policy is used in two ways: :meth:`Retry.call` blocks (one request), :meth:`Retry.next_wait` only says how long
(a fetch of many ids puts the id aside and uses its worker for another).
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

#: At most this much is added to a wait that the server gave, so that the told do not all come back at once.
_SPREAD_S = 0.1
#: No wait for one request ends later while there is no connection, seconds: attempts take time as well.
_PERSON_WAITS_S = 7.5
#: A person who waits so long, in seconds, is told why.
_NOTICED_S = 2.0


@dataclass(frozen=True)
class Retry:
    """Bounds and waits for one id. Only errors marked ``retryable`` are tried again.

    Parameters
    ----------
    attempts
        Requests per id at most, the first included. 1 never tries again. In a fetch, refusals by a rate limit do not
        count while other ids pass; ``max_elapsed`` bounds them.
    max_elapsed
        Seconds from the first request of an id after which it is not tried again; a wait that would end later
        is not begun.
    first_wait
        Seconds. The wait before try ``n + 1`` is drawn evenly from half of ``first_wait * 2 ** (n - 1)`` to all of it:
        by default no id is given up within half a minute. Longer if the server says so.
    max_wait
        Seconds; caps the drawn wait. A wait that the server asks for is obeyed in full, or, where it would end after
        ``max_elapsed``, not begun: the error names it.
    max_offline
        Seconds after which an id is not tried again while there is no connection at all. None: ``max_elapsed``
        holds, except that a single request, such as :func:`orstats.get`, gives up within 10 s.
    on_retry
        Called before each wait with the error and the seconds of the wait; concurrently by several threads in a fetch.

    Raises
    ------
    ConfigError
        ``attempts`` below 1, or a negative time.

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
        """Return the policy for a request that a person waits for: without a connection it gives up within 10 s.

        Returns
        -------
        Retry
            The same, with `max_offline` and a log line before each retry where none is set.
        """
        return replace(
            self,
            max_offline=_PERSON_WAITS_S if self.max_offline is None else self.max_offline,
            on_retry=self.on_retry or _log_retry,
        )

    def call(self, request: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
        """Call ``request`` until it succeeds, fails for good, or the bounds are reached; then raise its error.

        Parameters
        ----------
        request
            Takes nothing; an :class:`~orstats.errors.ApiError` that is ``retryable`` is followed by another try.
        sleep
            Waits so many seconds; another one in tests.

        Returns
        -------
        object
            What ``request`` returned.

        Raises
        ------
        ApiError
            The error of the last attempt; any other error immediately.
        """
        return self._policy.copy(sleep=sleep)(request)

    def next_wait(self, error: ApiError, *, attempt: int, elapsed: float) -> float | None:
        """Tell how long to wait after an error, without waiting.

        Parameters
        ----------
        error
            What the last request ended with.
        attempt
            How many requests there were, that one included.
        elapsed
            Seconds since the first of them was sent.

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
        self._tell(state)
        return state.upcoming_sleep

    @cached_property
    def _policy(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            wait=self._wait,
            stop=self._is_over,
            before_sleep=self._tell,
            reraise=True,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        told = error.retry_after if isinstance(error, ApiError) else None
        half = {"multiplier": self.first_wait / 2, "max": self.max_wait / 2}
        drawn = float((tenacity.wait_exponential(**half) + tenacity.wait_random_exponential(**half))(state))
        if told is None or told < drawn:  # who names the same short wait again and again does not know
            return drawn
        return told + random.uniform(0, _SPREAD_S)  # noqa: S311 - spreads load, guards nothing

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        most = self.max_elapsed
        if self.max_offline is not None and isinstance(_error(state), NoConnectionError):
            most = min(most, self.max_offline)
        return (
            state.attempt_number >= self.attempts or (state.seconds_since_start or 0.0) + state.upcoming_sleep >= most
        )

    def _tell(self, state: tenacity.RetryCallState) -> None:
        error = _error(state)
        if self.on_retry is not None and isinstance(error, ApiError):
            self.on_retry(error, state.upcoming_sleep)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log_retry(error: ApiError, wait: float) -> None:
    level = logging.WARNING if isinstance(error, NoConnectionError) or wait >= _NOTICED_S else logging.INFO
    log.log(level, "%s Trying again in %.1f s.", error, wait)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.retryable
