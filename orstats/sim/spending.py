"""What one key of the account spent: on a part of its generations, so that no key spent more than the account."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from orstats.sim.timeline import microseconds

if TYPE_CHECKING:
    from orstats.sim.corpus import Corpus

# Few enough to be added up while a client waits.
_MOST = 500
_DECIMALS = 10


def share_of(key: str, generations: int) -> range:
    """Tell which generations a key paid for: "admin" some of the newest, "plain" some before them, others none.

    Examples
    --------
    >>> share_of("admin", 10), share_of("plain", 10), share_of("management", 10)
    (range(5, 10), range(0, 5), range(0, 0))
    """
    half = generations // 2
    if key == "admin":
        return range(max(half, generations - _MOST), generations)
    return range(max(0, half - _MOST), half) if key == "plain" else range(0)


def spent_on(corpus: Corpus, share: range) -> dict[str, float]:
    """Add up what some generations cost.

    Parameters
    ----------
    corpus
        The account.
    share
        The numbers of its generations.

    Returns
    -------
    dict
        The fields ``usage…`` and ``byok_usage…`` of ``GET /key``, in USD: in all, and of the current UTC day, week
        (from Monday) and month.
    """
    today = corpus.until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = {
        "_daily": microseconds(today),
        "_weekly": microseconds(today - timedelta(days=today.weekday())),
        "_monthly": microseconds(today.replace(day=1)),
        "": 0,
    }
    paid = [(corpus.created_us(index), corpus.record(index)) for index in share]
    total: dict[str, float] = {}
    for span, start in since.items():
        rows = [row for created, row in paid if created >= start]
        total[f"usage{span}"] = _usd(row["usage"] for row in rows)
        total[f"byok_usage{span}"] = _usd(row["upstream_inference_cost"] or 0 for row in rows if row["is_byok"])
    return total


def _usd(amounts: Iterable[float]) -> float:
    return round(math.fsum(amounts), _DECIMALS)
