"""The table of a comparison of two periods, for terminals."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pandas as pd

from orstats.cli.cost_table import labels_of
from orstats.export.csv_cells import named_columns
from orstats.frame import money
from orstats.reports.compare import PARTS
from orstats.text.format import column_places, count, usd, usd_change
from orstats.text.sanitize import terminal_line
from orstats.text.table import Column

_SUMS: Final = ("before_usd", "after_usd", "change_usd", *PARTS)


def change_columns(compared: pd.DataFrame) -> list[Column]:
    """Return the columns of the table; the last line is the total of all groups."""
    totals = {name: money.total(compared[name]) for name in _SUMS}
    places = column_places([totals["before_usd"], totals["after_usd"]])

    def side(name: str, leaves: int) -> Column:
        is_there = compared[f"{name}_generations"] > 0
        amounts = zip(compared[f"{name}_usd"], is_there, strict=True)
        cells = [usd(value, places) if shown else "" for value, shown in amounts]
        return Column(name, cells, leaves=leaves, footer=usd(totals[f"{name}_usd"], places))

    def change(name: str, leaves: int) -> Column:
        cells = [usd_change(value, places) for value in compared[name]]
        return Column(name.removesuffix("_usd"), cells, leaves=leaves, footer=usd_change(totals[name], places))

    groups = named_columns(compared)[: compared.index.nlevels]
    columns = [Column(terminal_line(name), labels_of(cells), "label") for name, cells in groups]
    columns[0] = replace(columns[0], footer="total")
    columns += [side("before", 2), side("after", 1), change("change_usd", 0)]
    if compared["presence"].isin(["new", "gone"]).any():
        columns.append(Column("", [one if one in {"new", "gone"} else "" for one in compared["presence"]], "fixed", 3))
    columns += [change(part, leaves) for leaves, part in enumerate(PARTS, 4)]
    for name in ("before", "after"):
        counts = compared[f"{name}_generations"]
        columns.append(Column(f"generations {name}", list(map(count, counts)), leaves=8, footer=count(counts.sum())))
    return columns
