"""From the values of a DataFrame to what a cell of a workbook can hold: text, numbers, flags and day numbers."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.export.csv_cells import arrow_array, iso_times, one_value
from orstats.export.workbook_columns import TIME_FORMAT, SheetColumn
from orstats.text.format import is_present

#: The longest text of a cell, in UTF-16 units, and the largest number that keeps all its digits.
MAX_TEXT: Final = 32_767
_MAX_DIGITS: Final = 10**15
_CUT: Final = " … [cut: {:,} characters do not fit]"
# Characters that XML cannot hold.
_NOT_IN_XML: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
# Excel counts a 29 February 1900 that did not exist, so only later days have an unambiguous number.
_FIRST_DAY: Final = dt.date(1900, 3, 1)
_EPOCH: Final = np.datetime64("1899-12-30", "us")
_FIRST: Final = np.datetime64("1900-03-01", "us")
_END: Final = np.datetime64("10000-01-01", "us")
_DAY_US: Final = 86_400_000_000


class CellValues:
    """Turn values into what a cell can hold, and count the texts that are cut for it."""

    def __init__(self) -> None:
        self.texts_cut = 0

    def of_column(self, column: SheetColumn, start: int, end: int) -> list[Any]:
        """Return some rows of a column as text, numbers, flags and None."""
        values = column.series.iloc[start:end]
        cells: list[Any]
        if column.is_period:
            return [_period_day(name) for name in values]
        array = arrow_array(values)
        if array is None:
            missing = values.isna().to_list()
            cells = [
                None if gone else value if column.of_user and _is_local_time(value) else plain_value(value)
                for gone, value in zip(missing, values.to_list(), strict=True)
            ]
            for place, one in enumerate((column.row_formats or [])[start:end]):
                if one == TIME_FORMAT and cells[place] is not None:
                    cells[place] = day_number(values.iloc[place])
            return [self.fitted(cell) for cell in cells]
        kind = array.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._texts(array.cast(pa.large_string()))
        if pa.types.is_timestamp(kind):
            return _day_numbers(array)
        cells = array.to_pylist()
        if not pa.types.is_boolean(kind) and not pa.types.is_null(kind):
            # Missing values are NaN here, too.
            numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(~(np.abs(numbers) < _MAX_DIGITS)).tolist():
                cells[row] = plain_value(cells[row])
        return cells

    def fitted(self, value: Any) -> Any:
        """Return a text as a cell can hold it, and other values as they are."""
        return self._texts(pa.array([value], pa.large_string()))[0] if isinstance(value, str) else value

    def _texts(self, texts: pa.Array) -> list[str | None]:
        for old in ("\r\n", "\r"):
            texts = pc.replace_substring(texts, old, "\n")
        texts = pc.replace_substring_regex(texts, _NOT_IN_XML, "")
        cells: list[str | None] = texts.to_pylist()
        # A text has at least as many bytes in UTF-8 as units in UTF-16.
        for place in np.flatnonzero(pc.fill_null(pc.greater(pc.binary_length(texts), MAX_TEXT), False)):
            cells[place] = self._shortened(cells[place] or "")
        return cells

    def _shortened(self, text: str) -> str:
        """Cut a text that does not fit, with a mark at its end."""
        units = text.encode("utf-16-le")
        if len(units) <= 2 * MAX_TEXT:
            return text
        self.texts_cut += 1
        room = MAX_TEXT - len(_CUT.format(len(text)))
        kept = units[: 2 * room].decode("utf-16-le", "ignore")  # half of a pair is dropped
        return kept + _CUT.format(len(text) - len(kept))


def plain_value(value: Any) -> Any:
    """Return one value as a cell can hold it. Numbers that Excel would round, and infinite ones, become text."""
    if not is_present(value):
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool):
        return plain
    text, is_number = one_value(plain)
    if not is_number:
        return text
    if not np.isfinite(float(plain)) or (isinstance(plain, int) and abs(plain) >= _MAX_DIGITS):
        return text
    return float(plain) if not isinstance(plain, int) else plain


def day_number(moment: Any) -> Any:
    """Return a time as Excel counts days, in UTC; text if Excel cannot hold it."""
    return _day_numbers(pa.array([moment]))[0]


def _day_numbers(moments: pa.Array) -> list[Any]:
    """Return times as Excel counts days, in UTC; times outside its range as text."""
    plain = moments.cast(pa.timestamp(moments.type.unit)).cast(pa.timestamp("us"), safe=False)
    times = plain.to_numpy(zero_copy_only=False)
    cells: list[Any] = ((times - _EPOCH).astype("int64") / _DAY_US).tolist()
    for place in np.flatnonzero(~((times >= _FIRST) & (times < _END))):
        cells[place] = iso_times(moments[place : place + 1])[0].as_py()
    return cells


def _period_day(name: Any) -> Any:
    """Return the day on which a period starts, from its label; labels stay where Excel has no such day."""
    try:
        day = dt.date.fromisoformat(f"{name}-01"[:10])
    except ValueError:
        return plain_value(name)
    return (day - dt.date(1899, 12, 30)).days if day >= _FIRST_DAY else name


def _is_local_time(value: Any) -> bool:
    """Tell whether a cell of the user's own column is a time, as workbooks have them, among other values."""
    return isinstance(value, dt.datetime) and value.tzinfo is None
