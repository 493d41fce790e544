"""The field table: every column of the frame, declared once.

Parsing, dtypes, the archive's Parquet schema, ``orstats fields``, docs/reference/columns.md and the tests read it.
Wire columns keep the names of ``GET /generation``, so the vendor's page is a valid dictionary for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from orstats.frame.status import STATUSES

Kind = Literal["text", "count", "flag", "number", "time", "json"]
Origin = Literal["wire", "fetch", "derived"]

#: pandas dtype of each kind; pinned, never inferred. ``json`` is text that holds JSON.
PANDAS_DTYPE: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "text": "string",
        "json": "string",
        "count": "Int64",
        "flag": "boolean",
        "number": "float64",
        "time": "datetime64[us, UTC]",
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """One column."""

    name: str
    kind: Kind
    origin: Origin
    meaning: str
    unit: str = ""
    nullable: bool = True
    source: str = "API reference, GET /generation"

    @property
    def dtype(self) -> str:
        """The pandas dtype."""
        return PANDAS_DTYPE[self.kind]


def _wire(name: str, kind: Kind, meaning: str, unit: str = "", *, nullable: bool = True, source: str = "") -> Field:
    return Field(name, kind, "wire", meaning, unit, nullable, source or "API reference, GET /generation")


def _fetch(name: str, kind: Kind, meaning: str, unit: str = "", *, nullable: bool = True) -> Field:
    return Field(name, kind, "fetch", meaning, unit, nullable, "orstats.fetch")


def _derived(name: str, kind: Kind, meaning: str, unit: str, source: str, *, nullable: bool = True) -> Field:
    return Field(name, kind, "derived", meaning, unit, nullable, source)


COST_BASES: Final = (
    "credits",
    "byok",
    "free",
    "response_cache",
    "cancelled",
    "no_completion",
    "unknown",
)

#: Decimals of amounts in US dollars: more are noise of binary floats.
USD_DECIMALS: Final = 12

#: The index of every frame.
ID: Final = _wire("id", "text", "Generation id, as requested.", nullable=False)

WIRE: Final[tuple[Field, ...]] = (
    _wire("created_at", "time", "When the generation was requested.", "UTC", nullable=False),
    _wire("model", "text", "Model slug that served the request.", nullable=False),
    _wire("provider_name", "text", "Provider that answered; missing when none did."),
    _wire(
        "api_type",
        "text",
        "Kind of call: completions, embeddings, rerank, decisions, tools_invoke, tts, stt, video, image. "
        "New kinds appear without notice.",
    ),
    _wire("total_cost", "number", "Charged to the account's credits.", "USD", nullable=False),
    _wire("usage", "number", "The same charge under its older name.", "USD", nullable=False),
    _wire(
        "upstream_inference_cost",
        "number",
        "The provider's own charge. Part of your cost only for BYOK rows; adding it elsewhere doubles the bill.",
        "USD",
    ),
    _wire(
        "cache_discount", "number", "Discount for prompt caching; negative where caching added to the charge.", "USD"
    ),
    _wire("is_byok", "flag", "Whether your own provider key was used (bring your own key).", nullable=False),
    _wire("tokens_prompt", "count", "Prompt tokens by the vendor's normalised count; not what is billed.", "tokens"),
    _wire("tokens_completion", "count", "Completion tokens by the normalised count; not what is billed.", "tokens"),
    _wire("native_tokens_prompt", "count", "Prompt tokens by the provider's tokenizer: what is billed.", "tokens"),
    _wire("native_tokens_completion", "count", "Completion tokens by the provider's tokenizer, billed.", "tokens"),
    _wire(
        "native_tokens_reasoning",
        "count",
        "Reasoning tokens; a part of the completion tokens.",
        "tokens",
        source="API reference; being a part is inferred",
    ),
    _wire(
        "native_tokens_cached",
        "count",
        "Prompt tokens read from cache; a part of the prompt tokens.",
        "tokens",
        source="API reference; being a part is inferred",
    ),
    _wire("native_tokens_completion_images", "count", "Completion tokens that are images.", "tokens"),
    _wire("num_media_prompt", "count", "Images and other media in the prompt.", "items"),
    _wire("num_input_audio_prompt", "count", "Audio inputs in the prompt.", "items"),
    _wire("num_media_completion", "count", "Images and other media in the completion.", "items"),
    _wire("num_search_results", "count", "Web search results used.", "items"),
    _wire("num_fetches", "count", "Web pages fetched.", "items"),
    _wire("web_search_engine", "text", "Web search engine used."),
    _wire(
        "latency",
        "number",
        "Time to first token at the provider (whole response when not streamed), of the successful attempt only. "
        "The vendor also calls it total latency; observed records fit the first reading.",
        "ms",
        source="API reference, conflicting; observed records",
    ),
    _wire("generation_time", "number", "Time at the provider, including the time to first token.", "ms"),
    _wire("moderation_latency", "number", "Time that moderation took before the request was sent.", "ms"),
    _wire("streamed", "flag", "Whether the response was streamed."),
    _wire("cancelled", "flag", "Whether the caller cancelled it. A cancelled stream may cost 0 with many tokens."),
    _wire("finish_reason", "text", "Why it ended, normalised: stop, length, tool_calls, content_filter, error."),
    _wire("native_finish_reason", "text", "Why it ended, in the provider's words."),
    _wire("provider_responses", "json", "Attempts at providers, in order, with their statuses; see orstats.attempts."),
    _wire("service_tier", "text", "Service tier that served the request."),
    _wire("router", "text", "Router that chose the model, e.g. openrouter/auto."),
    _wire("preset_id", "text", "Preset used."),
    _wire("response_cache_source_id", "text", "Generation whose stored response was returned instead of a new one."),
    _wire("request_id", "text", "Groups the generations of one API request."),
    _wire("session_id", "text", "Groups the generations of one session, as named by the caller."),
    _wire("upstream_id", "text", "The provider's own id of the completion."),
    _wire("external_user", "text", "The caller's end user, as named by the caller."),
    _wire("app_id", "count", "App that made the request.", "id"),
    _wire("workspace_id", "text", "Workspace the request belongs to."),
    _wire("origin", "text", "Origin of the request.", nullable=False),
    _wire("http_referer", "text", "Referer header of the request."),
    _wire("user_agent", "text", "User agent of the caller."),
    _wire("data_region", "text", "Where it was processed: global, europe, us.", nullable=False),
)

EXTRA: Final = Field(
    "extra",
    "json",
    "wire",
    "A JSON object of what has no column: fields not in this table, and values of the wrong type, as sent.",
    source="orstats.fetch",
)

FETCH: Final[tuple[Field, ...]] = (
    _fetch("fetch_status", "text", "Outcome of the fetch: " + " · ".join(STATUSES) + ".", nullable=False),
    _fetch("http_status", "count", "Status of the last response; missing when there was none.", "HTTP status"),
    _fetch(
        "attempts", "count", "Requests sent for this row; 0 when it came from the archive.", "requests", nullable=False
    ),
    _fetch("error", "text", "Why the row is not ok."),
    _fetch("fetched_at", "time", "When the record was received.", "UTC", nullable=False),
)

DERIVED: Final[tuple[Field, ...]] = (
    _derived(
        "cost_usd",
        "number",
        "Your cost: total_cost, plus upstream_inference_cost only if is_byok. Missing when a part of it is "
        "unknown, or when is_byok is missing and the provider charged something. At most 12 decimals.",
        "USD",
        "API reference: the upstream cost is part of the true cost only for BYOK",
    ),
    _derived(
        "cost_basis",
        "text",
        "Who was paid, or why the cost is 0; the first that applies. unknown: cost_usd is missing. byok: your own "
        "provider key; the cost is the provider's charge plus the fee from credits. credits: a charge. For a "
        "charge of 0: response_cache: a stored response. cancelled: by the caller. no_completion: no completion tokens "
        "and a finish_reason of error or (for completions only) none. free: none of these, but a price "
        "of 0, as for models that end in :free.",
        "",
        "API reference; zero-completion insurance as the vendor documents it",
        nullable=False,
    ),
    _derived(
        "tokens_total",
        "count",
        "native_tokens_prompt + native_tokens_completion; missing when either is, but embeddings and rerank need no "
        "completion.",
        "tokens",
        "sum of what is billed",
    ),
    _derived(
        "throughput_tok_s",
        "number",
        "native_tokens_completion / generation_time x 1000; missing when the time is 0.",
        "tokens/s",
        "the vendor's dashboard",
    ),
    _derived(
        "decode_tok_s",
        "number",
        "(native_tokens_completion - 1) / (generation_time - latency) x 1000, for streamed rows with more than one "
        "token and a positive difference.",
        "tokens/s",
        "time per token after the first",
    ),
    _derived(
        "cache_hit_rate",
        "number",
        "native_tokens_cached / native_tokens_prompt; missing where the cached tokens exceed the prompt.",
        "share 0..1",
        "orstats",
    ),
    _derived(
        "usd_per_mtok", "number", "cost_usd per million tokens_total; missing without tokens.", "USD/Mtok", "orstats"
    ),
    _derived(
        "fallbacks",
        "count",
        "Attempts at providers before the first with a status of 200 to 299 (all of them when none has one).",
        "attempts",
        "provider_responses",
    ),
    _derived(
        "fallback_ms",
        "number",
        "Total latency of those attempts, where known; 0 without fallbacks, missing when no latency is known.",
        "ms",
        "provider_responses",
    ),
)

#: All columns in the frame's order: the outcome, identity and cost, then the rest as sent.
COLUMNS: Final[tuple[Field, ...]] = (FETCH[0], *WIRE[:3], *DERIVED, *WIRE[3:], EXTRA, *FETCH[1:])

#: All fields by name, including the id.
FIELDS: Final[Mapping[str, Field]] = MappingProxyType({f.name: f for f in (ID, *COLUMNS)})
