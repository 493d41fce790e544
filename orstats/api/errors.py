"""Every error that orstats raises, as one tree.

::

    OrstatsError
    ├── ConfigError (ValueError)       a setting cannot be used: base URL, key, argument
    │   └── MissingKeyError            a request needs a key and none is set
    ├── ApiError                       one request failed; carries status, id, retryable, retry_after
    │   ├── BadRequestError            400: the id is not one the API can read
    │   ├── AccountError               the key or the account is refused: nothing else would succeed
    │   │   ├── AuthenticationError    401
    │   │   └── PaymentRequiredError   402
    │   ├── ForbiddenError             403: this key may not read this
    │   ├── NotFoundError              404: not there, or not there yet
    │   ├── RateLimitError             429
    │   ├── ServerError                408, 5xx, or a 200 that carries a server's error
    │   ├── NetworkError               no whole answer: refused, reset, cut, timed out
    │   └── BadResponseError           an answer that is not what the API documents
    ├── IncompleteFetchError           fetch(errors="raise") could not get every row; carries the frame
    ├── ArchiveError                   the archive cannot be read or written; carries the path
    ├── IdSourceError (ValueError)     a source of ids cannot be read; carries path and line
    ├── ExportError                    a file cannot be written; carries the path
    └── MissingExtraError (ImportError)  an optional dependency is not installed

Attributes are for programs; messages are for people and say what happened, to which id, and what to do.
No message contains a key.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AccountError",
    "ApiError",
    "ArchiveError",
    "AuthenticationError",
    "BadRequestError",
    "BadResponseError",
    "ConfigError",
    "ExportError",
    "ForbiddenError",
    "IdSourceError",
    "IncompleteFetchError",
    "MissingExtraError",
    "MissingKeyError",
    "NetworkError",
    "NotFoundError",
    "OrstatsError",
    "PaymentRequiredError",
    "RateLimitError",
    "ServerError",
]


class OrstatsError(Exception):
    """Base of every error that orstats raises on purpose. Errors travel to other processes with all they carry."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own would call the class with the message only, which some classes here refuse.
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[OrstatsError], args: tuple[Any, ...]) -> OrstatsError:
    return kind.__new__(kind, *args)


class ConfigError(OrstatsError, ValueError):
    """A setting cannot be used. Raised before any request is sent."""


class MissingKeyError(ConfigError):
    """A request needs an API key and neither the argument nor the environment gives one.

    Not raised while everything asked for is in the archive.
    """


class ApiError(OrstatsError):
    """One request failed.

    Parameters
    ----------
    message
        What happened, to which id, and what to do.
    status
        HTTP status of the answer (or the code inside the body of a 200); None when there was no answer.
    generation_id
        The id that was asked for; None for calls that are not about one generation.
    retryable
        Whether the same request may succeed later.
    retry_after
        Seconds the server asked to wait before the next try; None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        generation_id: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.generation_id = generation_id
        self.retryable = retryable
        self.retry_after = retry_after


class BadRequestError(ApiError):
    """400: the API cannot read the id. Not raised for ids that are merely unknown."""


class AccountError(ApiError):
    """The key or the account is refused, so every other request would fail too: a fetch stops at once.

    ``frame`` holds what the stopped fetch had (its other rows are ``not_attempted``); None outside a fetch.
    """

    frame: Any = None


class AuthenticationError(AccountError):
    """401: the key is missing, wrong, disabled or expired."""


class PaymentRequiredError(AccountError):
    """402: the account is out of credits."""


class ForbiddenError(ApiError):
    """403: the key is good, but may not read this. Says nothing about other ids."""


class NotFoundError(ApiError):
    """404: the id is unknown, belongs to another account, or is too young to be found yet."""


class RateLimitError(ApiError):
    """429: too many requests for the account. ``retry_after`` is what the server asked for."""


class ServerError(ApiError):
    """The vendor or something in front of it failed: 408, 5xx, or a 200 with a server's error inside."""


class NetworkError(ApiError):
    """There was no whole answer: connection refused or reset, body cut short, time-out."""


class BadResponseError(ApiError):
    """The answer is not what the API documents: no JSON, no ``data``, another id, a redirect."""


class IncompleteFetchError(OrstatsError):
    """``fetch(errors="raise")`` tried everything and some rows are still not ``ok``.

    ``frame`` is the frame that ``errors="coerce"`` would have returned.
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
    """A source of ids cannot be read. ``path`` and ``line`` say where, when that is known."""

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


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
