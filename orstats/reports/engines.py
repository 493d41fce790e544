"""The engines that reports run on: how each groups, adds up and computes percentiles.

Reports are written once, as narwhals expressions. Only what narwhals cannot express, or is much slower at, is written
here for one engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import narwhals as nw
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame import money
from orstats.frame.cast_columns import Frame, wrap_native
from orstats.frame.validation import check_duplicates, check_names, warn_duplicates

#: Larger counts cannot be of one generation, and sums of them would overflow.
MOST_COUNT: Final = 10**12


def wrap(frame: Any) -> Frame:
    """Wrap a frame of any of the engines."""
    if isinstance(frame, pd.DataFrame) or type(frame).__module__.startswith("pyspark."):
        check_names(frame.columns)  # the others do not allow repeated names
    wrapped = nw.from_native(frame, pass_through=True)
    if isinstance(wrapped, nw.DataFrame | nw.LazyFrame):
        kind = wrapped.implementation
        if kind.is_pandas():
            return wrap_native(_numbered(check_duplicates(wrapped.to_native())))
        if kind.is_polars() or kind.is_duckdb() or kind.is_pyspark() or kind.is_pyspark_connect():
            warn_duplicates(wrapped)
            return wrapped
    given = type(frame)
    name = given.__qualname__ if given.__module__ == "builtins" else f"{given.__module__}.{given.__qualname__}"
    raise ConfigError(
        f"Reports take a pandas or Polars frame, a DuckDB relation or a PySpark DataFrame, not {name}. "
        "Pass the result of orstats.fetch(ids), or of orstats.read(file)."
    )


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the index into columns, and number the rows: keeping a million ids takes longer than a report."""
    numbered = frame.copy(deep=False)
    numbered.index = pd.RangeIndex(len(frame))
    for level, name in enumerate(frame.index.names):
        if name is not None and name not in frame.columns:
            numbered[name] = frame.index.get_level_values(level)
    return numbered


def with_plain_names(frame: Frame, names: Sequence[str]) -> tuple[Frame, list[str]]:
    """Rename columns that Spark would read as fields of a struct; return the frame and the columns' new names."""
    plain = list(names)
    if frame.implementation.is_pyspark() or frame.implementation.is_pyspark_connect():
        native: Any = frame.to_native()
        for at, name in enumerate(names):
            if "." in name or "`" in name:
                plain[at] = f"orstats_name_{at}"
                native = native.withColumnRenamed(name, plain[at])
        frame = wrap_native(native)
    return frame, plain


def comparable(frame: Frame, name: str) -> nw.Expr:
    """Return a column to group by: categories as text, so that every engine sorts them the same."""
    dtype = frame.collect_schema()[name]
    if not isinstance(dtype, nw.Categorical | nw.Enum):
        return nw.col(name)
    if frame.implementation.is_pandas():
        native: Any = frame.to_native()
        categories = getattr(native[name].dtype, "categories", None)
        if categories is not None and categories.inferred_type != "string":
            return nw.col(name)  # numbers and intervals, as pandas.cut makes them
    return nw.col(name).cast(nw.String)


def finite(name: str) -> nw.Expr:
    """Return a column of numbers, missing where they are not finite."""
    values = nw.col(name).cast(nw.Float64)
    return nw.when(values.is_finite()).then(values)


def non_negative(name: str) -> nw.Expr:
    """Return a column of numbers, missing where they are not finite or negative."""
    values = nw.col(name).cast(nw.Float64)
    return nw.when(values.is_finite() & (values >= 0)).then(values)


def valid_count(name: str) -> nw.Expr:
    """Return a column of counts, missing where they are negative or impossibly large."""
    return nw.when((nw.col(name) >= 0) & (nw.col(name) <= MOST_COUNT)).then(nw.col(name)).cast(nw.Int64)


def as_flag(condition: nw.Expr) -> nw.Expr:
    """Return 1 where a condition is true, and 0 where it is false or missing."""
    return condition.fill_null(value=False).cast(nw.Int64)


def ratio(part: str | nw.Expr, of: str | nw.Expr, scale: float = 1.0) -> nw.Expr:
    """Divide; missing where the divisor is missing or not positive."""
    part, of = (nw.col(one) if isinstance(one, str) else one for one in (part, of))
    return nw.when(of > 0).then(part.cast(nw.Float64) / of.cast(nw.Float64) * scale)


def aggregate(
    frame: Frame,
    keys: Sequence[str],
    sums: Sequence[str],
    counts: Sequence[str] = (),
    percentiles: Mapping[str, Sequence[float]] = MappingProxyType({}),
    usd: Sequence[str] = (),
) -> Frame:
    """Group rows and compute their aggregates; a missing key is a group, too."""
    if usd:
        parts = [part for name in usd for part in money.parts_of(name)]
        groups = aggregate(money.split_columns(frame, usd), keys, (*sums, *parts), counts, percentiles)
        return money.join_columns(groups, usd)
    counted = list(dict.fromkeys((*counts, *percentiles)))
    if frame.implementation.is_pandas():
        return _pandas(frame.to_native(), list(keys), list(sums), counted, percentiles)
    if frame.implementation.is_duckdb():
        return _duckdb(frame, keys, sums, counted, percentiles)
    groups = frame.group_by(*keys).agg(
        nw.len().cast(nw.Int64).alias("rows"),
        *(nw.col(name).sum().alias(f"{name}_sum") for name in sums),
        *(nw.col(name).count().cast(nw.Int64).alias(f"{name}_n") for name in dict.fromkeys((*sums, *counted))),
        *(
            nw.col(name).quantile(at, interpolation="linear").alias(percentile(name, at))
            for name, wanted in percentiles.items()
            for at in wanted
        ),
    )
    return groups.with_columns(
        nw.when(nw.col(f"{name}_n") > 0).then(nw.col(f"{name}_sum")).alias(name) for name in sums
    )


def percentile(name: str, at: float) -> str:
    """Name a percentile of a column.

    Examples
    --------
    >>> percentile("latency", 0.95)
    'latency_p95'
    """
    return f"{name}_p{round(at * 100)}"


def _pandas(
    frame: Any, keys: list[str], sums: list[str], counted: list[str], percentiles: Mapping[str, Sequence[float]]
) -> Frame:
    """Aggregate in pandas: one sort for all percentiles of a column, where narwhals sorts for each."""
    groups = frame.groupby(keys, dropna=False, observed=True, sort=False)
    result = groups.size().rename("rows").to_frame()
    if sums:
        result[sums] = groups[sums].sum(min_count=1)
    if counted:
        result[[f"{name}_n" for name in counted]] = groups[counted].count()
    for name, wanted in percentiles.items():
        values = groups[name].quantile(list(wanted)).to_numpy().reshape(len(result), len(wanted))
        for position, at in enumerate(wanted):
            result[percentile(name, at)] = values[:, position]
    return wrap_native(result.reset_index())


def _duckdb(
    frame: Frame,
    keys: Sequence[str],
    sums: Sequence[str],
    counted: list[str],
    percentiles: Mapping[str, Sequence[float]],
) -> Frame:
    """Aggregate in DuckDB, which would otherwise keep the values of a column once for each percentile."""
    relation: Any = frame.to_native()
    schema = frame.collect_schema()
    figures = ['count(*) AS "rows"']
    for name in sums:
        total = f'CAST(sum("{name}") AS BIGINT)' if schema[name].is_integer() else f'fsum("{name}")'
        figures.append(f'{total} AS "{name}"')
    figures += [f'count("{name}") AS "{name}_n"' for name in counted]
    figures += [f'quantile_cont("{name}", {list(wanted)}) AS "{name}_all"' for name, wanted in percentiles.items()]
    named = ", ".join(f'"{key}"' for key in keys)
    split = [
        f'"{name}_all"[{place}] AS "{percentile(name, at)}"'
        for name, wanted in percentiles.items()
        for place, at in enumerate(wanted, start=1)
    ]
    groups = relation.aggregate(f"{named}, {', '.join(figures)}", named)
    return wrap_native(groups.project(", ".join(("*", *split))))
