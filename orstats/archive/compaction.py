"""Merge the parts of a dataset into few big ones. Nothing is deleted before its successor is on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.casts import is_native
from orstats.archive.checked import Checked
from orstats.archive.choose import choose
from orstats.archive.dataset import (
    Chosen,
    Dataset,
    Rows,
    UnreadablePartError,
    irregular_parts,
    part_name,
    parts_of,
    producer,
    unknown_fields,
)
from orstats.archive.newest import warn_unreadable
from orstats.archive.reader import Reader, read_keys, read_rows
from orstats.archive.storage import Store, is_refused

logger = logging.getLogger(__name__)

#: Temporary files that have not changed for a day were left by a crash.
STALE_AFTER_S: Final = 86_400


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


def compact(
    store: Store,
    checked: Checked,
    dataset: Dataset,
    directory: str,
    host: str,
    skip: Mapping[str, UnreadablePartError],
) -> Compaction:
    """Merge the parts in one directory, the newest record of each id kept.

    Safe against writers, readers, other compactions and ``kill -9`` at any moment: first the new parts are written,
    durably, and read back; then, if every old part is still there, the old ones are deleted. Until then, and for ever
    if it is killed between, the records are there twice and the readers take one of them. If an old part is gone,
    another compaction has replaced it (or its owner has deleted it): the new parts are removed and nothing else is
    done.
    """
    remove_stale(store, directory)
    problems = [*irregular_parts(store, directory), *skip.values()]
    entries = [entry for entry in parts_of(store, directory) if f"{directory}/{entry.name}" not in skip]
    problems += checked.check(store, dataset, directory, entries)
    unusable = {problem.path for problem in problems}
    sizes = {path: entry.size for entry in entries if (path := f"{directory}/{entry.name}") not in unusable}
    keys, broken = read_keys(store, dataset, list(sizes), None)
    problems += broken
    warn_unreadable(store, problems)
    chosen = choose(keys, None, settled_only=False)
    merged = [n for n, one in enumerate(chosen) if _has_old(one) or len(one.rows) < dataset.part_rows // 2]
    more = _more_fields(dataset, [chosen[n] for n in merged])
    if more is None:
        logger.warning("parts in %s are not merged: columns that only they have differ in type", store.full(directory))
        more, merged = [], [n for n in merged if not unknown_fields(dataset, chosen[n].part.schema)]
    written: list[str] = []
    if len(merged) > 1 or any(_must_be_rewritten(dataset, chosen[n]) for n in merged):
        order = _by_id([keys[n].table["id"].take(chosen[n].rows) for n in merged])
        del keys
        written = _replace(store, dataset, directory, [chosen[n] for n in merged], more, order)
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
        unreadable=tuple(sorted(store.full(problem.path) for problem in problems if not problem.foreign)),
        ignored=tuple(sorted(store.full(problem.path) for problem in problems if problem.foreign)),
    )


def _must_be_rewritten(dataset: Dataset, one: Chosen) -> bool:
    return _has_old(one) or not is_native(one.part.schema, dataset.schema)


def _has_old(one: Chosen) -> bool:
    """Whether some of the part's records have a newer one elsewhere."""
    return len(one.rows) < int(one.part.metadata.num_rows)


def _replace(
    store: Store, dataset: Dataset, directory: str, sources: Sequence[Chosen], more: Sequence[pa.Field], order: Rows
) -> list[str]:
    written: list[str] = []
    try:
        for first in range(0, len(order), dataset.part_rows):
            name = part_name()
            batches = _batches(store, dataset, sources, more, order[first : first + dataset.part_rows])
            write_checked(store, dataset, directory, name, batches, more)
            written.append(f"{directory}/{name}")
        _check_present(store, directory, sources)
    except BaseException:
        for path in written:
            store.delete(path)
        raise
    for number, source in enumerate(sources):
        try:
            store.delete(source.part.path)
        except OSError as error:
            # Each compaction would write one more copy of what it cannot delete.
            for path in written if number == 0 and is_refused(error) else ():
                store.delete(path)
            raise
    return written


def write_checked(
    store: Store, dataset: Dataset, directory: str, name: str, batches: Iterable[pa.Table], more: Sequence[pa.Field]
) -> None:
    """Write a part that replaces others, and read it back, so that they can be deleted."""
    store.write(directory, name, producer(dataset, batches, more))
    try:
        with Reader(store, dataset, f"{directory}/{name}") as reader:
            reader.check()
    except UnreadablePartError as error:
        store.delete(f"{directory}/{name}")
        raise OSError(f"the storage does not return what was written to it: {error}") from error


def _more_fields(dataset: Dataset, sources: Sequence[Chosen]) -> list[pa.Field] | None:
    """Return the fields of newer versions and other programs that some part has; None if they contradict each other."""
    found = [pa.schema(unknown_fields(dataset, source.part.schema)) for source in sources]
    try:
        return list(pa.unify_schemas([pa.schema([]), *found], promote_options="permissive").remove_metadata())
    except pa.ArrowException:
        return None


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


def _batches(
    store: Store, dataset: Dataset, sources: Sequence[Chosen], more: Sequence[pa.Field], order: Rows
) -> Iterator[pa.Table]:
    schema = pa.schema([*dataset.schema, *more])
    ends = np.cumsum([len(source.rows) for source in sources])
    for first in range(0, len(order), dataset.batch_rows):
        numbers = np.sort(order[first : first + dataset.batch_rows])
        chunks = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
        tables: list[pa.Table] = []
        for source, chunk, end in zip(sources, chunks, ends, strict=True):
            rows = source.rows[chunk - (end - len(source.rows))]
            columns = [*dataset.schema.names, *(f.name for f in unknown_fields(dataset, source.part.schema))]
            tables.extend(read_rows(store, dataset, replace(source, rows=rows), columns))
        table = pa.concat_tables(tables, promote_options="permissive")
        yield widened(table, schema).sort_by("id")


def widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all columns of a schema, null where it lacks one."""
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def remove_stale(store: Store, directory: str) -> None:
    """Remove temporary files that a crashed process left."""
    hidden = [entry for entry in store.files(directory) if entry.is_temporary]
    now = store.now(directory) if hidden else 0.0  # not by the clock of this machine, which may be ahead
    for entry in hidden:
        if now - entry.changed > STALE_AFTER_S:
            logger.info("removing %s/%s, left by a process that was stopped", directory, entry.name)
            store.delete(f"{directory}/{entry.name}")
