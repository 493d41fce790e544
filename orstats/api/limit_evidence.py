"""Which failed requests are evidence of a rate limit, and which are faults."""

from __future__ import annotations

from collections import deque

from orstats.api.rate_limit import RateLimiter
from orstats.errors import (
    ApiError,
    NetworkError,
    NoConnectionError,
    ProviderOverloadedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
)

#: When so many of the latest requests failed, it is not chance: some proxies enforce a limit with other statuses.
_LATEST, _NEARLY_ALL = 32, 24


def is_refusal(error: ApiError) -> bool:
    """Whether the request rate may be the cause of an error: nginx and HAProxy send 503 by default."""
    return isinstance(error, RateLimitError | ServiceUnavailableError | ProviderOverloadedError)


class LimitEvidence:
    """Reports to a rate limiter how requests ended.

    Proxies can enforce a limit with any status, or close the connection. Such failures count as refusals only while
    nearly everything fails: random faults are fewer, and must not slow a fetch down.
    """

    def __init__(self) -> None:
        self._latest_failed: deque[bool] = deque([False], maxlen=_LATEST)

    def report(self, limiter: RateLimiter, sent_at: float, failure: ApiError | None) -> None:
        """Report a request that was sent at a time, and its error if it failed."""
        is_refused = failure is not None and is_refusal(failure)
        if not is_refused:
            is_fault = isinstance(failure, ServerError | NetworkError) and not isinstance(failure, NoConnectionError)
            may_be_refusal = failure is not None and is_fault and failure.retryable
            self._latest_failed.append(may_be_refusal)
            # The list is a copy: other threads append meanwhile.
            is_refused = may_be_refusal and sum(list(self._latest_failed)) >= _NEARLY_ALL
        if failure is None or not is_refused:
            limiter.accepted(sent_at)
        else:
            retry_after = failure.retry_after or None  # 0 means that the server does not know
            is_sure = isinstance(failure, RateLimitError) or retry_after is not None
            limiter.refused(sent_at, retry_after, is_sure=is_sure)
