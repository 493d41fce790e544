"""A dataset: the records, or the contents, of one host, in a directory of parts.

::

    <archive>/generations/host=<host>/part-<utc time>-<process>-<random>.parquet
    <archive>/contents/host=<host>/part-….parquet
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import pyarrow as pa

from orstats._warn import warn_caller
from orstats.archive.directories import SUFFIX, has_suffix, host_directory, is_like_a_part
from orstats.archive.newest import KeyColumns, RowSelection, is_settled, loaded_rows, select_newest
from orstats.archive.part import PREFIX, Part, PartSpec, UnreadablePartError
from orstats.archive.storage import Entry, Store, retry_vanished
from orstats.archive.verified_parts import VerifiedParts
from orstats.frame.record_table import RECORD_SCHEMA

logger = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")

GENERATIONS: Final = PartSpec(
    "generations",
    RECORD_SCHEMA,
    statistics=("id", "created_at", "fetched_at"),
    high_cardinality=("id", "upstream_id", "request_id", "provider_responses"),
    group_rows=16_384,
    batch_rows=131_072,
    part_rows=1_048_576,
)
CONTENTS: Final = PartSpec(
    "contents",
    pa.schema([("id", pa.string()), ("body", pa.large_binary()), ("fetched_at", pa.timestamp("us", tz="UTC"))]),
    statistics=("id",),
    high_cardinality=("id", "body"),
    group_rows=256,
    batch_rows=1_024,
    part_rows=65_536,
    required=("id", "body", "fetched_at"),
)

#: Key of a table's metadata: the files whose records are missing from it because they cannot be read.
UNREADABLE: Final = b"orstats:unreadable_files"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: With more ids than this, sorting them costs more than row-group statistics save.
_PRUNE_AT_MOST: Final = 50_000
#: Files with at most this many bytes for each requested id (a record takes 180) contain little else. All columns are
#: then read at once: in two thirds of the time of finding the rows first, with at most three times the memory.
_BYTES_AN_ID: Final = 512


@dataclass(frozen=True, slots=True)
class Listing:
    """The parts in a directory by their path, oldest first, and the files that cannot be used."""

    entries: dict[str, Entry]
    problems: list[UnreadablePartError]

    @property
    def has_records(self) -> bool:
        """Whether records are or were stored, even if none of them can be read."""
        return bool(self.entries) or not all(problem.foreign for problem in self.problems)


class Dataset:
    """The parts of one kind of one host. An object serves one call: it remembers which files are damaged."""

    def __init__(self, store: Store, spec: PartSpec, host: str) -> None:
        self.store = store
        self.spec = spec
        self.host = host
        self.directory = host_directory(spec, host)
        self._damaged: dict[str, UnreadablePartError] = {}

    def list_parts(self) -> Listing:
        """List the parts, without files that are being written."""
        entries, problems = {}, list(self._damaged.values())
        for entry in self.store.files(self.directory):
            path = f"{self.directory}/{entry.name}"
            if entry.is_hidden or path in self._damaged:
                continue
            if entry.is_file:
                if has_suffix(entry.name):
                    entries[path] = entry
                elif is_like_a_part(entry.name):
                    why = f"Its name does not end with {SUFFIX}. Rename it, or move it out of the archive."
                    problems.append(UnreadablePartError(path, why, foreign=not entry.name.startswith(PREFIX)))
            elif has_suffix(entry.name):
                problems.append(UnreadablePartError(path, "It is a directory or a broken link, not a file."))
            elif any(map(has_suffix, self.store.tree(path))):
                why = "It is a subdirectory, which is not searched. Move its Parquet files up, or out of the archive."
                problems.append(UnreadablePartError(path, why))
        return Listing(entries, problems)

    def scan(
        self, listing: Listing, read: Callable[[Part], T], verified: VerifiedParts | None = None
    ) -> tuple[list[tuple[Part, T]], list[UnreadablePartError]]:
        """Return what ``read`` makes of each open part, in order, and the files that cannot be used.

        With ``verified``, each part that it does not know yet is first read to its end and compared with its seal.
        """

        def open_and_read(path: str) -> tuple[Part, T] | UnreadablePartError:
            try:
                with Part(self.store, self.spec, path) as part:
                    if verified is not None and not verified.includes(path, listing.entries[path]):
                        part.verify()
                    return part, read(part)
            except UnreadablePartError as error:
                return error

        started = time.time()
        results = self._in_threads(open_and_read, list(listing.entries))
        found = [result for result in results if not isinstance(result, UnreadablePartError)]
        if verified is not None:
            verified.update(self.directory, listing.entries, {part.path for part, _ in found}, started)
        return found, [*listing.problems, *(one for one in results if isinstance(one, UnreadablePartError))]

    def retry_on_compaction(self, action: Callable[[], T]) -> T:
        """Run an action that reads parts again until no part vanishes or proves damaged during it."""

        def without_damaged() -> T:
            while True:
                try:
                    return action()
                except UnreadablePartError as error:
                    self._damaged[error.path] = error

        return retry_vanished(without_damaged)

    def warn(self, problems: Sequence[UnreadablePartError]) -> list[str]:
        """Log each file that cannot be used, with a reason and advice; return those that belong to the archive."""
        for problem in problems:
            meaning = "ignored" if problem.foreign else "skipped; its records count as not archived"
            logger.warning("Archive file %s is %s. %s", self.store.full(problem.path), meaning, problem)
        return sorted(self.store.full(problem.path) for problem in problems if not problem.foreign)

    def read_newest(
        self,
        ids: Sequence[str] | pa.Array | None,
        *,
        settled_only: bool,
        columns: Collection[str] | None = None,
        encoded: bool = False,
    ) -> pa.Table:
        """Return the newest record of each id (of all when None), or only some columns of it.

        With ``encoded``, text that repeats is returned as dictionaries. Files that cannot be read are logged; the
        metadata of the table's schema lists them as JSON under :data:`UNREADABLE`.
        """
        requested = None if ids is None else _id_array(ids)
        ordered = sorted(requested.to_pylist()) if requested is not None and len(requested) <= _PRUNE_AT_MOST else None
        names = [name for name in self.spec.schema.names if columns is None or name in columns]
        dictionaries = [name for name in self.spec.dictionary_columns if encoded and name in names]
        nothing = self.spec.types(dictionaries).empty_table().select(names)

        def read() -> pa.Table:
            listing = self.list_parts()
            size = sum(entry.size for entry in listing.entries.values())
            at_once = requested is not None and size <= _BYTES_AN_ID * len(requested)
            more, more_encoded = (names, dictionaries) if at_once else ((), ())
            key_names = list(dict.fromkeys((*self.spec.keys, *more)))

            def read_keys(part: Part) -> KeyColumns:
                groups = part.groups if ordered is None else part.groups_with(ordered)
                return KeyColumns(part, groups, part.read(groups, key_names, more_encoded))

            found, problems = self.scan(listing, read_keys)
            keys = [one for _, one in found]
            selected = select_newest(keys, requested, settled_only=settled_only)
            if at_once:
                table = pa.concat_tables([nothing, *loaded_rows(keys, selected, names)])
            else:
                del found, keys  # a million keys take 60 MB, which the rows can use
                table = pa.concat_tables([nothing, *self._load_selected(selected, names, dictionaries)])
            unreadable = self.warn(problems)
            return table.replace_schema_metadata({UNREADABLE: json.dumps(unreadable)}) if unreadable else table

        return self.retry_on_compaction(read)

    def read_record(self, generation_id: str, *, settled_only: bool) -> dict[str, Any] | None:
        """Return the newest record of one id as Python values, without pandas, which much of pyarrow imports."""

        def find(part: Part) -> list[dict[str, Any]]:
            rows = []
            for group in part.groups_with([generation_id]):
                ids = part.read([group], ["id"])["id"].to_pylist()
                if generation_id in ids:
                    table = part.read([group], self.spec.schema.names)
                    rows += [_row(table, row) for row, one in enumerate(ids) if one == generation_id]
            return rows

        def read() -> dict[str, Any] | None:
            found, problems = self.scan(self.list_parts(), find)
            self.warn(problems)
            rows = [row for _, rows in found for row in rows]
            # max() returns the first of equally new records, but the last one stored wins.
            newest = max(reversed(rows), key=lambda row: row["fetched_at"] or _EPOCH, default=None)
            return None if newest is None or (settled_only and not is_settled(newest)) else newest

        return self.retry_on_compaction(read)

    def _load_selected(
        self, selected: Sequence[RowSelection], columns: Sequence[str], encoded: Sequence[str]
    ) -> Iterator[pa.Table]:
        touched = [one for one in selected if len(one.rows)]
        for tables in self._in_threads(lambda one: list(one.read(columns, encoded)), touched):
            yield from tables

    def _in_threads(self, action: Callable[[S], T], items: Sequence[S]) -> list[T]:
        if len(items) < 2:  # noqa: PLR2004 - nothing to do concurrently
            return [action(item) for item in items]
        with ThreadPoolExecutor(min(self.store.concurrency, len(items))) as pool:
            return list(pool.map(action, items))


def _row(table: pa.Table, row: int) -> dict[str, Any]:
    """Return one row as Python values; pyarrow's own conversion of times imports pandas."""
    values = {}
    for name in table.column_names:
        cell = table[name].slice(row, 1)
        if pa.types.is_timestamp(cell.type):
            microseconds = cell.cast(pa.int64()).to_pylist()[0]
            values[name] = None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
        else:
            values[name] = cell.to_pylist()[0]
    return values


def _id_array(ids: Sequence[str] | pa.Array) -> pa.Array:
    if isinstance(ids, pa.Array):
        return ids.drop_null()
    try:
        array = pa.array(ids, pa.string())
    except UnicodeEncodeError:
        # Half a surrogate pair cannot be stored, so such an id is not in the archive.
        array = pa.array([i for i in ids if i == i.encode("utf-8", "ignore").decode()], pa.string())
    return array.drop_null()


def warn_of_unreadable(files: Sequence[str]) -> None:
    """Warn the caller that records are missing: what is only logged is not seen in a notebook."""
    if files:
        warn_caller(f"Unreadable archive files are excluded ({len(files)}): {', '.join(files[:3])}")


def unreadable_files(table: pa.Table) -> list[str]:
    """Return the files whose records are missing from what was read."""
    found = (table.schema.metadata or {}).get(UNREADABLE)
    return [] if found is None else list(json.loads(found))


def part_name() -> str:
    """Return a name that no other process or thread uses, and that sorts by time.

    >>> part_name().startswith("part-2")
    True
    """
    return f"part-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"


def successor_name(name: str) -> str:
    """Return a new name for the successor of a part, which sorts where the part did.

    >>> successor_name("part-20260101T000000000000Z-1-00000000.parquet")[:-16]
    'part-20260101T000000000000Z-1-'
    """
    same_place, found = re.subn(r"(?<=-)[0-9a-f]{8}(?=\.parquet$)", os.urandom(4).hex(), name)
    return same_place if found else part_name()
