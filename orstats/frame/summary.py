"""The totals of a frame, and the requested generations that they cover."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from orstats.frame import money
from orstats.frame.build import SOURCE
from orstats.frame.display import ReportFrame
from orstats.frame.status import STATUSES
from orstats.frame.validation import equals, require

_SUMMED_TOKENS: Final = MappingProxyType(
    {
        "native_tokens_prompt": "billed",
        "native_tokens_completion": "billed",
        "native_tokens_reasoning": "a part of completion",
        "native_tokens_cached": "a part of prompt",
    }
)
#: The columns that :func:`summary` reads.
SUMMARY_COLUMNS: Final = (
    *("fetch_status", "attempts", "cost_usd", "total_cost", "upstream_inference_cost", "is_byok"),
    *("model", "provider_name", "created_at", *_SUMMED_TOKENS),
)

Row = tuple[str, Any, str, str]


def summary(df: pd.DataFrame) -> pd.DataFrame:
    """Return the totals of a DataFrame, and the requested generations that they cover.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`, or some of its rows.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``figure``, with ``value`` (a number or a time), ``unit`` and ``note``:

        - coverage, in ids: ``asked``, ``ok``, ``from_archive`` (of the ok ones), ``pending``, ``missing`` (neither ok
          nor pending), then each status that occurs among the missing;
        - money, in USD: ``cost_usd`` = known charges plus BYOK cost, ``charged_usd`` (to the account's
          credits), ``byok_fee_usd`` (the part of these that are fees for calls with your own keys), ``byok_usd`` (by
          providers to your own keys), ``mean_cost_usd`` per row of known cost; in ids,
          ``cost_unknown`` (not in ``cost_usd``) and ``cost_zero``; ``byok_share`` of the ok rows;
        - native tokens, with the number of rows without a count;
        - ``models`` and ``providers``, ``first_created_at`` and ``last_created_at`` (UTC).

        A total without a known value is missing, not 0; that of no ids is 0. Money is summed as decimals, to at most
        12 places.

    Raises
    ------
    ConfigError
        `df` does not have one of these columns.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.record_table import to_table
    >>> record = {"total_cost": 0.25, "is_byok": False, "native_tokens_prompt": 10}
    >>> totals = summary(build_frame(["gen-1", "gen-2"], [to_table(["gen-1"], [record], [0.0])], {}))
    >>> totals.loc[["asked", "ok", "missing", "cost_usd"], ["value", "unit"]].values.tolist()
    [[2, 'ids'], [1, 'ids'], [1, 'ids'], [0.25, 'USD']]
    """
    df = require(df, SUMMARY_COLUMNS, unique=True)
    is_ok = equals(df["fetch_status"], "ok")
    ok = df.loc[is_ok]
    rows = [*_coverage(df, is_ok), *_money(ok, asked=len(df)), *_tokens(ok, asked=len(df)), *_span(ok)]
    index = pd.Index([row[0] for row in rows], name="figure")
    columns = {name: [row[at] for row in rows] for at, name in ((1, "value"), (2, "unit"), (3, "note"))}
    report = ReportFrame(pd.DataFrame(columns, index=index, dtype=object))
    report.attrs = {name: df.attrs[name] for name in (SOURCE, "since", "until") if name in df.attrs}
    return report


def _coverage(df: pd.DataFrame, is_ok: pd.Series[bool]) -> list[Row]:
    counts = {status: int(equals(df["fetch_status"], status).sum()) for status in STATUSES}
    cached = int((is_ok & equals(df["attempts"], 0)).sum())
    missing = len(df) - counts["ok"] - counts["pending"]
    others = {name: count for name, count in counts.items() if count and name not in ("ok", "pending")}
    return [
        ("asked", len(df), "ids", ""),
        ("ok", counts["ok"], "ids", ""),
        ("from_archive", cached, "ids", "of the ok ones: no request was needed"),
        ("pending", counts["pending"], "ids", "not yet available: try again in a minute"),
        ("missing", missing, "ids", "neither ok nor pending: see orstats.failures"),
        *((name, count, "ids", "of the missing ones") for name, count in others.items()),
    ]


def _money(ok: pd.DataFrame, asked: int) -> list[Row]:
    cost = ok["cost_usd"]
    byok = equals(ok["is_byok"], value=True)
    unknown, known = int(cost.isna().sum()), int(cost.notna().sum())
    spent = _total(cost, ok, asked)
    excluded = f"; {unknown} ids with unknown cost excluded" if unknown else ""
    fee_note = "part of charged_usd: fees for calls with your own keys; cost_basis counts these calls as byok"
    byok_note = "charged by providers to your own keys, where known; fees not included"
    mean = round(spent / known, money.RATE_PLACES) if known else pd.NA
    return [
        ("cost_usd", spent, "USD", f"charged plus BYOK{excluded}"),
        ("charged_usd", _total(ok["total_cost"], ok, asked), "USD", "charged to the account's credits, fees included"),
        ("byok_fee_usd", money.total(ok.loc[byok, "total_cost"]), "USD", fee_note),
        ("byok_usd", _total(ok.loc[byok, "upstream_inference_cost"], ok, asked), "USD", byok_note),
        ("mean_cost_usd", mean, "USD", "per ok row of known cost"),
        ("cost_unknown", unknown, "ids", "ok, but a part of the cost is unknown"),
        ("cost_zero", int(equals(cost, 0).sum()), "ids", "ok and cost nothing: cost_basis says why"),
        ("byok_share", int(byok.sum()) / len(ok) if len(ok) else pd.NA, "share 0..1", "of the ok rows"),
    ]


def _tokens(ok: pd.DataFrame, asked: int) -> list[Row]:
    rows: list[Row] = []
    for name, note in _SUMMED_TOKENS.items():
        silent = int(ok[name].isna().sum())
        tokens = _total(ok[name], ok, asked, lambda known: int(known.sum()))
        rows.append((name, tokens, "tokens", f"{note}; {silent:,} ids without this count excluded" if silent else note))
    return rows


def _span(ok: pd.DataFrame) -> list[Row]:
    created = ok["created_at"].dropna()
    first, last = (created.min(), created.max()) if len(created) else (pd.NaT, pd.NaT)
    return [
        ("models", int(ok["model"].nunique()), "models", ""),
        ("providers", int(ok["provider_name"].nunique()), "providers", ""),
        ("first_created_at", first, "UTC", ""),
        ("last_created_at", last, "UTC", ""),
    ]


def _total(
    values: pd.Series[Any], ok: pd.DataFrame, asked: int, add: Callable[[pd.Series[Any]], Any] = money.total
) -> Any:
    """Sum the known values; missing when rows were requested and none has a value."""
    known = values.dropna()
    says_nothing = known.empty and (len(values) > 0 or (asked > 0 and ok.empty))
    return pd.NA if says_nothing else add(known)
