"""The sheets of a workbook as tables of generations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile, zip_longest
from typing import Any, Final

import pyarrow as pa

from orstats.errors import ReadError
from orstats.export.csv_cells import unsafe_text
from orstats.export.read_columns import KNOWN_FIELDS, Table
from orstats.export.read_header import HEADER_LINES, clean_cell, column_names, is_for_people, known_in
from orstats.export.read_sheets import read_sheets
from orstats.frame.decimal_mark import decimal_mark
from orstats.ids.source import Source

_ESCAPED: Final = re.compile(r"_x005F_(?=x[0-9A-Fa-f]{4}_)")


def read_workbook(source: Source) -> list[Table]:
    """Read all sheets that have generations."""
    name, sheets = source.where, read_sheets(source)
    tables = [table for rows in sheets.values() if (table := _sheet(rows, name)) is not None]
    if not tables and "report" in sheets:
        raise ReadError(f"{name}: a report, not generations. Read it with pandas.read_excel.", path=name)
    if not tables:
        raise ReadError(
            f"{name}: no sheet ({', '.join(sheets)}) has generations: a header with id or generation_id is needed.",
            path=name,
        )
    return tables


def _sheet(rows: Sequence[Sequence[Any]], name: str) -> Table | None:
    """Read a sheet if it has generations."""
    at = next((place for place, row in enumerate(rows[:HEADER_LINES]) if known_in(row)), None)
    if at is None:
        return None
    body, is_ours = rows[at:], is_for_people([clean_cell(cell) for cell in rows[at]])
    if is_ours:  # totals stand below an empty row
        body = list(takewhile(lambda row: any(cell is not None for cell in row), body))
    by_column = list(zip_longest(*body))  # rows of a sheet may have different lengths
    names = column_names([column[0] for column in by_column], name)
    cells = [(_unescaped if is_ours else _unprotected)(column[1:]) for column in by_column]
    columns = {
        one: column
        for one, column in zip(names, cells, strict=True)
        if one in KNOWN_FIELDS or any(cell is not None for cell in column)
    }
    numbers = [column for one, column in columns.items() if one in KNOWN_FIELDS and KNOWN_FIELDS[one].kind == "number"]
    return Table(columns, decimal_mark(cell for column in numbers for cell in column if isinstance(cell, str)))


def _unescaped(values: Iterable[Any]) -> list[Any]:
    """Turn ``_x005F_x0041_`` into the ``_x0041_`` that it stands for in a workbook, which openpyxl does not do."""
    return [_ESCAPED.sub("_", one) if isinstance(one, str) else one for one in values]


def _unprotected(values: Iterable[Any]) -> list[Any]:
    values = list(values)
    texts = pa.array([one if isinstance(one, str) else None for one in values], pa.string())
    return [
        text if isinstance(one, str) else one for one, text in zip(values, unsafe_text(texts).to_pylist(), strict=True)
    ]
