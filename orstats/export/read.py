"""``read``: tables of generations from files, also as other programs saved them, and the Activity export."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from pyarrow import feather

from orstats._warn import warn_caller
from orstats.errors import ColumnError, IdSourceError, MissingExtraError, ReadError
from orstats.export.csv_cells import unsafe_text
from orstats.export.read_columns import (
    ACTIVITY_COLUMNS,
    GENERATION_COLUMNS,
    KNOWN_FIELDS,
    UNNAMED,
    Table,
    known_names,
    typed_frame,
)
from orstats.frame.cast_columns import is_blank, values_of
from orstats.frame.column_units import NAMES, heading
from orstats.frame.decimal_mark import decimal_mark
from orstats.frame.schema import ID
from orstats.frame.validation import warn_duplicates
from orstats.ids.decompression import CHUNK, Source, unpack
from orstats.text.json_text import parse_json

_DELIMITERS: Final = (",", ";", "\t", "|")
_HEADER_LINES: Final = 20
#: Signs that spreadsheets write with numbers in a CSV.
_SIGNS: Final = r"[$\s\x{a0}\x{202f}]"
_ESCAPED: Final = re.compile(r"_x005F_(?=x[0-9A-Fa-f]{4}_)")
_TEXT: Final = pa.string()


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read a file of generations as a typed DataFrame: one that orstats wrote, or the vendor's Activity export.

    Parameters
    ----------
    path : str or os.PathLike
        - CSV, JSON Lines, JSON, Parquet, Feather or ``.xlsx``, written by :func:`orstats.write_csv`,
          :func:`orstats.write_report` or pandas, plain or compressed (gzip, bzip2, xz, zstd, lz4, zip, tar). A CSV
          that a spreadsheet saved again is read, too: with semicolons, decimal commas, another encoding, reformatted
          dates or a title above the header. The apostrophes that protect a spreadsheet from formulas are removed.
          All sheets of a workbook that have an ``id`` column are read.
        - A directory: all Parquet files in it and its subdirectories.
        - The CSV export of the vendor's Activity page. Its columns are renamed to those of the field table, and the
          derived columns are computed. Its other columns, such as ``api_key_name`` and ``app_name``, are kept.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, with the dtypes of the field table. Unknown columns are kept. Without ``fetch_status`` all
        rows are ``ok``. Files written by :func:`orstats.write_csv` give back the same DataFrame, with these
        exceptions. Parquet: none. JSON Lines, CSV and xlsx: nanoseconds and dtypes of your own columns. CSV and xlsx:
        control characters and the kind of line breaks in texts. xlsx: times finer than a millisecond, the 17th digit
        of numbers, and text that did not fit into a cell.

    Raises
    ------
    ReadError
        The file is missing or broken, or does not contain generations; the message says what it looks like. Or its
        numbers cannot be trusted: those of a workbook whose other numbers are text with a decimal comma, because the
        spreadsheet that saved it used a decimal point and read ``0,002`` as 2.
    MissingExtraError
        The file is a workbook, and openpyxl is not installed.

    Warns
    -----
    DuplicateIdsWarning
        Several rows have the same id; :func:`orstats.combine` keeps the best of them.
    UserWarning
        Rows without an id were skipped, or the text is not UTF-8.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "activity.csv")
    ...     _ = file.write_text("generation_id,created_at,cost_total,app_name\ngen-1,2026-09-21 13:33:20,0.25,shop\n")
    ...     read(file)[["cost_usd", "app_name"]].to_dict("records")
    [{'cost_usd': 0.25, 'app_name': 'shop'}]
    """
    name = os.path.expanduser(os.fsdecode(path))  # noqa: PTH111 - Path's own raises for a name that starts with ~
    if not name:
        raise ReadError("The name of the file is empty.", path=name)
    try:
        frames = [typed_frame(table, name) for table in _tables_of(name)]
    except FileNotFoundError as error:
        raise ReadError(f"{name}: no such file.", path=name) from error
    except OSError as error:
        raise ReadError(f"{name}: cannot be read: {error.strerror or error}.", path=name) from error
    except ColumnError as error:
        raise ReadError(f"{name}: {error}", path=name) from error
    except IdSourceError as error:
        raise ReadError(f"{str(error).rstrip('.')}.", path=name) from error
    frame = frames[0] if len(frames) == 1 else pd.concat(frames)
    warn_duplicates(frame)
    return frame


def _tables_of(name: str) -> list[Table]:
    if Path(name).is_dir():
        files = sorted(
            file
            for file in Path(name).rglob("*.parquet")
            if not any(part.startswith((".", "_")) for part in file.parts[-3:])
        )
        if not files:
            raise ReadError(f"{name}: a directory without Parquet files. Pass the path of a file.", path=name)
        return [_parquet(file, str(file)) for file in files]
    seekable = name if Path(name).is_file() else None
    with open(name, "rb") as file, Source(iter(lambda: file.read(CHUNK), b""), name, path=seekable) as source:  # noqa: PTH123 - as in expanduser
        return _tables(source)


def _tables(source: Source) -> list[Table]:
    """Recognize the format, and return the tables in it."""
    head, name = source.head, source.where
    if not head.strip():
        raise ReadError(f"{name}: the file is empty.", path=name)
    if head.startswith(b"PAR1"):
        return [_parquet(source.file, name)]
    if head.startswith((b"ARROW1\0\0", b"FEA1")):
        return [_feather(source.file, name)]
    if b"mimetypeapplication/vnd.oasis" in head[:100]:
        raise ReadError(f"{name}: an OpenDocument spreadsheet; save it as .xlsx or .csv.", path=name)
    members = unpack(source)
    if members is not None:
        return [table for member in members for table in _tables(member)]
    if head.startswith(b"PK\x03\x04"):
        return _workbook(source)
    if name.lower().endswith((".parquet", ".xlsx")):
        raise ReadError(f"{name}: not a {Path(name).suffix} file, or its beginning is missing.", path=name)
    text = _decoded(b"".join(source.chunks), name)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old programs for the Mac end lines
    return [_json(text, name) if text.lstrip()[:1] in ("{", "[") else _csv(text, name)]


def _parquet(file: Any, name: str) -> Table:
    try:
        return _arrow(pq.ParquetFile(file).read())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReadError(f"{name}: broken or incomplete Parquet file: {error}.", path=name) from error


def _feather(file: Any, name: str) -> Table:
    try:
        return _arrow(feather.read_table(file))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReadError(f"{name}: broken or incomplete Feather file: {error}.", path=name) from error


def _arrow(table: pa.Table) -> Table:
    frame = table.to_pandas(types_mapper=_pandas_type)
    if ID.name not in frame.columns and frame.index.name == ID.name:
        frame = frame.reset_index()
    return Table({str(one): values_of(frame[one]) if one in KNOWN_FIELDS else frame[one] for one in frame})


def _pandas_type(kind: pa.DataType) -> Any:
    """Read text as pandas itself does, and nothing else otherwise."""
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in data[:4096]:
            raise ReadError(
                f"{name}: a binary file of an unknown kind (known: CSV, JSON, Parquet, Feather, .xlsx).", path=name
            ) from error
        warn_caller(f"{name}: not UTF-8; read as Windows-1252. Save it as CSV UTF-8 if names look wrong.")
        return data.decode("cp1252", "replace")


def _json(text: str, name: str) -> Table:
    try:
        content = parse_json(text.encode())
    except orjson.JSONDecodeError:
        content = _json_lines(text, name)
    if isinstance(content, dict):
        if "report" in content and "coverage" in content:
            raise ReadError(f"{name}: a report, not generations. Read it with json.load.", path=name)
        if isinstance(content.get("data"), list):
            content = content["data"]
        elif content and all(isinstance(column, dict) for column in content.values()) and ID.name not in content:
            content = _by_column(content, name)
        else:
            content = [content]
    rows = [one["data"] if isinstance(one, dict) and isinstance(one.get("data"), dict) else one for one in content]
    if any(isinstance(one, str) for one in rows):
        raise ReadError(f"{name}: a list of texts. If they are generation ids, use orstats.read_ids.", path=name)
    if not all(isinstance(one, dict) for one in rows):
        raise ReadError(f"{name}: not a list of JSON objects.", path=name)
    names = dict.fromkeys(key for one in rows for key in one)
    return Table({key: [one.get(key) for one in rows] for key in names})


def _json_lines(text: str, name: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(parse_json(line.encode()))
            except orjson.JSONDecodeError as error:
                raise ReadError(f"{name}: line {number} is not valid JSON: {error}.", path=name) from error
    return rows


def _by_column(columns: Mapping[str, Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Read what ``DataFrame.to_json`` writes: columns of values by id, or rows by id."""
    if KNOWN_FIELDS.keys().isdisjoint(columns):
        return [{ID.name: one, **row} for one, row in columns.items()]
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    if all(key.isdigit() for key in keys) and ID.name not in columns:
        raise ReadError(f"{name}: has no ids. Write it with df.reset_index().", path=name)
    return [{ID.name: key} | {column: values.get(key) for column, values in columns.items()} for key in keys]


def _csv(text: str, name: str) -> Table:
    """Read delimited text; everything is text until the columns are cast."""
    first = text[: 1 << 16].split("\n")[: _HEADER_LINES + 1]
    found = [
        (len(known), -at, delimiter)
        for at, line in enumerate(first)
        for delimiter in _DELIMITERS
        if (known := _known(_cells(line, delimiter)))
    ]
    if not found:
        raise ReadError(_unlike(first, name), path=name)
    _, at, delimiter = max(found)
    body = text.split("\n", -at)[-1] if at else text
    names = _names(next(csv.reader(io.StringIO(body), delimiter=delimiter)), name)
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
    """Read all cells as text; empty ones and the given words are missing, quoted ones only if so asked."""
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
        if known_names([_clean(cell) for cell in row.values()]) != table.column_names:
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


def _known(header: Iterable[Any]) -> set[str]:
    """Return the names in a header that we know; nothing if it is not the header of generations."""
    names = set(_header(header))
    known = names & (KNOWN_FIELDS.keys() | ACTIVITY_COLUMNS.keys())
    return known if names & {ID.name, "generation_id", *UNNAMED} and known & GENERATION_COLUMNS else set()


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line; none if it cannot be a header, as a line inside of a text."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _clean(cell: Any) -> str:
    return str(cell if cell is not None else "").strip().strip("\ufeff\"'").strip()


def _header(cells: Iterable[Any]) -> list[str]:
    """Return the names in a header; those of an orstats workbook, such as ``Cost (USD)``, as columns are named."""
    names = [_clean(one) for one in cells]
    if _is_for_people(names):
        names = [one if NAMES.get(one, one) in names else NAMES[one] for one in names]
    return known_names(names)


def _is_for_people(names: Sequence[str]) -> bool:
    return heading(ID.name) in names


def _names(header: Sequence[Any], name: str) -> list[str]:
    names = [one or f"column_{at}" for at, one in enumerate(_header(header), start=1)]
    if twice := next((one for one in names if names.count(one) > 1), None):
        raise ReadError(f"{name}: two columns are named {twice!r}. Rename one.", path=name)
    return names


def _unlike(lines: Sequence[str], name: str) -> str:
    """Describe a text without generations."""
    head = next((line for line in lines if line.strip()), "").strip()[:80]
    cells = {_clean(one) for delimiter in _DELIMITERS for one in _cells(lines[0], delimiter)}
    if "generations" in cells:
        return f"{name}: a report ({head!r}), not generations. Read it with pandas.read_csv."
    if cells & {"fetch_status", "total_cost", "cost_usd"}:
        return f"{name}: has no column id; was it written without its index? Write it with orstats.write_csv."
    if re.search(r"\bgen[-_]", "\n".join(lines)):
        return f"{name}: a list or log of generation ids, without their costs. Read it with read_ids or --ids-from."
    return f"{name}: no table of generations; it begins {head!r}. A column id or generation_id is needed."


def _workbook(source: Source) -> list[Table]:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Reading .xlsx", extra="excel") from error
    name = source.where
    with zipfile.ZipFile(source.file) as archive:
        source.count_unpacked(sum(member.file_size for member in archive.infolist()), name)
    try:
        book = load_workbook(source.file, read_only=True, data_only=True)
        sheets = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
    except Exception as error:  # openpyxl raises whatever a broken file leads to: KeyError, ParseError …
        raise ReadError(f"{name}: broken or incomplete workbook: {error}.", path=name) from error
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
    at = next((place for place, row in enumerate(rows[:_HEADER_LINES]) if _known(row)), None)
    if at is None:
        return None
    body, is_ours = rows[at:], _is_for_people([_clean(cell) for cell in rows[at]])
    if is_ours:  # totals stand below an empty row
        body = list(takewhile(lambda row: any(cell is not None for cell in row), body))
    whole = list(zip_longest(*body))  # rows of a sheet may have different lengths
    names = _names([column[0] for column in whole], name)
    cells = [(_unescaped if is_ours else _unprotected)(column[1:]) for column in whole]
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
    texts = pa.array([one if isinstance(one, str) else None for one in values], _TEXT)
    return [
        text if isinstance(one, str) else one for one, text in zip(values, unsafe_text(texts).to_pylist(), strict=True)
    ]
