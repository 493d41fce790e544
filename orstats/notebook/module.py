"""The browser modules of card, table and comparison, each joined from ES modules of ``static``."""

from __future__ import annotations

import re
from typing import Final

from orstats.notebook.html.base import static_file

#: Each file after those that it imports.
_TABLE: Final = (
    *("dark", "table/dom", "table/filters", "table/summary", "table/grid", "table/download"),
    *("comparison/difference", "comparison/comparison", "table/detail", "table/table"),
)
_COMPARISON: Final = ("dark", "table/dom", "comparison/difference", "comparison/comparison", "comparison/widget")
_PANE: Final = ("dark", "pane")
_IMPORT: Final = re.compile(r"^import .*\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


def script() -> str:
    """Return the table's ES module. anywidget loads it from a ``blob:`` URL, from which nothing can be imported."""
    return _joined(_TABLE)


def style_sheet() -> str:
    """Return the table's style sheet."""
    return static_file("theme.css") + static_file("table.css") + static_file("comparison.css")


def comparison_script() -> str:
    """Return the ES module of the comparison."""
    return _joined(_COMPARISON)


def comparison_styles() -> str:
    """Return the style sheet of the comparison."""
    return static_file("theme.css") + static_file("comparison.css")


def pane_script() -> str:
    """Return the ES module of cards."""
    return _joined(_PANE)


def pane_styles() -> str:
    """Return the style sheet of cards."""
    return static_file("theme.css") + static_file("card.css")


def _joined(names: tuple[str, ...]) -> str:
    texts = (static_file(f"{name}.js") for name in names)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)
