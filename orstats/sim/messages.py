"""HTTP/1.1 as the simulator speaks it: reads requests from bytes and writes replies to bytes. No I/O.

Only what a client of a JSON API sends is understood: bodies with ``Content-Length`` or in chunks, no upgrades
(RFC 9112). In return every byte of a reply is under the simulator's control, which faults need.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
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
_LENGTH_DIGITS = 10
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_CHUNK_LINE_MOST = 1024
_LINE_END = b"\r\n"
_HEAD_END = b"\r\n\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
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
    """One request: ``path`` without the query, header names in lower case.

    ``waits`` tells that the client sends the body only after it was told to go on.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    keep_alive: bool
    waits: bool = False
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


def error_reply(
    status: int,
    message: str,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    extras: Mapping[str, Any] | None = None,
) -> Reply:
    """Answer with the API's error body; ``extras`` are its optional fields.

    Examples
    --------
    >>> error_reply(404, "Resource not found").body
    b'{"error":{"code":404,"message":"Resource not found"}}'
    """
    extras = dict(extras or {})
    error = {"code": status, "message": message}
    if "metadata" in extras:
        error["metadata"] = extras.pop("metadata")
    return json_reply(status, {"error": error, **extras}, headers)


def read_head(buffer: bytes) -> tuple[Request, int, int | None] | None:
    r"""Read the head of the first request in ``buffer``.

    Parameters
    ----------
    buffer
        What the client has sent so far; may hold several requests.

    Returns
    -------
    tuple or None
        The request without its body, the length of its head and of its body, in bytes; the latter is None for a body
        in chunks. None if more is needed.

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
    path, _, query = target.partition("?")
    modern = version != "HTTP/1.0"
    wishes = {wish.strip() for wish in headers.get("connection", "").lower().split(",")}
    keep_alive = "close" not in wishes if modern else "keep-alive" in wishes
    waits = modern and headers.get("expect", "").lower() == "100-continue"
    return Request(method, path, query, headers, keep_alive, waits), end + len(_HEAD_END), _body_length(headers)


def _body_length(headers: dict[str, str]) -> int | None:
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise BadRequestError(501, "Unknown transfer encoding")
        return None
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(400, "Malformed content-length")
    if len(length) > _LENGTH_DIGITS or int(length) > _BODY_MOST:
        raise BadRequestError(413, "Content too large")
    return int(length)


def read_chunks(buffer: bytes, start: int) -> tuple[bytes, int] | None:
    r"""Read a body that comes in chunks; what follows the last chunk is passed over.

    Parameters
    ----------
    buffer
        What the client has sent so far.
    start
        Where the body begins in it.

    Returns
    -------
    tuple or None
        The body, and where it ends in ``buffer``. None if more is needed.

    Raises
    ------
    BadRequestError
        If these are no chunks, or more than the simulator takes.

    Examples
    --------
    >>> read_chunks(b"2\r\n{}\r\n0\r\n\r\n", 0)
    (b'{}', 12)
    """
    parts: list[bytes] = []
    total = 0
    while True:
        end = buffer.find(_LINE_END, start, start + _CHUNK_LINE_MOST)
        if end < 0:
            if len(buffer) - start >= _CHUNK_LINE_MOST:
                raise BadRequestError(400, "Malformed chunk")
            return None
        size = buffer[start:end].partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise BadRequestError(400, "Malformed chunk")
        length = int(size, 16)
        if length == 0:
            stop = buffer.find(_HEAD_END, end)
            return None if stop < 0 else (b"".join(parts), stop + len(_HEAD_END))
        start = end + len(_LINE_END)
        total += length
        if total > _BODY_MOST:
            raise BadRequestError(413, "Content too large")
        if len(buffer) < start + length + len(_LINE_END):
            return None
        parts.append(buffer[start : start + length])
        start += length + len(_LINE_END)


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
        # Told in both cases: a client of HTTP/1.0 that asked to go on takes silence for a no.
        f"connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    head.extend(f"{name}: {value}" for name, value in reply.headers)
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
