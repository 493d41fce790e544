"""From ``provider_responses`` to one row for each attempt at a provider, for each engine.

The same reading as :func:`orstats.attempts`: the attempt that gave the answer is the first with a status of 200 to
299; other entries are skipped.
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

from orstats.frame import coerce
from orstats.frame.cast import Frame, wrap_native
from orstats.frame.derive import provider_attempts

#: The columns of an attempt; the flags are 0 or 1, ``failed_attempt_ms`` is missing where nothing was lost or said.
COLUMNS: Final = ("provider", "attempts", "failed_attempts", "fallbacks", "unanswered", "failed_attempt_ms")

_RESPONSES: Final = "provider_responses"
_ENTRY: Final = pa.struct([("status", pa.int64()), ("provider_name", pa.string()), ("latency", pa.float64())])
_PARSE: Final = arrow_json.ParseOptions(
    explicit_schema=pa.schema([("a", pa.list_(_ENTRY))]), unexpected_field_behavior="ignore"
)
_TEXT: Final = pa.large_string()
_SLICE: Final = 65_536
_SERVED: Final = "between 200 and 299"


def explode_attempts(frame: Frame, keep: Sequence[str]) -> Frame:
    """Return one row for each attempt, with columns of its generation."""
    native: Any = frame.to_native()
    kind = frame.implementation
    if kind.is_duckdb():
        return wrap_native(_duckdb(native, keep))
    if kind.is_pandas():
        table, places = _attempt_columns(pa.array(native[_RESPONSES].array, from_pandas=True))
        columns = native[list(keep)].take(places).reset_index(drop=True)
        for name in COLUMNS:
            columns[name] = table[name].to_pandas(types_mapper=_pandas_types().get)
        return wrap_native(columns)
    if kind.is_polars():
        pl = nw.get_native_namespace(frame)
        narrow = native.select(*keep, _RESPONSES)
        if isinstance(frame, nw.DataFrame):
            return wrap_native(_polars(narrow, keep, pl))
        schema = {name: dtype for name, dtype in narrow.collect_schema().items() if name in keep}
        types = (pl.String, *[pl.Int64] * 4, pl.Float64)
        schema |= dict(zip(COLUMNS, types, strict=True))
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


def _attempt_columns(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Read lists of attempts, written as JSON.

    Examples
    --------
    >>> table, rows = _attempt_columns(pa.array(['[{"status": 503, "latency": 9}, {"status": 200}]', None]))
    >>> table["failed_attempts"].to_pylist(), table["failed_attempt_ms"].to_pylist(), rows.tolist()
    ([1, 0], [9.0, None], [0, 0])
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    there = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
    written = texts.drop_null()
    lists = [_lists(written.slice(start, _SLICE)) for start in range(0, len(written), _SLICE)]
    chains = pa.chunked_array(lists, pa.list_(_ENTRY)).combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(chains), 0).to_numpy()
    entries = pc.list_flatten(chains)
    status, name, latency = (entries.field(at) for at in range(3))
    starts = np.cumsum(lengths) - lengths
    chain = np.repeat(np.arange(len(lengths)), lengths)
    good = pc.fill_null(pc.and_(pc.greater_equal(status, 200), pc.less(status, 300)), False)
    answers = np.concatenate([[0], np.cumsum(good.to_numpy(zero_copy_only=False))])
    refused = answers[1:] == answers[starts[chain]]
    last = np.arange(len(chain)) == (starts + lengths - 1)[chain]
    took = latency.to_numpy(zero_copy_only=False)
    lost = pa.array(took, mask=~(refused & (took >= 0) & np.isfinite(took)))
    flags = [np.ones(len(chain), np.int64), refused, refused & ~last, refused & last]
    table = pa.table([name, *(pa.array(flag.astype(np.int64)) for flag in flags), lost], names=list(COLUMNS))
    return table, there[chain]


def _lists(written: pa.Array) -> pa.Array:
    """Parse all in one pass, which is fast; one by one where a value is malformed."""
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
            "status": coerce.count(entry.get("status")),
            "provider_name": coerce.text(entry.get("provider_name")),
            "latency": coerce.number(entry.get("latency")),
        }
        for entry in provider_attempts(written) or []
    ]


def _pandas_types() -> dict[pa.DataType, Any]:
    return {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype("pyarrow")}


def _polars(frame: Any, keep: Sequence[str], pl: Any) -> Any:
    table, places = _attempt_columns(frame[_RESPONSES].to_arrow().cast(pa.large_string()))
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
            coalesce(TRY_CAST(entry ->> 'status' AS DOUBLE) {_SERVED}, false)), true) AS winner"""
        )
        .project(
            f"{keys}, len(chain) AS size, winner, unnest(chain) AS entry, unnest(range(1, len(chain) + 1)) AS place"
        )
        .project(
            f"""{keys}, CASE WHEN json_type(entry, '$.provider_name') = 'VARCHAR'
            THEN entry ->> 'provider_name' END AS provider, winner IS NULL OR place < winner AS is_refused,
            place = size AS is_last, TRY_CAST(entry ->> 'latency' AS DOUBLE) AS took"""
        )
        .project(
            f"""{keys}, provider, CAST(1 AS BIGINT) AS attempts, CAST(is_refused AS BIGINT) AS failed_attempts,
            CAST(is_refused AND NOT is_last AS BIGINT) AS fallbacks,
            CAST(is_refused AND is_last AS BIGINT) AS unanswered,
            CASE WHEN is_refused AND took >= 0 AND isfinite(took) THEN took END AS failed_attempt_ms"""
        )
    )


def _spark(frame: Any, keep: Sequence[str]) -> Any:
    keys = [f"`{name}`" for name in keep]
    entry = "struct<status:string,provider_name:string,latency:string>"
    good = f"coalesce(try_cast(from_json(text, '{entry}').status as double) {_SERVED}, false)"
    named = 'text rlike \'"provider_name"\\\\s*:\\\\s*"\''  # a string, and not a number that reads like one
    return (
        frame.selectExpr(*keys, f"filter(from_json({_RESPONSES}, 'array<string>'), text -> text like '{{%') as chain")
        .selectExpr(*keys, "chain", f"array_position(transform(chain, text -> {good}), true) as winner")
        .selectExpr(*keys, "size(chain) as size", "winner", "posexplode(chain) as (place, text)")
        .selectExpr(*keys, "size", "winner", "place", "text", f"from_json(text, '{entry}') as entry")
        .selectExpr(
            *keys,
            f"case when {named} then entry.provider_name end as provider",
            "winner = 0 or place + 1 < winner as is_refused",
            "place + 1 = size as is_last",
            "try_cast(entry.latency as double) as took",
        )
        .selectExpr(
            *keys,
            "provider",
            "cast(1 as bigint) as attempts",
            "cast(is_refused as bigint) as failed_attempts",
            "cast(is_refused and not is_last as bigint) as fallbacks",
            "cast(is_refused and is_last as bigint) as unanswered",
            "case when is_refused and took >= 0 and took < double('infinity') then took end as failed_attempt_ms",
        )
    )
