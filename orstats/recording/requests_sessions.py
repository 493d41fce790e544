"""Sessions of requests: each adapter reports the responses that it receives, also those before a retry."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, ItemsView, Iterator, Mapping
from contextlib import closing
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from urllib3 import Retry

from orstats.recording.generation_log import GenerationLog, never_raising
from orstats.recording.responses import Logs, Scanner, active_logs, note, reporting_to


def is_client(client: Any) -> bool:
    """Tell whether this is a session of requests."""
    return isinstance(client, requests.Session)


def instrument(session: requests.Session, log: GenerationLog) -> None:
    """Make a session report to a log."""
    if not isinstance(session.adapters, _RecordedAdapters):
        session.adapters = _RecordedAdapters(session.adapters, [])
    session.adapters.logs.append(log)


def restore(session: requests.Session) -> None:
    """Give a session its own adapters back."""
    session.adapters = OrderedDict(_plain(session.adapters))


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
        with reporting_to(self._logs):
            response: requests.Response = self._adapter.send(request, *args, **kwargs)
        with never_raising("A response could not be recorded"):
            vars(response)["connection"] = self  # through which HTTPDigestAuth sends again
            note(self._logs, request.method, response.headers, lambda: _scan_raw(response.raw, self._logs))
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
            note(active_logs.get(), None, response.headers, lambda: None)
        return cast("Retry", cls.increment(retry, method, url, response, **more))

    def reduce(retry: Retry, _protocol: object) -> Any:  # copied and pickled as the original class
        return _retry_of, (cls, vars(retry))

    return type(cls.__name__, (cls,), {"increment": increment, "__reduce_ex__": reduce, "is_recorded": True})


def _scan_raw(raw: Any, logs: Logs) -> None:
    """Scan everything that is read from urllib3's response."""
    scanner = Scanner(logs)

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
