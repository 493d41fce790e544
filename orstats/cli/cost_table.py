"""The table of a cost report, for terminals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from orstats.export.csv_cells import named_columns
from orstats.reports.cost_tokens_latency import cost_by
from orstats.reports.periods import PERIOD
from orstats.text.format import count, is_present, other_groups, percents, tokens, usd_amounts, usd_per_mtok
from orstats.text.sanitize import NO_VALUE, terminal_line
from orstats.text.table import Column


def cost_columns(report: pd.DataFrame, most: int | None = None) -> list[Column]:
    """Return the columns of the table, with the first `most` groups; the last line is the total of all."""
    least = min(len(report), 1)  # nothing costs $0; only unknown amounts add up to an unknown one
    total = report["cost_usd"].sum(min_count=least)
    shown = report.head(len(report) if most is None else most)
    groups = named_columns(shown)[: report.index.nlevels]
    *costs, total_cost = usd_amounts([*shown["cost_usd"], total])
    columns = [
        Column(terminal_line(name), labels_of(cells), "fixed" if name == PERIOD else "label") for name, cells in groups
    ]
    columns[0] = replace(columns[0], footer="total")
    generations, total_tokens = report["generations"].sum(), report["tokens_total"].sum(min_count=least)
    columns += [
        Column("generations", list(map(count, shown["generations"])), leaves=1, footer=count(generations)),
        Column("cost", costs, footer=total_cost),
        Column("share", percents(shown["share"], ""), leaves=2),
        Column("tokens", list(map(tokens, shown["tokens_total"])), leaves=4, footer=tokens(total_tokens)),
        Column("$/Mtok", list(map(usd_per_mtok, shown["usd_per_mtok"])), leaves=5),
    ]
    if unknown := int(report["cost_unknown"].sum()):
        cells = [count(number) if number else "" for number in shown["cost_unknown"]]
        columns.append(Column("unknown", cells, leaves=3, footer=count(unknown)))
    return columns


def labels_of(cells: Iterable[Any]) -> list[str]:
    """Write the names of the groups of a column."""
    return [_label(cell) if is_present(cell) else NO_VALUE for cell in cells]


def _label(value: Any) -> str:
    return terminal_line(value.isoformat(" ", "minutes") if isinstance(value, pd.Timestamp) else value, 200)


def group_rest(report: pd.DataFrame, frame: pd.DataFrame, keys: list[str], top: int, **options: Any) -> pd.DataFrame:
    """Report the groups of the largest cost, and all others as one group, which is the last one in each period."""
    groups = report.index if PERIOD not in report.index.names else cost_by(frame, keys).index
    if len(groups) <= top:
        return report
    rest = other_groups(len(groups) - top)
    is_rest = ~_joined_keys(frame[keys]).isin(_joined_keys(groups[:top].to_frame()))
    texts = {f"{key} or other": _as_text(frame[key]).mask(is_rest, "") for key in keys}  # flags cannot be text
    first = next(iter(texts))
    texts[first] = texts[first].mask(is_rest, rest)
    report = cost_by(frame.assign(**texts), list(texts), **options)
    report = report.rename_axis(index=dict(zip(texts, keys, strict=True)))
    period = (
        pd.factorize(report.index.get_level_values(0))[0] if PERIOD in report.index.names else np.zeros(len(report))
    )
    is_last = report.index.get_level_values(keys[0]).isin([rest])  # == would be neither true nor false where missing
    return report.iloc[np.lexsort((np.arange(len(report)), is_last, period))]


def _as_text(values: pd.Series[Any]) -> pd.Series[str]:
    text = values.astype("string")
    return text.str.lower() if values.dtype == "boolean" else text


def _joined_keys(keys: pd.DataFrame) -> pd.Series[str]:
    """Join the keys of each row to one text, in which a missing key differs from every other."""
    texts = [_as_text(keys[name]).fillna("\0").to_numpy(dtype=object) for name in keys]
    return pd.Series(["\x1f".join(row) for row in zip(*texts, strict=True)], index=keys.index, dtype=object)
