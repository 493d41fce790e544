"""Hours, days, weeks, months, quarters and years on the clock of a time zone, for each engine.

In two steps, as many rows have few periods: :func:`add_period` gives each row the wall-clock time at which its period
starts, and :func:`localize_period` converts these to moments after grouping. Hours are moments from the start, as one
of them occurs twice when summer time ends. Every engine uses the offsets of :mod:`orstats.text.time_zones`, so that
its own time zone data and the time zone of its session do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame.cast_columns import Frame, wrap_native
from orstats.frame.validation import require_columns
from orstats.text.suggest import did_you_mean, similar
from orstats.text.time_zones import Times, clock, offsets

Freq = Literal["hour", "day", "week", "month", "quarter", "year"]

_FREQS: Final[dict[str, Freq]] = {
    "h": "hour",
    "d": "day",
    "w": "week",
    "m": "month",
    "q": "quarter",
    "y": "year",
}
#: The column of a report over time: the start of the hour, day, week, month, quarter or year.
PERIOD: Final = "period"
_CREATED: Final = "created_at"
_UTC: Final = "orstats_utc_us"
_LOCAL: Final = "orstats_local_us"
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
_EPOCH_US: Final = "datetime64[us]"
#: NumPy's weeks start on Thursdays, the weekday of 1970-01-01.
_THURSDAY: Final = np.timedelta64(3, "D")
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


def freq_of(freq: str) -> Freq:
    """Return the unit that a word or letter stands for.

    Examples
    --------
    >>> freq_of("D"), freq_of("week")
    ('day', 'week')
    """
    words: dict[str, Freq] = _FREQS | {name: name for name in _FREQS.values()}
    word = str(freq).lower()
    if (found := words.get(word)) is not None:
        return found
    hint = did_you_mean([words[near] for near in similar(word, words, most=1, cutoff=0.5)])
    raise ConfigError(
        f"freq must be hour, day, week, month, quarter or year (or h, D, W, M, Q, Y), got {str(freq)[:80]!r}.{hint}"
    )


def period_starts(utc: Times, freq: Freq, zone: str) -> Times:
    """Return when the period of each time starts: in UTC for hours, on the wall clock of the zone for all others."""
    table = offsets(zone)
    place = table.at(utc)
    local = utc + table.offsets[place]
    if freq == "hour":
        # Where the clock changes by half an hour, an hour starts with the new offset.
        hours: Times = np.maximum(utc - (local - local.astype("datetime64[h]")), table.starts[place])
        return hours
    found: Any
    if freq == "day":
        found = local.astype("datetime64[D]")
    elif freq == "week":
        found = (local + _THURSDAY).astype("datetime64[W]").astype("datetime64[D]") - _THURSDAY
    else:
        months = local.astype("datetime64[M]")
        found = months - months.astype("timedelta64[M]") % np.timedelta64(_MONTHS[freq], "M")
    wall: Times = found.astype(_EPOCH_US)
    return wall


def all_periods(started: Times, freq: Freq, zone: str) -> Times:
    """Return the starts of all periods from the first to the last of some, and of the one after that."""
    if not len(started):
        return started
    first, last = started.min(), started.max()
    if freq == "hour":
        # Clocks change at quarters of an hour at most.
        quarters = np.arange(first, last + np.timedelta64(2, "h"), np.timedelta64(15, "m"))
        hours = np.unique(period_starts(quarters, freq, zone))
        return hours[: np.searchsorted(hours, last) + 2]
    if freq in _MONTHS:
        months = np.timedelta64(_MONTHS[freq], "M")
        end = last.astype("datetime64[M]") + 2 * months
        return np.arange(first.astype("datetime64[M]"), end, months).astype(_EPOCH_US)
    step = np.timedelta64(7 if freq == "week" else 1, "D")
    return np.arange(first, last + 2 * step, step)


def period_moments(started: Times, freq: Freq, zone: str) -> Times:
    """Convert the results of :func:`period_starts` to UTC.

    Where midnight is skipped, the day starts when the clock jumps; where it occurs twice, at the first.
    """
    return started if freq == "hour" else offsets(zone).first_moment(started)


def add_period(frame: Frame, freq: Freq, zone: str) -> Frame:
    """Add the column ``period``, to group by."""
    require_columns(frame.collect_schema().names(), [_CREATED])
    kind = frame.implementation
    native: Any = frame.to_native()
    if kind.is_pandas():
        return wrap_native(native.assign(**{PERIOD: period_starts(utc_times(native[_CREATED]), freq, zone)}))
    if kind.is_duckdb() and str(native.types[native.columns.index(_CREATED)]) == "TIMESTAMPTZ_NS":
        native = native.project(
            f"* REPLACE (CAST({_CREATED} AS TIMESTAMPTZ) AS {_CREATED})"
        )  # narwhals does not support nanoseconds
        frame = wrap_native(native)
    dtype = frame.collect_schema()[_CREATED]
    if not isinstance(dtype, nw.Datetime) or dtype.time_zone is None:
        raise _not_aware(dtype)
    if kind.is_polars():
        pl = nw.get_native_namespace(frame)
        utc = pl.col(_CREATED).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return wrap_native(native.with_columns(_mapped(pl, utc, period_starts, freq, zone).alias(PERIOD)))
    table = offsets(zone)
    local = f"{_UTC} + {_case(_UTC, _us(table.starts[1:]), _us(table.offsets))}"
    if kind.is_duckdb():
        rows = native.project(f'*, epoch_us("{_CREATED}") AS {_UTC}').project(f"*, {local} AS {_LOCAL}")
        into_hour = f"({_LOCAL} % {_HOUR_US} + {_HOUR_US}) % {_HOUR_US}"
        start = f"epoch_us(date_trunc('{freq}', make_timestamp({_LOCAL})))"
        start = _hour(into_hour, zone) if freq == "hour" else start
        return wrap_native(rows.project(f'* EXCLUDE ({_UTC}, {_LOCAL}), {start} AS "{PERIOD}"'))
    rows = native.selectExpr("*", f"unix_micros({_CREATED}) as {_UTC}").selectExpr("*", f"{local} as {_LOCAL}")
    if freq == "hour":
        start = _hour(f"pmod({_LOCAL}, {_HOUR_US}L)", zone)
    else:
        date = f"date_from_unix_date(cast(({_LOCAL} - pmod({_LOCAL}, {_DAY_US}L)) div {_DAY_US}L as int))"
        date = date if freq == "day" else f"trunc({date}, '{freq}')"
        start = f"unix_date({date}) * {_DAY_US}L"
    return wrap_native(rows.selectExpr("*", f"{start} as {PERIOD}").drop(_UTC, _LOCAL))


def localize_period(frame: Frame, freq: Freq, zone: str) -> Frame:
    """Convert ``period`` to the moment at which each period starts.

    pandas and Polars show it in the given time zone; DuckDB and Spark in that of their connection or session.
    """
    native: Any = frame.to_native()
    kind = frame.implementation
    if kind.is_pandas():
        utc = period_moments(native[PERIOD].to_numpy(dtype=_EPOCH_US), freq, zone)
        return wrap_native(native.assign(**{PERIOD: pd.DatetimeIndex(utc, tz="UTC").tz_convert(clock(zone))}))
    if kind.is_polars():
        pl = nw.get_native_namespace(frame)
        utc = _mapped(pl, pl.col(PERIOD), period_moments, freq, zone).dt.replace_time_zone("UTC")
        return wrap_native(native.with_columns(utc.dt.convert_time_zone(zone).alias(PERIOD)))
    moment = PERIOD
    if freq != "hour":
        table = offsets(zone)
        ends = _us(table.local_ends())
        first = _case(PERIOD, ends, [f"{PERIOD} - {offset}" for offset in _us(table.offsets)])
        moment = f"greatest({first}, {_case(PERIOD, ends, _us(table.starts))})"
    if kind.is_duckdb():
        moment = f"CASE WHEN {PERIOD} IS NOT NULL THEN make_timestamptz({moment}) END"
        return wrap_native(native.project(f"* REPLACE ({moment} AS {PERIOD})"))
    others = [name for name in native.columns if name != PERIOD]
    moment = f"case when {PERIOD} is not null then timestamp_micros({moment}) end as {PERIOD}"
    return wrap_native(native.selectExpr(moment, *(f"`{name}`" for name in others)))


def utc_times(created: pd.Series[Any]) -> Times:
    """Return the times of a pandas column in UTC."""
    dtype = created.dtype
    if isinstance(dtype, pd.ArrowDtype) and getattr(dtype.pyarrow_dtype, "tz", None) is not None:
        created = created.astype(pd.DatetimeTZDtype("us", "UTC"))
    elif not isinstance(dtype, pd.DatetimeTZDtype):
        raise _not_aware(dtype)
    utc: Times = created.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype=_EPOCH_US)
    return utc


def _not_aware(dtype: object) -> ConfigError:
    return ConfigError(
        f"{_CREATED} must have a time zone for a report over time, got {dtype}. "
        f'In pandas, pd.to_datetime(df["{_CREATED}"], utc=True) converts it.'
    )


def _mapped(pl: Any, values: Any, function: Any, freq: Freq, zone: str) -> Any:
    """Apply :func:`period_starts` or :func:`period_moments` to a Polars expression."""

    def apply(series: Any) -> Any:
        return pl.Series(function(series.to_numpy().astype(_EPOCH_US), freq, zone))

    us = pl.Datetime("us")
    return values.cast(us).map_batches(apply, return_dtype=us, is_elementwise=True)


def _us(values: npt.NDArray[Any]) -> list[int]:
    counted: list[int] = values.astype("int64").tolist()
    return counted


def _hour(into_hour: str, zone: str) -> str:
    """Return SQL for the start of an hour; a change of the clock to the middle of one starts another one."""
    table = offsets(zone)
    starts, shown = _us(table.starts), _us(table.starts + table.offsets)
    first = [start if local % _HOUR_US else starts[0] for start, local in zip(starts, shown, strict=True)]
    start = f"greatest({_UTC} - {into_hour}, {_case(_UTC, _us(table.starts[1:]), first)})"
    return f"CASE WHEN {_UTC} IS NOT NULL THEN {start} END"  # DuckDB's greatest() ignores missing values


def _case(value: str, ends: Sequence[int], results: Sequence[object]) -> str:
    """Return SQL, a balanced tree, for the result of the first end that exceeds a value, or the last result."""
    if len(set(results)) == 1:
        return str(results[0])
    middle = (len(ends) - 1) // 2
    below = _case(value, ends[:middle], results[: middle + 1])
    above = _case(value, ends[middle + 1 :], results[middle + 1 :])
    return f"CASE WHEN {value} < {ends[middle]} THEN {below} ELSE {above} END"
