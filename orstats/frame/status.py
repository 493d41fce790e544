"""What can become of an id in a fetch: each status, the errors that lead to it, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from orstats import errors


@dataclass(frozen=True, slots=True)
class FetchStatus:
    """One value of ``fetch_status``.

    ``errors`` are the classes that lead to it; where ``retryable`` is not None, only errors that are, or are not.
    """

    errors: tuple[type[errors.ApiError], ...] = ()
    retryable: bool | None = None
    advice: str = ""


STATUSES: Final[Mapping[str, FetchStatus]] = MappingProxyType(
    {
        "ok": FetchStatus(),
        "pending": FetchStatus(
            (errors.NotFoundError,),
            retryable=True,
            advice="Try again in a minute: records become available a few seconds after the generation finishes.",
        ),
        "not_found": FetchStatus(
            (errors.NotFoundError,),
            retryable=False,
            advice="Check that the id is complete, not too recent, and from the account that the key belongs to.",
        ),
        "forbidden": FetchStatus(
            (errors.AccountError, errors.ForbiddenError),
            advice="Use a key of the same organisation, or ask an administrator for one that may read it.",
        ),
        "rate_limited": FetchStatus(
            (errors.RateLimitError,),
            advice="Try again later: the account's rate limit was reached, and more keys do not raise it.",
        ),
        "server_error": FetchStatus(
            (errors.ServerError,), advice="Try again later: the API could not answer the request."
        ),
        "network_error": FetchStatus(
            (errors.NetworkError,), advice="Check the connection and the base URL, then try again."
        ),
        "bad_response": FetchStatus(
            (errors.BadResponseError,), advice="Check the base URL: the API does not document such a response."
        ),
        "invalid_id": FetchStatus(
            (errors.BadRequestError,),
            advice="Correct the id: it must be one generation id (gen-…), and nothing else.",
        ),
        "not_attempted": FetchStatus(advice="Re-run the fetch: it stopped before this id was fetched."),
    }
)


def status_of(error: errors.ApiError) -> str:
    """``fetch_status`` of an id whose last request ended with ``error``.

    Examples
    --------
    >>> status_of(errors.RateLimitError("HTTP 429")), status_of(errors.NotFoundError("HTTP 404", retryable=True))
    ('rate_limited', 'pending')
    """
    return next(
        name
        for name, status in STATUSES.items()
        if isinstance(error, status.errors) and status.retryable in (None, error.retryable)
    )


def advice_for(status: str) -> str:
    """Say what to do about a row; empty for one that is ok or of an unknown status."""
    return STATUSES[status].advice if status in STATUSES else ""
