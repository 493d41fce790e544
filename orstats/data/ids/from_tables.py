"""Take ids from one column of CSV, Parquet, Excel or a pandas frame."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from orstats.api.errors import IdSourceError, MissingExtraError
from orstats.data.ids.bombs import check_growth
from orstats.data.ids.columns import looks_like_id, pick_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    import pandas as pd

    from orstats.data.ids.found import Found

__all__ = ["read_csv", "read_excel", "read_frame", "read_parquet", "texts"]

_SAMPLE_ROWS: Final = 200
_ROWS_AT_ONCE: Final = 50_000
_DELIMITERS: Final = ",;\t|"
_LINE = re.compile(r"(?:row|line) (\d+)")


def texts(values: Iterable[Any], found: Found) -> Iterator[str]:
    """Pass texts on, count missing values, and refuse anything else.

    Parameters
    ----------
    values
        Texts, with None, NaN, NaT or NA where one is missing.
    found
        Counts the missing ones.

    Yields
    ------
    str
        The texts.

    Raises
    ------
    TypeError
        A value is something else; the message names its position, counted from 0.
    """
    for position, value in enumerate(values):
        if isinstance(value, str):
            yield value
        elif _is_missing(value):
            found.blanks += 1
        else:
            raise TypeError(f"position {position}: an id must be text, not {type(value).__name__}")


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    import pandas as pd  # noqa: PLC0415 - only a value that is no text needs it

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def read_frame(frame: pd.DataFrame, found: Found, *, column: str | None) -> None:
    """Take the ids from a column, or a named index, of a pandas frame.

    Parameters
    ----------
    frame
        The frame.
    found
        Receives the ids.
    column
        The column; None chooses as `pick_column` does.

    Raises
    ------
    IdSourceError
        The column is not there, or none or several would do.
    TypeError
        A value is neither text nor missing.
    """
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    rows = frame.head(_SAMPLE_ROWS).itertuples(index=False, name=None)
    place = pick_column(names, rows, column=column, where="the frame")
    found.add_listed(texts(frame.iloc[:, place].tolist(), found))


def read_csv(stream: BinaryIO, head: bytes, found: Found, *, column: str | None, where: str) -> None:
    """Take the ids from a column of delimited text: commas, semicolons, tabs or bars, whatever the file uses.

    A file whose first row already holds an id has no header; its columns are called ``1``, ``2`` and so on.

    Parameters
    ----------
    stream
        UTF-8 text.
    head
        The start of the same text, from which delimiter and column are chosen; at most 128 KiB.
    found
        Receives the ids.
    column
        The column; None chooses as `pick_column` does.
    where
        What the source is called in messages.

    Raises
    ------
    IdSourceError
        The column is not there, none or several would do, or the text cannot be parsed.
    """
    import pandas as pd  # noqa: PLC0415 - keeps `import orstats` light

    start = head.decode("utf-8", "replace").lstrip("\r\n")
    first_line = re.sub(r'"[^"]*"', "", start).split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first_line.count)
    rows = [row for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter) if row]
    rows = rows[:_SAMPLE_ROWS]
    has_header = not any(map(looks_like_id, rows[0])) if rows else False
    names, sample = _header(rows) if has_header else _numbered(rows)
    place = pick_column(names, sample, column=column, where=where)
    try:
        with pd.read_csv(
            stream,
            sep=delimiter,
            header=None,  # also for files that have one: pandas must not rename or infer anything
            usecols=[place],  # with it, rows that are longer than the first are accepted
            dtype=str,
            na_filter=False,
            chunksize=_ROWS_AT_ONCE,
            encoding="utf-8",
            encoding_errors="replace",
        ) as chunks:
            values = chain.from_iterable(chunk.iloc[:, 0].tolist() for chunk in chunks)
            found.add_listed(islice(values, int(has_header), None))
    except pd.errors.ParserError as error:
        match = _LINE.search(str(error))
        line = int(match[1]) + 1 if match else None
        message = f"{where}: broken delimited text near line {line}: {error}"
        raise IdSourceError(message, line=line) from error


def _header(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    return [name.strip() for name in rows[0]], rows[1:]


def _numbered(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    return [str(number) for number in range(1, max(map(len, rows), default=0) + 1)], rows


def read_parquet(source: str | BinaryIO, found: Found, *, column: str | None, where: str) -> None:
    """Take the ids from a text column of a Parquet file.

    Parameters
    ----------
    source
        A path, or an open file that can seek.
    found
        Receives the ids.
    column
        The column; None chooses as `pick_column` does.
    where
        What the source is called in messages.

    Raises
    ------
    IdSourceError
        The file is broken, the column is not there or holds no text, or none or several would do.
    """
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(source) as file:
            kinds = {field.name: field.type for field in file.schema_arrow}
            names = list(kinds)
            sample = _parquet_sample(file, kinds) if column is None else []
            chosen = names[pick_column(names, sample, column=column, where=where)]
            if not _is_text(kinds[chosen]):
                raise IdSourceError(f"{where}: column {chosen!r} holds {kinds[chosen]}, not text")
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[chosen]):
                found.add_listed(texts(batch.column(0).to_pylist(), found))
    except (pa.ArrowException, UnicodeDecodeError) as error:  # the latter of metadata that pandas reads
        raise IdSourceError(f"{where}: not a readable Parquet file: {error}") from error


def _parquet_sample(file: Any, kinds: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Give the first rows; only text is read, other cells stay None."""
    text = [name for name, kind in kinds.items() if _is_text(kind)]
    for batch in file.iter_batches(_SAMPLE_ROWS, columns=text):
        cells = batch.to_pydict()
        return list(zip(*(cells.get(name, [None] * batch.num_rows) for name in kinds), strict=True))
    return []


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def read_excel(file: BinaryIO, found: Found, *, column: str | None, where: str) -> None:
    """Take the ids from a column of the first sheet of an ``.xlsx`` workbook.

    Parameters
    ----------
    file
        An open file that can seek.
    found
        Receives the ids.
    column
        The column; None chooses as `pick_column` does. The first row that is not blank is the header, unless it
        already holds an id.
    where
        What the source is called in messages.

    Raises
    ------
    IdSourceError
        The file is no workbook, the column is not there, none or several would do, or a cell holds no text.
    MissingExtraError
        openpyxl is not installed.
    """
    sizes = _members(file)
    if "xl/workbook.xml" not in sizes:
        raise IdSourceError(f"{where}: a zip archive that is no .xlsx workbook; unpack it first")
    check_growth(file.seek(0, io.SEEK_END), sum(sizes.values()), where)
    try:
        import openpyxl  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise MissingExtraError("reading an Excel workbook", extra="excel") from error
    try:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        try:
            sheet = workbook.worksheets[0]
            sheet.reset_dimensions()  # some writers store a wrong size
            numbered = enumerate(sheet.iter_rows(values_only=True), start=1)
            rows = ((row, cells) for row, cells in numbered if any(cells))
            first = list(islice(rows, _SAMPLE_ROWS))
            names, first = _excel_header(first)
            place = pick_column(names, [cells for _, cells in first], column=column, where=where)
            found.add_listed(_excel_texts(chain(first, rows), place, where))
        finally:
            workbook.close()
    except IdSourceError:
        raise
    except Exception as error:  # openpyxl lets through whatever a broken file leads to: KeyError, ParseError …
        raise IdSourceError(f"{where}: not a readable .xlsx workbook: {error}") from error


def _members(file: BinaryIO) -> dict[str, int]:
    """Give the unpacked size of each file in a zip archive; none when it is none."""
    try:
        return {member.filename: member.file_size for member in zipfile.ZipFile(file).infolist()}
    except zipfile.BadZipFile:
        return {}


_ExcelRows = list[tuple[int, tuple[Any, ...]]]


def _excel_header(rows: _ExcelRows) -> tuple[list[str], _ExcelRows]:
    if rows and not any(map(looks_like_id, rows[0][1])):
        return ["" if cell is None else str(cell).strip() for cell in rows[0][1]], rows[1:]
    return [str(number) for number in range(1, max((len(cells) for _, cells in rows), default=0) + 1)], rows


def _excel_texts(rows: Iterable[tuple[int, tuple[Any, ...]]], place: int, where: str) -> Iterator[str]:
    for row, cells in rows:
        value = cells[place] if place < len(cells) else None
        if value is not None and not isinstance(value, str):
            message = f"{where}, row {row}: the cell holds {type(value).__name__}, not text"
            raise IdSourceError(message, line=row)
        yield value or ""
