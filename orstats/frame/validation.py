"""What a DataFrame must have to be used: its columns, its ids, and keys to group by. The same for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import narwhals as nw
import pandas as pd

from orstats._warn import warn_caller
from orstats.errors import ConfigError, DuplicateIdsWarning
from orstats.frame.cast_columns import Frame, cast_columns
from orstats.frame.column_units import NAMES, heading
from orstats.frame.schema import FIELDS, ID
from orstats.text.suggest import unknown

By = str | Sequence[str] | None

#: Key of ``attrs`` of a DataFrame that was checked: how many rows repeat an id.
_DUPLICATES: Final = "orstats.duplicates"
_ID_HEADING, _COST_HEADING = heading(ID.name), heading("cost_usd")
_LEAST_HEADINGS: Final = 3
_PERIODS: Final = frozenset({"hour", "day", "week", "month", "quarter", "year"})
#: How generation ids begin.
_ID_STARTS: Final = ("gen-", "gen_")
#: What the account's analytics know of a generation and its record does not, by the names that people try.
_LABELS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("api_key", "key"), "api_key"),
    "workspace": "workspace",
    "country": "country",
}
#: A DataFrame with ids and one of these columns has generations, which are added up.
_AMOUNTS: Final = frozenset({"cost_usd", "total_cost", "tokens_total"})


def require(df: pd.DataFrame, columns: Sequence[str], *, indexed: bool = False, unique: bool = False) -> pd.DataFrame:
    """Check that a DataFrame has some columns, and return it with them cast to their declared dtypes."""
    require_pandas(df)
    df = by_id(df)
    require_columns([*df.columns, df.index.name], columns)
    check_names(df.columns)
    if indexed and df.index.name != ID.name:
        raise ConfigError(
            "The DataFrame has no column or index named id. Save it with its index, or make the column of its ids "
            "the index: df.set_index(...).rename_axis('id')."
        )
    return cast_columns(check_duplicates(df) if unique else df, columns)


def require_columns(have: Sequence[Any], names: Sequence[str]) -> None:
    """Raise ConfigError for columns that a DataFrame does not have."""
    refuse_headings(have)
    if absent := [name for name in names if name not in have]:
        raise ConfigError(f"The DataFrame is missing {', '.join(absent)}; pass the result of orstats.fetch().")


def refuse_headings(names: Sequence[Any] | pd.Index[Any]) -> None:
    """Raise ConfigError for the columns of a workbook or an Activity export that another library read."""
    known = set(names)
    if {"generation_id", "cost_total"} <= known:
        raise ConfigError("The DataFrame is an Activity export as another library reads it: use orstats.read(path).")
    found = [name for name in names if name in NAMES and NAMES[name] not in known]
    if _ID_HEADING in found and len(found) >= _LEAST_HEADINGS:  # a column of the user may have such a name
        example = _COST_HEADING if _COST_HEADING in found else _ID_HEADING
        raise ConfigError(
            f"The DataFrame has the headings of a workbook, such as {example!r}. Read the file with "
            "orstats.read(path), which also leaves out its total rows."
        )


def require_pandas(df: object) -> None:
    """Raise ConfigError for anything but a pandas DataFrame."""
    if not isinstance(df, pd.DataFrame):
        kind = type(df)
        if kind.__module__ == "builtins":  # the ids, or the name of a file
            raise ConfigError(
                f"This takes a pandas DataFrame, not {kind.__qualname__}. Pass the result of orstats.fetch(ids), or of "
                "orstats.read(file)."
            )
        raise ConfigError(
            f"This takes a pandas DataFrame, not {kind.__module__}.{kind.__qualname__}. Convert it first: "
            "Polars frames have to_pandas(), DuckDB relations df(), Spark DataFrames toPandas(), Series to_frame()."
        )


def check_names(columns: pd.Index[Any] | Sequence[str]) -> None:
    """Raise ConfigError for column names of several levels, and for one that occurs twice."""
    if isinstance(columns, pd.MultiIndex):
        raise ConfigError("Columns must have one level of names; flatten df.columns first.")
    names = pd.Index(list(columns))
    if not names.is_unique:
        raise ConfigError(f"Column names must be unique, but {names[names.duplicated()][0]!r} occurs more than once.")


def equals(values: pd.Series[Any], value: Any) -> pd.Series[bool]:
    """Compare; a missing value is not equal."""
    return values.eq(value).fillna(value=False).astype(bool)


def by_id(df: pd.DataFrame) -> pd.DataFrame:
    """Make the ids the index: the column or the level ``id``, or the ids of an index without that name.

    Other levels of the index become columns.

    Examples
    --------
    >>> by_id(pd.DataFrame({"cost_usd": [0.25]}, index=["gen-1"])).index.name
    'id'
    """
    refuse_headings(df.columns)
    if df.index.name == ID.name or isinstance(df.columns, pd.MultiIndex):
        return df
    levels = [name for name in df.index.names if name is not None and name not in df.columns]
    if list(df.columns).count(ID.name) == 1 or ID.name in levels:
        columns = {name: df.index.get_level_values(list(df.index.names).index(name)) for name in levels}
        flat = df.reset_index(drop=True)
        for name, values in columns.items():
            flat[name] = values
        return flat.set_index(ID.name)
    first = next((one for one in df.index if one is not None), None) if ID.name not in df.columns else None
    return df.rename_axis(index=ID.name) if isinstance(first, str) and first.startswith(_ID_STARTS) else df


def ok_rows(frame: Frame) -> Frame:
    """Return the rows whose record was fetched; all rows when there is no ``fetch_status``, as in an archive."""
    if "fetch_status" not in frame.collect_schema().names():
        return frame
    is_ok = nw.col("fetch_status") == "ok"
    if isinstance(frame, nw.DataFrame) and frame.select(is_ok.all()).item():
        return frame
    return frame.filter(is_ok)


def unknown_group(thing: str, name: str, names: Iterable[str], hint: str) -> str:
    """Say that there is nothing of this name to group by, and how to group by periods if it is one.

    Examples
    --------
    >>> unknown_group("column", "day", ["model"], "")
    "Unknown column 'day'. Reports over time take freq='day'."
    """
    period = {"date": "day"}.get(name, name if name in _PERIODS else None)
    if period is None:
        return unknown(thing, name, names, hint=hint)
    return unknown(thing, name, [], hint=f"Reports over time take freq={period!r}.")


def group_keys(frame: Frame, by: By) -> list[str]:
    """Return the columns to group by, each once."""
    keys = list(dict.fromkeys(listed(by)))
    schema = frame.collect_schema()
    refuse_headings(schema.names())
    if (FIELDS.keys() - {ID.name}).isdisjoint(schema.names()):  # the frame is at fault, not the names
        require_columns(schema.names(), keys)
    for name in keys:
        if name not in schema:
            names, hint = schema.names(), "orstats.field_table() lists the columns."
            if name in _LABELS:
                join = f"df.join(orstats.list_generations('30d', labels={_LABELS[name]!r}))"
                names, hint = [], f"Records do not have it: add it with {join}."
            raise ConfigError(unknown_group("column", name, names, hint))
        _check_groupable(frame, name, schema[name])
    return keys


def listed(by: By) -> list[str]:
    """Return the column names in a ``by`` argument."""
    names: list[Any] = [] if by is None else [by] if isinstance(by, str) or not isinstance(by, Iterable) else list(by)
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"by must be a column name or a list of column names, got {repr(by)[:80]}.")
    return names


def _check_groupable(frame: Frame, name: str, dtype: Any) -> None:
    """Refuse values that not every engine can compare."""
    native: Any = frame.to_native()
    is_unnamed = isinstance(dtype, nw.Object | nw.Unknown)  # narwhals has no name for the type
    if is_unnamed and frame.implementation.is_pandas():
        is_mixed = pd.api.types.infer_dtype(native[name], skipna=True) in {"mixed", "mixed-integer"}
    elif isinstance(dtype, nw.Unknown):  # in DuckDB and Polars a column of nulls only has such a type
        is_mixed = frame.implementation.is_polars() and str(native.collect_schema()[name]) != "Null"
        is_mixed = is_mixed or not (frame.implementation.is_polars() or frame.implementation.is_duckdb())
    else:
        is_mixed = is_unnamed or dtype.is_nested()
    if is_mixed:
        raise ConfigError(
            f"Cannot group by {name!r}: its values are lists, mappings or of several types ({dtype}). "
            "Convert them to text first."
        )


def check_duplicates(df: pd.DataFrame) -> pd.DataFrame:
    """Warn of rows that repeat an id, once for each DataFrame: the returned one is not checked again."""
    if _DUPLICATES in df.attrs:
        return df
    warn_duplicates(df)
    checked = df.copy(deep=False)
    checked.attrs = df.attrs | {_DUPLICATES: count_duplicates(df)}
    return checked


def mark_unique(df: pd.DataFrame) -> pd.DataFrame:
    """Mark a DataFrame whose rows may repeat an id, but whose amounts may be added up."""
    df.attrs = df.attrs | {_DUPLICATES: 0}
    return df


def warn_duplicates(frame: pd.DataFrame | Frame) -> None:
    """Warn, at the caller's line, if several rows of generations have the same id: sums count them twice."""
    names = frame.columns if isinstance(frame, pd.DataFrame) else frame.collect_schema().names()
    if not _AMOUNTS.isdisjoint(names) and (repeated := count_duplicates(frame)):
        warn_caller(
            f"{repeated:,} rows repeat an id that another row has: sums count them twice. "
            "Use orstats.combine(df) to keep the best row of each id.",
            DuplicateIdsWarning,
        )


def count_duplicates(frame: pd.DataFrame | Frame) -> int:
    """Count the rows that repeat the id of an earlier row; 0 for Spark, which would run a job for it."""
    if isinstance(frame, nw.DataFrame) and frame.implementation.is_pandas():
        frame = frame.to_native()
    if isinstance(frame, pd.DataFrame):
        if _DUPLICATES in frame.attrs:
            return int(frame.attrs[_DUPLICATES])
        ids: Any = by_id(frame.loc[:, [name == ID.name for name in frame.columns]]).index
        return 0 if ids.name != ID.name or ids.is_unique else int((ids.duplicated() & ids.notna()).sum())
    kind = frame.implementation
    if kind.is_pyspark() or kind.is_pyspark_connect() or ID.name not in frame.collect_schema().names():
        return 0
    counted = frame.select(nw.col(ID.name)).drop_nulls().select(rows=nw.len(), distinct=nw.col(ID.name).n_unique())
    collected = counted.collect() if isinstance(counted, nw.LazyFrame) else counted
    rows, distinct = collected.row(0)
    return int(rows) - int(distinct) if rows else 0
