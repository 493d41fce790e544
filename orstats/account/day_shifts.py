"""Find calls that the account books on another day, past midnight, or under another variant of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations, islice
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from orstats.account.analytics import ROUNDING_USD

Key = tuple[pd.Timestamp, str]
Notes = dict[Key, list[str]]
Groups = Iterator[tuple[Key, pd.DataFrame]]
_Gap = np.ndarray[Any, np.dtype[np.float64]]
_Gaps = dict[Key, _Gap]

_DAY: Final = pd.Timedelta(days=1)
#: A call may have run longer than its record says, because of failed attempts.
_UNKNOWN_END: Final = pd.Timedelta(hours=1)
_MAX_COMBINATIONS: Final = 5000
_PARTS: Final = ["requests", "credits_usd", "byok_usd"]


def merge_variants(calls: pd.DataFrame, account: pd.DataFrame) -> dict[str, str]:
    """Return new names for models whose variants, such as ``:free``, are counted differently on the two sides."""
    sums = [side.groupby("model")["requests"].sum() for side in (account, calls)]
    gaps = sums[0].sub(sums[1], fill_value=0)
    names: dict[str, str] = {}
    for base, group in gaps.groupby(gaps.index.str.replace(r":.*", "", regex=True)):
        differ = any((name in sums[0]) != (name in sums[1]) for name in group.index)
        # The surplus of one name is the deficit of another.
        if differ and abs(group.sum()) < group.abs().sum():
            names |= dict.fromkeys(group.index, f"{base} (all variants)")
    return names


def move_past_midnight(
    calls: pd.DataFrame, account: pd.DataFrame, start: datetime
) -> tuple[pd.DataFrame, pd.DataFrame, Notes]:
    """Compare calls on the day on which the account counts them, where that explains a difference.

    Activity counts a call on the day on which it ended, and analytics on the day on which it began. Between days of
    different sources, a call is counted twice or not at all.
    """
    first = pd.Timestamp(start).floor("D")
    inside = calls[calls["created_at"] >= start]
    gaps = _gaps(inside, account)
    unserved = inside.groupby(["day", "model"])["unserved"].sum().to_dict()
    sources = dict(zip(zip(account["day"], account["model"], strict=True), account["source"], strict=True))
    days_by_end = {day for (day, _), source in sources.items() if source == "activity"}
    notes: Notes = defaultdict(list)
    days, twice = calls["day"].copy(), []
    late = calls[calls["ends_at"] >= calls["day"] + _DAY]
    candidates = {(day, str(model)): rows for (day, model), rows in cast("Groups", late.groupby(["day", "model"]))}
    for here, own in candidates.items():
        there = (here[0] + _DAY, here[1])
        by_end = [
            sources.get(key) == "activity" or (key not in sources and key[0] in days_by_end) for key in (here, there)
        ]
        counted_before = here[0] >= first and here in sources and by_end == [False, True]
        if counted_before or here[0] < first:
            # The account's surplus on the next day, from which unserved calls and those past the next midnight may be
            # excluded.
            excluded = unserved.get(there, 0)
            surplus = gaps[there] + np.array([excluded, 0, 0])
            possible = [surplus, surplus + _parts(candidates.get(there, late[:0]))]
        else:
            excluded = unserved.get(here, 0)
            possible = [-gaps[here]]
        moved = None
        if by_end == [True, True] and here[0] >= first:
            # Missing ids can make the account's totals larger than ours, but never smaller.
            sums, leaving = _parts(own), _parts(candidates.get(there, late[:0]))
            remaining = [(gaps[here] + sums, excluded)]
            remaining.append((gaps[there] - sums + leaving, unserved.get(there, 0)))
            is_off = bool(gaps[here][0]) or abs(gaps[here][1:].sum()) > ROUNDING_USD
            if is_off and all(gap[0] >= -omitted and gap[1:].sum() >= -ROUNDING_USD for gap, omitted in remaining):
                moved = own
        if moved is None:
            moved = _explaining(own, possible, excluded)
        if moved is None:
            continue
        parts = _parts(moved)
        if counted_before:
            twice.append(pd.DataFrame([{"day": there[0], "model": here[1], **dict(zip(_PARTS, -parts, strict=True))}]))
            gaps[there] = gaps[there] - parts
            notes[there].append(f"{len(moved):,} from the previous day, on which they are counted, excluded")
            continue
        gaps[here] = gaps[here] + parts
        if by_end == [True, False]:
            days[moved.index] = pd.NaT
            notes[here].append(f"{len(moved):,} would count on the next day (ran past midnight); excluded")
        else:
            days[moved.index] = there[0]
            gaps[there] = gaps[there] - parts
            _note(notes, here, there, len(moved))
    moved_calls = pd.concat([calls.assign(day=days), *_cancelled(inside, gaps, notes)])
    return moved_calls, pd.concat([account, *twice]), notes


def _gaps(calls: pd.DataFrame, account: pd.DataFrame) -> _Gaps:
    """Return the account's surplus by day and model."""
    sums = [side.groupby(["day", "model"])[_PARTS].sum() for side in (account, calls)]
    table = sums[0].sub(sums[1], fill_value=0.0)
    known = {(day, str(model)): row for (day, model), row in zip(table.index, table.to_numpy("float64"), strict=True)}
    return defaultdict(lambda: np.zeros(len(_PARTS)), known)


def _parts(calls: pd.DataFrame) -> _Gap:
    return calls[_PARTS].sum().to_numpy("float64")


def _explaining(candidates: pd.DataFrame, gaps: list[_Gap], unserved: int) -> pd.DataFrame | None:
    """Choose the calls whose number and cost best explain one of the differences.

    The account may exclude some unserved requests. Differences after the first one rest on a further assumption, that
    other calls leave the day, and must be explained exactly.
    """
    costs = (candidates["credits_usd"] + candidates["byok_usd"]).to_list()
    found: list[tuple[float, tuple[int, ...]]] = []
    for place, gap in enumerate(gaps):
        most, amount = min(round(gap[0]), len(costs)), gap[1] + gap[2]
        tolerance = 2 * ROUNDING_USD if place else max(abs(amount), ROUNDING_USD)
        for size in range(most, max(most - unserved, 1) - 1, -1):
            for chosen in islice(combinations(range(len(costs)), size), _MAX_COMBINATIONS):
                left = abs(amount - sum(costs[n] for n in chosen))
                if left <= tolerance:
                    found.append((round(left / ROUNDING_USD), chosen))
    return candidates.iloc[list(min(found, key=lambda one: one[0])[1])] if found else None


def _cancelled(calls: pd.DataFrame, gaps: _Gaps, notes: Notes) -> Iterator[pd.DataFrame]:
    """Balance two days whose differences cancel, with calls near midnight whose end is not recorded."""
    for here in sorted(gaps):
        there = (here[0] + _DAY, here[1])
        gap = gaps[here]
        cost, rest = abs(gap[1] + gap[2]), np.abs(gap + gaps.get(there, np.zeros(len(_PARTS))))
        if not round(gap[0]) or cost <= ROUNDING_USD or rest[0] or rest[1:].sum() > ROUNDING_USD:
            continue
        forward = gap[0] < 0
        least, most = (-_UNKNOWN_END, pd.Timedelta(0)) if forward else (pd.Timedelta(0), _UNKNOWN_END)
        near = (calls["created_at"] - there[0]).between(least, most)
        if (near & (calls["model"] == here[1])).sum() >= abs(gap[0]):
            _note(notes, here, there, round(abs(gap[0])), forward=forward)
            for key, change in ((here, gap), (there, -gap)):
                row = {"day": key[0], "model": key[1], "unserved": 0, "cost_unknown": 0, "recent": 0}
                yield pd.DataFrame([row | dict(zip(_PARTS, change, strict=True))])
            gaps[here] = gaps[there] = np.zeros(len(_PARTS))


def _note(notes: Notes, here: Key, there: Key, number: int, *, forward: bool = True) -> None:
    begun, counted = (here, there) if forward else (there, here)
    near = ("next", "previous") if forward else ("previous", "next")
    notes[begun].append(f"{number:,} counted on the {near[0]} day (ran past midnight)")
    notes[counted].append(f"{number:,} from the {near[1]} day (ran past midnight)")
