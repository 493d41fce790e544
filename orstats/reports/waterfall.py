"""The steps of a waterfall: how a cost before became the cost after, by cause or by group. No drawing here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame import money
from orstats.frame.validation import require_pandas
from orstats.reports.compare import PARTS, causes
from orstats.text.format import percent_change, usd, usd_change, usd_places, usd_tick
from orstats.text.sanitize import display_text

By = Literal["cause", "group"]

_NEEDED: Final = ("before_usd", "after_usd", "change_usd", *PARTS, "presence")
#: What the parts are of, for readers who do not know them.
_MEANINGS: Final = {
    "volume": "volume (generations)",
    "mix": "mix (between groups)",
    "size": "size (tokens each)",
    "price": "price (per token)",
}
#: Steps that span less than this share of the amounts are too small to see on an axis from 0.
_FLAT: Final = 0.25
#: An axis that begins above 0 begins this share of the span below the lowest step.
_BELOW: Final = 0.25


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of a waterfall, from one amount to another; a total begins at 0."""

    name: str
    start: float
    end: float
    is_total: bool = False

    @property
    def change(self) -> float:
        """By how much the cost changes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Waterfall:
    """From the cost before, through the steps, to the cost after."""

    by: str
    """What the steps are, for titles."""
    steps: tuple[Step, ...]

    @property
    def before(self) -> float:
        """The cost before."""
        return self.steps[0].end

    @property
    def after(self) -> float:
        """The cost after."""
        return self.steps[-1].end

    def texts(self, *, shares: bool = True) -> list[str]:
        """Return the amount of each step; of a change also its share of the cost before."""
        between = " · " if shares else None
        return [usd(step.end, self._places) if step.is_total else self._change(step, between) for step in self.steps]

    @property
    def title(self) -> str:
        """Both costs and the difference, in one line."""
        costs = " to ".join(usd(amount, self._places) for amount in (self.before, self.after))
        return f"Cost change by {self.by}: {costs}, {self._change(Step('', self.before, self.after), ', ')}"

    @property
    def axis(self) -> tuple[float, float]:
        """The lowest and the highest amount to show. Small changes of a large amount are shown without most of it."""
        ends = [step.end for step in self.steps]
        lowest, highest = min(ends), max(ends)
        if 0 < highest - lowest < _FLAT * highest:
            unit = 10.0 ** math.floor(math.log10(highest - lowest))
            return math.floor((lowest - _BELOW * (highest - lowest)) / unit) * unit, highest
        return min(0.0, lowest), max(0.0, highest)

    @property
    def axis_note(self) -> str:
        """Where the axis begins, if not at 0 or below."""
        lowest, highest = self.axis
        return f"the axis begins at {usd_tick(lowest, highest - lowest)}" if lowest > 0 else ""

    @property
    def _places(self) -> int:
        return usd_places(max(self.before, self.after))

    def _change(self, step: Step, between: str | None) -> str:
        is_shared = between is not None and self.before > 0 and step.change
        share = f"{between}{percent_change(step.change / self.before)}" if is_shared else ""
        return usd_change(step.change, self._places) + share


def waterfall(compared: pd.DataFrame, by: By, most: int, *, explain: bool = True) -> Waterfall | None:
    """Make the waterfall of a comparison, with at most so many groups; None without any cost.

    The names of causes may explain them.

    >>> compared = pd.DataFrame({"before_usd": [2.0, 0.0], "after_usd": [3.0, 1.5], "change_usd": [1.0, 1.5],
    ...     "volume_usd": [1.0, 0.0], "mix_usd": [0.0, 1.5], "size_usd": 0.0, "price_usd": 0.0,
    ...     "presence": ["both", "new"]}, index=pd.Index(["a", "b"], name="model"))
    >>> [(step.name, step.change) for step in waterfall(compared, "group", 9).steps]
    [('before', 2.0), ('b (new)', 1.5), ('a', 1.0), ('after', 4.5)]
    """
    _check(compared, by)
    before, after = (money.total(compared[f"{side}_usd"]) for side in ("before", "after"))
    if not before and not after:
        return None
    if by == "cause":
        title, changes = "cause", causes(compared)
        if explain:
            changes = [(_MEANINGS.get(name, name), change) for name, change in changes]
    else:
        names = [display_text(name) for name in compared.index.names if name is not None]
        title, changes = " and ".join(names) or "group", _groups(compared, most)
    steps, reached = [Step("before", 0.0, before, is_total=True)], before
    for name, change in changes:
        steps.append(Step(name, reached, reached + change))
        reached += change
    return Waterfall(title, (*steps, Step("after", 0.0, after, is_total=True)))


def _groups(compared: pd.DataFrame, most: int) -> list[tuple[str, float]]:
    """Return the change by group, the largest increase first; the smallest changes are folded into a last one."""
    changes = compared["change_usd"].to_numpy(dtype="float64", na_value=0.0)
    order = np.argsort(-np.abs(changes), kind="stable")
    kept = len(order) if len(order) <= most else most - 1
    shown = sorted(order[:kept], key=lambda at: -changes[at])
    presence = compared["presence"].to_list()
    found = [(_name(compared.index[at], presence[at]), float(changes[at])) for at in shown]
    if rest := len(order) - kept:
        found.append((f"other ({rest:,} more)", money.total(pd.Series(changes[order[kept:]]))))
    return found


def _name(key: Any, presence: Any) -> str:
    name = " · ".join(display_text(part) for part in (key if isinstance(key, tuple) else (key,)))
    return f"{name} ({presence})" if presence in {"new", "gone"} else name


def _check(compared: Any, by: object) -> None:
    require_pandas(compared)
    if absent := [name for name in _NEEDED if name not in compared.columns]:
        raise ConfigError(f"compared must be the result of orstats.compare(), got a DataFrame without {absent[0]}.")
    if by not in ("cause", "group"):
        raise ConfigError(f"by must be 'cause' or 'group', got {by!r}.")
