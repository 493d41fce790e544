"""What one key of the account spent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orstats.sim.timeline import microseconds

if TYPE_CHECKING:
    from orstats.sim.account import ApiKey
    from orstats.sim.ledger import Entry

_DECIMALS = 10


def spent_by(key: ApiKey | None, entries: Sequence[Entry], now: datetime) -> dict[str, float]:
    """Add up what a key spent; no key spent nothing.

    Returns
    -------
    dict
        The fields ``usage...`` and ``byok_usage...`` of ``GET /key``, in USD: in total, and of the current UTC day,
        week (from Monday) and month.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = {
        "": 0,
        "_daily": microseconds(today),
        "_weekly": microseconds(today - timedelta(days=today.weekday())),
        "_monthly": microseconds(today.replace(day=1)),
    }
    own = [entry for entry in entries if key is not None and entry.key == key]
    total: dict[str, float] = {}
    for span, start in since.items():
        rows = [entry for entry in own if entry.created_us >= start]
        total[f"usage{span}"] = _usd(entry.usage for entry in rows)
        total[f"byok_usage{span}"] = _usd(entry.byok_usage for entry in rows)
    return total


def _usd(amounts: Iterable[float]) -> float:
    return round(math.fsum(amounts), _DECIMALS)
