"""The lines that :func:`orstats.record` writes: only their ``id`` is a generation, whatever their labels contain."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

__all__ = ["is_recorded", "read_records"]

_FIRST: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*"[^"\\]*"\s*,\s*"recorded_at"\s*:')
#: Quotes inside of text are escaped, so that this matches the start of a record only.
_START: Final = re.compile(rb'(?=\{\s*"id"\s*:)')


def is_recorded(head: bytes) -> bool:
    """Tell whether a text begins with a record."""
    return _FIRST.match(head) is not None


def read_records(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    r"""Read records line by line; None stands for a line, or the part of one, that is not a record.

    Examples
    --------
    >>> list(read_records([b'{"id":"a","re{"id":"b"}{"id"', b':"c"}\n[1]']))
    [None, {'id': 'b'}, {'id': 'c'}, None]
    """
    rest = b""
    for chunk in itertools.chain(chunks, [b"\n"]):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip(b"\0 \t\r"):
                yield from _parse(line)


def _parse(line: bytes) -> list[dict[str, Any] | None]:
    """Read a line. After an interrupted write, the next record continues the same line."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        parts = [part for part in _START.split(line) if part.strip()]
        return [row for part in parts for row in _parse(part)] if len(parts) > 1 else [None]
    return [row if isinstance(row, dict) and isinstance(row.get("id"), str) else None]
