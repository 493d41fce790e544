"""The form that reports a problem of one generation to OpenRouter, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orstats.api.client import Client
from orstats.api.config import Settings
from orstats.api.feedback import CATEGORIES
from orstats.errors import ConfigError, ConflictError
from orstats.notebook.html.base import notice, spinner
from orstats.notebook.html.content import feedback_form, folded
from orstats.notebook.widgets import failure, in_thread
from orstats.text.sanitize import Html


class Feedback:
    """Feedback on one generation, which the vendor takes once for each. ``on_change`` is called to show it again."""

    def __init__(self, generation_id: str, client: Client | None, on_change: Callable[[], object]) -> None:
        self._id = generation_id
        self._client = client
        self._on_change = on_change
        self._state: Literal["", "sending", "given"] = ""
        self._result = Html("")

    def parts(self) -> dict[str, Html]:
        """Return the form until feedback is given, and the result; nothing without a management key."""
        if not self._is_possible():
            return {}
        form = {"feedback": folded("Report a problem to OpenRouter", feedback_form(CATEGORIES))}
        return ({} if self._state == "given" else form) | {"feedback result": self._result}

    def send(self, category: str, comment: str) -> None:
        """Send feedback in a thread, unless some was sent before or no category was chosen."""
        if category and not self._state:
            self._show("sending", spinner("Sending…", elapsed_s=0.0))
            in_thread(lambda: self._give(category, comment))

    def _is_possible(self) -> bool:
        try:
            settings = Settings.resolve(None, None, None) if self._client is None else self._client.settings
        except ConfigError:  # the environment has an invalid key: loading says so
            return False
        return settings.management_key is not None

    def _give(self, category: str, comment: str) -> None:
        try:
            if self._client is None:
                with Client() as client:
                    client.feedback(self._id, category, comment or None)
            else:
                self._client.feedback(self._id, category, comment or None)
        except ConflictError:
            before = "Feedback was given for this generation before; nothing was changed."
            self._show("given", notice(before, "warn"))
        except Exception as error:  # noqa: BLE001 - the cell must survive, and shows the error
            self._show("", failure("send the feedback", error))
        else:
            self._show("given", notice("Feedback sent. Thank you."))

    def _show(self, state: Literal["", "sending", "given"], result: Html) -> None:
        self._state, self._result = state, result
        self._on_change()
