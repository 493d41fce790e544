"""The generation id of each row of a table of the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from orstats._warn import warn_caller
from orstats.errors import IdSourceWarning
from orstats.ids.collector import is_null_mark
from orstats.ids.column_values import no_ids
from orstats.ids.id_column import SAMPLE_ROWS, Table, cell_text, columns_with_ids, find_id_column
from orstats.ids.id_shapes import (
    CERTAIN_NAMES,
    GENERATION_ID_HINT,
    begins_like_id,
    ids_in,
    invalid_id_kind,
    is_other_value,
    looks_like_id,
    plain_name,
    redact,
)

_SEVERAL: Final = "a text with several ids"
_NUMBER: Final = "a number, time or UUID"
_OTHER: Final = "a text that does not look like a generation id"


class RowIds(NamedTuple):
    """The generation id of each row of a table, where it has one."""

    ids: list[str | None]
    invalid: dict[int, str]
    """What the cell of a row contains instead of an id."""


def row_ids(frame: pd.DataFrame, where: str, *, column: str | None) -> RowIds:
    """Find the column of the ids as :func:`orstats.read_ids` does, and take the id of each row from it."""
    names, series = _searched_columns(frame)
    if column is not None and column not in names:
        head, _, path = column.partition(".")
        if path and head in names:  # a field inside of JSON
            values = series[names.index(head)].tolist()
            names, series = (
                [*names, column],
                [*series, pd.Series([_field(value, path) for value in values], dtype=object)],
            )
    table = Table(
        where,
        names,
        list(zip(*(one.head(SAMPLE_ROWS).tolist() for one in series), strict=True)),
        lambda places: iter([{place: series[place].tolist() for place in places}]),
        [one.dtype if one.dtype.kind in "biufcmM" else None for one in series],
    )
    place = find_id_column(table, column=column)
    with_ids = [names[one] for one in columns_with_ids(table)]
    return _ids_of(series[place].tolist(), names[place], where, with_ids, is_named=column is not None)


def _searched_columns(frame: pd.DataFrame) -> tuple[list[str], list[pd.Series[Any]]]:
    """Return the columns, those of an index last that is named or holds ids."""
    names = [str(name) for name in frame.columns]
    series = [frame.iloc[:, place] for place in range(len(names))]
    for level in range(frame.index.nlevels):
        values, name = pd.Series(frame.index.get_level_values(level)), frame.index.names[level]
        if name is not None or any(map(looks_like_id, values.head(SAMPLE_ROWS))):
            names.append("index" if name is None else str(name))
            series.append(values)
    return names, series


def _field(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _ids_of(values: Iterable[Any], column: str, where: str, with_ids: Sequence[str], *, is_named: bool) -> RowIds:
    ids: list[str | None] = []
    invalid: dict[int, str] = {}
    unlike: dict[int, str] = {}
    for row, value in enumerate(values):
        text = "" if value is pd.NA else cell_text(value)
        ids.append(None)
        if text and not is_null_mark(text):
            found = list(dict.fromkeys(ids_in(text)))
            one = found[0]
            if len(found) > 1:
                invalid[row] = _SEVERAL
            elif begins_like_id(one) and invalid_id_kind(one) is None:
                ids[row] = one
            else:
                unlike[row] = one
    if unlike:
        may_be_ids = not any(ids) and not with_ids and plain_name(column) in CERTAIN_NAMES
        if not any(ids) and not invalid and not may_be_ids:
            raise no_ids(column, next(iter(unlike.values())), with_ids, where=where, is_named=is_named)
        for row, one in unlike.items():
            kind = invalid_id_kind(one) or (_NUMBER if is_other_value(one) else None)
            if kind is None and may_be_ids:
                ids[row] = one
            else:
                invalid[row] = kind or _OTHER
    if invalid:
        kinds = Counter(invalid.values())
        listed = "; ".join(f"{count:,} x {kind}" for kind, count in kinds.most_common())
        example = next((f" (first: {redact(unlike[row])})" for row in invalid if row in unlike), "")
        warn_caller(
            f"{where}: column {redact(column)} has values that are not generation ids{example}: {listed}. "
            f"{GENERATION_ID_HINT}",
            IdSourceWarning,
        )
    return RowIds(ids, invalid)
