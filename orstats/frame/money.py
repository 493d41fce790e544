"""Sum money exactly, as decimal arithmetic would: no binary noise, at most 12 decimals, equal on every engine.

An amount is split into whole millionths of a dollar and an integer remainder. Floats add whole numbers exactly and in
any order, so a sum depends neither on the engine nor on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from orstats.frame.schema import USD_DECIMALS

Frame = nw.DataFrame[Any] | nw.LazyFrame[Any]
_Floats = npt.NDArray[np.float64]

PLACES: Final = USD_DECIMALS
#: Decimals of what is computed from sums: means, shares, rates.
RATE_PLACES: Final = 15
_MICRO: Final = 6
_FEMTO: Final = 15
# Floats are exact for whole numbers up to this.
_EXACT: Final = 2.0**53
#: Whole numbers up to this are certain after a rounding error or two.
_CERTAIN: Final = 2.0**50
#: A float has 15 digits that are certain, so fewer decimals the larger it is: from each size, ten times as coarse.
_SIZES: Final = tuple(10.0**digits for digits in range(9))


def split(amount: nw.Expr) -> tuple[nw.Expr, nw.Expr]:
    """Split amounts into whole millionths, and the remainder in units of 1e-15, both without the noise of floats."""
    micro = (amount * 10.0**_MICRO).round()
    step = nw.lit(1.0)
    for size in _SIZES:
        step = nw.when(amount.abs() >= size).then(size * 10.0).otherwise(step)
    return micro, ((amount - _shift(micro, _MICRO)) * 10.0**_FEMTO / step).round() * step


def join(micro: nw.Expr, femto: nw.Expr, most: int = PLACES) -> nw.Expr:
    """Join both parts, or sums of them: the float nearest to the decimal, with as many places as it has."""
    amount = _shift(micro, _MICRO)
    for places in range(_MICRO + 1, most + 1):
        units = micro * 10.0 ** (places - _MICRO) + _shift(femto, _FEMTO - places).round()
        amount = nw.when(units.abs() < _EXACT).then(_shift(units, places)).otherwise(amount)
    return amount


def _join_on_spark(micro: nw.Expr, femto: nw.Expr, most: int = PLACES) -> nw.Expr:
    """Join both parts as :func:`join` does, in one expression: compiling its many cases takes Spark minutes."""
    scale = nw.lit(10.0**_MICRO)
    for places in range(_MICRO + 1, most + 1):
        scale = nw.when(micro.abs() < _CERTAIN / 10.0 ** (places - _MICRO)).then(10.0**places).otherwise(scale)
    amount = micro / 10.0**_MICRO + femto / 10.0**_FEMTO
    return (amount * scale).round() / scale


def _is_spark(frame: Frame) -> bool:
    return frame.implementation.is_pyspark() or frame.implementation.is_pyspark_connect()


def _shift(units: nw.Expr, places: int) -> nw.Expr:
    """Divide by a power of ten, as a column: Polars multiplies with the inexact reciprocal of a number."""
    return units / (units * 0.0 + 10.0**places)


def split_columns(frame: Frame, names: Sequence[str]) -> Frame:
    """Add both parts of some columns, named by :func:`parts_of`."""
    if not frame.implementation.is_pandas():
        return frame.with_columns(
            **{part: expr for name in names for part, expr in zip(parts_of(name), split(nw.col(name)), strict=True)}
        )
    native = frame.to_native()
    arrays = {name: _split_array(_floats(native[name])) for name in names}
    return _with_arrays(
        frame, {part: one for name in names for part, one in zip(parts_of(name), arrays[name], strict=True)}
    )


def join_columns(frame: Frame, names: Sequence[str], most: int = PLACES) -> Frame:
    """Join the sums of both parts of some columns, under the columns' own names."""
    pairs = {name: parts_of(name) for name in names}
    if frame.implementation.is_pandas():
        native = frame.to_native()
        sums = {part: _floats(native[part]) for name in names for part in parts_of(name)}
        arrays = {name: _join_arrays(sums[micro], sums[femto], most) for name, (micro, femto) in pairs.items()}
        joined = _with_arrays(frame, arrays)
    else:
        put_together = _join_on_spark if _is_spark(frame) else join
        joined = frame.with_columns(
            put_together(nw.col(one), nw.col(two), most).alias(name) for name, (one, two) in pairs.items()
        )
    return joined.drop(*(part for name in names for part in parts_of(name)))


def round_columns(frame: Frame, names: Sequence[str], most: int = PLACES) -> Frame:
    """Round amounts to some decimals, or to as many as a float of their size has.

    Examples
    --------
    >>> amounts = nw.from_native(pd.DataFrame({"usd": [0.1 + 0.2, 12345.670000000002]}))
    >>> round_columns(amounts, ["usd"]).to_native()["usd"].to_list()
    [0.3, 12345.67]
    """
    if _is_spark(frame):
        return frame.with_columns(nw.col(name).round(most) for name in names)
    return join_columns(split_columns(frame, names), names, most)


def parts_of(name: str) -> tuple[str, str]:
    """Return the names of the two parts of a column."""
    return f"{name}_micro", f"{name}_femto"


def _with_arrays(frame: Frame, arrays: Mapping[str, _Floats]) -> Frame:
    changed: Frame = nw.from_native(frame.to_native().assign(**arrays))
    return changed


def _floats(column: pd.Series[Any]) -> _Floats:
    return column.to_numpy(dtype="float64", na_value=np.nan)


# The same as `split` and `join` in NumPy, because narwhals evaluates each of their many expressions separately.
@np.errstate(all="ignore")  # amounts beyond any that are paid become infinite
def _split_array(amounts: _Floats) -> tuple[_Floats, _Floats]:
    micro = np.round(amounts * 10.0**_MICRO)
    femto = (amounts - micro / 10.0**_MICRO) * 10.0**_FEMTO
    sizes = np.abs(amounts)
    if not (sizes >= _SIZES[0]).any():  # as with the costs of most calls
        return micro, np.round(femto)
    step = np.array([1.0, *(size * 10.0 for size in _SIZES)])[np.searchsorted(_SIZES, sizes, side="right")]
    return micro, np.round(femto / step) * step


@np.errstate(all="ignore")
def _join_arrays(micro: _Floats, femto: _Floats, most: int) -> _Floats:
    amounts = micro / 10.0**_MICRO
    for places in range(_MICRO + 1, most + 1):
        units = micro * 10.0 ** (places - _MICRO) + np.round(femto / 10.0 ** (_FEMTO - places))
        amounts = np.where(np.abs(units) < _EXACT, units / 10.0**places, amounts)
    return amounts


def rounded(amounts: _Floats, most: int = PLACES) -> _Floats:
    """Round amounts to some decimals, or to as many as a float of their size has.

    Examples
    --------
    >>> rounded(np.array([0.1 + 0.2, np.nan])).tolist()
    [0.3, nan]
    """
    return _join_arrays(*_split_array(amounts), most)


def group_totals(amounts: _Floats, groups: npt.NDArray[np.integer[Any]], count: int) -> _Floats:
    """Add amounts up by the number of each row's group; missing ones are excluded, and a sum of none is missing.

    Examples
    --------
    >>> group_totals(np.array([0.1, 0.2, np.nan]), np.array([0, 0, 1]), 2).tolist()
    [0.3, nan]
    """
    known = ~np.isnan(amounts)
    if not known.all():
        amounts, groups = amounts[known], groups[known]
    micro, femto = (np.bincount(groups, part, count).astype("float64") for part in _split_array(amounts))
    return np.where(np.bincount(groups, minlength=count) > 0, _join_arrays(micro, femto, PLACES), np.nan)


def total(amounts: pd.Series[Any]) -> float:
    """Add amounts up; missing ones are excluded.

    Examples
    --------
    >>> total(pd.Series([0.1] * 3 + [None])), total(pd.Series([4.2e-07, -1e-08])), total(pd.Series([], dtype="float64"))
    (0.3, 4.1e-07, 0.0)
    """
    micro, femto = _split_array(_floats(amounts.dropna()))
    return float(_join_arrays(micro.sum(), femto.sum(), PLACES))
