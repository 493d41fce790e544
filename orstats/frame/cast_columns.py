"""Cast columns of any engine to the kinds of the field table, whatever types they were read with.

A DataFrame that was saved and read back has flags as text, counts as floats and times as text or numbers. Reports,
plots and exports read their columns through this module: unambiguous values are cast, and anything else raises a
:class:`~orstats.errors.ColumnError` that names the column and the value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from orstats.frame.build import pandas_array, pandas_dtype
from orstats.frame.cast_values import FALSE_WORDS, TRUE_WORDS, cast, values_of, wrong_value
from orstats.frame.schema import FIELDS, Field, Kind

Frame = nw.DataFrame[Any] | nw.LazyFrame[Any]

_LAZY_TYPES: Final[Mapping[Kind, Any]] = MappingProxyType(
    {
        "text": nw.String(),
        "json": nw.String(),
        "count": nw.Int64(),
        "number": nw.Float64(),
        "time": nw.Datetime("us", "UTC"),
    }
)
#: The end of a text with a time zone.
_OFFSET: Final = r":\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)$"


def wrap_native(native: Any) -> Frame:
    """Wrap a native frame that is known to be of a supported engine."""
    wrapped: Frame = nw.from_native(native)
    return wrapped


def cast_columns(df: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Cast those of the named columns that the field table has; a DataFrame that needs no cast is returned as it is.

    Infinite numbers become missing.
    """
    if not df.columns.is_unique:
        return df
    fields = [FIELDS[name] for name in names if name in FIELDS and name in df.columns]
    wrong = [one for one in fields if df[one.name].dtype != pandas_dtype(one) or _has_infinite(df[one.name], one)]
    changed = {field.name: pandas_array(field, cast(values_of(df[field.name]), field)) for field in wrong}
    return df.assign(**changed) if changed else df


def _has_infinite(column: pd.Series[Any], field: Field) -> bool:
    return field.kind == "number" and bool(np.isinf(column.to_numpy()).any())


def cast_frame(frame: Frame, names: Collection[str]) -> Frame:
    """Cast the named columns of a frame of any engine; lazy frames get expressions."""
    native: Any = frame.to_native()
    if frame.implementation.is_pandas():
        return wrap_native(cast_columns(native, names))
    schema = frame.collect_schema()
    wrong = [FIELDS[name] for name in names if name in FIELDS and not _has_kind(schema[name], FIELDS[name].kind)]
    if not wrong:
        return frame
    engine = nw.get_native_namespace(frame)
    if isinstance(frame, nw.DataFrame):
        columns = {field.name: cast(frame[field.name].to_arrow(), field) for field in wrong}
        return wrap_native(native.with_columns(engine.from_arrow(one).alias(name) for name, one in columns.items()))
    for field in wrong:
        if field.kind == "time" and (schema[field.name].is_numeric() or schema[field.name] == nw.Boolean):
            raise wrong_value(field, f"a column of {schema[field.name]}")  # the engine would fail later, and obscurely
    if frame.implementation.is_duckdb():
        special = [sql for field in wrong if (sql := _duckdb_cast(field))]
        frame = wrap_native(native.project(f"* REPLACE ({', '.join(special)})")) if special else frame
        wrong = [field for field in wrong if field.kind not in ("time", "json")]
    if frame.implementation.is_polars():
        texts = [field.name for field in wrong if field.kind == "time" and schema[field.name] == nw.String]
        if texts:
            parsed = engine.col(texts).str.to_datetime(time_unit="us", time_zone="UTC")
            frame = wrap_native(native.with_columns(parsed))
            wrong = [field for field in wrong if field.name not in texts]
    return frame.with_columns(_lazily(field, schema[field.name]) for field in wrong) if wrong else frame


def _has_kind(dtype: Any, kind: Kind) -> bool:
    if kind == "time":
        return isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
    if kind in ("count", "number"):
        return bool(dtype.is_integer() if kind == "count" else dtype.is_numeric())
    return isinstance(dtype, nw.Boolean if kind == "flag" else nw.String | nw.Categorical | nw.Enum)


def _duckdb_cast(field: Field) -> str | None:
    """Return SQL for what narwhals cannot express: nested JSON, and text without an offset, which is in UTC."""
    name = f'"{field.name}"'
    if field.kind == "json":
        text = f"CASE WHEN typeof({name}) IN ('VARCHAR', 'JSON') THEN {name} ELSE to_json({name}) END"
        return f"CAST({text} AS VARCHAR) AS {name}"
    if field.kind == "time":
        text = f"nullif(trim(CAST({name} AS VARCHAR)), '')"
        aware, naive = f"CAST({text} AS TIMESTAMPTZ)", f"timezone('UTC', CAST({text} AS TIMESTAMP))"
        return f"CASE WHEN regexp_matches({text}, '{_OFFSET}') THEN {aware} ELSE {naive} END AS {name}"
    return None


def _lazily(field: Field, dtype: Any) -> nw.Expr:
    """Cast a column of a lazy engine."""
    column = nw.col(field.name)
    if isinstance(dtype, nw.String):
        column = nw.when(column.str.strip_chars() != "").then(column.str.strip_chars())
        if field.kind == "flag":
            lower = column.str.to_lowercase()
            false = nw.when(lower.is_in(sorted(FALSE_WORDS))).then(nw.lit(value=False))
            return nw.when(lower.is_in(sorted(TRUE_WORDS))).then(nw.lit(value=True)).otherwise(false).alias(field.name)
        if field.kind == "count":
            column = column.cast(nw.Float64)
    elif field.kind == "flag":
        return nw.when(~column.is_null()).then(column.cast(nw.Float64) == 1.0).alias(field.name)
    return column.cast(_LAZY_TYPES[field.kind]).alias(field.name)
