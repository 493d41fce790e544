"""Request the account's own totals per UTC day and model, which the sums of generations should equal.

Completed days of the last 30 come from ``/activity`` and from ``/analytics/query``. Either may omit a model, so for
each model the source with the larger total is used. ``/activity`` also omits requests that no provider served. All
other days, and partial days at the ends of a range, come from the analytics only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import pandas as pd

from orstats._warn import warn_caller
from orstats.account.analytics import MAX_ROWS, ROUNDING_USD, AnalyticsQuery, count_of, time_of, usd_of
from orstats.account.time_windows import Window, bisect, contiguous
from orstats.api.client import Client
from orstats.errors import BadResponseError, ServerError

_DAY: Final = timedelta(days=1)
_ACTIVITY_DAYS: Final = 30
_LONGEST: Final = timedelta(days=31)
_METRICS: Final = ("request_count", "credits_usage", "byok_usage")

_SCHEMA: Final = {"requests": "Int64", "credits_usd": "float64", "byok_usd": "float64", "source": "string"}
_Key = tuple[datetime, str]


def account_totals(
    start: datetime, end: datetime, client: Client | None = None, *, models: Collection[str] = frozenset()
) -> pd.DataFrame:
    """Return the account's own totals of a time range."""
    with ExitStack() as stack:
        return _totals(start, end, client or stack.enter_context(Client()), models)


def _totals(start: datetime, end: datetime, client: Client, models: Collection[str]) -> pd.DataFrame:
    today = _midnight(datetime.now(UTC))
    from_activity = set(_whole_days(max(start, today - _ACTIVITY_DAYS * _DAY), min(end, today)))
    others = set(_whole_days(start, end)) - from_activity
    names = _Names(models)
    query = AnalyticsQuery(client, [])
    totals: _Totals = defaultdict(_Total)
    if from_activity:
        for row in client.activity():
            day, model, total = _read_activity(row, names)
            if day in from_activity:
                totals[day, model].add(total)
        counted: _Totals = defaultdict(_Total)
        for window in _whole_windows(from_activity):
            for day, model, total in _request(query, window, names):
                counted[day, model].add(total)
        _take_larger(totals, counted)
    for window in sorted(_whole_windows(others) + _partial_days(start, end)):
        for day, model, total in _request(query, window, names):
            totals[day, model].add(total)
    return _frame(totals)


def _take_larger(activity: _Totals, analytics: _Totals) -> None:
    """Replace the activity's totals of a model where the analytics have more, and add the models that it omits."""
    days_of: dict[str, list[_Key]] = defaultdict(list)
    for key in {**activity, **analytics}:
        days_of[key[1]].append(key)
    unnamed = [model for model, keys in days_of.items() if "/" in model and not any(key in analytics for key in keys)]
    for model, keys in days_of.items():
        ours, theirs = ([side.get(key, _Total()) for key in keys] for side in (activity, analytics))
        if not any(key in activity for key in keys):
            # Analytics may use a title for a model that they do not list by name.
            if "/" in model or not unnamed:
                activity |= {key: analytics[key] for key in keys}
        elif all(abs(one.usd - other.usd) < ROUNDING_USD for one, other in zip(ours, theirs, strict=True)):
            if sum(one.requests for one in theirs) > sum(one.requests for one in ours):  # no provider served some
                for key, one in zip(keys, theirs, strict=True):
                    activity.setdefault(key, one).requests = one.requests
        elif _more(theirs, ours):
            for key in keys:
                activity.pop(key, None)
            activity |= {key: analytics[key] for key in keys if key in analytics}


def _more(these: list[_Total], those: list[_Total]) -> bool:
    """Compare over all days, because a call that runs past midnight may be counted on either."""
    difference = sum(one.usd for one in these) - sum(one.usd for one in those)
    requests = sum(one.requests for one in these) - sum(one.requests for one in those)
    return difference > ROUNDING_USD or (abs(difference) <= ROUNDING_USD and requests > 0)


@dataclass(slots=True)
class _Total:
    """Sums of one day and model."""

    requests: int = 0
    credits_usd: float = 0.0
    byok_usd: float = 0.0
    source: str = ""

    @property
    def usd(self) -> float:
        return self.credits_usd + self.byok_usd

    def add(self, other: _Total) -> None:
        self.requests += other.requests
        self.credits_usd += other.credits_usd
        self.byok_usd += other.byok_usd
        self.source = other.source


_Totals = defaultdict[_Key, _Total]


class _Names:
    """Chooses one of the several names that the account uses for a model and variant."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._aliases: dict[str, str] = {}

    def of(self, *names: object, variant: object = None) -> str:
        """Return one name for a model with these names. A suffix such as ``:free`` applies to all of them."""
        given = [name for name in names if isinstance(name, str) and name]
        suffixes = [name[name.index(":") :] for name in given if ":" in name]
        if isinstance(variant, str) and variant not in ("", "standard"):
            suffixes.append(f":{variant}")
        if suffixes:
            given = [name if ":" in name else name + suffixes[0] for name in given]
        if not given:
            return ""
        preferred = next((name for name in given if name in self._known), given[0])
        name = self._aliases.get(preferred, preferred)
        self._aliases |= dict.fromkeys(given, name)
        return name


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC)


def _whole_days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = _midnight(start)
    if day < start:
        day += _DAY
    while day + _DAY <= end:
        yield day
        day += _DAY


def _whole_windows(days: Iterable[datetime]) -> list[Window]:
    """Group whole days that follow each other into windows."""
    groups = contiguous((Window(day, day + _DAY) for day in sorted(days)), _LONGEST)
    return [Window(group[0].start, group[-1].end) for group in groups]


def _partial_days(start: datetime, end: datetime) -> list[Window]:
    """Return the parts of days at the ends of a range."""
    first, last = _midnight(start), _midnight(end)
    if first == last:
        return [Window(start, end)]
    windows = [Window(start, first + _DAY)] if first < start else []
    return windows + ([Window(last, end)] if last < end else [])


def _read_activity(row: dict[str, Any], names: _Names) -> tuple[datetime, str, _Total]:
    charged, byok = usd_of(row, "usage"), usd_of(row, "byok_usage_inference")
    model = names.of(row.get("model_permaslug"), row.get("model"))
    return _day(row.get("date")), model, _Total(count_of(row, "requests"), charged, byok, "activity")


def _day(text: object) -> datetime:
    shown = text[:40] if isinstance(text, str) else type(text).__name__
    try:
        return _midnight(datetime.fromisoformat(shown))
    except ValueError:
        raise BadResponseError(f"The API sent {shown!r} as a day of its activity.", status=200) from None


def _request(query: AnalyticsQuery, window: Window, names: _Names) -> Iterator[tuple[datetime, str, _Total]]:
    # Part of a day is summed from its generations only when hours are requested, otherwise from the sums of days.
    granularity = "day" if window.length >= _DAY else "hour"
    response = query.run(window, _METRICS, dimensions=["model", "variant"], granularity=granularity)
    rows, truncated = response or ([], True)
    if truncated:
        smaller = bisect(window) if window.length < 2 * _DAY else _halves_of_days(window)
        if len(smaller) > 1:
            for half in smaller:
                yield from _request(query, half, names)
            return
        if response is None:
            raise ServerError(f"HTTP 408 for /analytics/query, even for {window.length}.", status=408, retryable=True)
        warn_caller(f"More than {MAX_ROWS:,} models in a minute: the account's totals are incomplete.")
    for row in rows:
        at = time_of(row)
        if at is None:
            raise BadResponseError("A row of the API's usage by time has no time.", status=200)
        model = names.of(row.get("model"), variant=row.get("variant"))
        charged, byok = usd_of(row, "credits_usage"), usd_of(row, "byok_usage")
        yield _midnight(at), model, _Total(count_of(row, "request_count"), charged, byok, "analytics")


def _halves_of_days(window: Window) -> list[Window]:
    middle = _midnight(window.start + window.length / 2)
    return [Window(window.start, middle), Window(middle, window.end)]


def _frame(totals: dict[_Key, _Total]) -> pd.DataFrame:
    days = pd.DatetimeIndex([day for day, _ in totals], tz="UTC").as_unit("us")
    models = pd.array([model for _, model in totals], dtype="string")
    index = pd.MultiIndex.from_arrays([days, models], names=["day", "model"])
    columns = {name: [getattr(total, name) for total in totals.values()] for name in _SCHEMA}
    return pd.DataFrame(columns, index=index).astype(_SCHEMA).sort_index()
