import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orstats
from orstats.account.time_range import moment, span
from orstats.account.time_windows import MINUTE, Window, bisect, cut, disjoint, split_by_count, uncovered
from orstats.errors import ConfigError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def covers(windows, start, end):
    return windows[0].start == start and windows[-1].end == end and all(a.end == b.start for a, b in pairwise(windows))


@given(
    counts=st.lists(st.integers(0, 40_000), min_size=1, max_size=60),
    late=st.integers(0, 3599),
    early=st.integers(0, 3599),
    step=st.sampled_from([MINUTE, HOUR]),
)
def test_splitting_covers_the_window_and_complete_buckets_fit(counts, late, early, step):
    start = NOON + late * step / 3600
    end = NOON + len(counts) * step - early * step / 3600
    if start >= end:
        return
    buckets = {NOON + step * n: number for n, number in enumerate(counts)}
    windows = split_by_count(Window(start, end), buckets, step, 10_000)
    assert covers(windows, start, end)
    for window in windows:
        assert window.counted == step
        inside = [number for at, number in buckets.items() if window.start <= at and at + step <= window.end]
        assert len(inside) <= 1 or sum(inside) <= 10_000
        assert window.end == end or (window.end.second, window.end.microsecond) == (0, 0)


@given(st.lists(st.integers(500, 6000), min_size=24, max_size=200))
def test_splitting_needs_few_windows(counts):
    buckets = {NOON + HOUR * n: number for n, number in enumerate(counts)}
    windows = split_by_count(Window(NOON, NOON + HOUR * len(counts)), buckets, HOUR, 10_000)
    assert len(windows) <= 1.15 * sum(counts) / 10_000 + 1


def test_windows_are_no_longer_than_allowed_wherever_they_begin():
    start = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    for days in (31, 62, 93, 200):
        windows = cut(start, start + timedelta(days=days), timedelta(days=31))
        assert covers(windows, start, start + timedelta(days=days))
        assert max(window.length for window in windows) <= timedelta(days=31)
    assert len(cut(start, start + timedelta(days=31), timedelta(days=31))) == 1


def test_bisection_ends_at_a_minute():
    todo, seen = [Window(NOON + timedelta(seconds=7), NOON + timedelta(hours=2, seconds=9))], []
    while todo:
        window = todo.pop(0)
        smaller = bisect(window)
        if smaller == [window]:
            seen.append(window)
        else:
            todo[:0] = smaller
    assert covers(seen, NOON + timedelta(seconds=7), NOON + timedelta(hours=2, seconds=9))
    assert max(window.length for window in seen) == MINUTE


def test_cached_and_uncovered_windows_make_up_the_range():
    def at(hour):
        return NOON + HOUR * hour

    kept = [
        Window(at(1), at(3)),
        Window(at(1), at(2)),
        Window(at(2), at(4)),
        Window(at(5), at(6)),
        Window(at(7), at(9)),
    ]
    chosen = disjoint(kept, at(0), at(8))
    assert chosen == [Window(at(1), at(3)), Window(at(5), at(6))]
    assert uncovered(at(0), at(8), chosen) == [Window(at(0), at(1)), Window(at(3), at(5)), Window(at(6), at(8))]
    assert uncovered(at(0), at(1), [Window(at(0), at(1))]) == []


def test_a_naive_datetime_is_utc_with_a_warning():
    with pytest.warns(UserWarning, match=r"2026-03-01 12:00:00 has no time zone: read as UTC") as warned:
        assert moment(NOON.replace(tzinfo=None), now=NOON) == NOON
    assert warned[0].filename == __file__


def test_words_and_times_without_an_offset_are_in_the_zone():
    """The clocks of Berlin were put forward on the day before."""
    now = datetime(2026, 3, 30, 12, 30, tzinfo=UTC)
    for value, expected in {
        "now": "2026-03-30T14:30+02:00",
        "today": "2026-03-30T00:00+02:00",
        "yesterday": "2026-03-29T00:00+01:00",
        "Yesterday ": "2026-03-29T00:00+01:00",
        "24h": "2026-03-29T14:30+02:00",
        "90m": "2026-03-30T13:00+02:00",
        "90min": "2026-03-30T13:00+02:00",
        "1d": "2026-03-29T14:30+02:00",
        "2d": "2026-03-28T14:30+01:00",
        "1W": "2026-03-23T14:30+01:00",
        "1M": "2026-02-28T14:30+01:00",
        "3mo": "2025-12-30T14:30+01:00",
        "2026-03-29": "2026-03-29T00:00+01:00",
        "20260329": "2026-03-29T00:00+01:00",
        "2026-03-29T02:30": "2026-03-29T03:00+02:00",
        "2025-10-26T02:30": "2025-10-26T02:30+02:00",
        "2026-03-29T02:30Z": "2026-03-29T04:30+02:00",
        "2026-03-29T02:30-05:00": "2026-03-29T09:30+02:00",
        date(2026, 3, 29): "2026-03-29T00:00+01:00",
        datetime(2026, 3, 29, 12): "2026-03-29T12:00+02:00",  # noqa: DTZ001 - naive
        pd.Timestamp("2026-03-29T12:00"): "2026-03-29T12:00+02:00",
        pd.Timestamp("2026-03-29T12:00Z"): "2026-03-29T14:00+02:00",
    }.items():
        assert moment(value, now=now, tz="Europe/Berlin") == datetime.fromisoformat(expected), value


@pytest.mark.parametrize(
    ("day", "zone", "begins"),
    [
        ("2026-03-08", "America/Havana", "2026-03-08T01:00-04:00"),
        ("2026-11-01", "America/Havana", "2026-11-01T00:00-04:00"),
        ("2011-12-30", "Pacific/Apia", "2011-12-31T00:00+14:00"),
        ("2026-02-16", "Africa/Casablanca", "2026-02-16T00:00+00:00"),
    ],
)
def test_a_day_begins_when_the_clock_first_shows_it_or_jumps_past_it(day, zone, begins):
    assert moment(day, now=NOON, tz=zone) == datetime.fromisoformat(begins)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("yesterdy", "yesterday"),
        ("Todya", "today"),
        ("7 days", "7d"),
        ("7dayz", "7d"),
        ("24hrs", "24h"),
        ("3 mnths ago", "3mo"),
        ("2wks", "2w"),
        ("1 yr", "12mo"),
        ("an hour ago", "1h"),
        ("last week", "1w"),
        ("last-week", "1w"),
        ("7", "7d"),
        ("a week ago", "1w"),
        ("past 24 hours", "24h"),
        ("-7d", "7d"),
        ("7d ago", "7d"),
        ("3 Months", "3mo"),
        ("1y", "12mo"),
        ("2026-13-01", "2026-01-13"),
        ("2026-3-1", "2026-03-01"),
        ("2026-02-30", "2026-02-28"),
        ("2026-03", "2026-03-01"),
        ("2026/3/1 08:00", "2026-03-01T08:00"),
        ("01.12.2026", "2026-12-01"),
        ("12/31/2026", "2026-12-31"),
        ("31/12/2026", "2026-12-31"),
    ],
)
def test_an_unknown_time_suggests_the_nearest(text, meant):
    with pytest.raises(ConfigError, match=f"Unknown time '{re.escape(text)}'. Did you mean '{meant}'"):
        moment(text, now=NOON)
    moment(meant, now=NOON)


def test_ambiguous_dates_get_both_spellings():
    with pytest.raises(ConfigError, match=r"Did you mean '2026-01-11' or '2026-11-01'\?"):
        span("01/11/2026", "now")


@pytest.mark.parametrize(
    "value", ["", "soon", "2026-13-01", "7y", "0001-01-01T00:00:00+14:00", None, 7, pd.NaT, np.datetime64("NaT")]
)
def test_invalid_times_are_refused(value):
    with pytest.raises(ConfigError, match="Unknown time"):
        moment(value, now=NOON)


def test_times_of_numpy_are_read():
    with pytest.warns(UserWarning, match="no time zone"):
        assert moment(np.datetime64("2026-03-01T08:00:00.000000001"), now=NOON) == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert moment(np.datetime64("2026-03-01"), now=NOON) == datetime(2026, 3, 1, tzinfo=UTC)  # a date


def test_times_of_messages_are_read():
    assert moment("2026-03-01 08:00:05 UTC", now=NOON, tz="Asia/Tokyo") == datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC)
    with pytest.raises(ConfigError, match=r"Unknown time '2026-03-01 8am'\. Use 2026-03-01, 2026-03-01T08:00"):
        moment("2026-03-01 8am", now=NOON)


def test_invalid_ranges_are_refused():
    with pytest.raises(ConfigError, match="before its end"):
        span(NOON, NOON, now=NOON)
    with pytest.raises(ConfigError, match="in the future"):
        span("2026-03-02", "2026-03-03", now=NOON)
    assert span("today", "2099-01-01", now=NOON)[1] <= NOON + timedelta(minutes=5)


@pytest.mark.parametrize("function", [orstats.usage, orstats.list_ids, orstats.list_generations, orstats.reconcile])
@pytest.mark.parametrize(("name", "meant"), [("since", "start"), ("until", "end"), ("after", "start")])
def test_other_names_of_a_range_lead_to_the_parameter(function, name, meant):
    with pytest.raises(ConfigError, match=f"Unknown parameter '{name}'. Did you mean '{meant}'"):
        function(**{name: "7d"})
