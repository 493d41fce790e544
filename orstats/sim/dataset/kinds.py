"""What is special about each kind of generation: tools, images, embeddings, cancelled, failed and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.catalogue import native_finish
from orstats.sim.dataset.prices import DECIMALS, charge, price_of
from orstats.sim.dataset.provider_attempts import milliseconds, refusals
from orstats.sim.dataset.random_streams import chance, number, one_of

if TYPE_CHECKING:
    import random

    from orstats.sim.dataset.conversations import Conversation


Row = dict[str, Any]
KindOverride = Callable[[Row, "random.Random", "Conversation", int], None]

SEARCH_USD = 0.004
_IMAGE_TOKENS = 1290
# Later than the specification, at no cost and without a completion; no list names the last one.
_NEWER_API_TYPES = ("decisions", "tools_invoke", "memory_lookup")
_NOTHING_COUNTED = (
    "tokens_prompt",
    "tokens_completion",
    "native_tokens_prompt",
    "native_tokens_completion",
    "native_tokens_reasoning",
    "native_tokens_cached",
    "native_tokens_completion_images",
)


def _tools(row: Row, _rng: random.Random, conversation: Conversation, _turn: int) -> None:
    row["finish_reason"] = "tool_calls"
    row["native_finish_reason"] = native_finish(conversation.endpoint.provider, "tool_calls")


def _web(row: Row, rng: random.Random, _conversation: Conversation, _turn: int) -> None:
    found = rng.randrange(1, 9)
    row["num_search_results"] = found
    row["num_fetches"] = int(rng.random() * 3)
    row["web_search_engine"] = one_of(rng, ("exa", "exa", "firecrawl", "parallel", "native"))
    row["total_cost"] = round(row["total_cost"] + found * SEARCH_USD, DECIMALS)


def _prompt(row: Row, rng: random.Random, conversation: Conversation, _turn: int) -> None:
    _pace(row, rng, conversation, streamed=chance(rng, 0.3))


def _free(row: Row, _rng: random.Random, _conversation: Conversation, _turn: int) -> None:
    row["cache_discount"] = None
    row["upstream_inference_cost"] = 0


def _embeddings(row: Row, rng: random.Random, conversation: Conversation, _turn: int) -> None:
    # A third are health checks of one short sentence, which cost 4e-07 USD at 0.02 USD per million.
    short = chance(rng, 0.34)
    row["tokens_prompt"] = 20 if short else 20 + int(rng.lognormvariate(5.0, 1.0))
    row["native_tokens_prompt"] = round(row["tokens_prompt"] * conversation.model.ratio)
    for field in ("tokens_completion", "native_tokens_completion", "native_tokens_reasoning", "native_tokens_cached"):
        row[field] = None
    _without_answer(row, "embeddings")
    row["total_cost"] = round(price_of(row, conversation.endpoint), DECIMALS)
    row["upstream_inference_cost"] = row["cache_discount"] = None
    _quick(row, rng, conversation)
    newer = number(conversation.seed, "api-type", conversation.conversation_id) % 15
    if newer < len(_NEWER_API_TYPES):
        row["api_type"], row["total_cost"] = _NEWER_API_TYPES[newer], 0


def _rerank(row: Row, rng: random.Random, conversation: Conversation, _turn: int) -> None:
    _uncounted(row, "rerank")
    row["total_cost"] = 0.002
    _quick(row, rng, conversation)


def _image(row: Row, rng: random.Random, conversation: Conversation, _turn: int) -> None:
    row["api_type"] = "image"
    row["num_media_completion"] = 1
    row["native_tokens_completion_images"] = _IMAGE_TOKENS
    row["native_tokens_completion"] = row["tokens_completion"] = _IMAGE_TOKENS
    row["native_tokens_reasoning"] = 0
    row["finish_reason"], row["native_finish_reason"] = "stop", native_finish(conversation.endpoint.provider, "stop")
    _pace(row, rng, conversation, streamed=row["streamed"])
    # Again, and all of it: the provider's own charge is for the picture, too.
    charge(row, conversation.endpoint, rng, own_key=False, writes_cache=False)


def _speech(row: Row, _rng: random.Random, conversation: Conversation, _turn: int) -> None:
    _without_answer(row, "tts")
    row["num_media_completion"] = 1
    row["total_cost"] = round(price_of(row, conversation.endpoint), DECIMALS)
    row["native_tokens_reasoning"] = row["native_tokens_cached"] = None


def _transcription(row: Row, rng: random.Random, _conversation: Conversation, _turn: int) -> None:
    _uncounted(row, "stt")
    row["num_input_audio_prompt"] = 1
    row["total_cost"] = round(0.000011 * rng.randrange(8, 600), DECIMALS)


def _video(row: Row, rng: random.Random, _conversation: Conversation, _turn: int) -> None:
    _uncounted(row, "video")
    row["num_media_completion"] = 1
    row["total_cost"] = round(0.05 * rng.randrange(4, 9), 2)
    row["generation_time"] = milliseconds(rng, 64_000 * rng.lognormvariate(0.0, 0.3))
    row["latency"] = None


def _cancelled(row: Row, rng: random.Random, conversation: Conversation, _turn: int) -> None:
    """Cut a stream short: some providers bill what was written, others nothing."""
    row["cancelled"] = True
    row["finish_reason"] = row["native_finish_reason"] = None
    part = 0.05 + 0.85 * rng.random()
    if chance(rng, 0.12):
        part = rng.uniform(9_000, 32_000) / row["native_tokens_completion"]
    for field in ("tokens_completion", "native_tokens_completion", "native_tokens_reasoning"):
        row[field] = max(1, int(row[field] * part)) if row[field] else row[field]
    row["native_tokens_reasoning"] = min(row["native_tokens_reasoning"] or 0, row["native_tokens_completion"])
    row["total_cost"] = round(price_of(row, conversation.endpoint), DECIMALS) if chance(rng, 0.5) else 0
    row["upstream_inference_cost"] = None
    if not row["total_cost"]:
        row["cache_discount"] = None
    _pace(row, rng, conversation, streamed=True)


def _failed(row: Row, rng: random.Random, _conversation: Conversation, _turn: int) -> None:
    """Empty the completion: the provider failed midway, and the account is not charged."""
    row["finish_reason"] = "error" if chance(rng, 0.6) else None
    row["native_finish_reason"] = "error" if row["finish_reason"] and chance(rng, 0.5) else None
    _unpaid(row)
    row["generation_time"] = None if chance(rng, 0.3) else row["latency"]


def _refused(row: Row, rng: random.Random, conversation: Conversation, _turn: int) -> None:
    """Let every provider refuse: nobody served, so nothing was measured."""
    row["finish_reason"], row["native_finish_reason"] = "error", None
    _unpaid(row)
    row["native_tokens_prompt"] = row["native_tokens_cached"] = None
    row["provider_name"] = row["upstream_id"] = row["service_tier"] = None
    row["latency"] = row["generation_time"] = row["moderation_latency"] = None
    row["provider_responses"] = refusals(rng, conversation.model, None, 2 + int(rng.random() * 3))


def _legacy(row: Row, _rng: random.Random, _conversation: Conversation, _turn: int) -> None:
    """Remove the fields that old records do not have."""
    for field in ("request_id", "session_id", "response_cache_source_id"):
        row.pop(field, None)
    for field in ("api_type", "workspace_id", "cancelled", "provider_responses", "service_tier", "router", "preset_id"):
        row[field] = None
    row["data_region"] = "global"


def _pace(row: Row, rng: random.Random, conversation: Conversation, *, streamed: bool) -> None:
    """Recompute the durations of an answer that became longer, shorter or streamed."""
    first = row["latency"] if row["streamed"] else milliseconds(rng, conversation.endpoint.ttft_ms)
    duration = milliseconds(rng, first + 1000.0 * row["native_tokens_completion"] / conversation.endpoint.tokens_per_s)
    row["streamed"] = streamed
    row["generation_time"] = duration
    row["latency"] = first if streamed else duration


def _unpaid(row: Row) -> None:
    row["total_cost"] = 0
    row["upstream_inference_cost"] = row["cache_discount"] = None
    row["tokens_completion"] = row["native_tokens_completion"] = 0
    row["native_tokens_reasoning"] = 0 if row["native_tokens_reasoning"] is not None else None


def _without_answer(row: Row, api_type: str) -> None:
    row["api_type"] = api_type
    row["streamed"] = row["finish_reason"] = row["native_finish_reason"] = None
    row["native_tokens_completion_images"] = None
    row["moderation_latency"] = row["service_tier"] = None


def _uncounted(row: Row, api_type: str) -> None:
    """Empty the token counts of an API that is not billed by tokens."""
    _without_answer(row, api_type)
    for field in _NOTHING_COUNTED:
        row[field] = None
    row["cancelled"] = row["cache_discount"] = row["upstream_inference_cost"] = None


def _quick(row: Row, rng: random.Random, conversation: Conversation) -> None:
    row["latency"] = milliseconds(rng, conversation.endpoint.ttft_ms * rng.lognormvariate(0.0, 0.4))
    row["generation_time"] = row["latency"]


KIND_OVERRIDES: dict[str, KindOverride] = {
    "tools": _tools,
    "web": _web,
    "prompt": _prompt,
    "free": _free,
    "embeddings": _embeddings,
    "rerank": _rerank,
    "image": _image,
    "speech": _speech,
    "transcription": _transcription,
    "video": _video,
    "cancelled": _cancelled,
    "failed": _failed,
    "refused": _refused,
    "legacy": _legacy,
}
