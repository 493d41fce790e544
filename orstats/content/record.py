"""The record of one generation as a frozen, typed object: the columns of the DataFrame as attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ProviderAttempt:
    """One attempt at a provider.

    ``status`` is its HTTP status (None: no response), ``latency`` is in ms, and ``ok`` marks the successful one.
    """

    provider_name: str | None
    status: int | None
    latency: float | None
    is_byok: bool | None
    ok: bool


@dataclass(frozen=True, repr=False)
class Record:
    """The columns of one record, the derived ones included.

    Names, meanings and units are those of the DataFrame (:func:`orstats.field_table`); None is a missing value.
    """

    id: str
    fetch_status: str = "ok"
    created_at: datetime | None = None
    model: str | None = None
    provider_name: str | None = None
    cost_usd: float | None = None
    cost_basis: str | None = None
    tokens_total: int | None = None
    throughput_tok_s: float | None = None
    decode_tok_s: float | None = None
    cache_hit_rate: float | None = None
    usd_per_mtok: float | None = None
    fallbacks: int | None = None
    fallback_ms: float | None = None
    api_type: str | None = None
    total_cost: float | None = None
    usage: float | None = None
    upstream_inference_cost: float | None = None
    cache_discount: float | None = None
    is_byok: bool | None = None
    tokens_prompt: int | None = None
    tokens_completion: int | None = None
    native_tokens_prompt: int | None = None
    native_tokens_completion: int | None = None
    native_tokens_reasoning: int | None = None
    native_tokens_cached: int | None = None
    native_tokens_completion_images: int | None = None
    num_media_prompt: int | None = None
    num_input_audio_prompt: int | None = None
    num_media_completion: int | None = None
    num_search_results: int | None = None
    num_fetches: int | None = None
    web_search_engine: str | None = None
    latency: float | None = None
    generation_time: float | None = None
    moderation_latency: float | None = None
    streamed: bool | None = None
    cancelled: bool | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    provider_responses: tuple[ProviderAttempt, ...] | None = None
    service_tier: str | None = None
    router: str | None = None
    preset_id: str | None = None
    response_cache_source_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    upstream_id: str | None = None
    external_user: str | None = None
    app_id: int | None = None
    workspace_id: str | None = None
    origin: str | None = None
    http_referer: str | None = None
    user_agent: str | None = None
    data_region: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    http_status: int | None = None
    attempts: int | None = None
    error: str | None = None
    fetched_at: datetime | None = None

    def __repr__(self) -> str:
        # Escaped, without quotes: a terminal would run control sequences in an untrusted name.
        what = repr(str(self.model if self.fetch_status == "ok" else self.fetch_status))[1:-1]
        cost = "" if self.cost_usd is None else f", cost_usd={self.cost_usd:.6g}"
        return f"{type(self).__name__}({self.id!r}, {what}{cost})"
