"""Exact sums by group in NumPy, where grouping in pandas would take most of the time of a report."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from orstats.reports.engines import MOST_COUNT

Floats = npt.NDArray[np.float64]
Groups = npt.NDArray[np.integer[Any]]

#: Floats are exact for whole numbers up to this.
_EXACT: Final = 2.0**53
_PART: Final = 2**20


def finite_numbers(values: pd.Series[Any], *, least: float = -np.inf) -> Floats:
    """Return a column of numbers, missing where they are not finite or too small.

    >>> finite_numbers(pd.Series([1.5, -1.0, float("inf")]), least=0.0).tolist()
    [1.5, nan, nan]
    """
    numbers: Floats = values.to_numpy("float64", na_value=np.nan)
    is_valid = np.isfinite(numbers) & (numbers >= least)
    return numbers if is_valid.all() else np.where(is_valid, numbers, np.nan)


def valid_counts(values: pd.Series[Any]) -> Floats:
    """Return a column of counts, missing where they are negative or impossibly large.

    >>> valid_counts(pd.Series([5, -1, None], dtype="Int64")).tolist()
    [5.0, nan, nan]
    """
    numbers: Floats = values.to_numpy("float64", na_value=np.nan)
    is_valid = (numbers >= 0) & (numbers <= MOST_COUNT)
    return numbers if is_valid.all() else np.where(is_valid, numbers, np.nan)


def count_totals(counts: Floats, groups: Groups, number: int) -> pd.arrays.IntegerArray:
    """Add counts up by the number of each row's group; missing ones are excluded, and a sum of none is missing.

    >>> count_totals(np.array([5.0, 2.0, np.nan]), np.array([0, 0, 1]), 2).tolist()
    [7, <NA>]
    """
    known = ~np.isnan(counts)
    if not known.all():
        counts, groups = counts[known], groups[known]
    # Large counts are added in two parts, so that the sums stay exact.
    high = np.floor(counts / _PART) if len(counts) and counts.max() * len(counts) > _EXACT else None
    low = counts if high is None else counts - high * _PART
    sums = np.bincount(groups, low, number).astype("int64")
    if high is not None:
        sums += np.bincount(groups, high, number).astype("int64") * _PART
    return pd.arrays.IntegerArray(sums, np.bincount(groups, minlength=number) == 0)
