"""Find the generation id of a response, in its headers or in the pieces of its body."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from orstats.ids.id_shapes import clean_id
from orstats.recording.generation_log import GenerationLog, never_raising

HEADER: Final = "X-Generation-Id"
_BODY_ID: Final = re.compile(rb'(?<!\\)"id"\s*:\s*"(gen[-_][A-Za-z0-9_-]{1,250})"')
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]+")
#: The longest match of the pattern that may continue in the next piece.
_OVERLAP: Final = 512
_MAX_DECODED: Final = 1 << 20
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS

Logs = list[GenerationLog]
#: The logs of the request in progress, for layers that are shared by several clients.
active_logs: ContextVar[Logs] = ContextVar("active_logs", default=[])  # noqa: B039 - never changed in place
#: Types of bodies with a generation, also as gateways name them that do not know JSON.
_MAY_BE_GENERATION: Final = re.compile("json|event-stream|^text/plain|^$", re.IGNORECASE)


def note(logs: Logs, method: str | None, headers: Mapping[str, str], scan: Callable[[], object]) -> None:
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
def reporting_to(logs: Logs) -> Iterator[None]:
    """Report to these logs, too, for the time of a request."""
    token = active_logs.set([*active_logs.get(), *logs])
    try:
        yield
    finally:
        active_logs.reset(token)


class Scanner:
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
