"""What failed: how generations ended, and what their attempts at providers cost in time."""

from __future__ import annotations

from functools import reduce
from typing import Any, Final

import narwhals as nw

from orstats.reports.aggregation import Grouped, Plan, finish, group
from orstats.reports.backends import By, Frame, aggregate, holds, number, ratio, wrap
from orstats.reports.provider_attempts import COLUMNS, tries

_REASONS: Final = ("stop", "length", "tool_calls", "content_filter", "error")
_ATTEMPTS: Final = COLUMNS[1:]
_NEEDS: Final = ("finish_reason", "cancelled", "cost_usd", "provider_responses")


def failures_by(frame: Any, by: By = "model", *, freq: str | None = None, tz: str = "UTC") -> Any:
    """Count how generations ended and how many provider attempts failed.

    Ids whose record could not be fetched are excluded: see :func:`orstats.failures` and the coverage.

    Parameters
    ----------
    frame, by, freq, tz
        As for :func:`orstats.cost_by`. With ``provider_name`` in `by`, a generation counts for the provider that
        answered, and an attempt for the provider that received it.

    Returns
    -------
    Same kind of frame as `frame`
        As of :func:`orstats.cost_by`, groups with the most failed attempts first:

        - ``generations``, and of them by ``finish_reason`` ``finish_stop``, ``finish_length``, ``finish_tool_calls``,
          ``finish_content_filter``, ``finish_error``, ``finish_other`` and ``finish_missing``;
        - ``cancelled`` by the caller; ``failed``, the same as ``finish_error``; ``failed_share`` of the generations;
        - ``failed_cost_usd``, the cost of generations that failed or were cancelled;
        - ``attempts`` at providers; ``failed_attempts``, those before the successful one (all if none succeeded);
          ``failed_attempt_share`` of the attempts; ``fallbacks``, failed attempts followed by another one;
          ``unanswered``, generations that no provider answered, counted at the last attempt; ``failed_attempt_ms``,
          total latency of the failed attempts, where known.

    Raises
    ------
    ConfigError
        As for :func:`orstats.cost_by`.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.arrow import to_table
    >>> chain = [{"status": 503, "provider_name": "A", "latency": 327}, {"status": 200, "provider_name": "B"}]
    >>> record = {"provider_name": "B", "provider_responses": chain, "finish_reason": "stop"}
    >>> df = build_frame(["gen-1"], [to_table(["gen-1"], [record], [0.0])], {})
    >>> failures_by(df, "provider_name")[["attempts", "failed_attempts", "failed_attempt_ms"]].values.tolist()
    [[1, 1, 327.0], [1, 0, 0.0]]
    """
    wrapped = wrap(frame)
    figures = {
        **{name: nw.col(name) for name in _ENDS},
        "failed": nw.col("finish_error"),
        "failed_share": ratio("finish_error", "generations"),
        "failed_cost_usd": nw.col("failed_cost_usd"),
        "attempts": nw.col("attempts"),
        "failed_attempts": nw.col("failed_attempts"),
        "failed_attempt_share": ratio("failed_attempts", "attempts"),
        "fallbacks": nw.col("fallbacks"),
        "unanswered": nw.col("unanswered"),
        "failed_attempt_ms": nw.col("failed_attempt_ms"),
    }
    plan = Plan(
        needs=_NEEDS,
        clean={},
        values={},
        sums=(*_ENDS, *_ATTEMPTS),
        figures=figures,
        first="failed_attempts",
        usd=("failed_cost_usd",),
    )
    grouped = group(wrapped, _NEEDS, by, freq, tz, figures=figures)
    # What groups have of either is summed, one below the other; so a group may have only one of them.
    parts: list[Any] = [_ended(grouped), _attempted(grouped)]
    both = nw.concat(parts, how="vertical")
    return finish(wrapped, aggregate(both, grouped.keys, plan.sums, usd=plan.usd), grouped, plan)


_ENDS: Final = ("generations", *(f"finish_{reason}" for reason in (*_REASONS, "other", "missing")), "cancelled")


def _ended(grouped: Grouped) -> Frame:
    """Count how generations ended; texts are compared once for each different one, not for each generation."""
    rows = grouped.rows.select(*grouped.keys, "finish_reason", "cancelled", cost=number("cost_usd"))
    kinds = aggregate(rows, [*grouped.keys, "finish_reason", "cancelled"], [], usd=["cost"])
    reason = nw.col("finish_reason").cast(nw.String).str.strip_chars().str.to_lowercase()
    missing = reason.is_null() | (reason == "")
    named = reduce(lambda some, one: some | (reason == one), _REASONS[1:], reason == _REASONS[0])
    ends = {
        **{f"finish_{one}": reason == one for one in _REASONS},
        "finish_other": ~missing & ~named,
        "finish_missing": missing,
        "cancelled": nw.col("cancelled"),
    }
    nothing = {name: _NO_TIME if name == "failed_attempt_ms" else _NOTHING for name in _ATTEMPTS}
    return kinds.select(
        *grouped.keys,
        generations=nw.col("rows"),
        **{name: holds(end) * nw.col("rows") for name, end in ends.items()},
        failed_cost_usd=nw.when(ends["finish_error"] | ends["cancelled"]).then(nw.col("cost")).otherwise(nw.lit(0.0)),
        **nothing,
    )


def _attempted(grouped: Grouped) -> Frame:
    keys = list(grouped.keys)
    attempts = tries(grouped.rows, keys)
    if "provider_name" in grouped.names:
        key = keys[grouped.names.index("provider_name")]
        attempts = attempts.with_columns(nw.col("provider").alias(key))
    return aggregate(attempts, keys, _ATTEMPTS).select(
        *keys,
        **dict.fromkeys(_ENDS, _NOTHING),
        failed_cost_usd=nw.lit(None).cast(nw.Float64),
        **{name: nw.col(name).cast(nw.Float64 if name == "failed_attempt_ms" else nw.Int64) for name in _ATTEMPTS},
    )


_NOTHING: Final = nw.lit(0).cast(nw.Int64)
_NO_TIME: Final = nw.lit(0.0).cast(nw.Float64)
