r"""From JSON values to typed values. Pure, and never raises for a value.

A value either becomes its declared kind exactly or is refused, so that the caller can keep it as it was sent:

========== =============================================================================================
kind       becomes
========== =============================================================================================
``text``   a JSON string. Lone surrogates, which UTF-8 cannot hold, become U+FFFD.
``count``  an integer of 64 bits: ``3``, ``3.0``, ``"3"``, ``"3.0"``; not ``3.5``, not ``true``.
``flag``   ``true`` and ``false`` only; ``1`` and ``"true"`` are not flags.
``number`` a finite number or its text (one vendor fixture has ``total_cost`` as a string); not ``true``.
``time``   ISO 8601 date and time, with an offset or ``Z`` (none: UTC), 0 to 9 fraction digits; finer
           fractions than microseconds are truncated.
``json``   a list or an object, as compact JSON text.
========== =============================================================================================

``null`` is missing for every kind, and so are NaN and infinity for numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import orjson

from orstats.frame.schema import Kind
from orstats.text.sanitize import valid_text

#: Replaces in ``extra`` a value that is nested too deep for JSON writers.
TOO_DEEP: Final = "(nested too deep to keep)"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
# The range of Python's datetime in UTC, which the offset of a time in the years 1 and 9999 can leave.
_FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST: Final = (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_INT64: Final = 2**63

# JSON's grammar, so that "1_000", "٣", " 1" and "nan", which Python would read, are refused.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,18}))(?:\.0+)?")
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?:(?<=:[0-9]{2}:[0-9]{2})[.,](?P<fraction>[0-9]{1,9}))?(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)


def text(value: object) -> str | None:
    r"""Return a string that UTF-8 can encode, or None for anything but a string.

    Examples
    --------
    >>> text("a\x00b"), text("\ud83d\ude00"), text(5)
    ('a\x00b', '😀', None)
    """
    if not isinstance(value, str):
        return None
    return valid_text(value)


def count(value: object) -> int | None:
    """Return an integer of 64 bits, or None.

    Examples
    --------
    >>> count(3), count(3.0), count("3"), count(3.5), count(True), count(2**63)
    (3, 3, 3, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value)
        value = int(match[1]) if match else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and -_INT64 <= value < _INT64 else None


def flag(value: object) -> bool | None:
    """Return a boolean, or None for anything else.

    Examples
    --------
    >>> flag(False), flag(1), flag("true")
    (False, None, None)
    """
    return value if isinstance(value, bool) else None


def number(value: object) -> float | None:
    """Return a finite number, or None.

    Examples
    --------
    >>> number(4.2e-07), number("0.0015"), number(True), number(float("nan")), number(10**400)
    (4.2e-07, 0.0015, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def time(value: object) -> int | None:
    """Return microseconds since 1970 UTC of an ISO 8601 date and time, or None.

    Examples
    --------
    >>> time("1970-01-01T00:00:01Z"), time("1970-01-01 01:00:00.5+01:00"), time("1970-01-01"), time(0)
    (1000000, 500000, None, None)
    """
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    offset = (match["offset"] or "Z").upper()
    try:
        whole = datetime.fromisoformat(f"{match['date']}T{match['clock']}{offset}")
    except ValueError:
        return None
    found = (whole - _EPOCH) // _MICROSECOND + int(fraction)
    return found if _FIRST <= found <= _LAST else None


def moment(microseconds: int) -> datetime:
    """Return the time of so many microseconds since 1970 UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def json_text(value: object, *, sort_keys: bool = False) -> str | None:
    """Return compact JSON, or None for a value that is nested too deep for Python.

    Examples
    --------
    >>> json_text({"b": [1, 2.5, None], "a": 10**30})
    '{"b":[1,2.5,null],"a":1000000000000000000000000000000}'
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None).decode()
    except TypeError:
        pass  # an integer beyond 64 bits, a lone surrogate, or deep nesting: the slower writer takes the first two
    try:
        return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    except RecursionError:
        return None


def object_text(fields: Mapping[str, Any]) -> str:
    """Return a JSON object with sorted keys; a value nested too deep is replaced by :data:`TOO_DEEP`.

    Examples
    --------
    >>> object_text({"b": 1, "a": None})
    '{"a":null,"b":1}'
    """
    whole = json_text(fields, sort_keys=True)
    if whole is not None:
        return whole
    parts = (
        f"{json_text(name)}:{json_text(fields[name], sort_keys=True) or json_text(TOO_DEEP)}" for name in sorted(fields)
    )
    return "{" + ",".join(parts) + "}"


def _plain(value: Any) -> Any:
    """Replace what JSON or UTF-8 cannot encode."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {text(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


def _document(value: object) -> str | None:
    return json_text(value) if isinstance(value, list | dict) else None


_BY_KIND: Final[Mapping[Kind, Callable[[object], Any]]] = MappingProxyType(
    {"text": text, "json": _document, "count": count, "flag": flag, "number": number, "time": time}
)


def value(sent: object, kind: Kind) -> tuple[Any, bool]:
    """Return a value as its kind, and whether it was refused: it is neither missing nor of that kind.

    Examples
    --------
    >>> value("2", "count"), value("many", "count"), value(float("nan"), "number")
    ((2, False), (None, True), (None, False))
    """
    typed = None if sent is None else _BY_KIND[kind](sent)
    return typed, typed is None and sent is not None and not (isinstance(sent, float) and not math.isfinite(sent))
