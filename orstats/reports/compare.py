"""What changed between two periods, and how much of it is volume, mix, size and price."""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats._warn import warn_caller
from orstats.errors import ConfigError
from orstats.frame import money
from orstats.frame.display import ReportFrame
from orstats.frame.validation import By, equals, listed
from orstats.reports.aggregation import Grouped, ReportSpec, group
from orstats.reports.coverage import PROVENANCE, absent_note, provenance
from orstats.reports.engines import aggregate, finite, valid_count, wrap
from orstats.reports.group_sums import Floats, count_totals, finite_numbers, valid_counts
from orstats.text.format import other_groups, plural, usd, usd_change, usd_places

#: The parts of a change, in the order in which a waterfall shows them.
PARTS: Final = ("volume_usd", "mix_usd", "size_usd", "price_usd")
_USD: Final = ("before_usd", "after_usd", "change_usd", *PARTS)
_TOTALS: Final = ReportSpec(
    required=("cost_usd", "tokens_total", "is_byok"),
    inputs={"cost": finite("cost_usd"), "count": valid_count("tokens_total")},
    derived={"tokens": nw.when(~nw.col("cost").is_null()).then(nw.col("count"))},
    sums=("tokens",),
    usd=("cost",),
    counts=("cost",),
    metrics={"usd": nw.col("cost"), "generations": nw.col("cost_n"), "tokens": nw.col("tokens").cast(nw.Int64)},
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
    sides = [_totals(frame, keys) for frame in (before, after)]
    _warn_of_shared_ids(before, after)
    # Not an outer join: its order and its handling of missing keys differ between versions of pandas.
    groups = sides[0].index.union(sides[1].index, sort=False)
    compared = _split(groups, *(side.reindex(groups).to_numpy().T for side in sides))
    compared.attrs[PROVENANCE] = _provenance_of_both(before, after)
    if note := absent_note(before, _TOTALS.required) or absent_note(after, _TOTALS.required):
        compared.attrs["note"] += f" {note}"
    return compared


def _provenance_of_both(before: Any, after: Any) -> dict[str, str]:
    """Return the sources of both, the first and the last creation time."""
    first, last = provenance(before), provenance(after)
    sources = dict.fromkeys(one["source"] for one in (first, last) if "source" in one)
    found = {"source": "; ".join(sources)} if sources else {}
    for name, pick in (("first_created_at", min), ("last_created_at", max)):
        if times := [one[name] for one in (first, last) if name in one]:
            found[name] = pick(times, key=pd.Timestamp)
    return found


def _warn_of_shared_ids(before: Any, after: Any) -> None:
    """Warn when generations are on both sides, where the ids can be compared without a scan."""
    if not (
        isinstance(before, pd.DataFrame)
        and isinstance(after, pd.DataFrame)
        and before.index.name == after.index.name == "id"
    ):
        return
    if before is after:
        shared = len(before)
    else:
        shared = _count_shared(_ids_of_shared_times(before, after), _ids_of_shared_times(after, before))
    if shared:
        warn_caller(f"{shared:,} generations are in both DataFrames and count on both sides.")


def _ids_of_shared_times(frame: pd.DataFrame, other: pd.DataFrame) -> pd.Index[Any]:
    """Return the ids that the other side may have, too: comparing times is many times faster than comparing ids."""
    if not all(
        "created_at" in one and isinstance(one["created_at"].dtype, pd.DatetimeTZDtype) for one in (frame, other)
    ):
        return frame.index
    own, others = frame["created_at"], other["created_at"]
    is_near = own.between(others.min(), others.max()).to_numpy()
    if not is_near.any():
        return frame.index[:0]
    is_shared = own.isin(others).to_numpy()
    return frame.index if is_shared.all() else frame.index[is_shared]


def _count_shared(ids: pd.Index[Any], others: pd.Index[Any]) -> int:
    try:
        arrays = [pa.array(one, pa.large_string(), from_pandas=True) for one in (ids, others)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):  # ids that are not text
        return int(ids.isin(others).sum())
    return int(pc.sum(pc.is_in(arrays[0], value_set=arrays[1], skip_nulls=True)).as_py() or 0)


def _totals(frame: Any, keys: list[str]) -> pd.DataFrame:
    """Sum cost, generations with known cost and their tokens by group, in the order of the keys, for every engine."""
    grouped = group(wrap(frame), _TOTALS, keys, None, "UTC")
    sums = _sums_in_pandas(grouped) if grouped.rows.implementation.is_pandas() else _sums(grouped)
    sums.columns = pd.Index([*keys, *_TOTALS.metrics])
    return sums.sort_values(keys, kind="stable").set_index(keys).astype("float64")


def _sums(grouped: Grouped) -> pd.DataFrame:
    rows = grouped.rows.select(*grouped.keys, **_TOTALS.inputs).with_columns(**_TOTALS.derived)
    sums: Any = aggregate(rows, grouped.keys, _TOTALS.sums, _TOTALS.counts, usd=_TOTALS.usd)
    sums = sums.select(*grouped.keys, **_TOTALS.metrics)
    collected: pd.DataFrame = (sums.collect("pyarrow") if isinstance(sums, nw.LazyFrame) else sums).to_pandas()
    return collected


def _sums_in_pandas(grouped: Grouped) -> pd.DataFrame:
    """Return the same sums, in half of the time."""
    rows: pd.DataFrame = grouped.rows.to_native()
    groups = rows.groupby(list(grouped.keys), dropna=False, observed=True, sort=False)
    numbers, labels = groups.ngroup().to_numpy(), groups.size().index
    costs = finite_numbers(rows["cost_usd"])
    tokens = valid_counts(rows["tokens_total"])
    if (unknown := np.isnan(costs)).any():
        tokens = np.where(unknown, np.nan, tokens)
    sums = pd.DataFrame(
        {
            "usd": money.group_totals(costs, numbers, len(labels)),
            "generations": np.bincount(numbers[~unknown], minlength=len(labels)),
            "tokens": count_totals(tokens, numbers, len(labels)),
        },
        index=labels,
    )
    return sums.reset_index()


@np.errstate(divide="ignore", invalid="ignore")  # shares of groups without generations or tokens are missing
def _split(groups: pd.Index[Any], before: Floats, after: Floats) -> pd.DataFrame:
    """Split the changes between cost, generations and tokens of the same groups, in NumPy because there are few."""
    (cost0, n0), (cost1, n1) = (np.nan_to_num(side[:2]) for side in (before, after))
    tokens0, tokens1 = before[2], after[2]
    growth = n1.sum() / n0.sum() if n0.any() else 1.0
    each0 = cost0 / n0
    mix = np.where(n0 > 0, each0 * n1 - cost0 * growth, cost1)
    size = np.nan_to_num(n1 * ((tokens1 / n1) / np.where(tokens0 > 0, tokens0 / n0, np.nan) - 1.0) * each0)
    price = np.where((n0 > 0) & (n1 > 0), cost1 - n1 * each0, 0.0) - size
    amounts = (cost1 - cost0, cost0 * (growth - 1.0), mix, size, price)
    change, *parts = (money.rounded(amount) for amount in amounts)
    sizes = zip(n0.tolist(), n1.tolist(), strict=True)
    presence = ["both" if a and b else "new" if b else "gone" if a else None for a, b in sizes]
    order = np.argsort(-change, kind="stable")
    columns = {
        "before_usd": cost0,
        "after_usd": cost1,
        "change_usd": change,
        **dict(zip(PARTS, parts, strict=True)),
        **{
            name: pd.arrays.IntegerArray(np.nan_to_num(counts).astype("int64"), np.isnan(counts))
            for name, counts in (
                ("before_generations", n0),
                ("after_generations", n1),
                ("before_tokens", tokens0),
                ("after_tokens", tokens1),
            )
        },
        "presence": pd.array(presence, "string"),
    }
    compared = ReportFrame({name: values[order] for name, values in columns.items()}, index=groups[order])
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
    labels = [[other_groups(len(rest))], *[[""]] * (compared.index.nlevels - 1)]
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
    written = [f"{name} {usd_change(part, places)}" for name, part in found]
    parts = ", ".join(written[: len(PARTS)])
    if groups := ", ".join(written[len(PARTS) :]):
        parts = f"groups in both periods: {parts}; {groups}"
    counts = [f"{int(compared[f'{side}_generations'].sum()):,}" for side in ("before", "after")]
    change = usd_change(totals[2], places)
    return f"{before} for {counts[0]} generations before, {after} for {counts[1]} after: {change} ({parts})."
