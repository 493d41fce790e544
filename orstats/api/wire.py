"""Pure decoding: status, headers and bytes in, a record or a typed error out. No I/O, no clock.

The rules follow the vendor's API reference (https://openrouter.ai/docs/api-reference): success is
``{"data": …}``, failure is ``{"error": {"code", "message", "metadata"?}}``. Proxies in front of the API
answer with HTML or plain text, and a 200 may carry an ``error`` instead of ``data``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from orstats.api import errors

#: Statuses after which the same request may succeed. 520-523 are the edge network's own faults.
RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})

_OK: Final = 200
_SHAPE_NAMES: Final[dict[type, str]] = {dict: "object", list: "list"}
_LONGEST_QUOTE: Final = 200
_LONGEST_WHOLE: Final = 20  # digits of what 64 bits hold
_CLOCK_SLACK_S: Final = 2.0
#: A reset below this is in seconds, above in milliseconds (1e11 ms is the year 1973).
_SECONDS_OR_MILLIS: Final = 1e11

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
_SECRET = re.compile(r"sk-or-[\w-]+|(?i:bearer)\s+[\w.~+/=-]+")
#: Half of a character of two ``\u`` escapes; whole ones, and a backslash that is itself escaped, are passed over.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def decode(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    generation_id: str | None = None,
    is_record: bool = True,
    is_private: bool = False,
    shape: type[dict[str, Any] | list[Any]] = dict,
    now: float,
    secret: str | None = None,
) -> Any:
    """Return the ``data`` of an answer, or raise the error that the answer is.

    Parameters
    ----------
    status, headers, body
        The answer. The mapping of headers must ignore case by itself, as those of HTTP libraries do.
    generation_id
        The id asked for.
    is_record
        Whether ``data`` is a generation's record: one that names another id is refused.
    is_private
        Whether the answer holds a conversation: then no error quotes what is not JSON.
    shape
        What ``data`` must be: an object (``dict``), or a ``list``.
    now
        Unix seconds, to turn dates into waits.
    secret
        The key that was sent: cut from any text that the server echoes.

    Raises
    ------
    ApiError
        The subclass that fits; see :mod:`orstats.api.errors`.
    """
    if status == _OK:
        data = _decode_ok(headers, body, shape, generation_id, now, secret, is_private=is_private)
        if is_record and generation_id is not None and isinstance(data, dict):
            _check_record(data, generation_id, secret)
        return data
    message, _ = _error_body(body)  # the status line is what proxies and the API agree on
    raise _error(status, message, headers, generation_id, now, secret)


def _decode_ok(
    headers: Mapping[str, str],
    body: bytes,
    shape: type[dict[str, Any] | list[Any]],
    generation_id: str | None,
    now: float,
    secret: str | None,
    *,
    is_private: bool,
) -> Any:
    try:
        answer = _parsed(body)
    except orjson.JSONDecodeError:
        said = "" if is_private else f": {quote(body, secret)!r}"
        what = f"no JSON{said}" if body.strip() else "an empty body"
        raise errors.BadResponseError(
            f"HTTP 200 for {_name(generation_id)} with {what}.",
            status=_OK,
            generation_id=generation_id,
            retryable=True,
        ) from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(data, shape):
        return data
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        message, code = _error_body(body)
        raise _error(code or _OK, message, headers, generation_id, now, secret)
    raise errors.BadResponseError(
        f"HTTP 200 for {_name(generation_id)} without a `data` {_SHAPE_NAMES[shape]}.",
        status=_OK,
        generation_id=generation_id,
    )


def _check_record(record: dict[str, Any], asked: str, secret: str | None) -> None:
    if not record:  # kept, it would never be asked for again
        raise errors.BadResponseError(
            f"HTTP 200 for {_name(asked)} with an empty record.", status=_OK, generation_id=asked, retryable=True
        )
    got = record.get("id")
    if isinstance(got, str) and got != asked:
        raise errors.BadResponseError(
            f"Asked for {_name(asked)}, got a record of {quote(got, secret)!r}: not kept.",
            status=_OK,
            generation_id=asked,
        )


def _error_body(body: bytes) -> tuple[str | bytes, int | None]:
    """Return what the body says and its code; proxies answer with HTML or text, which is quoted as it is."""
    try:
        answer = _parsed(body)
    except orjson.JSONDecodeError:
        return body, None
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return error, None
    if not isinstance(error, dict):
        return body, None
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:4])
    is_status = isinstance(code, int) and not isinstance(code, bool)
    message = error.get("message")
    if message is not None and not isinstance(message, str):
        message = body  # as it is: Python cannot write out what is nested deep
    return message or "", code if is_status else None


def _parsed(body: bytes) -> Any:
    """Read JSON, and what most readers take for it: a byte order mark, NaN, infinities. Half a character is U+FFFD."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
        try:
            return json.loads(mended.decode("utf-8-sig", "replace"), parse_int=_number)
        except (ValueError, RecursionError):
            raise error from None


def _number(digits: str) -> int | float:
    """Read a whole number as orjson does: as a float beyond 64 bits."""
    whole = int(digits) if len(digits) <= _LONGEST_WHOLE else None
    return whole if whole is not None and -(1 << 63) <= whole < 1 << 64 else float(digits)


def _error(
    status: int,
    message: str | bytes,
    headers: Mapping[str, str],
    generation_id: str | None,
    now: float,
    secret: str | None,
) -> errors.ApiError:
    said = quote(message, secret)
    retryable = status in RETRYABLE
    cls, advice = _KIND.get(status, (None, ""))
    if generation_id is None and status in _ABOUT_AN_ID:
        advice = ""
    if cls is None:
        if retryable:
            cls = errors.ServerError
        elif 300 <= status < 400:  # noqa: PLR2004 - the redirect statuses
            target = quote(headers.get("Location", "nowhere"), secret)
            cls, advice = (
                errors.BadResponseError,
                f"A redirect to {target} was not followed; check the base URL.",
            )
        elif status >= 500:  # noqa: PLR2004 - the server's own statuses
            cls = errors.ServerError
        else:
            cls = errors.BadResponseError
    parts = [f"HTTP {status} for {_name(generation_id)}"]
    if said:
        parts.append(f": {said}")
    text = "".join(parts).rstrip(".") + "."
    return cls(
        f"{text} {advice}".rstrip(),
        status=status,
        generation_id=generation_id,
        retryable=retryable,
        retry_after=retry_after(headers, now) if retryable else None,
    )


_KIND: Final[dict[int, tuple[type[errors.ApiError], str]]] = {
    400: (errors.BadRequestError, "The API cannot read this id."),
    401: (errors.AuthenticationError, "Check OPENROUTER_API_KEY: the key is wrong, disabled or expired."),
    402: (errors.PaymentRequiredError, "Add credits to the account, then run the same again."),
    403: (errors.ForbiddenError, "This key may not read it; an organisation admin's or management key may."),
    404: (errors.NotFoundError, "Unknown, of another account, or too young to be found yet."),
    429: (errors.RateLimitError, ""),
}
#: What is advised after these is about a generation.
_ABOUT_AN_ID: Final = frozenset({400, 403, 404})


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the server asks to wait, or None when it does not say.

    Reads ``Retry-After`` (seconds, or an HTTP date) first and ``X-RateLimit-Reset`` (epoch milliseconds)
    second. A moment that has passed is 0.

    Parameters
    ----------
    headers
        Of the answer, looked up case-insensitively by the mapping itself.
    now
        Unix seconds. Where the answer's own ``Date`` differs by seconds, that is believed: a skewed clock
        here must not turn into waits of hours.

    Examples
    --------
    >>> retry_after({"Retry-After": "2"}, now=0.0)
    2.0
    >>> retry_after({"X-RateLimit-Reset": "1700000001500"}, now=1700000000.0)
    1.5
    """
    said = headers.get("Retry-After")
    if said is not None:
        try:
            return _finite(float(said))
        except ValueError:
            pass
        moment = http_date(said)
        if moment is not None:
            return max(0.0, moment - _their_now(headers, now))
    reset = headers.get("X-RateLimit-Reset")
    if reset is not None:
        try:
            value = float(reset)
        except ValueError:
            return None
        return _finite((value / 1000.0 if value > _SECONDS_OR_MILLIS else value) - _their_now(headers, now))
    return None


def _their_now(headers: Mapping[str, str], now: float) -> float:
    """Read the server's clock where ours is off; its ``Date`` has whole seconds, ours is finer."""
    theirs = server_time(headers)
    return now if theirs is None or abs(theirs - now) < _CLOCK_SLACK_S else theirs


def server_time(headers: Mapping[str, str]) -> float | None:
    """Unix seconds by the answer's ``Date`` header, or None."""
    return http_date(headers.get("Date", ""))


def http_date(text: str) -> float | None:
    """Unix seconds of an HTTP date, or None when it is not one.

    Examples
    --------
    >>> http_date("Thu, 01 Jan 1970 00:01:00 GMT")
    60.0
    """
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def quote(text: str | bytes, secret: str | None = None) -> str:
    r"""Make a stranger's text fit for one line of an error: no control characters, no key, not long.

    Examples
    --------
    >>> quote("bad key sk-or-v1-0123\nsecond line")
    'bad key [key] second line'
    """
    if isinstance(text, bytes):
        text = text[: 4 * _LONGEST_QUOTE].decode("utf-8", "replace")
    if secret:
        text = text.replace(secret, "[key]")
    text = _SECRET.sub("[key]", _CONTROL.sub(" ", text)).strip()
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"


def _finite(seconds: float) -> float | None:
    """Clip a wait at 0; NaN and infinity are no answer."""
    return max(0.0, seconds) if abs(seconds) < float("inf") else None


def _name(generation_id: str | None) -> str:
    return "the request" if generation_id is None else quote(generation_id)
