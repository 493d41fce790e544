"""Write frames to files that other programs read: CSV for spreadsheets and finance, Parquet, JSON Lines.

A file appears whole or not at all: it is written under a temporary name beside its target and then renamed, so a full
disk or a crash leaves the old file as it was.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from typing import IO, Any, Final, TextIO

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orstats.analysis.cells import PERIOD, cell_texts, iso_times, named_columns, one_value
from orstats.analysis.target import Target
from orstats.api.errors import ExportError
from orstats.data.frame.schema import FIELDS
from orstats.data.frame.validation import check_duplicates, require_pandas

_TEXT: Final = pa.large_string()
#: Rows turned into text at a time: bounds the memory, and the text of one column to less than 2 GB.
_SLICE: Final = 20_000


def write_csv(frame: pd.DataFrame, path: str | os.PathLike[str] | TextIO, *, spreadsheet_safe: bool = True) -> None:
    """Write a frame, or any report, to a file: all rows, failed ones too, and all columns.

    CSV is written for people who open it in a spreadsheet and for programs alike: UTF-8 without a byte-order mark
    (for Excel: Data, From Text/CSV), comma, LF, quotes where needed; plain decimals with the fewest digits that read
    back the same (``0.00000042``), whole numbers without a point, times as ``2026-11-23T10:00:00.123456Z`` (those in
    another time zone with its offset), flags ``true`` and ``false``, an empty cell where a value is missing.

    The periods of a report over time are written as ``2026`` (year), ``2026-Q4``, ``2026-10``, ``2026-10-05`` (day, or
    the Monday of a week) or ``2026-10-25T01:00+01:00`` (hour), in CSV and JSON Lines; a last column ``tz`` names their
    time zone. Parquet keeps the moment at which each starts, and its time zone.

    Parameters
    ----------
    frame
        From :func:`orstats.fetch`, or any other; the index makes the first columns, unless it only counts rows.
    path
        The ending decides: ``.csv``, ``.csv.gz``, ``.parquet`` (typed as the frame), ``.jsonl`` or ``.ndjson`` (one
        object a line; missing is null, JSON columns are nested). An open text file gets CSV.
    spreadsheet_safe
        CSV only. Text, ids and column names that a spreadsheet would run as a formula get an apostrophe in front
        (they begin with ``= + - @`` or the full-width ones, also behind blanks, or with a tab or line break). So do
        these signs behind a semicolon, tab or line break inside: a spreadsheet that parts cells at semicolons, as
        those of half of Europe, would begin a cell there. Line breaks become LF, other control characters are taken
        out. Numbers stay numbers. False writes text as it is: for conversations that programs shall read.

    Raises
    ------
    ConfigError
        Not a pandas frame.
    ExportError
        Unknown ending, no such directory, no permission, full disk, or values that the format cannot hold.
        An existing file is then unchanged.
    OSError
        Writing to an open file failed.

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
    zone = frame.attrs.get("coverage", {}).get("tz")
    if zone is not None and PERIOD in (*frame.index.names, *frame.columns) and "coverage_tz" not in frame.columns:
        frame = frame.assign(tz=zone)
    if isinstance(path, str | os.PathLike):
        target = Target(os.fspath(path), _ENDINGS)
        if target.ending in _CSV:
            target.replace(lambda file: _write_lines(frame, file.write, target.ending, safe=spreadsheet_safe))
        elif target.ending == ".parquet":
            target.replace(lambda file: _write_parquet(frame, file, target.path))
        else:
            target.replace(lambda file: _write_json(frame, file))
    else:
        for block in _csv_blocks(frame, safe=spreadsheet_safe):
            path.write(block.decode())


def check_target(path: str | os.PathLike[str]) -> None:
    """Find out whether a file can be written, before the work whose result shall go there.

    Raises
    ------
    ExportError
        As :func:`write_csv` would, but for a disk that fills up later.
    """
    Target(os.fspath(path), _ENDINGS).check()


_CSV: Final = (".csv", ".csv.gz")
_ENDINGS: Final = (*_CSV, ".parquet", ".jsonl", ".ndjson")


def _write_lines(frame: pd.DataFrame, write: Callable[[bytes], Any], ending: str, *, safe: bool) -> None:
    pack: Callable[[bytes], bytes] = bytes
    if ending == ".csv.gz":
        # Members one after another are a gzip file; no time in it, so that equal frames give equal files.
        def pack(block: bytes) -> bytes:
            return gzip.compress(block, compresslevel=6, mtime=0)

    for block in _csv_blocks(frame, safe=safe):
        write(pack(block))


def _csv_blocks(frame: pd.DataFrame, *, safe: bool) -> Iterator[bytes]:
    """Make the header and then blocks of whole lines, UTF-8."""
    columns = named_columns(frame)
    if not columns:
        return
    names = cell_texts(pd.Series([name for name, _ in columns], dtype=object), safe=safe)
    yield ",".join(names.to_pylist()).encode() + b"\n"
    comma, end = pa.scalar(",", _TEXT), pa.scalar("\n", _TEXT)
    nothing = pa.scalar("", _TEXT)
    # A line that is empty would be skipped by readers: the missing value of an only column is written as "".
    missing = '""' if len(columns) == 1 else ""
    for start in range(0, len(frame), _SLICE):
        cells = [cell_texts(column.iloc[start : start + _SLICE], safe=safe) for _, column in columns]
        cells = [pc.fill_null(column, missing) for column in cells]
        lines = pc.binary_join_element_wise(*cells, comma)
        yield b"".join([_text_bytes(pc.binary_join_element_wise(lines, end, nothing))])


def _text_bytes(lines: pa.Array) -> memoryview:
    """Return the text of all lines, which lies in one piece already."""
    _, offsets, data = lines.buffers()
    first, last = memoryview(offsets).cast("q")[lines.offset], memoryview(offsets).cast("q")[lines.offset + len(lines)]
    return memoryview(data)[first:last]


def _write_parquet(frame: pd.DataFrame, file: IO[bytes], path: str) -> None:
    plain = frame.copy(deep=False)
    plain.attrs = {}
    try:
        table = pa.Table.from_pandas(plain)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        message = f"{path}: Parquet cannot hold this frame ({error}); write it as .csv or .jsonl."
        raise ExportError(message, path=path) from error
    pq.write_table(table, file, compression="zstd")


def json_rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Make an object of each row, as JSON Lines have it: missing is None, times are text, JSON columns are nested."""
    columns = named_columns(frame)
    names = [name for name, _ in columns]
    for start in range(0, len(frame), _SLICE):
        values = [_json_values(name, column.iloc[start : start + _SLICE]) for name, column in columns]
        for row in zip(*values, strict=True):
            yield dict(zip(names, row, strict=True))


def _write_json(frame: pd.DataFrame, file: IO[bytes]) -> None:
    file.writelines(orjson.dumps(row, default=_json_text, option=_JSON) for row in json_rows(frame))


_JSON: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def _json_text(value: Any) -> str:
    return one_value(value)[0]


def _json_values(name: str, column: pd.Series[Any]) -> list[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        texts: list[Any] = iso_times(pa.array(column, from_pandas=True)).to_pylist()
        return texts
    values = [None if gone else value for gone, value in zip(column.isna(), column.to_list(), strict=True)]
    field = FIELDS.get(name)
    if field is not None and field.kind == "json":
        return [_nested(value) for value in values]
    return values


def _nested(value: Any) -> Any:
    """Return what JSON text says; text that is no JSON stays text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
