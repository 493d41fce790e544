"""Merge the parts of a dataset into few large ones. Nothing is deleted before its successor is on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.dataset import Dataset, part_name
from orstats.archive.newest import KeyColumns, RowIndices, RowSelection, select_newest
from orstats.archive.part import Part, UnreadablePartError, write_part
from orstats.archive.storage import current_time, is_refused
from orstats.archive.verified_parts import VerifiedParts

logger = logging.getLogger(__name__)

#: Temporary files that have not changed for a day were left by a crash.
_STALE_AFTER_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did to one dataset of one host."""

    host: str
    dataset: str
    parts_before: int
    parts_after: int
    rows_before: int
    rows_after: int
    bytes_before: int
    bytes_after: int
    unreadable: tuple[str, ...]
    ignored: tuple[str, ...]


def compact(dataset: Dataset, verified: VerifiedParts) -> Compaction:
    """Merge the parts of a dataset, keeping the newest record of each id.

    Safe against writers, readers, other compactions and ``kill -9`` at any moment: the new parts are first written,
    durably, and read back. Then, if every old part is still there, the old ones are deleted. Until then the records are
    stored twice, and readers use one of them. If an old part is gone, another compaction has replaced it (or its owner
    has deleted it): the new parts are deleted and nothing else is done.
    """
    remove_stale(dataset)
    spec = dataset.spec
    listing = dataset.list_parts()

    def read_keys(part: Part) -> KeyColumns:
        return KeyColumns(part, part.groups, part.read(part.groups, spec.keys))

    found, problems = dataset.scan(listing, read_keys, verified)
    keys = [one for _, one in found]
    unreadable = dataset.warn(problems)
    selected = select_newest(keys, None, settled_only=False)
    merged = [n for n, one in enumerate(selected) if _has_old(one) or len(one.rows) < spec.part_rows // 2]
    more = _more_fields([selected[n].part for n in merged], dataset)
    if more is None:
        place = dataset.store.full(dataset.directory)
        logger.warning("parts in %s are not merged: columns that only they have differ in type", place)
        more, merged = [], [n for n in merged if not spec.unknown_fields(selected[n].part.schema)]
    written: list[str] = []
    if len(merged) > 1 or any(_has_old(selected[n]) or not selected[n].part.is_native for n in merged):
        order = _by_id([keys[n].table["id"].take(selected[n].rows) for n in merged])
        del found, keys
        written = _replace(dataset, [selected[n] for n in merged], more, order)
    else:
        merged = []
    sizes = {path: entry.size for path, entry in (listing.entries | dataset.list_parts().entries).items()}
    old = [one.part.path for one in selected]
    kept = [path for n, path in enumerate(old) if n not in set(merged)] + written
    return Compaction(
        host=dataset.host,
        dataset=spec.folder,
        parts_before=len(old),
        parts_after=len(kept),
        rows_before=sum(one.part.metadata.num_rows for one in selected),
        rows_after=sum(len(one.rows) for one in selected),
        bytes_before=sum(sizes[path] for path in old),
        bytes_after=sum(sizes.get(path, 0) for path in kept),
        unreadable=tuple(unreadable),
        ignored=tuple(sorted(dataset.store.full(problem.path) for problem in problems if problem.foreign)),
    )


def _has_old(one: RowSelection) -> bool:
    """Return whether some of the part's records have a newer one elsewhere."""
    return len(one.rows) < int(one.part.metadata.num_rows)


def _replace(
    dataset: Dataset, sources: Sequence[RowSelection], more: Sequence[pa.Field], order: RowIndices
) -> list[str]:
    written: list[str] = []
    size = dataset.spec.part_rows
    try:
        for first in range(0, len(order), size):
            path = f"{dataset.directory}/{part_name()}"
            write_verified(dataset, path, _batches(dataset, sources, more, order[first : first + size]), more)
            written.append(path)
        _check_present(dataset, sources)
    except BaseException:
        for path in written:
            dataset.store.delete(path)
        raise
    for number, source in enumerate(sources):
        try:
            dataset.store.delete(source.part.path)
        except OSError as error:
            # Otherwise each compaction would write one more copy of what it cannot delete.
            for path in written if number == 0 and is_refused(error) else ():
                dataset.store.delete(path)
            raise
    return written


def _check_present(dataset: Dataset, sources: Sequence[RowSelection]) -> None:
    present = dataset.list_parts().entries
    for source in sources:
        if source.part.path not in present:
            raise FileNotFoundError(source.part.path)


def write_verified(dataset: Dataset, path: str, batches: Iterable[pa.Table], more: Sequence[pa.Field]) -> None:
    """Write a part that replaces others, and read it back, so that they can be deleted."""
    write_part(dataset.store, dataset.spec, path, batches, more)
    try:
        with Part(dataset.store, dataset.spec, path) as part:
            part.verify()
    except UnreadablePartError as error:
        dataset.store.delete(path)
        raise OSError(f"the storage returns other bytes than were written: {error}") from error


def _more_fields(parts: Sequence[Part], dataset: Dataset) -> list[pa.Field] | None:
    """Return the fields of newer versions and other programs that some part has; None if they contradict each other."""
    found = [pa.schema(dataset.spec.unknown_fields(part.schema)) for part in parts]
    try:
        return list(pa.unify_schemas([pa.schema([]), *found], promote_options="permissive").remove_metadata())
    except pa.ArrowException:
        return None


def _by_id(ids: Sequence[pa.ChunkedArray]) -> RowIndices:
    """Return the rows of all sources, counted through, in the order of their ids.

    Sorted parts let a reader skip the row groups that cannot contain an id. Ids begin with their second, so records of
    one time are stored together.
    """
    everything = pa.chunked_array([chunk for one in ids for chunk in one.chunks], pa.string())
    order: RowIndices = pc.sort_indices(everything).to_numpy().astype(np.int64)
    return order


def _batches(
    dataset: Dataset, sources: Sequence[RowSelection], more: Sequence[pa.Field], order: RowIndices
) -> Iterator[pa.Table]:
    spec = dataset.spec
    nothing = pa.schema([*spec.schema, *more]).empty_table()
    ends = np.cumsum([len(source.rows) for source in sources])
    for first in range(0, len(order), spec.batch_rows):
        numbers = np.sort(order[first : first + spec.batch_rows])
        pieces = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
        tables = [nothing]
        for source, piece, end in zip(sources, pieces, ends, strict=True):
            rows = source.rows[piece - (end - len(source.rows))]
            columns = [*spec.schema.names, *(f.name for f in spec.unknown_fields(source.part.schema))]
            tables.extend(replace(source, rows=rows).read(columns))
        yield pa.concat_tables(tables, promote_options="permissive").cast(nothing.schema).sort_by("id")


def remove_stale(dataset: Dataset) -> None:
    """Delete temporary files that a crashed process left."""
    hidden = [entry for entry in dataset.store.files(dataset.directory) if entry.is_temporary]
    now = current_time(dataset.store, dataset.directory) if hidden else 0.0
    for entry in hidden:
        if now - entry.changed > _STALE_AFTER_S:
            path = f"{dataset.directory}/{entry.name}"
            logger.info("deleting %s, left by a process that was stopped", path)
            dataset.store.delete(path)
