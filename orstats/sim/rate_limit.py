"""The rate limit: how many requests a second are served, and how the others are refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orstats.sim.fault_replies import RetryAfter, page_reply, wait_headers
from orstats.sim.http import Reply, error_reply


@dataclass(frozen=True)
class RateLimit:
    """A limit of requests a second, over all keys, as the real one is the account's.

    Parameters
    ----------
    per_second
        Requests served each second, more than 0.
    burst
        Maximum burst after a pause; default one second's worth, at least 1.
    retry_after
        Headers of a refusal: "seconds" or "date" (``Retry-After``), "ms" (``retry-after-ms``), "both" (``Retry-After``
        in seconds and ``retry-after-ms``), "reset" (``X-RateLimit-Reset``, epoch ms, the exact moment) or "none".
    retry_after_s
        Seconds that ``Retry-After`` and ``retry-after-ms`` ask for, such as 120. None asks for the time until one more
        request is served, rounded up to full seconds or milliseconds.
    status
        Status of a refusal: 429 with the API's body, or 503 with a page as nginx and haproxy send by default.
    algorithm
        "bucket" refills steadily and refusals cost nothing; "window" resets its count each second.

    Raises
    ------
    ValueError
        If ``per_second`` or ``burst`` admits nothing.

    Examples
    --------
    >>> RateLimit(200).most
    200
    """

    per_second: float
    burst: int | None = None
    retry_after: RetryAfter = "seconds"
    retry_after_s: int | None = None
    status: Literal[429, 503] = 429
    algorithm: Literal["bucket", "window"] = "bucket"

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.most < 1:
            raise ValueError(f"a rate limit must admit something: per_second={self.per_second}, burst={self.burst}")

    @property
    def most(self) -> int:
        """Maximum burst of requests."""
        return self.burst if self.burst is not None else max(1, int(self.per_second))


class Limiter:
    """Applies a limit to a stream of requests.

    Examples
    --------
    >>> limiter = Limiter(RateLimit(1), clock=lambda: 0.0)
    >>> limiter.refusal() is None, limiter.refusal().status
    (True, 429)
    """

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._tokens = float(limit.most)
        self._at = clock()

    def refusal(self) -> Reply | None:
        """Count one request: None if it is served, else the refusal."""
        now = self._clock()
        wait_s = self._bucket(now) if self._limit.algorithm == "bucket" else self._window(now)
        if wait_s is None:
            return None
        limit = self._limit
        wait_seconds = wait_s if limit.retry_after_s is None else limit.retry_after_s
        headers = wait_headers(limit.retry_after, wait_seconds, reset_s=wait_s, limit=max(1, int(limit.per_second)))
        if limit.status == 503:  # noqa: PLR2004 - Service Unavailable
            return page_reply(503, "503 Service Temporarily Unavailable", headers)
        return error_reply(limit.status, headers=headers)

    def _bucket(self, now: float) -> float | None:
        refilled = self._tokens + (now - self._at) * self._limit.per_second
        self._tokens = min(float(self._limit.most), refilled)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._limit.per_second
        self._tokens -= 1
        return None

    def _window(self, now: float) -> float | None:
        if int(now) != int(self._at):
            self._tokens = float(self._limit.most)
        self._at = now
        if self._tokens < 1:
            return int(now) + 1 - now
        self._tokens -= 1
        return None
