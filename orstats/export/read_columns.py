"""From the columns of a file to a typed DataFrame of generations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats._warn import warn_caller
from orstats.errors import ReadError
from orstats.export.csv_cells import plain_decimal
from orstats.frame import record_table
from orstats.frame.build import ABSENT_COLUMNS, pandas_array
from orstats.frame.cast_values import cast
from orstats.frame.decimal_mark import DecimalMark
from orstats.frame.schema import COLUMNS, DERIVED, FIELDS, ID, WIRE, Field, Kind
from orstats.ids.id_shapes import ID_STARTS, clean_id
from orstats.text.format import plural

#: Columns of the vendor's Activity export, and the fields that they are.
ACTIVITY_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "generation_id": "id",
        "cost_total": "total_cost",
        "byok_usage_inference": "upstream_inference_cost",
        "finish_reason_raw": "native_finish_reason",
        "finish_reason_normalized": "finish_reason",
        "generation_time_ms": "generation_time",
        "time_to_first_token_ms": "latency",
    }
)
#: Columns of that export without a field, by their kind.
_OTHER_COLUMNS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "text": ("model_permaslug", "variant", "user", "app_name", "api_key_name"),
        "count": ("tokens_reasoning", "tokens_cached"),
        "flag": ("api_key_disabled",),
        "number": ("cost_web_search", "cost_cache", "cost_file_processing"),
    }
)
KNOWN_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        **FIELDS,
        **{
            name: Field(name, kind, "wire", "Activity export of the web page")
            for kind, names in _OTHER_COLUMNS.items()
            for name in names
        },
    }
)
#: A table with ids and one of these columns contains generations.
GENERATION_COLUMNS: Final = frozenset({"fetch_status", "created_at", "model", "total_cost", "cost_usd", "cost_total"})
_ALL_NAMES: Final = {ID.name, *KNOWN_FIELDS, *ACTIVITY_COLUMNS}
#: The column of a user's own keys that were called id.
_ROW_KEY: Final = "row_id"
#: So few names that look like known ones are columns of the user, such as ``User``.
_LEAST_RENAMED: Final = 3
#: Names whose spelling shows who wrote a file: no other program keeps them when it changes the others.
_TELLING_NAMES: Final = {name for name in _ALL_NAMES if "_" in name}
_WORD_START: Final = re.compile(r"[ -]+|(?<=[a-z0-9])(?=[A-Z])")
#: How pandas names the column of an index without a name.
UNNAMED: Final = ("", "Unnamed: 0", "index")
#: Kinds of columns that the field table does not have, by the form of their values.
_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    (r"^(true|false|TRUE|FALSE|True|False)$", "flag"),
    (r"^-?(0|[1-9][0-9]{0,18})$", "count"),
    (r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$", "number"),
)


def known_names(names: Sequence[str]) -> list[str]:
    """Return names of columns; where another program changed all of them, as the field table has them.

    Examples
    --------
    >>> known_names(["GENERATION_ID", "Cost Total", "createdAt", "My Team"])
    ['generation_id', 'cost_total', 'created_at', 'My Team']
    >>> known_names(["id", "total_cost", "User", "Variant", "Latency"])  # columns of the user next to those of orstats
    ['id', 'total_cost', 'User', 'Variant', 'Latency']
    """
    if not _TELLING_NAMES.isdisjoint(names):
        return list(names)
    plain = [_WORD_START.sub("_", one.strip()).replace("-", "_").lower() for one in names]
    unique = {one for one in plain if plain.count(one) == 1}
    renamed = [
        other if other in unique and one not in _ALL_NAMES and other in _ALL_NAMES else one
        for one, other in zip(names, plain, strict=True)
    ]
    differ = sum(one != other for one, other in zip(names, renamed, strict=True))
    return renamed if differ >= _LEAST_RENAMED else list(names)


class Table(NamedTuple):
    """Columns as a file has them: Arrow, pandas or lists of Python values, by name."""

    columns: Mapping[str, Any]
    decimal: DecimalMark | None = None


def typed_frame(table: Table, name: str) -> pd.DataFrame:
    """Return the generations of a table, indexed by id."""
    columns = _without_index(dict(zip(known_names(list(table.columns)), table.columns.values(), strict=True)))
    if ID.name in columns and "generation_id" in columns and not _has_ids(columns[ID.name]):
        columns[_ROW_KEY] = columns.pop(ID.name)  # of a database
    is_export = ID.name not in columns and "generation_id" in columns
    if is_export:
        columns = {ACTIVITY_COLUMNS.get(one, one): column for one, column in columns.items()}
    if ID.name not in columns or GENERATION_COLUMNS.isdisjoint(columns):
        raise ReadError(
            f"{name}: no table of generations; its columns are {', '.join(list(table.columns)[:5])}. "
            "A column id, and the columns of orstats.fetch, are needed.",
            path=name,
        )
    typed: dict[str, Any] = {}
    for one, values in columns.items():
        field = KNOWN_FIELDS.get(one)
        typed[one] = _own(values) if field is None else pandas_array(field, cast(values, field, decimal=table.decimal))
    frame = pd.DataFrame(typed, copy=False)
    unusual = ~frame[ID.name].str.fullmatch("[A-Za-z0-9_-]+").fillna(value=True).astype(bool)
    if unusual.any():  # such as with the spaces that databases add
        frame.loc[unusual, ID.name] = frame.loc[unusual, ID.name].map(clean_id)
    is_raw = "total_cost" in columns and columns.keys().isdisjoint(field.name for field in DERIVED)
    frame = _derived(frame) if is_export or is_raw else frame
    frame = _without_totals(frame, name)
    if "fetch_status" not in frame.columns:
        frame.insert(0, "fetch_status", pd.Series("ok", index=frame.index, dtype=pd.StringDtype("pyarrow")))
    without = frame[ID.name].isna() | (frame[ID.name].str.strip() == "")
    if without.any():
        lost = frame.loc[without].drop(columns="fetch_status").notna().any(axis=1).sum()
        frame = frame.loc[~without]
        if lost:
            warn_caller(f"{name}: {plural(int(lost), 'row')} without an id skipped.")
    frame = frame.set_index(ID.name)
    if is_export:
        absent = [one.name for one in COLUMNS if one.name not in columns and frame[one.name].isna().all()]
        frame.attrs[ABSENT_COLUMNS] = absent if len(frame) else []
    return frame


def _has_ids(values: Any) -> bool:
    return any(str(one).startswith(ID_STARTS) for one in values)


def _without_totals(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Skip rows such as ``Total``, which would be added up with what they sum, and warn."""
    ids = frame[ID.name]
    if not ids.str.startswith(ID_STARTS).any():
        return frame
    is_word = ids.str.fullmatch(r"\D*\p{L}\D*") & ~ids.str.startswith(ID_STARTS)
    if "fetch_status" in frame.columns:
        is_word &= frame["fetch_status"].isna()
    is_total = is_word.fillna(value=False).astype(bool)
    if is_total.any():
        rows = plural(int(is_total.sum()), "row")
        warn_caller(f"{name}: {rows} without an id skipped ({ids[is_total].iloc[0]!r:.40}).")
    return frame.loc[~is_total]


def _without_index(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the column that pandas wrote for an index without a name, or take it for the ids if it holds them."""
    columns = dict(columns)
    name = next((one for one in ("column_1", *UNNAMED[1:]) if one in columns), None)
    if name is not None:
        values = columns[name]
        first = next((one for one in values if one is not None), None)
        is_id = not str(first).replace(".", "").isdigit()
        if not is_id and name != "index":
            del columns[name]
        elif is_id and columns.keys().isdisjoint((ID.name, "generation_id")):
            columns = {ID.name: columns.pop(name)} | columns
    return columns


def _own(values: Any) -> Any:
    """Type a column that the field table does not have: numbers and flags where all values are."""
    if isinstance(values, pd.Series):
        return values.array
    if isinstance(values, list):
        return pd.Series(values, dtype=object).convert_dtypes().array
    text = values.cast(pa.string())
    for pattern, kind in _KINDS if text.null_count < len(text) else ():
        if pc.all(pc.match_substring_regex(text, pattern)).as_py():
            field = Field("", kind, "wire", "")
            if kind == "count":
                try:
                    return pandas_array(field, text.cast(pa.int64()))
                except pa.ArrowInvalid:  # too large
                    continue
            if _has_long_integers(text):
                break  # ids
            return pandas_array(field, cast(text, field))
    return pandas_array(Field("", "text", "wire", ""), text)


def _has_long_integers(text: pa.ChunkedArray) -> bool:
    """Tell whether floats would change digits of integers."""
    long = text.filter(pc.match_substring_regex(text, r"^-?[0-9]{16,}$")).to_pylist()
    return any(plain_decimal(repr(float(one))) != one for one in long)


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    """Complete the records of another source: all columns of the field table, the derived ones computed."""
    rows = len(frame)
    if "is_byok" not in frame.columns and "upstream_inference_cost" in frame.columns:
        used = (frame["upstream_inference_cost"] > 0).astype("boolean")
        frame["is_byok"] = used.mask(~used)  # without a charge to your own keys nothing says whether they were used
    if "model" not in frame.columns and "model_permaslug" in frame.columns:
        frame["model"] = frame["model_permaslug"]
        if "variant" in frame.columns:
            special = frame["variant"].notna() & ~frame["variant"].isin(["", "standard"])
            plain = ~frame["model"].str.contains(":", regex=False).fillna(value=True)
            named = special & plain
            frame.loc[named, "model"] = frame["model"] + ":" + frame["variant"]
    wire = {
        field.name: pa.array(frame[field.name].array, record_table.TYPES[field.kind], from_pandas=True)
        if field.name in frame.columns
        else pa.nulls(rows, record_table.TYPES[field.kind])
        for field in WIRE
    }
    made = wire | record_table.derived_columns(pa.table(wire))
    complete = {
        field.name: frame[field.name].array
        if field.name in frame.columns
        else pandas_array(field, made.get(field.name, pa.nulls(rows, record_table.TYPES[field.kind])))
        for field in (ID, *COLUMNS)
        if field.name in frame.columns or field.name != "fetch_status"
    }
    return pd.DataFrame(complete | {str(one): frame[one].array for one in frame.columns if one not in complete})
