"""A page of the explorer's table as plain text: what each cell shows, in one unit for each column."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.content.record import Record
from orstats.content.record_facts import StatusKind, ending_label, status_label
from orstats.frame.column_units import Unit, unit
from orstats.text.format import (
    count,
    durations,
    is_present,
    percents,
    tokens_per_second,
    usd,
    usd_amounts,
    usd_per_mtok,
    usd_places,
)
from orstats.text.sanitize import visible_line
from orstats.text.time_zones import clock

#: The pseudo-column of how a generation ended, from several columns.
STATUS: Final = "status"
STATUS_COLUMNS: Final = ("fetch_status", "finish_reason", "cost_basis", "api_type", "cancelled", "fallbacks")
#: The usual columns: heading, width in pixels, and rank: the highest is hidden first where there is no room.
_USUAL: Final[Mapping[str, tuple[str, int, int]]] = {
    "created_at": ("Time", 128, 2),
    "model": ("Model", 178, 0),
    "provider_name": ("Provider", 118, 3),
    STATUS: ("Status", 102, 0),
    "cost_usd": ("Cost", 92, 0),
    "tokens_total": ("Tokens", 66, 5),
    "generation_time": ("Took", 78, 4),
    "id": ("Id", 96, 6),
}
USUAL_COLUMNS: Final = tuple(_USUAL)
_OTHER_WIDTH: Final = 130
#: Long texts are cut in their middle, because they begin alike.
_CUT: Final = frozenset({"id", "model", "provider_name"})
_GROWING: Final = frozenset({"model"})
_LEAST_GROWING: Final = 130
_LETTER_PX: Final = 7
_DIGIT_PX: Final = 8
_MISSING: Final = "-"
#: Decimals of amounts for which the usual width has room; pages of small amounts show more.
_LEAST_PLACES: Final = 6
#: What a page may send of texts. Of longer ones the beginning is sent; the card has them complete.
_TEXT_BUDGET: Final = 120_000
_SHORTEST, _LONGEST = 60, 600

#: What a cell shows, its title if that differs, and the kind of a status.
Cell = tuple[str, str, StatusKind | None]


def page_columns(page: pd.DataFrame, names: Sequence[str], zone: str) -> list[dict[str, Any]]:
    """Return heading, width and alignment of each column."""
    return [_column(page, name, zone) for name in names]


def page_rows(page: pd.DataFrame, names: Sequence[str], zone: str) -> list[list[Cell]]:
    """Return the cells of each row."""
    longest = min(max(_TEXT_BUDGET // max(1, len(page) * len(names)), _SHORTEST), _LONGEST)
    columns = [list(_cells(page, name, zone, longest)) for name in names]
    return [list(row) for row in zip(*columns, strict=True)]


def status_cell(row: Mapping[str, Any]) -> Cell:
    """Return how a generation ended, from a row's values with None for missing ones: in short, and as the card says."""
    texts = {name: row.get(name) for name in STATUS_COLUMNS}
    known = {name: value for name, value in texts.items() if isinstance(value, str)}
    if "finish_reason" not in row:
        known["api_type"] = "unknown"  # a DataFrame without the column does not say how generations ended
    fallbacks = texts["fallbacks"]
    number = int(fallbacks) if isinstance(fallbacks, int | float) and fallbacks > 0 else None
    record = Record("", cancelled=texts["cancelled"] is True, fallbacks=number, **known)  # type: ignore[arg-type]  # by name
    ending, how = ending_label(record)
    label, kind = status_label(record)
    return label.removeprefix(f"{ending}, ") if how == "good" else ending, label, kind


def plain(value: Any) -> Any:
    """Return a value of a DataFrame as plain Python, with None for a missing one."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    found = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(found, float) and math.isnan(found) else found


def _column(page: pd.DataFrame, name: str, zone: str) -> dict[str, Any]:
    label, width, rank = _USUAL.get(name, (visible_line(name, 40), _OTHER_WIDTH, 1))
    title, place = f"Sort by {name}", ""
    if name in page.columns and isinstance(page[name].dtype, pd.DatetimeTZDtype):
        city = zone.rpartition("/")[2].replace("_", " ")
        place = f" ({city})"
        label, title = f"{label}{place}", f"{title}, shown in {zone}"
        width = max(width, _LETTER_PX * len(label) + 24)
    numeric = name in page.columns and _is_number(page[name])
    if numeric and unit(name) == "USD":
        width += _DIGIT_PX * (_usd_places([plain(value) for value in page[name]]) - _LEAST_PLACES)
    return {
        "name": name,
        "label": label,
        "zone": place,
        "title": title,
        "width": width,
        "least": _LEAST_GROWING if name in _GROWING else width,
        "rank": rank,
        "grows": name in _GROWING,
        "cut": name in _CUT or (name in page.columns and pd.api.types.is_string_dtype(page[name])),
        "numeric": numeric,
    }


def _is_number(values: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _cells(page: pd.DataFrame, name: str, zone: str, longest: int) -> Iterator[Cell]:
    if name == STATUS and STATUS not in page.columns:
        yield from statuses(page)
    elif name == "id":
        yield from (_text(plain(value), longest) for value in page.index)
    elif isinstance(page[name].dtype, pd.DatetimeTZDtype):
        yield from (_time(value, zone) for value in page[name].dt.tz_convert(clock(zone)))
    elif _is_number(page[name]):
        values = [plain(value) for value in page[name]]
        yield from zip(_numbers(name, values), _exact(name, values), [None] * len(values), strict=True)
    else:
        yield from (_text(plain(value), longest) for value in page[name])


def statuses(page: pd.DataFrame) -> Iterator[Cell]:
    """Yield how the generation of each row ended, as :func:`status_cell` does."""
    names = [name for name in STATUS_COLUMNS if name in page.columns]
    for values in zip(*(page[name] for name in names), strict=True):
        yield status_cell(dict(zip(names, map(plain, values), strict=True)))


def _usd_places(values: Sequence[Any]) -> int:
    """Return the number of decimals of a column of amounts."""
    return max(_LEAST_PLACES, usd_places(max((abs(value) for value in values if value), default=1.0)))


def _numbers(name: str, values: Sequence[Any]) -> list[str]:
    """Write the numbers of a column with the same unit and number of decimals, so that their digits align."""
    if unit(name) in _WRITERS:
        return _WRITERS[unit(name)](values)
    if all(value is None or float(value).is_integer() for value in values):
        return [_MISSING if value is None else count(value) for value in values]
    return [_MISSING if value is None else f"{value:,.6g}" for value in values]


_WRITERS: Final[Mapping[Unit, Callable[[Sequence[Any]], list[str]]]] = {
    "USD": lambda amounts: usd_amounts(amounts, _MISSING, places=_usd_places(amounts)),
    "USD/Mtok": lambda prices: [usd_per_mtok(price, _MISSING) for price in prices],
    "ms": lambda times: durations(times, _MISSING, seconds=True),
    "share": lambda shares: percents(shares, _MISSING),
    "tokens/s": lambda speeds: [tokens_per_second(speed, _MISSING) for speed in speeds],
}


def _exact(name: str, values: Sequence[Any]) -> list[str]:
    if unit(name) == "USD":
        return [usd(value) if is_present(value) else "unknown" for value in values]
    suffix = " ms" if unit(name) == "ms" else ""
    return ["" if value is None else f"{value:,}{suffix}" for value in values]


def _time(value: Any, zone: str) -> Cell:
    if value is pd.NaT:
        return _MISSING, "", None
    offset = f"{value:%z}"
    return f"{value:%Y-%m-%d %H:%M}", f"{value:%Y-%m-%d %H:%M:%S.%f} {offset[:3]}:{offset[3:]} ({zone})", None


def _text(value: Any, longest: int) -> Cell:
    if value is None:
        return _MISSING, "", None
    if isinstance(value, bool):
        return "yes" if value else "no", "", None
    return visible_line(value, longest), "", None
