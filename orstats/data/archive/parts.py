"""Parts: the Parquet files of one dataset of the archive, written whole and read newest-record-first."""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from orstats.data.archive.store import Entry, Store

logger = logging.getLogger(__name__)

#: Written into each part, for people and tools that ask where a file is from.
METADATA: Final = {b"orstats:archive": b"1"}
SUFFIX: Final = ".parquet"

#: Parts that are read at a time.
WORKERS: Final = 8
#: Above this many ids sorting them costs more than row-group statistics save.
_PRUNE_AT_MOST = 50_000

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What one kind of part looks like.

    Parameters
    ----------
    folder
        Directory below the archive's root.
    schema
        Columns and types; has ``id`` and ``fetched_at``.
    statistics
        Columns whose smallest and largest value are noted per row group.
    various
        Columns whose values hardly repeat: a dictionary of them would only cost time.
    group_rows
        Rows of a row group: the unit that is read.
    batch_rows
        Rows that a compaction has in memory at a time.
    part_rows
        Rows of a part at most, after a compaction.
    """

    folder: str
    schema: pa.Schema
    statistics: tuple[str, ...]
    various: tuple[str, ...]
    group_rows: int
    batch_rows: int
    part_rows: int

    @property
    def repeating(self) -> list[str]:
        """The columns of text whose values repeat."""
        return [f.name for f in self.schema if f.type == pa.string() and f.name not in self.various]

    def types(self, encoded: Collection[str]) -> pa.Schema:
        """Return the schema with some columns of text as dictionaries."""
        of_numbers = pa.dictionary(pa.int32(), pa.string())
        return pa.schema([f.with_type(of_numbers) if f.name in encoded else f for f in self.schema])

    @property
    def keys(self) -> list[str]:
        """The columns that decide which records are wanted."""
        return [name for name in ("id", "fetched_at", "created_at") if name in self.schema.names]


class UnreadablePartError(Exception):
    """A file among the parts is not a whole part of this dataset. ``path`` names it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(why)
        self.path = path


@dataclass(frozen=True, slots=True)
class Part:
    """A part, by its path and footer, and those of its row groups that may hold something wanted."""

    path: str
    metadata: Any
    groups: list[int]

    @property
    def sizes(self) -> list[int]:
        """Rows of each of those row groups."""
        return [self.metadata.row_group(group).num_rows for group in self.groups]


@dataclass(frozen=True, slots=True)
class Keys:
    """The key columns of those row groups."""

    part: Part
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Chosen:
    """The wanted rows of a part, counted through its row groups, ascending."""

    part: Part
    rows: Rows


def part_name() -> str:
    """Return a name that no other process or thread takes, and that sorts by time.

    Examples
    --------
    >>> part_name().startswith("part-2")
    True
    """
    now = datetime.now(UTC)
    return f"part-{now:%Y%m%dT%H%M%S%f}Z-{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"


def parts_of(store: Store, directory: str) -> list[Entry]:
    """Return the parts in a directory, oldest first; files being written are not among them."""
    return [entry for entry in store.files(directory) if entry.name.endswith(SUFFIX) and not entry.is_hidden]


def producer(dataset: Dataset, batches: Iterable[pa.Table]) -> Callable[[Any], None]:
    """Return a function that writes the tables as one Parquet file."""

    def produce(sink: Any) -> None:
        schema = dataset.schema.with_metadata(METADATA)
        with pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            write_statistics=list(dataset.statistics),
            use_dictionary=[name for name in schema.names if name not in dataset.various],
            write_page_checksum=True,
        ) as writer:
            for batch in batches:
                writer.write_table(batch.replace_schema_metadata(METADATA), row_group_size=dataset.group_rows)

    return produce


def read_keys(
    store: Store, dataset: Dataset, paths: Sequence[str], wanted: pa.Array | None
) -> tuple[list[Keys], list[UnreadablePartError]]:
    """Read the keys of all parts, in the order of ``paths``; the unreadable ones are listed beside.

    Raises
    ------
    FileNotFoundError
        A part is gone: a compaction replaced it since it was listed.
    """
    ordered = None
    if wanted is not None and len(wanted) <= _PRUNE_AT_MOST:
        ordered = sorted(wanted.to_pylist())

    def read(path: str) -> Keys | UnreadablePartError:
        try:
            return _read_keys(store, dataset, path, ordered)
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


def _read_keys(store: Store, dataset: Dataset, path: str, ordered: list[str] | None) -> Keys:
    with Reader(store, dataset, path) as reader:
        part = Part(path, reader.metadata, reader.groups_with(ordered))
        return Keys(part, reader.read(part.groups, dataset.keys))


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
        there = () if metadata is None else [name for name in encoded if name in metadata.schema.names]
        try:
            self._file = self._guard(
                lambda: pq.ParquetFile(
                    self._source, metadata=metadata, read_dictionary=list(there), page_checksum_verification=True
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
                table = reader.read([group], columns)
                if last - first < size:
                    mask = np.zeros(size, dtype=bool)
                    mask[rows[first:last] - start] = True
                    table = table.filter(pa.array(mask))
                yield table
            start += size
