"""One row of a frame as plain Python values: what a :class:`~orstats.content.record.Record` is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pandas as pd

from orstats.content.record import ProviderAttempt
from orstats.errors import ConfigError
from orstats.frame import coerce
from orstats.frame.derive import provider_attempts, winning_attempt_index
from orstats.frame.schema import COLUMNS, ID, Field

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_row(row: pd.Series[Any] | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the id of a row, and its values that are there, by column.

    Examples
    --------
    >>> read_row({"id": "gen-1", "cost_usd": 0.5, "model": None})
    ('gen-1', {'cost_usd': 0.5})
    """
    if not isinstance(row, pd.Series | Mapping):
        raise ConfigError(f"A generation is made of one row, df.loc[id]; not of a {type(row).__name__}.")
    cells = {str(name): value for name, value in row.items()}
    generation_id = cells.get(ID.name, row.name if isinstance(row, pd.Series) else None)
    if not isinstance(generation_id, str):
        raise ConfigError("The row has no generation id: take it as df.loc[id], of a frame of orstats.")
    values = {f.name: _cell(f, cells[f.name]) for f in COLUMNS if f.name in cells}
    return generation_id, {name: value for name, value in values.items() if value is not None}


def _cell(field: Field, value: Any) -> Any:
    """Turn one cell of a frame into a plain Python value; None for what is missing or is not of the field's kind."""
    if isinstance(value, pd.Timestamp):
        return None if value is pd.NaT else value.floor("us").to_pydatetime()
    if field.kind == "json":
        return _nested(field.name, value)
    if field.kind == "text":
        return coerce.text(value)
    if field.kind == "time":
        microseconds = coerce.time(value)
        return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
    if field.kind == "flag":
        return bool(value) if type(value).__name__ in ("bool", "bool_") else None
    plain = value.item() if hasattr(value, "item") else value  # a number of NumPy's
    return coerce.count(plain) if field.kind == "count" else coerce.number(plain)


def _nested(name: str, value: Any) -> Any:
    text = value if isinstance(value, str) else None
    if text is None and isinstance(value, list | dict):
        text = coerce.json_text(value)
    if text is None:
        return None
    if name == "provider_responses":
        return _attempts(provider_attempts(text))
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _attempts(listed: list[dict[str, Any]] | None) -> tuple[ProviderAttempt, ...] | None:
    if listed is None:
        return None
    good = winning_attempt_index(listed)
    return tuple(
        ProviderAttempt(
            provider_name=coerce.text(one.get("provider_name")),
            status=coerce.count(one.get("status")),
            latency=coerce.number(one.get("latency")),
            is_byok=coerce.flag(one.get("is_byok")),
            ok=place == good,
        )
        for place, one in enumerate(listed)
    )
