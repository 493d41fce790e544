"""Read columns of parts: of all of them to see which rows are wanted, then the rows of one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orstats.data.archive.parts import Chosen, Dataset, Keys, Part, Rows, UnreadablePartError
from orstats.data.archive.store import Store

#: Parts that are read at a time.
WORKERS: Final = 8
#: Above this many ids sorting them costs more than row-group statistics save.
_PRUNE_AT_MOST: Final = 50_000


def read_keys(
    store: Store,
    dataset: Dataset,
    paths: Sequence[str],
    wanted: pa.Array | None,
    *,
    columns: Sequence[str] = (),
    encoded: Sequence[str] = (),
) -> tuple[list[Keys], list[UnreadablePartError]]:
    """Read the keys of all parts, in the order of ``paths``; the unreadable ones are listed beside.

    Parameters
    ----------
    store, dataset, paths
        Where and what.
    wanted
        Ids; row groups that can hold none of them are left out. All row groups for None.
    columns
        More columns to read at once, those in ``encoded`` as dictionaries.

    Raises
    ------
    FileNotFoundError
        A part is gone: a compaction replaced it since it was listed.
    """
    ordered = None
    if wanted is not None and len(wanted) <= _PRUNE_AT_MOST:
        ordered = sorted(wanted.to_pylist())
    names = list(dict.fromkeys((*dataset.keys, *columns)))

    def read(path: str) -> Keys | UnreadablePartError:
        try:
            with Reader(store, dataset, path, encoded=encoded) as reader:
                part = Part(path, reader.metadata, reader.groups_with(ordered))
                return Keys(part, reader.read(part.groups, names))
        except UnreadablePartError as error:
            return error

    if len(paths) > 1:
        with ThreadPoolExecutor(min(WORKERS, len(paths))) as pool:
            results = list(pool.map(read, paths))
    else:
        results = [read(path) for path in paths]
    return (
        [result for result in results if isinstance(result, Keys)],
        [result for result in results if not isinstance(result, Keys)],
    )


class Reader:
    """One open part; whatever is wrong with it becomes :class:`UnreadablePartError`."""

    def __init__(
        self, store: Store, dataset: Dataset, path: str, metadata: Any = None, encoded: Sequence[str] = ()
    ) -> None:
        self._store = store
        self._dataset = dataset
        self._path = path
        self._encoded = encoded
        self._source = store.open(path)
        try:
            footer = metadata or self._guard(lambda: pq.ParquetFile(self._source).metadata)
            dictionaries = [name for name in encoded if name in footer.schema.names]
            self._file = self._guard(
                lambda: pq.ParquetFile(
                    self._source, metadata=footer, read_dictionary=dictionaries, page_checksum_verification=True
                )
            )
            #: As stored, whatever is read as a dictionary; pyarrow makes it anew whenever it is asked for.
            self._schema: pa.Schema = self._guard(self._file.metadata.schema.to_arrow_schema)
            self._check()
        except BaseException:
            self._source.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._source.close()

    @property
    def metadata(self) -> Any:
        """The footer, so that the next reading need not parse it again."""
        return self._file.metadata

    def _guard(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (pa.ArrowException, OSError, ValueError) as error:
            # pyarrow raises OSError both for a broken disk or network and for a broken file. If the bytes can be
            # had, the file is broken; else this raises what is wrong with the place.
            with self._store.open(self._path) as source:
                source.read()
            raise UnreadablePartError(self._path, str(error)) from error

    def _check(self) -> None:
        schema = self._schema
        if schema.equals(self._dataset.schema):
            return  # as nearly all are: field by field takes as long as opening the file
        for name in ("id", "fetched_at"):
            if name not in schema.names:
                raise UnreadablePartError(self._path, f"it has no column {name!r}")
        for field in self._dataset.schema:
            if field.name in schema.names and schema.field(field.name).type != field.type:
                found = schema.field(field.name).type
                raise UnreadablePartError(self._path, f"column {field.name!r} is {found}, not {field.type}")

    def groups_with(self, ordered: list[str] | None) -> list[int]:
        """Return the row groups that may hold one of the sorted ids (all of them for None)."""
        everything = list(range(self.metadata.num_row_groups))
        if ordered is None:
            return everything
        column = self.metadata.schema.names.index("id")
        return [group for group in everything if self._may_hold(group, column, ordered)]

    def _may_hold(self, group: int, column: int, ordered: list[str]) -> bool:
        statistics = self.metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        first = bisect_left(ordered, statistics.min)
        return first < len(ordered) and ordered[first] <= statistics.max

    def read(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return the columns of some row groups; a column that the part does not have is all null."""
        names = self._schema.names
        have = [name for name in columns if name in names]
        table = self._guard(lambda: self._file.read_row_groups(list(groups), columns=have))
        if have == list(columns):
            return table.select(have).replace_schema_metadata()
        return pa.table(
            [table[name] if name in have else pa.nulls(table.num_rows, self._type(name)) for name in columns],
            names=list(columns),
        )

    def _type(self, name: str) -> pa.DataType:
        return self._dataset.types(self._encoded).field(name).type


def read_rows(
    store: Store, dataset: Dataset, chosen: Chosen, columns: Sequence[str], encoded: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Yield the chosen rows of one part, one row group after the other, untouched groups left out.

    The columns in ``encoded`` come as dictionaries, as they are stored: less to read, to hold and to move.

    Raises
    ------
    FileNotFoundError
        The part is gone: a compaction replaced it since its keys were read.
    """
    part, rows = chosen.part, chosen.rows
    if not len(rows):
        return
    start = 0
    with Reader(store, dataset, part.path, part.metadata, encoded) as reader:
        for group, size in zip(part.groups, part.sizes, strict=True):
            first, last = np.searchsorted(rows, (start, start + size))
            if last > first:
                yield only(reader.read([group], columns), rows[first:last] - start)
            start += size


def only(table: pa.Table, rows: Rows) -> pa.Table:
    """Return some rows of a table, ascending; the table itself if they are all."""
    if len(rows) == table.num_rows:
        return table
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows] = True
    return table.filter(pa.array(mask))
