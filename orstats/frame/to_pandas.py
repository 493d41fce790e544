"""From Arrow columns to a pandas frame with the dtypes that the field table declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from orstats.frame.schema import ID, Field

#: Memory worth giving back before the next column needs as much.
_LARGE_BYTES: Final = 64_000_000
#: Columns that are made at a time; of few rows they are made faster one by one.
_AT_A_TIME: Final = 4
_FEW_ROWS: Final = 5_000


def frame_of(
    ids: pa.Array | pa.ChunkedArray, fields: Sequence[Field], column: Callable[[Field], pa.Array | pa.ChunkedArray]
) -> pd.DataFrame:
    """Make a frame of Arrow columns."""

    def made(field: Field) -> Any:
        found = column(field)
        array = pandas_array(field, found)
        if found.nbytes > _LARGE_BYTES:
            pa.default_memory_pool().release_unused()  # what taking it needed; a tenth of the peak at a million rows
        return array

    index = pd.Index(pandas_array(ID, ids), name=ID.name)
    names = [field.name for field in fields]
    if len(index) < _FEW_ROWS:
        arrays = list(map(made, fields))
    else:
        with ThreadPoolExecutor(min(_AT_A_TIME, pa.cpu_count())) as pool:
            arrays = list(pool.map(made, fields))
    return pd.DataFrame(dict(zip(names, arrays, strict=True)), index=index, copy=False)


def pandas_array(field: Field, column: pa.Array | pa.ChunkedArray) -> Any:
    """Make a pandas array of a field's dtype, of an Arrow array of its kind. It can be written to."""
    if field.dtype in ("string", "Int64", "boolean"):
        dtype: Any = pd.StringDtype("pyarrow") if field.dtype == "string" else pd.api.types.pandas_dtype(field.dtype)
        return dtype.__from_arrow__(column)
    if field.kind == "time":
        column = column.cast(pa.timestamp("us"))
    values = np.require(column.to_numpy(zero_copy_only=False), requirements="W")  # a view of Arrow's cannot be written
    return values if field.kind == "number" else pd.array(values, dtype=pd.DatetimeTZDtype("us", "UTC"))
