import pandas as pd
import pytest

import orstats
from orstats.frame.build import build_frame
from orstats.frame.record_table import to_table
from orstats.reports.coverage import COVERS_RANGE
from orstats.reports.incomplete_periods import data_range, incomplete_in_report, incomplete_periods
from orstats.reports.periods import all_periods

LONG_AFTER = "2027-06-01T00:00Z"


def frame(*created, **attrs):
    records = [{"model": "a", "total_cost": 1.0, "is_byok": False, "created_at": moment} for moment in created]
    ids = [f"gen-{at}" for at in range(len(records))]
    df = build_frame(ids, [to_table(ids, records, [0.0] * len(ids))], {})
    df.attrs |= attrs
    return df


def found(df, freq, now=LONG_AFTER, tz="UTC"):
    report = orstats.cost_by(df, freq=freq, tz=tz)
    return [one.sentence for one in incomplete_in_report(report, now=pd.Timestamp(now))]


@pytest.mark.parametrize(
    ("df", "freq", "now", "expected"),
    [
        # Records from border to border, and nothing else known: no sign of a part that is missing.
        (frame("2026-03-01T00:40Z", "2026-03-02T23:10Z"), "D", LONG_AFTER, []),
        (
            frame("2026-03-01T09:12Z", "2026-03-03T18:30Z"),
            "D",
            LONG_AFTER,
            [
                "The first day may be incomplete: its first record is from 2026-03-01 09:12.",
                "The last day may be incomplete: its last record is from 2026-03-03 18:30.",
            ],
        ),
        # The requested range is the border where it lies within a period.
        (
            frame("2026-03-01T09:12Z", "2026-03-03T18:30Z", since="2026-03-01T09:00Z", until="2026-03-03T20:00Z"),
            "D",
            LONG_AFTER,
            [
                "The first day is incomplete: the range starts at 2026-03-01 09:00.",
                "The last day is incomplete: the range ends at 2026-03-03 20:00.",
            ],
        ),
        # An account lists all of the range; an archive, with the same range, need not have it.
        (
            frame("2026-03-05T09:12Z", since="2026-03-01T00:00Z", until="2026-03-09T00:00Z", **{COVERS_RANGE: True}),
            "D",
            LONG_AFTER,
            [],
        ),
        (
            frame("2026-03-05T09:12Z", since="2026-03-01T00:00Z", until="2026-03-06T00:00Z"),
            "D",
            LONG_AFTER,
            [
                "The first day may be incomplete: its first record is from 2026-03-05 09:12.",
                "The last day may be incomplete: its last record is from 2026-03-05 09:12.",
            ],
        ),
        # A period that has not ended.
        (
            frame("2026-03-01T00:00Z", "2026-03-18T10:00Z", until="2026-04-01T00:00Z"),
            "M",
            "2026-03-18T10:30Z",
            ["The last month is incomplete: it has not ended."],
        ),
        # A clock that is behind the records says nothing.
        (frame("2026-03-01T00:00Z", "2026-03-31T23:00Z"), "M", "2026-03-18T10:30Z", []),
        (frame(), "D", LONG_AFTER, []),
        (frame("2026-03-01T09:12Z"), None, LONG_AFTER, []),
    ],
)
def test_incomplete_periods_are_those_that_range_clock_or_records_show(df, freq, now, expected):
    assert found(df, freq, now) == expected


def test_periods_and_moments_are_those_of_the_time_zone():
    # In Berlin the first record is of 23 hours of 29 March, from 00:30 on.
    df = frame("2026-03-28T23:30Z", "2026-03-30T21:00Z")
    assert found(df, "D", tz="Europe/Berlin") == []
    assert found(df, "D") == [
        "The first day may be incomplete: its first record is from 2026-03-28 23:30.",
        "The last day may be incomplete: its last record is from 2026-03-30 21:00.",
    ]


def test_only_the_first_and_the_last_period_are_computed(monkeypatch):
    computed = []

    def counted(*arguments):
        computed.append(all_periods(*arguments))
        return computed[-1]

    monkeypatch.setattr("orstats.reports.incomplete_periods.all_periods", counted)
    assert len(found(frame("1970-01-01T00:30Z", "2200-01-01T00:30Z"), "h", "2300-01-01T00:00Z")) == 2
    assert sum(map(len, computed)) <= 8


def test_reports_over_time_say_which_periods_are_incomplete():
    report = orstats.cost_by(frame("2026-03-01T09:12Z", "2026-03-02T23:50Z"), freq="D")
    assert report.attrs["note"] == "The first day may be incomplete: its first record is from 2026-03-01 09:12."
    assert report.attrs["note"] in report._repr_html_()
    assert "note" not in orstats.cost_by(frame("2026-03-01T09:12Z")).attrs


def test_no_periods_are_complete():
    none = pd.DatetimeIndex([], tz="UTC")
    assert incomplete_periods(none, none, "day", data_range(frame())) == ()
