"""The card of a generation without widgets, style sheet or content: its ``_repr_html_``, also in exported notebooks."""

from __future__ import annotations

from typing import Final

from orstats.content.labels import BASIS, model_name, status_label, when
from orstats.content.record import ProviderAttempt, Record
from orstats.text.format import count, duration, usd
from orstats.text.sanitize import Html, html_line

#: Attempts shown; a list of thousands would be an attack, not a record.
MOST_ATTEMPTS: Final = 30

#: MathJax would read what stands between two dollar signs as a formula.
NO_MATH: Final = "tex2jax_ignore mathjax_ignore"


def static_card(generation: Record) -> Html:
    """Return the card without widgets, style sheet or content: for exported notebooks and plain outputs."""
    word, _ = status_label(generation)
    rows = [("status", word if generation.fetch_status == "ok" else f"{word}: {generation.error or ''}")]
    if generation.fetch_status == "ok":
        rows += [
            ("time", when(generation)),
            ("cost", f"{usd(generation.cost_usd)} · {BASIS.get(generation.cost_basis or '', '')}"),
            ("tokens", _token_words(generation)),
            ("duration", _time_words(generation)),
        ]
        rows = [(name, words) for name, words in rows if words]
        tried = generation.provider_responses or ()
        if len(tried) > 1:
            rows.append(("providers", " → ".join(_attempt_words(one) for one in tried[:MOST_ATTEMPTS])))
    cell = "text-align:left;padding:1px 12px 1px 0;vertical-align:top"
    body = "".join(
        f'<tr><th style="{cell};font-weight:normal;opacity:.7">{html_line(name)}</th>'
        f'<td style="{cell};max-width:60em;overflow-wrap:anywhere">{html_line(value, 600)}</td></tr>'
        for name, value in rows
    )
    title = f"<b>{html_line(model_name(generation))}</b> <code>{html_line(generation.id)}</code>"
    frame = "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:8px 12px;max-width:60em"
    return Html(f'<div class="{NO_MATH}" style="{frame}">{title}<table>{body}</table></div>')


def _token_words(generation: Record) -> str:
    if generation.native_tokens_prompt is None and generation.native_tokens_completion is None:
        return "none counted for this call"
    cached, reasoning = generation.native_tokens_cached, generation.native_tokens_reasoning
    prompt = f"{count(generation.native_tokens_prompt)} prompt" + (f" ({count(cached)} cached)" if cached else "")
    completion = f"{count(generation.native_tokens_completion)} completion"
    return f"{prompt} + {completion}" + (f" ({count(reasoning)} reasoning)" if reasoning else "")


def _time_words(generation: Record) -> str:
    times = ((generation.latency, "to the first token"), (generation.generation_time, "in all"))
    return ", ".join(f"{duration(ms)} {what}" for ms, what in times if ms is not None)


def _attempt_words(one: ProviderAttempt) -> str:
    status = "no answer" if one.status is None else one.status
    return f"{one.provider_name or 'unknown'} ({status}, {duration(one.latency)})"
