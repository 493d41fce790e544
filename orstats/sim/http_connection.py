"""One client's connection: httptools parses its requests, and each is answered in turn.

Replies are written to the transport byte by byte as they should arrive: whole, cut, dripping, or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import httptools

from orstats.sim.http import Reply, Request, error_reply, write_reply

if TYPE_CHECKING:
    from orstats.sim.service import Service

logger = logging.getLogger(__name__)

_HEAD_MOST = 64 * 1024
_BODY_MOST = 4 * 1024 * 1024
# Reading pauses while this many pipelined requests wait for their responses.
_QUEUE_MOST = 100
# https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2, and a port.
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]*)?")
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
# SO_LINGER: two ints, but two shorts on Windows.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class _RefusedError(Exception):
    """Raised for a request that is valid HTTP but more than the simulator takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection(asyncio.Protocol):
    """Serves one connection; pipelined requests are answered in order."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        # A reply in place of a request refuses what could not be parsed.
        self._queue: deque[Request | Reply] = deque()
        self._busy = self._pumping = self._unread = self._ended = self._refused = False
        self._pending: asyncio.Handle | asyncio.Task[None] | None = None
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it ended does not matter here
        """Cancel what is in progress for a client that disconnected."""
        self._transport = None
        self._queue.clear()
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if self._busy:
            self._done()
        self._service.disconnected(self)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived and serve the requests that it completes."""
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
            self._head_size += len(data)
            if self._reading_head and self._head_size > _HEAD_MOST:
                self._refuse(431, "Request header fields too large")
        except httptools.HttpParserUpgrade as upgrade:
            # Upgrades are declined: what follows is HTTP/1.1.
            self._parser = httptools.HttpRequestParser(self)
            self.data_received(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            reason = error.__context__
            self._refuse(*((reason.status, str(reason)) if isinstance(reason, _RefusedError) else (400, str(error))))
        self._pump()

    def eof_received(self) -> bool:
        """Finish the pending responses for a client that sends no more, then close."""
        self._ended = True
        if self._transport is None or self._transport.get_extra_info("sslcontext") is not None:
            # A TLS connection cannot be half closed.
            return False
        return self._pending is not None or bool(self._queue)

    def pause_writing(self) -> None:
        """Pause while the client does not read its responses."""
        self._unread = True

    def resume_writing(self) -> None:
        """Resume when it has read them."""
        self._unread = False
        self._pump()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Start a new request."""
        self._url = self._body = b""
        self._headers: dict[str, str] = {}
        self._reading_head, self._head_size = False, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._reading_head = True
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, or trailer."""
        key = name.decode("latin-1").lower()
        if key == "host" and key in self._headers:
            raise _RefusedError(400, "Duplicate Host header")
        self._headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Check the head, and ask for the body if the client waits with it."""
        self._reading_head = False
        version, headers = self._parser.get_http_version(), self._headers
        if version not in {"1.0", "1.1"}:
            raise _RefusedError(505, "HTTP Version Not Supported")
        if version == "1.1" and "host" not in headers:
            raise _RefusedError(400, "Missing Host header")
        if not _HOST.fullmatch(headers.get("host", "")):
            raise _RefusedError(400, "Invalid Host header")
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise _RefusedError(501, "Unknown transfer encoding")
        if int(headers.get("content-length", 0)) > _BODY_MOST:
            raise _RefusedError(413, "Content too large")
        waits = version == "1.1" and headers.get("expect", "").lower() == "100-continue"
        if waits and self._transport is not None and not self._busy and not self._queue:
            self._transport.write(_GO_ON)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += body
        if len(self._body) > _BODY_MOST:
            raise _RefusedError(413, "Content too large")

    def on_message_complete(self) -> None:
        """Queue the request."""
        method = self._parser.get_method().decode("latin-1")
        target = self._url
        if not target.startswith((b"/", b"*")) and method != "CONNECT":
            # The absolute form, as sent to proxies.
            url = httptools.parse_url(target)
            target = (url.path or b"/") + (b"?" + url.query if url.query else b"")
        path, _, query = target.decode("latin-1").partition("?")
        keep_alive = self._parser.should_keep_alive() and method != "CONNECT"
        self._queue.append(Request(method, path, query, self._headers, keep_alive, self._body))

    # ---- the answers -----------------------------------------------------------------------------------------

    def _refuse(self, status: int, message: str) -> None:
        self._refused = True
        self._queue.append(error_reply(status, message))

    def _pump(self) -> None:
        """Serve queued requests until one takes time or the client does not read."""
        self._pumping = True
        while self._queue and not self._busy and not self._unread and self._transport is not None:
            request = self._queue.popleft()
            if isinstance(request, Reply):
                self._close(write_reply(request, time.time(), keep_alive=False))
            else:
                self._serve(request)
        self._pumping = False
        if self._transport is None:
            return
        if len(self._queue) > _QUEUE_MOST:
            self._transport.pause_reading()
        elif not self._busy and not self._queue:
            if self._ended:
                self._transport.close()
            elif not self._transport.is_reading():
                self._transport.resume_reading()

    def _serve(self, request: Request) -> None:
        self._busy = True
        self._service.begun()
        delay = self._service.delay()
        answer = self._service.answer(request)
        if not isinstance(answer, Reply):
            self._pending = self._loop.create_task(self._serve_later(request, answer, delay))
        elif delay > 0:
            self._pending = self._loop.call_later(delay, self._send, request, answer)
        else:
            self._send(request, answer)

    async def _serve_later(self, request: Request, answer: Awaitable[Reply], delay: float) -> None:
        try:
            reply = await answer
        except Exception:
            logger.exception("no answer to %s %s", request.method, request.path)
            self.abort()
            return
        await asyncio.sleep(delay)
        self._send(request, reply)

    def _send(self, request: Request, reply: Reply) -> None:
        self._pending = None
        transport = self._transport
        if transport is None or reply.delivery == "hang":
            return
        if reply.delivery == "reset":
            # Without lingering, closing sends RST instead of FIN.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()
            return
        if reply.delivery == "close":
            transport.close()
            return
        keep_alive = request.keep_alive and reply.delivery != "cut"
        data = write_reply(reply, time.time(), keep_alive=keep_alive, without_body=request.method == "HEAD")
        if reply.delivery == "cut":
            data = data[: len(data) - max(1, len(reply.body) // 2)]
        if reply.delivery == "drip":
            self._pending = self._loop.create_task(self._drip(data, reply.pause_s, keep_alive=keep_alive))
            return
        transport.write(data)
        self._finish(keep_alive=keep_alive)

    async def _drip(self, data: bytes, pause_s: float, *, keep_alive: bool) -> None:
        for place in range(len(data)):
            if self._transport is not None:
                self._transport.write(data[place : place + 1])
            await asyncio.sleep(pause_s)
        self._pending = None
        self._finish(keep_alive=keep_alive)

    def _finish(self, *, keep_alive: bool) -> None:
        self._done()
        if not keep_alive:
            self._close()
        # A reply that was sent immediately returns to the pump, which must not recurse for each pipelined request.
        elif not self._pumping:
            self._pump()

    def _close(self, last: bytes = b"") -> None:
        """Close the connection after what was written; later requests are ignored."""
        self._refused = True
        self._queue.clear()
        if self._transport is not None:
            self._transport.write(last)
            self._transport.close()

    def _done(self) -> None:
        self._busy = False
        self._service.ended()
