"""Requests and replies of the simulator, and how a reply is written. No I/O."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import unquote_plus

import orjson

Delivery = Literal["whole", "cut", "drip", "close", "reset", "hang"]

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"

_HEAD_END = b"\r\n\r\n"
# Statuses of the CDN in front of the API, which the standard library does not list.
_REASONS = {
    520: "Web Server Returned an Unknown Error",
    521: "Web Server Is Down",
    522: "Connection Timed Out",
    523: "Origin Is Unreachable",
    524: "A Timeout Occurred",
    529: "Site is Overloaded",
} | {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Request:
    """One request: ``path`` without the query, header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    keep_alive: bool
    body: bytes = b""

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter, decoded; None if it is absent."""
        for pair in self.query.split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return unquote_plus(value) if "%" in value or "+" in value else value
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and how it reaches the client (or does not).

    ``pause_s`` is the time between the bytes of a dripping one, in seconds.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = "whole"
    pause_s: float = 0.0


def json_reply(status: int, value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Answer with a JSON value."""
    return Reply(status, orjson.dumps(value), headers=headers)


# What the API says with each status: its own words where the specification has them.
MESSAGES: dict[int, str] = {
    400: "Invalid request parameters",
    401: "Missing Authentication header",
    402: "Insufficient credits. Add more using https://openrouter.ai/credits",
    403: "Only management keys can perform this operation",
    404: "Resource not found",
    405: "Method Not Allowed",
    409: "Feedback was already submitted for this generation",
    408: "Operation timed out. Please try again later.",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
    503: "Service temporarily unavailable",
    504: "Gateway timed out. Please try again later.",
    524: "Request timed out. Please try again later.",
    529: "Provider returned error",
}


def error_reply(
    status: int,
    message: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    extras: Mapping[str, Any] | None = None,
) -> Reply:
    """Answer with the API's error body, by default in its usual words; ``extras`` are its optional fields.

    Examples
    --------
    >>> error_reply(404).body
    b'{"error":{"code":404,"message":"Resource not found"}}'
    """
    extras = dict(extras or {})
    error = {"code": status, "message": MESSAGES[status] if message is None else message}
    if "metadata" in extras:
        error["metadata"] = extras.pop("metadata")
    return json_reply(status, {"error": error, **extras}, headers)


def write_reply(reply: Reply, now: float, *, keep_alive: bool, without_body: bool = False) -> bytes:
    """Serialise a reply; the announced length is that of the complete body."""
    head = [
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, '')}",
        f"date: {_date(int(now))}",
        f"content-type: {reply.content_type}",
        f"content-length: {len(reply.body)}",
        # Sent in both cases: an HTTP/1.0 client that asked for keep-alive takes a missing header for a refusal.
        f"connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    head.extend(f"{name}: {value}" for name, value in reply.headers)
    return "\r\n".join(head).encode("latin-1") + _HEAD_END + (b"" if without_body else reply.body)


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client accepts gzip (RFC 9110, 12.5.3).

    Examples
    --------
    >>> accepts_gzip("deflate, gzip;q=0.5"), accepts_gzip("gzip;q=0, *"), accepts_gzip("*")
    (True, False, True)
    """
    weights = {}
    for item in accept_encoding.lower().split(","):
        name, _, weight = item.replace(" ", "").partition(";q=")
        weights[name] = weight.strip("0.") != "" if weight else True
    return weights.get("gzip", weights.get("*", False))


def compressed(reply: Reply) -> Reply:
    """Return the same reply, gzip-encoded."""
    return Reply(
        reply.status,
        gzip.compress(reply.body, compresslevel=1, mtime=0),
        reply.content_type,
        (*reply.headers, ("content-encoding", "gzip"), ("vary", "accept-encoding")),
        reply.delivery,
        reply.pause_s,
    )
