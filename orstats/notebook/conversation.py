"""The conversation of one generation: the completion first, then pages of messages, with search and folding."""

from __future__ import annotations

from typing import Final

from orstats.content.content import Content, Turn, turns
from orstats.content.messages import all_text
from orstats.content.record_facts import no_completion
from orstats.notebook.html.base import action, notice
from orstats.notebook.html.content import IMAGE_BUDGET, bubble, search_box, section
from orstats.notebook.html.markdown import has_markdown
from orstats.text.sanitize import Html, visible_line

#: Messages on one page.
PAGE: Final = 25
#: A completion is what one came for: up to this length it is not folded.
_COMPLETION_SHOWN: Final = 20_000


class Conversation:
    """Completion and messages as parts of a pane. Opens on the last page of messages, which has the latest prompt."""

    def __init__(self, content: Content, finish_reason: str | None = None) -> None:
        self._no_completion = no_completion(finish_reason)
        self._turns = turns(content)
        self._messages = [n for n, turn in enumerate(self._turns) if not turn.is_output]
        self._opened = {n for n, turn in enumerate(self._turns) if turn.is_output and _is_short(turn)}
        self._formatted: set[int] = set()
        self.search("")

    def search(self, query: str) -> None:
        """Show only messages that have a text; all of them without one."""
        self._query = query.strip()
        wanted = self._query.lower()
        numbers = range(len(self._turns)) if wanted else self._messages
        self._matches = [n for n in numbers if not wanted or wanted in all_text(self._turns[n].message).lower()]
        self._first = 0 if wanted else max(0, len(self._matches) - PAGE)

    def turn_page(self, pages: int) -> None:
        """Show earlier or later messages."""
        self._first = min(max(0, self._first + pages * PAGE), max(0, len(self._matches) - 1))

    def fold(self, name: str) -> None:
        """Fold a message, or open it."""
        self._opened ^= self._numbers(name)

    def format(self, name: str) -> None:
        """Show a message formatted, or as typed."""
        self._formatted ^= self._numbers(name)

    def completion(self) -> dict[str, Html]:
        """Return the completion as parts, by name. A search has it among what it found."""
        if self._query:
            return {}
        outputs = [n for n, turn in enumerate(self._turns) if turn.is_output]
        heading = section("Completion", Html("" if outputs else notice(self._no_completion)))
        return {"completion": heading} | self._bubbles(outputs)

    def messages(self) -> dict[str, Html]:
        """Return search field and messages as parts, by name."""
        head = {"conversation": section("Conversation", search_box()), "position": self._position()}
        return head | self._bubbles(self._matches[self._first : self._first + PAGE])

    @property
    def last_prompt(self) -> str | None:
        """The name of the part with the latest message that was sent, if it is shown."""
        page = self._matches[self._first : self._first + PAGE]
        return next((f"message {n}" for n in reversed(page) if not self._turns[n].is_output), None)

    def _position(self) -> Html:
        if not self._matches:
            no_match = f"Nothing found for “{visible_line(self._query, 60)}”."
            return notice(no_match if self._query else "No messages are stored.")
        end = min(self._first + PAGE, len(self._matches))
        if len(self._matches) <= PAGE and not self._query:
            return Html("")
        unit = "found" if self._query else "messages"
        earlier = action("page", "earlier", "-1") if self._first else ""
        later = action("page", "later", "1") if end < len(self._matches) else ""
        return Html(f"{earlier} {self._first + 1:,} to {end:,} of {len(self._matches):,} {unit} {later}")

    def _bubbles(self, numbers: list[int]) -> dict[str, Html]:
        made: dict[str, Html] = {}
        sent = 0
        can_format = has_markdown()
        for number in numbers:
            html = bubble(
                self._turns[number],
                str(number),
                opened=number in self._opened,
                as_markdown=number in self._formatted if can_format else None,
                query=self._query,
                images=IMAGE_BUDGET - sent,
            )
            sent += len(html)
            made[f"message {number}"] = html
        return made

    def _numbers(self, name: str) -> set[int]:
        return {int(name)} if name.isdecimal() and int(name) < len(self._turns) else set()


def _is_short(turn: Turn) -> bool:
    return len(all_text(turn.message)) <= _COMPLETION_SHOWN
