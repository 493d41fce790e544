"""HTTP/1.1 as the simulator speaks it: reads requests from bytes and writes replies to bytes. No I/O.

Only what a client of a JSON API sends is understood: bodies with ``Content-Length``, no chunks, no upgrades
(RFC 9112). In return every byte of a reply is under the simulator's control, which faults need.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import unquote_plus

import orjson

Manner = Literal["whole", "cut", "drip", "close", "reset", "hang"]

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"

_HEAD_MOST = 64 * 1024
_BODY_MOST = 4 * 1024 * 1024
_HEAD_END = b"\r\n\r\n"
_WORDS_OF_A_REQUEST_LINE = 3
# Statuses that the CDN in front of the API has made up; the standard library has no words for them.
_REASONS = {
    520: "Web Server Returned an Unknown Error",
    521: "Web Server Is Down",
    522: "Connection Timed Out",
    523: "Origin Is Unreachable",
    524: "A Timeout Occurred",
    529: "Site is Overloaded",
} | {status.value: status.phrase for status in HTTPStatus}


class BadRequestError(Exception):
    """Raised when a client sends something that is not HTTP as the simulator speaks it.

    Attributes
    ----------
    status
        The status to answer with before the connection is closed.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


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
        """Give the first value of a query parameter, decoded; None if it is absent."""
        for pair in self.query.split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return unquote_plus(value) if "%" in value or "+" in value else value
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and the manner in which it reaches the client (or does not).

    ``pause_s`` is the time between the bytes of a dripping one, in seconds.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    manner: Manner = "whole"
    pause_s: float = 0.0


def json_reply(status: int, value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Answer with a JSON value."""
    return Reply(status, orjson.dumps(value), headers=headers)


def error_reply(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Answer with the API's error body.

    Examples
    --------
    >>> error_reply(404, "Resource not found").body
    b'{"error":{"code":404,"message":"Resource not found"}}'
    """
    return json_reply(status, {"error": {"code": status, "message": message}}, headers)


def read_head(buffer: bytes) -> tuple[Request, int, int] | None:
    r"""Read the head of the first request in ``buffer``.

    Parameters
    ----------
    buffer
        What the client has sent so far; may hold several requests.

    Returns
    -------
    tuple or None
        The request without its body, the length of its head and of its body, in bytes. None if more is needed.

    Raises
    ------
    BadRequestError
        If this is not a request, or a larger one than the simulator takes.

    Examples
    --------
    >>> request, head, body = read_head(b"GET /x?id=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    >>> request.path, request.parameter("id"), head, body
    ('/x', '1', 33, 0)
    """
    end = buffer.find(_HEAD_END)
    if end < 0:
        if len(buffer) > _HEAD_MOST:
            raise BadRequestError(431, "Request header fields too large")
        return None
    line, *fields = buffer[:end].decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != _WORDS_OF_A_REQUEST_LINE or not words[2].startswith("HTTP/1."):
        raise BadRequestError(400, "Malformed request line")
    method, target, version = words
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "Malformed header")
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise BadRequestError(411, "Length required")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(400, "Malformed content-length")
    if int(length) > _BODY_MOST:
        raise BadRequestError(413, "Content too large")
    path, _, query = target.partition("?")
    wish = headers.get("connection", "").lower()
    keep_alive = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"
    return Request(method, path, query, headers, keep_alive), end + len(_HEAD_END), int(length)


def write_reply(reply: Reply, now: float, *, keep_alive: bool, without_body: bool = False) -> bytes:
    """Write a reply as it goes over the wire, with the length of its whole body.

    Parameters
    ----------
    reply
        What to write.
    now
        Seconds since 1970, for the ``Date`` header.
    keep_alive
        False announces that the connection will be closed.
    without_body
        For HEAD: the head only.
    """
    head = [
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, '')}",
        f"date: {formatdate(now, usegmt=True)}",
        f"content-type: {reply.content_type}",
        f"content-length: {len(reply.body)}",
    ]
    head.extend(f"{name}: {value}" for name, value in reply.headers)
    if not keep_alive:
        head.append("connection: close")
    return "\r\n".join(head).encode("latin-1") + _HEAD_END + (b"" if without_body else reply.body)


def compressed(reply: Reply) -> Reply:
    """Give the same reply, gzip-encoded."""
    return Reply(
        reply.status,
        gzip.compress(reply.body, compresslevel=1, mtime=0),
        reply.content_type,
        (*reply.headers, ("content-encoding", "gzip"), ("vary", "accept-encoding")),
        reply.manner,
        reply.pause_s,
    )
