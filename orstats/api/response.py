"""Pure decoding: status, headers and bytes in, a record or a typed error out. No I/O, no clock.

The rules follow the vendor's API reference (https://openrouter.ai/docs/api-reference): success is
``{"data": …}``, failure is ``{"error": {"code", "message", "metadata"?}}``. Proxies in front of the API
answer with HTML or plain text, and a 200 may carry an ``error`` instead of ``data``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from urllib3 import HTTPHeaderDict

from orstats import errors
from orstats.api.foreign_text import as_utf8, page_title
from orstats.api.retry_after import retry_after
from orstats.text.json_text import parse_json
from orstats.text.sanitize import terminal_line

#: Server errors that a retry cannot change.
_NEVER: Final = frozenset({501, 505, 506, 508, 510, 511})
#: Statuses after which a retry may succeed: 420 and 509 are variants of 429, 520 to 530 are faults of the edge network,
#: 598 and 599 are time-outs of a proxy.
RETRYABLE: Final = frozenset({408, 420, 425, 429, *range(500, 600)}) - _NEVER

GENERATION: Final = "/generation"
CONTENT: Final = "/generation/content"
FEEDBACK: Final = "/generation/feedback"
#: Fields of which a `data` object has at least one, by path.
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    GENERATION: (
        *("id", "model", "total_cost", "tokens_prompt", "tokens_completion", "native_tokens_prompt"),
        *("native_tokens_completion", "generation_time", "latency", "finish_reason", "provider_name"),
        *("api_type", "upstream_id", "is_byok", "upstream_inference_cost"),
    ),
    CONTENT: ("input", "output", "error"),
    FEEDBACK: ("success",),
    "/key": ("label", "limit", "limit_remaining", "usage"),
    "/credits": ("total_credits", "total_usage"),
    "/analytics/meta": ("metrics", "dimensions"),
}

#: Proxies turn 200 into 203, and a cached response into 206. Complete JSON with the right id is accepted.
_SUCCESS: Final = frozenset({200, 201, 203, 206})
_TYPE_NAMES: Final[dict[type, str]] = {dict: "object", list: "list"}
_MAX_QUOTE: Final = 200
#: Errors carry this much of a body: characters, and levels of JSON.
_MAX_BODY: Final = 1 << 16
_MAX_DEPTH: Final = 100

_SECRET = re.compile(r"sk-or-[\w-]+|(?i:bearer)\s+[\w.~+/=-]+")
#: How nginx, Go, Apache and Tomcat answer a plain http request at their https port.
_HTTPS_PORT = re.compile(
    r"HTTP request was sent to HTTPS|HTTP request to an HTTPS|plain HTTP to an SSL|requires TLS", re.IGNORECASE
)
_INVALID_JSON: Final = object()


class _Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str
    generation_id: str | None
    now: float
    secret: str | None


def decode(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    path: str = GENERATION,
    generation_id: str | None = None,
    shape: type[dict[str, Any] | list[Any]] = dict,
    now: float,
    secret: str | None = None,
) -> Any:
    """Return the ``data`` of a response, or raise the error that the response is."""
    body = as_utf8(headers, body)
    response = _Response(status, headers, body, path, generation_id, now, secret)
    try:
        answer = parse_json(body)
    except orjson.JSONDecodeError:
        answer = _INVALID_JSON
    if status not in _SUCCESS:
        raise _failure(response, answer)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, shape):
        raise _not_data(response, answer, shape)
    if isinstance(data, dict):
        _check_fields(response, data)
    return data


def _not_data(response: _Response, answer: Any, shape: type[dict[str, Any] | list[Any]]) -> errors.ApiError:
    """Return the error of a success without ``data``."""
    if answer is _INVALID_JSON:
        if _is_markup(response):
            return _not_api(response, answer, retryable=True)  # a challenge or an error page may disappear
        quoted = "" if response.path == CONTENT else f": {quote(response.body, response.secret)!r}"
        what = f"a body that is not valid JSON{quoted}" if response.body.strip() else "an empty body"
        return _bad_response(response, f"HTTP {response.status} for {{name}} with {what}.", retryable=True)
    if not isinstance(answer, dict):
        return _not_api(response, answer)
    if isinstance(answer.get("error"), dict):
        _, code = _error_body(response, answer)
        return _failure(response._replace(status=code or response.status), answer)
    if "data" not in answer:
        return _not_api(response, answer)
    return _bad_response(response, f"HTTP 200 for {{name}} without a `data` {_TYPE_NAMES[shape]}.")


def _check_fields(response: _Response, data: dict[str, Any]) -> None:
    """Reject another id's record, an empty one, and other objects: in an archive they would stay for good."""
    requested, fields = response.generation_id, _FIELDS.get(response.path)
    if fields is None:
        return
    if response.path == GENERATION:
        got = data.get("id")
        if requested is not None and got not in (None, requested):
            whose = repr(quote(got, response.secret)) if isinstance(got, str) else "an id that is not text"
            raise _bad_response(response, f"Requested {{name}}, got the record of {whose}: not kept.")
        if not data:
            raise _bad_response(response, "HTTP 200 for {name} with an empty record.", retryable=True)
        if all(data.get(name) is None for name in fields):
            raise _bad_response(response, "HTTP 200 for {name} without any field of a generation's record.")
    elif (data or response.path != CONTENT) and not any(name in data for name in fields):
        raise _bad_response(response, f"HTTP 200 for {{name}} without {' or '.join(fields)}.")


def _bad_response(response: _Response, text: str, *, retryable: bool = False) -> errors.ApiError:
    return errors.BadResponseError(
        text.replace("{name}", _name(response)), retryable=retryable, **_attributes(response)
    )


def _error_body(response: _Response, answer: Any) -> tuple[str | bytes, int | None]:
    """Return the message and the code of a body; HTML and text of proxies are quoted as they are."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return error, None
    if not isinstance(error, dict):
        return response.body, None
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code[:4])
    elif isinstance(code, float) and code.is_integer():
        code = int(code)
    message = error.get("message")
    if message is not None and not isinstance(message, str):
        message = response.body  # Python cannot serialize deeply nested JSON
    return message or "", code if isinstance(code, int) and not isinstance(code, bool) else None


def _failure(response: _Response, answer: Any) -> errors.ApiError:
    """Return the error of a response that is not a success."""
    status = response.status
    wait_s = _requested_wait(response, answer)
    names_a_wait = wait_s is not None and status >= _FIRST_ERROR_STATUS and status not in _KINDS
    names_a_wait = names_a_wait and ("Retry-After" in response.headers or "retry-after-ms" in response.headers)
    retryable = status in RETRYABLE or names_a_wait
    is_clear = retryable or (_FIRST_SERVER_STATUS <= status != _LOGIN_REQUIRED and not _is_markup(response))
    if status in _ABOUT_THE_ACCOUNT:  # gateways word their own errors about keys
        is_clear = not _is_markup(response)
    if not (is_clear or _is_api_error(response, answer)):
        return _not_api(response, answer)
    kind, advice = _KINDS.get(status, (errors.BadResponseError, ""))
    if status not in _KINDS and (retryable or status >= _FIRST_SERVER_STATUS):
        kind = errors.ServerError if status >= _FIRST_SERVER_STATUS or not names_a_wait else errors.RateLimitError
    if status in _ABOUT_AN_ID and (response.generation_id is None or (response.path, status) in _NOT_ABOUT_THE_ID):
        advice = ""
    if status == _ALREADY_GIVEN and response.path != FEEDBACK:
        advice = ""
    wait_s = wait_s if retryable else None
    if wait_s is not None and wait_s >= 1:
        advice = f"Try again in {wait_s:,.0f} s."
    quoted = (_is_markup(response) and _title(response)[0]) or quote(_error_body(response, answer)[0], response.secret)
    text = f"HTTP {status} for {_name(response)}{f': {quoted}' if quoted else ''}".rstrip(".")
    return kind(f"{text}. {advice}".rstrip(), retryable=retryable, retry_after=wait_s, **_attributes(response, answer))


def _requested_wait(response: _Response, answer: Any) -> float | None:
    """Return the seconds to wait. The headers of a rate limit may be only in the body of the response."""
    wait_s = retry_after(response.headers, response.now)
    error = answer.get("error") if wait_s is None and isinstance(answer, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    repeated = metadata.get("headers") if isinstance(metadata, dict) else None
    if not isinstance(repeated, dict):
        return wait_s
    headers = HTTPHeaderDict({"Date": response.headers.get("Date", "")})
    headers.update({name: str(value) for name, value in repeated.items()})
    return retry_after(headers, response.now)


def _not_api(response: _Response, answer: Any, *, retryable: bool = False) -> errors.ApiError:
    """Return the error of a response from something other than the API: what it is, and of which server."""
    status, headers = response.status, response.headers
    quoted = quote(response.body, response.secret)
    kind: type[errors.ApiError] = errors.NotApiResponseError
    advice = "Check the base URL and the network (proxy, VPN, login page)."
    if 300 <= status < 400 and "Location" in headers:  # noqa: PLR2004 - the redirect statuses
        what = f"a redirect to {quote(headers['Location'], response.secret)}, which was not followed"
    elif _HTTPS_PORT.search(quoted) or _HTTPS_PORT.search(_title(response)[0]):
        kind, what, advice = errors.NetworkSetupError, "the port speaks https", "Use https:// in the base URL."
    elif _is_markup(response):
        title, is_heading = _title(response)
        what = f"a page{' titled' if is_heading else ':'} {title!r}" if title else "a page without a title"
    elif response.path == CONTENT and quoted and status < _FIRST_ERROR_STATUS:
        what = "a body without `data`"
    elif quoted:
        what = f"{'text' if answer is _INVALID_JSON else 'JSON'}: {quoted!r}"
    else:
        what = "an empty body"
    server = quote(headers.get("Server", ""), response.secret)
    return kind(
        f"HTTP {status} for {_name(response)} is not a response of the API{f' but of {server}' if server else ''}: "
        f"{what}. {advice}",
        retryable=retryable,
        **_attributes(response, answer),
    )


def _is_api_error(response: _Response, answer: Any) -> bool:
    """Whether this is an error in the API's format. OpenAI's and those of web frameworks differ."""
    if answer is _INVALID_JSON:
        return response.body.lstrip().startswith(b"{")  # truncated
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return not answer.keys() & {"status", "path", "timestamp", "statusCode"}
    return isinstance(error, dict) and not ("type" in error and error.get("code") is None)


def _is_markup(response: _Response) -> bool:
    is_html = "html" in response.headers.get("Content-Type", "").lower()
    return is_html or response.body[:_MAX_QUOTE].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _title(response: _Response) -> tuple[str, bool]:
    title, is_heading = page_title(response.body[:_MAX_BODY].decode("utf-8", "replace"))
    return quote(title, response.secret), is_heading


def _attributes(response: _Response, answer: Any = _INVALID_JSON) -> dict[str, Any]:
    """Return the attributes that every error has from its response, without the key."""
    secret, raw = response.secret, response.body
    body: Any
    if answer is _INVALID_JSON or len(raw) > _MAX_BODY:
        body = _redacted(raw[:_MAX_BODY].decode("utf-8", "replace"), secret)
        if secret and len(raw) > _MAX_BODY:
            body = body[: -len(secret)]  # it may end inside the key
    else:
        body = _redacted(answer, secret)
    metadata = None
    if isinstance(body, dict):
        error = body.get("error")
        metadata = error.get("metadata") if isinstance(error, dict) else None
        metadata = metadata if isinstance(metadata, dict) else body.get("openrouter_metadata")
    return {
        "status": response.status,
        "generation_id": response.generation_id,
        "body": body,
        "metadata": metadata if isinstance(metadata, dict) else None,
        "headers": HTTPHeaderDict(
            (_redacted(name, secret), _redacted(value, secret)) for name, value in response.headers.items()
        ),
    }


def _redacted(value: Any, secret: str | None, depth: int = 0) -> Any:
    """Return JSON without the key that was sent and any other key."""
    if isinstance(value, str):
        return _SECRET.sub("[key]", value.replace(secret, "[key]") if secret else value)
    if not isinstance(value, dict | list):
        return value
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, list):
        return [_redacted(one, secret, depth + 1) for one in value]
    return {_redacted(name, secret): _redacted(one, secret, depth + 1) for name, one in value.items()}


_KINDS: Final[dict[int, tuple[type[errors.ApiError], str]]] = {
    400: (errors.BadRequestError, "The API cannot read this id."),
    401: (errors.AuthenticationError, "Check OPENROUTER_API_KEY: the key is wrong, disabled or expired."),
    402: (errors.PaymentRequiredError, "Add credits to the account and re-run."),
    403: (errors.ForbiddenError, "This key may not read it; an organisation admin's or management key may."),
    404: (errors.NotFoundError, "Unknown id, id from another account, or too recent to be available."),
    408: (errors.RequestTimeoutError, ""),
    409: (errors.ConflictError, "The first one counts; it cannot be changed."),
    420: (errors.RateLimitError, ""),
    429: (errors.RateLimitError, ""),
    500: (errors.InternalServerError, ""),
    502: (errors.BadGatewayError, ""),
    503: (errors.ServiceUnavailableError, ""),
    504: (errors.GatewayTimeoutError, ""),
    509: (errors.RateLimitError, ""),
    524: (errors.EdgeNetworkTimeoutError, ""),
    529: (errors.ProviderOverloadedError, ""),
}
#: Statuses whose advice is about a generation id.
_ABOUT_AN_ID: Final = frozenset({400, 403, 404})
#: For feedback, a 400 may be about the category or the comment, and a 403 about the kind of the key.
_NOT_ABOUT_THE_ID: Final = frozenset({(FEEDBACK, 400), (FEEDBACK, 403)})
_ABOUT_THE_ACCOUNT: Final = frozenset({401, 402})
#: Feedback counts once.
_ALREADY_GIVEN: Final = 409
_FIRST_ERROR_STATUS: Final = 400
_FIRST_SERVER_STATUS: Final = 500
#: A captive portal requires a login.
_LOGIN_REQUIRED: Final = 511


def quote(text: str | bytes, secret: str | None = None) -> str:
    r"""Make untrusted text safe for one line of an error: no control characters, no key, shortened.

    Examples
    --------
    >>> quote("bad key sk-or-v1-0123\nsecond line")
    'bad key [key] second line'
    """
    if isinstance(text, bytes):
        text = text[:_MAX_BODY].decode("utf-8", "replace")
    line: str = _redacted(terminal_line(text), secret)
    return line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1] + "…"


def _name(response: _Response) -> str:
    return quote(response.generation_id or response.path)
