"""Columns of a report that no record has: the API key, the member and the application of each generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from orstats.frame.column_units import group_name

if TYPE_CHECKING:
    import pandas as pd

#: Shorter names, and those that keys have elsewhere.
_ALIASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("key", "api_key_name", "api_key_id"), "api_key"),
    "member": "user",
    "app_name": "app",
}
LABELS: Final[Mapping[str, str]] = {
    name: group_name(name) for name in ("api_key", "user", "app", "workspace", "country")
}


def read_keys(by: str) -> list[str]:
    """Read the columns to group by."""
    return [_ALIASES.get(key, key) for key in map(str.strip, by.split(",")) if key]


def names_columns(text: str) -> bool:
    """Tell whether a text is the name of a column to group by, or several names with commas."""
    from orstats.frame.schema import FIELDS

    keys = read_keys(text)
    return bool(keys) and all(key in FIELDS or key in LABELS for key in keys)


def labels_in(keys: Sequence[str]) -> list[str]:
    """Return the columns to group by that the account's analytics have."""
    return [key for key in keys if key in LABELS]


def add_labels(frame: pd.DataFrame, listed: pd.DataFrame, labels: Sequence[str]) -> None:
    """Add labels to the rows of a frame; missing for generations that the account does not list."""
    for label in labels:
        frame[label] = listed[label].reindex(frame.index)


def describe_labels(frame: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Say how much of a report has no label, and what a label may be mistaken for."""
    from orstats.text.format import plural, usd
    from orstats.text.sanitize import NO_VALUE

    is_ok = frame["fetch_status"] == "ok"
    missing = {label: frame[is_ok & frame[label].isna()] for label in labels}
    parts = [
        f"{plural(len(rows), 'generation')} ({usd(rows['cost_usd'].sum())}) without {LABELS[label]}"
        for label, rows in missing.items()
        if len(rows)
    ]
    remarks = []
    if parts:
        remarks.append(
            f"{NO_VALUE}: {'; '.join(parts)} in the account's analytics. Some calls have none, such as those in the "
            "vendor's chat, and recent calls may not be listed yet."
        )
    if "user" in labels:
        remarks.append(
            "user: the members of your organisation. --by external_user groups by the users that your application "
            "names."
        )
    return remarks
