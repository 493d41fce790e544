"""Read a table of the user with every row and value unchanged."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from orstats._warn import warn_caller
from orstats.errors import IdSourceError, IdSourceWarning
from orstats.export.read_sheets import read_sheets
from orstats.ids.csv_files import read_head
from orstats.ids.decompression import unpack
from orstats.ids.id_column import SAMPLE_ROWS, cell_text, name_columns
from orstats.ids.id_shapes import SHAPE, looks_like_id
from orstats.ids.missing_file import missing_file
from orstats.ids.sniff import as_utf8
from orstats.ids.source import CHUNK, HEAD, Source
from orstats.text.workbook_totals import COVERAGE, is_below_table

_FORMATS: Final = ".csv, .xlsx, .jsonl, .json or .parquet"


def read_user_table(path: str | os.PathLike[str], *, column: str | None = None) -> pd.DataFrame:
    """Read a file: text stays text, numbers and times keep their type, missing cells are missing.

    Of a workbook, the sheet with ids is read. CSV may have another delimiter, a title above its header, a byte-order
    mark or another encoding, as for :func:`orstats.read_ids`.
    """
    name = os.path.expanduser(os.fspath(path))  # noqa: PTH111 - Path's own raises for a name that starts with ~
    try:
        with open(name, "rb") as file, Source(iter(lambda: file.read(CHUNK), b""), name, path=name) as source:  # noqa: PTH123 - as above
            return _read(source, column)
    except IdSourceError as error:
        error.path = error.path or name
        raise
    except FileNotFoundError as error:
        raise missing_file(name) from error
    except OSError as error:
        raise IdSourceError(f"{name}: cannot be read: {error.strerror or error}", path=name) from error


def read_user_stream(stream: Any, where: str, *, column: str | None = None) -> pd.DataFrame:
    """Read an open binary file, such as standard input."""
    with Source(iter(lambda: stream.read(CHUNK), b""), where) as source:
        return _read(source, column)


def _read(source: Source, column: str | None) -> pd.DataFrame:
    where = source.where
    if not source.head.strip():
        raise IdSourceError(f"{where}: the file is empty")
    if source.head.startswith(b"PAR1"):
        return _read_parquet(source)
    members = unpack(source)
    if members is not None:
        frames = [_read(member, column) for member in members]
        if len(frames) != 1:
            raise IdSourceError(f"{where}: {len(frames)} files in an archive; extract the one to join")
        return frames[0]
    if source.head.startswith(b"PK\x03\x04"):
        return _read_workbook(source, column)
    if Path(where).suffix.lower() in (".parquet", ".xlsx", ".feather", ".db", ".sqlite", ".ods", ".xls"):
        raise IdSourceError(f"{where}: not a table that can be joined; it must be {_FORMATS}")
    text = _decoded(b"".join(source.chunks), where)
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(text, where)
    if column is None and Path(where).suffix.lower() == ".log":  # commas in its lines do not make columns
        raise IdSourceError(f"{where}: not a table that can be joined; it must be {_FORMATS}")
    return _read_csv(text, where, column)


def _decoded(data: bytes, where: str) -> str:
    data = b"".join(as_utf8(iter([data])))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        message = f"{where}: not UTF-8; read as Windows-1252. Save it as CSV UTF-8 if names look wrong."
        warn_caller(message, IdSourceWarning)
        return data.decode("cp1252", "replace")


def _read_csv(text: str, where: str, column: str | None) -> pd.DataFrame:
    text = text.lstrip("\r\n")
    head = read_head(text[:HEAD], column=column, where=where)
    names, width, first = head.names, head.width, head.rows[0]
    if column not in names and any(map(SHAPE.search, first)) and not any(map(looks_like_id, first)):
        raise IdSourceError(f"{where}: not a table that can be joined: its first line is not a header, but has an id")
    body = io.StringIO(text, newline="")
    for _ in range(head.lines_above):
        body.readline()
    try:
        frame = pd.read_csv(
            body,
            sep=head.delimiter,
            header=None,  # also for files that have one: pandas must not rename or infer anything
            names=range(width),
            index_col=False,
            dtype=str,
            na_filter=False,
        )
    except pd.errors.ParserError as error:
        raise IdSourceError(f"{where}: broken delimited text: {error}") from error
    if head.has_header:
        titles = [cell_text(cell) for cell in frame.iloc[0]]  # without the empty name of R's row names
        stripped = frame.iloc[:, 0].str.strip() == titles[0]
        candidates = frame.index[stripped]
        repeated = [row for row in candidates if [cell_text(cell) for cell in frame.loc[row]] == titles]
        frame = frame.drop(index=repeated)
        if len(repeated) > 1:
            warn_caller(f"{where}: {len(repeated) - 1} repeated header lines skipped", IdSourceWarning)
    if not len(frame):
        raise IdSourceError(f"{where}: a header without rows")
    extra = [place for place in range(len(names), width) if (frame[place] != "").any()]
    frame = frame.loc[:, [*range(len(names)), *extra]].astype(object)
    frame = frame.where(frame != "", None)
    frame.columns = pd.Index([*names, *(f"column_{place + 1}" for place in extra)], dtype=object)
    return frame.reset_index(drop=True)


def _read_json(text: str, where: str) -> pd.DataFrame:
    """Read a list of objects, or one object per line; integers of any size keep their digits."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = list(_json_lines(text, where))
    rows = content if isinstance(content, list) else [content]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise IdSourceError(f"{where}: not a list of JSON objects")
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _objects([row.get(name) for row in rows]) for name in names}
    return pd.DataFrame(columns, copy=False)


def _json_lines(text: str, where: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise IdSourceError(f"{where}, line {number}: not valid JSON ({error.msg})", line=number) from error


def _objects(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype=object)


def _read_parquet(source: Source) -> pd.DataFrame:
    try:
        table = pq.ParquetFile(source.file).read()
    except (pa.ArrowException, OSError) as error:
        raise IdSourceError(f"{source.where}: not a readable Parquet file: {error}") from error
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)  # pandas' own types lose large integers
    return frame


def _read_workbook(source: Source, column: str | None) -> pd.DataFrame:
    where, sheets = source.where, read_sheets(source)
    has_totals = COVERAGE in sheets
    filled = {title: rows for title, cells in sheets.items() if (rows := list(_table_rows(cells, has_totals)))}
    with_ids = [title for title, rows in filled.items() if any(looks_like_id(cell) for row in rows for cell in row)]
    if len(with_ids) > 1:
        raise IdSourceError(f"{where}: several sheets have ids ({', '.join(with_ids)}); save one of them as a file")
    title = next(iter(with_ids or filled), None)
    if title is None:
        raise IdSourceError(f"{where}: the workbook is empty")
    return _sheet_frame(filled[title], column)


def _table_rows(rows: Iterable[tuple[Any, ...]], has_totals: bool) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that are not empty, without totals below an empty row."""
    is_below = False
    for row in rows:
        if all(cell is None for cell in row):
            is_below = has_totals
        elif not (is_below and is_below_table(row)):
            yield row


def _sheet_frame(rows: Sequence[tuple[Any, ...]], column: str | None) -> pd.DataFrame:
    names, _, header = name_columns(rows[:SAMPLE_ROWS], column=column)
    below = rows[0 if header is None else header + 1 :]
    width = max(len(names), *(len(row) for row in below)) if below else len(names)
    cells = [[row[place] if place < len(row) else None for row in below] for place in range(width)]
    titles = [names[place] if place < len(names) else "" for place in range(width)]
    kept = [place for place in range(width) if titles[place] or any(cell is not None for cell in cells[place])]
    frame = pd.concat([_typed(cells[place]) for place in kept], axis=1)
    frame.columns = pd.Index([titles[place] or f"column_{place + 1}" for place in kept], dtype=object)
    return frame


def _typed(values: list[Any]) -> pd.Series[Any]:
    """Return cells as objects, or as times if all are: only those are written as times."""
    series = _objects(values)
    present = series.dropna()
    if len(present) and all(isinstance(value, pd.Timestamp | _DATETIME) for value in present):
        return series.astype("datetime64[us]")
    return series


_DATETIME: Final = type(pd.Timestamp(0).to_pydatetime())
