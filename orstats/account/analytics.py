"""Queries of the account's analytics, and typed values from their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from orstats._warn import warn_caller
from orstats.account.time_windows import Window
from orstats.api.client import Client
from orstats.api.response import quote
from orstats.api.retry import Retry
from orstats.errors import BadResponseError, ConfigError, ServerError
from orstats.frame import json_values

MAX_ROWS: Final = 10_000
#: Amounts are sent with ten decimals, and are sums of numbers with fewer.
ROUNDING_USD: Final = 1e-6
_MAX_FILTERS: Final = 20
_TOO_SLOW: Final = 408
#: Milliseconds of the year 9999, the last that datetime can represent.
_LAST_MS: Final = 253_000_000_000_000
_MAX_NUMBER: Final = 2**53
_TIME_KEY: Final = re.compile(r"(?:date|created_at)__(?:minute|hour|day|week|month)")

Filters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class AnalyticsQuery:
    """Queries one account's analytics, counts the requests and issues each of the vendor's warnings once.

    By default, it retries like a single request: soon without a connection, and longer waits are logged as warnings.
    """

    def __init__(self, client: Client, filters: list[dict[str, Any]], retry: Retry | None = None) -> None:
        self.requests = 0
        #: Time of the oldest response from the vendor's cache so far.
        self.cached_at: datetime | None = None
        self._client = client
        self._retry = client.retry.for_one_request() if retry is None else retry
        self._filters = filters
        self._warned: set[str] = set()

    def run(
        self, window: Window, metrics: Sequence[str], *, dimensions: Sequence[str] = (), granularity: str | None = None
    ) -> tuple[list[dict[str, Any]], bool] | None:
        """Return the rows of one window and whether they are truncated; None when the API takes too long."""
        options = {"dimensions": list(dimensions), "granularity": granularity, "filters": self._filters}
        query = {
            "metrics": list(metrics),
            "time_range": {"start": _iso(window.start), "end": _iso(window.end)},
            "limit": MAX_ROWS,
            **{name: value for name, value in options.items() if value},
        }
        response = self._retry.call(lambda: self._once(query))
        if response is None:
            return None
        rows, metadata = response.get("data"), response.get("metadata") or {}
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadResponseError("The response of /analytics/query has no rows in `data`.", status=200)
        self._note_warnings(response)
        truncated = metadata.get("truncated")
        return rows, truncated if isinstance(truncated, bool) else len(rows) >= MAX_ROWS

    def _once(self, query: dict[str, Any]) -> dict[str, Any] | None:
        self.requests += 1
        try:
            return self._client.ask_analytics(query)
        except ServerError as error:
            if error.status == _TOO_SLOW:
                return None
            raise

    def _note_warnings(self, response: dict[str, Any]) -> None:
        warnings = response.get("warnings")
        for text in warnings if isinstance(warnings, list) else ():
            if isinstance(text, str) and text not in self._warned:
                self._warned.add(text)
                warn_caller(f"The API warns: {quote(text)}")
        cached_ms = response.get("cachedAt")
        if isinstance(cached_ms, int | float) and 0 < cached_ms < _LAST_MS:
            at = datetime.fromtimestamp(cached_ms / 1000, UTC)
            self.cached_at = at if self.cached_at is None else min(at, self.cached_at)


def as_filters(filters: Filters | None) -> list[dict[str, Any]]:
    """Return filters in the API's form.

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
            raise ConfigError("filters: each filter in a list must have field, operator and value.")
    else:
        raise ConfigError(
            "filters must be a mapping such as {'model': 'openai/gpt-4.1'} or a list of the API's filters, "
            f"got {type(filters).__name__}."
        )
    if len(found) > _MAX_FILTERS:
        raise ConfigError(f"filters must be at most {_MAX_FILTERS}, got {len(found)}.")
    return found


def _filter(field: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str | int | float):
        return {"field": field, "operator": "eq", "value": value}
    if isinstance(value, Sequence | set | frozenset) and all(isinstance(one, str | int | float) for one in value):
        return {"field": field, "operator": "in", "value": sorted(value, key=str)}
    raise ConfigError(f"filters: {field} must be text, a number or a list of them, got {type(value).__name__}.")


def time_of(row: Mapping[str, Any]) -> datetime | None:
    """Return the start of a row's time bucket, in whichever field the API sends it."""
    for key, value in row.items():
        if _TIME_KEY.fullmatch(key) and isinstance(value, str):
            try:
                at = datetime.fromisoformat(value)
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            except (ValueError, OverflowError):
                break
    return None


def count_of(row: Mapping[str, Any], name: str) -> int:
    """Return a count, which the API sends as text; a missing one is 0."""
    return int(_number(row, name, json_values.count))


def usd_of(row: Mapping[str, Any], name: str) -> float:
    """Return an amount in USD; a missing component is 0, as the API omits those that do not apply."""
    return float(_number(row, name, json_values.number))


def name_of(row: Mapping[str, Any], dimension: str) -> str | None:
    """Return the name that a row has for a dimension; None where the API has none."""
    value = row.get(dimension)
    return None if value is None or value == "" else str(value)


def _number(row: Mapping[str, Any], name: str, kind: Callable[[Any], float | None]) -> float:
    value = row.get(name)
    found = kind(value if value is not None else 0)
    if found is None or abs(found) >= _MAX_NUMBER:
        shown = str(value)[:40] if isinstance(value, str | int | float) else type(value).__name__
        raise BadResponseError(f"The API sent {shown!r} as {name}.", status=200)
    return found


def _iso(moment: datetime) -> str:
    """Write a time with seconds, which the API requires."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
