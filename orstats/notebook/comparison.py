"""Two generations side by side, and the differences between their prompts and completions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import astuple
from hashlib import sha256

import ipywidgets as widgets

from orstats.content.content import Content, turns
from orstats.content.generation import Generation
from orstats.content.messages import Message, Part, TextPart, UnknownPart, part_text
from orstats.notebook.html.base import notice, spinner
from orstats.notebook.html.comparison import difference, figures, records
from orstats.notebook.widgets import HtmlView, button, failure, in_thread
from orstats.text.sanitize import Html


class Comparison(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Two generations. Creating it sends no request; its button loads the contents, once each."""

    def __init__(self, first: Generation, second: Generation, on_close: Callable[[], object]) -> None:
        super().__init__()
        self.generations = (first, second)
        self._contents: list[Content] = []
        self._loading = threading.Lock()
        self.load_button = button("Load and compare contents", lambda: in_thread(self.load_contents), icon="download")
        self.back_button = button("Back to the card", on_close, icon="arrow-left")
        self.result = HtmlView()
        buttons = widgets.HBox([self.back_button, self.load_button])
        self.children = [buttons, HtmlView(Html(figures(first, second) + records(first, second))), self.result]

    def __repr__(self) -> str:
        return f"Comparison({self.generations[0]!r}, {self.generations[1]!r})"

    def load_contents(self) -> None:
        """Load both contents and show their differences, or say why there are none. Never raises."""
        with self._loading:
            self.load_button.disabled = True
            self.result.value = spinner("Loading both prompts and completions…")
            try:
                for generation in self.generations[len(self._contents) :]:
                    self._contents.append(generation.content())
                self.result.value = _differences(*self._contents)
            except Exception as error:  # noqa: BLE001 - the cell must survive, and shows the error
                self.result.value = failure("load and compare the contents", error)
                self.load_button.disabled = False


def _differences(first: Content, second: Content) -> Html:
    missing = [one for one in (first, second) if one.status != "stored"]
    if missing:
        return Html("".join(notice(f"{one.id}: no content, {one.status}. {one.reason}", "warn") for one in missing))
    parts = [difference("Prompt", _input(first), _input(second))]
    if first.reasoning or second.reasoning:
        parts.append(difference("Reasoning", first.reasoning or "", second.reasoning or ""))
    parts.append(difference("Completion", _output(first), _output(second)))
    return Html("".join(parts))


def _input(content: Content) -> str:
    return "\n\n".join(f"[{turn.title}]\n{_text(turn.message)}" for turn in turns(content) if not turn.is_output)


def _output(content: Content) -> str:
    return "\n\n".join(_text(message) for message in content.output)


def _text(message: Message) -> str:
    calls = [f"→ {call.name}({call.arguments})" for call in message.tool_calls]
    return "\n".join([*map(_part, message.parts), *calls])


def _part(part: Part) -> str:
    """Return the text of a part; for images, audio and files a hash, which differs where they do."""
    if isinstance(part, TextPart | UnknownPart):
        return part_text(part)
    kind = type(part).__name__.removesuffix("Part").lower()
    return f"[{kind} {sha256(str(astuple(part)).encode()).hexdigest()[:12]}]"
