"""What a report covers: how many generations were asked for, and of how many of them what is known."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from orstats.analysis.engines import Frame, holds, names_of, number, require, wrap


def coverage(frame: Any) -> dict[str, int | float | None]:
    """Count what a report of a frame rests on.

    A report of a pandas frame carries it as ``.attrs["coverage"]``; the frames of other engines have no place for it.

    Parameters
    ----------
    frame
        A frame of :func:`orstats.fetch`, or the same columns in Polars, DuckDB or PySpark. Without ``fetch_status``,
        as in an archive, every row is ok.

    Returns
    -------
    dict
        ``asked`` (rows), ``ok``, ``pending`` (too young to be found), ``missing`` (neither ok nor pending); of the ok
        ones ``cost_unknown``, ``byok`` (with your own provider keys) and ``byok_share`` (0 to 1; None when none is
        ok). Plain numbers: they go into JSON as they are.

    Raises
    ------
    ConfigError
        Not such a frame, or a column is missing.

    Examples
    --------
    >>> from orstats.data.frame.frame import Outcome, assemble, to_table
    >>> table = to_table(["gen-1"], [{"total_cost": 0.5, "is_byok": False}], [0.0])
    >>> coverage(assemble(["gen-1", "gen-2"], [table], {"gen-2": Outcome("pending", 404, 1, "Not yet.")}))
    {'asked': 2, 'ok': 1, 'pending': 1, 'missing': 0, 'cost_unknown': 0, 'byok': 0, 'byok_share': 0.0}
    """
    return coverage_of(wrap(frame))


def coverage_of(frame: Frame) -> dict[str, int | float | None]:
    """Do the same for a wrapped frame."""
    require(frame, ["cost_usd", "is_byok"])
    status = nw.col("fetch_status") if "fetch_status" in names_of(frame) else nw.lit("ok")
    rows = frame.select(
        ok=status == "ok", pending=status == "pending", unknown=number("cost_usd").is_null(), byok=nw.col("is_byok")
    )
    counted = rows.select(
        holds(nw.col("ok")).alias("ok"),
        holds(nw.col("pending")).alias("pending"),
        holds(nw.col("ok") & nw.col("unknown")).alias("cost_unknown"),
        holds(nw.col("ok") & nw.col("byok")).alias("byok"),
    ).select(nw.len().alias("asked"), nw.all().sum())
    sums = (counted.collect() if isinstance(counted, nw.LazyFrame) else counted).rows(named=True)[0]
    asked, ok, pending, unknown, byok = (
        int(sums[name] or 0) for name in ("asked", "ok", "pending", "cost_unknown", "byok")
    )
    return {
        "asked": asked,
        "ok": ok,
        "pending": pending,
        "missing": asked - ok - pending,
        "cost_unknown": unknown,
        "byok": byok,
        "byok_share": byok / ok if ok else None,
    }
