"""The account's own totals per UTC day and model: what a sum of generations should agree with.

Completed days of the last 30 come from ``/activity`` and from ``/analytics/query``. Either may omit a model, so that
for each model the source with the larger total is used. ``/activity`` also omits requests that no provider served. All
other days, and partial days at the ends of a range, come from the analytics only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import pandas as pd

from orstats._warn import warn_caller
from orstats.account.analytics import MOST_ROWS, AnalyticsQuery, count_of, time_of, usd_of
from orstats.account.time_windows import Window, bisect
from orstats.api.client import Client
from orstats.errors import BadResponseError, ServerError

_DAY: Final = timedelta(days=1)
_ACTIVITY_DAYS: Final = 30
_LONGEST: Final = timedelta(days=31)
#: Amounts are sent with ten decimals, and are sums of numbers with fewer.
_ROUNDING_USD: Final = 1e-6
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
    today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    totals: _Totals = defaultdict(_Total)
    from_activity = set(_whole_days(max(start, today - _ACTIVITY_DAYS * _DAY), min(end, today)))
    names = _Names(models)
    usage = AnalyticsQuery(client, [])
    if from_activity:
        for row in client.activity():
            day, model, total = _read_activity(row, names)
            if day in from_activity:
                totals[day, model].add(total)
        counted: _Totals = defaultdict(_Total)
        for window in _rest(start, end, set(_whole_days(start, end)) - from_activity):
            if window.length >= _DAY:
                for day, model, total in _ask(usage, window, names):
                    counted[day, model].add(total)
        _take_larger(totals, counted)
    for window in _rest(start, end, from_activity):
        for day, model, total in _ask(usage, window, names):
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
            # Analytics may call models by their titles: one of the models that they do not name, then.
            if "/" in model or not unnamed:
                activity |= {key: analytics[key] for key in keys}
        elif all(abs(one.usd - other.usd) < _ROUNDING_USD for one, other in zip(ours, theirs, strict=True)):
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
    return difference > _ROUNDING_USD or (abs(difference) <= _ROUNDING_USD and requests > 0)


class _Total:
    """Sums of one day and model."""

    def __init__(self, requests: int = 0, credits_usd: float = 0.0, byok_usd: float = 0.0, source: str = "") -> None:
        self.requests, self.credits_usd, self.byok_usd, self.source = requests, credits_usd, byok_usd, source

    @property
    def usd(self) -> float:
        """All that was charged."""
        return self.credits_usd + self.byok_usd

    def add(self, other: _Total) -> None:
        self.requests += other.requests
        self.credits_usd += other.credits_usd
        self.byok_usd += other.byok_usd
        self.source = other.source


_Totals = defaultdict[_Key, _Total]


class _Names:
    """One name for each model and variant, of the several that the account uses."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._aliases: dict[str, str] = {}

    def of(self, *names: object, variant: object = None) -> str:
        """Return the name of a model that is called by all of these. A suffix such as ``:free`` counts for all."""
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


def _whole_days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = datetime.combine(start.date(), time(), UTC)
    if day < start:
        day += _DAY
    while day + _DAY <= end:
        yield day
        day += _DAY


def _rest(start: datetime, end: datetime, without: set[datetime]) -> Iterator[Window]:
    """Give the range without some of its days, in windows that are each a part of one day, or whole days."""
    days = set(_whole_days(start, end))
    begun: datetime | None = None
    at = start
    while at < end:
        day = datetime.combine(at.date(), time(), UTC)
        to = min(day + _DAY, end)
        whole = day in days and day not in without
        if begun is not None and at - begun == _LONGEST:
            yield Window(begun, at)
            begun = None
        if whole:
            begun = begun or at
        else:
            if begun is not None:
                yield Window(begun, at)
                begun = None
            if day not in without:
                yield Window(at, to)
        at = to
    if begun is not None:
        yield Window(begun, at)


def _read_activity(row: dict[str, Any], names: _Names) -> tuple[datetime, str, _Total]:
    charged, byok = usd_of(row, "usage"), usd_of(row, "byok_usage_inference")
    model = names.of(row.get("model_permaslug"), row.get("model"))
    return _day(row.get("date")), model, _Total(count_of(row, "requests"), charged, byok, "activity")


def _day(text: object) -> datetime:
    shown = text[:40] if isinstance(text, str) else type(text).__name__
    try:
        return datetime.combine(datetime.fromisoformat(shown).date(), time(), UTC)
    except ValueError:
        raise BadResponseError(f"The API sent {shown!r} as a day of its activity.", status=200) from None


def _ask(usage: AnalyticsQuery, window: Window, names: _Names) -> Iterator[tuple[datetime, str, _Total]]:
    # A part of a day must be read from the generations, not from the sums of days: hours make sure of that.
    whole = window.length >= _DAY
    answer = usage.run(window, _METRICS, dimensions=["model", "variant"], granularity="day" if whole else "hour")
    rows, truncated = answer if answer is not None else ([], True)
    if truncated:
        smaller = bisect(window) if window.length < 2 * _DAY else _halves_of_days(window)
        if len(smaller) > 1:
            for half in smaller:
                yield from _ask(usage, half, names)
            return
        if answer is None:
            raise ServerError(f"HTTP 408 for /analytics/query, even for {window.length}.", status=408, retryable=True)
        warn_caller(f"More than {MOST_ROWS:,} models in a minute: the account's totals are not complete.")
    for row in rows:
        at = time_of(row)
        if at is None:
            raise BadResponseError("The API's usage by time does not name its time.", status=200)
        model = names.of(row.get("model"), variant=row.get("variant"))
        charged, byok = usd_of(row, "credits_usage"), usd_of(row, "byok_usage")
        total = _Total(count_of(row, "request_count"), charged, byok, "analytics")
        yield datetime.combine(at.date(), time(), UTC), model, total


def _halves_of_days(window: Window) -> list[Window]:
    middle = datetime.combine((window.start + window.length / 2).date(), time(), UTC)
    return [Window(window.start, middle), Window(middle, window.end)]


def _frame(totals: dict[_Key, _Total]) -> pd.DataFrame:
    days = pd.DatetimeIndex([day for day, _ in totals], tz="UTC").as_unit("us")
    models = pd.array([model for _, model in totals], dtype="string")
    index = pd.MultiIndex.from_arrays([days, models], names=["day", "model"])
    columns = {name: [getattr(total, name) for total in totals.values()] for name in _SCHEMA}
    return pd.DataFrame(columns, index=index).astype(_SCHEMA).sort_index()
