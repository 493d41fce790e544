"""The explorer's filters as widgets, and the query that they say. Labels and options are plain text to Jupyter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from orstats.notebook.table_model import MISSING, Query, Rows
from orstats.notebook.widgets import button, row, watch
from orstats.text.sanitize import visible_line


class Controls(widgets.Box):  # type: ignore[misc]  # ipywidgets has no types
    """The row of filters."""

    def __init__(self, rows: Rows, on_change: Callable[[], object]) -> None:
        super().__init__(layout=widgets.Layout(flex_flow="row wrap", grid_gap="0 4px", width="100%"))
        self._on_change = on_change
        self._quiet = False
        self.text = _text("id, user or session", "270px", "Text in an id, user or session; then Enter")
        self.model = _choice("any model", rows.choices("model"), "Model")
        self.provider = _choice("any provider", rows.choices("provider_name"), "Provider")
        states = [(f"{name} ({int(mask.sum()):,})", name) for name, mask in rows.states.items()]
        self.state = _dropdown([("any state", None), *states], "State")
        self.cost_min = _text("USD from", "86px", "Least cost in US dollars; then Enter")
        self.cost_max = _text("to", "86px", "Greatest cost in US dollars; then Enter")
        self.since = _moment("From this time on, UTC")
        self.until = _moment("Before this time, UTC")
        self.clear = button("Clear", self._reset, icon="times")
        self.clear.tooltip = "Take all filters away"
        self._inputs = (
            *(self.text, self.model, self.provider, self.state),
            *(self.cost_min, self.cost_max, self.since, self.until),
        )
        for one in self._inputs:
            watch(one, self._changed)
        times = [widgets.Label("UTC from"), self.since, widgets.Label("to"), self.until]
        words, (low, high) = self._inputs[:4], self._inputs[4:6]
        self.children = [*words, row([low, high]), row(times), self.clear]

    def query(self) -> tuple[Query, list[str]]:
        """Return what the filters say, and what in them cannot be understood, which is left out."""
        problems: list[str] = []
        low = _dollars(self.cost_min.value, problems)
        high = _dollars(self.cost_max.value, problems)
        if low is not None and high is not None and low > high:
            problems.append(f"No cost is from {low:g} to {high:g}.")
        if self.since.value and self.until.value and self.since.value >= self.until.value:
            problems.append("The time range ends before it begins.")
        query = Query(
            text=self.text.value,
            model=self.model.value,
            provider=self.provider.value,
            state=self.state.value,
            cost_min=low,
            cost_max=high,
            since=self.since.value,
            until=self.until.value,
        )
        return query, problems

    def _changed(self, _value: Any) -> None:
        if not self._quiet:
            self._on_change()

    def _reset(self) -> None:
        self._quiet = True
        try:
            for one in self._inputs:
                if isinstance(one, widgets.Dropdown):
                    one.index = 0  # the value None would leave the list blank
                else:
                    one.value = "" if isinstance(one, widgets.Text) else None
        finally:
            self._quiet = False
        self._on_change()


def dropdown(options: list[tuple[str, Any]], tooltip: str, width: str) -> widgets.Dropdown:
    """Return a list to choose from; the first is chosen."""
    return widgets.Dropdown(options=options, index=0, tooltip=tooltip, layout=widgets.Layout(width=width))


def _dropdown(options: list[tuple[str, Any]], tooltip: str) -> widgets.Dropdown:
    return dropdown(options, tooltip, "180px")


def _choice(any_value: str, choices: list[Any], tooltip: str) -> widgets.Dropdown:
    options = [
        (f"{'(none)' if value is MISSING else visible_line(value, 60)} ({number:,})", value)
        for value, number in choices
    ]
    return _dropdown([(any_value, None), *options], tooltip)


def _text(placeholder: str, width: str, tooltip: str) -> widgets.Text:
    return widgets.Text(
        placeholder=placeholder, tooltip=tooltip, continuous_update=False, layout=widgets.Layout(width=width)
    )


def _moment(tooltip: str) -> widgets.NaiveDatetimePicker:
    return widgets.NaiveDatetimePicker(tooltip=tooltip, layout=widgets.Layout(width="205px", flex="0 0 auto"))


def _dollars(text: str, problems: list[str]) -> float | None:
    cleaned = text.strip().removeprefix("$").replace(",", "")
    if not cleaned:
        return None
    try:
        value = float(cleaned)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    problems.append(f"{visible_line(text, 20)} is not a number of dollars, such as 0.25.")
    return None
