"""The explorer: many generations as a table to filter, sort and page, with the card of the one that is selected."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets

from orstats.api.client import Client
from orstats.content.generation import Generation
from orstats.errors import OrstatsError
from orstats.export.write_csv import write_csv
from orstats.fetching.arguments import ArchiveChoice
from orstats.notebook.comparison import Comparison
from orstats.notebook.filter_controls import Controls
from orstats.notebook.html.base import notice
from orstats.notebook.html.chart import chart
from orstats.notebook.html.explore_style import explorer_style
from orstats.notebook.html.table import empty, table, totals
from orstats.notebook.table import Listing
from orstats.notebook.table_model import Mask, Rows
from orstats.notebook.view import card
from orstats.notebook.widgets import Shown, button, close_all, in_turn, row
from orstats.text.format import count, duration, usd
from orstats.text.sanitize import Html, visible_line

log = logging.getLogger("orstats.notebook")

_BUCKETS: Final = 60
_STATIC_ROWS: Final = 10


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What :func:`orstats.explore` shows.

    Attributes
    ----------
    selected
        The id whose card is open, or None. Set it to open another, observe it to follow the eye.
    """

    selected = traitlets.Unicode(None, allow_none=True)

    def __init__(self, df: pd.DataFrame, *, client: Client | None = None, archive: ArchiveChoice = None) -> None:
        super().__init__()
        self.add_class("orstats-explorer")
        self._rows = Rows(df)
        self._client, self._archive = client, archive
        self._kept: int | None = None
        self.controls = Controls(self._rows, self._filter)
        self._said, self._totals, self._chart = Shown(Html("")), Shown(Html("")), Shown(Html(""))
        self._chart.add_class("orstats-grow")
        self.previous = button("Previous", lambda: self._step(-1), icon="arrow-up")
        self.next = button("Next", lambda: self._step(1), icon="arrow-down")
        self.keep = button("Keep to compare", self._keep, icon="thumb-tack")
        self.compare = button("Compare", self._compare, icon="columns")
        self.listing = Listing(self._rows, on_pick=self._open, on_moved=self._moved, on_export=self._export)
        self._panel = widgets.VBox()
        right = widgets.VBox([row([self.previous, self.next, self.keep, self.compare]), self._panel])
        right.add_class("orstats-right")
        halves = widgets.Box([self.listing, right])
        halves.add_class("orstats-halves")
        self.children = [Shown(explorer_style()), self.controls, self._said, self._totals, self._chart, halves]
        self._show_card()
        self._filter()

    def __repr__(self) -> str:
        chosen = "none selected" if self.selected is None else f"selected {self.selected!r}"
        return f"Explorer({len(self.listing.places):,} of {len(self._rows):,} generations, {chosen})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):  # None when there is no front end to show it
            static = self._totals.value + table(self._rows.df.iloc[self.listing.places[:_STATIC_ROWS]])
            if len(self.listing.places) > _STATIC_ROWS:
                static += notice(f"The first {_STATIC_ROWS} rows; run the cell to explore all of them.")
            bundle = bundle | {"text/plain": repr(self), "text/html": static}
        return bundle

    @property
    def filtered(self) -> pd.DataFrame:
        """The rows that the filters keep, in the order shown: a new frame, indexed by id."""
        return self._rows.df.iloc[self.listing.places]

    def _filter(self) -> None:
        query, problems = self.controls.query()
        self._said.value = notice(" ".join(problems), "warn") if problems else ""
        mask = self._rows.select(query)
        self._totals.value = self._figures(mask)
        drawn = self._rows.cost_over_time(mask, _BUCKETS)
        self._chart.value = chart(*drawn) if drawn else ""
        self.listing.show(mask)

    def _figures(self, mask: Mask) -> Html:
        sums = self._rows.totals(mask)
        figures = [(f"{sums.rows:,}", f"of {len(self._rows):,} generations")]
        if sums.cost_usd is not None:
            figures.append((usd(sums.cost_usd), "cost"))
        if sums.cost_unknown > 0:
            figures.append((f"{sums.cost_unknown:,}", "of unknown cost" + ", not in it" * (sums.cost_usd is not None)))
        if sums.tokens is not None:
            figures.append((count(sums.tokens), "tokens"))
        if sums.median_ms is not None:
            figures.append((duration(sums.median_ms), "median time"))
        if sums.not_ok:
            figures.append((f"{sums.not_ok:,}", "not ok"))
        return totals(figures)

    @traitlets.validate("selected")
    def _is_known(self, proposal: Any) -> Any:
        wanted = proposal["value"]
        if wanted is not None and self._first(wanted) is None:
            raise traitlets.TraitError(f"There is no generation {wanted!r} in this explorer.")
        return wanted

    @traitlets.observe("selected")
    @in_turn
    def _on_selected(self, change: Any) -> None:
        wanted, place = change["new"], self.listing.place
        if wanted is None:
            self._show(None)
        elif place is None or str(self._rows.df.index[place]) != wanted:
            self._show(self._first(wanted))
        else:
            self._show(place)

    def _first(self, wanted: str) -> int | None:
        found = np.flatnonzero(np.asarray(self._rows.df.index == wanted, dtype=np.bool_))
        return int(found[0]) if len(found) else None

    def _open(self, place: int) -> None:
        identifier = self._rows.df.index[place]
        self.listing.place = place
        if not isinstance(identifier, str) or identifier == self.selected:  # a row without an id, or a second of it
            self._show(place)
        else:
            self.selected = identifier

    def _step(self, by: int) -> None:
        """Go to the previous or next of the filtered rows, over the pages."""
        place = self.listing.beside(by)
        if place is not None:
            self._open(place)

    def _show(self, place: int | None) -> None:
        self.listing.mark(place)
        self._show_card()

    def _moved(self) -> None:
        """Offer what can be done from here."""
        at, place, number = self.listing.position(), self.listing.place, len(self.listing.places)
        self.previous.disabled = at is None or at == 0
        self.next.disabled = not number or at == number - 1
        self.keep.disabled = place is None
        self.compare.disabled = place is None or self._kept in (None, place)

    def _show_card(self) -> None:
        if self.listing.place is None:
            self._fill(Shown(empty("Select a row to see what happened in it.")))
            return
        try:
            self._fill(card(self._generation(self.listing.place)))
        except OrstatsError as error:
            self._fill(Shown(notice(str(error), "error")))
        except Exception as error:
            # The table must stay usable whatever a record has in it; the log has the trace.
            log.exception("showing a generation failed")
            words = f"This cannot be shown: {type(error).__name__}. The log of orstats.notebook has more."
            self._fill(Shown(notice(words, "error")))

    def _generation(self, place: int) -> Generation:
        return Generation.from_row(self._rows.df.iloc[place], client=self._client, archive=self._archive)

    def _keep(self) -> None:
        self._kept = self.listing.place
        kept = "" if self._kept is None else visible_line(self._rows.df.index[self._kept], 40)
        self.compare.tooltip = f"Compare the selected one with {kept}"
        self.keep.description = f"Kept …{kept[-6:]}"
        self._moved()

    def _compare(self) -> None:
        if self._kept is None or self.listing.place is None:
            return
        try:
            both = self._generation(self._kept), self._generation(self.listing.place)
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
            self._said.value = notice(f"{len(self.listing.places):,} rows are in {path}", "note")

    def _fill(self, shown: widgets.Widget) -> None:
        before = self._panel.children
        self._panel.children = [shown]
        close_all(before)
