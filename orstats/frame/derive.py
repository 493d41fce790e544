"""The derived columns of one record: what it cost, why, how fast it was, and its fallbacks.

Pure Python, so that one record needs neither Arrow nor pandas. A value that is unknown, and a rate that is undefined,
is None: never 0, never infinite, never negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from orstats.frame import json_values
from orstats.frame.schema import USD_DECIMALS

#: Kinds of call that must have completion tokens; others may have none, and new kinds appear without notice.
_NEEDS_COMPLETION: Final = (None, "", "completions")
_PROMPT_ONLY: Final = ("embeddings", "rerank")
_SUCCESS: Final = range(200, 300)
_INT64_MAX: Final = 2**63 - 1
#: Floats hold every whole number up to this one.
_EXACT: Final = 2.0**53


class Inputs(NamedTuple):
    """The columns from which the derived ones are computed."""

    total_cost: float | None
    upstream_inference_cost: float | None
    is_byok: bool | None
    native_tokens_prompt: int | None
    native_tokens_completion: int | None
    native_tokens_cached: int | None
    latency: float | None
    generation_time: float | None
    streamed: bool | None
    cancelled: bool | None
    finish_reason: str | None
    api_type: str | None
    response_cache_source_id: str | None
    provider_responses: str | None


def derive(record: Inputs) -> dict[str, Any]:
    """Compute the derived columns of one record, in the order of :data:`orstats.frame.schema.DERIVED`."""
    cost = _cost(record)
    total = _tokens_total(record)
    written = record.provider_responses
    fallbacks, fallback_ms = (None, None) if written is None else fallback(provider_attempts(written))
    return {
        "cost_usd": cost,
        "cost_basis": _cost_basis(record, cost),
        "tokens_total": total,
        "throughput_tok_s": _rate(record.native_tokens_completion, record.generation_time, 1000.0),
        "decode_tok_s": _decode_rate(record),
        "cache_hit_rate": _cache_hit_rate(record),
        "usd_per_mtok": _rate(cost, total, 1e6),
        "fallbacks": fallbacks,
        "fallback_ms": fallback_ms,
    }


def _cost(record: Inputs) -> float | None:
    """Add the upstream cost only for BYOK; None when a part of the cost is unknown.

    Without ``is_byok`` the cost is known where the upstream cost is 0 or missing: both readings agree.
    """
    cost, upstream = record.total_cost, record.upstream_inference_cost
    if cost is None or (record.is_byok is None and upstream):
        return None
    if record.is_byok:
        if upstream is None:
            return None
        cost += upstream
    units = cost * 10.0**USD_DECIMALS
    if abs(units) < _EXACT:
        return round(units) / 10.0**USD_DECIMALS
    return cost if math.isfinite(cost) else None


def _cost_basis(record: Inputs, cost: float | None) -> str:
    """Say who was paid, or why the cost is 0: the first that applies."""
    if cost is None:
        return "unknown"
    if record.is_byok:
        return "byok"
    if cost:
        return "credits"
    if record.response_cache_source_id:
        return "response_cache"
    if record.cancelled:
        return "cancelled"
    reason = (record.finish_reason or "").strip().lower()
    failed = reason == "error" or (not reason and record.api_type in _NEEDS_COMPLETION)
    return "no_completion" if failed and not record.native_tokens_completion else "free"


def _tokens_total(record: Inputs) -> int | None:
    prompt, completion = record.native_tokens_prompt, record.native_tokens_completion
    if completion is None and record.api_type in _PROMPT_ONLY:
        completion = 0
    if prompt is None or completion is None or prompt < 0 or completion < 0:
        return None
    total = prompt + completion
    return total if total <= _INT64_MAX else None


def _decode_rate(record: Inputs) -> float | None:
    tokens, total, first = record.native_tokens_completion, record.generation_time, record.latency
    if not record.streamed or tokens is None or tokens <= 1 or total is None or first is None:
        return None
    return _rate(float(tokens) - 1.0, total - first, 1000.0)


def _cache_hit_rate(record: Inputs) -> float | None:
    cached, prompt = record.native_tokens_cached, record.native_tokens_prompt
    return None if cached is None or prompt is None or cached > prompt else _rate(cached, prompt, 1.0)


def _rate(part: float | None, whole: float | None, scale: float) -> float | None:
    """``part / whole * scale`` where that is a finite number of at least 0 over a positive whole."""
    if part is None or whole is None or whole <= 0 or part < 0:
        return None
    rate = float(part) / float(whole) * scale
    return rate if math.isfinite(rate) else None


def provider_attempts(written: str) -> list[dict[str, Any]] | None:
    """Read ``provider_responses``: entries that are not objects are skipped; None for anything but a list.

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


def winning_attempt_index(attempts: Iterable[dict[str, Any]]) -> int | None:
    """Return the index of the first attempt with a status of 200 to 299; None if there is none.

    Examples
    --------
    >>> winning_attempt_index([{"status": 503}, {"status": None}, {"status": 200}])
    2
    """
    return next((at for at, one in enumerate(attempts) if json_values.count(one.get("status")) in _SUCCESS), None)


def fallback(attempts: list[dict[str, Any]] | None) -> tuple[int | None, float | None]:
    """Count the attempts before the successful one, and add up the milliseconds they took.

    Examples
    --------
    >>> fallback([{"status": 503, "latency": 327}, {"status": 200, "latency": 900}])
    (1, 327.0)
    >>> fallback([{"status": 200}]), fallback([{"status": 503}]), fallback(None)
    ((0, 0.0), (1, None), (None, None))
    """
    if attempts is None:
        return None, None
    failed = attempts[: winning_attempt_index(attempts)]
    if not failed:
        return 0, 0.0
    waits = [
        wait for wait in (json_values.number(one.get("latency")) for one in failed) if wait is not None and wait >= 0
    ]
    waited = sum(waits)
    return len(failed), waited if waits and math.isfinite(waited) else None
