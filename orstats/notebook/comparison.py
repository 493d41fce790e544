"""Two generations side by side, with a difference of their prompts and completions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import astuple
from hashlib import sha256

import ipywidgets as widgets

from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.content.messages import Message
from orstats.content.parts import Part, TextPart, UnknownPart
from orstats.errors import OrstatsError
from orstats.notebook.html.base import notice, spinner
from orstats.notebook.html.comparison import difference, records
from orstats.notebook.widgets import Shown, button
from orstats.text.sanitize import Html

log = logging.getLogger("orstats.notebook")


class Comparison(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Two generations. Making it sends no request; the contents are asked for by its button, once each."""

    def __init__(self, first: Generation, second: Generation, on_close: Callable[[], object]) -> None:
        super().__init__()
        self.generations = (first, second)
        self._contents: dict[int, Content] = {}
        self._loading = threading.Lock()
        self.load_button = button("Load and compare contents", self._load_aside, icon="download")
        self.back_button = button("Back to the card", on_close, icon="arrow-left")
        self._said = Shown(Html(""))
        self.children = [widgets.HBox([self.back_button, self.load_button]), Shown(records(first, second)), self._said]

    def __repr__(self) -> str:
        return f"Comparison({self.generations[0]!r}, {self.generations[1]!r})"

    def load_contents(self) -> None:
        """Ask for both contents and show what differs, or say why not. Never raises."""
        with self._loading:
            self.load_button.disabled = True
            self._said.value = spinner("asking for both prompts and completions …")
            try:
                for number, generation in enumerate(self.generations):
                    if number not in self._contents:
                        self._contents[number] = generation.content()
                self._said.value = _differences(self._contents[0], self._contents[1])
            except OrstatsError as error:
                self._said.value = notice(f"The content could not be had. {error}", "error")
                self.load_button.disabled = False
            except Exception as error:
                # Shown to a person who can do nothing about it: the cell must live on, the log has the trace.
                log.exception("comparing contents failed")
                words = f"The contents cannot be compared: {type(error).__name__}. The log has more."
                self._said.value = notice(words, "error")
                self.load_button.disabled = False

    def _load_aside(self) -> None:
        threading.Thread(target=self.load_contents, name="orstats-compare", daemon=True).start()


def _differences(first: Content, second: Content) -> Html:
    missing = [one for one in (first, second) if one.status != "stored"]
    if missing:
        return Html("".join(notice(f"{one.id}: no content, {one.status}. {one.reason}", "warn") for one in missing))
    parts = [difference("Prompt", _prompt(first), _prompt(second))]
    if first.reasoning or second.reasoning:
        parts.append(difference("Reasoning", first.reasoning or "", second.reasoning or ""))
    parts.append(difference("Completion", _completion(first), _completion(second)))
    return Html("".join(parts))


def _prompt(content: Content) -> str:
    bare = [] if content.prompt is None else [content.prompt]
    return "\n\n".join([*bare, *map(_turn, content.messages)])


def _completion(content: Content) -> str:
    return "\n\n".join(_said(message) for message in content.output)


def _turn(message: Message) -> str:
    return f"[{message.role or 'no role'}]\n{_said(message)}"


def _said(message: Message) -> str:
    calls = (f"→ {call.name}({call.arguments})" for call in message.tool_calls)
    return "\n".join([*map(_part, message.parts), *calls])


def _part(part: Part) -> str:
    """Return text as it is; of images, audio and files a mark that differs where they do."""
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, UnknownPart):
        return part.json
    kind = type(part).__name__.removesuffix("Part").lower()
    return f"[{kind} {sha256(str(astuple(part)).encode()).hexdigest()[:12]}]"
