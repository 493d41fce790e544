"""Where things lie in an archive: what is kept, in which directory of which host."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import pyarrow as pa

from orstats.archive.dataset import Dataset
from orstats.archive.storage import Store
from orstats.errors import ConfigError
from orstats.frame.arrow import RECORD_SCHEMA

GENERATIONS: Final = Dataset(
    "generations",
    RECORD_SCHEMA,
    statistics=("id", "created_at", "fetched_at"),
    various=("id", "upstream_id", "request_id", "provider_responses"),
    group_rows=16_384,
    batch_rows=131_072,
    part_rows=1_048_576,
)
CONTENTS: Final = Dataset(
    "contents",
    pa.schema([("id", pa.string()), ("body", pa.large_binary()), ("fetched_at", pa.timestamp("us", tz="UTC"))]),
    statistics=("id",),
    various=("id", "body"),
    group_rows=256,
    batch_rows=1_024,
    part_rows=65_536,
    required=("id", "body", "fetched_at"),
)

_HOST: Final = "host="


def directory(dataset: Dataset, host: str) -> str:
    """Return the directory of a host; whatever the host is, it is one directory inside the archive.

    Host names are the same in small and capital letters. Characters that a file system may dislike are percent-coded,
    as DuckDB, Polars and Spark expect it of such directories.

    Examples
    --------
    >>> directory(GENERATIONS, "127.0.0.1:8000")
    'generations/host=127.0.0.1%3A8000'
    >>> directory(GENERATIONS, "../../etc")
    'generations/host=..%2F..%2Fetc'
    """
    if not host:
        raise ConfigError("An archive needs to know the host of the API that the records are from.")
    return f"{dataset.folder}/{_HOST}{quote(host.lower(), safe='', errors='replace')}"


def hosts(store: Store, dataset: Dataset) -> list[str]:
    """Return the hosts that have a directory, sorted."""
    names = store.directories(dataset.folder)
    found = [unquote(name.removeprefix(_HOST)) for name in names if name.startswith(_HOST)]
    return sorted(host for host in found if host and directory(dataset, host).rpartition("/")[2] in names)
