"""Cast the values of one column to the kind of its field, as spreadsheets, databases and other programs write them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.errors import ColumnError
from orstats.frame import json_values, record_table
from orstats.frame.decimal_mark import DecimalMark, column_mark
from orstats.frame.schema import Field, Kind

# Spreadsheets write TRUE and FALSE in the language of the user.
TRUE_WORDS: Final = frozenset(
    (
        *("true", "t", "yes", "y", "1", "1.0", "wahr", "ja", "vrai", "oui"),
        *("verdadero", "sí", "verdadeiro", "sim", "vero"),
    )
)
FALSE_WORDS: Final = frozenset(("false", "f", "no", "n", "0", "0.0", "falsch", "nein", "faux", "non", "falso", "não"))
# How programs write a missing value.
_BLANK: Final = frozenset(("", "nan", "na", "n/a", "null", "none", "<na>", "nat", "\\n", "#n/a"))
_EXPECTED: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "text": "text",
        "json": "JSON text",
        "count": "whole numbers",
        "flag": "true or false",
        "number": "numbers",
        "time": "times, such as 2026-11-23T10:00:00Z",
    }
)
_DATE: Final = re.compile(
    r"(?P<a>\d{1,4})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})"
    r"(?:,?[T ]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp])?\.?[Mm]?\.?)?"
)
# Numbers that are times: days since 1899-12-30, as in spreadsheets, then Unix s, ms, us and ns.
_DAYS: Final = (20_000, 80_000)
_EPOCHS: Final = ((1e8, 1e11, 1e6), (1e11, 1e14, 1e3), (1e14, 1e17, 1.0), (1e17, 1e20, 1e-3))
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_US: Final = 86_400_000_000
_EXCEL_EPOCH: Final = 25_569  # days from 1899-12-30 to 1970
_DAY_NUMBER: Final = re.compile(r"([0-9]{5}),([0-9]+)")  # of a spreadsheet with decimal commas


def values_of(column: pd.Series[Any]) -> pa.ChunkedArray | list[Any]:
    """Return a pandas column as Arrow if its values have one type, else as a list with None for missing ones."""
    try:
        array = pa.array(column.array, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        array = None
    if array is not None and not pa.types.is_nested(array.type) and not isinstance(array.type, pa.BaseExtensionType):
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return [None if _is_missing(value) else value for value in column.to_list()]


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def is_blank(text: str) -> bool:
    """Tell whether a text stands for a missing value in a column of numbers, flags or times."""
    return text.strip().lower() in _BLANK


def cast(
    values: pa.ChunkedArray | pa.Array | Sequence[Any], field: Field, *, decimal: DecimalMark | None = None
) -> pa.ChunkedArray | pa.Array:
    """Cast values of any kind to a field's.

    Examples
    --------
    >>> from orstats.frame.schema import FIELDS
    >>> cast(["TRUE", "no", 1.0, None], FIELDS["is_byok"]).to_pylist()
    [True, False, True, None]
    >>> cast(["1.234,5", "0,07"], FIELDS["total_cost"]).to_pylist()
    [1234.5, 0.07]
    """
    wanted = record_table.TYPES[field.kind]
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    if isinstance(values, pa.ChunkedArray):
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        found = _at_once(values, field.kind)
        if found is not None:
            return found
        distinct = pc.unique(values)
        places = pc.index_in(values, value_set=distinct)
        return cast(distinct.to_pylist(), field, decimal=decimal).take(places)
    read = _reader(field, values, decimal)
    found = []
    for value in values:
        blank = _is_missing(value) or (isinstance(value, str) and field.kind != "text" and is_blank(value))
        one = None if blank else read(value)
        if one is None and not blank:
            raise wrong_value(field, value)
        found.append(one)
    return pa.array(found, pa.int64()).cast(wanted) if field.kind == "time" else pa.array(found, wanted)


def _at_once(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray | None:  # noqa: PLR0911 - one for each kind
    """Cast a column with Arrow, or return None where it cannot."""
    have, wanted = values.type, record_table.TYPES[kind]
    if pa.types.is_null(have) or (have == wanted and kind != "number"):
        return values.cast(wanted)
    if kind in ("text", "json"):
        return values.cast(wanted) if pa.types.is_large_string(have) or pa.types.is_string_view(have) else None
    if kind == "time" and (pa.types.is_timestamp(have) or pa.types.is_date(have)):
        return values.cast(pa.timestamp("us", getattr(have, "tz", None)), safe=False).cast(wanted)
    if kind == "time" and (pa.types.is_string(have) or pa.types.is_large_string(have)):
        return record_table.usual_times(values)
    if kind == "number" and pa.types.is_decimal(have):
        return values.cast(pa.string()).cast(wanted)  # Arrow's own cast of decimals is not exact
    if kind == "number" and (pa.types.is_integer(have) or pa.types.is_floating(have)):
        numbers = values.cast(wanted, safe=False)
        return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, wanted))
    if kind == "count" and pa.types.is_integer(have):
        return values.cast(wanted)
    return None


def wrong_value(field: Field, value: Any) -> ColumnError:
    """Return the error for a value that the field cannot hold."""
    return ColumnError(
        f"Column {field.name!r} must hold {_EXPECTED[field.kind]}, got {value!r:.80}. "
        f"Convert it first, read the file with orstats.read, or drop the column.",
        column=field.name,
        value=value,
    )


def _reader(field: Field, values: Sequence[Any], decimal: DecimalMark | None) -> Callable[[Any], Any]:
    """Return the function that reads one value of a column; it returns None for invalid values."""
    match field.kind:
        case "text":
            return _text
        case "json":
            return lambda value: value if isinstance(value, str) else json_values.json_text(_plain(value))
        case "flag":
            return _flag
        case "time":
            day_first = _day_first([value for value in values if isinstance(value, str)])
            return lambda value: _time(value, day_first)
    mark = column_mark(field, values, decimal)
    if field.kind == "count":
        return lambda value: json_values.count(_number(value, mark))
    return lambda value: _number(value, mark)


def _text(value: Any) -> str | None:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # pandas converts integers to floats where others are missing
    if isinstance(value, int | float | Decimal | np.number):
        return str(value)
    return json_values.text(value) if isinstance(value, str) else json_values.text(str(value))


def _plain(value: Any) -> Any:
    """Convert NumPy arrays, which Parquet readers return, to lists."""
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.tolist()]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    written = str(value).strip().lower()
    return True if written in TRUE_WORDS else False if written in FALSE_WORDS else None


_SWAPPED_MARKS: Final = str.maketrans(".,", ",.")
#: India groups digits by two, except the last three.
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}")


def _number(value: Any, mark: DecimalMark | None) -> float | None:
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | float | Decimal | np.number):
        found = float(value)
        return found if math.isfinite(found) else None
    if not isinstance(value, str):
        return None
    written = re.sub(r"[\s\u00a0\u202f'\u2019$€]", "", value).replace("\u2212", "-")
    if mark is None and "," in written:
        return None  # 1,234 may be a thousand or one
    if mark == ",":
        written = written.translate(_SWAPPED_MARKS)
    whole, point, decimals = written.partition(".")
    if "," in decimals or ("," in whole and not _THOUSANDS.fullmatch(whole)):
        return None  # such as the version 1.2.3
    whole = whole.replace(",", "").removeprefix("+")
    whole += "0" if decimals and whole in ("", "-") else ""  # some databases write .5
    return json_values.number(whole + point + decimals if decimals else whole)


def _time(value: Any, day_first: bool | None) -> int | None:
    """Return microseconds since 1970 UTC; a time without an offset is UTC."""
    if isinstance(value, bool):
        return None
    if isinstance(value, pd.Period):
        value = value.start_time
    if isinstance(value, dt.date | np.datetime64):  # datetime and pandas.Timestamp are dates
        moment = pd.Timestamp(value)
        utc = (moment.tz_localize("UTC") if moment.tzinfo is None else moment).to_pydatetime(warn=False)
        return (utc - _EPOCH) // dt.timedelta(microseconds=1)
    if isinstance(value, int | float | np.number):
        return _epoch(float(value))
    if not isinstance(value, str):
        return None
    written = re.sub(r"\s*(UTC|GMT)$", "Z", value.strip(), flags=re.IGNORECASE)
    found = json_values.time(written)
    if found is not None:
        return found
    number = json_values.number(_DAY_NUMBER.sub(r"\1.\2", written))
    return _local_time(written, day_first) if number is None else _epoch(number)


def _epoch(number: float) -> int | None:
    if _DAYS[0] <= number <= _DAYS[1]:
        return round((number - _EXCEL_EPOCH) * _DAY_US / 1000) * 1000
    return next((round(number * scale) for least, most, scale in _EPOCHS if least <= number < most), None)


def _local_time(written: str, day_first: bool | None) -> int | None:
    """Read a time in one of the formats of spreadsheets."""
    match = _DATE.fullmatch(written)
    if match is None:
        return None
    a, b, c = (int(match[name]) for name in "abc")
    if len(match["a"]) == 4:  # noqa: PLR2004 - digits of a year
        year, month, day = a, b, c
    elif match["mark"] == "." or day_first:
        day, month, year = a, b, c
    elif day_first is None and a != b:
        return None
    else:
        month, day, year = a, b, c
    hour = int(match["hour"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"] in "pP" else 0)
    part = int((match["part"] or "0")[:6].ljust(6, "0"))
    try:
        moment = dt.datetime(
            year + 2000 * (year < 100),  # noqa: PLR2004 - 26 is 2026
            month,
            day,
            hour,
            int(match["minute"] or 0),
            int(match["second"] or 0),
            part,
            dt.UTC,
        )
    except ValueError:
        return None
    return _time(moment, None)


def _day_first(texts: Sequence[str]) -> bool | None:
    """Find out whether dates with slashes begin with the day; None if it is ambiguous."""
    for one in texts:
        match = _DATE.fullmatch(one.strip())
        if match is not None and match["mark"] != "." and len(match["a"]) <= 2:  # noqa: PLR2004 - not a year
            if int(match["a"]) > 12:  # noqa: PLR2004 - months
                return True
            if int(match["b"]) > 12:  # noqa: PLR2004 - months
                return False
    return None
