"""What a report covers: how many generations were requested, fetched and of known cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import narwhals as nw
import pandas as pd

from orstats.frame.build import ABSENT_COLUMNS, SOURCE, UNREADABLE_FILES
from orstats.frame.cast_columns import Frame, cast_frame
from orstats.frame.validation import count_duplicates, ok_rows, require_columns
from orstats.reports.engines import as_flag, finite, wrap

#: Key of ``attrs`` of a report: where its rows come from.
PROVENANCE: Final = "provenance"
#: Key of ``attrs``: whether all generations of the requested range are included, as the account lists them.
COVERS_RANGE: Final = "covers_range"


def coverage(frame: Any) -> dict[str, int | float | None]:
    """Count the generations that a report of a frame covers.

    A report in pandas has the coverage in ``.attrs["coverage"]``; the frames of other engines have no such place.

    Parameters
    ----------
    frame : pandas.DataFrame, Polars frame, DuckDB relation or PySpark DataFrame
        From :func:`orstats.fetch`, or with the same columns. Without ``fetch_status``, as in an archive, every row is
        ok.

    Returns
    -------
    dict
        ``asked`` (rows), ``ok``, ``pending`` (not yet available), ``missing`` (neither ok nor pending); of the ok
        ones ``cost_unknown``, ``byok`` (with your own provider keys) and ``byok_share`` (0 to 1; None without ok rows).
        Where there are any: ``unreadable_files``, archive files whose records are missing because they cannot be read,
        and ``duplicates``, rows that repeat an id, which sums count twice. Plain numbers, ready for JSON.

    Raises
    ------
    ConfigError
        `frame` is of another kind, or a column is missing.

    Examples
    --------
    >>> from orstats.frame.build import FetchOutcome, build_frame
    >>> from orstats.frame.record_table import to_table
    >>> table = to_table(["gen-1"], [{"total_cost": 0.5, "is_byok": False}], [0.0])
    >>> coverage(build_frame(["gen-1", "gen-2"], [table], {"gen-2": FetchOutcome("pending", 404, 1, "Not yet.")}))
    {'asked': 2, 'ok': 1, 'pending': 1, 'missing': 0, 'cost_unknown': 0, 'byok': 0, 'byok_share': 0.0}
    """
    return coverage_of(wrap(frame))


def coverage_of(frame: Frame) -> dict[str, int | float | None]:
    """Count for a wrapped frame."""
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
    """Return the source and time range of a pandas frame or report, and the first and last creation time.

    A frame has the source and range in ``.attrs``; a report keeps all of it in ``.attrs["provenance"]``.
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


def absent_columns(frame: Any) -> Collection[str]:
    """Return the columns of the field table that an Activity export does not have; none for other frames."""
    found: Collection[str] = getattr(frame, "attrs", {}).get(ABSENT_COLUMNS, ())
    return found


def absent_note(frame: Any, columns: Sequence[str]) -> str:
    """Say which of the columns that a report needs an Activity export does not have."""
    absent = absent_columns(frame)
    names = ", ".join(name for name in columns if name in absent)
    return f"The Activity export does not have {names}: figures that need them are missing." if names else ""


def _sums(frame: Frame, **figures: nw.Expr) -> dict[str, int]:
    rows = frame.select(**figures)
    collected = rows.collect() if isinstance(rows, nw.LazyFrame) else rows
    return {name: int(value or 0) for name, value in collected.rows(named=True)[0].items()}
