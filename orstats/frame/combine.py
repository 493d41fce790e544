"""``combine``: several frames as one, each id once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from orstats.errors import ConfigError
from orstats.frame.build import empty_frame
from orstats.frame.cast_columns import cast_columns
from orstats.frame.schema import ID
from orstats.frame.validation import by_id, equals, require_pandas


def combine(*frames: pd.DataFrame | Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Combine frames of overlapping fetches into one row for each id: the best and newest.

    An ok row wins over a failed one, then the one fetched later, then the one in the later frame. A column that the
    frame of the winning row does not have is filled from the next best row, so that the keys and apps of an Activity
    export are kept next to the records of a fetch.

    Parameters
    ----------
    *frames : pandas.DataFrame or iterable of pandas.DataFrame
        From :func:`orstats.fetch` or :func:`orstats.read`, or read back from a file by pandas. A single frame with
        repeated ids works too.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, in the order in which the ids first occur, with the columns of all frames and the dtypes of
        the field table. Rows without an id are excluded.

    Raises
    ------
    ConfigError
        One of them is not a pandas DataFrame with ids, or a value cannot be cast.

    Examples
    --------
    >>> import pandas as pd
    >>> first = pd.DataFrame({"id": ["a", "b"], "fetch_status": ["ok", "pending"], "cost_usd": [0.25, None]})
    >>> second = pd.DataFrame({"id": ["b", "c"], "fetch_status": ["ok", "ok"], "cost_usd": [0.5, 0.5]})
    >>> combine(first, second)["cost_usd"].to_dict()
    {'a': 0.25, 'b': 0.5, 'c': 0.5}
    """
    parts = [
        _typed(one) for given in frames for one in ([given] if isinstance(given, pd.DataFrame) else _listed(given))
    ]
    if not parts:
        return empty_frame()
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    dtypes = {name: next(part[name].dtype for part in parts if name in part.columns) for name in names}
    rows = pd.concat([_with_columns(part, dtypes) for part in parts])
    rows = rows.loc[rows.index.notna()]
    rank = pd.DataFrame({"ok": True, "at": pd.NaT, "place": range(len(rows))}, index=rows.index)
    if "fetch_status" in rows.columns:
        rank["ok"] = equals(rows["fetch_status"], "ok")
    if "fetched_at" in rows.columns:
        rank["at"] = rows["fetched_at"]
    order = rank.reset_index(drop=True).sort_values(["ok", "at", "place"], na_position="first").index[::-1]
    best = rows.iloc[order]
    kept = best.loc[~best.index.duplicated()].copy()  # pandas 2 warns when a slice is changed
    for name in names:
        if not all(name in part.columns for part in parts):
            known = best[name].dropna()
            kept[name] = kept[name].fillna(known.loc[~known.index.duplicated()])
    return kept.loc[rows.index.unique()]


def _listed(given: Any) -> list[pd.DataFrame]:
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | dict):
        require_pandas(given)
    return list(given)


def _typed(df: pd.DataFrame) -> pd.DataFrame:
    require_pandas(df)
    df = by_id(df)
    if df.index.name != ID.name or not df.columns.is_unique:
        raise ConfigError("A frame to combine must be indexed by id, or have one column id, and no column twice.")
    typed = cast_columns(df, list(df.columns))
    index = cast_columns(df.index.to_frame(index=False), [ID.name])[ID.name]
    typed = typed.set_axis(pd.Index(index.str.strip(), name=ID.name))  # databases fill texts with spaces
    typed.attrs = {}
    return typed


def _with_columns(df: pd.DataFrame, dtypes: dict[str, Any]) -> pd.DataFrame:
    """Add the columns that other frames have, without values."""
    nullable = {
        name: "Int64" if dtype.kind in "iu" else "boolean" if dtype == "bool" else dtype
        for name, dtype in dtypes.items()
    }
    columns = {
        name: df[name] if name in df.columns else pd.Series(index=df.index, dtype=nullable[name]) for name in dtypes
    }
    return pd.DataFrame(columns, index=df.index)
