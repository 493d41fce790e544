"""The decimal mark of numbers in text, and columns whose numbers a spreadsheet may have misread for it.

A spreadsheet that uses a decimal point reads ``0,002`` as 2 and leaves ``0,00024`` as text; one that uses a decimal
comma does the same with points. What it saves then has numbers next to text, and nothing in a cell says which of the
numbers are right. Such a column is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

import numpy as np

from orstats.errors import ColumnError
from orstats.frame.column_units import unit
from orstats.frame.schema import Field

DecimalMark = Literal[".", ","]

_NAMES: Final = {".": "point", ",": "comma"}
_OTHER: Final[dict[DecimalMark, DecimalMark]] = {".": ",", ",": "."}
_NUMBER: Final = re.compile(r"[+-]?[\d.,'\u2019\s]*\d[.,]?([eE][+-]?\d+)?")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}([.,])\d{3}")
_SIGNS: Final = "$€ \t\u00a0\u202f"


def decimal_mark(texts: Iterable[str]) -> DecimalMark | None:
    """Find the decimal mark of numbers in text; None if it is ambiguous.

    Examples
    --------
    >>> decimal_mark(["1,234.5"]), decimal_mark(["0,5"]), decimal_mark(["1,234"]), decimal_mark(["12"])
    ('.', ',', None, None)
    """
    return next((mark for one in texts if (mark := _mark_of(one))), None)


def _mark_of(text: str) -> DecimalMark | None:
    written = text.strip(_SIGNS).replace("\u2212", "-")
    marks: list[DecimalMark] = ["." if mark == "." else "," for mark in written if mark in ".,"]
    if not marks or not _NUMBER.fullmatch(written):
        return None
    if len(set(marks)) > 1:
        return marks[-1]
    if len(marks) > 1:  # repeated, so it separates thousands
        return _OTHER[marks[0]]
    return None if _GROUPED.fullmatch(written) and not written.lstrip("+-").startswith("0") else marks[0]


def column_mark(field: Field, values: Sequence[Any], elsewhere: DecimalMark | None = None) -> DecimalMark | None:
    """Return the decimal mark of the texts in a column, or else that of the other columns of its table.

    Raises
    ------
    ColumnError
        Its texts have two decimal marks, or its numbers may have been text with another mark.
    """
    found: dict[DecimalMark, str] = {}
    for value in values:
        if (
            isinstance(value, str)
            and (not found or _may_differ(value, next(iter(found))))
            and (mark := _mark_of(value))
        ):
            found.setdefault(mark, value)
    if len(found) > 1:
        raise ColumnError(
            f"Column {field.name!r} has numbers with a decimal point, such as {found['.']!r:.40}, and with a decimal "
            f"comma, such as {found[',']!r:.40}. Use one decimal mark in the column.",
            column=field.name,
            value=found[","],
        )
    mark = next(iter(found), elsewhere)
    if mark is not None and field.kind == "number":
        _refuse_misread(field, values, mark, found.get(mark))
    return mark


def _may_differ(text: str, mark: DecimalMark) -> bool:
    """Whether a text may have another decimal mark than this; a cheap check for long columns."""
    return _OTHER[mark] in text or text.count(mark) > 1


def _refuse_misread(field: Field, values: Sequence[Any], mark: DecimalMark, text: str | None) -> None:
    """Refuse numbers next to text with a decimal mark; without such text in the column, whole amounts of money."""
    numbers = [one for one in values if _is_number(one) and one != 0]  # 0,000 is 0 in any case
    if not numbers or (text is None and unit(field.name) != "USD"):
        return
    are_whole = all(float(one).is_integer() for one in numbers)  # as all are whose mark was taken for thousands
    if not are_whole and (mark == "." or text is None):
        return
    where = f"text such as {text!r:.40}" if text is not None else f"text with a decimal {_NAMES[mark]} in other columns"
    raise ColumnError(
        f"Column {field.name!r} has numbers, such as {float(numbers[0]):g}, next to {where}. A spreadsheet that uses "
        f"a decimal {_NAMES[_OTHER[mark]]} reads 0{mark}002 as 2, so the numbers may be wrong. Read the original file, "
        "or write it again with orstats: as .xlsx, or as CSV with the decimal mark of your spreadsheet. If the numbers "
        "are right, convert the texts to numbers first.",
        column=field.name,
        value=numbers[0],
    )


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float | Decimal | np.number) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
