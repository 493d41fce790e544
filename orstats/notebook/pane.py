"""A widget made of named parts of HTML, with one browser module for all that can be pressed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import anywidget
import traitlets

from orstats.notebook.cell import replace_views
from orstats.notebook.module import pane_script, pane_styles
from orstats.notebook.widgets import serialized
from orstats.text.sanitize import Html


class Pane(anywidget.AnyWidget):
    """Parts of HTML, shown one below another. Only parts that change are replaced in the browser.

    A subclass defines :meth:`receive`, which is called with what was pressed. Closing a pane frees everything of it.
    """

    _esm = pane_script()
    _css = pane_styles()

    parts = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.on_msg(self._on_message)

    def receive(self, action: str, message: Mapping[str, Any]) -> None:
        """Do what a button asks for: its name, and the message with its ``value``."""
        raise NotImplementedError

    def show(self, parts: Mapping[str, Html]) -> None:
        """Replace all parts."""
        self.parts = dict(parts)

    def for_running_cell(self) -> Self:
        """Close the views that earlier runs of the cell made, as the next run will close this one."""
        replace_views(self)
        return self

    def close(self) -> None:
        """Remove the widget from the page and its parts from memory."""
        layout = self.layout
        super().close()
        layout.close()
        self.parts = {}

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if isinstance(message, dict) and isinstance(message.get("action"), str):
            serialized(self.receive)(message["action"], message)
