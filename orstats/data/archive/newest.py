"""Read the newest record of each id from the parts of one dataset, whatever others do to them meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import pyarrow as pa

from orstats.data.archive.choose import choose
from orstats.data.archive.parts import Chosen, Dataset, Keys, UnreadablePartError, parts_of
from orstats.data.archive.reader import WORKERS, only, read_keys, read_rows
from orstats.data.archive.store import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")

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

    With ``encoded``, text that repeats comes as dictionaries.
    Parts that cannot be read are logged and left out.

    Raises
    ------
    OSError
        The place cannot be read.
    """
    wanted = None if ids is None else _as_array(ids)
    names = [name for name in dataset.schema.names if columns is None or name in columns]
    as_dictionary = [name for name in dataset.repeating if encoded and name in names]
    nothing = dataset.types(as_dictionary).empty_table().select(names)

    def read(skip: frozenset[str]) -> pa.Table:
        parts = [(f"{directory}/{entry.name}", entry.size) for entry in parts_of(store, directory)]
        at_once = wanted is not None and sum(size for _, size in parts) <= _BYTES_AN_ID * len(wanted)
        columns_too, encoded_too = (names, as_dictionary) if at_once else ((), ())
        paths = [path for path, _ in parts if path not in skip]
        keys, broken = read_keys(store, dataset, paths, wanted, columns=columns_too, encoded=encoded_too)
        for error in broken:
            warn_unreadable(store, error)
        chosen = choose(keys, wanted, settled_only=settled_only)
        if at_once:
            return pa.concat_tables([nothing, *_at_hand(keys, chosen, names)])
        del keys  # a million of them take 60 MB, which the rows can use
        return pa.concat_tables([nothing, *_rows_of(store, dataset, chosen, names, as_dictionary)])

    return until_stable(store, read)


def until_stable(store: Store, action: Callable[[frozenset[str]], T]) -> T:
    """Run an action on the parts until none of them vanishes or breaks under it.

    Parameters
    ----------
    store
        Where the parts are.
    action
        Gets the paths of parts to leave alone because they turned out to be broken inside.

    Raises
    ------
    OSError
        The parts keep vanishing.
    """
    skip: frozenset[str] = frozenset()
    vanished = 0
    while True:
        try:
            return action(skip)
        except UnreadablePartError as error:
            warn_unreadable(store, error)
            skip |= {error.path}
        except FileNotFoundError as error:
            vanished += 1
            if vanished == _TRIES:
                raise OSError(f"files kept vanishing while they were read, {error} among them") from error


def warn_unreadable(store: Store, error: UnreadablePartError) -> None:
    """Say which part is not used and why."""
    logger.warning(
        "%s is not a whole archive file and is not used: %s. Delete it, or restore it from a backup; "
        "what it held will be fetched again.",
        store.full(error.path),
        error,
    )


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
