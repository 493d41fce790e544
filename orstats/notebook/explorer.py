"""``explore``: many generations as a table to filter, sort and page, with the card of the selected one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets

from orstats.api.client import Client
from orstats.content.generation import Generation
from orstats.errors import ConfigError
from orstats.export.write_csv import write_csv
from orstats.fetching.arguments import ArchiveChoice
from orstats.notebook.archived import all_rows, archive_and_host
from orstats.notebook.card import Card
from orstats.notebook.cell import replace_views
from orstats.notebook.comparison import Comparison, ComparisonView
from orstats.notebook.downloads import file_name
from orstats.notebook.html.base import notice, style
from orstats.notebook.html.explorer import empty, table, totals
from orstats.notebook.stored_texts import StoredTexts
from orstats.notebook.table import TableView
from orstats.notebook.table_detail import TableDetail
from orstats.notebook.table_model import Mask, TableModel
from orstats.notebook.widgets import (
    HtmlView,
    close_all,
    failure,
    failure_text,
    in_thread,
    replace_children,
    serialized,
)
from orstats.text.format import plural
from orstats.text.time_zones import zone_of

_STATIC_ROWS: Final = 10
_HEIGHT_PX: Final = 700
_HEIGHTS: Final = (200, 5000)


class Explorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The widget of :func:`orstats.explore`.

    Attributes
    ----------
    selected
        The id whose card is open, or None. Set it to open another card; observe it to follow the selection.
    """

    selected = traitlets.Unicode(None, allow_none=True)

    def __init__(
        self,
        df: pd.DataFrame,
        *,
        client: Client | None = None,
        archive: ArchiveChoice = None,
        tz: str | tzinfo = "UTC",
        height: int = _HEIGHT_PX,
    ) -> None:
        zone = zone_of(tz)
        if isinstance(height, bool) or not isinstance(height, int) or not _HEIGHTS[0] <= height <= _HEIGHTS[1]:
            raise ConfigError(f"height must be {_HEIGHTS[0]} to {_HEIGHTS[1]:,} pixels, got {height!r}.")
        model = TableModel(df)
        super().__init__()
        replace_views(self)
        self.add_class("orstats-explorer")
        self._model = model
        self._client, self._archive, self._zone = client, archive, zone
        self._texts: StoredTexts | None = None
        self._reading = False
        self._detail: TableDetail | None = None
        self._compared: Comparison | None = None
        self.table = TableView(self._model, self, zone=zone, height=height, has_archive=archive is not False)
        self.panel = widgets.VBox()
        self.panel.add_class("orstats-right")
        self._halves = widgets.Box([self.table, self.panel])
        self._halves.add_class("orstats-halves")
        self.children = [HtmlView(style("explorer")), self._halves]
        self._show_card()

    def __repr__(self) -> str:
        chosen = "none selected" if self.selected is None else f"selected {self.selected!r}"
        return f"Explorer({len(self.table.positions):,} of {len(self._model):,} generations, {chosen})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):  # None when there is no front end to show it
            figures = totals(self.table.summary["figures"])
            static = figures + table(self.filtered.iloc[:_STATIC_ROWS], self._zone)
            if len(self.table.positions) > _STATIC_ROWS:
                static += notice(f"The first {_STATIC_ROWS} rows; run the cell to explore all of them.")
            bundle = bundle | {"text/plain": repr(self), "text/html": static}
        return bundle

    def _display_(self) -> TableView:
        """Show only the table in marimo, which has no other widgets of Jupyter; the table also shows the facts."""
        self._detail = TableDetail(self.table)
        self._show_card()
        return self.table

    @property
    def filtered(self) -> pd.DataFrame:
        """The rows that match the filters, in the order shown: a new DataFrame, indexed by id."""
        return self.table.filtered

    def close(self) -> None:
        """Remove the explorer from the notebook, and free what it holds in the kernel and in the browser."""
        if self.comm is None:  # closed before
            return
        close_all(tuple(self.children))
        self.layout.close()
        super().close()
        self._model = self.table.release()
        self._texts = self._compared = None

    def __del__(self) -> None:
        widgets.Widget.close(self)  # nothing else is certain to exist when the interpreter ends

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

    def open_row(self, position: int) -> None:
        """Open the card of a row, by its position in the DataFrame."""
        identifier = self._model.df.index[position]
        self.table.selected = position
        if not isinstance(identifier, str) or identifier == self.selected:  # a row without an id, or another of it
            self._select(position)
        else:
            self.selected = identifier

    def load_content(self) -> None:
        """Load prompt and completion of the open card, or of both generations that are compared."""
        card = self.panel.children[0]
        if self._compared is not None:
            self._compared.receive("load")
        elif (detail := self._detail) is not None and self.table.selected is not None:
            generation = self._generation(self.table.selected)
            detail.show(generation, loading=True)
            in_thread(lambda: detail.load(generation))
        elif isinstance(card, Card):
            in_thread(card.load_content)

    def compare_rows(self, kept: int, selected: int) -> None:
        """Compare two rows, by their positions in the DataFrame."""
        both = self._generation(kept), self._generation(selected)
        if self._detail is not None:
            self._compared = Comparison(*both, self._detail.show_comparison, self._show_card)
        else:
            self._show(lambda: self._comparison(*both))
            self._halves.add_class("orstats-comparing")

    def act_on_comparison(self, action: str, value: str) -> None:
        """Do what a button of the comparison asks for, where the table's module shows it."""
        if self._compared is not None:
            self._compared.receive(action, value)

    def save_rows(self) -> str:
        """Write the filtered rows to a CSV file in the working directory, and return its path.

        Raises
        ------
        ExportError
            The file cannot be written.
        """
        path = Path.cwd() / file_name("csv")
        write_csv(self.filtered, path)
        return str(path)

    def stored_texts(self, text: str) -> Mask | None:
        """Return the rows whose stored prompt or completion has a text; None until they are read, in a thread."""
        if self._texts is None and not self._reading:
            self._reading = True
            self.table.tell("note", "Reading the stored prompts and completions…")
            in_thread(self._read_texts)
        return None if self._texts is None else self._texts.contain(text)

    def _read_texts(self) -> None:
        try:
            store, host = archive_and_host(self._client, self._archive)
            ids = [str(one) for one in self._model.df.index]
            self._texts = StoredTexts(store, host, ids) if store is not None else None
            self._apply_texts()
        except Exception as error:  # noqa: BLE001 - shown, as nobody waits for this thread
            self.table.tell("error", failure_text("read the stored texts", error))
        finally:
            self._reading = False

    @serialized
    def _apply_texts(self) -> None:
        texts = self._texts
        if texts is None or not texts.stored:
            how = "In Python, orstats.fetch_contents(ids, store_content=True) stores them."
            note = f"No prompts or completions of these generations are stored. {how}"
        elif texts.complete:
            note = f"Stored prompts and completions of {plural(texts.stored, 'generation')} are searched, too."
        else:
            note = f"Only the first {texts.stored:,} stored prompts and completions are searched; there are too many."
        self.table.apply(self.table.inputs)
        self.table.tell("note", note)

    def _select(self, position: int | None) -> None:
        self.table.mark(position)
        self._show_card()

    def _comparison(self, kept: Generation, selected: Generation) -> ComparisonView:
        view = ComparisonView(kept, selected, self._show_card)
        self._compared = view.comparison
        return view

    def _show_card(self) -> None:
        selected = self.table.selected
        compared, self._compared = self._compared, None
        if compared is not None:
            compared.abandon()
        self._halves.remove_class("orstats-comparing")
        if selected is None:
            self._show(lambda: HtmlView(empty("Select a row to see its card.")))
        elif self._detail is not None:
            self._detail.show(self._generation(selected))
        else:
            self._show(lambda: self._card(self._generation(selected)))

    def _card(self, generation: Generation) -> Card:
        return Card(generation, client=self._client, archive=self._archive, frame=self._model.df, zone=self._zone)

    def _generation(self, position: int) -> Generation:
        row = self._model.df.iloc[position]
        return Generation.from_row(row, client=self._client, archive=self._archive).in_zone(self._zone)

    def _show(self, make: Callable[[], widgets.Widget]) -> None:
        try:
            shown = make()
        except Exception as error:  # noqa: BLE001 - the table must stay usable, whatever a record holds
            shown = HtmlView(failure("show this", error))
        replace_children(self.panel, [shown])


def explore(
    df: pd.DataFrame | None = None,
    *,
    client: Client | None = None,
    archive: ArchiveChoice = None,
    tz: str | tzinfo = "UTC",
    height: int = _HEIGHT_PX,
) -> Explorer:
    """Explore generations in a notebook: filter, sort and page through them, open one, compare two.

    Filtering, sorting and paging happen in Python, and only one page is sent to the browser, so 100,000 rows open as
    fast as 100. Click a row, or press the arrow keys in the table, to see its card; Enter loads its prompt and
    completion, and ``?`` lists the other keys. The browser remembers the chosen columns for each notebook.

    Parameters
    ----------
    df : pandas.DataFrame, optional
        The result of :func:`orstats.fetch`; do not modify it while it is explored. Default: everything in the archive.
    client : Client, optional
        The client that loads prompts and completions. Default: one made from the environment when it is needed.
    archive : Archive, str, os.PathLike or False, optional
        Where records and contents are kept, as in :func:`orstats.fetch`.
    tz : str or tzinfo
        The time zone in which times are shown and typed, such as ``"Europe/Berlin"``.
    height : int
        Height in pixels, 200 to 5,000. Table and card have this height side by side, and each scrolls by itself.

    Returns
    -------
    Explorer
        A widget, with ``.selected`` (an id or None; can be set and observed) and ``.filtered`` (a DataFrame).

    Raises
    ------
    ConfigError
        ``df`` is not a DataFrame with ids, or an unknown time zone or height.
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
    frame = all_rows(client, archive) if df is None else df
    return Explorer(frame, client=client, archive=archive, tz=tz, height=height)
