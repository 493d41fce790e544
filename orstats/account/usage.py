"""``usage``: the account's own figures by key, member, app and other dimensions, without any id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats._warn import warn_caller
from orstats.account.analytics import AnalyticsQuery, Filters, as_filters, count_of, name_of, time_of, usd_of
from orstats.account.key_filter import with_key_ids
from orstats.account.time_range import Moment, named_start_and_end, span
from orstats.account.time_windows import Window, bisect, cut
from orstats.account.usage_metrics import DIMENSIONS, METRICS, RECENT_DIMENSIONS, dimensions_of, metrics_of
from orstats.api.client import Client
from orstats.errors import BadResponseError, ConfigError, ServerError
from orstats.fetching.progress import Progress
from orstats.frame import money
from orstats.frame.display import ReportFrame
from orstats.reports.coverage import COVERS_RANGE, PROVENANCE
from orstats.reports.incomplete_periods import incomplete_in_report
from orstats.reports.periods import PERIOD, Freq, all_periods, freq_of, period_moments, period_starts
from orstats.text.time_zones import clock, offsets, zone_of

#: The vendor's longest ranges of one query.
_LONG: Final = timedelta(days=365)
_RECENT: Final = timedelta(days=31)
_BY_MINUTES: Final = timedelta(hours=3)
_HOUR: Final = np.timedelta64(1, "h")
_SECOND: Final = timedelta(seconds=1)
_BAR: Final = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"

_Key = tuple[Any, ...]
_Sums = dict[str, float]


@named_start_and_end
def usage(
    by: str | Sequence[str] | None = "model",
    *,
    start: Moment | None = None,
    end: Moment = "now",
    metrics: Sequence[str] | None = None,
    freq: str | None = None,
    tz: str = "UTC",
    filters: Filters | None = None,
    client: Client | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the account's own figures in a time range, without any id. Needs a management key.

    Which of your keys, members or applications spends, on which models, day by day. A generation's record has none of
    these; the account's analytics do.

    Parameters
    ----------
    by : str or list of str, optional
        Up to two of ``model``, ``variant``, ``api_key``, ``user``, ``workspace``, ``app``, ``provider``, ``origin``,
        ``country``, ``finish_reason``, ``external_user`` and ``context_length_bucket``. None for totals only.
    start, end : datetime, date or str
        The time range, as for :func:`orstats.list_ids`; `start` is required, and `end` is exclusive.
    metrics : list of str, optional
        The API's names of metrics, such as ``cached_tokens`` or ``p90_latency`` (``Client.analytics_meta()`` lists
        them). By default generations, cost and tokens.
    freq : str, optional
        ``hour``, ``day``, ``week`` (from Monday), ``month``, ``quarter`` or ``year``, or h, D, W, M, Q, Y: also group
        by time of creation.
    tz : str
        Time zone of the periods, and of dates and words in `start` and `end`.
    filters : mapping or list of mappings, optional
        As for :func:`orstats.list_ids`.
    client : Client, optional
        By default, a client configured from the environment.
    progress : bool, optional
        Show a progress bar. Default: where many requests are needed, when stderr is a terminal, or in a notebook.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``period`` (with `freq`) and `by`, named as the API names them, the most expensive first. Counts are
        ``Int64`` and amounts ``float64`` in US dollars: ``generations``, ``cost_usd`` (charged plus BYOK),
        ``charged_usd``, ``byok_usd``, ``native_tokens_prompt``, ``native_tokens_completion``; other metrics carry
        their units, too. ``.attrs["requests"]`` is the number of requests that were needed, and ``.attrs["note"]`` says
        when the first or the last period is incomplete.

    Raises
    ------
    ConfigError
        More than two dimensions, an unknown dimension, metric or period, or a missing or invalid range.
    ForbiddenError
        The key is not a management key. The message says where to create one.
    ApiError
        A request failed after all retries.

    Warns
    -----
    UserWarning
        Percentiles or rates of a group came in several responses, which cannot be combined (they are missing then);
        several keys, users, apps or workspaces share one name and are added up; or the API issued a warning.

    Notes
    -----
    One request covers 365 days, or 31 for the dimensions from ``provider`` on, for rates and for latencies. Longer
    ranges and truncated responses are requested in parts and added up. Periods in another time zone than UTC are added
    up from hours, weeks from days, quarters and years from months. Where a time zone is not whole hours from UTC, such
    as Asia/Kolkata, each period needs a request, and hours need one for every three of them.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(500) as sim:
    ...     by_key = orstats.usage("api_key", start="7d", end="now", client=sim.client())
    >>> by_key.index.name, by_key["generations"].dtype.name
    ('api_key', 'Int64')
    """
    if start is None:
        raise ConfigError("usage needs start=, such as start='7d'.")
    dimensions = dimensions_of(by)
    chosen = metrics_of(metrics)
    period = None if freq is None else freq_of(freq)
    zone = zone_of(tz)
    first, last = span(start, end, tz=tz)
    wanted = as_filters(filters)
    with ExitStack() as stack:
        client = client or stack.enter_context(Client())
        query = AnalyticsQuery(client, with_key_ids(wanted, client))
        table = _Table(query, dimensions, chosen, period, zone)
        table.read(first, last, progress)
    result = table.frame()
    source = f"{client.settings.host}, analytics of the account"
    asked = {"source": source, "since": first.isoformat(), "until": last.isoformat()}
    result.attrs |= {PROVENANCE: asked, COVERS_RANGE: True}
    if incomplete := incomplete_in_report(result):
        result.attrs["note"] = " ".join(one.sentence for one in incomplete)
    return result


class _Table:
    """The sums so far, by period and group."""

    def __init__(
        self, query: AnalyticsQuery, dimensions: Sequence[str], metrics: Sequence[str], freq: Freq | None, zone: str
    ) -> None:
        self._query = query
        self._dimensions = list(dimensions)
        self._metrics = list(metrics)
        self._freq = freq
        self._zone = zone
        self._is_off_hours = False  # periods do not begin at the hours of UTC
        self._sums: dict[_Key, _Sums] = defaultdict(dict)
        self._shared: set[str] = set()
        self._lost: set[str] = set()  # rates that came more than once for a group

    def read(self, start: datetime, end: datetime, progress: bool | None) -> None:
        """Request a range, in as few parts as the API allows."""
        recent = any(name in RECENT_DIMENSIONS for name in self._dimensions)
        recent |= any(METRICS[name].recent for name in self._metrics)
        windows = self._windows(start, end, _RECENT if recent else _LONG)
        visible = False if progress is None and not self._is_off_hours else progress
        with Progress((end - start) // _SECOND, visible, bar_format=_BAR) as bar:
            for window, rows in self._responses(windows):
                self._add(rows, window.start)
                bar.show((window.end - start) // _SECOND)
        if self._shared:
            warn_caller(
                f"Several of the account's {' and '.join(sorted(self._shared))} values share a name; "
                "their figures are added up."
            )
        if self._lost:
            warn_caller(
                f"{', '.join(sorted(self._lost))} cannot be combined from several responses and is missing for those "
                "groups. Request a shorter range, or fewer groups."
            )

    def _windows(self, start: datetime, end: datetime, longest: timedelta) -> list[Window]:
        """Divide a range into parts that the API answers, or into the periods where it cannot add them up."""
        if self._freq is None:
            return cut(start, end, longest)
        ends = pd.DatetimeIndex([start, end]).tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]")
        table = offsets(self._zone)
        first, last = table.at(ends)
        self._is_off_hours = bool((table.offsets[first : last + 1] % _HOUR).any())
        if not self._is_off_hours:
            return cut(start, end, longest)
        if self._freq == "hour":
            return cut(start, end, _BY_MINUTES)
        started = all_periods(period_starts(ends, self._freq, self._zone), self._freq, self._zone)
        moments = pd.DatetimeIndex(period_moments(started, self._freq, self._zone), tz="UTC")
        edges = [start, *(one for one in moments.to_pydatetime() if start < one < end), end]
        return [part for began, ended in pairwise(edges) for part in cut(began, ended, longest)]

    def _responses(self, pending: list[Window]) -> Iterator[tuple[Window, list[dict[str, Any]]]]:
        """Yield windows and their complete responses, dividing those whose response is truncated or too slow."""
        while pending:
            window = pending.pop(0)
            response = self._query.run(
                window,
                self._metrics,
                dimensions=[DIMENSIONS.get(name, name) for name in self._dimensions],
                granularity=self._granularity,
            )
            if response is not None and not response[1]:
                yield window, response[0]
                continue
            pieces = bisect(window)
            if pieces == [window]:
                raise ServerError(
                    f"The API does not return all groups of the minute starting {window.start:%Y-%m-%d %H:%M} UTC. "
                    "Group by fewer dimensions, or pass filters=.",
                    status=200,
                    retryable=False,
                )
            pending[:0] = pieces

    @property
    def _granularity(self) -> str | None:
        """The API's periods are in UTC, it has no quarters and years, and does not say on which day its weeks begin."""
        if self._freq is None:
            return None
        if self._is_off_hours:
            return "minute" if self._freq == "hour" else None
        if self._zone != "UTC":
            return "hour"
        return {"week": "day", "quarter": "month", "year": "month"}.get(self._freq, self._freq)

    def _add(self, rows: Sequence[Mapping[str, Any]], began: datetime) -> None:
        seen: set[_Key] = set()
        has_time = self._granularity is not None
        for row in rows:
            at = time_of(row) if has_time else None if self._freq is None else began
            if has_time and at is None:
                raise BadResponseError("A row of the API's usage has no time.", status=200)
            key = (at, *(name_of(row, DIMENSIONS.get(name, name)) for name in self._dimensions))
            if key in seen:
                self._shared |= {"api_key", "user", "app", "workspace"} & set(self._dimensions)
            seen.add(key)
            sums = self._sums[key]
            for name in self._metrics:
                value = row.get(name)
                if METRICS[name].kind == "rate":
                    self._lost |= {name} if name in sums else set()
                    sums[name] = np.nan if name in sums or value is None else usd_of(row, name)
                elif value is not None:
                    number = count_of(row, name) if METRICS[name].kind == "count" else usd_of(row, name)
                    sums[name] = sums.get(name, 0) + number

    def frame(self) -> pd.DataFrame:
        """Return the table, with its periods in the requested time zone."""
        names = [METRICS[name].column for name in self._metrics]
        rows = pd.DataFrame([[sums.get(name) for name in self._metrics] for sums in self._sums.values()], columns=names)
        kinds = {METRICS[name].column: METRICS[name].kind for name in self._metrics}
        rows = rows.astype({name: "Int64" if kind == "count" else "float64" for name, kind in kinds.items()})
        keys = list(self._dimensions)
        for place, name in enumerate(self._dimensions, 1):
            rows[name] = pd.array([key[place] for key in self._sums], dtype="string")
        if self._freq is not None:
            utc = (
                pd.DatetimeIndex([key[0] for key in self._sums], tz="UTC").tz_localize(None).to_numpy("datetime64[us]")
            )
            began = period_starts(utc, self._freq, self._zone)
            rows[PERIOD] = pd.DatetimeIndex(period_moments(began, self._freq, self._zone), tz="UTC").tz_convert(
                clock(self._zone)
            )
            keys = [PERIOD, *keys]
            rows = self._regrouped(rows, keys, kinds)
        for name in (name for name, kind in kinds.items() if kind == "usd"):
            rows[name] = money.rounded(rows[name].to_numpy())
        if keys:
            rows = rows.set_index(keys)
        first = names[next((at for at, name in enumerate(self._metrics) if METRICS[name].kind == "usd"), 0)]
        order = rows.sort_values(first, ascending=False, kind="stable", na_position="last")
        if self._freq is not None:
            order = order.sort_index(level=PERIOD, sort_remaining=False, kind="stable")
        result = ReportFrame(order)
        result.attrs = {"requests": self._query.requests}
        if self._freq is not None:
            result.attrs["coverage"] = {"freq": self._freq, "tz": self._zone}
        return result

    def _regrouped(self, rows: pd.DataFrame, keys: list[str], kinds: Mapping[str, str]) -> pd.DataFrame:
        """Add up hours and months to the requested periods; rates of several are missing."""
        groups = rows.groupby(keys, dropna=False, sort=False)
        summed = groups[[name for name, kind in kinds.items() if kind != "rate"]].sum(min_count=1)
        alone = groups.size() == 1
        for name, kind in kinds.items():
            if kind == "rate":
                summed[name] = groups[name].first().where(alone)
        return summed[list(kinds)].reset_index()
