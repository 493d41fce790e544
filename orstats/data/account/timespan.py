"""Times as people give them: datetimes, dates, ISO 8601, ``yesterday``, ``7d``. Everything becomes UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from orstats.api.errors import ConfigError
from orstats.data.account.telling import tell

Moment = datetime | date | str

#: This machine's clock and the vendor's may differ by so much.
_CLOCK_SLACK: Final = timedelta(minutes=5)
_AGO: Final = re.compile(r"(\d{1,5})\s*([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(value: Moment, *, now: datetime) -> datetime:
    """Return an aware datetime in UTC.

    Parameters
    ----------
    value
        A datetime (a naive one is read as UTC, with a UserWarning); a date (its first moment in UTC); or text: ISO 8601
        (UTC unless it names an offset), ``now``, ``today``, ``yesterday`` (UTC midnights), ``7d``, ``24h``, ``2w``,
        ``90m`` (that long before now).
    now
        An aware datetime that the words are relative to.

    Raises
    ------
    ConfigError
        Something that is none of these, or a time that UTC cannot hold.

    Examples
    --------
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> moment("yesterday", now=noon).isoformat(), moment("36h", now=noon).isoformat()
    ('2026-02-28T00:00:00+00:00', '2026-02-28T00:00:00+00:00')
    >>> moment("2026-02-01T08:30:00+02:00", now=noon).isoformat()
    '2026-02-01T06:30:00+00:00'
    """
    if isinstance(value, str):
        return _read(value.strip(), now)
    if not isinstance(value, date) or str(value) == "NaT":
        raise _no_time(value)
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if value.tzinfo is None or value.utcoffset() is None:
        tell(f"{value.isoformat(' ')} has no time zone: read as UTC.")
        return datetime.combine(value.date(), value.time(), UTC)
    return datetime.fromisoformat(value.isoformat()).astimezone(UTC)  # a plain datetime, also of a pandas Timestamp


def span(start: Moment, end: Moment, *, now: datetime | None = None) -> tuple[datetime, datetime]:
    """Return the two ends of a time range in UTC; the second is not part of it.

    An end in the future becomes five minutes from now, as nothing can have happened after that.

    Raises
    ------
    ConfigError
        An inverted or empty range, one that begins in the future, or a time that cannot be read.

    Examples
    --------
    >>> first, last = span("2026-02-01", "2026-03-01")
    >>> (last - first).days
    28
    """
    now = now or datetime.now(UTC)
    first = moment(start, now=now)
    last = moment(end, now=now)
    if first > now + _CLOCK_SLACK:
        raise ConfigError(
            f"The range begins in the future: {first:%Y-%m-%d %H:%M:%S} UTC; "
            f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC."
        )
    if first >= last:
        raise ConfigError(
            f"The range must begin before its end: {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S}."
        )
    return first, min(last, now + _CLOCK_SLACK)


def _read(text: str, now: datetime) -> datetime:
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    words = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text.lower() in words:
        return words[text.lower()]
    try:
        if ago := _AGO.fullmatch(text.lower()):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_time(text) from None


def _no_time(value: object) -> ConfigError:
    shown = repr(value[:40]) if isinstance(value, str) else str(value)[:40]
    return ConfigError(
        f"Not a time: {shown}. Give 2026-03-01, 2026-03-01T08:00:00+01:00, now, today, yesterday, or 7d."
    )
