"""How every report is made: which rows, in which groups, which figures, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import narwhals as nw

from orstats.errors import ConfigError
from orstats.frame.display import ReportFrame
from orstats.frame.money import RATE_PLACES, round_columns
from orstats.frame.validation import cast_frame
from orstats.reports.backends import (
    By,
    Frame,
    aggregate,
    comparable,
    keys_of,
    names_of,
    ok_rows,
    require,
    with_plain_names,
    wrap,
)
from orstats.reports.coverage import PROVENANCE, coverage_of, provenance
from orstats.reports.periods import PERIOD, add_period, freq_of, localize_period
from orstats.text.time_zones import zone_of

#: A column that is the same in all groups: over it a figure may sum all of them. Spark warns of sums over nothing.
EVERYTHING: Final = "everything"

_KEY: Final = "key_{}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a report is, whatever the engine."""

    needs: Sequence[str]
    clean: Mapping[str, nw.Expr]
    values: Mapping[str, nw.Expr]
    sums: Sequence[str]
    figures: Mapping[str, nw.Expr]
    first: str
    counts: Sequence[str] = ()
    percentiles: Mapping[str, Sequence[float]] = field(default_factory=dict)
    usd: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Grouped:
    """The rows of a report with their groups in columns of their own, and how to name them in the end."""

    rows: Frame
    keys: tuple[str, ...]
    names: tuple[str, ...]
    period: tuple[Any, str] | None


def report(frame: Any, plan: Plan, by: By, freq: str | None, tz: str) -> Any:
    """Make a report of the ok rows of a frame."""
    wrapped = wrap(frame)
    grouped = group(wrapped, plan.needs, by, freq, tz, figures=plan.figures)
    rows = grouped.rows.select(*grouped.keys, **plan.clean)
    if plan.values:
        rows = rows.with_columns(**plan.values)
    groups = aggregate(rows, grouped.keys, plan.sums, plan.counts, plan.percentiles, plan.usd)
    return finish(wrapped, groups, grouped, plan)


def group(
    frame: Frame, needs: Sequence[str], by: By, freq: str | None, tz: str, *, figures: Mapping[str, Any]
) -> Grouped:
    """Choose the ok rows, and put what they are grouped by into columns that no other is named like."""
    names = keys_of(frame, by)
    if not names and freq is None:
        raise ConfigError("Pass by= (a column), freq= (a period), or both.")
    if taken := next((name for name in names if name in figures or name == PERIOD), None):
        raise ConfigError(f"Cannot group by {taken!r}: the report already has a column with that name.")
    frame, columns = with_plain_names(frame, names)
    needs = list(dict.fromkeys((*needs, *(["created_at"] if freq is not None else []))))
    require(frame, needs)
    status = [name for name in ("fetch_status",) if name in names_of(frame)]
    read = list(dict.fromkeys((*columns, *needs, *status)))
    rows = ok_rows(cast_frame(frame.select(*read), read))
    keys = tuple(_KEY.format(number) for number in range(len(names)))
    rows = rows.select(*needs, *(comparable(rows, name).alias(key) for key, name in zip(keys, columns, strict=True)))
    zone = zone_of(tz)
    if freq is None:
        return Grouped(rows, keys, tuple(names), None)
    period = (freq_of(freq), zone)
    return Grouped(add_period(rows, *period), (PERIOD, *keys), (PERIOD, *names), period)


def finish(frame: Frame, groups: Frame, grouped: Grouped, plan: Plan) -> Any:
    """Compute the figures of the groups, sort, name, and give the kind of frame that was given."""
    result = groups.with_columns(nw.lit(1).alias(EVERYTHING)).select(*grouped.keys, **plan.figures)
    floats = [name for name in plan.figures if result.collect_schema()[name].is_float()]
    result = round_columns(result, floats, RATE_PLACES)
    # Equal ones are sorted by their names, so that every engine gives the same order.
    before = [key for key in grouped.keys if key == PERIOD]
    after = [key for key in grouped.keys if key != PERIOD]
    down = [False] * len(before) + [True] + [False] * len(after)
    result = result.sort(*before, plan.first, *after, descending=down, nulls_last=True)
    if grouped.period is not None:
        result = localize_period(result, *grouped.period)
    result = result.rename(dict(zip(grouped.keys, grouped.names, strict=True)))
    native: Any = result.to_native()
    if result.implementation.is_pandas():
        types = {name: "Int64" if dtype.is_integer() else "float64" for name, dtype in result.schema.items()}
        native = native.astype({name: types[name] for name in plan.figures}).set_index(list(grouped.names))
        over_time = {} if grouped.period is None else dict(zip(("freq", "tz"), grouped.period, strict=True))
        native = ReportFrame(native)
        native.attrs = {"coverage": coverage_of(frame) | over_time, PROVENANCE: provenance(frame.to_native())}
    return native
