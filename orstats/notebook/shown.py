"""Small widgets that show what ``render`` made, and keep it out of their repr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from orstats.data.content.escape import Html


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
    made.on_click(lambda _button: on_click())
    return made


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
