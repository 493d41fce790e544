"""What an archive contains, as a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.dataset import CONTENTS, GENERATIONS, Dataset
from orstats.archive.part import PartSpec
from orstats.archive.verified_parts import VerifiedParts

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


def info_frame(
    hosts: Sequence[str], dataset: Callable[[PartSpec, str], Dataset], verified: VerifiedParts
) -> pd.DataFrame:
    """Return one row per host: see :meth:`orstats.archive.archive.Archive.info`."""
    rows = []
    for host in hosts:
        records, contents = (_count(dataset(spec, host), verified) for spec in (GENERATIONS, CONTENTS))
        both = {name: records[name] + contents[name] for name in ("damaged", "ignored")}
        rows.append(records | both | {"contents": contents["ids"], "contents_bytes": contents["bytes"]})
    index = pd.Index(pd.array(list(hosts), dtype="string"), name="host")
    return pd.DataFrame(rows, columns=list(_DTYPES), index=index).astype(_DTYPES)


def _count(dataset: Dataset, verified: VerifiedParts) -> dict[str, Any]:
    def count() -> dict[str, Any]:
        listing = dataset.list_parts()
        found, problems = dataset.scan(listing, lambda part: part.read(part.groups, dataset.spec.keys), verified)
        dataset.warn(problems)
        ignored = sum(problem.foreign for problem in problems)
        table = pa.concat_tables([dataset.spec.schema.empty_table().select(dataset.spec.keys), *(t for _, t in found)])
        times = table["created_at"] if "created_at" in table.column_names else pa.nulls(0)
        span = pc.min_max(times).as_py()
        return {
            "parts": len(found),
            "damaged": len(problems) - ignored,
            "ignored": ignored,
            "rows": table.num_rows,
            "ids": pc.count_distinct(table["id"]).as_py(),
            "bytes": sum(entry.size for entry in listing.entries.values()),
            "oldest": span["min"],
            "newest": span["max"],
        }

    return dataset.retry_on_compaction(count)
