"""``list_ids``: every generation of an account in a time range, although there is no endpoint that lists them.

The account's analytics break its usage down by ``generation_id``, at most 10,000 rows an answer, 31 days a question,
64 questions a minute. So a range is asked for whole first; where the answer is cut, hours (or, within three hours,
minutes) are counted and the range is cut so that each piece fits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from orstats._warn import warn_caller
from orstats.account.analytics import MOST_ROWS, AnalyticsQuery, Filters, as_filters, count_of, time_of
from orstats.account.listing_cache import Listing, Listings
from orstats.account.time_range import Moment, span
from orstats.account.time_windows import MINUTE, Window, bisect, cut, disjoint, split_by_count, stretches, uncovered
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.errors import ApiError, BadResponseError, MissingKeyError, ServerError
from orstats.fetching.arguments import ArchiveChoice, choose_archive
from orstats.ids.formats import id_created_at

log = logging.getLogger("orstats.discover")

#: The vendor's limits: how far a question by generation may reach, and a question by minutes.
_LONGEST: Final = timedelta(days=31)
_HOUR: Final = timedelta(hours=1)
_MINUTES_REACH: Final = timedelta(hours=3)
#: Analytics come late: only a window that ended so long ago is cached.
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
    start, end
        From, and up to but without. A datetime, a date, ISO 8601 text, ``now``, ``today``, ``yesterday``, or how long
        ago: ``24h``, ``7d``, ``3mo``. An end in the future is now.
    filters
        Only these: ``{"model": "openai/gpt-4.1", "external_user": ["ana", "bo"]}``, or a list of the vendor's filters
        (``field``, ``operator``, ``value``). Fields are the dimensions that ``Client.analytics_meta()`` names.
    client
        Whom to ask. None makes one from the environment.
    archive
        Beside which finished windows are kept; as for :func:`orstats.fetch`: None is the default place, but nothing for
        servers on this machine; False keeps nothing.
    refresh
        Also list cached windows again.
    progress
        A progress bar: True, False, or None for "if a person is watching".
    tz
        Time zone of dates, words and times that name no offset. Without it, a naive datetime is read as UTC with a
        warning.

    Returns
    -------
    list of str
        Each id once, by the second it was created in (an id that does not carry it stands at the beginning of the
        window it was found in), within a second by the alphabet.

    Raises
    ------
    ForbiddenError
        The key is not a management key; the message says where to make one.
    MissingKeyError
        No key is set.
    ConfigError
        An inverted range, one that begins in the future, or filters that cannot be used.
    BadRequestError
        A filter's field or value that the API does not take; the message names it.
    ApiError
        What the last try ended with. What was listed before is kept.

    Warns
    -----
    UserWarning
        A naive datetime; a warning of the API; a response from the vendor's cache, which may miss the latest
        generations; an incomplete list, because a minute has more generations than one response can hold, or because
        the account counts more than it lists; a cache that cannot be read or written.

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
        store = choose_archive(archive, client)
        kept = None if store is None else _cache(store, client, wanted)
        run = _Run(client, kept, wanted)
        with _Bar(first, last, progress) as bar:
            run.go(first, last, bar, refresh=refresh)
    return run.ids()


def _cache(archive: Archive, client: Client, filters: list[dict[str, Any]]) -> Listings | None:
    try:
        return Listings(archive, client, filters)
    except RuntimeError:
        warn_caller("The listing is not cached, because the user has no home directory. Set XDG_CACHE_HOME to a path.")
        return None


class _Run:
    """One listing: what was found, and what is still to be asked for."""

    def __init__(self, client: Client, kept: Listings | None, filters: list[dict[str, Any]]) -> None:
        self._client = client
        self._kept = kept
        self._usage = AnalyticsQuery(client, filters)
        self._found: dict[str, float] = {}  # id: its second, or that of its window
        self._written: dict[Window, Listing] = {}
        self._dense = False  # answers were cut: count before asking

    def ids(self) -> list[str]:
        return [one for _, one in sorted((second, one) for one, second in self._found.items())]

    def go(self, start: datetime, end: datetime, bar: _Bar, *, refresh: bool) -> None:
        cached = {}
        if self._kept is not None and not refresh:
            windows = disjoint(self._kept.windows(), start, end)
            cached = {window: listing for window in windows if (listing := self._kept.read(window)) is not None}
        grown = self._grown(cached)
        covered = [window for window in cached if not any(run.start <= window.start < run.end for run in grown)]
        for window in covered:
            self._take(window, cached[window].ids)
            bar.add(window, len(self._found), self._usage.requests)
        if covered:
            log.info("%d windows with %d ids come from the cache", len(covered), len(self._found))
        to_ask = [piece for gap in uncovered(start, end, covered) for piece in cut(gap.start, gap.end, _LONGEST)]
        while to_ask:
            window = to_ask.pop(0)
            smaller = self._plan(window) if self._dense and window.counted is None else [window]
            if smaller != [window]:
                to_ask[:0] = smaller
            elif not self._list(window):
                to_ask[:0] = self._smaller(window)
            else:
                bar.add(window, len(self._found), self._usage.requests)
        self._check_counts(grown)
        self._mention_cache(end)

    def _grown(self, cached: Mapping[Window, Listing]) -> dict[Window, int]:
        """Return the ranges in which the account counts more generations than are cached, with its counts."""
        grown = {}
        try:
            for stretch in stretches(cached, _LONGEST):
                counts = self._count(Window(stretch[0].start, stretch[-1].end), "hour") or {}
                begin, known = stretch[0].start, 0
                for window in stretch:
                    known += cached[window].counted
                    if window.end == _to_hour(window.end) or window is stretch[-1]:
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
        """Say which ranges are still incomplete. Their new counts are cached, so that they are not listed each time."""
        for run, counted in grown.items():
            parts = [window for window in self._written if run.start <= window.start and window.end <= run.end]
            lacking = counted - sum(self._written[window].counted for window in parts)
            if lacking > 0 and self._kept is not None and parts:
                warn_caller(
                    f"The account counts {counted:,} generations from {run.start:%Y-%m-%d %H:%M} to "
                    f"{run.end:%Y-%m-%d %H:%M} UTC, but lists only {counted - lacking:,}. "
                    "The rest may not be available yet."
                )
                last = self._written[parts[-1]]
                self._kept.write(parts[-1], replace(last, counted=last.counted + lacking))

    def _list(self, window: Window) -> bool:
        """Ask for the ids of a window; False when it must be cut first."""
        answer = self._usage.run(window, ["request_count"], dimensions=["generation_id"])
        smallest = bisect(window) == [window]
        if answer is None:
            if smallest:
                raise ServerError(
                    f"HTTP 408 for /analytics/query, even for a single minute ({window.start:%Y-%m-%d %H:%M} UTC). "
                    "Run the same again later; what was listed is kept.",
                    status=408,
                    retryable=True,
                )
            return False
        rows, truncated = answer
        if truncated and not smallest:
            self._dense = True
            return False
        ids = _ids_of(rows)
        self._take(window, ids)
        if truncated:
            warn_caller(
                f"There are more generations in the minute of {window.start:%Y-%m-%d %H:%M} UTC than the {len(ids):,} "
                "that the API tells: the list is not complete. Filters that divide them (by model, by external_user) "
                "bring the rest."
            )
        elif self._kept is not None and self._is_settled(window):
            self._written[window] = Listing(ids, sum(count_of(row, "request_count") for row in rows))
            self._kept.write(window, self._written[window])
        return True

    def _smaller(self, window: Window) -> list[Window]:
        """Cut a window whose answer was cut or came too slowly."""
        counted = window.counted
        if self._dense and (counted is None or (counted > MINUTE and window.length <= _MINUTES_REACH)):
            pieces = self._plan(window)
            if len(pieces) > 1:
                return pieces
        return bisect(window)

    def _plan(self, window: Window) -> list[Window]:
        """Count what is in a window, by hours or by minutes, and cut it so that each piece fits."""
        by_minutes = window.length <= _MINUTES_REACH
        counts = self._count(window, "minute" if by_minutes else "hour")
        return (
            bisect(window)
            if counts is None
            else split_by_count(window, counts, MINUTE if by_minutes else _HOUR, MOST_ROWS)
        )

    def _count(self, window: Window, granularity: str) -> dict[datetime, int] | None:
        """Return how many generations the account counts, by time; None when that takes the API too long."""
        answer = self._usage.run(window, ["request_count"], granularity=granularity)
        if answer is None:
            return None
        counts: dict[datetime, int] = {}
        for row in answer[0]:
            at = time_of(row)
            if at is None:
                raise BadResponseError("The API's counts by time do not name their time.", status=200)
            counts[at] = counts.get(at, 0) + count_of(row, "request_count")
        return counts

    def _take(self, window: Window, ids: list[str]) -> None:
        begin = window.start.timestamp()
        for one in ids:
            second = id_created_at(one)
            self._found.setdefault(one, begin if second is None else second)

    def _is_settled(self, window: Window) -> bool:
        now = datetime.fromtimestamp(self._client.now(), UTC)
        cached_at = self._usage.cached_at
        return window.end + _SETTLED <= (now if cached_at is None else min(now, cached_at))

    def _mention_cache(self, end: datetime) -> None:
        cached_at = self._usage.cached_at
        if cached_at is not None and cached_at < end:
            warn_caller(
                f"The API answered from its cache of {cached_at:%Y-%m-%d %H:%M:%S} UTC: generations after that, and "
                "the last before it, may be missing. Run the same again later for the rest."
            )


def _ids_of(rows: list[dict[str, Any]]) -> list[str]:
    ids = [row.get("generation_id") for row in rows]
    named = [one for one in ids if isinstance(one, str) and one]
    if len(named) < len(ids):
        if not named:
            raise BadResponseError("The API's rows by generation do not name their generation.", status=200)
        warn_caller(
            f"{len(ids) - len(named):,} of {len(ids):,} rows of the account's usage name no generation; left out."
        )
    return named


def _to_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


class _Bar:
    """A progress bar over the time range, as the number of ids is not known beforehand."""

    def __init__(self, start: datetime, end: datetime, visible: bool | None) -> None:
        self._whole = end - start
        self._disable = None if visible is None else not visible
        self._done = timedelta()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._disable is not True:
            from tqdm.auto import tqdm  # noqa: PLC0415 - it loads asyncio and, in a notebook, widgets

            form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
            self._bar = tqdm(total=1000, disable=self._disable, desc="orstats", bar_format=form, leave=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, window: Window, ids: int, requests: int) -> None:
        """Count one window that is done."""
        self._done += window.length
        if self._bar is not None:
            self._bar.set_postfix_str(f"{ids:,} ids, {requests:,} requests", refresh=False)
            self._bar.update(int(1000 * (self._done / self._whole)) - self._bar.n)
