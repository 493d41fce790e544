"""What cost bases, finish reasons and statuses mean, in words. Plain text, no HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orstats.content.record import Record

BASIS: Final[Mapping[str, str]] = {
    "credits": "Charged to the account's credits.",
    "byok": "Your own provider key (BYOK): the provider charges you, OpenRouter may take a fee.",
    "free": "Why 0? A free model, or a price of 0.",
    "response_cache": "Why 0? The stored response of an earlier generation was returned.",
    "cancelled": "Why 0? The caller broke the stream off, and the provider did not bill what was written.",
    "no_completion": "Why 0? There was no completion: zero-completion insurance.",
    "unknown": "Not known: a part of it is missing in the record. It is not taken for 0.",
}


_NO_COMPLETION: Final[Mapping[str, str]] = {
    "tool_calls": "the model called tools instead of writing text, and the calls are not stored",
    "content_filter": "a content filter stopped the response",
    "length": "the token limit was reached before any text was written, for example by reasoning",
    "error": "the provider ended the response with an error",
}


def no_completion(finish_reason: str | None) -> str:
    """Explain a stored content without completion by the record's finish reason.

    Examples
    --------
    >>> no_completion("error")
    'No completion is stored: the provider ended the response with an error (finish_reason "error").'
    >>> no_completion(None)
    'No completion is stored.'
    """
    why = _NO_COMPLETION.get(finish_reason or "")
    return f'No completion is stored: {why} (finish_reason "{finish_reason}").' if why else "No completion is stored."


def status_label(generation: Record) -> tuple[str, str]:
    """Return how a generation ended in a word or two, and whether that is ``good``, ``odd`` or ``bad``."""
    if generation.fetch_status != "ok":
        return generation.fetch_status.replace("_", " "), "odd" if generation.fetch_status == "pending" else "bad"
    if generation.cancelled:
        return "cancelled", "odd"
    reason = generation.finish_reason
    if reason == "error" or generation.cost_basis == "no_completion":
        return "failed", "bad"
    if not reason:  # only text generation has reasons to stop
        return ("ended", "odd") if generation.api_type in (None, "", "completions") else ("ok", "good")
    return reason.replace("_", " "), "good" if reason in ("stop", "tool_calls") else "odd"


def model_name(generation: Record) -> str:
    """Return the model, or that there is none."""
    return generation.model or ("unknown model" if generation.fetch_status == "ok" else "no record")


def when(generation: Record) -> str:
    """Return when it was made, UTC."""
    return f"{generation.created_at:%Y-%m-%d %H:%M:%S} UTC" if generation.created_at else "time unknown"
