"""Time windows: how a range is divided so that few requests return all of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

MINUTE: Final = timedelta(minutes=1)
#: Share of the limit that a window may be expected to fill: within a counted bucket, requests do not come evenly.
_FILL: Final = 0.95


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open time range, in UTC. ``counted`` is the length of the buckets by whose counts it was cut."""

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
    """Cut a window in two at a whole minute; return it alone when it is too short."""
    middle = _to_minute(window.start + window.length / 2)
    if middle <= window.start:
        middle = _to_minute(window.end - timedelta(microseconds=1))
    if not window.start < middle < window.end:
        return [window]
    return [Window(window.start, middle, window.counted), Window(middle, window.end, window.counted)]


def uncovered(start: datetime, end: datetime, covered: Iterable[Window]) -> list[Window]:
    """Return the parts of a range that sorted windows do not cover."""
    left, at = [], start
    for window in covered:
        if window.start > at:
            left.append(Window(at, window.start))
        at = max(at, window.end)
    return [*left, Window(at, end)] if at < end else left


def disjoint(windows: Iterable[Window], start: datetime, end: datetime) -> list[Window]:
    """Choose windows inside a range that do not overlap, the longest of those that begin together; sorted."""
    chosen: list[Window] = []
    inside = (w for w in windows if start <= w.start < w.end <= end)
    for window in sorted(inside, key=lambda w: (w.start, -w.length)):
        if not chosen or window.start >= chosen[-1].end:
            chosen.append(window)
    return chosen


def contiguous(windows: Iterable[Window], longest: timedelta) -> list[list[Window]]:
    """Group sorted windows that follow each other without a gap, into ranges of at most ``longest``."""
    groups: list[list[Window]] = []
    for window in windows:
        if groups and groups[-1][-1].end == window.start and window.end - groups[-1][0].start <= longest:
            groups[-1].append(window)
        else:
            groups.append([window])
    return groups


def split_by_count(window: Window, counts: Mapping[datetime, int], step: timedelta, limit: int) -> list[Window]:
    """Cut a window, at whole minutes, into few that contain at most ``limit`` each, as far as the counts tell.

    Examples
    --------
    >>> noon, hour = datetime(2026, 3, 1, 12), timedelta(hours=1)
    >>> counts = {noon + n * hour: 4000 for n in range(3)}
    >>> [f"{w.end:%H:%M}" for w in split_by_count(Window(noon, noon + 3 * hour), counts, hour, 10_000)]
    ['14:22', '15:00']
    """
    starts = sorted(at for at in counts if window.start - step < at < window.end)
    edges = [window.start, *(edge for at in starts for edge in (max(at, window.start), min(at + step, window.end)))]
    seconds = np.array([(edge - window.start).total_seconds() for edge in edges])
    so_far = np.cumsum([0, *(number for at in starts for number in (0, counts[at]))])  # at each edge
    windows, at = [], window.start
    while at < window.end:
        target = np.interp((at - window.start).total_seconds(), seconds, so_far) + _FILL * limit
        to = window.end
        if target < so_far[-1]:
            reached = window.start + timedelta(seconds=float(np.interp(target, so_far, seconds)))
            to = min(max(_to_minute(reached), _to_minute(at) + MINUTE), window.end)
        windows.append(Window(at, to, step))
        at = to
    return windows


def _to_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
