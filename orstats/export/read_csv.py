"""Delimited text as a table of generations, also as a spreadsheet saved it again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from orstats.errors import ReadError
from orstats.export.csv_cells import unsafe_text
from orstats.export.read_columns import GENERATION_COLUMNS, KNOWN_FIELDS, Table, known_names
from orstats.export.read_header import HEADER_LINES, clean_cell, column_names, known_in
from orstats.frame.cast_values import is_blank
from orstats.frame.decimal_mark import decimal_mark
from orstats.frame.schema import ID

_DELIMITERS: Final = (",", ";", "\t", "|")
#: Signs that spreadsheets write with numbers in a CSV.
_SIGNS: Final = r"[$\s\x{a0}\x{202f}]"
_TEXT: Final = pa.string()


def read_csv(text: str, name: str) -> Table:
    """Read delimited text; everything is text until the columns are cast."""
    first = text[: 1 << 16].split("\n")[: HEADER_LINES + 1]
    found = [
        (len(known), -at, delimiter)
        for at, line in enumerate(first)
        for delimiter in _DELIMITERS
        if (known := known_in(_cells(line, delimiter)))
    ]
    if not found:
        raise ReadError(_unlike(first, name), path=name)
    _, at, delimiter = max(found)
    body = text.split("\n", -at)[-1] if at else text
    names = column_names(next(csv.reader(io.StringIO(body), delimiter=delimiter)), name)
    table = _all_text(body, names, delimiter, name)
    kinds = {one: KNOWN_FIELDS[one].kind for one in names if one in KNOWN_FIELDS}
    numbers = [one for one, kind in kinds.items() if kind in ("number", "count")]
    # In text, NA may be a name; but where a program writes it for missing numbers, it does so for missing texts.
    others = [one for one, kind in kinds.items() if kind in ("flag", "time")]
    marks = {text for one in numbers + others for text in pc.unique(table[one]).to_pylist() if text and is_blank(text)}
    is_quoted = body.startswith('"') and not any(column.null_count for column in table.columns)
    if marks or is_quoted:
        table = _all_text(body, names, delimiter, name, missing=sorted(marks), quoted=is_quoted)
    table = _without_headers(table, name)
    columns = dict(zip(names, table.columns, strict=True))
    columns |= {one: pc.replace_substring_regex(columns[one], _SIGNS, "") for one in numbers}
    texts = (text for one in numbers for text in pc.unique(columns[one]).drop_null().to_pylist())
    mark = decimal_mark(text.rstrip("%") for text in texts) or ("," if delimiter == ";" else ".")
    return Table(
        {one: _shares(column, mark) if one in numbers else unsafe_text(column) for one, column in columns.items()}, mark
    )


def _all_text(
    body: str, names: Sequence[str], delimiter: str, name: str, *, missing: Sequence[str] = (), quoted: bool = False
) -> pa.Table:
    """Read all cells as text; empty ones and the given words are missing, quoted ones only on request."""
    try:
        return arrow_csv.read_csv(
            io.BytesIO(body.encode("utf-8", "replace")),
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows=1, block_size=max(1 << 24, len(body) // 8)
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, _TEXT),
                null_values=["", *missing],
                strings_can_be_null=True,
                quoted_strings_can_be_null=quoted,
            ),
        )
    except pa.ArrowException as error:
        raise ReadError(f"{name}: not regular CSV, or cut off: {error}.", path=name) from error


def _without_headers(table: pa.Table, name: str) -> pa.Table:
    """Skip repeated headers, as of files that were written one after the other."""
    column = next((one for one in (ID.name, "generation_id") if one in table.column_names), None)
    if column is None:
        return table
    repeated = pc.fill_null(pc.is_in(table[column], pa.array([ID.name, "generation_id"])), False)
    for row in table.filter(repeated).to_pylist():
        if known_names([clean_cell(cell) for cell in row.values()]) != table.column_names:
            raise ReadError(
                f"{name}: several tables with different columns. Save each as a file, and combine() what is read.",
                path=name,
            )
    return table.filter(pc.invert(repeated))


def _shares(column: pa.ChunkedArray, mark: str) -> pa.ChunkedArray:
    """Turn percentages into shares."""
    if not pc.any(pc.ends_with(column, "%")).as_py():
        return column
    return pa.chunked_array([[_share(text, mark) for text in column.to_pylist()]], _TEXT)


def _share(text: str | None, mark: str) -> str | None:
    if text is None or not text.endswith("%"):
        return text
    try:
        return f"{Decimal(text[:-1].replace(mark, '.')) / 100:f}".replace(".", mark)
    except ArithmeticError:
        return text  # casting raises an error that names it


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line; none if it cannot be a header, as a line inside of a text."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _unlike(lines: Sequence[str], name: str) -> str:
    """Describe a text without generations."""
    head = next((line for line in lines if line.strip()), "").strip()[:80]
    cells = {clean_cell(one) for delimiter in _DELIMITERS for one in _cells(lines[0], delimiter)}
    if "generations" in cells:
        return f"{name}: a report ({head!r}), not generations. Read it with pandas.read_csv."
    if cells & {"fetch_status", "total_cost", "cost_usd"}:
        return f"{name}: has no column id; was it written without its index? Write it with orstats.write_csv."
    if any(re.search(rf"\b{one}\b", lines[0]) for one in GENERATION_COLUMNS if "_" in one):
        return f"{name}: the columns of {head!r} must be separated by commas, semicolons, tabs or bars."
    if re.search(r"\bgen[-_]", "\n".join(lines)):
        return f"{name}: a list or log of generation ids, without their costs. Read it with read_ids or --ids-from."
    return f"{name}: no table of generations; it begins {head!r}. A column id or generation_id is needed."
