"""The conversation of one generation: pages of bubbles, search, and long messages that open on demand."""

from __future__ import annotations

from typing import Final

import ipywidgets as widgets

from orstats.content.content import Content
from orstats.content.labels import no_completion
from orstats.notebook.html.base import notice
from orstats.notebook.html.content import FOLDED, OPENED, Turn, bubble, turns
from orstats.notebook.html.markdown import has_markdown
from orstats.notebook.widgets import Shown, button, close_all, row, watch
from orstats.text.sanitize import visible_line

#: Bubbles on one page.
PAGE: Final = 25
#: Characters of HTML on one page after which images are only named.
_BUDGET: Final = 8_000_000


class Conversation(widgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """Messages and completion as bubbles, `PAGE` at a time; it opens on the last page, where the answer is."""

    def __init__(self, content: Content, finish_reason: str | None = None) -> None:
        super().__init__()
        self._no_completion = no_completion(finish_reason)
        self._turns = turns(content)
        self._matches = list(range(len(self._turns)))
        self._opened: set[int] = set()
        self._first = 0
        self._query = ""
        self._bubbles = widgets.VBox()
        self._where = widgets.Label()
        self._earlier = button("earlier", self._page_back, icon="chevron-left")
        self._later = button("later", self._page_on, icon="chevron-right")
        self.search = widgets.Text(
            placeholder="search in this conversation", layout=widgets.Layout(width="230px"), continuous_update=False
        )
        watch(self.search, self._searched)
        can_format = has_markdown()
        self.formatted = widgets.Checkbox(
            value=can_format,
            disabled=not can_format,
            description="Markdown",
            tooltip="Show Markdown formatted" if can_format else 'To format it: pip install "orstats[markdown]"',
            indent=False,
            layout=widgets.Layout(width="max-content"),
        )
        watch(self.formatted, lambda _value: self._show())
        tools = widgets.HBox(
            [self.search, self.formatted, row([self._earlier, self._where, self._later])],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", margin="0 0 8px"),
        )
        self.children = (tools, self._bubbles)
        self._last_page()
        self._show()

    def __repr__(self) -> str:
        return f"Conversation({len(self._turns):,} messages)"

    def _searched(self, _value: object) -> None:
        self._query = self.search.value.strip()
        query = self._query.lower()
        self._matches = [place for place, turn in enumerate(self._turns) if not query or turn.contains(query)]
        if query:
            self._first = 0
        else:
            self._last_page()
        self._show()

    def _last_page(self) -> None:
        self._first = max(0, len(self._matches) - PAGE)

    def _page_back(self) -> None:
        self._first = max(0, self._first - PAGE)
        self._show()

    def _page_on(self) -> None:
        self._first += PAGE
        self._show()

    def _open(self, place: int) -> None:
        self._opened ^= {place}
        self._show()

    def _show(self) -> None:
        before = self._bubbles.children
        page = self._matches[self._first : self._first + PAGE]
        shown: list[widgets.Widget] = []
        sent = 0
        for place in page:
            shown += self._bubble(place, self._turns[place], images=sent < _BUDGET)
            sent += sum(len(one.value) for one in shown[-2:] if isinstance(one, Shown))
        if page and page[-1] == len(self._turns) - 1 and not self._turns[-1].final:
            shown.append(Shown(notice(self._no_completion)))
        if not page:
            text = f"Nothing found for “{visible_line(self._query, 60)}”." if self._query else "No messages are stored."
            shown.append(Shown(notice(text)))
        self._bubbles.children = shown
        close_all(before)
        self._earlier.disabled = self._first == 0
        self._later.disabled = self._first + PAGE >= len(self._matches)
        many = len(self._matches) > PAGE or bool(self._query)
        for one in (self._earlier, self._later, self._where):
            one.layout.display = None if many else "none"
        end = min(self._first + PAGE, len(self._matches))
        what = "found" if self._query else "messages"
        self._where.value = f"{self._first + 1 if end else 0:,} to {end:,} of {len(self._matches):,} {what}"

    def _bubble(self, place: int, turn: Turn, *, images: bool) -> list[widgets.Widget]:
        is_open = place in self._opened
        html = bubble(turn, opened=is_open, as_markdown=self.formatted.value, query=self._query, images=images)
        if self._query or turn.length <= FOLDED:
            return [Shown(html)]
        label = "show less" if is_open else _open_label(turn.length)
        return [Shown(html), button(label, lambda: self._open(place))]


def _open_label(length: int) -> str:
    return f"show all {length:,} characters" if length <= OPENED else f"show {OPENED:,} of {length:,} characters"
