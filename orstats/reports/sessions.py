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
from orstats.reports.coverage import PROVENANCE, coverage_of, provenance
from orstats.reports.engines import aggregate, finite, non_negative, valid_count, wrap
from orstats.text.format import usd

_NEEDED: Final = (
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
    require_columns(frame.collect_schema().names(), _NEEDED)
    status = {"fetch_status"} & set(frame.collect_schema().names())
    names = list(dict.fromkeys((key, *_NEEDED, *status)))
    rows: Any = ok_rows(cast_frame(frame.select(*names), names)).select(
        nw.col(key).alias(_KEY),
        "created_at",
        "model",
        "finish_reason",
        cost_usd=finite("cost_usd"),
        latency=non_negative("latency"),
        generation_time=non_negative("generation_time"),
        **{name: valid_count(name) for name in _NEEDED if "tokens" in name or name == "fallbacks"},
    )
    if isinstance(rows, nw.LazyFrame):
        rows = rows.collect("pyarrow")
    native: pd.DataFrame = rows.to_pandas() if not rows.implementation.is_pandas() else rows.to_native()
    is_known = native[_KEY].notna() & native["created_at"].notna()
    found = _summed(native[is_known], key)
    found.attrs = {"coverage": coverage_of(frame), PROVENANCE: provenance(frame.to_native())}
    if excluded := int((~is_known).sum()):
        amount = usd(money.total(native.loc[~is_known, "cost_usd"].astype("float64")))
        found.attrs["note"] = (
            f"{int(is_known.sum()):,} of {len(native):,} generations; {excluded:,} without {key} ({amount}) excluded."
        )
    return found


def _summed(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    codes, keys = pd.factorize(rows[_KEY], sort=True)
    began = rows["created_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]").astype("int64")
    lasted_ms = rows[["latency", "generation_time"]].astype("float64").max(axis=1).fillna(0.0).to_numpy()
    first, last, busy = _spans(codes, began, began + (lasted_ms * 1000).astype("int64"), len(keys))
    cached = rows["native_tokens_cached"].astype("float64")
    summed = pd.DataFrame(
        {
            _KEY: codes,
            "cost_usd": rows["cost_usd"].astype("float64"),
            "tokens_total": rows["tokens_total"].astype("Int64"),
            "cached": cached,
            "prompt": rows["native_tokens_prompt"].astype("float64").where(cached.notna()),
            "failed": rows["finish_reason"].astype("string").str.strip().str.lower().eq("error").fillna(value=False),
            "fallbacks": rows["fallbacks"].astype("Int64"),
        }
    )
    sums = ["tokens_total", "cached", "prompt", "failed", "fallbacks"]
    summed = summed.astype({"failed": "int64"})
    groups: Any = aggregate(nw.from_native(summed), [_KEY], sums, ["cost_usd"], usd=["cost_usd"]).to_native()
    groups = groups.set_index(_KEY).sort_index()
    result = pd.DataFrame(
        {
            "generations": groups["rows"].astype("Int64"),
            "models": rows["model"].groupby(codes).nunique().astype("Int64"),
            "cost_usd": groups["cost_usd"],
            "cost_unknown": (groups["rows"] - groups["cost_usd_n"]).astype("Int64"),
            "first_at": pd.DatetimeIndex(first.astype("datetime64[us]"), tz="UTC"),
            "last_at": pd.DatetimeIndex(last.astype("datetime64[us]"), tz="UTC"),
            "wall_s": (last - first) / _SECOND_US,
            "busy_s": busy / _SECOND_US,
            "tokens_total": groups["tokens_total"].astype("Int64"),
            "cache_hit_rate": groups["cached"] / groups["prompt"].where(groups["prompt"] > 0),
            "failed": groups["failed"].astype("Int64"),
            "fallbacks": groups["fallbacks"].astype("Int64"),
        }
    )
    result.index = pd.Index(keys, name=name)
    return ReportFrame(result.sort_values("cost_usd", ascending=False, kind="stable", na_position="last"))


def _spans(codes: Any, began: Any, ended: Any, count: int) -> tuple[Any, Any, Any]:
    """Return when each session begins and ends, and how long at least one generation was running, in µs."""
    order = np.lexsort((began, codes))
    codes, began, ended = codes[order], began[order], ended[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else np.empty(0, "int64")
    # The latest end so far within each session: an offset per session keeps one running maximum from crossing over.
    low = int(began.min()) if len(began) else 0
    width = (int(ended.max()) - low + 1) if len(ended) else 1
    reached = np.maximum.accumulate(ended - low + codes * width) + low - codes * width
    before = np.r_[began[:1], reached[:-1]]
    before[starts] = began[starts]
    busy = np.bincount(codes, weights=np.maximum(ended - np.maximum(began, before), 0), minlength=count)
    last = np.maximum.reduceat(ended, starts) if len(starts) else ended
    return began[starts], last, busy
