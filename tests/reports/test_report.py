"""The reports on pandas: figures recomputed one by one from the records, and what is odd, missing or empty."""

import functools
import json
import math
from decimal import Decimal

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from recomputed import cost, frame_of, grouped, percentile, simulated, total

import orstats
from orstats import errors, summary, what_if, write_csv, write_html, write_report
from orstats.errors import ConfigError
from orstats.frame.build import FetchOutcome, build_frame, empty_frame
from orstats.frame.record_table import to_table
from orstats.reports.cost_tokens_latency import cost_by, latency_by, tokens_by
from orstats.reports.coverage import coverage
from orstats.reports.engines import wrap
from orstats.reports.failures import failures_by
from orstats.sim import SimServer

REPORTS = (cost_by, tokens_by, latency_by, failures_by)
RELATIVE = 1e-9


@pytest.fixture(scope="module")
def records():
    return simulated()


@pytest.fixture(scope="module")
def df(records):
    return frame_of(records, lost=["gen-lost-1", "gen-lost-2"])


def same(got, expected):
    if expected is None:
        return pd.isna(got)
    return got == pytest.approx(expected, rel=RELATIVE, abs=0)


def rows(report):
    """The rows by group; a missing group is None."""
    found = {}
    for key, row in zip(report.index, report.itertuples(), strict=True):
        parts = key if isinstance(key, tuple) else (key,)
        clean = tuple(None if pd.isna(part) else part for part in parts)
        found[clean if len(clean) > 1 else clean[0]] = row
    assert len(found) == len(report)
    return found


@pytest.mark.parametrize("by", ["model", "external_user", ("provider_name", "app_id"), ("finish_reason", "is_byok")])
def test_cost_is_what_the_records_add_up_to(df, records, by):
    names = [by] if isinstance(by, str) else list(by)
    report = cost_by(df, by)
    groups = grouped(records, *names)
    found = rows(report)
    assert set(found) == set(groups)
    everything = total(cost(one) for one in records.values())
    for key, members in groups.items():
        row = found[key]
        costs = [cost(one) for one in members]
        known = [one for one in costs if one is not None]
        assert row.generations == len(members)
        assert row.cost_unknown == len(members) - len(known)
        assert same(row.cost_usd, total(costs)), key
        assert same(row.share, total(costs) / everything if known else None)
        assert same(row.charged_usd, total(one["total_cost"] for one in members))
        byok = [
            one["upstream_inference_cost"] if one["is_byok"] else 0.0 for one in members if one["is_byok"] is not None
        ]
        assert same(row.byok_usd, total(byok))
        assert same(row.mean_usd, total(costs) / len(known) if known else None)
        assert same(row.p50_usd, percentile(costs, 0.5))
        assert same(row.p95_usd, percentile(costs, 0.95))
        assert same(row.cache_saved_usd, total(one["cache_discount"] for one in members))


def test_totals_agree_with_fsum(df, records):
    report = cost_by(df, "model")
    assert same(math.fsum(report["cost_usd"].dropna()), total(cost(one) for one in records.values()))
    assert same(math.fsum(report["charged_usd"].dropna()), total(one["total_cost"] for one in records.values()))
    assert report["share"].sum() == pytest.approx(1.0)


def test_dollars_per_token_rest_on_rows_of_which_both_are_known():
    report = cost_by(
        frame_of(
            {
                "1": {
                    "model": "m",
                    "is_byok": False,
                    "total_cost": 2.0,
                    "native_tokens_prompt": 10,
                    "native_tokens_completion": 10,
                },
                "2": {"model": "m", "is_byok": False, "total_cost": 9.0},
                "3": {"model": "m", "native_tokens_prompt": 500, "native_tokens_completion": 500},
            }
        )
    )
    assert report.loc["m", "usd_per_mtok"] == pytest.approx(1e5)
    assert report.loc["m", "tokens_total"] == 1020


def test_price_of_a_group_is_compared_with_the_blended_price():
    with SimServer(1000, seed=3) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), archive=False)
    known = df[df["cost_usd"].notna() & df["tokens_total"].notna()]
    groups = known.groupby("model")[["cost_usd", "tokens_total"]].sum()
    blended = known["cost_usd"].sum() / known["tokens_total"].sum()
    expected = groups["cost_usd"] / groups["tokens_total"].where(groups["tokens_total"] > 0) / blended
    found = cost_by(df)["x_blended"].dropna()
    assert found.to_dict() == pytest.approx(expected.dropna().astype(float).to_dict())


def test_tokens_are_native_and_add_up(df, records):
    report = rows(tokens_by(df, "model"))
    most = 10**12
    for key, members in grouped(records, "model").items():
        row = report[key]
        for name in ("prompt", "completion", "reasoning", "cached"):
            column = f"native_tokens_{name}"
            known = [one[column] for one in members if one[column] is not None and 0 <= one[column] <= most]
            assert same(getattr(row, column), sum(known) if known else None), (key, column)
        both = [
            (one["native_tokens_cached"], one["native_tokens_prompt"])
            for one in members
            if one["native_tokens_cached"] is not None
            and one["native_tokens_prompt"] is not None
            and 0 <= one["native_tokens_cached"] <= one["native_tokens_prompt"] <= most
        ]
        prompts = sum(prompt for _, prompt in both)
        assert same(row.cache_hit_rate, sum(cached for cached, _ in both) / prompts if prompts else None)
        assert row.generations == len(members)
    shares = tokens_by(df, "model")[["cache_hit_rate", "reasoning_share", "share"]]
    assert ((shares.isna()) | ((shares >= 0) & (shares <= 1))).all(axis=None)


def test_latency_keeps_streamed_apart_and_says_how_many_rows(df, records):
    report = latency_by(df, "model")
    assert report.index.names == ["model", "streamed"]
    found = rows(report)
    groups = grouped(records, "model", "streamed")
    assert set(found) == set(groups)
    for key, members in groups.items():
        for name in ("latency", "generation_time"):
            values = [one[name] for one in members]
            assert getattr(found[key], f"{name}_n") == len([v for v in values if v is not None and v >= 0])
            for at in (50, 90, 95, 99):
                assert same(getattr(found[key], f"{name}_p{at}"), percentile(values, at / 100)), (key, name, at)
    streamed = df.loc[df["streamed"].fillna(value=False)]
    for model, speeds in streamed.groupby("model")["decode_tok_s"]:
        assert found[(model, True)].decode_tok_s_n == speeds.count()
        assert same(found[(model, True)].decode_tok_s_p90, percentile(speeds, 0.9))
    assert latency_by(df, ["streamed", "model"]).index.names == ["streamed", "model"]
    assert latency_by(df, None).index.names == ["streamed"]


def attempts_of(record):
    """The attempts, each with whether it was refused and is the last."""
    chain = record["provider_responses"]
    chain = [one for one in chain if isinstance(one, dict)] if isinstance(chain, list) else []
    refused = True
    for place, one in enumerate(chain):
        status = one.get("status")
        if isinstance(status, str) and status.isdigit():
            status = int(status)
        refused = refused and not (isinstance(status, int) and 200 <= status <= 299)
        yield one, refused, place == len(chain) - 1


def test_failures_count_ends_and_attempts(df, records):
    found = rows(failures_by(df, "model"))
    for key, members in grouped(records, "model").items():
        row = found[key]
        reasons = [(one["finish_reason"] or "").strip().lower() for one in members]
        known = ("stop", "length", "tool_calls", "content_filter", "error")
        for reason in known:
            assert getattr(row, f"finish_{reason}") == reasons.count(reason)
        assert row.finish_missing == reasons.count("")
        assert row.finish_other == sum(reason not in (*known, "") for reason in reasons)
        assert row.cancelled == sum(one["cancelled"] is True for one in members)
        assert row.failed == reasons.count("error")
        assert row.failed_share == pytest.approx(row.failed / len(members))
        lost = [
            cost(one)
            for one, reason in zip(members, reasons, strict=True)
            if reason == "error" or one["cancelled"] is True
        ]
        assert row.failed_cost_usd == pytest.approx(total(lost) or 0.0)
        tries = [one for record in members for one in attempts_of(record)]
        assert row.attempts == len(tries)
        assert row.failed_attempts == sum(refused for _, refused, _ in tries)
        assert row.fallbacks == sum(refused and not last for _, refused, last in tries)
        assert row.unanswered == sum(refused and last for _, refused, last in tries)
        waits = [float(one["latency"]) for one, refused, _ in tries if refused and one.get("latency") is not None]
        assert row.failed_attempt_ms == pytest.approx(sum(wait for wait in waits if wait >= 0))


def test_by_provider_attempts_count_where_they_were_made(df):
    report = failures_by(df, "provider_name")
    every = orstats.attempts(df)
    by_provider = every.groupby("provider_name", dropna=False).size()
    for provider, attempts in by_provider.items():
        assert attempts == rows(report)[None if pd.isna(provider) else provider].attempts
    assert report["attempts"].sum() == len(every)
    assert report["generations"].sum() == (df["fetch_status"] == "ok").sum()


def test_order_is_dearest_first_and_missing_last():
    report = cost_by(
        frame_of(
            {
                "1": {"model": "b", "total_cost": 1.0, "is_byok": False},
                "2": {"model": "a", "total_cost": 1.0, "is_byok": False},
                "3": {"model": "c", "total_cost": 5.0, "is_byok": False},
                "4": {"model": "d"},
                "5": {"model": None, "total_cost": 1.0, "is_byok": False},
            }
        )
    )
    assert [None if pd.isna(model) else model for model in report.index] == ["c", "a", "b", None, "d"]


@pytest.mark.parametrize("report", REPORTS)
def test_every_report_carries_its_coverage_as_plain_numbers(report, df):
    carried = report(df).attrs["coverage"]
    assert carried == coverage(df)
    assert json.loads(json.dumps(carried)) == carried
    assert carried["asked"] == len(df)
    assert (carried["missing"], carried["pending"]) == (2, 0)
    assert carried["ok"] == len(df) - 2
    assert carried["cost_unknown"] == df.loc[df["fetch_status"] == "ok", "cost_usd"].isna().sum()
    assert carried["byok"] == (df["is_byok"].fillna(value=False)).sum()
    assert carried["byok_share"] == carried["byok"] / carried["ok"]


def nothing():
    return empty_frame()


def all_failed():
    return build_frame(["a", "b"], [], {one: FetchOutcome("pending", 404, 1, "Not yet.") for one in ("a", "b")})


def one_row():
    return frame_of({"1": {"model": "m", "total_cost": 0.0, "is_byok": False, "created_at": "2026-03-29T01:30:00Z"}})


def costs_unknown():
    return frame_of(
        {"1": {"model": "m"}, "2": {"model": "m", "native_tokens_prompt": 0, "native_tokens_completion": 0}}
    )


@pytest.fixture(scope="module")
def full_report(df):
    return functools.cache(lambda report, freq: report(df, ["model", "app_id"], freq=freq, tz="America/New_York"))


@pytest.mark.parametrize("frame", [nothing, all_failed, one_row, costs_unknown])
@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("freq", [None, "hour"])
def test_little_data_gives_honest_reports(report, frame, freq, full_report):
    result = report(frame(), ["model", "app_id"], freq=freq, tz="America/New_York")
    full = full_report(report, freq)
    assert list(result.columns) == list(full.columns)
    assert result.dtypes.map(str).to_dict() == full.dtypes.map(str).to_dict()
    assert result.index.names == full.index.names
    assert not np.isinf(result.astype("float64")).any(axis=None)
    assert len(result) == (0 if frame in (nothing, all_failed) else 1)
    assert result.attrs["coverage"]["byok_share"] == (None if len(result) == 0 else 0.0)


def test_unknown_costs_are_counted_and_free_ones_are_zero():
    unknown = cost_by(costs_unknown())
    assert unknown[["cost_usd", "share", "mean_usd", "p95_usd"]].isna().all(axis=None)
    assert unknown.loc["m", "cost_unknown"] == 2
    free = cost_by(one_row())
    assert free[["cost_usd", "cost_unknown", "mean_usd", "byok_usd"]].to_numpy().tolist() == [[0, 0, 0, 0]]
    assert free[["usd_per_mtok", "share", "tokens_total"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "modle"}, "Unknown column 'modle'. Did you mean 'model'"),
        ({"by": "day"}, "Unknown column 'day'. Reports over time take freq='day'."),
        ({"by": ["model", "providername"]}, "provider_name"),
        ({"by": "x" * 10_000}, "Unknown column 'xxx"),
        ({"by": None}, "Pass by="),
        ({"by": []}, "Pass by="),
        ({"by": "cost_usd"}, "'cost_usd'"),
        ({"by": "model", "freq": "fortnight"}, "hour, day, week, month, quarter or year"),
        ({"by": "model", "freq": "D", "tz": "Europe/Berln"}, "Europe/Berlin"),
        ({"by": "model", "tz": None}, "name of a time zone"),
        ({"by": "model", "tz": "../../etc/passwd"}, "name of a time zone"),
    ],
)
def test_what_cannot_be_reported_says_why(df, arguments, message):
    with pytest.raises(ConfigError, match=message):
        cost_by(df, **arguments)


def test_other_objects_and_frames_that_lack_columns(df):
    with pytest.raises(ConfigError, match=r"PySpark DataFrame, not list\. Pass the result of orstats"):
        cost_by([1])
    for frame in (pd.DataFrame(), pd.DataFrame({"id": [1, 2]})):
        with pytest.raises(ConfigError, match=r"The DataFrame is missing model; pass the result of orstats\.fetch"):
            cost_by(frame)
    with pytest.raises(ConfigError, match="is missing is_byok"):
        cost_by(df.drop(columns="is_byok"))
    with pytest.raises(errors.ColumnError, match="created_at"):
        cost_by(df.assign(created_at="soon"), freq="D")


def test_the_frame_is_left_as_it_was(df):
    before = df.copy(deep=True)
    for report in REPORTS:
        report(df, ["model", "cost_basis"], freq="D", tz="Asia/Kolkata")
    pd.testing.assert_frame_equal(df, before)


def test_odd_names_come_through_unharmed(df, records):
    names = {record["model"] for record in records.values()}
    assert {None if pd.isna(name) else name for name in cost_by(df).index} == names
    users = [None if pd.isna(user) else user for user in tokens_by(df, "external_user").index]
    assert "=cmd|' /C calc'!A0" in users


def test_a_column_of_the_caller_groups_too(df):
    team = cost_by(df.assign(team=["red", "blue"] * (len(df) // 2)), "team")
    assert set(team.index) == {"red", "blue"}


def test_attempts_read_all_at_once_or_one_by_one_are_the_same():
    plain = {f"gen-{n}": record for n, record in enumerate(simulated(60).values()) if n < 60}
    odd = {"model": "odd", "provider_responses": [{"status": "x"}]}
    alone = failures_by(frame_of(plain)).drop(columns=["failed_share", "failed_attempt_share"])
    mixed = failures_by(frame_of(plain | {"gen-odd": odd})).drop(columns=["failed_share", "failed_attempt_share"])
    pd.testing.assert_frame_equal(mixed.drop(index="odd").sort_index(), alone.sort_index())


@pytest.mark.slow
def test_a_million_small_costs_add_up_exactly_enough():
    count = 1_000_000
    costs = np.random.default_rng(1).lognormal(-9, 3, count)
    table = to_table(["x"], [{"model": "m", "is_byok": False, "total_cost": 1.0}], [0.0])
    frame = build_frame(["x"], [table], {}).iloc[np.zeros(count, dtype=int)].assign(cost_usd=costs, total_cost=costs)
    frame.index = pd.Index(np.arange(count).astype(str), name="id")
    report = cost_by(frame)
    assert same(report.loc["m", "cost_usd"], math.fsum(costs))
    assert same(report.loc["m", "charged_usd"], math.fsum(costs))


def test_ids_are_not_carried_along(df):
    """Once an id was looked up, pandas builds its index anew for each column that is computed: seconds of a report."""
    assert isinstance(wrap(df).to_native().index, pd.RangeIndex)
    assert df.index.name == "id"
    twice = pd.concat([df, df])
    with pytest.warns(errors.DuplicateIdsWarning):
        assert cost_by(twice)["generations"].sum() == 2 * cost_by(df)["generations"].sum()


@pytest.mark.slow
def test_sums_of_money_are_decimal_sums_on_every_engine():
    prices = [0.07, 0.02, 0.7, 4.2e-07, -0.000123] * 401 + [1500.0]
    records = {
        f"gen-{at}": {"model": "m", "is_byok": True, "total_cost": price, "upstream_inference_cost": 0.02}
        for at, price in enumerate(prices)
    }
    df = frame_of(records)
    flat = df.reset_index()
    for frame in (df, pl.from_pandas(flat), pl.from_pandas(flat).lazy(), duckdb.sql("SELECT * FROM flat")):
        report = nw.from_native(cost_by(frame)).lazy().collect("pandas").to_native().iloc[0]
        charged = sum(map(Decimal, map(repr, prices)), Decimal(0))
        assert report["charged_usd"] == float(charged)
        assert report["byok_usd"] == 40.12
        assert report["cost_usd"] == float(charged + Decimal("40.12"))
    assert summary(df).loc["cost_usd", "value"] == float(charged + Decimal("40.12"))
    assert what_if(df.assign(native_tokens_prompt=1, native_tokens_completion=1), {"m": (1.0, 1.0, 1.0)})[
        "cost_usd"
    ].item() == float(charged + Decimal("40.12"))


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".md", ".html"])
def test_exports_have_no_binary_noise(ending, tmp_path):
    record = {"model": "m", "is_byok": True, "total_cost": 0.07, "upstream_inference_cost": 0.02}
    df = frame_of({f"gen-{at}": record for at in range(7)})
    file = tmp_path / f"report{ending}"
    if ending == ".html":
        write_html(df, file)
    else:
        write_report(cost_by(df), file)
    text = file.read_text("utf-8")
    assert "0.63" in text
    assert "00000000" not in text.replace("-00000000", "")
    assert "99999" not in text
    write_csv(df, file.with_suffix(".csv"))
    assert ",0.09,byok," in file.with_suffix(".csv").read_text("utf-8")
