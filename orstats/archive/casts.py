"""Cast columns of parts that other programs rewrote to the archive's types, without loss.

pandas, Polars, DuckDB and Spark write the same values as other types: text as large strings, views or dictionaries,
integers as floats where some are missing, times in other units or without the zone UTC, amounts as decimals.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the type as Parquet stores it, which has one type for text and no dictionaries.

    >>> stored_type(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    """
    if types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):  # such as JSON
        return stored_type(kind.storage_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_binary(kind) or types.is_binary_view(kind):
        return pa.large_binary()
    if types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    return kind


def is_castable(found: pa.DataType, target: pa.DataType) -> bool:
    """Return whether a type can be cast at all; whether every value can, only :func:`cast` finds out."""
    found = stored_type(found)
    if types.is_null(found) or found == target:
        return True
    if types.is_string(target):
        return False
    if types.is_large_binary(target):
        return bool(types.is_string(found))
    if types.is_timestamp(target):
        return bool(types.is_timestamp(found) or types.is_string(found))
    if types.is_boolean(target):
        return bool(types.is_integer(found))
    return bool(types.is_integer(found) or types.is_floating(found) or types.is_decimal(found))


def cast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Return a column with the target type and the same values; times without a zone are UTC."""
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    if types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, None)  # some programs write a missing number as NaN
    if column.type == target or types.is_null(column.type):
        return column.cast(target)
    if types.is_decimal(column.type):
        column = column.cast(pa.string())  # the nearest float, which Arrow's own cast may miss by a little
    done = column.cast(target)
    if types.is_boolean(target) and not done.cast(column.type).equals(column):
        raise ValueError("a value is neither 0 nor 1")
    return done
