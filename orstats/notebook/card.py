"""The card of one generation: head, then tabs; its content is loaded when asked for, and failures are said in words."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.content.html_card import static_card
from orstats.errors import OrstatsError
from orstats.notebook.conversation import Conversation
from orstats.notebook.html.base import notice, spinner
from orstats.notebook.html.card import details, head
from orstats.notebook.html.content import raw_content, raw_json, reasoning, stored_error
from orstats.notebook.html.style import style
from orstats.notebook.widgets import Shown, button, close_all
from orstats.text.sanitize import Html

log = logging.getLogger("orstats.notebook")


class Card(widgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """One generation as a widget. Making it sends no request; the content is asked for by its button, once.

    Where widgets do not live on (exported notebooks, repository pages), its static form is shown: the record without
    any content. Neither its repr nor that of its parts has content. Whoever saves the state of widgets in a notebook
    (nbclient does unless ``store_widget_state=False``; JupyterLab only when told to) saves the content that was loaded.

    Attributes
    ----------
    generation
        As given.
    content
        What was loaded; None before.
    """

    def __init__(self, generation: Generation) -> None:
        super().__init__()
        self.add_class("orstats-card")
        self.generation = generation
        self.content: Content | None = None
        self._loading = threading.Lock()
        self._content_box = widgets.VBox()
        self.tabs = widgets.Tab()
        parts: list[widgets.Widget] = [Shown(style()), Shown(head(generation))]
        if generation.fetch_status == "ok":
            parts.append(self.tabs)
            self._offer()
            self._set_tabs([("Conversation", self._content_box)])
        self.children = parts

    def __repr__(self) -> str:
        return f"Card({self.generation!r})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):  # None when there is no front end to show it
            bundle = bundle | {"text/plain": repr(self), "text/html": static_card(self.generation)}
        return bundle

    def load_content(self) -> None:
        """Ask for the content and show it, or say why there is none. Never raises; does nothing once it is there."""
        with self._loading:
            if self.content is not None:
                return
            self._say(spinner("asking for the stored prompt and completion …"))
            try:
                with _Retries(self._say_retry):
                    content = self.generation.content()
                if self.comm is not None:  # closed meanwhile: nobody would close what is made now
                    self._show(content)
            except OrstatsError as error:
                self._offer(notice(f"The content could not be had. {error}", "error"), again=True)
            except Exception as error:
                # Shown to a person who can do nothing about it: the cell must live on, the log has the trace.
                log.exception("showing the content of %s failed", self.generation.id)
                words = f"The content cannot be shown: {type(error).__name__}. The log of orstats.notebook has more."
                self._offer(notice(words, "error"), again=True)
            else:
                self.content = content

    def _load_aside(self) -> None:
        """Load in a thread of its own, so that other widgets of this kernel answer meanwhile."""
        threading.Thread(target=self.load_content, name="orstats-content", daemon=True).start()

    def _offer(self, said: Html | None = None, *, again: bool = False) -> None:
        label = "Try again" if again else "Load prompt and completion"
        self.load_button = button(label, self._load_aside, icon="refresh" if again else "download")
        self._fill([*([Shown(said)] if said else []), self.load_button])

    def _say_retry(self, text: str) -> None:
        self._say(notice(text, "warn"))

    def _say(self, html: Html) -> None:
        self._fill([Shown(html)])

    def _fill(self, shown: list[widgets.Widget]) -> None:
        before = self._content_box.children
        self._content_box.children = shown
        close_all(before)

    def _show(self, content: Content) -> None:
        if content.status != "stored":
            if content.status in ("not yet", "forbidden"):  # may change: a minute later, or with another key
                self._offer(notice(f"No content: {content.status}. {content.reason}", "warn"), again=True)
            else:
                self._say(notice(f"No content: {content.status}. {content.reason}", "warn"))
            return
        tabs: list[tuple[str, widgets.Widget]] = [("Conversation", self._content_box)]
        if content.reasoning:
            tabs.append(("Reasoning", Shown(reasoning(content.reasoning))))
        if content.error is not None:
            tabs.append(("Error", Shown(stored_error(content.error))))
        self._fill([Conversation(content, self.generation.finish_reason)])
        self._set_tabs(tabs, raw_content(content))

    def _set_tabs(self, tabs: list[tuple[str, widgets.Widget]], stored: Any = None) -> None:
        whole = {"record": dataclasses.asdict(self.generation)} | ({} if stored is None else {"content": stored})
        tabs = [*tabs, ("Caller and ids", Shown(details(self.generation))), ("Raw JSON", Shown(raw_json(whole)))]
        before = [child for child in self.tabs.children if child is not self._content_box]
        self.tabs.children = [widget for _, widget in tabs]
        self.tabs.titles = [title for title, _ in tabs]
        self.tabs.selected_index = 0
        close_all(tuple(before))


class _Retries(logging.Handler):
    """Tells of the retries that this thread's requests wait for."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("orstats.retry")

    def __enter__(self) -> None:
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._tell(record.getMessage())
