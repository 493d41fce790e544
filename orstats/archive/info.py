"""What an archive holds, as a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.checked import Checked
from orstats.archive.dataset import Dataset, UnreadablePartError, irregular_parts, parts_of
from orstats.archive.newest import until_stable, warn_unreadable
from orstats.archive.reader import read_keys
from orstats.archive.storage import Store

_DTYPES: Final = {
    "parts": "Int64",
    "damaged": "Int64",
    "ignored": "Int64",
    "rows": "Int64",
    "ids": "Int64",
    "bytes": "Int64",
    "oldest": "datetime64[us, UTC]",
    "newest": "datetime64[us, UTC]",
    "contents": "Int64",
    "contents_bytes": "Int64",
}


@dataclass(frozen=True, slots=True)
class _Holding:
    parts: int
    damaged: int
    ignored: int
    rows: int
    ids: int
    size: int
    oldest: Any
    newest: Any


def info_frame(
    store: Store, checked: Checked, hosts: Sequence[str], datasets: Sequence[tuple[Dataset, Callable[[str], str]]]
) -> pd.DataFrame:
    """Return one row per host: see :meth:`orstats.archive.archive.Archive.info`."""
    rows = []
    for host in hosts:
        records, contents = (
            until_stable(partial(_holding, store, checked, dataset, directory(host))) for dataset, directory in datasets
        )
        rows.append(
            (
                records.parts,
                records.damaged + contents.damaged,
                records.ignored + contents.ignored,
                records.rows,
                records.ids,
                records.size,
                records.oldest,
                records.newest,
                contents.ids,
                contents.size,
            )
        )
    index = pd.Index(pd.array(list(hosts), dtype="string"), name="host")
    return pd.DataFrame(rows, columns=list(_DTYPES), index=index).astype(_DTYPES)


def _holding(
    store: Store, checked: Checked, dataset: Dataset, directory: str, skip: Mapping[str, UnreadablePartError]
) -> _Holding:
    problems = [*irregular_parts(store, directory), *skip.values()]
    entries = [entry for entry in parts_of(store, directory) if f"{directory}/{entry.name}" not in skip]
    problems += checked.check(store, dataset, directory, entries)
    unusable = {problem.path for problem in problems}
    paths = [path for entry in entries if (path := f"{directory}/{entry.name}") not in unusable]
    keys, broken = read_keys(store, dataset, paths, None)
    problems += broken
    warn_unreadable(store, problems)
    ignored = sum(problem.foreign for problem in problems)
    counts = (len(keys), len(problems) - ignored, ignored)
    size = sum(entry.size for entry in parts_of(store, directory))
    tables = [one.table for one in keys]
    rows = sum(table.num_rows for table in tables)
    if not rows:
        return _Holding(*counts, 0, 0, size, None, None)
    table = pa.concat_tables(tables)
    span = pc.min_max(table["created_at"]).as_py() if "created_at" in table.column_names else {"min": None, "max": None}
    ids = pc.count_distinct(table["id"]).as_py()
    return _Holding(*counts, rows, ids, size, span["min"], span["max"])
