"""Two generations side by side as HTML: their records, and which words differ between two texts."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from orstats.content.generation import Generation
from orstats.content.record_facts import Section, facts
from orstats.notebook.html.base import span
from orstats.text.format import count, duration, percent_change, usd, usd_change
from orstats.text.sanitize import NO_MATH, Html, html_line, visible_text

#: The part of a long text that is compared: the time to compare grows with the square of the number of lines.
MAX_CHARACTERS: Final = 200_000
MAX_LINES: Final = 2_000
_CONTEXT_LINES: Final = 3
#: Words of a changed passage up to which it is compared word by word; longer ones are compared by lines.
_MAX_WORDS: Final = 1_500
#: Passages that have less in common are shown without marks: all of them would be marked.
_ALIKE: Final = 0.3
_WORD: Final = re.compile(r"\w+[^\S\n]*|[^\w\n]|\n")
#: Sections of facts to compare; ids always differ.
_SECTIONS: Final[tuple[Section, ...]] = ("Generation", "Cost", "Tokens", "Time", "Providers", "Caller")


def _count_change(change: float) -> str:
    return f"{change:+,.0f}" if change else "0"


def _duration_change(change: float) -> str:
    return ("+" if change > 0 else "") + duration(change)


#: The figures to subtract: label, column, how the figure and its change are written.
_FIGURES: Final[tuple[tuple[str, str, Callable[[Any], str], Callable[[float], str]], ...]] = (
    ("cost", "cost_usd", usd, usd_change),
    ("tokens, as billed", "tokens_total", count, _count_change),
    ("prompt tokens", "native_tokens_prompt", count, _count_change),
    ("cached prompt tokens", "native_tokens_cached", count, _count_change),
    ("completion tokens", "native_tokens_completion", count, _count_change),
    ("reasoning tokens", "native_tokens_reasoning", count, _count_change),
    ("latency", "latency", duration, _duration_change),
    ("total time", "generation_time", duration, _duration_change),
    ("failed attempts", "fallback_ms", duration, _duration_change),
)


def figures(first: Generation, second: Generation) -> Html:
    """Return the figures of both, with the difference of each. The words `first` and `second` name the columns."""
    rows = ""
    for label, column, written, written_change in _FIGURES:
        one, other = getattr(first, column), getattr(second, column)
        if one is None and other is None:
            continue
        change = ""
        if one is not None and other is not None:
            change = written_change(other - one) if other != one else "="
            change += f" ({percent_change((other - one) / one)})" if one and other != one else ""
        cells = "".join(f"<td>{html_line(written(value) if value is not None else '-')}</td>" for value in (one, other))
        rows += f"<tr><th>{html_line(label)}</th>{cells}<td>{html_line(change)}</td></tr>"
    if not rows:
        return Html("")
    head = "<thead><tr><td></td><th>first</th><th>second</th><th>difference</th></tr></thead>"
    return Html(f'<table class="orstats-compare orstats-deltas {NO_MATH}">{head}<tbody>{rows}</tbody></table>')


def records(first: Generation, second: Generation) -> Html:
    """Return both records as a table; rows in which they differ are bold and marked."""
    left, right = facts(first), facts(second)
    heads = "".join(f"<th>{span(one.id, 'orstats-mono')}</th>" for one in (first, second))
    rows = ""
    for section in _SECTIONS:
        one, other = left.get(section, {}), right.get(section, {})
        rows += "".join(_row(label, one.get(label, "-"), other.get(label, "-")) for label in one | other)
    head = f"<thead><tr><td></td>{heads}</tr></thead>"
    return Html(f'<table class="orstats-compare {NO_MATH}">{head}<tbody>{rows}</tbody></table>')


def _row(label: str, left: str, right: str) -> str:
    differs = ' class="orstats-differs"' if left != right else ""
    cells = "".join(f'<td dir="auto">{html_line(text, 300)}</td>' for text in (left, right))
    sign = "≠ " if differs else ""
    return f"<tr{differs}><th>{sign}{html_line(label)}</th>{cells}</tr>"


def difference(title: str, first: str, second: str) -> Html:
    """Return the lines to remove from and to add to the first text to get the second, and mark words that differ.

    Only the first 2,000 lines within 200,000 characters of each text are compared; a note says so if there are more.
    """
    before, cut_before = _lines(first)
    after, cut_after = _lines(second)
    pieces = list(_changes(before, after)) if first != second else []
    note = "" if pieces else "<i>no difference</i>"
    if cut_before or cut_after:
        note += f"<i>compared up to line {MAX_LINES:,} and character {MAX_CHARACTERS:,}; there is more</i>"
    about = f'tabindex="0" role="region" aria-label="Differences: {html_line(title)}"'
    text = f'<pre class="orstats-diff {NO_MATH}" dir="auto" {about}>{"".join(pieces)}{note}</pre>'
    return Html(f"<h4>{html_line(title)}</h4>{text}")


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, before, after)
    for group in matcher.get_grouped_opcodes(_CONTEXT_LINES):
        yield f"<i>lines {group[0][1] + 1:,} and {group[0][3] + 1:,}</i>"
        for kind, start, end, other_start, other_end in group:
            if kind == "equal":
                yield "".join(f"  {html.escape(text)}\n" for text in before[start:end])
                continue
            yield _changed(before[start:end], after[other_start:other_end])


def _changed(before: Sequence[str], after: Sequence[str]) -> str:
    """Return removed and added lines, each with its sign; in a replaced passage, the words that differ are marked."""
    words, other_words = (_WORD.findall("\n".join(lines)) for lines in (before, after))
    removed, added = (html.escape("\n".join(lines)) for lines in (before, after))
    matcher = difflib.SequenceMatcher(None, words, other_words, autojunk=False)
    is_short = bool(before and after) and max(len(words), len(other_words)) <= _MAX_WORDS
    if is_short and matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE:
        removed = added = ""
        for kind, start, end, other_start, other_end in matcher.get_opcodes():
            gone, new = "".join(words[start:end]), "".join(other_words[other_start:other_end])
            removed += html.escape(gone) if kind == "equal" else _marked(gone)
            added += html.escape(new) if kind == "equal" else _marked(new)
    return _signed("del", "-", removed, len(before)) + _signed("ins", "+", added, len(after))


def _marked(text: str) -> str:
    """Mark a text within each of its lines."""
    return "\n".join(f"<b>{html.escape(line)}</b>" if line else "" for line in text.split("\n"))


def _signed(tag: str, sign: str, escaped: str, count_lines: int) -> str:
    return "".join(f"<{tag}>{sign} {line}</{tag}>" for line in escaped.split("\n")) if count_lines else ""


def _lines(text: str) -> tuple[list[str], bool]:
    lines = visible_text(text[:MAX_CHARACTERS]).split("\n")
    return lines[:MAX_LINES], len(text) > MAX_CHARACTERS or len(lines) > MAX_LINES
