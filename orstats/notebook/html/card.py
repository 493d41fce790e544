"""The card's head as HTML: what it was, what it cost and why, tokens, times and the providers tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from orstats.content.generation import Generation
from orstats.content.html_card import MOST_ATTEMPTS, NO_MATH
from orstats.content.labels import BASIS, model_name, status_label, when
from orstats.content.record import ProviderAttempt
from orstats.frame.views import ADVICE
from orstats.notebook.html.base import link, notice, span
from orstats.text.format import count, duration, usd
from orstats.text.sanitize import Html, html_line

#: The key, or the credits, are refused.
_ACCOUNT: Final = (401, 402)
_STREAMED: Final = {True: "streamed", False: "not streamed", None: ""}


def head(generation: Generation) -> Html:
    """Return everything that the record says, in one box. It needs :func:`orstats.notebook.html.style.style`."""
    parts: list[str] = [_title(generation)]
    if generation.fetch_status != "ok":
        parts.append(_trouble(generation))
    else:
        boxes = [_cost(generation), _tokens(generation), _times(generation), _providers(generation)]
        parts.append(f'<div class="orstats-figures">{"".join(box for box in boxes if box)}</div>')
    return Html(f'<div class="orstats-frame {NO_MATH}">{"".join(parts)}</div>')


def details(generation: Generation) -> Html:
    """Return who called, and the ids that it belongs to, as a table."""
    names = (
        *("request_id", "session_id", "external_user", "app_id", "workspace_id", "origin", "http_referer"),
        *("user_agent", "upstream_id", "response_cache_source_id", "service_tier", "router", "preset_id"),
        *("data_region", "web_search_engine", "native_finish_reason", "fetched_at"),
    )
    known = [(name, getattr(generation, name)) for name in names]
    rows = "".join(
        f'<tr><td class="orstats-quiet">{html_line(name)}</td><td>{span(value, "orstats-mono", 400)}</td></tr>'
        for name, value in known
        if value not in (None, "")
    )
    return Html(f'<table class="{NO_MATH}">{rows}</table>')


def _title(generation: Generation) -> str:
    word, kind = status_label(generation)
    by = span(f"by {generation.provider_name}", "orstats-quiet") if generation.provider_name else ""
    kind_of_call = [generation.api_type or "", _STREAMED[generation.streamed]]
    small = " · ".join([when(generation), *(word for word in kind_of_call if word)])
    return (
        f'<div class="orstats-head">{span(model_name(generation), "orstats-model")}{by}'
        f'<span class="orstats-pill orstats-{kind}">{html_line(word, 40)}</span></div>'
        f'<div class="orstats-head">{span(generation.id, "orstats-id")}'
        f"<small>{html_line(small)}</small><small>{link(generation.url, 'log page')}</small></div>"
    )


def _trouble(generation: Generation) -> str:
    said = generation.error or f"This row is {generation.fetch_status.replace('_', ' ')}."
    if generation.http_status not in _ACCOUNT:  # those say themselves what to do
        said += f" {ADVICE.get(generation.fetch_status, '')}"
    return notice(said, "warn" if generation.fetch_status == "pending" else "error")


def _cost(generation: Generation) -> str:
    lines = [BASIS.get(generation.cost_basis or "unknown", generation.cost_basis or "")]
    if generation.is_byok:
        lines.append(f"{usd(generation.total_cost)} from credits + {usd(generation.upstream_inference_cost)} provider")
    elif generation.upstream_inference_cost:
        lines.append(f"The provider's own charge of {usd(generation.upstream_inference_cost)} is not yours on top.")
    if generation.cache_discount:
        word = "saved" if generation.cache_discount > 0 else "added"
        lines.append(f"Prompt caching {word} {usd(abs(generation.cache_discount))}.")
    if generation.usd_per_mtok:
        lines.append(f"{usd(generation.usd_per_mtok)} per million tokens")
    small = "<br>".join(f"<small>{html_line(one, 240)}</small>" for one in lines if one)
    return f'<div><h4>Cost</h4><div class="orstats-big">{html_line(usd(generation.cost_usd))}</div>{small}</div>'


def _tokens(generation: Generation) -> str:
    prompt, completion = generation.native_tokens_prompt, generation.native_tokens_completion
    cached, reasoning = generation.native_tokens_cached or 0, generation.native_tokens_reasoning or 0
    if not prompt and not completion:
        return "<div><h4>Tokens</h4><small>none counted for this call</small></div>"
    shares = [
        ("prompt", "blue", max(0, (prompt or 0) - cached)),
        ("cached", "grey", cached),
        ("completion", "green", max(0, (completion or 0) - reasoning)),
        ("reasoning", "violet", reasoning),
    ]
    rate = generation.throughput_tok_s
    speed = "" if rate is None else f"<small>{html_line(f'{rate:,.1f} tokens/s overall')}</small>"
    if generation.decode_tok_s is not None:
        speed += f"<small>{html_line(f', {generation.decode_tok_s:,.1f} after the first')}</small>"
    total = html_line(count(generation.tokens_total))
    return (
        f'<div><h4>Tokens, as billed</h4><div class="orstats-big">{total}</div>'
        f"{_bar([(kind, float(number)) for _, kind, number in shares])}"
        f"{_legend([(name, kind, count(number)) for name, kind, number in shares if number])}{speed}</div>"
    )


def _times(generation: Generation) -> str:
    latency, total = generation.latency, generation.generation_time
    if latency is None and total is None:
        return ""
    first = max(0.0, latency or 0.0)
    rest = max(0.0, (total or 0.0) - first)
    shares = [
        ("moderation", "grey", max(0.0, generation.moderation_latency or 0.0)),
        ("to first token", "amber", first),
        ("generation", "green", rest),
    ]
    shown = [(name, kind, duration(ms)) for name, kind, ms in shares if ms]
    note = (
        "" if generation.streamed is not False else "<small>Not streamed: the first token is the whole answer.</small>"
    )
    return (
        f'<div><h4>Time at the provider</h4><div class="orstats-big">{html_line(duration(total or latency))}</div>'
        f"{_bar([(kind, ms) for _, kind, ms in shares])}{_legend(shown)}{note}</div>"
    )


def _providers(generation: Generation) -> str:
    tried = generation.provider_responses
    if not tried:
        return ""
    shown = tried[:MOST_ATTEMPTS]
    longest = sum(max(0.0, one.latency or 0.0) for one in shown) or 1.0
    more = len(tried) - len(shown)
    rest = f"<small>and {more:,} more</small>" if more else ""
    lost = ""
    if generation.fallback_ms:
        end = "before the provider that answered" if any(one.ok for one in tried) else "and none answered"
        lost = f"<small>{html_line(f'{duration(generation.fallback_ms)} went by {end}')}</small>"
    return (
        f"<div><h4>Providers tried</h4>"
        f'<div class="orstats-fall">{"".join(_waterfall(shown, longest))}</div>{rest}{lost}</div>'
    )


def _waterfall(attempts: Sequence[ProviderAttempt], longest: float) -> Iterator[str]:
    """Draw each attempt where the one before it ended."""
    start = 0.0
    for one in attempts:
        took = max(0.0, one.latency or 0.0)
        kind, colour = ("good", "green") if one.ok else ("bad", "red")
        status = "no answer" if one.status is None else str(one.status)
        place = f"left:{100 * start / longest:.2f}%;width:{100 * took / longest:.2f}%"
        yield span(one.provider_name or "unknown", "orstats-name", 40)
        yield f'<b class="orstats-{kind}">{html_line(status)}{" · your key" if one.is_byok else ""}</b>'
        yield f'<div class="orstats-track"><i class="orstats-{colour}" style="{place}"></i></div>'
        yield f'<span class="orstats-num">{html_line(duration(one.latency))}</span>'
        start += took


def _bar(shares: Sequence[tuple[str, float]]) -> str:
    whole = sum(number for _, number in shares) or 1.0
    pieces = (
        f'<i class="orstats-{kind}" style="width:{100 * number / whole:.2f}%"></i>' for kind, number in shares if number
    )
    return f'<div class="orstats-bar">{"".join(pieces)}</div>'


def _legend(shares: Sequence[tuple[str, str, str]]) -> str:
    keys = (
        f'<span><i class="orstats-{kind}"></i>{html_line(name)} <b>{html_line(words)}</b></span>'
        for name, kind, words in shares
    )
    return f'<div class="orstats-key">{"".join(keys)}</div>'
