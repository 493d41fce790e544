"""Writes the metadata of one generation: what ``GET /generation`` answers.

A record is drafted from its slot and its conversation in steps: base, tokens, times, money, attempts; what is special
about its kind comes last. It follows the API's specification of 2026-08-22: every required field is there;
``request_id``, ``session_id`` and ``response_cache_source_id`` may be absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.catalogue import (
    HOSTILE_AGENTS,
    HOSTILE_REFERERS,
    MODERATED,
    PRESETS,
    REPORTS_UPSTREAM,
    native_finish,
)
from orstats.sim.dataset.random_streams import base62, chance, letters, number, one_of, stream
from orstats.sim.dataset.timeline import SECOND_US

if TYPE_CHECKING:
    import random

    from orstats.sim.dataset.catalogue import Endpoint, Model
    from orstats.sim.dataset.conversations import Conversation
    from orstats.sim.dataset.timeline import Slot

# Statuses of failed attempts; None for one that never responded.
REFUSALS: tuple[int | None, ...] = (429, 429, 429, 503, 502, 529, 500, 408, None)
_FRACTIONAL = 0.15
_OK = 200


def milliseconds(rng: random.Random, value: float) -> float:
    """Round a duration as the API does: mostly to integer ms, sometimes to µs."""
    if chance(rng, _FRACTIONAL):
        return round(value, 3)
    return int(value) + 1


def upstream_id(rng: random.Random, provider: str) -> str | None:
    """Make the provider's own id of a response, in its style; some have none."""
    if provider in {"OpenAI", "Azure"}:
        return f"chatcmpl-{letters(rng, 30)[:29]}"
    if provider == "Anthropic":
        return f"msg_01{letters(rng, 22)}"
    if provider == "Amazon Bedrock":
        return f"msg_bdrk_01{letters(rng, 22)}"
    if provider in {"Google", "Google AI Studio", "Venice"}:
        return None if chance(rng, 0.5) else letters(rng, 24)
    return f"chatcmpl-{rng.getrandbits(128):032x}"


def refused(rng: random.Random, model: Model, endpoint: Endpoint) -> dict[str, Any]:
    """Make the record of an attempt that failed."""
    attempt: dict[str, Any] = {"status": one_of(rng, REFUSALS), "provider_name": endpoint.provider}
    slow = attempt["status"] in (None, 408)
    attempt["latency"] = milliseconds(rng, rng.lognormvariate(0.0, 0.7) * (9000.0 if slow else 260.0))
    attempt["is_byok"] = False
    if chance(rng, 0.9):
        attempt["endpoint_id"] = model.endpoint_id(endpoint)
        attempt["model_permaslug"] = model.permaslug
    return attempt


def served(
    rng: random.Random, model: Model, endpoint: Endpoint, *, latency: float, byok: bool, tier: str | None
) -> dict[str, Any]:
    """Make the record of the attempt that answered; ``latency`` is the generation's own, in ms."""
    attempt: dict[str, Any] = {
        "status": _OK,
        "provider_name": endpoint.provider,
        "latency": latency,
        "is_byok": byok,
        "endpoint_id": model.endpoint_id(endpoint),
        "model_permaslug": model.permaslug,
    }
    identifier = upstream_id(rng, endpoint.provider)
    if identifier is not None:
        attempt["id"] = identifier
    if tier in {"flex", "priority"}:
        attempt["routed_service_tier"] = tier
    return attempt


def sync_attempts(row: dict[str, Any]) -> None:
    """Copy latency and service tier of a record to its successful attempt, after its kind has changed them."""
    for attempt in row["provider_responses"] or []:
        if attempt["status"] != _OK:
            continue
        known = {"latency": row["latency"], "routed_service_tier": row["service_tier"]}
        for field in known.keys() & attempt.keys():
            if known[field] is None:
                del attempt[field]
            else:
                attempt[field] = known[field]


def prolong(row: dict[str, Any], duration_ms: int) -> None:
    """Let the call of a record run for ``duration_ms``; its first token does not come later than before."""
    row["generation_time"] = duration_ms
    if row["latency"] is not None and not row["streamed"]:
        row["latency"] = duration_ms
    sync_attempts(row)


def refusals(rng: random.Random, model: Model, last: Endpoint | None, count: int) -> list[dict[str, Any]]:
    """Make ``count`` failed attempts at the model's endpoints, the one that will answer (``last``) left out."""
    others = [endpoint for endpoint in model.endpoints if endpoint is not last] or list(model.endpoints)
    return [refused(rng, model, others[n % len(others)]) for n in range(count)]


_MILLION = 1_000_000
# The API's smallest amounts have about this many decimals.
DECIMALS = 12
_TIERS = {"priority": 2.0, "flex": 0.5}
# Writing to the prompt cache costs a quarter more there, which shows as a negative discount.
_WRITE_SURCHARGE = 0.25
_CHARGES_WRITES = {"Anthropic", "Amazon Bedrock"}
_WRITE_LEAST = 1024
_OWN_KEY_FEE = 0.05


def price_of(row: dict[str, Any], endpoint: Endpoint) -> float:
    """Price a row's native tokens at an endpoint and the row's service tier, in USD."""
    cached = row["native_tokens_cached"] or 0
    prompt = row["native_tokens_prompt"] or 0
    completion = row["native_tokens_completion"] or 0
    rate = endpoint.cached if endpoint.cached is not None else endpoint.prompt
    total = (prompt - cached) * endpoint.prompt + cached * rate + completion * endpoint.completion
    return total * _TIERS.get(row["service_tier"], 1.0) / _MILLION


def charge(row: dict[str, Any], endpoint: Endpoint, rng: random.Random, *, own_key: bool, writes_cache: bool) -> None:
    """Write the amounts, in USD, into a row whose tokens are known.

    With ``own_key`` the provider charges the customer directly, and the account pays a small fee or nothing.
    """
    total = price_of(row, endpoint)
    cached = row["native_tokens_cached"] or 0
    if cached and endpoint.cached is not None:
        row["cache_discount"] = round(cached * (endpoint.prompt - endpoint.cached) / _MILLION, DECIMALS)
    elif writes_cache and endpoint.provider in _CHARGES_WRITES and row["native_tokens_prompt"] > _WRITE_LEAST:
        surcharge = row["native_tokens_prompt"] * endpoint.prompt * _WRITE_SURCHARGE / _MILLION
        row["cache_discount"] = -round(surcharge, DECIMALS)
        total += surcharge
    total = round(total, DECIMALS)
    if own_key:
        row["upstream_inference_cost"] = total
        # A monthly quota of calls on one's own key is free of the fee.
        row["total_cost"] = round(total * _OWN_KEY_FEE, DECIMALS) if chance(rng, 0.4) else 0
        return
    row["total_cost"] = total or 0
    share = REPORTS_UPSTREAM.get(endpoint.provider)
    if share is not None:
        row["upstream_inference_cost"] = round(total * share, DECIMALS) or 0


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


# Probabilities of features that do not depend on a record's kind.
_LENGTH, _FILTERED = 0.04, 0.012
_CACHED, _CACHE_STEP, _CACHE_LEAST = 0.8, 128, 512
_ROUTED, _PRESET, _HOSTILE = 0.05, 0.07, 0.006
_UNTOLD, _WITHOUT_REQUEST, _ZULU = 0.06, 0.12, 0.3
_COUNTS_REASONING = {"OpenAI", "Azure", "Google", "Google AI Studio", "xAI"}
_TIERED = {"OpenAI", "Azure"}


@dataclass(slots=True)
class Draft:
    """A record in the making: the row, and what it is made from."""

    row: dict[str, Any]
    rng: random.Random
    slot: Slot
    conversation: Conversation


def write_record(seed: int, slot: Slot, conversation: Conversation, identifier: str) -> dict[str, Any]:
    """Write the metadata record of one generation: times in ms, money in USD."""
    rng = stream(seed, "record", slot.index)
    draft = Draft(_base(rng, seed, slot, conversation, identifier), rng, slot, conversation)
    _tokens(draft)
    _times(draft)
    charge(draft.row, conversation.endpoint, rng, own_key=slot.kind == "byok", writes_cache=slot.turn == 0)
    _attempts(draft)
    special = KIND_OVERRIDES.get(slot.kind)
    if special is not None:
        special(draft.row, rng, conversation, slot.turn)
        sync_attempts(draft.row)
    draft.row["usage"] = draft.row["total_cost"]
    return draft.row


def write_time(created_us: int, *, zulu: bool) -> str:
    """Write a moment in one of the API's two spellings.

    Examples
    --------
    >>> write_time(1_727_282_430_012_345, zulu=False), write_time(1_727_282_430_012_345, zulu=True)
    ('2024-09-25T16:40:30.012345+00:00', '2024-09-25T16:40:30.012Z')
    """
    seconds, micros = divmod(created_us, SECOND_US)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{micros // 1000:03d}Z" if zulu else f"{text}.{micros:06d}+00:00"


def region_of(seed: int, talk: str) -> str:
    """Return the data region of a conversation; few use the regional hosts."""
    share = number(seed, "region", talk) % 100
    return "europe" if share < 3 else "us" if share < 5 else "global"  # noqa: PLR2004 - percent


def _base(rng: random.Random, seed: int, slot: Slot, conversation: Conversation, identifier: str) -> dict[str, Any]:
    app, hostile, counts = conversation.app, chance(rng, _HOSTILE), not chance(rng, 0.15)
    row: dict[str, Any] = {
        "id": identifier,
        "upstream_id": None,
        "total_cost": 0,
        "cache_discount": None,
        "upstream_inference_cost": None,
        "created_at": write_time(slot.created_us, zulu=chance(rng, _ZULU)),
        "model": conversation.model.permaslug,
        "app_id": app.app_id,
        "streamed": chance(rng, app.streams),
        "cancelled": False,
        "provider_name": conversation.endpoint.provider,
        "latency": None,
        "moderation_latency": None,
        "generation_time": None,
        "finish_reason": "stop",
        "service_tier": _tier(rng, conversation),
        "tokens_prompt": None,
        "tokens_completion": None,
        "native_tokens_prompt": None,
        "native_tokens_completion": None,
        "native_tokens_completion_images": None,
        "native_tokens_reasoning": None,
        "native_tokens_cached": None,
        "num_media_prompt": conversation.pictures(slot.turn) if counts else conversation.pictures(slot.turn) or None,
        "num_input_audio_prompt": conversation.sounds(slot.turn) if counts else conversation.sounds(slot.turn) or None,
        "num_media_completion": 0 if counts else None,
        "num_search_results": None,
        "num_fetches": None,
        "web_search_engine": None,
        "origin": app.origin,
        "usage": 0,
        "is_byok": slot.kind == "byok",
        "native_finish_reason": None,
        "external_user": conversation.user,
        "api_type": "completions",
        "preset_id": one_of(rng, PRESETS) if chance(rng, _PRESET) else None,
        "router": "openrouter/auto" if chance(rng, _ROUTED) else None,
        "provider_responses": None,
        "user_agent": one_of(rng, HOSTILE_AGENTS) if hostile else conversation.agent,
        "http_referer": one_of(rng, HOSTILE_REFERERS) if hostile else app.referer,
        "data_region": region_of(seed, slot.conversation_id),
        "workspace_id": app.workspace,
    }
    _optional(row, rng, seed, slot, conversation)
    return row


def _tier(rng: random.Random, conversation: Conversation) -> str | None:
    if conversation.endpoint.provider not in _TIERED:
        return None
    return "priority" if chance(rng, 0.04) else "flex" if chance(rng, 0.05) else "default"


def _optional(row: dict[str, Any], rng: random.Random, seed: int, slot: Slot, conversation: Conversation) -> None:
    """Add the fields that the specification lets be absent."""
    if not chance(rng, _WITHOUT_REQUEST):
        first = slot.turn
        # Tools that the router runs itself are rounds of one and the same API request.
        while first and slot.kinds[first - 1] == "tools" and number(seed, "server-tools", slot.conversation_id) % 2:
            first -= 1
        suffix = base62(number(seed, "request", slot.conversation_id, first) ** 2, 20)
        row["request_id"] = f"req-{slot.moments[first] // SECOND_US}-{suffix}"
    elif chance(rng, 0.5):
        row["request_id"] = None
    if conversation.session is not None or not chance(rng, _WITHOUT_REQUEST):
        row["session_id"] = conversation.session
    if not chance(rng, _WITHOUT_REQUEST):
        row["response_cache_source_id"] = None


def _tokens(draft: Draft) -> None:
    row, rng, conversation, turn = draft.row, draft.rng, draft.conversation, draft.slot.turn
    planned, ratio, provider = (
        conversation.planned_turns[turn],
        conversation.model.ratio,
        conversation.endpoint.provider,
    )
    prompt = conversation.prompt_tokens(turn)
    completion = planned.answer_tokens + planned.reasoned
    native_prompt = max(1, round(prompt * ratio) + int(rng.random() * 7))
    row["tokens_prompt"], row["tokens_completion"] = prompt, completion
    row["native_tokens_prompt"] = native_prompt
    row["native_tokens_completion"] = max(1, round(completion * ratio) + int(rng.random() * 3))
    row["native_tokens_reasoning"] = round(planned.reasoned * ratio)
    if not conversation.model.reasons and provider not in _COUNTS_REASONING:
        row["native_tokens_reasoning"] = None
    row["native_tokens_completion_images"] = 0 if provider in _COUNTS_REASONING else None
    if conversation.endpoint.cached is not None:
        seen = conversation.prompt_tokens(turn - 1) if turn else prompt - planned.question_tokens
        hit = min(round(seen * ratio), native_prompt) // _CACHE_STEP * _CACHE_STEP
        row["native_tokens_cached"] = hit if hit >= _CACHE_LEAST and chance(rng, _CACHED) else 0
    roll = rng.random()
    if roll < _LENGTH:
        row["finish_reason"] = "length"
    elif roll < _LENGTH + _FILTERED:
        row["finish_reason"] = "content_filter"
    row["native_finish_reason"] = native_finish(provider, row["finish_reason"])


def _times(draft: Draft) -> None:
    """Set the durations. ``latency`` is the time to the first token, and to the last one when not streamed."""
    row, rng, conversation = draft.row, draft.rng, draft.conversation
    first = conversation.endpoint.ttft_ms * rng.lognormvariate(0.0, 0.35) * (1 + row["native_tokens_prompt"] / 60_000)
    speed = conversation.endpoint.tokens_per_s * rng.lognormvariate(0.0, 0.25)
    duration = first + 1000.0 * row["native_tokens_completion"] / speed
    row["generation_time"] = milliseconds(rng, duration)
    # Measured elsewhere: unstreamed responses show a latency a little above or below it.
    row["latency"] = milliseconds(rng, first if row["streamed"] else duration * (0.9 + 0.12 * rng.random()))
    if conversation.model.slug.startswith(MODERATED) and chance(rng, 0.6):
        row["moderation_latency"] = milliseconds(rng, 58.0 * rng.lognormvariate(0.0, 0.5))


def _attempts(draft: Draft) -> None:
    row, rng, conversation = draft.row, draft.rng, draft.conversation
    attempt = served(
        rng,
        conversation.model,
        conversation.endpoint,
        latency=row["latency"],
        byok=row["is_byok"],
        tier=row["service_tier"],
    )
    row["upstream_id"] = attempt.get("id")
    count = 0
    if draft.slot.kind == "fallback":
        count = 1 + int(rng.random() ** 2 * 3)
    if count or not chance(rng, _UNTOLD):
        row["provider_responses"] = [*refusals(rng, conversation.model, conversation.endpoint, count), attempt]
