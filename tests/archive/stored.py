"""Records for the tests of the archive, and how to inspect it."""

from pathlib import Path

import pyarrow as pa

from orstats.archive.archive import Archive
from orstats.frame.record_table import to_table

HOST = "openrouter.ai"
CREATED = 1_760_000_000
SETTLED = CREATED + 60.0


def records(
    *ids: str, model: str = "a/b", at: float = SETTLED, created: str | None = "2025-10-09T08:53:20Z"
) -> pa.Table:
    return to_table(ids, [{"id": i, "model": model, "created_at": created} for i in ids], [at] * len(ids))


def ids_of(table: pa.Table) -> list[str]:
    return sorted(table["id"].to_pylist())


def parts(archive: Archive) -> list[Path]:
    return sorted(Path(archive.path).rglob("*.parquet"))
