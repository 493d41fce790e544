"""Take ids from one field of JSON or JSON Lines, and read the lines that :func:`orstats.record` writes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import orjson

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector
from orstats.ids.column_values import ColumnChoiceError, ColumnValues
from orstats.ids.id_column import no_such_column
from orstats.ids.id_shapes import looks_like_id
from orstats.text.json_text import parse_json

_RECORDS_NAMED: Final = 100  # how many records are looked at for the names of an error message
_DEPTH_NAMED: Final = 6
_RECORD: Final = re.compile(rb'\{\s*"id"\s*:\s*"[^"\\]*"\s*,\s*"recorded_at"\s*:')
_RECORD_HEAD: Final = 1 << 16
#: Quotes inside of text are escaped, so that this matches the start of a record only.
_RECORD_START: Final = re.compile(rb'(?=\{\s*"id"\s*:)')


def read_json(stream: BinaryIO, found: IdCollector, *, column: str, where: str) -> None:
    """Take the values of one field, which at least one record must have."""
    names: dict[str, None] = {}
    with_ids: dict[str, None] = {}
    met = False
    chosen = ColumnValues(found, column, where)
    for count, (line, record) in enumerate(_records(stream, where)):
        values = list(_values(record, column))
        met = met or bool(values)
        if count < _RECORDS_NAMED:
            for name, value in _fields(record):
                names[name] = None
                if looks_like_id(value):
                    with_ids[name] = None
        for value in values:
            if not isinstance(value, str | None):
                message = f"{where}, line {line}: {column!r} contains {type(value).__name__}, not text"
                raise ColumnChoiceError(message, line=line)
        chosen.add(value or "" for value in values)
    if not met:
        raise no_such_column(column, list(names), where=where)
    chosen.finish(list(with_ids))


def _records(stream: BinaryIO, where: str) -> Iterator[tuple[int, Any]]:
    """Yield every record with its line; a document over several lines is one record."""
    lines = ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
    for count, (number, line) in enumerate(lines):
        try:
            record = parse_json(line)
        except orjson.JSONDecodeError:
            record = _parse_at(line if count else line + stream.read(), number, where)
        yield number, record


def _parse_at(text: bytes, line: int, where: str) -> Any:
    try:
        return parse_json(text)
    except orjson.JSONDecodeError as error:
        at = line + error.lineno - 1
        message = f"{where}, line {at}: not valid JSON ({error.msg}). Without column= the text is searched for ids."
        raise IdSourceError(message, line=at) from error


def _values(record: Any, path: str) -> Iterator[Any]:
    """Yield the values at a path, in order; not by recursion, as documents may be nested deeper than that can go."""
    waiting = [(record, path)]
    while waiting:
        record, path = waiting.pop()
        if isinstance(record, list):
            waiting += [(item, path) for item in reversed(record)]
        elif isinstance(record, dict):
            head, dot, rest = path.partition(".")
            if path in record:
                value = record[path]
                is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
                yield from value if is_list else [value]
            elif dot and head in record:
                waiting.append((record[head], rest))


def _fields(record: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each field."""
    if isinstance(record, list):
        for item in record[:_RECORDS_NAMED] if depth < _DEPTH_NAMED else ():
            yield from _fields(item, prefix, depth + 1)
    elif isinstance(record, dict):
        for name, value in record.items():
            if isinstance(value, dict | list) and value and depth < _DEPTH_NAMED:
                yield from _fields(value, f"{prefix}{name}.", depth + 1)
            else:
                yield prefix + name, value


def has_records(head: bytes) -> bool:
    """Tell whether a text begins with lines that :func:`orstats.record` wrote."""
    return _RECORD.search(head, 0, _RECORD_HEAD) is not None


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
                yield from _parse_record(line)


def without_labels(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Reduce records to their ids, because labels may contain ids too, and keep everything between them."""
    for row in read_records(chunks):
        yield (row if isinstance(row, bytes) else orjson.dumps({"id": row["id"]})) + b"\n"


def _parse_record(line: bytes) -> list[dict[str, Any] | bytes]:
    """Read a line. After an interrupted write, the next record continues the same line."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        parts = [part for part in _RECORD_START.split(line) if part.strip()]
        return [row for part in parts for row in _parse_record(part)] if len(parts) > 1 else [line]
    return [row if isinstance(row, dict) and isinstance(row.get("id"), str) else line]
