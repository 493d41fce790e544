"""What faults look like on the wire: the API's errors, pages of proxies, successes without a record."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any, Literal

from orstats.sim.http import HTML, TEXT, Reply, error_reply, json_reply

RetryAfter = Literal["seconds", "date", "ms", "both", "reset", "none"]
# A fault has no limit behind it, but no server says that it admits nothing.
_REPORTED_LIMIT = 20
# A CDN that cannot reach the API sends a short text instead of JSON.
CDN_STATUSES = (520, 521, 522, 523, 525, 527, 530)
# What proxies, firewalls and hotel networks put in the API's place.
TITLES = {
    "html-200": "openrouter.ai | 200: One moment, please",
    "captive-200": "Sign in to Guest Wi-Fi",
    "html-400": "400 Bad Request",
    "html-403": "Access Denied: this site is blocked by your organisation",
    "html-404": "404 Not Found",
    "html-502": "openrouter.ai | 502: Bad gateway",
    "html-503": "503 Service Temporarily Unavailable",
    "html-524": "openrouter.ai | 524: A timeout occurred",
}
_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n"
    "<body>\n<h1>{title}</h1>\n<p>Error code {status}</p>\n</body>\n</html>\n"
)
# JSON of other gateways: valid, but without the API's `error`.
FOREIGN_JSON = {
    400: {"message": "Bad Request"},
    403: {"message": "Forbidden"},
    404: {"detail": "Not Found"},
    502: {"message": "Internal server error"},
}
# Successful answers without a record in them.
HOLLOW: dict[str, Any] = {
    "empty-200": {"data": {}},
    "null-200": {"data": None},
    "list-200": {"data": []},
    "foreign-200": {"data": {"status": "ok", "version": "1.4.2"}},
}


def fault_reply(kind: str, *, retry_after_s: int, redirect_to: str) -> Reply | None:
    """Return the response that a kind of fault is; None for a kind that corrupts a good response."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "redirect":
        return Reply(302, b"", HTML, (("location", redirect_to),))
    text, _, variant = kind.partition("-")
    if not text.isdigit():
        return None
    status = int(text)
    if status in CDN_STATUSES:
        return Reply(status, f"error code: {status}".encode(), TEXT)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        variant = variant or "seconds"
    headers = wait_headers(variant, retry_after_s, reset_s=retry_after_s, limit=_REPORTED_LIMIT)
    return error_reply(status, headers=headers, extras=_EXTRAS if variant == "metadata" else None)


def wait_headers(style: str, wait_s: float, *, reset_s: float, limit: int) -> tuple[tuple[str, str], ...]:
    """Build the headers that ask a client to wait.

    Examples
    --------
    >>> wait_headers("both", 0.2, reset_s=0.2, limit=10)
    (('retry-after', '1'), ('retry-after-ms', '200'))
    """
    seconds = math.ceil(wait_s)
    if style == "date":
        return (("retry-after", formatdate(time.time() + seconds, usegmt=True)),)
    if style == "reset":
        return (
            ("x-ratelimit-limit", str(limit)),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", str(int((time.time() + reset_s) * 1000) + 1)),
        )
    headers = (("retry-after", str(seconds)), ("retry-after-ms", str(math.ceil(wait_s * 1000))))
    return {"seconds": headers[:1], "ms": headers[1:], "both": headers}.get(style, ())


def page_reply(status: int, title: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Answer with a page of a proxy."""
    return Reply(status, _PAGE.format(status=status, title=title).encode(), HTML, headers)


# Optional fields of any error body.
_EXTRAS: dict[str, Any] = {
    "metadata": {"provider_name": "OpenAI", "raw": "upstream said no", "headers": {"X-Request-Id": "req_1"}},
    "openrouter_metadata": {"region": "eu-west", "attempt": 1},
    "user_id": "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
}
_FIXED: dict[str, Reply] = {
    "reset": Reply(0, delivery="reset"),
    "close": Reply(0, delivery="close"),
    "hang": Reply(0, delivery="hang"),
    **{kind: page_reply(int(kind.rpartition("-")[2]), title) for kind, title in TITLES.items()},
    **{f"json-{status}": json_reply(status, body) for status, body in FOREIGN_JSON.items()},
    **{kind: json_reply(200, body) for kind, body in HOLLOW.items()},
    "blank-200": Reply(200),
    "text-502": Reply(502, b"502 Bad Gateway\n", TEXT),
    "error-200": replace(error_reply(502), status=200),
}
