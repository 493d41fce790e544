"""The conversation of one generation: pages of bubbles, search, and long messages that open on demand."""

from __future__ import annotations

from typing import Final

import ipywidgets as widgets

from orstats.content.content import Content, turns
from orstats.content.messages import all_text
from orstats.content.record_facts import no_completion
from orstats.notebook.html.base import notice
from orstats.notebook.html.content import FOLDED, OPENED, bubble, text_length
from orstats.notebook.html.markdown import has_markdown
from orstats.notebook.widgets import HtmlView, button, on_change, replace_children, row
from orstats.text.sanitize import visible_line

#: Bubbles on one page.
PAGE: Final = 25
#: Characters of HTML on one page after which images are only named.
_IMAGE_BUDGET: Final = 8_000_000


class Conversation(widgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """Messages and completion as bubbles, `PAGE` at a time; opens on the last page, which has the completion."""

    def __init__(self, content: Content, finish_reason: str | None = None) -> None:
        super().__init__()
        self._no_completion = no_completion(finish_reason)
        self._turns = turns(content)
        self._opened: set[int] = set()
        self.bubbles = widgets.VBox()
        self.position = widgets.Label()
        self.earlier = button("earlier", lambda: self._turn_page(-1), icon="chevron-left")
        self.later = button("later", lambda: self._turn_page(1), icon="chevron-right")
        self.search = widgets.Text(
            placeholder="search in this conversation", layout=widgets.Layout(width="230px"), continuous_update=False
        )
        on_change(self.search, lambda _value: self._search())
        can_format = has_markdown()
        self.formatted = widgets.Checkbox(
            value=can_format,
            disabled=not can_format,
            description="Markdown",
            tooltip="Format Markdown" if can_format else 'Formatting needs an extra: pip install "orstats[markdown]"',
            indent=False,
            layout=widgets.Layout(width="max-content"),
        )
        on_change(self.formatted, lambda _value: self._show())
        tools = widgets.HBox(
            [self.search, self.formatted, row([self.earlier, self.position, self.later])],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", margin="0 0 8px"),
        )
        self.children = (tools, self.bubbles)
        self._search()

    def __repr__(self) -> str:
        return f"Conversation({len(self._turns):,} messages)"

    def _search(self) -> None:
        self._query = self.search.value.strip()
        query = self._query.lower()
        self._matches = [n for n, one in enumerate(self._turns) if not query or query in all_text(one.message).lower()]
        self._first = 0 if query else max(0, len(self._matches) - PAGE)
        self._show()

    def _turn_page(self, pages: int) -> None:
        self._first = max(0, self._first + pages * PAGE)
        self._show()

    def _toggle(self, number: int) -> None:
        self._opened ^= {number}
        self._show()

    def _show(self) -> None:
        page = self._matches[self._first : self._first + PAGE]
        shown: list[widgets.Widget] = []
        sent = 0
        for number in page:
            made = self._bubble(number, images=sent < _IMAGE_BUDGET)
            sent += len(made[0].value)
            shown += made
        if page and page[-1] == len(self._turns) - 1 and not self._turns[-1].is_output:
            shown.append(HtmlView(notice(self._no_completion)))
        if not page:
            no_match = f"Nothing found for “{visible_line(self._query, 60)}”."
            shown.append(HtmlView(notice(no_match if self._query else "No messages are stored.")))
        replace_children(self.bubbles, shown)
        end = min(self._first + PAGE, len(self._matches))
        self.earlier.disabled = self._first == 0
        self.later.disabled = end == len(self._matches)
        for one in (self.earlier, self.later, self.position):
            one.layout.display = None if len(self._matches) > PAGE or self._query else "none"
        unit = "found" if self._query else "messages"
        self.position.value = f"{self._first + 1 if end else 0:,} to {end:,} of {len(self._matches):,} {unit}"

    def _bubble(self, number: int, *, images: bool) -> list[widgets.Widget]:
        turn, opened = self._turns[number], number in self._opened
        html = bubble(turn, opened=opened, as_markdown=self.formatted.value, query=self._query, images=images)
        length = text_length(turn.message)
        if self._query or length <= FOLDED:
            return [HtmlView(html)]
        label = f"show all {length:,} characters"
        if length > OPENED:
            label = f"show {OPENED:,} of {length:,} characters"
        return [HtmlView(html), button("show less" if opened else label, lambda: self._toggle(number))]
