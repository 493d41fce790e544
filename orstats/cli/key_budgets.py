"""What ``orstats key`` says about a key: its usage, limits and budgets, and when they are used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from orstats.account.budget import CREDITS, Forecast, Rate, budgets_of, credits_budget
from orstats.account.budgets import KeyOutlook, Limit
from orstats.frame.json_values import number
from orstats.text.format import usd
from orstats.text.sanitize import terminal_line

_PERIODS: Final = {"_daily": "today", "_weekly": "this week", "_monthly": "this month", "": "in total"}
#: Times of the next days are written to the minute.
_SOON_DAYS: Final = 3
_CENTS_ENOUGH: Final = 100
_WINDOW_DAYS: Final = {"daily": 1, "weekly": 7, "monthly": 30}


def limits_beyond(
    keys: Sequence[Mapping[str, Any]], credit: Mapping[str, Any] | None, warn: float, now: datetime
) -> tuple[list[str], list[str]]:
    """Describe the limits of which more than a share is used, or nothing is left; and those of unknown use."""
    beyond, unknown = [], []
    for key in keys:
        label = terminal_line(key.get("label") or "?")
        for budget in budgets_of(key, now):
            name, share = terminal_line(budget.name), budget.used_share
            if budget.is_used_up or (share is not None and share > warn):
                used = "all" if share is None else f"{share:.0%}"
                beyond.append(f"{label}: {used} of the {name} of {usd(budget.limit)} used, {usd(budget.left)} left.")
            elif share is None:
                unknown.append(f"{label}: cannot check the {name}, because the API does not say what is left.")
    credits_left = None if credit is None else credits_budget(credit)
    if credits_left is not None and credits_left.is_used_up:
        beyond.append(f"The account's credits are used up: {usd(credits_left.left)} left.")
    return beyond, unknown


def describe_key(key: Mapping[str, Any], outlook: KeyOutlook | None) -> dict[str, str]:
    """Return the lines about a key; the outlook is that of the key in use."""

    def amount(name: str) -> str:
        return usd(number(key.get(name)))

    def usage(name: str) -> str:
        return ", ".join(f"{amount(name + period)} {words}" for period, words in _PERIODS.items())

    kind = "a management key" if key.get("is_management_key") else "an ordinary key, not a management key"
    tier = ", of the free tier" if key.get("is_free_tier") else ""
    described = {
        "Key": f"{terminal_line(key.get('label') or '?')}: {kind}{tier}",
        "Used": usage("usage"),
    }
    if any(key.get(f"byok_usage{period}") for period in _PERIODS):
        counts = "counts" if key.get("include_byok_in_limit") else "does not count"
        described["BYOK usage"] = f"{usage('byok_usage')}; {counts} towards the limit"
    limits = [] if outlook is None else [one for one in outlook.limits if one.budget.scope != CREDITS]
    if outlook is not None:
        described["Per day"] = _describe_spend(key, outlook.spend)
    if key.get("limit") is None:
        described["Limit"] = "none of its own" if limits else "none"
    else:
        resets = f", resets {terminal_line(key['limit_reset'])}" if key.get("limit_reset") else ""
        described["Limit"] = f"{amount('limit')}{resets}; {amount('limit_remaining')} left"
    for place, limit in enumerate(limits, 1):
        number_of = f" {place}" if len(limits) > 1 else ""
        described[f"Budget{number_of}"] = _describe_budget(limit)
        described[f"Outlook{number_of}"] = describe_outlook(limit)
    free = key.get("free_model_daily_requests")
    if isinstance(free, Mapping) and isinstance(free.get("remaining"), int):
        of_all = f"of {free['limit']:,}; " if isinstance(free.get("limit"), int) else ""
        described["Free models"] = f"{free['remaining']:,} requests left today ({of_all}resets at midnight UTC)"
    return described | {"Expires": terminal_line(key.get("expires_at") or "never")}


def describe_management_key(key: Mapping[str, Any]) -> dict[str, str]:
    """Return the lines about a second key, which only reads the account; what it never used is omitted."""
    described = describe_key(key, None)
    name = "Second key" if key.get("is_management_key") is False else "Management key"
    described[name] = terminal_line(key.get("label") or "?")
    omitted = {"Key", "Free models"}  # free requests are counted for the account, not for the key
    if not any(number(key.get(f"usage{period}")) for period in _PERIODS):
        omitted.add("Used")
    if key.get("limit") is None:
        omitted.add("Limit")
    return {one: described[one] for one in dict.fromkeys([name, *described]) if one not in omitted}


def describe_mix_up(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say so if the second key is not a management key."""
    if all(key.get("is_management_key") is not False for key in keys[1:]):
        return []
    swapped = " OPENROUTER_API_KEY is one: are they swapped?" if keys[0].get("is_management_key") else ""
    return [f"OPENROUTER_MANAGEMENT_KEY is an ordinary key, not a management key.{swapped}"]


def describe_credits(credit: Mapping[str, Any], outlook: KeyOutlook) -> dict[str, str]:
    """Return the lines about the account's credits."""
    bought, used = number(credit.get("total_credits")), number(credit.get("total_usage"))
    left = usd(bought - used) if bought is not None and used is not None else "unknown"
    described = {"Credits": f"{left} left: {usd(bought)} bought, {usd(used)} used"}
    for limit in outlook.limits:
        if limit.budget.scope == CREDITS:
            described["Outlook"] = describe_outlook(limit)
    return described


def describe_outlook(limit: Limit) -> str:
    """Say when a limit is used up at each rate, or that it resets first."""
    resets = limit.budget.resets_at
    if limit.budget.is_used_up:
        until = "credits are added" if limit.budget.scope == CREDITS else "the limit is raised"
        until = until if resets is None else f"it resets on {_date(resets, limit.now)}"
        return f"used up: requests are rejected until {until}"
    if limit.budget.left is None:
        return "unknown: the API does not say what is left"
    if not limit.rates:
        return "unknown: its spend per day is unknown"
    clauses: dict[str, dict[str, None]] = {}  # without repetitions
    for rate, forecast in zip(limit.rates, limit.forecasts, strict=True):
        on = "" if forecast.at is None else f"on {_date(forecast.at, limit.now)} "
        clause = f"{on}at {_short(rate.usd_per_day)} a day {rate.over}"
        clauses.setdefault(_opening(limit, forecast), {})[clause] = None
    return "; ".join(f"{opening} {' or '.join(ends)}" for opening, ends in clauses.items()) + _overspent(limit)


def _opening(limit: Limit, forecast: Forecast) -> str:
    """Return how a clause begins, which all rates of the same outlook share."""
    resets = limit.budget.resets_at
    if forecast.outlook == "resets first" and resets is not None:
        return f"resets on {_date(resets, limit.now)}, before it is used up,"
    return {"runs out": "runs out", "lasts": "lasts for more than ten years"}.get(forecast.outlook, "does not run out")


def _overspent(limit: Limit) -> str:
    """Warn of a limit that only its reset saves, because a complete period at this rate would exceed it."""
    budget, days = limit.budget, _WINDOW_DAYS.get(limit.budget.interval or "")
    if not limit.rates or days is None or budget.limit is None or limit.forecasts[0].outlook != "resets first":
        return ""
    complete = limit.rates[0].usd_per_day * days
    if complete <= budget.limit:
        return ""
    return f". At this rate {days} days cost {_short(complete)}, more than the limit"


def _describe_budget(limit: Limit) -> str:
    budget = limit.budget
    resets = f", resets {budget.resets_at:%Y-%m-%d}" if budget.resets_at is not None else ""
    figures = [usd(amount) for amount in (budget.left, budget.limit, budget.spent)]
    scope = terminal_line(budget.scope.replace("_", " "))
    effective = " (effective)" if budget.is_effective else ""
    return f"{scope}: {figures[0]} left of {figures[1]}, {figures[2]} spent{resets}{effective}"


def _describe_spend(key: Mapping[str, Any], rates: Sequence[Rate]) -> str:
    if not rates:
        return "unknown"
    of = " by the account" if key.get("is_management_key") else ""
    found = dict.fromkeys(f"{_short(rate.usd_per_day)} {rate.over}" for rate in rates)
    return f"{', '.join(found)}{of}, BYOK included"


def _short(amount: float) -> str:
    """Write an amount with three significant digits, or with cents."""
    return usd(amount, 2) if amount >= _CENTS_ENOUGH else usd(float(f"{amount:.3g}"))


def _date(at: datetime, now: datetime) -> str:
    days = (at - now).days
    return f"{at:%Y-%m-%d %H:%M} UTC" if days < _SOON_DAYS else f"{at:%Y-%m-%d} (in {days} days)"
