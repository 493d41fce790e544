"""From JSON records to record tables: typed Arrow columns, which is what the archive keeps.

Pure: no files, no network, no clock, no pandas. A column of the usual types is converted as one array, and any
other value by value with :mod:`~orstats.frame.json_values`. Both ways agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from orstats.frame import json_values
from orstats.frame.derive import Inputs, derive
from orstats.frame.schema import DERIVED, EXTRA, FIELDS, ID, WIRE, Kind

#: Arrow type of each kind.
TYPES: Final[Mapping[Kind, pa.DataType]] = MappingProxyType(
    {
        "text": pa.string(),
        "json": pa.string(),
        "count": pa.int64(),
        "flag": pa.bool_(),
        "number": pa.float64(),
        "time": pa.timestamp("us", tz="UTC"),
    }
)

#: The columns of one fetched record: id, the wire's fields, ``extra``, the derived columns, and when it was received.
RECORD_SCHEMA: Final = pa.schema(
    [(field.name, TYPES[field.kind]) for field in (ID, *WIRE, EXTRA, *DERIVED, FIELDS["fetched_at"])]
)

_KNOWN: Final = frozenset({ID.name, *(field.name for field in WIRE)})
_WIRE_NAMES: Final = tuple(field.name for field in WIRE)
#: Records that fit the processor's cache: transposing so many at a time takes a third of the time of all at once.
_SLICE: Final = 200

_USUAL_TYPES: Final[Mapping[Kind, frozenset[type]]] = MappingProxyType(
    {
        "text": frozenset({str, type(None)}),
        "json": frozenset({list, dict, type(None)}),
        "count": frozenset({int, type(None)}),
        "flag": frozenset({bool, type(None)}),
        "number": frozenset({float, int, type(None)}),
        "time": frozenset({str, type(None)}),
    }
)
# The spellings that Arrow reads by itself, to the same moment; anything else goes value by value.
_USUAL_TIME: Final = (
    r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


def column(values: Sequence[Any], kind: Kind) -> tuple[pa.Array, list[int]]:
    """Make one typed column, and list the rows whose value is not of its kind.

    Examples
    --------
    >>> array, refused = column([1, "2", "many", None], "count")
    >>> array.to_pylist(), refused
    ([1, 2, None, None], [2])
    """
    if _USUAL_TYPES[kind].issuperset(map(type, values)):
        at_once = _at_once(values, kind)
        if at_once is not None:
            return at_once, []
    typed = [json_values.value(sent, kind) for sent in values]
    found = [one for one, _ in typed]
    refused = [row for row, (_, is_refused) in enumerate(typed) if is_refused]
    if kind == "time":
        return pa.array(found, pa.int64()).cast(TYPES["time"]), refused
    return pa.array(found, TYPES[kind]), refused


def _at_once(values: Sequence[Any], kind: Kind) -> pa.Array | None:
    """Convert a column of the usual types, or return None when one of its values needs a closer look."""
    try:
        if kind == "json":
            return pa.array([None if value is None else orjson.dumps(value) for value in values], pa.string())
        if kind == "time":
            return usual_times(pa.array(values, pa.string()))
        array = pa.array(values, TYPES[kind], from_pandas=kind == "number")
    except (TypeError, ValueError, OverflowError):
        return None
    if kind == "number" and pc.any(pc.is_inf(array)).as_py():
        return None
    return array


def usual_times(written: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray | None:
    """Read times that are all spelled as Arrow reads them; None when one is not."""
    usual = pc.all(pc.match_substring_regex(written, _USUAL_TIME)).as_py()
    try:
        return written.cast(TYPES["time"]) if usual in (True, None) else None
    except pa.ArrowInvalid:  # such as the 31st of February
        return None


def derived_columns(table: pa.Table) -> dict[str, pa.Array]:
    """Compute the derived columns of a table that has the wire's."""
    records = map(Inputs, *(table[name].to_pylist() for name in Inputs._fields))
    rows = list(map(derive, records))
    return {field.name: pa.array([row[field.name] for row in rows], TYPES[field.kind]) for field in DERIVED}


def to_table(ids: Sequence[str], records: Sequence[Mapping[str, Any]], fetched_at: Sequence[float]) -> pa.Table:
    """Make a record table of the API's records, one row each.

    No record makes it fail: a value of the wrong kind becomes null and is kept as sent in ``extra``, together with the
    fields that the field table does not have.

    Examples
    --------
    >>> table = to_table(["gen-1"], [{"total_cost": "0.25", "is_byok": False, "colour": "red"}], [0.0])
    >>> table.select(["id", "cost_usd", "cost_basis", "extra"]).to_pylist()
    [{'id': 'gen-1', 'cost_usd': 0.25, 'cost_basis': 'credits', 'extra': '{"colour":"red"}'}]
    """
    if not len(ids) == len(records) == len(fetched_at):
        raise ValueError(
            f"Got {len(ids)} ids, {len(records)} records and {len(fetched_at)} times; expected equally many."
        )
    columns: dict[str, Any] = {ID.name: column(ids, "text")[0]}
    left: dict[int, dict[str, Any]] = {
        row: {name: value for name, value in record.items() if name not in _KNOWN}
        for row, record in enumerate(records)
        if not _KNOWN.issuperset(record)
    }
    for field, values in zip(WIRE, _transposed(records), strict=True):
        columns[field.name], refused = column(values, field.kind)
        for row in refused:
            left.setdefault(row, {})[field.name] = values[row]
    extra: list[str | None] = [None] * len(ids)
    for row, fields in left.items():
        extra[row] = json_values.object_text(fields)
    columns[EXTRA.name] = pa.array(extra, pa.string())
    microseconds = np.rint(np.asarray(fetched_at, dtype=np.float64) * 1e6).astype(np.int64)
    columns["fetched_at"] = pa.array(microseconds).cast(TYPES["time"])
    columns |= derived_columns(pa.table(columns))
    return pa.table([columns[name] for name in RECORD_SCHEMA.names], schema=RECORD_SCHEMA)


def _transposed(records: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return the values of each wire field; None where a record does not have it."""
    columns: list[list[Any]] = [[] for _ in WIRE]
    for start in range(0, len(records), _SLICE):
        rows = [tuple(map(record.get, _WIRE_NAMES)) for record in records[start : start + _SLICE]]
        for values, more in zip(columns, zip(*rows, strict=True), strict=True):
            values.extend(more)
    return columns


def row_table(row: Mapping[str, Any]) -> pa.Table:
    """Make the record table of one row (:mod:`orstats.frame.row`); as JSON, since ``pa.array`` imports pandas."""
    line = orjson.dumps({name: row[name] for name in RECORD_SCHEMA.names}, option=orjson.OPT_UTC_Z)
    return arrow_json.read_json(
        pa.BufferReader(line),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(line) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=RECORD_SCHEMA),
    )
