"""Make HTTP clients report the generation id of every response.

Each client is wrapped at the place that every request passes, below hooks, redirects and retries. The id is read from
the ``X-Generation-Id`` header. Where a gateway removed that header, it is read from the body of the response to a POST
while the caller reads it: nothing is consumed, changed or delayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orstats.recording import aiohttp_sessions, httpx_clients, requests_sessions
from orstats.recording.generation_log import GenerationLog

_LIBRARIES = (requests_sessions, httpx_clients, aiohttp_sessions)


def is_supported(client: Any) -> bool:
    """Tell whether a client can be recorded."""
    return any(True for _ in _http_clients(client))


def instrument(client: Any, log: GenerationLog) -> None:
    """Make a client, or the clients inside an SDK's client, report to a log."""
    for library, inner in _http_clients(client):
        library.instrument(inner, log)


def restore(client: Any) -> None:
    """Undo :func:`instrument`, however often it was called."""
    for library, inner in _http_clients(client):
        library.restore(inner)


def _http_clients(client: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the HTTP clients of an SDK's client, each with the module for its library. An HTTP client is its own."""
    sdk = getattr(client, "sdk_configuration", None)  # that of OpenRouter has two HTTP clients
    parts = [getattr(client, "_client", None), getattr(sdk, "client", None), getattr(sdk, "async_client", None)]
    for inner in (client, *parts):
        for library in _LIBRARIES:
            if library.is_client(inner):
                yield library, inner
                break
