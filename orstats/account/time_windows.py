"""How a time range is cut so that few questions get all answers. Pure: no network, no clock."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Final

MINUTE: Final = timedelta(minutes=1)
#: How sure a window that ends within a counted bucket must be to fit: standard deviations if requests come at random,
#: and a share of the bucket on top, because they come in bursts.
_SIGMAS, _BURSTS = 4.0, 0.05


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open time range, in UTC. ``counted`` says how finely its content was counted when it was cut."""

    start: datetime
    end: datetime
    counted: timedelta | None = None

    @property
    def length(self) -> timedelta:
        """From start to end."""
        return self.end - self.start


def cut(start: datetime, end: datetime, longest: timedelta) -> list[Window]:
    """Cut a range into equal windows of at most ``longest``, at whole minutes.

    Examples
    --------
    >>> [w.length.days for w in cut(datetime(2026, 1, 1), datetime(2026, 3, 2), timedelta(days=31))]
    [30, 30]
    """
    # A minute less than the longest: edges move to whole minutes.
    parts = 1 if end - start <= longest else math.ceil((end - start) / (longest - MINUTE))
    inner = [_to_minute(start + (end - start) * part / parts) for part in range(1, parts)]
    edges = [start, *inner, end]
    return [Window(a, b) for a, b in pairwise(edges) if a < b]


def bisect(window: Window) -> list[Window]:
    """Cut a window in two at a whole minute; itself alone when it is too short for that."""
    middle = _to_minute(window.start + window.length / 2)
    if middle <= window.start:
        middle = _to_minute(window.end - timedelta(microseconds=1))
    if not window.start < middle < window.end:
        return [window]
    return [Window(window.start, middle, window.counted), Window(middle, window.end, window.counted)]


def uncovered(start: datetime, end: datetime, covered: Iterable[Window]) -> list[Window]:
    """Return what windows, sorted and apart, leave of a range."""
    left, at = [], start
    for window in covered:
        if window.start > at:
            left.append(Window(at, window.start))
        at = max(at, window.end)
    return [*left, Window(at, end)] if at < end else left


def disjoint(windows: Iterable[Window], start: datetime, end: datetime) -> list[Window]:
    """Choose windows inside a range that do not overlap, longer ones first where they begin together; sorted."""
    chosen: list[Window] = []
    inside = (w for w in windows if start <= w.start < w.end <= end)
    for window in sorted(inside, key=lambda w: (w.start, -w.length)):
        if not chosen or window.start >= chosen[-1].end:
            chosen.append(window)
    return chosen


def stretches(windows: Iterable[Window], longest: timedelta) -> list[list[Window]]:
    """Group sorted windows that follow each other without a gap, into ranges of at most ``longest``."""
    found: list[list[Window]] = []
    for window in windows:
        if found and found[-1][-1].end == window.start and window.end - found[-1][0].start <= longest:
            found[-1].append(window)
        else:
            found.append([window])
    return found


def split_by_count(window: Window, counts: Mapping[datetime, int], step: timedelta, most: int) -> list[Window]:
    """Cut a window into few that hold at most ``most`` each, as far as the counts tell.

    Windows end where a bucket ends, or, where that would leave them much emptier, at a minute within one: there
    the count is estimated, with room for chance. A minute is never cut.

    Examples
    --------
    >>> noon, hour = datetime(2026, 3, 1, 12, tzinfo=UTC), timedelta(hours=1)
    >>> counts = {noon + n * hour: 4000 for n in range(3)}
    >>> [f"{w.end:%H:%M}" for w in split_by_count(Window(noon, noon + 3 * hour), counts, hour, 10_000)]
    ['14:26', '15:00']
    """
    height = _CumulativeCount(window, counts, step)
    windows, at = [], window.start
    while at < window.end:
        to = min(max(height.reach(at, most), _to_minute(at) + MINUTE), window.end)
        windows.append(Window(at, to, step))
        at = to
    return windows


class _CumulativeCount:
    """The counts summed up from the start of a window, even between the ends of the buckets."""

    def __init__(self, window: Window, counts: Mapping[datetime, int], step: timedelta) -> None:
        first = datetime.fromtimestamp(window.start.timestamp() // step.total_seconds() * step.total_seconds(), UTC)
        number = math.ceil((window.end - first) / step)
        starts = [first + step * n for n in range(number)]
        self._edges = [window.start, *starts[1:], window.end]
        self._counts = [counts.get(start, 0) for start in starts]
        self._sums = [0, *accumulate(self._counts)]

    def at(self, moment: datetime) -> tuple[float, float]:
        """Return the sum at a moment, and by how much it may be wrong."""
        bucket = min(bisect_right(self._edges, moment) - 1, len(self._counts) - 1)
        low, high = self._edges[bucket], self._edges[bucket + 1]
        share = (moment - low) / (high - low)
        count = self._counts[bucket]
        doubt = _SIGMAS * math.sqrt(count * share * (1 - share)) + _BURSTS * count * min(share, 1 - share)
        return self._sums[bucket] + share * count, doubt

    def reach(self, at: datetime, most: int) -> datetime:
        """Return the latest edge or minute that ``most`` surely reach to; ``at`` itself when there is none."""
        base, doubt = self.at(at)
        room = base + most - doubt
        edge = bisect_right(self._sums, room) - 1
        reached = max(at, self._edges[edge])
        if edge + 1 < len(self._edges):
            minute = _to_minute(self._edges[edge + 1])
            while minute > reached:
                total, unsure = self.at(minute)
                if total + unsure <= room and minute < self._edges[-1]:
                    return minute
                minute -= MINUTE
        return reached


def _to_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
