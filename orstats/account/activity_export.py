"""Compare a DataFrame with the vendor's Activity export, id by id: without a key and without a network."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.account.analytics import ROUNDING_USD
from orstats.account.time_range import Moment, moment
from orstats.errors import ConfigError
from orstats.export.read import read
from orstats.frame import money
from orstats.frame.combine import combine
from orstats.frame.display import ReportFrame
from orstats.frame.validation import require
from orstats.ids.id_shapes import id_created_at
from orstats.reports.coverage import PROVENANCE, provenance
from orstats.text.format import plural, usd, usd_places

#: Key of ``DataFrame.attrs`` of the result: amounts and numbers of all generations, also of those that agree.
TOTALS: Final = "totals"
_NEEDED: Final = ("fetch_status", "created_at", "model", "cost_usd")
_SCHEMA: Final = {
    "difference": "string",
    "created_at": "datetime64[us, UTC]",
    "model": "string",
    "export_usd": "float64",
    "usd": "float64",
    "difference_usd": "float64",
    "reason": "string",
}
_REASONS: Final = {
    "missing_in_ids": "the export has it, your ids do not (not logged)",
    "not_fetched": "your ids have it, but its record was not fetched",
    "missing_in_export": "your ids have it, the export does not (another account, key, filter or period)",
    "cost_differs": "charged differently (a record fetched too early? Fetch it with refresh)",
    "cost_unknown": "the cost is unknown on one side",
}


def compare_export(
    df: pd.DataFrame,
    activity: str | os.PathLike[str] | pd.DataFrame,
    *,
    start: Moment | None,
    end: Moment | None,
    tolerance: float,
    tz: str,
) -> pd.DataFrame:
    """Return the generations that do not agree, the largest difference first, with the totals in ``.attrs``."""
    export = activity if isinstance(activity, pd.DataFrame) else read(activity)
    if "fetched_at" in export and export["fetched_at"].notna().any():
        raise ConfigError(
            "activity= must be the CSV that the Activity page exports, got records fetched by orstats, which would be "
            "compared with themselves."
        )
    both = _rows(export).add_suffix("_export").join(_rows(df).add_suffix("_yours"), how="outer")
    # One time for both sides, because the export has only milliseconds.
    created = both["created_at_yours"].fillna(both["created_at_export"])
    inside = _in_range(created, start, end, tz)
    both, created = both[inside], created[inside]
    is_theirs, is_yours = (both[f"is_there_{side}"].notna() for side in ("export", "yours"))
    is_ok = both["is_ok_yours"].eq(True)
    known = [both[f"cost_usd_{side}"] for side in ("export", "yours")]
    amounts = [one.fillna(0.0) for one in known]
    apart = amounts[0] - amounts[1]
    is_apart = apart.abs() > (amounts[0].abs() * tolerance).clip(lower=ROUNDING_USD)
    is_unknown = known[0].isna() | known[1].isna()
    conditions = [is_theirs & ~is_yours, is_theirs & ~is_ok, ~is_theirs & is_ok, is_theirs & is_unknown, is_apart]
    names = ["missing_in_ids", "not_fetched", "missing_in_export", "cost_unknown", "cost_differs"]
    difference = np.select([*conditions, np.ones(len(both), bool)], [*names, ""], "")
    difference[~(is_theirs | is_ok)] = ""  # neither has a record
    compared = pd.DataFrame(
        {
            "difference": difference,
            "created_at": created,
            "model": both["model_export"].fillna(both["model_yours"]),
            "export_usd": known[0],
            "usd": known[1],
            "difference_usd": apart.round(money.PLACES),
            "reason": pd.Series(difference, both.index).map(_REASONS),
        },
        index=both.index,
    ).astype(_SCHEMA)
    totals = {
        "export_generations": int(is_theirs.sum()),
        "generations": int(is_ok.sum()),
        "export_usd": money.total(known[0]),
        "usd": money.total(known[1]),
        "unexplained_usd": money.total(apart.abs()),
        **{name: int((difference == name).sum()) for name in _REASONS},
    }
    off = compared[compared["difference"] != ""]
    order = off["difference_usd"].abs().sort_values(ascending=False, kind="stable").index
    result = ReportFrame(off.loc[order])
    result.attrs = {TOTALS: totals, "note": note(totals), PROVENANCE: provenance(df)}
    return result


def _rows(df: pd.DataFrame) -> pd.DataFrame:
    """Return the generations of one side, each id once."""
    df = require(df, _NEEDED, indexed=True)
    if not df.index.is_unique:
        df = combine(df)
    created = df["created_at"]
    if created.isna().any():  # most ids that were not fetched have their time in themselves
        stamps = {one: id_created_at(str(one)) for one in df.index[created.isna()]}
        times = pd.to_datetime(pd.Series(stamps, dtype="float64"), unit="s", utc=True)
        created = created.fillna(times.astype(created.dtype))
    is_ok = df["fetch_status"].eq("ok").fillna(value=False).astype(bool)
    return pd.DataFrame(
        {
            "is_there": True,
            "is_ok": is_ok,
            "created_at": created,
            "model": df["model"],
            "cost_usd": df["cost_usd"].where(is_ok),
        }
    )


def _in_range(created: pd.Series[Any], start: Moment | None, end: Moment | None, tz: str) -> pd.Series[bool]:
    """Tell which moments are in the range; unknown ones are."""
    now = datetime.now(UTC)
    first, last = (None if one is None else moment(one, now=now, tz=tz) for one in (start, end))
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"start must be before end, got {start!r} and {end!r}.")
    inside = pd.Series(data=True, index=created.index)
    if first is not None:
        inside &= ~(created < first)
    if last is not None:
        inside &= ~(created >= last)
    return inside


def share_explained(compared: pd.DataFrame) -> float:
    """Return the share of the amounts that is explained: 1 less the absolute differences."""
    totals = compared.attrs[TOTALS]
    larger = max(totals["export_usd"], totals["usd"])
    return float(1.0 - min(1.0, totals["unexplained_usd"] / larger)) if larger else 1.0


def note(totals: dict[str, Any]) -> str:
    """Say in a sentence what was compared, and what differs."""
    places = usd_places(totals["export_usd"])
    sums = (
        f"Export {usd(totals['export_usd'], places)} for {plural(totals['export_generations'], 'generation')}, "
        f"yours {usd(totals['usd'], places)} for {totals['generations']:,}"
    )
    kinds = {
        "missing_in_ids": "missing in your ids",
        "not_fetched": "not fetched",
        "missing_in_export": "missing in the export",
        "cost_differs": "with another cost",
        "cost_unknown": "with an unknown cost",
    }
    parts = [f"{totals[name]:,} {words}" for name, words in kinds.items() if totals[name]]
    return f"{sums}: {', '.join(parts) if parts else 'every generation agrees'}."
