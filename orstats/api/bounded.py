"""Connections whose whole answer, head and body, must arrive by a moment.

A socket's time-out starts anew with every byte, so that a server that drips them can hold a reader for hours. Here
each reading is given only the time that is left.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

_SWITCHING: Final = 101
_FIRST_FINAL: Final = 200


class Deadline(threading.local):
    """The moment (monotonic seconds) by which the answer to this thread's request must be there."""

    at: float = float("inf")


def bounded(connection: type, deadline: Deadline, handshake_timeout: Callable[[float | None], float | None]) -> type:
    """Return a kind of connection whose answers keep to the deadline of the thread that asks."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp: io.BufferedReader = io.BufferedReader(_Bounded(self.fp.detach(), sock, deadline.at))

        def _read_status(self) -> tuple[str, int, str]:
            """Skip interim responses, such as 103; http.client skips only 100."""
            while True:
                version, status, reason = super()._read_status()  # type: ignore[misc]
                if not _SWITCHING < status < _FIRST_FINAL:
                    return version, status, reason
                http.client.parse_headers(self.fp)

    def new_connection(self: Any) -> socket.socket:
        sock: socket.socket = connection._new_conn(self)  # type: ignore[attr-defined] # noqa: SLF001 - urllib3's hook
        sock.settimeout(handshake_timeout(sock.gettimeout()))
        return sock

    return type(connection.__name__, (connection,), {"response_class": Answer, "_new_conn": new_connection})


class _Bounded(io.RawIOBase):
    """The bytes of a socket, until a moment."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until: float) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole answer within the time-out")
        usual = self._sock.gettimeout()
        if usual is None or usual > left:
            self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
