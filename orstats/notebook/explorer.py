"""``explore``: many generations as a table to filter, sort and page, with the card of the selected one."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets

from orstats.api.client import Client
from orstats.api.config import Settings
from orstats.archive.archive import Archive
from orstats.content.generation import Generation
from orstats.errors import ArchiveError, ConfigError, OrstatsError
from orstats.export.write_csv import write_csv
from orstats.fetching.arguments import UNARCHIVED, ArchiveChoice
from orstats.frame.build import build_frame
from orstats.notebook.card import Card
from orstats.notebook.comparison import Comparison
from orstats.notebook.filter_controls import FilterControls
from orstats.notebook.html.base import notice, style
from orstats.notebook.html.explorer import chart, empty, table, totals
from orstats.notebook.table import TableView
from orstats.notebook.table_model import Mask, TableModel
from orstats.notebook.widgets import HtmlView, button, failure, replace_children, row, serialized
from orstats.text.format import count, duration, usd
from orstats.text.sanitize import Html, visible_line

_BARS: Final = 60
_STATIC_ROWS: Final = 10


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The widget of :func:`orstats.explore`.

    Attributes
    ----------
    selected
        The id whose card is open, or None. Set it to open another card; observe it to follow the selection.
    """

    selected = traitlets.Unicode(None, allow_none=True)

    def __init__(self, df: pd.DataFrame, *, client: Client | None = None, archive: ArchiveChoice = None) -> None:
        super().__init__()
        self.add_class("orstats-explorer")
        self._model = TableModel(df)
        self._client, self._archive = client, archive
        self._kept: int | None = None
        self.controls = FilterControls(self._model, self._filter)
        self.message, self.totals, self.chart = HtmlView(), HtmlView(), HtmlView()
        self.chart.add_class("orstats-grow")
        self.previous = button("Previous", lambda: self._step(-1), icon="arrow-up")
        self.next = button("Next", lambda: self._step(1), icon="arrow-down")
        self.keep = button("Keep to compare", self._keep, icon="thumb-tack")
        self.compare = button("Compare", self._compare, icon="columns")
        self.table = TableView(self._model, on_pick=self._open, on_mark=self._set_buttons, on_export=self._export)
        self.panel = widgets.VBox()
        right = widgets.VBox([row([self.previous, self.next, self.keep, self.compare]), self.panel])
        right.add_class("orstats-right")
        halves = widgets.Box([self.table, right])
        halves.add_class("orstats-halves")
        style_sheet = HtmlView(style("explorer"))
        self.children = [style_sheet, self.controls, self.message, self.totals, self.chart, halves]
        self._show_card()
        self._filter()

    def __repr__(self) -> str:
        chosen = "none selected" if self.selected is None else f"selected {self.selected!r}"
        return f"Explorer({len(self.table.positions):,} of {len(self._model):,} generations, {chosen})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):  # None when there is no front end to show it
            static = self.totals.value + table(self._model.df.iloc[self.table.positions[:_STATIC_ROWS]])
            if len(self.table.positions) > _STATIC_ROWS:
                static += notice(f"The first {_STATIC_ROWS} rows; run the cell to explore all of them.")
            bundle = bundle | {"text/plain": repr(self), "text/html": static}
        return bundle

    @property
    def filtered(self) -> pd.DataFrame:
        """The rows that match the filters, in the order shown: a new DataFrame, indexed by id."""
        return self._model.df.iloc[self.table.positions]

    def _filter(self) -> None:
        query, problems = self.controls.query()
        self.message.value = notice(" ".join(problems), "warn") if problems else ""
        mask = self._model.select(query)
        self.totals.value = self._figures(mask)
        costs = self._model.cost_over_time(mask, _BARS)
        self.chart.value = chart(*costs) if costs else ""
        self.table.show(mask)

    def _figures(self, mask: Mask) -> Html:
        sums = self._model.totals(mask)
        figures = [(f"{sums.rows:,}", f"of {len(self._model):,} generations")]
        if sums.cost_usd is not None:
            figures.append((usd(sums.cost_usd), "cost"))
        if sums.cost_unknown > 0:
            figures.append((f"{sums.cost_unknown:,}", "with unknown cost (excluded)"))
        if sums.tokens is not None:
            figures.append((count(sums.tokens), "tokens"))
        if sums.median_ms is not None:
            figures.append((duration(sums.median_ms), "median time"))
        if sums.not_ok:
            figures.append((f"{sums.not_ok:,}", "not ok"))
        return totals(figures)

    @traitlets.validate("selected")
    def _validate_selected(self, proposal: Any) -> Any:
        wanted = proposal["value"]
        if wanted is not None and self._position(wanted) is None:
            raise traitlets.TraitError(f"Unknown generation {wanted!r} in this explorer.")
        return wanted

    @traitlets.observe("selected")
    @serialized
    def _on_selected(self, change: Any) -> None:
        wanted, position = change["new"], self.table.selected
        if position is None or str(self._model.df.index[position]) != wanted:
            position = None if wanted is None else self._position(wanted)
        self._select(position)

    def _position(self, wanted: str) -> int | None:
        """Return the position of the first row of an id."""
        found = np.flatnonzero(np.asarray(self._model.df.index == wanted, dtype=np.bool_))
        return int(found[0]) if len(found) else None

    def _open(self, position: int) -> None:
        identifier = self._model.df.index[position]
        self.table.selected = position
        if not isinstance(identifier, str) or identifier == self.selected:  # a row without an id, or another of it
            self._select(position)
        else:
            self.selected = identifier

    def _step(self, step: int) -> None:
        """Open the previous or next of the filtered rows, on any page."""
        position = self.table.neighbour(step)
        if position is not None:
            self._open(position)

    def _select(self, position: int | None) -> None:
        self.table.mark(position)
        self._show_card()

    def _set_buttons(self) -> None:
        rank, selected, rows = self.table.rank(), self.table.selected, len(self.table.positions)
        self.previous.disabled = rank is None or rank == 0
        self.next.disabled = not rows or rank == rows - 1
        self.keep.disabled = selected is None
        self.compare.disabled = selected is None or self._kept in (None, selected)

    def _show_card(self) -> None:
        selected = self.table.selected
        if selected is None:
            self._show(lambda: HtmlView(empty("Select a row to see its card.")))
        else:
            self._show(lambda: Card(self._generation(selected)))

    def _generation(self, position: int) -> Generation:
        return Generation.from_row(self._model.df.iloc[position], client=self._client, archive=self._archive)

    def _keep(self) -> None:
        self._kept = self.table.selected
        kept = "" if self._kept is None else visible_line(self._model.df.index[self._kept], 40)
        self.compare.tooltip = f"Compare the selected generation with {kept}"
        self.keep.description = f"Kept …{kept[-6:]}"
        self._set_buttons()

    def _compare(self) -> None:
        kept, selected = self._kept, self.table.selected
        if kept is not None and selected is not None:
            self._show(lambda: Comparison(self._generation(kept), self._generation(selected), self._show_card))

    def _export(self) -> None:
        name = f"orstats-filtered-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.csv"
        try:
            path = Path.cwd() / name
            write_csv(self.filtered, path)
        except (OrstatsError, OSError) as error:
            self.message.value = notice(f"Could not write {name}: {error}", "error")
        else:
            self.message.value = notice(f"{len(self.table.positions):,} rows written to {path}")

    def _show(self, make: Callable[[], widgets.Widget]) -> None:
        try:
            shown = make()
        except Exception as error:  # noqa: BLE001 - the table must stay usable, whatever a record holds
            shown = HtmlView(failure("show this", error))
        replace_children(self.panel, [shown])


def explore(df: pd.DataFrame | None = None, *, client: Client | None = None, archive: ArchiveChoice = None) -> Explorer:
    """Explore generations in a notebook: filter, sort and page through them, open one, compare two.

    Filtering, sorting and paging happen in Python, and only one page is sent to the browser, so 100,000 rows open as
    fast as 100. Click a row, or press the arrow keys in the table, to see its card; Enter loads its prompt and
    completion.

    Parameters
    ----------
    df : pandas.DataFrame, optional
        The result of :func:`orstats.fetch`; do not modify it while it is explored. Default: everything in the archive.
    client : Client, optional
        The client that loads prompts and completions. Default: one made from the environment when it is needed.
    archive : Archive, str, os.PathLike or False, optional
        Where records and contents are kept, as in :func:`orstats.fetch`.

    Returns
    -------
    Explorer
        A widget, with ``.selected`` (an id or None; can be set and observed) and ``.filtered`` (a DataFrame).

    Raises
    ------
    ConfigError
        ``df`` is not a DataFrame with ids.
    ArchiveError
        Without ``df``: the archive is empty, or has several hosts and none of them is the client's.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(60) as sim:
    ...     explorer = orstats.explore(orstats.fetch(sim.ids, client=sim.client()), client=sim.client())
    >>> explorer.selected = sim.ids[3]
    >>> explorer, len(explorer.filtered)
    (Explorer(60 of 60 generations, selected 'gen-...'), 60)
    """
    return Explorer(_from_archive(client, archive) if df is None else df, client=client, archive=archive)


def _from_archive(client: Client | None, archive: ArchiveChoice) -> pd.DataFrame:
    """Return all records of the client's host or, without a client, of the archive's only host, newest first."""
    if archive is False:
        raise ConfigError("explore() needs a DataFrame or an archive; pass one of them.")
    store = archive if isinstance(archive, Archive) else Archive(archive)
    hosts = store.hosts()
    settings = client.settings if client is not None else Settings.resolve(None, None, None)
    unnamed = archive is None and settings.is_loopback and not os.environ.get("ORSTATS_ARCHIVE")
    advice = f"{UNARCHIVED} archive=." if unnamed else "Run orstats.fetch to add records."
    if not hosts:
        raise ArchiveError(f"The archive {store.path} is empty. {advice}", path=store.path)
    host = settings.host
    if host not in hosts:
        if client is not None or unnamed or len(hosts) > 1:
            available = f"Available hosts: {', '.join(hosts)}. {advice}"
            raise ArchiveError(f"The archive {store.path} has no records of {host}. {available}", path=store.path)
        host = hosts[0]
    records = store.read(host, settled_only=False).sort_by([("created_at", "descending"), ("id", "ascending")])
    return build_frame(records["id"].to_pylist(), [records], {})
