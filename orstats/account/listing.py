"""List an account's generations window by window, from the cache where a window is complete.

The account's analytics break its usage down by ``generation_id``: at most 10,000 rows per response, 31 days per
request, 64 requests per minute. So a range is requested as a whole first. Where the response is truncated, hours (or,
within three hours, minutes) are counted, and the range is cut so that each piece fits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orstats._warn import warn_caller
from orstats.account.analytics import AnalyticsQuery, count_of, name_of, time_of, usd_of
from orstats.account.listing_cache import Listing, Listings, Rows
from orstats.account.time_windows import MINUTE, Window, bisect, contiguous, cut, split_by_count, uncovered
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.errors import ApiError, BadRequestError, BadResponseError, MissingKeyError, ServerError
from orstats.fetching.progress import Progress
from orstats.ids.id_shapes import id_created_at

log = logging.getLogger("orstats.list_ids")

#: The vendor's limits for requests by generation, and by minute.
_LONGEST: Final = timedelta(days=31)
_LONGEST_BY_MINUTES: Final = timedelta(hours=3)
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
#: Analytics are delayed: only a window that ended this long ago is cached.
_SETTLED: Final = timedelta(days=1)
_COUNT: Final = "request_count"
_REACH: Final = (
    "The API may list single generations of the last 31 days only: start the range later, or use orstats.usage, which "
    "reaches back 365 days."
)


@dataclass(frozen=True, slots=True)
class ListedColumns:
    """What is listed of each generation besides its id: one of its dimensions, and its cost."""

    dimension: str | None = None
    columns: tuple[str, ...] = ()
    """The fields of the API's rows to keep: text, or a number for a metric."""
    metrics: tuple[str, ...] = ()


class Lister:
    """One listing: the generations so far, and how to get the rest."""

    def __init__(
        self, client: Client, archive: Archive | None, filters: list[dict[str, Any]], listed: ListedColumns
    ) -> None:
        self._client = client
        self._listed = listed
        self._cache = None if archive is None else _cache(archive, client, filters, listed.columns)
        retry = replace(client.retry, on_retry=self._retried)
        self._query = AnalyticsQuery(client, filters, retry)
        self.rows: Rows = {}
        #: Seconds since 1970, by id; for an id without a time, the start of its window.
        self.created_at: dict[str, float] = {}
        self._texts: dict[str, str] = {}  # of a million rows, most have one of a few names
        self._written: dict[Window, Listing] = {}
        self._max_rows = 0  # of a truncated response; 0 until there is one
        self._bar: Progress | None = None
        self._done = timedelta()

    @property
    def requests(self) -> int:
        """Number of requests so far."""
        return self._query.requests

    def run(self, start: datetime, end: datetime, *, refresh: bool, progress: bool | None) -> None:
        """Take windows from the cache and request the others."""
        cached = {} if self._cache is None or refresh else self._cache.listings(start, end)
        # The bar shows the share of the time range, because the number of ids is not known.
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        with Progress((end - start) // _SECOND, progress, bar_format=form) as self._bar:
            grown = self._grown(cached)
            covered = [window for window in cached if not any(run.start <= window.start < run.end for run in grown)]
            for window in self._finished(start, end, covered, cached):
                self._done += window.length
                self._show()
        self._check_counts(grown)
        self._warn_if_cached(end)

    def _show(self, error: ApiError | None = None, wait: float = 0.0) -> None:
        if self._bar is not None:
            counts = {"ids": f"{len(self.rows):,}", "requests": f"{self.requests:,}"}
            by = self._listed.dimension or ""
            self._bar.show(self._done // _SECOND, waiting_for=error, wait=wait, by=by, **counts)

    def _retried(self, error: ApiError, wait: float) -> None:
        self._show(error, wait)
        if self._client.retry.on_retry is not None:
            self._client.retry.on_retry(error, wait)

    def _finished(
        self, start: datetime, end: datetime, covered: Sequence[Window], cached: Mapping[Window, Listing]
    ) -> Iterator[Window]:
        """Yield each window when its ids have been added."""
        for window in covered:
            self._add(window, cached[window].rows)
            yield window
        if covered:
            log.info("%d windows with %d ids come from the cache", len(covered), len(self.rows))
        pending = [piece for gap in uncovered(start, end, covered) for piece in cut(gap.start, gap.end, _LONGEST)]
        while pending:
            window = pending.pop(0)
            smaller = self._split(window) if self._max_rows and window.counted is None else [window]
            if smaller != [window]:
                pending[:0] = smaller
            elif self._request(window):
                yield window
            else:
                pending[:0] = self._smaller(window)

    def _grown(self, cached: Mapping[Window, Listing]) -> dict[Window, int]:
        """Return the ranges in which the account counts more generations than are cached, with its counts."""
        grown = {}
        try:
            for group in contiguous(cached, _LONGEST):
                counts = self._count(Window(group[0].start, group[-1].end), "hour") or {}
                begin, known = group[0].start, 0
                for window in group:
                    known += cached[window].counted
                    if window.end == _to_hour(window.end) or window is group[-1]:
                        counted = sum(n for at, n in counts.items() if _to_hour(begin) <= at < window.end)
                        if counted > known:
                            grown[Window(begin, window.end)] = counted
                        begin, known = window.end, 0
        except (ApiError, MissingKeyError) as error:
            warn_caller(
                f"The cached listings could not be compared with the account's counts and may be incomplete: {error}"
            )
        return grown

    def _check_counts(self, grown: Mapping[Window, int]) -> None:
        """Warn of ranges that are still incomplete, and cache their new counts: they are not listed again each time."""
        for run, counted in grown.items():
            parts = [window for window in self._written if run.start <= window.start and window.end <= run.end]
            missing = counted - sum(self._written[window].counted for window in parts)
            if missing > 0 and self._cache is not None and parts:
                warn_caller(
                    f"The account counts {counted:,} generations from {run.start:%Y-%m-%d %H:%M} to "
                    f"{run.end:%Y-%m-%d %H:%M} UTC, but lists only {counted - missing:,}. "
                    "The rest may not be available yet."
                )
                last = self._written[parts[-1]]
                self._cache.write(parts[-1], replace(last, counted=last.counted + missing))

    def _request(self, window: Window) -> bool:
        """Request the generations of a window; False when it must be cut first."""
        dimensions = ["generation_id", *([self._listed.dimension] if self._listed.dimension else [])]
        try:
            response = self._query.run(window, [_COUNT, *self._listed.metrics], dimensions=dimensions)
        except BadRequestError as error:
            if "time range" in str(error).lower() and window.start < self._now() - _LONGEST:
                error.args = (f"{error} {_REACH}",)
            raise
        is_smallest = bisect(window) == [window]
        if response is None:
            if is_smallest:
                raise ServerError(
                    f"HTTP 408 for /analytics/query, even for a single minute ({window.start:%Y-%m-%d %H:%M} UTC). "
                    "Re-run later; completed windows are cached.",
                    status=408,
                    retryable=True,
                )
            return False
        rows, truncated = response
        if truncated and not is_smallest:
            self._max_rows = len(rows)
            return False
        found = self._rows_of(rows)
        self._add(window, found)
        if truncated:
            warn_caller(
                f"More than {len(found):,} generations in the minute starting {window.start:%Y-%m-%d %H:%M} UTC. The "
                "API does not return all of them, so the list is incomplete. List them with filters, such as one model "
                "or one external_user at a time."
            )
        elif self._cache is not None and self._is_settled(window):
            self._written[window] = Listing(found, sum(count_of(row, _COUNT) for row in rows))
            self._cache.write(window, self._written[window])
        return True

    def _smaller(self, window: Window) -> list[Window]:
        """Cut a window whose response was truncated or too slow."""
        counted = window.counted
        if self._max_rows and (counted is None or (counted > MINUTE and window.length <= _LONGEST_BY_MINUTES)):
            pieces = self._split(window)
            if len(pieces) > 1:
                return pieces
        return bisect(window)

    def _split(self, window: Window) -> list[Window]:
        """Count the generations in a window by hours or minutes, and cut it so that each piece fits."""
        step, granularity = (MINUTE, "minute") if window.length <= _LONGEST_BY_MINUTES else (_HOUR, "hour")
        counts = self._count(window, granularity)
        return bisect(window) if counts is None else split_by_count(window, counts, step, self._max_rows)

    def _count(self, window: Window, granularity: str) -> dict[datetime, int] | None:
        """Return the account's number of generations by time; None when the API takes too long."""
        response = self._query.run(window, [_COUNT], granularity=granularity)
        if response is None:
            return None
        counts: dict[datetime, int] = {}
        for row in response[0]:
            at = time_of(row)
            if at is None:
                raise BadResponseError("A row of the API's counts has no time.", status=200)
            counts[at] = counts.get(at, 0) + count_of(row, _COUNT)
        return counts

    def _add(self, window: Window, rows: Rows) -> None:
        begin = window.start.timestamp()
        for one, values in rows.items():
            if one not in self.rows:
                second = id_created_at(one)
                self.created_at[one] = begin if second is None else second
                self.rows[one] = values

    def _rows_of(self, rows: list[dict[str, Any]]) -> Rows:
        """Return the values of each generation in a response."""
        found: Rows = {}
        skipped = 0
        for row in rows:
            one = row.get("generation_id")
            if not isinstance(one, str) or not one:
                skipped += 1
            elif one not in found:
                found[one] = tuple(self._value(row, name) for name in self._listed.columns)
        if rows and not found:
            raise BadResponseError("The API's rows by generation have no generation id.", status=200)
        if skipped:
            warn_caller(f"Skipped {skipped:,} of {len(rows):,} usage rows without a generation id.")
        return found

    def _value(self, row: Mapping[str, Any], name: str) -> str | float | None:
        """Return an amount, or a name; None where the API has none."""
        if name in self._listed.metrics:
            return None if row.get(name) is None else usd_of(row, name)
        text = name_of(row, name)
        return text if text is None else self._texts.setdefault(text, text)

    def _is_settled(self, window: Window) -> bool:
        now = self._now()
        cached_at = self._query.cached_at
        return window.end + _SETTLED <= (now if cached_at is None else min(now, cached_at))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._client.now(), UTC)

    def _warn_if_cached(self, end: datetime) -> None:
        cached_at = self._query.cached_at
        if cached_at is not None and cached_at < end:
            warn_caller(
                f"The API answered from its cache of {cached_at:%Y-%m-%d %H:%M:%S} UTC. Later generations, and the "
                "last before it, may be missing. Re-run later for the rest."
            )


def by_time(created_at: Mapping[str, float]) -> list[str]:
    """Sort ids by the second in which they were created, and then alphabetically."""
    return sorted(created_at, key=lambda one: (created_at[one], one))


def _cache(
    archive: Archive, client: Client, filters: list[dict[str, Any]], columns: tuple[str, ...]
) -> Listings | None:
    try:
        return Listings(archive, client, filters, columns)
    except RuntimeError:
        warn_caller("The listing is not cached, because the user has no home directory. Set XDG_CACHE_HOME to a path.")
        return None


def _to_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
