"""Questions to the account's analytics, and their answers made plain: counts are numbers, times are times."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from orstats._warn import warn_caller
from orstats.account.time_windows import Window
from orstats.api.client import Client
from orstats.api.response import quote
from orstats.errors import BadResponseError, ConfigError, ServerError

#: Rows that one answer has at most.
MOST_ROWS: Final = 10_000
_MOST_FILTERS: Final = 20
_TOO_MUCH: Final = 408
#: Milliseconds of the year 9999: later is no time.
_LAST_MS: Final = 253_000_000_000_000
_MOST: Final = 2**53
#: ``date__day``, ``created_at__hour``: which one, depends on where the vendor looks it up.
_TIME_KEY: Final = re.compile(r"(?:date|created_at)__(?:minute|hour|day|week|month)")

Filters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class AnalyticsQuery:
    """Asks one account; keeps count of its requests and passes the vendor's warnings on, each once."""

    def __init__(self, client: Client, filters: list[dict[str, Any]]) -> None:
        self.requests = 0
        #: Moment of the oldest answer from the vendor's cache so far.
        self.cached_at: datetime | None = None
        self._client = client
        self._filters = filters
        self._warned: set[str] = set()

    def run(
        self, window: Window, metrics: Sequence[str], *, dimensions: Sequence[str] = (), granularity: str | None = None
    ) -> tuple[list[dict[str, Any]], bool] | None:
        """Ask for one window."""
        query: dict[str, Any] = {
            "metrics": list(metrics),
            "time_range": {"start": _iso(window.start), "end": _iso(window.end)},
        }
        query |= {"dimensions": list(dimensions)} if dimensions else {}
        query |= {"granularity": granularity} if granularity else {}
        query |= {"filters": self._filters} if self._filters else {}
        answer = self._client.retry.call(lambda: self._once(query | {"limit": MOST_ROWS}))
        if answer is None:
            return None
        rows, metadata = answer.get("data"), answer.get("metadata") or {}
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadResponseError("The answer of /analytics/query has no rows in `data`.", status=200)
        self._pass_on(answer)
        truncated = metadata.get("truncated")
        return rows, truncated if isinstance(truncated, bool) else len(rows) >= MOST_ROWS

    def _once(self, query: dict[str, Any]) -> dict[str, Any] | None:
        self.requests += 1
        try:
            return self._client.ask_analytics(query)
        except ServerError as error:
            if error.status == _TOO_MUCH:
                return None
            raise

    def _pass_on(self, answer: dict[str, Any]) -> None:
        warned = answer.get("warnings")
        for text in warned if isinstance(warned, list) else ():
            if isinstance(text, str) and text not in self._warned:
                self._warned.add(text)
                warn_caller(f"The API warns: {quote(text)}")
        cached_ms = answer.get("cachedAt")
        if isinstance(cached_ms, int | float) and 0 < cached_ms < _LAST_MS:
            at = datetime.fromtimestamp(cached_ms / 1000, UTC)
            self.cached_at = at if self.cached_at is None else min(at, self.cached_at)


def as_filters(filters: Filters | None) -> list[dict[str, Any]]:
    """Return filters as the API wants them.

    Examples
    --------
    >>> as_filters({"model": "openai/gpt-4.1"})
    [{'field': 'model', 'operator': 'eq', 'value': 'openai/gpt-4.1'}]
    """
    if filters is None:
        return []
    if isinstance(filters, Mapping):
        found = [_filter(str(field), value) for field, value in filters.items()]
    elif isinstance(filters, Sequence) and not isinstance(filters, str | bytes):
        found = [
            dict(one) for one in filters if isinstance(one, Mapping) and {"field", "operator", "value"} <= set(one)
        ]
        if len(found) < len(filters):
            raise ConfigError("filters: each of a list needs field, operator and value.")
    else:
        raise ConfigError("filters: a mapping such as {'model': 'openai/gpt-4.1'}, or a list of the API's own filters.")
    if len(found) > _MOST_FILTERS:
        raise ConfigError(f"filters: at most {_MOST_FILTERS}, got {len(found)}.")
    return found


def _filter(field: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str | int | float):
        return {"field": field, "operator": "eq", "value": value}
    if isinstance(value, Sequence | set | frozenset) and all(isinstance(one, str | int | float) for one in value):
        return {"field": field, "operator": "in", "value": sorted(value, key=str)}
    raise ConfigError(f"filters: {field} needs a text, a number, or a list of them.")


def time_of(row: Mapping[str, Any]) -> datetime | None:
    """Return the start of the bucket that a row is about, whatever the API calls it.

    Examples
    --------
    >>> time_of({"date__day": "2026-05-19", "request_count": "3"}).isoformat()
    '2026-05-19T00:00:00+00:00'
    >>> time_of({"created_at__hour": "2026-05-19T07:00:00.000Z"}).hour
    7
    """
    for key, value in row.items():
        if _TIME_KEY.fullmatch(key) and isinstance(value, str):
            try:
                at = datetime.fromisoformat(value)
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            except (ValueError, OverflowError):
                break
    return None


def count_of(row: Mapping[str, Any], name: str) -> int:
    """Return a count, which the API sends as text; one that is absent or null is 0.

    Examples
    --------
    >>> count_of({"request_count": "1523"}, "request_count"), count_of({}, "request_count")
    (1523, 0)
    """
    return int(_number(row, name, int))


def usd_of(row: Mapping[str, Any], name: str) -> float:
    """Return an amount in USD; a component that is absent or null is 0 (the API's way to say that there is none)."""
    return float(_number(row, name, float))


def _number(row: Mapping[str, Any], name: str, kind: Callable[[Any], Any]) -> Any:
    value = row.get(name)
    try:
        found = kind(value) if value is not None else kind(0)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not abs(found) < _MOST:
        shown = value[:40] if isinstance(value, str) else type(value).__name__
        raise BadResponseError(f"The API sent {shown!r} as {name}.", status=200)
    return found


def _iso(moment: datetime) -> str:
    """Write a time with its seconds, as the API demands, and no more digits than needed."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
