"""What charts are drawn from: ranked and folded groups, periods without gaps, distributions. No drawing here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame.cast_columns import cast_columns, wrap_native
from orstats.frame.validation import (
    check_duplicates,
    group_keys,
    listed,
    ok_rows,
    require_columns,
    require_pandas,
)
from orstats.reports.engines import wrap
from orstats.reports.incomplete_periods import DataRange, Incomplete, incomplete_periods
from orstats.reports.periods import PERIOD, Freq, all_periods, freq_of, period_moments, period_starts, utc_times
from orstats.text.sanitize import display_text
from orstats.text.suggest import unknown
from orstats.text.time_zones import clock, zone_of

By = str | Sequence[str]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.integer[Any]]

#: The name of all groups beyond those that are shown.
OTHER: Final = "other"
#: The percentiles of a distribution.
PERCENTILES: Final = (0.5, 0.9, 0.95, 0.99)
#: More periods than this are narrower than a pixel of an ordinary plot: longer ones are drawn.
MOST_BUCKETS: Final = 1_000

#: The parts of native tokens, in the order of a stack.
TOKEN_PARTS: Final = ("Prompt, not cached", "Prompt, cached", "Completion, other", "Completion, reasoning")

_TOKEN_COLUMNS: Final = tuple(f"native_tokens_{part}" for part in ("prompt", "completion", "cached", "reasoning"))
_LONGER: Final[dict[Freq, tuple[np.timedelta64, Freq]]] = {
    "hour": (np.timedelta64(1, "h"), "day"),
    "day": (np.timedelta64(1, "D"), "week"),
    "week": (np.timedelta64(7, "D"), "month"),
}
#: The columns of a DataFrame that charts read.
_DRAWN: Final = (
    *("fetch_status", "created_at", "cost_usd", "tokens_total", "latency", "generation_time", "streamed"),
    *("external_user", *_TOKEN_COLUMNS),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One group and its value; in a last bar of all other groups, ``folded`` counts them."""

    name: str
    value: float
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Values of groups in periods without gaps; ``starts`` and ``ends`` are moments in the reader's time zone."""

    starts: pd.DatetimeIndex
    ends: pd.DatetimeIndex
    unit: Freq
    names: tuple[str, ...]
    amounts: Floats
    """One row for each name, one column for each period."""
    folded: int = 0
    incomplete: tuple[Incomplete, ...] = ()
    """Which of the first and the last period are incomplete, or may be."""

    def incomplete_columns(self) -> Booleans:
        """Whether each period is incomplete, or may be."""
        columns = np.zeros(len(self.starts), dtype=bool)
        for one in self.incomplete:
            columns[0 if one.is_first else -1] = True
        return columns

    def middles(self) -> pd.DatetimeIndex:
        """Return the moment in the middle of each period."""
        return self.starts + (self.ends - self.starts) / 2

    def labels(self) -> list[str]:
        """Name the periods, and add the UTC offset to hours that occur twice."""
        if self.unit == "quarter":
            return [f"Q{start.quarter} {start.year}" for start in self.starts]
        form = {"hour": "%d %b %H:%M", "month": "%b %Y", "year": "%Y"}.get(self.unit, "%d %b %Y")
        labels: list[str] = self.starts.strftime(form).to_list()
        if len(set(labels)) == len(labels):
            return labels
        return [f"{label} {start.isoformat()[-6:]}" for label, start in zip(labels, self.starts, strict=True)]


@dataclass(frozen=True, slots=True)
class LatencyDistribution:
    """The latencies of one group: how many there are, and :data:`PERCENTILES` of them."""

    name: str
    streamed: bool
    count: int
    percentiles: tuple[float, ...]


def rows_by(df: pd.DataFrame, by: By | None) -> tuple[pd.DataFrame, list[str]]:
    """Return the fetched rows, with the index levels as columns, and the columns to group by."""
    require_pandas(df)
    frame = wrap(df)
    columns = group_keys(frame, "model" if by is None else by)
    if not columns:
        raise ConfigError("by must name a column, got an empty list.")
    return fetched_rows(frame.to_native()), columns


def report_rows(
    df: pd.DataFrame, by: By | None, freq: str | None, tz: str
) -> tuple[pd.DataFrame, list[str], str | None, str] | None:
    """Return the groups of a report, such as of ``orstats.usage``, as rows, with its columns, periods and time zone.

    None for a DataFrame of generations.
    """
    require_pandas(df)
    names = [str(name) for name in df.index.names if name is not None]
    if not names or "cost_usd" not in df.columns or {"created_at", "fetch_status"} & set(df.columns):
        return None
    groups = [name for name in names if name != PERIOD]
    columns = groups if by is None else list(dict.fromkeys(listed(by)))
    for name in columns:
        if name not in groups:
            raise ConfigError(unknown("group", name, groups, hint=f"The report is grouped by {', '.join(names)}."))
    made = df.attrs.get("coverage", {})
    if PERIOD not in names:
        if freq is not None:
            raise ConfigError("The report has no periods: pass freq to the function that made it.")
        return df.reset_index(), columns, None, tz
    rows = df.reset_index().rename(columns={PERIOD: "created_at"})
    if not columns:
        rows, columns = rows.assign(total="total"), ["total"]
    return rows, columns, freq or made.get("freq", "day"), made.get("tz", tz)


def fetched_rows(df: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose record was fetched, with the columns that charts read cast to their dtypes."""
    require_pandas(df)
    rows: pd.DataFrame = ok_rows(wrap_native(cast_columns(check_duplicates(df), _DRAWN))).to_native()
    return rows


def ranking(rows: pd.DataFrame, columns: Sequence[str], measure: str, most: int) -> list[Bar]:
    """Sum a measure by group, largest first; beyond ``most`` groups the last bar is all others.

    Groups without a known value are omitted.
    """
    require_columns(list(rows.columns), [measure])
    known = rows.loc[rows[measure].notna()]
    groups, names = _group_numbers(known, columns)
    sums = np.bincount(groups, known[measure].to_numpy(dtype="float64"), minlength=len(names))
    bar_of, shown, folded = _fold(sums, names, most)
    values = np.bincount(bar_of, sums, minlength=len(shown))
    bars = [Bar(name, float(value)) for name, value in zip(shown, values, strict=True)]
    return [*bars[:-1], replace(bars[-1], folded=folded)] if folded else bars


def timeline(
    rows: pd.DataFrame, columns: Sequence[str], measure: str, known_range: DataRange, *, freq: str, tz: str, most: int
) -> Timeline | None:
    """Sum a measure by group and period, largest group first; None when no value is known."""
    known, periods = _dated(rows, measure, freq, tz)
    if not len(known):
        return None
    values = known[measure].to_numpy(dtype="float64")
    groups, names = _group_numbers(known, columns)
    line_of, shown, folded = _fold(np.bincount(groups, values), names, most)
    sums = np.zeros((len(shown), len(periods.starts)))
    np.add.at(sums, (line_of[groups], periods.of_rows), values)
    incomplete = incomplete_periods(periods.starts, periods.ends, periods.unit, known_range)
    return Timeline(periods.starts, periods.ends, periods.unit, tuple(shown), sums, folded, incomplete)


def latency_over_time(
    rows: pd.DataFrame, columns: Sequence[str] | None, known_range: DataRange, *, freq: str, tz: str, most: int
) -> Timeline | None:
    """Return percentiles of the latency in each period, missing where a period has no values.

    Without columns these are :data:`PERCENTILES` of all rows; with columns the medians of the groups with most rows.
    """
    known, periods = _dated(rows, "latency", freq, tz)
    if not len(known):
        return None
    values = pd.Series(known["latency"].to_numpy(dtype="float64"))
    if columns is None:
        table = values.groupby(periods.of_rows).quantile(np.array(PERCENTILES)).unstack()  # noqa: PD010 - nothing to sum
        names = [f"p{share * 100:g}" + " (median)" * (share == 0.5) for share in PERCENTILES]  # noqa: PLR2004
    else:
        groups, every = _group_numbers(known, columns)
        chosen = np.argsort(-np.bincount(groups), kind="stable")[:most]
        table = values.groupby([periods.of_rows, groups]).median().unstack()[chosen]  # noqa: PD010 - nothing to sum
        names = [every[group] for group in chosen]
    amounts = table.reindex(range(len(periods.starts))).to_numpy(dtype="float64").T
    incomplete = incomplete_periods(periods.starts, periods.ends, periods.unit, known_range)
    return Timeline(periods.starts, periods.ends, periods.unit, tuple(names), amounts, incomplete=incomplete)


def latency_distributions(
    rows: pd.DataFrame, columns: Sequence[str], most: int
) -> tuple[list[list[LatencyDistribution]], int]:
    """Return the distributions of the groups with most rows, streamed rows apart, and the number of omitted groups."""
    known = rows.loc[rows["latency"].notna()]
    values = known["latency"].to_numpy(dtype="float64")
    streamed = known["streamed"].eq(other=True).fillna(value=False).astype(bool).to_numpy()
    groups, names = _group_numbers(known, columns)
    found = []
    for group in np.argsort(-np.bincount(groups, minlength=len(names)), kind="stable")[:most]:
        parts = [(flag, values[(groups == group) & (streamed == flag)]) for flag in (True, False)]
        found.append(
            [
                LatencyDistribution(names[group], flag, len(part), tuple(np.quantile(part, PERCENTILES).tolist()))
                for flag, part in parts
                if len(part)
            ]
        )
    found.sort(key=lambda group: -group[0].percentiles[0])
    return found, len(names) - len(found)


def token_parts(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the parts of ``tokens_total`` where it is known, one row for each row and part: ``part``, ``tokens``."""
    require_columns(list(rows.columns), ["created_at", "tokens_total", *_TOKEN_COLUMNS])
    rows = rows.loc[rows["tokens_total"].notna()]
    prompt, completion, cached, reasoning = (rows[name].astype("Float64") for name in _TOKEN_COLUMNS)
    cached = cached.fillna(prompt * 0.0).clip(upper=prompt)  # missing where the prompt is
    reasoning = reasoning.fillna(completion * 0.0).clip(upper=completion)
    parts = dict(zip(TOKEN_PARTS, (prompt - cached, cached, completion - reasoning, reasoning), strict=True))
    kept = rows[[*dict.fromkeys([*columns, "created_at"])]]
    return pd.concat([kept.assign(part=name, tokens=values) for name, values in parts.items()], ignore_index=True)


def token_stacks(parts: pd.DataFrame, columns: Sequence[str], most: int) -> Floats:
    """Split the bars of :func:`ranking` into :data:`TOKEN_PARTS`: one row for each part, one column for each bar."""
    known = parts.loc[parts["tokens"].notna()]
    groups, names = _group_numbers(known, columns)
    part = known["part"].map({name: at for at, name in enumerate(TOKEN_PARTS)}).to_numpy()
    sums = np.zeros((len(TOKEN_PARTS), len(names)))
    np.add.at(sums, (part, groups), known["tokens"].to_numpy(dtype="float64"))
    bar_of, shown, _ = _fold(sums.sum(axis=0), names, most)
    return np.stack([np.bincount(bar_of, line, minlength=len(shown)) for line in sums])


@dataclass(frozen=True, slots=True)
class _Periods:
    """The periods from the first row to the last, without gaps, and that of each row."""

    starts: pd.DatetimeIndex
    ends: pd.DatetimeIndex
    unit: Freq
    of_rows: Indices


def _dated(rows: pd.DataFrame, measure: str, freq: str, tz: str) -> tuple[pd.DataFrame, _Periods]:
    """Return the rows with a creation time and a value, and their periods on the clock of a time zone."""
    require_columns(list(rows.columns), [measure, "created_at"])
    known = rows.loc[rows[measure].notna() & rows["created_at"].notna()]
    unit, zone = freq_of(freq), zone_of(tz)
    utc = utc_times(known["created_at"])
    starts = period_starts(utc, unit, zone)
    while len(utc) and unit in _LONGER and (starts.max() - starts.min()) / _LONGER[unit][0] >= MOST_BUCKETS:
        unit = _LONGER[unit][1]
        starts = period_starts(utc, unit, zone)
    every = all_periods(starts, unit, zone)
    edges = pd.DatetimeIndex(period_moments(every, unit, zone), tz="UTC").tz_convert(clock(zone))
    return known, _Periods(edges[:-1], edges[1:], unit, np.searchsorted(every, starts))


def _fold(sums: Floats | Indices, names: Sequence[str], most: int) -> tuple[Indices, list[str], int]:
    """Rank groups, largest first, and fold those beyond ``most`` into one.

    Return the rank of each group, the names in that order, and how many groups are folded.
    """
    order = np.argsort(-sums, kind="stable")
    kept = len(order) if len(order) <= most else most - 1
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.minimum(np.arange(len(order)), kept)
    folded = len(order) - kept
    others = [f"{OTHER} ({folded} more)"] if folded else []
    return rank, [names[group] for group in order[:kept]] + others, folded


def _group_numbers(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[Indices, list[str]]:
    """Return the number of each row's group, and the names of the groups."""
    numbers = rows.groupby(list(columns), dropna=False, observed=True).ngroup().to_numpy(dtype=np.intp)
    firsts = np.unique(numbers, return_index=True)[1]
    keys = zip(*(rows[name].iloc[firsts].to_list() for name in columns), strict=True)
    return numbers, [" · ".join(display_text(part) for part in key) for key in keys]
