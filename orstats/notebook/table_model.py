"""Which rows of a DataFrame are shown, and in which order: pandas and Arrow, no widgets, no HTML.

Everything that a filter or a sort needs is made once and kept, so that the next one over 100,000 rows takes
milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.errors import ConfigError
from orstats.frame.cast_columns import cast_columns
from orstats.frame.schema import ID
from orstats.frame.validation import by_id, require_pandas, warn_duplicates
from orstats.notebook.table_page import STATUS, STATUS_COLUMNS, plain, status_cell
from orstats.text.suggest import unknown

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

#: Columns that the free text is searched in.
SEARCHED: Final = (ID.name, "request_id", "upstream_id", "session_id", "external_user", "model")
#: Those of them that have another value in each row.
_UNIQUE: Final = frozenset({ID.name, "request_id", "upstream_id"})
#: Columns that are computed with.
_COMPUTED: Final = (
    *("fetch_status", "created_at", "cost_usd", "tokens_total", "generation_time", "fallbacks"),
    *("is_byok", "cancelled", "streamed"),
)
#: Values offered in one list; the free text finds the others.
_MAX_CHOICES: Final = 300


class Missing(Enum):
    """The choice of a missing value, where None is any value."""

    MISSING = 0


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that a row must meet, all of them. The default matches every row."""

    text: str = ""
    model: str | Missing | None = None
    provider: str | Missing | None = None
    status: str | None = None
    cost_min: float | None = None
    cost_max: float | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of some rows. ``cost_usd`` is of the rows with known cost. None where no value is known."""

    rows: int
    not_ok: int
    cost_usd: float | None
    cost_unknown: int
    tokens: int | None
    median_ms: float | None


class TableModel:
    """A DataFrame to filter and sort repeatedly. It must not be modified meanwhile."""

    def __init__(self, df: pd.DataFrame) -> None:
        require_pandas(df)
        df = by_id(df)
        if df.index.name != ID.name:
            raise ConfigError("The DataFrame has no ids; pass the result of orstats.fetch().")
        warn_duplicates(df)
        df = cast_columns(df, _COMPUTED)
        # Joins can make columns of the same name; the first is used.
        self.df = df if df.columns.is_unique else df.loc[:, ~df.columns.duplicated()]
        self._arrow: dict[str, Any] = {}
        self._dictionaries: dict[str, Any] = {}
        self._orders: dict[tuple[str, bool], Positions] = {}

    def __len__(self) -> int:
        return len(self.df)

    @property
    def columns(self) -> list[str]:
        """The id, the status and the DataFrame's columns, which can be shown and sorted by."""
        names = [str(name) for name in self.df.columns]
        has_status = "fetch_status" in names and STATUS not in names
        return [ID.name, *([STATUS] if has_status else []), *names]

    @property
    def newest(self) -> datetime | None:
        """The latest time of creation (UTC); None without any."""
        known = self._created[~np.isnat(self._created)]
        return pd.Timestamp(known.max()).tz_localize("UTC").to_pydatetime() if len(known) else None

    def select(self, query: Query, also: Mask | None = None) -> Mask:
        """Return which rows match a query. Rows of `also` need not have its text."""
        mask = np.ones(len(self.df), dtype=np.bool_)
        if text := query.text.strip():
            mask &= self._contains(text) if also is None else self._contains(text) | also
        for name, wanted in (("model", query.model), ("provider_name", query.provider)):
            if wanted is not None:
                mask &= self._equal(name, wanted)
        if query.status is not None:
            mask &= self.statuses.get(query.status, np.zeros(len(self.df), dtype=np.bool_))
        with np.errstate(invalid="ignore"):  # NaN compares as False, which is meant
            if query.cost_min is not None:
                mask &= self._cost >= query.cost_min
            if query.cost_max is not None:
                mask &= self._cost <= query.cost_max
        if query.since is not None:
            mask &= self._created >= _utc(query.since)
        if query.until is not None:
            mask &= self._created < _utc(query.until)
        return mask

    @cached_property
    def statuses(self) -> dict[str, Mask]:
        """The rows of each status and of what may be worth a look; only what occurs."""
        statuses = self._text("fetch_status")
        names = [name for name in pc.unique(statuses).to_pylist() if name is not None]
        ok = self._equal("fetch_status", "ok") if names else np.ones(len(self.df), dtype=np.bool_)
        masks: dict[str, Mask] = {}
        if names:
            masks = {"fetched": ok, "not fetched": ~ok}
            masks |= {
                name.replace("_", " "): self._equal("fetch_status", name) for name in sorted(names) if name != "ok"
            }
        masks["with fallbacks"] = self._numbers("fallbacks") > 0
        masks["cancelled"] = self._flag("cancelled")
        masks["failed"] = self._equal("finish_reason", "error")
        masks["no completion"] = self._equal("cost_basis", "no_completion") & ~masks["failed"] & ~masks["cancelled"]
        for reason in ("length", "content_filter"):
            masks[f"ended: {reason.replace('_', ' ')}"] = self._equal("finish_reason", reason)
        masks["BYOK"] = self._flag("is_byok")
        masks["cost 0"] = self._cost == 0
        if "cost_usd" in self.df.columns:
            masks["cost unknown"] = ok & np.isnan(self._cost)
        return {name: mask for name, mask in masks.items() if mask.any()}

    def choices(self, name: str) -> list[tuple[str | Missing, int]]:
        """Return the values of a text column and how often each occurs, most frequent first."""
        counted = pc.value_counts(self._text(name)).to_pylist()
        ranked = sorted(counted, key=lambda one: (-one["counts"], one["values"] or ""))[:_MAX_CHOICES]
        return [(MISSING if one["values"] is None else one["values"], one["counts"]) for one in ranked]

    def order(self, column: str, *, descending: bool) -> Positions:
        """Return the positions of all rows, sorted by a column; equal values stay in order, missing ones are last."""
        if column not in self.columns:
            raise ConfigError(unknown("column", column, self.columns))
        key = (column, descending)
        if key not in self._orders:
            order = "descending" if descending else "ascending"
            positions = pc.array_sort_indices(self._values(column), order=order, null_placement="at_end")
            self._orders = {key: np.asarray(positions, dtype=np.int64)}  # the last one: filters and pages reuse it
        return self._orders[key]

    def positions(self, mask: Mask, column: str, *, descending: bool) -> Positions:
        """Return the positions of some rows, sorted by a column."""
        order = self.order(column, descending=descending)
        return order[mask[order]]

    def page(self, positions: Positions, names: Iterable[str]) -> pd.DataFrame:
        """Return some rows with the columns of these names and those that a row's status comes from.

        Taking rows costs time per column: Arrow joins the chunks of a column first.
        """
        needed = {*names, *STATUS_COLUMNS}
        values = {name: self.df[name].array.take(positions) for name in self.df.columns if name in needed}
        return pd.DataFrame(values, index=self.df.index.take(positions))

    def totals(self, mask: Mask) -> Totals:
        """Return the figures of some rows."""
        costs, tokens, times = (
            values[mask & ~np.isnan(values)]
            for values in (self._cost, self._numbers("tokens_total"), self._numbers("generation_time"))
        )
        rows = int(mask.sum())
        not_ok = int((mask & self.statuses["not fetched"]).sum()) if "not fetched" in self.statuses else 0
        return Totals(
            rows=rows,
            not_ok=not_ok,
            cost_usd=math.fsum(costs) if len(costs) else None,
            cost_unknown=rows - not_ok - len(costs),
            tokens=int(tokens.sum()) if len(tokens) else None,
            median_ms=float(np.median(times)) if len(times) else None,
        )

    def cost_over_time(self, mask: Mask, buckets: int) -> tuple[list[datetime], list[float]] | None:
        """Return the edges (UTC) of equal spans of time and the cost in each; None without any time or cost.

        Reports have periods of the calendar; these spans fit any range, from seconds to years.
        """
        known = mask & ~np.isnat(self._created) & ~np.isnan(self._cost)
        if not known.any():
            return None
        times = self._created[known].astype(np.int64)
        first, last = int(times.min()), int(times.max())
        edges = np.linspace(first, max(last, first + 1_000_000), buckets + 1)
        costs, _ = np.histogram(times, bins=edges, weights=self._cost[known])
        return [pd.Timestamp(int(e), unit="us", tz="UTC").to_pydatetime() for e in edges], [float(c) for c in costs]

    def _values(self, name: str) -> Any:
        """Return a column as Arrow values, NaN as null; nulls when the DataFrame has no such column."""
        if name not in self._arrow:
            self._arrow[name] = self._to_arrow(name)
        return self._arrow[name]

    def _to_arrow(self, name: str) -> Any:
        if name == ID.name:
            values: Any = self.df.index.to_series()
        elif name == STATUS and STATUS in self.columns and STATUS not in self.df.columns:
            return self._status_texts()
        elif name in self.df.columns:
            values = self.df[name]
        else:
            return pa.nulls(len(self.df))
        try:
            column = pa.array(values, from_pandas=True)
            pc.array_sort_indices(column[:0])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            # Of mixed types, or of one without an order, such as lists: sorted as text.
            column = pa.array(values.astype("string"), from_pandas=True)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def _status_texts(self) -> Any:
        """Return the text of each row in the column of statuses: few rows differ in the columns that it comes from."""
        names = [name for name in STATUS_COLUMNS if name in self.df.columns]
        codes = np.zeros(len(self.df), dtype=np.int64)
        for name in names:
            found = self._values(name).dictionary_encode(null_encoding="encode")
            codes = codes * len(found.dictionary) + np.asarray(found.indices, dtype=np.int64)
        place = pa.array(codes).dictionary_encode().indices
        _, first = np.unique(place, return_index=True)
        rows = zip(*(self.df[name].iloc[first] for name in names), strict=True)
        texts = [status_cell(dict(zip(names, map(plain, row), strict=True)))[0] for row in rows]
        return pa.array(texts, pa.string()).take(place)

    def _text(self, name: str) -> Any:
        column = self._values(name)
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        return column if is_text else column.cast(pa.string())

    def _rows_with(self, name: str, text: str) -> Mask:
        """Return the rows whose value has a text, ignoring case. Of models and users each distinct one is read once."""
        if name in _UNIQUE:
            return _mask(pc.match_substring(self._text(name), text, ignore_case=True))
        if name not in self._dictionaries:
            self._dictionaries[name] = self._text(name).dictionary_encode()
        column = self._dictionaries[name]
        matches = _mask(pc.match_substring(column.dictionary, text, ignore_case=True))
        found: Mask = np.append(matches, False)[column.indices.fill_null(len(matches))]
        return found

    def _contains(self, text: str) -> Mask:
        found = np.zeros(len(self.df), dtype=np.bool_)
        for name in SEARCHED:
            if name in self.columns:
                found |= self._rows_with(name, text)
        return found

    def _equal(self, name: str, wanted: str | Missing) -> Mask:
        column = self._text(name)
        if isinstance(wanted, Missing):
            return _mask(pc.is_null(column))
        return _mask(pc.equal(column, pa.scalar(wanted, column.type)))

    def _flag(self, name: str) -> Mask:
        column = self._values(name)
        return _mask(column) if pa.types.is_boolean(column.type) else np.zeros(len(self.df), dtype=np.bool_)

    def _numbers(self, name: str) -> npt.NDArray[np.float64]:
        try:
            return np.asarray(pc.fill_null(self._values(name).cast(pa.float64()), math.nan), dtype=np.float64)
        except pa.ArrowInvalid:  # not numbers, so nothing is known
            return np.full(len(self.df), math.nan)

    @cached_property
    def _cost(self) -> npt.NDArray[np.float64]:
        return self._numbers("cost_usd")

    @cached_property
    def _created(self) -> npt.NDArray[np.datetime64]:
        if "created_at" not in self.df.columns:
            return np.full(len(self.df), np.datetime64("NaT", "us"))
        times = pd.to_datetime(self.df["created_at"], utc=True, errors="coerce")
        return times.dt.tz_localize(None).to_numpy().astype("datetime64[us]")


def _mask(flags: Any) -> Mask:
    return np.asarray(pc.fill_null(flags, fill_value=False), dtype=np.bool_)


def _utc(time: datetime) -> np.datetime64:
    stamp = pd.Timestamp(time)
    return np.datetime64((stamp.tz_convert(None) if stamp.tzinfo is not None else stamp).to_pydatetime(), "us")
