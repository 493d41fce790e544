"""Sums of money as a decimal sum gives them: no binary noise, at most 12 decimals, equal on every engine.

An amount is split into whole millionths of a dollar and a whole remainder. Floats add whole numbers exactly and in
any order, so a sum depends neither on the engine nor on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

#: Decimals of a sum in US dollars, and of what is computed from sums: means, shares, rates.
PLACES: Final = 12
RATE_PLACES: Final = 15
_MICRO: Final = 6
_FEMTO: Final = 15
# Floats are exact for whole numbers up to this.
_EXACT: Final = 2.0**53


def split(amount: nw.Expr) -> tuple[nw.Expr, nw.Expr]:
    """Split amounts into whole millionths, and what remains in whole units of 1e-15."""
    micro = (amount * 10.0**_MICRO).round()
    return micro, ((amount - _shift(micro, _MICRO)) * 10.0**_FEMTO).round()


def join(micro: nw.Expr, femto: nw.Expr, most: int = PLACES) -> nw.Expr:
    """Put both parts, or sums of them, together: the float nearest to the decimal, to as many places as it holds."""
    amount = _shift(micro, _MICRO)
    for places in range(_MICRO + 1, most + 1):
        units = micro * 10.0 ** (places - _MICRO) + _shift(femto, _FEMTO - places).round()
        amount = nw.when(units.abs() < _EXACT).then(_shift(units, places)).otherwise(amount)
    return amount


def _shift(units: nw.Expr, places: int) -> nw.Expr:
    """Divide by a power of ten, as a column: Polars multiplies with the inexact reciprocal of a number."""
    return units / (units * 0.0 + 10.0**places)


def rounded(amount: nw.Expr, most: int = PLACES) -> nw.Expr:
    """Round amounts to so many decimals, or to as many as a float of their size holds."""
    return join(*split(amount), most)


def round_columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Round the amounts in some columns of a frame.

    Examples
    --------
    >>> round_columns(pd.DataFrame({"usd": [0.1 + 0.2, 12345.670000000002]}), ["usd"])["usd"].to_list()
    [0.3, 12345.67]
    """
    result: pd.DataFrame = nw.from_native(frame).with_columns(rounded(nw.col(name)) for name in names).to_native()
    return result


def round_array(amounts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Round the amounts of single generations; ``pyarrow.compute.round`` itself is inexact beyond 10 decimals.

    Examples
    --------
    >>> round_array(pa.array([0.1 + 0.2, 5.24e-06, None])).to_pylist()
    [0.3, 5.24e-06, None]
    """
    units = pc.multiply(amounts, 10.0**PLACES)
    return pc.if_else(pc.less(pc.abs(units), _EXACT), pc.divide(pc.round(units), 10.0**PLACES), amounts)


def total(amounts: pd.Series[Any]) -> float:
    """Add amounts up; missing ones are excluded.

    Examples
    --------
    >>> total(pd.Series([0.1] * 3 + [None])), total(pd.Series([4.2e-07, -1e-08])), total(pd.Series([], dtype="float64"))
    (0.3, 4.1e-07, 0.0)
    """
    known = nw.from_native(pd.DataFrame({"usd": amounts.dropna().to_numpy(dtype="float64")}))
    micro, femto = split(nw.col("usd"))
    return float(known.select(join(micro.sum(), femto.sum())).item())
