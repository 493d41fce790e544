import json
import math
import random

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orstats.frame import json_values, record_table, schema
from orstats.frame.build import FetchOutcome, build_frame, empty_frame, to_frame
from orstats.frame.record_table import RECORD_SCHEMA, to_table

QUICK = settings(max_examples=100)
MANY = settings(max_examples=250)

# The record that the vendor's API reference shows.
EXAMPLE = {
    "api_type": "completions",
    "app_id": 12345,
    "cache_discount": None,
    "cancelled": False,
    "created_at": "2024-07-15T23:33:19.433273+00:00",
    "data_region": "global",
    "external_user": "user-123",
    "finish_reason": "stop",
    "generation_time": 1200,
    "http_referer": "https://openrouter.ai/",
    "id": "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG",
    "is_byok": False,
    "latency": 1250,
    "model": "sao10k/l3-stheno-8b",
    "moderation_latency": 50,
    "native_finish_reason": "stop",
    "native_tokens_cached": 3,
    "native_tokens_completion": 25,
    "native_tokens_completion_images": 0,
    "native_tokens_prompt": 10,
    "native_tokens_reasoning": 5,
    "num_fetches": 0,
    "num_input_audio_prompt": 0,
    "num_media_completion": 0,
    "num_media_prompt": 1,
    "num_search_results": 5,
    "origin": "https://openrouter.ai/",
    "preset_id": "a9e8d400-592a-494f-908c-375efa66cafd",
    "provider_name": "Infermatic",
    "provider_responses": None,
    "request_id": "req-1727282430-aBcDeFgHiJkLmNoPqRsT",
    "router": "openrouter/auto",
    "service_tier": "priority",
    "session_id": None,
    "streamed": True,
    "tokens_completion": 25,
    "tokens_prompt": 10,
    "total_cost": 0.0015,
    "upstream_id": "chatcmpl-791bcf62-080e-4568-87d0-94c72e3b4946",
    "upstream_inference_cost": 0.0012,
    "usage": 0.0015,
    "user_agent": "Mozilla/5.0",
    "web_search_engine": "exa",
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.floats().map(lambda value: float(round(value)) if math.isfinite(value) else value),
    st.text(st.characters(exclude_categories=())),
    st.sampled_from(["3", "3.0", "-0", "007", "1e3", "nan", "inf", " 1", "1_0", "٣", "true", "0.0015", "", "9" * 30]),
    st.from_regex(
        r"(0001|1969|2024|9999)-(0[1-9]|1[0-3])-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]", fullmatch=True
    ),
)
moments = st.from_regex(
    r"(0000|0001|1677|1969|2024|2999|9999)-(0[0-9]|1[0-3])-[0-3][0-9][Tt ]?[0-2][0-9](:[0-6][0-9]){1,2}"
    r"([.,][0-9]{0,10})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9]|[+-][0-9]{2}|)",
    fullmatch=True,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["id", *(field.name for field in schema.WIRE)]) | st.sampled_from(
    ["colour", "extra", "attempts"]
)
records = st.dictionaries(names | st.text(st.characters(exclude_categories=()), max_size=3), values, max_size=8)

# Of no kind, so that a column which holds it is converted value by value.
ODD = object()


def table(*rows, first=0):
    """Records of gen-0, gen-1, … as a table."""
    return to_table([f"gen-{number}" for number in range(first, first + len(rows))], rows, [0.0] * len(rows))


def one(record):
    return table(record).to_pylist()[0]


def test_the_documented_example():
    row = to_table([EXAMPLE["id"]], [EXAMPLE], [1721086400.25]).to_pylist()[0]
    for name, value in EXAMPLE.items():
        if name != "created_at":
            assert row[name] == value, name
    assert row["created_at"].isoformat() == EXAMPLE["created_at"]
    assert row["fetched_at"].isoformat() == "2024-07-15T23:33:20.250000+00:00"
    assert row["extra"] is None
    assert row["cost_usd"] == 0.0015


def test_an_empty_record_is_all_missing_but_says_so():
    row = one({})
    assert {name for name, value in row.items() if value is not None} == {"id", "cost_basis", "fetched_at"}
    assert row["cost_basis"] == "unknown"


def test_unknown_fields_and_wrong_types_are_kept_as_sent():
    row = one(
        {"zebra": [1, {"b": None}], "is_byok": 1, "tokens_prompt": 3.5, "model": ["x"], "created_at": 5, "a": None}
    )
    assert row["is_byok"] is row["tokens_prompt"] is row["model"] is row["created_at"] is None
    assert row["extra"] == (
        '{"a":null,"created_at":5,"is_byok":1,"model":["x"],"tokens_prompt":3.5,"zebra":[1,{"b":null}]}'
    )


def test_a_field_named_like_a_column_of_ours_does_not_replace_it():
    row = one({"cost_usd": 99, "fetched_at": "x", "extra": 1, "total_cost": 0.5, "is_byok": False})
    assert row["cost_usd"] == 0.5
    assert row["fetched_at"].timestamp() == 0
    assert json.loads(row["extra"]) == {"cost_usd": 99, "fetched_at": "x", "extra": 1}


def test_the_id_is_the_one_asked_for():
    assert table({"id": "gen-other"}, {"id": 7}, {})["id"].to_pylist() == ["gen-0", "gen-1", "gen-2"]


def test_one_odd_value_costs_no_other_its_column():
    rows = [{"total_cost": 0.5}, {"total_cost": "0.25"}, {"total_cost": {}}, {"total_cost": True}, {"total_cost": None}]
    made = table(*rows)
    assert made["total_cost"].to_pylist() == [0.5, 0.25, None, None, None]
    assert made["extra"].to_pylist() == [None, None, '{"total_cost":{}}', '{"total_cost":true}', None]


def test_lone_surrogates_and_nul_pass():
    row = one({"model": "a\ud800b\x00", "user_agent": "\ud83d\ude00", "new\udfff": "\udfff"})
    assert row["model"] == "a\ufffdb\x00"
    assert row["user_agent"] == "😀"
    assert json.loads(row["extra"]) == {"new\ufffd": "\ufffd"}


def test_deep_nesting_passes():
    deep, deeper = [], []
    for _ in range(400):
        deep = [deep]
    for _ in range(100_000):
        deeper = [deeper]
    row = one({"provider_responses": deep, "deep": deep, "deeper": deeper, "plain": 1})
    assert row["provider_responses"] == json.dumps(deep)
    kept = json.loads(row["extra"])
    assert kept["plain"] == 1
    assert kept["deep"] == deep
    assert kept["deeper"] == json_values.TOO_DEEP
    assert one({"provider_responses": deeper})["extra"] == json.dumps(
        {"provider_responses": json_values.TOO_DEEP}, separators=(",", ":")
    )


def test_provider_responses_are_compact_json_in_the_order_sent():
    chain = [{"status": 200, "provider_name": "A", "latency": 1.5}]
    assert one({"provider_responses": chain})["provider_responses"] == (
        '[{"status":200,"provider_name":"A","latency":1.5}]'
    )
    assert one({"provider_responses": []})["provider_responses"] == "[]"
    assert one({"provider_responses": "[]"})["provider_responses"] is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-07-15T23:33:19.433273+00:00", "2024-07-15T23:33:19.433273"),
        ("2024-07-15T23:33:19.433Z", "2024-07-15T23:33:19.433000"),
        ("2024-07-15T23:33:19.433273999Z", "2024-07-15T23:33:19.433273"),
        ("2024-07-15T23:33:19Z", "2024-07-15T23:33:19"),
        ("2024-07-15T23:33:19", "2024-07-15T23:33:19"),
        ("2024-07-15 23:33:19.5", "2024-07-15T23:33:19.500000"),
        ("2024-07-16T05:03:19+05:30", "2024-07-15T23:33:19"),
        ("2024-07-15T16:33-0700", "2024-07-15T23:33:00"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999"),
        ("2024-02-30T00:00:00Z", None),
        ("2024-07-15", None),
        ("yesterday", None),
        ("2024-07-15T23:33:19Z\n", None),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59"),
        ("9999-12-31T23:59:59-00:01", None),
        ("0001-01-01T00:00:00+00:01", None),
    ],
)
def test_times(written, read):
    row = one({"created_at": written})
    assert row["created_at"] == (read and pd.Timestamp(read, tz="UTC"))
    assert (row["extra"] is None) == (read is not None)


def assert_both_ways_agree(sent, kind):
    at_once, refused = record_table.column(sent, kind)
    one_by_one, refused_too = record_table.column([*sent, ODD], kind)
    assert at_once.equals(one_by_one.slice(0, len(sent)))
    assert [*refused, len(sent)] == refused_too


@QUICK
@given(st.sampled_from(sorted(record_table.TYPES)), st.lists(values, max_size=4))
def test_a_column_at_once_agrees_with_value_by_value(kind, sent):
    assert_both_ways_agree(sent, kind)


@MANY
@given(st.data(), st.sampled_from(sorted(record_table.TYPES)))
def test_usual_columns_at_once_agree_with_value_by_value(data, kind):
    whole = st.integers() | st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400])
    usual = {
        "text": st.text(st.characters(exclude_categories=())),
        "json": st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=2), values, max_size=2),
        "count": whole,
        "flag": st.booleans(),
        "number": st.floats() | whole,
        "time": moments,
    }
    near = {"count": st.booleans() | st.floats(), "flag": st.integers(0, 1), "number": st.booleans()}
    others = near.get(kind, st.none()) if data.draw(st.booleans()) else st.none()
    assert_both_ways_agree(data.draw(st.lists(usual[kind] | others, max_size=4)), kind)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["total_cost", "app_id"])
def test_what_is_no_finite_number_is_missing(name, odd):
    made = table({name: 1}, {name: odd}, {name: 2})
    assert made[name].to_pylist() == [1, None, 2]
    assert made["extra"].null_count == 3


@pytest.mark.parametrize(("name", "right"), [("total_cost", 1.5), ("app_id", 15)])
def test_true_is_not_a_number(name, right):
    made = table({name: right}, {name: True})
    assert made[name].to_pylist() == [right, None]
    assert made["extra"].to_pylist() == [None, f'{{"{name}":true}}']


@pytest.mark.slow
@MANY
@given(st.lists(moments, min_size=1, max_size=3))
def test_times_at_once_agree_with_value_by_value(sent):
    assert_both_ways_agree(sent, "time")


@pytest.mark.slow
@QUICK
@given(st.lists(records, max_size=4))
def test_no_record_can_break_the_batch_and_nothing_is_lost(sent):
    made = table(*sent)
    assert made.schema.equals(RECORD_SCHEMA)
    made.validate(full=True)
    assert len(build_frame([f"gen-{row}" for row in range(len(sent))], [made], {})) == len(sent)
    for row, record in zip(made.to_pylist(), sent, strict=True):
        kept = orjson.loads(row["extra"] or "{}")
        for name, value in record.items():
            not_a_number = isinstance(value, float) and not math.isfinite(value)
            if value is None or not_a_number or name == "id":
                continue
            assert json_values.text(name) in kept or row.get(name) is not None


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="2 ids, 1 records and 2 times"):
        to_table(["a", "b"], [{}], [0.0, 0.0])


def assert_typed(frame):
    assert list(frame.columns) == [field.name for field in schema.COLUMNS]
    assert [str(dtype) for dtype in frame.dtypes] == [field.dtype for field in schema.COLUMNS]
    assert frame.index.name == "id"
    assert str(frame.index.dtype) == "string"


def test_dtypes_are_declared_whatever_the_rows():
    full = build_frame(["gen-0"], [table(EXAMPLE)], {})
    bare = build_frame(["gen-0", "gen-1"], [table({})], {"gen-1": FetchOutcome("not_found", 404, 1, "no")})
    for frame in (full, bare, empty_frame(), bare.iloc[:0]):
        assert_typed(frame)
    assert_typed(pd.concat([full, bare, empty_frame()]))


def test_to_frame_takes_columns_in_any_order():
    rows = {name: [value] for name, value in one(EXAMPLE).items()}
    rows |= {"fetch_status": ["ok"], "http_status": [200], "attempts": [1], "error": [None], "more": [1]}
    kinds = {field.name: record_table.TYPES[field.kind] for field in (schema.ID, *schema.COLUMNS)} | {
        "more": pa.int64()
    }
    shuffled = random.Random(3).sample(sorted(rows), len(rows))
    frame = to_frame(pa.table({name: pa.array(rows[name], kinds[name]) for name in shuffled}))
    assert_typed(frame)
    assert frame.loc["gen-0", "total_cost"] == 0.0015
    assert frame.loc["gen-0", "attempts"] == 1
    with pytest.raises(KeyError, match="fetch_status"):
        to_frame(pa.table({"id": ["gen-0"]}))


def test_a_frame_can_be_written_to():
    frame = build_frame(["gen-0", "gen-1"], [table(EXAMPLE, EXAMPLE)], {})
    for field in schema.COLUMNS:
        frame.loc["gen-0", field.name] = frame.loc["gen-1", field.name]
        frame.loc["gen-0", field.name] = None
        assert frame[field.name].isna().tolist()[0]
    assert_typed(frame)


def test_missing_is_missing_and_never_zero():
    frame = build_frame(["gen-0"], [table({})], {})
    row = frame.drop(columns=["fetch_status", "attempts", "fetched_at", "cost_basis"])
    assert row.isna().all(axis=None)


def test_one_row_for_each_id_in_the_order_asked():
    ids = [f"gen-{number}" for number in (3, 0, 4, 1)]
    tables = [table({"model": "a"}, {"model": "b"}), table({"model": "d"}, {"model": "e"}, first=3)]
    frame = build_frame(ids, tables, {})
    assert frame.index.tolist() == ids
    assert frame["model"].tolist() == ["d", "a", "e", "b"]


def test_the_last_row_of_the_last_table_wins():
    old = to_table(["gen-0", "gen-1", "gen-0"], [{"app_id": 1}, {"app_id": 2}, {"app_id": 3}], [0.0] * 3)
    new = to_table(["gen-0"], [{"app_id": 4}], [0.0])
    assert build_frame(["gen-1", "gen-0"], [old], {})["app_id"].tolist() == [2, 3]
    assert build_frame(["gen-1", "gen-0"], [old, new], {})["app_id"].tolist() == [2, 4]
    assert build_frame(["gen-1", "gen-0"], [new, old], {})["app_id"].tolist() == [2, 3]


def test_where_a_row_came_from():
    outcomes = {
        "gen-1": FetchOutcome("ok", 200, 2, None),
        "gen-8": FetchOutcome("network_error", None, 5, "reset"),
        "gen-elsewhere": FetchOutcome("ok", 200, 1, None),
    }
    frame = build_frame(["gen-8", "gen-9", "gen-1", "gen-0"], [table({"model": "a"}, {"model": "b"})], outcomes)
    assert frame["fetch_status"].tolist() == ["network_error", "not_attempted", "ok", "ok"]
    assert frame["attempts"].tolist() == [5, 0, 2, 0]
    assert frame["http_status"].tolist() == [pd.NA, pd.NA, 200, pd.NA]
    assert frame["error"].tolist() == ["reset", "No request was sent for this id.", pd.NA, pd.NA]


def test_a_row_that_is_not_ok_has_nothing_of_an_older_record():
    frame = build_frame(["gen-0"], [table(EXAMPLE)], {"gen-0": FetchOutcome("server_error", 502, 5, "HTTP 502")})
    known = frame.loc["gen-0"].dropna().to_dict()
    assert known == {"fetch_status": "server_error", "http_status": 502, "attempts": 5, "error": "HTTP 502"}


def test_ok_without_a_record_is_refused():
    with pytest.raises(ValueError, match="'gen-7' has the status ok"):
        build_frame(["gen-0", "gen-7"], [table({})], {"gen-7": FetchOutcome("ok", 200, 1, None)})


def test_ids_with_odd_characters():
    ids = ["", "gen-\x00", "gen-é😀", "gen-\ud800", "=1+1"]
    frame = build_frame(ids, [to_table(ids, [{"app_id": row} for row in range(5)], [0.0] * 5)], {})
    assert frame["app_id"].tolist() == [0, 1, 2, 3, 4]
    assert frame.index.tolist() == ["", "gen-\x00", "gen-é😀", "gen-\ufffd", "=1+1"]


@QUICK
@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=4), st.permutations(range(10)), st.data())
def test_assemble_agrees_with_a_plain_loop(stored, order, data):
    asked = [f"gen-{number}" for number in order[: data.draw(st.integers(0, 10))]]
    failed = data.draw(st.sets(st.sampled_from([f"gen-{number}" for number in range(10)])))
    outcomes = {name: FetchOutcome("not_found", 404, 1, "no") for name in failed}
    tables, latest, count = [], {}, 0
    for numbers in stored:
        rows = [{"app_id": count + at} for at in range(len(numbers))]
        count += len(numbers)
        names_ = [f"gen-{number}" for number in numbers]
        latest |= {name: row["app_id"] for name, row in zip(names_, rows, strict=True)}
        tables.append(to_table(names_, rows, [0.0] * len(rows)))
    frame = build_frame(asked, tables, outcomes)
    assert frame.index.tolist() == asked
    for name in asked:
        status = "not_found" if name in failed else "ok" if name in latest else "not_attempted"
        assert frame.loc[name, "fetch_status"] == status
        expected = latest[name] if status == "ok" else pd.NA
        assert (frame.loc[name, "app_id"] is expected) or frame.loc[name, "app_id"] == expected


def test_the_table_survives_parquet(tmp_path):
    made = table(EXAMPLE, {}, {"provider_responses": [{"status": 200}], "colour": "red"})
    pq.write_table(made, tmp_path / "part.parquet")
    back = pq.read_table(tmp_path / "part.parquet")
    assert back.schema.equals(RECORD_SCHEMA)
    ids = ["gen-2", "gen-0", "gen-1"]
    pd.testing.assert_frame_equal(build_frame(ids, [back], {}), build_frame(ids, [made], {}))
