"""What an archive holds, as a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.data.archive.newest import until_stable
from orstats.data.archive.parts import Dataset, parts_of
from orstats.data.archive.reader import read_keys
from orstats.data.archive.store import Store

_DTYPES: Final = {
    "parts": "Int64",
    "damaged": "Int64",
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
    rows: int
    ids: int
    size: int
    oldest: Any
    newest: Any


def info_frame(
    store: Store, hosts: Sequence[str], datasets: Sequence[tuple[Dataset, Callable[[str], str]]]
) -> pd.DataFrame:
    """Return one row per host: see :meth:`orstats.data.archive.archive.Archive.info`.

    Parameters
    ----------
    store
        Where.
    hosts
        Of which hosts.
    datasets
        Records and contents, each with the function that gives the directory of a host.

    Raises
    ------
    OSError
        The place cannot be read.
    """
    rows = []
    for host in hosts:
        records, contents = (
            until_stable(store, partial(_holding, store, dataset, directory(host))) for dataset, directory in datasets
        )
        rows.append(
            (
                records.parts,
                records.damaged + contents.damaged,
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


def _holding(store: Store, dataset: Dataset, directory: str, skip: frozenset[str]) -> _Holding:
    entries = parts_of(store, directory)
    paths = [f"{directory}/{entry.name}" for entry in entries]
    keys, broken = read_keys(store, dataset, [path for path in paths if path not in skip], None)
    tables = [one.table for one in keys]
    size = sum(entry.size for entry in entries)
    rows = sum(table.num_rows for table in tables)
    if not rows:
        return _Holding(len(keys), len(broken) + len(skip), 0, 0, size, None, None)
    table = pa.concat_tables(tables)
    span = pc.min_max(table["created_at"]).as_py() if "created_at" in table.column_names else {"min": None, "max": None}
    ids = pc.count_distinct(table["id"]).as_py()
    return _Holding(len(keys), len(broken) + len(skip), rows, ids, size, span["min"], span["max"])
