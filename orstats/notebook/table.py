"""The explorer's table: one page of the rows that the filters keep, sorted, with one of them marked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

import ipywidgets as widgets
import numpy as np

from orstats.notebook.filter_controls import dropdown
from orstats.notebook.html.explore_style import selected_row
from orstats.notebook.html.table import Sorting, empty, table
from orstats.notebook.table_model import Mask, Places, Rows
from orstats.notebook.widgets import Shown, button, row, watch
from orstats.text.sanitize import Html, visible_line

PAGE_SIZES: Final = (25, 50, 100)


class Listing(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A page of rows to sort, turn and pick from.

    Attributes
    ----------
    places
        Of the rows that are kept, in the order shown.
    place
        Of the marked row, which may be hidden by a filter; or None.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        on_pick: Callable[[int], object],
        on_moved: Callable[[], object],
        on_export: Callable[[], object],
    ) -> None:
        super().__init__()
        self._mark = f"orstats-x{uuid.uuid4().hex[:12]}"
        self.add_class("orstats-left")
        self.add_class(self._mark)
        self._rows = rows
        self._on_pick, self._on_moved = on_pick, on_moved
        self._mask: Mask = np.ones(len(rows), dtype=np.bool_)
        self.places: Places = np.arange(len(rows))
        self.place: int | None = None
        self._page = 0
        self._quiet = False
        columns = rows.columns
        self.sort_by = dropdown([(name, name) for name in columns], "Sort by", "170px")
        self.sort_by.value = "created_at" if "created_at" in columns else columns[0]
        self.descending = widgets.ToggleButton(
            value=True, icon="sort-amount-desc", tooltip="Descending or ascending", layout=widgets.Layout(width="46px")
        )
        self.page_size = dropdown([(f"{n} rows", n) for n in PAGE_SIZES], "Rows on a page", "90px")
        self.export_button = button("Export CSV", on_export, icon="download")
        self.export_button.tooltip = "Write the filtered rows to a CSV file"
        self.back = button("", lambda: self._turn(-1), icon="chevron-left")
        self.back.tooltip = "Previous page"
        self.forward = button("", lambda: self._turn(1), icon="chevron-right")
        self.forward.tooltip = "Next page"
        self.where = widgets.Label()
        self.pick = dropdown([("select a row", None)], "Rows of this page", "230px")
        self.marked, self.table = Shown(Html("")), Shown(Html(""))
        for name, widget in (  # what the table's own clicks and keys press
            ("orstats-sort", self.sort_by),
            ("orstats-turn-order", self.descending),
            ("orstats-page-back", self.back),
            ("orstats-page-next", self.forward),
            ("orstats-pick", self.pick),
        ):
            widget.add_class(name)
        for widget in (self.sort_by, self.descending, self.page_size):
            watch(widget, lambda _value: self._sort())
        watch(self.pick, self._picked)
        sorting = [widgets.Label("Sort by"), self.sort_by, self.descending, self.page_size, self.export_button]
        turning = [self.back, self.where, self.forward, self.pick]
        self.children = [row(sorting), self.marked, self.table, row(turning)]

    def __repr__(self) -> str:
        return f"Listing({len(self.places):,} of {len(self._rows):,} rows)"

    def show(self, mask: Mask) -> None:
        """Show the rows that are kept, from the first page on."""
        self._mask = mask
        self._sort()

    def mark(self, place: int | None) -> None:
        """Mark a row, and turn to its page."""
        self.place = place
        at = self.position()
        if at is not None and at // self.page_size.value != self._page:
            self._page = at // self.page_size.value
            self._show_page()
        else:
            self._show_mark()

    def position(self) -> int | None:
        """Return where the marked row stands among those that are kept; None if it is not."""
        found = np.flatnonzero(self.places == (-1 if self.place is None else self.place))
        return int(found[0]) if len(found) else None

    def beside(self, by: int) -> int | None:
        """Return the place so many rows on from the marked one, over the pages; the first when none is marked."""
        if not len(self.places):
            return None
        at = self.position()
        return int(self.places[0 if at is None else min(max(at + by, 0), len(self.places) - 1)])

    def _sort(self) -> None:
        self.places = self._rows.places(self._mask, self.sort_by.value, descending=self.descending.value)
        self._page = 0
        self._show_page()

    def _turn(self, pages: int) -> None:
        self._page += pages
        self._show_page()

    def _show_page(self) -> None:
        size = self.page_size.value
        last = max(0, (len(self.places) - 1) // size)
        self._page = min(max(self._page, 0), last)
        start = self._page * size
        shown = self.places[start : start + size]
        offered = {name: n for n, name in enumerate(self._rows.columns)}
        page = self._rows.df.iloc[shown]
        sorting = Sorting(self.sort_by.value, self.descending.value, offered)
        none = "No generation meets these filters." if len(self._rows) else "There are no generations here."
        self.table.value = table(page, sorting) if len(shown) else empty(none)
        ids = [visible_line(one, 80) for one in page.index]
        options = [
            (f"{start + n + 1}. {one}", int(place)) for n, (one, place) in enumerate(zip(ids, shown, strict=True))
        ]
        self._quietly(lambda: setattr(self.pick, "options", [("select a row", None), *options]))
        self.where.value = f"{start + 1:,} to {start + len(shown):,} of {len(self.places):,}" if len(shown) else "none"
        self.back.disabled, self.forward.disabled = self._page == 0, self._page == last
        self._show_mark()

    def _show_mark(self) -> None:
        """Mark the row without sending the table again."""
        at = self.position()
        on_page = None if at is None else at - self._page * self.page_size.value
        if on_page is not None and not 0 <= on_page < self.page_size.value:
            on_page = None
        self.marked.value = selected_row(self._mark, on_page)
        self._quietly(lambda: setattr(self.pick, "index", 0 if on_page is None else on_page + 1))
        self._on_moved()

    def _picked(self, place: int | None) -> None:
        if not self._quiet and place is not None:
            self._on_pick(place)

    def _quietly(self, change: Callable[[], Any]) -> None:
        """Change a widget without taking it for a person's doing."""
        self._quiet = True
        try:
            change()
        finally:
            self._quiet = False
