"""Delete selected generations from an archive, with every copy of them: for privacy requests and retention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.compaction import remove_stale, write_verified
from orstats.archive.criteria import Criteria, Mask
from orstats.archive.dataset import CONTENTS, GENERATIONS, Dataset, successor_name
from orstats.archive.directories import has_suffix, is_parquet
from orstats.archive.part import PREFIX, Part, UnreadablePartError
from orstats.archive.storage import Entry


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What :meth:`orstats.Archive.forget` deleted, or would delete."""

    generations: int
    records: int
    contents: int
    files: int
    unattributed: int
    unsearched: tuple[str, ...]


@dataclass(slots=True)
class _Search:
    """What was found so far."""

    ids: list[pa.ChunkedArray] = field(default_factory=list)
    without_record: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=lambda: {GENERATIONS.folder: 0, CONTENTS.folder: 0})
    files: int = 0


def forget(
    records: Sequence[Dataset],
    contents: Sequence[Dataset],
    criteria: Criteria,
    *,
    misplaced: Sequence[str] = (),
    contents_only: bool,
    dry_run: bool,
) -> Forgotten:
    """Delete the generations that meet the criteria, in every part that has a copy of them.

    The paths of ``misplaced`` Parquet files are listed among those that cannot be searched.

    Safe at any moment, as a compaction is: the successor of a part is on disk before the part is deleted. Contents are
    deleted first, as their records say whose they are: after a crash, the same call finishes the work.
    """
    search = _Search()
    for path in misplaced:
        search.problems[path] = f"{path}: It is not in the directory of a host, which is not searched."
    for dataset in (*contents, *records):
        dataset.retry_on_compaction(partial(_find, dataset, criteria, search))
    chunks = [chunk for column in search.ids for chunk in column.chunks]
    ids = pa.chunked_array(chunks, pa.string()).drop_null().unique()
    for dataset in (*contents, *(() if contents_only else records)):
        _delete_rows(dataset, ids, search, dry_run=dry_run)
    return Forgotten(
        generations=len(ids),
        records=search.rows[GENERATIONS.folder],
        contents=search.rows[CONTENTS.folder],
        files=search.files,
        unattributed=len(search.without_record),
        unsearched=tuple(sorted(search.problems.values())),
    )


def _find(dataset: Dataset, criteria: Criteria, search: _Search) -> None:
    """Find the ids of a dataset that meet the criteria, and the contents whose record is needed for that."""
    columns = [
        name
        for name in ("id", "created_at", "fetched_at", "external_user", "model")
        if name in dataset.spec.schema.names
    ]
    for path in _paths(dataset, search):
        for table in _tables(dataset, path, columns, search):
            if dataset.spec is CONTENTS and criteria.need_records:
                search.without_record.update(table["id"].drop_null().to_pylist())
                continue
            search.ids.append(table["id"].filter(pa.array(criteria.meet(table))))
            if search.without_record:
                search.without_record.difference_update(table["id"].to_pylist())


def _paths(dataset: Dataset, search: _Search) -> list[str]:
    """Return the parts, and note all other files that may contain copies, under any name."""
    store, folder = dataset.store, dataset.directory
    everything = store.tree(folder)  # first: a file that is renamed to a part meanwhile is among the parts
    listing = dataset.list_parts()
    known = {*listing.entries, *(f"{folder}/{entry.name}" for entry in store.files(folder) if entry.is_temporary)}
    others = [path for path in everything if path not in known and is_parquet(store, path)]
    for path in others:
        why = "is in a subdirectory" if "/" in path.removeprefix(f"{folder}/") else "is not named like a part"
        _note(dataset, search, UnreadablePartError(path, f"It {why}, which is not searched."))
    for error in listing.problems:
        if not error.foreign and not any(path.startswith(f"{error.path}/") for path in others):
            _note(dataset, search, error)
    return [path for path in listing.entries if path not in search.problems]


def _note(dataset: Dataset, search: _Search, error: UnreadablePartError) -> None:
    search.problems[error.path] = f"{dataset.store.full(error.path)}: {error}"


def _tables(dataset: Dataset, path: str, columns: Sequence[str], search: _Search) -> Iterator[pa.Table]:
    try:
        with Part(dataset.store, dataset.spec, path) as part:
            for group in part.groups:
                yield part.read([group], columns)
    except UnreadablePartError as error:
        if not error.foreign:
            _note(dataset, search, error)


def _delete_rows(dataset: Dataset, ids: pa.ChunkedArray, search: _Search, *, dry_run: bool) -> None:
    """Delete rows from the parts of a dataset, and from those that others write meanwhile, until none has one."""
    if not dry_run:
        remove_stale(dataset)
    seen: set[str] = set()
    while paths := [path for path in _paths(dataset, search) if path not in seen]:
        for path in paths:
            seen.add(path)
            try:
                count = sum(_is_selected(table, ids).sum() for table in _tables(dataset, path, ("id",), search))
                if count and not dry_run and path not in search.problems:
                    _rewrite(dataset, path, ids, seen)
            except FileNotFoundError:
                continue  # another process replaced it: its successor is in the next listing
            except UnreadablePartError as error:
                _note(dataset, search, error)
                continue
            search.rows[dataset.spec.folder] += int(count)
            search.files += bool(count)
    if not dry_run:
        dataset.store.remove_directory(dataset.directory)


def _rewrite(dataset: Dataset, path: str, ids: pa.ChunkedArray, seen: set[str]) -> None:
    with Part(dataset.store, dataset.spec, path) as part:
        more = dataset.spec.unknown_fields(part.schema)
        columns = [*dataset.spec.schema.names, *(one.name for one in more)]

        def kept() -> Iterator[pa.Table]:
            for group in part.groups:
                table = part.read([group], columns)
                yield table.filter(pa.array(~_is_selected(table, ids)))

        is_empty = not any(table.num_rows for table in kept())
        successor = f"{dataset.directory}/{successor_name(path.rpartition('/')[2])}"
        if not is_empty:
            write_verified(dataset, successor, kept(), more)
    if not is_empty:
        seen.add(successor)
        if path not in dataset.list_parts().entries:
            # Another process deleted the part, and perhaps other rows with it: this successor would bring them back.
            dataset.store.delete(successor)
            raise FileNotFoundError(path)
    dataset.store.delete(path)


def _is_selected(table: pa.Table, ids: pa.ChunkedArray) -> Mask:
    selected: Mask = pc.is_in(table["id"], value_set=ids).to_numpy()
    return selected


def forget_all(dataset: Dataset) -> list[str]:
    """Delete every part of a dataset, damaged or not, and the files that are being written.

    Return the other Parquet files below its directory: they may be copies.
    """
    store, folder = dataset.store, dataset.directory
    # Until nothing is left: a compaction may just have made a new part of the old ones.
    while entries := [entry for entry in store.files(folder) if _is_own(dataset, entry)]:
        for entry in entries:
            store.delete(f"{folder}/{entry.name}")
    store.remove_directory(folder)
    return [path for path in store.tree(folder) if is_parquet(store, path)]


def _is_own(dataset: Dataset, entry: Entry) -> bool:
    if entry.is_temporary or not has_suffix(entry.name):
        return entry.is_temporary
    if entry.name.startswith(PREFIX):
        return entry.is_file
    try:
        with Part(dataset.store, dataset.spec, f"{dataset.directory}/{entry.name}"):
            return True
    except (UnreadablePartError, OSError):
        return False
