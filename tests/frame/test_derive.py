import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orstats.frame import schema
from orstats.frame.record_table import derived_columns, to_table

PAID = {
    "model": "openai/gpt-5-mini",
    "api_type": "completions",
    "total_cost": 0.002,
    "is_byok": False,
    "upstream_inference_cost": 0.0015,
    "native_tokens_prompt": 100,
    "native_tokens_completion": 41,
    "native_tokens_cached": 25,
    "generation_time": 1000,
    "latency": 200.0,
    "streamed": True,
    "cancelled": False,
    "finish_reason": "stop",
    "provider_responses": [{"status": 200, "latency": 200}],
}
# Nothing charged, and nothing but a zero price to explain it.
ZERO = PAID | {"total_cost": 0}


def derived(**changes):
    """The derived columns of one record; a change to ... takes the field away."""
    record = {name: value for name, value in (PAID | changes).items() if value is not ...}
    row = to_table(["gen-0"], [record], [0.0]).to_pylist()[0]
    return {field.name: row[field.name] for field in schema.DERIVED}


def test_a_plain_paid_call():
    assert derived() == {
        "cost_usd": 0.002,
        "cost_basis": "credits",
        "tokens_total": 141,
        "throughput_tok_s": 41.0,
        "decode_tok_s": 50.0,
        "cache_hit_rate": 0.25,
        "usd_per_mtok": pytest.approx(0.002 / 141 * 1e6),
        "fallbacks": 0,
        "fallback_ms": 0.0,
    }


@pytest.mark.parametrize(
    ("changes", "cost", "basis"),
    [
        ({"is_byok": True}, 0.0035, "byok"),
        ({"is_byok": True, "total_cost": 0}, 0.0015, "byok"),
        ({"is_byok": True, "total_cost": 0, "upstream_inference_cost": 0}, 0.0, "byok"),
        ({"is_byok": True, "upstream_inference_cost": None}, None, "unknown"),
        ({"is_byok": True, "total_cost": None}, None, "unknown"),
        ({"is_byok": True, "total_cost": 0.07, "upstream_inference_cost": 0.02}, 0.09, "byok"),
        ({"is_byok": None, "upstream_inference_cost": None}, 0.002, "credits"),
        ({"is_byok": None, "upstream_inference_cost": 0}, 0.002, "credits"),
        ({"is_byok": None, "upstream_inference_cost": None, "total_cost": 0}, 0.0, "free"),
        ({"is_byok": None, "upstream_inference_cost": None, "total_cost": None}, None, "unknown"),
        ({"is_byok": None}, None, "unknown"),
        ({"is_byok": ...}, None, "unknown"),
        ({"is_byok": "false"}, None, "unknown"),
        ({"total_cost": None}, None, "unknown"),
        ({"total_cost": ...}, None, "unknown"),
        ({"upstream_inference_cost": None}, 0.002, "credits"),
        ({"total_cost": "0.002"}, 0.002, "credits"),
        ({"total_cost": 4.2e-07}, 4.2e-07, "credits"),
        ({"total_cost": -0.001}, -0.001, "credits"),
        ({"is_byok": True, "total_cost": 1.7e308, "upstream_inference_cost": 1.7e308}, None, "unknown"),
    ],
)
def test_the_cost_and_who_was_paid(changes, cost, basis):
    row = derived(**changes)
    assert row["cost_usd"] == (cost if cost is None else pytest.approx(cost, rel=1e-12))
    assert row["cost_basis"] == basis


@pytest.mark.parametrize(
    ("changes", "basis"),
    [
        ({"model": "openai/gpt-oss-20b:free"}, "free"),
        ({}, "free"),
        ({"response_cache_source_id": "gen-1"}, "response_cache"),
        ({"response_cache_source_id": ""}, "free"),
        ({"response_cache_source_id": "gen-1", "cancelled": True}, "response_cache"),
        ({"cancelled": True, "native_tokens_completion": 31540}, "cancelled"),
        ({"cancelled": True, "native_tokens_completion": 0, "finish_reason": None}, "cancelled"),
        ({"cancelled": None, "native_tokens_completion": 0, "finish_reason": None}, "no_completion"),
        ({"native_tokens_completion": None, "finish_reason": None}, "no_completion"),
        ({"native_tokens_completion": 0, "finish_reason": ""}, "no_completion"),
        ({"native_tokens_completion": 0, "finish_reason": " "}, "no_completion"),
        ({"native_tokens_completion": 0, "finish_reason": "error"}, "no_completion"),
        ({"native_tokens_completion": 0, "finish_reason": None, "api_type": None}, "no_completion"),
        ({"native_tokens_completion": 0, "finish_reason": None, "api_type": ""}, "no_completion"),
        ({"native_tokens_completion": 0, "finish_reason": "stop"}, "free"),
        ({"native_tokens_completion": 5, "finish_reason": "error"}, "free"),
        ({"native_tokens_completion": None, "finish_reason": None, "api_type": "embeddings"}, "free"),
        ({"native_tokens_completion": 0, "finish_reason": None, "api_type": "decisions"}, "free"),
        ({"native_tokens_completion": None, "finish_reason": "", "api_type": "tools_invoke"}, "free"),
        ({"native_tokens_completion": None, "finish_reason": None, "api_type": "a kind of next year"}, "free"),
        ({"native_tokens_completion": 0, "finish_reason": None, "api_type": "rerank"}, "free"),
        ({"native_tokens_completion": None, "finish_reason": None, "api_type": "tts"}, "free"),
        ({"native_tokens_completion": None, "finish_reason": "error", "api_type": "video"}, "no_completion"),
        ({"is_byok": True, "upstream_inference_cost": 0, "response_cache_source_id": "gen-1"}, "byok"),
    ],
)
def test_why_a_cost_is_zero(changes, basis):
    row = derived(**(ZERO | changes))
    assert row["cost_usd"] == 0.0
    assert row["cost_basis"] == basis


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"native_tokens_prompt": None}, None),
        ({"native_tokens_completion": None}, None),
        ({"native_tokens_completion": None, "api_type": "embeddings"}, 100),
        ({"native_tokens_completion": None, "api_type": "rerank"}, 100),
        ({"native_tokens_completion": 3, "api_type": "rerank"}, 103),
        ({"native_tokens_prompt": None, "api_type": "embeddings"}, None),
        ({"native_tokens_completion": None, "api_type": "tts"}, None),
        ({"native_tokens_prompt": 0, "native_tokens_completion": 0}, 0),
        ({"native_tokens_prompt": 2**63 - 1}, None),
        ({"native_tokens_prompt": -1}, None),
        ({"native_tokens_completion": -1}, None),
        ({"tokens_prompt": 7, "tokens_completion": 7, "native_tokens_reasoning": 7}, 141),
    ],
)
def test_the_tokens_that_are_billed(changes, total):
    assert derived(**changes)["tokens_total"] == total


@pytest.mark.parametrize(
    ("name", "changes", "rate"),
    [
        ("throughput_tok_s", {"generation_time": 0}, None),
        ("throughput_tok_s", {"generation_time": None}, None),
        ("throughput_tok_s", {"generation_time": -5}, None),
        ("throughput_tok_s", {"generation_time": 5e-324}, None),
        ("throughput_tok_s", {"native_tokens_completion": None}, None),
        ("throughput_tok_s", {"native_tokens_completion": 0}, 0.0),
        ("decode_tok_s", {"streamed": False}, None),
        ("decode_tok_s", {"streamed": None}, None),
        ("decode_tok_s", {"native_tokens_completion": 1}, None),
        ("decode_tok_s", {"native_tokens_completion": 2}, 1.25),
        ("decode_tok_s", {"generation_time": 1200, "latency": 1250}, None),
        ("decode_tok_s", {"generation_time": 200}, None),
        ("decode_tok_s", {"latency": None}, None),
        ("cache_hit_rate", {"native_tokens_prompt": 0, "native_tokens_cached": 0}, None),
        ("cache_hit_rate", {"native_tokens_cached": 0}, 0.0),
        ("cache_hit_rate", {"native_tokens_cached": 100}, 1.0),
        ("cache_hit_rate", {"native_tokens_cached": 101}, None),
        ("cache_hit_rate", {"native_tokens_cached": None}, None),
        ("usd_per_mtok", {"native_tokens_prompt": 0, "native_tokens_completion": 0}, None),
        ("usd_per_mtok", {"is_byok": None}, None),
        ("usd_per_mtok", {"total_cost": -1}, None),
        ("usd_per_mtok", {"total_cost": 0}, 0.0),
        ("usd_per_mtok", {"is_byok": True, "native_tokens_completion": 900}, 3.5),
    ],
)
def test_a_rate_is_defined_or_missing(name, changes, rate):
    assert derived(**changes)[name] == (rate if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("chain", "fallbacks", "waited"),
    [
        (None, None, None),
        ({"status": 200}, None, None),
        ([], 0, 0.0),
        ([{"status": 200, "latency": 5}], 0, 0.0),
        ([{"status": 503, "latency": 327}, {"status": 200, "latency": 900}], 1, 327.0),
        ([{"status": 503, "latency": 1.5}, {"status": None}, {"status": 201}], 2, 1.5),
        ([{"status": 503}, {"status": 200}], 1, None),
        ([{"status": 429, "latency": 1}, {"status": 503, "latency": 2}], 2, 3.0),
        ([{"status": 200}, {"status": 503, "latency": 9}, {"status": 200}], 0, 0.0),
        ([{"status": "503", "latency": "2.5"}, {"status": "200"}], 1, 2.5),
        ([{}, None, 7, [], {"status": True}, {"status": 200}], 2, None),
        ([{"status": 500, "latency": -4}, {"status": 500, "latency": "x"}], 2, None),
        ([{"status": 500, "latency": 1.7e308}, {"status": 500, "latency": 1.7e308}], 2, None),
        ([{"status": 300, "latency": 1}, {"status": 199, "latency": 1}, {"status": 299}], 2, 2.0),
    ],
)
def test_fallbacks(chain, fallbacks, waited):
    row = derived(provider_responses=chain)
    assert (row["fallbacks"], row["fallback_ms"]) == (fallbacks, waited)


def test_derive_reads_the_wire_columns_only_and_needs_no_rows():
    whole = to_table(["gen-0", "gen-1"], [PAID, {}], [0.0, 0.0])
    wire = whole.select([field.name for field in schema.WIRE])
    again = derived_columns(wire)
    assert list(again) == [field.name for field in schema.DERIVED]
    for name, column in again.items():
        assert column.to_pylist() == whole[name].to_pylist()
        assert column.type == whole[name].type
    for name, column in derived_columns(wire.slice(0, 0)).items():
        assert len(column) == 0
        assert column.type == whole[name].type


numbers = st.none() | st.sampled_from([0, -1, 1, 0.5, 4.2e-07, 1e300, -1e300]) | st.floats(0, 1e6)
counts = st.none() | st.sampled_from([0, 1, 2, -3, 2**63 - 1]) | st.integers(0, 10**6)
flags = st.none() | st.booleans()
any_record = st.fixed_dictionaries(
    {},
    optional={
        "total_cost": numbers,
        "upstream_inference_cost": numbers,
        "is_byok": flags,
        "native_tokens_prompt": counts,
        "native_tokens_completion": counts,
        "native_tokens_cached": counts,
        "generation_time": numbers,
        "latency": numbers,
        "streamed": flags,
        "cancelled": flags,
        "finish_reason": st.sampled_from([None, "", "stop", "error"]),
        "api_type": st.sampled_from([None, "completions", "embeddings", "video"]),
        "response_cache_source_id": st.sampled_from([None, "gen-1"]),
    },
)


def plain_cost(record):
    charged, byok = record.get("total_cost"), record.get("is_byok")
    upstream = record.get("upstream_inference_cost")
    if charged is None or (byok and upstream is None) or (byok is None and upstream):
        return None
    cost = Decimal(repr(charged)) + (Decimal(repr(upstream)) if byok else 0)
    return float(cost if abs(cost) > 9_000 else round(cost, 12))


@pytest.mark.slow
@settings(max_examples=300)
@given(any_record)
def test_what_holds_of_every_record(record):
    row = to_table(["gen-0"], [record], [0.0]).to_pylist()[0]
    cost = row["cost_usd"]
    assert cost == plain_cost(record)
    assert row["cost_basis"] in schema.COST_BASES
    assert (row["cost_basis"] == "unknown") == (cost is None)
    assert (row["cost_basis"] == "byok") == (cost is not None and record.get("is_byok") is True)
    if row["cost_basis"] not in ("byok", "credits", "unknown"):
        assert cost == 0
    for name in ("tokens_total", "throughput_tok_s", "decode_tok_s", "cache_hit_rate", "usd_per_mtok"):
        assert row[name] is None or (row[name] >= 0 and math.isfinite(row[name]))
    if row["cache_hit_rate"] is not None:
        assert row["cache_hit_rate"] <= 1
