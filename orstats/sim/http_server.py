"""Runs a service on a port of this machine, in a thread of its own or in the calling one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import signal
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from orstats.sim.certificates import CertificateKind, create_tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from orstats.sim.service import Service

HOST = "127.0.0.1"
_HOST_IPV6 = "::1"
_BACKLOG = 1024
_STOP_S = 10.0


class HttpServer:
    """Starts and stops the serving of one service; port 0 picks a free one at each start."""

    def __init__(self, service: Service, port: int, tls: CertificateKind | None = None) -> None:
        self._service = service
        self._requested_port = port
        self.tls = tls
        self.ca_file: Path | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self.port: int | None = None

    def start(self) -> None:
        """Serve in a background thread; return when it accepts requests."""
        self._check_startable()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="orstats-sim", daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Drop all connections, stop listening, and wait for the thread to end. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            # The loop is already closed if it could not listen.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join()

    def serve_forever(self, on_ready: Callable[[], object]) -> None:
        """Serve in this thread until SIGINT or SIGTERM; call ``on_ready`` once it accepts requests."""
        self._check_startable()
        asyncio.run(self._serve(on_ready, signals=True))

    def _check_startable(self) -> None:
        if self._thread is not None or self.port is not None:
            raise RuntimeError("the simulator is running already")
        if importlib.util.find_spec("httptools") is None:
            raise ImportError("The simulator needs an extra: pip install 'orstats[sim]'")

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(lambda: started.set_result(None), signals=False))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, ready: Callable[[], object], *, signals: bool) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._service.open()
        async with contextlib.AsyncExitStack() as stack:
            context = None
            if self.tls is not None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="orstats-sim-"))
                context, self.ca_file = create_tls_context(Path(folder), self.tls)
            stack.callback(self._forget)
            server = await self._listen(HOST, self._requested_port, context)
            stack.push_async_callback(self._stop_serving, server)
            self.port = server.sockets[0].getsockname()[1]
            # The same port for IPv6, where the machine has it and the port is free there.
            with contextlib.suppress(OSError):
                stack.push_async_callback(self._stop_serving, await self._listen(_HOST_IPV6, self.port, context))
            for number in (signal.SIGINT, signal.SIGTERM) if signals else ():
                # Windows has no such handlers; there Ctrl-C arrives as KeyboardInterrupt.
                with contextlib.suppress(NotImplementedError):
                    self._loop.add_signal_handler(number, self._stopping.set)
            ready()
            await self._stopping.wait()

    async def _listen(self, host: str, port: int, context: ssl.SSLContext | None) -> asyncio.Server:
        from orstats.sim.http_connection import Connection  # noqa: PLC0415 - loads what the extra installs

        loop = asyncio.get_running_loop()
        make = functools.partial(Connection, self._service, loop)
        return await loop.create_server(make, host, port, backlog=_BACKLOG, ssl=context)

    async def _stop_serving(self, server: asyncio.Server) -> None:
        server.close()
        await self._service.close(_STOP_S)
        await server.wait_closed()

    def _forget(self) -> None:
        self.port = self.ca_file = None
