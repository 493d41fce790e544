"""Delete chosen generations from an archive, with every copy of them: for privacy requests and retention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.compaction import remove_stale, write_checked
from orstats.archive.dataset import (
    SUFFIX,
    Dataset,
    UnreadablePartError,
    irregular_parts,
    parts_of,
    renamed,
    unknown_fields,
)
from orstats.archive.layout import CONTENTS, GENERATIONS, directory
from orstats.archive.newest import until_stable
from orstats.archive.reader import Reader
from orstats.archive.storage import Entry, Store
from orstats.errors import ConfigError
from orstats.ids.formats import clean_id, id_created_at

Mask = npt.NDArray[np.bool_]

_COLUMNS: Final = ("id", "created_at", "fetched_at", "external_user", "model")


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which generations are meant: those that meet all of the criteria that are given."""

    ids: Sequence[str] | None = None
    users: Sequence[str] | None = None
    models: Sequence[str] | None = None
    after: datetime | None = None
    before: datetime | None = None

    @classmethod
    def of(
        cls,
        *,
        ids: str | Iterable[str] | None,
        user: str | Iterable[str] | None,
        model: str | Iterable[str] | None,
        before: datetime | date | str | None,
        after: datetime | date | str | None,
    ) -> Criteria:
        """Validate the arguments of :meth:`orstats.Archive.forget`."""
        cleaned = None if ids is None else [clean_id(one) for one in _texts(ids) or ()]
        return cls(cleaned, _texts(user), _texts(model), _moment("after", after), _moment("before", before))

    @property
    def needs_records(self) -> bool:
        """Whether only a record can tell: what is stored of a content has neither user nor model."""
        return self.users is not None or self.models is not None

    def meet(self, table: pa.Table) -> Mask:
        """Return for each row whether it meets them all."""
        met = np.ones(table.num_rows, dtype=bool)
        for name, values in (("id", self.ids), ("external_user", self.users), ("model", self.models)):
            if values is not None:
                met &= pc.is_in(table[name], pa.array(values, pa.string())).to_numpy()
        if self.after is None and self.before is None:
            return met
        created = _created(table)
        if self.after is not None:
            met &= created >= _microseconds(self.after)  # a missing time is NaN, which meets nothing
        if self.before is not None:
            fetched = table["fetched_at"].cast(pa.int64()).to_numpy()
            met &= np.where(np.isnan(created), fetched, created) < _microseconds(self.before)
        return met


def _texts(values: str | Iterable[str] | None) -> list[str] | None:
    import pandas as pd  # noqa: PLC0415 - reading and storing records needs no pandas

    if values is None:
        return None
    return [values] if isinstance(values, str) else [str(value) for value in values if not pd.isna(value)]


def _moment(name: str, value: datetime | date | str | None) -> datetime | None:
    import pandas as pd  # noqa: PLC0415 - as above

    if value is None:
        return None
    try:
        moment = pd.Timestamp(value).to_pydatetime()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{name} must be a time such as 2026-03-01, got {value!r}.") from error
    if pd.isna(moment):
        raise ConfigError(f"{name} must be a time such as 2026-03-01, got {value!r}.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


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
    problems: dict[str, UnreadablePartError] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=lambda: {GENERATIONS.folder: 0, CONTENTS.folder: 0})
    files: int = 0


def forget(
    store: Store,
    hosts: Callable[[Dataset], Sequence[str]],
    criteria: Criteria,
    *,
    contents_only: bool,
    dry_run: bool,
) -> Forgotten:
    """Delete the generations that meet the criteria, in every part that has a copy of them.

    Safe at any moment, as a compaction is: the successor of a part is on disk before the part is deleted. Contents go
    first, as their records say whose they are: after a crash the same call finishes the work.
    """
    search = _Search()
    for host in hosts(CONTENTS):
        until_stable(partial(_search_contents, store, directory(CONTENTS, host), criteria, search))
    for host in hosts(GENERATIONS):
        until_stable(partial(_search_records, store, directory(GENERATIONS, host), criteria, search))
    chunks = [chunk for column in search.ids for chunk in column.chunks]
    ids = pa.chunked_array(chunks, pa.string()).drop_null().unique()
    for dataset in (CONTENTS,) if contents_only else (CONTENTS, GENERATIONS):
        for host in hosts(dataset):
            _delete_rows(store, dataset, directory(dataset, host), ids, search, dry_run=dry_run)
    return Forgotten(
        generations=len(ids),
        records=search.rows[GENERATIONS.folder],
        contents=search.rows[CONTENTS.folder],
        files=search.files,
        unattributed=len(search.without_record),
        unsearched=tuple(sorted(f"{store.full(path)}: {error}" for path, error in search.problems.items())),
    )


def _search_contents(
    store: Store, folder: str, criteria: Criteria, search: _Search, skip: Mapping[str, UnreadablePartError]
) -> None:
    """Find contents by what is known without their records."""
    for path in _paths(store, folder, search, skip):
        for table in _tables(store, CONTENTS, path, ("id", "fetched_at"), search):
            if criteria.needs_records:
                search.without_record.update(table["id"].drop_null().to_pylist())
            else:
                search.ids.append(table["id"].filter(pa.array(criteria.meet(table))))


def _search_records(
    store: Store, folder: str, criteria: Criteria, search: _Search, skip: Mapping[str, UnreadablePartError]
) -> None:
    for path in _paths(store, folder, search, skip):
        for table in _tables(store, GENERATIONS, path, _COLUMNS, search):
            search.ids.append(table["id"].filter(pa.array(criteria.meet(table))))
            if search.without_record:
                search.without_record.difference_update(table["id"].to_pylist())


def _paths(store: Store, folder: str, search: _Search, skip: Mapping[str, UnreadablePartError]) -> list[str]:
    """Return the parts, and note whatever else may hold copies, under any name."""
    everything = store.tree(folder)  # first: what is renamed into a part meanwhile is among the parts
    parts = [f"{folder}/{entry.name}" for entry in parts_of(store, folder)]
    known = {*parts, *(f"{folder}/{entry.name}" for entry in store.files(folder) if entry.is_temporary)}
    others = [path for path in everything if path not in known and _is_parquet(store, path)]
    for path in others:
        why = "is in a subdirectory" if "/" in path.removeprefix(f"{folder}/") else "is not named like a part"
        search.problems[path] = UnreadablePartError(path, f"It {why}, which is not searched.")
    search.problems |= skip
    for error in irregular_parts(store, folder):
        if not any(path.startswith(f"{error.path}/") for path in others):
            search.problems[error.path] = error
    return [path for path in parts if path not in search.problems]


def _tables(store: Store, dataset: Dataset, path: str, columns: Sequence[str], search: _Search) -> Iterator[pa.Table]:
    try:
        with Reader(store, dataset, path) as reader:
            for group in range(reader.metadata.num_row_groups):
                yield reader.read([group], columns)
    except UnreadablePartError as error:
        if not error.foreign:
            search.problems[path] = error


def _delete_rows(
    store: Store, dataset: Dataset, folder: str, ids: pa.ChunkedArray, search: _Search, *, dry_run: bool
) -> None:
    """Delete rows from the parts in a directory, and from those that others write meanwhile, until none has one."""
    if not dry_run:
        remove_stale(store, folder)
    seen: set[str] = set()
    while paths := [path for path in _paths(store, folder, search, {}) if path not in seen]:
        for path in paths:
            seen.add(path)
            try:
                count = sum(_is_meant(table, ids).sum() for table in _tables(store, dataset, path, ("id",), search))
                if count and not dry_run and path not in search.problems:
                    _rewrite(store, dataset, folder, path, ids, seen)
            except FileNotFoundError:
                continue  # another process replaced it: its successor is in the next listing
            except UnreadablePartError as error:
                search.problems[path] = error
                continue
            search.rows[dataset.folder] += int(count)
            search.files += bool(count)
    if not dry_run:
        store.remove_directory(folder)


def _rewrite(store: Store, dataset: Dataset, folder: str, path: str, ids: pa.ChunkedArray, seen: set[str]) -> None:
    with Reader(store, dataset, path) as reader:
        more = unknown_fields(dataset, reader.schema)
        columns = [*dataset.schema.names, *(one.name for one in more)]

        def kept() -> Iterator[pa.Table]:
            for group in range(reader.metadata.num_row_groups):
                table = reader.read([group], columns)
                yield table.filter(pa.array(~_is_meant(table, ids)))

        is_empty = not any(table.num_rows for table in kept())
        name = renamed(path.rpartition("/")[2])
        successor = f"{folder}/{name}"
        if not is_empty:
            write_checked(store, dataset, folder, name, kept(), more)
    if not is_empty:
        seen.add(successor)
        if all(f"{folder}/{entry.name}" != path for entry in parts_of(store, folder)):
            # Another process deleted the part, and perhaps other rows with it: this successor would bring them back.
            store.delete(successor)
            raise FileNotFoundError(path)
    store.delete(path)


def _is_meant(table: pa.Table, ids: pa.ChunkedArray) -> Mask:
    meant: Mask = pc.is_in(table["id"], value_set=ids).to_numpy()
    return meant


def _created(table: pa.Table) -> npt.NDArray[np.float64]:
    """Return when each was created, by its record or by its id, in microseconds; NaN when neither says."""
    created = np.full(table.num_rows, np.nan)
    if "created_at" in table.column_names:
        created = table["created_at"].cast(pa.int64()).to_numpy().astype(np.float64)
    for row in np.flatnonzero(np.isnan(created)):
        second = id_created_at(table["id"][row].as_py() or "")
        created[row] = np.nan if second is None else second * 1e6
    return created


def _microseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1e6)


def forget_all(store: Store, dataset: Dataset, folder: str) -> list[str]:
    """Delete every part in a directory, whole or not, and the files that are being written.

    Return the other Parquet files below it: they may be copies.
    """
    # Until nothing is left: a compaction may just have made a new part of the old ones.
    while entries := [entry for entry in store.files(folder) if _is_ours(store, dataset, folder, entry)]:
        for entry in entries:
            store.delete(f"{folder}/{entry.name}")
    store.remove_directory(folder)
    return [path for path in store.tree(folder) if _is_parquet(store, path)]


def _is_parquet(store: Store, path: str) -> bool:
    """Whether a file of any name may hold what a part holds; so may one that cannot be opened."""
    try:
        with store.open(path) as file:
            return bool(file.read(4) == b"PAR1")
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_ours(store: Store, dataset: Dataset, folder: str, entry: Entry) -> bool:
    if entry.is_temporary or not entry.name.endswith(SUFFIX):
        return entry.is_temporary
    if entry.name.startswith("part-"):
        return entry.is_file
    try:
        with Reader(store, dataset, f"{folder}/{entry.name}"):
            return True
    except (UnreadablePartError, OSError):
        return False
