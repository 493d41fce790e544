"""Hours, days, weeks and months on the reader's clock, whatever it does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pytest
from recomputed import frame_of

from orstats.analysis.buckets import freq_of, zone_of
from orstats.analysis.report import cost_by
from orstats.api.errors import ConfigError

ZONES = (
    "UTC",
    "Europe/Berlin",  # an hour is skipped on 2024-03-31 and comes twice on 2024-10-27, at night
    "America/Havana",  # midnight is skipped on 2024-03-10 and comes twice on 2024-11-03
    "America/Santiago",  # midnight is skipped on 2024-09-08
    "Asia/Kolkata",  # half an hour beside the others
    "Pacific/Auckland",
)
# Of the past: what governments decide for the future differs from one engine's time zone data to the other's.
CHANGES = ((2024, 3, 10), (2024, 3, 31), (2024, 4, 7), (2024, 9, 8), (2024, 10, 27), (2024, 11, 3), (2024, 12, 31))


def moments():
    """Every 20 minutes for two days and a half around each change of a clock."""
    for day in CHANGES:
        start = datetime(*day, tzinfo=UTC) - timedelta(days=1)
        yield from (start + timedelta(minutes=20 * step, seconds=7) for step in range(180))


def start_of(moment, freq, zone):
    """When the bucket of a moment begins, found on the clock itself: minute by minute, back to where it began."""
    local = moment.astimezone(zone)
    if freq == "hour":
        return (moment - timedelta(minutes=local.minute, seconds=local.second)).timestamp()
    day = local.date()
    if freq == "week":
        day -= timedelta(days=day.weekday())
    elif freq == "month":
        day = day.replace(day=1)
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    while first.astimezone(zone).date() < day:
        first += timedelta(minutes=15)
    return first.timestamp()


@pytest.fixture(scope="module")
def df():
    return frame_of(
        {
            str(number): {"model": "m", "total_cost": 1.0, "is_byok": False, "created_at": moment.isoformat()}
            for number, moment in enumerate(moments())
        }
    )


@pytest.mark.parametrize("freq", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", ZONES)
def test_buckets_begin_where_the_clock_says(df, freq, zone):
    clock = ZoneInfo(zone)
    expected = {}
    for moment in moments():
        start = start_of(moment, freq, clock)
        expected[start] = expected.get(start, 0) + 1
    report = cost_by(df, None, freq=freq, tz=zone)
    assert str(report.index.dtype) == f"datetime64[us, {zone}]"
    assert report.index.is_monotonic_increasing
    counted = {start.timestamp(): count for start, count in report["generations"].items()}
    assert counted == expected
    plain = df.reset_index()
    lazy = cost_by(pl.from_pandas(plain).lazy(), None, freq=freq, tz=zone).collect()
    assert lazy["period"].dtype.time_zone == zone
    assert {start.timestamp(): count for start, count in lazy.select("period", "generations").rows()} == expected
    connection = duckdb.connect()
    connection.register("plain", plain)
    relation = cost_by(connection.sql("FROM plain"), None, freq=freq, tz=zone)
    found = relation.project("epoch(period), generations").fetchall()
    assert dict(found) == expected


def test_days_have_23_and_25_hours(df):
    daily = cost_by(df, None, freq="D", tz="Europe/Berlin")
    assert daily.loc["2024-03-31 00:00:00+01:00", "generations"] == 23 * 3
    assert daily.loc["2024-10-27 00:00:00+02:00", "generations"] == 25 * 3


def test_the_hour_that_comes_twice_is_two(df):
    hourly = cost_by(df, None, freq="h", tz="Europe/Berlin").loc["2024-10-27"]
    assert len(hourly) == 25
    assert (hourly["generations"] == 3).all()


def test_weeks_begin_on_monday(df):
    assert set(cost_by(df, None, freq="W", tz="Pacific/Auckland").index.day_name()) == {"Monday"}


def test_a_missing_time_is_a_group_of_its_own_and_last():
    df = frame_of(
        {
            "1": {"model": "m", "total_cost": 9.0, "is_byok": False},
            "2": {"model": "m", "total_cost": 1.0, "is_byok": False, "created_at": "2026-01-31T23:30:00Z"},
        }
    )
    for freq in ("hour", "day", "week", "month"):
        report = cost_by(df, freq=freq, tz="Europe/Berlin")
        assert report.index.names == ["period", "model"]
        assert pd.isna(report.index[1][0])
        assert report["cost_usd"].to_list() == [1.0, 9.0]
    assert str(report.index[0][0]) == "2026-02-01 00:00:00+01:00"


def test_periods_are_in_order_and_groups_in_them_dearest_first():
    df = frame_of(
        {
            str(number): {
                "model": model,
                "total_cost": cost,
                "is_byok": False,
                "created_at": f"2026-01-0{day}T12:00:00Z",
            }
            for number, (day, model, cost) in enumerate([(2, "a", 9.0), (1, "a", 1.0), (1, "b", 2.0), (2, "c", 10.0)])
        }
    )
    report = cost_by(df, freq="D").reset_index()
    assert list(zip(report["period"].dt.day, report["model"], strict=True)) == [(1, "b"), (1, "a"), (2, "c"), (2, "a")]


@pytest.mark.parametrize("name", ["hour", "h", "H", "Hour"])
def test_names_of_buckets(name):
    assert freq_of(name) == "hour"


@pytest.mark.parametrize("name", ["", "ME", "2D", None, 7, "days"])
def test_other_names_of_buckets(name):
    with pytest.raises(ConfigError, match="hour, day, week or month"):
        freq_of(name)


@pytest.mark.parametrize("name", ["", None, "Mars/Olympus", "/etc/localtime", "x" * 10_000, "a\0b"])
def test_time_zones_that_are_none(name):
    with pytest.raises(ConfigError, match="name of a time zone"):
        zone_of(name)
