"""Small widgets that show what ``render`` made and keep it out of their repr, and how a person's doings come in."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import ipywidgets as widgets

from orstats.text.sanitize import Html

P = ParamSpec("P")
T = TypeVar("T")

#: JupyterLab gives clicks to the kernel's main thread and what is typed or chosen to another (a "subshell"). Two
#: handlers at once would show a mixture of two answers.
_TURN: Final = threading.RLock()


class Shown(widgets.HTML):  # type: ignore[misc] # ipywidgets has no types
    """HTML that a ``render`` function made. A widget's usual repr has its whole text; this one has its length."""

    def __init__(self, value: Html, **options: Any) -> None:
        super().__init__(value=value, **options)

    def __repr__(self) -> str:
        return f"Shown({len(self.value):,} characters)"


def button(label: str, on_click: Callable[[], object], *, icon: str = "", wide: bool = False) -> widgets.Button:
    """Return a button as wide as its label. Labels are plain text: Jupyter does not read HTML in them."""
    width = "auto" if wide else "max-content"
    made = widgets.Button(description=label, icon=icon, layout=widgets.Layout(width=width))
    made.on_click(in_turn(lambda _button: on_click()))
    return made


def watch(widget: widgets.Widget, on_change: Callable[[Any], object]) -> None:
    """Call ``on_change`` with each new value of a widget."""
    widget.observe(in_turn(lambda change: on_change(change["new"])), "value")


def in_turn(handler: Callable[P, T]) -> Callable[P, T]:
    """Make a handler wait until the one before it has ended, whichever thread each is called in."""

    @functools.wraps(handler)
    def waiting(*args: P.args, **options: P.kwargs) -> T:
        with _TURN:
            return handler(*args, **options)

    return waiting


def row(shown: list[widgets.Widget]) -> widgets.Box:
    """Return widgets side by side, in more lines where there is no room."""
    return widgets.Box(shown, layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 4px"))


def close_all(shown: tuple[widgets.Widget, ...]) -> None:
    """Close widgets and what is in them, so that neither kernel nor browser keeps what is no longer shown."""
    for one in shown:
        close_all(getattr(one, "children", ()))
        one.close()
        for part in (one.layout, getattr(one, "style", None)):  # widgets of their own, that nobody else uses
            if part is not None:
                part.close()
