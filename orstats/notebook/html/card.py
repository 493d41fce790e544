"""The card's head as HTML: the facts of the record, with bars for tokens, times and provider attempts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from orstats.content.generation import Generation
from orstats.content.record import ProviderAttempt
from orstats.content.record_facts import MOST_ATTEMPTS, facts, model_name, status_label
from orstats.frame.status import advice_for
from orstats.notebook.html.base import link, notice, span
from orstats.text.format import count, duration, usd
from orstats.text.sanitize import NO_MATH, Html, html_line

#: HTTP statuses (invalid key, no credits) whose error message already says what to do.
_ACCOUNT: Final = (401, 402)


def head(generation: Generation) -> Html:
    """Return everything that the record says, in one box. It needs the style sheet ``card``."""
    known = facts(generation)
    parts: list[str] = [_title(generation, known["Generation"])]
    if generation.fetch_status != "ok":
        parts.append(_problem(generation))
    else:
        boxes = [
            _box("Cost", usd(generation.cost_usd), "", known["Cost"], omit=("cost",)),
            _tokens(generation, known["Tokens"]),
            _time(generation, known.get("Time", {})),
            _providers(generation, known.get("Providers", {})),
        ]
        parts.append(f'<div class="orstats-figures">{"".join(boxes)}</div>')
    return Html(f'<div class="orstats-frame {NO_MATH}">{"".join(parts)}</div>')


def details(generation: Generation) -> Html:
    """Return the caller, the related ids and other columns as a table."""
    known = facts(generation)
    rows = "".join(
        f'<tr><td class="orstats-quiet">{html_line(name)}</td><td>{span(text, "orstats-mono", 400)}</td></tr>'
        for section in ("Caller", "IDs", "Other")
        for name, text in known.get(section, {}).items()
    )
    return Html(f'<table class="{NO_MATH}">{rows}</table>')


def _title(generation: Generation, known: Mapping[str, str]) -> str:
    label, kind = status_label(generation)
    provider = span(f"by {generation.provider_name}", "orstats-quiet") if generation.provider_name else ""
    about = "".join(f"<small>{html_line(known[name])}</small>" for name in ("time", "request") if name in known)
    return (
        f'<div class="orstats-head">{span(model_name(generation), "orstats-model")}{provider}'
        f'<span class="orstats-pill orstats-{kind}">{html_line(label, 40)}</span></div>'
        f'<div class="orstats-head">{span(generation.id, "orstats-id")}'
        f"{about}<small>{link(generation.url, 'log page')}</small></div>"
    )


def _problem(generation: Generation) -> str:
    message = generation.error or f"This row is {status_label(generation)[0]}."
    if generation.http_status not in _ACCOUNT:
        message += f" {advice_for(generation.fetch_status)}"
    return notice(message, "warn" if generation.fetch_status == "pending" else "error")


def _box(title: str, figure: str, bars: str, known: Mapping[str, str], omit: tuple[str, ...] = ()) -> str:
    """Return one box: a large figure, bars, then a small line for each fact that these do not show."""
    small = "<br>".join(f"<small>{html_line(text, 240)}</small>" for label, text in known.items() if label not in omit)
    big = f'<div class="orstats-big">{html_line(figure)}</div>' if figure else ""
    return f"<div><h4>{html_line(title)}</h4>{big}{bars}{small}</div>"


def _tokens(generation: Generation, known: Mapping[str, str]) -> str:
    prompt, completion = generation.native_tokens_prompt, generation.native_tokens_completion
    if not prompt and not completion:
        return _box("Tokens", "", "", known)
    cached, reasoning = generation.native_tokens_cached or 0, generation.native_tokens_reasoning or 0
    shares = [
        ("prompt, not cached" if cached else "prompt", "blue", max(0, (prompt or 0) - cached)),
        ("prompt, cached", "grey", cached),
        ("completion, text" if reasoning else "completion", "green", max(0, (completion or 0) - reasoning)),
        ("completion, reasoning", "violet", reasoning),
    ]
    bar = _bar((colour, number) for _, colour, number in shares)
    legend = _legend((name, colour, count(number)) for name, colour, number in shares if number)
    shown = ("tokens", "normalized tokens") if not (cached or reasoning) else ("normalized tokens",)
    return _box("Tokens, as billed", count(generation.tokens_total), bar + legend, known, omit=shown)


def _time(generation: Generation, known: Mapping[str, str]) -> str:
    latency, total = generation.latency, generation.generation_time
    if latency is None and total is None:
        return ""
    moderation = ("moderation", "grey", max(0.0, generation.moderation_latency or 0.0))
    if generation.streamed and latency is not None:
        first = max(0.0, latency)
        parts = [("to first token", "amber", first), ("generation", "green", max(0.0, (total or 0.0) - first))]
    else:  # without a stream, the first token arrives with the last one
        total = max(0.0, total or 0.0, latency or 0.0)
        parts = [("response", "green", total)]
    shares = [moderation, *parts]
    bar = _bar((colour, ms) for _, colour, ms in shares)
    legend = _legend((name, colour, duration(ms)) for name, colour, ms in shares if ms)
    note = {"note": "Not streamed: there is no time to the first token."} if generation.streamed is False else {}
    figure = duration(latency if total is None else total)
    return _box("Time at the provider", figure, bar + legend, {**known, **note}, omit=("duration", "moderation"))


def _providers(generation: Generation, known: Mapping[str, str]) -> str:
    attempts = (generation.provider_responses or ())[:MOST_ATTEMPTS]
    if not attempts:
        return ""
    listed = tuple(f"attempt {number}" for number in range(1, len(attempts) + 1))
    waterfall = f'<div class="orstats-waterfall">{"".join(_waterfall(attempts))}</div>'
    return _box("Providers tried", "", waterfall, known, omit=listed)


def _waterfall(attempts: Sequence[ProviderAttempt]) -> Iterator[str]:
    """Draw each attempt where the one before it ended."""
    times = [max(0.0, one.latency or 0.0) for one in attempts]
    total, start = sum(times) or 1.0, 0.0
    for one, took in zip(attempts, times, strict=True):
        kind, colour = ("good", "green") if one.ok else ("bad", "red")
        status = "no answer" if one.status is None else str(one.status)
        yield span(one.provider_name or "unknown", "orstats-name", 40)
        yield f'<b class="orstats-{kind}">{html_line(status)}{" · your key" if one.is_byok else ""}</b>'
        yield _drawn("orstats-track", [(colour, 100 * start / total, max(1.0, 100 * took / total))])
        yield f'<span class="orstats-num">{html_line(duration(one.latency))}</span>'
        start += took


def _bar(shares: Iterable[tuple[str, float]]) -> str:
    shown = [(colour, number) for colour, number in shares if number]
    total = sum(number for _, number in shown) or 1.0
    pieces, start = [], 0.0
    for colour, number in shown:
        pieces.append((colour, 100 * start / total, 100 * number / total))
        start += number
    return _drawn("orstats-bar", pieces)


def _drawn(css_class: str, pieces: Iterable[tuple[str, float, float]]) -> str:
    """Draw pieces of a bar by colour, start and width in percent. A strict security policy blocks inline styles."""
    rectangles = "".join(
        f'<rect class="orstats-{colour}" x="{start:.2f}" width="{width:.2f}" height="1"/>'
        for colour, start, width in pieces
    )
    return (
        f'<svg class="{css_class}" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{rectangles}</svg>'
    )


def _legend(entries: Iterable[tuple[str, str, str]]) -> str:
    keys = (
        f'<span><i class="orstats-{colour}"></i>{name} <b>{html_line(text)}</b></span>'
        for name, colour, text in entries
    )
    return f'<div class="orstats-legend">{"".join(keys)}</div>'
