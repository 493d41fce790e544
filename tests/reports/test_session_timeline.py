"""The timeline of a session, recomputed by plain loops over the simulator's own records."""

from datetime import datetime

import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError
from orstats.reports.session_timeline import session_rows, timeline
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def sim():
    with SimServer(1500, seed=8) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids, client=sim.client(), archive=False)


def frame(*calls):
    """A session of calls: begin in s, then failed attempts, latency, generation time in ms, and whether streamed."""
    rows = [
        {
            "created_at": pd.Timestamp("2026-11-01", tz="UTC") + pd.Timedelta(seconds=begin),
            "fallback_ms": failed,
            "latency": latency,
            "generation_time": total,
            "streamed": streamed,
            "session_id": "s",
            "fetch_status": "ok",
        }
        for begin, failed, latency, total, streamed in calls
    ]
    return pd.DataFrame(rows, index=[f"gen-{n}" for n in range(len(rows))])


def test_spans_are_those_of_the_records(sim, df):
    session = orstats.sessions(df)["generations"].idxmax()
    rows = session_rows(df, session)
    times = timeline(rows)
    records = [record for one in sim.ids if (record := sim.record(one)).get("session_id") == session]
    records = sorted((one for one in records if one["id"] in df.index), key=when)
    assert len(records) == len(rows) > 2
    for record, (_, row) in zip(records, times.iterrows(), strict=True):
        tried = record.get("provider_responses") or []
        spent = sum(one.get("latency") or 0 for one in tried if one.get("status") != 200)
        whole = max(record.get("latency") or 0, record.get("generation_time") or 0)
        assert row["began_ms"] == pytest.approx((when(record) - when(records[0])) * 1000)
        assert row["failed_ms"] == pytest.approx(spent)
        assert row["first_token_ms"] == pytest.approx((record.get("latency") or 0) if record.get("streamed") else 0)
        assert row["ended_ms"] - row["began_ms"] == pytest.approx(spent + whole)


def when(record):
    return datetime.fromisoformat(record["created_at"]).timestamp()


def test_idle_time_and_lanes():
    times = timeline(
        frame((0, 0, 500, 4000, True), (1, 200, 300, 800, True), (3, 0, 0, 500, False), (10, 0, 0, 1, None))
    )
    assert times["lane"].tolist() == [0, 1, 1, 0]
    assert times["idle_ms"].tolist() == [0, 0, 0, 6000]
    assert times["first_token_ms"].tolist() == [500, 300, 0, 0]
    assert times["failed_ms"].tolist() == [0, 200, 0, 0]
    assert times["ended_ms"].tolist() == [4000, 2000, 3500, 10001]


def test_missing_and_negative_times_are_instants():
    times = timeline(frame((0, None, None, float("nan"), True), (2, -5, float("inf"), -1, None)))
    assert times["ended_ms"].tolist() == [0, 2000]


def test_overlapping_generations_never_share_a_lane(df):
    for session in orstats.sessions(df).index[:40]:
        times = timeline(session_rows(df, session))
        for _, lane in times.groupby("lane"):
            assert (lane["began_ms"].to_numpy()[1:] >= lane["ended_ms"].to_numpy()[:-1]).all()


def test_an_unknown_session_names_a_similar_one(df):
    known = str(orstats.sessions(df).index[0])
    with pytest.raises(ConfigError, match=f"Did you mean .*{known}"):
        session_rows(df, known[:-1] + "_")
    with pytest.raises(ConfigError, match="Unknown session 'nothing like it'"):
        session_rows(df, "nothing like it")
    with pytest.raises(ConfigError, match="created_at"):
        session_rows(df.drop(columns="created_at"), known)


def test_rows_that_are_not_ok_or_have_no_time_are_excluded():
    rows = frame((0, 0, 0, 1, True), (1, 0, 0, 1, True), (2, 0, 0, 1, True))
    rows.loc["gen-0", "fetch_status"] = "not_found"
    rows.loc["gen-1", "created_at"] = pd.NaT
    assert session_rows(rows, "s").index.tolist() == ["gen-2"]
    with pytest.raises(ConfigError, match="Unknown session"):
        session_rows(rows.iloc[:2], "s")
