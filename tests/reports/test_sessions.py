"""What a session cost and where its time went, recomputed by plain loops."""

import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
from orstats.reports.group_sums import count_totals
from orstats.reports.sessions import _distinct, _sorted_in_groups, _spans
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def df():
    with SimServer(3000, seed=8) as sim:
        return orstats.fetch(sim.ids, client=sim.client(), archive=False)


def calls(*spans, session="s"):
    """A DataFrame of calls from one second to another."""
    ids = [f"gen-{number}" for number in range(len(spans))]
    records = [
        {
            "session_id": session,
            "model": "a",
            "total_cost": 0.1,
            "is_byok": False,
            "created_at": f"2026-11-20T10:00:{begin:02d}Z",
            "generation_time": 1000.0 * (end - begin),
        }
        for begin, end in spans
    ]
    return build_frame(ids, [to_table(ids, records, [0.0] * len(ids))], {})


def busy_seconds(rows):
    """How long at least one of the generations was running."""
    total, reached = timedelta(0), None
    for row in rows.sort_values("created_at").itertuples():
        lasted = max([value for value in (row.latency, row.generation_time) if not pd.isna(value)], default=0.0)
        end = row.created_at + pd.Timedelta(int(lasted * 1000), "us")
        start = row.created_at if reached is None else max(row.created_at, reached)
        total += max(end - start, timedelta(0))
        reached = end if reached is None else max(reached, end)
    return total.total_seconds(), reached


@pytest.mark.parametrize("by", ["session_id", "request_id", "external_user", "model"])
def test_sessions_equal_a_plain_loop(df, by):
    found = orstats.sessions(df, by)
    ok = df[df["fetch_status"].eq("ok") & df[by].notna()]
    assert set(found.index) == set(ok[by])
    assert found["generations"].sum() == len(ok)
    for name in found.index[:25]:
        rows, row = ok[ok[by] == name], found.loc[name]
        busy, last = busy_seconds(rows)
        assert row["busy_s"] == pytest.approx(busy, abs=1e-5)
        assert row["first_at"] == rows["created_at"].min()
        assert row["last_at"] == last
        assert row["wall_s"] == pytest.approx((last - rows["created_at"].min()).total_seconds(), abs=1e-5)
        assert row["cost_usd"] == pytest.approx(rows["cost_usd"].sum(), abs=1e-12)
        assert row["cost_unknown"] == rows["cost_usd"].isna().sum()
        assert row["models"] == rows["model"].nunique()
        assert row["failed"] == rows["finish_reason"].eq("error").sum()
        assert (0 if pd.isna(row["fallbacks"]) else row["fallbacks"]) == rows["fallbacks"].sum()
        known = rows[rows["native_tokens_cached"].notna()]
        if known["native_tokens_prompt"].sum():
            hit = known["native_tokens_cached"].sum() / known["native_tokens_prompt"].sum()
            assert row["cache_hit_rate"] == pytest.approx(float(hit))


@pytest.mark.parametrize(
    ("spans", "wall", "busy"),
    [
        ([(0, 5)], 5, 5),
        ([(0, 5), (10, 12)], 12, 7),
        ([(0, 10), (2, 3), (4, 6)], 10, 10),
        ([(0, 4), (2, 8)], 8, 8),
        ([(5, 5)], 0, 0),
        ([(0, 20), (1, 2), (30, 31)], 31, 21),
    ],
)
def test_busy_time_counts_overlaps_once(spans, wall, busy):
    row = orstats.sessions(calls(*spans)).loc["s"]
    assert (row["wall_s"], row["busy_s"]) == (wall, busy)
    assert row["cost_usd"] == pytest.approx(0.1 * len(spans))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spread", [40, 2**61])  # packed into one integer with the session, and too far apart for it
def test_busy_time_equals_a_plain_loop_over_any_spans(seed, spread):
    rng = np.random.default_rng(seed)
    codes = np.unique(rng.integers(0, 7, 200), return_inverse=True)[1]
    count = int(codes.max()) + 1
    began = rng.integers(-spread, spread, 200)
    ended = began + rng.integers(0, spread // 20, 200) * rng.integers(0, 2, 200)
    first, last, busy = _spans(codes, began, ended, count)
    for one in range(count):
        spans = sorted(zip(began[codes == one].tolist(), ended[codes == one].tolist(), strict=True))
        total, reached = 0, spans[0][0]
        for begin, end in spans:
            total += max(0, end - max(begin, reached))
            reached = max(reached, end)
        assert (first[one], last[one], busy[one]) == (spans[0][0], reached, total)


def test_times_too_far_apart_to_pack_are_sorted_as_pairs():
    values, codes = np.array([2**61, 5, -(2**61), 7]), np.array([1, 0, 1, 0])
    assert _sorted_in_groups(codes, values, 2).tolist() == [5, 7, -(2**61), 2**61]
    assert _sorted_in_groups(codes, values // 2**30, 2).tolist() == [0, 0, -(2**31), 2**31]


def test_models_are_counted_in_a_table_of_pairs_or_without_one(monkeypatch):
    codes, values = np.array([0, 0, 1, 1, 1]), np.array([3, 3, 0, -1, 2])
    assert _distinct(codes, values, 3).tolist() == [1, 2, 0]
    monkeypatch.setattr("orstats.reports.sessions._MOST_CELLS", 0)
    assert _distinct(codes, values, 3).tolist() == [1, 2, 0]
    assert _distinct(codes, np.full(5, -1), 3).tolist() == [0, 0, 0]


def test_sums_of_large_counts_are_exact():
    counts = np.array([10**12 - 1] * 20_000 + [1.0])
    (total,) = count_totals(counts, np.zeros(20_001, dtype=int), 1)
    assert total == 20_000 * (10**12 - 1) + 1


def test_impossible_values_are_missing():
    df = calls((0, 1), (2, 3))
    df["cost_usd"] = [float("inf"), 0.5]
    df["generation_time"] = [1e300, -5.0]
    df["latency"] = [None, float("nan")]
    row = orstats.sessions(df).loc["s"]
    assert (row["cost_usd"], row["cost_unknown"]) == (0.5, 1)
    assert row["wall_s"] == 1e9


def test_sessions_do_not_mix():
    both = orstats.combine(calls((0, 50)), calls((1, 2), (5, 6), session="t").rename(index=lambda one: f"{one}-t"))
    assert orstats.sessions(both)["busy_s"].to_dict() == {"t": 2.0, "s": 50.0}


def test_rows_without_a_session_or_a_record_are_excluded():
    failed = build_frame(["gen-9"], [], {"gen-9": FetchOutcome("not_found", 404, 1, "no")})
    assert orstats.sessions(failed).empty
    assert orstats.sessions(calls((0, 1), session=None)).empty


@pytest.mark.parametrize("known", [False, True], ids=["some tokens missing", "prompt tokens of sessions known"])
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_other_engines_give_equal_sessions(df, engine, known):
    module = pytest.importorskip(engine)
    if known:  # pandas gives NumPy its own memory, which is read-only
        df = df[df["native_tokens_prompt"].notna() | df["session_id"].isna()]
    rows = df.reset_index()
    theirs = orstats.sessions(module.from_pandas(rows) if engine == "polars" else module.from_df(rows))
    ours = orstats.sessions(df)
    pd.testing.assert_frame_equal(
        pd.DataFrame(theirs).sort_index(), pd.DataFrame(ours).sort_index(), check_dtype=False, check_index_type=False
    )


def test_excluded_generations_are_named(df):
    found = orstats.sessions(df)
    without = df[df["fetch_status"].eq("ok") & df["session_id"].isna()]
    assert f"{len(without):,} without session_id ($" in found.attrs["note"]
    assert f"{len(without):,} without session_id" in str(found)
    assert found.attrs["coverage"]["ok"] == df["fetch_status"].eq("ok").sum()


def test_times_are_shown_as_durations(df):
    with pd.option_context("display.width", 120):
        text = str(orstats.sessions(df).sort_values("wall_s"))
    assert re.search(r"wall_s +busy_s", text)
    assert re.search(r" \d+ ms| \d+\.\d+ s", text)
    assert re.search(r" \d+ (h|min) \d+ (min|s)", text), "as on the command line"


def test_several_columns_are_refused(df):
    with pytest.raises(ConfigError, match="by must be one column, got 2"):
        orstats.sessions(df, ["session_id", "model"])


def test_unknown_column_is_named(df):
    with pytest.raises(ConfigError, match="'session_id'"):
        orstats.sessions(df, "sesion_id")
