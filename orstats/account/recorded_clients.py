"""Make HTTP clients report the generation id of every response.

Each client is wrapped at the place that every request passes, below hooks, redirects and retries. The id is read from
the ``X-Generation-Id`` header. Where a gateway removed that header, it is read from the body of the response to a POST
while the caller reads it: nothing is consumed, changed or delayed.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, ItemsView, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import requests
from requests.adapters import BaseAdapter
from urllib3 import Retry

from orstats.account.recorded_ids import GenerationLog, never_raising
from orstats.ids.id_shapes import clean_id

HEADER: Final = "X-Generation-Id"
_BODY_ID: Final = re.compile(rb'(?<!\\)"id"\s*:\s*"(gen[-_][A-Za-z0-9_-]{1,250})"')
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]+")
#: The longest match of the pattern that may continue in the next piece.
_OVERLAP: Final = 512
_MAX_DECODED: Final = 1 << 20
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS

Logs = list[GenerationLog]
#: The logs of the request in progress, for layers that are shared by several clients.
_active: ContextVar[Logs] = ContextVar("active_logs", default=[])  # noqa: B039 - never changed in place


def is_supported(client: Any) -> bool:
    """Tell whether a client can be recorded."""
    return any(True for _ in _http_clients(client))


def instrument(client: Any, log: GenerationLog) -> None:
    """Make a client, or the clients inside an SDK's client, report to a log."""
    for inner in _http_clients(client):
        if isinstance(inner, requests.Session):
            if not isinstance(inner.adapters, _RecordedAdapters):
                inner.adapters = _RecordedAdapters(inner.adapters, [])
            inner.adapters.logs.append(log)
        elif _is_httpx(inner):
            inner._transport = _recorded_transport(inner._transport, log)  # noqa: SLF001 - there is no public way
            mounts = inner._mounts.items()  # noqa: SLF001
            inner._mounts = {pattern: _recorded_transport(mount, log) for pattern, mount in mounts}  # noqa: SLF001
        else:
            inner._response_class = _recorded_response_class(inner._response_class, log)  # noqa: SLF001


def restore(client: Any) -> None:
    """Undo :func:`instrument`, however often it was called."""
    for inner in _http_clients(client):
        if isinstance(inner, requests.Session):
            inner.adapters = OrderedDict(_plain(inner.adapters))
        elif _is_httpx(inner):
            inner._transport = _unwrapped(inner._transport)  # noqa: SLF001
            mounts = inner._mounts.items()  # noqa: SLF001
            inner._mounts = {pattern: _unwrapped(mount) for pattern, mount in mounts}  # noqa: SLF001
        else:
            inner._response_class = getattr(inner._response_class, "unrecorded", inner._response_class)  # noqa: SLF001


def _http_clients(client: Any) -> Iterator[Any]:
    """Find the HTTP clients of an SDK's client. An HTTP client is its own."""
    sdk = getattr(client, "sdk_configuration", None)  # that of OpenRouter has two HTTP clients
    parts = [getattr(client, "_client", None), getattr(sdk, "client", None), getattr(sdk, "async_client", None)]
    for inner in (client, *parts):
        if isinstance(inner, requests.Session) or _is_httpx(inner) or _is_aiohttp(inner):
            yield inner


def _is_httpx(client: Any) -> bool:
    return hasattr(client, "_mounts") and hasattr(client, "_transport")


def _is_aiohttp(client: Any) -> bool:
    return isinstance(getattr(client, "_response_class", None), type)


#: Types of bodies with a generation, also as gateways name them that do not know JSON.
_MAY_BE_GENERATION: Final = re.compile("json|event-stream|^text/plain|^$", re.IGNORECASE)


def _note(logs: Logs, method: str | None, headers: Mapping[str, str], scan: Callable[[], object]) -> None:
    """Report the id in the headers; without one, scan the body if it may be a generation."""
    with never_raising("A response could not be recorded"):
        parts = (headers.get(HEADER) or "").split(",")  # a header that was sent twice is joined by a comma
        if ids := [one for one in map(clean_id, parts) if _ID.fullmatch(one)]:
            for log in logs:
                for one in ids:
                    log.add(one)
        elif method == "POST" and _MAY_BE_GENERATION.search(headers.get("Content-Type") or ""):
            scan()


@contextmanager
def _reporting_to(logs: Logs) -> Iterator[None]:
    token = _active.set([*_active.get(), *logs])
    try:
        yield
    finally:
        _active.reset(token)


class _Scanner:
    """Find the id in the pieces of a body, compressed or not."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._tail = b""
        self._inflate: Any = None
        self._begun = self._done = False

    def feed(self, data: bytes) -> bytes:
        """Look at a piece and return it."""
        if not self._done and data:
            self._done = True  # also if this fails
            with never_raising("A response body could not be searched for a generation id"):
                self._done = self._search(bytes(data))
        return data

    def _search(self, data: bytes) -> bool:
        if not self._begun:
            self._begun = True
            # Neither JSON nor an event stream begins like that.
            if data.startswith((b"\x1f\x8b", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")):
                self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        if self._inflate is not None:
            data = self._inflate.decompress(data, _MAX_DECODED)
        window = self._tail + data
        match = _BODY_ID.search(window)
        if match:
            for log in self._logs:
                log.add(match[1].decode("ascii"))
        self._tail = window[-_OVERLAP:]
        return match is not None or bool(self._inflate and self._inflate.unconsumed_tail)


# requests


class _RecordedAdapters(OrderedDict[str, BaseAdapter]):
    """The adapters of a session, each recorded when the session looks for one. Copied and pickled with the session."""

    def __init__(self, adapters: Mapping[str, BaseAdapter], logs: Logs) -> None:
        super().__init__(_plain(adapters))
        self.logs = logs

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return {prefix: _RecordedAdapter(adapter, self.logs) for prefix, adapter in _plain(self).items()}.items()

    def __reduce__(self) -> Any:
        return type(self), (_plain(self), self.logs)


def _plain(adapters: Mapping[str, BaseAdapter]) -> dict[str, BaseAdapter]:
    return {prefix: adapters[prefix] for prefix in adapters}


class _RecordedAdapter:
    """An adapter that reports; in everything else it is the one of the session."""

    def __init__(self, adapter: BaseAdapter, logs: Logs) -> None:
        vars(self).update(_adapter=adapter, _logs=logs)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_adapter"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._adapter, name, value)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        with never_raising("Retries could not be recorded"):
            retry = getattr(self._adapter, "max_retries", None)
            if isinstance(retry, Retry) and not hasattr(retry, "is_recorded"):
                self._adapter.max_retries = _recorded_retry(retry)
        with _reporting_to(self._logs):
            response: requests.Response = self._adapter.send(request, *args, **kwargs)
        with never_raising("A response could not be recorded"):
            vars(response)["connection"] = self  # through which HTTPDigestAuth sends again
            _note(self._logs, request.method, response.headers, lambda: _scan_raw(response.raw, self._logs))
        return response


def _recorded_retry(retry: Retry) -> Retry:
    """Return a copy that reports the responses which urllib3 discards before it retries."""
    return _retry_of(_recorded_retry_class(cast("Any", type(retry))), vars(retry))


def _retry_of(cls: type[Retry], attributes: dict[str, Any]) -> Retry:
    retry = object.__new__(cls)
    vars(retry).update(attributes)
    return retry


@functools.cache
def _recorded_retry_class(cls: Any) -> Any:
    def increment(retry: Retry, method: Any = None, url: Any = None, response: Any = None, **more: Any) -> Retry:
        if response is not None:
            _note(_active.get(), None, response.headers, lambda: None)
        return cast("Retry", cls.increment(retry, method, url, response, **more))

    def reduce(retry: Retry, _protocol: object) -> Any:  # copied and pickled as the original class
        return _retry_of, (cls, vars(retry))

    return type(cls.__name__, (cls,), {"increment": increment, "__reduce_ex__": reduce, "is_recorded": True})


def _scan_raw(raw: Any, logs: Logs) -> None:
    """Scan everything that is read from urllib3's response."""
    scanner = _Scanner(logs)

    def scanned(read: Callable[..., bytes]) -> Callable[..., bytes]:
        return functools.wraps(read)(lambda *args, **kwargs: scanner.feed(read(*args, **kwargs)))

    def scanned_chunks(read: Callable[..., Any]) -> Callable[..., Iterator[bytes]]:
        @functools.wraps(read)
        def chunks_of(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            with closing(read(*args, **kwargs)) as chunks:
                yield from map(scanner.feed, chunks)

        return chunks_of

    raw.read, raw.read1 = scanned(raw.read), scanned(raw.read1)
    raw.read_chunked = scanned_chunks(raw.read_chunked)


# httpx, and clients with its interface


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
        with _reporting_to(self.logs or []):
            return self._noted(request, self.transport.handle_request(request))

    async def handle_async_request(self, request: Any) -> Any:
        with _reporting_to(self.logs or []):
            return self._noted(request, await self.transport.handle_async_request(request))

    def _noted(self, request: Any, response: Any) -> Any:
        logs = _active.get() if self.logs is None else self.logs
        _note(logs, request.method, response.headers, lambda: _scan_httpx(response, logs))
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


def _recorded_transport(transport: Any, log: GenerationLog) -> Any:
    if transport is None:  # a mount that excludes URLs from a proxy
        return None
    logs = getattr(transport, "logs", None) if isinstance(transport, _RecordedTransport) else None
    return _RecordedTransport(_unwrapped(transport), [*(logs or []), log])


def _unwrapped(transport: Any) -> Any:
    return transport.transport if isinstance(transport, _RecordedTransport) else transport


def _scan_httpx(response: Any, logs: Logs) -> None:
    """Scan everything that is read from a response, compressed or not."""
    try:
        _Scanner(logs).feed(response.content)
    except RuntimeError:  # the body has not been read
        for name in ("iter_raw", "iter_bytes"):
            setattr(response, name, _scanned(response, name, _Scanner(logs)))
            setattr(response, f"a{name}", _scanned_async(response, f"a{name}", _Scanner(logs)))


def _scanned(response: Any, name: str, scanner: _Scanner) -> Callable[..., Iterator[bytes]]:
    read = getattr(response, name)

    @functools.wraps(read)
    def scanned(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        with _ending(response), closing(read(*args, **kwargs)) as pieces:
            yield from map(scanner.feed, pieces)

    return scanned


def _scanned_async(response: Any, name: str, scanner: _Scanner) -> Callable[..., AsyncIterator[bytes]]:
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


# aiohttp


def _recorded_response_class(response_class: Any, log: GenerationLog) -> Any:
    """Derive the class of a session's responses: one is started for each, also before a retry or a redirect."""
    logs = [*getattr(response_class, "logs", []), log]
    unrecorded = getattr(response_class, "unrecorded", response_class)

    async def start(response: Any, connection: Any) -> Any:
        started = await unrecorded.start(response, connection)
        _note(logs, response.method, response.headers, lambda: _scan_content(response, logs))
        return started

    attributes = {"start": start, "logs": logs, "unrecorded": unrecorded}
    return type(unrecorded.__name__, (unrecorded,), attributes)


def _scan_content(response: Any, logs: Logs) -> None:
    response.content = _ScannedContent(response.content, _Scanner(logs))


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

    def __init__(self, content: Any, scanner: _Scanner) -> None:
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
