"""The account's API keys as a DataFrame: usage, limit and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from orstats.frame import money
from orstats.frame.display import ReportFrame
from orstats.frame.json_values import number

#: Columns of usage by the field of the API, to which the usage of your own provider keys is added.
_USAGE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "today_usd": "usage_daily",
        "this_week_usd": "usage_weekly",
        "this_month_usd": "usage_monthly",
        "in_total_usd": "usage",
    }
)


def key_frame(keys: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for each key of ``Client.keys()``: the one with the highest usage of this month first.

    Usage, in US dollars, includes what providers charged to your own keys (BYOK), which also is in ``byok_usd``. A key
    without a limit has no ``limit_usd`` and no ``left_usd``. Times are in UTC.

    Examples
    --------
    >>> found = key_frame([{"name": "CI", "usage_monthly": 1.5, "byok_usage_monthly": 0.25, "limit": None}])
    >>> found[["this_month_usd", "left_usd"]]
    api_key  this_month_usd  left_usd
    CI              $1.7500         ?
    """
    columns: dict[str, Any] = {"label": _texts(keys, "label")}
    for name, field in _USAGE.items():
        both = zip(_numbers(keys, field), _numbers(keys, f"byok_{field}"), strict=True)
        columns[name] = [money.total(pd.Series(one)) for one in both]
    columns |= {
        "byok_usd": _numbers(keys, "byok_usage"),
        "limit_usd": _numbers(keys, "limit"),
        "left_usd": _numbers(keys, "limit_remaining"),
        "limit_reset": _texts(keys, "limit_reset"),
        "disabled": pd.array([one.get("disabled") for one in keys], "boolean"),
        "created_at": _times(keys, "created_at"),
        "last_used_at": _times(keys, "last_used_at"),
        "expires_at": _times(keys, "expires_at"),
        "hash": _texts(keys, "hash"),
    }
    found = ReportFrame(columns)
    found.index = pd.Index(_texts(keys, "name"), name="api_key")
    return found.sort_values("this_month_usd", ascending=False, kind="stable")


def _texts(keys: Sequence[Mapping[str, Any]], field: str) -> Any:
    values = (one.get(field) for one in keys)
    return pd.array([None if value is None else str(value) for value in values], "string")


def _numbers(keys: Sequence[Mapping[str, Any]], field: str) -> pd.Series[float]:
    return pd.Series([number(one.get(field)) for one in keys], dtype="float64")


def _times(keys: Sequence[Mapping[str, Any]], field: str) -> pd.Series[Any]:
    texts = [one.get(field) for one in keys]
    return pd.to_datetime(pd.Series(texts, dtype="object"), utc=True, errors="coerce", format="ISO8601").dt.as_unit(
        "us"
    )
