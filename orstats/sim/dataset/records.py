"""Writes the metadata of one generation: what ``GET /generation`` answers.

A record is drafted from its slot and its conversation in steps: base, tokens, times, money, attempts; what is special
about its kind comes last. It follows the API's specification of 2026-08-22: every required field is there;
``request_id``, ``session_id`` and ``response_cache_source_id`` may be absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.catalogue import HOSTILE_AGENTS, HOSTILE_REFERERS, MODERATED, PRESETS, native_finish
from orstats.sim.dataset.kinds import KIND_OVERRIDES
from orstats.sim.dataset.prices import charge
from orstats.sim.dataset.provider_attempts import milliseconds, refusals, served, sync_attempts
from orstats.sim.dataset.random_streams import base62, chance, number, one_of, stream
from orstats.sim.dataset.timeline import SECOND_US

if TYPE_CHECKING:
    import random

    from orstats.sim.dataset.conversations import Conversation
    from orstats.sim.dataset.timeline import Slot


# Probabilities of features that do not depend on a record's kind.
_LENGTH, _FILTERED = 0.04, 0.012
_CACHED, _CACHE_STEP, _CACHE_LEAST = 0.8, 128, 512
_ROUTED, _PRESET, _HOSTILE = 0.05, 0.07, 0.006
_UNREPORTED, _WITHOUT_REQUEST, _ZULU = 0.06, 0.12, 0.3
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
    if count or not chance(rng, _UNREPORTED):
        row["provider_responses"] = [*refusals(rng, conversation.model, conversation.endpoint, count), attempt]
