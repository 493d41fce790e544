"""How every report is made: choose the rows, group them, compute the metrics, sort the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import narwhals as nw

from orstats.errors import ConfigError
from orstats.frame.cast_columns import Frame, cast_frame
from orstats.frame.display import ReportFrame
from orstats.frame.money import RATE_PLACES, round_columns
from orstats.frame.validation import By, group_keys, ok_rows, require_columns
from orstats.reports.coverage import COVERS_RANGE, PROVENANCE, absent_note, coverage_of, provenance
from orstats.reports.engines import (
    aggregate,
    comparable,
    with_plain_names,
    wrap,
)
from orstats.reports.incomplete_periods import incomplete_in_report
from orstats.reports.periods import PERIOD, Freq, add_period, freq_of, localize_period
from orstats.text.time_zones import zone_of

#: A column that is the same in all groups, so that a metric can sum over them. Spark warns of windows without one.
EVERYTHING: Final = "everything"


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """What a report reads and computes, whatever the engine."""

    required: Sequence[str]
    """Columns that the frame must have."""
    metrics: Mapping[str, nw.Expr]
    """Columns of the report, computed from the aggregates of each group."""
    sort_by: str
    """The metric by which groups are sorted, largest first."""
    inputs: Mapping[str, nw.Expr] = field(default_factory=dict)
    """Columns to aggregate, computed from those of the frame."""
    derived: Mapping[str, nw.Expr] = field(default_factory=dict)
    """More columns to aggregate, computed from the inputs."""
    sums: Sequence[str] = ()
    usd: Sequence[str] = ()
    """Columns of money: summed as decimals."""
    counts: Sequence[str] = ()
    percentiles: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grouped:
    """The ok rows of a frame, with the group keys in columns of their own."""

    rows: Frame
    keys: tuple[str, ...]
    names: tuple[str, ...]
    """What the keys are called in the report."""
    period: tuple[Freq, str] | None
    """Frequency and time zone of a report over time."""


def make_report(frame: Any, spec: ReportSpec, by: By, freq: str | None, tz: str) -> Any:
    """Make a report of the ok rows of a frame."""
    wrapped = wrap(frame)
    grouped = group(wrapped, spec, by, freq, tz)
    rows = grouped.rows.select(*grouped.keys, **spec.inputs)
    if spec.derived:
        rows = rows.with_columns(**spec.derived)
    groups = aggregate(rows, grouped.keys, spec.sums, spec.counts, spec.percentiles, spec.usd)
    return finish(wrapped, groups, grouped, spec)


def group(frame: Frame, spec: ReportSpec, by: By, freq: str | None, tz: str) -> Grouped:
    """Choose the ok rows, and copy the columns to group by to keys whose names clash with no other."""
    names = group_keys(frame, by)
    if not names and freq is None:
        raise ConfigError("Pass by= (a column), freq= (a period), or both.")
    if taken := next((name for name in names if name in spec.metrics or name == PERIOD), None):
        raise ConfigError(f"Cannot group by {taken!r}: the report already has a column with that name.")
    frame, columns = with_plain_names(frame, names)
    needed = list(dict.fromkeys([*spec.required, *(["created_at"] if freq is not None else [])]))
    have = frame.collect_schema().names()
    require_columns(have, needed)
    status = {"fetch_status"} & set(have)
    read = list(dict.fromkeys((*columns, *needed, *status)))
    rows = ok_rows(cast_frame(frame.select(*read), read))
    keys = {f"key_{number}": comparable(rows, name) for number, name in enumerate(columns)}
    rows = rows.select(*needed, **keys)
    zone = zone_of(tz)
    if freq is None:
        return Grouped(rows, tuple(keys), tuple(names), None)
    period = (freq_of(freq), zone)
    return Grouped(add_period(rows, *period), (PERIOD, *keys), (PERIOD, *names), period)


def finish(frame: Frame, groups: Frame, grouped: Grouped, spec: ReportSpec) -> Any:
    """Compute the metrics of the groups, sort and name them, and return the kind of frame that was given."""
    result = groups.with_columns(nw.lit(1).alias(EVERYTHING)).select(*grouped.keys, **spec.metrics)
    schema = result.collect_schema()
    result = round_columns(result, [name for name in spec.metrics if schema[name].is_float()], RATE_PLACES)
    # Equal groups are sorted by their keys, so that the order is the same on every engine.
    periods, keys = [key for key in grouped.keys if key == PERIOD], [key for key in grouped.keys if key != PERIOD]
    descending = [False] * len(periods) + [True] + [False] * len(keys)
    result = result.sort(*periods, spec.sort_by, *keys, descending=descending, nulls_last=True)
    if grouped.period is not None:
        result = localize_period(result, *grouped.period)
    result = result.rename(dict(zip(grouped.keys, grouped.names, strict=True)))
    if not result.implementation.is_pandas():
        return result.to_native()
    dtypes = {name: "Int64" if result.schema[name].is_integer() else "float64" for name in spec.metrics}
    native: Any = ReportFrame(result.to_native().astype(dtypes).set_index(list(grouped.names)))
    over_time = {} if grouped.period is None else dict(zip(("freq", "tz"), grouped.period, strict=True))
    given = frame.to_native()
    native.attrs = {"coverage": coverage_of(frame) | over_time, PROVENANCE: provenance(given)}
    if COVERS_RANGE in given.attrs:
        native.attrs[COVERS_RANGE] = given.attrs[COVERS_RANGE]
    notes = [absent_note(given, spec.required), *(one.sentence for one in incomplete_in_report(native))]
    if note := " ".join(filter(None, notes)):
        native.attrs["note"] = note
    return native
