"""Every error that orstats raises, as one tree.

::

    OrstatsError
    ├── ConfigError (ValueError)       a setting is invalid: base URL, key, argument
    │   ├── ColumnError                a column of a frame has an invalid value; carries column and value
    │   └── MissingKeyError            a request needs a key and none is set
    ├── ApiError                       one request failed; carries status, id, body, headers, retryable, retry_after
    │   ├── BadRequestError            400: the API cannot read the id or the query
    │   ├── AccountError               the key or the account is rejected: every other request would fail too
    │   │   ├── AuthenticationError    401
    │   │   └── PaymentRequiredError   402
    │   ├── ForbiddenError             403: this key may not read this
    │   ├── NotFoundError              404: unknown, or not yet available
    │   ├── RateLimitError             429
    │   ├── ServerError                5xx, or a 200 that carries a server's error
    │   │   ├── RequestTimeoutError        408
    │   │   ├── InternalServerError        500
    │   │   ├── BadGatewayError            502
    │   │   ├── ServiceUnavailableError    503
    │   │   ├── GatewayTimeoutError        504
    │   │   ├── EdgeNetworkTimeoutError    524
    │   │   └── ProviderOverloadedError    529
    │   ├── NetworkError               no complete response: reset, cut short, timed out
    │   │   ├── NoConnectionError      no connection: refused, unknown host name, dead proxy
    │   │   └── NetworkSetupError      certificate, proxy or scheme: every request would fail until a setting changes
    │   └── BadResponseError           a response that the API does not document
    │       ├── ConflictError          409
    │       └── NotApiResponseError    from something else: a block page, another service, a redirect
    ├── IncompleteFetchError           fetch(errors="raise") did not get every row; carries the frame
    ├── ArchiveError                   the archive cannot be read or written; carries the path
    ├── IdSourceError (ValueError)     a source of ids cannot be read; carries path and line
    ├── ReadError (ValueError)         a file cannot be read as a frame; carries the path
    ├── ExportError                    a file cannot be written; carries the path
    └── MissingExtraError (ImportError)  an optional dependency is not installed

Programs use the attributes. Messages are for people: what happened, to which id, and what to do. None contains a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Self

__all__ = [
    "AccountError",
    "ApiError",
    "ArchiveError",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "BadResponseError",
    "ColumnError",
    "ConfigError",
    "ConflictError",
    "DuplicateIdsWarning",
    "EdgeNetworkTimeoutError",
    "ExportError",
    "ForbiddenError",
    "GatewayTimeoutError",
    "IdSourceError",
    "IdSourceWarning",
    "IncompleteFetchError",
    "InternalServerError",
    "MissingExtraError",
    "MissingKeyError",
    "NetworkError",
    "NetworkSetupError",
    "NoConnectionError",
    "NotApiResponseError",
    "NotFoundError",
    "OrstatsError",
    "PaymentRequiredError",
    "ProviderOverloadedError",
    "RateLimitError",
    "ReadError",
    "RequestTimeoutError",
    "ServerError",
    "ServiceUnavailableError",
]


class OrstatsError(Exception):
    """Base of every error that orstats raises. Errors can be pickled with all their attributes."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own calls the class with the message only, which lacks the required arguments of some classes.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(kind: type[OrstatsError], args: tuple[Any, ...]) -> OrstatsError:
    return kind.__new__(kind, *args)


class ConfigError(OrstatsError, ValueError):
    """A setting is invalid. Raised before any request is sent."""


class ColumnError(ConfigError):
    """A column of a frame has an invalid value: ``value`` in ``column``."""

    def __init__(self, message: str, *, column: str, value: Any) -> None:
        super().__init__(message)
        self.column = column
        self.value = value


class MissingKeyError(ConfigError):
    """A request needs an API key, and neither the argument nor the environment provides one.

    Not raised while everything requested is in the archive.
    """


class ApiError(OrstatsError):
    """One request failed.

    Parameters
    ----------
    message
        What happened, to which id, and what to do.
    status
        HTTP status of the response (or the code inside the body of a 200); None if there was no response.
    generation_id
        The requested id; None for requests that are not about one generation.
    retryable
        Whether the same request may succeed later.
    retry_after
        Seconds the server asked to wait before the next attempt; None if it did not.
    body
        The response's body, without any key in it: parsed JSON, else its first 64 KiB as text. None if there was no
        response.
    metadata
        ``error.metadata`` of the body, else its ``openrouter_metadata``; None if it has neither.
    headers
        The response's headers, case-insensitive; empty if there was no response.

    Attributes
    ----------
    stops_batch
        Whether every other id would fail in the same way, so that a fetch stops immediately.
    frame
        The results of the fetch that this error stopped (the other rows are ``not_attempted``); None outside a fetch.
    """

    stops_batch: bool = False
    frame: Any = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        generation_id: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        body: Any = None,
        metadata: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.generation_id = generation_id
        self.retryable = retryable
        self.retry_after = retry_after
        self.body = body
        self.metadata = metadata
        self.headers: Mapping[str, str] = {} if headers is None else headers

    def reworded(self, message: str) -> Self:
        """Return the same error with another message."""
        error = copy(self)
        error.args = (message,)
        return error


class BadRequestError(ApiError):
    """400: the id is malformed. Unknown ids are a :class:`NotFoundError`."""


class AccountError(ApiError):
    """The key or the account is rejected, so every other request would fail too: a fetch stops immediately."""

    stops_batch = True


class AuthenticationError(AccountError):
    """401: the key is missing, wrong, disabled or expired."""


class PaymentRequiredError(AccountError):
    """402: the account is out of credits."""


class ForbiddenError(ApiError):
    """403: the key is valid, but has no access to this id. Other ids may succeed."""


class NotFoundError(ApiError):
    """404: the id is unknown, belongs to another account, or is not yet available."""


class RateLimitError(ApiError):
    """429: too many requests of the account. ``retry_after`` is the wait that the server requires."""


class ServerError(ApiError):
    """The vendor or a proxy in front of it failed: 408, 5xx, or a 200 with a server's error inside."""


class RequestTimeoutError(ServerError):
    """408: the API ran into its own time-out. For analytics, request a shorter range."""


class InternalServerError(ServerError):
    """500: the API failed."""


class BadGatewayError(ServerError):
    """502: the provider, or the API behind the edge network, returned an invalid response."""


class ServiceUnavailableError(ServerError):
    """503: the API is overloaded or down. Some proxies also enforce rate limits with it."""


class GatewayTimeoutError(ServerError):
    """504: a gateway timed out waiting for the API."""


class EdgeNetworkTimeoutError(ServerError):
    """524: the edge network timed out waiting for the API."""


class ProviderOverloadedError(ServerError):
    """529: the provider is overloaded."""


class NetworkError(ApiError):
    """There was no complete response: connection refused or reset, truncated body, time-out."""


class NoConnectionError(NetworkError):
    """The host, or the proxy, could not be reached: refused, unknown host name, no route, connect time-out."""


class NetworkSetupError(NetworkError):
    """Every request fails until a setting changes: certificate, CA bundle, proxy, http or https."""

    stops_batch = True


class BadResponseError(ApiError):
    """The response is not what the API documents: not JSON, no ``data``, another id, an unknown status."""


class ConflictError(BadResponseError):
    """409: the request conflicts with an earlier one: feedback was given for this generation before."""


class NotApiResponseError(BadResponseError):
    """Something other than the API answered: a block page, a login page, another service, a redirect.

    Check the base URL and the network; the key and the id are not the cause.
    """


class IncompleteFetchError(OrstatsError):
    """``fetch(errors="raise")`` ended with rows that are not ``ok``.

    ``frame`` is what ``errors="coerce"`` would have returned.
    """

    def __init__(self, message: str, *, frame: Any) -> None:
        super().__init__(message)
        self.frame = frame


class ArchiveError(OrstatsError):
    """The archive cannot be read or written.

    ``path`` names the file or directory. ``frame`` holds what a stopped fetch had in memory, else None.
    """

    frame: Any = None

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class IdSourceError(OrstatsError, ValueError):
    """A source of ids cannot be read. ``path`` and ``line`` say where, if known."""

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class IdSourceWarning(UserWarning):
    """Part of a source of ids was skipped or could not be read, or it contains no id."""


class DuplicateIdsWarning(UserWarning):
    """Rows of a frame have the same id, so that sums count them twice."""


class ReadError(OrstatsError, ValueError):
    """A file cannot be read as a frame. ``path`` names it."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class ExportError(OrstatsError):
    """A result cannot be written. ``path`` names the file."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class MissingExtraError(OrstatsError, ImportError):
    """An optional dependency is not installed. ``extra`` is the name to install."""

    def __init__(self, purpose: str, *, extra: str) -> None:
        super().__init__(f"{purpose} needs an extra: pip install 'orstats[{extra}]'")
        self.extra = extra
