"""When to try again and how long to wait: tenacity's strategies, bounded in attempts and in time.

tenacity's defaults (any exception, for ever, without waiting) are all wrong here, so each part is named.
The policy is used in two ways: :meth:`Retry.call` blocks (one request), :meth:`Retry.next_wait` only says how long
(a fetch of many ids puts the id aside and uses its worker for another).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import tenacity

from orstats.api.errors import ApiError, ConfigError

T = TypeVar("T")

#: At most this much is added to a wait that the server gave, so that the told do not all come back at once.
_SPREAD_S = 0.1


@dataclass(frozen=True)
class Retry:
    """Bounds and waits for one id. Only errors marked ``retryable`` are tried again.

    Parameters
    ----------
    attempts
        Requests per id at most, the first included. 1 never tries again.
    max_elapsed
        Seconds from the first request of an id after which it is not tried again; a wait that would end later
        is not begun.
    first_wait
        Seconds. The wait before try ``n + 1`` is drawn evenly from half of ``first_wait * 2 ** (n - 1)`` to all of it:
        by default no id is given up within half a minute. Longer if the server says so.
    max_wait
        Seconds; caps both the drawn wait and what the server says.

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

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigError(f"Retry(attempts={self.attempts}): at least 1 attempt is needed.")
        for name in ("max_elapsed", "first_wait", "max_wait"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"Retry({name}={getattr(self, name)}): seconds must not be negative.")

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
            What the last try ended with; any other error at once.
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
        return None if self._policy.stop(state) else state.upcoming_sleep

    @cached_property
    def _policy(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_retryable),
            wait=self._wait,
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_before_delay(self.max_elapsed),
            reraise=True,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        told = error.retry_after if isinstance(error, ApiError) else None
        half = {"multiplier": self.first_wait / 2, "max": self.max_wait / 2}
        drawn = float((tenacity.wait_exponential(**half) + tenacity.wait_random_exponential(**half))(state))
        if told is None or told < drawn:  # who names the same short wait again and again does not know
            return drawn
        return min(told, self.max_wait) + random.uniform(0, _SPREAD_S)  # noqa: S311 - spreads load, guards nothing


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.retryable
