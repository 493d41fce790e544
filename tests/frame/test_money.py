from decimal import Decimal

import narwhals as nw
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orstats.frame import money

PRICES = st.decimals("-2", "2", places=12)


def decimal_sum(amounts):
    return float(round(sum(map(Decimal, map(repr, amounts)), Decimal(0)), 12))


@given(st.lists(PRICES.map(float) | st.sampled_from([4.2e-07, 0.1, 0.07, 0.02, 700.0]), max_size=50))
def test_total_is_the_decimal_sum(amounts):
    assert money.total(pd.Series(amounts, dtype="float64")) == decimal_sum(amounts)


@pytest.mark.parametrize("amount", [0.1, 4.2e-07, 0.07, -0.000012345678, 0.33333333])
def test_total_of_a_million_rows_is_the_decimal_sum(amount):
    assert money.total(pd.Series([amount]).repeat(1_000_000)) == float(Decimal(repr(amount)) * 1_000_000)


@given(st.integers(0, 10**7), st.decimals(0, 1, places=8))
def test_large_totals_have_no_noise(dollars, rest):
    amounts = [float(dollars), *[float(rest)] * 7]
    assert money.total(pd.Series(amounts)) == float(dollars + rest * 7)


@given(st.lists(st.decimals("-100", "100", places=9), min_size=1, max_size=9), st.sampled_from([1, 60, 900]))
@settings(max_examples=25)
def test_totals_of_many_large_amounts_have_no_noise(amounts, times):
    wanted = float(round(sum(amounts) * times, 9))
    parts = pd.DataFrame({"usd": list(map(float, amounts)) * times})
    for frame in (parts, pl.from_pandas(parts)):
        split = money.split_columns(nw.from_native(frame), ["usd"]).select(nw.col(*money.parts_of("usd")).sum())
        joined = money.join_columns(split, ["usd"])
        assert joined["usd"].item() == wanted
        assert money.round_columns(joined, ["usd"], money.RATE_PLACES)["usd"].item() == wanted


@given(PRICES, PRICES)
def test_rounded_amounts_are_the_decimal_ones(one, other):
    noisy = float(one) + float(other)
    wanted = float(one + other)
    assert (
        money.round_columns(nw.from_native(pd.DataFrame({"usd": [noisy]})), ["usd"]).to_native()["usd"].item() == wanted
    )
