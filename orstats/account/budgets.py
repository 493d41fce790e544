"""``budgets``: everything that can block a key, what is spent per day, and when each limit is used up at that rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pandas as pd

from orstats.account.analytics import AnalyticsQuery, usd_of
from orstats.account.budget import CREDITS, SHORTEST, Budget, Forecast, Rate, budgets_of, credits_budget, window_start
from orstats.account.time_windows import Window
from orstats.api.client import MANAGEMENT_KEYS_URL, Client
from orstats.errors import ForbiddenError
from orstats.frame.build import SOURCE
from orstats.frame.display import ReportFrame
from orstats.frame.json_values import moment, number, time
from orstats.text.format import usd

#: The lengths of time over which spend per day is measured.
DAYS: Final = (7, 30)
_DAY: Final = timedelta(days=1)
#: Budgets that only the key itself spends.
_OF_THE_KEY: Final = frozenset({"key_limit", "api_key", "workspace_default_key"})
_METRICS: Final = ("credits_usage", "byok_usage")
_SCHEMA: Final = {
    "left_usd": "float64",
    "limit_usd": "float64",
    "used_share": "float64",
    "usd_per_day": "float64",
    "outlook": "string",
    "runs_out_at": "datetime64[us, UTC]",
    "resets_at": "datetime64[us, UTC]",
    "spent_usd": "float64",
    "usd_per_day_7d": "float64",
    "usd_per_day_30d": "float64",
    "runs_out_at_30d": "datetime64[us, UTC]",
}
_RANKS: Final = {"used up": 0, "runs out": 1}


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget, and the rates at which it is spent, the most telling first."""

    budget: Budget
    rates: tuple[Rate, ...]
    now: datetime

    @property
    def forecasts(self) -> list[Forecast]:
        """The forecast for each rate; a single one where there is no rate."""
        return [self.budget.forecast(rate.usd_per_day, self.now) for rate in self.rates] or [
            self.budget.forecast(None, self.now)
        ]


@dataclass(frozen=True, slots=True)
class KeyOutlook:
    """What can block a key, the first limit to be used up first, and what the key spends per day."""

    limits: tuple[Limit, ...]
    spend: tuple[Rate, ...]
    """Of the key, or of the account for a management key; from credits and with your own provider keys."""
    note: str
    """What cannot be known, or the limit that is used up first."""


def budgets(*, client: Client | None = None) -> pd.DataFrame:
    """Return every limit that can block the API key in use, and when it is used up at the present rate of spend.

    Parameters
    ----------
    client : Client, optional
        By default, a client configured from the environment. With a management key, spend per day comes from the
        account's analytics, and the account's credits are a limit, too.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``scope``, the limit that is used up first on top: ``key_limit``, ``api_key``, ``member``,
        ``workspace``, ``workspace_default_key``, ``workspace_default_member`` (as the API names them) and ``credits``.
        No row where nothing limits the key. Amounts are in US dollars, missing where unknown; times are in UTC:

        - ``left_usd`` of ``limit_usd``, and ``used_share`` (0 to 1, more where exceeded);
        - ``usd_per_day``, the spend that the forecast assumes: of the last 7 days, or without a management key since
          the limit's last reset;
        - ``outlook``: ``used up`` (requests are rejected), ``runs out``, ``resets first`` (before it is used up),
          ``lasts`` (for ten years), ``no spend`` or ``unknown``;
        - ``runs_out_at``, where it runs out, and ``resets_at``, missing for a limit that never resets;
        - ``spent_usd`` since the last reset;
        - ``usd_per_day_7d`` and ``usd_per_day_30d``, over the last 7 and 30 days, missing without a management key: of
          the key, member, workspace or account whose spend counts towards the limit, with BYOK where the limit
          includes it. For a key that is newer, over the time since its creation, a day at least.
          ``runs_out_at_30d`` is the forecast at the latter.

        ``.attrs["note"]``, which is also shown, says which limit is used up first, or what only a management key shows.

    Raises
    ------
    ApiError
        A request failed after all retries.
    MissingKeyError
        No key is set.

    Notes
    -----
    A forecast is *left / spend per day*. It assumes that spend continues at this rate, on every day of the week.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(500) as sim:
    ...     found = orstats.budgets(client=sim.client())
    >>> found.index.to_list(), bool((found["left_usd"] > 0).all())
    (['credits'], True)
    """
    with ExitStack() as stack:
        client = client or stack.enter_context(Client())
        key = client.key()
        try:
            credit: dict[str, Any] | None = client.credits()
        except ForbiddenError:
            credit = None
        outlook = outlook_of(key, credit, client)
    found = outlook_frame(outlook)
    found.attrs[SOURCE] = client.settings.host
    return found


def outlook_of(key: Mapping[str, Any], credit: Mapping[str, Any] | None, client: Client) -> KeyOutlook:
    """Forecast each limit of a key, from the responses about it; without credits there is no management key."""
    now = datetime.fromtimestamp(int(client.now()), UTC)
    if credit is None:
        known = outlook_since_reset(key, None, now)
        hidden = "Only a management key shows spend over the last 7 and 30 days, and the account's credits"
        return replace(known, note=f"{known.note} {hidden}; make one at {MANAGEMENT_KEYS_URL}.")
    is_management = bool(key.get("is_management_key"))
    listed = None if is_management else _listed(key, client)
    own = {} if is_management else None if listed is None else {"api_key_id": str(listed["hash"])}
    spend = _Spend(client, now, own, None if listed is None else time(listed.get("created_at")))
    limits = []
    for budget in _budgets(key, credit, now):
        which = _filter(budget, key, own)
        rates = _since_reset(key, budget, now) if which is None else spend.rates(which, byok=budget.counts_byok)
        limits.append(Limit(budget, rates, now))
    ordered = _by_outlook(limits)
    if own is not None:
        return KeyOutlook(ordered, spend.rates(own, byok=True), _first_used_up(ordered))
    lost = "The key is not among the account's keys, so its spend is that since the last reset."
    return KeyOutlook(ordered, _own_rate(key, now, byok=True), f"{_first_used_up(ordered)} {lost}")


def outlook_since_reset(key: Mapping[str, Any], credit: Mapping[str, Any] | None, now: datetime) -> KeyOutlook:
    """Forecast each limit by its spend since the last reset, which needs no further request."""
    limits = _by_outlook([Limit(one, _since_reset(key, one, now), now) for one in _budgets(key, credit, now)])
    spend = () if key.get("is_management_key") else _own_rate(key, now, byok=True)
    return KeyOutlook(limits, spend, _first_used_up(limits))


def _budgets(key: Mapping[str, Any], credit: Mapping[str, Any] | None, now: datetime) -> list[Budget]:
    credits_left = None if credit is None else credits_budget(credit)
    return [*budgets_of(key, now), *([] if credits_left is None else [credits_left])]


class _Spend:
    """Spend per day of parts of the account, each requested once."""

    def __init__(self, client: Client, now: datetime, own: Mapping[str, str] | None, created_us: int | None) -> None:
        self._client = client
        self._now = now
        self._own = own
        self._created = None if created_us is None else moment(created_us)
        self._found: dict[tuple[tuple[str, str], ...], list[tuple[float, float] | None]] = {}

    def rates(self, which: Mapping[str, str], *, byok: bool) -> tuple[Rate, ...]:
        """Return the rates of the last 7 and 30 days, for a newer key since its creation; none that takes too long."""
        place = tuple(sorted(which.items()))
        if place not in self._found:
            filters = [{"field": field, "operator": "eq", "value": value} for field, value in which.items()]
            query = AnalyticsQuery(self._client, filters)
            self._found[place] = [self._sums(query, days) for days in DAYS]
        created = self._created if which == self._own else None
        found = []
        for days, sums in zip(DAYS, self._found[place], strict=True):
            if sums is not None:
                usd_spent = sums[0] + (sums[1] if byok else 0.0)
                if created is not None and self._now - created < days * _DAY:
                    elapsed = max((self._now - created) / _DAY, 1.0)
                    found.append(Rate(usd_spent / elapsed, f"since the key was created on {created:%Y-%m-%d}", days))
                else:
                    found.append(Rate(usd_spent / days, f"over the last {days} days", days))
        return tuple(found)

    def _sums(self, query: AnalyticsQuery, days: int) -> tuple[float, float] | None:
        response = query.run(Window(self._now - days * _DAY, self._now), _METRICS)
        if response is None:
            return None
        credits_usd, byok_usd = (sum(usd_of(row, name) for row in response[0]) for name in _METRICS)
        return credits_usd, byok_usd


def _listed(key: Mapping[str, Any], client: Client) -> Mapping[str, Any] | None:
    """Return the key as the account lists it; None when it does not, or lists several with that label."""
    same = [one for one in client.keys(include_disabled=True) if one.get("label") == key.get("label")]
    return same[0] if len(same) == 1 and same[0].get("hash") else None


def _filter(budget: Budget, key: Mapping[str, Any], own: dict[str, str] | None) -> dict[str, str] | None:
    """Return the filter for the generations that count towards a budget; None where it is unknown."""
    if budget.scope == CREDITS:
        return {}
    if budget.scope in _OF_THE_KEY:
        return own
    fields: dict[str, str | None] = {}
    if budget.scope in {"workspace", "workspace_default_member"}:
        fields["workspace"] = key.get("workspace_id")
    if budget.scope in {"member", "workspace_default_member"}:
        fields["user"] = key.get("creator_user_id")
    is_known = bool(fields) and all(fields.values())
    return {name: value for name, value in fields.items() if value} if is_known else None


def _since_reset(key: Mapping[str, Any], budget: Budget, now: datetime) -> tuple[Rate, ...]:
    """Return the rate of a budget's spend since its last reset; of one that never resets, the key's own spend."""
    rate = budget.own_rate(now)
    if rate is not None:
        return (rate,)
    return _own_rate(key, now, byok=budget.counts_byok) if budget.scope in _OF_THE_KEY else ()


def _own_rate(key: Mapping[str, Any], now: datetime, *, byok: bool) -> tuple[Rate, ...]:
    """Return the rate of the key's own spend this week or month, whichever began first."""
    start, name = min((window_start(name, now) or now, name) for name in ("weekly", "monthly"))
    spent, own = number(key.get(f"usage_{name}")), number(key.get(f"byok_usage_{name}")) or 0.0
    if spent is None or now - start < SHORTEST:
        return ()
    return (Rate((spent + (own if byok else 0.0)) / ((now - start) / _DAY), f"since {start:%Y-%m-%d}"),)


def _by_outlook(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """Sort limits: used up, then by when they run out, then the effective one, then the others."""

    def place(limit: Limit) -> tuple[int, float, bool]:
        first = limit.forecasts[0]
        at = first.at.timestamp() if first.at is not None else 0.0
        return _RANKS.get(first.outlook, 2), at, not limit.budget.is_effective

    return tuple(sorted(limits, key=place))


def _first_used_up(limits: Sequence[Limit]) -> str:
    """Say which of several limits blocks first."""
    if not limits:
        return "No limit or budget of the key is known."
    first, outlooks = limits[0], {limit.forecasts[0].outlook for limit in limits}
    name, forecast = first.budget.name, first.forecasts[0]
    if forecast.outlook == "used up":
        return f"The {name} {'are' if first.budget.scope == CREDITS else 'is'} used up: requests are rejected."
    if forecast.at is not None:
        rate = f"{usd(float(f'{first.rates[0].usd_per_day:.3g}'))} a day {first.rates[0].over}"
        return f"First used up: the {name}, on {forecast.at:%Y-%m-%d %H:%M} UTC, at {rate}."
    if "unknown" in outlooks:
        return "No limit is known to run out."
    if outlooks == {"no spend"}:
        return "Nothing was spent, so no limit runs out."
    return "At this spend, no limit runs out before it resets."


def outlook_frame(outlook: KeyOutlook) -> pd.DataFrame:
    """Return the DataFrame of :func:`budgets`."""
    rows = []
    for limit in outlook.limits:
        budget, forecasts = limit.budget, limit.forecasts
        measured = {rate.days: rate.usd_per_day for rate in limit.rates}
        rows.append(
            {
                "limit_usd": budget.limit,
                "spent_usd": budget.spent,
                "left_usd": budget.left,
                "used_share": budget.used_share,
                "resets_at": budget.resets_at,
                "usd_per_day": limit.rates[0].usd_per_day if limit.rates else None,
                "outlook": forecasts[0].outlook,
                "runs_out_at": forecasts[0].at,
                **{f"usd_per_day_{days}d": measured.get(days) for days in DAYS},
                "runs_out_at_30d": forecasts[1].at if len(forecasts) > 1 else None,
            }
        )
    found = ReportFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in _SCHEMA.items()})
    found.index = pd.Index([limit.budget.scope for limit in outlook.limits], name="scope", dtype="object")
    found.attrs["note"] = outlook.note
    return found
