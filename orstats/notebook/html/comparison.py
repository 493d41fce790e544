"""Two generations side by side as HTML: their records, and what differs between two texts."""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterator, Sequence
from typing import Final

from orstats.content.generation import Generation
from orstats.content.record_facts import Section, facts
from orstats.notebook.html.base import span
from orstats.text.sanitize import NO_MATH, Html, html_line, visible_text

#: The part of a long text that is compared: the time to compare grows with the square of the number of lines.
MAX_CHARACTERS: Final = 200_000
MAX_LINES: Final = 2_000
_CONTEXT_LINES: Final = 3
#: Sections of facts to compare; ids always differ.
_SECTIONS: Final[tuple[Section, ...]] = ("Generation", "Cost", "Tokens", "Time", "Providers", "Caller")


def records(first: Generation, second: Generation) -> Html:
    """Return both records as a table; rows in which they differ are bold."""
    left, right = facts(first), facts(second)
    heads = "".join(f"<th>{span(one.id, 'orstats-mono')}</th>" for one in (first, second))
    rows = ""
    for section in _SECTIONS:
        one, other = left.get(section, {}), right.get(section, {})
        rows += "".join(_row(label, one.get(label, "-"), other.get(label, "-")) for label in one | other)
    head = f"<thead><tr><th></th>{heads}</tr></thead>"
    return Html(f'<table class="orstats-compare {NO_MATH}">{head}<tbody>{rows}</tbody></table>')


def _row(label: str, left: str, right: str) -> str:
    differs = ' class="orstats-differs"' if left != right else ""
    cells = "".join(f'<td dir="auto">{html_line(text, 300)}</td>' for text in (left, right))
    return f"<tr{differs}><th>{html_line(label)}</th>{cells}</tr>"


def difference(title: str, first: str, second: str) -> Html:
    """Return the lines to remove from and to add to the first text to get the second.

    Only the first 2,000 lines within 200,000 characters of each text are compared; a note says so if there are more.
    """
    before, cut_before = _lines(first)
    after, cut_after = _lines(second)
    pieces = list(_changes(before, after)) if first != second else []
    note = "" if pieces else "<i>no difference</i>"
    if cut_before or cut_after:
        note += f"<i>compared up to line {MAX_LINES:,} and character {MAX_CHARACTERS:,}; there is more</i>"
    return Html(
        f'<h4>{html_line(title)}</h4><pre class="orstats-diff {NO_MATH}" dir="auto">{"".join(pieces)}{note}</pre>'
    )


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, before, after)
    for group in matcher.get_grouped_opcodes(_CONTEXT_LINES):
        yield f"<i>lines {group[0][1] + 1:,} and {group[0][3] + 1:,}</i>"
        for kind, start, end, other_start, other_end in group:
            if kind == "equal":
                yield "".join(f"  {html.escape(text)}\n" for text in before[start:end])
                continue
            yield "".join(f"<del>- {html.escape(text)}</del>" for text in before[start:end])
            yield "".join(f"<ins>+ {html.escape(text)}</ins>" for text in after[other_start:other_end])


def _lines(text: str) -> tuple[list[str], bool]:
    lines = visible_text(text[:MAX_CHARACTERS]).split("\n")
    return lines[:MAX_LINES], len(text) > MAX_CHARACTERS or len(lines) > MAX_LINES
