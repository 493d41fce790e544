"""Read the newest record of each id from the parts of one dataset, whatever others do to them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import pyarrow as pa

from orstats.data.archive.choose import choose
from orstats.data.archive.parts import (
    WORKERS,
    Chosen,
    Dataset,
    UnreadablePartError,
    logger,
    parts_of,
    read_keys,
    read_rows,
)
from orstats.data.archive.store import Store

T = TypeVar("T")

#: A compaction may replace a part between listing and reading: list again. More often than this is a fault.
_TRIES: Final = 20


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
        paths = [f"{directory}/{entry.name}" for entry in parts_of(store, directory)]
        keys, broken = read_keys(store, dataset, [path for path in paths if path not in skip], wanted)
        for error in broken:
            warn_unreadable(store, error)
        chosen = choose(keys, wanted, settled_only=settled_only)
        del keys  # a million of them take 60 MB, which the rows can use
        rows = _rows_of(store, dataset, chosen, names, as_dictionary)
        return pa.concat_tables([nothing, *rows])

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
