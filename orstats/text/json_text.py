"""Parse JSON, also as programs write it that do not keep to its grammar."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

_MAX_DIGITS: Final = 20  # of a 64-bit integer
#: Half of a surrogate pair of ``\u`` escapes; complete pairs and escaped backslashes are skipped.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def parse_json(body: bytes) -> Any:
    r"""Parse JSON, and what most parsers accept: a byte order mark, NaN, infinities; half a character as U+FFFD.

    Raises
    ------
    orjson.JSONDecodeError
        It is not JSON.

    Examples
    --------
    >>> parse_json(b'\xef\xbb\xbf{"cost": NaN, "name": "\\ud83d"}')
    {'cost': nan, 'name': '�'}
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        repaired = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
        try:
            return json.loads(repaired.decode("utf-8-sig", "replace"), parse_int=_number)
        except (ValueError, RecursionError):
            raise error from None


def _number(digits: str) -> int | float:
    """Parse an integer as orjson does: as a float beyond 64 bits."""
    integer = int(digits) if len(digits) <= _MAX_DIGITS else None
    return integer if integer is not None and -(1 << 63) <= integer < 1 << 64 else float(digits)
