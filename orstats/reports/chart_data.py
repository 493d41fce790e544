"""What pictures are drawn from: groups ranked and folded, parts over time, distributions. No drawing here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame.validation import cast_columns, check_duplicates, require_pandas
from orstats.reports.backends import keys_of, wrap
from orstats.reports.backends import require as require_in
from orstats.reports.periods import Freq, all_starts, freq_of, moments, starts, utc_times
from orstats.text.sanitize import display_text
from orstats.text.time_zones import clock, zone_of

By = str | Sequence[str]

#: What stands for all groups beyond those that are shown.
OTHER: Final = "other"
#: The percentiles of a distribution.
PERCENTILES: Final = (0.5, 0.9, 0.95, 0.99)
#: More periods than this are narrower than a pixel of an ordinary plot: longer ones are drawn.
MOST_BUCKETS: Final = 1_000

#: What native tokens consist of, in the order of a stack.
TOKEN_PARTS: Final = ("prompt, not cached", "prompt, cached", "completion", "reasoning")

_TOKEN_COLUMNS: Final = (
    "native_tokens_prompt",
    "native_tokens_completion",
    "native_tokens_cached",
    "native_tokens_reasoning",
)
_LONGER: Final[dict[Freq, tuple[np.timedelta64, Freq]]] = {
    "hour": (np.timedelta64(1, "h"), "day"),
    "day": (np.timedelta64(1, "D"), "week"),
    "week": (np.timedelta64(7, "D"), "month"),
}

#: What of a frame is drawn.
_DRAWN: Final = (
    *("fetch_status", "created_at", "cost_usd", "tokens_total", "latency", "generation_time", "streamed"),
    *("external_user", *_TOKEN_COLUMNS),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One group and its value; ``folded`` counts the groups that a last bar of all others stands for."""

    name: str
    value: float
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Values of groups in periods without gaps; ``starts`` and ``ends`` are moments in the reader's time zone."""

    starts: pd.DatetimeIndex
    ends: pd.DatetimeIndex
    unit: str
    names: tuple[str, ...]
    amounts: np.ndarray[Any, np.dtype[np.float64]]
    """One line for each name, one column for each bucket."""
    folded: int = 0


@dataclass(frozen=True, slots=True)
class LatencyDistribution:
    """The distribution of one group: how many values, and :data:`PERCENTILES` of them."""

    name: str
    streamed: bool
    count: int
    percentiles: tuple[float, ...]


def rows_by(df: pd.DataFrame, by: By | None) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that were fetched, with the levels of the index as columns, and the columns to group by."""
    require_pandas(df)
    frame = wrap(df)
    columns = keys_of(frame, "model" if by is None else by)
    if not columns:
        raise ConfigError("by must name a column, got an empty list.")
    return ok_rows(frame.to_native()), columns


def require(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise :class:`~orstats.errors.ConfigError` for a column that is not there."""
    require_in(wrap(frame), names)


def ok_rows(df: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that were fetched; all of them when the frame does not say."""
    require_pandas(df)
    df = cast_columns(check_duplicates(df), _DRAWN)
    if "fetch_status" not in df.columns:
        return df
    return df.loc[df["fetch_status"].eq("ok").fillna(value=False).astype(bool)]


def ranking(rows: pd.DataFrame, columns: Sequence[str], measure: str, most: int) -> list[Bar]:
    """Sum a measure by group, largest first; beyond ``most`` groups the rest is one last bar.

    Groups of which nothing is known are left out.
    """
    require(rows, [measure])
    usable = rows.loc[rows[measure].notna()]
    number, names = _numbered(usable, columns)
    sums = np.bincount(number, usable[measure].to_numpy(dtype="float64"), minlength=len(names))
    bars = [Bar(names[at], float(sums[at])) for at in np.argsort(-sums, kind="stable")]
    if len(bars) <= most:
        return bars
    rest = bars[most - 1 :]
    return [*bars[: most - 1], Bar(f"{OTHER} ({len(rest)} more)", sum(bar.value for bar in rest), len(rest))]


def timeline(
    rows: pd.DataFrame, columns: Sequence[str], measure: str, *, freq: str, tz: str, most: int
) -> Timeline | None:
    """Sum a measure by group and time bucket, largest group first; None when nothing is known."""
    require(rows, [measure, "created_at"])
    usable = rows.loc[rows[measure].notna() & rows["created_at"].notna()]
    ordinals, edges, unit = periods(usable["created_at"], freq=freq, tz=tz)
    if usable.empty:
        return None
    values = usable[measure].to_numpy(dtype="float64")
    number, names = _numbered(usable, columns)
    order = np.argsort(-np.bincount(number, values), kind="stable")
    kept = len(order) if len(order) <= most else most - 1
    place = np.empty(len(order), dtype=int)
    place[order] = np.minimum(np.arange(len(order)), kept)
    sums = np.zeros((kept + (len(order) > kept), len(edges) - 1))
    np.add.at(sums, (place[number], ordinals), values)
    shown = [names[at] for at in order[:kept]]
    if folded := len(order) - kept:
        shown.append(f"{OTHER} ({folded} more)")
    return Timeline(edges[:-1], edges[1:], unit, tuple(shown), sums, folded)


def percentiles_over_time(
    rows: pd.DataFrame, columns: Sequence[str] | None, measure: str, *, freq: str, tz: str, most: int
) -> Timeline | None:
    """Return percentiles of a measure for each time bucket, missing where a bucket has no values.

    Without columns 50, 90, 95 and 99 % of all; with columns the median of the groups with the most rows.
    """
    require(rows, [measure, "created_at"])
    usable = rows.loc[rows[measure].notna() & rows["created_at"].notna()]
    ordinals, edges, unit = periods(usable["created_at"], freq=freq, tz=tz)
    if usable.empty:
        return None
    values = pd.Series(usable[measure].to_numpy(dtype="float64"))
    every = range(len(edges) - 1)
    if columns is None:
        table = values.groupby(ordinals).quantile(np.array(PERCENTILES)).unstack()  # noqa: PD010 - nothing to sum
        table = table.reindex(every)
        names, left_out = [f"p{share * 100:g}" for share in PERCENTILES], 0
    else:
        number, groups = _numbered(usable, columns)
        chosen = np.argsort(-np.bincount(number), kind="stable")[:most]
        table = values.groupby([ordinals, number]).median().unstack()  # noqa: PD010 - nothing to sum
        table = table.reindex(index=every, columns=chosen)
        names, left_out = [groups[at] for at in chosen], len(groups) - len(chosen)
    return Timeline(edges[:-1], edges[1:], unit, tuple(names), table.to_numpy(dtype="float64").T, left_out)


def token_parts(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return native tokens in parts that add up, one row for each row and part: ``part`` and ``tokens``."""
    require(rows, ["created_at", *_TOKEN_COLUMNS])
    prompt, completion, cached, reasoning = (rows[name].astype("Float64") for name in _TOKEN_COLUMNS)
    cached = cached.fillna(prompt * 0.0).clip(upper=prompt)  # none of what is not known is not 0
    reasoning = reasoning.fillna(completion * 0.0).clip(upper=completion)
    parts = dict(zip(TOKEN_PARTS, (prompt - cached, cached, completion - reasoning, reasoning), strict=True))
    kept = rows[[*dict.fromkeys([*columns, "created_at"])]]
    return pd.concat([kept.assign(part=name, tokens=values) for name, values in parts.items()], ignore_index=True)


def stacks(parts: pd.DataFrame, columns: Sequence[str], bars: Sequence[Bar]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Split ranked bars of tokens into :data:`TOKEN_PARTS`: one line for each part, one column for each bar."""
    number, names = _numbered(parts, columns)
    sums = np.zeros((len(TOKEN_PARTS), len(names)))
    known = parts["tokens"].notna().to_numpy()
    part = parts["part"].map({name: at for at, name in enumerate(TOKEN_PARTS)}).to_numpy()
    np.add.at(sums, (part[known], number[known]), parts["tokens"][known].to_numpy(dtype="float64"))
    order = np.argsort(-sums.sum(axis=0), kind="stable")
    whole = len(bars) - (bars[-1].folded > 0)
    shown = [sums[:, order[:whole]]]
    if whole < len(bars):
        shown.append(sums[:, order[whole:]].sum(axis=1, keepdims=True))
    return np.concatenate(shown, axis=1)


def periods(created: pd.Series[Any], *, freq: str, tz: str) -> tuple[npt.NDArray[np.intp], pd.DatetimeIndex, Freq]:
    """Give numbers to the periods of times by the clock of a zone."""
    unit, zone = freq_of(freq), zone_of(tz)
    utc = utc_times(created)
    started = starts(utc, unit, zone)
    while len(utc) and unit in _LONGER and (started.max() - started.min()) / _LONGER[unit][0] >= MOST_BUCKETS:
        unit = _LONGER[unit][1]
        started = starts(utc, unit, zone)
    every = all_starts(started, unit, zone)
    edges = pd.DatetimeIndex(moments(every, unit, zone), tz="UTC").tz_convert(clock(zone))
    return np.searchsorted(every, started), edges, unit


def latency_distributions(
    rows: pd.DataFrame, columns: Sequence[str], measure: str, most: int
) -> tuple[list[LatencyDistribution], int]:
    """Return the distributions by group, streamed and other rows apart, for the groups with the most rows."""
    require(rows, [measure, "streamed"])
    usable = rows.loc[rows[measure].notna()]
    values = usable[measure].to_numpy(dtype="float64")
    flags = usable["streamed"].eq(other=True).fillna(value=False).astype(bool).to_numpy()
    number, names = _numbered(usable, columns)
    sizes = np.bincount(number, minlength=len(names))
    found = []
    for at in np.argsort(-sizes, kind="stable")[:most]:
        parts = [(flag, values[(number == at) & (flags == flag)]) for flag in (True, False)]
        found.append([_distribution(names[at], flag, part) for flag, part in parts if len(part)])
    found.sort(key=lambda group: -group[0].percentiles[0])
    return [lane for group in found for lane in group], len(names) - len(found)


def _distribution(name: str, streamed: bool, values: np.ndarray[Any, np.dtype[np.float64]]) -> LatencyDistribution:
    return LatencyDistribution(
        name, streamed, len(values), tuple(float(value) for value in np.quantile(values, PERCENTILES))
    )


def _name(key: Any) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return " · ".join(display_text(part) for part in parts)


def _numbered(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[str]]:
    """Return the number of each row's group, and the groups' names."""
    groups = rows.groupby(list(columns), dropna=False, observed=True)
    number = groups.ngroup().to_numpy(dtype="int64")
    firsts = np.unique(number, return_index=True)[1]
    values = [rows[name].iloc[firsts].to_list() for name in columns]
    return np.asarray(number), [_name(key) for key in zip(*values, strict=True)]
