"""``reconcile``: the totals of a DataFrame compared with the account's own, per UTC day and model."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pandas as pd

from orstats.account.activity_export import compare_export
from orstats.account.analytics import ROUNDING_USD
from orstats.account.daily_totals import account_totals
from orstats.account.day_shifts import Notes, merge_variants, move_past_midnight
from orstats.account.time_range import Moment, named_start_and_end, span
from orstats.api.client import Client
from orstats.errors import ConfigError
from orstats.frame.display import ReportFrame
from orstats.frame.validation import require
from orstats.ids.id_shapes import id_created_at
from orstats.reports.coverage import PROVENANCE, provenance
from orstats.text.format import usd_amounts

#: The account's totals may be delayed by this much.
_LATE: Final = timedelta(days=1)
_MS: Final = timedelta(milliseconds=1)
#: Amounts are sent with ten decimals.
_PLACES: Final = 10
_NEEDED: Final = (
    "fetch_status",
    "created_at",
    "model",
    "provider_name",
    "total_cost",
    "upstream_inference_cost",
    "is_byok",
    "cost_usd",
    "latency",
    "generation_time",
)
_SCHEMA: Final = {
    "account_requests": "Int64",
    "requests": "Int64",
    "missing": "Int64",
    "account_usd": "float64",
    "usd": "float64",
    "difference_usd": "float64",
    "explained": "float64",
    "agrees": "boolean",
    "reason": "string",
    "account_credits_usd": "float64",
    "credits_usd": "float64",
    "account_byok_usd": "float64",
    "byok_usd": "float64",
    "source": "string",
}


@named_start_and_end
def reconcile(
    df: pd.DataFrame,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    client: Client | None = None,
    tolerance: float = 0.001,
    tz: str = "UTC",
    activity: str | os.PathLike[str] | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compare the totals of a DataFrame with the account's own, or each generation with the Activity export.

    The totals need a management key; a comparison with an export needs neither a key nor a network.

    Completed days of the last 30 are compared with ``/activity`` or the account's analytics, whichever has the larger
    total of a model; others and partial days with the analytics. Days are UTC days. A call that ran past midnight
    counts on the day on which the account counts it.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`. Rows outside the range are excluded.
    start, end : datetime, date or str
        The time range, as for :func:`orstats.list_ids`. Without `activity`, `start` is required, and
        `end` is now by default.
    client : Client, optional
        By default, a client configured from the environment.
    tolerance : float
        Relative difference from the account's amount up to which a row still agrees.
    tz : str
        Time zone of `start` and `end`, as for :func:`orstats.list_ids`. The days compared are the account's, in UTC.
    activity : str, os.PathLike or pandas.DataFrame, optional
        The CSV that the vendor's Activity page exports, or what :func:`orstats.read` returns for it.

    Returns
    -------
    pandas.DataFrame
        With `activity`: one row for each generation that does not agree, the largest difference first; none if all
        do. Index ``id``.

        - ``difference``: ``missing_in_ids``, ``not_fetched`` (the id is there, its record is not),
          ``missing_in_export``, ``cost_differs`` or ``cost_unknown``, and its ``reason``;
        - ``created_at`` and ``model``;
        - ``export_usd``, ``usd`` (yours) and ``difference_usd``, the export's less yours, with a missing cost as 0;
        - in ``.attrs["totals"]`` the amounts and numbers of all generations, and in ``.attrs["note"]`` a sentence.

        Otherwise: index ``day`` (UTC) and ``model``.

        - ``account_requests``, ``requests`` (yours), and ``missing``, their difference.
        - ``account_usd``, ``usd`` (yours: credits, and the providers' charges for your own keys), and
          ``difference_usd``, the account's less yours.
        - ``explained``: the share of the account's amount that yours accounts for, 0 to 1, or of its requests where
          it charged nothing.
        - ``agrees``, and ``reason``: the likely reason if not (``missing`` says how many), and which calls were counted
          on another day.
        - the parts of the amounts, and the ``source`` of the account's totals.

        Variants of a model, such as ``:free``, have rows of their own, or one row for "(all variants)" where the
        account does not distinguish them.

    Raises
    ------
    ForbiddenError
        The key is not a management key.
    ReadError
        The export cannot be read.
    ConfigError
        The range is missing, inverted or begins in the future, or the DataFrame is not from :func:`orstats.fetch`.
    ApiError
        A request failed after all retries.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(500) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    ...     compared = orstats.reconcile(df, start="8d", end="now", client=sim.client())
    >>> bool(compared["agrees"].all()), round(share_explained(compared), 6)
    (True, 1.0)
    """
    if not tolerance >= 0:
        raise ConfigError(f"tolerance must be a non-negative number, got {tolerance}.")
    if activity is not None:
        return compare_export(df, activity, start=start, end=end, tolerance=tolerance, tz=tz)
    if start is None:
        raise ConfigError("reconcile needs start=, such as start='7d', or activity= (the CSV of the Activity page).")
    df = require(df, _NEEDED, unique=True)
    first, last = span(start, "now" if end is None else end, tz=tz)
    calls = _calls(df, first, last)
    account = account_totals(first, last, client, models=frozenset(df["model"].dropna().unique()))
    account = _renamed(account, _summed(calls[calls["created_at"] >= first])).reset_index()
    if names := merge_variants(calls, account):
        calls["model"], account["model"] = (side["model"].replace(names).astype("string") for side in (calls, account))
    calls, account, notes = move_past_midnight(calls, account, first)
    calls = calls[(calls["day"] >= pd.Timestamp(first).floor("D")) & (calls["day"] < last)]
    figures = {"requests": "sum", "credits_usd": "sum", "byok_usd": "sum", "source": "first"}
    account = account.groupby(["day", "model"]).agg(figures).add_prefix("account_")
    both = account.join(_summed(calls), how="outer").sort_index()
    compared = _compared(both, _not_fetched(df, first, last), notes, tolerance)
    compared.attrs[PROVENANCE] = provenance(df) | {"since": first.isoformat(), "until": last.isoformat()}
    if not compared.empty and first != first.replace(hour=0, minute=0, second=0, microsecond=0):
        compared.attrs["note"] += f" The first day is incomplete: the range starts at {first:%Y-%m-%d %H:%M} UTC."
    return compared


def share_explained(compared: pd.DataFrame) -> float:
    """Return the share of the amounts that is explained: 1 less the absolute differences."""
    larger = compared[["account_usd", "usd"]].max(axis=1).sum()
    return float(1.0 - compared["difference_usd"].abs().sum() / larger) if larger else 1.0


def _calls(df: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    """Select the rows of the range, and those from the day before it that ended within it."""
    rows = df.loc[(df["fetch_status"] == "ok") & (df["created_at"] < end)]
    lasted = rows[["latency", "generation_time"]].astype("float64").max(axis=1).fillna(0.0).clip(0, _LATE / _MS)
    ends_at = rows["created_at"] + pd.to_timedelta(lasted, unit="ms")
    byok = rows["upstream_inference_cost"].where(rows["is_byok"].fillna(value=False).astype(bool), 0.0)
    calls = pd.DataFrame(
        {
            "day": rows["created_at"].dt.floor("D"),
            "model": rows["model"].fillna("").astype("string"),
            "created_at": rows["created_at"],
            "ends_at": ends_at,
            "requests": 1,
            # The account's activity omits requests that no provider served.
            "unserved": (rows["provider_name"].isna() & (rows["cost_usd"] == 0)).astype("int64"),
            "credits_usd": rows["total_cost"].fillna(0.0),
            "byok_usd": byok.fillna(0.0),
            "cost_unknown": rows["cost_usd"].isna().astype("int64"),
            "recent": (rows["created_at"] > datetime.now(UTC) - _LATE).astype("int64"),
        }
    )
    return calls[(calls["created_at"] >= start) | ((ends_at >= start) & (calls["day"] < start))].reset_index(drop=True)


def _summed(calls: pd.DataFrame) -> pd.DataFrame:
    return calls.groupby(["day", "model"])[
        ["requests", "unserved", "credits_usd", "byok_usd", "cost_unknown", "recent"]
    ].sum()


def _renamed(account: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Rename models that the account calls by their titles, where the totals are equal."""
    titled = account.loc[~account.index.isin(ours.index)]
    titled = titled.loc[(titled["source"] == "analytics") & ~titled.index.get_level_values("model").str.contains("/")]
    titles, unmatched = _models_by_totals(titled), _models_by_totals(ours.loc[~ours.index.isin(account.index)])
    names = {
        (totals[0], title): model
        for totals, same in titles.items()
        if len(same) == len(unmatched.get(totals, ()))  # they are interchangeable
        for title, model in zip(same, unmatched[totals], strict=True)
    }
    if not names:
        return account
    keys = [(day, names.get((day, model), model)) for (day, model), _ in _rows(account)]
    index = pd.MultiIndex.from_tuples(keys, names=account.index.names)
    return account.set_axis(index)


def _models_by_totals(rows: pd.DataFrame) -> dict[tuple[Any, ...], list[str]]:
    models: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for (day, model), row in _rows(rows):
        amounts = (round(float(row[name]), _PLACES - 1) for name in ("credits_usd", "byok_usd"))
        models[day, int(row["requests"]), *amounts].append(model)
    return models


def _rows(frame: pd.DataFrame) -> Iterator[tuple[tuple[pd.Timestamp, str], dict[str, Any]]]:
    """Yield the day and model of each row, and its cells by column."""
    columns = [str(name) for name in frame.columns]
    for key, *cells in frame.itertuples(name=None):
        yield key, dict(zip(columns, cells, strict=True))


def _not_fetched(df: pd.DataFrame, start: datetime, end: datetime) -> dict[pd.Timestamp, str]:
    """Count the ids that were not fetched by status, for each day, if the ids contain their time."""
    found: dict[pd.Timestamp, Counter[str]] = {}
    for generation_id, status in df.loc[df["fetch_status"] != "ok", "fetch_status"].items():
        second = id_created_at(str(generation_id))
        if second is not None and start.timestamp() <= second < end.timestamp():
            day = pd.Timestamp(second, unit="s", tz="UTC").floor("D")
            found.setdefault(day, Counter())[str(status)] += 1
    return {
        day: ", ".join(f"{number:,} {status}" for status, number in counts.most_common())
        for day, counts in found.items()
    }


def _compared(both: pd.DataFrame, not_fetched: dict[pd.Timestamp, str], notes: Notes, tolerance: float) -> pd.DataFrame:
    counts = ["requests", "unserved", "cost_unknown", "recent", "account_requests"]
    amounts = ["credits_usd", "byok_usd", "account_credits_usd", "account_byok_usd"]
    both[counts] = both[counts].fillna(0).astype("int64")
    both[amounts] = both[amounts].fillna(0.0).astype("float64")
    both["usd"] = both["credits_usd"] + both["byok_usd"]
    both["account_usd"] = both["account_credits_usd"] + both["account_byok_usd"]
    both["difference_usd"] = both["account_usd"] - both["usd"]
    both = both.round(dict.fromkeys((name for name in both.columns if name.endswith("usd")), _PLACES))
    both["missing"] = both["account_requests"] - both["requests"]
    off = both["difference_usd"].abs()
    allowed = (both["account_usd"] * tolerance).clip(lower=ROUNDING_USD)
    # Activity may omit unserved requests, which are neither missing nor surplus but can hide a missing id.
    hiding = (both["unserved"] > 0) & (both["missing"] == 0) & (both["difference_usd"] > allowed)
    both["missing"] += both["unserved"].clip(upper=(-both["missing"]).clip(lower=0)).where(~hiding, 1)
    larger = both[["usd", "account_usd"]].max(axis=1)
    requests = both[["requests", "account_requests"]].max(axis=1).where(lambda n: n > 0, 1)
    by_amount = 1.0 - off / larger.where(larger > 0, 1.0)
    both["explained"] = by_amount.where(larger > 0, 1.0 - both["missing"].abs() / requests)
    both["agrees"] = (off <= allowed) & (both["missing"] == 0)
    both["reason"] = [_reason(key, row, not_fetched, notes) for key, row in _rows(both)]
    both["source"] = both["account_source"]
    compared = ReportFrame(both[list(_SCHEMA)].astype(_SCHEMA))
    compared.attrs["note"] = _note(compared)
    return compared


def _note(compared: pd.DataFrame) -> str:
    """Summarize the comparison in a sentence, for a table that may list only disagreements."""
    if compared.empty:
        return "Nothing to compare: neither the account nor your ids have generations in this range."
    sums, agreeing = len(compared), int(compared["agrees"].sum())
    all_agree = f"All {sums:,}" if agreeing == sums else f"{agreeing:,} of {sums:,}"
    account, yours = usd_amounts(compared[["account_usd", "usd"]].sum())
    requests = [f"{int(compared[name].sum()):,} requests" for name in ("account_requests", "requests")]
    return (
        f"{all_agree} totals by day and model agree: account {account} for {requests[0]}, "
        f"yours {yours} for {requests[1]}."
    )


def _reason(
    key: tuple[pd.Timestamp, str], row: dict[str, Any], not_fetched: dict[pd.Timestamp, str], notes: Notes
) -> str | None:
    parts = list(notes.get(key, ()))
    missing, too_many = int(row["missing"]), int(row["requests"] - row["account_requests"])
    if row["agrees"]:
        pass
    elif missing > 0:
        parts.append("missing from the ids (not logged, or from another workspace)")
        if key[0] in not_fetched:
            parts.append(f"not fetched on this day: {not_fetched[key[0]]}")
    elif 0 < too_many <= row["recent"]:
        parts.append("not yet counted by the account (compare again tomorrow)")
    elif missing < 0:
        parts.append("more than the account reports (ids from another account)")
    elif row["cost_unknown"]:
        parts.append("cost unknown")
    elif abs(row["account_credits_usd"] - row["credits_usd"]) <= ROUNDING_USD:
        parts.append("BYOK: the account counts the providers' own charges differently")
    elif abs(row["difference_usd"]) <= ROUNDING_USD * row["requests"]:
        parts.append("rounding")
    else:
        parts.append("the same requests were charged differently (records fetched too early? Fetch them with refresh)")
    return "; ".join(parts) or None
