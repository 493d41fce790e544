"""The derived columns: what a record cost, why, how fast it was, and what it fell back from.

Pure and vectorised. A value that is not known, and a rate that is not defined, is missing: never 0, never infinite,
never negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from orstats.frame import coerce, money
from orstats.frame.schema import DERIVED

# The one kind of call that always has completion tokens. Others may have none, and new kinds appear without notice.
#: Kinds that must have completion tokens; the empty one is a missing one.
_COUNTS_COMPLETION: Final = pa.array(["", "completions"])
_PROMPT_ONLY: Final = pa.array(["embeddings", "rerank"])
_SERVED: Final = range(200, 300)


def derive(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Compute the derived columns of records."""
    cost = _cost(table)
    total = _tokens_total(table)
    fallbacks, fallback_ms = _fallbacks(table["provider_responses"])
    columns = {
        "cost_usd": cost,
        "cost_basis": _basis(table, cost),
        "tokens_total": total,
        "throughput_tok_s": _throughput(table),
        "decode_tok_s": _decode(table),
        "cache_hit_rate": _hit_rate(table),
        "usd_per_mtok": _rate(cost, total, 1e6),
        "fallbacks": fallbacks,
        "fallback_ms": fallback_ms,
    }
    return {field.name: columns[field.name] for field in DERIVED}


def _cost(table: pa.Table) -> pa.ChunkedArray:
    """Charged, plus the provider's own charge only for BYOK; missing when a part of it is unknown.

    Without ``is_byok`` the cost is known where the provider charged nothing or does not say: both readings agree.
    """
    charged, upstream = table["total_cost"], table["upstream_inference_cost"]
    may_add = pc.fill_null(pc.not_equal(upstream, 0.0), False)
    cost = pc.if_else(
        pc.coalesce(table["is_byok"], pc.if_else(may_add, None, False)), pc.add(charged, upstream), charged
    )
    return money.round_array(_where(pc.is_finite(cost), cost))


def _basis(table: pa.Table, cost: pa.ChunkedArray) -> pa.ChunkedArray:
    """Who was paid, or why the cost is 0; the first that holds."""
    tokens = table["native_tokens_completion"]
    reason = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(table["finish_reason"], "")))
    counted = pc.is_in(pc.fill_null(table["api_type"], ""), value_set=_COUNTS_COMPLETION)
    without_reason = pc.and_(pc.equal(reason, ""), counted)
    nothing = pc.and_(
        pc.equal(pc.fill_null(tokens, 0), 0),
        pc.or_(pc.equal(reason, "error"), without_reason),
    )
    cases = {
        "unknown": pc.is_null(cost),
        "byok": table["is_byok"],
        "credits": pc.not_equal(cost, 0.0),
        "response_cache": pc.greater(pc.binary_length(table["response_cache_source_id"]), 0),
        "cancelled": table["cancelled"],
        "no_completion": nothing,
    }
    conditions = [pc.fill_null(holds, False).combine_chunks() for holds in cases.values()]
    return pc.case_when(pc.make_struct(*conditions), *cases, "free")


def _tokens_total(table: pa.Table) -> pa.ChunkedArray:
    prompt = table["native_tokens_prompt"]
    completion = table["native_tokens_completion"]
    prompt_only = pc.is_in(table["api_type"], value_set=_PROMPT_ONLY)
    completion = pc.if_else(prompt_only, pc.fill_null(completion, 0), completion)
    total = pc.add(prompt, completion)  # wraps beyond 64 bits: seen below as a total below its part
    possible = pc.and_(pc.greater_equal(completion, 0), pc.greater_equal(total, prompt))
    return _where(pc.and_(possible, pc.greater_equal(prompt, 0)), total)


def _throughput(table: pa.Table) -> pa.ChunkedArray:
    return _rate(table["native_tokens_completion"], table["generation_time"], 1000.0)


def _decode(table: pa.Table) -> pa.ChunkedArray:
    tokens = table["native_tokens_completion"]
    rest = pc.subtract(table["generation_time"], table["latency"])
    rate = _rate(pc.subtract(pc.cast(tokens, pa.float64(), safe=False), 1.0), rest, 1000.0)
    return _where(pc.and_(table["streamed"], pc.greater(tokens, 1)), rate)


def _hit_rate(table: pa.Table) -> pa.ChunkedArray:
    cached = table["native_tokens_cached"]
    prompt = table["native_tokens_prompt"]
    return _where(pc.less_equal(cached, prompt), _rate(cached, prompt, 1.0))


def _rate(part: pa.ChunkedArray, whole: pa.ChunkedArray, scale: float) -> pa.ChunkedArray:
    """``part / whole * scale`` where that is a finite number of at least 0 over a positive whole."""
    part = pc.cast(part, pa.float64(), safe=False)
    whole = pc.cast(whole, pa.float64(), safe=False)
    rate = pc.multiply(pc.divide(part, whole), scale)
    return _where(pc.and_(pc.greater(whole, 0.0), pc.and_(pc.greater_equal(part, 0.0), pc.is_finite(rate))), rate)


def _where(holds: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(holds, values, pa.scalar(None, values.type))


def _fallbacks(texts: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    counts: list[int | None] = []
    waits: list[float | None] = []
    for written in texts.to_pylist():
        tried, waited = (None, None) if written is None else fallback(provider_attempts(written))
        counts.append(tried)
        waits.append(waited)
    return pa.array(counts, pa.int64()), pa.array(waits, pa.float64())


def provider_attempts(written: str) -> list[dict[str, Any]] | None:
    """Read ``provider_responses``; entries that are no objects are passed over, what is no list is None.

    Examples
    --------
    >>> provider_attempts('[{"status": 429}, 7, {"status": 200}]')
    [{'status': 429}, {'status': 200}]
    >>> provider_attempts("{}") is None
    True
    """
    try:
        entries = orjson.loads(written)
    except orjson.JSONDecodeError:
        return None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else None


def served(attempts: Iterable[dict[str, Any]]) -> int | None:
    """Return the place of the attempt that gave the answer: the first with a status of 200 to 299; None if none did.

    Examples
    --------
    >>> served([{"status": 503}, {"status": None}, {"status": 200}])
    2
    """
    return next((at for at, one in enumerate(attempts) if coerce.count(one.get("status")) in _SERVED), None)


def fallback(attempts: list[dict[str, Any]] | None) -> tuple[int | None, float | None]:
    """Count the attempts before the one that gave the answer, and sum the milliseconds they took.

    Examples
    --------
    >>> fallback([{"status": 503, "latency": 327}, {"status": 200, "latency": 900}])
    (1, 327.0)
    >>> fallback([{"status": 200}]), fallback([{"status": 503}]), fallback(None)
    ((0, 0.0), (1, None), (None, None))
    """
    if attempts is None:
        return None, None
    failed = attempts[: served(attempts)]
    if not failed:
        return 0, 0.0
    waits = [wait for wait in (coerce.number(one.get("latency")) for one in failed) if wait is not None and wait >= 0]
    waited = sum(waits)
    return len(failed), waited if waits and math.isfinite(waited) else None
