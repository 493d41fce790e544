"""What a report covers: how many generations were asked for, and of how many of them what is known."""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw
import pandas as pd

from orstats.frame.build import SOURCE, UNREADABLE_FILES
from orstats.frame.cast import Frame, cast_frame
from orstats.frame.validation import count_duplicates, ok_rows, require_columns
from orstats.reports.backends import as_flag, finite, wrap

#: Key of ``attrs`` of a report: where its rows come from.
PROVENANCE: Final = "provenance"


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
        ``asked`` (rows), ``ok``, ``pending`` (not yet available), ``missing`` (neither ok nor pending); of the ok
        ones ``cost_unknown``, ``byok`` (with your own provider keys) and ``byok_share`` (0 to 1; None when none is
        ok). Only where there are some: ``unreadable_files``, archive files that could not be read, so that their
        records are not counted, and ``duplicates``, rows that repeat an id, which sums count twice. Plain numbers:
        they go into JSON as they are.

    Raises
    ------
    ConfigError
        Not such a frame, or a column is missing.

    Examples
    --------
    >>> from orstats.frame.build import FetchOutcome, build_frame
    >>> from orstats.frame.arrow import to_table
    >>> table = to_table(["gen-1"], [{"total_cost": 0.5, "is_byok": False}], [0.0])
    >>> coverage(build_frame(["gen-1", "gen-2"], [table], {"gen-2": FetchOutcome("pending", 404, 1, "Not yet.")}))
    {'asked': 2, 'ok': 1, 'pending': 1, 'missing': 0, 'cost_unknown': 0, 'byok': 0, 'byok_share': 0.0}
    """
    return coverage_of(wrap(frame))


def coverage_of(frame: Frame) -> dict[str, int | float | None]:
    """Do the same for a wrapped frame."""
    have = frame.collect_schema().names()
    require_columns(have, ["cost_usd", "is_byok"])
    columns = ["cost_usd", "is_byok", *({"fetch_status"} & set(have))]
    repeated = count_duplicates(frame)
    rows = cast_frame(frame.select(*columns), columns)
    had = _sums(
        ok_rows(rows),
        ok=nw.len(),
        cost_unknown=as_flag(finite("cost_usd").is_null()).sum(),
        byok=as_flag(nw.col("is_byok")).sum(),
    )
    total, pending = had["ok"], 0
    if "fetch_status" in columns:
        asked = _sums(rows, asked=nw.len(), pending=as_flag(nw.col("fetch_status") == "pending").sum())
        total, pending = asked["asked"], asked["pending"]
    unreadable = getattr(nw.to_native(frame), "attrs", {}).get(UNREADABLE_FILES)
    return {
        "asked": total,
        "ok": had["ok"],
        "pending": pending,
        "missing": total - had["ok"] - pending,
        "cost_unknown": had["cost_unknown"],
        "byok": had["byok"],
        "byok_share": had["byok"] / had["ok"] if had["ok"] else None,
        **({"unreadable_files": len(unreadable)} if unreadable else {}),
        **({"duplicates": repeated} if repeated else {}),
    }


def provenance(frame: Any) -> dict[str, str]:
    """Return where the rows of a pandas frame or report come from, and when the first and last were created.

    ``.attrs["source"]`` of a frame tells the source, ``since`` and ``until`` the range that was chosen from it. A
    report keeps them, and the times, under ``.attrs["provenance"]``.
    """
    attrs = getattr(frame, "attrs", {})
    if PROVENANCE in attrs:
        return dict(attrs[PROVENANCE])
    found = {name: str(attrs[name]) for name in (SOURCE, "since", "until") if name in attrs}
    created = frame["created_at"] if isinstance(frame, pd.DataFrame) and "created_at" in frame.columns else None
    if created is not None and isinstance(created.dtype, pd.DatetimeTZDtype) and created.notna().any():
        for name, moment in (("first_created_at", created.min()), ("last_created_at", created.max())):
            found[name] = moment.tz_convert("UTC").isoformat()
    return found


def _sums(frame: Frame, **figures: nw.Expr) -> dict[str, int]:
    rows = frame.select(**figures)
    collected = rows.collect() if isinstance(rows, nw.LazyFrame) else rows
    return {name: int(value or 0) for name, value in collected.rows(named=True)[0].items()}
