"""Hours, days, weeks and months on the reader's clock, whatever it does."""

import pickle
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import pytz
from recomputed import frame_of

from orstats.errors import ConfigError
from orstats.reports.cost_tokens_latency import cost_by, tokens_by
from orstats.reports.periods import freq_of
from orstats.text.time_zones import offsets, zone_of

ZONES = (
    "UTC",
    "Europe/Berlin",  # an hour is skipped on 2024-03-31 and comes twice on 2024-10-27, at night
    "America/Havana",  # midnight is skipped on 2024-03-10 and comes twice on 2024-11-03
    "America/Santiago",  # midnight is skipped on 2024-09-08
    "Africa/Cairo",  # midnight is skipped on 2024-04-26; 23 o'clock comes twice on 2024-10-31
    "Asia/Beirut",  # midnight is skipped on 2024-03-31
    "Africa/Casablanca",  # another offset during Ramadan
    "Asia/Kolkata",  # half an hour beside the others
    "Pacific/Chatham",  # changes by an hour at a quarter to one
    "Australia/Lord_Howe",  # half an hour is skipped on 2024-10-06 and comes twice on 2024-04-07
    "Pacific/Apia",  # the whole of 2011-12-30 is skipped
)
CHANGES = (
    (2011, 12, 30),
    (2024, 3, 10),
    (2024, 3, 31),
    (2024, 4, 7),
    (2024, 4, 14),
    (2024, 4, 26),
    (2024, 9, 8),
    (2024, 9, 29),
    (2024, 10, 6),
    (2024, 10, 27),
    (2024, 10, 31),
    (2024, 11, 3),
    (2024, 12, 31),
    (2026, 2, 15),
    (2026, 3, 22),
)


def newest(zone):
    """The zone from the tzdata package, which is newer than what this machine may have."""
    with resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=zone)


def moments():
    """Every 20 minutes for two days and a half around each change of a clock."""
    for day in CHANGES:
        start = datetime(*day, tzinfo=UTC) - timedelta(days=1)
        yield from (start + timedelta(minutes=20 * step, seconds=7) for step in range(180))


def starts(freq, zone):
    """When the period of each moment begins, found on the clock itself, minute by minute: once for each period."""
    found = {}
    for moment in moments():
        local = moment.astimezone(zone)
        if freq == "hour":
            period = (local.date(), local.hour, local.utcoffset())
            if period not in found:
                found[period] = start_of_hour(moment, period, zone)
        else:
            period = local.date()
            if freq == "week":
                period -= timedelta(days=period.weekday())
            elif freq != "day":
                first = {"month": period.month, "quarter": (period.month - 1) // 3 * 3 + 1, "year": 1}[freq]
                period = period.replace(day=1, month=first)
            if period not in found:
                found[period] = start_of_day(period, zone)
        yield found[period]


def start_of_hour(moment, hour, zone):
    first = moment.replace(second=0)
    while ((before := (first - timedelta(minutes=1)).astimezone(zone)).date(), before.hour, before.utcoffset()) == hour:
        first -= timedelta(minutes=1)
    return first.timestamp()


def start_of_day(day, zone):
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


@pytest.fixture(scope="module")
def engines(df):
    plain = df.reset_index()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    connection.register("plain", plain)
    arrow = plain.convert_dtypes(dtype_backend="pyarrow")
    return SimpleNamespace(arrow=arrow, lazy=pl.from_pandas(plain).lazy(), relation=connection.sql("FROM plain"))


#: Periods longer than a day are those of dates: quarters and years, and engines for all of them, need few zones.
BY_DATES = ("Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia")
PERIODS = [(zone, freq) for zone in ZONES for freq in ("hour", "day", "week", "month")]
PERIODS += [(zone, freq) for zone in BY_DATES for freq in ("quarter", "year")]


@pytest.mark.parametrize(("zone", "freq"), PERIODS)
def test_periods_begin_where_the_clock_says(df, engines, freq, zone):
    expected = Counter(starts(freq, newest(zone)))
    report = cost_by(df, None, freq=freq, tz=zone)
    assert str(report.index.dtype) == f"datetime64[us, {zone}]"
    assert report.index.is_monotonic_increasing
    counted = {start.timestamp(): count for start, count in report["generations"].items()}
    assert counted == expected
    # The other engines give the report that takes them the least time: the periods of all reports are the same.
    lazy = tokens_by(engines.lazy, None, freq=freq, tz=zone).collect()
    assert lazy["period"].dtype.time_zone == zone
    assert {start.timestamp(): count for start, count in lazy.select("period", "generations").rows()} == expected
    if freq in ("hour", "day") or zone in BY_DATES:
        assert tokens_by(engines.arrow, None, freq=freq, tz=zone)["generations"].to_list() == list(counted.values())
        relation = tokens_by(engines.relation, None, freq=freq, tz=zone)
        assert dict(relation.project("epoch(period), generations").fetchall()) == expected


def test_every_zone_has_the_offsets_of_the_newest_data():
    noons = np.arange("1970-01-02T12", "2100-01-01T12", 24 * 3, dtype="datetime64[h]").astype("datetime64[us]")
    for zone in ZONES:
        clock, table = newest(zone), offsets(zone)
        expected = [moment.replace(tzinfo=UTC).astimezone(clock).utcoffset() for moment in noons.tolist()]
        assert table.offsets[table.at(noons)].tolist() == expected


def test_a_zone_of_the_package_can_be_copied_and_pickled():
    index = cost_by(
        frame_of({"1": {"created_at": "2026-02-20T12:00:00Z"}}), None, freq="D", tz="Africa/Casablanca"
    ).index
    again = pickle.loads(pickle.dumps(index))
    assert again.equals(index)
    assert again.dtype == index.dtype == "datetime64[us, Africa/Casablanca]"


FAR = ("0001-01-01T00:00:00", "1677-09-21T00:00:00", "1969-12-31T23:59:59", "9999-12-31T23:59:59")


@pytest.mark.parametrize("freq", ["hour", "day", "week", "month", "quarter", "year"])
def test_times_far_from_now_are_the_same_in_every_engine(freq):
    df = frame_of({str(number): {"model": "m"} for number in range(len(FAR))}).reset_index()
    df["created_at"] = pd.Series(np.array(FAR, "datetime64[us]")).dt.tz_localize("UTC")
    periods = tokens_by(df, None, freq=freq, tz="Asia/Tokyo").index.tz_convert("UTC").tz_localize(None)
    expected = periods.to_numpy(dtype="datetime64[us]").astype("int64").tolist()
    lazy = tokens_by(pl.from_pandas(df).lazy(), None, freq=freq, tz="Asia/Tokyo")
    assert lazy.select(pl.col("period").dt.timestamp("us")).collect()["period"].to_list() == expected
    relation = tokens_by(duckdb.from_df(df), None, freq=freq, tz="Asia/Tokyo").project("epoch_us(period)")
    assert [value for (value,) in relation.fetchall()] == expected


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


@pytest.mark.parametrize("name", ["", "2D", None, 7, "15min"])
def test_an_unknown_freq_lists_those_there_are(name):
    with pytest.raises(ConfigError, match="freq must be hour, day, week, month, quarter or year"):
        freq_of(name)


@pytest.mark.parametrize(("name", "meant"), [("days", "day"), ("ME", "month"), ("daily", "day"), ("QS", "quarter")])
def test_a_misspelt_freq_suggests_the_nearest(name, meant):
    with pytest.raises(ConfigError, match=f"Did you mean '{meant}'"):
        freq_of(name)


@pytest.mark.parametrize("name", ["", None, 7, "Mars/Olympus", "/etc/localtime", "localtime", "x" * 10_000, "a\0b"])
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(ConfigError, match="tz must be the name of a time zone"):
        zone_of(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("utc", "UTC"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Asia/Tokio", "Asia/Tokyo"),
        ("+02:00", "Etc/GMT-2"),
        (timezone(timedelta(hours=-3)), r"Etc/GMT\+3"),
    ],
)
def test_a_misspelt_time_zone_suggests_the_nearest(name, meant):
    with pytest.raises(ConfigError, match=f"Did you mean .*'{meant}'"):
        zone_of(name)


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("UTC"), pytz.UTC])
def test_zone_objects_are_taken_for_their_names(zone):
    assert zone_of(zone) == "UTC"
    assert zone_of(pytz.timezone("Asia/Tokyo")) == zone_of(ZoneInfo("Asia/Tokyo")) == "Asia/Tokyo"
