"""The card of one generation: its record, then tabs. Content is loaded on request, and failures are shown in it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import orjson

from orstats.api.client import Client
from orstats.content.content import Content
from orstats.content.generation import Generation, get_or_failed
from orstats.content.html_card import static_card
from orstats.errors import OrstatsError
from orstats.fetching.arguments import ArchiveChoice
from orstats.notebook.conversation import Conversation
from orstats.notebook.html.base import notice, spinner, style
from orstats.notebook.html.card import details, head
from orstats.notebook.html.content import raw_json, reasoning, stored_error
from orstats.notebook.widgets import HtmlView, button, close_all, failure, in_thread, replace_children
from orstats.text.sanitize import Html


class Card(widgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """One generation as a widget. Creating it sends no request; its button loads the content, once.

    Where widgets are not kept (exported notebooks, repository pages), its static form is shown: the record without any
    content. Neither its repr nor that of its parts has content. Saving the state of widgets in a notebook (nbclient
    does unless ``store_widget_state=False``, JupyterLab only if its setting is on) saves loaded content, too.

    Attributes
    ----------
    generation
        The generation shown.
    content
        The loaded content; None before.
    """

    def __init__(self, generation: Generation) -> None:
        super().__init__()
        self.add_class("orstats-card")
        self.generation = generation
        self.content: Content | None = None
        self._loading = threading.Lock()
        self._content_box = widgets.VBox()
        self.tabs = widgets.Tab()
        self.children = [HtmlView(style("card")), HtmlView(head(generation))]
        if generation.fetch_status == "ok":
            self.children = [*self.children, self.tabs]
            self._offer_loading()
            self._set_tabs([("Conversation", self._content_box)], {})

    def __repr__(self) -> str:
        return f"Card({self.generation!r})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):  # None when there is no front end to show it
            bundle = bundle | {"text/plain": repr(self), "text/html": static_card(self.generation)}
        return bundle

    def load_content(self) -> None:
        """Load the content and show it, or say why there is none. Never raises; does nothing once it is loaded."""
        with self._loading:
            if self.content is not None:
                return
            self._show(spinner("Loading stored prompt and completion…"))
            try:
                with _Retries(lambda message: self._show(notice(message, "warn"))):
                    content = self.generation.content()
                if self.comm is not None:  # nobody would close widgets of a card that was closed meanwhile
                    self._show_content(content)
            except Exception as error:  # noqa: BLE001 - the cell must survive, and shows the error
                self._offer_loading(failure("load the content", error))
            else:
                self.content = content

    def _show(self, html: Html) -> None:
        replace_children(self._content_box, [HtmlView(html)])

    def _offer_loading(self, reason: Html | None = None) -> None:
        """Show the button that loads the content, after the reason why the last attempt had none."""
        label, icon = ("Load prompt and completion", "download") if reason is None else ("Try again", "refresh")
        self.load_button = button(label, lambda: in_thread(self.load_content), icon=icon)
        replace_children(self._content_box, [*([HtmlView(reason)] if reason else []), self.load_button])

    def _show_content(self, content: Content) -> None:
        if content.status != "stored":
            reason = notice(f"No content: {content.status}. {content.reason}", "warn")
            if content.status in ("not yet", "forbidden"):  # may change: in a minute, or with another key
                self._offer_loading(reason)
            else:
                self._show(reason)
            return
        tabs: list[tuple[str, widgets.Widget]] = [("Conversation", self._content_box)]
        if content.reasoning:
            tabs.append(("Reasoning", HtmlView(reasoning(content.reasoning))))
        if content.error is not None:
            tabs.append(("Error", HtmlView(stored_error(content.error))))
        replace_children(self._content_box, [Conversation(content, self.generation.finish_reason)])
        self._set_tabs(tabs, {"content": orjson.loads(content.raw)})

    def _set_tabs(self, tabs: list[tuple[str, widgets.Widget]], stored: dict[str, Any]) -> None:
        raw = {"record": dataclasses.asdict(self.generation)} | stored
        tabs = [*tabs, ("Caller and ids", HtmlView(details(self.generation))), ("Raw JSON", HtmlView(raw_json(raw)))]
        before = tuple(child for child in self.tabs.children if child is not self._content_box)
        self.tabs.children = [widget for _, widget in tabs]
        self.tabs.titles = [title for title, _ in tabs]
        self.tabs.selected_index = 0
        close_all(before)


class _Retries(logging.Handler):
    """Reports the retries of this thread's requests."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._report = report
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("orstats.retry")

    def __enter__(self) -> None:
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._report(record.getMessage())


def view(generation_id: str, *, client: Client | None = None, archive: ArchiveChoice = None) -> Card:
    """Show one generation as a card, in a notebook.

    The record is loaded immediately, prompt and completion only when the card's button is pressed. Failures (an unknown
    id, no key, the API not available) are shown in the card and do not break the cell.

    Parameters
    ----------
    generation_id : str
        The id.
    client : Client, optional
        The client for all requests. Default: one made from the environment.
    archive : Archive, str, os.PathLike or False, optional
        Where settled records are kept, as in :func:`orstats.fetch`.

    Returns
    -------
    Card
        A widget, with ``.generation`` and, once loaded, ``.content``.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(10) as sim:
    ...     card = orstats.view(sim.unknown_ids(1, age=3600)[0], client=sim.client())
    >>> card.generation.fetch_status
    'not_found'
    """
    try:
        generation, _ = get_or_failed(generation_id, client=client, archive=archive)
    except OrstatsError as error:  # before a request: no key, an unreadable archive
        generation = Generation(str(generation_id), fetch_status="not_attempted", error=str(error))
    return Card(generation)
