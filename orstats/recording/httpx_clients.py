"""Clients of httpx, and those with its interface: each transport reports the responses that it receives."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager
from typing import Any

from orstats.recording.generation_log import GenerationLog
from orstats.recording.responses import Logs, Scanner, active_logs, note, reporting_to


def is_client(client: Any) -> bool:
    """Tell whether this is a client of httpx, or has its interface."""
    return hasattr(client, "_mounts") and hasattr(client, "_transport")


def instrument(client: Any, log: GenerationLog) -> None:
    """Make a client report to a log."""
    client._transport = _recorded(client._transport, log)  # noqa: SLF001 - there is no public way
    mounts = client._mounts.items()  # noqa: SLF001
    client._mounts = {pattern: _recorded(mount, log) for pattern, mount in mounts}  # noqa: SLF001


def restore(client: Any) -> None:
    """Give a client its own transports back."""
    client._transport = _unwrapped(client._transport)  # noqa: SLF001
    mounts = client._mounts.items()  # noqa: SLF001
    client._mounts = {pattern: _unwrapped(mount) for pattern, mount in mounts}  # noqa: SLF001


class _RecordedTransport:
    """A transport that reports to its own logs, or, inside another transport, to those of the request in progress."""

    def __init__(self, transport: Any, logs: Logs | None = None) -> None:
        self.transport = transport
        self.logs = logs
        for name, part in list(getattr(transport, "__dict__", {}).items()):
            # A transport that retries discards the responses of the transport inside it.
            if any(cls.__name__ in {"BaseTransport", "AsyncBaseTransport"} for cls in type(part).__mro__):
                setattr(transport, name, _RecordedTransport(part))

    def __getattr__(self, name: str) -> Any:
        if name == "transport":  # not yet set in a copy
            raise AttributeError(name)
        return getattr(self.transport, name)

    def handle_request(self, request: Any) -> Any:
        with reporting_to(self.logs or []):
            return self._noted(request, self.transport.handle_request(request))

    async def handle_async_request(self, request: Any) -> Any:
        with reporting_to(self.logs or []):
            return self._noted(request, await self.transport.handle_async_request(request))

    def _noted(self, request: Any, response: Any) -> Any:
        logs = active_logs.get() if self.logs is None else self.logs
        note(logs, request.method, response.headers, lambda: _scan_httpx(response, logs))
        return response

    def __enter__(self) -> Any:
        self.transport.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self.transport.__exit__(*error)

    async def __aenter__(self) -> Any:
        await self.transport.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        return await self.transport.__aexit__(*error)


def _recorded(transport: Any, log: GenerationLog) -> Any:
    if transport is None:  # a mount that excludes URLs from a proxy
        return None
    logs = getattr(transport, "logs", None) if isinstance(transport, _RecordedTransport) else None
    return _RecordedTransport(_unwrapped(transport), [*(logs or []), log])


def _unwrapped(transport: Any) -> Any:
    return transport.transport if isinstance(transport, _RecordedTransport) else transport


def _scan_httpx(response: Any, logs: Logs) -> None:
    """Scan everything that is read from a response, compressed or not."""
    try:
        Scanner(logs).feed(response.content)
    except RuntimeError:  # the body has not been read
        for name in ("iter_raw", "iter_bytes"):
            setattr(response, name, _scanned(response, name, Scanner(logs)))
            setattr(response, f"a{name}", _scanned_async(response, f"a{name}", Scanner(logs)))


def _scanned(response: Any, name: str, scanner: Scanner) -> Callable[..., Iterator[bytes]]:
    read = getattr(response, name)

    @functools.wraps(read)
    def scanned(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        with _ending(response), closing(read(*args, **kwargs)) as pieces:
            yield from map(scanner.feed, pieces)

    return scanned


def _scanned_async(response: Any, name: str, scanner: Scanner) -> Callable[..., AsyncIterator[bytes]]:
    read = getattr(response, name)

    @functools.wraps(read)
    async def scanned(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        with _ending(response):
            async with aclosing(read(*args, **kwargs)) as pieces:
                async for piece in pieces:
                    yield scanner.feed(piece)

    return scanned


@contextmanager
def _ending(response: Any) -> Iterator[None]:
    """Give a response back its own methods at the end of its body: it may be pickled then."""
    try:
        yield
    finally:
        for name in ("iter_raw", "iter_bytes", "aiter_raw", "aiter_bytes"):
            vars(response).pop(name, None)
