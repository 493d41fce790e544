"""The explorer's browser module: the ES modules of ``static/table``, joined to the one that anywidget loads."""

from __future__ import annotations

import re
from typing import Final

from orstats.notebook.html.base import static_file

#: Each file after those that it imports.
_FILES: Final = ("dom", "filters", "summary", "grid", "download", "detail", "table")
_IMPORT: Final = re.compile(r"^import .*\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


def script() -> str:
    """Return one ES module. anywidget loads it from a ``blob:`` URL, from which no other file can be imported."""
    texts = (static_file(f"table/{name}.js") for name in _FILES)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


def style_sheet() -> str:
    """Return the style sheet of the module."""
    return static_file("theme.css") + static_file("table.css")
