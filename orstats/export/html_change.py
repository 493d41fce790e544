"""The section of the page about what changed since an earlier period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from orstats.export import svg
from orstats.export.html_elements import Header, escape, name, note, section, table
from orstats.frame import money
from orstats.reports.compare import PARTS, fold_changes
from orstats.reports.waterfall import waterfall
from orstats.text.format import count, usd, usd_change, usd_places
from orstats.text.sanitize import display_text

_TITLE: Final = "What changed"
_MOST_GROUPS: Final = 15
_ABOUT: Final = (
    "Volume: the number of all generations changed. Mix: other groups got a larger share of them. Size: more or fewer "
    "tokens per generation. Price: another average price per token. New and gone groups are steps of their own; in the "
    "table, their change is part of volume and mix."
)


def change_section(compared: pd.DataFrame) -> str:
    """Draw why the cost changed, and list the groups with the largest changes."""
    found = waterfall(compared, "cause", _MOST_GROUPS)
    periods = _periods(compared.attrs.get("coverage", {}))
    if found is None:
        return section(_TITLE, periods, note("Nothing to show."))
    title = found.title + (f"; {found.axis_note}" if found.axis_note else "")
    figure = f"<figure>{svg.waterfall(found)}<figcaption>{escape(title)}.</figcaption></figure>"
    return section(_TITLE, periods, figure, note(_ABOUT), _table(compared, usd_places(max(found.before, found.after))))


def _periods(ends: Mapping[str, Any]) -> str:
    """Name both periods, where a report knows them."""
    if not {"before_start", "after_start", "after_end", "tz"} <= set(ends):
        return ""
    start, middle, end = (
        str(ends[name])[:16].replace("T", " ") for name in ("before_start", "after_start", "after_end")
    )
    return note(f"Before: {start} to {middle}. After: {middle} to {end}. Times in {ends['tz']}.")


def _table(compared: pd.DataFrame, places: int) -> str:
    def cells(row: Mapping[str, Any] | pd.Series[Any]) -> list[str]:
        costs = [usd(row[f"{side}_usd"], places) for side in ("before", "after")]
        changes = [usd_change(row[part], places) if row[part] else "" for part in ("change_usd", *PARTS)]
        return [*costs, *changes, " → ".join(count(row[f"{side}_generations"]) for side in ("before", "after"))]

    folded = fold_changes(compared, _MOST_GROUPS)
    rows: list[list[str]] = []
    for key, (_, row) in zip(folded.index, folded.iterrows(), strict=True):
        parts = key if isinstance(key, tuple) else (key,)
        is_rest = len(rows) == _MOST_GROUPS
        group = " · ".join(name(part) for part in (parts[:1] if is_rest else parts))
        presence = f' <span class="soft">{row["presence"]}</span>' if row["presence"] in {"new", "gone"} else ""
        rows.append([group + presence, *cells(row)])
    totals = {part: money.total(compared[part]) for part in ("before_usd", "after_usd", "change_usd", *PARTS)}
    totals |= {part: compared[part].sum() for part in ("before_generations", "after_generations")}
    label = " · ".join(display_text(one) for one in compared.index.names if one is not None) or "group"
    numbers = ("Before", "After", "Change", "Volume", "Mix", "Size", "Price", "Generations")
    headers = [Header(label.replace("_", " ").capitalize()), *(Header(text, "n") for text in numbers)]
    return table(headers, rows, ["total", *cells(totals)])
