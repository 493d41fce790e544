"""One row of the DataFrame as plain Python values: no Arrow, no pandas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from orstats.frame import json_values
from orstats.frame.derive import Inputs, derive
from orstats.frame.schema import EXTRA, FIELDS, ID, WIRE

_KNOWN: Final = frozenset({ID.name, *(field.name for field in WIRE)})


def record_row(generation_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of one record as the API sent it, the derived ones included.

    Examples
    --------
    >>> row = record_row("gen-1", {"total_cost": "0.25", "is_byok": False, "colour": "red"})
    >>> row["id"], row["cost_usd"], row["cost_basis"], row["extra"]
    ('gen-1', 0.25, 'credits', '{"colour":"red"}')
    """
    row: dict[str, Any] = {ID.name: json_values.text(generation_id)}
    extra = {name: value for name, value in record.items() if name not in _KNOWN}
    for field in WIRE:
        sent = record.get(field.name)
        typed, is_refused = json_values.value(sent, field.kind)
        if field.kind == "time" and typed is not None:
            typed = json_values.moment(typed)
        row[field.name] = typed
        if is_refused:
            extra[field.name] = sent
    row[EXTRA.name] = json_values.object_text(extra) if extra else None
    return row | derive(Inputs(*(row[name] for name in Inputs._fields)))


def full_row(row: Mapping[str, Any], **fetched: Any) -> dict[str, Any]:
    """Return a row with every column of the DataFrame, in order; None for a missing one."""
    given = {**row, **fetched}
    return {name: given.get(name) for name in FIELDS}


def json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON Lines have it: times as text, JSON columns nested.

    Examples
    --------
    >>> json_row({"created_at": json_values.moment(0), "extra": '{"colour":"red"}'})
    {'created_at': '1970-01-01T00:00:00.000000Z', 'extra': {'colour': 'red'}}
    """
    return {name: _json_value(name, value) for name, value in row.items()}


def _json_value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return orjson.loads(value) if FIELDS[name].kind == "json" and value is not None else value
