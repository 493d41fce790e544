"""Which rows of the parts are the newest of their id, and whether a record is settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.part import Part

RowIndices = npt.NDArray[np.int64]

#: A record that was fetched sooner than this after the end of its call may still change (BYOK costs, late fields).
_SETTLED_AFTER_S: Final = 60
#: No generation takes longer than a day. A record that says so must not be fetched again every time.
_LONGEST_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """The key columns of some row groups of a part, and any other columns that were read with them."""

    part: Part
    groups: Sequence[int]
    table: pa.Table


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Selected rows of a part, ascending, counted through some of its row groups."""

    part: Part
    groups: Sequence[int]
    rows: RowIndices

    def read(self, columns: Sequence[str], encoded: Sequence[str] = ()) -> Iterator[pa.Table]:
        """Yield the rows, one row group after the other; row groups without any are skipped."""
        if not len(self.rows):
            return
        start = 0
        with self.part as part:
            for group in self.groups:
                end = start + part.metadata.row_group(group).num_rows
                first, last = np.searchsorted(self.rows, (start, end))
                if last > first:
                    yield _filter_rows(part.read([group], columns, encoded), self.rows[first:last] - start)
                start = end


def select_newest(keys: Sequence[KeyColumns], requested: pa.Array | None, *, settled_only: bool) -> list[RowSelection]:
    """Return for each part the rows that are the newest of their id.

    Of equally new records the one in the last part wins. With ``settled_only`` an id is skipped when its newest record
    was fetched less than a minute after the end of its call, which began at ``created_at``.
    """
    if not keys:
        return []
    table = pa.concat_tables([one.table for one in keys])
    if requested is None:
        encoded = table["id"].dictionary_encode()
        codes = pa.chunked_array([chunk.indices for chunk in encoded.chunks], pa.int32())
    else:
        codes = pc.index_in(table["id"], value_set=requested)
    code = codes.fill_null(-1).to_numpy()
    rows = np.flatnonzero(code >= 0)
    if len(rows) and np.bincount(code[rows]).max() > 1:
        fetched = table["fetched_at"].cast(pa.int64()).fill_null(-(2**62)).to_numpy()[rows]  # missing: the oldest
        order = np.lexsort((fetched, code[rows]))
        ordered = code[rows][order]
        newest = np.append(ordered[1:] != ordered[:-1], True)
        rows = np.sort(rows[order[newest]])
    if settled_only and "created_at" in table.column_names:
        age_ms = pc.subtract(table["fetched_at"], table["created_at"]).cast(pa.int64()).to_numpy() / 1000
        ran_ms = np.nan_to_num(table["generation_time"].to_numpy()).clip(0, _LONGEST_MS)
        settled = age_ms - ran_ms >= _SETTLED_AFTER_S * 1000  # a missing time is NaN, and never settled
        rows = rows[settled[rows]]
    ends = np.cumsum([one.table.num_rows for one in keys])
    pieces = np.split(rows, np.searchsorted(rows, ends[:-1]))
    return [
        RowSelection(one.part, one.groups, piece - (end - one.table.num_rows))
        for one, piece, end in zip(keys, pieces, ends, strict=True)
    ]


def is_settled(row: Mapping[str, Any]) -> bool:
    """Tell whether a record was fetched at least a minute after the end of its call."""
    if row["created_at"] is None or row["fetched_at"] is None:
        return False
    ran_ms = min(max(row["generation_time"] or 0, 0), _LONGEST_MS)
    return bool(row["fetched_at"] - row["created_at"] >= timedelta(seconds=_SETTLED_AFTER_S, milliseconds=ran_ms))


def loaded_rows(
    keys: Sequence[KeyColumns], selected: Sequence[RowSelection], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the selected rows of each part, where their columns were read with the keys."""
    for one, selection in zip(keys, selected, strict=True):
        if len(selection.rows):
            yield _filter_rows(one.table.select(columns), selection.rows)


def _filter_rows(table: pa.Table, rows: RowIndices) -> pa.Table:
    """Return some rows of a table, ascending; the table itself if they are all."""
    if len(rows) == table.num_rows:
        return table
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows] = True
    return table.filter(pa.array(mask))
