"""From the columns of a DataFrame to the text of CSV cells: plain decimals, ISO times, safe text. Vectorized."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.reports.periods import PERIOD
from orstats.text.sanitize import CONTROLS
from orstats.text.time_zones import offset_text, offsets, period_labels

#: A spreadsheet runs text as a formula that begins with = + - @ or their full-width forms, also after blank or
#: invisible characters.
_SIGN: Final = r"[=+\-@\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"
_FORMULA: Final = rf"\A('*(?:[\p{{Z}}\p{{C}}]*{_SIGN}|[\t\r\n]))"
# Where semicolons or tabs separate cells, quotes after a comma hold nothing together, so these begin a cell.
_INNER_FORMULA: Final = rf"([;\t\n][\p{{Z}}\p{{C}}]*)('*{_SIGN})"
# Quotes also distinguish an empty text from a missing one.
_NEEDS_QUOTES: Final = r'\A\z|[",;\t\r\n]|\A[\s\x{a0}]|[\s\x{a0}]\z'
#: Numbers as a table of text has them: a spreadsheet reads them as numbers, not as formulas.
_NUMBER: Final = r"\A[+-]? ?[$\x{20ac}\x{a3}]?[0-9][0-9.,' \x{a0}\x{202f}]*([eE][+-]?[0-9]+)? ?[%$\x{20ac}\x{a3}]?\z"
_TEXT: Final = pa.large_string()


def named_columns(frame: pd.DataFrame) -> list[tuple[str, pd.Series[Any]]]:
    """Return the names and columns of a DataFrame, those of the index first, unless it only numbers the rows.

    Names of several levels are joined by a dot. The periods of a report become their labels.

    >>> report = pd.DataFrame({"cost": [1.5]}, index=pd.Index(["a"], name="model"))
    >>> [name for name, _ in named_columns(report)]
    ['model', 'cost']
    """
    columns: list[tuple[str, pd.Series[Any]]] = []
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        for level in range(frame.index.nlevels):
            name = frame.index.names[level]
            unnamed = "index" if frame.index.nlevels == 1 else f"level_{level}"
            values = pd.Series(frame.index.get_level_values(level))
            columns.append((unnamed if name is None else str(name), values))
    for position, name in enumerate(frame.columns):
        parts = name if isinstance(name, tuple) else (name,)
        columns.append((".".join(str(part) for part in parts if part != ""), frame.iloc[:, position]))
    freq = frame.attrs.get("coverage", {}).get("freq")
    return [
        (name, pd.Series(period_labels(column, freq), dtype=object))
        if freq is not None and name == PERIOD and isinstance(column.dtype, pd.DatetimeTZDtype)
        else (name, column)
        for name, column in columns
    ]


def cell_texts(column: pd.Series[Any], *, safe: bool, decimal: str = ".", of_user: bool = False) -> pa.Array:
    """Return the cells of a column as CSV text, quoted where needed; null where a value is missing.

    In a column of the user's own table, text such as ``-1,5`` is a number, not a formula.

    >>> cell_texts(pd.Series([4.2e-07, 5.0, None]), safe=True).to_pylist()
    ['0.00000042', '5', None]
    >>> cell_texts(pd.Series(["=1+1", "a,b"]), safe=True).to_pylist()
    ["'=1+1", '"a,b"']
    >>> cell_texts(pd.Series(["-1,5", "-A1"]), safe=True, of_user=True).to_pylist()
    ['"-1,5"', "'-A1"]
    """
    protect = (_safe_but_numbers if of_user else safe_text) if safe else _unchanged
    array = arrow_array(column)
    kind = None if array is None else array.type
    if array is None or kind is None:
        return _quoted(_mixed(column, protect=protect, decimal=decimal))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _quoted(protect(array.cast(_TEXT)))
    if pa.types.is_floating(kind):
        return pc.replace_substring(_decimals(array), ".", decimal)
    if pa.types.is_timestamp(kind):
        return iso_times(array)
    return array.cast(_TEXT)  # integers, flags, and columns without values


def safe_text(text: pa.Array) -> pa.Array:
    """Return text that no spreadsheet runs: see ``spreadsheet_safe`` of :func:`orstats.write_csv`.

    >>> safe_text(pa.array(["=1+1", "a;=1+1", "a;b"])).to_pylist()
    ["'=1+1", "a;'=1+1", 'a;b']
    """
    text = pc.replace_substring(text, "\r\n", "\n")
    text = pc.replace_substring(text, "\r", "\n")
    text = pc.replace_substring_regex(text, f"[{CONTROLS}]", "")
    text = pc.replace_substring_regex(text, _INNER_FORMULA, r"\1'\2")
    return pc.replace_substring_regex(text, _FORMULA, r"'\1")


def _safe_but_numbers(text: pa.Array) -> pa.Array:
    is_number = pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)
    return pc.if_else(is_number, text, safe_text(text))


def _unchanged(text: pa.Array) -> pa.Array:
    return text


def unsafe_text(text: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Remove the apostrophes that :func:`safe_text` adds.

    >>> unsafe_text(safe_text(pa.array(["=1+1", "'=1", "a;=1+1", "it's"]))).to_pylist()
    ['=1+1', "'=1", 'a;=1+1', "it's"]
    """
    text = pc.replace_substring_regex(text, _FORMULA.replace("('*", "'('*", 1), r"\1")
    return pc.replace_substring_regex(text, _INNER_FORMULA.replace("('*", "'('*", 1), r"\1\2")


def iso_times(moments: pa.Array) -> pa.Array:
    """Write times as ISO 8601: UTC with a Z, other time zones with their offset, naive times without.

    >>> iso_times(pa.array(pd.DatetimeIndex(["2026-10-01"]).as_unit("us").tz_localize("Europe/Lisbon"))).to_pylist()
    ['2026-10-01T00:00:00.000000+01:00']
    """
    zone, plain = moments.type.tz, moments.cast(pa.timestamp(moments.type.unit))
    suffix: Any = pa.scalar("" if zone is None else "Z", _TEXT)
    if zone not in {None, "UTC", "Etc/UTC"} and "/" in zone:
        table = offsets(zone)
        shift = table.offsets[table.at(plain.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False))]
        plain = pc.add(plain, pa.array(shift).cast(pa.duration(plain.type.unit)))
        suffixes = {one: offset_text(one) for one in np.unique(shift)}
        suffix = pa.array([suffixes[one] for one in shift], _TEXT)
    text = pc.replace_substring(plain.cast(_TEXT), " ", "T", max_replacements=1)
    return pc.binary_join_element_wise(text, suffix, pa.scalar("", _TEXT))


def plain_decimal(number: str) -> str:
    """Write a number without an exponent.

    >>> plain_decimal("4.2e-7"), plain_decimal("1e+16")
    ('0.00000042', '10000000000000000')
    """
    return format(Decimal(number), "f")


def arrow_array(column: pd.Series[Any]) -> pa.Array | None:
    """Return a column of text, numbers, flags or times as Arrow; None for other kinds."""
    try:
        # Of objects, the Series: their array loses the time zone.
        array = pa.array(column if column.dtype == object else column.array, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, UnicodeEncodeError, OverflowError):
        return None  # objects of several kinds, or of a kind that Arrow does not know
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    return array if any(is_kind(array.type) for is_kind in _KINDS) else None


_KINDS: Final = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating),
    *(pa.types.is_boolean, pa.types.is_timestamp, pa.types.is_null),
)


def _decimals(numbers: pa.Array) -> pa.Array:
    """Write floats with the fewest digits that read back the same, never with an exponent; NaN is missing."""
    text = pc.if_else(pc.is_nan(numbers), None, numbers).cast(_TEXT)
    text = pc.if_else(pc.equal(text, "-0"), "0", text)
    tiny_or_huge = pc.fill_null(pc.match_substring(text, "e"), False)
    if not pc.any(tiny_or_huge).as_py():
        return text
    written = [plain_decimal(number) for number in text.filter(tiny_or_huge).to_pylist()]
    return pc.replace_with_mask(text, tiny_or_huge, pa.array(written, _TEXT))


def _quoted(text: pa.Array) -> pa.Array:
    needs = pc.fill_null(pc.match_substring_regex(text, _NEEDS_QUOTES), False)
    if not pc.any(needs).as_py():
        return text
    quote, nothing = pa.scalar('"', _TEXT), pa.scalar("", _TEXT)
    inside = pc.replace_substring(text, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise(quote, inside, quote, nothing), text)


def _mixed(column: pd.Series[Any], *, protect: Callable[[pa.Array], pa.Array], decimal: str) -> pa.Array:
    """Write values of several kinds one by one. Negative numbers stay numbers."""
    missing = column.isna().to_list()
    cells = [None if gone else one_value(value) for gone, value in zip(missing, column.to_list(), strict=True)]
    text = pa.array([None if cell is None else cell[0] for cell in cells], _TEXT)
    is_number = pa.array([cell is not None and cell[1] for cell in cells], pa.bool_())
    return pc.if_else(is_number, pc.replace_substring(text, ".", decimal), protect(text))


def one_value(value: Any) -> tuple[str, bool]:
    """Write one value of any kind, and return whether it is a number.

    >>> one_value(Decimal("1E-7")), one_value({"a": 1}), one_value(True)
    (('0.0000001', True), ('{"a":1}', False), ('true', False))
    """
    if isinstance(value, np.generic):  # some are subclasses of Python's types, but have another repr
        value = value.item()
    if isinstance(value, bool):
        return ("true" if value else "false"), False
    if isinstance(value, int):
        return str(value), True
    if isinstance(value, float | Decimal):
        finite = value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN
        return (plain_decimal(repr(value) if isinstance(value, float) else str(value)) if finite else str(value)), True
    if isinstance(value, dt.datetime):
        utc = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
        return utc.isoformat() + ("" if value.tzinfo is None else "Z"), False
    if isinstance(value, dict | list | tuple):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode(), False
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "replace").decode(), False  # a lone surrogate has no UTF-8
