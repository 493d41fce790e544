"""Parts: the Parquet files of one dataset of the archive. What they look like, are called, and how they are made."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from orstats.data.archive.store import Entry, Store

#: Written into each part, for people and tools that ask where a file is from.
METADATA: Final = {b"orstats:archive": b"1"}
SUFFIX: Final = ".parquet"

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
        return [name for name in ("id", "fetched_at", "created_at", "generation_time") if name in self.schema.names]


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
    """The key columns of those row groups, and perhaps others that were read at once."""

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
