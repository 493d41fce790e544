"""The explorer's table: one page of the filtered rows, sorted, with one of them marked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import ipywidgets as widgets
import numpy as np

from orstats.notebook.filter_controls import dropdown
from orstats.notebook.html.explorer import Sorting, empty, selected_row, table
from orstats.notebook.table_model import Mask, Positions, TableModel
from orstats.notebook.widgets import HtmlView, button, on_change, row
from orstats.text.sanitize import visible_line

PAGE_SIZES: Final = (25, 50, 100)
_NO_ROW: Final = ("select a row", None)


class TableView(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A page of rows to sort, turn and pick from.

    Attributes
    ----------
    positions
        Of the filtered rows in the DataFrame, in the order shown.
    selected
        The position of the marked row, which a filter may hide; or None.
    """

    def __init__(
        self,
        model: TableModel,
        *,
        on_pick: Callable[[int], object],
        on_mark: Callable[[], object],
        on_export: Callable[[], object],
    ) -> None:
        super().__init__()
        self._mark_class = f"orstats-x{uuid.uuid4().hex[:12]}"
        self.add_class("orstats-left")
        self.add_class(self._mark_class)
        self._model = model
        self._on_pick, self._on_mark = on_pick, on_mark
        self._mask: Mask = np.ones(len(model), dtype=np.bool_)
        self.positions: Positions = np.arange(len(model))
        self.selected: int | None = None
        self._page = 0
        self._updating = False
        columns = model.columns
        self.sort_by = dropdown([(name, name) for name in columns], "Sort by", "170px")
        self.sort_by.value = "created_at" if "created_at" in columns else columns[0]
        self.descending = widgets.ToggleButton(
            value=True, icon="sort-amount-desc", tooltip="Descending or ascending", layout=widgets.Layout(width="46px")
        )
        self.page_size = dropdown([(f"{n} rows", n) for n in PAGE_SIZES], "Rows per page", "90px")
        export = "Write the filtered rows to a CSV file"
        self.export_button = button("Export CSV", on_export, icon="download", tooltip=export)
        self.back = button("", lambda: self._turn_page(-1), icon="chevron-left", tooltip="Previous page")
        self.forward = button("", lambda: self._turn_page(1), icon="chevron-right", tooltip="Next page")
        self.range = widgets.Label()
        self.pick = dropdown([_NO_ROW], "Rows of this page", "230px")
        self.mark_style, self.html = HtmlView(), HtmlView()
        for css_class, widget in (  # what clicks and keys in the table act on
            ("orstats-sort", self.sort_by),
            ("orstats-turn-order", self.descending),
            ("orstats-page-back", self.back),
            ("orstats-page-next", self.forward),
            ("orstats-pick", self.pick),
        ):
            widget.add_class(css_class)
        for widget in (self.sort_by, self.descending, self.page_size):
            on_change(widget, lambda _value: self._sort())
        on_change(self.pick, self._picked)
        sorting = [widgets.Label("Sort by"), self.sort_by, self.descending, self.page_size, self.export_button]
        turning = [self.back, self.range, self.forward, self.pick]
        self.children = [row(sorting), self.mark_style, self.html, row(turning)]

    def __repr__(self) -> str:
        return f"TableView({len(self.positions):,} of {len(self._model):,} rows)"

    def show(self, mask: Mask) -> None:
        """Show the filtered rows, from the first page on."""
        self._mask = mask
        self._sort()

    def mark(self, position: int | None) -> None:
        """Mark a row, and turn to its page."""
        self.selected = position
        rank = self.rank()
        if rank is not None and rank // self.page_size.value != self._page:
            self._page = rank // self.page_size.value
            self._show_page()
        else:
            self._show_mark()

    def rank(self) -> int | None:
        """Return the number of the marked row among the filtered ones; None if it is not among them."""
        found = np.flatnonzero(self.positions == (-1 if self.selected is None else self.selected))
        return int(found[0]) if len(found) else None

    def neighbour(self, step: int) -> int | None:
        """Return the position of a row near the marked one, on any page; of the first row if none is marked."""
        if not len(self.positions):
            return None
        rank = self.rank()
        return int(self.positions[0 if rank is None else min(max(rank + step, 0), len(self.positions) - 1)])

    def _sort(self) -> None:
        self.positions = self._model.positions(self._mask, self.sort_by.value, descending=self.descending.value)
        self._page = 0
        self._show_page()

    def _turn_page(self, pages: int) -> None:
        self._page += pages
        self._show_page()

    def _show_page(self) -> None:
        size, rows = self.page_size.value, len(self.positions)
        last = max(0, (rows - 1) // size)
        self._page = min(max(self._page, 0), last)
        start = self._page * size
        shown = self.positions[start : start + size]
        page = self._model.df.iloc[shown]
        if len(shown):
            names = {name: number for number, name in enumerate(self._model.columns)}
            self.html.value = table(page, Sorting(self.sort_by.value, self.descending.value, names))
        else:
            self.html.value = empty("No generations match the filters." if len(self._model) else "No generations.")
        options = [
            (f"{number}. {visible_line(identifier, 80)}", int(position))
            for number, (identifier, position) in enumerate(zip(page.index, shown, strict=True), start=start + 1)
        ]
        with self._update():
            self.pick.options = [_NO_ROW, *options]
        self.range.value = f"{start + 1:,} to {start + len(shown):,} of {rows:,}" if len(shown) else "none"
        self.back.disabled, self.forward.disabled = self._page == 0, self._page == last
        self._show_mark()

    def _show_mark(self) -> None:
        """Mark the row without sending the table again."""
        rank, size = self.rank(), self.page_size.value
        on_page = None if rank is None or rank // size != self._page else rank % size
        self.mark_style.value = selected_row(self._mark_class, on_page)
        with self._update():
            self.pick.index = 0 if on_page is None else on_page + 1
        self._on_mark()

    def _picked(self, position: int | None) -> None:
        if not self._updating and position is not None:
            self._on_pick(position)

    @contextmanager
    def _update(self) -> Iterator[None]:
        """Change the list of rows without picking one."""
        self._updating = True
        try:
            yield
        finally:
            self._updating = False
