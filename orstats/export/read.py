"""``read``: files of ours, as other programs may have saved them again, and the vendor's Activity export."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import takewhile, zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from orstats._warn import warn_caller
from orstats.errors import ColumnError, MissingExtraError, OrstatsError, ReadError
from orstats.export.column_formats import NAMES, heading
from orstats.export.csv_cells import unsafe_text
from orstats.frame import arrow
from orstats.frame.build import pandas_array
from orstats.frame.schema import COLUMNS, DERIVED, FIELDS, ID, WIRE, Field
from orstats.frame.validation import DecimalMark, cast, decimal_mark, values_of, warn_duplicates

#: Columns of the vendor's Activity export, and the fields that they are.
_ACTIVITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "generation_id": "id",
        "cost_total": "total_cost",
        "byok_usage_inference": "upstream_inference_cost",
        "finish_reason_raw": "native_finish_reason",
        "finish_reason_normalized": "finish_reason",
        "generation_time_ms": "generation_time",
        "time_to_first_token_ms": "latency",
    }
)
_EXPORTED: Final = "Activity export of the web page"
#: Columns of that export without a field, typed as it writes them.
_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        **FIELDS,
        **{name: Field(name, "text", "wire", _EXPORTED) for name in ("model_permaslug", "variant", "user")},
        **{name: Field(name, "text", "wire", _EXPORTED) for name in ("app_name", "api_key_name")},
        **{name: Field(name, "count", "wire", _EXPORTED) for name in ("tokens_reasoning", "tokens_cached")},
        **{name: Field(name, "flag", "wire", _EXPORTED) for name in ("api_key_disabled",)},
        **{
            name: Field(name, "number", "wire", _EXPORTED)
            for name in ("cost_web_search", "cost_cache", "cost_file_processing")
        },
    }
)
#: A table with an id and one of these holds generations.
_TELLING: Final = frozenset({"fetch_status", "created_at", "model", "total_cost", "cost_usd", "cost_total"})
#: How pandas names the column of an index without a name.
_UNNAMED: Final = ("", "Unnamed: 0", "index")
_DELIMITERS: Final = (",", ";", "\t", "|")
_HEADER_LINES: Final = 20
_NUMBER: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_WHOLE: Final = r"^-?(0|[1-9][0-9]{0,17})$"
#: What spreadsheets write with numbers in a CSV.
_SIGNS: Final = r"[$\s\x{a0}\x{202f}]"
_ESCAPED: Final = re.compile(r"_x005F_(?=x[0-9A-Fa-f]{4}_)")
_FLAG: Final = r"^(true|false|TRUE|FALSE|True|False)$"
_MOST_GROWTH: Final = 250
_LEAST_GROWTH: Final = 256 << 20
_TEXT: Final = pa.string()


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    r"""Read a file of generations as a typed DataFrame: one of ours, or the vendor's Activity export.

    Parameters
    ----------
    path : str or os.PathLike
        - CSV, JSON Lines, JSON, Parquet or ``.xlsx`` as :func:`orstats.write_csv`, :func:`orstats.write_report` or
          pandas wrote it, plain or compressed (gzip, bzip2, xz, zstd, zip). Also as a spreadsheet saved it again:
          with semicolons, decimal commas, another encoding, reformatted dates or a title above the header. The
          apostrophes that protect a spreadsheet from formulas are removed. All sheets of a workbook that have an
          ``id`` column are read.
        - A directory: all Parquet files in and below it.
        - The CSV that the vendor's Activity page exports. Its columns get the names of the field table, and the
          derived columns are computed. Its other columns, such as ``api_key_name`` and ``app_name``, stay.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, with the dtypes of the field table. Unknown columns are kept. Without ``fetch_status`` all
        rows are ``ok``. Files that :func:`orstats.write_csv` wrote give back the frame: Parquet exactly, JSON Lines
        and CSV but for the nanoseconds and dtypes of your own columns, CSV and xlsx also but for control characters
        and the kind of line break inside of texts, xlsx also but for what is finer than a millisecond, the 17th digit
        of numbers and what did not fit into a cell.

    Raises
    ------
    ReadError
        The file is missing or broken, or does not hold generations; the message says what it looks like.
    MissingExtraError
        A workbook is given and openpyxl is not installed.

    Warns
    -----
    DuplicateIdsWarning
        Several rows have the same id: :func:`orstats.combine` keeps the best of them.
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
    name = os.path.expanduser(os.fspath(path))  # noqa: PTH111 - Path's own raises for a name that starts with ~
    try:
        tables = _directory(Path(name)) if Path(name).is_dir() else _tables(Path(name).read_bytes(), name)
        frames = [_frame(table, name) for table in tables]
    except FileNotFoundError as error:
        raise ReadError(f"{name}: no such file.", path=name) from error
    except OSError as error:
        raise ReadError(f"{name}: cannot be read: {error.strerror or error}.", path=name) from error
    except ColumnError as error:
        raise ReadError(f"{name}: {error}", path=name) from error
    frame = frames[0] if len(frames) == 1 else pd.concat(frames)
    warn_duplicates(frame)
    return frame


class _Table:
    """Columns as a file has them: Arrow or lists of Python values, by name."""

    def __init__(self, columns: Mapping[str, Any], decimal: DecimalMark | None = None) -> None:
        self.columns = dict(columns)
        self.decimal = decimal


def _directory(folder: Path) -> list[_Table]:
    files = sorted(
        file for file in folder.rglob("*.parquet") if not any(part.startswith((".", "_")) for part in file.parts[-3:])
    )
    if not files:
        raise ReadError(f"{folder}: a directory without Parquet files. Give the path of one file.", path=str(folder))
    return [_parquet(file.read_bytes(), str(file)) for file in files]


def _tables(data: bytes, name: str) -> list[_Table]:
    """Tell what the content is, and return the tables in it."""
    if not data.strip():
        raise ReadError(f"{name}: the file is empty.", path=name)
    if data.startswith(b"PAR1"):
        return [_parquet(data, name)]
    if data.startswith(b"PK\x03\x04"):
        return _zip(data, name)
    unpacked = _unpacked(data, name)
    if unpacked is not None:
        return _tables(unpacked, name)
    if name.lower().endswith((".parquet", ".xlsx")):
        raise ReadError(f"{name}: not a {Path(name).suffix} file, or its beginning is missing.", path=name)
    text = _decoded(data, name)
    return [_json(text, name) if text.lstrip()[:1] in ("{", "[") else _csv(text, name)]


def _unpacked(data: bytes, name: str) -> bytes | None:
    """Decompress a file; None if it is not compressed."""
    source = io.BytesIO(data)
    if data.startswith(b"\x1f\x8b"):
        file: Any = gzip.GzipFile(fileobj=source)
    elif data.startswith(b"BZh"):
        file = bz2.BZ2File(source)
    elif data.startswith(b"\xfd7zXZ\x00"):
        file = lzma.LZMAFile(source)  # noqa: SIM115 - it holds memory only
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        file = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    else:
        return None
    whole = bytearray()
    try:
        while chunk := file.read(1 << 20):
            whole += chunk
            _check_growth(len(data), len(whole), name)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise ReadError(f"{name}: broken or incomplete compressed file: {error}.", path=name) from error
    return bytes(whole)


def _check_growth(packed: int, unpacked: int, name: str) -> None:
    if unpacked > _LEAST_GROWTH and unpacked > _MOST_GROWTH * packed:
        raise ReadError(f"{name}: decompresses to more than {_MOST_GROWTH}x its size; decompress it first.", path=name)


def _zip(data: bytes, name: str) -> list[_Table]:
    """Read a workbook, or the files in a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            _check_growth(len(data), sum(one.file_size for one in members), name)
            if any(one.filename == "xl/workbook.xml" for one in members):
                return _workbook(data, name)
            if any(one.filename == "content.xml" for one in members):
                raise ReadError(f"{name}: an OpenDocument spreadsheet; save it as .xlsx or .csv.", path=name)
            files = [one for one in members if not Path(one.filename).name.startswith(".")]
            return [table for one in files for table in _tables(archive.read(one), f"{name}/{one.filename}")]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ReadError(f"{name}: broken or incomplete workbook or zip archive: {error}.", path=name) from error


def _parquet(data: bytes, name: str) -> _Table:
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read()
        frame = table.to_pandas(types_mapper=_pandas_type)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReadError(f"{name}: broken or incomplete Parquet file: {error}.", path=name) from error
    if ID.name not in frame.columns and frame.index.name == ID.name:
        frame = frame.reset_index()
    return _Table({str(column): values_of(frame[column]) if column in _FIELDS else frame[column] for column in frame})


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
                f"{name}: a binary file of an unknown kind (known: CSV, JSON, Parquet, .xlsx).", path=name
            ) from error
        warn_caller(f"{name}: not UTF-8; read as Windows-1252. Save it as CSV UTF-8 if names look wrong.")
        return data.decode("cp1252", "replace")


def _json(text: str, name: str) -> _Table:
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError:
        whole = _lines(text, name)
    if isinstance(whole, dict):
        if "report" in whole and "coverage" in whole:
            raise ReadError(f"{name}: a report, not generations. Read it with json.load.", path=name)
        data = whole.get("data")
        if isinstance(data, list):
            whole = data
        elif whole and all(isinstance(column, dict) for column in whole.values()) and ID.name not in whole:
            whole = _by_column(whole, name)
        else:
            whole = [whole]
    rows = [one["data"] if isinstance(one, dict) and isinstance(one.get("data"), dict) else one for one in whole]
    if any(isinstance(one, str) for one in rows):
        raise ReadError(f"{name}: a list of texts. If they are generation ids, use orstats.read_ids.", path=name)
    if not all(isinstance(one, dict) for one in rows):
        raise ReadError(f"{name}: not a list of JSON objects.", path=name)
    names = dict.fromkeys(key for one in rows for key in one)
    return _Table({key: [one.get(key) for one in rows] for key in names})


def _lines(text: str, name: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise ReadError(f"{name}: line {number} is not valid JSON: {error}.", path=name) from error
    return rows


def _by_column(whole: Mapping[str, Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Read what ``DataFrame.to_json`` writes: columns of values by id, or rows by id."""
    if _FIELDS.keys().isdisjoint(whole):
        return [{ID.name: one, **row} for one, row in whole.items()]
    keys = list(dict.fromkeys(key for column in whole.values() for key in column))
    if all(key.isdigit() for key in keys) and ID.name not in whole:
        raise ReadError(f"{name}: has no ids. Write it with df.reset_index().", path=name)
    return [{ID.name: key} | {column: values.get(key) for column, values in whole.items()} for key in keys]


def _csv(text: str, name: str) -> _Table:
    """Read delimited text; everything is text until the columns are cast."""
    first = text[: 1 << 16].split("\n")[: _HEADER_LINES + 1]
    found = [
        (len(known), -at, delimiter)
        for at, line in enumerate(first)
        for delimiter in _DELIMITERS
        if (known := _known(next(csv.reader([line], delimiter=delimiter), [])))
    ]
    if not found:
        raise ReadError(_unlike(first, name), path=name)
    _, at, delimiter = max(found)
    body = text.split("\n", -at)[-1] if at else text
    names = _names(next(csv.reader(io.StringIO(body), delimiter=delimiter)), name)
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(body.encode("utf-8", "replace")),
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows=1, block_size=max(1 << 24, len(body) // 8)
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, _TEXT),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        raise ReadError(f"{name}: not regular CSV, or cut off: {error}.", path=name) from error
    columns = dict(zip(names, table.columns, strict=True))
    numbers = [one for one in names if one in _FIELDS and _FIELDS[one].kind in ("number", "count")]
    columns |= {one: pc.replace_substring_regex(columns[one], _SIGNS, "") for one in numbers}
    texts = (text for one in numbers for text in pc.unique(columns[one]).drop_null().to_pylist())
    mark = decimal_mark(text.rstrip("%") for text in texts) or ("," if delimiter == ";" else ".")
    return _Table(
        {one: _shares(column, mark) if one in numbers else unsafe_text(column) for one, column in columns.items()}, mark
    )


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
        return text  # casting refuses it, and says where it is


def _known(header: Iterable[Any]) -> set[str]:
    """Return the names in a header that we know; nothing if it is not the header of generations."""
    names = set(_header(header))
    known = names & (_FIELDS.keys() | _ACTIVITY.keys())
    return known if names & {ID.name, "generation_id", *_UNNAMED} and known & _TELLING else set()


def _clean(cell: Any) -> str:
    return str(cell if cell is not None else "").strip().strip("\ufeff\"'").strip()


def _header(cells: Iterable[Any]) -> list[str]:
    """Return the names in a header; those of a workbook of ours, such as ``Cost (USD)``, as columns are named."""
    names = [_clean(one) for one in cells]
    if not _is_for_people(names):
        return names
    return [one if NAMES.get(one, one) in names else NAMES[one] for one in names]


def _is_for_people(names: Sequence[str]) -> bool:
    return heading(ID.name) in names


def _names(header: Sequence[Any], name: str) -> list[str]:
    names = [one or f"column_{at}" for at, one in enumerate(_header(header), start=1)]
    if twice := next((one for one in names if names.count(one) > 1), None):
        raise ReadError(f"{name}: two columns are named {twice!r}. Rename one.", path=name)
    return names


def _unlike(lines: Sequence[str], name: str) -> str:
    """Say what a text without generations looks like."""
    head = next((line for line in lines if line.strip()), "").strip()[:80]
    cells = {_clean(one) for delimiter in _DELIMITERS for one in next(csv.reader([lines[0]], delimiter=delimiter), [])}
    if "generations" in cells:
        return f"{name}: a report ({head!r}), not generations. Read it with pandas.read_csv."
    if cells & {"fetch_status", "total_cost", "cost_usd"}:
        return f"{name}: has no column id; was it written without its index? Write it with orstats.write_csv."
    if re.search(r"\bgen[-_]", "\n".join(lines)):
        return f"{name}: looks like a list or log of generation ids, not a table of them. Use orstats.read_ids."
    return f"{name}: no table of generations; it begins {head!r}. A column id or generation_id is needed."


def _workbook(data: bytes, name: str) -> list[_Table]:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Reading .xlsx", extra="excel") from error
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
    except OrstatsError:
        raise
    except Exception as error:
        raise ReadError(f"{name}: broken or incomplete workbook: {error}.", path=name) from error
    tables = []
    for rows in sheets.values():
        at = next((place for place, row in enumerate(rows[:_HEADER_LINES]) if _known(row)), None)
        if at is not None:
            body, is_ours = rows[at:], _is_for_people([_clean(cell) for cell in rows[at]])
            if is_ours:  # totals stand below an empty row
                body = list(takewhile(lambda row: any(cell is not None for cell in row), body))
            columns = list(zip_longest(*body))  # rows of a sheet may have different lengths
            names = _names([column[0] for column in columns], name)
            cells = [(_unescaped if is_ours else _unprotected)(column[1:]) for column in columns]
            tables.append(
                _Table(
                    {
                        one: column
                        for one, column in zip(names, cells, strict=True)
                        if one in _FIELDS or any(cell is not None for cell in column)
                    }
                )
            )
    if not tables:
        if "report" in sheets:
            raise ReadError(f"{name}: a report, not generations. Read it with pandas.read_excel.", path=name)
        raise ReadError(
            f"{name}: no sheet ({', '.join(sheets)}) has generations: a header with id or generation_id is needed.",
            path=name,
        )
    return tables


def _unescaped(values: Iterable[Any]) -> list[Any]:
    """Turn ``_x005F_x0041_`` into the ``_x0041_`` that it stands for in a workbook; openpyxl leaves that to us."""
    return [_ESCAPED.sub("_", one) if isinstance(one, str) else one for one in values]


def _unprotected(values: Iterable[Any]) -> list[Any]:
    values = list(values)
    texts = pa.array([one if isinstance(one, str) else None for one in values], _TEXT)
    return [
        text if isinstance(one, str) else one for one, text in zip(values, unsafe_text(texts).to_pylist(), strict=True)
    ]


def _frame(table: _Table, name: str) -> pd.DataFrame:
    """Make the typed frame of a table."""
    columns = _without_index(table.columns)
    is_export = ID.name not in columns and "generation_id" in columns
    if is_export:
        columns = {_ACTIVITY.get(one, one): column for one, column in columns.items()}
    if ID.name not in columns or _TELLING.isdisjoint(columns):
        raise ReadError(
            f"{name}: no table of generations; its columns are {', '.join(list(table.columns)[:5])}. "
            "A column id, and the columns of orstats.fetch, are needed.",
            path=name,
        )
    typed: dict[str, Any] = {}
    for one, values in columns.items():
        field = _FIELDS.get(one)
        typed[one] = _own(values) if field is None else pandas_array(field, cast(values, field, decimal=table.decimal))
    frame = pd.DataFrame(typed, copy=False)
    is_raw = "total_cost" in columns and columns.keys().isdisjoint(field.name for field in DERIVED)
    frame = _derived(frame) if is_export or is_raw else frame
    if "fetch_status" not in frame.columns:
        frame.insert(0, "fetch_status", pd.Series("ok", index=frame.index, dtype=pd.StringDtype("pyarrow")))
    without = frame[ID.name].isna() | (frame[ID.name].str.strip() == "")
    if without.any():
        lost = frame.loc[without].drop(columns="fetch_status").notna().any(axis=1).sum()
        frame = frame.loc[~without]
        if lost:
            warn_caller(f"{name}: {lost:,} rows without an id skipped.")
    return frame.set_index(ID.name)


def _without_index(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the column that pandas wrote for an index without a name, or take it for the ids if it holds them."""
    columns = dict(columns)
    name = next((one for one in ("column_1", *_UNNAMED[1:]) if one in columns), None)
    if name is not None:
        values = columns[name]
        first = next((one for one in values if one is not None), None)
        is_id = not str(first).replace(".", "").isdigit()
        if not is_id and name != "index":
            del columns[name]
        elif is_id and columns.keys().isdisjoint((ID.name, "generation_id")):
            columns = {ID.name: columns.pop(name)} | columns
    return columns


def _own(values: Any) -> Any:
    """Type a column that the field table does not have: numbers and flags where all values are."""
    if isinstance(values, pd.Series):
        return values.array
    if isinstance(values, list):
        return pd.Series(values, dtype=object).convert_dtypes().array
    text = values.cast(_TEXT)
    for pattern, kind in ((_FLAG, "flag"), (_WHOLE, "count"), (_NUMBER, "number")):
        if pc.any(pc.is_valid(text)).as_py() and pc.all(pc.match_substring_regex(text, pattern)).as_py():
            field = Field("", kind, "wire", "")  # type: ignore[arg-type]  # one of the kinds
            return pandas_array(field, cast(text, field))
    return pandas_array(Field("", "text", "wire", ""), text)


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    """Complete the records of another source: all columns of the field table, the derived ones computed."""
    rows = len(frame)
    if "is_byok" not in frame.columns and "upstream_inference_cost" in frame.columns:
        used = (frame["upstream_inference_cost"] > 0).astype("boolean")
        frame["is_byok"] = used.mask(~used)  # without a charge to your own keys nothing says whether they were used
    if "model" not in frame.columns and "model_permaslug" in frame.columns:
        frame["model"] = frame["model_permaslug"]
        if "variant" in frame.columns:
            special = frame["variant"].notna() & ~frame["variant"].isin(["", "standard"])
            plain = ~frame["model"].str.contains(":", regex=False).fillna(value=True)
            named = special & plain
            frame.loc[named, "model"] = frame["model"] + ":" + frame["variant"]
    wire = {
        field.name: pa.array(frame[field.name].array, arrow.TYPES[field.kind], from_pandas=True)
        if field.name in frame.columns
        else pa.nulls(rows, arrow.TYPES[field.kind])
        for field in WIRE
    }
    made = wire | arrow.derived_columns(pa.table(wire))
    whole = {
        field.name: frame[field.name].array
        if field.name in frame.columns
        else pandas_array(field, made.get(field.name, pa.nulls(rows, arrow.TYPES[field.kind])))
        for field in (ID, *COLUMNS)
        if field.name in frame.columns or field.name != "fetch_status"
    }
    return pd.DataFrame(whole | {str(one): frame[one].array for one in frame.columns if one not in whole})
