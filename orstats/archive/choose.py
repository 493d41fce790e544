"""Of all records that are stored of an id, choose the newest; by columns, because there may be millions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.dataset import Chosen, Keys, Rows

#: A record fetched sooner than this after the end of its call may still change (costs of BYOK, late fields).
SETTLED_AFTER_S: Final = 60
#: No generation takes longer; a record that says so must not be fetched again for ever.
LONGEST_MS: Final = 86_400_000


def choose(keys: Sequence[Keys], wanted: pa.Array | None, *, settled_only: bool) -> list[Chosen]:
    """Return for each part the rows that are the newest of their id.

    Of equally new records the one in the last part wins. With ``settled_only`` an id whose newest record was fetched
    less than a minute after the end of its call (``created_at`` is its beginning) has none.
    """
    if not keys:
        return []
    table = pa.concat_tables([one.table for one in keys])
    if wanted is None:
        encoded = table["id"].dictionary_encode()
        codes = pa.chunked_array([chunk.indices for chunk in encoded.chunks], pa.int32())
    else:
        codes = pc.index_in(table["id"], value_set=wanted)
    code = codes.fill_null(-1).to_numpy()
    rows = np.flatnonzero(code >= 0)
    if len(rows) and np.bincount(code[rows]).max() > 1:
        fetched = _microseconds(table["fetched_at"])[rows]
        order = np.lexsort((fetched, code[rows]))
        ordered = code[rows][order]
        newest = np.append(ordered[1:] != ordered[:-1], True)
        rows = np.sort(rows[order[newest]])
    if settled_only and "created_at" in table.column_names:
        age_ms = pc.subtract(table["fetched_at"], table["created_at"]).cast(pa.int64()).to_numpy() / 1000
        ran_ms = np.nan_to_num(table["generation_time"].to_numpy()).clip(0, LONGEST_MS)
        settled = age_ms - ran_ms >= SETTLED_AFTER_S * 1000  # a missing time is NaN, and never settled
        rows = rows[settled[rows]]
    lengths = [one.table.num_rows for one in keys]
    ends = np.cumsum(lengths)
    pieces = np.split(rows, np.searchsorted(rows, ends[:-1]))
    return [
        Chosen(one.part, piece - (end - length))
        for one, piece, end, length in zip(keys, pieces, ends, lengths, strict=True)
    ]


def _microseconds(column: pa.ChunkedArray) -> Rows:
    """Return times as integers; a missing one is older than all others."""
    values: Rows = column.cast(pa.int64()).fill_null(-(2**62)).to_numpy()
    return values
