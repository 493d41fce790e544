"""Hours, days, weeks and months on the reader's clock, for each engine.

Two steps, because only a few buckets come out of many rows: :func:`cut` adds to each row the wall-clock time at which
its bucket starts, and :func:`place` turns these, after grouping, into moments. A day is 23 or 25 hours long where the
clock is changed. Hours are moments from the beginning, as one of them comes twice then. narwhals cannot do it: it
knows no other time zone for DuckDB and Spark than that of the connection.
"""

from __future__ import annotations

import difflib
import zoneinfo
from typing import Any, Final, Literal

import narwhals as nw
import pandas as pd

from orstats.analysis.engines import Frame, require, rewrap
from orstats.api.errors import ConfigError

Freq = Literal["hour", "day", "week", "month"]

#: The column that names the bucket.
PERIOD: Final = "period"

_FREQS: Final[dict[str, Freq]] = {"h": "hour", "d": "day", "w": "week", "m": "month"}
_POLARS: Final[dict[Freq, str]] = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo"}
_CREATED: Final = "created_at"
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US


def freq_of(freq: str) -> Freq:
    """Return which buckets are meant.

    Parameters
    ----------
    freq
        ``hour``, ``day``, ``week`` (from Monday) or ``month``, or their first letters, small or capital.

    Raises
    ------
    ConfigError
        Something else.

    Examples
    --------
    >>> freq_of("D"), freq_of("week")
    ('day', 'week')
    """
    found = _FREQS.get(str(freq).lower()) or next((f for f in _FREQS.values() if f == str(freq).lower()), None)
    if found is None:
        raise ConfigError(f"freq is hour, day, week or month (or h, D, W, M); not {str(freq)[:80]!r}.")
    return found


def zone_of(tz: str) -> str:
    """Check the name of a time zone.

    Raises
    ------
    ConfigError
        There is none of that name; the message lists names that are near.

    Examples
    --------
    >>> zone_of("Europe/Berlin")
    'Europe/Berlin'
    """
    try:
        return zoneinfo.ZoneInfo(tz).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        near = difflib.get_close_matches(str(tz), zoneinfo.available_timezones(), 3, 0.6)
        hint = f"; did you mean {' or '.join(near)}?" if near else ", such as Europe/Berlin or UTC."
        raise ConfigError(f"tz is the name of a time zone{hint} Not {str(tz)[:80]!r}.") from None


def cut(frame: Frame, freq: Freq, zone: str) -> Frame:
    """Add the column ``period``, to group by.

    Parameters
    ----------
    frame
        With ``created_at``.
    freq, zone
        From :func:`freq_of` and :func:`zone_of`.

    Raises
    ------
    ConfigError
        ``created_at`` is not a time with a time zone.
    """
    require(frame, [_CREATED])
    dtype = frame.collect_schema()[_CREATED]
    if not isinstance(dtype, nw.Datetime) or dtype.time_zone is None:
        raise ConfigError(f"To report over time, {_CREATED} must be a time with a time zone; it is {dtype}.")
    native: Any = frame.to_native()
    kind = frame.implementation
    if kind.is_pandas():
        return rewrap(native.assign(**{PERIOD: _pandas(native[_CREATED], freq, zone)}))
    if kind.is_polars():
        created = nw.get_native_namespace(frame).col(_CREATED)
        local = created.dt.convert_time_zone(zone).dt.replace_time_zone(None)
        start = local.dt.truncate(_POLARS[freq])
        if freq == "hour":
            start = created.dt.convert_time_zone("UTC") - (local - start)
        return rewrap(native.with_columns(start.alias(PERIOD)))
    if kind.is_duckdb():
        local = f"({_CREATED} AT TIME ZONE '{zone}')"
        start = f"date_trunc('{freq}', {local})"
        start = f"{_CREATED} - ({local} - {start})" if freq == "hour" else f"CAST({start} AS TIMESTAMP)"
        return rewrap(native.project(f'*, {start} AS "{PERIOD}"'))
    # Microseconds since 1970 of the wall clock: the time zone of the session has no part in them.
    local = f"unix_micros(from_utc_timestamp({_CREATED}, '{zone}'))"
    if freq == "hour":
        start = f"timestamp_micros(unix_micros({_CREATED}) - pmod({local}, {_HOUR_US}L))"
    else:
        date = f"date_from_unix_date(cast(floor({local} / {_DAY_US}L) as int))"
        start = date if freq == "day" else f"trunc({date}, '{freq}')"
    return rewrap(native.selectExpr("*", f"{start} as {PERIOD}"))


def place(frame: Frame, freq: Freq, zone: str) -> Frame:
    """Turn ``period`` into the moment at which each bucket starts.

    pandas and Polars say it in the reader's time zone; DuckDB and Spark keep that of their connection or session, and
    mean the same moment. Where midnight is skipped the day starts at one o'clock, where it comes twice at the first.
    """
    native: Any = frame.to_native()
    kind = frame.implementation
    if kind.is_pandas():
        starts, clock = native[PERIOD], zoneinfo.ZoneInfo(zone)
        if freq == "hour":
            starts = starts.dt.tz_convert(clock)
        else:
            first = pd.Series(data=True, index=starts.index).to_numpy()
            starts = starts.dt.tz_localize(clock, ambiguous=first, nonexistent="shift_forward")
        return rewrap(native.assign(**{PERIOD: starts}))
    if kind.is_polars():
        pl = nw.get_native_namespace(frame)
        start = pl.col(PERIOD)
        if freq == "hour":
            start = start.dt.convert_time_zone(zone)
        else:
            later = start.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            there = start.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            start = pl.coalesce(there, later)
        return rewrap(native.with_columns(start.alias(PERIOD)))
    if freq == "hour":
        return frame
    if kind.is_duckdb():
        start = f"(\"{PERIOD}\" AT TIME ZONE '{zone}')"
        before = f"({start} - INTERVAL 1 HOUR)"  # DuckDB takes the second of two equal wall-clock times
        moment = f"CASE WHEN ({before} AT TIME ZONE '{zone}') = \"{PERIOD}\" THEN {before} ELSE {start} END"
        return rewrap(native.project(f'* REPLACE ({moment} AS "{PERIOD}")'))
    days = f"unix_date({PERIOD}) * {_DAY_US}L"
    others = [name for name in native.columns if name != PERIOD]
    moment = f"to_utc_timestamp(timestamp_micros({days}), '{zone}') as {PERIOD}"
    return rewrap(native.selectExpr(moment, *(f"`{name}`" for name in others)))


def _pandas(created: Any, freq: Freq, zone: str) -> Any:
    local = created.dt.tz_convert(zoneinfo.ZoneInfo(zone)).dt.tz_localize(None)  # of a mere name pandas 2 asks pytz
    if freq == "hour":
        return (created - (local - local.dt.floor("h"))).dt.as_unit("us")
    start = local.dt.normalize()
    if freq == "week":
        start -= pd.to_timedelta(start.dt.day_of_week, unit="D")
    elif freq == "month":
        start -= pd.to_timedelta(start.dt.day - 1, unit="D")
    return start.dt.as_unit("us")  # pandas 2 counts nanoseconds here
