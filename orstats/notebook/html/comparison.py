"""Two generations side by side as HTML: their records, and what differs between two texts."""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterator, Sequence
from typing import Final

from orstats.content.generation import Generation
from orstats.content.labels import BASIS, status_label
from orstats.notebook.html.base import span
from orstats.text.format import count, duration, usd
from orstats.text.sanitize import Html, html_line, visible_text

#: What is compared of a long text: comparing takes time that grows with the square of its lines.
MOST_CHARACTERS: Final = 200_000
MOST_LINES: Final = 2_000
_SAME_AROUND: Final = 3


def records(first: Generation, second: Generation) -> Html:
    """Return both records as a table; rows in which they differ are bold."""
    heads = "".join(f"<th>{span(one.id, 'orstats-mono')}</th>" for one in (first, second))
    rows = "".join(
        f'<tr{_differs(left, right)}><th>{html_line(name)}</th><td dir="auto">{html_line(left, 300)}</td>'
        f'<td dir="auto">{html_line(right, 300)}</td></tr>'
        for (name, left), (_, right) in zip(_facts(first), _facts(second), strict=True)
    )
    return Html(
        '<table class="orstats-compare tex2jax_ignore mathjax_ignore">'
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def difference(title: str, first: str, second: str) -> Html:
    """Return what must be taken from and added to the first text to make the second, line by line.

    Of each text the first 2,000 lines within 200,000 characters are compared; if there are more, it says so.
    """
    before, cut_before = _lines(first)
    after, cut_after = _lines(second)
    pieces = list(_changes(before, after)) if first != second else []
    said = "" if pieces else "<i>no difference</i>"
    if cut_before or cut_after:
        said += f"<i>compared up to line {MOST_LINES:,} and character {MOST_CHARACTERS:,}; there is more</i>"
    return Html(
        f'<h4>{html_line(title)}</h4><pre class="orstats-diff tex2jax_ignore mathjax_ignore" dir="auto">'
        f"{''.join(pieces)}{said}</pre>"
    )


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, before, after)
    for group in matcher.get_grouped_opcodes(_SAME_AROUND):
        yield f"<i>lines {group[0][1] + 1:,} and {group[0][3] + 1:,}</i>"
        for kind, start, end, other_start, other_end in group:
            if kind == "equal":
                yield "".join(f"  {html.escape(text)}\n" for text in before[start:end])
                continue
            yield "".join(f"<del>- {html.escape(text)}</del>" for text in before[start:end])
            yield "".join(f"<ins>+ {html.escape(text)}</ins>" for text in after[other_start:other_end])


def _lines(text: str) -> tuple[list[str], bool]:
    lines = visible_text(text[:MOST_CHARACTERS]).split("\n")
    return lines[:MOST_LINES], len(text) > MOST_CHARACTERS or len(lines) > MOST_LINES


def _differs(left: str, right: str) -> str:
    return ' class="orstats-differs"' if left != right else ""


def _facts(one: Generation) -> Iterator[tuple[str, str]]:
    yield "model", one.model or "?"
    yield "provider", one.provider_name or "?"
    yield "time", f"{one.created_at:%Y-%m-%d %H:%M:%S} UTC" if one.created_at else "?"
    yield "state", status_label(one)[0]
    yield "cost", usd(one.cost_usd)
    yield "why", BASIS.get(one.cost_basis or "unknown", one.cost_basis or "")
    yield "prompt tokens", count(one.native_tokens_prompt)
    yield "of them cached", count(one.native_tokens_cached)
    yield "completion tokens", count(one.native_tokens_completion)
    yield "of them reasoning", count(one.native_tokens_reasoning)
    yield "first token after", duration(one.latency)
    yield "took", duration(one.generation_time)
    yield "tokens a second", "?" if one.throughput_tok_s is None else f"{one.throughput_tok_s:,.1f}"
    tried = one.provider_responses or ()
    yield "providers tried", " → ".join(f"{p.provider_name or '?'} {p.status or ''}".strip() for p in tried[:30]) or "?"
    yield "user", one.external_user or "-"
    yield "session", one.session_id or "-"
