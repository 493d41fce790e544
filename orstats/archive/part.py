"""Open, verify, read and write a part: one Parquet file of the archive, sealed."""

from __future__ import annotations

import base64
import operator
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, NoReturn, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orstats.archive.casts import cast, is_castable
from orstats.archive.seal import MAGIC, UNSEALED, checksum, read_footer, seal_file, seal_of
from orstats.archive.storage import Store, is_refused

T = TypeVar("T")

#: Metadata of each part, for people and tools that look where a file is from.
METADATA: Final = {b"orstats:archive": b"1"}
PREFIX: Final = "part-"
_PANDAS_INDEX: Final = "__index_level_"
_RESTORE: Final = "Restore it from a backup, or delete it."


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What the parts of one kind contain, and how they are written."""

    folder: str
    schema: pa.Schema
    statistics: tuple[str, ...]
    high_cardinality: tuple[str, ...]
    group_rows: int
    batch_rows: int
    part_rows: int
    required: tuple[str, ...] = ("id", "fetched_at")

    @property
    def dictionary_columns(self) -> list[str]:
        """The text columns whose values repeat."""
        return [f.name for f in self.schema if f.type == pa.string() and f.name not in self.high_cardinality]

    @property
    def keys(self) -> list[str]:
        """The columns that decide which record of an id is returned."""
        return [name for name in ("id", "fetched_at", "created_at", "generation_time") if name in self.schema.names]

    def types(self, encoded: Collection[str]) -> pa.Schema:
        """Return the schema with some text columns as dictionaries."""
        dictionary = pa.dictionary(pa.int32(), pa.string())
        return pa.schema([f.with_type(dictionary) if f.name in encoded else f for f in self.schema])

    def unknown_fields(self, schema: pa.Schema) -> list[pa.Field]:
        """Return the fields that this version does not know. They are preserved when a part is rewritten."""
        return [f for f in schema if f.name not in self.schema.names and not f.name.startswith(_PANDAS_INDEX)]

    def is_part(self, name: str, columns: Collection[str], *, sealed: bool) -> bool:
        """Return whether a Parquet file belongs to the archive: only such files are read, merged and deleted.

        A part stays a part when other programs rewrite it under its name, or rename it unchanged. Any other file must
        have the columns of a complete part, so that a table of the user's own stays untouched.
        """
        if not set(self.required) <= set(columns):
            return False
        known = self.schema.names
        complete = set(columns) <= set(known) and 10 * len(columns) >= 9 * len(known)
        return complete or sealed or name.startswith(PREFIX)


class UnreadablePartError(Exception):
    """A file among the parts cannot be used, or is not part of the archive (``foreign``)."""

    def __init__(self, path: str, why: str, *, foreign: bool = False) -> None:
        super().__init__(why)
        self.path = path
        self.foreign = foreign


class Part:
    """A part of the archive. ``with part:`` opens it, any number of times; the footer is read the first time.

    Every fault of the file raises :class:`UnreadablePartError`.
    """

    #: The Parquet footer, and the schema as stored.
    metadata: Any = None
    schema: pa.Schema

    def __init__(self, store: Store, spec: PartSpec, path: str) -> None:
        self.path = path
        self._store = store
        self._spec = spec

    def __enter__(self) -> Self:
        try:
            self._source = self._store.open(self.path)
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            if self.metadata is None:
                footer = self._guard(lambda: read_footer(self._source.size(), self._source.read_at))
                metadata = self._guard(lambda: pq.read_metadata(pa.BufferReader(MAGIC + footer)))
                self.schema = self._guard(metadata.schema.to_arrow_schema)
                self._is_sealed = seal_of(metadata, self._source.size()) is not None
                self._has_all_types = self.schema.equals(self._spec.schema)  # as nearly all parts: quick to tell
                if not self._has_all_types:
                    self._check_columns()
                self.metadata = metadata
        except BaseException:
            self._source.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._source.close()

    @property
    def is_native(self) -> bool:
        """Whether its columns have the archive's own types."""
        return all(self._is_native(f.name) for f in self.schema if f.name in self._spec.schema.names)

    @property
    def groups(self) -> range:
        """The numbers of its row groups."""
        return range(self.metadata.num_row_groups)

    def groups_with(self, ordered: Sequence[str]) -> list[int]:
        """Return the row groups that may contain one of the sorted ids, by their statistics."""
        column = self.metadata.schema.names.index("id")
        return [group for group in self.groups if self._may_contain(group, column, ordered)]

    def _may_contain(self, group: int, column: int, ordered: Sequence[str]) -> bool:
        statistics = self.metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, str):
            return True
        first = bisect_left(ordered, statistics.min)
        return first < len(ordered) and ordered[first] <= statistics.max

    def read(self, groups: Iterable[int], columns: Sequence[str], encoded: Sequence[str] = ()) -> pa.Table:
        """Return columns of some row groups in the archive's types; columns that the part lacks are null.

        The columns in ``encoded`` are dictionaries, as they are stored.
        """
        known = set(self.schema.names)
        stored = [name for name in columns if name in known]
        groups = list(groups)
        dictionaries = [
            name
            for name in encoded
            if name in stored and self._is_native(name) and self._has_dictionaries(name, groups)
        ]
        table = self._guard(lambda: self._file(dictionaries).read_row_groups(groups, columns=stored))
        if self._is_sealed and self._has_all_types and len(dictionaries) == len(encoded):
            return table.select(columns).replace_schema_metadata()
        types = self._spec.types(encoded)
        return pa.table(
            [
                self._cast(name, table[name], types.field(name).type if name in types.names else table[name].type)
                if name in stored
                else pa.nulls(table.num_rows, types.field(name).type)
                for name in columns
            ],
            names=list(columns),
        )

    def _file(self, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
        # Buffered: the columns of a row group are then read by few large reads, not by one or more each.
        return pq.ParquetFile(
            self._source,
            metadata=self.metadata,
            read_dictionary=dictionaries,
            page_checksum_verification=True,
            pre_buffer=True,
        )

    def _has_dictionaries(self, name: str, groups: Iterable[int]) -> bool:
        """Whether Arrow can read a column as dictionaries: not from delta encodings, which DuckDB writes."""
        column = self.metadata.schema.names.index(name)
        encodings = (self.metadata.row_group(group).column(column).encodings for group in groups)
        return not any(one.startswith("DELTA") for found in encodings for one in found)

    def _is_native(self, name: str) -> bool:
        return self._has_all_types or bool(self.schema.field(name).type == self._spec.schema.field(name).type)

    def _cast(self, name: str, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        if column.type == target and (self._is_sealed or not pa.types.is_floating(target)):
            return column
        try:
            if not pa.types.is_dictionary(target):
                return cast(column, target)
            return cast(column, target.value_type).dictionary_encode()
        except (pa.ArrowException, ValueError) as error:
            self._refuse_type(self._spec.schema.field(name), error)

    def _guard(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            # pyarrow raises OSError both for a broken disk or network and for a broken file. If all bytes can be
            # read, the file is broken; otherwise reading them raises the fault of the disk or network.
            try:
                with self._store.open(self.path) as source:
                    source.read()
            except OSError as refused:
                raise self._unreadable(refused) from refused
            reason = " ".join(str(error).split()).rstrip(".")
            raise UnreadablePartError(self.path, f"It is damaged: {reason}. {_RESTORE}") from error

    def _unreadable(self, error: OSError) -> Exception:
        """Return the exception for a file that the system does not open: other files may still be readable."""
        if not is_refused(error):
            return error
        reason = os.strerror(error.errno) if error.errno else "access denied"  # without the path, which pyarrow adds
        return UnreadablePartError(self.path, f"It cannot be opened: {reason}. Make it readable for your user.")

    def _check_columns(self) -> None:
        name, columns = self.path.rpartition("/")[2], self.schema.names
        if not self._spec.is_part(name, columns, sealed=self._is_sealed):
            if name.startswith(PREFIX):
                missing = next(column for column in self._spec.required if column not in columns)
                raise UnreadablePartError(self.path, f"It is not a part: column {missing!r} is missing.")
            raise UnreadablePartError(self.path, "It does not belong to the archive. Move it elsewhere.", foreign=True)
        if len(set(columns)) < len(columns):
            twice = next(column for column in columns if columns.count(column) > 1)
            raise UnreadablePartError(self.path, f"It has several columns named {twice!r}. Restore the original file.")
        for field in self._spec.schema:
            if field.name in columns and not is_castable(self.schema.field(field.name).type, field.type):
                self._refuse_type(field)

    def _refuse_type(self, field: pa.Field, error: Exception | None = None) -> NoReturn:
        found = self.schema.field(field.name).type
        why = f": {' '.join(str(error).split()).rstrip('.')}" if error else ""
        raise UnreadablePartError(
            self.path,
            f"Its column {field.name!r} is {found}, which cannot be read as {field.type} without loss{why}. "
            "Restore the original file.",
        ) from error

    def verify(self) -> None:
        """Read the file to its end and compare it with its seal; decode all of it when it has none."""
        size = self._source.size()
        found = seal_of(self.metadata, size)
        if found is None:
            self._verify_by_decoding()
            return
        start = size - self.metadata.serialized_size - 8
        if self._guard(lambda: checksum(start, self._source.read_at)) != found.pages:
            raise UnreadablePartError(self.path, f"It is damaged: the checksum of its pages differs. {_RESTORE}")

    def _verify_by_decoding(self) -> None:
        original = (self.metadata.metadata or {}).get(b"ARROW:schema")
        if original is not None:
            written = self._guard(lambda: pa.ipc.read_schema(pa.py_buffer(base64.b64decode(original))))
            if written.names != self.schema.names:
                raise UnreadablePartError(self.path, "It is damaged: its column names contradict each other.")
        for group in self.groups:
            if self.read([group], self.schema.names).num_rows != self.metadata.row_group(group).num_rows:
                raise UnreadablePartError(self.path, "It is damaged: rows are missing.")
            self._verify_statistics(group)

    def _verify_statistics(self, group: int) -> None:
        """Compare the minimum and maximum in the footer: engines skip row groups by them."""
        leaves = self.metadata.schema.names
        names = [name for name in self._spec.statistics if name in self.schema.names and self._is_native(name)]
        table = self._guard(lambda: self._file().read_row_group(group, columns=names))
        for name in names:
            statistics = self.metadata.row_group(group).column(leaves.index(name)).statistics
            if statistics is None or not statistics.has_min_max:
                continue
            least, most = pc.min_max(table[name]).as_py().values()
            for value, bound, is_wrong in ((least, statistics.min, operator.lt), (most, statistics.max, operator.gt)):
                if type(value) is type(bound) and is_wrong(value, bound):
                    raise UnreadablePartError(self.path, f"It is damaged: its statistics of {name!r} are wrong.")


def write_part(
    store: Store, spec: PartSpec, path: str, batches: Iterable[pa.Table], more: Sequence[pa.Field] = ()
) -> None:
    """Write tables as one sealed part, with more fields than the spec's own."""
    directory, _, name = path.rpartition("/")

    def parquet_writer(sink: IO[bytes]) -> None:
        with pq.ParquetWriter(
            sink,
            pa.schema([*spec.schema, *more], METADATA),
            compression="zstd",
            write_statistics=list(spec.statistics),
            use_dictionary=[f.name for f in spec.schema if f.name not in spec.high_cardinality],
            write_page_checksum=True,
        ) as writer:
            for batch in batches:
                writer.write_table(batch.replace_schema_metadata(METADATA), row_group_size=spec.group_rows)
            writer.add_key_value_metadata(UNSEALED)
        seal_file(sink)

    store.write(directory, name, parquet_writer)
