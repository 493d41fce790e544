"""Read columns of parts: of all of them to see which rows are wanted, then the rows of one."""

from __future__ import annotations

import base64
import operator
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orstats.archive.casts import cast, is_castable, is_native
from orstats.archive.dataset import Chosen, Dataset, Keys, Part, Rows, UnreadablePartError
from orstats.archive.seal import checksum, read_footer, seal_of
from orstats.archive.storage import Store, is_refused

T = TypeVar("T")

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
    """Read the keys of all parts, in the order of ``paths``; the unreadable ones are listed beside."""
    ordered = None
    if wanted is not None and len(wanted) <= _PRUNE_AT_MOST:
        ordered = sorted(wanted.to_pylist())
    names = list(dict.fromkeys((*dataset.keys, *columns)))

    def read(path: str) -> Keys | UnreadablePartError:
        try:
            with Reader(store, dataset, path, encoded=encoded) as reader:
                part = Part(path, reader.metadata, reader.groups_with(ordered), reader.schema)
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
        self._source = self._open()
        try:
            footer = metadata or self._guard(self._read_footer)
            #: As stored, whatever is read as a dictionary; pyarrow makes a new one whenever it is asked for.
            self.schema: pa.Schema = self._guard(footer.schema.to_arrow_schema)
            self._check_columns(footer)
            self._is_native = is_native(self.schema, dataset.schema)
            self._has_own_types = not self.schema.equals(dataset.schema)  # or columns that cannot be null
            dictionaries = [name for name in encoded if name in self.schema.names] if self._is_native else []
            self._file = self._guard(
                lambda: pq.ParquetFile(
                    self._source,
                    metadata=footer,
                    read_dictionary=dictionaries,
                    page_checksum_verification=True,
                )
            )
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

    def _open(self) -> Any:
        try:
            return self._store.open(self._path)
        except OSError as error:
            raise self._unreadable(error) from error

    def _read_footer(self) -> Any:
        footer = read_footer(self._source.size(), self._source.read_at)
        return pq.read_metadata(pa.BufferReader(b"PAR1" + footer))

    def _guard(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            # pyarrow raises OSError both for a broken disk or network and for a broken file. If the bytes can be
            # had, the file is broken; else this raises what is wrong with the place.
            try:
                with self._store.open(self._path) as source:
                    source.read()
            except OSError as refused:
                raise self._unreadable(refused) from refused
            reason = " ".join(str(error).split()).rstrip(".")
            raise UnreadablePartError(
                self._path, f"It is damaged: {reason}. Restore it from a backup, or delete it."
            ) from error

    def _unreadable(self, error: OSError) -> Exception:
        """Return what to raise when the system refuses a file: other files may still be readable."""
        if is_refused(error):
            reason = error.strerror or "access denied"
            return UnreadablePartError(
                self._path, f"The system refuses to open it: {reason}. Make it readable for you."
            )
        return error

    def _check_columns(self, footer: Any) -> None:
        schema = self.schema
        if schema.equals(self._dataset.schema):
            return  # as nearly all are: field by field takes as long as opening the file
        sealed = seal_of(footer, self._source.size()) is not None
        name = self._path.rpartition("/")[2]
        if not self._dataset.is_part(name, schema.names, sealed=sealed):
            missing = [column for column in self._dataset.required if column not in schema.names]
            if name.startswith("part-"):
                raise UnreadablePartError(self._path, f"It is not a part: column {missing[0]!r} is missing.")
            raise UnreadablePartError(self._path, "It does not belong to the archive. Move it elsewhere.", foreign=True)
        if len({*schema.names}) < len(schema.names):
            twice = next(column for column in schema.names if schema.names.count(column) > 1)
            raise UnreadablePartError(
                self._path, f"It has several columns named {twice!r}. Restore the file as it was."
            )
        for field in self._dataset.schema:
            if field.name in schema.names and not is_castable(schema.field(field.name).type, field.type):
                self._refuse_type(field)

    def _refuse_type(self, field: pa.Field, error: Exception | None = None) -> NoReturn:
        found = self.schema.field(field.name).type
        why = f": {' '.join(str(error).split()).rstrip('.')}" if error else ""
        raise UnreadablePartError(
            self._path,
            f"Its column {field.name!r} is {found}, which cannot be read as {field.type} without loss{why}. "
            "Restore the file as it was.",
        ) from error

    def groups_with(self, ordered: list[str] | None) -> list[int]:
        """Return the row groups that may hold one of the sorted ids (all of them for None)."""
        everything = list(range(self.metadata.num_row_groups))
        if ordered is None:
            return everything
        column = self.metadata.schema.names.index("id")
        return [group for group in everything if self._may_hold(group, column, ordered)]

    def _may_hold(self, group: int, column: int, ordered: list[str]) -> bool:
        statistics = self.metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, str):
            return True
        first = bisect_left(ordered, statistics.min)
        return first < len(ordered) and ordered[first] <= statistics.max

    def read(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return the columns of some row groups, in the dataset's types; columns that the part lacks are null."""
        names = self.schema.names
        have = [name for name in columns if name in names]
        table = self._guard(lambda: self._file.read_row_groups(list(groups), columns=have))
        if not self._is_native:
            table = self._cast(table)
        if have == list(columns) and not self._has_own_types:
            return table.select(have).replace_schema_metadata()
        return pa.table(
            [table[name] if name in have else pa.nulls(table.num_rows, self._type(name)) for name in columns],
            names=list(columns),
        )

    def _cast(self, table: pa.Table) -> pa.Table:
        known = self._dataset.schema
        for number, name in enumerate(table.column_names):
            if name in known.names:
                try:
                    column = cast(table[name], known.field(name).type)
                except (pa.ArrowException, ValueError) as error:
                    self._refuse_type(known.field(name), error)
                column = column.dictionary_encode() if name in self._encoded else column
                table = table.set_column(number, name, column)
        return table

    def _type(self, name: str) -> pa.DataType:
        return self._dataset.types(self._encoded).field(name).type

    def check(self) -> None:
        """Read the whole file and compare it with its seal; without one, decode it all."""
        size = self._source.size()
        found = seal_of(self.metadata, size)
        if found is None:
            self._check_by_decoding()
            return
        start = size - len(self._guard(lambda: read_footer(size, self._source.read_at)))
        if self._guard(lambda: checksum(start, self._source.read_at)) != found.pages:
            raise UnreadablePartError(
                self._path,
                "It is damaged: its pages are not as they were written. Restore it from a backup, or delete it.",
            )

    def _check_by_decoding(self) -> None:
        original = (self.metadata.metadata or {}).get(b"ARROW:schema")
        if original is not None:
            written = self._guard(lambda: pa.ipc.read_schema(pa.py_buffer(base64.b64decode(original))))
            if written.names != self.schema.names:
                raise UnreadablePartError(self._path, "It is damaged: the names of its columns contradict each other.")
        for group in range(self.metadata.num_row_groups):
            table = self.read([group], self.schema.names)
            if table.num_rows != self.metadata.row_group(group).num_rows:
                raise UnreadablePartError(self._path, "It is damaged: rows are missing.")
            self._check_statistics(group)

    def _check_statistics(self, group: int) -> None:
        """Compare the smallest and largest values that the footer notes: engines skip row groups by them."""
        leaves = self.metadata.schema.names
        names = [name for name in self._dataset.statistics if name in self.schema.names]
        table = self._guard(lambda: self._file.read_row_group(group, columns=names))
        for name in names:
            noted = self.metadata.row_group(group).column(leaves.index(name)).statistics
            if noted is None or not noted.has_min_max or table[name].type != self._dataset.schema.field(name).type:
                continue
            least, most = pc.min_max(table[name]).as_py().values()
            for value, bound, is_wrong in ((least, noted.min, operator.lt), (most, noted.max, operator.gt)):
                if type(value) is type(bound) and is_wrong(value, bound):
                    raise UnreadablePartError(self._path, f"It is damaged: its statistics of {name!r} are wrong.")


def read_rows(
    store: Store, dataset: Dataset, chosen: Chosen, columns: Sequence[str], encoded: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Yield the chosen rows of one part, one row group after the other, untouched groups left out.

    The columns in ``encoded`` come as dictionaries, as they are stored: less to read, to hold and to move.
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
