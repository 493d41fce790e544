"""The lines that :func:`orstats.record` writes: only their ``id`` is a generation, whatever their labels contain."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

__all__ = ["has_records", "read_records", "without_labels"]

_RECORD: Final = re.compile(rb'\{\s*"id"\s*:\s*"[^"\\]*"\s*,\s*"recorded_at"\s*:')
_HEAD: Final = 1 << 16
#: Quotes inside of text are escaped, so that this matches the start of a record only.
_START: Final = re.compile(rb'(?=\{\s*"id"\s*:)')


def has_records(head: bytes) -> bool:
    """Tell whether there are records at the beginning of a text."""
    return _RECORD.search(head, 0, _HEAD) is not None


def read_records(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | bytes]:
    r"""Read records line by line. A line, or the part of one, that is not a record is returned as it is.

    Examples
    --------
    >>> list(read_records([b'{"id":"a","re{"id":"b"}{"id"', b':"c"}\n[1]']))
    [b'{"id":"a","re', {'id': 'b'}, {'id': 'c'}, b'[1]']
    """
    rest = b""
    for chunk in itertools.chain(chunks, [b"\n"]):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip(b"\0 \t\r"):
                yield from _parse(line)


def without_labels(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Reduce records to their ids, and keep everything between them."""
    for row in read_records(chunks):
        yield (row if isinstance(row, bytes) else orjson.dumps({"id": row["id"]})) + b"\n"


def _parse(line: bytes) -> list[dict[str, Any] | bytes]:
    """Read a line. After an interrupted write, the next record continues the same line."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        parts = [part for part in _START.split(line) if part.strip()]
        return [row for part in parts for row in _parse(part)] if len(parts) > 1 else [line]
    return [row if isinstance(row, dict) and isinstance(row.get("id"), str) else line]
