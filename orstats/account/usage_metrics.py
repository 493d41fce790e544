"""The metrics and dimensions of the account's usage: their names in the API and here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from orstats.errors import ConfigError
from orstats.frame.validation import unknown_group
from orstats.text.suggest import unknown

_MAX_DIMENSIONS: Final = 2

#: Names of dimensions here, and in the API where they differ.
DIMENSIONS: Final = MappingProxyType(
    {name: name for name in ("model", "variant", "user", "workspace", "app")} | {"api_key": "api_key_id"}
)
#: Dimensions that the API has for 31 days per request; the others for 365.
RECENT_DIMENSIONS: Final = frozenset(
    {"provider", "origin", "country", "finish_reason", "external_user", "context_length_bucket"}
)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the API: the column that holds it, its kind, and whether its range is limited to 31 days."""

    column: str
    kind: Literal["count", "usd", "rate"]
    recent: bool = False


def _spreads(name: str, unit: str) -> dict[str, Metric]:
    return {f"{at}_{name}": Metric(f"{name}_{at}{unit}", "rate", recent=True) for at in ("avg", "p50", "p90", "p99")}


#: Metrics by their names in the API. Token counts of the analytics are native ones, which providers bill.
METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "request_count": Metric("generations", "count"),
        "total_usage": Metric("cost_usd", "usd"),
        "credits_usage": Metric("charged_usd", "usd"),
        "byok_usage": Metric("byok_usd", "usd"),
        "tokens_total": Metric("tokens_total", "count"),
        "tokens_prompt": Metric("native_tokens_prompt", "count"),
        "tokens_completion": Metric("native_tokens_completion", "count"),
        "reasoning_tokens": Metric("native_tokens_reasoning", "count"),
        "cached_tokens": Metric("native_tokens_cached", "count"),
        "byok_request_count": Metric("byok_generations", "count"),
        "response_cached_count": Metric("cached_responses", "count", recent=True),
        "guardrail_invoked_count": Metric("guardrail_generations", "count", recent=True),
        "openrouter_usage": Metric("openrouter_usd", "usd", recent=True),
        "byok_fees": Metric("byok_fee_usd", "usd", recent=True),
        "usage_upstream": Metric("upstream_usd", "usd"),
        "usage_cache": Metric("cache_usd", "usd"),
        "usage_data": Metric("data_discount_usd", "usd"),
        "usage_web": Metric("web_search_usd", "usd"),
        "usage_upstream_web": Metric("upstream_web_search_usd", "usd"),
        "usage_file": Metric("file_usd", "usd"),
        "usage_upstream_file": Metric("upstream_file_usd", "usd"),
        "usage_web_fetch": Metric("web_fetch_usd", "usd"),
        "usage_upstream_web_fetch": Metric("upstream_web_fetch_usd", "usd"),
        "cache_hit_rate": Metric("cache_hit_rate", "rate"),
        "response_cached_rate": Metric("cached_response_share", "rate", recent=True),
        "guardrail_invoked_rate": Metric("guardrail_share", "rate", recent=True),
        **_spreads("latency", "_ms"),
        **_spreads("throughput", "_tok_s"),
    }
)
_DEFAULT: Final = ("request_count", "total_usage", "credits_usage", "byok_usage", "tokens_prompt", "tokens_completion")


def dimensions_of(by: str | Sequence[str] | None) -> list[str]:
    """Return the dimensions to group by, each once."""
    names = [by] if isinstance(by, str) else list(dict.fromkeys(by or ()))
    known = [*DIMENSIONS, *sorted(RECENT_DIMENSIONS)]
    for name in names:
        if name not in known:
            raise ConfigError(unknown_group("dimension", str(name), known, f"Use one of {', '.join(known)}."))
    if len(names) > _MAX_DIMENSIONS:
        raise ConfigError(f"Pass at most two dimensions, got {len(names)}: {', '.join(names)}.")
    return names


def metrics_of(metrics: Sequence[str] | None) -> list[str]:
    """Return the metrics to request, each once; by default generations, cost and tokens."""
    names = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(_DEFAULT if metrics is None else metrics))
    if not names:
        raise ConfigError("metrics must name at least one metric, got none.")
    for name in names:
        if name not in METRICS:
            raise ConfigError(unknown("metric", str(name), METRICS, hint=f"Use one of {', '.join(METRICS)}."))
    return names
