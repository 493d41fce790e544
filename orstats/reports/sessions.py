"""What each session or request cost, how long it took and what failed in it."""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame import money
from orstats.frame.cast_columns import cast_frame
from orstats.frame.display import ReportFrame
from orstats.frame.validation import group_keys, ok_rows, require_columns
from orstats.reports.coverage import PROVENANCE, absent_columns, absent_note, coverage_of, provenance
from orstats.reports.engines import wrap
from orstats.reports.group_sums import count_totals, finite_numbers, valid_counts
from orstats.text.format import usd

#: The columns that :func:`sessions` reads, beside the one that it groups by.
COLUMNS: Final = (
    "created_at",
    "model",
    "cost_usd",
    "latency",
    "generation_time",
    "tokens_total",
    "native_tokens_prompt",
    "native_tokens_cached",
    "finish_reason",
    "fallbacks",
)
_KEY: Final = "key"
_SECOND_US: Final = 1e6
#: Longer durations, 30 years, are not of this world, and would overflow.
_LONGEST_MS: Final = 1e12
#: Of integers that hold a group and a time.
_PACKED_BITS: Final = 62
#: Pairs of a session and a model up to this number are counted in a table of them, which is the fastest.
_MOST_CELLS: Final = 20_000_000


def sessions(df: Any, by: str = "session_id") -> pd.DataFrame:
    """Sum up each session: how long it took, what it cost, and what failed in it.

    Parameters
    ----------
    df : DataFrame
        From :func:`orstats.fetch`, or the same columns in Polars, DuckDB or PySpark. Rows that are not ``ok``, have no
        time or belong to no session are excluded.
    by : str
        The column that names the session: ``session_id``, ``request_id``, ``external_user`` or another one.

    Returns
    -------
    pandas.DataFrame
        Indexed by `by`, the most expensive session first, for every engine:

        - ``generations`` and the number of ``models``;
        - ``cost_usd`` that is known, and ``cost_unknown``, the generations that it excludes;
        - ``first_at``, when the first generation began, and ``last_at``, when the last one ended (UTC);
        - ``wall_s`` between the two, and ``busy_s`` of it during which at least one generation was running. The rest
          is the user's or the program's own time;
        - ``tokens_total``; ``cache_hit_rate``, cached of prompt tokens (0 to 1);
        - ``failed``, generations that ended with an error, and ``fallbacks``, failed provider attempts that were
          followed by another one.

        ``.attrs["note"]``, which is also shown, says how many generations have no session and what they cost; the
        coverage is in ``.attrs["coverage"]``.

    Raises
    ------
    ConfigError
        A column is missing, `by` is not one column, or `df` is not a supported DataFrame.

    Notes
    -----
    A generation ends ``generation_time`` or ``latency`` after it was created, whichever is longer. Generations of
    unknown duration count as instants.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(200) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> found = orstats.sessions(df)
    >>> bool((found["busy_s"] <= found["wall_s"] + 1e-6).all()), found.index.name
    (True, 'session_id')
    """
    frame = wrap(df)
    keys = group_keys(frame, by)
    if len(keys) != 1:
        raise ConfigError(f"by must be one column, got {len(keys)}.")
    (key,) = keys
    require_columns(frame.collect_schema().names(), COLUMNS)
    status = {"fetch_status"} & set(frame.collect_schema().names())
    names = list(dict.fromkeys((key, *COLUMNS, *status)))
    rows: Any = ok_rows(cast_frame(frame.select(*names), names)).select(nw.col(key).alias(_KEY), *COLUMNS)
    if isinstance(rows, nw.LazyFrame):
        rows = rows.collect("pyarrow")
    native: pd.DataFrame = rows.to_pandas() if not rows.implementation.is_pandas() else rows.to_native()
    is_known = (native[_KEY].notna() & native["created_at"].notna()).to_numpy()
    found = _summed(native if is_known.all() else native[is_known], key)
    found.attrs = {"coverage": coverage_of(frame), PROVENANCE: provenance(frame.to_native())}
    if "fallbacks" in absent_columns(frame.to_native()):
        found["fallbacks"] = pd.Series(pd.NA, found.index, dtype="Int64")
    note = absent_note(frame.to_native(), COLUMNS)
    if excluded := int((~is_known).sum()):
        amount = usd(money.total(pd.Series(finite_numbers(native["cost_usd"])[~is_known])))
        counts = f"{int(is_known.sum()):,} of {len(native):,} generations"
        note = f"{counts}; {excluded:,} without {key} ({amount}) excluded. {note}".rstrip()
    if note:
        found.attrs["note"] = note
    return found


def _summed(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    codes, keys = pd.factorize(rows[_KEY], sort=True)
    count = len(keys)
    began = rows["created_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]").astype("int64")
    lasted_ms = np.fmax(*(finite_numbers(rows[each], least=0.0) for each in ("latency", "generation_time")))
    lasted_us = np.minimum(np.nan_to_num(lasted_ms), _LONGEST_MS) * 1000
    first, last, busy = _spans(codes, began, began + lasted_us.astype("int64"), count)
    cost = finite_numbers(rows["cost_usd"])
    prompt, cached = (valid_counts(rows[f"native_tokens_{part}"]) for part in ("prompt", "cached"))
    prompt = np.where(np.isnan(cached), np.nan, prompt)  # the column may be the caller's, or read-only
    cached_sum, prompt_sum = (pd.Series(count_totals(part, codes, count)) for part in (cached, prompt))
    failed = rows["finish_reason"].astype("string").str.strip().str.lower().eq("error").fillna(value=False)
    result = pd.DataFrame(
        {
            "generations": pd.array(np.bincount(codes, minlength=count), "Int64"),
            "models": pd.array(_distinct(codes, pd.factorize(rows["model"])[0], count), "Int64"),
            "cost_usd": money.group_totals(cost, codes, count),
            "cost_unknown": pd.array(np.bincount(codes[np.isnan(cost)], minlength=count), "Int64"),
            "first_at": pd.DatetimeIndex(first.astype("datetime64[us]"), tz="UTC"),
            "last_at": pd.DatetimeIndex(last.astype("datetime64[us]"), tz="UTC"),
            "wall_s": (last - first) / _SECOND_US,
            "busy_s": busy / _SECOND_US,
            "tokens_total": count_totals(valid_counts(rows["tokens_total"]), codes, count),
            "cache_hit_rate": (cached_sum / prompt_sum.where(prompt_sum > 0)).astype("float64"),
            "failed": pd.array(np.bincount(codes[failed.to_numpy(dtype=bool)], minlength=count), "Int64"),
            "fallbacks": count_totals(valid_counts(rows["fallbacks"]), codes, count),
        }
    )
    result.index = pd.Index(keys, name=name)
    return ReportFrame(result.sort_values("cost_usd", ascending=False, kind="stable", na_position="last"))


def _distinct(codes: Any, values: Any, count: int) -> Any:
    """Count the different values of each group; -1 is a missing value."""
    codes, values = codes[values >= 0], values[values >= 0]
    kinds = int(values.max()) + 1 if len(values) else 0
    if count * kinds <= _MOST_CELLS:
        seen = np.zeros((count, kinds), dtype=bool)
        seen[codes, values] = True
        return seen.sum(axis=1)
    return np.bincount(np.unique(codes * kinds + values) // kinds, minlength=count)


def _spans(codes: Any, began: Any, ended: Any, count: int) -> tuple[Any, Any, Any]:
    """Return when each session begins and ends, and how long at least one generation was running, in µs.

    Before a generation begins, nothing runs if as many have ended as have begun. So the idle times are the gaps between
    the ends and the next beginnings, both in order.
    """
    if not len(codes):
        return began, ended, began
    begins, ends = _sorted_in_groups(codes, began, count), _sorted_in_groups(codes, ended, count)
    sizes = np.bincount(codes, minlength=count)
    lasts = np.cumsum(sizes) - 1
    firsts = lasts - sizes + 1
    idle = np.empty_like(begins)
    np.subtract(begins[1:], ends[:-1], out=idle[:-1])
    idle[lasts] = 0  # after the last one, no other follows in this session
    first, last = begins[firsts], ends[lasts]
    return first, last, last - first - np.add.reduceat(np.maximum(idle, 0, out=idle), firsts)


def _sorted_in_groups(codes: Any, values: Any, count: int) -> Any:
    """Sort integers within each group. One sort of packed integers is many times faster than one of pairs."""
    low = int(values.min())
    bits = (int(values.max()) - low).bit_length()
    if bits + count.bit_length() <= _PACKED_BITS:
        return (np.sort((codes.astype("int64") << bits) | (values - low)) & ((1 << bits) - 1)) + low
    return values[np.lexsort((values, codes))]
