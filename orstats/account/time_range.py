"""Parse times: datetimes, dates, ISO 8601 text, ``yesterday``, ``7d``. All become UTC."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from orstats._warn import warn_caller
from orstats.errors import ConfigError
from orstats.text.suggest import did_you_mean, similar
from orstats.text.time_zones import clock, first_moment, zone_of

Moment = datetime | date | str

#: Tolerated difference between this machine's clock and the vendor's.
_CLOCK_SLACK: Final = timedelta(minutes=5)
_AGO: Final = re.compile(r"(\d{1,5})\s*(min|mo|m|M|[hdwHDW])")
_ELAPSED: Final = {"m": timedelta(minutes=1), "min": timedelta(minutes=1), "h": timedelta(hours=1)}
_DAYS: Final = {"d": timedelta(days=1), "w": timedelta(days=7)}
_WORDS: Final = ("now", "today", "yesterday")
_FORMS: Final = "2026-03-01, 2026-03-01T08:00+01:00, today, yesterday, now, or a time ago: 90min, 24h, 7d, 2w or 3mo"
# Common other spellings.
_UNITS: Final = {
    **{unit: unit for unit in ("m", "min", "h", "d", "w", "mo", "y")},
    "minute": "min",
    "hour": "h",
    "hr": "h",
    "day": "d",
    "week": "w",
    "wk": "w",
    "month": "mo",
    "year": "y",
    "yr": "y",
}
_UNIT_WORDS: Final = {f"{name}s": unit for name, unit in _UNITS.items() if len(name) > 1}
_LOOSE_AGO: Final = re.compile(r"(?:an? |one |last|past|-)?\s*(\d*)\s*([a-z]+)(?:\s+ago)?")
#: As this package writes times in messages.
_UTC_WORD: Final = re.compile(r"(?<=\d)\s*(?:UTC|GMT)$", re.IGNORECASE)
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?(?![-/.\d])(.*)")
_YEAR_LAST: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(.*)")


#: How the command line and `Archive.forget` name the limits of a range.
_OTHER_NAMES: Final = {"since": "start", "after": "start", "until": "end", "before": "end"}

P = ParamSpec("P")
R = TypeVar("R")


def named_start_and_end(function: Callable[P, R]) -> Callable[P, R]:
    """Say which parameter was meant when a function of a time range gets one of another name."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name in _OTHER_NAMES:
                raise ConfigError(f"Unknown parameter {name!r}. Did you mean {_OTHER_NAMES[name]!r}?")
        return function(*args, **kwargs)

    return checked


def moment(value: Moment, *, now: datetime, tz: str = "UTC") -> datetime:
    """Return an aware datetime in UTC.

    Examples
    --------
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> moment("yesterday", now=noon).isoformat(), moment("36h", now=noon).isoformat()
    ('2026-02-28T00:00:00+00:00', '2026-02-28T00:00:00+00:00')
    >>> moment("2026-02-01T08:30:00+02:00", now=noon).isoformat()
    '2026-02-01T06:30:00+00:00'
    >>> moment("today", now=noon, tz="Asia/Tokyo").isoformat()
    '2026-02-28T15:00:00+00:00'
    """
    zone = zone_of(tz)
    try:
        if isinstance(value, str):
            return _read(value.strip(), now, zone)
        if hasattr(value, "astype"):  # numpy.datetime64
            unit = "D" if re.search(r"\[[YMWD]\]", str(getattr(value, "dtype", ""))) else "us"
            value = value.astype(f"datetime64[{unit}]").item()
        if not isinstance(value, date) or str(value) == "NaT":
            raise _unknown(value)
        if not isinstance(value, datetime):
            return first_moment(datetime.combine(value, time()), zone)
        if value.tzinfo is None or value.utcoffset() is None:
            if zone == "UTC":
                warn_caller(f"{value.isoformat(' ')} has no time zone: read as UTC.")
            return first_moment(datetime.combine(value.date(), value.time()), zone)
        return datetime.fromisoformat(value.isoformat()).astimezone(UTC)  # a plain datetime, also of a Timestamp
    except OverflowError:
        raise _unknown(value) from None


def span(start: Moment, end: Moment, *, now: datetime | None = None, tz: str = "UTC") -> tuple[datetime, datetime]:
    """Return the two ends of a time range in UTC; the second is exclusive.

    An end in the future becomes five minutes from now.

    Examples
    --------
    >>> first, last = span("2026-02-01", "2026-03-01")
    >>> (last - first).days
    28
    """
    now = now or datetime.now(UTC)
    first = moment(start, now=now, tz=tz)
    last = moment(end, now=now, tz=tz)
    if first > now + _CLOCK_SLACK:
        raise ConfigError(
            f"The range begins in the future: {first:%Y-%m-%d %H:%M:%S} UTC; "
            f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC."
        )
    if first >= last:
        raise ConfigError(
            f"The range must begin before its end: {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC."
        )
    return first, min(last, now + _CLOCK_SLACK)


def previous(start: datetime, end: datetime, *, tz: str = "UTC") -> datetime:
    """Return the start of the period of equal length that ends at `start`.

    Days are counted on the clock of the time zone, so a week begins at the same time of day although the clocks change.

    Examples
    --------
    >>> start, end = span("2024-04-01", "2024-04-08", tz="Europe/Berlin")
    >>> previous(start, end, tz="Europe/Berlin").isoformat()
    '2024-03-24T23:00:00+00:00'
    >>> previous(end - timedelta(hours=30), end).isoformat()
    '2024-04-05T10:00:00+00:00'
    """
    local_start, local_end = (one.astimezone(clock(tz)).replace(tzinfo=None) for one in (start, end))
    length = local_end - local_start
    try:
        if length % _DAYS["d"]:
            return start - (end - start)
        return first_moment(local_start - length, zone_of(tz))
    except OverflowError:
        raise ConfigError(f"There is no earlier period as long as {start.date()} to {end.date()}.") from None


def _read(text: str, now: datetime, zone: str) -> datetime:
    local = now.astimezone(clock(zone)).replace(tzinfo=None)
    if text.lower() == "now":
        return now
    if text.lower() in _WORDS:
        day = datetime.combine(local.date(), time())
        return first_moment(day - timedelta(days=text.lower() == "yesterday"), zone)
    if ago := _AGO.fullmatch(text):
        amount, unit = int(ago[1]), ago[2] if ago[2] == "M" else ago[2].lower()
        if unit in _ELAPSED:
            return now - amount * _ELAPSED[unit]
        earlier = local - amount * _DAYS[unit] if unit in _DAYS else _months_before(local, amount)
        return first_moment(earlier, zone)
    try:
        read = datetime.fromisoformat(_UTC_WORD.sub("Z", text))
    except ValueError:
        raise _unknown(text) from None
    return first_moment(read, zone) if read.tzinfo is None else read.astimezone(UTC)


def _months_before(local: datetime, months: int) -> datetime:
    """Return the same day of an earlier month, or that month's last day."""
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    if year < 1:
        raise OverflowError
    return local.replace(year=year, month=month + 1, day=min(local.day, calendar.monthrange(year, month + 1)[1]))


def _unknown(value: object) -> ConfigError:
    shown = repr(value[:40]) if isinstance(value, str) else str(value)[:40]
    near = [one for one in _nearest(value.lower()) if one != value] if isinstance(value, str) else []
    if not near:
        return ConfigError(f"Unknown time {shown}. Use {_FORMS}.")
    return ConfigError(f"Unknown time {shown}.{did_you_mean(near)}")


def _nearest(text: str) -> list[str]:
    if text.isdecimal() and len(text) < 4:  # noqa: PLR2004 - the digits of a year
        return [f"{int(text)}d"]
    if (loose := _LOOSE_AGO.fullmatch(re.sub("[-_](?=[a-z])", " ", text))) and (
        unit := _unit(loose[2], is_certain=bool(loose[1]))
    ):
        amount = int(loose[1] or 1)
        return [f"{12 * amount}mo" if unit == "y" else f"{amount}{unit}"]
    days: list[str | None] = []
    if read := _YEAR_FIRST.fullmatch(text):
        days = [_calendar_day(int(read[1]), int(read[2]), int(read[3] or 1))]
    elif read := _YEAR_LAST.fullmatch(text):
        first, second = int(read[1]), int(read[3])
        # With slashes, some countries put the month first and others the day.
        orders = [(second, first)] if read[2] == "." else [(first, second), (second, first)]
        days = [_calendar_day(int(read[4]), month, on) for month, on in orders]
    found = list(dict.fromkeys(day for day in days if day is not None))
    if not found or read is None:
        return similar(text, _WORDS)[:1]
    at = _time_of_day(read[read.re.groups])
    return [] if at is None else [day + at for day in found]


def _unit(word: str, *, is_certain: bool) -> str | None:
    """Return the unit that a word means; a misspelled one only where the word is certainly a unit."""
    if (unit := _UNITS.get(word) or _UNITS.get(word.removesuffix("s"))) or not is_certain:
        return unit
    return next((_UNIT_WORDS[name] for name in similar(word, _UNIT_WORDS, most=1)), None)


def _calendar_day(year: int, month: int, day: int) -> str | None:
    """Return a valid day: the last of a shorter month, or the one with month and day swapped."""
    if month > 12 >= day:  # noqa: PLR2004 - months
        month, day = day, month
    if not (year and 1 <= month <= 12 and day):  # noqa: PLR2004 - months
        return None
    return date(year, month, min(day, calendar.monthrange(year, month)[1])).isoformat()


def _time_of_day(text: str) -> str | None:
    try:
        return f"T{time.fromisoformat(text.strip(' t')).isoformat('minutes')}" if text else ""
    except ValueError:
        return None
