"""A bordered table of names and texts for a notebook, without style sheet or script: the ``_repr_html_`` of objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from orstats.text.sanitize import NO_MATH, Html, html_line

_CELL: Final = "text-align:left;padding:1px 12px 1px 0;vertical-align:top"
_FRAME: Final = "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:8px 12px;max-width:60em"
#: Characters of a line: longer untrusted text is cut.
_WIDTH: Final = 600


def fact_sheet(name: str, code: str, facts: Mapping[str, Iterable[str]]) -> Html:
    """Return a table with a row for each fact, whose texts are lines; all text is escaped.

    >>> "&lt;b&gt;" in fact_sheet("Archive", "/data", {"host": ["<b>"]})
    True
    """
    rows = "".join(
        f'<tr><th style="{_CELL};font-weight:normal;opacity:.7">{html_line(title)}</th>'
        f'<td style="{_CELL};max-width:60em;overflow-wrap:anywhere">'
        f"{'<br>'.join(html_line(text, _WIDTH) for text in texts)}</td></tr>"
        for title, texts in facts.items()
    )
    head = f"<b>{html_line(name)}</b> <code>{html_line(code, _WIDTH)}</code>"
    return Html(f'<div class="{NO_MATH}" style="{_FRAME}">{head}<table>{rows}</table></div>')
