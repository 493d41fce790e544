"""One row for each attempt at a provider, from ``provider_responses``, for each engine.

Read as in :func:`orstats.attempts`: the successful attempt is the first with a status of 200 to 299, and entries that
are not objects are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from orstats.frame import json_values
from orstats.frame.cast_columns import Frame, wrap_native
from orstats.frame.derive import provider_attempts

#: The columns of an attempt. Counts are 0 or 1; ``failed_attempt_ms`` is missing for successes and unknown latencies.
COLUMNS: Final = ("provider", "attempts", "failed_attempts", "fallbacks", "unanswered", "failed_attempt_ms")

_RESPONSES: Final = "provider_responses"
_ENTRY: Final = pa.struct([("status", pa.int64()), ("provider_name", pa.string()), ("latency", pa.float64())])
_PARSE: Final = arrow_json.ParseOptions(
    explicit_schema=pa.schema([("a", pa.list_(_ENTRY))]), unexpected_field_behavior="ignore"
)
_TEXT: Final = pa.large_string()
_SLICE: Final = 65_536
_SUCCESS: Final = "between 200 and 299"


def explode_attempts(frame: Frame, keep: Sequence[str]) -> Frame:
    """Return one row for each attempt, with the kept columns of its generation."""
    failed, last, latency = nw.col("is_failed"), nw.col("is_last"), nw.col("attempt_latency")
    counts = {
        "failed_attempts": failed,
        "fallbacks": failed & ~last,
        "unanswered": failed & last,
    }
    return _read_attempts(frame, keep).select(
        *keep,
        nw.col("provider"),
        nw.lit(1).cast(nw.Int64).alias("attempts"),
        *(count.cast(nw.Int64).alias(name) for name, count in counts.items()),
        nw.when(failed & (latency >= 0) & latency.is_finite()).then(latency).alias("failed_attempt_ms"),
    )


def _read_attempts(frame: Frame, keep: Sequence[str]) -> Frame:
    """Return the kept columns, and ``provider``, ``is_failed``, ``is_last`` and ``attempt_latency`` of each attempt."""
    native: Any = frame.to_native()
    kind = frame.implementation
    if kind.is_duckdb():
        return wrap_native(_duckdb(native, keep))
    if kind.is_pandas():
        table, places = _parse(pa.array(native[_RESPONSES].array, from_pandas=True))
        columns = native[list(keep)].take(places).reset_index(drop=True)
        for name in table.column_names:
            columns[name] = table[name].to_pandas(types_mapper={pa.string(): pd.StringDtype("pyarrow")}.get)
        return wrap_native(columns)
    if kind.is_polars():
        pl = nw.get_native_namespace(frame)
        narrow = native.select(*keep, _RESPONSES)
        if isinstance(frame, nw.DataFrame):
            return wrap_native(_polars(narrow, keep, pl))
        schema = {name: dtype for name, dtype in narrow.collect_schema().items() if name in keep}
        schema |= {"provider": pl.String, "is_failed": pl.Boolean, "is_last": pl.Boolean, "attempt_latency": pl.Float64}
        return wrap_native(
            narrow.map_batches(
                lambda part: _polars(part, keep, pl),
                schema=schema,
                # Polars 1 would push these below: without the column to read from, and before the rows multiply.
                projection_pushdown=False,
                predicate_pushdown=False,
                slice_pushdown=False,
            )
        )
    return wrap_native(_spark(native, keep))


def _parse(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Parse lists of attempts, and return the attempts and the row of each.

    Examples
    --------
    >>> table, rows = _parse(pa.array(['[{"status": 503, "latency": 9}, {"status": 200}]', None]))
    >>> table["is_failed"].to_pylist(), table["attempt_latency"].to_pylist(), rows.tolist()
    ([True, False], [9.0, None], [0, 0])
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    present = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
    written = texts.drop_null()
    lists = [_lists(written.slice(start, _SLICE)) for start in range(0, len(written), _SLICE)]
    chains = pa.chunked_array(lists, pa.list_(_ENTRY)).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(chains), 0).to_numpy()
    status, provider, latency = pc.list_flatten(chains).flatten()
    starts = np.cumsum(lengths) - lengths
    chain = np.repeat(np.arange(len(lengths)), lengths)
    good = pc.fill_null(pc.and_(pc.greater_equal(status, 200), pc.less(status, 300)), False)
    successes = np.concatenate([[0], np.cumsum(good.to_numpy(zero_copy_only=False))])
    failed = successes[1:] == successes[starts[chain]]
    last = np.arange(len(chain)) == (starts + lengths - 1)[chain]
    names = ["provider", "is_failed", "is_last", "attempt_latency"]
    return pa.table([provider, pa.array(failed), pa.array(last), latency], names=names), present[chain]


def _lists(written: pa.Array) -> pa.Array:
    """Parse all lists in one pass, or, where one is malformed, each with Python."""
    before, after, nothing = (pa.scalar(text, _TEXT) for text in ('{"a":', "}\n", ""))
    lines = pc.binary_join_element_wise(before, written.cast(_TEXT), after, nothing)
    text = lines.buffers()[2].slice(0, pc.sum(pc.binary_length(lines)).as_py())  # lines lie end to end already
    try:
        parsed = arrow_json.read_json(pa.BufferReader(text), parse_options=_PARSE)["a"].combine_chunks()
    except pa.ArrowInvalid:
        parsed = None
    if parsed is not None and len(parsed) == len(written) and not pc.list_flatten(parsed).null_count:
        return parsed
    return pa.array([_chain(one) for one in written.to_pylist()], pa.list_(_ENTRY))


def _chain(written: str) -> list[dict[str, Any]]:
    return [
        {
            "status": json_values.count(entry.get("status")),
            "provider_name": json_values.text(entry.get("provider_name")),
            "latency": json_values.number(entry.get("latency")),
        }
        for entry in provider_attempts(written) or []
    ]


def _polars(frame: Any, keep: Sequence[str], pl: Any) -> Any:
    table, places = _parse(frame[_RESPONSES].to_arrow().cast(pa.large_string()))
    return frame.select(keep)[places].hstack(pl.from_arrow(table).get_columns())


def _duckdb(relation: Any, keep: Sequence[str]) -> Any:
    keys = ", ".join(f'"{name}"' for name in keep)
    return (
        relation.project(
            f"""{keys}, list_filter(
            CAST(CASE WHEN json_valid({_RESPONSES}) AND json_type({_RESPONSES}) = 'ARRAY'
            THEN {_RESPONSES} END AS JSON[]),
            lambda entry: json_type(entry) = 'OBJECT') AS chain"""
        )
        .project(
            f"""{keys}, chain, list_position(list_transform(chain, lambda entry:
            coalesce(TRY_CAST(entry ->> 'status' AS DOUBLE) {_SUCCESS}, false)), true) AS winner"""
        )
        .project(
            f"{keys}, len(chain) AS size, winner, unnest(chain) AS entry, unnest(range(1, len(chain) + 1)) AS place"
        )
        .project(
            f"""{keys}, CASE WHEN json_type(entry, '$.provider_name') = 'VARCHAR'
            THEN entry ->> 'provider_name' END AS provider, winner IS NULL OR place < winner AS is_failed,
            place = size AS is_last, TRY_CAST(entry ->> 'latency' AS DOUBLE) AS attempt_latency"""
        )
    )


def _spark(frame: Any, keep: Sequence[str]) -> Any:
    keys = [f"`{name}`" for name in keep]
    entry = "struct<status:string,provider_name:string,latency:string>"
    good = f"coalesce(try_cast(from_json(text, '{entry}').status as double) {_SUCCESS}, false)"
    named = 'text rlike \'"provider_name"\\\\s*:\\\\s*"\''  # text, not a number that reads like it
    return (
        frame.selectExpr(*keys, f"filter(from_json({_RESPONSES}, 'array<string>'), text -> text like '{{%') as chain")
        .selectExpr(*keys, "chain", f"array_position(transform(chain, text -> {good}), true) as winner")
        .selectExpr(*keys, "size(chain) as size", "winner", "posexplode(chain) as (place, text)")
        .selectExpr(*keys, "size", "winner", "place", "text", f"from_json(text, '{entry}') as entry")
        .selectExpr(
            *keys,
            f"case when {named} then entry.provider_name end as provider",
            "winner = 0 or place + 1 < winner as is_failed",
            "place + 1 = size as is_last",
            "try_cast(entry.latency as double) as attempt_latency",
        )
    )
