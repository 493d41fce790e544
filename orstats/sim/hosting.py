"""Runs a service on a port of this machine: in a thread of its own, or in the calling one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from orstats.sim.certificates import CertificateKind, create_tls_context
from orstats.sim.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from orstats.sim.service import Service

HOST = "127.0.0.1"
_BACKLOG = 1024
_STOP_S = 10.0


class Hosting:
    """Starts and stops the serving of one service.

    Parameters
    ----------
    service
        Who answers.
    port
        Where to listen; 0 picks a free port at each start.
    tls
        The kind of certificate of a TLS port; None for a plain one.
    """

    def __init__(self, service: Service, port: int, tls: CertificateKind | None = None) -> None:
        self._service = service
        self._wanted_port = port
        self.tls = tls
        self.ca_file: Path | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self.port: int | None = None

    def start(self) -> None:
        """Serve in a background thread; returns when requests are taken.

        Raises
        ------
        RuntimeError
            If it runs already.
        OSError
            If the port is taken.
        """
        self._check_idle()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="orstats-sim", daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Drop all connections, stop to listen, and wait for the thread to end. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            # The loop is closed already if it could not listen.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join()

    def serve_forever(self, on_ready: Callable[[], object]) -> None:
        """Serve in this thread until SIGINT or SIGTERM; ``on_ready`` is called once requests are taken."""
        self._check_idle()
        asyncio.run(self._serve(on_ready, signals=True))

    def _check_idle(self) -> None:
        if self._thread is not None or self.port is not None:
            raise RuntimeError("the simulator is running already")

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(lambda: started.set_result(None), signals=False))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, ready: Callable[[], object], *, signals: bool) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._stopping = loop, asyncio.Event()
        self._service.open()
        make = functools.partial(Connection, self._service, loop)
        with tempfile.TemporaryDirectory(prefix="orstats-sim-") as folder:
            context = None
            if self.tls is not None:
                context, self.ca_file = create_tls_context(Path(folder), self.tls)
            server = await loop.create_server(make, HOST, self._wanted_port, backlog=_BACKLOG, ssl=context)
            await self._serve_until_stopped(server, ready, signals=signals)

    async def _serve_until_stopped(self, server: asyncio.Server, ready: Callable[[], object], *, signals: bool) -> None:
        loop, stopping = asyncio.get_running_loop(), self._stopping
        assert stopping is not None
        self.port = server.sockets[0].getsockname()[1]
        try:
            if signals:
                for number in (signal.SIGINT, signal.SIGTERM):
                    # Windows has no such handlers; there Ctrl-C arrives as KeyboardInterrupt.
                    with contextlib.suppress(NotImplementedError):
                        loop.add_signal_handler(number, stopping.set)
            ready()
            await stopping.wait()
        finally:
            self.port = self.ca_file = None
            server.close()
            await self._service.close(_STOP_S)
            await server.wait_closed()
