"""Single values of columns that programs and spreadsheets have written, cast to the types of the fields."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from orstats.errors import ColumnError
from orstats.frame.cast_columns import cast_columns
from orstats.frame.cast_values import cast
from orstats.frame.schema import FIELDS

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("field", "given", "wanted"),
    [
        ("model", True, "true"),
        ("model", 7.0, "7"),
        ("model", 7.5, "7.5"),
        ("model", Decimal("1.50"), "1.50"),
        ("model", dt.date(2026, 3, 4), "2026-03-04"),
        ("provider_responses", {"a": np.array([1, 2])}, '{"a":[1,2]}'),
        ("provider_responses", [{"a": (1, None)}], '[{"a":[1,null]}]'),
        ("is_byok", np.bool_(True), True),
        ("is_byok", "Nein", False),
        ("total_cost", Decimal("0.25"), 0.25),
        ("total_cost", "+0.25 €", 0.25),
        ("total_cost", "1'234.5", 1234.5),
        ("total_cost", "12,34,567.5", 1234567.5),
        ("total_cost", "-.5", -0.5),
        ("total_cost", "5.", 5.0),
        ("total_cost", "\u22120,25", -0.25),
        ("native_tokens_prompt", 12.0, 12),
        ("created_at", NOON.replace(tzinfo=None), NOON),
        ("created_at", np.datetime64("2026-03-04T12:00"), NOON),
        ("created_at", pd.Period("2026-03-04 12:00", "s"), NOON),
        ("created_at", NOON.timestamp(), NOON),
        ("created_at", NOON.timestamp() * 1e3, NOON),
        ("created_at", str(int(NOON.timestamp())), NOON),
        ("created_at", 46085.5, NOON),  # a day number of spreadsheets
        ("created_at", "46085,5", NOON),
        ("created_at", "2026-03-04 12:00 UTC", NOON),
        ("created_at", "4.3.26 12:00", NOON),
        ("created_at", "2026/3/4 12:00 PM", NOON),
        ("created_at", "03/13/2026 12:00 AM", dt.datetime(2026, 3, 13, tzinfo=dt.UTC)),
        ("created_at", "13/3/2026", dt.datetime(2026, 3, 13, tzinfo=dt.UTC)),
    ],
)
def test_values_have_the_type_of_their_field(field, given, wanted):
    assert cast([given], FIELDS[field]).to_pylist() == [wanted]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("is_byok", "perhaps"),
        ("total_cost", True),
        ("total_cost", float("inf")),
        ("total_cost", ["0.5"]),
        ("total_cost", "1,234"),  # a thousand, or one
        ("total_cost", "1.2.3"),
        ("total_cost", "1,234.5,6"),
        ("total_cost", "."),
        ("total_cost", "-"),
        ("native_tokens_prompt", 12.5),
        ("created_at", True),
        ("created_at", []),
        ("created_at", 12),
        ("created_at", "4/3/2026"),  # of March or of April
        ("created_at", "31.2.2026"),
        ("created_at", "soon"),
    ],
)
def test_values_without_one_meaning_are_named(field, given):
    with pytest.raises(ColumnError) as caught:
        cast([given], FIELDS[field])
    assert caught.value.column == field
    assert caught.value.value == given


@pytest.mark.parametrize(
    ("field", "given", "wanted"),
    [
        ("total_cost", ["0,00024", 2], 2),  # it was 0,002 until a spreadsheet read the comma as that of thousands
        ("total_cost", [0.5, "0,002"], 0.5),
        ("total_cost", [2.0, None, "0.00024"], 2.0),  # it was 0.002, in a spreadsheet with decimal commas
        ("latency", [1234, "1234,5"], 1234),
        ("total_cost", ["0,5", "1.5"], "0,5"),
        ("total_cost", ["0,00024", 0, None], [0.00024, 0.0, None]),
        ("total_cost", ["0.00024", 0.002, 2], [0.00024, 0.002, 2.0]),
        ("total_cost", ["0,00024", "2", "1.234,5", "1.234"], [0.00024, 2.0, 1234.5, 1234.0]),
        ("total_cost", ["0.00024", "2", "1,234.5", "1,234", "n/a"], [0.00024, 2.0, 1234.5, 1234.0, None]),
        ("native_tokens_prompt", ["1.234.567", 12], [1234567, 12]),  # 0,012 is not a count
    ],
)
def test_columns_with_two_decimal_marks_are_refused(field, given, wanted):
    if isinstance(wanted, list):
        assert cast(given, FIELDS[field]).to_pylist() == wanted
        return
    with pytest.raises(ColumnError, match=field) as caught:
        cast(given, FIELDS[field])
    assert caught.value.value == wanted


def test_decimals_become_the_nearest_floats():
    amounts = [Decimal(number).scaleb(-7) for number in range(0, 30_000, 7)]
    assert cast(pa.array(amounts, pa.decimal128(38, 12)), FIELDS["cost_usd"]).to_pylist() == list(map(float, amounts))


def test_infinite_numbers_become_missing():
    df = pd.DataFrame({"cost_usd": [0.5, float("inf")], "mine": float("inf")})
    assert cast_columns(df, ["cost_usd", "mine"])["cost_usd"].isna().to_list() == [False, True]


def test_repeated_and_encoded_values_are_cast_once_each():
    encoded = pa.array(["yes", "no", "yes", None]).dictionary_encode()
    assert cast(encoded, FIELDS["is_byok"]).to_pylist() == [True, False, True, None]
