"""Which periods of a chart or report over time are incomplete, as far as that is known.

Certain is that a period is incomplete if the requested range begins or ends within it, or if it has not ended yet.
Where the range is unknown, or where not all of its generations need be there, as in an archive, the first and the last
record are the only evidence: a long time without records at the start of the first period, or at the end of the last
one, may be the cause of a small sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.reports.coverage import COVERS_RANGE, provenance
from orstats.reports.periods import PERIOD, Freq, all_periods, freq_of, period_moments, period_starts, utc_times
from orstats.text.time_zones import clock

#: A period without records for this share of its length, at its outer end, may be incomplete.
_GAP: Final = 0.1
_RANGE: Final = ("since", "until", "first_created_at", "last_created_at")


@dataclass(frozen=True, slots=True)
class DataRange:
    """What is known about the time range of some records."""

    since: pd.Timestamp | None
    until: pd.Timestamp | None
    """The requested range."""
    first: pd.Timestamp | None
    last: pd.Timestamp | None
    """When the first and the last record were created."""
    now: pd.Timestamp
    covers_range: bool = False
    """Whether all generations of the requested range are included."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The first or the last period, which is incomplete or may be."""

    unit: Freq
    is_first: bool
    is_certain: bool
    moment: pd.Timestamp | None
    """From when or until when there are records, in the time zone of the periods; None if it has not ended."""

    @property
    def sentence(self) -> str:
        """Say which period is incomplete, and why.

        >>> print(Incomplete("day", False, False, pd.Timestamp("2026-03-01 18:30")).sentence)
        The last day may be incomplete: its last record is from 2026-03-01 18:30.
        """
        which = "first" if self.is_first else "last"
        if self.moment is None:
            return f"The {which} {self.unit} is incomplete: it has not ended."
        moment = _written(self.moment)
        if self.is_certain:
            return (
                f"The {which} {self.unit} is incomplete: the range {'starts' if self.is_first else 'ends'} at {moment}."
            )
        return f"The {which} {self.unit} may be incomplete: its {which} record is from {moment}."

    @property
    def short(self) -> str:
        """Say it in a few words."""
        if self.moment is None:
            return f"last {self.unit} not over"
        day, time = _written(self.moment).split()
        moment = time if self.unit in ("hour", "day") else day
        which = "first" if self.is_first else "last"
        if self.is_certain:
            return f"{which} {self.unit} {'from' if self.is_first else 'until'} {moment}"
        return f"{which} record {moment}"


def _written(moment: pd.Timestamp) -> str:
    """Write a moment of any year: strftime and isoformat refuse those after 9999."""
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02} {moment.hour:02}:{moment.minute:02}"


def data_range(frame: pd.DataFrame, created: pd.Series[Any] | None = None, *, now: datetime | None = None) -> DataRange:
    """Return what is known about the range of a frame of generations, from their creation times, or of a report."""
    known = provenance(frame)
    if created is not None and created.notna().any():
        times = utc_times(created.dropna())
        known |= {"first_created_at": f"{times.min()}Z", "last_created_at": f"{times.max()}Z"}
    since, until, first, last = (pd.Timestamp(known[name]) if name in known else None for name in _RANGE)
    at = pd.Timestamp(datetime.now(UTC) if now is None else now)
    return DataRange(since, until, first, last, at, covers_range=bool(frame.attrs.get(COVERS_RANGE)))


def incomplete_periods(
    starts: pd.DatetimeIndex, ends: pd.DatetimeIndex, unit: Freq, known: DataRange
) -> tuple[Incomplete, ...]:
    """Return which of the first and the last period are incomplete, or may be."""
    if not len(starts):
        return ()
    zone, found = starts.tz, []
    is_complete = known.covers_range and known.since is not None
    start, end = starts[0], ends[0]
    if known.since is not None and start < known.since < end:
        found.append(Incomplete(unit, True, True, known.since.tz_convert(zone)))
    elif not is_complete and known.first is not None and (end - start) * _GAP < known.first - start < end - start:
        found.append(Incomplete(unit, True, False, known.first.tz_convert(zone)))
    start, end = starts[-1], ends[-1]
    is_behind = known.last is not None and known.last > known.now  # a clock that says nothing
    if known.until is not None and start < known.until < end and known.until <= known.now:
        found.append(Incomplete(unit, False, True, known.until.tz_convert(zone)))
    elif start <= known.now < end and not is_behind:
        found.append(Incomplete(unit, False, True, None))
    elif not is_complete and known.last is not None and (end - start) * _GAP < end - known.last < end - start:
        found.append(Incomplete(unit, False, False, known.last.tz_convert(zone)))
    return tuple(found)


def incomplete_in_report(report: pd.DataFrame, *, now: datetime | None = None) -> tuple[Incomplete, ...]:
    """Return which periods of a report over time are incomplete, or may be."""
    made = report.attrs.get("coverage", {})
    if PERIOD not in report.index.names or not {"freq", "tz"} <= set(made):
        return ()
    periods = pd.DatetimeIndex(report.index.get_level_values(PERIOD)).dropna()
    unit, zone = freq_of(made["freq"]), made["tz"]
    if not len(periods):
        return ()
    # Only these two: between the years 1970 and 2200 there are millions of hours.
    outer = period_starts(utc_times(periods[[int(periods.argmin()), int(periods.argmax())]].to_series()), unit, zone)
    edges = np.stack([period_moments(all_periods(outer[at : at + 1], unit, zone), unit, zone) for at in (0, 1)])
    starts, ends = (pd.DatetimeIndex(edges[:, at], tz="UTC").tz_convert(clock(zone)) for at in (0, 1))
    return incomplete_periods(starts, ends, unit, data_range(report, now=now))


def describe_incomplete(found: Sequence[Incomplete]) -> str:
    """Say in a few words which periods are incomplete; empty if none is.

    >>> at = pd.Timestamp("2026-03-01 18:30")
    >>> describe_incomplete([Incomplete("day", True, False, at), Incomplete("day", False, True, at)])
    'incomplete (last day until 18:30); may be incomplete (first record 18:30)'
    """
    parts = []
    for is_certain, words in ((True, "incomplete"), (False, "may be incomplete")):
        if some := [one.short for one in found if one.is_certain == is_certain]:
            parts.append(f"{words} ({', '.join(some)})")
    return "; ".join(parts)
