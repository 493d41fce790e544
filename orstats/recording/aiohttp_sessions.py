"""Sessions of aiohttp: each response reports itself when it starts."""

from __future__ import annotations

from typing import Any

from orstats.recording.generation_log import GenerationLog
from orstats.recording.responses import Logs, Scanner, note


def is_client(client: Any) -> bool:
    """Tell whether this is a session of aiohttp."""
    return isinstance(getattr(client, "_response_class", None), type)


def instrument(session: Any, log: GenerationLog) -> None:
    """Make a session report to a log."""
    session._response_class = _recorded(session._response_class, log)  # noqa: SLF001 - there is no public way


def restore(session: Any) -> None:
    """Give a session its own class of responses back."""
    session._response_class = getattr(session._response_class, "unrecorded", session._response_class)  # noqa: SLF001


def _recorded(response_class: Any, log: GenerationLog) -> Any:
    """Derive the class of a session's responses: one is started for each, also before a retry or a redirect."""
    logs = [*getattr(response_class, "logs", []), log]
    unrecorded = getattr(response_class, "unrecorded", response_class)

    async def start(response: Any, connection: Any) -> Any:
        started = await unrecorded.start(response, connection)
        note(logs, response.method, response.headers, lambda: _scan_content(response, logs))
        return started

    attributes = {"start": start, "logs": logs, "unrecorded": unrecorded}
    return type(unrecorded.__name__, (unrecorded,), attributes)


def _scan_content(response: Any, logs: Logs) -> None:
    response.content = _ScannedContent(response.content, Scanner(logs))


def _scanned_read(name: str) -> Any:
    async def read(stream: _ScannedContent, *args: Any, **kwargs: Any) -> bytes:
        return stream.scanner.feed(await getattr(stream.content, name)(*args, **kwargs))

    return read


def _iterated(name: str) -> Any:
    def iterate(stream: _ScannedContent, *args: Any) -> Any:
        return getattr(type(stream.content), name)(stream, *args)  # which calls the methods for reading

    return iterate


class _ScannedContent:
    """The stream of a body."""

    def __init__(self, content: Any, scanner: Scanner) -> None:
        self.content = content
        self.scanner = scanner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.content, name)

    read, readany, readline = _scanned_read("read"), _scanned_read("readany"), _scanned_read("readline")
    readuntil, readexactly = _scanned_read("readuntil"), _scanned_read("readexactly")
    iter_any, iter_chunked, iter_chunks = _iterated("iter_any"), _iterated("iter_chunked"), _iterated("iter_chunks")
    __aiter__ = _iterated("__aiter__")

    async def readchunk(self) -> tuple[bytes, bool]:
        data, is_end = await self.content.readchunk()
        return self.scanner.feed(data), is_end

    def read_nowait(self, n: int = -1) -> bytes:
        return self.scanner.feed(self.content.read_nowait(n))
