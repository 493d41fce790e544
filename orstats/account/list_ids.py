"""``list_ids``: every generation of an account in a time range, although no endpoint lists them.

The account's analytics break its usage down by ``generation_id``: at most 10,000 rows per response, 31 days per
request, 64 requests per minute. So a range is requested as a whole first. Where the response is truncated, hours (or,
within three hours, minutes) are counted, and the range is cut so that each piece fits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orstats._warn import warn_caller
from orstats.account.analytics import AnalyticsQuery, Filters, as_filters, count_of, time_of
from orstats.account.listing_cache import Listing, Listings
from orstats.account.time_range import Moment, span
from orstats.account.time_windows import MINUTE, Window, bisect, contiguous, cut, split_by_count, uncovered
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.errors import ApiError, BadResponseError, MissingKeyError, ServerError
from orstats.fetching.arguments import ArchiveChoice, choose_archive
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


def list_ids(
    start: Moment,
    end: Moment,
    *,
    filters: Filters | None = None,
    client: Client | None = None,
    archive: ArchiveChoice = None,
    refresh: bool = False,
    progress: bool | None = None,
    tz: str = "UTC",
) -> list[str]:
    """List the ids of all generations of the account in a time range. Needs a management key.

    To resume an interrupted listing, run it again: windows that ended more than a day ago are cached beside the
    archive. A cached window is listed again if the account counts more generations in it now.

    Parameters
    ----------
    start, end : datetime, date or str
        The time range; `end` is exclusive. ISO 8601 text, ``now``, ``today``, ``yesterday``, or how long ago: ``24h``,
        ``7d``, ``3mo``. An end in the future means now.
    filters : mapping or list of mappings, optional
        List only matching generations: ``{"model": "openai/gpt-4.1", "external_user": ["ana", "bo"]}``, or a list of
        the vendor's filters (``field``, ``operator``, ``value``). Fields are the dimensions in
        ``Client.analytics_meta()``.
    client : Client, optional
        By default, a client configured from the environment.
    archive : Archive, str, os.PathLike or False, optional
        Where completed windows are cached, beside the archive: as for :func:`orstats.fetch`, by default the default
        archive, except for servers on this machine. False disables the cache.
    refresh : bool
        Ignore cached windows and list them again.
    progress : bool, optional
        Show a progress bar. By default, show it when stderr is a terminal or in a notebook.
    tz : str
        Time zone of dates, words and times without an offset. Without it, a naive datetime is read as UTC with a
        warning.

    Returns
    -------
    list of str
        The distinct ids, by the second in which they were created and then alphabetically. Ids that contain no time
        are placed at the start of the window in which they were found.

    Raises
    ------
    ForbiddenError
        The key is not a management key. The message says where to create one.
    MissingKeyError
        No key is set.
    ConfigError
        The range is inverted or begins in the future, or the filters are invalid.
    BadRequestError
        The API does not accept a filter's field or value, which the message names.
    ApiError
        A request failed after all retries. Completed windows stay cached.

    Warns
    -----
    UserWarning
        A datetime is naive, the API issued a warning or answered from its cache, the list is incomplete because a
        minute has more generations than a response can contain or because the account counts more than it lists, or
        the cache cannot be read or written.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(500) as sim:
    ...     ids = orstats.list_ids("8d", "now", client=sim.client())
    >>> set(ids) <= set(sim.ids), len(ids) == len(set(ids))
    (True, True)
    """
    first, last = span(start, end, tz=tz)
    wanted = as_filters(filters)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(Client())
        store = choose_archive(archive, client.settings)
        cache = None if store is None else _cache(store, client, wanted)
        return _Lister(client, cache, wanted).run(first, last, refresh=refresh, progress=progress)


def _cache(archive: Archive, client: Client, filters: list[dict[str, Any]]) -> Listings | None:
    try:
        return Listings(archive, client, filters)
    except RuntimeError:
        warn_caller("The listing is not cached, because the user has no home directory. Set XDG_CACHE_HOME to a path.")
        return None


class _Lister:
    """One listing: the ids so far, and how to get the rest."""

    def __init__(self, client: Client, cache: Listings | None, filters: list[dict[str, Any]]) -> None:
        self._client = client
        self._cache = cache
        self._query = AnalyticsQuery(client, filters)
        self._created_at: dict[str, float] = {}  # by id; for an id without a time, the start of its window
        self._written: dict[Window, Listing] = {}
        self._max_rows = 0  # of a truncated response; 0 until there is one

    def run(self, start: datetime, end: datetime, *, refresh: bool, progress: bool | None) -> list[str]:
        """Take ids from the cache, request the others, and return them by time."""
        cached = {} if self._cache is None or refresh else self._cache.listings(start, end)
        grown = self._grown(cached)
        covered = [window for window in cached if not any(run.start <= window.start < run.end for run in grown)]
        # The bar shows the share of the time range, because the number of ids is not known.
        done, form = timedelta(), "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        with Progress((end - start) // _SECOND, progress, bar_format=form) as bar:
            for window in self._finished(start, end, covered, cached):
                done += window.length
                bar.show(done // _SECOND, ids=f"{len(self._created_at):,}", requests=f"{self._query.requests:,}")
        self._check_counts(grown)
        self._warn_if_cached(end)
        return sorted(self._created_at, key=lambda one: (self._created_at[one], one))

    def _finished(
        self, start: datetime, end: datetime, covered: Sequence[Window], cached: Mapping[Window, Listing]
    ) -> Iterator[Window]:
        """Yield each window when its ids have been added."""
        for window in covered:
            self._add(window, cached[window].ids)
            yield window
        if covered:
            log.info("%d windows with %d ids come from the cache", len(covered), len(self._created_at))
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
        """Request the ids of a window; False when it must be cut first."""
        response = self._query.run(window, ["request_count"], dimensions=["generation_id"])
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
        ids = _ids_of(rows)
        self._add(window, ids)
        if truncated:
            warn_caller(
                f"More than {len(ids):,} generations in the minute starting {window.start:%Y-%m-%d %H:%M} UTC. The API "
                "does not return all of them, so the list is incomplete. List them with filters, such as one model or "
                "one external_user at a time."
            )
        elif self._cache is not None and self._is_settled(window):
            self._written[window] = Listing(ids, sum(count_of(row, "request_count") for row in rows))
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
        response = self._query.run(window, ["request_count"], granularity=granularity)
        if response is None:
            return None
        counts: dict[datetime, int] = {}
        for row in response[0]:
            at = time_of(row)
            if at is None:
                raise BadResponseError("A row of the API's counts has no time.", status=200)
            counts[at] = counts.get(at, 0) + count_of(row, "request_count")
        return counts

    def _add(self, window: Window, ids: Sequence[str]) -> None:
        begin = window.start.timestamp()
        for one in ids:
            second = id_created_at(one)
            self._created_at.setdefault(one, begin if second is None else second)

    def _is_settled(self, window: Window) -> bool:
        now = datetime.fromtimestamp(self._client.now(), UTC)
        cached_at = self._query.cached_at
        return window.end + _SETTLED <= (now if cached_at is None else min(now, cached_at))

    def _warn_if_cached(self, end: datetime) -> None:
        cached_at = self._query.cached_at
        if cached_at is not None and cached_at < end:
            warn_caller(
                f"The API answered from its cache of {cached_at:%Y-%m-%d %H:%M:%S} UTC. Later generations, and the "
                "last before it, may be missing. Re-run later for the rest."
            )


def _ids_of(rows: list[dict[str, Any]]) -> list[str]:
    ids = [row.get("generation_id") for row in rows]
    named = [one for one in ids if isinstance(one, str) and one]
    if ids and not named:
        raise BadResponseError("The API's rows by generation have no generation id.", status=200)
    if len(named) < len(ids):
        warn_caller(f"Skipped {len(ids) - len(named):,} of {len(ids):,} usage rows without a generation id.")
    return named


def _to_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
