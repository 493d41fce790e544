"""The explorer's filters as widgets, and the query they make. Labels and options are plain text to Jupyter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from orstats.notebook.table_model import MISSING, Query, TableModel
from orstats.notebook.widgets import button, on_change, row
from orstats.text.sanitize import visible_line


class FilterControls(widgets.Box):  # type: ignore[misc]  # ipywidgets has no types
    """The row of filters."""

    def __init__(self, model: TableModel, on_filter: Callable[[], object]) -> None:
        super().__init__(layout=widgets.Layout(flex_flow="row wrap", grid_gap="0 4px", width="100%"))
        self._on_filter = on_filter
        self._clearing = False
        self.text = _text_input("id, user or session", "270px", "Text in an id, user or session (press Enter to apply)")
        self.model = _values("any model", model.choices("model"), "Model")
        self.provider = _values("any provider", model.choices("provider_name"), "Provider")
        statuses = [(f"{name} ({int(mask.sum()):,})", name) for name, mask in model.statuses.items()]
        self.status = dropdown([("any status", None), *statuses], "Status", "180px")
        self.cost_min = _text_input("USD from", "86px", "Minimum cost in USD (press Enter to apply)")
        self.cost_max = _text_input("to", "86px", "Maximum cost in USD (press Enter to apply)")
        self.since = _time_input("Created at or after this time (UTC)")
        self.until = _time_input("Created before this time (UTC)")
        self.clear = button("Clear", self._clear, icon="times", tooltip="Clear all filters")
        choices = [self.text, self.model, self.provider, self.status]
        costs, times = [self.cost_min, self.cost_max], [self.since, self.until]
        self._inputs = [*choices, *costs, *times]
        for one in self._inputs:
            on_change(one, lambda _value: None if self._clearing else self._on_filter())
        labelled_times = row([widgets.Label("UTC from"), self.since, widgets.Label("to"), self.until])
        self.children = [*choices, row(costs), labelled_times, self.clear]

    def query(self) -> tuple[Query, list[str]]:
        """Return the query, and what was wrong with the inputs; invalid ones are ignored."""
        problems: list[str] = []
        low, high = (_dollars(one.value, problems) for one in (self.cost_min, self.cost_max))
        if low is not None and high is not None and low > high:
            problems.append("Minimum cost is greater than maximum cost.")
        if self.since.value and self.until.value and self.since.value >= self.until.value:
            problems.append("The time range ends before it begins.")
        query = Query(
            text=self.text.value,
            model=self.model.value,
            provider=self.provider.value,
            status=self.status.value,
            cost_min=low,
            cost_max=high,
            since=self.since.value,
            until=self.until.value,
        )
        return query, problems

    def _clear(self) -> None:
        self._clearing = True
        try:
            for one in self._inputs:
                if isinstance(one, widgets.Dropdown):
                    one.index = 0  # the value None would leave the list blank
                else:
                    one.value = "" if isinstance(one, widgets.Text) else None
        finally:
            self._clearing = False
        self._on_filter()


def dropdown(options: list[tuple[str, Any]], tooltip: str, width: str) -> widgets.Dropdown:
    """Return a list to choose from, with its first option chosen."""
    return widgets.Dropdown(options=options, index=0, tooltip=tooltip, layout=widgets.Layout(width=width))


def _values(any_value: str, choices: list[Any], tooltip: str) -> widgets.Dropdown:
    names = ("(none)" if value is MISSING else visible_line(value, 60) for value, _ in choices)
    options = [(f"{name} ({rows:,})", value) for name, (value, rows) in zip(names, choices, strict=True)]
    return dropdown([(any_value, None), *options], tooltip, "180px")


def _text_input(placeholder: str, width: str, tooltip: str) -> widgets.Text:
    layout = widgets.Layout(width=width)
    return widgets.Text(placeholder=placeholder, tooltip=tooltip, continuous_update=False, layout=layout)


def _time_input(tooltip: str) -> widgets.NaiveDatetimePicker:
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
