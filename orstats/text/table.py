"""Tables for terminals: columns that fit a width. Less important columns leave before labels are cut too short."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

# Least widths: of the only label, of one of several labels, of labels that may be omitted, and of prose.
_LABEL: Final = 36
_LABELS: Final = 18
_TEXT: Final = 20
_PROSE: Final = 24
#: Wider lines of prose are hard to read.
_MOST_PROSE: Final = 100
_LEAST: Final = 3
_GAP: Final = 2
#: Where not all columns fit, longer names continue on a second line, after a complete word.
_HEAD: Final = 12
_MOST_HEAD_LINES: Final = 2
_WORDS: Final = re.compile(r"[^_\s]+[_\s]*|[_\s]+")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of text. With too little room, the columns with the highest `leaves` are omitted first; 0 is never."""

    name: str
    cells: Sequence[str]
    kind: Literal["label", "fixed", "number", "prose"] = "number"
    leaves: int = 0
    footer: str = ""


class Fitted(NamedTuple):
    """A table that fits, and the names of the omitted columns."""

    table: Table
    omitted: list[str]


def fit(columns: Sequence[Column], width: int, *, label_style: str = "") -> Fitted:
    """Make a table of as many columns as fit a width.

    >>> from rich.console import Console
    >>> columns = [Column("model", ["google/gemini-2.5-flash"], "label"), Column("cost", ["$1.50"]),
    ...            Column("tokens", ["5,000"], leaves=1)]
    >>> fitted = fit(columns, 24)
    >>> Console(width=24).print(fitted.table)
    model               cost
    google/g….5-flash  $1.50
    >>> fitted.omitted
    ['tokens']
    """
    shown, omitted = list(columns), []
    several = sum(column.kind in {"label", "fixed"} and not column.leaves for column in columns) > 1
    label = _LABELS if several else _LABEL
    head = max((cell_len(column.name) for column in columns), default=0)
    if _total([_least(column, label, head) for column in shown]) > width:
        head = _HEAD
    while _total(widths := [_least(column, label, head) for column in shown]) > width:
        leaving = max(shown, key=lambda column: column.leaves)
        if not leaving.leaves:
            break
        shown.remove(leaving)
        omitted.append(leaving.name)
    for kind in ("label", "prose"):  # these share the room that all other columns leave
        at = [place for place, column in enumerate(shown) if column.kind == kind]
        room = width - _total([0 if place in at else one for place, one in enumerate(widths)])
        for place, one in zip(at, _share_out([_natural(shown[place], head) for place in at], room), strict=True):
            widths[place] = one
    names = [column.name for column in columns if column.name in omitted and column.name]
    return Fitted(_table(shown, widths, label_style), names)


class Trimmed:
    """What rich prints, without spaces at the ends of lines."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for line in console.render_lines(self._content, options, pad=False):
            segments = list(line)
            while segments and not segments[-1].text.strip(" "):
                segments.pop()
            if segments:
                text, style, control = segments[-1]
                segments[-1] = Segment(text.rstrip(" "), style, control)
            yield from segments
            yield Segment.line()


def cut_middle(text: str, width: int) -> str:
    """Cut a text in its middle to a number of terminal cells: names begin alike, and their ends distinguish them.

    >>> cut_middle("google/gemini-2.5-flash-image", 17), cut_middle("short", 9), cut_middle("東京都港区芝公園", 8)
    ('google/g…sh-image', 'short', '東京…園')
    """
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2
    head = width - 1 - tail
    first, last = "", ""
    for character in text:
        if cell_len(first + character) > head:
            break
        first += character
    for character in reversed(text):
        if cell_len(character + last) > tail:
            break
        last = character + last
    while last and (unicodedata.category(last[0]) in {"Mn", "Me", "Cf"} or 0x1F3FB <= ord(last[0]) <= 0x1F3FF):  # noqa: PLR2004 - skin tones: no part of a symbol stands alone
        last = last[1:]
    return f"{first.rstrip(chr(0x200D))}…{last}"


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * max(len(widths) - 1, 0)


def _share_out(naturals: Sequence[int], room: int) -> list[int]:
    """Give each column its natural width, or narrow the widest ones equally until all fit."""
    widths = list(naturals)
    while sum(widths) > max(room, 0) and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _natural(column: Column, head: int) -> int:
    cells = max(map(cell_len, (*column.cells, column.footer)), default=0)
    width = max(cells, head)
    while len(lines := _heading(column, width)) > _MOST_HEAD_LINES:
        width += 1
    natural = max(cells, *map(cell_len, lines))
    return min(natural, _MOST_PROSE) if column.kind == "prose" else natural


def _least(column: Column, label: int, head: int) -> int:
    natural = _natural(column, head)
    if column.kind == "label":
        return min(natural, _TEXT if column.leaves else label)
    return min(natural, _PROSE) if column.kind == "prose" else natural


def _heading(column: Column, width: int) -> list[str]:
    lines = [""]
    for word in _WORDS.findall(column.name):
        if lines[-1] and cell_len(lines[-1] + word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _table(columns: Sequence[Column], widths: Sequence[int], label_style: str) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        footer_style="bold",
        show_footer=any(column.footer for column in columns),
    )
    headings = [
        [cut_middle(line, width) for line in _heading(column, width)]
        for column, width in zip(columns, widths, strict=True)
    ]
    deepest = max(map(len, headings), default=0)
    for number, (column, width, heading) in enumerate(zip(columns, widths, headings, strict=True)):
        table.add_column(
            Text("\n" * (deepest - len(heading)) + "\n".join(heading)),
            Text(cut_middle(column.footer, width)),
            width=width,
            style=label_style if number == 0 else "",
            justify="right" if column.kind == "number" else "left",
            no_wrap=column.kind != "prose",
            overflow="fold" if column.kind == "prose" else "crop",
        )
    cells = [
        column.cells if column.kind != "label" else [cut_middle(cell, width) for cell in column.cells]
        for column, width in zip(columns, widths, strict=True)
    ]
    for row in zip(*cells, strict=True):
        table.add_row(*map(Text, row))
    return table
