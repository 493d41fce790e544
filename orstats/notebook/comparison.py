"""Two generations side by side: the difference of each figure, and of their prompts and completions word by word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import astuple
from hashlib import sha256
from typing import Any, Final

import anywidget
import traitlets

from orstats.content.content import Content, turns
from orstats.content.generation import Generation
from orstats.content.messages import Message, Part, TextPart, UnknownPart, part_text
from orstats.content.record_facts import facts, model_name, status_label
from orstats.notebook.compared_records import compared_facts, compared_figures
from orstats.notebook.loading import MAY_CHANGE, Attempt, CancelledError, Waiting
from orstats.notebook.module import comparison_script, comparison_styles
from orstats.notebook.text_difference import TextDifference
from orstats.notebook.widgets import failure_text, in_thread, serialized
from orstats.text.sanitize import visible_line, visible_text

_LOAD: Final = "Load and compare prompts and completions"
_LOADING: Final = "Loading both prompts and completions…"


class Comparison:
    """Two generations, first the one that was kept. Creating it sends no request; its button loads the contents, once.

    Parameters
    ----------
    kept, selected
        The generations.
    show
        Called with what the browser shows, all of it plain text, at first and after each change.
    on_close
        Called when the reader goes back.
    """

    def __init__(
        self,
        kept: Generation,
        selected: Generation,
        show: Callable[[dict[str, Any]], object],
        on_close: Callable[[], object],
    ) -> None:
        self.generations = (kept, selected)
        self._show, self._on_close = show, on_close
        self._contents: dict[str, Content] = {}
        self._differences: list[TextDifference] = []
        self._loading = threading.Lock()
        self._attempt: Attempt | None = None
        differing, equal = compared_facts(kept, selected)
        self._records = {
            "heads": [_head(one) for one in self.generations],
            "figures": compared_figures(kept, selected),
            "facts": differing,
            "equal": equal,
        }
        self._status: Mapping[str, Any] = {"button": _LOAD}
        self.refresh()

    def refresh(self) -> None:
        """Show the present state."""
        texts = [{"title": one.title, "summary": one.summary, "rows": one.rows()} for one in self._differences]
        self._show(self._records | {"status": self._status, "texts": texts})

    def receive(self, action: str, value: str = "") -> None:
        """Do what a button asks for: ``load``, ``cancel``, ``back``, ``more`` or ``unfold``."""
        if action == "load":
            in_thread(self.load_contents)
        elif action == "cancel":
            self.cancel()
        elif action == "back":
            self.abandon()
            self._on_close()
        elif action in ("more", "unfold"):
            self._extend(action, value)

    def _extend(self, action: str, value: str) -> None:
        text, _, stretch = value.partition(":")
        if not text.isdecimal() or int(text) >= len(self._differences):
            return
        difference = self._differences[int(text)]
        if action == "more":
            difference.show_more()
        elif stretch.isdecimal():
            difference.unfold(int(stretch))
        self.refresh()

    def load_contents(self) -> None:
        """Load both contents and show their differences, or say why there are none. Never raises."""
        with self._loading:
            if self._differences:
                return
            attempt = self._attempt = Attempt(_LOADING, lambda waiting: self._wait(attempt, waiting))
            differences: list[TextDifference] = []
            status: dict[str, Any]
            try:
                with attempt:
                    contents = [self._content(generation, attempt) for generation in self.generations]
                problems = [f"{one.id}: no content, {one.status}. {one.reason}" for one in contents if _is_missing(one)]
                if not problems:
                    self._wait(attempt, Waiting("Comparing…", "", 0.0))
                    differences = _differences(*contents)
                may_change = any(one.status in MAY_CHANGE for one in contents)
                status = {"problems": problems, "button": "Try again" if may_change else ""}
            except CancelledError:
                return
            except Exception as error:  # noqa: BLE001 - the cell must survive, and shows the error
                problems = [failure_text("load and compare the contents", error)]
                status = {"problems": problems, "failed": True, "button": "Try again"}
            if self._attempt is attempt:
                self._attempt = None
                self._differences = differences
                self._report(status)

    def cancel(self) -> None:
        """Stop waiting. A request that is under way is not repeated, and its result is ignored."""
        if self.abandon():
            self._report({"note": "Cancelled.", "button": "Try again"})

    def abandon(self) -> bool:
        """Ignore the result of the attempt that is under way, and say whether there was one."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancelled = True
        return attempt is not None

    def _content(self, generation: Generation, attempt: Attempt) -> Content:
        """Return a content, which is loaded only once unless it may change."""
        attempt.check()
        found = self._contents.get(generation.id)
        if found is None or found.status in MAY_CHANGE:
            found = self._contents[generation.id] = generation.content()
        return found

    def _wait(self, attempt: Attempt, waiting: Waiting) -> None:
        if self._attempt is attempt:
            problems = [waiting.problem] if waiting.problem else []
            self._report({"waiting": waiting.text, "elapsed": waiting.elapsed_s, "problems": problems})

    def _report(self, status: Mapping[str, Any]) -> None:
        problems = [visible_text(text) for text in status.get("problems", ())]
        self._status = {**status, "problems": problems}
        self.refresh()


class ComparisonView(anywidget.AnyWidget):
    """A :class:`Comparison` as a widget. Its repr has no content."""

    _esm = comparison_script()
    _css = comparison_styles()

    shown = traitlets.Dict().tag(sync=True)

    def __init__(self, kept: Generation, selected: Generation, on_close: Callable[[], object]) -> None:
        super().__init__()
        self.comparison = Comparison(kept, selected, self._show, on_close)
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        kept, selected = self.comparison.generations
        return f"ComparisonView({kept!r}, {selected!r})"

    def close(self) -> None:
        """Remove the widget from the page, and its texts from memory."""
        self.comparison.abandon()
        super().close()
        self.shown = {}

    def _show(self, shown: dict[str, Any]) -> None:
        if self.comm is not None:  # not closed meanwhile
            self.shown = shown

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if isinstance(message, dict) and isinstance(message.get("action"), str):
            serialized(self.comparison.receive)(message["action"], str(message.get("value", "")))


def _head(generation: Generation) -> dict[str, str]:
    time = facts(generation)["Generation"].get("time", "")
    label, kind = status_label(generation)
    texts = {"id": generation.id, "model": model_name(generation), "time": time, "status": label}
    return {name: visible_line(text) for name, text in texts.items()} | {"kind": kind}


def _is_missing(content: Content) -> bool:
    return content.status != "stored"


def _differences(first: Content, second: Content) -> list[TextDifference]:
    texts = [
        ("Completion", _output(first), _output(second)),
        ("Reasoning", first.reasoning or "", second.reasoning or ""),
        ("Prompt", _input(first), _input(second)),
    ]
    return [TextDifference(title, *both) for title, *both in texts if title != "Reasoning" or any(both)]


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
