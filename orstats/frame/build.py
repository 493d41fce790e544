"""From record tables to the DataFrame: one row for each requested id, with the dtypes of the field table.

Pure: no files, no network, no clock.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.frame import record_table
from orstats.frame.record_table import RECORD_SCHEMA
from orstats.frame.schema import COLUMNS, FIELDS, ID, Field

Column: TypeAlias = "pa.Array | pa.ChunkedArray"

#: Key of ``DataFrame.attrs``: the host, archive or file that its rows come from.
SOURCE: Final = "source"
#: Key of ``DataFrame.attrs``: archive files that could not be read, so that their records are missing.
UNREADABLE_FILES: Final = "unreadable_files"
#: Key of ``DataFrame.attrs``: columns of the field table that the file did not have, so that nothing is known of them.
ABSENT_COLUMNS: Final = "absent_columns"
#: Key of ``DataFrame.attrs``: names of the user's own columns, which exports leave as they are.
USER_COLUMNS: Final = "user_columns"

#: Columns of this many bytes leave memory worth releasing before the next column needs as much.
_LARGE_BYTES: Final = 64_000_000
_THREADS: Final = 4
#: Below this number of rows threads cost more time than they save.
_FEW_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """How the requests for one id ended."""

    fetch_status: str
    http_status: int | None
    attempts: int
    error: str | None


#: How rows without a request ended.
_ARCHIVED: Final = FetchOutcome("ok", None, 0, None)
_NOT_REQUESTED: Final = FetchOutcome("not_attempted", None, 0, "No request was sent for this id.")


def build_frame(
    ids: Sequence[str] | pa.StringArray, tables: Sequence[pa.Table], outcomes: Mapping[str, FetchOutcome]
) -> pd.DataFrame:
    """Build the frame of the requested ids: one row each, in their order, nothing dropped.

    Examples
    --------
    >>> from orstats.frame.record_table import to_table
    >>> table = to_table(["gen-2"], [{"total_cost": 0.5, "is_byok": False}], [0.0])
    >>> frame = build_frame(["gen-1", "gen-2"], [table], {"gen-1": FetchOutcome("not_found", 404, 1, "Unknown.")})
    >>> frame[["fetch_status", "attempts", "cost_usd"]].to_dict("list")
    {'fetch_status': ['not_found', 'ok'], 'attempts': [1, 0], 'cost_usd': [nan, 0.5]}
    """
    requested = ids if isinstance(ids, pa.Array) else record_table.column(ids, "text")[0]
    found = locate_rows(requested, tables)
    fetch = _fetch_columns(requested, pc.is_valid(found), outcomes)
    ok = pc.equal(fetch["fetch_status"], "ok")
    lost = pc.index(pc.and_(ok, pc.is_null(found)), value=True).as_py()
    if lost >= 0:
        raise ValueError(f"{requested[lost].as_py()!r} has the status ok, but no table has its record.")
    places = pc.if_else(ok, found, pa.scalar(None, found.type))
    records = concat_tables(tables)
    in_order = places.equals(pa.array(np.arange(records.num_rows), places.type))
    left = dict(zip(records.column_names, records.columns, strict=True))
    # Drop the last references, if the caller kept none: each column is then freed once the frame has its own.
    del tables, records

    def column(field: Field) -> Column:
        if field.name in fetch:
            return fetch[field.name]
        return take_column(left.pop(field.name), None if in_order else places)

    return frame_from_columns(requested, COLUMNS, column)


def stored_frame(table: pa.Table) -> pd.DataFrame:
    """Build the frame of archived records: all ok, without a request.

    Examples
    --------
    >>> from orstats.frame.record_table import to_table
    >>> table = to_table(["gen-1"], [{"total_cost": 0.5}], [0.0]).select(["id", "total_cost"])
    >>> stored_frame(table).iloc[0].dropna().to_dict()
    {'fetch_status': 'ok', 'total_cost': 0.5, 'attempts': 0}
    """
    columns = {name: table[name] for name in table.column_names} | _archived_columns(table.num_rows)
    fields = [field for field in COLUMNS if field.name in columns]
    return frame_from_columns(table[ID.name], fields, lambda field: columns[field.name])


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table that has every column."""
    return frame_from_columns(table[ID.name], COLUMNS, lambda field: table[field.name])


def empty_frame() -> pd.DataFrame:
    """Return the frame of no ids: no rows, all columns, the same dtypes."""
    return build_frame([], [], {})


def locate_rows(ids: pa.Array, tables: Sequence[pa.Table]) -> pa.Array:
    """Return the row of each id in the concatenated tables; null where no table has it."""
    stored = pa.chunked_array([chunk for table in tables for chunk in table[ID.name].chunks], pa.string())
    if stored.equals(pa.chunked_array([ids])):  # as is usual: 50 times as fast as hashing
        return pa.array(np.arange(len(ids), dtype=np.int32))
    places = np.full(len(ids), -1, dtype=np.int32)
    rows = pc.index_in(stored, value_set=ids).fill_null(-1).to_numpy()
    of_ids = np.flatnonzero(rows >= 0)
    places[rows[of_ids]] = of_ids  # where an id is stored twice, the later row wins
    return pa.array(places, mask=places < 0)


def concat_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate record tables; text stays dictionary-encoded if it is so in all of them."""
    ordered = [table.select(RECORD_SCHEMA.names) for table in tables] or [RECORD_SCHEMA.empty_table()]
    if any(table.schema != ordered[0].schema for table in ordered):
        ordered = [table.cast(RECORD_SCHEMA) for table in ordered]
    return pa.concat_tables(ordered)


def take_column(column: pa.ChunkedArray, places: pa.Array | None) -> Column:
    """Return the values at some places; None takes all of them."""
    if pa.types.is_dictionary(column.type):
        one = column.unify_dictionaries().combine_chunks()
        indices = one.indices if places is None else one.indices.take(places)
        return one.dictionary.cast(pa.large_string()).take(indices)
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())  # take concatenates chunks, which would overflow 32-bit offsets
    return column if places is None else column.take(places)


def _fetch_columns(ids: pa.Array, has_record: pa.Array, outcomes: Mapping[str, FetchOutcome]) -> dict[str, pa.Array]:
    """Make the columns that say how each row was fetched, all but ``fetched_at``."""
    if not outcomes and not has_record.false_count:
        return _archived_columns(len(ids))
    rows = [
        outcomes.get(one) or (_ARCHIVED if is_stored else _NOT_REQUESTED)
        for one, is_stored in zip(ids.to_pylist(), has_record.to_pylist(), strict=True)
    ]
    return {
        name: record_table.column(list(map(operator.attrgetter(name), rows)), FIELDS[name].kind)[0]
        for name in FetchOutcome.__slots__
    }


def _archived_columns(rows: int) -> dict[str, pa.Array]:
    """Make the columns that say how each row was fetched when all come from the archive."""
    return {
        name: pa.repeat(pa.scalar(getattr(_ARCHIVED, name), record_table.TYPES[FIELDS[name].kind]), rows)
        for name in FetchOutcome.__slots__
    }


def frame_from_columns(ids: Column, fields: Sequence[Field], column: Callable[[Field], Column]) -> pd.DataFrame:
    """Make a DataFrame of Arrow columns, indexed by id."""

    def convert(field: Field) -> Any:
        found = column(field)
        array = pandas_array(field, found)
        if found.get_total_buffer_size() > _LARGE_BYTES:
            pa.default_memory_pool().release_unused()  # lowers the peak by a tenth at a million rows
        return array

    index = pd.Index(pandas_array(ID, ids), name=ID.name)
    if len(index) < _FEW_ROWS:
        arrays = list(map(convert, fields))
    else:
        with ThreadPoolExecutor(min(_THREADS, pa.cpu_count())) as pool:
            arrays = list(pool.map(convert, fields))
    names = [field.name for field in fields]
    return pd.DataFrame(dict(zip(names, arrays, strict=True)), index=index, copy=False)


def pandas_array(field: Field, column: Column) -> Any:
    """Convert an Arrow column of a field's kind to a writable pandas array of its dtype."""
    if field.dtype in ("string", "Int64", "boolean"):
        return pandas_dtype(field).__from_arrow__(column)
    if field.kind == "time":
        column = column.cast(pa.timestamp("us"))
    values = np.require(column.to_numpy(zero_copy_only=False), requirements="W")  # a view of Arrow memory is read-only
    return values if field.kind == "number" else pd.array(values, dtype=pandas_dtype(field))


def pandas_dtype(field: Field) -> Any:
    """Return the dtype of a field; text is stored in Arrow memory."""
    return pd.StringDtype("pyarrow") if field.dtype == "string" else pd.api.types.pandas_dtype(field.dtype)
