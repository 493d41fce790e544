"""The explorer's filters: texts as they were typed, and the query that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from orstats.account.time_range import moment
from orstats.errors import ConfigError
from orstats.notebook.table_model import MISSING, Query, TableModel
from orstats.text.sanitize import NO_VALUE, visible_line
from orstats.text.time_zones import clock

_RANGES: Final = (("24 h", timedelta(hours=24)), ("7 d", timedelta(days=7)), ("30 d", timedelta(days=30)))
_TIME: Final = "%Y-%m-%d %H:%M"
_LONGEST: Final = 1000

_SIGNS: Final = re.compile(r"[\s$'\u2019]|USD", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?", re.IGNORECASE)
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the inputs hold. Lists hold the number of the chosen value, or nothing."""

    text: str = ""
    contents: bool = False
    model: str = ""
    provider: str = ""
    status: str = ""
    cost_min: str = ""
    cost_max: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Inputs:
        """Read what the browser sent; what is not text is nothing."""
        texts = {one.name: message.get(one.name) for one in fields(cls)}
        known = {name: text[:_LONGEST] for name, text in texts.items() if isinstance(text, str)}
        return cls(**known | {"contents": texts["contents"] is True})  # type: ignore[arg-type]  # by name

    def to_message(self) -> dict[str, Any]:
        """Return them as the browser's inputs hold them."""
        return asdict(self)


class Filters:
    """What can be chosen, and the query of what was chosen.

    Parameters
    ----------
    model
        The rows.
    zone
        The name of the time zone in which times are typed.
    """

    def __init__(self, model: TableModel, zone: str) -> None:
        self._model, self._zone = model, zone
        self._models, self._providers = model.choices("model"), model.choices("provider_name")
        self._statuses = list(model.statuses)

    def options(self) -> dict[str, Any]:
        """Return the texts of the lists, and the starts of the quick ranges."""
        newest = self._model.newest
        local = None if newest is None else newest.astimezone(clock(self._zone))
        starts = [] if local is None else [(label, f"{local - length:{_TIME}}") for label, length in _RANGES]
        return {
            "models": _labels(self._models),
            "providers": _labels(self._providers),
            "statuses": [f"{name} ({int(mask.sum()):,})" for name, mask in self._model.statuses.items()],
            "zone": self._zone,
            "ranges": starts,
            "latest_day": "" if local is None else f"{local:%Y-%m-%d}",
        }

    def query(self, inputs: Inputs, now: datetime) -> tuple[Query, list[str]]:
        """Return the query, and what was wrong with the inputs; invalid ones are ignored."""
        problems: list[str] = []
        low, high = (_amount(text, problems) for text in (inputs.cost_min, inputs.cost_max))
        if low is not None and high is not None and low > high:
            problems.append("Minimum cost is greater than maximum cost.")
        since, until = (self._time(text, now, problems) for text in (inputs.since, inputs.until))
        if since and until and since >= until:
            problems.append("The time range ends before it begins.")
        query = Query(
            text=inputs.text,
            model=_chosen(inputs.model, [value for value, _ in self._models]),
            provider=_chosen(inputs.provider, [value for value, _ in self._providers]),
            status=_chosen(inputs.status, self._statuses),
            cost_min=low,
            cost_max=high,
            since=since,
            until=until,
        )
        return query, problems

    def describe(self, query: Query) -> list[str]:
        """Return the conditions of a query in words."""
        zone = clock(self._zone)
        found = [f"text “{visible_line(query.text.strip(), 60)}”"] if query.text.strip() else []
        for name, value in (("model", query.model), ("provider", query.provider), ("status", query.status)):
            if value is not None:
                found.append(f"{name} {NO_VALUE if value is MISSING else visible_line(value, 60)}")
        for name, cost in (("cost from", query.cost_min), ("cost to", query.cost_max)):
            if cost is not None:
                found.append(f"{name} ${cost:,g}")
        for name, time in (("created from", query.since), ("created before", query.until)):
            if time is not None:
                found.append(f"{name} {time.astimezone(zone):{_TIME}} ({self._zone})")
        return found

    def _time(self, text: str, now: datetime, problems: list[str]) -> datetime | None:
        if not text.strip():
            return None
        try:
            return moment(text, now=now, tz=self._zone)
        except ConfigError as error:
            problems.append(str(error))
            return None


def read_amount(text: str) -> float:
    """Read an amount in dollars as its writer meant it, with a point or a comma before the decimals.

    Raises
    ------
    ValueError
        Not an amount, or one that reads differently in different countries.

    Examples
    --------
    >>> read_amount("$0.25"), read_amount("0,01"), read_amount("1,234.50"), read_amount("1.234,50")
    (0.25, 0.01, 1234.5, 1234.5)
    """
    bare = _SIGNS.sub("", text)
    if _PLAIN.fullmatch(bare):
        return float(bare)
    if _THOUSANDS.fullmatch(bare):
        if bare.count(",") == 1 and "." not in bare:
            whole = bare.replace(",", "")
            raise ValueError(f"{bare} is ambiguous. Write {whole}, or {bare.replace(',', '.')} with a decimal point.")
        return float(bare.replace(",", ""))
    if _DECIMAL_COMMA.fullmatch(bare):
        return float(bare.replace(".", "").replace(",", "."))
    raise ValueError(f"{visible_line(text, 20)} is not an amount in dollars, such as 0.25 or 0,25.")


def _amount(text: str, problems: list[str]) -> float | None:
    if not text.strip():
        return None
    try:
        return read_amount(text)
    except ValueError as problem:
        problems.append(str(problem))
        return None


def _labels(choices: Sequence[tuple[Any, int]]) -> list[str]:
    return [f"{NO_VALUE if value is MISSING else visible_line(value, 60)} ({rows:,})" for value, rows in choices]


def _chosen(number: str, values: Sequence[Any]) -> Any:
    return values[int(number)] if number.isdecimal() and int(number) < len(values) else None
