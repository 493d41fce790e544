"""The time ranges of a report: which rows are in them, and what to say about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from orstats.cli.errors import WrongUsage
from orstats.cli.times import local_time, time_option, zone_option

if TYPE_CHECKING:
    import pandas as pd

    from orstats.reports.periods import Freq

#: A gap of this share of a period, without any record, is mentioned.
_GAP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Periods:
    """Two periods of equal length, the second just after the first."""

    start: datetime
    middle: datetime
    end: datetime
    zone: str
    is_cut: bool
    """Whether the second was to end in the future."""

    def describe(self) -> list[str]:
        """Name both periods."""
        start, middle, end = (local_time(one, self.zone) for one in (self.start, self.middle, self.end))
        remarks = [f"Before: {start} to {middle}. After: {middle} to {end}. Times in {self.zone}."]
        if self.is_cut:
            remarks.append("--until is in the future: the period after ends now, and the period before is as long.")
        return remarks

    def coverage(self) -> dict[str, str]:
        """Return the ends of both periods, for the coverage of a file."""
        from orstats.text.time_zones import clock

        start, middle, end = (
            one.astimezone(clock(self.zone)).isoformat(timespec="seconds")
            for one in (self.start, self.middle, self.end)
        )
        ends = {"before_start": start, "before_end": middle, "after_start": middle, "after_end": end}
        return ends | {"tz": self.zone}

    def is_before(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """Whether each row is in the first period; rows without a record are placed by the time in their id."""
        from orstats.ids.id_shapes import id_created_at

        is_before = frame["created_at"] < self.middle
        for one in frame.index[frame["created_at"].isna()]:
            second = id_created_at(str(one))
            is_before[one] = second is not None and second < self.middle.timestamp()
        return is_before

    def describe_gaps(self, frame: pd.DataFrame) -> list[str]:
        """Say where the records at hand do not reach to the ends of both periods."""
        created = frame["created_at"].dropna()
        if created.empty:
            return []
        oldest, newest = created.min(), created.max()
        least = (self.end - self.middle) * _GAP
        remarks = []
        if oldest - self.start > least:
            at = local_time(oldest, self.zone)
            remarks.append(f"The oldest record is from {at}: the period before is incomplete.")
        if self.end - newest > least:
            at = local_time(newest, self.zone)
            remarks.append(f"The newest record is from {at}: the period after is incomplete.")
        return remarks


@dataclass(frozen=True, slots=True)
class Range:
    """The time range of a report, without an end where it is None, and the two periods in it that are compared."""

    start: datetime | None
    end: datetime | None
    zone: str
    periods: Periods | None = None


def read_range(since: str | None, until: str | None, tz: str, *, compare: bool) -> Range:
    """Read the options for times. To compare, the range also has the period of equal length before."""
    from orstats.account.time_range import previous
    from orstats.errors import ConfigError

    zone, now = zone_option(tz), datetime.now(UTC)
    start = None if since is None else time_option("--since", since, now=now, tz=zone)
    end = None if until is None else time_option("--until", until, now=now, tz=zone)
    if start is not None and end is not None and start >= end:
        raise WrongUsage(f"--since {since} --until {until}: the range must begin before its end.")
    if not compare or start is None:
        return Range(start, end, zone)
    last = now if end is None else min(end, now)
    if start >= last:
        raise WrongUsage(f"--since {since}: the period to compare must begin before now.")
    try:
        earlier = previous(start, last, tz=zone)
    except ConfigError as error:
        raise WrongUsage(f"--compare previous: {error}") from None
    periods = Periods(earlier, start, last, zone, is_cut=end is not None and end > now)
    return Range(earlier, last, zone, periods)


def select_range(frame: pd.DataFrame, span: Range) -> tuple[pd.DataFrame, list[str]]:
    """Keep the rows of a time range, and those that are not ok, which say how much of the result is missing."""
    from orstats.text.format import plural

    if span.start is None and span.end is None:
        return frame, []
    created, is_ok = frame["created_at"], frame["fetch_status"] == "ok"
    is_kept = created.notna()
    if span.start is not None:
        is_kept &= created >= span.start
    if span.end is not None:
        is_kept &= created < span.end
    undated = int((created.isna() & is_ok).sum())
    remark = f"{plural(undated, 'row')} without created_at excluded: they cannot be assigned to the time range."
    chosen = frame.loc[is_kept | ~is_ok]
    ends = (("since", span.start), ("until", span.end))
    chosen.attrs |= {name: end.isoformat() for name, end in ends if end is not None}
    return chosen, [remark] if undated else []


def describe_times(span: Range, freq: str | None) -> list[str]:
    """Name the range and the time zone, and say when the first period is incomplete."""
    from orstats.reports.periods import freq_of

    ends = (("from", span.start), ("to", span.end))
    named = [f" {word} {local_time(end, span.zone)}" for word, end in ends if end is not None]
    remarks = [f"Times in {span.zone}{''.join(named)}."] if named or freq is not None else []
    if span.start is not None and freq is not None:
        period = freq_of(freq)
        begins = _start_of_period(span.start, period, span.zone)
        if begins < span.start:
            complete = begins.isoformat(timespec="minutes")
            remarks.append(
                f"The first {period} is incomplete: it begins before --since. Use --since {complete} instead."
            )
    return remarks


def _start_of_period(time: datetime, period: Freq, zone: str) -> datetime:
    import numpy as np
    import pandas as pd

    from orstats.reports.periods import period_moments, period_starts
    from orstats.text.time_zones import clock

    started = period_starts(np.array([time.replace(tzinfo=None)], "datetime64[us]"), period, zone)
    return pd.DatetimeIndex(period_moments(started, period, zone), tz="UTC").tz_convert(clock(zone))[0].to_pydatetime()
