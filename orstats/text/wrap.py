"""Break long lines between words, for terminals, which break them anywhere."""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len

#: A command in backticks is one word, so that it can be copied.
_WORD: Final = re.compile(r"(?:`[^`\n]*`|\S)+")


def wrapped(text: str, width: int) -> str:
    """Break lines that are wider than a number of terminal cells; what continues a line is indented like it.

    >>> print(wrapped("  Not found: check the ids, or run `orstats fetch`.", 24))
      Not found: check the
      ids, or run
      `orstats fetch`.
    """
    lines = []
    for line in text.split("\n"):
        if cell_len(line) <= width:
            lines.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip())]
        current = indent
        for word in _WORD.findall(line):
            if current != indent and cell_len(current) + 1 + cell_len(word) > width:
                lines.append(current)
                current = indent
            current += f" {word}" if current != indent else word
        lines.append(current)
    return "\n".join(lines)
