"""A page of the frame as an HTML table. Every cell is a stranger's text until it is escaped here."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.content.labels import status_label
from orstats.content.record import Record
from orstats.notebook.html.explore_style import MORE_WIDTH
from orstats.text.format import count, duration, plural, usd
from orstats.text.sanitize import Html, html_line, visible_line

#: What is shown of a row, in order: column of the frame, heading, width in pixels. The model takes what is left.
#: Numbers have room for all their digits: a cost that is cut short would be read as another one.
_COLUMNS: Final = (
    ("created_at", "Time (UTC)", 122),
    ("model", "Model", None),
    ("provider_name", "Provider", 88),
    ("state", "State", 92),
    ("cost_usd", "USD", 100),
    ("tokens_total", "Tokens", 74),
    ("generation_time", "Took", 86),
    ("id", "Id", 62),
)
#: What leaves a table with little room, in this order, but for the column sorted by; the card has it all, too.
#: The time makes room only for a column that would not be there if it were not sorted by.
_LEAVING: Final = ("vendor", "provider_name", "id", "tokens_total", "generation_time", "created_at")
_STAYING: Final = frozenset({"created_at", "model", "state", "cost_usd"})
#: ``vendor/name-ending`` or ``vendor/name:variant``. Names begin alike: their endings tell them apart.
_MODEL: Final = re.compile(r"([^/]+/)?(.+?)(:[^:]{1,12}|-[a-zA-Z]{3,5})?")
_TAIL: Final = 6
_NUMBERS: Final = frozenset({"cost_usd", "tokens_total", "generation_time"})
_STATUS_COLUMNS: Final = ("fetch_status", "cancelled", "finish_reason", "cost_basis", "api_type")

# Notebook 7 and JupyterLab see keys first, and would go to the next cell at an arrow.
_NO_SHORTCUTS: Final = 'data-lm-suppress-shortcuts="true"'

# A turned or sorted page is a new table, and would leave the focus nowhere: the next key would go to the notebook.
_FOCUS_NEXT: Final = (
    "var f=this,m=0;(function on(){var s=x.querySelector('.orstats-scroll');"
    "if(s==f){if(m++&lt;40)setTimeout(on,50)}"
    "else if(s&amp;&amp;document.activeElement==document.body)s.focus({preventScroll:true})})();"
)

# Both handlers are constants: no word of a stranger is in them. They drive the page's native list of rows and the
# list of columns, which are there for keyboards and front ends without scripts, too. Down to the list's own change
# event, so that Python hears of it. Keys are kept from the notebook, which has other uses for them.
_ON_CLICK: Final = (
    "var t=event.target,x=this.closest('.orstats-explorer');if(!x)return;"
    "var h=t.closest('th[data-sort]'),r=t.closest('tr[data-row]'),"
    "q=h?'.orstats-sort select':'.orstats-pick select',s=x.querySelector(q);if(!s||!(h||r))return;"
    f"if(h){{{_FOCUS_NEXT}}}"
    "if(h&amp;&amp;s.selectedIndex==+h.dataset.sort){x.querySelector('.orstats-turn-order').click();return}"
    "s.selectedIndex=h?+h.dataset.sort:+r.dataset.row+1;"
    "s.dispatchEvent(new Event('change',{bubbles:true}));this.focus({preventScroll:true})"
)
_ON_KEY: Final = (
    "var d={ArrowDown:1,ArrowUp:-1,Home:-1e6,End:1e6}[event.key],x=this.closest('.orstats-explorer');"
    "if(!x||event.ctrlKey||event.metaKey||event.altKey)return;"
    "if(event.key=='Enter'){"  # the card may still be on its way
    "var r=this.querySelectorAll('tbody tr')[x.querySelector('.orstats-pick select').selectedIndex-1],n=0;"
    "(function go(){var c=x.querySelector('.orstats-right .orstats-card .orstats-id'),"
    "l='.orstats-right .orstats-card button ',b=x.querySelector(l+'.fa-download,'+l+'.fa-refresh');"
    "if(r&amp;&amp;c&amp;&amp;b&amp;&amp;c.textContent==r.lastElementChild.title)b.closest('button').click();"
    "else if(r&amp;&amp;n++&lt;40)setTimeout(go,50)})()}"
    "else if(event.key=='PageDown'||event.key=='PageUp'){"
    f"{_FOCUS_NEXT}x.querySelector(event.key=='PageDown'?'.orstats-page-next':'.orstats-page-back').click()}}"
    "else if(d){var s=x.querySelector('.orstats-pick select'),n=s.options.length-1,"
    "i=Math.max(1,Math.min(n,s.selectedIndex+d));"
    "if(n>0&amp;&amp;i!=s.selectedIndex){s.selectedIndex=i;s.dispatchEvent(new Event('change',{bubbles:true}))}}"
    "else return;event.preventDefault();event.stopPropagation()"
)


@dataclass(frozen=True, slots=True)
class Sorting:
    """By which column, which way, and the place of each column in the list that is offered."""

    column: str
    descending: bool
    places: Mapping[str, int]

    @property
    def shown(self) -> str:
        """Under which name the table shows that column."""
        return "state" if self.column == "fetch_status" else self.column


def table(page: pd.DataFrame, sorting: Sorting | None = None) -> Html:
    """Return a page of rows as a table."""
    columns = list(_COLUMNS)
    more = ""
    if sorting is not None and sorting.shown not in {name for name, _, _ in columns}:
        more = " orstats-more"
        columns.insert(-1, (sorting.column, sorting.column, MORE_WIDTH))
    leaves = _leaves(sorting)
    heads = "".join(_head(*column, sorting, leaves) for column in columns)
    names = [name for name, _, _ in columns]
    body = "".join(
        f'<tr data-row="{number}">{"".join(_cells(row, names, leaves))}</tr>' for number, row in enumerate(_rows(page))
    )
    live = "" if sorting is None else " data-live"
    events = "" if sorting is None else f' tabindex="0" {_NO_SHORTCUTS} onclick="{_ON_CLICK}" onkeydown="{_ON_KEY}"'
    return Html(
        f'<div class="orstats-scroll tex2jax_ignore mathjax_ignore" role="region" aria-label="Generations"{events}>'
        f'<table class="orstats-rows{more}"{live}><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def empty(said: str) -> Html:
    """Return what stands where there are no rows."""
    return Html(f'<div class="orstats-empty">{html_line(said)}</div>')


def totals(figures: Sequence[tuple[str, str]]) -> Html:
    """Return figures in a row: the number, then what it is."""
    inside = "".join(
        f"<div><b>{html_line(number)}</b> <span>{html_line(what)}</span></div>" for number, what in figures
    )
    return Html(f'<div class="orstats-totals tex2jax_ignore mathjax_ignore">{inside}</div>')


def _leaves(sorting: Sorting | None) -> dict[str, str]:
    """Return the class by which each of the less important leaves. A static table has no style sheet, and keeps all."""
    if sorting is None:
        return {}
    staying = _STAYING if sorting.shown in _STAYING else {sorting.shown}
    return {name: f"orstats-leaves{n}" for n, name in enumerate(name for name in _LEAVING if name not in staying)}


def _head(name: str, label: str, width: int | None, sorting: Sorting | None, leaves: Mapping[str, str]) -> str:
    kind = _kind("orstats-num" if name in _NUMBERS else "", leaves.get(name, ""))
    if sorting is None:
        return f"<th{kind}>{html_line(label)}</th>"
    column = "fetch_status" if name == "state" else name
    arrow = (" ▾" if sorting.descending else " ▴") if sorting.shown == name else ""
    place = sorting.places.get(column)
    data = "" if place is None else f' data-sort="{place}" title="Sort by {html_line(column)}"'
    sized = f' style="width:{width}px"' if width else ""
    said = html_line(label).replace(" (UTC)", '<span class="orstats-hour"> (UTC)</span>')
    return f"<th{kind}{data}{sized}>{said}{arrow}</th>"


def _kind(*names: str) -> str:
    held = " ".join(name for name in names if name)
    return f' class="{held}"' if held else ""


def _rows(page: pd.DataFrame) -> Iterator[dict[str, Any]]:
    columns = [str(name) for name in page.columns]
    for identifier, values in zip(page.index, page.itertuples(index=False, name=None), strict=True):
        yield {**dict(zip(columns, map(_value, values), strict=True)), "id": _value(identifier)}


def _cells(row: Mapping[str, Any], names: Sequence[str], leaves: Mapping[str, str]) -> Iterator[str]:
    for name in names:
        value, leaving = row.get(name), leaves.get(name, "")
        if name == "state":
            short, complete, kind = _status(row)
            yield f'<td{_kind(f"orstats-{kind}")} title="{html_line(complete)}">{html_line(short)}</td>'
        elif name in _NUMBERS:
            yield f"<td{_kind('orstats-num', leaving)}>{_number(name, value)}</td>"
        elif name == "created_at":
            yield _moment(value, leaving)
        else:
            text = "-" if value is None else visible_line(value)
            kind = "orstats-quiet" if value is None else ""
            shown = html.escape(text)
            if name == "id":  # ids begin alike: what tells them apart is the end
                kind = "orstats-mono"
                shown = html.escape(f"…{text[-_TAIL:]}") if leaves and len(text) > _TAIL + 1 else shown
            elif name == "model" and leaves:
                shown = _model(text, leaves["vendor"])
            yield f'<td{_kind(kind, leaving)} title="{html.escape(text)}"><bdi>{shown}</bdi></td>'


def _model(text: str, leaving: str) -> Html:
    """Return a model's name such that the style sheet can drop the vendor, and cut the rest before its ending."""
    found = _MODEL.fullmatch(text)
    vendor, name, ending = found.groups("") if found else ("", text, "")
    first = f'<span class="orstats-quiet {leaving}">{html.escape(vendor)}</span>' if vendor else ""
    room = f' style="max-width:calc(100% - {len(ending)}ch)"'
    return Html(f'<span class="orstats-cut"{room}>{first}{html.escape(name)}</span>{html.escape(ending)}')


def _status(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return how a generation ended, in short and with its fallbacks, and whether that is good, odd or bad."""
    facts = {name: row[name] for name in _STATUS_COLUMNS if row.get(name) is not None}
    facts |= {name: str(facts[name]) for name in ("fetch_status", "finish_reason") if name in facts}
    if "finish_reason" not in row:
        facts["api_type"] = "unknown"  # a frame without the column does not say how generations ended
    text, kind = status_label(Record(row["id"], **facts))
    number = row.get("fallbacks")
    if not isinstance(number, int | float) or not number > 0:
        return text, text, kind
    fallbacks = plural(int(number), "fallback")
    return (fallbacks, f"{text}, {fallbacks}", "odd") if kind == "good" else (text, f"{text}, {fallbacks}", kind)


def _number(name: str, value: Any) -> str:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "-" if value is None else html_line(value)
    if name == "cost_usd":
        return usd(float(value)).removeprefix("$")
    return count(int(value)) if name == "tokens_total" else duration(float(value))


def _moment(value: Any, leaving: str) -> str:
    if not isinstance(value, pd.Timestamp):
        return f"<td{_kind(leaving)}>{'-' if value is None else html_line(value)}</td>"
    hour = f'<span class="orstats-hour"> {value:%H:%M}</span>'
    return f'<td{_kind(leaving)} title="{value:%Y-%m-%d %H:%M:%S.%f} UTC">{value:%Y-%m-%d}{hour}</td>'


def _value(value: Any) -> Any:
    """Return a cell as plain Python: None when it is missing, NumPy's numbers and flags as Python's."""
    if value is None or value is pd.NA or value is pd.NaT or isinstance(value, pd.Timestamp):
        return None if value is pd.NaT or value is pd.NA else value
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
