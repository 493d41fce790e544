"""The explorer as HTML, for exported notebooks: its figures and first rows."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from orstats.notebook.table_page import STATUS, USUAL_COLUMNS, page_columns, page_rows
from orstats.text.sanitize import NO_MATH, Html, html_line

_LONGEST: Final = 300


def table(page: pd.DataFrame, zone: str = "UTC") -> Html:
    """Return rows as a table without a style sheet."""
    known = {"id", STATUS, *map(str, page.columns)}
    names = [name for name in USUAL_COLUMNS if name in known and (name != STATUS or "fetch_status" in page.columns)]
    columns = page_columns(page, names, zone)
    heads = "".join(f"<th{_style(column)}>{html_line(column['label'])}</th>" for column in columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td{_style(column)} title="{html_line(title, _LONGEST)}"><bdi>{html.escape(text)}</bdi></td>'
            for column, (text, title, _) in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in page_rows(page, names, zone)
    )
    return Html(f'<table class="orstats-static {NO_MATH}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>')


def empty(text: str) -> Html:
    """Return a placeholder where no card is open."""
    return Html(f'<div class="orstats-empty">{html_line(text)}</div>')


def totals(figures: Sequence[tuple[str, str]]) -> Html:
    """Return figures in a row, each a number and its unit."""
    shown = " · ".join(f"<b>{html_line(number)}</b> {html_line(unit)}" for number, unit in figures)
    return Html(f'<div class="{NO_MATH}">{shown}</div>')


def _style(column: Mapping[str, Any]) -> str:
    """Break no cell but those of long texts."""
    align = "text-align:right" if column["numeric"] else "text-align:left"
    return f' style="{align}"' if column["cut"] else f' style="{align};white-space:nowrap"'
