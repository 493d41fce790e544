"""The card of a generation without widgets, style sheet or content: its ``_repr_html_``, also in exported notebooks."""

from __future__ import annotations

from typing import Final

from orstats.content.record import Record
from orstats.content.record_facts import Section, facts, model_name
from orstats.text.sanitize import NO_MATH, Html, html_line

#: Exported notebooks are shared, so the caller and the other ids are left to the widget.
_SECTIONS: Final[tuple[Section, ...]] = ("Generation", "Cost", "Tokens", "Time", "Providers")


def static_card(record: Record) -> Html:
    """Return the card without widgets, style sheet or content: for exported notebooks and plain outputs."""
    known = facts(record)
    cell = "text-align:left;padding:1px 12px 1px 0;vertical-align:top"
    rows = "".join(
        f'<tr><th style="{cell};font-weight:normal;opacity:.7">{title}</th>'
        f'<td style="{cell};max-width:60em;overflow-wrap:anywhere">'
        f"{'<br>'.join(html_line(text, 600) for label, text in known[title].items() if label != 'model')}</td></tr>"
        for title in _SECTIONS
        if title in known
    )
    name = f"<b>{html_line(model_name(record))}</b> <code>{html_line(record.id)}</code>"
    frame = "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:8px 12px;max-width:60em"
    return Html(f'<div class="{NO_MATH}" style="{frame}">{name}<table>{rows}</table></div>')
