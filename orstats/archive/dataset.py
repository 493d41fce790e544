"""Parts: the Parquet files of one dataset of the archive. What they look like, are called, and how they are made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from orstats.archive.seal import UNSEALED, seal
from orstats.archive.storage import Entry, Store

#: Written into each part, for people and tools that ask where a file is from.
METADATA: Final = {b"orstats:archive": b"1"}
SUFFIX: Final = ".parquet"
_PREFIX: Final = "part-"
_PANDAS_INDEX: Final = "__index_level_"

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What one kind of part looks like."""

    folder: str
    schema: pa.Schema
    statistics: tuple[str, ...]
    various: tuple[str, ...]
    group_rows: int
    batch_rows: int
    part_rows: int
    required: tuple[str, ...] = ("id", "fetched_at")

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

    def is_part(self, name: str, columns: Collection[str], *, sealed: bool) -> bool:
        """Return whether a whole Parquet file belongs to the archive: only such files are read, merged and deleted.

        A part keeps its place when other programs rewrite it under its name, and when it is renamed as it is. Any other
        file must look like a complete part, so that a table that the user put there stays the user's own.
        """
        if not set(self.required) <= set(columns):
            return False
        known = self.schema.names
        complete = set(columns) <= set(known) and 10 * len(columns) >= 9 * len(known)
        return complete or sealed or name.startswith(_PREFIX)


class UnreadablePartError(Exception):
    """A file among the parts cannot be used."""

    def __init__(self, path: str, why: str, *, foreign: bool = False) -> None:
        super().__init__(why)
        self.path = path
        self.foreign = foreign


@dataclass(frozen=True, slots=True)
class Part:
    """A part, by its path and footer, those of its row groups that may hold something wanted, and its schema."""

    path: str
    metadata: Any
    groups: list[int]
    schema: pa.Schema

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


def renamed(name: str) -> str:
    """Return a new name for the successor of a part, which sorts where the part did.

    Examples
    --------
    >>> renamed("part-20260101T000000000000Z-1-00000000.parquet")[:-16]
    'part-20260101T000000000000Z-1-'
    """
    same_place, found = re.subn(r"(?<=-)[0-9a-f]{8}(?=\.parquet$)", os.urandom(4).hex(), name)
    return same_place if found else part_name()


def parts_of(store: Store, directory: str) -> list[Entry]:
    """Return the files in a directory that may be parts, oldest first; files being written are not among them."""
    return [
        entry
        for entry in store.files(directory)
        if entry.is_file and entry.name.endswith(SUFFIX) and not entry.is_hidden
    ]


def irregular_parts(store: Store, directory: str) -> list[UnreadablePartError]:
    """Return what is named like a part and is not a file, and directories with files that are named like parts."""
    problems = []
    for entry in store.files(directory):
        path = f"{directory}/{entry.name}"
        if entry.is_file or entry.is_hidden:
            continue
        if entry.name.endswith(SUFFIX):
            problems.append(UnreadablePartError(path, "It is a directory or a broken link, not a file."))
        elif any(name.endswith(SUFFIX) for name in store.tree(path)):
            problems.append(
                UnreadablePartError(
                    path,
                    "It is a subdirectory, which is not searched. Move its Parquet files up, or out of the archive.",
                )
            )
    return problems


def unknown_fields(dataset: Dataset, schema: pa.Schema) -> list[pa.Field]:
    """Return the fields that this version does not know; they are carried over when a part is rewritten."""
    known = {*dataset.schema.names}
    return [f for f in schema if f.name not in known and not f.name.startswith(_PANDAS_INDEX)]


def producer(dataset: Dataset, batches: Iterable[pa.Table], more: Sequence[pa.Field] = ()) -> Callable[[Any], None]:
    """Return a function that writes the tables as one Parquet file, with more fields than the dataset's own."""

    def produce(sink: Any) -> None:
        schema = pa.schema([*dataset.schema, *more], METADATA)
        with pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            write_statistics=list(dataset.statistics),
            use_dictionary=[f.name for f in dataset.schema if f.name not in dataset.various],
            write_page_checksum=True,
        ) as writer:
            for batch in batches:
                writer.write_table(batch.replace_schema_metadata(METADATA), row_group_size=dataset.group_rows)
            writer.add_key_value_metadata(UNSEALED)
        seal(sink)

    return produce
