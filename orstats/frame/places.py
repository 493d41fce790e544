"""Where the records asked for lie in the tables at hand, and the values there. Pure Arrow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.frame.schema import ID


def places_of(wanted: pa.Array, tables: Sequence[pa.Table]) -> pa.Array:
    """Return the row of each wanted id in the tables laid end to end; null when it is in none."""
    stored = pa.chunked_array([chunk for table in tables for chunk in table[ID.name].chunks], pa.string())
    places = np.full(len(wanted), -1, dtype=np.int32)
    rows = pc.index_in(stored, value_set=wanted).fill_null(-1).to_numpy()
    of_wanted = np.flatnonzero(rows >= 0)
    places[rows[of_wanted]] = of_wanted  # of equal places the last assignment wins
    return pa.array(places, mask=places < 0)


def end_to_end(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Lay tables end to end; text stays in dictionaries if it is so in all of them."""
    ordered = [table.select(schema.names) for table in tables] or [schema.empty_table()]
    if any(table.schema != ordered[0].schema for table in ordered):
        ordered = [table.cast(schema) for table in ordered]
    return pa.concat_tables(ordered)


def taken(column: pa.ChunkedArray, places: pa.Array | None) -> pa.Array | pa.ChunkedArray:
    """Return the values at some places, or all of them as they are."""
    if pa.types.is_dictionary(column.type):
        one = column.unify_dictionaries().combine_chunks()
        numbers = one.indices if places is None else one.indices.take(places)
        return one.dictionary.cast(pa.large_string()).take(numbers)
    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())  # take lays chunks end to end: 32-bit offsets overflow
    return column if places is None else column.take(places)
