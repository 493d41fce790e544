"""Merge the parts of a dataset into few big ones. Nothing is deleted before its successor is on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.data.archive.choose import choose
from orstats.data.archive.parts import (
    Chosen,
    Dataset,
    Rows,
    part_name,
    parts_of,
    producer,
)
from orstats.data.archive.reader import read_keys, read_rows
from orstats.data.archive.store import Entry, Store

logger = logging.getLogger(__name__)

#: Hidden files that have not changed for so long were left by a crash.
STALE_AFTER_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did to one dataset of one host.

    Parameters
    ----------
    host
        Host of the API.
    dataset
        ``generations`` or ``contents``.
    parts_before, parts_after
        Number of whole parts.
    rows_before, rows_after
        Stored records; fewer afterwards when ids were stored more than once.
    bytes_before, bytes_after
        Size of those parts on disk.
    unreadable
        Files that are not whole parts: left as they are, because their owner may know better.
    """

    host: str
    dataset: str
    parts_before: int
    parts_after: int
    rows_before: int
    rows_after: int
    bytes_before: int
    bytes_after: int
    unreadable: tuple[str, ...]


def compact(store: Store, dataset: Dataset, directory: str, host: str, skip: frozenset[str]) -> Compaction:
    """Merge the parts in one directory, the newest record of each id kept.

    Safe against writers, readers, other compactions and ``kill -9`` at any moment: first the new parts are written,
    durably; then, if every old part is still there, the old ones are deleted. Until then, and for ever if it is
    killed between, the records are there twice and the readers take one of them. If an old part is gone, another
    compaction has replaced it (or its owner has deleted it): the new parts are removed and nothing else is done.

    Parameters
    ----------
    store, dataset, directory
        Where and what.
    host
        For the result.
    skip
        Paths of parts known to be unreadable.

    Raises
    ------
    FileNotFoundError
        Another compaction replaced a part: list and try again.
    UnreadablePartError
        A part turned out to be broken inside: try again without it.
    """
    _remove_stale(store, directory)
    entries = parts_of(store, directory)
    sizes = {f"{directory}/{entry.name}": entry.size for entry in entries}
    keys, broken = read_keys(store, dataset, [path for path in sizes if path not in skip], None)
    chosen = choose(keys, None, settled_only=False)
    merged = [n for n, one in enumerate(chosen) if _has_old(one) or len(one.rows) < dataset.part_rows // 2]
    written: list[str] = []
    if len(merged) > 1 or any(_has_old(chosen[n]) for n in merged):
        order = _by_id([keys[n].table["id"].take(chosen[n].rows) for n in merged])
        del keys
        written = _replace(store, dataset, directory, [chosen[n] for n in merged], order)
    else:
        merged = []
    after = {f"{directory}/{entry.name}": entry.size for entry in parts_of(store, directory)}
    kept = [one.part.path for n, one in enumerate(chosen) if n not in set(merged)] + written
    return Compaction(
        host=host,
        dataset=dataset.folder,
        parts_before=len(chosen),
        parts_after=len(kept),
        rows_before=sum(one.part.metadata.num_rows for one in chosen),
        rows_after=sum(len(one.rows) for one in chosen),
        bytes_before=sum(sizes[one.part.path] for one in chosen),
        bytes_after=sum(after.get(path, 0) for path in kept),
        unreadable=tuple(sorted(store.full(path) for path in skip | {error.path for error in broken})),
    )


def _has_old(one: Chosen) -> bool:
    """Whether some of the part's records have a newer one elsewhere."""
    return len(one.rows) < int(one.part.metadata.num_rows)


def _replace(store: Store, dataset: Dataset, directory: str, sources: Sequence[Chosen], order: Rows) -> list[str]:
    written: list[str] = []
    try:
        for first in range(0, len(order), dataset.part_rows):
            name = part_name()
            batches = _batches(store, dataset, sources, order[first : first + dataset.part_rows])
            store.write(directory, name, producer(dataset, batches))
            written.append(f"{directory}/{name}")
        _check_present(store, directory, sources)
    except BaseException:
        for path in written:
            store.delete(path)
        raise
    for source in sources:
        store.delete(source.part.path)
    return written


def _check_present(store: Store, directory: str, sources: Sequence[Chosen]) -> None:
    present = {f"{directory}/{entry.name}" for entry in parts_of(store, directory)}
    for source in sources:
        if source.part.path not in present:
            raise FileNotFoundError(source.part.path)


def _by_id(ids: Sequence[pa.ChunkedArray]) -> Rows:
    """Return the rows of all sources, numbered through, in the order of their ids.

    Sorted parts let a reader skip the row groups that cannot hold an id; ids begin with their second, so records
    of one time lie together.
    """
    everything = pa.chunked_array([chunk for one in ids for chunk in one.chunks], pa.string())
    order: Rows = pc.sort_indices(everything).to_numpy().astype(np.int64)
    return order


def _batches(store: Store, dataset: Dataset, sources: Sequence[Chosen], order: Rows) -> Iterator[pa.Table]:
    ends = np.cumsum([len(source.rows) for source in sources])
    for first in range(0, len(order), dataset.batch_rows):
        numbers = np.sort(order[first : first + dataset.batch_rows])
        chunks = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
        tables: list[pa.Table] = []
        for source, chunk, end in zip(sources, chunks, ends, strict=True):
            rows = source.rows[chunk - (end - len(source.rows))]
            tables.extend(read_rows(store, dataset, replace(source, rows=rows), dataset.schema.names))
        yield pa.concat_tables(tables).sort_by("id")


def _remove_stale(store: Store, directory: str) -> None:
    for entry in store.files(directory):
        if entry.is_hidden and _is_stale(entry):
            logger.info("removing %s/%s, left by a process that was stopped", directory, entry.name)
            store.delete(f"{directory}/{entry.name}")


def _is_stale(entry: Entry) -> bool:
    return time.time() - entry.changed > STALE_AFTER_S
