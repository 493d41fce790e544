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

from orstats.sim.messages import BadRequestError, Reply, Request, error_reply, read_head, write_reply

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
        if self._busy and len(self._buffer) > _BUFFER_MOST and self._transport is not None:
            self._transport.pause_reading()
        self._pump()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _pump(self) -> None:
        self._pumping = True
        self._serve_buffered()
        self._pumping = False

    def _serve_buffered(self) -> None:
        while not self._busy and self._buffer and self._transport is not None:
            try:
                head = read_head(self._buffer)
            except BadRequestError as error:
                reply = error_reply(error.status, str(error))
                self._transport.write(write_reply(reply, time.time(), keep_alive=False))
                self._transport.close()
                self._buffer = b""
                return
            if head is None:
                return
            request, start, length = head
            if len(self._buffer) < start + length:
                return
            request.body = self._buffer[start : start + length]
            self._buffer = self._buffer[start + length :]
            self._serve(request)

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
        if self._transport is None:
            return
        if not keep_alive:
            self._transport.close()
            return
        if not self._transport.is_reading():
            self._transport.resume_reading()
        # An answer that was sent at once returns to the pump; it must not nest for each of a thousand requests.
        if self._buffer and not self._pumping:
            self._pump()

    def _done(self) -> None:
        self._busy = False
        self._service.ended()
