"""Read the newest record of each id from the parts of one dataset, whatever others do to them meanwhile."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import pyarrow as pa

from orstats.archive.choose import LONGEST_MS, SETTLED_AFTER_S, choose
from orstats.archive.dataset import Chosen, Dataset, Keys, UnreadablePartError, irregular_parts, parts_of
from orstats.archive.reader import WORKERS, Reader, only, read_keys, read_rows
from orstats.archive.storage import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Key of a table's metadata: the files whose records are not in it because they cannot be read.
UNREADABLE: Final = b"orstats:unreadable_files"

#: A compaction may replace a part between listing and reading: list again. More often than this is a fault.
_TRIES: Final = 20
#: Files of at most so many bytes for each wanted id hold little else (a record takes 180), so that everything is read
#: at once: in two thirds of the time that looking for the rows first takes, and with no more than thrice the memory.
_BYTES_AN_ID: Final = 512


def newest(
    store: Store,
    dataset: Dataset,
    directory: str,
    ids: Sequence[str] | None,
    *,
    settled_only: bool,
    columns: Collection[str] | None = None,
    encoded: bool = False,
) -> pa.Table:
    """Return the newest record of each id (of all when None) in one directory, or only some columns of it.

    With ``encoded``, text that repeats comes as dictionaries. Parts that cannot be read are logged and excluded; the
    metadata of the table's schema names them as a JSON list under :data:`UNREADABLE`.
    """
    wanted = None if ids is None else _as_array(ids)
    names = [name for name in dataset.schema.names if columns is None or name in columns]
    as_dictionary = [name for name in dataset.repeating if encoded and name in names]
    nothing = dataset.types(as_dictionary).empty_table().select(names)

    def read(skip: Mapping[str, UnreadablePartError]) -> pa.Table:
        irregular = irregular_parts(store, directory)
        parts = [(f"{directory}/{entry.name}", entry.size) for entry in parts_of(store, directory)]
        at_once = wanted is not None and sum(size for _, size in parts) <= _BYTES_AN_ID * len(wanted)
        columns_too, encoded_too = (names, as_dictionary) if at_once else ((), ())
        paths = [path for path, _ in parts if path not in skip]
        keys, broken = read_keys(store, dataset, paths, wanted, columns=columns_too, encoded=encoded_too)
        chosen = choose(keys, wanted, settled_only=settled_only)
        if at_once:
            table = pa.concat_tables([nothing, *_at_hand(keys, chosen, names)])
        else:
            del keys  # a million of them take 60 MB, which the rows can use
            table = pa.concat_tables([nothing, *_rows_of(store, dataset, chosen, names, as_dictionary)])
        problems = [*irregular, *broken, *skip.values()]
        warn_unreadable(store, problems)
        unreadable = [store.full(problem.path) for problem in problems if not problem.foreign]
        return table.replace_schema_metadata({UNREADABLE: json.dumps(unreadable)}) if unreadable else table

    return until_stable(read)


def newest_row(
    store: Store, dataset: Dataset, directory: str, generation_id: str, *, settled_only: bool
) -> dict[str, Any] | None:
    """Return the newest record of one id as Python values, without pandas, which much of pyarrow imports."""

    def read(skip: Mapping[str, UnreadablePartError]) -> dict[str, Any] | None:
        problems = [*irregular_parts(store, directory), *skip.values()]
        found: list[dict[str, Any]] = []
        for entry in parts_of(store, directory):
            path = f"{directory}/{entry.name}"
            try:
                if path not in skip:
                    with Reader(store, dataset, path) as reader:
                        found += _rows_with_id(reader, dataset, generation_id)
            except UnreadablePartError as error:
                problems.append(error)
        warn_unreadable(store, problems)
        # Of equally new records max() takes the first, and the last one stored is to win.
        row = max(reversed(found), key=lambda row: row["fetched_at"] or _EPOCH, default=None)
        return None if row is None or (settled_only and not _is_settled(row)) else row

    return until_stable(read)


def _rows_with_id(reader: Reader, dataset: Dataset, generation_id: str) -> Iterator[dict[str, Any]]:
    for group in reader.groups_with([generation_id]):
        ids = reader.read([group], ["id"])["id"].to_pylist()
        if generation_id in ids:
            table = reader.read([group], dataset.schema.names)
            for row in (row for row, one in enumerate(ids) if one == generation_id):
                values = {name: _value(table[name].slice(row, 1)) for name in table.column_names}
                yield values


def _value(cell: pa.ChunkedArray) -> Any:
    """Return the only value of a column."""
    if not pa.types.is_timestamp(cell.type):
        return cell.to_pylist()[0]
    microseconds = cell.cast(pa.int64()).to_pylist()[0]
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def _is_settled(row: Mapping[str, Any]) -> bool:
    if row["created_at"] is None or row["fetched_at"] is None:
        return False
    ran_ms = min(max(row["generation_time"] or 0, 0), LONGEST_MS)
    return bool(row["fetched_at"] - row["created_at"] >= timedelta(seconds=SETTLED_AFTER_S, milliseconds=ran_ms))


def until_stable(action: Callable[[Mapping[str, UnreadablePartError]], T]) -> T:
    """Run an action on the parts until none of them vanishes or breaks under it."""
    skip: dict[str, UnreadablePartError] = {}
    vanished = 0
    while True:
        try:
            return action(skip)
        except UnreadablePartError as error:
            skip[error.path] = error
        except FileNotFoundError as error:
            vanished += 1
            if vanished == _TRIES:
                raise OSError(f"files kept vanishing while they were read, {error} among them") from error


def warn_unreadable(store: Store, problems: Iterable[UnreadablePartError]) -> None:
    """Name each file that is not used, why, and what to do."""
    for problem in problems:
        meaning = "ignored" if problem.foreign else "skipped; its records count as not archived"
        logger.warning("Archive file %s is %s. %s", store.full(problem.path), meaning, problem)


def _at_hand(keys: Sequence[Keys], chosen: Sequence[Chosen], columns: Sequence[str]) -> Iterator[pa.Table]:
    for one, few in zip(keys, chosen, strict=True):
        if len(few.rows):
            yield only(one.table.select(columns), few.rows)


def _rows_of(
    store: Store, dataset: Dataset, chosen: Sequence[Chosen], columns: Sequence[str], encoded: Sequence[str]
) -> list[pa.Table]:
    touched = [one for one in chosen if len(one.rows)]
    if not touched:
        return []
    with ThreadPoolExecutor(min(WORKERS, len(touched))) as pool:
        found = pool.map(lambda one: list(read_rows(store, dataset, one, columns, encoded)), touched)
        return [table for tables in found for table in tables]


def _as_array(ids: Sequence[str]) -> pa.Array:
    try:
        array = pa.array(ids, pa.string())
    except UnicodeEncodeError:
        # Half a surrogate pair cannot be stored, so such an id is not in the archive.
        array = pa.array([i for i in ids if i.isascii() or i == i.encode("utf-8", "ignore").decode()], pa.string())
    return array.drop_null()  # an id that is asked for twice is found by its first place
