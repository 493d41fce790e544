"""The explorer: many generations as a table to filter, sort and page, with the card of the one that is selected."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets

from orstats.analysis.export import write_csv
from orstats.api.client import Client
from orstats.api.errors import OrstatsError
from orstats.data.content.escape import Html, plain_line
from orstats.data.content.generation import ArchiveChoice, Generation
from orstats.data.content.words import count, duration, usd
from orstats.notebook.compare import Comparison
from orstats.notebook.controls import Controls, dropdown
from orstats.notebook.filters import Rows
from orstats.notebook.render import notice
from orstats.notebook.render_chart import chart
from orstats.notebook.render_explore_style import explorer_style, selected_row
from orstats.notebook.render_table import Sorting, empty, table, totals
from orstats.notebook.shown import Shown, button, close_all
from orstats.notebook.view import card

log = logging.getLogger("orstats.notebook")

PAGE_SIZES: Final = (25, 50, 100)
_BUCKETS: Final = 60
_STATIC_ROWS: Final = 10


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What :func:`orstats.explore` shows.

    Parameters
    ----------
    df, client, archive
        As of :func:`orstats.explore`.

    Attributes
    ----------
    selected
        The id whose card is open, or None. Set it to open another, observe it to follow the eye.
    """

    selected = traitlets.Unicode(None, allow_none=True)

    def __init__(self, df: pd.DataFrame, *, client: Client | None = None, archive: ArchiveChoice = None) -> None:
        super().__init__()
        self._mark = f"orstats-x{uuid.uuid4().hex[:12]}"
        self.add_class("orstats-explorer")
        self.add_class(self._mark)
        self._rows = Rows(df)
        self._client, self._archive = client, archive
        self._page = 0
        self._place: int | None = None
        self._kept: int | None = None
        self._quiet = False
        self._mask = np.ones(len(df), dtype=np.bool_)
        self._places = np.arange(len(df))
        self._build()
        self._filter()

    def __repr__(self) -> str:
        chosen = "none selected" if self.selected is None else f"selected {self.selected!r}"
        return f"Explorer({len(self._places):,} of {len(self._rows):,} generations, {chosen})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):  # None when there is no front end to show it
            static = self._totals.value + table(self._rows.df.iloc[self._places[:_STATIC_ROWS]])
            bundle = bundle | {"text/plain": repr(self), "text/html": static}
        return bundle

    @property
    def filtered(self) -> pd.DataFrame:
        """The rows that the filters keep, in the order shown: a new frame, indexed by id."""
        return self._rows.df.iloc[self._places]

    # ---- building ------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.controls = Controls(self._rows, self._filter)
        self._said, self._totals, self._chart = Shown(Html("")), Shown(Html("")), Shown(Html(""))
        self._chart.add_class("orstats-grow")
        self._marked, self._table = Shown(Html("")), Shown(Html(""))
        columns = self._rows.columns
        first = "created_at" if "created_at" in columns else columns[0]
        self.sort_by = dropdown([(name, name) for name in columns], "Sort by", "170px")
        self.sort_by.value = first
        self.descending = widgets.ToggleButton(
            value=True, icon="sort-amount-desc", tooltip="Descending or ascending", layout=widgets.Layout(width="46px")
        )
        self.page_size = dropdown([(f"{n} rows", n) for n in PAGE_SIZES], "Rows on a page", "90px")
        self.export_button = button("Export CSV", self._export, icon="download")
        self.export_button.tooltip = "Write the filtered rows to a CSV file"
        self.back = button("", lambda: self._turn(-1), icon="chevron-left")
        self.forward = button("", lambda: self._turn(1), icon="chevron-right")
        self._where = widgets.Label()
        self.pick = dropdown([("select a row", None)], "Rows of this page", "230px")
        self.previous = button("Previous", lambda: self._step(-1), icon="arrow-up")
        self.next = button("Next", lambda: self._step(1), icon="arrow-down")
        self.keep = button("Keep to compare", self._keep, icon="thumb-tack")
        self.compare = button("Compare", self._compare, icon="columns")
        self._panel = widgets.VBox()
        for name, widget in (
            ("orstats-sort", self.sort_by),
            ("orstats-turn-order", self.descending),
            ("orstats-page-back", self.back),
            ("orstats-page-next", self.forward),
            ("orstats-pick", self.pick),
        ):
            widget.add_class(name)
        for widget in (self.sort_by, self.descending):
            widget.observe(lambda _change: self._sort(), "value")
        self.page_size.observe(lambda _change: self._sort(), "value")
        self.pick.observe(lambda change: self._picked(change["new"]), "value")
        sorting = [widgets.Label("Sort by"), self.sort_by, self.descending, self.page_size, self.export_button]
        left = widgets.VBox(
            [_row(sorting), self._marked, self._table, _row([self.back, self._where, self.forward, self.pick])]
        )
        right = widgets.VBox([_row([self.previous, self.next, self.keep, self.compare]), self._panel])
        left.add_class("orstats-left")
        right.add_class("orstats-right")
        halves = widgets.Box([left, right])
        halves.add_class("orstats-halves")
        style = Shown(explorer_style())
        self.children = [style, self.controls, self._said, self._totals, self._chart, halves]
        self._show_card()

    # ---- filter, sort, page --------------------------------------------------------------------------------

    def _filter(self) -> None:
        query, problems = self.controls.query()
        self._said.value = notice(" ".join(problems), "warn") if problems else ""
        self._mask = self._rows.select(query)
        self._totals.value = self._figures()
        drawn = self._rows.cost_over_time(self._mask, _BUCKETS)
        self._chart.value = chart(*drawn) if drawn else ""
        self._sort()

    def _sort(self) -> None:
        self._places = self._rows.places(self._mask, self.sort_by.value, descending=self.descending.value)
        self._page = 0
        self._show_page()

    def _turn(self, pages: int) -> None:
        self._page += pages
        self._show_page()

    def _show_page(self) -> None:
        size = self.page_size.value
        last = max(0, (len(self._places) - 1) // size)
        self._page = min(max(self._page, 0), last)
        start = self._page * size
        shown = self._places[start : start + size]
        sorting = Sorting(
            self.sort_by.value, self.descending.value, {name: n for n, name in enumerate(self._rows.columns)}
        )
        page = self._rows.df.iloc[shown]
        self._table.value = table(page, sorting) if len(shown) else empty("No generation meets these filters.")
        ids = [plain_line(one, 80) for one in page.index]
        options = [
            (f"{start + n + 1}. {one}", int(place)) for n, (one, place) in enumerate(zip(ids, shown, strict=True))
        ]
        self._quietly(lambda: setattr(self.pick, "options", [("select a row", None), *options]))
        self._where.value = (
            f"{start + 1:,} to {start + len(shown):,} of {len(self._places):,}" if len(shown) else "none"
        )
        self.back.disabled, self.forward.disabled = self._page == 0, self._page == last
        self._show_mark()

    def _figures(self) -> Html:
        sums = self._rows.totals(self._mask)
        figures = [(f"{sums.rows:,}", f"of {len(self._rows):,} generations"), (usd(sums.cost_usd), "cost")]
        if sums.cost_unknown > 0:
            figures.append((f"{sums.cost_unknown:,}", "of unknown cost, not in it"))
        figures += [(count(sums.tokens), "tokens"), (duration(sums.median_ms), "median time")]
        if sums.not_ok:
            figures.append((f"{sums.not_ok:,}", "not ok"))
        return totals(figures)

    # ---- one of them ---------------------------------------------------------------------------------------

    @traitlets.validate("selected")
    def _is_known(self, proposal: Any) -> Any:
        wanted = proposal["value"]
        if wanted is not None and self._first(wanted) is None:
            raise traitlets.TraitError(f"There is no generation {wanted!r} in this explorer.")
        return wanted

    @traitlets.observe("selected")
    def _on_selected(self, change: Any) -> None:
        wanted = change["new"]
        if wanted is None:
            self._place = None
        elif self._place is None or str(self._rows.df.index[self._place]) != wanted:
            self._place = self._first(wanted)
        self._show_place()

    def _first(self, wanted: str) -> int | None:
        found = np.flatnonzero(np.asarray(self._rows.df.index == wanted, dtype=np.bool_))
        return int(found[0]) if len(found) else None

    def _picked(self, place: int | None) -> None:
        if not self._quiet and place is not None:
            self._open(place)

    def _open(self, place: int) -> None:
        identifier = self._rows.df.index[place]
        self._place = place
        if not isinstance(identifier, str) or identifier == self.selected:  # a row without an id, or a second of it
            self._show_place()
        else:
            self.selected = identifier

    def _step(self, by: int) -> None:
        """Go to the previous or next of the filtered rows, over the pages."""
        if not len(self._places):
            return
        at = self._position()
        self._open(int(self._places[0 if at is None else min(max(at + by, 0), len(self._places) - 1)]))

    def _position(self) -> int | None:
        found = np.flatnonzero(self._places == (-1 if self._place is None else self._place))
        return int(found[0]) if len(found) else None

    def _show_place(self) -> None:
        at = self._position()
        if at is not None and at // self.page_size.value != self._page:
            self._page = at // self.page_size.value
            self._show_page()
        else:
            self._show_mark()
        self._show_card()

    def _show_mark(self) -> None:
        """Mark the selected row, and what can be done from it, without sending the table again."""
        at = self._position()
        start = self._page * self.page_size.value
        on_page = at is not None and start <= at < start + self.page_size.value
        self._marked.value = selected_row(self._mark, at - start if at is not None and on_page else None)
        self._quietly(lambda: setattr(self.pick, "index", at - start + 1 if at is not None and on_page else 0))
        self.previous.disabled = at is None or at == 0
        self.next.disabled = not len(self._places) or at == len(self._places) - 1
        self.keep.disabled = self._place is None
        self.compare.disabled = self._place is None or self._kept in (None, self._place)

    def _show_card(self) -> None:
        if self._place is None:
            self._fill(Shown(empty("Select a row to see what happened in it.")))
            return
        try:
            self._fill(card(self._generation(self._place)))
        except OrstatsError as error:
            self._fill(Shown(notice(str(error), "error")))
        except Exception as error:
            # The table must stay usable whatever a record has in it; the log has the trace.
            log.exception("showing a generation failed")
            words = f"This cannot be shown: {type(error).__name__}. The log of orstats.notebook has more."
            self._fill(Shown(notice(words, "error")))

    def _generation(self, place: int) -> Generation:
        row = self._rows.df.iloc[place]
        return Generation.from_row(row, client=self._client, archive=self._archive)

    def _keep(self) -> None:
        self._kept = self._place
        kept = "" if self._kept is None else plain_line(self._rows.df.index[self._kept], 40)
        self.compare.tooltip = f"Compare the selected one with {kept}"
        self.keep.description = f"Kept …{kept[-6:]}"
        self._show_mark()

    def _compare(self) -> None:
        if self._kept is None or self._place is None:
            return
        try:
            both = self._generation(self._kept), self._generation(self._place)
        except OrstatsError as error:
            self._fill(Shown(notice(str(error), "error")))
        else:
            self._fill(Comparison(*both, self._show_card))

    def _export(self) -> None:
        name = f"orstats-filtered-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.csv"
        try:
            path = Path.cwd() / name
            write_csv(self.filtered, path)
        except (OrstatsError, OSError) as error:
            self._said.value = notice(str(error), "error")
        else:
            self._said.value = notice(f"{len(self._places):,} rows are in {path}", "note")

    # ---- small things --------------------------------------------------------------------------------------

    def _fill(self, shown: widgets.Widget) -> None:
        before = self._panel.children
        self._panel.children = [shown]
        close_all(before)

    def _quietly(self, change: Any) -> None:
        """Change a widget without taking it for a person's doing."""
        self._quiet = True
        try:
            change()
        finally:
            self._quiet = False


def _row(shown: list[widgets.Widget]) -> widgets.Box:
    return widgets.Box(shown, layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 4px"))
