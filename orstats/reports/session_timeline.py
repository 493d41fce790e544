"""When each generation of a session ran, and what ran at the same time: the numbers behind the timeline."""

from __future__ import annotations

import heapq
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame.validation import require_columns
from orstats.text.suggest import unknown

_NEEDED: Final = ("created_at", "latency", "generation_time", "streamed", "fallback_ms", "fetch_status")
_CANDIDATES: Final = 500


def session_rows(df: pd.DataFrame, session_id: str, by: str = "session_id") -> pd.DataFrame:
    """Return the generations of one session that have a time, in the order in which they began.

    Raises
    ------
    ConfigError
        ``df`` lacks a column, or has no such session; the message names the most similar ones.
    """
    require_columns([str(name) for name in df.columns], (by, *_NEEDED))
    keys = df[by].astype("string")
    chosen = df[(keys == session_id).fillna(value=False) & df["created_at"].notna() & (df["fetch_status"] == "ok")]
    if chosen.empty:
        known = [str(key) for key in keys.dropna().unique()]
        alike = heapq.nlargest(_CANDIDATES, known, key=lambda key: _common(key, session_id))
        hint = f"The DataFrame has {len(known):,} values of {by} (orstats.sessions lists them)."
        raise ConfigError(unknown("session", session_id, alike, hint=hint))
    return chosen.sort_values("created_at", kind="stable")


def timeline(rows: pd.DataFrame) -> pd.DataFrame:
    """Return when each generation ran, in ms from the beginning of the first.

    Columns: ``began_ms``; ``failed_ms`` of failed attempts, then ``first_token_ms`` until the first token (0 where the
    response was not streamed), then ``rest_ms``; ``ended_ms``; ``idle_ms`` before it in which nothing ran; and
    ``lane``, the lowest number that no overlapping generation has.
    """
    began = (
        rows["created_at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]").astype("int64") / 1e3
    )
    began = began - began[0]
    failed, latency, total = (_milliseconds(rows[name]) for name in ("fallback_ms", "latency", "generation_time"))
    whole = np.maximum(latency, total)
    first = np.where(rows["streamed"].astype("boolean").fillna(value=False).to_numpy(bool), latency, 0.0)
    ended = began + failed + whole
    reached = np.maximum.accumulate(ended)
    idle = np.r_[0.0, np.maximum(began[1:] - reached[:-1], 0.0)]
    return pd.DataFrame(
        {
            "began_ms": began,
            "failed_ms": failed,
            "first_token_ms": first,
            "rest_ms": whole - first,
            "ended_ms": ended,
            "idle_ms": idle,
            "lane": _lanes(began, ended),
        },
        index=rows.index,
    )


def _common(one: str, other: str) -> int:
    """Return the number of characters with which both begin."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _milliseconds(column: pd.Series[Any]) -> Any:
    values = column.astype("float64").to_numpy()
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def _lanes(began: Any, ended: Any) -> list[int]:
    """Give each generation the lowest lane that is free when it begins."""
    running: list[tuple[float, int]] = []
    free: list[int] = []
    lanes = []
    for start, end in zip(began, ended, strict=True):
        while running and running[0][0] <= start:
            heapq.heappush(free, heapq.heappop(running)[1])
        lane = heapq.heappop(free) if free else len(running)
        heapq.heappush(running, (end, lane))
        lanes.append(lane)
    return lanes
