"""The wait that a server requires before the next request, in the spellings of APIs, proxies and gateways."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: In order of precedence, with the unit of plain numbers in seconds: the vendor's clients prefer the first one.
_WAITS: Final = (("retry-after-ms", 0.001), ("Retry-After", 1.0))
#: Some APIs send these with every response: they are a reason to wait only while nothing remains.
_RESETS: Final = (("X-RateLimit-Reset", 1.0), ("RateLimit-Reset", 1.0), ("X-RateLimit-Reset-After", 1.0))
_REMAINING: Final = ("X-RateLimit-Remaining", "RateLimit-Remaining")
#: Larger numbers are moments since 1970: nobody waits for 31 years. From the second one on (1973) they are in milli-,
#: micro- or nanoseconds.
_FIRST_MOMENT: Final = 1e9
_FIRST_MILLIS: Final = 1e11
_CLOCK_SLACK_S: Final = 2.0
#: Durations as Go writes them: 6m0s, 250ms.
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", re.ASCII)
_DURATION_PART = re.compile(r"([\d.]+)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that the server asks to wait, or None; 0 for a moment that has passed.

    Reads ``retry-after-ms``, as the vendor's clients do, then ``Retry-After`` and the headers of rate limits. Each may
    be a number of seconds, a moment since 1970, a duration such as ``1m30s``, or a date.

    Examples
    --------
    >>> retry_after({"Retry-After": "2"}, now=0.0)
    2.0
    >>> retry_after({"X-RateLimit-Reset": "1700000001500"}, now=1700000000.0)
    1.5
    """
    theirs = server_time(headers)  # in whole seconds: used only where this machine's clock is wrong
    if theirs is not None and abs(theirs - now) >= _CLOCK_SLACK_S:
        now = theirs
    for name, unit in _WAITS if _has_requests_left(headers) else _WAITS + _RESETS:
        text = headers.get(name)
        wait_s = None if text is None else _seconds(text.strip(), unit, now)
        if wait_s is not None:
            return max(0.0, wait_s)
    return None


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return the Unix seconds of the ``Date`` header, or None."""
    return _date(headers.get("Date", ""))


def _has_requests_left(headers: Mapping[str, str]) -> bool:
    remaining = (headers.get(name, "").strip() for name in _REMAINING)
    return any(text.isdecimal() and int(text[:18]) > 0 for text in remaining)


def _seconds(text: str, unit: float, now: float) -> float | None:
    """Return the wait that a header's text means, or None."""
    moment = _date(text)
    if moment is not None:
        return moment - now
    # A repeated header is joined with a comma: the longer wait is obeyed.
    waits = [_single(part.strip(), unit, now) for part in text.split(",")]
    return None if None in waits else max(wait for wait in waits if wait is not None)


def _single(text: str, unit: float, now: float) -> float | None:
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[name] for number, name in _DURATION_PART.findall(text))
    try:
        number = float(text.replace("_", "?"))  # Python reads 1_0 as 10
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    moment = number
    while moment >= _FIRST_MILLIS:
        moment /= 1000.0
    return moment - now if moment >= _FIRST_MOMENT else number * unit


def _date(text: str) -> float | None:
    """Return the Unix seconds of an HTTP date in any of its three forms, or of an ISO date; without a zone, in UTC."""
    if text.isdecimal():  # fromisoformat would read 20261129
        return None
    try:
        moment = datetime.fromisoformat(text) if text[:4].isdecimal() else parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
