"""The explorer's table: filters, figures and one page of rows, in the browser by its own module."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import anywidget
import numpy as np
import pandas as pd
import traitlets

from orstats.notebook.downloads import MIME_TYPES, file_bytes, file_name, parts
from orstats.notebook.filters import Filters, Inputs
from orstats.notebook.module import script, style_sheet
from orstats.notebook.table_model import Mask, Positions, TableModel
from orstats.notebook.table_page import USUAL_COLUMNS, page_columns, page_rows
from orstats.notebook.widgets import failure_text, in_thread, serialized
from orstats.text.format import count, duration, plural, usd
from orstats.text.sanitize import visible_line
from orstats.text.time_zones import clock

PAGE_SIZES: Final = (25, 50, 100)
_BARS: Final = 60
_NAME_ENDING: Final = 6

log = logging.getLogger("orstats.notebook")


class Actions(Protocol):
    """What the explorer does when the table is used."""

    def open_row(self, position: int) -> None:
        """Open the card of a row."""

    def load_content(self) -> None:
        """Load the content of the open card."""

    def compare_rows(self, kept: int, selected: int) -> None:
        """Compare two rows."""

    def act_on_comparison(self, action: str, value: str) -> None:
        """Do what a button of the comparison asks for."""

    def save_rows(self) -> str:
        """Write the filtered rows to a file, and return where."""

    def stored_texts(self, text: str) -> Mask | None:
        """Return the rows whose stored content has a text; None until it is read."""


class TableView(anywidget.AnyWidget):
    """The filters and a page of rows. All texts go to the browser as plain text.

    The browser sends messages (:meth:`receive`), and shows the traits below, each of which is sent when it changes.

    Attributes
    ----------
    page, marks, summary, message, options, detail
        What is shown. They change only here.
    positions
        Of the filtered rows in the DataFrame, in the order shown.
    selected, kept
        The positions of the open row and of the row kept for comparison, which a filter may hide; or None.
    """

    _esm = script()
    _css = style_sheet()

    options = traitlets.Dict().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)
    summary = traitlets.Dict().tag(sync=True)
    message = traitlets.Dict({"kind": "note", "text": ""}).tag(sync=True)
    detail = traitlets.Dict({"title": ""}).tag(sync=True)
    done = traitlets.Dict().tag(sync=True)

    def __init__(self, model: TableModel, actions: Actions, *, zone: str, height: int, has_archive: bool) -> None:
        super().__init__()
        self.add_class("orstats-left")
        self._model, self._actions, self._zone = model, actions, zone
        self._filters = Filters(model, zone)
        self.inputs = Inputs()
        self._mask: Mask = np.ones(len(model), dtype=np.bool_)
        self.positions: Positions = np.arange(len(model))
        self.selected: int | None = None
        self.kept: int | None = None
        self._conditions: list[str] = []
        self._usual = [name for name in USUAL_COLUMNS if name in model.columns]
        self._columns: list[str] = []
        self._sort = "created_at" if "created_at" in model.columns else model.columns[0]
        self._descending = True
        self._page, self._size = 0, PAGE_SIZES[0]
        fixed = {"columns": model.columns, "sizes": list(PAGE_SIZES), "height": height, "has_archive": has_archive}
        fixed["notebook"] = os.environ.get("JPY_SESSION_NAME", "")  # its path, from Jupyter's servers
        self.options = self._filters.options() | fixed
        self.on_msg(serialized(lambda _widget, content, _buffers: self.receive(content)))
        self.apply(Inputs())

    def __repr__(self) -> str:
        return f"TableView({len(self.positions):,} of {len(self._model):,} rows)"

    @property
    def filtered(self) -> pd.DataFrame:
        """The filtered rows, in the order shown."""
        return self._model.df.iloc[self.positions]

    def fill_page(self) -> None:
        """Be as high as the window and handle keys pressed without a focus, on a page that shows only the explorer."""
        self.options = self.options | {"fills_page": True}

    def release(self) -> TableModel:
        """Drop the rows, and return the empty model that is left."""
        self._model = TableModel(self._model.df.iloc[:0])
        self._mask = np.zeros(0, dtype=np.bool_)
        self.positions, self.selected, self.kept = np.arange(0), None, None
        self._filters = Filters(self._model, self._zone)
        return self._model

    def receive(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the browser. Never raises: the table must stay usable."""
        handlers: dict[Any, Callable[[], object]] = {
            "filter": lambda: self.apply(Inputs.from_message(message["inputs"])),
            "clear": lambda: self.apply(Inputs()),
            "sort": lambda: self.sort(message["column"]),
            "page": lambda: self.turn_to(int(message["to"])),
            "size": lambda: self.resize(int(message["rows"])),
            "columns": lambda: self.choose_columns(message["names"]),
            "open": lambda: self._open(message["key"]),
            "load": lambda: self._load(message.get("key")),
            "previous": lambda: self.step(-1),
            "next": lambda: self.step(1),
            "keep": self.keep,
            "compare": self._compare,
            "comparison": lambda: self._actions.act_on_comparison(message["action"], message.get("value", "")),
            "download": lambda: self._download(message),
            "save": self._save,
        }
        with self.hold_sync():
            try:
                handlers[message.get("type")]()
            except Exception as error:  # noqa: BLE001 - the table must stay usable, whatever a record holds
                self.tell("error", failure_text("do this", error))
            self.done = {name: message.get(name) for name in ("view", "sequence")}

    def apply(self, inputs: Inputs) -> None:
        """Filter, and show the first page."""
        query, problems = self._filters.query(inputs, datetime.now(UTC))
        self.tell("warn" if problems else "note", " ".join(problems))  # in place of one about other rows
        self.inputs = inputs
        text = query.text.strip()
        also = self._actions.stored_texts(text) if inputs.contents and text else None
        self._mask = self._model.select(query, also)
        self._conditions = self._filters.describe(query)
        self.summary = {"figures": self._figures(), "chart": self._chart(), "inputs": inputs.to_message()}
        self._sort_rows()

    def sort(self, column: str) -> None:
        """Sort by a column; by the same one again in the other direction."""
        self._descending = not self._descending if column == self._sort else True
        self._sort = column
        self._sort_rows()

    def turn_to(self, number: int) -> None:
        """Show another page; the last one if there are fewer."""
        self._page = number
        self._show_page()

    def resize(self, rows: int) -> None:
        """Show so many rows on a page, with the first one of now."""
        first = self._page * self._size
        self._size = rows if rows in PAGE_SIZES else self._size
        self._page = first // self._size
        self._show_page()

    def choose_columns(self, names: list[str]) -> None:
        """Show these columns; the usual ones if there are none."""
        known = set(self._model.columns)
        self._columns = [name for name in dict.fromkeys(names) if name in known]
        self._show_page()

    def mark(self, position: int | None) -> None:
        """Mark a row as open, and turn to its page."""
        self.selected = position
        rank = self._rank()
        if rank is not None and rank // self._size != self._page:
            self.turn_to(rank // self._size)
        else:
            self._show_marks()

    def step(self, by: int) -> None:
        """Open the previous or next of the filtered rows, on any page; the first if none is open."""
        if len(self.positions):
            rank = self._rank()
            self._actions.open_row(
                int(self.positions[0 if rank is None else min(max(rank + by, 0), len(self.positions) - 1)])
            )

    def keep(self) -> None:
        """Keep the open row, to compare another one with it."""
        if self.selected is not None:
            self.kept = self.selected
            self._show_marks()

    def tell(self, kind: str, text: str) -> None:
        """Show a message above the table: a ``note``, ``warn`` or ``error``."""
        self.message = {"kind": kind, "text": text}

    def _open(self, key: Any) -> None:
        if isinstance(key, int) and 0 <= key < len(self._model):
            self._actions.open_row(key)

    def _load(self, key: Any) -> None:
        if key is not None and key != self.selected:
            self._open(key)
        self._actions.load_content()

    def _compare(self) -> None:
        if self.kept is not None and self.selected is not None:
            self._actions.compare_rows(self.kept, self.selected)

    def _save(self) -> None:
        self.tell("note", f"{plural(len(self.positions), 'row')} written to {self._actions.save_rows()}")

    def _download(self, message: Mapping[str, Any]) -> None:
        """Send a file of the filtered rows. A large one takes a while, during which the table can be used."""
        kind, frame = message["format"], self.filtered
        about = plural(len(frame), "row")
        self.tell("note", f"Preparing a file of {about}…")

        def work() -> None:
            try:
                pieces = list(parts(file_bytes(frame, kind)))
                head = {"type": "file", "view": message.get("view"), "file": id(pieces), "parts": len(pieces)}
                head |= {"name": file_name(kind), "mime": MIME_TYPES[kind], "about": about}
                for number, piece in enumerate(pieces):
                    self.send(head | {"part": number}, [piece])
            except Exception as error:  # noqa: BLE001 - shown, as nobody waits for this thread
                self.tell("error", failure_text("make the file", error))

        in_thread(work)

    def _figures(self) -> list[tuple[str, str]]:
        sums = self._model.totals(self._mask)
        figures = [(f"{sums.rows:,}", f"of {plural(len(self._model), 'generation')}")]
        if sums.cost_usd is not None:
            figures.append((usd(sums.cost_usd), "cost"))
        if sums.cost_unknown > 0:
            figures.append((f"{sums.cost_unknown:,}", "with unknown cost (excluded)"))
        if sums.tokens is not None:
            figures.append((count(sums.tokens), "tokens"))
        if sums.median_ms is not None:
            figures.append((duration(sums.median_ms), "median time"))
        if sums.not_ok:
            figures.append((f"{sums.not_ok:,}", "not fetched"))
        return figures

    def _chart(self) -> dict[str, Any] | None:
        found = self._model.cost_over_time(self._mask, _BARS)
        if found is None or not any(cost > 0 for cost in found[1]):
            return None
        edges = [edge.astimezone(clock(self._zone)) for edge in found[0]]
        highest = max(found[1])
        times = [f"{edge:%Y-%m-%d %H:%M}" for edge in edges]
        bars = [
            (max(0.0, cost / highest), f"{start} to {end}: {usd(cost)}")
            for start, end, cost in zip(times, times[1:], found[1], strict=False)
        ]
        label = f"Cost over time, at most {usd(highest)} per bar"
        return {"bars": bars, "label": label, "from": times[0], "to": f"{times[-1]} ({self._zone})"}

    def _sort_rows(self) -> None:
        self.positions = self._model.positions(self._mask, self._sort, descending=self._descending)
        self._page = 0
        self._show_page()

    def _rank(self) -> int | None:
        """Return the number of the open row among the filtered ones; None if it is not among them."""
        found = np.flatnonzero(self.positions == (-1 if self.selected is None else self.selected))
        return int(found[0]) if len(found) else None

    def _show_page(self) -> None:
        rows, size = len(self.positions), self._size
        last = max(0, (rows - 1) // size)
        self._page = min(max(self._page, 0), last)
        start = self._page * size
        shown = self.positions[start : start + size]
        names = self._columns or self._usual
        page = self._model.page(shown, names)
        cells = page_rows(page, names, self._zone)
        self.page = {
            "columns": page_columns(page, names, self._zone),
            "chosen": bool(self._columns),
            "rows": [{"key": int(key), "cells": row} for key, row in zip(shown, cells, strict=True)],
            "start": start,
            "total": rows,
            "number": self._page,
            "last": self._page == last,
            "size": size,
            "sort": self._sort,
            "descending": self._descending,
            "range": f"{start + 1:,} to {start + len(shown):,} of {rows:,}" if rows else "none",
            "empty": [] if rows else self._why_empty(),
        }
        self._show_marks()

    def _why_empty(self) -> list[str]:
        if not len(self._model):
            return ["The DataFrame has no generations."]
        return ["No generations match the filters:", *self._conditions]

    def _show_marks(self) -> None:
        rank = self._rank()
        kept = "" if self.kept is None else visible_line(self._model.df.index[self.kept], 80)
        self.marks = {
            "selected": self.selected,
            "kept": self.kept,
            "kept_name": kept[-_NAME_ENDING:],
            "has_previous": rank is not None and rank > 0,
            "has_next": len(self.positions) > 0 and (rank is None or rank < len(self.positions) - 1),
            "can_compare": self.selected is not None and self.kept not in (None, self.selected),
        }
