"""Which rows of a frame are looked at, and in which order. Pure pandas and Arrow: no widgets, no HTML.

Everything that a filter or a sort needs is made once and kept, so that the next one over 100,000 rows takes
milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.errors import ConfigError
from orstats.frame.schema import ID
from orstats.frame.validation import by_id, cast_columns, require_pandas, warn_duplicates

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

#: Columns in which the free text is sought.
SEARCHED: Final = (ID.name, "request_id", "upstream_id", "session_id", "external_user")

#: Columns that are computed with.
_READ: Final = (
    *("fetch_status", "created_at", "cost_usd", "tokens_total", "generation_time", "fallbacks"),
    *("is_byok", "cancelled", "streamed"),
)

#: Choices offered in one list; the rest is found by the free text or in code.
_MOST_CHOICES: Final = 300


class _Missing:
    """Stands for "the value is missing" among choices, where None is "any value"."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class Query:
    """What to keep; a row must meet all of it. The default keeps every row."""

    text: str = ""
    model: str | _Missing | None = None
    provider: str | _Missing | None = None
    state: str | None = None
    cost_min: float | None = None
    cost_max: float | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of some rows. ``cost_usd`` is of the rows of known cost; None where nothing is known."""

    rows: int
    not_ok: int
    cost_usd: float | None
    cost_unknown: int
    tokens: int | None
    median_ms: float | None


class Rows:
    """A frame that is filtered and sorted again and again. The frame must not be changed meanwhile."""

    def __init__(self, df: pd.DataFrame) -> None:
        require_pandas(df)
        df = by_id(df)
        if df.index.name != ID.name:
            raise ConfigError("The frame is not indexed by id, and has no id column: give one of orstats.fetch.")
        warn_duplicates(df)
        df = cast_columns(df, _READ)
        # Of columns of one name, as joining frames side by side makes them, the first.
        self.df = df if df.columns.is_unique else df.loc[:, ~df.columns.duplicated()]
        self._arrow: dict[str, Any] = {}
        self._orders: dict[tuple[str, bool], Places] = {}

    def __len__(self) -> int:
        return len(self.df)

    @property
    def columns(self) -> list[str]:
        """What can be sorted by: the id and the frame's columns."""
        return [ID.name, *(str(name) for name in self.df.columns)]

    def arrow(self, name: str) -> Any:
        """Return a column as Arrow values, NaN as null; nulls when the frame has no such column."""
        if name not in self._arrow:
            self._arrow[name] = self._to_arrow(name)
        return self._arrow[name]

    def _to_arrow(self, name: str) -> Any:
        if name == ID.name:
            values: Any = self.df.index.to_series()
        elif name in self.df.columns:
            values = self.df[name]
        else:
            return pa.nulls(len(self.df))
        try:
            column = pa.array(values, from_pandas=True)
            pc.array_sort_indices(column[:0])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            # Of several kinds, or of one that has no order, such as lists: in the order of its text.
            column = pa.array(values.astype("string"), from_pandas=True)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        return column

    def _text(self, name: str) -> Any:
        column = self.arrow(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return column
        return column.cast(pa.string())

    def select(self, query: Query) -> Mask:
        """Return which rows the query keeps."""
        keep = np.ones(len(self.df), dtype=np.bool_)
        if query.text.strip():
            keep &= self._found(query.text.strip())
        for name, wanted in (("model", query.model), ("provider_name", query.provider)):
            if wanted is not None:
                keep &= self._equal(name, wanted)
        if query.state is not None:
            keep &= self.states.get(query.state, np.zeros(len(self.df), dtype=np.bool_))
        with np.errstate(invalid="ignore"):
            if query.cost_min is not None:
                keep &= self._cost >= query.cost_min
            if query.cost_max is not None:
                keep &= self._cost <= query.cost_max
        if query.since is not None:
            keep &= self._created >= _utc(query.since)
        if query.until is not None:
            keep &= self._created < _utc(query.until)
        return keep

    def _found(self, text: str) -> Mask:
        found = np.zeros(len(self.df), dtype=np.bool_)
        for name in SEARCHED:
            if name == ID.name or name in self.df.columns:
                found |= _mask(pc.match_substring(self._text(name), text, ignore_case=True))
        return found

    def _equal(self, name: str, wanted: str | _Missing) -> Mask:
        column = self._text(name)
        if isinstance(wanted, _Missing):
            return _mask(pc.is_null(column))
        return _mask(pc.equal(column, pa.scalar(wanted, column.type)))

    @cached_property
    def _cost(self) -> npt.NDArray[np.float64]:
        return self._numbers("cost_usd")

    def _numbers(self, name: str) -> npt.NDArray[np.float64]:
        column = self.arrow(name)
        try:
            return np.asarray(pc.fill_null(column.cast(pa.float64()), math.nan), dtype=np.float64)
        except pa.ArrowInvalid:  # not a number: the frame is not one of ours, and says nothing of it
            return np.full(len(self.df), math.nan)

    @cached_property
    def _created(self) -> npt.NDArray[np.datetime64]:
        if "created_at" not in self.df.columns:
            return np.full(len(self.df), np.datetime64("NaT", "us"))
        moments = pd.to_datetime(self.df["created_at"], utc=True, errors="coerce")
        return moments.dt.tz_localize(None).to_numpy().astype("datetime64[us]")

    @cached_property
    def states(self) -> dict[str, Mask]:
        """What may be wrong or worth a look, and the rows of each; only what occurs."""
        size = len(self.df)
        masks: dict[str, Mask] = {}
        statuses = self._text("fetch_status")
        known = [s for s in pc.unique(statuses).to_pylist() if s is not None]
        ok = _mask(pc.equal(statuses, pa.scalar("ok", statuses.type))) if known else np.ones(size, dtype=np.bool_)
        if known:
            masks["ok"] = ok
            masks["not ok"] = ~ok
            masks |= {s.replace("_", " "): self._equal("fetch_status", s) for s in sorted(known) if s != "ok"}
        masks["with fallbacks"] = self._numbers("fallbacks") > 0
        masks["cancelled"] = self._flag("cancelled")
        for reason in ("error", "length", "content_filter"):
            masks[f"ended: {reason.replace('_', ' ')}"] = self._equal("finish_reason", reason)
        masks["BYOK"] = self._flag("is_byok")
        masks["cost 0"] = self._cost == 0
        masks["cost unknown"] = ok & np.isnan(self._cost) if "cost_usd" in self.df.columns else ~ok & ok
        return {name: mask for name, mask in masks.items() if mask.any()}

    def _flag(self, name: str) -> Mask:
        column = self.arrow(name)
        return _mask(column) if pa.types.is_boolean(column.type) else np.zeros(len(self.df), dtype=np.bool_)

    def choices(self, name: str) -> list[tuple[str | _Missing, int]]:
        """Return the values of a text column and how often each occurs, the most frequent first."""
        counted = pc.value_counts(self._text(name)).to_pylist()
        ranked = sorted(counted, key=lambda one: (-one["counts"], one["values"] or ""))[:_MOST_CHOICES]
        return [(MISSING if one["values"] is None else one["values"], one["counts"]) for one in ranked]

    def order(self, column: str, *, descending: bool) -> Places:
        """Return all places in the order of a column; equals in the frame's order, missing values last."""
        if column not in self.columns:
            raise ConfigError(f"There is no column {column!r} to sort by.")
        key = (column, descending)
        if key not in self._orders:
            order = "descending" if descending else "ascending"
            places = pc.array_sort_indices(self.arrow(column), order=order, null_placement="at_end")
            self._orders = {key: np.asarray(places, dtype=np.int64)}  # one is enough: paging and filtering reuse it
        return self._orders[key]

    def places(self, mask: Mask, column: str, *, descending: bool) -> Places:
        """Return the places of the kept rows, in the order of a column."""
        order = self.order(column, descending=descending)
        return order[mask[order]]

    def totals(self, mask: Mask) -> Totals:
        """Return the figures of the kept rows."""
        rows = int(mask.sum())
        cost = self._cost[mask]
        known = cost[~np.isnan(cost)]
        tokens = self._numbers("tokens_total")[mask]
        told = tokens[~np.isnan(tokens)]
        times = self._numbers("generation_time")[mask]
        timed = times[~np.isnan(times)]
        not_ok = int((mask & self.states["not ok"]).sum()) if "not ok" in self.states else 0
        return Totals(
            rows=rows,
            not_ok=not_ok,
            cost_usd=math.fsum(known) if len(known) else None,
            cost_unknown=rows - not_ok - len(known),
            tokens=int(told.sum()) if len(told) else None,
            median_ms=float(np.median(timed)) if len(timed) else None,
        )

    def cost_over_time(self, mask: Mask, buckets: int) -> tuple[list[datetime], list[float]] | None:
        """Return the edges of equal spans of time (UTC) and the cost in each; None when there is no time or cost."""
        keep = mask & ~np.isnat(self._created) & ~np.isnan(self._cost)
        if not keep.any():
            return None
        moments = self._created[keep].astype(np.int64)
        first, last = int(moments.min()), int(moments.max())
        edges = np.linspace(first, max(last, first + 1_000_000), buckets + 1)
        costs, _ = np.histogram(moments, bins=edges, weights=self._cost[keep])
        return [pd.Timestamp(int(e), unit="us", tz="UTC").to_pydatetime() for e in edges], [float(c) for c in costs]


def _mask(flags: Any) -> Mask:
    return np.asarray(pc.fill_null(flags, fill_value=False), dtype=np.bool_)


def _utc(moment: datetime) -> np.datetime64:
    stamp = pd.Timestamp(moment)
    plain = stamp.tz_convert(None) if stamp.tzinfo is not None else stamp
    return np.datetime64(plain.to_pydatetime(), "us")
