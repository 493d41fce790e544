"""``read``: tables of generations from files, also as other programs saved them, and the Activity export."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from orstats._warn import warn_caller
from orstats.errors import ColumnError, ConfigError, IdSourceError, ReadError
from orstats.export.read_columns import KNOWN_FIELDS, Table, typed_frame
from orstats.export.read_csv import read_csv
from orstats.export.read_workbook import read_workbook
from orstats.frame.cast_values import values_of
from orstats.frame.schema import ID
from orstats.frame.validation import warn_duplicates
from orstats.ids.decompression import unpack
from orstats.ids.source import CHUNK, Source
from orstats.text.json_text import parse_json

_BLACK: Final = re.compile(r"\S")


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
    ConfigError
        `path` is not a name.
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
    if not isinstance(path, str | bytes | os.PathLike):
        raise ConfigError(f"path must be the name of a file, got {type(path).__name__}.")
    name = os.path.expanduser(os.fsdecode(path))  # noqa: PTH111 - Path's own raises for a name that starts with ~
    if not name:
        raise ReadError("The name of the file is empty.", path=name)
    if "\0" in name:
        raise ReadError(f"{name!r}: no such file.", path=name)
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
        return list(map(_parquet_at, files))
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
        return read_workbook(source)
    if name.lower().endswith((".parquet", ".xlsx")):
        raise ReadError(f"{name}: not a {Path(name).suffix} file, or its beginning is missing.", path=name)
    text = _decoded(b"".join(source.chunks), name)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old programs for the Mac end lines
    return [_json(text, name) if text.lstrip()[:1] in ("{", "[") else read_csv(text, name)]


def _parquet_at(path: Path) -> Table:
    with path.open("rb") as file:  # Arrow cannot open a name that is not UTF-8
        return _parquet(file, str(path))


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
    try:
        frame = table.to_pandas(types_mapper=_pandas_type)
    except TypeError:  # pandas does not know its own names of lists and structs of Arrow
        frame = table.to_pandas(types_mapper=_pandas_type, ignore_metadata=True)
    if ID.name not in frame.columns and frame.index.name == ID.name:
        frame = frame.reset_index()
    return Table({str(one): values_of(frame[one]) if one in KNOWN_FIELDS else frame[one] for one in frame})


def _pandas_type(kind: pa.DataType) -> Any:
    """Read text as pandas itself does, and nothing else otherwise."""
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def _decoded(data: bytes, name: str) -> str:
    if encoding := _wide_encoding(data):
        return data.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in data[:4096]:
            raise ReadError(
                f"{name}: a binary file of an unknown kind (known: CSV, JSON, Parquet, Feather, .xlsx).", path=name
            ) from error
        warn_caller(f"{name}: not UTF-8; read as Windows-1252. Save it as CSV UTF-8 if names look wrong.")
        return data.decode("cp1252", "replace")


def _wide_encoding(data: bytes) -> str | None:
    """Return the encoding of text with two or four bytes for a character, also without a byte-order mark."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data[1:4:2] == b"\0\0":
        return "utf-16-le"
    return "utf-16-be" if data[:4:2] == b"\0\0" and data[1:2] != b"\0" else None


def _json(text: str, name: str) -> Table:
    try:
        content = parse_json(text.encode())
    except orjson.JSONDecodeError:
        content = _json_lines(text, name)
    if isinstance(content, dict):
        if "report" in content and "coverage" in content:
            raise ReadError(f"{name}: a report, not generations. Read it with json.load.", path=name)
        if isinstance(content.get("data"), list):
            content = _split_rows(content) if isinstance(content.get("columns"), list) else content["data"]
        elif content and all(isinstance(column, dict) for column in content.values()):
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
                if documents := _json_documents(text):
                    return documents
                raise ReadError(f"{name}: line {number} is not valid JSON: {error}.", path=name) from error
    return rows


def _json_documents(text: str) -> list[Any]:
    """Read documents that follow each other without line ends, as responses that were appended to a file."""
    decoder, documents, end = json.JSONDecoder(), [], 0
    try:
        while start := _BLACK.search(text, end):
            document, end = decoder.raw_decode(text, start.start())
            documents.append(document)
    except json.JSONDecodeError:
        return []
    return documents


def _split_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read what ``DataFrame.to_json(orient="split")`` writes."""
    ids = content.get("index") or [None] * len(content["data"])
    return [{ID.name: one} | dict(zip(content["columns"], row)) for one, row in zip(ids, content["data"])]  # noqa: B905 - a row may be cut


def _by_column(columns: Mapping[str, Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Read what ``DataFrame.to_json`` writes: columns of values by id, or rows by id."""
    if KNOWN_FIELDS.keys().isdisjoint(columns):
        return [{ID.name: one, **row} for one, row in columns.items()]
    keys = list(dict.fromkeys(key for column in columns.values() for key in column))
    if all(key.isdigit() for key in keys) and ID.name not in columns:
        raise ReadError(f"{name}: has no ids. Write it with df.reset_index().", path=name)
    return [{ID.name: key} | {column: values.get(key) for column, values in columns.items()} for key in keys]
