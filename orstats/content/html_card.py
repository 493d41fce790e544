"""The card of a generation without widgets, style sheet or content: its ``_repr_html_``, also in exported notebooks."""

from __future__ import annotations

from typing import Final

from orstats.content.record import Record
from orstats.content.record_facts import Section, facts, model_name
from orstats.text.fact_sheet import fact_sheet
from orstats.text.sanitize import Html

#: Exported notebooks are shared, so the caller and the other ids are left to the widget.
_SECTIONS: Final[tuple[Section, ...]] = ("Generation", "Cost", "Tokens", "Time", "Providers")


def static_card(record: Record) -> Html:
    """Return the card without widgets, style sheet or content: for exported notebooks and plain outputs."""
    known = facts(record)
    shown: dict[str, list[str]] = {
        title: [text for label, text in known[title].items() if label != "model"]
        for title in _SECTIONS
        if title in known
    }
    return fact_sheet(model_name(record), record.id, shown)
