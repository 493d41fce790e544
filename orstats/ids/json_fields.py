"""Take ids from one field of JSON or JSON Lines."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import orjson

from orstats.errors import IdSourceError
from orstats.ids.columns import no_such_column

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from orstats.ids.collector import IdCollector

__all__ = ["read_json"]

_RECORDS_NAMED: Final = 100  # how many records are looked at for the names of an error message
_DEPTH_NAMED: Final = 6


def read_json(stream: BinaryIO, found: IdCollector, *, column: str, where: str) -> None:
    """Take the values of one field.

    Records may lack the field, as those of an application's log do; at least one must have it.
    """
    names: dict[str, None] = {}
    met = False
    for count, (line, record) in enumerate(_records(stream, where)):
        values = list(_values(record, column))
        met = met or bool(values)
        if not met and count < _RECORDS_NAMED:
            names.update(dict.fromkeys(_names(record)))
        found.add_cells(_as_text(value, column=column, where=where, line=line) for value in values)
    if not met:
        raise no_such_column(column, list(names), where=where)


def _records(stream: BinaryIO, where: str) -> Iterator[tuple[int, Any]]:
    """Give every record with its line; a document over several lines is one record."""
    lines = enumerate(stream, start=1)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            record = _parse(line)
        except orjson.JSONDecodeError:
            rest = b"".join(itertools.chain([line], (more for _, more in lines)))
            yield number, _parse_at(rest, number, where)
            return
        yield number, record
        break
    for number, line in lines:
        if line.strip():
            yield number, _parse_at(line, number, where)


def _parse(text: bytes) -> Any:
    return orjson.loads(text.decode("utf-8", "replace"))


def _parse_at(text: bytes, line: int, where: str) -> Any:
    try:
        return _parse(text)
    except orjson.JSONDecodeError as error:
        at = line + error.lineno - 1
        message = f"{where}, line {at}: not JSON ({error.msg}). Without column= the text is searched for ids."
        raise IdSourceError(message, line=at) from error


def _values(record: Any, path: str) -> Iterator[Any]:
    """Give the values at a path, in order; not by recursion, as documents may be nested deeper than that can go."""
    waiting = [(iter([record]), path)]
    while waiting:
        records, path = waiting[-1]
        try:
            record = next(records)
        except StopIteration:
            waiting.pop()
            continue
        if isinstance(record, list):
            waiting.append((iter(record), path))
        elif isinstance(record, dict):
            head, dot, rest = path.partition(".")
            if path in record:
                yield record[path]
            elif dot and head in record:
                waiting.append((iter([record[head]]), rest))


def _names(record: Any, prefix: str = "", depth: int = 0) -> Iterator[str]:
    if isinstance(record, list):
        for item in record[:_RECORDS_NAMED] if depth < _DEPTH_NAMED else ():
            yield from _names(item, prefix, depth + 1)
    elif isinstance(record, dict):
        for name, value in record.items():
            if isinstance(value, dict | list) and value and depth < _DEPTH_NAMED:
                yield from _names(value, f"{prefix}{name}.", depth + 1)
            else:
                yield prefix + name


def _as_text(value: Any, *, column: str, where: str, line: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    message = f"{where}, line {line}: {column!r} holds {type(value).__name__}, not text"
    raise IdSourceError(message, line=line)
