"""The columns of a report as text, formatted by what they measure, and the order in which they leave a narrow table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from orstats.frame import money
from orstats.frame.column_units import Unit, is_additive, is_amount, unit
from orstats.text.format import (
    column_places,
    count,
    duration,
    durations,
    in_seconds,
    is_other_groups,
    is_present,
    percents,
    tokens_per_second,
    usd_amounts,
    usd_per_mtok,
)
from orstats.text.sanitize import display_text
from orstats.text.time_zones import period_labels

if TYPE_CHECKING:
    from orstats.text.table import Column

_MISSING: Final = "?"
#: Longer texts are cut in the middle.
MOST_CHARACTERS: Final = 1000
_PROSE: Final = frozenset({"advice", "error", "meaning", "note", "reason", "source"})
#: What people look at reports for: without room for all columns, others leave a printed table before these.
_IMPORTANT: Final = (
    *("value", "note", "cost_usd", "fetch_status", "advice", "difference_usd", "reason", "meaning"),
    *("latency_p50", "failed_share", "change_usd", "before_usd", "after_usd"),
    *("outlook", "runs_out_at", "left_usd", "limit_usd", "what_if_usd", "generations"),
    *("volume_usd", "mix_usd", "size_usd", "price_usd", "wall_s", "busy_s"),
    *("share", "tokens_total", "account_usd", "usd", "missing", "latency_p95"),
    *("failed", "failed_attempts", "failed_attempt_share", "attempts", "failed_cost_usd"),
)
#: The same for reports without a cost.
_OF_TOKENS: Final = ("tokens_total", "native_tokens_prompt", "native_tokens_completion")
#: Changes of amounts, which are written with their sign.
_CHANGES: Final = frozenset({"change_usd", "volume_usd", "mix_usd", "size_usd", "price_usd", "difference_usd"})


def formatted_columns(
    frame: pd.DataFrame, *, totals_of: pd.DataFrame | None = None
) -> tuple[list[Column], list[Column]]:
    """Return the levels of the index and the columns as text, formatted by what they measure.

    The amounts of a table have the same number of decimals, except means, prices and percentiles, which are smaller.
    The last line has the totals of `totals_of`, of which `frame` may be a part.
    """
    totals = {} if totals_of is None else _totals(totals_of)
    return _row_labels(frame, has_totals=totals_of is not None), _columns(frame, totals)


def _row_labels(frame: pd.DataFrame, *, has_totals: bool) -> list[Column]:
    """Return the levels of the index; the rows that fold other groups have one name only."""
    from orstats.text.table import Column  # noqa: PLC0415 - loads rich

    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        return []
    freq = frame.attrs.get("coverage", {}).get("freq")
    labels = []
    is_rest = np.zeros(len(frame), dtype=bool)
    for level, name in enumerate(frame.index.names):
        values = pd.Series(frame.index.get_level_values(level))
        if name == "period" and freq is not None and isinstance(values.dtype, pd.DatetimeTZDtype):
            cells = [label or _MISSING for label in period_labels(values, freq)]
        elif values.dtype.kind == "M":
            cells = _times(values)
        else:
            is_blank = is_rest & (values == "").fillna(value=False).to_numpy(dtype=bool)
            cells = [
                "" if blank else display_text(value, MOST_CHARACTERS)
                for blank, value in zip(is_blank, values, strict=True)
            ]
            is_rest |= values.map(is_other_groups).to_numpy(dtype=bool)
        footer = "total" if level == 0 and has_totals else ""
        labels.append(
            Column(display_text(name), cells, "fixed" if values.dtype.kind == "M" else "label", footer=footer)
        )
    return labels


def _columns(frame: pd.DataFrame, totals: Mapping[str, Any]) -> list[Column]:
    from orstats.text.table import Column  # noqa: PLC0415 - loads rich

    columns = []
    amounts = {str(name): column for name, column in frame.items() if is_amount(str(name)) and column.dtype.kind == "f"}
    places = column_places(*amounts.values(), [totals[name] for name in amounts if name in totals])
    seconds = {_measure(name) for name, column in frame.items() if unit(str(name)) == "ms" and in_seconds(column)}
    for at, name in enumerate(frame.columns):
        values = frame.iloc[:, at]
        has_total = str(name) in totals
        if has_total:
            values = pd.Series([*values, totals[str(name)]], dtype=values.dtype, name=name)
        if name == "value" and "unit" in frame:
            cells = _by_unit(values, frame["unit"])
        elif str(name) in amounts:
            cells = usd_amounts(values, _MISSING, places=places, signed=name in _CHANGES)
        else:
            cells = _texts(values, seconds=_measure(name) in seconds)
        footer = cells.pop() if has_total else ""
        is_text = values.dtype == object or isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype)
        number = name == "value" or not is_text
        columns.append(
            Column(
                display_text(name), cells, "number" if number else "prose" if name in _PROSE else "label", footer=footer
            )
        )
    return columns


def _totals(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the sums of amounts and counts, by name of the column; a sum without known values is missing."""
    totals: dict[str, Any] = {}
    for name, column in frame.items():
        if is_additive(str(name)) and unit(str(name)) != "share" and column.dtype.kind in "iuf":
            totals[str(name)] = money.total(column) if unit(str(name)) == "USD" else column.sum(min_count=1)
            if column.isna().all():
                totals[str(name)] = pd.NA if column.dtype.kind in "iu" else np.nan
    return totals


def by_importance(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with the order in which they leave a narrow table; the most important number stays."""
    has_cost = any(column.name == "cost_usd" for column in columns)
    order = dict.fromkeys(_IMPORTANT if has_cost else (*_OF_TOKENS, *_IMPORTANT))
    ranks = {name: rank for rank, name in enumerate(order, 1)}
    found = [ranks.get(column.name, len(ranks) + at) for at, column in enumerate(columns, 1)]
    stays = min(found, default=0)
    return [
        replace(column, leaves=0 if rank == stays and column.kind == "number" else rank)
        for rank, column in zip(found, columns, strict=True)
    ]


def in_order(columns: Sequence[Column]) -> list[Column]:
    """Return the columns so that the last ones leave a narrow table first, the first one stays, and no text is cut."""
    return [
        replace(column, leaves=at, kind="prose" if column.kind == "label" else column.kind)
        for at, column in enumerate(columns)
    ]


def _measure(name: Any) -> str:
    """Return what percentiles are of: those of one measure are written in one unit."""
    return re.sub(r"_p\d+$", "", str(name))


def _texts(values: pd.Series[Any], *, seconds: bool) -> list[str]:
    """Write the values of a column, in one unit and with one number of places."""
    kind, name = values.dtype.kind, str(values.name)
    if kind == "M":
        return _times(values)
    if kind in "iu":
        return _counts(values, _MISSING)
    if kind == "f":
        if unit(name) == "ms":
            return durations(values, _MISSING, seconds=seconds)
        return _WRITERS.get(unit(name), _numbers)(values, _MISSING)
    return [
        display_text(value, MOST_CHARACTERS) if is_present(value) and str(value).strip() else "" for value in values
    ]


def _by_unit(values: pd.Series[Any], units: pd.Series[Any]) -> list[str]:
    """Write values of several units: those of one unit with one number of places."""
    cells = np.full(len(values), _MISSING, dtype=object)
    for name in units.unique():
        of_unit = (units == name).to_numpy()
        cells[of_unit] = _UNIT_WRITERS.get(name, _counts)(values[of_unit], _MISSING)
    return list(cells)


def _usd_amounts(values: Iterable[Any], missing: str) -> list[str]:
    return usd_amounts(values, missing)


def _counts(values: Iterable[Any], missing: str) -> list[str]:
    return [count(value) if is_present(value) else missing for value in values]


def _moments(values: Iterable[Any], missing: str) -> list[str]:
    return [f"{value:%Y-%m-%d %H:%M:%S}" if is_present(value) else missing for value in values]


def _numbers(values: Iterable[Any], missing: str) -> list[str]:
    return [f"{value:,.6g}" if is_present(value) else missing for value in values]


#: How a column of floats is written, by what it measures.
_WRITERS: Final[Mapping[Unit, Callable[[Iterable[Any], str], list[str]]]] = MappingProxyType(
    {
        "USD": _usd_amounts,
        "share": percents,
        "USD/Mtok": lambda values, missing: [usd_per_mtok(value, missing) for value in values],
        "s": lambda values, missing: [duration(value * 1000) if is_present(value) else missing for value in values],
        "times": lambda values, missing: [f"{value:,.2f}x" if is_present(value) else missing for value in values],
        "tokens/s": lambda values, missing: [tokens_per_second(value, missing) for value in values],
    }
)
#: How the values of a summary are written, by their units; others are counts.
_UNIT_WRITERS: Final[Mapping[str, Callable[[Iterable[Any], str], list[str]]]] = MappingProxyType(
    {"USD": _usd_amounts, "share 0..1": percents, "UTC": _moments}
)


def _times(values: pd.Series[Any]) -> list[str]:
    present = values.dropna()
    if (present == present.dt.normalize()).all():
        return [f"{value:%Y-%m-%d}" if is_present(value) else _MISSING for value in values]
    return _moments(values, _MISSING)
