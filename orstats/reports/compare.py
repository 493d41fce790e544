"""What changed between two periods, and how much of it is volume, mix, size and price."""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from orstats._warn import warn_caller
from orstats.errors import ConfigError
from orstats.frame import money
from orstats.frame.display import ReportFrame
from orstats.frame.validation import By, equals, listed
from orstats.reports.aggregation import ReportSpec, make_report
from orstats.reports.engines import finite, valid_count
from orstats.text.format import plural, usd, usd_change, usd_places

#: The parts of a change, in the order in which a waterfall shows them.
PARTS: Final = ("volume_usd", "mix_usd", "size_usd", "price_usd")
_USD: Final = ("before_usd", "after_usd", "change_usd", *PARTS)
_TOTALS: Final = ReportSpec(
    required=("cost_usd", "tokens_total", "is_byok"),
    inputs={"cost": finite("cost_usd"), "count": valid_count("tokens_total")},
    sums=("count",),
    usd=("cost",),
    counts=("cost",),
    metrics={"usd": nw.col("cost"), "generations": nw.col("cost_n"), "tokens": nw.col("count").cast(nw.Int64)},
    sort_by="usd",
)


def compare(before: Any, after: Any, by: By = "model") -> pd.DataFrame:
    """Split the difference in cost between two DataFrames into volume, mix, size and price, group by group.

    Parameters
    ----------
    before, after : DataFrame
        Two results of :func:`orstats.fetch`, such as last week and this week, or the same columns in Polars, DuckDB or
        PySpark. Rows that are not ``ok`` and rows with unknown cost are excluded.
    by : str or list of str
        Columns to group by; a missing value is a group, too.

    Returns
    -------
    pandas.DataFrame
        Indexed by `by`, the largest increase first, for every engine:

        - ``before_usd``, ``after_usd`` and ``change_usd``, the second minus the first; 0 where a group is absent;
        - ``volume_usd``: the change if every group had grown as the number of all generations did;
        - ``mix_usd``: the rest of the change in the group's number of generations, at its cost per generation before.
          A new group is all mix;
        - ``size_usd``: more or fewer tokens per generation, at the price before;
        - ``price_usd``: another average price per token, because prices changed or because of other shares of output
          and cached tokens. Where tokens are unknown before or after, it is the change per generation;
        - ``before_generations``, ``after_generations`` with known cost, ``before_tokens``, ``after_tokens``;
        - ``presence``: ``both``, ``new`` or ``gone``.

        The four parts add up to ``change_usd``. Amounts are in US dollars. ``.attrs["note"]``, which is also shown,
        has the totals: the parts of the groups on both sides, and the entire change of new and of gone groups.
        :func:`orstats.plot_change` draws them.

    Raises
    ------
    ConfigError
        A column is missing, `by` is empty, or one of the two is not a supported DataFrame.

    Warns
    -----
    UserWarning
        Two pandas DataFrames have ids in common.

    Notes
    -----
    A group's cost is *generations x tokens per generation x USD per token*. The factors are changed one after the
    other in this order, a price-volume-mix analysis as in management accounting.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.record_table import to_table
    >>> def frame(*costs):
    ...     ids = [f"gen-{n}" for n in range(len(costs))]
    ...     records = [{"model": "a", "total_cost": cost, "is_byok": False} for cost in costs]
    ...     return build_frame(ids, [to_table(ids, records, [0.0] * len(ids))], {})
    >>> changed = compare(frame(1.0, 1.0), frame(1.0, 1.0, 1.0).add_suffix("-later", axis=0))
    >>> changed.loc["a", ["before_usd", "after_usd", "volume_usd", "price_usd"]].to_list()
    [2.0, 3.0, 1.0, 0.0]
    """
    keys = list(dict.fromkeys(listed(by)))
    if not keys:
        raise ConfigError("by must name at least one column to compare by, got none.")
    _warn_of_shared_ids(before, after)
    sides = [_totals(frame, keys).add_prefix(name) for name, frame in (("before_", before), ("after_", after))]
    # Not an outer join: its order and its handling of missing keys differ between versions of pandas.
    groups = sides[0].index.union(sides[1].index, sort=False)
    table = pd.concat([side.reindex(groups) for side in sides], axis=1)
    known = ["before_usd", "before_generations", "after_usd", "after_generations"]
    table[known] = table[known].fillna(0.0)
    return _split(table)


def _warn_of_shared_ids(before: Any, after: Any) -> None:
    """Warn when generations are on both sides, where the ids can be compared without a scan."""
    if (
        isinstance(before, pd.DataFrame)
        and isinstance(after, pd.DataFrame)
        and before.index.name == after.index.name == "id"
    ):
        shared = int(before.index.isin(after.index).sum())
        if shared:
            warn_caller(f"{shared:,} generations are in both DataFrames and count on both sides.")


def _totals(frame: Any, keys: list[str]) -> pd.DataFrame:
    """Sum cost, generations with known cost and tokens by group, whatever the engine."""
    report = make_report(frame, _TOTALS, keys, None, "UTC")
    if not isinstance(report, pd.DataFrame):
        native: Any = nw.from_native(report).lazy().collect("pyarrow").to_native()
        report = native.to_pandas().set_index(keys)
    return pd.DataFrame(report).astype("float64")


def _split(table: pd.DataFrame) -> pd.DataFrame:
    n0, n1 = table["before_generations"], table["after_generations"]
    cost0, cost1 = table["before_usd"], table["after_usd"]
    growth = n1.sum() / n0.sum() if n0.sum() else 1.0
    each0, each1 = cost0 / n0.where(n0 > 0), cost1 / n1.where(n1 > 0)
    volume = cost0 * (growth - 1.0)
    mix = (each0 * n1 - cost0 * growth).fillna(cost1)
    size0, size1 = (table[f"{side}_tokens"] / n.where(n > 0) for side, n in (("before", n0), ("after", n1)))
    size = (n1 * (size1 / size0.where(size0 > 0) - 1.0) * each0).fillna(0.0)
    change = cost1 - cost0
    table = table.assign(change_usd=change, volume_usd=volume, mix_usd=mix, size_usd=size)
    table["price_usd"] = (n1 * (each1 - each0)).fillna(0.0) - size
    table["presence"] = pd.array(
        ["both" if a and b else "new" if b else "gone" for a, b in zip(n0, n1, strict=True)], "string"
    )
    table["presence"] = table["presence"].mask((n0 == 0) & (n1 == 0))
    counts = ["before_generations", "after_generations", "before_tokens", "after_tokens"]
    table[counts] = table[counts].astype("Int64")
    rounded: Any = money.round_columns(nw.from_native(table), ["change_usd", *PARTS]).to_native()
    table = rounded
    order = table["change_usd"].sort_values(ascending=False, kind="stable").index
    compared = ReportFrame(table.loc[order, ["before_usd", "after_usd", "change_usd", *PARTS, *counts, "presence"]])
    compared.attrs["note"] = _note(compared)
    return compared


def causes(compared: pd.DataFrame) -> list[tuple[str, float]]:
    """Return the change by cause: the parts of groups on both sides, and the entire change of new and gone ones."""
    is_new, is_gone = (equals(compared["presence"], one) for one in ("new", "gone"))
    stays = compared[~is_new & ~is_gone]
    found = [(part.removesuffix("_usd"), money.total(stays[part])) for part in PARTS]
    for name, rows in (("new", compared[is_new]), ("gone", compared[is_gone])):
        if len(rows):
            found.append((plural(len(rows), f"{name} group"), money.total(rows["change_usd"])))
    return found


def fold_changes(compared: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the groups with the largest changes, and all others added up in a last row."""
    if len(compared) <= most:
        return compared
    order = np.argsort(-compared["change_usd"].abs().to_numpy(), kind="stable")
    shown, rest = compared.iloc[np.sort(order[:most])], compared.iloc[order[most:]]
    counts = [name for name in compared.columns if name not in (*_USD, "presence")]
    sums = {name: [money.total(rest[name])] for name in _USD} | {name: [rest[name].sum(min_count=1)] for name in counts}
    labels = [[f"other ({plural(len(rest), 'group')})"], *[[""]] * (compared.index.nlevels - 1)]
    index = pd.MultiIndex.from_arrays(labels) if len(labels) > 1 else pd.Index(labels[0])
    other = pd.DataFrame(sums, index=index).astype(dict.fromkeys(counts, "Int64")).assign(presence=None)
    folded = pd.concat([shown, other.astype({"presence": "string"})[list(compared.columns)]])
    folded.index.names = compared.index.names
    folded.attrs = dict(compared.attrs)
    return folded


def _note(compared: pd.DataFrame) -> str:
    """Return the change of all groups together, as a sentence."""
    found = causes(compared)
    totals = [money.total(compared[f"{name}_usd"]) for name in ("before", "after", "change")]
    places = usd_places(max(totals[:2]))
    before, after = (usd(total, places) for total in totals[:2])
    parts = ", ".join(f"{name} {usd_change(part, places)}" for name, part in found)
    counts = [f"{int(compared[f'{side}_generations'].sum()):,}" for side in ("before", "after")]
    change = usd_change(totals[2], places)
    return f"{before} for {counts[0]} generations before, {after} for {counts[1]} after: {change} ({parts})."
