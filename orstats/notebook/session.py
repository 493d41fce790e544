"""A session as parts of a card: its figures, its timeline, and its generations to open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orstats.api.client import Client
from orstats.content.generation import Generation
from orstats.fetching.arguments import ArchiveChoice
from orstats.notebook.html.base import action, notice
from orstats.notebook.html.timeline import session_head, session_table, timeline_picture
from orstats.reports.session_timeline import session_rows, timeline
from orstats.reports.sessions import sessions
from orstats.text.format import plural
from orstats.text.sanitize import Html

if TYPE_CHECKING:
    import pandas as pd

#: Generations on one page of the list, and in exported notebooks.
PAGE: Final = 100
_STATIC_ROWS: Final = 30


class Session:
    """The generations of a session as parts of a card, with one of them selected."""

    def __init__(
        self,
        df: pd.DataFrame,
        session_id: str,
        *,
        by: str = "session_id",
        client: Client | None = None,
        archive: ArchiveChoice = None,
        note: str = "",
    ) -> None:
        self._rows = session_rows(df, session_id, by)
        self._times = timeline(self._rows)
        self._client, self._archive = client, archive
        self._name = session_id
        #: None where the generations have something else in common, such as their ``external_user``.
        self.session_id = session_id if by == "session_id" else None
        self.selected: int | None = None
        self._first = 0
        summed = sessions(self._rows, by).loc[session_id]
        figures: dict[str, Any] = {str(name): summed[name] for name in summed.index}
        figures["failed_ms"] = float(self._times["failed_ms"].sum())
        self._head = Html(session_head(session_id, figures) + (notice(note) if note else ""))
        self._picture = timeline_picture(self._rows, self._times)

    def __repr__(self) -> str:
        return f"session {self._name!r} with {plural(len(self), 'generation')}"

    def __len__(self) -> int:
        return len(self._rows)

    def select(self, number: int) -> Generation | None:
        """Select a generation by its number from 0, and return it; None if there is no such number."""
        if not 0 <= number < len(self):
            return None
        self.selected = number
        self._first = number // PAGE * PAGE
        return Generation.from_row(self._rows.iloc[number], client=self._client, archive=self._archive)

    def find(self, generation_id: str) -> None:
        """Select a generation by its id."""
        numbers = [n for n, name in enumerate(self._rows.index) if name == generation_id]
        self.select(numbers[0] if numbers else -1)

    def turn_page(self, pages: int) -> None:
        """Show earlier or later generations in the list."""
        self._first = min(max(0, self._first + pages * PAGE), (len(self) - 1) // PAGE * PAGE)

    def parts(self) -> dict[str, Html]:
        """Return figures, timeline and list, by name."""
        return {
            "session": self._head,
            "timeline": self._picture,
            "session page": self._position(),
            "session list": self._table(self._first, PAGE),
        }

    def static(self) -> Html:
        """Return the session for places without a kernel: figures, timeline and the first generations."""
        return Html(self._head + self._picture + self._table(0, _STATIC_ROWS, buttons=False))

    def _table(self, first: int, count: int, *, buttons: bool = True) -> Html:
        page = slice(first, first + count)
        return session_table(self._rows.iloc[page], self._times.iloc[page], first, self.selected, buttons=buttons)

    def _position(self) -> Html:
        if len(self) <= PAGE:
            return Html("")
        end = min(self._first + PAGE, len(self))
        earlier = action("list", "earlier", "-1") if self._first else ""
        later = action("list", "later", "1") if end < len(self) else ""
        return Html(f"{earlier} {self._first + 1:,} to {end:,} of {len(self):,} generations {later}")
