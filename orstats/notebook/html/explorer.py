"""The explorer as HTML: a page of the DataFrame as a table, totals, and a chart of cost over time."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.content.record import Record
from orstats.content.record_facts import status_label
from orstats.notebook.html.base import handler
from orstats.text.format import count, duration, plural, usd
from orstats.text.sanitize import NO_MATH, Html, html_line, visible_line

#: Columns of the table, in order: column of the DataFrame, heading, width in pixels. The model takes the rest.
#: Numbers have room for all their digits, because a cost that is cut would be read as another one.
_COLUMNS: Final = (
    ("created_at", "Time (UTC)", 122),
    ("model", "Model", None),
    ("provider_name", "Provider", 88),
    ("status", "Status", 92),
    ("cost_usd", "USD", 100),
    ("tokens_total", "Tokens", 74),
    ("generation_time", "Took", 86),
    ("id", "Id", 62),
)
#: What a narrow table hides first; the card has it all. The sorted column stays, and the time is hidden only for it.
#: The style sheet has a width for each of these.
_OPTIONAL: Final = ("vendor", "provider_name", "id", "tokens_total", "generation_time", "created_at")
_ALWAYS: Final = frozenset({"created_at", "model", "status", "cost_usd"})
#: Of the sorted column where the table has no other; the style sheet counts with it.
_EXTRA_WIDTH: Final = 104
#: ``vendor/name-ending`` or ``vendor/name:variant``. Names begin alike: their endings tell them apart.
_MODEL: Final = re.compile(r"([^/]+/)?(.+?)(:[^:]{1,12}|-[a-zA-Z]{3,5})?")
_ID_ENDING: Final = 6
_NUMBERS: Final = frozenset({"cost_usd", "tokens_total", "generation_time"})
_STATUS_COLUMNS: Final = ("fetch_status", "finish_reason", "cost_basis", "api_type")

# JupyterLab and Notebook 7 see keys first and would move to the next cell on an arrow key.
_NO_SHORTCUTS: Final = 'data-lm-suppress-shortcuts="true"'

_CHART_HEIGHT: Final = 56.0
_CHART_WIDTH: Final = 600.0


@dataclass(frozen=True, slots=True)
class Sorting:
    """The column a table is sorted by, and the position of each column in the list of columns to sort by."""

    column: str
    descending: bool
    positions: Mapping[str, int]

    @property
    def shown(self) -> str:
        """Its name in the table."""
        return "status" if self.column == "fetch_status" else self.column


def table(page: pd.DataFrame, sorting: Sorting | None = None) -> Html:
    """Return a page of rows as a table; without a sorting, one for exported notebooks, which have no style sheet."""
    columns: list[tuple[str, str, int | None]] = list(_COLUMNS)
    css_class, live, events, optional = "orstats-rows", "", "", {}
    if sorting is not None:
        if sorting.shown not in {name for name, _, _ in columns}:
            css_class += " orstats-extra"
            columns.insert(-1, (sorting.column, sorting.column, _EXTRA_WIDTH))
        staying = _ALWAYS if sorting.shown in _ALWAYS else {sorting.shown}
        hidden = (name for name in _OPTIONAL if name not in staying)
        optional = {name: f"orstats-optional{number}" for number, name in enumerate(hidden)}
        live = " data-live"
        events = f' tabindex="0" {_NO_SHORTCUTS} onclick="{handler("table")}" onkeydown="this.onclick(event)"'
    heads = "".join(_head(*column, sorting, optional) for column in columns)
    names = [name for name, _, _ in columns]
    body = "".join(
        f'<tr data-row="{number}">{"".join(_cells(row, names, optional))}</tr>'
        for number, row in enumerate(_rows(page))
    )
    return Html(
        f'<div class="orstats-scroll {NO_MATH}" role="region" aria-label="Generations"{events}>'
        f'<table class="{css_class}"{live}><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def selected_row(css_class: str, row: int | None) -> Html:
    """Return the style that marks one row of a table, so that a selection need not send the table again."""
    if row is None:
        return Html("")
    selector = f".{css_class} table.orstats-rows[data-live] tbody tr:nth-child({row + 1})"
    high_contrast = "@media (forced-colors:active)"  # pages have no colours of their own there
    return Html(
        f"<style>{selector}{{background:rgba(59,130,246,.15);box-shadow:inset 3px 0 #3b82f6}}"
        f"{high_contrast}{{{selector}{{outline:3px solid Highlight;outline-offset:-3px}}}}</style>"
    )


def empty(text: str) -> Html:
    """Return a placeholder for a table or card without content."""
    return Html(f'<div class="orstats-empty">{html_line(text)}</div>')


def totals(figures: Sequence[tuple[str, str]]) -> Html:
    """Return figures in a row, each a number and its unit."""
    shown = "".join(f"<div><b>{html_line(number)}</b> <span>{html_line(unit)}</span></div>" for number, unit in figures)
    return Html(f'<div class="orstats-totals {NO_MATH}">{shown}</div>')


def chart(edges: Sequence[datetime], costs: Sequence[float]) -> Html:
    """Return bars of the cost between each two edges."""
    highest = max(0.0, *costs)
    width = _CHART_WIDTH / len(costs)
    bars = []
    for number, cost in enumerate(costs):
        height = max(_CHART_HEIGHT * cost / highest, 1.0) if cost > 0 else 0.0
        title = f"{edges[number]:%Y-%m-%d %H:%M} to {edges[number + 1]:%Y-%m-%d %H:%M} UTC: {usd(cost)}"
        across = f'x="{number * width:.1f}" width="{width * 0.82:.1f}"'
        bars.append(
            f'<g><title>{title}</title><rect class="orstats-hit" {across} y="0" height="{_CHART_HEIGHT:.0f}"/>'
            f'<rect {across} y="{_CHART_HEIGHT - height:.1f}" height="{height:.1f}"/></g>'
        )
    label = f"Cost over time, at most {usd(highest)} per bar"
    return Html(
        f'<svg class="orstats-chart" role="img" aria-label="{label}" preserveAspectRatio="none" '
        f'viewBox="0 0 {_CHART_WIDTH:.0f} {_CHART_HEIGHT + 2:.0f}">{"".join(bars)}'
        f'<line x1="0" x2="{_CHART_WIDTH:.0f}" y1="{_CHART_HEIGHT + 1:.0f}" y2="{_CHART_HEIGHT + 1:.0f}"/></svg>'
        f'<div class="orstats-axis {NO_MATH}"><span>{edges[0]:%Y-%m-%d %H:%M}</span>'
        f"<span>{label}</span><span>{edges[-1]:%Y-%m-%d %H:%M} UTC</span></div>"
    )


def _head(name: str, label: str, width: int | None, sorting: Sorting | None, optional: Mapping[str, str]) -> str:
    css_class = _class("orstats-num" if name in _NUMBERS else "", optional.get(name, ""))
    if sorting is None:
        return f"<th{css_class}>{html_line(label)}</th>"
    column = "fetch_status" if name == "status" else name
    arrow = (" ▾" if sorting.descending else " ▴") if sorting.shown == name else ""
    position = sorting.positions.get(column)
    data = "" if position is None else f' data-sort="{position}" title="Sort by {html_line(column)}"'
    style = f' style="width:{width}px"' if width else ""
    shown = html_line(label).replace(" (UTC)", '<span class="orstats-hour"> (UTC)</span>')
    return f"<th{css_class}{data}{style}>{shown}{arrow}</th>"


def _class(*names: str) -> str:
    joined = " ".join(name for name in names if name)
    return f' class="{joined}"' if joined else ""


def _rows(page: pd.DataFrame) -> Iterator[dict[str, Any]]:
    columns = [str(name) for name in page.columns]
    for identifier, values in zip(page.index, page.itertuples(index=False, name=None), strict=True):
        yield {**dict(zip(columns, map(_value, values), strict=True)), "id": _value(identifier)}


def _cells(row: Mapping[str, Any], names: Sequence[str], optional: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        value, hidden = row.get(name), optional.get(name, "")
        if name == "status":
            short, complete, kind = _status(row)
            yield f'<td{_class(f"orstats-{kind}")} title="{html_line(complete)}">{html_line(short)}</td>'
        elif name in _NUMBERS:
            yield f"<td{_class('orstats-num', hidden)}>{_number(name, value)}</td>"
        elif name == "created_at":
            yield _time(value, hidden)
        else:
            text = "-" if value is None else visible_line(value)
            css_class = "orstats-quiet" if value is None else ""
            shown = html.escape(text)
            if name == "id":  # ids begin alike: their endings tell them apart
                css_class = "orstats-mono"
                shown = html.escape(f"…{text[-_ID_ENDING:]}") if optional and len(text) > _ID_ENDING + 1 else shown
            elif name == "model" and optional:
                shown = _model(text, optional["vendor"])
            yield f'<td{_class(css_class, hidden)} title="{html.escape(text)}"><bdi>{shown}</bdi></td>'


def _model(text: str, hidden: str) -> Html:
    """Return a model such that the style sheet can hide the vendor, and cut the name before its ending."""
    match = _MODEL.fullmatch(text)
    vendor, name, ending = match.groups("") if match else ("", text, "")
    first = f'<span class="orstats-quiet {hidden}">{html.escape(vendor)}</span>' if vendor else ""
    style = f' style="max-width:calc(100% - {len(ending)}ch)"'
    return Html(f'<span class="orstats-cut"{style}>{first}{html.escape(name)}</span>{html.escape(ending)}')


def _status(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the status in short, the status with the number of fallbacks, and its kind."""
    known: dict[str, Any] = {name: str(row[name]) for name in _STATUS_COLUMNS if row.get(name) is not None}
    if "finish_reason" not in row:
        known["api_type"] = "unknown"  # a DataFrame without the column does not say how generations ended
    label, kind = status_label(Record(str(row["id"]), cancelled=row.get("cancelled") is True, **known))
    number = row.get("fallbacks")
    if not isinstance(number, int | float) or not number > 0:
        return label, label, kind
    fallbacks = plural(int(number), "fallback")
    return (fallbacks, f"{label}, {fallbacks}", "unusual") if kind == "good" else (label, f"{label}, {fallbacks}", kind)


def _number(name: str, value: Any) -> str:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "-" if value is None else html_line(value)
    if name == "cost_usd":
        return usd(float(value)).replace("$", "")
    return count(int(value)) if name == "tokens_total" else duration(float(value))


def _time(value: Any, hidden: str) -> str:
    if not isinstance(value, pd.Timestamp):
        return f"<td{_class(hidden)}>{'-' if value is None else html_line(value)}</td>"
    hour = f'<span class="orstats-hour"> {value:%H:%M}</span>'
    return f'<td{_class(hidden)} title="{value:%Y-%m-%d %H:%M:%S.%f} UTC">{value:%Y-%m-%d}{hour}</td>'


def _value(value: Any) -> Any:
    """Return a cell as plain Python, with None for a missing value."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
