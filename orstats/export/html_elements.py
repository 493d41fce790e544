"""Pieces of the page. Whatever comes from a frame is escaped here, and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from orstats.ids.formats import log_url
from orstats.text.format import is_present
from orstats.text.sanitize import display_text

#: Characters that a tooltip shows of a text that was cut.
_TOOLTIP: Final = 1_000
_LONGEST_ID: Final = 200


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its header, and ``n`` for numbers, ``bar`` for a drawing, or nothing for text."""

    header: str
    kind: str = ""


def escape(text: object) -> str:
    """Escape text for HTML, inside and outside of attributes."""
    return html.escape(str(text), quote=True)


def name(value: Any, most: int = 60) -> str:
    """Write a stranger's text: escaped, its direction kept to itself, cut when long, with more of it as a tooltip.

    Examples
    --------
    >>> name("<script>")
    '<bdi>&lt;script&gt;</bdi>'
    """
    short = display_text(value, most)
    whole = display_text(value, _TOOLTIP) if is_present(value) else short
    tooltip = f' title="{escape(whole)}"' if whole != short else ""
    return f"<bdi{tooltip}>{escape(short)}</bdi>"


def log_link(generation_id: Any) -> str:
    """Link a generation to the vendor's page of it.

    Examples
    --------
    >>> log_link('gen-1"><b>')
    '<a class="id" href="https://openrouter.ai/logs?transaction=gen-1%22%3E%3Cb%3E">gen-1&quot;&gt;&lt;b&gt;</a>'
    """
    text = str(generation_id)
    if not is_present(generation_id) or len(text) > _LONGEST_ID:
        return f'<span class="id">{name(generation_id)}</span>'
    return f'<a class="id" href="{escape(log_url(text))}">{escape(display_text(text))}</a>'


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], foot: Sequence[str] = ()) -> str:
    """Make a table; the first cell of a row is its header. Cells are HTML."""

    def line(cells: Sequence[str]) -> str:
        made = [
            f'<th scope="row">{cell}</th>' if at == 0 else f"<td{_class(columns[at])}>{cell}</td>"
            for at, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(made)}</tr>"

    head = "".join(f'<th scope="col"{_class(column)}>{escape(column.header)}</th>' for column in columns)
    body = "\n".join(line(row) for row in rows)
    end = f"<tfoot>{line(foot)}</tfoot>" if foot else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>{end}</table></div>'


def section(title: str, *parts: str) -> str:
    """Make a section under a heading."""
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>"


def note(text: str) -> str:
    """Make a quiet paragraph."""
    return f'<p class="soft">{escape(text)}</p>'


def cards(figures: Sequence[tuple[str, str, str]]) -> str:
    """Make the headline figures: label, figure, and what to know about it."""
    made = [
        f'<div class="card"><dt>{escape(label)}</dt><dd class="big">{escape(figure)}</dd>'
        f'<dd class="more">{escape(more)}</dd></div>'
        for label, figure, more in figures
    ]
    return f'<dl class="cards">{"".join(made)}</dl>'


def words(entries: Sequence[tuple[str, str]]) -> str:
    """Make a list of words and their meanings."""
    return '<dl class="words">' + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in entries) + "</dl>"


def _class(column: Column) -> str:
    return f' class="{column.kind}"' if column.kind else ""
