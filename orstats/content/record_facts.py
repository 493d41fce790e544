"""What the record of one generation says, as people read it: one list of facts for every card. Plain text, no HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, Literal

from orstats.content.record import ProviderAttempt, Record
from orstats.frame import json_values
from orstats.text.format import count, duration, plural, usd

Section = Literal["Generation", "Cost", "Tokens", "Time", "Providers", "Caller", "IDs", "Other"]
#: Texts by section and label. Texts may hold untrusted input of any length: sanitize them before showing them.
Facts = dict[Section, dict[str, str]]
StatusKind = Literal["good", "unusual", "bad"]

_TIME: Final = "%Y-%m-%d %H:%M:%S"
#: Provider attempts listed; the raw record has all of them.
MOST_ATTEMPTS: Final = 30

#: What each ``cost_basis`` means.
BASIS: Final[Mapping[str | None, str]] = {
    "credits": "Charged to the account's credits.",
    "byok": "Your own provider key (BYOK): the provider charges you, and OpenRouter may charge a fee.",
    "free": "Free model (price is 0).",
    "response_cache": "Not charged: the cached response of an earlier generation was returned.",
    "cancelled": "Not charged: the caller cancelled the stream, and the provider did not bill the partial output.",
    "no_completion": "Not charged: there was no completion (zero-completion insurance).",
    "unknown": "Unknown: part of the cost is missing from the record (not counted as 0).",
}
_NO_COMPLETION: Final[Mapping[str | None, str]] = {
    "tool_calls": "the model called tools instead of writing text, and the calls are not stored",
    "content_filter": "a content filter stopped the response",
    "length": "the token limit was reached before any text was written, for example by reasoning",
    "error": "the provider ended the response with an error",
}
#: Sections whose labels are column names, and these columns.
_COLUMNS: Final[Mapping[Section, tuple[str, ...]]] = {
    "Caller": ("external_user", "session_id", "origin", "http_referer", "user_agent"),
    "IDs": ("request_id", "upstream_id", "response_cache_source_id", "workspace_id", "app_id", "preset_id"),
    "Other": ("service_tier", "router", "web_search_engine", "fetched_at", "extra"),
}


def facts(record: Record) -> Facts:
    """Return everything that the record says. Missing values and sections without a fact are omitted.

    Examples
    --------
    >>> facts(Record("gen-1", model="a/b", cost_usd=0.5, cost_basis="credits"))["Cost"]
    {'cost': '$0.5', 'basis': "Charged to the account's credits."}
    """
    if record.fetch_status != "ok":
        label = status_label(record)[0]
        return {"Generation": {"status": f"{label}: {record.error}" if record.error else label}}
    sections: dict[Section, Iterator[tuple[str, str | None]]] = {
        "Generation": _generation(record),
        "Cost": _cost(record),
        "Tokens": _tokens(record),
        "Time": _time(record),
        "Providers": _providers(record),
        **{section: _columns(record, names) for section, names in _COLUMNS.items()},
    }
    known = {title: {label: text for label, text in pairs if text} for title, pairs in sections.items()}
    return {title: texts for title, texts in known.items() if texts}


def status_label(record: Record) -> tuple[str, StatusKind]:
    """Return how a generation ended, in a few words, and whether that is ``good``, ``unusual`` or ``bad``.

    Examples
    --------
    >>> status_label(Record("gen-1", finish_reason="stop")), status_label(Record("gen-1", "not_found"))
    (('ok', 'good'), ('not found', 'bad'))
    >>> status_label(Record("gen-1", finish_reason="stop", fallbacks=1))
    ('ok, 1 fallback', 'unusual')
    """
    label, kind = ending_label(record)
    if not record.fallbacks:
        return label, kind
    return f"{label}, {plural(record.fallbacks, 'fallback')}", "unusual" if kind == "good" else kind


def ending_label(record: Record) -> tuple[str, StatusKind]:
    """Return :func:`status_label` without the number of fallbacks.

    Examples
    --------
    >>> ending_label(Record("gen-1", finish_reason="length", fallbacks=1))
    ('length', 'unusual')
    """
    if record.fetch_status != "ok":
        return record.fetch_status.replace("_", " "), "unusual" if record.fetch_status == "pending" else "bad"
    if record.cancelled:
        return "cancelled", "unusual"
    reason = record.finish_reason
    if reason == "error":
        return "failed", "bad"
    if record.cost_basis == "no_completion":
        return "no completion", "bad"
    if not reason:  # only text generations have a reason to stop
        return ("ended", "unusual") if record.api_type in (None, "", "completions") else ("ok", "good")
    label = "ok" if reason == "stop" else reason.replace("_", " ")
    return label, "good" if reason in ("stop", "tool_calls") else "unusual"


def model_name(record: Record) -> str:
    """Return the model, or why there is none."""
    return record.model or ("unknown model" if record.fetch_status == "ok" else "no record")


def no_completion(finish_reason: str | None) -> str:
    """Explain stored content without a completion.

    Examples
    --------
    >>> no_completion("error"), no_completion(None)
    ('No completion is stored: the provider ended the response with an error (finish_reason "error").',
    'No completion is stored.')
    """
    reason = _NO_COMPLETION.get(finish_reason)
    return (
        f'No completion is stored: {reason} (finish_reason "{finish_reason}").'
        if reason
        else "No completion is stored."
    )


def _generation(record: Record) -> Iterator[tuple[str, str | None]]:
    yield "model", model_name(record)
    yield "provider", f"served by {record.provider_name}" if record.provider_name else None
    yield "time", _moment(record.created_at) if record.created_at else "unknown time"
    streamed = {True: "streamed", False: "not streamed", None: ""}[record.streamed]
    region = f"region {record.data_region}" if record.data_region else ""
    yield "request", " · ".join(word for word in (record.api_type, streamed, region) if word)
    status = [status_label(record)[0]]
    if record.finish_reason:
        status.append(f"finish_reason {record.finish_reason}")
    if record.native_finish_reason and record.native_finish_reason != record.finish_reason:
        status.append(f"native_finish_reason {record.native_finish_reason}")
    yield "status", " · ".join(status)


def _cost(record: Record) -> Iterator[tuple[str, str | None]]:
    yield "cost", usd(record.cost_usd)
    yield "basis", BASIS.get(record.cost_basis or "unknown", record.cost_basis)
    upstream = record.upstream_inference_cost
    if record.is_byok:
        yield "charges", f"{usd(record.total_cost)} from credits + {usd(upstream)} charged by the provider"
    elif upstream:
        yield "charges", f"The provider's charge of {usd(upstream)} is included, not added."
    if record.cache_discount:
        effect = "saved" if record.cache_discount > 0 else "added"
        yield "prompt caching", f"Prompt caching {effect} {usd(abs(record.cache_discount))}."
    if record.usd_per_mtok:
        yield "price", f"{usd(record.usd_per_mtok)} per million tokens"


def _tokens(record: Record) -> Iterator[tuple[str, str | None]]:
    prompt, completion = record.native_tokens_prompt, record.native_tokens_completion
    if prompt is None and completion is None:
        yield "tokens", "none counted for this call"
    else:
        cached = f" ({count(record.native_tokens_cached)} cached)" if record.native_tokens_cached else ""
        reasoning = f" ({count(record.native_tokens_reasoning)} reasoning)" if record.native_tokens_reasoning else ""
        total = "" if record.tokens_total is None else f" = {count(record.tokens_total)}, as billed"
        yield "tokens", f"{count(prompt)} prompt{cached} + {count(completion)} completion{reasoning}{total}"
    counts = ((record.tokens_prompt, "prompt"), (record.tokens_completion, "completion"))
    if normalized := " + ".join(f"{count(number)} {kind}" for number, kind in counts if number is not None):
        yield "normalized tokens", f"{normalized} by OpenRouter's normalized count"
    media = {
        "media in the prompt": record.num_media_prompt,
        "audio inputs": record.num_input_audio_prompt,
        "media in the completion": record.num_media_completion,
        "search results": record.num_search_results,
        "pages fetched": record.num_fetches,
    }
    yield "media", ", ".join(f"{noun}: {count(number)}" for noun, number in media.items() if number)


def _time(record: Record) -> Iterator[tuple[str, str | None]]:
    latency = "to the first token" if record.streamed else "latency"
    times = ((record.latency, latency), (record.generation_time, "total"))
    yield "duration", ", ".join(f"{duration(ms)} {what}" for ms, what in times if ms is not None)
    if record.throughput_tok_s is not None:
        decode = "" if record.decode_tok_s is None else f", {record.decode_tok_s:,.1f} after the first token"
        yield "speed", f"{record.throughput_tok_s:,.1f} tokens/s overall{decode}"
    if record.moderation_latency:
        yield "moderation", f"{duration(record.moderation_latency)} of moderation before that"


def _providers(record: Record) -> Iterator[tuple[str, str | None]]:
    attempts = record.provider_responses or ()
    for number, attempt in enumerate(attempts[:MOST_ATTEMPTS], start=1):
        yield f"attempt {number}", f"{number}. {_attempt(attempt)}"
    if len(attempts) > MOST_ATTEMPTS:
        yield "more attempts", f"and {len(attempts) - MOST_ATTEMPTS:,} more"
    if record.fallback_ms:
        outcome = "" if any(one.ok for one in attempts) else "; no provider answered"
        yield "failed attempts", f"{duration(record.fallback_ms)} spent on failed attempts{outcome}"


def _attempt(attempt: ProviderAttempt) -> str:
    words = [
        attempt.provider_name or "unknown provider",
        "no answer" if attempt.status is None else str(attempt.status),
    ]
    if attempt.latency is not None:
        words.append(duration(attempt.latency))
    if attempt.is_byok:
        words.append("your key")
    if not attempt.ok:
        words.append("failed")
    return " · ".join(words)


def _moment(time: datetime) -> str:
    """Write a time with its time zone."""
    zone = getattr(time.tzinfo, "key", "UTC")
    return f"{time:{_TIME}} UTC" if zone == "UTC" else f"{time:{_TIME}} {time.isoformat()[-6:]} ({zone})"


def _columns(record: Record, names: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    for name in names:
        match getattr(record, name):
            case None:
                pass
            case dict() as nested:
                yield name, json_values.json_text(nested) if nested else None
            case datetime() as time:
                yield name, _moment(time)
            case value:
                yield name, str(value)
