"""How generations ended, and which provider attempts failed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import narwhals as nw

from orstats.frame.cast_columns import Frame
from orstats.frame.validation import By
from orstats.reports.aggregation import Grouped, ReportSpec, finish, group
from orstats.reports.coverage import absent_columns
from orstats.reports.engines import aggregate, as_flag, finite, ratio, wrap
from orstats.reports.provider_attempts import COLUMNS, explode_attempts

_REASONS: Final = ("stop", "length", "tool_calls", "content_filter", "error")
#: Columns of an attempt that are added up.
_ATTEMPTS: Final[Mapping[str, Any]] = MappingProxyType(
    {name: nw.Float64 if name == "failed_attempt_ms" else nw.Int64 for name in COLUMNS[1:]}
)
_ENDS: Final = ("generations", *(f"finish_{reason}" for reason in (*_REASONS, "other", "missing")), "cancelled")


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
    >>> from orstats.frame.record_table import to_table
    >>> chain = [{"status": 503, "provider_name": "A", "latency": 327}, {"status": 200, "provider_name": "B"}]
    >>> record = {"provider_name": "B", "provider_responses": chain, "finish_reason": "stop"}
    >>> df = build_frame(["gen-1"], [to_table(["gen-1"], [record], [0.0])], {})
    >>> failures_by(df, "provider_name")[["attempts", "failed_attempts", "failed_attempt_ms"]].values.tolist()
    [[1, 1, 327.0], [1, 0, 0.0]]
    """
    spec = ReportSpec(
        required=("finish_reason", "cancelled", "cost_usd", "provider_responses"),
        sums=(*_ENDS, *_ATTEMPTS),
        usd=("failed_cost_usd",),
        metrics={
            **{name: nw.col(name) for name in _ENDS},
            "failed": nw.col("finish_error"),
            "failed_share": ratio("finish_error", "generations"),
            "failed_cost_usd": nw.col("failed_cost_usd"),
            "attempts": nw.col("attempts"),
            "failed_attempts": nw.col("failed_attempts"),
            "failed_attempt_share": ratio("failed_attempts", "attempts"),
            **{name: nw.col(name) for name in ("fallbacks", "unanswered", "failed_attempt_ms")},
        },
        sort_by="failed_attempts",
    )
    wrapped = wrap(frame)
    grouped = group(wrapped, spec, by, freq, tz)
    # Generations and attempts are summed one below the other: a provider may have only one of them.
    parts: list[Any] = [_count_ends(grouped), _count_attempts(grouped)]
    groups = aggregate(nw.concat(parts, how="vertical"), grouped.keys, spec.sums, usd=spec.usd)
    report = finish(wrapped, groups, grouped, spec)
    absent = absent_columns(frame)
    unknown = [*_ATTEMPTS, "failed_attempt_share"] if "provider_responses" in absent else []
    unknown += ["cancelled"] if "cancelled" in absent else []
    for name in unknown:
        report[name] = report[name].where(report[name].isna())
    return report


def _count_ends(grouped: Grouped) -> Frame:
    """Count how generations ended: each different text is compared once, not for each generation."""
    rows = grouped.rows.select(*grouped.keys, "finish_reason", "cancelled", cost=finite("cost_usd"))
    kinds = aggregate(rows, [*grouped.keys, "finish_reason", "cancelled"], [], usd=["cost"])
    reason = nw.col("finish_reason").cast(nw.String).str.strip_chars().str.to_lowercase()
    missing = reason.is_null() | (reason == "")
    ends = {
        **{f"finish_{one}": reason == one for one in _REASONS},
        "finish_other": ~missing & ~reason.is_in(_REASONS),
        "finish_missing": missing,
        "cancelled": nw.col("cancelled"),
    }
    return kinds.select(
        *grouped.keys,
        generations=nw.col("rows"),
        **{name: as_flag(end) * nw.col("rows") for name, end in ends.items()},
        failed_cost_usd=nw.when(ends["finish_error"] | ends["cancelled"]).then(nw.col("cost")).otherwise(nw.lit(0.0)),
        **{name: nw.lit(0).cast(dtype) for name, dtype in _ATTEMPTS.items()},
    )


def _count_attempts(grouped: Grouped) -> Frame:
    keys = list(grouped.keys)
    attempts = explode_attempts(grouped.rows, keys)
    if "provider_name" in grouped.names:
        key = keys[grouped.names.index("provider_name")]
        attempts = attempts.with_columns(nw.col("provider").alias(key))
    return aggregate(attempts, keys, list(_ATTEMPTS)).select(
        *keys,
        **{name: nw.lit(0).cast(nw.Int64) for name in _ENDS},
        failed_cost_usd=nw.lit(None).cast(nw.Float64),
        **{name: nw.col(name).cast(dtype) for name, dtype in _ATTEMPTS.items()},
    )
