"""One client's connection: reads its requests in turn and sends each answer in the manner that it should have."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from orstats.sim.messages import (
    GO_ON,
    BadRequestError,
    Reply,
    Request,
    error_reply,
    read_chunks,
    read_head,
    write_reply,
)

logger = logging.getLogger(__name__)

# A client that sends without reading answers is stopped here.
_BUFFER_MOST = 1 << 20
# Two ints, but two shorts on Windows.
_LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Service(Protocol):
    """What a connection needs of the server behind it."""

    def answer(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer one request, now or later."""

    def delay(self) -> float:
        """Tell how many seconds the next answer takes."""

    def connected(self, connection: Connection) -> None:
        """Note a new connection."""

    def disconnected(self, connection: Connection) -> None:
        """Note the end of one."""

    def begun(self) -> None:
        """Note that work on a request begins."""

    def ended(self) -> None:
        """Note that it ends."""


class Connection(asyncio.Protocol):
    """Serves one connection; answers go out in the order of the requests, also when they come at once."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._busy = False
        self._pumping = False
        self._unread = False
        self._ended = False
        self._pending: asyncio.Handle | asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it ended does not matter here
        """Stop whatever is under way for a client that has gone."""
        self._transport = None
        self._buffer = b""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if self._busy:
            self._done()
        self._service.disconnected(self)

    def data_received(self, data: bytes) -> None:
        """Take in bytes and serve the requests that they complete."""
        self._buffer += data
        self._pump()
        if len(self._buffer) > _BUFFER_MOST and self._transport is not None and not self._free:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note that the client has said all it will say; what is under way is still answered, then it is closed."""
        self._ended = True
        if self._transport is None or self._transport.get_extra_info("sslcontext") is not None:
            # A TLS connection cannot be half closed.
            return False
        return self._pending is not None or self._unread

    def pause_writing(self) -> None:
        """Stop to answer while the client does not read its answers."""
        self._unread = True

    def resume_writing(self) -> None:
        """Go on when it has read them."""
        self._unread = False
        self._pump()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def _free(self) -> bool:
        return not self._busy and not self._unread and self._transport is not None

    def _pump(self) -> None:
        self._pumping = True
        self._serve_buffered()
        self._pumping = False
        if self._transport is None or not self._free:
            return
        if self._ended:
            self._transport.close()
        elif not self._transport.is_reading():
            self._transport.resume_reading()

    def _serve_buffered(self) -> None:
        while self._free and self._buffer:
            try:
                request = self._next()
            except BadRequestError as error:
                reply = error_reply(error.status, str(error))
                self._close(write_reply(reply, time.time(), keep_alive=False))
                return
            if request is None:
                return
            self._serve(request)

    def _next(self) -> Request | None:
        """Take the next request from the buffer; None if it is not whole yet."""
        head = read_head(self._buffer)
        if head is None:
            return None
        request, start, length = head
        if length is None:
            chunks = read_chunks(self._buffer, start)
            whole = chunks is not None
            request.body, end = chunks or (b"", 0)
        else:
            end = start + length
            whole = len(self._buffer) >= end
            request.body = self._buffer[start:end]
        if whole:
            self._buffer = self._buffer[end:]
            return request
        if request.waits and len(self._buffer) == start and self._transport is not None:
            self._transport.write(GO_ON)
        return None

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
        if transport is None or reply.manner == "hang":
            return
        if reply.manner == "reset":
            # Without lingering, closing sends RST instead of FIN.
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            transport.abort()
            return
        if reply.manner == "close":
            transport.close()
            return
        keep_alive = request.keep_alive and reply.manner != "cut"
        data = write_reply(reply, time.time(), keep_alive=keep_alive, without_body=request.method == "HEAD")
        if reply.manner == "cut":
            data = data[: len(data) - max(1, len(reply.body) // 2)]
        if reply.manner == "drip":
            self._drip(data, 0, reply.pause_s, keep_alive=keep_alive)
            return
        transport.write(data)
        self._finish(keep_alive=keep_alive)

    def _drip(self, data: bytes, sent: int, pause_s: float, *, keep_alive: bool) -> None:
        if self._transport is None:
            return
        if sent == len(data):
            self._pending = None
            self._finish(keep_alive=keep_alive)
            return
        self._transport.write(data[sent : sent + 1])
        again: Callable[[], None] = lambda: self._drip(data, sent + 1, pause_s, keep_alive=keep_alive)  # noqa: E731
        self._pending = self._loop.call_later(pause_s, again)

    def _finish(self, *, keep_alive: bool) -> None:
        self._done()
        if not keep_alive:
            self._close()
        # An answer that was sent at once returns to the pump; it must not nest for each of a thousand requests.
        elif not self._pumping:
            self._pump()

    def _close(self, last: bytes = b"") -> None:
        """Close the connection after what was written; requests that came after it are passed over."""
        self._buffer = b""
        if self._transport is not None:
            self._transport.write(last)
            self._transport.close()

    def _done(self) -> None:
        self._busy = False
        self._service.ended()
