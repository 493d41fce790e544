"""Elements of the page. All text from a DataFrame is escaped here, and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from orstats.ids.id_shapes import log_url
from orstats.text.format import is_present
from orstats.text.sanitize import display_text

#: The number of characters that a tooltip shows of a text that was cut.
_TOOLTIP: Final = 1_000
_LONGEST_ID: Final = 200


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a column, which holds numbers (``n``), drawings (``bar``) or text."""

    text: str
    kind: str = ""


def escape(text: object) -> str:
    """Escape text for HTML, inside and outside of attributes."""
    return html.escape(str(text), quote=True)


def name(value: Any, most: int = 60) -> str:
    """Return untrusted text, escaped, isolated in its direction, and cut when long, with more of it as a tooltip.

    >>> name("<script>")
    '<bdi>&lt;script&gt;</bdi>'
    """
    short = display_text(value, most)
    longer = display_text(value, _TOOLTIP)
    tooltip = f' title="{escape(longer)}"' if longer != short else ""
    return f"<bdi{tooltip}>{escape(short)}</bdi>"


def log_link(generation_id: Any) -> str:
    """Return a link to the log page of a generation.

    >>> log_link('gen-1"><b>')
    '<a class="id" href="https://openrouter.ai/logs?transaction=gen-1%22%3E%3Cb%3E">gen-1&quot;&gt;&lt;b&gt;</a>'
    """
    text = str(generation_id)
    if not is_present(generation_id) or len(text) > _LONGEST_ID:
        return f'<span class="id">{name(generation_id)}</span>'
    return f'<a class="id" href="{escape(log_url(text))}">{escape(display_text(text))}</a>'


def table(headers: Sequence[Header], rows: Sequence[Sequence[str]], foot: Sequence[str] = ()) -> str:
    """Return a table of cells, which are HTML; the first cell of a row is its header."""

    def html_row(cells: Sequence[str]) -> str:
        parts = [
            f'<th scope="row">{cell}</th>' if at == 0 else f"<td{_class(headers[at])}>{cell}</td>"
            for at, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(parts)}</tr>"

    head = "".join(f'<th scope="col"{_class(header)}>{escape(header.text)}</th>' for header in headers)
    body = "\n".join(html_row(row) for row in rows)
    end = f"<tfoot>{html_row(foot)}</tfoot>" if foot else ""
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>{end}</table></div>'


def section(title: str, *parts: str) -> str:
    """Return a section with a heading; the parts are HTML."""
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>"


def note(text: str) -> str:
    """Return a paragraph in a soft colour."""
    return f'<p class="soft">{escape(text)}</p>'


def cards(figures: Sequence[tuple[str, str, str]]) -> str:
    """Return headline figures: the label, the figure, and a note about it."""
    parts = [
        f'<div class="card"><dt>{escape(label)}</dt><dd class="big">{escape(figure)}</dd>'
        f'<dd class="more">{escape(more)}</dd></div>'
        for label, figure, more in figures
    ]
    return f'<dl class="cards">{"".join(parts)}</dl>'


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """Return a list of terms and their meanings."""
    return '<dl class="words">' + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in entries) + "</dl>"


def _class(header: Header) -> str:
    return f' class="{header.kind}"' if header.kind else ""
