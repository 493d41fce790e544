"""Write DataFrames to files that other programs read: CSV, workbooks, Parquet, JSON Lines.

A file is written under a temporary name and then renamed, so a full disk or a crash leaves the old file unchanged.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any, Final

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orstats._warn import warn_caller
from orstats.errors import ConfigError, ExportError
from orstats.export.csv_cells import arrow_array, cell_texts, iso_times, named_columns, one_value
from orstats.export.output_file import Target
from orstats.export.workbook import check_workbook, write_workbook
from orstats.frame.build import USER_COLUMNS
from orstats.frame.schema import FIELDS
from orstats.frame.validation import check_duplicates, require_pandas
from orstats.reports.periods import PERIOD

_TEXT: Final = pa.large_string()
#: Rows converted to text at a time. This bounds the memory, and the text of a column to less than 2 GB.
_SLICE: Final = 20_000


def write_csv(
    frame: pd.DataFrame,
    path: str | os.PathLike[str] | IO[str] | IO[bytes],
    *,
    spreadsheet_safe: bool = True,
    dialect: str = "plain",
) -> None:
    """Write a DataFrame or report to a file: all columns and all rows, including those that are not ``ok``.

    CSV suits spreadsheets and programs alike: UTF-8 without a byte-order mark (for Excel: Data, From Text/CSV),
    commas, LF, quotes where needed. Numbers are plain decimals with the fewest digits that read back the same
    (``0.00000042``), integers have no decimal point, times are ``2026-11-23T10:00:00.123456Z`` (or with the offset of
    another time zone), flags are ``true`` and ``false``, and missing values are empty cells.

    CSV and JSON Lines write the periods of a report over time as ``2026`` (year), ``2026-Q4``, ``2026-10``,
    ``2026-10-05`` (day, or the Monday of a week) or ``2026-10-25T01:00+01:00`` (hour), and name their time zone in
    a last column ``tz``. Parquet stores the start of each period, with its time zone.

    Parameters
    ----------
    frame : pandas.DataFrame
        From :func:`orstats.fetch`, or any other. The index becomes the first columns, unless it only numbers the rows.
    path : str, os.PathLike or file
        The ending decides: ``.csv``, ``.csv.gz``, ``.xlsx`` (see :func:`orstats.write_report`), ``.parquet`` (with
        the same types), ``.jsonl`` or ``.ndjson`` (one object per line; missing values are null, JSON columns are
        nested). CSV is written to an open file, of text or of bytes.
    spreadsheet_safe : bool
        CSV only. Text, ids and column names that a spreadsheet would run as a formula get an apostrophe in front:
        those that begin with ``= + - @`` or their full-width forms, also after blanks, or with a tab or line break.
        The same applies to these signs after a semicolon, tab or line break inside a text, because a spreadsheet
        that separates cells by semicolons would start a cell there. Line breaks become LF, and other control
        characters are removed. Numbers stay numbers. Use False to write text unchanged, for other programs.
    dialect : {"plain", "excel", "excel-eu"}
        CSV only. ``"excel"`` adds a byte-order mark, so that Excel reads non-English names correctly.
        ``"excel-eu"`` also uses semicolons and decimal commas, as Excel expects where the comma is the decimal mark.
        Excel still changes texts of digits when it opens a CSV: ``00123`` becomes 123, and only 15 digits are kept.
        A warning says so; ``.xlsx`` keeps them.

    Raises
    ------
    ConfigError
        Not a pandas DataFrame, nor a name or an open file, or an unknown dialect.
    ExportError
        Unknown ending, no such directory, no permission, full disk, or values that the format cannot hold.
        An existing file is left unchanged.
    MissingExtraError
        ``.xlsx`` needs ``orstats[excel]``.
    OSError
        Writing to an open file failed.

    Warns
    -----
    DuplicateIdsWarning
        Several rows have the same id.
    UserWarning
        Excel will change texts of digits in a CSV, or texts are too long for the cells of a workbook.

    Examples
    --------
    >>> import sys
    >>> report = pd.DataFrame({"cost_usd": [4.2e-07, None]}, index=pd.Index(["gen-1", "=evil()"], name="id"))
    >>> write_csv(report, sys.stdout)
    id,cost_usd
    gen-1,0.00000042
    '=evil(),
    """
    require_pandas(frame)
    frame = check_duplicates(frame)
    form = _dialect(dialect)
    if not isinstance(path, str | os.PathLike):
        _write_open(path, _csv_blocks(frame, form, safe=spreadsheet_safe))
        return
    target = Target(path, ENDINGS)
    if target.ending == ".xlsx":
        check_workbook(len(frame), target.path)
        target.replace(lambda file: write_workbook(frame, file, target.path))
    elif target.ending in _CSV:
        blocks = _csv_blocks(frame, form, safe=spreadsheet_safe)
        if target.ending == ".csv.gz":
            # Concatenated members are a gzip file. Without a time in it, equal DataFrames give equal files.
            blocks = (gzip.compress(block, compresslevel=6, mtime=0) for block in blocks)
        target.replace(lambda file: file.writelines(blocks))
    elif form.mark:
        raise ConfigError(f"dialect={dialect!r} applies to CSV, not to {target.path}.")
    elif target.ending == ".parquet":
        target.replace(lambda file: _write_parquet(_with_zone(frame), file, target.path))
    else:
        target.replace(lambda file: _write_json(_with_zone(frame), file, target.path))


def _write_open(file: Any, blocks: Iterable[bytes]) -> None:
    if not hasattr(file, "write"):
        raise ConfigError(f"path must be the name of a file or an open file, got {type(file).__name__}.")
    is_binary = isinstance(file, io.RawIOBase | io.BufferedIOBase) or "b" in str(getattr(file, "mode", ""))
    for block in blocks:
        file.write(block if is_binary else block.decode())


def _with_zone(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the time zone of the periods of a report, unless it is there already."""
    zone = frame.attrs.get("coverage", {}).get("tz")
    has_periods = PERIOD in (*frame.index.names, *frame.columns)
    return frame.assign(tz=zone) if zone is not None and has_periods and "coverage_tz" not in frame.columns else frame


_CSV: Final = (".csv", ".csv.gz")
ENDINGS: Final = (*_CSV, ".xlsx", ".parquet", ".jsonl", ".ndjson")


def check_target(
    path: str | os.PathLike[str],
    *,
    endings: Sequence[str] = ENDINGS,
    rows: int = 0,
    inputs: Iterable[str] = (),
) -> None:
    """Check that a file can be written and is not one of the `inputs`, before doing the work whose result it is for."""
    target = Target(path, endings)
    target.check_inputs(inputs)
    target.check()
    if target.ending == ".xlsx":
        check_workbook(rows, target.path)


@dataclass(frozen=True, slots=True)
class _Dialect:
    mark: str = ""
    separator: str = ","
    decimal: str = "."


_DIALECTS: Final[Mapping[str, _Dialect]] = MappingProxyType(
    {"plain": _Dialect(), "excel": _Dialect("\ufeff"), "excel-eu": _Dialect("\ufeff", ";", ",")}
)
#: Texts that Excel converts to numbers when it opens a CSV, and then shows differently.
_CHANGED: Final = r"\A(0\d+|\d{16,}|\d+[eE]\d+)\z"


def _dialect(name: str) -> _Dialect:
    if name not in _DIALECTS:
        raise ConfigError(f"dialect must be one of {', '.join(map(repr, _DIALECTS))}, got {name!r}.")
    return _DIALECTS[name]


def _warn_of_digits(columns: list[tuple[str, pd.Series[Any]]]) -> None:
    for name, column in columns:
        array = arrow_array(column)
        if array is not None and (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            changed = array.filter(pc.fill_null(pc.match_substring_regex(array, _CHANGED), False))
            if len(changed):
                warn_caller(
                    f"Excel will change {len(changed):,} texts of digits in column {name!r}, such as "
                    f"{changed[0].as_py()[:40]!r}, when it opens this CSV. Write .xlsx to keep them."
                )


def _csv_blocks(frame: pd.DataFrame, form: _Dialect, *, safe: bool) -> Iterator[bytes]:
    """Yield the header, and then blocks of complete lines, in UTF-8."""
    columns = named_columns(_with_zone(frame))
    if not columns:
        return
    own = frame.attrs.get(USER_COLUMNS, ())
    if form.mark:
        _warn_of_digits(columns)
    names = cell_texts(pd.Series([name for name, _ in columns], dtype=object), safe=safe)
    yield (form.mark + form.separator.join(names.to_pylist()) + "\n").encode()
    separator, end = pa.scalar(form.separator, _TEXT), pa.scalar("\n", _TEXT)
    nothing = pa.scalar("", _TEXT)
    # Readers skip empty lines, so a missing value in the only column is written as "".
    missing = '""' if len(columns) == 1 else ""
    for start in range(0, len(frame), _SLICE):
        cells = [
            cell_texts(column.iloc[start : start + _SLICE], safe=safe, decimal=form.decimal, of_user=name in own)
            for name, column in columns
        ]
        cells = [pc.fill_null(column, missing) for column in cells]
        lines = pc.binary_join_element_wise(*cells, separator)
        yield bytes(_text_bytes(pc.binary_join_element_wise(lines, end, nothing)))


def _text_bytes(lines: pa.Array) -> memoryview:
    """Return the text of all lines without copying it."""
    _, offsets, data = lines.buffers()
    first, last = memoryview(offsets).cast("q")[lines.offset], memoryview(offsets).cast("q")[lines.offset + len(lines)]
    return memoryview(data)[first:last]


def _write_parquet(frame: pd.DataFrame, file: IO[bytes], path: str) -> None:
    plain = frame.copy(deep=False)
    plain.attrs = {}
    try:
        table = pa.Table.from_pandas(plain)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        message = f"{path}: Parquet cannot hold this DataFrame ({error}); write it as .csv or .jsonl."
        raise ExportError(message, path=path) from error
    pq.write_table(table, file, compression="zstd")


def json_rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield each row as JSON Lines has it: missing is None, times are text, JSON columns are nested."""
    columns = named_columns(frame)
    names = [name for name, _ in columns]
    own = frame.attrs.get(USER_COLUMNS, ())
    for start in range(0, len(frame), _SLICE):
        values = [
            _json_values("" if name in own else name, column.iloc[start : start + _SLICE]) for name, column in columns
        ]
        for row in zip(*values, strict=True):
            yield dict(zip(names, row, strict=True))


def _write_json(frame: pd.DataFrame, file: IO[bytes], path: str) -> None:
    names = [name for name, _ in named_columns(frame)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ExportError(f"{path}: two columns are named {twice!r}; rename one, or write .csv.", path=path)
    file.writelines(map(_json_line, json_rows(frame)))


def _json_line(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, default=json_text, option=_JSON)
    except TypeError:  # integers of more than 64 bits
        return (
            json.dumps(row, default=json_text, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        )


_JSON: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def json_text(value: Any) -> str:
    """Return the text of a value that JSON has no type for."""
    return one_value(value)[0]


def _json_values(name: str, column: pd.Series[Any]) -> list[Any]:
    array = arrow_array(column) if column.dtype.kind in "MO" else None
    if array is not None and pa.types.is_timestamp(array.type):
        texts: list[Any] = iso_times(array).to_pylist()
        return texts
    values = [None if gone else value for gone, value in zip(column.isna(), column.to_list(), strict=True)]
    field = FIELDS.get(name)
    if field is not None and field.kind == "json":
        return [_nested(value) for value in values]
    return values


def _nested(value: Any) -> Any:
    """Parse JSON text; other values stay as they are."""
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value
