"""``POST /analytics/query`` and ``GET /analytics/meta``: aggregates of the account, down to single generations.

Rules from the vendor's documentation: at least one metric, at most 2 dimensions and 20 filters; some metrics and
dimensions reach back 31 days, the others 365; minutes only within 3 hours; 1,000 rows by default and never
more than 10,000, and ``truncated`` is true when rows are missing; 64 requests a minute. Management keys only.
"""

from __future__ import annotations

import functools
import operator
import re
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from orstats.sim.analytics_fields import METRICS, Dimension, dimensions_of
from orstats.sim.dataset.timeline import SECOND_US, microseconds
from orstats.sim.http import Reply, Request, error_reply, json_reply
from orstats.sim.ledger import Entry
from orstats.sim.request_bodies import QUERY, fits

if TYPE_CHECKING:
    from orstats.sim.state import AccountState
GRANULARITIES = ("minute", "hour", "day", "week", "month")
_SCALAR: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_ARRAY = ("in", "not_in")
_MOST_DIMENSIONS, _MOST_FILTERS = 2, 20
_ROWS, _MOST_ROWS = 1_000, 10_000
_RECENT, _LONG, _MINUTES = timedelta(days=31), timedelta(days=365), timedelta(hours=3)
_DEFAULT_RANGE = timedelta(days=7)
_MINUTE_US = 60 * SECOND_US
# Seconds must be given; timestamps to the minute are rejected.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class QueryError(ValueError):
    """Raised when a query breaks a rule; the message goes to the client."""


@dataclass(frozen=True, slots=True)
class Query:
    """A valid query."""

    metrics: list[str]
    dimensions: list[str]
    granularity: str | None
    start_us: int
    end_us: int
    keep: list[Callable[[Entry], bool]]
    order: tuple[str, bool] | None
    limit: int
    group_limit: int | None
    time_key: str


def meta(state: AccountState, _request: Request, _role: object) -> Reply:
    """Answer ``GET /analytics/meta``: the available metrics, dimensions, operators and granularities."""
    dimensions = dimensions_of(state.account.identifier)
    data = {
        "metrics": [
            {"name": name, "display_label": metric.label, "is_rate": metric.rate, "display_format": metric.show}
            for name, metric in METRICS.items()
        ],
        "dimensions": [{"name": name, "display_label": dimension.label} for name, dimension in dimensions.items()],
        "operators": [
            *({"name": name, "value_type": "scalar"} for name in _SCALAR),
            *({"name": name, "value_type": "array"} for name in _ARRAY),
        ],
        "granularities": [{"name": name, "display_label": name.capitalize()} for name in GRANULARITIES],
    }
    return json_reply(200, {"data": data})


def query(state: AccountState, request: Request, _role: object) -> Reply | Awaitable[Reply]:
    """Answer ``POST /analytics/query``."""
    dimensions = dimensions_of(state.account.identifier)
    try:
        spec = read_query(orjson.loads(request.body), dimensions, state.today)
        if state.analytics_until_us is not None:
            spec = replace(spec, end_us=max(spec.start_us, min(spec.end_us, state.analytics_until_us)))
    except QueryError as error:
        return error_reply(400, str(error))
    except (orjson.JSONDecodeError, KeyError, ValueError):
        return error_reply(400)

    def run(entries: Sequence[Entry]) -> Reply:
        begun = time.perf_counter()
        rows = run_query(spec, entries, dimensions)
        metadata = {
            "query_time_ms": round((time.perf_counter() - begun) * 1000, 3),
            "row_count": min(len(rows), spec.limit),
            "truncated": len(rows) > spec.limit,
        }
        return json_reply(200, {"data": {"data": rows[: spec.limit], "metadata": metadata}})

    return state.with_ledger(run)


def read_query(body: dict[str, Any], dimensions: dict[str, Dimension], until: datetime) -> Query:
    """Check a query; without a time range it covers the 7 days before ``until``.

    A broken rule raises QueryError, a wrong shape KeyError or another ValueError.
    """
    if not fits(body, QUERY):
        raise ValueError("not a query")
    metrics, by, filters = body["metrics"], body.get("dimensions", []), body.get("filters", [])
    granularity = body.get("granularity")
    if not metrics:
        raise QueryError("At least one metric is required")
    _known("metric", metrics, METRICS)
    _known("dimension", [*by, *(entry["field"] for entry in filters)], dimensions)
    if body.keys() & {"classifier_dimensions", "classifier_filters"}:
        # Ignoring a filter would return wrong sums.
        raise QueryError("No classifier is active")
    if granularity is not None:
        _known("granularity", [granularity], GRANULARITIES)
    if len(by) > _MOST_DIMENSIONS:
        raise QueryError(f"At most {_MOST_DIMENSIONS} dimensions are allowed")
    if len(filters) > _MOST_FILTERS:
        raise QueryError(f"At most {_MOST_FILTERS} filters are allowed")
    named = [METRICS[name].recent for name in metrics]
    named += [dimensions[name].recent for name in [*by, *(entry["field"] for entry in filters)]]
    start, end = _range(body.get("time_range"), until)
    most = _MINUTES if granularity == "minute" else _RECENT if any(named) else _LONG
    if end - start > most:
        raise QueryError(
            f"Time range must not exceed {most.days} days" if most.days else "Minutes need 3 hours or less"
        )
    # Sums come from daily tables, which call their time "date"; the rest is read from the generations.
    time_key = f"{'created_at' if any(named) or granularity in ('minute', 'hour') else 'date'}__{granularity}"
    return Query(
        metrics=metrics,
        dimensions=by,
        granularity=granularity,
        start_us=microseconds(start),
        end_us=microseconds(end),
        keep=[_filter(entry, dimensions[entry["field"]]) for entry in filters],
        order=_order(body.get("order_by"), [*metrics, *by, "request_count"], time_key),
        limit=_rows(body.get("limit"), _ROWS),
        group_limit=_rows(body["group_limit"], _ROWS) if "group_limit" in body else None,
        time_key=time_key,
    )


def run_query(spec: Query, entries: Sequence[Entry], dimensions: dict[str, Dimension]) -> list[dict[str, Any]]:
    """Return all rows of a query, in order, before the limit of rows."""
    # Grouped by ids, as two keys may have one name.
    by = [dimensions[name] for name in spec.dimensions]
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    # The ledger is in time order.
    first = bisect_left(entries, spec.start_us, key=lambda entry: entry.created_us)
    last = bisect_left(entries, spec.end_us, first, key=lambda entry: entry.created_us)
    for entry in entries[first:last]:
        if all(keep(entry) for keep in spec.keep):
            bucket = _bucket(entry.created_us, spec.granularity) if spec.granularity else ""
            key = (bucket, *((one.show(entry), one.raw and one.raw(entry)) for one in by))
            groups.setdefault(key, []).append(entry)
    rows = []
    for (bucket, *shown), members in groups.items():
        row: dict[str, Any] = {spec.time_key: bucket} if spec.granularity else {}
        for name, dimension, (value, _) in zip(spec.dimensions, by, shown, strict=True):
            row[name] = value
            if dimension.extra is not None:
                row[dimension.extra[0]] = dimension.extra[1](members[0])
        row |= {name: METRICS[name].make(members) for name in spec.metrics}
        rows.append((row, METRICS["request_count"].make(members)))
    return _limit_groups(spec, _sort(spec, rows))


def _sort(spec: Query, rows: list[tuple[dict[str, Any], str]]) -> list[dict[str, Any]]:
    field, descending = spec.order or (spec.time_key if spec.granularity else spec.metrics[0], True)

    def rank(pair: tuple[dict[str, Any], str]) -> tuple[bool, float, str]:
        row, requests = pair
        value = row.get(field, requests)
        if field in METRICS:
            return value is None, float(value or 0), ""
        return False, 0.0, str(value)

    return [row for row, _ in sorted(rows, key=rank, reverse=descending)]


def _limit_groups(spec: Query, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if spec.group_limit is None or not spec.dimensions:
        return rows
    seen: dict[tuple[Any, ...], int] = {}
    kept = []
    for row in rows:
        key = tuple(row[name] for name in spec.dimensions)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= spec.group_limit:
            kept.append(row)
    return kept


def _known(what: str, names: Sequence[str], known: Any) -> None:
    for name in names:
        if name not in known:
            raise QueryError(f"Unknown {what}: {name}")


def _range(given: dict[str, str] | None, until: datetime) -> tuple[datetime, datetime]:
    if given is None:
        return until - _DEFAULT_RANGE, until
    for text in (given["start"], given["end"]):
        if not _TIMESTAMP.fullmatch(text):
            raise QueryError(f"Invalid timestamp: {text}")
    start, end = (datetime.fromisoformat(given[name]) for name in ("start", "end"))
    if start >= end:
        raise QueryError("Time range start must be before its end")
    return start, end


def _rows(value: float | None, default: int) -> int:
    if value is None:
        return default
    if not 1 <= value <= _MOST_ROWS:
        raise QueryError(f"Limits are integers from 1 to {_MOST_ROWS}")
    return int(value)


def _order(given: dict[str, str] | None, allowed: Sequence[str], time_key: str) -> tuple[str, bool] | None:
    if given is None:
        return None
    field, direction = given["field"], given["direction"]
    _known("direction", [direction], ("asc", "desc"))
    if field == "date":
        field = time_key
    else:
        _known("order field", [field], allowed)
    return field, direction == "desc"


def _filter(given: dict[str, Any], dimension: Dimension) -> Callable[[Entry], bool]:
    name: str = given["operator"]
    value = given["value"]
    if name in _ARRAY:
        if not isinstance(value, list):
            raise QueryError(f"Operator {name} needs an array")
        accepted = {_text(item) for item in value}
        unset: bool = given.get("include_unset", False)

        def within(entry: Entry) -> bool:
            own = dimension.value(entry)
            if own in (None, ""):
                return unset
            return (str(own) in accepted) == (name == "in")

        return within
    _known("operator", [name], _SCALAR)
    if isinstance(value, list):
        raise QueryError(f"Operator {name} needs a single value")
    compare = _SCALAR[name]
    text = _text(value)
    return lambda entry: bool(compare(str(dimension.value(entry)), text))


def _text(value: str | float) -> str:
    """Format a filter's value; 5 and 5.0 are one number in JSON, and clients send either."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _bucket(created_us: int, granularity: str) -> str:
    """Return the start of a moment's time bucket; weeks start on Monday."""
    return _bucket_of_minute(created_us // _MINUTE_US, granularity)


@functools.lru_cache(maxsize=4096)
def _bucket_of_minute(minute: int, granularity: str) -> str:
    # Cached, because the generations of a query are in time order.
    moment = datetime.fromtimestamp(minute * _MINUTE_US // SECOND_US, UTC)
    if granularity != "minute":
        moment = moment.replace(minute=0)
    if granularity in {"day", "week", "month"}:
        moment = moment.replace(hour=0)
    if granularity == "week":
        moment -= timedelta(days=moment.weekday())
    if granularity == "month":
        moment = moment.replace(day=1)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
