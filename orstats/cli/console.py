"""What commands print: status on standard error, data on standard output."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from orstats.text.sanitize import terminal_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from orstats.text.table import Column


def print_status(
    text: str, style: str = "", *, title: str = "", title_style: str = "", is_command: bool = False
) -> None:
    """Print text on standard error, without markup and without control characters.

    A terminal gets lines that are broken between words, except for a command, which is to be copied as one line. The
    beginning of the text may have a style of its own.
    """
    from rich.console import Console
    from rich.text import Text

    from orstats.text.wrap import wrapped

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    text = terminal_text(text)
    if sys.stderr.isatty() and not is_command:
        text = wrapped(text, console.width)
    shown = Text(text)
    shown.stylize(style, len(title))
    shown.stylize(title_style, 0, len(title))
    console.print(shown)


def stdout_console() -> Console:
    """Return the console for text and tables on standard output."""
    from rich.console import Console

    return Console(highlight=False)


_UNLIMITED: Final = 10_000


def _is_limited() -> bool:
    """Whether standard output has a width: a terminal, not a pipe or file."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def print_table(columns: Sequence[Column], *, label_style: str = "") -> list[str]:
    """Print a table that fits the terminal, or all of it to pipes and files. Return remarks about omitted columns."""
    from rich.console import Console

    from orstats.text.table import Trimmed, fit

    width = stdout_console().width if _is_limited() else _UNLIMITED
    fitted = fit(columns, width, label_style=label_style)
    Console(highlight=False, width=max(width, _UNLIMITED)).print(Trimmed(fitted.table), soft_wrap=True)
    if not fitted.omitted:
        return []
    return [f"Not shown: {', '.join(fitted.omitted)}. A wider terminal shows all columns, as a pipe (| less -S) does."]


def print_pairs(*groups: Mapping[str, str]) -> None:
    """Print names and texts side by side on standard output, with an empty line between groups."""
    from rich.table import Table
    from rich.text import Text

    from orstats.text.table import Trimmed

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for place, pairs in enumerate(groups):
        if place:
            grid.add_row()
        for name, text in pairs.items():
            grid.add_row(name, Text(text))
    stdout_console().print(Trimmed(grid))


def print_text(text: Text) -> None:
    """Print text on standard output, wrapped between words on a terminal and unchanged to pipes and files."""
    from orstats.text.table import Trimmed

    if _is_limited():
        stdout_console().print(Trimmed(text))
    else:
        stdout_console().print(text, soft_wrap=True)


def write_json(value: Any) -> None:
    """Write a value to standard output as indented JSON."""
    import orjson

    data_stream().write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def data_stream() -> Any:
    """Return standard output for data: UTF-8 on every system, line ends unchanged, sanitized on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return _Terminal(sys.stdout) if sys.stdout.isatty() else sys.stdout


class _Terminal:
    """A terminal to which untrusted text may be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.flush = stream.flush

    def write(self, text: str) -> None:
        self._stream.write(terminal_text(text))

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(map(terminal_text, lines))
