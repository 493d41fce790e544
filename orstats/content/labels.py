"""Figures and states as people read them. Plain text, no HTML."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from orstats.content.record import Record

_SECOND_MS: Final = 1000.0
_MINUTE_MS: Final = 60_000.0

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


def usd(value: float | None) -> str:
    """Return dollars with all digits that matter. "USD", as two dollar signs would be read as mathematics.

    Examples
    --------
    >>> usd(4.2e-07), usd(1234.5), usd(0.0), usd(None)
    ('USD 0.00000042', 'USD 1,234.50', 'USD 0', 'unknown')
    """
    if value is None:
        return "unknown"
    if value == 0:
        return "USD 0"
    if abs(value) >= 1:
        return f"USD {value:,.2f}"
    return f"USD {Decimal(f'{value:.4g}'):f}"


def count(value: int | None) -> str:
    """Return a number with thousands marked; ``?`` for what is missing."""
    return "?" if value is None else f"{value:,}"


def duration(ms: float | None) -> str:
    """Return milliseconds in the unit that fits.

    Examples
    --------
    >>> duration(327), duration(3881.4), duration(125_000), duration(None)
    ('327 ms', '3.88 s', '2 min 5 s', '?')
    """
    if ms is None:
        return "?"
    if abs(ms) < _SECOND_MS:
        return f"{ms:.0f} ms"
    if abs(ms) < _MINUTE_MS:
        return f"{ms / 1000:.3g} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"


def size(number: float) -> str:
    """Return bytes in the unit that fits.

    Examples
    --------
    >>> size(420), size(5_000_000)
    ('420 bytes', '4.8 MB')
    """
    if number < 1 << 10:
        return f"{number:.0f} bytes"
    if number < 1 << 20:
        return f"{number / (1 << 10):.0f} kB"
    return f"{number / (1 << 20):.1f} MB"


def state(generation: Record) -> tuple[str, str]:
    """Return how it ended in a word or two, and whether that is ``good``, ``odd`` or ``bad``."""
    if generation.fetch_status != "ok":
        return generation.fetch_status.replace("_", " "), "odd" if generation.fetch_status == "pending" else "bad"
    if generation.cancelled:
        return "cancelled", "odd"
    reason = generation.finish_reason
    if reason == "error" or generation.cost_basis == "no_completion":
        return "failed", "bad"
    if not reason:  # only what writes text has reasons to stop
        return ("ended", "odd") if generation.api_type in (None, "", "completions") else ("ok", "good")
    return reason.replace("_", " "), "good" if reason in ("stop", "tool_calls") else "odd"


def model_name(generation: Record) -> str:
    """Return the model, or that there is none."""
    return generation.model or ("unknown model" if generation.fetch_status == "ok" else "no record")


def when(generation: Record) -> str:
    """Return when it was made, UTC."""
    return f"{generation.created_at:%Y-%m-%d %H:%M:%S} UTC" if generation.created_at else "time unknown"
