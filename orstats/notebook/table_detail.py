"""The open generation inside the table, for hosts that show no other widgets, such as marimo."""

from __future__ import annotations

from typing import Any, Final

from orstats.content.content import turns
from orstats.content.generation import Generation
from orstats.content.messages import all_text
from orstats.content.record_facts import facts
from orstats.notebook.table import TableView
from orstats.notebook.widgets import failure_text
from orstats.text.sanitize import visible_text

#: Of a message; cards show more.
_MOST_CHARACTERS: Final = 20_000


class TableDetail:
    """Facts and messages of one generation, or a comparison of two, shown by the table's own module."""

    def __init__(self, table: TableView) -> None:
        self._table = table

    def show(self, generation: Generation, **loaded: Any) -> None:
        """Show the facts of a generation, and what is loaded of its content."""
        sections = [(title, list(pairs.items())) for title, pairs in facts(generation).items()]
        shown: dict[str, Any] = {"title": visible_text(generation.id), "sections": sections}
        self._table.detail = shown | {"turns": [], "problem": "", "loading": False, "loaded": False} | loaded

    def load(self, generation: Generation) -> None:
        """Load the content of a generation and show it, or say why there is none. Never raises."""
        try:
            content = generation.content()
            texts = [(turn.title, all_text(turn.message)) for turn in turns(content)]
            if content.reasoning:
                texts.append(("reasoning", content.reasoning))
            shown = [(title, visible_text(text[:_MOST_CHARACTERS])) for title, text in texts]
            problem = "" if content.status == "stored" else f"No content: {content.status}. {content.reason}"
            self.show(generation, turns=shown, loaded=True, problem=problem)
        except Exception as error:  # noqa: BLE001 - shown, as nobody waits for this thread
            self.show(generation, problem=failure_text("load the content", error))

    def show_comparison(self, shown: dict[str, Any]) -> None:
        """Show two generations side by side."""
        detail: dict[str, Any] = {"title": "", "comparison": shown}
        self._table.detail = detail
