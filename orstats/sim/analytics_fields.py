"""The metrics and dimensions of the account's analytics."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orstats.sim.dataset.random_streams import number
from orstats.sim.ledger import Entry, total_usd

Entries = Sequence[Entry]
_COUNTRIES = ("PT", "DE", "US", "GB", "FR", "")
_BUCKET_STARTS = (1_000, 8_000, 32_000, 128_000)
_BUCKETS = ("<1K", "1K-8K", "8K-32K", "32K-128K", "128K+")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and its display. ``recent`` ones reach back 31 days at most."""

    label: str
    show: str
    make: Callable[[Entries], Any]
    rate: bool = False
    recent: bool = False


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension: what rows show of an entry, and what filters compare with (``raw``, where that differs).

    ``extra`` is a second column and its value.
    """

    label: str
    show: Callable[[Entry], Any]
    raw: Callable[[Entry], Any] | None = None
    recent: bool = False
    extra: tuple[str, Callable[[Entry], Any]] | None = None

    def value(self, entry: Entry) -> Any:
        """Return what a filter compares with."""
        return (self.raw or self.show)(entry)


def _count(of: Callable[[Entry], int]) -> Callable[[Entries], str]:
    return lambda entries: str(sum(of(entry) for entry in entries))


def _usd(of: Callable[[Entry], float]) -> Callable[[Entries], float]:
    return lambda entries: total_usd(of(entry) for entry in entries)


def _part(of: Callable[[Entry], float | None]) -> Callable[[Entries], float | None]:
    def add(entries: Entries) -> float | None:
        values = [value for entry in entries if (value := of(entry)) is not None]
        return total_usd(values) if values else None

    return add


def _ratio(part: Callable[[Entry], int], total: Callable[[Entry], int]) -> Callable[[Entries], float]:
    def divide(entries: Entries) -> float:
        base = sum(total(entry) for entry in entries)
        return sum(part(entry) for entry in entries) / base if base else 0

    return divide


def _spread(of: Callable[[Entry], float | None], at: float | None) -> Callable[[Entries], float | None]:
    """Compute the mean of a value, or its quantile ``at`` (0 to 1, nearest rank)."""

    def measure(entries: Entries) -> float | None:
        values = sorted(value for entry in entries if (value := of(entry)) is not None)
        if not values:
            return None
        if at is None:
            return math.fsum(values) / len(values)
        return values[min(len(values) - 1, math.ceil(at * len(values)) - 1)]

    return measure


def _throughput(entry: Entry) -> float | None:
    return entry.completion / entry.generation_time * 1000 if entry.generation_time and entry.completion else None


def _guarded(entry: Entry) -> int:
    return entry.finish_reason == "content_filter"


def _data_discount(entry: Entry) -> float | None:
    """Return the (negative) discount of applications that let the vendor use their data."""
    return -0.01 * entry.usage if entry.app is None and entry.usage else None


def _country(entry: Entry) -> str:
    return _COUNTRIES[number("country", entry.external_user or entry.origin) % len(_COUNTRIES)]


def _context_length(entry: Entry) -> str:
    return _BUCKETS[bisect(_BUCKET_STARTS, entry.prompt)]


def _timed(name: str, show: str, of: Callable[[Entry], float | None]) -> dict[str, Metric]:
    spreads = {"avg": None, "p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {
        f"{prefix}_{name}": Metric(
            f"{prefix.capitalize()} {name.capitalize()}", show, _spread(of, at), rate=True, recent=True
        )
        for prefix, at in spreads.items()
    }


METRICS: dict[str, Metric] = {
    "request_count": Metric("Request Count", "number", _count(lambda _entry: 1)),
    "tokens_total": Metric("Total Tokens", "number", _count(lambda entry: entry.prompt + entry.completion)),
    "tokens_prompt": Metric("Prompt Tokens", "number", _count(lambda entry: entry.prompt)),
    "tokens_completion": Metric("Completion Tokens", "number", _count(lambda entry: entry.completion)),
    "reasoning_tokens": Metric("Reasoning Tokens", "number", _count(lambda entry: entry.reasoning)),
    "cached_tokens": Metric("Cached Tokens", "number", _count(lambda entry: entry.cached)),
    "byok_request_count": Metric("BYOK Requests", "number", _count(lambda entry: entry.byok)),
    "response_cached_count": Metric("Cached Responses", "number", _count(lambda entry: entry.replayed), recent=True),
    "total_usage": Metric("Total Usage", "currency", _usd(lambda entry: entry.usage + entry.byok_usage)),
    "byok_usage": Metric("BYOK Usage", "currency", _usd(lambda entry: entry.byok_usage)),
    "credits_usage": Metric("Credits Usage", "currency", _usd(lambda entry: entry.usage)),
    "openrouter_usage": Metric(
        "OpenRouter Usage", "currency", _usd(lambda entry: 0 if entry.byok else entry.usage), recent=True
    ),
    "byok_fees": Metric("BYOK Fees", "currency", _usd(lambda entry: entry.usage if entry.byok else 0), recent=True),
    "usage_upstream": Metric("Upstream Cost", "currency", _part(lambda entry: entry.upstream)),
    "usage_cache": Metric("Cache Cost", "currency", _part(lambda entry: entry.cache)),
    "cache_hit_rate": Metric(
        "Cache Hit Rate", "percent", _ratio(lambda entry: entry.cached, lambda entry: entry.prompt), rate=True
    ),
    "response_cached_rate": Metric(
        "Response Cached Rate",
        "percent",
        _ratio(lambda entry: entry.replayed, lambda _entry: 1),
        rate=True,
        recent=True,
    ),
    "guardrail_invoked_count": Metric("Guardrails Invoked", "number", _count(_guarded), recent=True),
    "guardrail_invoked_rate": Metric(
        "Guardrail Rate", "percent", _ratio(_guarded, lambda _entry: 1), rate=True, recent=True
    ),
    "usage_data": Metric("Data Discount", "currency", _part(_data_discount)),
    "usage_web": Metric("Web Search Cost", "currency", _part(lambda entry: entry.web)),
    "usage_upstream_web": Metric("Upstream Web Search Cost", "currency", _part(lambda entry: entry.web)),
    **{
        name: Metric(label, "currency", _part(lambda _entry: None))
        for name, label in (
            ("usage_file", "File Cost"),
            ("usage_upstream_file", "Upstream File Cost"),
            ("usage_web_fetch", "Web Fetch Cost"),
            ("usage_upstream_web_fetch", "Upstream Web Fetch Cost"),
        )
    },
    **_timed("latency", "latency", lambda entry: entry.latency),
    **_timed("throughput", "throughput", _throughput),
}


def dimensions_of(identifier: Callable[[int], str]) -> dict[str, Dimension]:
    """Return all dimensions; ``identifier`` makes a generation's id from its number."""
    return {
        "model": Dimension("Model", lambda entry: entry.model),
        "variant": Dimension("Variant", lambda entry: entry.slug.partition(":")[2] or "standard"),
        "workspace": Dimension("Workspace", lambda entry: entry.workspace_name, lambda entry: entry.workspace),
        "app": Dimension("App", lambda entry: entry.app_name, lambda entry: entry.app),
        "api_key_id": Dimension(
            "API Key",
            lambda entry: entry.key.name if entry.key else "",
            lambda entry: entry.key.hash if entry.key else "",
        ),
        "user": Dimension(
            "User",
            lambda entry: entry.key.creator.name if entry.key else "",
            lambda entry: entry.key.creator.user_id if entry.key else "",
            extra=("user_email", lambda entry: entry.key.creator.email if entry.key else ""),
        ),
        "generation_id": Dimension("Generation ID", lambda entry: identifier(entry.index), recent=True),
        "provider": Dimension("Provider", lambda entry: entry.provider, recent=True),
        "origin": Dimension("Origin", lambda entry: entry.origin, recent=True),
        "country": Dimension("Country", _country, recent=True),
        "context_length_bucket": Dimension("Context Length", _context_length, recent=True),
        "finish_reason": Dimension("Finish Reason", lambda entry: entry.finish_reason, recent=True),
        "external_user": Dimension("External User", lambda entry: entry.external_user, recent=True),
    }
