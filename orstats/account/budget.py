"""What can block a key: its limit, budgets and the account's credits; and when they are used up at a rate of spend."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from orstats.frame.json_values import moment, number, time

Outlook = Literal["used up", "runs out", "resets first", "lasts", "no spend", "unknown"]

#: The scope of the account's credits, beside those of the API.
CREDITS: Final = "credits"
_DAY: Final = timedelta(days=1)
#: Amounts are sent with at most ten decimals.
_PLACES: Final = 10
#: A budget that is not used up within this many days lasts.
_LONGEST_DAYS: Final = 3650.0
#: Spend over a shorter time does not make a rate.
SHORTEST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """Spend per day, in USD, and over which time it was measured."""

    usd_per_day: float
    over: str
    days: int | None = None
    """The length of time in days, where it was requested."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a budget is used up at a rate: the time, where the outlook is ``runs out``."""

    outlook: Outlook
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what a key may spend; amounts in USD, None where unknown."""

    scope: str
    limit: float | None
    spent: float | None
    left: float | None
    interval: str | None = None
    """``daily``, ``weekly`` or ``monthly``, on UTC days and from Monday; None where it never resets."""
    resets_at: datetime | None = None
    counts_byok: bool = False
    is_effective: bool = False
    """Whether the API names it as the budget that blocks first."""

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        names = {"key_limit": "limit of the key", CREDITS: "account's credits"}
        return names.get(self.scope, f"budget of the {self.scope.replace('_', ' ')}")

    @property
    def used_share(self) -> float | None:
        """The share that is used; more than 1 where it was exceeded."""
        return None if not self.limit or self.left is None else round(1 - self.left / self.limit, 9)

    @property
    def is_used_up(self) -> bool:
        """Whether requests are rejected."""
        return self.left is not None and self.left <= 0

    def own_rate(self, now: datetime) -> Rate | None:
        """Return the rate of the spend since the last reset; None for a budget without one, or too soon after it."""
        start = window_start(self.interval, now)
        if start is None or self.spent is None or now - start < SHORTEST:
            return None
        return Rate(self.spent / ((now - start) / _DAY), f"since {start:%Y-%m-%d}")

    def forecast(self, usd_per_day: float | None, now: datetime) -> Forecast:
        """Return when the budget is used up at a rate, unless it resets first.

        >>> now = datetime(2026, 3, 10, tzinfo=UTC)
        >>> budget = Budget("key_limit", 10.0, 4.0, 6.0, "monthly", datetime(2026, 4, 1, tzinfo=UTC))
        >>> budget.forecast(2.0, now)
        Forecast(outlook='runs out', at=datetime.datetime(2026, 3, 13, 0, 0, tzinfo=datetime.timezone.utc))
        >>> budget.forecast(0.1, now).outlook
        'resets first'
        """
        if self.is_used_up:
            return Forecast("used up")
        if usd_per_day is None or self.left is None:
            return Forecast("unknown")
        if usd_per_day <= 0:
            return Forecast("no spend")
        days = self.left / usd_per_day
        if self.resets_at is not None and now + min(days, _LONGEST_DAYS) * _DAY >= self.resets_at:
            return Forecast("resets first")
        return (
            Forecast("runs out", now + timedelta(seconds=int(days * 86_400)))
            if days <= _LONGEST_DAYS
            else Forecast("lasts")
        )


def budgets_of(key: Mapping[str, Any], now: datetime) -> list[Budget]:
    """Return the limits in the response of ``GET /key``, the effective one first, without those of no known limit."""
    listed, effective = key.get("budgets"), key.get("effective_budget")
    given = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    if isinstance(effective, Mapping) and effective not in given:
        given.append(effective)
    found = [_budget(one, is_effective=one == effective) for one in given]
    if key.get("limit") is not None and not any(one.scope == "key_limit" for one in found):
        limit, left = number(key["limit"]), number(key.get("limit_remaining"))
        interval = key.get("limit_reset") if isinstance(key.get("limit_reset"), str) else None
        found.append(
            Budget(
                "key_limit",
                limit,
                None if limit is None or left is None else round(limit - left, _PLACES),
                left,
                interval,
                next_reset(interval, now),
                counts_byok=key.get("include_byok_in_limit") is True,
            )
        )
    return sorted(found, key=lambda one: not one.is_effective)


def credits_budget(credit: Mapping[str, Any]) -> Budget | None:
    """Return the account's credits as a budget that never resets; None for an account that has never had any."""
    bought, used = number(credit.get("total_credits")), number(credit.get("total_usage"))
    if not bought and not used:
        return None
    left = None if bought is None or used is None else round(bought - used, _PLACES)
    return Budget(CREDITS, bought, used, left)


def _budget(given: Mapping[str, Any], *, is_effective: bool) -> Budget:
    limit, spent = number(given.get("limit_usd")), number(given.get("spend_usd"))
    left = number(given.get("remaining_usd"))
    if left is None and limit is not None and spent is not None:
        left = round(limit - spent, _PLACES)
    resets_us = time(given.get("resets_at"))
    interval = given.get("reset_interval")
    return Budget(
        str(given.get("scope") or "budget"),
        limit,
        spent,
        left,
        interval if isinstance(interval, str) else None,
        None if resets_us is None else moment(resets_us),
        counts_byok=given.get("include_byok") is True,
        is_effective=is_effective,
    )


def window_start(interval: str | None, now: datetime) -> datetime | None:
    """Return when the current UTC day, week (from Monday) or month began; None for other intervals."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {"daily": day, "weekly": day - day.weekday() * _DAY, "monthly": day.replace(day=1)}
    return starts.get(interval or "")


def next_reset(interval: str | None, now: datetime) -> datetime | None:
    """Return when the current UTC day, week or month ends.

    >>> next_reset("monthly", datetime(2026, 12, 5, tzinfo=UTC)).isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    start = window_start(interval, now)
    if start is None:
        return None
    days = {"daily": 1, "weekly": 7}.get(interval or "", calendar.monthrange(start.year, start.month)[1])
    return start + days * _DAY
